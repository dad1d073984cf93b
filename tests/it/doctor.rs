//! `omk doctor`: what a person reads about a machine that has everything, and about one that lacks
//! most.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::process::Command;

use serde_json::Value;

use crate::e2e_world::{KEY_ENV, World};
use crate::gateway::KEY;
use crate::model::Model;

const PROMPT: &str = "tasks: [{ id: one, prompt: do one, write_set: [one.txt] }]\n";

const COMMAND: &str = "tasks: [{ id: one, run: make, write_set: [one.txt] }]\n";

/// What omk printed without what differs from machine to machine: versions, directories, and the
/// room.
fn common(world: &World, text: &str) -> String {
    // Where a line is broken depends on how long the world's path is.
    let mut whole = String::new();
    for line in text.lines() {
        let goes_on = line.starts_with("         ") && !line.trim_start().starts_with("- ");
        let gap = match (whole.is_empty(), goes_on) {
            (true, _) => "",
            (false, true) => " ",
            (false, false) => "\n",
        };
        whole.push_str(gap);
        whole.push_str(if goes_on { line.trim_start() } else { line });
    }
    let text = whole.replace(world.at("").to_str().unwrap(), "[world]/");
    // A machine may have a Node.js that is new enough, or omk's cache has one.
    let text = text.replace("the Kimi Code CLI brings its own", "Node.js 24");
    let mut lines = Vec::new();
    let mut in_room = false;
    for line in text.trim_end().lines() {
        // What is said of a point follows it, farther to the right.
        in_room = line.contains("  room ") || (in_room && line.starts_with("         "));
        if in_room {
            continue;
        }
        let cut = [
            ("git version ", "git version [N]"),
            ("Node.js ", "Node.js [N]"),
        ]
        .into_iter()
        .find_map(|(word, cut)| {
            let at = line.find(word)?;
            line[at + word.len()..]
                .starts_with(|first: char| first.is_ascii_digit())
                .then(|| line[..at].to_owned() + cut)
        });
        lines.push(cut.unwrap_or_else(|| line.split(", with").next().unwrap_or(line).to_owned()));
    }
    lines.join("\n")
}

/// A PATH with git and a shell alone.
fn bare_path(world: &World) -> String {
    let bare = world.at("bare");
    std::fs::create_dir(&bare).unwrap();
    for name in ["git", "sh"] {
        let found = Command::new("sh")
            .args(["-c", &format!("command -v {name}")])
            .output()
            .unwrap();
        let path = String::from_utf8(found.stdout).unwrap();
        std::os::unix::fs::symlink(path.trim(), bare.join(name)).unwrap();
    }
    bare.display().to_string()
}

