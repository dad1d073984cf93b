//! The built omk, the real Kimi CLI, a scripted model: how turns end, and what becomes of the run.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use serde_json::{Value, json};

use crate::e2e_world::{World, bash, write};
use crate::gateway::KEY;
use crate::model::{Model, Turn};

/// Six tasks that come through at last, each over another stone.
const STONES: &str = r#"
limits: { workers: 4 }
defaults: { gates: [check], retry_policy: { max_attempts: 1, backoff_seconds: 0 } }
gates: [{ id: check, run: sh check.sh }]
tasks:
  - { id: fix, prompt: do fix, write_set: [fix.txt] }
  - { id: wait, prompt: do wait, write_set: [wait.txt] }
  - { id: drop, prompt: do drop, write_set: [drop.txt], env: { KIMI_LOOP_MAX_ATTEMPTS_PER_STEP: "1" } }
  - { id: steps, prompt: do steps, write_set: [steps.txt] }
  - id: scope
    prompt: do scope
    write_set: [scope.txt]
    retry_policy: { max_attempts: 1, backoff_seconds: 0, terminal_on_permanent_failure: false }
  - { id: nothing, prompt: do nothing, write_set: [nothing.txt] }
"#;

fn stones() -> Vec<(&'static str, Vec<Turn>)> {
    let slow_down = Turn::Status(
        429,
        Some(("retry-after", "1")),
        "rate_limit_reached_error",
        "slow down",
    );
    let boom = Turn::Status(500, None, "server_error", "boom");
    let step = |n: u32| bash(&format!("echo {n} >> steps.txt"));
    let edit = Turn::Use(vec![(
        "Edit",
        json!({"path": "fix.txt", "old_string": "wrong", "new_string": "right"}),
    )]);
    let elsewhere = Turn::Use(vec![
        ("Write", json!({"path": "side.txt", "content": "side\n"})),
        (
            "Write",
            json!({"path": "scope.txt", "content": "of-the-first-session\n"}),
        ),
    ]);
    let done = || Turn::Say("done");
    vec![
        ("do fix", vec![write("fix.txt", "wrong\n"), done()]),
        // What the gate said, in the prompt of the second attempt.
        ("it must say right", vec![edit, done()]),
        (
            "do wait",
            vec![
                Turn::OneByOne(vec![slow_down, boom, write("wait.txt", "a\n")]),
                done(),
            ],
        ),
        (
            "do drop",
            vec![
                Turn::OneByOne(vec![Turn::Dropped, write("drop.txt", "a\n")]),
                done(),
            ],
        ),
        (
            "do steps",
            vec![
                Turn::OneByOne(vec![step(1), Turn::Say("all done")]),
                step(2),
                step(3),
                step(4),
                step(5),
            ],
        ),
        (
            "do scope",
            vec![
                Turn::OneByOne(vec![elsewhere, write("scope.txt", "a\n")]),
                done(),
            ],
        ),
        (
            "do nothing",
            vec![
                Turn::OneByOne(vec![done(), write("nothing.txt", "a\n")]),
                done(),
            ],
        ),
    ]
}

/// The last question that was asked for a task, by its prompt.
fn last_asked(model: &Model, prompt: &str) -> Value {
    let about = |body: &Value| body["messages"].to_string().contains(prompt);
    model
        .asked()
        .into_iter()
        .map(|asked| asked.body)
        .rfind(about)
        .unwrap()
}

