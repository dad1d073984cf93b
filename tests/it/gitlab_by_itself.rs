//! What GitLab does by itself, the offline one too: versions, statuses, times of notes, forks,
//! artifacts.

use std::process::Command;

use serde_json::{Value, json};

use crate::gitlab_world::{BOT, GitLabWorld, PROJECT, REQUEST, SOURCE};

#[test]
fn a_status_goes_only_where_gitlab_lets_it() {
    let world = GitLabWorld::start();
    let head = world.tip(SOURCE);
    let set = |name: &str, state: &str| {
        let body = json!({"state": state, "name": "omk", "description": state});
        let reply = world.api(name, "POST", &format!("/statuses/{head}"), &body);
        (
            reply.status,
            reply.json()["message"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    };
    let stuck = |event: &str, from: &str| {
        (
            400,
            format!(
                "Cannot transition status via :{event} from :{from} (Reason(s): Status cannot transition via \"{event}\")"
            ),
        )
    };
    assert_eq!(set("intake", "pending").0, 201);
    assert_eq!(set("intake", "pending"), stuck("enqueue", "pending"));
    assert_eq!(set("intake", "running").0, 201);
    assert_eq!(set("intake", "running"), stuck("run", "running"));
    assert_eq!(set("intake", "pending"), stuck("enqueue", "running"));
    assert_eq!(set("intake", "skipped"), stuck("skip", "running"));
    assert_eq!(set("intake", "success").0, 201);
    assert_eq!(world.status_lines(&head), ["omk: success (success)"]);
    // One that has ended stays; the next is another, which takes its place.
    assert_eq!(
        (
            set("intake", "success").0,
            set("intake", "failed").0,
            set("intake", "skipped").0
        ),
        (201, 201, 201)
    );
    assert_eq!(world.status_lines(&head), ["omk: skipped (skipped)"]);
    let all = world.get(&format!("/repository/commits/{head}/statuses?all=true"));
    assert_eq!(all.as_array().unwrap().len(), 4);
    // Somebody else's is another too, even while the first runs.
    assert_eq!(
        (set("intake", "running").0, set("contributor", "running").0),
        (201, 201)
    );
    assert_eq!(world.status_lines(&head).len(), 1);
    let pipelines = world.get(&format!("/pipelines?sha={head}"));
    assert_eq!(
        (pipelines.as_array().unwrap().len(), &pipelines[0]["source"]),
        (1, &json!("external"))
    );
}

#[test]
fn a_status_belongs_to_a_pipeline_of_its_commit_and_to_who_may_touch_the_branch() {
    let world = GitLabWorld::start();
    let main = world.tip("main");
    let pipeline = world.pipeline("schedule", "maintainer");
    let set =
        |name: &str, body: Value| world.api(name, "POST", &format!("/statuses/{main}"), &body);
    let wanted = json!({"state": "running", "name": "x", "pipeline_id": pipeline.id});
    assert_eq!(
        set("intake", wanted.clone()).status,
        403,
        "its pipeline is of a protected branch"
    );
    assert_eq!(
        set("maintainer", wanted).expect(201)["pipeline_id"],
        json!(pipeline.id)
    );
    let taken = set(
        "maintainer",
        json!({"state": "running", "name": "omk-intake", "pipeline_id": pipeline.id}),
    );
    assert_eq!(
        taken.json()["message"],
        json!({"name": ["has already been taken"]})
    );
    let other = set(
        "maintainer",
        json!({"state": "running", "pipeline_id": 4711}),
    );
    assert_eq!(
        (other.status, &other.json()["message"]),
        (
            404,
            &json!("404 Pipeline for pipeline_id, sha and ref Not Found")
        )
    );
    assert_eq!(
        world
            .api(
                "intake",
                "POST",
                &format!("/pipelines/{}/cancel", pipeline.id),
                &Value::Null
            )
            .status,
        403
    );
    world
        .door
        .control("protect", &json!({"branch": "main", "merge": 30}));
    let cancelled = world
        .api(
            "intake",
            "POST",
            &format!("/pipelines/{}/cancel", pipeline.id),
            &Value::Null,
        )
        .expect(200);
    assert_eq!(
        cancelled["status"], "running",
        "the status that somebody else posted goes on"
    );
    assert_eq!(
        world.get(&format!("/jobs/{}", pipeline.jobs["omk-run"]))["status"],
        "canceled"
    );
    world.forgive(1);
}

#[test]
fn a_push_makes_a_version_and_a_system_note_and_keeps_protected_branches() {
    let world = GitLabWorld::start();
    let first = world.get("/merge_requests/12/versions");
    world.git(&["checkout", "--quiet", SOURCE]);
    let moved = world.pushes("contributor", SOURCE, &[("feature.txt", "all of it\n")]);
    let versions = world.get("/merge_requests/12/versions");
    assert_eq!(
        (versions[0]["head_commit_sha"].as_str(), &versions[1]),
        (Some(moved.as_str()), &first[0])
    );
    assert!(versions[0]["created_at"].as_str() > versions[1]["created_at"].as_str());
    assert_eq!(world.refs()["refs/merge-requests/12/head"], moved);
    let notes = world.get("/merge_requests/12/notes?activity_filter=only_activity");
    assert!(
        notes[0]["body"]
            .as_str()
            .unwrap()
            .starts_with("added 1 commit"),
        "{notes}"
    );
    assert!(world.notes_of(REQUEST).is_empty());
    let push = |login: &str, more: &[&str]| {
        let mut git = Command::new("git");
        git.arg("push")
            .arg(world.remote(login))
            .args(more)
            .current_dir(world.at("work"))
            .env("GIT_TERMINAL_PROMPT", "0");
        let output = git.env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap();
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (done, told) = push(
        "publish",
        &[
            "--atomic",
            "HEAD:refs/heads/main",
            "HEAD:refs/heads/omk/run/x",
        ],
    );
    assert!(
        !done && told.contains("not allowed to push code to protected branches"),
        "{told}"
    );
    assert!(!world.refs().contains_key("refs/heads/omk/run/x"));
    assert!(push("maintainer", &["HEAD:refs/heads/main"]).0);
    let (done, told) = push("maintainer", &["+HEAD~1:refs/heads/main"]);
    assert!(
        !done && told.contains("not allowed to force push"),
        "{told}"
    );
    let (done, told) = push("maintainer", &[":refs/heads/main"]);
    assert!(
        !done && told.contains("only delete protected branches using the web interface"),
        "{told}"
    );
    assert!(
        push(
            "publish",
            &["HEAD:refs/heads/omk/run/x", "HEAD:refs/omk/proofs/x"]
        )
        .0
    );
    // GitLab has no scope for notes alone: `api` may push, too.
    assert!(push("intake", &["HEAD:refs/heads/y"]).0);
    for (login, word) in [
        ("judge", "push"),
        ("reader", "push"),
        ("drive-by", "not found"),
    ] {
        let (done, told) = push(login, &["HEAD:refs/heads/z"]);
        assert!(
            !done && (told.contains("403") || told.contains(word)),
            "{login}: {told}"
        );
    }
}

#[test]
fn a_reaction_moves_a_notes_time_as_editing_does() {
    let world = GitLabWorld::start();
    let note = world.comments("maintainer", "/omk run");
    assert_eq!(note["created_at"], note["updated_at"]);
    let at = format!("/merge_requests/12/notes/{}", note["id"]);
    world.passes(60);
    world
        .api(
            "intake",
            "POST",
            &format!("{at}/award_emoji"),
            &json!({"name": "eyes"}),
        )
        .expect(201);
    let twice = world.api(
        "intake",
        "POST",
        &format!("{at}/award_emoji"),
        &json!({"name": "eyes"}),
    );
    assert_eq!(
        twice.json()["message"],
        r#"404 Award Emoji {:name=>["has already been taken"]} Not Found"#
    );
    assert_eq!(world.awards(&note), "eyes");
    let awarded = world.get(&at);
    // GraphQL alone tells whether somebody edited it.
    let query = "query($path: ID!, $iid: String!) { project(fullPath: $path) { mergeRequest(iid: $iid) { notes { nodes { id by: lastEditedBy { username } } } } } }";
    let editors = |token: &str| {
        let body = json!({"query": query, "variables": {"path": PROJECT, "iid": "12"}}).to_string();
        let headers = [
            ("PRIVATE-TOKEN", token),
            ("Content-Type", "application/json"),
        ];
        let reply = world
            .door
            .send("POST", "/gitlab/api/graphql", &headers, body.as_bytes())
            .unwrap();
        reply.json()["data"]["project"]["mergeRequest"]["notes"]["nodes"][0]["by"].clone()
    };
    assert_eq!(editors("glpat-judge"), Value::Null);
    assert!(awarded["updated_at"].as_str() > note["updated_at"].as_str());
    world.passes(60);
    world.edits("maintainer", &note, "/omk cancel");
    let edited = world.get(&at);
    assert!(
        edited["updated_at"].as_str() > awarded["updated_at"].as_str()
            && edited["created_at"] == note["created_at"]
    );
    assert_eq!(
        world
            .api("intake", "PUT", &at, &json!({"body": "mine"}))
            .status,
        403
    );
    assert_eq!(world.writes().len(), 3);
}

#[test]
fn a_merge_request_of_a_fork_tells_where_it_comes_from_until_that_is_gone() {
    let world = GitLabWorld::start();
    let door = &world.door;
    door.control(
        "projects",
        &json!({"path": "drive-by/widget", "id": 8, "fork_of": 7}),
    );
    door.control(
        "members",
        &json!({"project": 8, "username": "drive-by", "access_level": 50}),
    );
    world.git(&["checkout", "--quiet", "-b", "idea", "main"]);
    std::fs::write(world.at("work/idea.txt"), "an idea\n").unwrap();
    world.git(&["add", "--all"]);
    world.git(&["commit", "--quiet", "--message=An idea"]);
    let fork = world.remote_of("drive-by/widget", "drive-by");
    world.git(&["push", "--quiet", &fork, "HEAD:refs/heads/idea"]);
    world.opens(
        13,
        "drive-by",
        "idea",
        &json!({"title": "An idea", "source_project": 8}),
    );
    let request = world.get("/merge_requests/13");
    assert_eq!(
        (&request["source_project_id"], &request["target_project_id"]),
        (&json!(8), &json!(7))
    );
    let head = world.git(&["rev-parse", "HEAD"]);
    assert_eq!(world.refs()["refs/merge-requests/13/head"], head);
    std::fs::write(world.at("work/idea.txt"), "a better idea\n").unwrap();
    world.git(&["commit", "--quiet", "--all", "--message=A better idea"]);
    world.git(&["push", "--quiet", &fork, "HEAD:refs/heads/idea"]);
    assert_eq!(
        world.get("/merge_requests/13")["sha"],
        world.git(&["rev-parse", "HEAD"])
    );
    assert_eq!(
        world
            .get("/merge_requests/13/versions")
            .as_array()
            .unwrap()
            .len(),
        2
    );
    door.control("delete_project", &json!({"project": 8}));
    assert_eq!(
        world.get("/merge_requests/13")["source_project_id"],
        Value::Null
    );
}

#[test]
fn artifacts_are_of_their_job_and_may_lie_elsewhere() {
    let world = GitLabWorld::start();
    let pipeline = world.pipeline("web", "maintainer");
    let job = pipeline.jobs["omk-run"];
    let path = format!("/jobs/{job}/artifacts");
    assert_eq!(world.api("judge", "GET", &path, &Value::Null).status, 404);
    let token = world.door.control("start_job", &json!({"job": job}))["token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        world.uploads(pipeline.jobs["omk-intake"], &token, b"forged"),
        403,
        "it is another job's token"
    );
    assert_eq!(
        (
            world.uploads(job, &token, b"first"),
            world.uploads(job, &token, b"second")
        ),
        (201, 400)
    );
    assert_eq!(
        world.api("judge", "GET", &path, &Value::Null).body,
        b"first"
    );
    world.door.put_artifacts(job, b"later");
    assert_eq!(world.door.artifacts(job), b"later");
    world
        .door
        .control("redirect_artifacts", &json!({"on": true}));
    let moved = world.api("judge", "GET", &path, &Value::Null);
    let (status, to) = (
        moved.status,
        moved.headers["location"]
            .strip_prefix(&world.door.url)
            .unwrap(),
    );
    assert_eq!(
        (status, world.door.send("GET", to, &[], b"").unwrap().body),
        (302, b"later".to_vec())
    );
    world
        .door
        .send("GET", to, &[("PRIVATE-TOKEN", "glpat-judge")], b"");
    assert_eq!(
        world.door.violations().len(),
        1,
        "object storage gets no token"
    );
    world.forgive(1);
}

#[test]
fn only_a_trigger_token_starts_a_pipeline_and_it_is_in_no_payload() {
    let world = GitLabWorld::start();
    let start = |path: &str, body: &Value| {
        world
            .door
            .api_with(&[], "POST", &format!("/projects/7{path}"), body)
    };
    assert_eq!(
        start(
            "/trigger/pipeline",
            &json!({"token": "wrong", "ref": "main"})
        )
        .status,
        404
    );
    assert_eq!(
        start("/ref/gone/trigger/pipeline?token=glptt-hook", &json!({})).status,
        400
    );
    let made = start(
        "/trigger/pipeline",
        &json!({"token": "glptt-hook", "ref": "main", "variables": {"A": "b"}}),
    )
    .expect(201);
    assert_eq!(
        (&made["source"], &made["user"]["username"]),
        (&json!("trigger"), &json!("maintainer"))
    );
    let told = world
        .api(
            "maintainer",
            "GET",
            &format!("/pipelines/{}/variables", made["id"]),
            &Value::Null,
        )
        .expect(200);
    assert_eq!(
        told[0],
        json!({"key": "A", "value": "b", "variable_type": "env_var"})
    );
    assert!(!told.to_string().contains("glptt-hook"), "{told}");
    let closed = world.triggered(&world.request_hook(REQUEST, "close"));
    assert!(closed.payload.unwrap().contains("\"action\": \"close\""));
    assert_eq!(world.state()["pipelines"].as_array().unwrap().len(), 2);
    world.level(BOT, 0);
    assert_eq!(world.api("intake", "GET", "", &Value::Null).status, 404);
}
