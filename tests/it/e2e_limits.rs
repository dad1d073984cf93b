//! What stops a run of the built omk with the real Kimi CLI: a provider that wants to be waited
//! for, a used-up budget, a tool or a key that is not there.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::e2e_world::{KEY_ENV, World, until, write};
use crate::model::{Model, Turn};

const PAUSED: &str = r#"
limits: { workers: 1 }
tasks:
  - { id: slow, priority: 9, prompt: do slow, write_set: [slow.txt] }
  - { id: other, prompt: do other, write_set: [other.txt] }
  - { id: command, run: echo hi > command.txt, write_set: [command.txt] }
"#;

#[tokio::test]
async fn a_long_wait_pauses_every_agent_task_and_holds_up_no_command() {
    let slow = Turn::Status(
        429,
        Some(("retry-after", "600")),
        "rate_limit_reached_error",
        "slow down",
    );
    let model = Model::start(vec![
        ("do slow", vec![slow]),
        ("do other", vec![Turn::Say("never asked")]),
    ])
    .await;
    let world = World::new(&model, PAUSED).await;
    let omk = world.omk(&["run"]).spawn().unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(omk.id().unwrap()).unwrap()).unwrap();
    until("the command is done", || {
        world.attempts("command") == "changed"
    })
    .await;
    assert_eq!(world.attempts("slow"), "rate-limit");
    assert_eq!(
        world
            .journal()
            .iter()
            .find(|line| line["fact"]["outcome"]["class"] == "rate-limit")
            .unwrap()["fact"]["outcome"]["retry_after_ms"],
        600_000
    );
    assert_eq!((world.starts("other").len(), model.asked().len()), (0, 1));

    let (slow, other) = (world.record("slow").await, world.record("other").await);
    assert_eq!(
        (&slow["state"], &slow["retry_count"], &slow["owner"]),
        (&json!("pending"), &json!(1), &Value::Null)
    );
    assert!(
        slow["lease_expires"].is_string(),
        "the wake-up time: {slow}"
    );
    assert_eq!(
        (&other["state"], &other["retry_count"]),
        (&json!("pending"), &json!(0))
    );

    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let ended = omk.wait_with_output().await.unwrap();
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("omk resume"), "{stderr}");
    world.assert_nobody_is_left().await;
}

const BUDGET: &str = r#"
limits: { tokens: 150 }
gates: [{ id: check, run: sh check.sh }]
tasks: [{ id: talk, prompt: do talk, write_set: [talk.txt], gates: [check], retry_policy: { max_attempts: 0 } }]
"#;

#[tokio::test]
async fn a_budget_is_used_up_while_the_model_speaks_and_more_of_it_finishes() {
    // About a thousand tokens, of which forty are left.
    const LONG: &str = match std::str::from_utf8(&[b'x'; 4000]) {
        Ok(text) => text,
        Err(_) => "",
    };
    let talk = vec![
        write("talk.txt", "a\n"),
        Turn::OneByOne(vec![Turn::Say(LONG), Turn::Say("done")]),
    ];
    let model = Model::start(vec![("do talk", talk)]).await;
    let world = World::new(&model, BUDGET).await;
    let ended = world.run(&["run"]).await;
    assert_eq!(
        (ended.code, &world.report()["verdict"]),
        (Some(4), &json!("needs_more_budget")),
        "{ended:?}"
    );
    let record = world.record("talk").await;
    assert_eq!(
        (&record["state"], &record["retry_count"]),
        (&json!("pending"), &json!(0))
    );
    assert_eq!(
        (world.attempts("talk"), model.asked().len()),
        ("interrupted".to_owned(), 2)
    );
    assert_eq!(world.git(&["branch", "--list", "omk/*"]), "");

    // What was used is remembered: the same budget is still used up, and nobody is asked.
    let again = world.run(&["resume"]).await;
    assert_eq!((again.code, model.asked().len()), (Some(4), 2), "{again:?}");

    // Without the key it does not even begin, and loses nothing.
    let mut keyless = world.omk(&["resume", "--limits", "tokens=1000000"]);
    keyless.env_remove(KEY_ENV);
    let keyless = world.end_of(keyless).await;
    assert_eq!(keyless.code, Some(3), "{keyless:?}");

    let more = world.run(&["resume", "--limits", "tokens=1000000"]).await;
    assert_eq!(
        (more.code, &world.report()["verdict"]),
        (Some(0), &json!("ready")),
        "{more:?}"
    );
    assert_eq!(world.record("talk").await["retry_count"], 0);
    assert_eq!(
        world.git(&["log", "--format=%s", "main..omk/run/e2e"]),
        "talk"
    );
    world.assert_nobody_is_left().await;
}

const ONE: &str = "tasks: [{ id: one, prompt: do one }, { id: two, run: touch ran }]\n";

/// A program of that name that is this script.
fn program(dir: &std::path::Path, name: &str, script: &str) {
    std::fs::write(dir.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(dir.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// What omk says where PATH begins with these programs: (exit code, standard error). Nothing may
/// have been begun.
async fn refused(programs: &[(&str, &str)], cached: bool, keyed: bool) -> (Option<i32>, String) {
    let mut world = World::without_cli("http://127.0.0.1:9/v1", ONE);
    let bin = world.at("bin");
    std::fs::create_dir(&bin).unwrap();
    for (name, script) in programs {
        program(&bin, name, script);
    }
    world.set_path(format!("{}:/usr/bin:/bin", bin.display()));
    if cached {
        let package =
            world.at("cache/omk/tools/kimi-code-2.1.0/node_modules/@moonshot-ai/kimi-code");
        std::fs::create_dir_all(&package).unwrap();
        std::fs::write(
            package.join("package.json"),
            r#"{"version": "2.1.0", "bin": {"kimi": "main.mjs"}}"#,
        )
        .unwrap();
    }
    let mut omk = world.omk(&["run"]);
    if !keyed {
        omk.env_remove(KEY_ENV);
    }
    let ended = world.end_of(omk).await;
    assert_eq!(world.runs(), Vec::<std::path::PathBuf>::new());
    assert_eq!(ended.stderr.matches("error:").count(), 1, "{ended:?}");
    assert!(!world.at("cache/omk/slots").exists(), "no slot was made");
    (ended.code, ended.stderr)
}

#[tokio::test]
async fn what_is_missing_is_said_before_anything_runs() {
    let old_node = "test \"$1\" = --version && echo v20.20.2 && exit 0\n\
        echo \"SyntaxError: The requested module 'node:zlib' does not provide an export named 'createZstdDecompress'\" >&2\n\
        echo 'Node.js v20.20.2' >&2; exit 1";
    let on_old_node = [("node", old_node), ("kimi", "exec node /main.mjs \"$@\"")];
    for (programs, cached, keyed, words) in [
        (&[][..], false, false, [KEY_ENV, "--cassette"]),
        (
            &[("kimi", "echo 2.0.2")][..],
            false,
            true,
            ["2.0.2", "omk agent install"],
        ),
        (
            &on_old_node[..],
            false,
            true,
            ["v20.20.2", "omk agent install"],
        ),
        (
            &on_old_node[..1],
            true,
            true,
            ["v20.20.2", "omk agent install"],
        ),
        (&[][..], false, true, ["2.1.0", "omk agent install"]),
    ] {
        let (code, said) = refused(programs, cached, keyed).await;
        assert_eq!(code, Some(3), "{said}");
        assert!(
            words.iter().all(|word| said.contains(word)),
            "{words:?} in {said}"
        );
    }
}
