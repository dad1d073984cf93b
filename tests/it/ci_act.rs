//! The example workflows under a real runner, against the emulated GitHub: all jobs, real pushes, read back.

use crate::forge_act::Inputs;
use crate::forge_world::{ForgeWorld, HEAD, PULL};
use crate::workflows::parsed;

fn dump(world: &ForgeWorld) {
    for entry in world.door.log() {
        println!("LOG {} {} {} {}", entry["who"], entry["method"], entry["path"], entry["status"]);
    }
    println!("{:#?}", world.remote_refs());
    println!(
        "{}",
        world.gh(
            "/issues?per_page=100&creator=github-actions[bot]",
            ".[] | select(.user.login == \"github-actions[bot]\") | .title, .body"
        )
    );
    println!(
        "{}",
        world.gh("/pulls?state=all&per_page=100", ".[] | [.number, .title, .head.ref, .base.ref, .draft, .state]")
    );
}

#[test]
fn schedule() {
    let world = ForgeWorld::start();
    let event = world.schedule();
    let acted = world.act("schedule.yml", &event, &[]);
    println!("{}", acted.log);
    dump(&world);
}

#[test]
fn dispatch() {
    let world = ForgeWorld::start();
    let event = world.dispatch("maintainer");
    let acted = world.act("dispatch.yml", &event, &[]);
    println!("{}", acted.log);
    dump(&world);
}

#[test]
fn one_job() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, from) = readme.split_once("# .github/workflows/omk.yml\n").unwrap();
    let workflow = serde_yaml::from_str(from.split_once("```").unwrap().0).unwrap();
    let world = ForgeWorld::start();
    let event = world.comments("maintainer", "/omk run");
    let acted = world.act_on(&workflow, &event, &[]);
    println!("{}", acted.log);
    println!("{:?}", world.reactions(&event));
    dump(&world);
}

#[test]
fn plan_check() {
    let world = ForgeWorld::start();
    world.git(&["checkout", "--quiet", HEAD]);
    world.pushes("contributor", HEAD, &[("omk.yaml", &crate::forge_world::PLAN.replace("right", "right too"))]);
    let event = world.pull_request("synchronize");
    let acted = world.act("plan-check.yml", &event, &[]);
    println!("{}", acted.log);
    println!("{:#?}", world.checks(&world.tip(HEAD)));
    let event = world.comments("maintainer", "/omk run");
    let acted = world.act("comment.yml", &event, &[]);
    println!("{}", acted.log);
    dump(&world);
    println!("{:#?}", world.replies(PULL));
}

#[test]
fn cleanup() {
    let world = ForgeWorld::start();
    let event = world.comments("maintainer", "/omk run");
    world.jobs(&event, &[]);
    println!("{:#?}", world.remote_refs());
    assert_eq!(world.api("maintainer", "PATCH", "/pulls/12", &serde_json::json!({"state": "closed"})).status, 200);
    let event = world.pull_request("closed");
    let acted = world.act("cleanup.yml", &event, &[]);
    println!("{}", acted.log);
    dump(&world);
}
