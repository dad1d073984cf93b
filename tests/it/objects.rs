//! git's objects while a run needs them: whatever cleans up in the repository, and whatever a crash
//! tore, nothing is lost.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use omk_action::fact::{Fact, RunVerdict};
use omk_action::git::Repo;

use crate::world::{World, until};

const RESULT: &str = "omk/run/story";

/// Everything that removes what no ref needs, or makes sure that none does.
const CLEANING: [&[&str]; 5] = [
    &["reflog", "expire", "--expire=now", "--all"],
    &["prune", "--expire=now"],
    &["gc", "--quiet", "--prune=now"],
    &["repack", "-a", "-d", "-q"],
    &["pack-refs", "--all"],
];

/// Commands one after the other. Their own locks may be in their way, and omk's.
fn clean_up(world: &World) {
    for args in CLEANING {
        let _ = world.command("git").args(args).output().unwrap();
    }
}

fn is_sound(world: &World) {
    world.git(&["fsck", "--strict", "--no-dangling"]);
    world.omk(&["verify"]).exits(0).says("all hold");
}

fn object(world: &World, id: &str) -> PathBuf {
    world
        .repo()
        .join(".git/objects")
        .join(&id[..2])
        .join(&id[2..])
}

fn waits_for(world: &World) -> String {
    let go = world.dir().join("go").display().to_string();
    format!(
        "limits: {{ workers: 2 }}\n\
         gates: [{{ id: ok, run: 'test -s a.txt && git log --oneline > /dev/null' }}]\n\
         defaults: {{ gates: [ok], retry_policy: {{ max_attempts: 0 }} }}\n\
         tasks:\n\
         - {{ id: one, run: 'mkdir -p deep; echo one > deep/one.txt', write_set: [deep/**] }}\n\
         - {{ id: two, run: 'while ! test -e {go}; do sleep 0.02; done; cat deep/one.txt > two.txt', write_set: [two.txt], dependencies: [one] }}\n"
    )
}

/// A run that was killed while its second task worked; the first one has landed.
fn killed() -> World {
    let world = World::new();
    world.plan(&waits_for(&world));
    let running = world.start(&["run"]);
    world.until_prepared("two");
    until("its branch is there", || !world.rev(RESULT).is_empty());
    running.killed_after(Duration::ZERO);
    std::fs::write(world.dir().join("go"), "").unwrap();
    world
}

fn attempts(world: &World, id: &str) -> usize {
    let of_task = |fact: &Fact| matches!(fact, Fact::Prepared { task, .. } if task.as_str() == id);
    world.facts().iter().filter(|fact| of_task(fact)).count()
}

#[test]
fn cleaning_up_beside_a_run_loses_nothing() {
    let world = World::new();
    let mut tasks = String::new();
    for n in 0..6 {
        tasks += &format!(
            "- {{ id: t{n}, run: 'mkdir -p d{n}; seq {n} 40 > d{n}/f', write_set: ['d{n}/**'] }}\n"
        );
    }
    for n in 0..3 {
        let (left, right) = (n * 2, n * 2 + 1);
        tasks += &format!(
            "- {{ id: m{n}, run: 'cat d{left}/f d{right}/f > m{n}', write_set: ['m{n}'], dependencies: [t{left}, t{right}] }}\n"
        );
    }
    world.plan(&format!(
        "limits: {{ workers: 3 }}\n\
         gates: [{{ id: ok, run: 'sleep 0.05; git log --stat --oneline > /dev/null' }}]\n\
         defaults: {{ gates: [ok], retry_policy: {{ max_attempts: 0 }} }}\ntasks:\n{tasks}"
    ));
    // A `git gc` (2.47.3) beside refs that come and go now and then writes a commit graph that git
    // itself cannot read: "commit-graph requires overflow generation data but has none". A
    // gate's `git log` would die of it.
    world.git(&["config", "core.commitGraph", "false"]);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                clean_up(&world);
            }
        });
        let said = world.run();
        over.store(true, Ordering::Relaxed);
        said.exits(0);
    });
    clean_up(&world);
    assert_eq!(world.landed_on(RESULT).len(), 9);
    is_sound(&world);
    world.omk(&["clean", "--all"]).exits(0);
    assert_eq!(
        world.git(&["for-each-ref", "refs/omk", "refs/heads/omk"]),
        ""
    );
}

#[test]
fn cleaning_up_between_a_kill_and_a_resume_loses_nothing() {
    let world = killed();
    // Not even with the branches gone.
    world.git(&["branch", "-D", RESULT, "omk/task/story/one"]);
    clean_up(&world);
    world.omk(&["resume"]).exits(0);
    assert_eq!(
        (attempts(&world, "one"), world.landed_on(RESULT).len()),
        (1, 2)
    );
    is_sound(&world);
}

