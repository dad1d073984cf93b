//! A scripted GitHub: a server on loopback that keeps comments, checks, pull requests, issues,
//! reactions and statuses, holds to GitHub's limits, and fails where it is told to.
//!
//! It refuses to invent: what it neither keeps nor was given is 404.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use omk_action::exec::secret::Secret;
use omk_action::forge::{Forge, GitHub, GitHubSite, Patience};
use omk_action::trust::Account;
use serde_json::{Value, json};

pub(crate) const TOKEN: &str = "ghs_TheTokenThatNobodyMaySee0123456789ab";
pub(crate) const REPOSITORY: &str = "/repos/acme/widget";
pub(crate) const DATE: &str = "2026-11-22T18:51:55Z";

/// What goes wrong.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// It is not done; this is the answer.
    Instead(u16, Vec<(&'static str, String)>, Value),
    /// It is done, and yet this is the answer.
    After(u16),
    /// It is done, and there is no answer.
    SilentAfter,
    /// It is done, and the answer breaks off.
    CutAfter,
    /// It is done, and the answer does not say how long it is.
    Unsized,
    /// It is done, and the answer is a page.
    PageAfter,
}

/// What the server was asked.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Value,
    pub(crate) authorization: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) seen: Vec<Seen>,
    /// (method, a part of the path, what goes wrong), each once.
    pub(crate) faults: Vec<(Method, String, Fault)>,
    /// Answers to reads by path, with query where it is given.
    pub(crate) canned: BTreeMap<String, (u16, Vec<(&'static str, String)>, Vec<u8>)>,
    /// Comments, checks, pull requests, issues, reactions, statuses, labels, by where they are
    /// listed.
    pub(crate) kept: BTreeMap<String, Vec<Value>>,
    next: u64,
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) base: String,
    world: Arc<Mutex<World>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

pub(crate) fn bot() -> Account {
    Account {
        id: 41_898_282,
        login: "github-actions[bot]".into(),
        bot: true,
    }
}

fn user(id: u64, login: &str) -> Value {
    json!({ "id": id, "login": login, "type": if login.ends_with("[bot]") { "Bot" } else { "User" } })
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let world = Arc::new(Mutex::new(World {
            next: 100,
            ..World::default()
        }));
        let router = axum::Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&world));
        let serving = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Self {
            base,
            world,
            serving,
        }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub(crate) fn site(&self) -> GitHubSite {
        GitHubSite {
            api: self.base.clone(),
            repository: "acme/widget".into(),
            token: Secret::new(TOKEN.into()),
            spacing: Duration::ZERO,
        }
    }

    pub(crate) fn forge(&self) -> Forge {
        Forge::GitHub(self.client())
    }

    pub(crate) fn client(&self) -> GitHub {
        GitHub::with_patience(self.site(), patience()).unwrap()
    }

    pub(crate) fn fault(&self, method: Method, path: &str, fault: Fault) {
        self.world().faults.push((method, path.into(), fault));
    }

    /// What a read of a path below the repository is answered with.
    pub(crate) fn tell(&self, path: &str, body: &Value) {
        self.tell_at(&format!("{REPOSITORY}{path}"), 200, body);
    }

    pub(crate) fn tell_at(&self, path: &str, status: u16, body: &Value) {
        let answer = (
            status,
            vec![("content-type", "application/json".into())],
            body.to_string().into_bytes(),
        );
        self.world().canned.insert(path.into(), answer);
    }

    pub(crate) fn keep(&self, path: &str, thing: Value) {
        self.world()
            .kept
            .entry(format!("{REPOSITORY}{path}"))
            .or_default()
            .push(thing);
    }

    /// What is kept at a place below the repository.
    pub(crate) fn kept(&self, path: &str) -> Vec<Value> {
        self.world()
            .kept
            .get(&format!("{REPOSITORY}{path}"))
            .cloned()
            .unwrap_or_default()
    }

    /// The writes that came in, as `POST /issues/12/comments`, without the repository.
    pub(crate) fn writes(&self) -> Vec<String> {
        let world = self.world();
        let writes = world.seen.iter().filter(|seen| seen.method != Method::GET);
        writes
            .map(|seen| {
                format!(
                    "{} {}",
                    seen.method,
                    seen.path.trim_start_matches(REPOSITORY)
                )
            })
            .collect()
    }

    pub(crate) fn bodies(&self) -> Vec<Value> {
        let world = self.world();
        world
            .seen
            .iter()
            .filter(|seen| seen.method != Method::GET)
            .map(|seen| seen.body.clone())
            .collect()
    }

    pub(crate) fn reads(&self) -> usize {
        self.world()
            .seen
            .iter()
            .filter(|seen| seen.method == Method::GET)
            .count()
    }
}

pub(crate) fn patience() -> Patience {
    let (connect, silence) = (Duration::from_secs(2), Duration::from_millis(150));
    Patience {
        connect,
        silence,
        wait: Duration::from_secs(3),
        call: Duration::from_secs(20),
    }
}

