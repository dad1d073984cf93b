//! A scripted GitLab: a server on loopback that keeps notes, awards, merge requests, issues and
//! commit statuses, knows which changes of a status are allowed, and fails where it is told to.
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
use omk_action::forge::{GitLab, GitLabSite, GitLabToken};
use omk_action::trust::Account;
use serde_json::{Value, json};

pub(crate) use crate::github_server::{Fault, patience};

pub(crate) const TOKEN: &str = "glpat-TheTokenThatNobodyMaySee01";
pub(crate) const PROJECT: &str = "/api/v4/projects/7";
pub(crate) const WEB: &str = "https://gitlab.example/acme/widget";
pub(crate) const DATE: &str = "2026-11-22T18:51:55.341Z";

/// What the server was asked.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Value,
    pub(crate) tokens: Vec<(String, String)>,
}

type Done = (u16, Vec<(&'static str, String)>, Vec<u8>);

#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) seen: Vec<Seen>,
    /// (method, a part of the path, what goes wrong), each once.
    pub(crate) faults: Vec<(Method, String, Fault)>,
    /// Answers to reads by path, with query where it is given.
    pub(crate) canned: BTreeMap<String, Done>,
    /// Notes, awards, merge requests, issues and statuses, by where they are listed.
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
        id: 99,
        login: "project_7_bot_4f2a9c".into(),
        bot: true,
    }
}

pub(crate) fn user(id: u64, username: &str) -> Value {
    json!({ "id": id, "username": username, "state": "active" })
}

fn me() -> Value {
    user(bot().id, &bot().login)
}

pub(crate) fn note(id: u64, (author, username): (u64, &str), body: &str) -> Value {
    json!({
        "id": id, "author": user(author, username), "body": body, "system": false, "created_at": DATE, "updated_at": DATE,
    })
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
        let server = Self {
            base,
            world,
            serving,
        };
        server.tell_at("/api/v4/user", 200, &me());
        server.tell("", &project());
        server.tell("/pipelines", &json!([{ "id": 77, "status": "running" }]));
        server
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub(crate) fn site(&self) -> GitLabSite {
        GitLabSite {
            api: format!("{}/api/v4", self.base),
            project: 7,
            token: GitLabToken::Access(Secret::new(TOKEN.into())),
            spacing: Duration::ZERO,
            authorities: None,
        }
    }

    pub(crate) fn client(&self) -> GitLab {
        GitLab::with_patience(self.site(), patience()).unwrap()
    }

    pub(crate) fn fault(&self, method: Method, path: &str, fault: Fault) {
        self.world().faults.push((method, path.into(), fault));
    }

    /// What a read of a path below the project is answered with.
    pub(crate) fn tell(&self, path: &str, body: &Value) {
        self.tell_at(&format!("{PROJECT}{path}"), 200, body);
    }

    pub(crate) fn tell_at(&self, path: &str, status: u16, body: &Value) {
        self.world().canned.insert(path.into(), said(status, body));
    }

    pub(crate) fn keep(&self, path: &str, thing: Value) {
        self.world()
            .kept
            .entry(format!("{PROJECT}{path}"))
            .or_default()
            .push(thing);
    }

    pub(crate) fn kept(&self, path: &str) -> Vec<Value> {
        self.world()
            .kept
            .get(&format!("{PROJECT}{path}"))
            .cloned()
            .unwrap_or_default()
    }

    /// The writes that came in, as `POST /issues`, without the project.
    pub(crate) fn writes(&self) -> Vec<String> {
        let world = self.world();
        let writes = world.seen.iter().filter(|seen| seen.is_write());
        writes
            .map(|seen| format!("{} {}", seen.method, seen.path.trim_start_matches(PROJECT)))
            .collect()
    }

    pub(crate) fn bodies(&self) -> Vec<Value> {
        self.world()
            .seen
            .iter()
            .filter(|seen| seen.is_write())
            .map(|seen| seen.body.clone())
            .collect()
    }

    /// The paths that were read, with their queries.
    pub(crate) fn reads(&self) -> Vec<String> {
        self.world()
            .seen
            .iter()
            .filter(|seen| !seen.is_write())
            .map(|seen| seen.path.clone())
            .collect()
    }
}

