//! What `omk clean` keeps: work that is nowhere else, and runs that it cannot read; and what that
//! costs nobody.

use std::path::Path;

use omk_action::fact::Fact;

use crate::clean::{PLAN, world};
use crate::world::{Said, World, until};

/// A plan whose result is another one each time.
const NEW_EACH_TIME: &str = "gates: [{ id: ok, run: 'true' }]\ntasks: [{ id: one, run: 'date +%s.%N > one', gates: [ok] }]\n";

/// The name of a run's directory.
fn name(run: &Path) -> &str {
    run.file_name().unwrap().to_str().unwrap()
}

/// A run of another plan, so that no earlier one is the newest.
fn run_another_plan(world: &World) {
    world.write("other.yaml", &format!("version: 1\nname: other\n{PLAN}"));
    world.omk(&["run", "--plan", "other.yaml"]).exits(0);
}

/// That a run stays, and what it holds is there even after git has cleaned up.
#[track_caller]
fn stays(world: &World, run: &Path, what: &str, commit: &str) -> Said {
    let said = world.omk(&["clean"]).exits(0);
    assert!(
        said.err.contains(&format!(
            "run {} stays: no branch of yours has {what}",
            name(run)
        )),
        "{}",
        said.err
    );
    world.git(&["reflog", "expire", "--expire=now", "--all"]);
    world.git(&["gc", "--quiet", "--prune=now"]);
    assert!(run.exists() && !world.rev(&format!("{commit}^{{tree}}")).is_empty());
    said
}

#[test]
fn a_result_that_a_newer_run_took_the_branch_from_stays() {
    let world = World::with(NEW_EACH_TIME);
    world.run().exits(0);
    let (first, result) = (world.run_dir(), world.rev("omk/run/story"));
    world.run().exits(0);
    let said = stays(&world, &first, "its result", &result);
    assert!(
        said.err
            .contains(&format!("`git merge {}` takes it", &result[..12])),
        "{}",
        said.err
    );

    world.git(&["branch", "mine", &result]);
    world
        .omk(&["clean"])
        .exits(0)
        .says("removed 1 run, 0 branches");
    assert!(!first.exists() && world.runs().len() == 1);
    assert_eq!(world.git(&["for-each-ref", "refs/omk"]).lines().count(), 1);
}

#[test]
fn a_result_whose_branch_was_deleted_or_amended_stays() {
    for amends in [false, true] {
        let (world, first) = world();
        let result = world.rev("omk/run/story");
        if amends {
            world.git(&["switch", "--quiet", "omk/run/story"]);
            world.git(&["commit", "--quiet", "--amend", "--message", "mine"]);
            world.git(&["switch", "--quiet", "main"]);
        } else {
            world.git(&[
                "branch",
                "--quiet",
                "-D",
                "omk/run/story",
                "omk/task/story/one",
            ]);
        }
        stays(&world, &first, "its result", &result);
        world
            .omk(&["clean", name(&first)])
            .exits(0)
            .says("removed 1 run");
        assert!(!first.exists());
    }
}

/// Two tasks, of which the second one waits for the file `go` beside the repository.
fn waiting() -> World {
    let world = World::new();
    let go = world.dir().join("go").display().to_string();
    world.plan(&format!(
        "gates: [{{ id: ok, run: 'true' }}]\n\
         defaults: {{ gates: [ok], retry_policy: {{ max_attempts: 0 }} }}\n\
         tasks:\n\
         - {{ id: one, run: 'date +%s.%N > one', write_set: [one] }}\n\
         - {{ id: two, run: 'while ! test -e {go}; do sleep 0.02; done; echo two > two', write_set: [two] }}\n"
    ));
    world
}

#[test]
fn what_a_killed_run_has_landed_stays() {
    let world = waiting();
    let running = world.start(&["run"]);
    until("the first task has landed", || {
        !world.rev("omk/run/story").is_empty()
    });
    assert!(running.killed_after(std::time::Duration::ZERO).is_none());
    let (first, result) = (world.run_dir(), world.rev("omk/run/story"));
    run_another_plan(&world);
    stays(&world, &first, "its result", &result);
}

