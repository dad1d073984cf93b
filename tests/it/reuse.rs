//! Reused verdicts: a gate that has passed by the same premises does not run again, and any other
//! premise makes it run.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use omk_action::fact::{Fact, GateOutcome, GateVerdict, RunVerdict};

use crate::bundle_world::Ran;
use crate::meeting::Meeting;
use crate::submodules;
use crate::world::{Said, World};

const TASK: &str = "tasks: [{ id: one, run: echo 1 > one.txt, write_set: [one.txt], gates: [test], retry_policy: { max_attempts: 0 } }]\n";

const GATES: &str = r#"gates: [{ id: test, run: "test -e src/lib.rs", inputs: ["src/**"], trusted: [check.sh], fingerprint: cat tool }]
"#;

fn world() -> World {
    let world = World::new();
    world.write("check.sh", "exit 0\n");
    world.write("tool", "tool 1\n");
    world.write("data/inside", "data\n");
    std::os::unix::fs::symlink("../data", world.repo().join("src/data")).unwrap();
    world.plan(&format!("{GATES}{TASK}"));
    world
}

/// What the gate said of task `one` in the newest run.
fn said(world: &World) -> GateOutcome {
    let worked = world.facts().into_iter().rev().find_map(|fact| match fact {
        Fact::Worked { evidence, .. } => evidence.gates.first().cloned(),
        _ => None,
    });
    worked.unwrap()
}

fn runs_with(world: &World, change: impl Fn(&mut Command)) -> Said {
    let mut command = world.omk_command(&["run"]);
    change(&mut command);
    World::start_command(command).ends()
}

/// That a run ends well, and how its gate came to its verdict.
#[track_caller]
fn run(world: &World, expected: GateVerdict, what: &str) {
    runs_with(world, |_| {}).exits(0);
    assert_eq!(said(world).verdict, expected, "{what}");
}

