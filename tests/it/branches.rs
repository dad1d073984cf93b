//! The branches that omk leaves: what holds one up for a while does not lose it, and what a person
//! did to one stays theirs.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use omk_action::fact::{Fact, RunVerdict};

use crate::world::{Running, World, until};

const RESULT: &str = "omk/run/story";
const TASK: &str = "omk/task/story/one";

/// Two tasks, of which the second one ends when the file `go` lies beside the repository.
fn world() -> World {
    let world = World::new();
    let go = world.dir().join("go").display().to_string();
    world.plan(&format!(
        "limits: {{ workers: 2 }}\n\
         gates: [{{ id: ok, run: 'true' }}]\n\
         defaults: {{ gates: [ok], retry_policy: {{ max_attempts: 0 }} }}\n\
         tasks:\n\
         - {{ id: one, run: 'echo one > one.txt', write_set: [one.txt] }}\n\
         - {{ id: two, run: 'while ! test -e {go}; do sleep 0.02; done; echo two > two.txt', write_set: [two.txt] }}\n"
    ));
    world
}

fn go(world: &World) {
    std::fs::write(world.dir().join("go"), "").unwrap();
}

fn lock_of(world: &World, branch: &str) -> PathBuf {
    world
        .repo()
        .join(".git/refs/heads")
        .join(format!("{branch}.lock"))
}

/// A run whose first task has landed, and whose second one waits.
fn half_done(world: &World) -> Running {
    let running = world.start(&["run"]);
    until("its branches are there", || {
        [RESULT, TASK]
            .iter()
            .all(|branch| !world.rev(branch).is_empty())
    });
    running
}

/// That both branches are where the journal says.
fn is_placed(world: &World) {
    assert_eq!(world.landed_on(RESULT).len(), 2);
    assert_eq!(world.landed_on(TASK), ["one"]);
    world.ended(RunVerdict::Ready);
    world.omk(&["verify"]).exits(0);
}

#[test]
fn branches_that_are_locked_while_tasks_land_are_moved_later() {
    // Until the next task lands, until the run waits at its end.
    for is_long in [false, true] {
        let world = world();
        let running = world.start(&["run"]);
        world.until_prepared("two");
        let locks = [
            lock_of(&world, RESULT),
            lock_of(&world, TASK),
            lock_of(&world, "omk/task/story/two"),
        ];
        for lock in &locks {
            std::fs::create_dir_all(lock.parent().unwrap()).unwrap();
            std::fs::write(lock, "").unwrap();
        }
        world.until_fact("the first task has landed", |fact| {
            matches!(fact, Fact::Landed { .. })
        });
        let release = || {
            locks
                .iter()
                .for_each(|lock| std::fs::remove_file(lock).unwrap())
        };
        if !is_long {
            release();
        }
        go(&world);
        if is_long {
            world.until_fact(
                "both have landed",
                |fact| matches!(fact, Fact::Landed { task, .. } if task.as_str() == "two"),
            );
            std::thread::sleep(Duration::from_millis(300));
            release();
        }
        running.ends().exits(0).says("git merge omk/run/story");
        is_placed(&world);
    }
}

#[test]
fn a_result_branch_that_stays_locked_makes_the_run_not_ready_until_it_is_resumed() {
    let world = world();
    let running = half_done(&world);
    let (placed, lock) = (world.rev(RESULT), lock_of(&world, RESULT));
    std::fs::write(&lock, "").unwrap();
    go(&world);
    let said = running.ends().exits(1).says(&format!(
        "branch `omk/run/story` is locked by {}",
        lock.display()
    ));
    let said = said.says("omk resume").says("not ready");
    let look = said
        .out
        .lines()
        .find(|line| line.contains("look: "))
        .unwrap();
    let result = look.split_whitespace().next_back().unwrap();
    assert_eq!(
        (world.shows(result, "two.txt").as_str(), world.rev(RESULT)),
        ("two", placed)
    );
    world
        .omk(&["status"])
        .exits(0)
        .says("is locked by")
        .says("not ready")
        .says(result);
    let report = world.report();
    assert_eq!(
        (&report["verdict"], &report["unplaced"]),
        (&"not_ready".into(), &RESULT.into())
    );
    world.ended(RunVerdict::NotReady);

    // Nobody holds it, so it goes.
    world
        .omk(&["resume"])
        .exits(0)
        .says("git merge omk/run/story");
    assert_eq!(world.rev(RESULT), world.rev(result));
    is_placed(&world);
    world.omk(&["resume"]).exits(2).says("is over: ready");
}

