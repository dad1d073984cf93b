//! A power cut at any moment: a run loses nothing that was done, and a person nothing at all.
//!
//! One real run is followed call by call. Then the power is cut at some of the moments when
//! something was written through, what was not is dropped in one of several ways, and the run is
//! taken up. Or the disk refuses one sync. `OMK_TEST_CUTS` says how often, and `OMK_TEST_SEED`
//! where.

#![expect(
    clippy::print_stdout,
    reason = "where a cut finds a fault, a person must know which it was"
)]

mod calls;
mod disk;
mod files;
mod recorder;
mod tools;
mod trace;

use std::path::{Path, PathBuf};

use omk_action::fact::RunVerdict;

use self::disk::Loss;
use self::files::Files;
use self::recorder::Recorder;
use super::kill::Chance;
use super::world::{Said, World};

/// A chain, a task beside it, two that overlap, and gates.
const PLAN: &str = r#"
limits: { workers: 3 }
defaults: { gates: [sound], retry_policy: { max_attempts: 0 } }
gates:
  - { id: sound, run: "test -s a.txt && echo sound" }
tasks:
  - { id: first, run: "echo first | tee first.txt", write_set: [first.txt], priority: 5 }
  - { id: second, run: "cat first.txt > second.txt; echo second >> second.txt", write_set: [second.txt], dependencies: [first] }
  - { id: beside, run: "mkdir -p deep/er; echo beside > deep/er/beside; chmod +x deep/er/beside", write_set: ["deep/**"] }
  - { id: over, run: "echo over >> src/lib.rs", write_set: ["src/**"], priority: 9 }
  - { id: lap, run: "echo lap >> src/lib.rs", write_set: ["src/lib.rs"], priority: 8 }
"#;

const BRANCHES: &[&str] = &[
    "omk/run/story",
    "omk/task/story/first",
    "omk/task/story/second",
    "omk/task/story/beside",
    "omk/task/story/over",
    "omk/task/story/lap",
];

/// Cuts in the suite; `scripts/soak cuts` makes more.
const CUTS: u64 = 6;

/// A run that was followed, and what it left.
struct Followed {
    world: World,
    recorder: Recorder,
    before: Files,
    refs: String,
    trees: Vec<String>,
}

/// What a person has: everything in the checkout, and what git knows of it.
fn is_persons(path: &Path) -> bool {
    let Ok(path) = path.strip_prefix("repo") else {
        return false;
    };
    let Ok(inside) = path.strip_prefix(".git") else {
        return true;
    };
    ["HEAD", "index", "config", "hooks"]
        .iter()
        .any(|own| inside.starts_with(own))
}

