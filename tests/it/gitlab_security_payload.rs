//! A webhook's payload is anybody's who knows the trigger's token, and a poll reads what everybody
//! writes: neither says who did what, and neither is answered twice or without end.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::path::Path;

use serde_json::{Value, json};

use crate::gitlab_job::{LabJob, Pipeline};
use crate::gitlab_security::{Asked, POLL};
use crate::gitlab_world::{BOT, GitLabWorld, REQUEST, SOURCE};

/// The intake job of a trigger's pipeline whose TRIGGER_PAYLOAD is that file.
fn of_file(world: &GitLabWorld, file: &Path) -> LabJob {
    let pipeline = Pipeline {
        payload: None,
        ..world.pipeline("trigger", "maintainer")
    };
    world.omk_ci(
        "intake",
        &pipeline,
        &[("TRIGGER_PAYLOAD", file.to_str().unwrap())],
    )
}

/// That nothing was written, and what it says is one sentence and no crash.
#[track_caller]
fn does_nothing(world: &GitLabWorld, what: &str, job: &LabJob, writes: usize) {
    assert!(matches!(job.code, Some(0 | 2 | 5)), "{what}: {job:#?}");
    assert_eq!(world.writes().len(), writes, "{what}: {job:#?}");
    assert!(
        job.files
            .get("request.json")
            .is_none_or(|json| json.trim() == "null"),
        "{what}: {job:#?}"
    );
    assert!(
        !job.err.contains("panicked") && job.err.len() + job.out.len() < 2_000,
        "{what}: {job:#?}"
    );
    assert!(
        !job.out.contains('\u{1b}') && !job.err.contains('\u{1b}'),
        "{what}: {job:#?}"
    );
}

#[test]
fn what_a_payload_says_of_a_note_is_not_believed() {
    let world = GitLabWorld::start();
    let owner = world.get("/members/all/101");
    let idle = world.comments("drive-by", "A fine feature.");
    let mut hook = world.note_hook(&idle);
    hook["object_attributes"]["note"] = json!("/omk run");
    hook["object_attributes"]["author_id"] = json!(101);
    hook["user"] = owner.clone();
    hook["merge_request"]["target_branch"] = json!("stage");
    Asked::hooked(&world, idle, &hook)
        .ignored()
        .says("says nothing to omk");
    // Its author, its head and its project are those of the note, whatever the payload says.
    let asks = world.comments("drive-by", "/omk run");
    let mut hook = world.note_hook(&asks);
    hook["user"] = owner;
    hook["object_attributes"]["author_id"] = json!(101);
    hook["project_id"] = json!(4711);
    hook["project"] =
        json!({"id": 4711, "path_with_namespace": "evil/widget", "default_branch": "evil"});
    hook["merge_request"]["last_commit"] = json!({"id": world.tip("main")});
    hook["merge_request"]["source_branch"] = json!("main");
    assert!(
        Asked::hooked(&world, asks, &hook)
            .refused()
            .contains("may not give commands here")
    );
    // Under another merge request, of an issue, of nobody.
    world.git(&["checkout", "--quiet", "-b", "other", "main"]);
    world.pushes("contributor", "other", &[("other.txt", "x\n")]);
    world.opens(20, "contributor", "other", &json!({"title": "Another"}));
    let elsewhere = world.comments_on(20, "maintainer", "/omk run");
    world
        .api("owner", "POST", "/issues", &json!({"title": "An issue"}))
        .expect(201);
    let issue = world.door.control(
        "notes",
        &json!({"issue": 1, "username": "maintainer", "body": "/omk run"}),
    );
    let note = world.comments("maintainer", "/omk help");
    for (id, iid) in [
        (elsewhere["id"].clone(), json!(REQUEST)),
        (issue["id"].clone(), json!(REQUEST)),
        (note["id"].clone(), json!(20)),
        (note["id"].clone(), json!(999_999)),
        (json!(u64::MAX), json!(REQUEST)),
        (json!(0), json!(0)),
    ] {
        let mut hook = world.note_hook(&note);
        hook["object_attributes"]["id"] = id.clone();
        hook["merge_request"]["iid"] = iid.clone();
        Asked::hooked(&world, note.clone(), &hook)
            .ignored()
            .says("the comment is gone");
    }
    let mut hook = world.note_hook(&note);
    hook["merge_request"] = json!(null);
    hook["issue"] = json!({"iid": 1});
    Asked::hooked(&world, note, &hook)
        .ignored()
        .says("not on a merge request");
    // A merge request that is open is not cleaned up after, whatever somebody says.
    let open = world.request_hook(REQUEST, "close");
    let nothing = world.comments("reader", "Nothing.");
    Asked::hooked(&world, nothing, &open)
        .ignored()
        .says("is open again");
}