#[test]
fn a_result_that_was_never_put_on_its_branch_stays() {
    let world = waiting();
    let running = world.start(&["run"]);
    until("the first task has landed", || {
        !world.rev("omk/run/story").is_empty()
    });
    let (first, elsewhere) = (
        world.run_dir(),
        world.dir().join("elsewhere").display().to_string(),
    );
    world.git(&["worktree", "add", "--quiet", &elsewhere, "omk/run/story"]);
    std::fs::write(world.dir().join("go"), "").unwrap();
    running.ends().exits(1).says("is checked out in");
    world.git(&["worktree", "remove", "--force", &elsewhere]);
    // That much is merged, and not the rest.
    world.git(&["merge", "--quiet", "--no-edit", "omk/run/story"]);
    let landed = |fact| {
        if let Fact::Landed { tip, .. } = fact {
            Some(tip.commit.to_string())
        } else {
            None
        }
    };
    let result = world
        .facts()
        .into_iter()
        .filter_map(landed)
        .next_back()
        .unwrap();
    run_another_plan(&world);
    stays(&world, &first, "its result", &result);
}

#[test]
fn a_change_that_was_taken_out_of_the_result_stays_after_its_branch_has_moved() {
    let world = World::with(
        "gates: [{ id: apart, run: '! test -e both || ! test -e a -a -e b' }]\n\
         defaults: { gates: [apart] }\n\
         tasks:\n\
         - { id: a, run: 'touch both; date +%s.%N > a', write_set: [a, both] }\n\
         - { id: b, run: 'date +%s.%N > b', write_set: [b] }\n",
    );
    world.run().exits(1);
    let first = world.run_dir();
    let out = if world.landed_on("omk/run/story") == ["a"] {
        "b"
    } else {
        "a"
    };
    let change = world.rev(&format!("omk/task/story/{out}"));
    world.omk(&["retry", out]);
    assert_ne!(world.rev(&format!("omk/task/story/{out}")), change);
    stays(&world, &first, &format!("the change of `{out}`"), &change);
}

#[test]
fn a_run_whose_changes_a_retry_has_kept_goes() {
    let world = World::new();
    let go = world.dir().join("go").display().to_string();
    world.plan(&format!(
        "gates: [{{ id: ok, run: 'true' }}]\n\
         defaults: {{ gates: [ok], retry_policy: {{ max_attempts: 0 }} }}\n\
         tasks:\n\
         - {{ id: one, run: 'date +%s.%N > one', write_set: [one] }}\n\
         - {{ id: two, run: 'test -e {go} && echo two > two', write_set: [two] }}\n"
    ));
    world.run().exits(1);
    let first = world.run_dir();
    std::fs::write(world.dir().join("go"), "").unwrap();
    world.omk(&["retry"]).exits(0);
    world.omk(&["clean"]).exits(0).says("removed 1 run");
    assert!(!first.exists() && world.runs().len() == 1);
    assert_eq!(world.landed_on("omk/run/story").len(), 2);
}