pub(crate) fn comment(id: u64, (author, login): (u64, &str), body: &str) -> Value {
    let url = format!("https://github.example/acme/widget/pull/12#issuecomment-{id}");
    json!({
        "id": id, "user": user(author, login), "body": body, "html_url": url, "created_at": DATE, "updated_at": DATE,
    })
}

async fn answer(State(world): State<Arc<Mutex<World>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let body: Value = if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&body).unwrap()
    };
    let path = head.uri.path_and_query().unwrap().as_str().to_owned();
    let authorization = head
        .headers
        .get("authorization")
        .map(|value| value.to_str().unwrap().to_owned());
    if head.method != Method::GET {
        assert!(
            head.headers.contains_key("content-length"),
            "GitHub takes no chunked bodies: {path}"
        );
    }
    let fault = {
        let mut world = world.lock().unwrap();
        let seen = Seen {
            method: head.method.clone(),
            path: path.clone(),
            body: body.clone(),
            authorization,
        };
        world.seen.push(seen);
        let hit = world
            .faults
            .iter()
            .position(|(method, part, _)| *method == head.method && path.contains(part.as_str()));
        hit.map(|at| world.faults.remove(at).2)
    };
    if let Some(Fault::Instead(status, headers, body)) = fault {
        return respond(status, &headers, body.to_string().into_bytes());
    }
    let (status, headers, done) = world.lock().unwrap().perform(&head.method, &path, &body);
    match fault {
        None => respond(status, &headers, done),
        Some(Fault::After(status)) => respond(status, &[], b"<html>Unicorn!</html>".to_vec()),
        Some(Fault::PageAfter) => respond(200, &[], b"<html>hello</html>".to_vec()),
        Some(Fault::Unsized) => {
            let pieces: Vec<Bytes> = done.chunks(1_000).map(Bytes::copy_from_slice).collect();
            let pieces =
                futures_util::stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
            Response::new(Body::from_stream(pieces))
        }
        Some(Fault::SilentAfter) => std::future::pending().await,
        Some(Fault::CutAfter) => {
            let broken =
                futures_util::stream::iter([Ok(Bytes::from_static(b"{\"id\":")), Err("cut")]);
            Response::builder()
                .status(if head.method == Method::POST {
                    201
                } else {
                    200
                })
                .body(Body::from_stream(broken))
                .unwrap()
        }
        Some(Fault::Instead(..)) => unreachable!("it was answered above"),
    }
}