#[test]
fn an_object_that_vanished_between_a_kill_and_a_resume_is_brought_back() {
    let world = killed();
    let blob = world.rev(&format!("{RESULT}:deep/one.txt"));
    for id in [blob, world.rev(RESULT), world.tree(RESULT)] {
        std::fs::remove_file(object(&world, &id)).unwrap();
    }
    world.omk(&["resume"]).exits(0);
    assert_eq!(attempts(&world, "one"), 1);
    is_sound(&world);
}

#[test]
fn a_change_that_is_torn_between_a_kill_and_a_resume_is_made_again() {
    // A file, a directory, the commit itself.
    for torn in [
        "omk/task/story/one:deep/one.txt",
        "omk/task/story/one:deep",
        "omk/task/story/one",
    ] {
        let world = killed();
        let file = object(&world, &world.rev(torn));
        let mut permissions = std::fs::metadata(&file).unwrap().permissions();
        permissions.set_mode(0o644);
        std::fs::set_permissions(&file, permissions).unwrap();
        std::fs::File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_len(5)
            .unwrap();
        let said = world.omk(&["resume"]).exits(0);
        assert!(
            said.err
                .contains("the change of `one` is gone from git's objects, or torn"),
            "{torn}: {}",
            said.err
        );
        assert_eq!(
            (attempts(&world, "one"), world.landed_on(RESULT).len()),
            (2, 2),
            "{torn}"
        );
        assert_eq!(
            (
                world.shows(RESULT, "deep/one.txt"),
                world.shows(RESULT, "two.txt")
            ),
            ("one".into(), "one".into())
        );
        world.ended(RunVerdict::Ready);
        // Reflogs still name the commit that is gone.
        world.git(&["reflog", "expire", "--expire=now", "--all"]);
        is_sound(&world);
    }
}

#[test]
fn an_object_that_a_crash_left_empty_is_written_again() {
    let world = World::with(
        "gates: [{ id: ok, run: 'true' }]\ntasks: [{ id: one, run: 'echo one > one.txt', gates: [ok] }]\n",
    );
    std::fs::write(world.dir().join("one"), "one\n").unwrap();
    let id = world.git(&["hash-object", "../one"]);
    let torn = object(&world, &id);
    std::fs::create_dir_all(torn.parent().unwrap()).unwrap();
    std::fs::write(&torn, "").unwrap();
    world.run().exits(0);
    assert_eq!(world.shows(RESULT, "one.txt"), "one");
    is_sound(&world);
}

#[test]
fn a_branch_whose_commit_is_gone_is_named_and_removed() {
    let world = World::with(
        "gates: [{ id: ok, run: 'true' }]\ntasks: [{ id: one, run: 'echo one > one.txt', gates: [ok] }]\n",
    );
    world.run().exits(0);
    let tip = world.rev(RESULT);
    std::fs::remove_file(object(&world, &tip)).unwrap();
    std::fs::remove_dir_all(world.repo().join(".git/omk/objects")).unwrap();
    let said = world.omk(&["clean", "--all"]).exits(0);
    assert!(
        said.err.contains(&format!(
            "branch {RESULT} is at {}, which is gone from this repository",
            &tip[..12]
        )),
        "{}",
        said.err
    );
    assert_eq!(
        world.git(&["for-each-ref", "refs/omk", "refs/heads/omk"]),
        ""
    );
    world.git(&["fsck", "--strict", "--no-dangling"]);
    world.run().exits(0);
    world.ended(RunVerdict::Ready);
}

/// Cuts off the file of an object, as a power cut may. A second name of the file is cut off with
/// it.
fn cut(world: &World, id: &str, length: u64) {
    let file = object(world, id);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    // Commits of two runs may differ by a byte.
    let most = std::fs::metadata(&file).unwrap().len().saturating_sub(1);
    std::fs::File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_len(length.min(most))
        .unwrap();
}

#[test]
fn a_command_ends_on_a_commit_that_was_cut_off_anywhere() {
    let plan = "gates: [{ id: ok, run: 'true' }]\ntasks: [{ id: one, run: 'echo one > one.txt', gates: [ok] }]\n";
    let world = World::with(plan);
    world.run().exits(0);
    let mut cleans = false;
    let ends = |args: &[&str], length: u64| {
        let ended = world.start(args).killed_after(Duration::from_secs(20));
        ended.unwrap_or_else(|| panic!("omk {args:?} hangs on a commit of {length} bytes"))
    };
    let whole = std::fs::metadata(object(&world, &world.rev(RESULT)))
        .unwrap()
        .len();
    for length in [
        0,
        1,
        2,
        5,
        10,
        20,
        40,
        64,
        whole / 2,
        whole - 8,
        whole - 4,
        whole - 1,
    ] {
        ends(&["run"], length).exits(0);
        cut(&world, &world.rev(RESULT), length);
        ends(&["verify"], length)
            .exits(1)
            .says("is not in this repository");
        ends(&["status"], length).exits(0);
        ends(&["retry"], length).exits(0);
        cut(&world, &world.rev(RESULT), length);
        cleans = !cleans;
        if cleans {
            ends(&["clean", "--all"], length).exits(0);
        }
    }
}