fn persons_refs(world: &World) -> String {
    let all = world.git(&["for-each-ref", "--format=%(refname) %(objectname)"]);
    all.lines()
        .filter(|line| !line.contains("/omk/"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Follows a command of omk's; nothing that it did to a file went unseen.
#[track_caller]
fn followed(world: &World, args: &[&str], fails: Option<usize>) -> (i32, Recorder) {
    let said = tempfile::tempfile().unwrap();
    let mut recorder = Recorder::new(world.dir());
    let mut command = world.omk_command(args);
    command.stdout(said.try_clone().unwrap()).stderr(said);
    let code = trace::follow(command, &mut recorder, fails);
    let unseen = recorder.compare();
    assert!(unseen.is_empty(), "seen / there:\n{}", unseen.join("\n"));
    (code, recorder)
}

fn trees(world: &World) -> Vec<String> {
    BRANCHES.iter().map(|branch| world.tree(branch)).collect()
}

/// Its branches are packed, as after any `git gc`, and one is not.
fn world() -> World {
    let world = World::with(PLAN);
    world.git(&["branch", "persons"]);
    world.git(&["gc", "--quiet"]);
    world.git(&["branch", "another"]);
    world
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse::<u64>().ok())
}

impl Followed {
    fn new() -> Self {
        let world = world();
        let (before, refs) = (files::read(world.dir()), persons_refs(&world));
        let (code, recorder) = followed(&world, &["run"], None);
        assert_eq!(code, 0);
        let trees = trees(&world);
        assert!(trees.iter().all(|tree| !tree.is_empty()), "{trees:?}");
        Self {
            world,
            recorder,
            before,
            refs,
            trees,
        }
    }

    #[track_caller]
    fn nothing_of_a_person_is_lost(&self) {
        let now = files::read(self.world.dir());
        let lost = |path: &&PathBuf| is_persons(path) && now.get(*path) != self.before.get(*path);
        let lost: Vec<&PathBuf> = self.before.keys().chain(now.keys()).filter(lost).collect();
        assert!(lost.is_empty(), "{lost:?}");
        assert_eq!(persons_refs(&self.world), self.refs);
    }

    /// How a run is taken up after such a cut; it may not have begun.
    #[track_caller]
    fn after(&self, left: &Files) -> &'static str {
        files::restore(self.world.dir(), left);
        self.nothing_of_a_person_is_lost();
        if self.world.facts().is_empty() {
            "run"
        } else {
            "resume"
        }
    }

    /// What is left when the power is cut again while the run is taken up.
    #[track_caller]
    fn cut_again(&self, files: &Files, loss: Loss, chance: &mut Chance) -> Files {
        let (_, recorder) = followed(&self.world, &[self.after(files)], None);
        let sync = usize::try_from(chance.below(recorder.syncs() as u64 + 1)).unwrap();
        println!("and again right after sync {sync} of {}", recorder.syncs());
        recorder.cut(sync, true, loss, chance)
    }

    /// The run is taken up after such a cut, and ends as if nothing had been.
    #[track_caller]
    fn ends_the_same(&self, files: &Files) {
        let (command, world) = (self.after(files), &self.world);
        let said = world.omk(&[command]);
        println!("{}", said.err);
        is_ready(said);
        assert_eq!(trees(world), self.trees);
        let landed = world.landings();
        let mut once = landed.clone();
        once.sort();
        once.dedup();
        assert_eq!(
            (once.len(), landed.len()),
            (BRANCHES.len() - 1, BRANCHES.len() - 1),
            "{landed:?}"
        );
        world.ended(RunVerdict::Ready);
        world.omk(&["verify"]).exits(0).says("all hold");
        self.nothing_of_a_person_is_lost();
    }
}

fn is_ready(said: Said) {
    if said.code == 2 {
        said.says("is over: ready");
    } else {
        said.exits(0);
    }
}

#[test]
fn a_run_cut_off_at_any_moment_is_taken_up_and_ends_the_same() {
    let (seed, cuts) = (
        number("OMK_TEST_SEED").unwrap_or(1),
        number("OMK_TEST_CUTS").unwrap_or(CUTS),
    );
    let run = Followed::new();
    let syncs = run.recorder.syncs();
    let mut chance = Chance(seed);
    for cut in 0..cuts {
        let sync = usize::try_from(chance.below(syncs as u64)).unwrap();
        let (after, loss) = (
            chance.below(2) == 0,
            Loss::EACH[usize::try_from(chance.below(4)).unwrap()],
        );
        let when = if after { "after" } else { "before" };
        println!("seed {seed}, cut {cut}: right {when} sync {sync} of {syncs}, losing {loss:?}");
        let mut files = run.recorder.cut(sync, after, loss, &mut chance);
        if cut % 3 == 2 {
            files = run.cut_again(&files, loss, &mut chance);
        }
        run.ends_the_same(&files);
    }
}

#[test]
fn what_a_run_said_when_it_ended_is_so_after_a_cut() {
    let run = Followed::new();
    for loss in Loss::EACH {
        println!("losing {loss:?}");
        let files = run
            .recorder
            .cut(run.recorder.syncs(), true, loss, &mut Chance(1));
        files::restore(run.world.dir(), &files);
        assert_eq!(trees(&run.world), run.trees);
        run.world.omk(&["verify"]).exits(0).says("all hold");
        run.nothing_of_a_person_is_lost();
    }
}

#[test]
fn a_sync_that_the_disk_refuses_is_an_error_and_the_next_run_works() {
    let (seed, cuts) = (
        number("OMK_TEST_SEED").unwrap_or(1),
        number("OMK_TEST_CUTS").unwrap_or(CUTS),
    );
    let mut chance = Chance(seed);
    let run = Followed::new();
    let syncs = run.recorder.syncs();
    // Each takes two whole runs.
    for cut in 0..cuts.div_ceil(2) {
        let world = world();
        let sync = usize::try_from(chance.below(syncs as u64)).unwrap();
        println!("seed {seed}, sync {sync} of {syncs} fails, {cut}");
        let (code, recorder) = followed(&world, &["run"], Some(sync));
        // Not every run has as many. With the very last, of its branches, a run is over and they
        // may not outlast a cut.
        if code == 1 && recorder.saw_refusal {
            world.omk(&["status"]).says("may not outlast a power cut");
        } else {
            assert_eq!(code, if recorder.saw_refusal { 5 } else { 0 });
        }
        let said = world.omk(&[if world.facts().is_empty() {
            "run"
        } else {
            "resume"
        }]);
        if said.code == 2 {
            // It was a task's work that could not be written, or nothing but the last word.
            said.says("is over");
            world.omk(&["run"]).exits(0);
        } else {
            said.exits(0);
        }
        assert_eq!(trees(&world), run.trees);
        world.omk(&["verify"]).exits(0).says("all hold");
    }
}