#[test]
fn a_payload_of_a_strange_shape_is_a_sentence_and_not_a_crash() {
    let world = GitLabWorld::start();
    let note = world.comments("maintainer", "/omk run");
    let honest = world.note_hook(&note);
    let writes = world.writes().len();
    let mut hostile: Vec<(String, Vec<u8>)> = Vec::new();
    // Each field by itself: `src/cli/ci/event/gitlab.rs`.
    for (place, values) in [
        (
            "/object_attributes/id",
            vec![json!("1001"), json!(-1), json!([1001])],
        ),
        (
            "/merge_request/iid",
            vec![json!("12"), json!("../../7/merge_requests/12")],
        ),
        (
            "/object_kind",
            vec![json!("note\n\u{1b}[0Ksection_start:1:x\r")],
        ),
    ] {
        for value in values {
            let mut hook = honest.clone();
            *hook.pointer_mut(place).unwrap() = value.clone();
            hostile.push((format!("{place} = {value}"), hook.to_string().into_bytes()));
        }
    }
    for (what, bytes) in [
        ("empty", &b""[..]),
        ("no JSON", b"object_kind=note"),
        ("no text", b"\xff\xfe\x00{"),
        ("an array", b"[]"),
        ("null", b"null"),
        (
            "a string with an escape",
            b"\"\\u001b[0Ksection_start:1:x\\r\"",
        ),
        ("half", &honest.to_string().as_bytes()[..100]),
        ("nested", &[b'['; 200_000]),
    ] {
        hostile.push((what.to_owned(), bytes.to_vec()));
    }
    let file = world.at("payload");
    for (what, bytes) in &hostile {
        std::fs::write(&file, bytes).unwrap();
        does_nothing(&world, what, &of_file(&world, &file), writes);
    }
    std::fs::File::create(&file)
        .unwrap()
        .set_len((33 << 20) + 1)
        .unwrap();
    let job = of_file(&world, &file).says("more than 32 MiB");
    does_nothing(&world, "33 MiB", &job, writes);
    std::fs::remove_file(&file).unwrap();
    for (what, target) in [
        ("missing", None),
        ("a directory", Some("/")),
        ("no end", Some("/dev/zero")),
    ] {
        if let Some(target) = target {
            std::os::unix::fs::symlink(target, &file).unwrap();
        }
        let job = of_file(&world, &file);
        assert_ne!(job.code, Some(0), "{what}: {job:#?}");
        does_nothing(&world, what, &job, writes);
        let _ = std::fs::remove_file(&file);
    }
    // What else is in a file is not shown.
    std::fs::write(world.at("secret"), "\"hush-hush-hush\"").unwrap();
    std::os::unix::fs::symlink(world.at("secret"), &file).unwrap();
    let job = of_file(&world, &file);
    assert!(
        !job.out.contains("hush") && !job.err.contains("hush"),
        "{job:#?}"
    );
    does_nothing(&world, "a link to something else", &job, writes);
}