#[test]
fn a_run_that_cannot_be_read_stays_and_is_named_with_the_reason() {
    let change = |file: &Path, from: &str, to: &str| {
        let text = std::fs::read_to_string(file).unwrap();
        assert!(text.contains(from));
        std::fs::write(file, text.replace(from, to)).unwrap();
    };
    let newer: &dyn Fn(&Path) = &|run| change(&run.join("journal.jsonl"), "{\"v\":1,", "{\"v\":2,");
    let damaged: &dyn Fn(&Path) =
        &|run| change(&run.join("journal.jsonl"), "\"seq\":3,", "\"seq\":4,");
    let emptied: &dyn Fn(&Path) = &|run| std::fs::write(run.join("journal.jsonl"), "").unwrap();
    let removed: &dyn Fn(&Path) = &|run| std::fs::remove_file(run.join("journal.jsonl")).unwrap();
    let no_plan: &dyn Fn(&Path) = &|run| std::fs::remove_file(run.join("plan.yaml")).unwrap();
    for (damage, why) in [
        (newer, "line 1"),
        (damaged, "line 3"),
        (emptied, "empty"),
        (removed, "read"),
        (no_plan, "plan.yaml"),
    ] {
        let (world, first) = world();
        let result = world.rev("omk/run/story");
        world.git(&[
            "branch",
            "--quiet",
            "-D",
            "omk/run/story",
            "omk/task/story/one",
        ]);
        damage(&first);
        let said = world.omk(&["clean"]).exits(0).says("removed 0 runs");
        let line = said.err.lines().find(|line| {
            line.starts_with(&format!("run {} stays: it cannot be read (", name(&first)))
        });
        assert!(
            line.is_some_and(|line| line.contains(why)),
            "{why}: {}",
            said.err
        );
        world.git(&["gc", "--quiet", "--prune=now"]);
        assert!(first.exists() && !world.tree(&result).is_empty(), "{why}");

        world
            .omk(&["clean", name(&first)])
            .exits(0)
            .says("removed 1 run");
        assert!(
            !first.exists()
                && world
                    .rev(&format!("refs/omk/keep/{}", name(&first)))
                    .is_empty()
        );
    }
}

#[test]
fn what_a_run_needs_stays_until_its_directory_has_gone() {
    let (world, first) = world();
    world.git(&["merge", "--quiet", "--no-edit", "omk/run/story"]);
    // As a clean leaves it that was killed, but for the name: nothing can be put in its place.
    let aside = first.with_file_name(format!("{}.removed", name(&first)));
    std::fs::create_dir_all(aside.join("logs")).unwrap();
    let keep = format!("refs/omk/keep/{}", name(&first));
    let said = world.omk(&["clean"]).exits(5).says("removed 0 runs");
    assert!(
        said.err.contains(&format!(
            "run {} stays: failed to remove {}",
            name(&first),
            first.display()
        )),
        "{}",
        said.err
    );
    assert!(first.exists() && !world.rev(&keep).is_empty() && !aside.exists());
    world.omk(&["clean"]).exits(0).says("removed 1 run");
    assert!(!first.exists() && world.rev(&keep).is_empty());
}

#[test]
fn a_run_that_never_began_goes_and_the_newest_that_did_stays() {
    let world = World::with(PLAN);
    world.run().exits(0);
    let newest = world.run_dir();
    world.git(&["merge", "--quiet", "--no-edit", "omk/run/story"]);
    for never in ["29990101t000000z-000000", "29990102t000000z-000000"] {
        std::fs::create_dir_all(newest.with_file_name(never).join("logs")).unwrap();
    }
    std::fs::write(
        newest
            .with_file_name("29990102t000000z-000000")
            .join("journal.jsonl"),
        "",
    )
    .unwrap();
    world.omk(&["clean"]).exits(0).says("removed 2 runs");
    assert_eq!(world.runs(), [newest]);
}

#[test]
fn a_head_that_is_on_no_branch_does_not_hold_a_result() {
    for is_linked in [false, true] {
        let (world, first) = world();
        let (result, elsewhere) = (
            world.rev("omk/run/story"),
            world.dir().join("elsewhere").display().to_string(),
        );
        if is_linked {
            world.git(&[
                "worktree", "add", "--quiet", "--detach", &elsewhere, &result,
            ]);
        } else {
            world.git(&["switch", "--quiet", "--detach", &result]);
        }
        // Nor does another name of omk's own branch.
        world.git(&[
            "symbolic-ref",
            "refs/heads/mine",
            "refs/heads/omk/run/story",
        ]);
        let mut command = world.omk_command(&["clean"]);
        if is_linked {
            command.current_dir(&elsewhere);
        }
        let said = World::start_command(command).ends().exits(0);
        assert!(
            said.err.contains("no branch of yours has its result"),
            "{}",
            said.err
        );
        assert_eq!((world.rev("omk/run/story"), first.exists()), (result, true));
    }
}

