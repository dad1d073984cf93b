//! Proofs of a result are verified on request.

use crate::ci_flow_split::{Split, ours};
use crate::forge_world::{Event, ForgeWorld, PULL};

/// What an intake job that starts nothing answers to a comment.
#[track_caller]
fn answer(world: &ForgeWorld, event: &Event) -> String {
    world.workflow_run(event);
    world.omk_ci("intake", event, &[]).exits(0);
    let marker = format!("<!-- omk:reply:{} -->", event.payload["comment"]["id"]);
    let answers: Vec<String> = world
        .replies(PULL)
        .into_iter()
        .filter(|reply| reply.contains(&marker))
        .collect();
    assert_eq!(answers.len(), 1, "{marker}: {:#?}", world.replies(PULL));
    answers.into_iter().next().unwrap_or_default()
}

#[test]
fn the_proofs_of_a_result_are_verified_on_request() {
    let world = ForgeWorld::start();
    let none = answer(&world, &world.comments("maintainer", "/omk verify"));
    assert!(none.contains("There is nothing to verify"), "{none}");
    let mut split = Split::start(&world, world.comments("maintainer", "/omk run"));
    assert_eq!(split.all().codes(), [0; 4]);
    let held = answer(&world, &world.comments("maintainer", "/omk verify"));
    assert!(
        held.contains("2 proofs of run") && held.contains("all hold"),
        "{held}"
    );
    // Somebody who may push puts others there.
    let proofs = ours(&world).pop().unwrap_or_default();
    world.git(&["fetch", "--quiet", &world.remote("maintainer"), &proofs]);
    world.git(&["checkout", "--quiet", "--detach", "FETCH_HEAD"]);
    let path = world.at("work/run.result.json");
    let lie = std::fs::read_to_string(&path)
        .unwrap_or_default()
        .replace(&world.tip("omk/run/pr-12"), &split.base);
    std::fs::write(&path, lie).unwrap_or_default();
    world.git(&["commit", "--quiet", "--all", "--message=A lie"]);
    world.git(&[
        "push",
        "--quiet",
        "--force",
        &world.remote("maintainer"),
        &format!("HEAD:{proofs}"),
    ]);
    let event = world.comments("maintainer", "/omk verify");
    let broken = answer(&world, &event);
    assert!(broken.contains("1 does not hold"), "{broken}");
    assert_eq!(world.reactions(&event), "confused");
}