#[test]
fn packing_refs_beside_a_run_loses_no_branch() {
    let world = World::new();
    let tasks: Vec<String> = (0..8)
        .map(|n| format!("- {{ id: t{n}, run: 'echo {n} > {n}', write_set: ['{n}'] }}\n"))
        .collect();
    world.plan(&format!(
        "gates: [{{ id: ok, run: 'true' }}]\ndefaults: {{ gates: [ok] }}\ntasks:\n{}",
        tasks.concat()
    ));
    let over = Arc::new(AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                // A lock of omk's own may be in its way.
                let _ = world
                    .command("git")
                    .args(["pack-refs", "--all"])
                    .output()
                    .unwrap();
            }
        });
        let said = world.run();
        over.store(true, Ordering::Relaxed);
        said.exits(0);
    });
    assert_eq!(world.landed_on(RESULT).len(), 8);
    for n in 0..8 {
        assert_eq!(
            world.shows(&format!("omk/task/story/t{n}"), &n.to_string()),
            n.to_string()
        );
    }
}

#[test]
fn a_result_branch_that_is_checked_out_meanwhile_waits_for_its_user() {
    let world = world();
    let running = half_done(&world);
    let elsewhere = world.dir().join("elsewhere").display().to_string();
    world.git(&["worktree", "add", "--quiet", &elsewhere, RESULT]);
    let seen = world.rev(RESULT);
    go(&world);
    running.ends().exits(1).says(&format!(
        "branch `omk/run/story` is checked out in {elsewhere}"
    ));
    assert_eq!(world.rev(RESULT), seen);
    assert_eq!(world.git(&["-C", &elsewhere, "status", "--porcelain"]), "");
    world.omk(&["resume"]).exits(1).says("is checked out in");
    world.git(&["-C", &elsewhere, "switch", "--quiet", "--detach"]);
    world.omk(&["resume"]).exits(0);
    is_placed(&world);
}