/// A merge that says that it is older than what it merged, as after a clock was set back, is a
/// merge.
#[test]
fn a_result_that_was_merged_by_a_clock_that_is_late_goes() {
    let (world, first) = world();
    let mut merge = world.command("git");
    merge
        .args(["merge", "--quiet", "--no-edit", "omk/run/story"])
        .env("GIT_COMMITTER_DATE", "2001-01-01T00:00:00Z");
    assert!(merge.status().unwrap().success());
    for n in 0..20 {
        let mut more = world.command("git");
        more.args([
            "commit",
            "--quiet",
            "--allow-empty",
            "--message",
            &format!("more {n}"),
        ]);
        assert!(
            more.env("GIT_COMMITTER_DATE", "2001-01-02T00:00:00Z")
                .status()
                .unwrap()
                .success()
        );
    }
    world
        .omk(&["clean"])
        .exits(0)
        .says("removed 1 run, 2 branches");
    assert!(!first.exists());
}

#[test]
fn what_changes_while_clean_waits_for_an_answer_counts() {
    let (world, first) = world();
    let result = world.rev("omk/run/story");
    world.git(&["branch", "mine", "omk/run/story"]);
    // A terminal of its own: without one nobody is asked.
    let log = world.dir().join("asked");
    let omk = format!("'{}' clean", env!("CARGO_BIN_EXE_omk"));
    let mut asking = world.command("script");
    asking
        .args(["--quiet", "--flush", "--return", "--command", &omk])
        .arg(&log);
    asking
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null());
    let mut asking = asking.spawn().unwrap();
    let said = || String::from_utf8_lossy(&std::fs::read(&log).unwrap_or_default()).into_owned();
    until("it asks", || said().contains("Go on?"));
    assert!(
        said().contains(&format!("run {}", name(&first))),
        "{}",
        said()
    );
    world.git(&["branch", "--quiet", "-D", "mine"]);
    std::io::Write::write_all(&mut asking.stdin.take().unwrap(), b"y\n").unwrap();
    assert!(asking.wait().unwrap().success(), "{}", said());
    assert!(
        said().contains("no branch of yours has its result"),
        "{}",
        said()
    );
    assert_eq!((world.rev("omk/run/story"), first.exists()), (result, true));
}

#[test]
fn a_file_with_the_name_of_a_run_does_not_stop_a_clean() {
    let (world, first) = world();
    world.git(&["merge", "--quiet", "--no-edit", "omk/run/story"]);
    let file = first.with_file_name("19990101t000000z-000000");
    std::fs::write(&file, "mine").unwrap();
    let said = world
        .omk(&["clean"])
        .exits(0)
        .says("removed 1 run, 2 branches");
    assert!(
        said.err.contains(&format!(
            "{} stays: it has the name of a run",
            file.display()
        )),
        "{}",
        said.err
    );
    assert!(!first.exists() && file.exists());
    world
        .omk(&["clean", "--all"])
        .exits(0)
        .says("removed 1 run, 2 branches");
    assert!(file.exists());
}

#[test]
fn the_file_of_a_branch_that_names_no_commit_is_named() {
    let (world, first) = world();
    let refs = world.repo().join(".git/refs");
    let (task, kept) = (
        refs.join("heads/omk/task/story/one"),
        refs.join("omk/keep").join(name(&first)),
    );
    for file in [&task, &kept] {
        std::fs::write(file, "garbage\n").unwrap();
    }
    for _ in 0..2 {
        let said = world.omk(&["clean", "--all"]).exits(5);
        let named = format!(
            "branch omk/task/story/one stays: its file names no commit, and `rm '{}'`",
            task.display()
        );
        assert!(said.err.contains(&named), "{}", said.err);
        assert!(world.runs().is_empty() && !kept.exists());
    }
    std::fs::remove_file(&task).unwrap();
    world.omk(&["clean", "--all"]).exits(0);
    assert_eq!(
        world.git(&["for-each-ref", "refs/omk", "refs/heads/omk"]),
        ""
    );
}
