//! `omk clean`: what it removes, what it keeps, and what it says of what it may not remove.

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

use std::fs::File;
use std::path::{Path, PathBuf};

use omk_action::id::{Moment, Scope};
use omk_action::store::{ScopeHolder, Store};
use rustix::fs::FlockOperation;

use crate::world::World;

pub(crate) const PLAN: &str =
    "gates: [{ id: ok, run: 'true' }]\ntasks: [{ id: one, run: 'echo one > one', gates: [ok] }]\n";

/// One run of `story`, and after it one of another plan.
pub(crate) fn world() -> (World, PathBuf) {
    let world = World::with(PLAN);
    world.run().exits(0);
    let first = world.run_dir();
    world.write("omk.yaml", &format!("version: 1\nname: other\n{PLAN}"));
    world.commit("another plan");
    world.run().exits(0);
    (world, first)
}

fn pool(world: &World) -> PathBuf {
    std::fs::read_dir(world.dir().join("cache/omk/slots"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path()
}

#[test]
fn a_result_that_is_not_merged_stays_with_its_run_until_it_is() {
    let (world, first) = world();
    let name = first.file_name().unwrap().to_str().unwrap();
    let said = world.omk(&["clean"]).exits(0);
    assert!(
        said.err.contains(&format!(
            "run {name} stays: no branch of yours has its result; `git merge omk/run/story` takes it, and `omk clean {name}` removes it"
        )),
        "{}",
        said.err
    );
    assert!(
        first.exists()
            && !world.rev("omk/run/story").is_empty()
            && !world.rev("omk/task/story/one").is_empty()
    );
    world.omk(&["verify", name]).exits(0);

    world.git(&["merge", "--quiet", "--no-edit", "omk/run/story"]);
    let said = world
        .omk(&["clean"])
        .exits(0)
        .says("removed 1 run, 2 branches and 1 slot");
    assert!(
        said.err.contains(&format!(
            "removes\n  run {name}\n    branch omk/run/story\n"
        )),
        "{}",
        said.err
    );
    assert!(
        !first.exists() && world.runs().len() == 1,
        "the newest run stays"
    );
    assert_eq!(
        world.git(&["branch", "--list", "omk/*", "--format=%(refname:short)"]),
        "omk/run/other\nomk/task/other/one"
    );
}

#[test]
fn all_removes_the_newest_run_and_what_is_not_merged_too() {
    let (world, _) = world();
    world
        .omk(&["clean", "--all"])
        .exits(0)
        .says("removed 2 runs, 4 branches");
    assert!(world.runs().is_empty());
    assert_eq!(world.git(&["branch", "--list", "omk/*"]), "");
    assert_eq!(world.git(&["worktree", "list"]).lines().count(), 1);
    world.omk(&["clean", "--all", "--keep", "1"]).exits(2);
}

#[test]
fn a_run_that_is_just_starting_keeps_its_directory() {
    let (world, _) = world();
    let store = Store::new(&world.repo().join(".git"));
    let scope: Scope = "story".parse().unwrap();
    let run = "29990101t000000z-000000";
    let holder = ScopeHolder {
        run: run.parse().unwrap(),
        pid: 1,
        host: "here".into(),
        since: Moment::from_millis(0),
    };
    let lock = store.lock(&scope, &holder).unwrap();
    let starting = world.repo().join(".git/omk/runs").join(run);
    std::fs::create_dir_all(starting.join("logs")).unwrap();
    let said = world.omk(&["clean", "--all"]).exits(0);
    assert!(
        said.err
            .contains(&format!("run {run} stays: it may be starting")),
        "{}",
        said.err
    );
    assert!(
        said.err.contains("stays: a run of `story` is under way"),
        "{}",
        said.err
    );
    assert!(starting.exists());
    drop(lock);
    world.omk(&["clean", "--all"]).exits(0);
    assert!(!starting.exists() && world.runs().is_empty());
}

#[test]
fn what_killed_processes_left_beside_the_slots_goes_and_what_is_in_use_stays() {
    let (world, _) = world();
    let (left, used) = (pool(&world).join("try-left"), pool(&world).join("try-used"));
    for directory in [&left, &used] {
        std::fs::create_dir_all(directory.join("upper")).unwrap();
    }
    let lock = File::open(&used).unwrap();
    rustix::fs::flock(&lock, FlockOperation::LockExclusive).unwrap();
    world.omk(&["clean"]).exits(0);
    assert!(!left.exists() && used.exists());
}

/// A file that cannot be removed, as long as it lives.
struct Immutable(PathBuf);

impl Immutable {
    /// `None` where the user or the file system knows no such flag.
    fn new(path: &Path) -> Option<Self> {
        std::fs::write(path, "").unwrap();
        let set = std::process::Command::new("chattr")
            .arg("+i")
            .arg(path)
            .output();
        if set.is_ok_and(|set| set.status.success()) {
            return Some(Self(path.to_owned()));
        }
        eprintln!("skipped: no file can be made immutable here");
        None
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        let _ = std::process::Command::new("chattr")
            .arg("-i")
            .arg(&self.0)
            .output();
    }
}

#[test]
fn a_slot_with_a_file_that_cannot_be_removed_is_set_aside_and_clean_says_what_to_do() {
    let world = World::with(PLAN);
    world.run().exits(0);
    let slot = pool(&world).join("1");
    let Some(file) = Immutable::new(&slot.join("stuck")) else {
        return;
    };
    world.run().exits(0).says(&format!(
        "{} was set aside, and another slot taken",
        slot.display()
    ));
    let again = world.run().exits(0);
    assert!(
        !again.out.contains("set aside") && !again.err.contains("set aside"),
        "{}{}",
        again.out,
        again.err
    );

    let said = world.omk(&["clean"]).exits(5);
    assert!(
        said.out.contains("1 slot"),
        "what can be removed is: {}",
        said.out
    );
    assert!(
        said.err
            .contains(&format!("sudo rm -rf '{}'", slot.display())),
        "{}",
        said.err
    );
    world.run().exits(0);

    drop(file);
    world.omk(&["clean"]).exits(0);
    assert!(!slot.exists());
    world.run().exits(0);
    assert!(slot.exists(), "its number is free again");
}
