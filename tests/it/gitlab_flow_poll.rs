//! A schedule at GitLab: it looks for comments, or it maintains the default branch.

use serde_json::json;

use crate::gitlab_world::{BOT, GitLabWorld, REQUEST, SOURCE};

const POLL: &[(&str, &str)] = &[("OMK_POLL", "true")];

fn polled(world: &GitLabWorld) -> crate::gitlab_job::LabJob {
    world
        .omk_ci("intake", &world.pipeline("schedule", "maintainer"), POLL)
        .exits(0)
}

/// A world with a second merge request.
fn two() -> GitLabWorld {
    let world = GitLabWorld::start();
    world.git(&["checkout", "--quiet", "-b", "other", "main"]);
    world.pushes("contributor", "other", &[("other.txt", "other\n")]);
    world.opens(20, "contributor", "other", &json!({"title": "Another"}));
    world
}

#[test]
fn a_poll_answers_what_it_finds_and_starts_the_oldest_run() {
    let world = two();
    let chat = world.comments("contributor", "What is /omk run?");
    let help = world.comments("contributor", "/omk help");
    let first = world.comments_on(20, "maintainer", "/omk run");
    let second = world.comments("maintainer", "/omk run");
    let gate = polled(&world)
        .says("3 commands in 2 merge requests")
        .says("waits for the next pipeline");
    assert!(
        gate.files["request.json"].contains("\"mr-20\""),
        "{gate:#?}"
    );
    assert_eq!(
        (world.awards(&chat), world.awards(&help)),
        (String::new(), "eyes".to_owned())
    );
    assert_eq!(
        (world.awards(&first), world.awards(&second)),
        ("eyes".to_owned(), String::new())
    );
    let gate = polled(&world);
    assert!(
        gate.files["request.json"].contains("\"mr-12\""),
        "{gate:#?}"
    );
    assert_eq!(world.awards(&second), "eyes");
    let writes = world.writes().len();
    let gate = polled(&world);
    assert_eq!(
        (gate.files["request.json"].trim(), world.writes().len()),
        ("null", writes)
    );
}

#[test]
fn a_poll_leads_to_a_delivery() {
    let world = GitLabWorld::start();
    let note = world.comments("maintainer", "/omk run");
    let pipeline = world.pipeline("schedule", "maintainer");
    world.omk_ci("intake", &pipeline, POLL).exits(0);
    for command in ["run", "judge", "publish"] {
        world.omk_ci(command, &pipeline, &[]).exits(0);
    }
    assert_eq!(world.awards(&note), "eyes, rocket");
    assert!(world.refs().contains_key("refs/heads/omk/run/mr-12"));
}

#[test]
fn our_own_notes_old_ones_and_marked_ones_are_left_alone() {
    let world = GitLabWorld::start();
    let old = json!({"iid": REQUEST, "username": "maintainer", "body": "/omk run", "created_at": "2020-01-01T00:00:00Z"});
    world.door.control("notes", &old);
    world.comments(BOT, "/omk run");
    let webhook = world.comments("contributor", "/omk help");
    world
        .omk_ci("intake", &world.hooked(&webhook), &[])
        .exits(0);
    let writes = world.writes().len();
    let gate = polled(&world);
    assert_eq!(
        (gate.files["request.json"].trim(), world.writes().len()),
        ("null", writes),
        "{gate:#?}"
    );
}

#[test]
fn what_is_to_be_cancelled_in_the_same_poll_waits_for_the_next() {
    let world = GitLabWorld::start();
    world
        .door
        .control("protect", &json!({"branch": "main", "merge": 30}));
    let run = world.comments("maintainer", "/omk run");
    let cancel = world.comments("maintainer", "/omk cancel");
    polled(&world).says("waits for the next pipeline");
    assert_eq!(
        (world.awards(&run), world.awards(&cancel)),
        ("eyes".to_owned(), String::new())
    );
    polled(&world);
    assert_eq!(world.awards(&cancel), "eyes");
    assert!(world.status_lines(&world.tip(SOURCE))[0].starts_with("omk: canceled"));
}

#[test]
fn a_note_that_cannot_be_marked_is_not_acted_upon() {
    let world = GitLabWorld::start();
    world.comments("maintainer", "/omk run");
    world.fault(&json!({"method": "POST", "path": "award_emoji", "status": 403, "times": 99}));
    let gate = world.omk_ci("intake", &world.pipeline("schedule", "maintainer"), POLL);
    assert_ne!(gate.code, Some(0), "{gate:#?}");
    assert!(world.replies(REQUEST).is_empty() && world.statuses(&world.tip(SOURCE)).is_empty());
}

#[test]
fn a_poll_cleans_up_after_merge_requests_that_have_ended() {
    let world = two();
    world
        .jobs(
            &world.hooked(&world.comments("maintainer", "/omk run")),
            &[],
        )
        .published()
        .exits(0);
    assert!(world.refs().contains_key("refs/heads/omk/run/mr-12"));
    for iid in [REQUEST, 20] {
        let path = format!("/merge_requests/{iid}");
        world
            .api(
                "contributor",
                "PUT",
                &path,
                &json!({"state_event": "close"}),
            )
            .expect(200);
    }
    polled(&world).says("1 branch of mr-12 removed");
    assert!(!world.refs().contains_key("refs/heads/omk/run/mr-12"));
}

#[test]
fn a_schedule_without_poll_maintains_the_default_branch() {
    let world = GitLabWorld::start();
    world.comments("maintainer", "/omk run");
    let jobs = world.jobs(&world.pipeline("schedule", "maintainer"), &[]);
    let publish = jobs.published().exits(0);
    assert_eq!(
        (publish.dotenv("OMK_VERDICT"), publish.dotenv("OMK_BRANCH")),
        ("ready", "omk/run/widget")
    );
    let delivered = world.get("/merge_requests/13");
    assert_eq!(
        (&delivered["source_branch"], &delivered["target_branch"]),
        (&json!("omk/run/widget"), &json!("main"))
    );
    assert!(
        world.replies(REQUEST).is_empty(),
        "nobody looked for comments"
    );
    let issues = world.get("/issues");
    assert_eq!(issues.as_array().map(Vec::len), Some(1), "{issues}");
}

#[test]
fn whoever_starts_a_pipeline_names_tasks_and_a_push_starts_nothing() {
    let world = GitLabWorld::start();
    let gate = world
        .omk_ci(
            "intake",
            &world.pipeline("web", "maintainer"),
            &[("OMK_TASKS", "fix")],
        )
        .exits(0);
    assert!(
        gate.files["request.json"].contains("\"tasks\":[\"fix\"]"),
        "{gate:#?}"
    );
    let gate = world
        .omk_ci(
            "intake",
            &world.pipeline("api", "maintainer"),
            &[("OMK_TASKS", "fixx")],
        )
        .exits(2);
    assert!(gate.err.contains("did you mean `fix`?"), "{gate:#?}");
    let jobs = world.jobs(&world.pipeline("push", "maintainer"), &[]);
    jobs.intake
        .exits(0)
        .says("does nothing in a pipeline of the source `push`");
    jobs.publish.unwrap().exits(0).says("nothing to run");
}