impl Seen {
    /// A question to GraphQL is none.
    fn is_write(&self) -> bool {
        self.method != Method::GET && self.path != "/api/graphql"
    }
}

pub(crate) fn project() -> Value {
    json!({
        "id": 7, "path_with_namespace": "acme/widget", "default_branch": "main", "visibility": "internal", "web_url": WEB,
        "more": { "that": ["nobody", "reads"] },
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
    let token = |name: &&str| {
        head.headers
            .get(*name)
            .map(|value| ((*name).to_owned(), value.to_str().unwrap().to_owned()))
    };
    let tokens = ["private-token", "job-token", "authorization"]
        .iter()
        .filter_map(token)
        .collect();
    let fault = {
        let mut world = world.lock().unwrap();
        world.seen.push(Seen {
            method: head.method.clone(),
            path: path.clone(),
            body: body.clone(),
            tokens,
        });
        let hit = world
            .faults
            .iter()
            .position(|(method, part, _)| *method == head.method && path.contains(part.as_str()));
        hit.map(|at| world.faults.remove(at).2)
    };
    if let Some(Fault::Instead(status, headers, body)) = fault {
        let text = body
            .as_str()
            .map_or_else(|| body.to_string(), str::to_owned);
        return respond(status, &headers, text.into_bytes());
    }
    let (status, headers, done) = world.lock().unwrap().perform(&head.method, &path, &body);
    match fault {
        None => respond(status, &headers, done),
        Some(Fault::After(status)) => respond(
            status,
            &[],
            b"<html>GitLab is not responding</html>".to_vec(),
        ),
        Some(Fault::PageAfter) => respond(200, &[], b"<html>hello</html>".to_vec()),
        Some(Fault::SilentAfter) => std::future::pending().await,
        Some(Fault::Unsized) => {
            let pieces: Vec<Bytes> = done.chunks(1_000).map(Bytes::copy_from_slice).collect();
            let pieces =
                futures_util::stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
            Response::new(Body::from_stream(pieces))
        }
        Some(Fault::CutAfter) => {
            let broken =
                futures_util::stream::iter([Ok(Bytes::from_static(b"{\"id\":")), Err("cut")]);
            Response::new(Body::from_stream(broken))
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

fn said(status: u16, value: &Value) -> Done {
    (
        status,
        vec![("content-type", "application/json".into())],
        value.to_string().into_bytes(),
    )
}

fn no(status: u16, message: &str) -> Done {
    said(status, &json!({ "message": message }))
}

/// Where things are listed.
const LISTS: [&str; 5] = [
    "/notes",
    "/award_emoji",
    "/merge_requests",
    "/issues",
    "/statuses",
];

impl World {
    fn perform(&mut self, method: &Method, path: &str, body: &Value) -> Done {
        let bare = path.split('?').next().unwrap().to_owned();
        let canned = self.canned.get(path).or_else(|| self.canned.get(&bare));
        if let Some(done) = canned.filter(|_| *method == Method::GET || bare == "/api/graphql") {
            return done.clone();
        }
        match *method {
            Method::GET => self.show(path, &bare),
            Method::POST => self.make(&bare, body),
            Method::PUT => self.change(&bare, body),
            _ => no(405, "405 Not Allowed"),
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
        if !LISTS.iter().any(|end| bare.ends_with(end)) {
            return no(404, "404 Not Found");
        }
        let asked = |name: &str| {
            path.split(['?', '&'])
                .find_map(|pair| pair.strip_prefix(name))
        };
        let kept = self.kept.get(bare).map(Vec::as_slice).unwrap_or_default();
        let page: usize = asked("page=").map_or(1, |page| page.parse().unwrap());
        let size: usize = asked("per_page=").map_or(20, |size| size.parse().unwrap());
        let state = asked("state=").filter(|state| *state != "all");
        let named = asked("name=").map(|name| name.replace("%20", " ").replace("%2F", "/"));
        let fits = |thing: &&Value| {
            state.is_none_or(|state| thing["state"] == state)
                && named.as_deref().is_none_or(|name| thing["name"] == name)
        };
        let kept: Vec<&Value> = kept.iter().filter(fits).collect();
        let some: Vec<&Value> = kept
            .iter()
            .copied()
            .skip((page - 1) * size)
            .take(size)
            .collect();
        let (status, mut headers, body) = said(200, &json!(some));
        let next = if kept.len() > page * size {
            (page + 1).to_string()
        } else {
            String::new()
        };
        headers.push(("x-next-page", next));
        (status, headers, body)
    }

    fn make(&mut self, path: &str, body: &Value) -> Done {
        if let Some((project, commit)) = path.split_once("/statuses/") {
            return self.set_status(
                &format!("{project}/repository/commits/{commit}/statuses"),
                body,
            );
        }
        if path.ends_with("/cancel") {
            return said(201, &json!({ "id": 1 }));
        }
        self.next += 1;
        let id = self.next;
        let mut thing = body.clone();
        thing["id"] = id.into();
        thing["at"] = format!("{path}/{id}").into();
        let list = self.kept.entry(path.to_owned()).or_default();
        if path.ends_with("/award_emoji") {
            thing["user"] = me();
            if list
                .iter()
                .any(|one| one["name"] == body["name"] && one["user"] == thing["user"])
            {
                return no(404, "404 Award Emoji Name has already been taken Not Found");
            }
        } else if path.ends_with("/merge_requests") {
            let same = |one: &&Value| {
                one["state"] == "opened"
                    && one["source_branch"] == body["source_branch"]
                    && one["target_branch"] == body["target_branch"]
            };
            if let Some(there) = list.iter().find(same) {
                let text = format!(
                    "Another open merge request already exists for this source branch: !{}",
                    there["iid"]
                );
                return said(409, &json!({ "message": [text] }));
            }
            thing["source_project_id"] = 7.into();
            thing["target_project_id"] = 7.into();
            thing["sha"] = "a".repeat(40).into();
        } else if !path.ends_with("/notes") && !path.ends_with("/issues") {
            return no(404, "404 Not Found");
        }
        if !path.ends_with("/award_emoji") {
            thing["author"] = me();
            thing["iid"] = id.into();
            thing["state"] = "opened".into();
            thing["web_url"] = format!("{WEB}/-{}/{id}", path.trim_start_matches(PROJECT)).into();
            thing["created_at"] = DATE.into();
            thing["updated_at"] = DATE.into();
            thing["system"] = false.into();
        }
        list.push(thing.clone());
        said(201, &thing)
    }

    fn change(&mut self, path: &str, body: &Value) -> Done {
        let Some(thing) = self
            .kept
            .values_mut()
            .flatten()
            .find(|thing| thing["at"] == path)
        else {
            return no(404, "404 Not Found");
        };
        for (name, value) in body.as_object().unwrap() {
            thing[name] = value.clone();
        }
        said(200, thing)
    }

    /// One status under way for each name, pipeline and author; one that is over is followed by
    /// another.
    fn set_status(&mut self, place: &str, body: &Value) -> Done {
        let pipeline = body["pipeline_id"].as_u64().unwrap_or(77);
        let wanted = body["state"].as_str().unwrap().to_owned();
        if body["description"]
            .as_str()
            .is_some_and(|text| text.chars().count() > 255)
            || body["target_url"]
                .as_str()
                .is_some_and(|url| url.chars().count() > 255)
        {
            return said(
                400,
                &json!({ "message": { "target_url": ["is too long (maximum is 255 characters)"] } }),
            );
        }
        self.next += 1;
        let list = self.kept.entry(place.to_owned()).or_default();
        let under_way = list.iter().position(|one| {
            let running = one["status"] == "running" || one["status"] == "pending";
            running
                && one["name"] == body["name"]
                && one["pipeline_id"] == pipeline
                && one["author"] == me()
        });
        if under_way.is_some() && matches!(wanted.as_str(), "running" | "skipped") {
            let event = if wanted == "running" { "run" } else { "skip" };
            let text = format!(
                "Cannot transition status via :{event} from :running (Reason(s): Status cannot transition via \"{event}\")"
            );
            return no(400, &text);
        }
        let at = under_way.unwrap_or_else(|| {
            list.push(json!({ "id": self.next, "author": me(), "name": body["name"], "pipeline_id": pipeline }));
            list.len() - 1
        });
        for name in ["description", "target_url"]
            .into_iter()
            .filter(|name| !body[*name].is_null())
        {
            list[at][name] = body[name].clone();
        }
        list[at]["status"] = wanted.into();
        said(201, &list[at])
    }
}
