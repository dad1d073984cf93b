//! A filter that stops working during a run: the failure is this machine's setup, named, wherever
//! the files are laid out again. It refuses to be about filters that are missing from the
//! beginning.

use std::os::unix::fs::PermissionsExt as _;

use omk_action::fact::{Class, Fact, RunVerdict};

use super::bundle_world::Ran;
use super::world::{Said, World};

/// A gate that fails, and changes the file: its retry needs the file laid out again.
const GATE: &str = "{ id: test, run: 'echo other > a.sec; exit 1', retries: 1 }";

/// A repository with a file that a filter lays out, as often as said; then the filter fails.
fn world(times: u32, plan: &str) -> World {
    let world = World::new();
    let (program, count) = (world.dir().join("crypt"), world.dir().join("count"));
    let script = format!(
        "#!/bin/sh\necho >> '{count}'\n[ $(wc -l < '{count}') -le {times} ] || {{ echo 'no key for it' >&2; exit 1; }}\ncat\n",
        count = count.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let config = world.dir().join("gitconfig");
    let text = format!(
        "[filter \"crypt\"]\n\tclean = cat\n\tsmudge = '{}'\n\trequired = true\n",
        program.display()
    );
    std::fs::write(&config, text).unwrap();
    world.write("a.sec", "secret\n");
    world.write(".gitattributes", "*.sec filter=crypt\n");
    world.plan(plan);
    world.env("GIT_CONFIG_GLOBAL", config.to_str().unwrap())
}

#[track_caller]
fn named(said: Said) -> Said {
    said.exits(3)
        .says("the filter `crypt` failed")
        .says("no key for it")
}

#[test]
fn on_a_task_it_is_config() {
    let plan = format!(
        "gates: [{GATE}]\ntasks: [{{ id: one, run: 'echo 1 > one', gates: [test], retry_policy: {{ max_attempts: 0 }} }}]\n"
    );
    let world = world(1, &plan);
    named(world.run());
    assert_eq!(world.classes("one"), [Class::Config]);
    world.omk(&["replay"]).exits(0);
}

#[test]
fn on_the_result_it_is_config_and_the_run_is_blocked() {
    let plan = format!("gates: [{GATE}]\ntasks: [{{ id: one, run: 'echo 1 > one', gates: [] }}]\n");
    let world = world(1, &plan);
    named(world.run());
    let facts = world.facts();
    let judged = facts.iter().find_map(|fact| match fact {
        Fact::Judged { trouble, .. } => trouble.clone(),
        _ => None,
    });
    assert_eq!(judged.unwrap().class, Class::Config);
    world.ended(RunVerdict::BlockedOnExternal);
    world.omk(&["replay"]).exits(0);
}

#[test]
fn once_it_works_the_blocked_run_goes_on_and_repeats_nothing() {
    let plan = "gates: [{ id: ok, run: 'true' }]\ndefaults: { gates: [ok] }\ntasks:\n\
                - { id: one, run: 'echo 1 > one' }\n\
                - { id: two, run: 'test -e KEY || { echo other > a.sec; exit 1; }; echo 2 > two', dependencies: [one] }\n\
                - { id: three, run: 'echo 3 > three', dependencies: [two] }\n";
    let world = world(1, plan);
    let key = world.dir().join("key");
    world.plan(&plan.replace("KEY", key.to_str().unwrap()));
    named(world.run()).says("omk resume");
    world.ended(RunVerdict::BlockedOnExternal);
    assert_eq!(
        (world.state("one"), world.state("three")),
        ("completed".into(), "cancelled".into())
    );

    std::fs::write(&key, "").unwrap();
    std::fs::remove_file(world.dir().join("count")).unwrap();
    world.omk(&["resume"]).exits(0);
    world.ended(RunVerdict::Ready);
    assert_eq!(world.landings(), ["one", "two", "three"]);
    let worked = |id: &str| {
        let of_task =
            |fact: &Fact| matches!(fact, Fact::Worked { task, .. } if task.as_str() == id);
        world.facts().iter().filter(|fact| of_task(fact)).count()
    };
    assert_eq!(worked("one"), 1, "what completed is not done again");
    world.omk(&["replay"]).exits(0);
    world.omk(&["verify"]).exits(0);
}

#[test]
fn on_the_base_it_is_config() {
    let plan = format!("gates: [{GATE}]\ntasks: [{{ id: one, run: 'echo 1 > one' }}]\n");
    named(world(1, &plan).omk(&["plan", "--check"]));
}

#[test]
fn in_judge_it_is_config() {
    let plan = "gates: [{ id: test, run: 'echo other > a.sec; test -e KEY', retries: 1 }]\n\
                tasks: [{ id: one, run: 'echo 1 > one', gates: [test] }]\n";
    // For the task, in the clone, and for the gate; the fourth time is for the gate's retry.
    let world = world(3, plan);
    let key = world.dir().join("key");
    std::fs::write(&key, "").unwrap();
    world.plan(&plan.replace("KEY", key.to_str().unwrap()));
    world.run().exits(0);
    std::fs::remove_file(&key).unwrap();
    let ran = Ran::of(world);
    let dir = ran.bundle();
    named(ran.judge(&dir, &[]));
}
