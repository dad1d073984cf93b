//! omk is killed at random moments, and taken up again: the same trees, nothing twice, nobody left
//! behind.
//!
//! The moments are a fixed sequence for each story, so that what failed can be looked at again.

#![expect(
    clippy::print_stdout,
    reason = "where a moment finds a fault, a person must know which it was"
)]

use std::time::Duration;

use omk_action::clock::Clock;
use omk_action::fact::RunVerdict;

use super::world::{Said, World};

/// A chain, tasks beside it, two that overlap, gates that look at the change.
const PLAN: &str = r#"
limits: { workers: 3 }
defaults: { gates: [sound], retry_policy: { max_attempts: MAX, backoff_seconds: 0 } }
gates:
  - { id: sound, run: "sleep 0.02; test -s a.txt" }
tasks:
  - { id: first, run: "sleep 0.03; echo first > first.txt", write_set: [first.txt], priority: 5 }
  - { id: second, run: "sleep 0.03; cat first.txt > second.txt; echo second >> second.txt", write_set: [second.txt], dependencies: [first] }
  - { id: third, run: "sleep 0.03; cat second.txt > third.txt", write_set: [third.txt], dependencies: [second] }
  - { id: beside, run: "sleep 0.05; mkdir -p deep/er; echo beside > deep/er/beside; chmod +x deep/er/beside", write_set: ["deep/**"] }
  - { id: over, run: "sleep 0.04; echo over >> src/lib.rs", write_set: ["src/**"], priority: 9 }
  - { id: lap, run: "sleep 0.04; echo lap >> src/lib.rs", write_set: ["src/lib.rs"], priority: 8 }
  - { id: nothing, run: "sleep 0.02", dependencies: [over] }
"#;

/// What a plan without write sets leaves is the same in any order of landing.
const CLASHES: &str = r#"
limits: { workers: 3 }
defaults: { gates: [sound], retry_policy: { max_attempts: MAX, backoff_seconds: 0 } }
gates:
  - { id: sound, run: "test -s a.txt" }
tasks:
  - { id: one, run: "sleep 0.03; echo one >> list; sort -o list list" }
  - { id: two, run: "sleep 0.03; echo two >> list; sort -o list list" }
  - { id: three, run: "sleep 0.03; echo three >> list; sort -o list list" }
  - { id: four, run: "sleep 0.03; cp list four", dependencies: [one, two, three] }
"#;

const RUN_BRANCH: &str = "omk/run/story";

/// Chance that can be repeated (splitmix64).
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end.max(1)
    }
}

fn world(plan: &str, max_attempts: u32) -> World {
    World::with(&plan.replace("MAX", &max_attempts.to_string()))
}

/// The trees that a run leaves: the result's, and those of the tasks that are the same in every
/// order.
fn trees(world: &World, tasks: &[&str]) -> Vec<(String, String)> {
    let branches = tasks.iter().map(|task| format!("omk/task/story/{task}"));
    std::iter::once(RUN_BRANCH.to_owned())
        .chain(branches)
        .map(|name| (name.clone(), world.tree(&name)))
        .collect()
}

/// Starts, kills, takes up and kills again, as often as there are moments; then lets it end.
fn killed_at(world: &World, moments: &[Duration]) {
    // Killed before the run began: there is nothing to take up, and omk would say so.
    let command = || {
        if world.facts().is_empty() {
            "run"
        } else {
            "resume"
        }
    };
    for moment in moments {
        if let Some(said) = world.start(&[command()]).killed_after(*moment) {
            return is_ready(said);
        }
    }
    is_ready(world.omk(&[command()]));
}

/// That the run is over and ready: just now, or already when omk was killed with nothing left to do
/// but to go.
fn is_ready(said: Said) {
    println!("{}", said.err);
    if said.code == 2 {
        said.says("is over: ready");
    } else {
        said.exits(0);
    }
}

fn check(world: &World, expect: &[(String, String)], tasks: &[&str], all: usize) {
    assert_eq!(trees(world, tasks), expect);
    for landed in [world.landings(), world.landed_on(RUN_BRANCH)] {
        let mut once = landed.clone();
        once.sort();
        once.dedup();
        assert_eq!((once.len(), landed.len()), (all, all), "{landed:?}");
    }
    world.ended(RunVerdict::Ready);
    world.omk(&["verify"]).exits(0).says("all hold");
    world.omk(&["report", "--format", "markdown"]).exits(0);
}

/// Kills in so many worlds, at moments that `moments` chooses from the length of an undisturbed
/// run.
fn story(plan: &str, max_attempts: u32, tasks: &[&str], seed: u64, worlds: u32, kills: u32) {
    let undisturbed = world(plan, max_attempts);
    let watch = Clock::start().stopwatch();
    undisturbed.run().exits(0);
    let length = u64::try_from(watch.elapsed().as_millis()).expect("a run of less than an age");
    let expect = trees(&undisturbed, tasks);
    assert!(
        expect.iter().all(|(_, tree)| !tree.is_empty()),
        "{expect:?}"
    );
    let all = undisturbed.landings().len();
    let mut chance = Chance(seed);
    for round in 0..worlds {
        let world = world(plan, max_attempts);
        let before = world.checkout();
        // The longest wait ends a little after the run: that it has just ended is a moment like any
        // other.
        let moments: Vec<Duration> = (0..kills)
            .map(|_| Duration::from_millis(chance.below(length + length / 8)))
            .collect();
        // Said where the test fails.
        println!("seed {seed}, round {round}: killed after {moments:?} of {length} ms");
        killed_at(&world, &moments);
        check(&world, &expect, tasks, all);
        assert_eq!(world.checkout(), before);
    }
}

const STABLE: &[&str] = &["first", "second", "third", "beside", "over", "lap"];

#[test]
fn a_killed_run_is_taken_up_and_ends_as_if_nothing_had_been() {
    story(PLAN, 2, STABLE, 1, 10, 1);
}

#[test]
fn a_killed_run_ends_the_same_without_retries() {
    story(PLAN, 0, STABLE, 2, 10, 1);
}

#[test]
fn a_kill_costs_no_retry_however_the_dice_fall() {
    story(PLAN, 0, STABLE, 3, 10, 1);
}

#[test]
fn a_run_killed_while_tasks_lose_conflicts_ends_with_the_same_result() {
    story(CLASHES, 4, &["four"], 4, 10, 1);
}

#[test]
fn a_run_killed_twice_ends_the_same() {
    story(PLAN, 0, STABLE, 5, 5, 2);
}

#[test]
fn a_run_killed_again_while_it_is_taken_up_loses_nothing() {
    story(PLAN, 2, STABLE, 6, 3, 4);
}
