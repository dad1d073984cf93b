//! Runs that cannot start: whoever asked is told why, where they asked.

use crate::forge_world::{ForgeWorld, HEAD, PULL};

/// A plan whose only task needs a model, of which nobody has the key.
const PROMPT: &str = "\
version: 1
name: widget
gates: [{ id: test, run: sh check.sh }]
tasks: [{ id: fix, prompt: Mend it, gates: [test] }]
";

#[test]
fn a_missing_key_is_told_in_the_comment() {
    let world = ForgeWorld::with_plan(PROMPT);
    let event = world.comments("maintainer", "/omk run");
    let published = world.jobs(&event, &[]).published();
    published
        .exits(3)
        .says("the variable KIMI_API_KEY is not set");
    let sticky = world.replies(PULL).pop().unwrap();
    assert!(
        sticky.contains("### ❌ omk: blocked on external"),
        "{sticky}"
    );
    assert!(
        sticky.contains("The run could not start: there is no key for the model"),
        "{sticky}"
    );
    assert!(sticky.contains("Nothing was delivered."), "{sticky}");
    assert_eq!(world.reactions(&event), "eyes, confused");
    let checks = world.checks(&world.tip(HEAD));
    assert_eq!(
        (checks.len(), checks[0]["conclusion"].as_str()),
        (1, Some("failure")),
        "{checks:#?}"
    );
}

#[test]
fn in_one_job_it_is_told_too() {
    let world = ForgeWorld::with_plan(PROMPT);
    let event = world.comments("maintainer", "/omk run");
    let run = world.workflow_run(&event);
    world.checkout(&format!("job-{run}-all/workspace"), &world.tip(HEAD));
    world
        .omk_ci("", &event, &[])
        .exits(3)
        .says("the variable KIMI_API_KEY is not set");
    let sticky = world.replies(PULL).pop().unwrap();
    assert!(
        sticky.contains("The run could not start: there is no key for the model"),
        "{sticky}"
    );
    assert_eq!(world.reactions(&event), "eyes, confused");
    assert_eq!(world.checks(&world.tip(HEAD))[0]["conclusion"], "failure");
}

#[test]
fn a_run_that_was_cancelled_while_it_waited_is_called_so() {
    let world = ForgeWorld::start();
    let event = world.comments("maintainer", "/omk run");
    let run = world.workflow_run(&event);
    let gate = world.omk_ci("intake", &event, &[]).exits(0);
    world.checkout(&format!("job-{run}-publish/workspace"), gate.output("base"));
    let told = [
        ("OMK_REQUEST", gate.output("request")),
        ("OMK_RUN_RESULT", "cancelled"),
    ];
    world.omk_ci("publish", &event, &told).exits(130);
    let sticky = world.replies(PULL).pop().unwrap();
    assert!(sticky.contains("### ⚪ omk: cancelled"), "{sticky}");
    assert_eq!(world.checks(&world.tip(HEAD))[0]["conclusion"], "cancelled");
    // Without that word nobody knows what became of it.
    world.omk_ci("publish", &event, &told[..1]).exits(5);
}
