//! The plan check of a merge request's pipeline: with a token, without one, and of a fork. Nothing
//! of a plan is run.

use crate::forge_world::PLAN;
use crate::gitlab_world::{GitLabWorld, SOURCE};

const HEAD: &str = "refs/merge-requests/12/head";

/// A merge request whose plan is this.
fn with(plan: &str) -> GitLabWorld {
    let world = GitLabWorld::start();
    world.git(&["checkout", "--quiet", SOURCE]);
    world.pushes("contributor", SOURCE, &[("omk.yaml", plan)]);
    world
}

#[test]
fn a_plan_is_checked_and_the_commit_status_tells() {
    let world = with(&PLAN.replace("echo right", "echo better"));
    let pipeline = world.pipeline_on("merge_request_event", "contributor", HEAD);
    // The variable is unprotected, or the pipeline would not have it.
    let gate = world
        .omk_ci("intake", &pipeline, &[("OMK_TOKEN", "glpat-intake")])
        .exits(0);
    let lines = world.status_lines(&world.tip(SOURCE));
    assert!(
        lines.len() == 1 && lines[0].starts_with("omk plan: success"),
        "{lines:?}"
    );
    assert!(
        gate.files["summary.md"].contains("echo better"),
        "{gate:#?}"
    );
    assert_eq!(gate.files["gl-code-quality-report.json"].trim(), "[]");
    world
        .omk_ci("run", &pipeline, &[])
        .exits(0)
        .says("nothing to run");
}

#[test]
fn without_a_token_the_job_its_log_and_its_reports_tell() {
    let world = with(&PLAN.replace("run: echo", "rum: echo"));
    let pipeline = world.pipeline_on("merge_request_event", "contributor", HEAD);
    let gate = world
        .omk_ci("intake", &pipeline, &[("OMK_TOKEN", "")])
        .exits(2)
        .says("rum");
    assert!(world.statuses(&world.tip(SOURCE)).is_empty());
    let report: serde_json::Value =
        serde_json::from_str(&gate.files["gl-code-quality-report.json"]).unwrap();
    assert_eq!(report[0]["location"]["path"], "omk.yaml", "{report}");
    assert!(
        report[0]["location"]["lines"]["begin"].as_u64() > Some(1),
        "{report}"
    );
    assert!(gate.files["summary.md"].contains("omk plan"), "{gate:#?}");
    assert!(gate.out.contains("error: omk.yaml:"), "{gate:#?}");
    let good = with(&PLAN.replace("echo right", "echo better"));
    let pipeline = good.pipeline_on("merge_request_event", "contributor", HEAD);
    let gate = good
        .omk_ci("intake", &pipeline, &[("OMK_TOKEN", "")])
        .exits(0);
    assert!(
        gate.files["summary.md"].contains("echo better"),
        "{gate:#?}"
    );
    assert_eq!(good.writes(), [""; 0]);
}

#[test]
fn a_fork_is_told_by_its_job_alone() {
    let world = with(&PLAN.replace("echo right", "echo better"));
    let pipeline = world.pipeline_on("merge_request_event", "contributor", HEAD);
    let fork = [
        ("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "4711"),
        ("OMK_TOKEN", "glpat-intake"),
    ];
    let gate = world.omk_ci("intake", &pipeline, &fork).exits(0);
    assert!(
        world.statuses(&world.tip(SOURCE)).is_empty() && world.writes().is_empty(),
        "{gate:#?}"
    );
    let without = [fork[0], ("OMK_TOKEN", "")];
    let pipeline = world.pipeline_on("merge_request_event", "contributor", HEAD);
    world.omk_ci("intake", &pipeline, &without).exits(0);
}