#[tokio::test]
async fn what_can_be_mended_is_mended_and_a_cassette_gives_the_same_trees_again() {
    let model = Model::start(stones()).await;
    let world = World::new(&model, STONES).await;
    let ended = world.run(&["run"]).await;

    let classes: Vec<String> = ["fix", "wait", "drop", "steps", "scope", "nothing"]
        .iter()
        .map(|task| format!("{task}: {}", world.attempts(task)))
        .collect();
    insta::assert_snapshot!(classes.join("\n"), @r"
    fix: gate, changed
    wait: changed
    drop: provider, changed
    steps: steps, changed
    scope: scope, changed
    nothing: no-change, changed
    ");
    assert_eq!(
        (ended.code, &world.report()["verdict"]),
        (Some(0), &json!("ready")),
        "{ended:?}"
    );
    let show = |path: &str| world.git(&["show", &format!("omk/run/e2e:{path}")]);
    assert_eq!(
        [show("fix.txt"), show("steps.txt"), show("scope.txt")],
        ["right", "1\n2\n3\n4\n5", "a"]
    );
    let files = world.git(&["ls-tree", "--name-only", "omk/run/e2e"]);
    assert_eq!(
        files.split('\n').collect::<Vec<_>>(),
        [
            ".gitignore",
            "README.md",
            "check.sh",
            "drop.txt",
            "fix.txt",
            "nothing.txt",
            "omk.yaml",
            "scope.txt",
            "steps.txt",
            "wait.txt"
        ]
    );
    four_worked_at_once(&world);
    the_gate_was_quoted_in_the_same_session(&world, &model);
    the_trespasser_started_anew(&world, &model);
    let verified = world.run(&["verify"]).await;
    assert_eq!(verified.code, Some(0), "{verified:?}");

    // Once more, with the answers that were recorded; nobody to ask, and no key to ask with.
    let branches: Vec<String> = world
        .git(&["for-each-ref", "--format=%(refname)", "refs/heads/omk"])
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(branches.len(), 7);
    let trees = |world: &World| {
        branches
            .iter()
            .map(|branch| world.tree(branch))
            .collect::<Vec<_>>()
    };
    let recorded = trees(&world);
    for branch in &branches {
        world.git(&["update-ref", "-d", branch]);
    }
    drop(model);
    let cassette = world.runs()[0].join("cassette");
    let mut again = world.omk(&["run", "--cassette", cassette.to_str().unwrap()]);
    again.env_remove(crate::e2e_world::KEY_ENV);
    let again = world.end_of(again).await;
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(world.attempts("drop"), "provider, changed");
    assert_eq!(trees(&world), recorded);
    world.assert_nobody_is_left().await;
}

fn four_worked_at_once(world: &World) {
    let facts: Vec<Value> = world
        .journal()
        .into_iter()
        .map(|line| line["fact"]["fact"].clone())
        .collect();
    let first_end = facts.iter().position(|fact| fact == "worked").unwrap();
    assert_eq!(
        facts[..first_end]
            .iter()
            .filter(|fact| **fact == "prepared")
            .count(),
        4
    );
}

fn the_gate_was_quoted_in_the_same_session(world: &World, model: &Model) {
    let asked = last_asked(model, "do fix");
    let users: Vec<&Value> = asked["messages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|m| m["role"] == "user")
        .collect();
    let quoted = users
        .iter()
        .filter(|message| message.to_string().contains("fix.txt: it must say right"))
        .count();
    assert_eq!(quoted, 1, "{users:?}");
    assert!(
        asked["messages"].to_string().contains("wrong"),
        "the session holds what was done before"
    );
    assert_eq!(world.starts("fix")[1]["session"], "resumed");
}

fn the_trespasser_started_anew(world: &World, model: &Model) {
    assert!(
        world.message("scope").contains("side.txt"),
        "{}",
        world.message("scope")
    );
    assert_eq!(world.starts("scope")[1]["session"], "new");
    let asked = last_asked(model, "do scope")["messages"].to_string();
    assert!(
        asked.contains("you start anew") && asked.contains("side.txt"),
        "{asked}"
    );
    assert!(
        !asked.contains("of-the-first-session"),
        "nothing of the first session is known to the second"
    );
}

/// Five tasks that come to no good, or try to.
const EVIL: &str = r#"
limits: { workers: 4 }
defaults: { gates: [check], retry_policy: { max_attempts: 0 } }
gates:
  - { id: check, run: sh check.sh }
  - { id: exact, run: test ! -e cheat.tmp && git diff HEAD --exit-code -- README.md }
tasks:
  - { id: hang, priority: 9, prompt: do hang, idle_timeout: 10s }
  - { id: wreck, prompt: do wreck, write_set: [wreck.txt] }
  - { id: meddle, prompt: do meddle, write_set: [meddle.txt], gates: [check, exact] }
  - { id: lazy, prompt: do lazy }
  - { id: auth, priority: -9, prompt: do auth }
"#;

/// Commits, branches, plants a hook and a setting, leaves a daemon, prints its token, hides a file
/// from git, and breaks its worktree.
const MEDDLE: &str = "echo mine > meddle.txt; touch cheat.tmp; common=$(git rev-parse --git-common-dir); git add -A; \
    git -c user.name=me -c user.email=me@example.com commit -qm mine; git branch mine; git config core.fsmonitor evil; \
    echo evil > $common/hooks/post-checkout; setsid sleep 5000 >/dev/null 2>&1 & cat $KIMI_CODE_HOME/config.toml; \
    rm -f .git; mkdir .git; printf '[core]\\n\\tfsmonitor = evil\\n' > .git/config; true";

#[tokio::test]
async fn what_comes_to_no_good_ends_in_its_class_and_harms_nobody() {
    let quotes_the_key = "Incorrect API key provided: sk-the-real-key-0123456789.";
    assert!(quotes_the_key.contains(KEY));
    let model = Model::start(vec![
        ("do hang", vec![Turn::Stalled]),
        (
            "do wreck",
            vec![
                bash("rm -rf .git ./* ./.[a-z]*; echo gone > wreck.txt"),
                Turn::Say("done"),
            ],
        ),
        ("do meddle", vec![bash(MEDDLE), Turn::Say("done")]),
        ("do lazy", vec![Turn::Say("There is nothing to do.")]),
        (
            "do auth",
            vec![Turn::Status(
                401,
                None,
                "invalid_authentication_error",
                quotes_the_key,
            )],
        ),
    ])
    .await;
    let world = World::new(&model, EVIL).await;
    let config = std::fs::read(world.at("repo/.git/config")).unwrap();
    let ended = world.run(&["run"]).await;

    let classes: Vec<String> = ["hang", "wreck", "meddle", "lazy", "auth"]
        .iter()
        .map(|task| format!("{task}: {}", world.attempts(task)))
        .collect();
    insta::assert_snapshot!(classes.join("\n"), @r"
    hang: hung
    wreck: scope
    meddle: changed
    lazy: no-change
    auth: auth
    ");
    assert_eq!(
        (ended.code, &world.report()["verdict"]),
        (Some(3), &json!("blocked_on_external")),
        "{ended:?}"
    );
    assert!(
        world.message("wreck").contains("README.md"),
        "{}",
        world.message("wreck")
    );

    // The user's checkout and history are as they were; of the meddler's work only the file is
    // taken, by omk.
    assert_eq!(world.git(&["status", "--porcelain"]), "");
    assert_eq!(
        world.git(&["log", "--format=%an %s", "main..omk/task/e2e/meddle"]),
        "omk[bot] meddle"
    );
    assert_eq!(
        world.git(&["diff", "--name-only", "main", "omk/task/e2e/meddle"]),
        "meddle.txt"
    );
    let landlock = world.journal().iter().any(|line| {
        let level = &line["fact"]["evidence"]["containment"]["level"];
        level == "sealed" || level == "landlock"
    });
    if landlock {
        assert_eq!(world.git(&["branch", "--list", "mine"]), "");
        assert_eq!(std::fs::read(world.at("repo/.git/config")).unwrap(), config);
        assert!(!world.at("repo/.git/hooks/post-checkout").exists());
    }
    world.assert_nobody_is_left().await;

    // The key that the provider quoted is nowhere; nor is the token that the agent printed where it
    // could be published.
    for (path, bytes) in world.files() {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(KEY), "{}", path.display());
        let run = path.to_str().unwrap().contains("/omk/runs/")
            && !path.to_str().unwrap().contains("/transcripts/");
        assert!(!run || !holds_a_token(&text), "{}", path.display());
    }
    assert!(!holds_a_token(&ended.stdout) && !holds_a_token(&ended.stderr));
    let replayed = world.run(&["replay"]).await;
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
}

/// `omk-` and 64 hex digits.
fn holds_a_token(text: &str) -> bool {
    text.match_indices("omk-").any(|(at, _)| {
        text.get(at + 4..at + 68)
            .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
    })
}
