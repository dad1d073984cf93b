//! All attempts from inside a run of the built omk: from a command, from a gate, and from the shell
//! of the real CLI.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stderr, reason = "a skipped test says so")]

use std::path::Path;

use omk_action::id::Sha256;
use omk_action::plan::RoomLevel;

use super::alone::exceptions;
use super::battery::{Machine, Outcome, program, yards};
use super::ordinary;
use super::places::Places;
use crate::e2e_world;
use crate::model::{Model, Turn};
use crate::world::World;

/// All attempts, away from the files of the repository. What they said is a file of the change.
const ATTEMPT: &str = "mkdir yard && cd yard && python3 ../attempts.py run ../machine.json > ../results.txt; cd ..; rm -rf yard";

/// A task and its gate that make all attempts.
const PLAN: &str = r#"
room: { network: { tasks: none, gates: none } }
gates: [{ id: attack, run: "python3 attempts.py run machine.json; rm -rf * 2>/dev/null; true", timeout: 5m }]
tasks: [{ id: attack, run: "ATTEMPT", write_set: ["**"], gates: [attack], retry_policy: { max_attempts: 0 } }]
"#;

/// The places of a world in which omk runs.
pub(super) fn places(repo: &Path, home: &Path, cache: &Path) -> Places {
    let git = repo.join(".git").canonicalize().unwrap();
    let digest = Sha256::of(git.as_os_str().as_encoded_bytes());
    Places {
        checkout: repo.to_owned(),
        git,
        user: home.to_owned(),
        pool: cache.join("omk/slots").join(&digest.as_str()[..12]),
        cache: home.join(".cargo"),
    }
}

fn check(level: RoomLevel, outcome: &Outcome) {
    match level {
        RoomLevel::Sealed => outcome.assert_all_held(),
        RoomLevel::Landlock | RoomLevel::None => {
            let kinds = outcome.kinds().into_iter().map(ToOwned::to_owned).collect();
            assert_eq!(exceptions(), kinds, "{:#?}", outcome.out);
        }
    }
}

/// Whether all children of the newest run had rooms of that level.
pub(super) fn had(level: RoomLevel, journal: &str) -> bool {
    let words = format!("\"level\":\"{level}\"");
    let found = journal.matches("\"level\":\"").count() == journal.matches(&words).count()
        && journal.contains(&words);
    if !found {
        eprintln!("skipped: there are no rooms of level {level} here");
    }
    found
}

fn command_and_gate(level: RoomLevel) {
    let world = World::below(&yards()).env("OMK_ROOM_AT_MOST", &level.to_string());
    let dir = tempfile::Builder::new()
        .prefix("e")
        .tempdir_in(yards())
        .unwrap();
    let places = places(
        &world.repo(),
        &world.dir().join("home"),
        &world.dir().join("cache"),
    );
    let mut machine = Machine::around(dir, places);
    world.write("attempts.py", &program());
    world.write("machine.json", &machine.description(level));
    world.write(".gitignore", "/private.txt\n/SECRET-*\n");
    world.plan(&PLAN.replace("ATTEMPT", ATTEMPT));
    machine.begin();
    world.run().exits(0);
    let run = world.run_dir();
    let journal = std::fs::read_to_string(run.join("journal.jsonl")).unwrap();
    if !had(level, &journal) {
        return;
    }
    check(
        level,
        &machine.outcome(&world.shows("omk/run/story", "results.txt")),
    );
    let logs = logs_with(&run, "a_file_outside_is_overwritten");
    assert!(!logs.is_empty(), "the gate's log is gone");
    for log in logs {
        check(level, &machine.outcome(&log));
    }
}

/// The logs below a directory that hold a text.
pub(super) fn logs_with(dir: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(logs_with(&entry.path(), text));
        } else if entry
            .path()
            .extension()
            .is_some_and(|extension| extension == "log")
        {
            let log = String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()).into_owned();
            found.extend(Some(log).filter(|log| log.contains(text)));
        }
    }
    found
}

#[test]
fn a_command_and_a_gate_in_sealed_rooms_are_held() {
    command_and_gate(RoomLevel::Sealed);
    ordinary::user_passes("escape::whole::a_command_and_a_gate_in_sealed_rooms_are_held");
}

#[test]
fn a_command_and_a_gate_under_landlock_do_what_security_says() {
    command_and_gate(RoomLevel::Landlock);
    ordinary::user_passes(
        "escape::whole::a_command_and_a_gate_under_landlock_do_what_security_says",
    );
}

async fn shell_of_the_agent(level: RoomLevel) {
    let command: &'static str = ATTEMPT;
    let model = Model::start(vec![(
        "do attack",
        vec![e2e_world::bash(command), Turn::Say("done")],
    )])
    .await;
    let rest = "tasks: [{ id: attack, prompt: do attack, write_set: ['**'], retry_policy: { max_attempts: 0 } }]\n";
    let world = e2e_world::World::new(&model, rest).await;
    let dir = tempfile::Builder::new()
        .prefix("e")
        .tempdir_in(yards())
        .unwrap();
    let places = places(&world.at("repo"), &world.at("home"), &world.at("cache"));
    let mut machine = Machine::around(dir, places);
    std::fs::write(world.at("repo/attempts.py"), program()).unwrap();
    std::fs::write(world.at("repo/machine.json"), machine.description(level)).unwrap();
    std::fs::write(world.at("repo/.gitignore"), "/private.txt\n/SECRET-*\n").unwrap();
    world.git(&["add", "-A"]);
    world.git(&[
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.com",
        "commit",
        "-qm",
        "attempts",
    ]);
    machine.begin();
    let mut omk = world.omk(&["run"]);
    omk.env("OMK_ROOM_AT_MOST", level.to_string());
    let ended = world.end_of(omk).await;
    assert_eq!(world.attempts("attack"), "changed", "{ended:?}");
    let journal =
        std::fs::read_to_string(world.runs().pop().unwrap().join("journal.jsonl")).unwrap();
    if had(level, &journal) {
        check(
            level,
            &machine.outcome(&world.git(&["show", "omk/run/e2e:results.txt"])),
        );
    }
}

#[tokio::test]
async fn the_shell_of_the_real_cli_in_a_sealed_room_is_held() {
    shell_of_the_agent(RoomLevel::Sealed).await;
    ordinary::user_passes("escape::whole::the_shell_of_the_real_cli_in_a_sealed_room_is_held");
}

#[tokio::test]
async fn the_shell_of_the_real_cli_under_landlock_does_what_security_says() {
    shell_of_the_agent(RoomLevel::Landlock).await;
    ordinary::user_passes(
        "escape::whole::the_shell_of_the_real_cli_under_landlock_does_what_security_says",
    );
}
