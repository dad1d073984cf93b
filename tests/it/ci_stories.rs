//! Stories of comments, job by job: what came before is taken up, what is under way can be ended, and what goes wrong is
//! said.

use serde_json::{Value, json};

use crate::forge_world::{ForgeWorld, HEAD, PLAN, PULL, steady};

/// A plan of two tasks, the second of which fails until the file is there.
fn waiting(file: &std::path::Path) -> String {
    let second = format!(
        "  - {{ id: more, run: \"test -e {} && echo more > more.txt\", write_set: [more.txt], change: required, gates: \
         [test], retry_policy: {{ max_attempts: 0 }} }}\ndeliver:",
        file.display()
    );
    PLAN.replace("deliver:", &second)
}

/// What the sticky comment says in its first line for people.
fn headline(world: &ForgeWorld) -> String {
    let replies = world.replies(PULL);
    replies[0].lines().find(|line| line.starts_with('#')).unwrap().to_owned()
}

#[test]
fn a_retry_keeps_what_is_proven() {
    let file = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    let path = file.to_path_buf();
    file.close().unwrap();
    let world = ForgeWorld::with_plan(&waiting(&path));
    let event = world.comments("maintainer", "/omk run");
    let first = world.jobs(&event, &[]);
    println!("{first:#?}");
    assert_eq!(world.reactions(&event), "eyes, confused");
    println!("{}", headline(&world));

    std::fs::write(&path, "").unwrap();
    let event = world.comments("maintainer", "/omk retry");
    let second = world.jobs(&event, &[]);
    println!("{second:#?}");
    println!("{}", world.replies(PULL)[0]);
    assert_eq!(world.reactions(&event), "eyes, rocket");
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_run_under_way_is_cancelled_by_a_comment() {
    let world = ForgeWorld::start();
    let event = world.comments("maintainer", "/omk run");
    let run = world.workflow_run(&event);
    world.omk_ci("gate", &event, &[]).exits(0);
    let cancel = world.comments("maintainer", "/omk cancel");
    world.workflow_run(&cancel);
    let job = world.omk_ci("gate", &cancel, &[]);
    println!("{:#?}", world.violations());
    job.exits(0);
    assert_eq!(world.state()["runs"][run.to_string()]["conclusion"], "cancelled");
    println!("{:#?}", world.replies(PULL));
    println!("{}", world.reactions(&cancel));
    println!("{:#?}", world.checks(&world.tip(HEAD)));
}

#[test]
fn status_verify_and_plan_are_answered() {
    let world = ForgeWorld::start();
    world.jobs(&world.comments("maintainer", "/omk run"), &[]).published().exits(0);
    let event = world.comments("maintainer", "/omk status\n/omk verify\n/omk plan");
    world.workflow_run(&event);
    let job = world.omk_ci("gate", &event, &[]).exits(0);
    println!("{job:#?}");
    for reply in world.replies(PULL) {
        println!("-----\n{reply}");
    }
    println!("{}", world.reactions(&event));
}