#[test]
fn a_command_ends_if_a_file_of_its_base_was_cut_off() {
    let plan = "gates: [{ id: ok, run: 'true' }]\ntasks: [{ id: one, run: 'echo one > one.txt', gates: [ok] }]\n";
    // The base itself, a commit below it, directories, files.
    for torn in [
        "HEAD",
        "HEAD~1",
        "HEAD^{tree}",
        "HEAD:src",
        "HEAD:src/lib.rs",
        "HEAD:omk.yaml",
    ] {
        let world = World::with(plan);
        world.run().exits(0);
        cut(&world, &world.git(&["rev-parse", torn]), 10);
        for args in [
            &["verify"][..],
            &["retry"],
            &["run"],
            &["run", "--base", "HEAD~1"],
            &["plan"],
            &["clean", "--all"],
        ] {
            let ended = world.start(args).killed_after(Duration::from_secs(20));
            assert!(ended.is_some(), "omk {args:?} hangs if {torn} is cut off");
        }
    }
}

#[test]
fn a_branch_whose_file_has_no_newline_at_its_end_is_a_persons_still() {
    let world = World::with(
        "gates: [{ id: ok, run: 'true' }]\ntasks: [{ id: one, run: 'echo one > one.txt', gates: [ok] }]\n",
    );
    let persons = world.git(&["commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "mine"]);
    let file = world.repo().join(".git/refs/heads").join(RESULT);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, &persons).unwrap();
    assert_eq!(world.rev(RESULT), persons);
    let said = world.run();
    assert_ne!(said.code, 0, "{said:?}");
    assert_eq!(world.rev(RESULT), persons);
    // A file that says nothing is nobody's.
    for torn in ["", "\0\0\0\0", &persons[..7]] {
        std::fs::write(&file, torn).unwrap();
        world.run().exits(0);
        assert_eq!(world.landed_on(RESULT), ["one"], "{torn:?}");
    }
}

#[test]
fn the_lock_of_a_git_that_is_at_work_stays_and_one_that_was_left_goes() {
    let world = World::new();
    let lock = world.repo().join(".git/refs/heads/omk/run/story.lock");
    std::fs::create_dir_all(lock.parent().unwrap()).unwrap();
    let mut at_work = world.command("git");
    // It waits for what is never said.
    at_work
        .args(["hash-object", "--stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let mut at_work = at_work.spawn().unwrap();
    std::fs::write(&lock, "").unwrap();
    let (repo, scope) = (
        Repo::discover(&world.repo()).unwrap(),
        "story".parse().unwrap(),
    );
    repo.remove_left_locks(&scope);
    assert!(lock.exists(), "git is at work here");
    at_work.kill().unwrap();
    at_work.wait().unwrap();
    // A test that has it open is at work, too.
    let open = std::fs::File::open(&lock).unwrap();
    repo.remove_left_locks(&scope);
    assert!(lock.exists(), "it is open");
    drop(open);
    repo.remove_left_locks(&scope);
    assert!(!lock.exists());
}

#[test]
fn a_result_is_whole_once_the_repository_that_it_borrowed_from_has_cleaned_up() {
    let world = World::with(
        "gates: [{ id: ok, run: 'true' }]\ntasks: [{ id: one, run: 'echo one > one.txt', gates: [ok] }]\n",
    );
    world.git(&["init", "--quiet", "../lender"]);
    world.write("../lender/one.txt", "one\n");
    world.git(&["-C", "../lender", "hash-object", "-w", "one.txt"]);
    let lent = world.dir().join("lender/.git/objects");
    std::fs::write(
        world.repo().join(".git/objects/info/alternates"),
        format!("{}\n", lent.display()),
    )
    .unwrap();
    world.run().exits(0);
    world.git(&["-C", "../lender", "prune", "--expire=now"]);
    world.git(&["fsck", "--strict", "--no-dangling"]);
    assert_eq!(world.shows(RESULT, "one.txt"), "one");
}

#[test]
fn a_run_whose_plan_was_changed_is_not_taken_up() {
    let world = killed();
    let path = world.run_dir().join("plan.yaml");
    let plan = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, plan.replace("echo one >", "echo other >")).unwrap();
    world
        .omk(&["resume"])
        .exits(5)
        .says("plan.yaml is not the plan that run");
    std::fs::write(&path, plan).unwrap();
    world.omk(&["resume"]).exits(0);
}
