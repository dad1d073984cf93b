//! Files that a child, another job or a stranger could have written, with something else in their
//! place: a pipe, a link to an endless device, a socket, a directory, ten gigabytes of nothing.
//! Whatever reads them ends at once, and says why.

use std::time::Duration;

use serde_json::json;

use crate::e2e_world::{bash, write};
use crate::model::{Model, Turn};
use crate::world::{Said, World};

/// Far longer than any of these commands takes on a busy machine, and far shorter than reading ten
/// gigabytes.
const SOON: Duration = Duration::from_secs(30);

/// The most memory that omk may ask for, in kilobytes of address space: less than half of the
/// largest file here.
const MEMORY: u32 = 4 << 20;

/// Ways to put something into the place of `$1`, with names.
const MADE: [(&str, &str); 6] = [
    ("pipe", "mkfifo \"$1\""),
    ("zero", "ln -s /dev/zero \"$1\""),
    ("link", "ln -s /etc/hostname \"$1\""),
    (
        "socket",
        "python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' \"$1\"",
    ),
    ("directory", "mkdir \"$1\""),
    ("endless", "truncate -s 10G \"$1\""),
];

/// One gate, one task.
const PLAN: &str = "
gates: [{ id: ok, run: 'echo fine' }]
defaults: { gates: [ok] }
tasks: [{ id: one, run: 'echo one > one' }]
";

fn put(world: &World, script: &str, place: &str) {
    let mut shell = world.command("sh");
    // A socket's whole path has at most 108 characters.
    shell.args(["-c", &format!("rm -rf \"$1\" && {script}"), "sh", place]);
    assert!(shell.status().unwrap().success(), "{script} {place}");
}

fn soon(world: &World, args: &[&str]) -> Said {
    let mut shell = world.command("sh");
    shell
        .args([
            "-c",
            &format!("ulimit -v {MEMORY}; exec \"$0\" \"$@\""),
            env!("CARGO_BIN_EXE_omk"),
        ])
        .args(args);
    World::start_command(shell)
        .killed_after(SOON)
        .unwrap_or_else(|| panic!("{args:?} does not end"))
}

/// What verify says of a run in which each thing stands in the place of one file.
fn verified(world: &World, file: &str) -> String {
    let run = world.run_dir();
    let place = run.join(file);
    let kept = run.join("kept");
    std::fs::rename(&place, &kept).unwrap();
    let mut all = String::new();
    for (what, script) in MADE {
        put(
            world,
            &format!("cd \"$(dirname \"$1\")\" && set -- \"$(basename \"$1\")\" && {script}"),
            place.to_str().unwrap(),
        );
        let said = soon(world, &["verify"]);
        assert!([1, 2].contains(&said.code), "{what}: {said:?}");
        let lines = said.out.lines().chain(said.err.lines());
        let why: Vec<&str> = lines
            .filter(|line| line.trim_start().starts_with("- ") || line.starts_with("error"))
            .collect();
        all.push_str(&format!(
            "{what}: {}\n",
            world.plain(&why.join("\n")).trim()
        ));
    }
    put(world, "true", place.to_str().unwrap());
    std::fs::rename(&kept, &place).unwrap();
    soon(world, &["verify"]).exits(0);
    all
}