#[test]
fn a_second_run_with_the_same_inputs_runs_no_gate_and_names_the_proof() {
    let meeting = Meeting::new();
    let gate = meeting.gate("test", "", "", r#", inputs: ["src/**"]"#);
    let world = World::with(&format!("gates:\n  - {gate}\n{TASK}"));
    let first = world.start(&["run"]);
    meeting.next().leaves(0);
    first.ends().exits(0);
    let proof: serde_json::Value =
        serde_json::from_slice(&std::fs::read(world.run_dir().join("proofs/one.json")).unwrap())
            .unwrap();
    let (run, commit) = (
        proof["predicate"]["run"].as_str().unwrap(),
        world.rev("omk/run/story"),
    );
    assert!(
        proof["predicate"]["gates"][0]["reuse_key"].is_string(),
        "{proof:#}"
    );
    let note = format!("reused from proof {run}/one, commit {}", &commit[..12]);
    // Of the second run, and of a third one, whose predecessor ran no gate.
    for _ in 0..2 {
        world.run().exits(0);
        meeting.is_complete();
        let outcome = said(&world);
        assert_eq!(
            (outcome.verdict, outcome.attempts, outcome.note.as_str()),
            (GateVerdict::Reused, 0, note.as_str())
        );
        world.ended(RunVerdict::Ready);
        world.omk(&["report", "--json"]).exits(0).says(&note);
        world
            .omk(&["report", "--format", "markdown"])
            .exits(0)
            .says(&format!("{run}/one"));
        world.omk(&["verify"]).exits(0).says("all hold");
    }
    let again = world.start(&["run", "--no-reuse"]);
    meeting.next().leaves(0);
    again.ends().exits(0);
    assert_eq!(said(&world).verdict, GateVerdict::Passed);
    // A judge believes nobody else's verdict.
    world.run().exits(0);
    assert_eq!(said(&world).verdict, GateVerdict::Reused);
    let ran = Ran::of(world);
    let bundle = ran.bundle();
    std::thread::scope(|scope| {
        scope.spawn(|| meeting.next().leaves(0));
        ran.judged(&bundle).0.exits(0);
    });
}

/// A change of the repository, and what it is called.
type Change = (&'static str, fn(&World));

fn edit_plan(world: &World, old: &str, new: &str) {
    let text = std::fs::read_to_string(world.repo().join("omk.yaml")).unwrap();
    assert!(text.contains(old), "{old}");
    world.write("omk.yaml", &text.replace(old, new));
}

const NOTHING_READ: &[Change] = &[
    ("a file that it does not read", |world| {
        world.write("a.txt", "other\n")
    }),
    ("a new file elsewhere", |world| {
        world.write("other/b.txt", "b\n")
    }),
    ("another task", |world| edit_plan(world, "echo 1", "echo 2")),
];

const READ: &[Change] = &[
    ("content", |world| world.write("src/lib.rs", "other\n")),
    ("a new file", |world| world.write("src/new.rs", "new\n")),
    ("a rename", |world| {
        std::fs::rename(
            world.repo().join("src/new.rs"),
            world.repo().join("src/newer.rs"),
        )
        .unwrap()
    }),
    ("a mode", |world| {
        std::fs::set_permissions(
            world.repo().join("src/lib.rs"),
            std::fs::Permissions::from_mode(0o755),
        )
        .unwrap();
    }),
    ("a file that is gone", |world| {
        std::fs::remove_file(world.repo().join("src/newer.rs")).unwrap()
    }),
    ("a file that became a link", |world| {
        std::fs::remove_file(world.repo().join("src/lib.rs")).unwrap();
        std::os::unix::fs::symlink("../a.txt", world.repo().join("src/lib.rs")).unwrap();
    }),
    ("the file that a link leads to", |world| {
        world.write("a.txt", "by a link\n")
    }),
    ("a file in a directory that a link leads to", |world| {
        world.write("data/inside", "other data\n")
    }),
    ("the rules by which files are laid out", |world| {
        world.write(".gitattributes", "*.txt text eol=crlf\n")
    }),
    ("a trusted file", |world| {
        world.write("check.sh", "exit 1\n")
    }),
    ("what the fingerprint prints", |world| {
        world.write("tool", "tool 2\n")
    }),
    ("the gate's command", |world| {
        edit_plan(world, "test -e src/lib.rs", "test -L src/lib.rs")
    }),
    ("the gate's timeout", |world| {
        edit_plan(world, "{ id: test, run", "{ id: test, timeout: 7m, run")
    }),
    ("a variable of the gate", |world| {
        edit_plan(world, "timeout: 7m", "timeout: 7m, env: { A: b }")
    }),
    ("a variable of the plan", |world| {
        edit_plan(world, "tasks:", "env: { B: c }\ntasks:")
    }),
    ("its network", |world| {
        edit_plan(
            world,
            "tasks:",
            "room: { network: { gates: none } }\ntasks:",
        )
    }),
    ("its inputs", |world| {
        edit_plan(world, r#"["src/**"]"#, r#"["src/**", a.txt]"#)
    }),
];

#[test]
fn any_other_premise_makes_the_gate_run_again() {
    let world = world();
    run(&world, GateVerdict::Passed, "the first run");
    run(&world, GateVerdict::Reused, "the second run");
    for (what, change) in NOTHING_READ {
        change(&world);
        world.commit(what);
        run(&world, GateVerdict::Reused, what);
    }
    for (what, change) in READ {
        change(&world);
        world.commit(what);
        run(&world, GateVerdict::Passed, what);
        run(&world, GateVerdict::Reused, what);
    }
    // What the caller passes on.
    edit_plan(&world, "tasks:", "pass_env: [FLAVOUR]\ntasks:");
    world.commit("pass_env");
    run(&world, GateVerdict::Reused, "a variable that is not set");
    for expected in [GateVerdict::Passed, GateVerdict::Reused] {
        runs_with(&world, |command| {
            command.env("FLAVOUR", "mint");
        })
        .exits(0);
        assert_eq!(said(&world).verdict, expected);
    }
}

#[test]
fn what_lies_in_submodules_is_a_premise_however_it_is_named_and_so_is_whether_it_is_there() {
    let check = "! grep -q bad vendor/lib/a.txt";
    for inputs in ["vendor/lib/**", "**/*.txt", "link", "vendor/*"] {
        let (world, inner) = (World::new(), World::new());
        submodules::add(&world, &inner, "lib", "vendor/lib");
        std::os::unix::fs::symlink("vendor/lib/a.txt", world.repo().join("link")).unwrap();
        world.plan(&format!(
            "gates: [{{ id: test, run: '{check}', inputs: ['{inputs}'] }}]\n{TASK}"
        ));
        run(&world, GateVerdict::Passed, inputs);
        run(&world, GateVerdict::Reused, inputs);
        // Its clone is gone, so slots have an empty directory there.
        std::fs::rename(
            world.repo().join(".git/modules/lib"),
            world.dir().join("away"),
        )
        .unwrap();
        run(&world, GateVerdict::Passed, inputs);
        std::fs::rename(
            world.dir().join("away"),
            world.repo().join(".git/modules/lib"),
        )
        .unwrap();
        run(&world, GateVerdict::Reused, inputs);
        world.write("vendor/lib/a.txt", "bad\n");
        world.git(&[
            "-C",
            "vendor/lib",
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@b",
            "commit",
            "-qam",
            "bad",
        ]);
        world.commit("move it");
        world.run().exits(1);
        assert_eq!(said(&world).verdict, GateVerdict::Failed, "{inputs}");
    }
}

#[test]
fn what_a_glob_reaches_through_a_link_is_a_premise() {
    for inputs in ["cfg/**", "cfg/x", "**/x", "away/cfg/x"] {
        let world = World::new();
        world.write("shared/x", "good\n");
        std::os::unix::fs::symlink("shared", world.repo().join("cfg")).unwrap();
        std::os::unix::fs::symlink(".", world.repo().join("away")).unwrap();
        world.plan(&format!(
            "gates: [{{ id: test, run: grep -q good cfg/x, inputs: ['{inputs}'] }}]\n{TASK}"
        ));
        run(&world, GateVerdict::Passed, inputs);
        run(&world, GateVerdict::Reused, inputs);
        world.write("shared/x", "bad\n");
        world.commit("through the link");
        world.run().exits(1);
        assert_eq!(said(&world).verdict, GateVerdict::Failed, "{inputs}");
    }
}

#[test]
fn the_program_of_a_filter_is_a_premise() {
    let world = World::new();
    let smudge = world.dir().join("smudge");
    let program = |what: &str| {
        std::fs::write(&smudge, format!("#!/bin/sh\n{what}\n")).unwrap();
        std::fs::set_permissions(&smudge, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    program("cat");
    for (key, value) in [("smudge", smudge.to_str().unwrap()), ("clean", "cat")] {
        world.git(&["config", &format!("filter.own.{key}"), value]);
    }
    world.write(".gitattributes", "a.txt filter=own\n");
    world.plan(&format!(
        "gates: [{{ id: test, run: grep -q a a.txt, inputs: [a.txt] }}]\n{TASK}"
    ));
    run(&world, GateVerdict::Passed, "the first run");
    run(&world, GateVerdict::Reused, "the second run");
    program("tr a b");
    world.run().exits(1);
    assert_eq!(said(&world).verdict, GateVerdict::Failed);
}

#[test]
fn the_mode_of_new_files_is_a_premise() {
    let world = World::with(&format!(
        "gates: [{{ id: test, run: ls -l a.txt, inputs: [a.txt] }}]\n{TASK}"
    ));
    for (mask, expected) in [
        ("022", GateVerdict::Passed),
        ("022", GateVerdict::Reused),
        ("077", GateVerdict::Passed),
        ("077", GateVerdict::Reused),
    ] {
        let mut shell = world.command("sh");
        shell.args([
            "-c",
            &format!("umask {mask}; exec \"$@\""),
            "sh",
            env!("CARGO_BIN_EXE_omk"),
            "run",
        ]);
        World::start_command(shell).ends().exits(0);
        assert_eq!(said(&world).verdict, expected, "{mask}");
    }
}

#[test]
fn a_fingerprint_that_fails_keeps_verdicts_from_being_reused() {
    let world = World::with(&format!(
        "gates: [{{ id: test, run: 'true', inputs: [src], fingerprint: exit 3 }}]\n{TASK}"
    ));
    for _ in 0..2 {
        run(&world, GateVerdict::Passed, "no fingerprint");
        assert_eq!(
            said(&world).note,
            "its fingerprint exited with 3, so no verdict is reused"
        );
    }
}

#[test]
fn only_a_clean_pass_in_a_sealed_room_without_kept_caches_is_reused() {
    let again = |plan: &str, expected: GateVerdict, room: &str, exit: i32| {
        let world = World::with(plan);
        for _ in 0..2 {
            runs_with(&world, |command| {
                command.env("OMK_ROOM_AT_MOST", room);
            })
            .exits(exit);
            let outcome = said(&world);
            assert_eq!((outcome.verdict, outcome.reuse), (expected, None), "{plan}");
        }
    };
    let gate = |rest: &str| format!("gates: [{{ id: test, inputs: [src], {rest} }}]\n{TASK}");
    again(&gate("run: 'true'"), GateVerdict::Passed, "landlock", 0);
    again(&gate("run: 'false'"), GateVerdict::Failed, "sealed", 1);
    let warns = r#"report: { format: junit, path: out.xml }, run: "echo '<testsuite><testcase classname=\"c\" name=\"n\"><failure/></testcase></testsuite>' > out.xml""#;
    again(&gate(warns), GateVerdict::Passed, "sealed", 0);
    let kept = gate("required: false, run: test -e target/ok").replace(
        "run: echo 1 > one.txt",
        "run: mkdir -p target; echo 1 | tee target/ok > one.txt",
    );
    again(
        &format!("keep: [target]\n{kept}"),
        GateVerdict::Passed,
        "sealed",
        0,
    );
    // Nothing is said of what it reads.
    again(
        &format!("gates: [{{ id: test, run: 'true' }}]\n{TASK}"),
        GateVerdict::Passed,
        "sealed",
        0,
    );
}

#[test]
fn verify_checks_a_reused_verdict_against_its_proof() {
    let world = world();
    run(&world, GateVerdict::Passed, "the first run");
    let first = world.run_dir().join("proofs");
    run(&world, GateVerdict::Reused, "the second run");
    let origin = first.join("one.json");
    let sound = std::fs::read_to_string(&origin).unwrap();
    let proof: serde_json::Value = serde_json::from_str(&sound).unwrap();
    let key = proof["predicate"]["gates"][0]["reuse_key"]
        .as_str()
        .unwrap();
    let commit = proof["predicate"]["result"]["commit"].as_str().unwrap();
    let other = |digest: &str| {
        if digest.starts_with('0') {
            digest.replacen('0', "1", 1)
        } else {
            format!("0{}", &digest[1..])
        }
    };
    for (old, new) in [
        (key.to_owned(), other(key)),
        (commit.to_owned(), other(commit)),
        ("\"passed\"".into(), "\"failed\"".into()),
    ] {
        std::fs::write(&origin, sound.replace(&old, &new)).unwrap();
        world
            .omk(&["verify"])
            .exits(1)
            .says("the verdict of the gate `test` is reused from")
            .says("which does not say that");
    }
    std::fs::remove_file(&origin).unwrap();
    world
        .omk(&["verify"])
        .exits(0)
        .says("which is not here and was not checked");
}
