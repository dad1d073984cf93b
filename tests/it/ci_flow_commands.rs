//! Commands that belong to a run: an approved plan is the one that runs, proofs of a result are verified, a run is cancelled.

use omk_action::id::Sha256;
use serde_json::json;

use crate::ci_flow_split::{Split, ours, seen};
use crate::forge_world::{Event, ForgeWorld, HEAD, PLAN, PULL};

/// What a gate job that starts nothing answers to a comment.
#[track_caller]
fn answer(world: &ForgeWorld, event: &Event) -> String {
    world.workflow_run(event);
    world.omk_ci("gate", event, &[]).exits(0);
    let marker = format!("<!-- omk:reply:{} -->", event.payload["comment"]["id"]);
    let answers: Vec<String> = world.replies(PULL).into_iter().filter(|reply| reply.contains(&marker)).collect();
    assert_eq!(answers.len(), 1, "{marker}: {:#?}", world.replies(PULL));
    answers.into_iter().next().unwrap_or_default()
}

#[test]
fn a_plan_of_the_pull_request_runs_once_it_is_approved() {
    let world = ForgeWorld::start();
    // It would also like to be pushed without asking; who governs is the default branch.
    let changed = PLAN.replace("echo right", "echo all right").replace("as: pull-request", "as: push");
    world.git(&["checkout", "--quiet", HEAD]);
    world.pushes("contributor", HEAD, &[("omk.yaml", &changed)]);
    let mut unapproved = Split::start(&world, world.comments("maintainer", "/omk run"));
    assert_eq!(unapproved.all().codes(), [0; 4]);
    let fixed = || {
        world.git(&["fetch", "--quiet", &world.remote("maintainer"), "omk/run/pr-12"]);
        world.git(&["show", "FETCH_HEAD:fix.txt"])
    };
    assert_eq!(fixed(), "right");
    let digest = Sha256::of(changed.as_bytes());
    let said = answer(&world, &world.comments("maintainer", &format!("/omk approve {digest}")));
    assert!(said.contains("is approved by"), "{said}");
    let mut approved = Split::start(&world, world.comments("contributor", "/omk run"));
    assert_eq!(approved.all().codes(), [0; 4]);
    assert_eq!(fixed(), "all right");
    assert_eq!(world.tip(HEAD), approved.base, "nothing is pushed onto the head");
}

#[test]
fn the_proofs_of_a_result_are_verified_on_request() {
    let world = ForgeWorld::start();
    let none = answer(&world, &world.comments("maintainer", "/omk verify"));
    assert!(none.contains("There is nothing to verify"), "{none}");
    let mut split = Split::start(&world, world.comments("maintainer", "/omk run"));
    assert_eq!(split.all().codes(), [0; 4]);
    let held = answer(&world, &world.comments("maintainer", "/omk verify"));
    assert!(held.contains("2 proofs of run") && held.contains("all hold"), "{held}");
    // Somebody who may push puts others there.
    let proofs = ours(&world).pop().unwrap_or_default();
    world.git(&["fetch", "--quiet", &world.remote("maintainer"), &proofs]);
    world.git(&["checkout", "--quiet", "--detach", "FETCH_HEAD"]);
    let path = world.at("work/run.result.json");
    let lie = std::fs::read_to_string(&path).unwrap_or_default().replace(&world.tip("omk/run/pr-12"), &split.base);
    std::fs::write(&path, lie).unwrap_or_default();
    world.git(&["commit", "--quiet", "--all", "--message=A lie"]);
    world.git(&["push", "--quiet", "--force", &world.remote("maintainer"), &format!("HEAD:{proofs}")]);
    let event = world.comments("maintainer", "/omk verify");
    let broken = answer(&world, &event);
    assert!(broken.contains("1 does not hold"), "{broken}");
    assert_eq!(world.reactions(&event), "confused");
}

#[test]
fn a_run_that_was_cancelled_is_told_and_not_delivered() {
    let world = ForgeWorld::start();
    let mut split = Split::start(&world, world.comments("maintainer", "/omk run"));
    split.gate().exits(0);
    let said = answer(&world, &world.comments("maintainer", "/omk cancel"));
    assert!(said.contains("is being cancelled"), "{said}");
    let runs = world.state()["runs"].clone();
    assert_eq!(runs[split.number.to_string()]["conclusion"], "cancelled", "{runs:#}");
    assert_eq!(runs[(split.number + 1).to_string()]["conclusion"], json!(null), "not the one that asks");
    // Publish runs all the same, as `if: always()` says.
    world.door.control("runs", &json!({"id": split.number + 1, "status": "completed"}));
    let job = split.publish();
    assert_eq!(seen(&world, &split.base).len(), 1);
    assert_ne!(seen(&world, &split.base), ["omk: in_progress"], "{job:#?}");
    assert_eq!(ours(&world), [""; 0]);
    assert!(world.replies(PULL)[0].contains("Nothing was delivered."), "{:#?}", world.replies(PULL));
}
