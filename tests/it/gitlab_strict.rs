//! The offline GitLab is strict: each kind of refusal, in GitLab's words, and faults when they are
//! ordered.

use serde_json::{Value, json};

use crate::gitlab_door::Reply;
use crate::gitlab_world::{BOT, GitLabWorld, PROJECT, REQUEST, SOURCE};

const NOTES: &str = "/merge_requests/12/notes";

/// The words of an error, whichever of GitLab's shapes it has.
fn said(reply: &Reply) -> String {
    let json = reply.json();
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    json.get("error")
        .or_else(|| json.get("message"))
        .map_or_else(String::new, text)
}

#[track_caller]
fn refused(reply: &Reply, status: u16, words: &str) {
    assert_eq!((reply.status, said(reply).as_str()), (status, words));
}

#[test]
fn what_an_endpoint_does_not_take_is_refused_in_gitlabs_words() {
    let world = GitLabWorld::start();
    let status = format!("/statuses/{}", world.tip(SOURCE));
    let cases = [
        (
            "GET",
            "/merge_requests?state=ajar",
            json!(null),
            400,
            "state does not have a valid value",
        ),
        (
            "GET",
            "/merge_requests?updated_after=yesterday",
            json!(null),
            400,
            "updated_after is invalid",
        ),
        (
            "GET",
            "/merge_requests?per_page=many",
            json!(null),
            400,
            "per_page is invalid",
        ),
        (
            "GET",
            "/merge_requests?per_page=0",
            json!(null),
            400,
            "per_page has a value not allowed",
        ),
        (
            "GET",
            "/merge_requests/twelve",
            json!(null),
            400,
            "iid is invalid",
        ),
        ("POST", NOTES, json!({}), 400, "body is missing"),
        ("POST", NOTES, json!({"body": 5}), 400, "body is invalid"),
        (
            "POST",
            NOTES,
            json!({"body": "x".repeat(1_000_001)}),
            400,
            "body is too long (maximum is 1000000 characters)",
        ),
        (
            "POST",
            &status,
            json!({"state": "neutral"}),
            400,
            "state does not have a valid value",
        ),
        (
            "POST",
            &status,
            json!({"name": "omk", "pipeline_id": "one"}),
            400,
            "pipeline_id is invalid, state is missing",
        ),
        (
            "POST",
            &status,
            json!({"state": "failed", "description": "x".repeat(256)}),
            400,
            r#"{"description":["is too long (maximum is 255 characters)"]}"#,
        ),
        (
            "POST",
            "/merge_requests/12/versions",
            json!({}),
            405,
            "405 Not Allowed",
        ),
        ("GET", "/no/such/path", json!(null), 404, "404 Not Found"),
        (
            "GET",
            "/merge_requests?pagination=keyset",
            json!(null),
            400,
            "pagination is not a parameter of GET /projects/:id/merge_requests",
        ),
        (
            "PUT",
            "/merge_requests/12",
            json!({"state": "closed"}),
            400,
            "state is not a parameter of PUT /projects/:id/merge_requests/:iid",
        ),
    ];
    for (method, path, body, status, words) in &cases {
        refused(&world.api("maintainer", method, path, body), *status, words);
    }
    let changed = world.api("maintainer", "PUT", "/merge_requests/12", &json!({}));
    assert_eq!(
        (
            changed.status,
            said(&changed).contains("at least one parameter must be provided")
        ),
        (400, true)
    );
    assert_eq!(world.door.violations().len(), cases.len() + 1);
    world.forgive(cases.len() + 1);
}

#[test]
fn a_body_that_is_no_json_object_is_refused() {
    let world = GitLabWorld::start();
    let send = |kind: &str, body: &[u8]| {
        let headers = [
            ("PRIVATE-TOKEN", "glpat-maintainer"),
            ("Content-Type", kind),
        ];
        world
            .door
            .send(
                "POST",
                "/gitlab/api/v4/projects/7/merge_requests/12/notes",
                &headers,
                body,
            )
            .unwrap()
    };
    assert_eq!(send("application/json", b"[]").status, 400);
    assert_eq!(send("application/json", b"{").status, 400);
    assert_eq!(send("text/plain", b"body=x").status, 415);
    assert_eq!(
        send("application/x-www-form-urlencoded", b"body=x").status,
        201
    );
    assert_eq!(
        world
            .door
            .send("GET", "/api/v4/user", &[], b"")
            .unwrap()
            .status,
        404,
        "it lies below /gitlab"
    );
    world.forgive(4);
}