fn respond(status: u16, headers: &[(&'static str, String)], body: Vec<u8>) -> Response {
    let mut response = Response::builder().status(StatusCode::from_u16(status).unwrap());
    for (name, value) in headers {
        response = response.header(*name, value);
    }
    response.body(Body::from(body)).unwrap()
}

type Done = (u16, Vec<(&'static str, String)>, Vec<u8>);

fn said(status: u16, value: &Value) -> Done {
    (
        status,
        vec![("content-type", "application/json; charset=utf-8".into())],
        value.to_string().into_bytes(),
    )
}

impl World {
    fn perform(&mut self, method: &Method, path: &str, body: &Value) -> Done {
        let bare = path.split('?').next().unwrap().to_owned();
        let canned = self.canned.get(path).or_else(|| self.canned.get(&bare));
        if let Some(done) = canned.filter(|_| *method == Method::GET) {
            return done.clone();
        }
        match *method {
            Method::GET => self.show(path, &bare),
            Method::POST => self.make(&bare, body),
            Method::PATCH => self.change(&bare, body),
            _ => said(405, &json!({ "message": "no" })),
        }
    }

    fn show(&self, path: &str, bare: &str) -> Done {
        if let Some(found) = self
            .kept
            .values()
            .flatten()
            .find(|thing| thing["at"] == bare)
        {
            return said(200, found);
        }
        let (list, wrapped) = match bare.strip_suffix("/check-runs") {
            Some(_) => (format!("{REPOSITORY}/check-runs"), true),
            None => (bare.to_owned(), false),
        };
        let asked = |name: &str| {
            path.split(['?', '&'])
                .find_map(|pair| pair.strip_prefix(name))
        };
        let Some(kept) = self.kept.get(&list).filter(|kept| !kept.is_empty()) else {
            let empty = if wrapped {
                json!({ "total_count": 0, "check_runs": [] })
            } else {
                json!([])
            };
            let known = [
                "/comments",
                "/check-runs",
                "/reactions",
                "/pulls",
                "/issues",
                "/statuses",
                "/labels",
            ];
            let known = known.iter().any(|end| bare.ends_with(end));
            return if known {
                said(200, &empty)
            } else {
                said(404, &json!({ "message": "Not Found" }))
            };
        };
        let page: usize = asked("page=").map_or(1, |page| page.parse().unwrap());
        let start = (page - 1) * 100;
        // Checks are those of a commit, and of a name where it is asked for.
        let commit = bare
            .strip_suffix("/check-runs")
            .and_then(|path| path.rsplit_once("/commits/"));
        let name = asked("check_name=").map(|name| name.replace("%20", " ").replace("%2F", "/"));
        let is = |thing: &Value, field: &str, wanted: Option<&str>| {
            wanted.is_none_or(|wanted| thing[field].is_null() || thing[field] == wanted)
        };
        let asked_for = |thing: &&Value| {
            !wrapped
                || (is(thing, "head_sha", commit.map(|(_, sha)| sha))
                    && is(thing, "name", name.as_deref()))
        };
        let kept: Vec<&Value> = kept.iter().filter(asked_for).collect();
        let some: Vec<&Value> = kept.iter().copied().skip(start).take(100).collect();
        let (status, mut headers, body) = if wrapped {
            said(200, &json!({ "check_runs": some }))
        } else {
            said(200, &json!(some))
        };
        let more = if kept.len() > start + 100 {
            "<http://x/?page=2>; rel=\"next\", "
        } else {
            ""
        };
        headers.push(("link", format!("{more}<http://x/?page=9>; rel=\"last\"")));
        (status, headers, body)
    }

    fn make(&mut self, path: &str, body: &Value) -> Done {
        if let Some(wrong) = too_much(body) {
            return said(
                422,
                &json!({ "message": "Validation Failed", "errors": [wrong] }),
            );
        }
        self.next += 1;
        let id = self.next;
        let mut thing = body.clone();
        thing["id"] = id.into();
        thing["user"] = user(bot().id, &bot().login);
        thing["html_url"] = format!("https://github.example{path}/{id}").into();
        thing["created_at"] = DATE.into();
        thing["updated_at"] = DATE.into();
        thing["at"] = format!("{path}/{id}").into();
        if path.ends_with("/comments") {
            thing["at"] = format!("{REPOSITORY}/issues/comments/{id}").into();
        } else if path.ends_with("/issues") || path.ends_with("/pulls") {
            thing["number"] = id.into();
            thing["state"] = "open".into();
        } else if path.ends_with("/check-runs") {
            append(&mut thing, &json!({}), body);
        } else if path.ends_with("/cancel") {
            return said(202, &json!({}));
        } else if path.ends_with("/labels") {
            let labels: Vec<Value> = body["labels"]
                .as_array()
                .unwrap()
                .iter()
                .map(|name| json!({ "name": name }))
                .collect();
            self.kept.insert(path.to_owned(), labels.clone());
            return said(200, &json!(labels));
        }
        if path.ends_with("/pulls") {
            let sha = "a".repeat(40);
            let side = |branch: &Value| json!({ "ref": branch, "sha": sha, "repo": { "id": 7 } });
            thing["head"] = side(&body["head"]);
            thing["base"] = side(&body["base"]);
        }
        let kept = match path.split_once("/statuses/") {
            Some((repository, commit)) => format!("{repository}/commits/{commit}/statuses"),
            None => path.to_owned(),
        };
        let list = self.kept.entry(kept).or_default();
        if path.contains("/statuses/") {
            list.insert(0, thing.clone())
        } else {
            list.push(thing.clone())
        }
        said(201, &thing)
    }

    fn change(&mut self, path: &str, body: &Value) -> Done {
        if let Some(wrong) = too_much(body) {
            return said(
                422,
                &json!({ "message": "Validation Failed", "errors": [{ "message": wrong }] }),
            );
        }
        let things = self.kept.values_mut().flatten();
        let Some(thing) = things.into_iter().find(|thing| thing["at"] == path) else {
            return said(404, &json!({ "message": "Not Found" }));
        };
        let before = thing.clone();
        for (name, value) in body.as_object().unwrap() {
            thing[name] = value.clone();
        }
        append(thing, &before, body);
        said(200, thing)
    }
}

/// GitHub appends annotations, and counts them.
fn append(thing: &mut Value, before: &Value, body: &Value) {
    if body["output"].is_null() {
        return;
    }
    let mut all = before["annotations"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    all.extend(
        body["output"]["annotations"]
            .as_array()
            .cloned()
            .unwrap_or_default(),
    );
    thing["output"]["annotations_count"] = all.len().into();
    thing["annotations"] = all.into();
}

/// GitHub's limits.
fn too_much(body: &Value) -> Option<&'static str> {
    let bytes = |value: &Value| value.as_str().unwrap_or_default().len();
    let output = &body["output"];
    if bytes(&output["summary"]) > 65_535 || bytes(&output["text"]) > 65_535 {
        return Some("Only 65535 characters are allowed");
    }
    if output["annotations"]
        .as_array()
        .is_some_and(|all| all.len() > 50)
    {
        return Some("annotations exceeds a maximum quantity of 50");
    }
    if !output.is_null() && (output["title"].is_null() || output["summary"].is_null()) {
        return Some("title and summary are missing");
    }
    let long = body["body"]
        .as_str()
        .is_some_and(|body| body.chars().count() > 65_536);
    long.then_some("body is too long (maximum is 65536 characters)")
}
