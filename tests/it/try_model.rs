//! `scripts/try-model`, as a person with a key runs it: the script itself, the real CLI, a strict
//! provider.

use std::process::Stdio;

use serde_json::json;

use crate::e2e_world::{World, bash};
use crate::gateway::KEY;
use crate::model::{Model, Offer, Turn};

async fn tried(model: &Model, arguments: &[&str], key_env: &str) -> (Option<i32>, String) {
    let world = World::new(model, "tasks: [{ id: unused, run: 'true' }]\n").await;
    let mut script =
        tokio::process::Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/try-model"));
    script
        .args(arguments)
        .args(["--base-url", &model.base_url])
        .env_clear();
    script
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("LANG", "C.UTF-8");
    script
        .env("HOME", world.at("home"))
        .env("XDG_CACHE_HOME", world.at("cache"))
        .env("TMPDIR", world.at("tmp"));
    script
        .env("OMK", env!("CARGO_BIN_EXE_omk"))
        .env(key_env, KEY);
    script
        .current_dir(world.at("home"))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = script.output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(!stdout.contains(KEY) && !stderr.contains(KEY));
    assert_eq!(
        std::fs::read_dir(world.at("tmp")).unwrap().count(),
        0,
        "nothing is left behind"
    );
    let found = stdout
        .split_once("== What was found\n")
        .map(|(_, found)| found.to_owned());
    (
        output.status.code(),
        found
            .unwrap_or(stderr)
            .replace(&model.base_url, "http://127.0.0.1:PORT/v1"),
    )
}

#[tokio::test]
async fn a_good_model_is_reported_with_what_it_can_do_and_costs() {
    let edit = json!({"path": "add.py", "old_string": "a - b", "new_string": "a + b"});
    let answers = vec![
        bash("python3 check.py"),
        Turn::Use(vec![("Edit", edit)]),
        bash("python3 check.py"),
        Turn::Say("It subtracted."),
    ];
    let model = Model::start(vec![("add.py should add", answers)]).await;
    let (code, found) = tried(&model, &[], "KIMI_API_KEY").await;
    assert_eq!(code, Some(0), "{found}");
    insta::assert_snapshot!(found.trim_end(), @r"
    model      kimi-k3 at http://127.0.0.1:PORT/v1, thinking auto
    verdict    ready (exit 0)
    answers    4, with the tools Bash, Edit
    edit       yes
    shell      yes
    reasoning  yes, 16 tokens
    tokens     240 input, 160 cached input, 40 output
    cost       $0.0014
    ");
}

#[tokio::test]
async fn a_model_that_refuses_is_reported_in_its_own_words() {
    let says = Turn::Status(
        403,
        None,
        "permission_denied_error",
        "The API you are accessing is not open",
    );
    let model = Model::offering(Offer::Subscription, vec![("add.py should add", vec![says])]).await;
    let (code, found) = tried(
        &model,
        &["kimi-for-coding", "--thinking", "on"],
        "KIMI_CODE_API_KEY",
    )
    .await;
    assert_eq!(code, Some(3), "{found}");
    insta::assert_snapshot!(found.trim_end(), @r"
    model      kimi-for-coding at http://127.0.0.1:PORT/v1, thinking on
    verdict    blocked_on_external (exit 3)
    answers    0
    edit       no
    shell      no
    reasoning  no, 0 tokens
    tokens     0 input, 0 cached input, 0 output
    cost       not known
    failure    auth: the provider answered 403 (permission_denied_error): The API you are accessing is not open
    what to do check the key in KIMI_CODE_API_KEY: keys for this address are made at the provider
    ");
}

#[tokio::test]
async fn a_model_that_is_gone_costs_nothing() {
    let model = Model::start(Vec::new()).await;
    let (code, said) = tried(&model, &["kimi-k2.5"], "KIMI_API_KEY").await;
    assert_eq!((code, model.asked().len()), (Some(3), 0), "{said}");
    assert!(said.contains("Moonshot retired it on 2026-08-31"), "{said}");
}