#[tokio::test]
async fn a_machine_with_everything_can_start_a_run() {
    let model = Model::start(Vec::new()).await;
    let world = World::new(&model, PROMPT).await;
    let ended = world.run(&["doctor", "--online"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let said = ended
        .stdout
        .replace(&model.base_url, "http://127.0.0.1:PORT/v1");
    insta::assert_snapshot!(common(&world, &said), @"
    ok       git       git version [N]
    ok       node      Node.js [N]
    ok       agent     Kimi Code CLI 2.1.0
    ok       key       MODEL_KEY is set
    ok       provider  http://127.0.0.1:PORT/v1 has kimi-k3, and takes the key
                       - omk counts Moonshot's prices in USD for `kimi-k3`; set `prices` in the plan if this provider has others
    ok       checkout  no tool that children use leads into it

    a run can start
    ");
    assert!(!format!("{ended:?}").contains(KEY), "{ended:?}");
    assert_eq!(model.asked().len(), 0, "nothing was paid");
    let quiet = world.run(&["doctor", "--json"]).await;
    let json: Value = serde_json::from_str(&quiet.stdout).unwrap();
    assert_eq!(json["can_start"], true, "{json:#}");
    assert_eq!(model.looked_up(), ["/v1/models"], "only `--online` asks");
}

#[tokio::test]
async fn a_machine_that_lacks_things_is_told_what_to_do() {
    let mut world = World::without_cli("http://127.0.0.1:9/v1", PROMPT);
    world.set_path(bare_path(&world));
    let mut omk = world.omk(&["doctor", "--online"]);
    omk.env_remove(KEY_ENV);
    let ended = world.end_of(omk).await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    insta::assert_snapshot!(common(&world, &ended.stdout), @"
    ok       git       git version [N]
    missing  node      failed to run the Kimi Code CLI: it needs Node.js [N]
                       - run `omk agent install`, which brings one along
    missing  agent     failed to find the Kimi Code CLI 2.1.0: it is neither on PATH nor in [world]/cache/omk/tools/kimi-code-2.1.0
                       - run `omk agent install`
    missing  key       there is no key for the model: the variable MODEL_KEY is not set
                       - make a key at the provider behind http://127.0.0.1:9/v1
                       - set MODEL_KEY for omk alone: no child of omk sees it
                       - or serve recorded answers with `omk run --cassette DIR`
    ok       checkout  no tool that children use leads into it

    a run cannot start: 3 things are missing
    ");
    world.rewrite_plan(|_| format!("version: 1\n{COMMAND}"));
    let ended = world.run(&["doctor"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    insta::assert_snapshot!(common(&world, &ended.stdout), @"
    ok       git       git version [N]
    ok       agent     not needed: no task of the plan has a prompt
    ok       checkout  no tool that children use leads into it

    a run can start
    ");
}

#[tokio::test]
async fn without_a_plan_or_git_no_run_can_start() {
    let mut world = World::without_cli("http://127.0.0.1:9/v1", COMMAND);
    std::fs::remove_file(world.at("repo/omk.yaml")).unwrap();
    world.set_path(world.at("tmp"));
    let ended = world.run(&["doctor", "--json"]).await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let json: Value = serde_json::from_str(&ended.stdout).unwrap();
    let checks = json["checks"].as_array().unwrap().iter();
    let missing: Vec<&str> = checks
        .filter(|check| {
            check["state"] == "missing" && !check["next"].as_array().unwrap().is_empty()
        })
        .filter_map(|check| check["check"].as_str())
        .collect();
    assert_eq!(
        (&json["can_start"], &missing[..2]),
        (&Value::Bool(false), &["plan", "git"][..]),
        "{json:#}"
    );
}

#[tokio::test]
async fn a_toolchain_that_rustup_has_not_installed_is_named_before_a_run() {
    let world = World::without_cli("http://127.0.0.1:9/v1", COMMAND);
    let arch = std::env::consts::ARCH;
    let installed = world.at(&format!(
        "rustup/toolchains/1.70.0-{arch}-unknown-linux-gnu"
    ));
    std::fs::create_dir_all(installed).unwrap();
    let told = async |channel: &str| {
        let file = format!("[toolchain]\nchannel = \"{channel}\"\n");
        std::fs::write(world.at("repo/rust-toolchain.toml"), file).unwrap();
        let mut omk = world.omk(&["doctor", "--json"]);
        omk.env("RUSTUP_HOME", world.at("rustup"));
        let ended = world.end_of(omk).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let json: Value = serde_json::from_str(&ended.stdout).unwrap();
        json["checks"]
            .as_array()
            .unwrap()
            .iter()
            .find(|check| check["check"] == "rustup")
            .unwrap()
            .clone()
    };
    let missing = told("1.80.0").await;
    assert_eq!(missing["state"], "warn", "{missing}");
    assert_eq!(
        missing["next"][0],
        "install it before a run: `rustup toolchain install 1.80.0`"
    );
    let there = told("1.70.0").await;
    assert_eq!(
        (&there["state"], &there["found"]),
        (&"ok".into(), &"1.70.0, as rust-toolchain.toml asks".into())
    );
}

#[tokio::test]
async fn every_line_that_is_not_ok_says_what_to_do() {
    let mut world = World::without_cli("http://127.0.0.1:9/v1", PROMPT);
    world.set_path(bare_path(&world));
    let mut omk = world.omk(&["doctor", "--online", "--json"]);
    omk.env("OMK_ROOM_AT_MOST", "landlock");
    let ended = world.end_of(omk).await;
    let json: Value = serde_json::from_str(&ended.stdout).unwrap();
    let checks = json["checks"].as_array().unwrap();
    let silent: Vec<&Value> = checks
        .iter()
        .filter(|check| check["state"] != "ok" && check["next"].as_array().unwrap().is_empty())
        .collect();
    assert!(checks.len() > 4 && silent.is_empty(), "{silent:#?}");
}
