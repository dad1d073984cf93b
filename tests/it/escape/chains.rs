//! Chains: what one child of a run leaves, and a later one looks for. Every child of a plan does
//! both, so that each way is tried from a command to its gate, from an attempt to its retry, from a
//! task to the next, from a gate to its own retry and to the result's gate, and from a run to the
//! next run.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use omk_action::plan::RoomLevel;

use super::battery::{Machine, Said, chains, program, yards};
use super::ordinary;
use super::whole::{had, places};
use crate::world::World;

/// One child after the other. What each finds is in its log; what was swapped in a slot is put back
/// before the change is taken.
const PLAN: &str = r#"
limits: { workers: 1 }
room: { network: { tasks: none, gates: none } }
gates:
  - { id: look, run: "python3 attempts.py stage look machine.json" }
  - { id: again, run: "python3 attempts.py stage again machine.json; exit 1", required: false, retries: 1 }
defaults: { gates: [look, again] }
tasks:
  - { id: one, run: "python3 attempts.py stage one machine.json; exit 1", priority: 9, gates: [], RETRY }
  - { id: two, run: "cp -r src $TMPDIR/kept; python3 attempts.py stage two machine.json; TIDY", write_set: ["**"], priority: 5 }
  - { id: three, run: "cp -r src $TMPDIR/kept; python3 attempts.py stage three machine.json; TIDY", dependencies: [two], write_set: ["**"] }
"#;

/// What has a task that always fails run twice.
const RETRY: &str = "retry_policy: { max_attempts: 1, backoff_seconds: 0 }";

/// Makes a slot a plain tree again, with one change in it.
const TIDY: &str = "rm -rf src src-away target*; test -e .git-away && rm -rf .git && mv .git-away .git; cp -r $TMPDIR/kept src; date +%N > changed.txt";

/// What each child of two runs found that an earlier one left: the way, and how often.
fn found_at(level: RoomLevel) -> Option<BTreeMap<String, usize>> {
    let world = World::below(&yards()).env("OMK_ROOM_AT_MOST", &level.to_string());
    let home = world.dir().join("home");
    for cache in [".cargo", ".npm", ".cache/pip", "go/pkg/mod"] {
        std::fs::create_dir_all(home.join(cache).join("linked")).unwrap();
    }
    let dir = tempfile::Builder::new()
        .prefix("e")
        .tempdir_in(yards())
        .unwrap();
    let chain = dir.path().join("outside/chain");
    std::fs::create_dir_all(&chain).unwrap();
    let machine = Machine::around(
        dir,
        places(&world.repo(), &home, &world.dir().join("cache")),
    );
    world.write("attempts.py", &program());
    world.write("machine.json", &machine.description(level));
    world.write("docs/b.txt", "b\n");
    world.write(
        ".gitignore",
        "target*\n/private.txt\n/SECRET-*\n/.git-away\n",
    );
    world.plan(&PLAN.replace("RETRY", RETRY).replace("TIDY", TIDY));
    let mut found = BTreeMap::new();
    let mut children = 0;
    // Of the next run one child is enough.
    for run in [&["run"][..], &["run", "one"]] {
        world.omk(run);
        let run = world.run_dir();
        if !had(
            level,
            &std::fs::read_to_string(run.join("journal.jsonl")).unwrap(),
        ) {
            return None;
        }
        for log in logs(&run) {
            let lines = log
                .lines()
                .filter_map(|line| serde_json::from_str::<Said>(line).ok());
            let said: Vec<Said> = lines.collect();
            children += said.iter().filter(|said| said.name == "by_tmp").count();
            for said in said
                .into_iter()
                .filter(|said| said.said.starts_with("got "))
            {
                *found.entry(said.name).or_default() += 1;
            }
        }
    }
    // An attempt and its retry, in each run; two commands; three gates on each of two tasks and on
    // the result.
    assert!(children >= 12, "only {children} children looked");
    let left: Vec<_> = std::fs::read_dir(&chain)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(left.is_empty(), "written outside through a link: {left:?}");
    Some(found)
}

fn logs(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(logs(&entry.path()));
        } else if entry
            .path()
            .extension()
            .is_some_and(|extension| extension == "log")
        {
            found.push(String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()).into_owned());
        }
    }
    found
}

fn ways(found: &BTreeMap<String, usize>) -> BTreeSet<&str> {
    found.keys().map(String::as_str).collect()
}

#[test]
fn nothing_leads_from_one_sealed_room_to_a_later_one() {
    if let Some(found) = found_at(RoomLevel::Sealed) {
        assert_eq!(ways(&found), BTreeSet::new(), "{found:?}");
    }
    ordinary::user_passes("escape::chains::nothing_leads_from_one_sealed_room_to_a_later_one");
}

#[test]
fn only_shared_memory_leads_from_one_child_to_another_under_landlock() {
    if let Some(found) = found_at(RoomLevel::Landlock) {
        assert_eq!(
            ways(&found),
            BTreeSet::from(["by_dev_shm", "by_memory_of_system_v"]),
            "{found:?}"
        );
    }
    ordinary::user_passes(
        "escape::chains::only_shared_memory_leads_from_one_child_to_another_under_landlock",
    );
}

#[tokio::test]
async fn without_rooms_the_ways_lead_from_one_child_to_the_next() {
    let machine = Machine::alone();
    let found = machine.stages(&["one", "two"]).await;
    let weak = [
        "by_a_daemon",
        "by_dev",
        "by_run_lock",
        "by_a_key",
        "by_the_cache",
        "by_a_link_swapped_into_a_cache",
    ];
    let ways = chains()
        .into_iter()
        .filter(|way| !weak.iter().any(|start| way.starts_with(start)));
    let weak: Vec<String> = ways.filter(|way| !found.contains(way)).collect();
    assert!(
        weak.is_empty(),
        "these prove nothing, for nothing holds them: {weak:?}"
    );
    assert!(found.len() > 25, "{found:?}");
}