#[test]
fn a_note_in_which_gitlab_would_carry_out_something_is_told_apart() {
    let world = GitLabWorld::start();
    let note = world
        .api(
            "intake",
            "POST",
            NOTES,
            &json!({"body": "Done.\n/close\n```\n/merge\n```\n"}),
        )
        .expect(201);
    assert_eq!(note["body"], "Done.\n```\n/merge\n```\n");
    assert_eq!(
        world
            .api("intake", "POST", NOTES, &json!({"body": "/approve"}))
            .status,
        202
    );
    assert_eq!(
        world
            .api("intake", "POST", NOTES, &json!({"body": "/omk run"}))
            .status,
        201
    );
    assert_eq!(world.door.violations().len(), 2);
    world.forgive(2);
}

#[test]
fn nobody_gets_further_than_token_scope_and_access_level_reach() {
    let world = GitLabWorld::start();
    let note = json!({"body": "x"});
    let nothing = Value::Null;
    refused(
        &world.api("nobody", "GET", "", &nothing),
        401,
        "401 Unauthorized",
    );
    refused(
        &world.door.api_with(&[], "GET", "/projects/7", &nothing),
        401,
        "401 Unauthorized",
    );
    refused(
        &world.api("drive-by", "GET", "", &nothing),
        404,
        "404 Project Not Found",
    );
    refused(
        &world.api("guest", "GET", "/merge_requests/12", &nothing),
        403,
        "403 Forbidden",
    );
    let short = world.api("judge", "POST", NOTES, &note);
    refused(&short, 403, "insufficient_scope");
    assert_eq!(short.json()["scope"], "api");
    refused(
        &world.api(
            "reader",
            "POST",
            "/repository/branches?branch=x&ref=main",
            &nothing,
        ),
        403,
        "403 Forbidden",
    );
    let bearer = |token: &str| {
        world
            .door
            .api_with(&[("Authorization", token)], "GET", "/user", &nothing)
    };
    refused(&bearer("Bearer nobody"), 401, "invalid_token");
    assert_eq!(
        bearer("Bearer glpat-reader").expect(200)["username"],
        "reader"
    );
    world.door.control(
        "token_state",
        &json!({"token": "glpat-reader", "revoked": true}),
    );
    refused(
        &world.api("reader", "GET", "", &nothing),
        401,
        "invalid_token",
    );
    world
        .door
        .control("users", &json!({"username": "owner", "state": "blocked"}));
    assert_eq!(world.api("owner", "GET", "", &nothing).status, 403);
    let bot = world.door.control("users", &json!({"username": BOT}));
    assert_eq!(
        world
            .api(
                "judge",
                "GET",
                &format!("/members/all/{}", bot["id"]),
                &nothing
            )
            .expect(200)["access_level"],
        30
    );
}

#[test]
fn a_job_token_may_fetch_and_know_its_job_and_nothing_else_and_ends_with_it() {
    let world = GitLabWorld::start();
    let pipeline = world.pipeline("schedule", "maintainer");
    let job = pipeline.jobs["omk-run"];
    let told = world.door.control("start_job", &json!({"job": job}));
    let token = told["token"].as_str().unwrap().to_owned();
    let with = |name: &str, path: &str| {
        world
            .door
            .api_with(&[(name, &token)], "GET", path, &Value::Null)
            .status
    };
    assert_eq!(with("JOB-TOKEN", "/job"), 200);
    assert_eq!(with("PRIVATE-TOKEN", "/job"), 401);
    assert_eq!(
        (
            with("JOB-TOKEN", "/projects/7"),
            with("JOB-TOKEN", "/projects/7/merge_requests/12/notes")
        ),
        (401, 401)
    );
    let remote = |user: &str| {
        let at = format!("://{user}:{token}@");
        format!("{}/{PROJECT}.git", world.door.site.replace("://", &at))
    };
    let refs = world.git(&["ls-remote", &remote("gitlab-ci-token"), "refs/heads/main"]);
    assert!(refs.starts_with(&world.tip("main")));
    let fails = |args: &[&str]| {
        let mut git = std::process::Command::new("git");
        git.args(args)
            .current_dir(world.at("work"))
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_CONFIG_GLOBAL", "/dev/null");
        String::from_utf8_lossy(&git.output().unwrap().stderr).into_owned()
    };
    assert!(fails(&["push", &remote("gitlab-ci-token"), "HEAD:refs/heads/x"]).contains("403"));
    assert!(
        fails(&["ls-remote", &remote("oauth2")]).contains("Authentication failed"),
        "only under its own name"
    );
    world
        .door
        .control("finish_job", &json!({"job": job, "status": "failed"}));
    assert_eq!(with("JOB-TOKEN", "/job"), 401);
    assert!(fails(&["ls-remote", &remote("gitlab-ci-token")]).contains("Authentication failed"));
}

