//! In a room that has no copy of the repository git can only read: an agent is told so, and what it
//! is told is true.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::process::Command;

use crate::e2e_world::{World, write};
use crate::model::{Model, Turn};
use crate::world;

/// The variable that keeps rooms at a level, whatever the machine has.
const AT_MOST: (&str, &str) = ("OMK_ROOM_AT_MOST", "landlock");

fn has_landlock() -> bool {
    let omk = Command::new(env!("CARGO_BIN_EXE_omk"))
        .args(["doctor", "--json"])
        .env(AT_MOST.0, AT_MOST.1)
        .output();
    String::from_utf8(omk.unwrap().stdout)
        .unwrap()
        .contains("level landlock")
}

#[tokio::test]
async fn an_agent_at_level_landlock_is_told_what_git_cannot_do() {
    let scripts = vec![(
        "do work",
        vec![write("work.txt", "done\n"), Turn::Say("done")],
    )];
    let model = Model::start(scripts).await;
    let world = World::new(
        &model,
        "tasks: [{ id: work, prompt: do work, write_set: [work.txt] }]\n",
    )
    .await;
    let mut omk = world.omk(&["run"]);
    omk.env(AT_MOST.0, AT_MOST.1);
    let ended = world.end_of(omk).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let asked: Vec<String> = model
        .asked()
        .into_iter()
        .map(|asked| asked.body["messages"].to_string())
        .collect();
    assert!(asked[0].contains("do work"), "{}", asked[0]);
    assert_eq!(
        asked[0].contains("Git can only read here."),
        has_landlock(),
        "{}",
        asked[0]
    );
}

#[test]
fn what_the_agent_is_told_of_git_at_level_landlock_is_true() {
    if !has_landlock() {
        return;
    }
    let fails = [
        "add a.txt",
        "commit -am x",
        "stash",
        "restore a.txt",
        "checkout a.txt",
        "switch -c z",
        "reset",
        "rm -f a.txt",
    ];
    let fails = fails
        .into_iter()
        .chain(["mv a.txt c.txt", "branch z", "tag z", "fetch ."]);
    let fails: String = fails
        .map(|words| format!("      ! git {words} 2>&1\n"))
        .collect();
    let works = [
        "status",
        "diff",
        "log",
        "show",
        "grep -n one",
        "blame a.txt",
        "ls-files",
    ];
    let works: String = works
        .into_iter()
        .map(|words| format!("      git {words}\n"))
        .collect();
    let plan = format!(
        "tasks:\n  - id: one\n    write_set: [a.txt, b.txt]\n    run: |\n      set -e\n      echo one > a.txt\n{works}{fails}{}",
        "      git diff > \"$TMPDIR/change.patch\"\n      git apply -R \"$TMPDIR/change.patch\"\n      grep -qx a a.txt\n      \
         git apply \"$TMPDIR/change.patch\"\n      grep -qx one a.txt\n      git show HEAD:a.txt > a.txt\n      \
         grep -qx a a.txt\n      mv a.txt b.txt\n"
    );
    let world = world::World::with(&plan).env(AT_MOST.0, AT_MOST.1);
    world.run().exits(0);
    assert_eq!(
        world.git(&[
            "diff",
            "--name-status",
            "--no-renames",
            "main",
            "omk/run/story"
        ]),
        "D\ta.txt\nA\tb.txt"
    );
}
