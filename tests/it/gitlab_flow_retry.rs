//! `/omk retry` at GitLab: the statuses of the head lead to the pipeline whose job has kept the
//! last run's state.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use crate::gitlab_world::{GitLabWorld, REQUEST};

/// A task that never writes the same twice, and one that fails until FLAG is there.
const PLAN: &str = "\
version: 1
name: widget
defaults: { gates: [whole], retry_policy: { max_attempts: 0 } }
gates:
  - { id: whole, run: test -s README.md }
tasks:
  - { id: first, run: head -c 16 /dev/urandom | od -An -tx1 > first.txt, write_set: [first.txt] }
  - { id: late, run: test -f FLAG && echo late > late.txt, write_set: [late.txt] }
deliver: { as: branches, partial: true }
";

/// A world whose first run has left one task undone; the directory whose file `flag` lets it pass;
/// what the other wrote.
fn first_run() -> (GitLabWorld, tempfile::TempDir, String) {
    let outside = tempfile::tempdir().unwrap();
    let world = GitLabWorld::with_plan(
        &PLAN.replace("FLAG", outside.path().join("flag").to_str().unwrap()),
    );
    let jobs = world.jobs(
        &world.hooked(&world.comments("maintainer", "/omk run")),
        &[],
    );
    assert_eq!(jobs.published().dotenv("OMK_VERDICT"), "not_ready");
    let first = written(&world);
    std::fs::write(outside.path().join("flag"), "").unwrap();
    (world, outside, first)
}

fn written(world: &GitLabWorld) -> String {
    world.git(&[
        "fetch",
        "--quiet",
        &world.remote("maintainer"),
        "omk/run/mr-12",
    ]);
    world.git(&["show", "FETCH_HEAD:first.txt"])
}

#[test]
fn what_is_proven_is_kept() {
    let (world, _outside, first) = first_run();
    let jobs = world.jobs(
        &world.hooked(&world.comments("maintainer", "/omk retry")),
        &[],
    );
    let run = jobs.run.as_ref().unwrap();
    assert!(
        run.out.contains("kept from run") && run.out.contains(": first"),
        "{run:#?}"
    );
    assert_eq!(jobs.published().exits(0).dotenv("OMK_VERDICT"), "ready");
    assert_eq!(written(&world), first);
}

#[test]
fn without_a_token_that_reads_the_api_a_retry_is_a_full_run_and_says_so() {
    let (world, _outside, first) = first_run();
    let jobs = world.jobs(
        &world.hooked(&world.comments("maintainer", "/omk retry")),
        &[("OMK_TOKEN", "")],
    );
    let run = jobs.run.as_ref().unwrap();
    assert!(run.out.contains("this retry is a full run"), "{run:#?}");
    assert_eq!(jobs.published().exits(0).dotenv("OMK_VERDICT"), "ready");
    assert_ne!(written(&world), first);
}

#[test]
fn a_status_that_leads_elsewhere_is_not_followed() {
    let world = GitLabWorld::start();
    let head = world.tip("feature");
    let pushed = world.pipeline_on("push", "contributor", "main");
    let url = format!("{}/acme/widget/-/pipelines/{}", world.door.site, pushed.id);
    let name = "20991122t185155z-4f2a9c";
    let forged = serde_json::json!({
        "state": "success", "name": "omk", "description": "ready",
        "target_url": format!("{url}#omk/mr-12/{name}/{}/1", pushed.id),
    });
    world
        .api("contributor", "POST", &format!("/statuses/{head}"), &forged)
        .expect(201);
    let jobs = world.jobs(
        &world.hooked(&world.comments("maintainer", "/omk retry")),
        &[],
    );
    assert!(
        jobs.intake.files["request.json"].contains("\"what\":\"retry\""),
        "{:#?}",
        jobs.intake
    );
    assert!(
        !jobs.intake.files["request.json"].contains("previous"),
        "{:#?}",
        jobs.intake
    );
    assert!(
        world
            .replies(REQUEST)
            .iter()
            .any(|reply| reply.contains("Nothing is kept")),
        "{:#?}",
        world.replies(REQUEST)
    );
    assert_eq!(jobs.published().exits(0).dotenv("OMK_VERDICT"), "ready");
}