#[test]
fn a_payload_that_is_replayed_begins_nothing_again() {
    let world = GitLabWorld::start();
    let note = world.comments("maintainer", "/omk run");
    Asked::of(&world, note.clone()).accepted();
    Asked::of(&world, note.clone())
        .ignored()
        .says("answered already");
    world
        .omk_ci("intake", &world.pipeline("schedule", "maintainer"), POLL)
        .exits(0);
    assert_eq!(world.awards(&note), "eyes");
    // Two at once: both have looked when the first one marks it.
    let note = world.comments("maintainer", "/omk run");
    let mark =
        json!({"path": "award", "body": {"id": note["id"], "name": "eyes", "username": BOT}});
    world.fault(&json!({"method": "POST", "path": "award_emoji", "do": [mark]}));
    Asked::of(&world, note.clone())
        .job
        .exits(0)
        .says("answered already");
    assert_eq!(world.awards(&note), "eyes");
    assert_eq!(
        world.statuses(&world.tip(SOURCE)).len(),
        1,
        "one run has begun"
    );
    // Somebody else's eyes are not ours.
    let note = world.comments("maintainer", "/omk help");
    for login in ["drive-by", "reader", "contributor"] {
        world.door.control(
            "award",
            &json!({"id": note["id"], "name": "eyes", "username": login}),
        );
    }
    world
        .omk_ci("intake", &world.pipeline("schedule", "maintainer"), POLL)
        .exits(0);
    assert_eq!(world.awards(&note), "eyes");
    // The webhook of what omk itself writes.
    let written = world
        .notes_of(REQUEST)
        .into_iter()
        .find(|note| note["author"]["username"] == BOT)
        .unwrap();
    let mut hook = world.note_hook(&written);
    Asked::hooked(&world, written.clone(), &hook).ignored();
    hook["object_attributes"]["action"] = json!("update");
    Asked::hooked(&world, written, &hook).ignored();
}

#[test]
fn a_mark_is_set_before_anything_is_done_even_where_that_fails() {
    let world = GitLabWorld::start();
    let note = world.comments("maintainer", "/omk run");
    let pipeline = world.hooked(&note);
    world.fault(&json!({"path": "/merge_requests/12$", "status": 403, "times": 1000}));
    let gate = world.omk_ci("intake", &pipeline, &[]);
    assert!(
        gate.files
            .get("request.json")
            .is_none_or(|json| json.trim() == "null"),
        "{gate:#?}"
    );
    world.fault(&json!({"clear": true}));
    assert!(world.awards(&note).starts_with("eyes"), "{gate:#?}");
    let writes = world.writes().len();
    world
        .omk_ci("intake", &world.pipeline("schedule", "maintainer"), POLL)
        .exits(0);
    assert_eq!(
        world.writes().len(),
        writes,
        "what failed once is not done again by itself"
    );
}

#[test]
fn a_flood_of_commands_is_answered_in_parts_and_holds_up_nobody_else() {
    let world = GitLabWorld::start();
    for number in 0..60 {
        let body = [
            "/omk help",
            "```\n/omk run\n```",
            "> /omk run",
            "/omk nonsense @all",
        ][number % 4];
        world.comments("drive-by", body);
    }
    let asks = world.comments("maintainer", "/omk run");
    let pipeline = world.pipeline("schedule", "maintainer");
    let gate = world
        .omk_ci("intake", &pipeline, POLL)
        .exits(0)
        .says("wait for the next pipeline: this one has answered 10");
    let request: Value = serde_json::from_str(&gate.files["request.json"]).unwrap();
    assert_eq!(
        (request["trigger"]["actor"].as_str(), world.awards(&asks)),
        (Some("maintainer"), "eyes".to_owned())
    );
    let replies = world.replies(REQUEST).len();
    assert!((2..=12).contains(&replies), "{replies} replies");
    world
        .omk_ci("intake", &world.pipeline("schedule", "maintainer"), POLL)
        .exits(0);
    assert!(
        world.replies(REQUEST).len() > replies,
        "the next ones have their turn"
    );
}