/// The id of a run, by its directory.
fn id(run: &std::path::Path) -> String {
    run.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn resuming_an_older_run_leaves_the_result_of_a_newer_one_on_its_branch() {
    let world = world();
    half_done(&world).killed_after(Duration::ZERO);
    go(&world);
    world.run().exits(0);
    let [older, newer] = &world.runs()[..] else {
        panic!("two runs")
    };
    let (result, change) = (world.rev(RESULT), world.rev(TASK));
    let journal = std::fs::read(older.join("journal.jsonl")).unwrap();
    let said = world
        .omk(&["resume", &id(older)])
        .exits(2)
        .says("omk retry");
    said.says(&format!(
        "`{RESULT}` holds the result of run {}, which is newer",
        id(newer)
    ));
    assert_eq!(
        (world.rev(RESULT), world.rev(TASK)),
        (result.clone(), change.clone())
    );
    assert_eq!(
        std::fs::read(older.join("journal.jsonl")).unwrap(),
        journal,
        "nothing was paid"
    );

    // Who wants it all the same says so; then only the tasks' branches are in danger.
    world.git(&["branch", "--move", RESULT, "mine"]);
    let said = world.omk(&["resume", &id(older)]).exits(0);
    said.says(&format!(
        "branch `{TASK}` holds what run {} made, which is newer",
        id(newer)
    ));
    assert_eq!(
        (world.rev("mine"), world.rev(TASK)),
        (result.clone(), change)
    );
    assert!(!world.rev(RESULT).is_empty() && world.rev(RESULT) != result);
}

#[test]
fn a_result_that_was_never_placed_does_not_push_a_newer_one_off_the_branch() {
    let world = world();
    let running = half_done(&world);
    let elsewhere = world.dir().join("elsewhere").display().to_string();
    world.git(&["worktree", "add", "--quiet", &elsewhere, RESULT]);
    go(&world);
    running.ends().exits(1).says("omk resume");
    world.git(&["worktree", "remove", "--force", &elsewhere]);
    world.run().exits(0);
    let result = world.rev(RESULT);
    world
        .omk(&["resume", &id(&world.runs()[0])])
        .exits(2)
        .says("which is newer")
        .says("omk retry");
    assert_eq!(world.rev(RESULT), result);
    is_placed(&world);
}

#[test]
fn what_is_offered_is_the_result_of_the_run_that_is_shown() {
    let world = world();
    let running = half_done(&world);
    let elsewhere = world.dir().join("elsewhere").display().to_string();
    world.git(&["worktree", "add", "--quiet", &elsewhere, RESULT]);
    go(&world);
    running.ends().exits(1);
    world.git(&["worktree", "remove", "--force", &elsewhere]);
    world
        .omk(&["status"])
        .exits(0)
        .says("moves `omk/run/story` to the result");

    // Now a newer run has the branch: the older one cannot have it back, and what it made is
    // offered by its commit.
    world.run().exits(0).says(&format!("git merge {RESULT}\n"));
    let older = id(&world.runs()[0]);
    for args in [&["status", older.as_str()][..], &["report", older.as_str()]] {
        let said = world.omk(args).exits(0);
        said.never_says("omk resume")
            .never_says(&format!("git merge {RESULT}"))
            .says("git diff");
    }

    // So is the newer one's once the branch is gone, was moved, or git takes its name for a tag.
    let (newer, result) = (id(&world.runs()[1]), world.rev(RESULT));
    let merge = format!("git merge {}\n", &result[..12]);
    world.git(&["tag", RESULT, "HEAD"]);
    world.omk(&["status", &newer]).exits(0).says(&merge);
    world.git(&["tag", "--delete", RESULT]);
    world
        .omk(&["status", &newer])
        .exits(0)
        .says(&format!("git merge {RESULT}\n"));
    world.git(&["branch", "--force", RESULT, "HEAD"]);
    world.omk(&["status", &newer]).exits(0).says(&merge);
    world.git(&["branch", "--delete", "--force", RESULT]);
    for format in ["terminal", "markdown", "html", "json"] {
        let said = world.omk(&["report", &newer, "--format", format]).exits(0);
        said.says(&result[..12])
            .never_says(&format!("git merge {RESULT}"));
    }
}

#[test]
fn the_end_of_an_older_run_leaves_the_branch_of_a_newer_one_alone() {
    // It was killed before its reports were written, or is cancelled.
    for is_over in [true, false] {
        let world = world();
        if is_over {
            go(&world);
            world.run().exits(0);
        } else {
            half_done(&world).killed_after(Duration::ZERO);
            go(&world);
        }
        let (older, was) = (world.run_dir(), world.rev(RESULT));
        world.run().exits(0);
        let result = world.rev(RESULT);
        let command = if is_over { "resume" } else { "cancel" };
        if is_over {
            std::fs::remove_file(older.join("written")).unwrap();
        }
        let said = world.omk(&[command, &id(&older)]).exits(0);
        said.says("which is newer; this run's result is commit")
            .says(&was[..12]);
        assert_eq!(world.rev(RESULT), result, "{command}");
        world.ended(RunVerdict::Ready);
    }
}

/// What a person does to a branch of omk's.
const DEEDS: [&str; 5] = [
    "amends",
    "adds",
    "rebases",
    "amends in omk's name",
    "checks out",
];

/// Lets a person do it; the commit that is theirs then.
fn does(world: &World, deed: &str, branch: &str) -> String {
    let place = world
        .dir()
        .join(format!("of {}", branch.replace('/', "-")))
        .display()
        .to_string();
    world.git(&["worktree", "add", "--quiet", &place, branch]);
    let git = |args: &[&str]| world.git(&[&["-C", place.as_str()], args].concat());
    match deed {
        "amends" => git(&["commit", "--quiet", "--amend", "--no-edit", "--allow-empty"]),
        "adds" => git(&["commit", "--quiet", "--allow-empty", "--message", "mine"]),
        "rebases" => git(&["rebase", "--quiet", "--force-rebase", "HEAD~1"]),
        "amends in omk's name" => {
            let message = git(&["log", "-1", "--format=%B"]);
            let name = [
                "-c",
                "user.name=omk[bot]",
                "-c",
                "user.email=omk[bot]@users.noreply.github.com",
            ];
            let mut command = world.command("git");
            command.args(["-C", place.as_str()]).args(name);
            for of in [
                "GIT_AUTHOR_NAME",
                "GIT_AUTHOR_EMAIL",
                "GIT_COMMITTER_NAME",
                "GIT_COMMITTER_EMAIL",
            ] {
                command.env_remove(of);
            }
            command.args([
                "commit",
                "--quiet",
                "--amend",
                "--allow-empty",
                "--message",
                &format!("{message}\n"),
            ]);
            command.args(["--date", "2001-01-01T00:00:00Z"]);
            assert!(command.status().unwrap().success());
            String::new()
        }
        _ => String::new(),
    };
    if deed != "checks out" {
        world.git(&["worktree", "remove", &place]);
    }
    world.rev(branch)
}

#[test]
fn what_a_person_did_to_a_result_is_neither_overwritten_nor_deleted() {
    for deed in DEEDS {
        let world = world();
        go(&world);
        world.run().exits(0);
        let theirs = does(&world, deed, RESULT);
        for command in [&["run"][..], &["retry", "one"]] {
            let said = world.omk(command).exits(2);
            assert!(
                said.err.contains("the branch `omk/run/story` is "),
                "{deed}: {}",
                said.err
            );
        }
        assert_eq!(world.runs().len(), 1, "nothing was begun");
        world
            .omk(&["clean", "--all"])
            .exits(0)
            .says("branch omk/run/story stays");
        assert_eq!(
            (world.rev(RESULT), world.rev(TASK)),
            (theirs, String::new()),
            "{deed}"
        );
    }
}

#[test]
fn what_a_person_did_to_a_tasks_branch_is_neither_overwritten_nor_deleted() {
    for deed in DEEDS {
        let world = world();
        go(&world);
        world.run().exits(0);
        let theirs = does(&world, deed, TASK);
        for command in [&["run"][..], &["retry", "one"]] {
            let said = world
                .omk(command)
                .exits(0)
                .says("note: the branch `omk/task/story/one` is");
            said.says("omk/task/story/one was not moved to");
            assert_eq!(
                (world.rev(TASK), world.landed_on(RESULT).len()),
                (theirs.clone(), 2),
                "{deed}"
            );
        }
        world
            .omk(&["clean", "--all"])
            .exits(0)
            .says("branch omk/task/story/one stays");
        assert_eq!(
            (world.rev(RESULT), world.rev(TASK)),
            (String::new(), theirs),
            "{deed}"
        );
    }
}

#[test]
fn what_a_person_did_while_a_run_was_down_stays_when_it_is_resumed() {
    for deed in DEEDS {
        let world = world();
        let running = half_done(&world);
        running.killed_after(Duration::ZERO);
        let theirs = [RESULT, TASK].map(|branch| does(&world, deed, branch));
        go(&world);
        let said = world
            .omk(&["resume"])
            .exits(1)
            .says("`omk/run/story` was not moved to the result");
        // A branch that is where it belongs need not be moved, whoever has it checked out.
        assert_eq!(
            said.out.contains("omk/task/story/one was not moved"),
            deed != "checks out",
            "{deed}"
        );
        assert_eq!(
            [RESULT, TASK].map(|branch| world.rev(branch)),
            theirs,
            "{deed}"
        );
    }
}