#[test]
fn verify_ends_at_once_whatever_lies_in_the_place_of_a_proof_a_log_or_a_plan() {
    let world = World::new();
    world.write("omk.yaml", &format!("version: 1\nname: story\n{PLAN}"));
    world.run().exits(0);
    insta::assert_snapshot!(verified(&world, "proofs/one.json"), @r"
    pipe: error: failed to read [DIR]/repo/.git/omk/runs/[RUN]/proofs/one.json: it is a pipe, and not a plain file
    zero: error: failed to read [DIR]/repo/.git/omk/runs/[RUN]/proofs/one.json: it is a symbolic link, and not a plain file
    link: error: failed to read [DIR]/repo/.git/omk/runs/[RUN]/proofs/one.json: it is a symbolic link, and not a plain file
    socket: error: failed to read [DIR]/repo/.git/omk/runs/[RUN]/proofs/one.json: it is a socket, and not a plain file
    directory: error: failed to read [DIR]/repo/.git/omk/runs/[RUN]/proofs/one.json: it is a directory, and not a plain file
    endless: error: failed to read [DIR]/repo/.git/omk/runs/[RUN]/proofs/one.json: it holds more than 32 MiB, the most that omk reads of it
    ");
    insta::assert_snapshot!(verified(&world, "logs/one/1/gate-ok-1.log"), @r"
    pipe: - logs/one/1/gate-ok-1.log was not read: it is a pipe, and not a plain file
            - logs/one/1/gate-ok-1.log was not read: it is a pipe, and not a plain file
    zero: - logs/one/1/gate-ok-1.log was not read: it is a symbolic link, and not a plain file
            - logs/one/1/gate-ok-1.log was not read: it is a symbolic link, and not a plain file
    link: - logs/one/1/gate-ok-1.log was not read: it is a symbolic link, and not a plain file
            - logs/one/1/gate-ok-1.log was not read: it is a symbolic link, and not a plain file
    socket: - logs/one/1/gate-ok-1.log was not read: it is a socket, and not a plain file
            - logs/one/1/gate-ok-1.log was not read: it is a socket, and not a plain file
    directory: - logs/one/1/gate-ok-1.log was not read: it is a directory, and not a plain file
            - logs/one/1/gate-ok-1.log was not read: it is a directory, and not a plain file
    endless: - logs/one/1/gate-ok-1.log was not read: it holds more than 256 MiB, the most that omk reads of it
            - logs/one/1/gate-ok-1.log was not read: it holds more than 256 MiB, the most that omk reads of it
    ");
    insta::assert_snapshot!(verified(&world, "plan.yaml"), @r"
    pipe: - the plan omk.yaml is not at the commit that the proof names, nor in the run's directory
            - the plan omk.yaml is not at the commit that the proof names, nor in the run's directory
    zero: - the plan omk.yaml is not at the commit that the proof names, nor in the run's directory
            - the plan omk.yaml is not at the commit that the proof names, nor in the run's directory
    link: - the plan omk.yaml is not at the commit that the proof names, nor in the run's directory
            - the plan omk.yaml is not at the commit that the proof names, nor in the run's directory
    socket: - the plan omk.yaml is not at the commit that the proof names, nor in the run's directory
            - the plan omk.yaml is not at the commit that the proof names, nor in the run's directory
    directory: - the plan omk.yaml is not at the commit that the proof names, nor in the run's directory
            - the plan omk.yaml is not at the commit that the proof names, nor in the run's directory
    endless: - the plan omk.yaml is not at the commit that the proof names, nor in the run's directory
            - the plan omk.yaml is not at the commit that the proof names, nor in the run's directory
    ");
}

#[test]
fn a_run_whose_journal_is_no_file_is_refused_at_once() {
    let world = World::with(PLAN);
    world.run().exits(0);
    let journal = world.run_dir().join("journal.jsonl");
    let mut all = String::new();
    for (what, script) in MADE {
        put(
            &world,
            &format!("cd \"$(dirname \"$1\")\" && set -- journal.jsonl && {script}"),
            journal.to_str().unwrap(),
        );
        let run = world.run_dir();
        let said = soon(
            &world,
            &["replay", run.file_name().unwrap().to_str().unwrap()],
        );
        assert_ne!(said.code, 0, "{what}: {said:?}");
        all.push_str(&format!(
            "{what}: {}\n",
            world.plain(said.err.lines().next().unwrap_or_default())
        ));
    }
    insta::assert_snapshot!(all, @r"
    pipe: error: failed to read [DIR]/repo/.git/omk/runs/[RUN]/journal.jsonl: it is a pipe, and not a plain file
    zero: error: failed to read [DIR]/repo/.git/omk/runs/[RUN]/journal.jsonl: it is a symbolic link, and not a plain file
    link: error: failed to read [DIR]/repo/.git/omk/runs/[RUN]/journal.jsonl: it is a symbolic link, and not a plain file
    socket: error: failed to read [DIR]/repo/.git/omk/runs/[RUN]/journal.jsonl: it is a socket, and not a plain file
    directory: error: failed to read [DIR]/repo/.git/omk/runs/[RUN]/journal.jsonl: it is a directory, and not a plain file
    endless: error: failed to read [DIR]/repo/.git/omk/runs/[RUN]/journal.jsonl: it holds more than 256 MiB, the most that omk reads of it
    ");
}

/// A task that leaves such things in its slot, its HOME and its TMPDIR, and how it ended.
fn left(place: &str) -> String {
    let mut all = String::new();
    for (what, script) in MADE {
        let run = format!("set -- {place}; rm -rf \"$1\"; {script}; echo one > one");
        let plan = format!(
            "gates: [{{ id: ok, run: 'true' }}]\n\
             defaults: {{ gates: [ok], timeout: 20s, retry_policy: {{ max_attempts: 0 }} }}\n\
             tasks: [{{ id: bad, run: {} }}]\n",
            json!(run)
        );
        let world = World::with(&plan);
        let said = soon(&world, &["run"]);
        let message = world
            .failures("bad")
            .first()
            .map(|failure| format!("{:?}: {}", failure.class, failure.message));
        let message =
            message.unwrap_or_else(|| format!("done, {}", world.files("omk/run/story").join(" ")));
        all.push_str(&format!(
            "{what}: exit {}, {}\n",
            said.code,
            world.plain(&message)
        ));
        // The slot is good for the next holder.
        world.no_child_is_left();
        world.plan("gates: [{ id: ok, run: 'true' }]\ntasks: [{ id: good, run: 'echo good > good', gates: [ok] }]\n");
        world.commit("another plan");
        soon(&world, &["run"]).exits(0);
    }
    all
}

#[test]
fn whatever_stands_in_the_place_of_rules_in_a_slot_a_run_ends() {
    insta::assert_snapshot!(left(".gitignore"), @r"
    pipe: exit 1, Scope: `.gitignore` cannot be stored in git: it is, or leads to, a pipe or a device
    zero: exit 1, Scope: `.gitignore` cannot be stored in git: it is, or leads to, a pipe or a device
    link: exit 1, Scope: .gitignore is a symbolic link that leads out of the repository
    socket: exit 1, Scope: `.gitignore` cannot be stored in git: it is, or leads to, a pipe or a device
    directory: exit 0, done, a.txt omk.yaml one src/lib.rs
    endless: exit 1, Scope: `.gitignore` cannot be stored in git: it is larger than 1 MiB, and rules of that size are not read
    ");
    insta::assert_snapshot!(left(".gitattributes"), @r"
    pipe: exit 1, Scope: `.gitattributes` cannot be stored in git: it is, or leads to, a pipe or a device
    zero: exit 1, Scope: `.gitattributes` cannot be stored in git: it is, or leads to, a pipe or a device
    link: exit 1, Scope: `.gitattributes` is a symbolic link, and git reads its settings only from a file
    socket: exit 1, Scope: `.gitattributes` cannot be stored in git: it is, or leads to, a pipe or a device
    directory: exit 0, done, .gitignore a.txt omk.yaml one src/lib.rs
    endless: exit 1, Scope: `.gitattributes` cannot be stored in git: it is larger than 1 MiB, and rules of that size are not read
    ");
}

#[test]
fn whatever_a_task_leaves_in_its_private_places_a_run_ends() {
    insta::assert_snapshot!(left("\"$TMPDIR/x\""), @r"
    pipe: exit 0, done, .gitignore a.txt omk.yaml one src/lib.rs
    zero: exit 0, done, .gitignore a.txt omk.yaml one src/lib.rs
    link: exit 0, done, .gitignore a.txt omk.yaml one src/lib.rs
    socket: exit 0, done, .gitignore a.txt omk.yaml one src/lib.rs
    directory: exit 0, done, .gitignore a.txt omk.yaml one src/lib.rs
    endless: exit 0, done, .gitignore a.txt omk.yaml one src/lib.rs
    ");
    insta::assert_snapshot!(left("\"$HOME/.gitconfig\""), @r"
    pipe: exit 0, done, .gitignore a.txt omk.yaml one src/lib.rs
    zero: exit 0, done, .gitignore a.txt omk.yaml one src/lib.rs
    link: exit 0, done, .gitignore a.txt omk.yaml one src/lib.rs
    socket: exit 0, done, .gitignore a.txt omk.yaml one src/lib.rs
    directory: exit 0, done, .gitignore a.txt omk.yaml one src/lib.rs
    endless: exit 0, done, .gitignore a.txt omk.yaml one src/lib.rs
    ");
    insta::assert_snapshot!(left(".git"), @r"
    pipe: exit 0, done, .gitignore a.txt omk.yaml one src/lib.rs
    zero: exit 0, done, .gitignore a.txt omk.yaml one src/lib.rs
    link: exit 0, done, .gitignore a.txt omk.yaml one src/lib.rs
    socket: exit 0, done, .gitignore a.txt omk.yaml one src/lib.rs
    directory: exit 0, done, .gitignore a.txt omk.yaml one src/lib.rs
    endless: exit 0, done, .gitignore a.txt omk.yaml one src/lib.rs
    ");
}

#[test]
fn patterns_and_paths_that_take_ages_to_compare_end_the_task_instead() {
    let long = "a".repeat(200);
    // The first ones would take for ever if each star were tried everywhere; the others are long,
    // and count as such.
    let run = format!(
        "for n in $(seq 20); do echo \"a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b$n\"; done > .gitignore; \
         for n in $(seq 300); do echo \"[b]{long}{long}{long}{long}{long}$n\"; done >> .gitignore; \
         for n in $(seq 300); do : > \"{long}$n\"; done"
    );
    let plan = format!(
        "gates: [{{ id: ok, run: 'true' }}]\n\
         defaults: {{ gates: [ok], retry_policy: {{ max_attempts: 0 }} }}\n\
         tasks: [{{ id: bad, run: {} }}]\n",
        json!(run)
    );
    let world = World::with(&plan);
    let running = world.start(&["run"]);
    running.killed_after(SOON * 4).expect("it ends").exits(1);
    let message = world.failures("bad").remove(0).message;
    assert!(message.contains("its patterns take too long"), "{message}");
}

#[tokio::test]
async fn an_agent_that_makes_a_pipe_of_its_sessions_list_is_ended_and_starts_anew() {
    let spoil =
        bash("cd \"$KIMI_CODE_HOME\" && rm session_index.jsonl && mkfifo session_index.jsonl");
    let good = write("one.txt", "one\n");
    let done = || Turn::Say("done");
    let turns = vec![("do one", vec![Turn::OneByOne(vec![spoil, good]), done()])];
    let model = Model::start(turns).await;
    let plan = "limits: { workers: 1 }\n\
                gates: [{ id: ok, run: 'true' }]\n\
                defaults: { gates: [ok], timeout: 60s, retry_policy: { max_attempts: 1, backoff_seconds: 0 } }\n\
                tasks: [{ id: one, prompt: do one, write_set: [one.txt] }]\n";
    let world = crate::e2e_world::World::new(&model, plan).await;
    let ended = world.run(&["run"]).await;
    assert_eq!(
        (ended.code, world.attempts("one").as_str()),
        (Some(0), "host, changed"),
        "{ended:?}"
    );
    let message = world.message("one");
    assert!(
        message.contains("session_index.jsonl: it is a pipe"),
        "{message}"
    );
    world.assert_nobody_is_left().await;
}