#[test]
fn lists_come_in_pages_of_at_most_a_hundred() {
    let world = GitLabWorld::start();
    for number in 0..101 {
        world.comments("reader", &format!("Note {number}"));
    }
    let first = world.api(
        "judge",
        "GET",
        &format!("{NOTES}?per_page=1000&sort=asc"),
        &Value::Null,
    );
    assert_eq!(first.json().as_array().unwrap().len(), 100);
    let told = |name: &str| first.headers[name].as_str();
    assert_eq!(
        (told("x-total"), told("x-next-page"), told("x-per-page")),
        ("101", "2", "100")
    );
    let next = first.headers["link"]
        .split(", ")
        .find(|link| link.ends_with("rel=\"next\""))
        .unwrap();
    assert!(
        next.contains(
            "/gitlab/api/v4/projects/7/merge_requests/12/notes?sort=asc&page=2&per_page=100"
        ),
        "{next}"
    );
    assert!(first.headers.contains_key("ratelimit-remaining"));
    let last = world.api(
        "judge",
        "GET",
        &format!("{NOTES}?per_page=100&page=2"),
        &Value::Null,
    );
    assert_eq!(
        (
            last.json().as_array().unwrap().len(),
            last.headers["x-next-page"].as_str()
        ),
        (1, "")
    );
}

#[test]
fn trouble_comes_when_it_is_ordered() {
    let world = GitLabWorld::start();
    let post = || {
        world.door.send(
            "POST",
            "/gitlab/api/v4/projects/7/merge_requests/12/notes",
            &[
                ("PRIVATE-TOKEN", "glpat-intake"),
                ("Content-Type", "application/json"),
            ],
            br#"{"body":"hello"}"#,
        )
    };
    world.fault(
        &json!({"method": "POST", "path": "/notes$", "status": 429, "headers": {"Retry-After": "3"}, "times": 2}),
    );
    let busy = post().unwrap();
    assert_eq!(
        (busy.status, busy.headers["retry-after"].as_str()),
        (429, "3")
    );
    assert_eq!((post().unwrap().status, post().unwrap().status), (429, 201));
    assert_eq!(world.replies(REQUEST).len(), 1);
    // Done, but not answered; done, and answered with nonsense.
    world.fault(&json!({"method": "POST", "path": "/notes$", "when": "after", "drop": true}));
    assert!(post().is_none());
    world.fault(&json!({"method": "POST", "path": "/notes$", "when": "after", "raw": "<html>"}));
    assert_eq!(post().unwrap().json(), Value::Null);
    assert_eq!(world.replies(REQUEST).len(), 3);
    // The second look finds a head that was moved in between.
    let moved = world.tip("main");
    let step = json!({"path": "move", "body": {"branch": SOURCE, "commit": moved}});
    world.fault(&json!({"method": "GET", "path": "/merge_requests/12$", "nth": 2, "do": [step]}));
    let head = || {
        world.get("/merge_requests/12")["sha"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_ne!(head(), moved);
    assert_eq!(head(), moved);
    world.fault(
        &json!({"path": "/user$", "status": 503, "body": {"message": "503 Service Unavailable"}}),
    );
    assert_eq!(
        world
            .door
            .api("glpat-run", "GET", "/user", &Value::Null)
            .status,
        503
    );
}
