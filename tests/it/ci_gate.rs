//! The gate stage against the emulated GitHub: who is answered what, and what a run that is to follow gets told.

use serde_json::Value;

use crate::forge_world::{ForgeWorld, HEAD, PULL};

#[test]
fn help_is_answered_and_starts_nothing() {
    let world = ForgeWorld::start();
    let event = world.comments("maintainer", "/omk help");
    world.workflow_run(&event);
    let job = world.omk_ci("gate", &event, &[]).exits(0);
    assert_eq!(job.output("go"), "false", "{job:?}");
    let replies = world.replies(PULL);
    assert!(replies.len() == 1 && replies[0].contains("/omk run"), "{replies:#?}");
    assert_eq!(world.checks(&world.tip(HEAD)), Vec::<Value>::new());
}

#[test]
fn a_run_that_is_accepted_has_a_check_a_comment_and_a_request() {
    let world = ForgeWorld::start();
    let event = world.comments("maintainer", "Please:\n\n/omk run");
    let run = world.workflow_run(&event);
    let job = world.omk_ci("gate", &event, &[]).exits(0);
    assert_eq!(
        (job.output("go"), job.output("scope"), job.output("base")),
        ("true", "pr-12", &*world.tip(HEAD)),
        "{job:?}"
    );
    let request: Value = serde_json::from_str(job.output("request")).unwrap();
    assert_eq!((&request["pull"]["number"], &request["workflow"]["id"]), (&PULL.into(), &run.into()), "{request:#}");
    assert_eq!(world.reactions(&event), "eyes");
    let checks = world.checks(&world.tip(HEAD));
    assert_eq!(checks.len(), 1, "{checks:#?}");
    assert_eq!((&checks[0]["name"], &checks[0]["status"]), (&"omk".into(), &"in_progress".into()));
    let name = format!("omk/pr-12/{}/{run}/1", job.output("run-id"));
    assert_eq!(checks[0]["external_id"], name);
    assert_eq!(world.replies(PULL).len(), 1);
}

#[test]
fn who_may_not_is_refused_and_no_job_is_red() {
    for login in ["reader", "drive-by"] {
        let world = ForgeWorld::start();
        let event = world.comments(login, "/omk run");
        world.workflow_run(&event);
        let job = world.omk_ci("gate", &event, &[]).exits(0);
        assert_eq!(job.output("go"), "false", "{job:?}");
        assert_eq!(world.reactions(&event), "confused", "{login}");
        assert_eq!(world.checks(&world.tip(HEAD)), Vec::<Value>::new());
    }
}

#[test]
fn a_push_after_the_comment_is_not_what_was_meant() {
    let world = ForgeWorld::start();
    let event = world.comments("maintainer", "/omk run");
    world.door.control("push_age", &serde_json::json!({"seconds": -2}));
    world.pushes("contributor", HEAD, &[("feature.txt", "something else\n")]);
    world.workflow_run(&event);
    let job = world.omk_ci("gate", &event, &[]).exits(0);
    assert_eq!(job.output("go"), "false", "{job:?}");
    let replies = world.replies(PULL);
    assert!(replies[0].contains(&world.tip(HEAD)[..7]), "{replies:#?}");
}
