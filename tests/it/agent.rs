//! The real Kimi Code CLI between omk and a scripted model: every way a turn can end, and the class
//! it ends in.
//!
//! The CLI is installed by omk itself, once, into `target/tools`. At most two run at once: each
//! takes 400 MB and 2 s of a core.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use omk_action::agent::{
    AgentEnded, AgentError, AgentOrder, AgentOutcome, Install, Installed, Observed, install, locate,
};
use omk_action::exec::environment::Caller;
use omk_action::exec::{NetworkReach, Pulse, Sandbox, Shepherd, probe};
use omk_action::fact::{Class, Failure, Limit};
use omk_action::gateway::{Budget, Config, Gateway, Timeouts, Usage};
use omk_action::plan::RoomLevel;
use omk_action::text::Advised as _;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::gateway::{KEY, MODEL, admission, live, taped};
use crate::model::{Model, Turn};

pub(crate) fn shepherd() -> Shepherd {
    Shepherd::new(env!("CARGO_BIN_EXE_omk").into())
}

pub(crate) fn tools() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("tools")
}

/// What npm may need of this machine; nothing of CI.
pub(crate) fn wanted() -> Install {
    let wanted = |name: &str| {
        let lower = name.to_lowercase();
        [
            "path",
            "home",
            "http_proxy",
            "https_proxy",
            "no_proxy",
            "ssl_cert_file",
            "node_extra_ca_certs",
        ]
        .contains(&lower.as_str())
            || lower.starts_with("npm_config_")
    };
    let env = std::env::vars_os()
        .filter(|(name, _)| name.to_str().is_some_and(wanted))
        .collect();
    let private = std::env::vars_os()
        .collect::<Caller>()
        .private_directories()
        .to_vec();
    Install {
        version: "2.1.0".to_owned(),
        tools: tools(),
        env,
        private,
    }
}

/// The directory of tools with the CLI in it, and a place on the machine for whoever runs it.
pub(crate) async fn installed() -> (PathBuf, File) {
    install(&shepherd(), &wanted()).await.unwrap();
    (
        tools(),
        tokio::task::spawn_blocking(place_on_the_machine)
            .await
            .unwrap(),
    )
}

/// One of two places on the machine, until it is dropped.
pub(crate) fn place_on_the_machine() -> File {
    std::fs::create_dir_all(tools()).unwrap();
    // Another user may have made it; to lock a file it is enough to read it.
    let open = |n: u32| {
        let place = tools().join(format!(".test-place-{n}"));
        File::open(&place)
            .or_else(|_| File::create(&place))
            .unwrap()
    };
    for n in 0..2 {
        let place = open(n);
        match place.try_lock() {
            Ok(()) => return place,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => panic!("{error}"),
        }
    }
    let place = open(std::process::id() % 2);
    place.lock().unwrap();
    place
}

/// A task's directories, a gateway and the CLI.
struct World {
    root: tempfile::TempDir,
    gateway: Gateway,
    kimi: Installed,
    /// The CLI's tries per model call.
    tries: &'static str,
    max_steps: u32,
    idle_timeout: Duration,
    session: Option<String>,
    /// Whether writes are confined to the slot.
    confined: bool,
    stop: CancellationToken,
    _place: File,
}

impl World {
    async fn new(config: Config) -> Self {
        let kimi = install(&shepherd(), &wanted()).await.unwrap();
        let place = tokio::task::spawn_blocking(place_on_the_machine)
            .await
            .unwrap();
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("slot")).unwrap();
        Self {
            root,
            gateway: Gateway::start(config).await.unwrap(),
            kimi,
            tries: "1",
            max_steps: 20,
            idle_timeout: Duration::from_secs(60),
            session: None,
            confined: false,
            stop: CancellationToken::new(),
            _place: place,
        }
    }

    fn slot(&self) -> PathBuf {
        self.root.path().join("slot")
    }

    /// Runs the CLI in a slot of that name, with the prompt `do NAME`.
    async fn run_in(&self, name: &str) -> (AgentEnded, Usage) {
        let cwd = self.root.path().join(name);
        let state = self.root.path().join(format!("{name}-state"));
        std::fs::create_dir_all(&cwd).unwrap();
        let pulse = Pulse::default();
        let placeholders = [("{{slot}}", &cwd), ("{{state}}", &state)];
        let placeholders = placeholders
            .map(|(placeholder, path)| (placeholder.to_owned(), path.to_str().unwrap().to_owned()));
        let pass = self
            .gateway
            .admit(admission(placeholders.into(), pulse.clone()))
            .unwrap();
        let env = BTreeMap::from([
            (OsString::from("PATH"), std::env::var_os("PATH").unwrap()),
            ("KIMI_LOOP_MAX_ATTEMPTS_PER_STEP".into(), self.tries.into()),
        ]);
        let errand = AgentOrder {
            prompt: format!("do {name}"),
            session: self.session.clone(),
            room: self.confined.then(|| Sandbox {
                writable: vec![cwd.clone()],
                ..Sandbox::default()
            }),
            doors: None,
            cwd,
            state,
            env,
            model: omk_action::agent::Model {
                name: MODEL.to_owned(),
                base_url: pass.base_url.clone(),
                token: pass.token.clone(),
                context: 262_144,
                thinks: true,
            },
            max_steps: self.max_steps,
            tools_disabled: vec!["FetchURL".to_owned()],
            timeout: Duration::from_secs(60),
            idle_timeout: Some(self.idle_timeout),
            longest_wait: Duration::from_secs(30),
            log: self.root.path().join(format!("{name}.jsonl")),
            stop: self.stop.clone(),
            pulse,
        };
        let ran = self.kimi.run(&shepherd(), &errand).await.unwrap();
        let usage = pass.close();
        (ran.judge(&observed(&usage)), usage)
    }

    async fn run(&self) -> (AgentEnded, Usage) {
        self.run_in("slot").await
    }
}

fn observed(usage: &Usage) -> Observed {
    let error = usage.last_error.clone();
    Observed {
        status: error.as_ref().and_then(|error| error.status),
        retry_after: error.as_ref().and_then(|error| error.retry_after),
        kind: error.as_ref().map(|error| error.kind.clone()),
        message: error.map(|error| error.message),
        cassette_miss: usage.cassette_miss.clone(),
        over_budget: usage.over_budget,
    }
}

async fn scripted(turns: Vec<Turn>) -> Model {
    Model::start(vec![("do slot", turns)]).await
}

fn write(path: &str) -> Turn {
    Turn::Use(vec![("Write", json!({"path": path, "content": "hi\n"}))])
}

fn failure(ended: AgentEnded) -> Failure {
    match ended.outcome {
        AgentOutcome::Failed(failure) => failure,
        AgentOutcome::Done | AgentOutcome::Interrupted => panic!("it did not fail: {ended:?}"),
    }
}

/// The class that a model which answers so ends in.
async fn class_of(turns: Vec<Turn>) -> Class {
    let model = scripted(turns).await;
    let (ended, _) = World::new(live(&model)).await.run().await;
    failure(ended).class
}

#[tokio::test]
async fn a_task_is_done_when_its_turn_came_to_its_end() {
    let model = scripted(vec![write("hello.txt"), Turn::Say("I wrote it.")]).await;
    let world = World::new(live(&model)).await;
    let (ended, usage) = world.run().await;
    assert_eq!(ended.outcome, AgentOutcome::Done);
    assert_eq!((ended.said.as_str(), ended.steps), ("I wrote it.", 2));
    assert!(ended.session.unwrap().starts_with("session_"));
    assert_eq!(
        std::fs::read_to_string(world.slot().join("hello.txt")).unwrap(),
        "hi\n"
    );
    assert_eq!(
        (usage.requests, usage.tokens.total(), usage.estimated),
        (2, 220, false)
    );
    assert!(
        std::fs::read_to_string(ended.transcript)
            .unwrap()
            .contains("I wrote it.")
    );
    assert_eq!(model.asked()[0].authorization, format!("Bearer {KEY}"));
    // FetchURL was taken away; ripgrep and the project's own tools are there.
    let shown = model.asked()[0].body["tools"].to_string();
    assert!(shown.contains("\"Write\"") && !shown.contains("FetchURL"));
    assert!(world.kimi.has_ripgrep);
    // Neither the settings nor anything else the agent could read holds the key.
    let settings =
        std::fs::read_to_string(world.root.path().join("slot-state/kimi/config.toml")).unwrap();
    assert!(settings.contains("omk-") && !settings.contains(KEY));
}

#[tokio::test]
async fn a_confined_agent_works_in_its_slot_and_nowhere_else() {
    let bash = json!({"command": "echo in > in.txt; echo out > ../out.txt; true"});
    let model = scripted(vec![
        write("hello.txt"),
        Turn::Use(vec![("Bash", bash)]),
        Turn::Say("done"),
    ])
    .await;
    let world = World {
        confined: true,
        ..World::new(live(&model)).await
    };
    let (ended, _) = world.run().await;
    assert_eq!(ended.outcome, AgentOutcome::Done);
    assert!(world.slot().join("hello.txt").exists() && world.slot().join("in.txt").exists());
    // A kernel without Landlock cannot confine; the report says so then.
    assert_eq!(
        world.root.path().join("out.txt").exists(),
        ended.child.containment.level == RoomLevel::None
    );
}

#[tokio::test]
async fn a_long_wait_ends_the_attempt_and_says_how_long() {
    let slow = Turn::Status(
        429,
        Some(("retry-after", "3600")),
        "rate_limit_reached_error",
        "slow down",
    );
    let model = scripted(vec![slow]).await;
    let world = World {
        tries: "3",
        ..World::new(live(&model)).await
    };
    let failure = failure(world.run().await.0);
    assert_eq!(
        (failure.class, failure.retry_after_ms),
        (Class::RateLimit, Some(3_600_000))
    );
    assert_eq!(model.asked().len(), 1);
}

#[tokio::test]
async fn a_short_trouble_is_retried_by_the_cli_itself() {
    let again = Turn::OneByOne(vec![
        Turn::Status(500, None, "server_error", "boom"),
        Turn::Status(
            429,
            Some(("retry-after", "0")),
            "rate_limit_reached_error",
            "slow down",
        ),
        Turn::Say("done"),
    ]);
    let model = scripted(vec![again]).await;
    let world = World {
        tries: "3",
        ..World::new(live(&model)).await
    };
    let (ended, usage) = world.run().await;
    assert_eq!(
        (ended.outcome, usage.requests, usage.last_error),
        (AgentOutcome::Done, 3, None)
    );
}

#[tokio::test]
async fn a_lasting_429_is_rate_limit() {
    let slow = Turn::Status(
        429,
        Some(("retry-after", "7")),
        "rate_limit_reached_error",
        "slow down",
    );
    let model = scripted(vec![slow]).await;
    let failure = failure(World::new(live(&model)).await.run().await.0);
    assert_eq!(
        (failure.class, failure.retry_after_ms),
        (Class::RateLimit, Some(7_000))
    );
}

#[tokio::test]
async fn a_lasting_500_is_provider() {
    assert_eq!(
        class_of(vec![Turn::Status(500, None, "server_error", "boom")]).await,
        Class::Provider
    );
}

#[tokio::test]
async fn a_wrong_key_is_auth() {
    assert_eq!(
        class_of(vec![Turn::Status(
            401,
            None,
            "invalid_authentication_error",
            "no"
        )])
        .await,
        Class::Auth
    );
}

#[tokio::test]
async fn an_unknown_model_is_config() {
    assert_eq!(
        class_of(vec![Turn::Status(
            404,
            None,
            "resource_not_found_error",
            "no model"
        )])
        .await,
        Class::Config
    );
}

#[tokio::test]
async fn no_credit_is_quota() {
    let message = "You exceeded your current token quota: please check your account balance";
    assert_eq!(
        class_of(vec![Turn::Status(
            429,
            None,
            "exceeded_current_quota_error",
            message
        )])
        .await,
        Class::Quota
    );
}

#[tokio::test]
async fn a_filtered_answer_is_refused() {
    assert_eq!(
        class_of(vec![Turn::Finish("", "content_filter")]).await,
        Class::Refused
    );
}

#[tokio::test]
async fn an_overflowing_context_is_context() {
    let message = "Your request exceeded model token limit: 262144";
    assert_eq!(
        class_of(vec![Turn::Status(
            400,
            None,
            "invalid_request_error",
            message
        )])
        .await,
        Class::Context
    );
}

#[tokio::test]
async fn an_empty_answer_is_provider() {
    assert_eq!(class_of(vec![Turn::Say("")]).await, Class::Provider);
}

#[tokio::test]
async fn a_web_page_instead_of_an_answer_is_provider() {
    assert_eq!(class_of(vec![Turn::Page]).await, Class::Provider);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_provider() {
    // The CLI by itself would take this one for a whole answer, and be done.
    assert_eq!(class_of(vec![Turn::Truncated]).await, Class::Provider);
    assert_eq!(class_of(vec![Turn::Dropped]).await, Class::Provider);
}

#[tokio::test]
async fn a_silent_provider_is_provider() {
    let model = scripted(vec![Turn::Hanging]).await;
    let timeouts = Timeouts {
        answer: Duration::from_millis(300),
        ..Timeouts::default()
    };
    let (ended, _) = World::new(Config {
        timeouts,
        ..live(&model)
    })
    .await
    .run()
    .await;
    assert_eq!(failure(ended).class, Class::Provider);
}

#[tokio::test]
async fn silence_for_the_whole_idle_timeout_is_hung() {
    let model = scripted(vec![Turn::Stalled]).await;
    let idle_timeout = Duration::from_secs(6);
    let (ended, usage) = World {
        idle_timeout,
        ..World::new(live(&model)).await
    }
    .run()
    .await;
    assert!(ended.session.is_some());
    assert_eq!(failure(ended).class, Class::Hung);
    assert!(usage.estimated);
    model.given_up(1).await;
}

#[tokio::test]
async fn the_step_limit_is_steps_and_the_session_goes_on() {
    let bash = |n: u32| {
        Turn::Use(vec![(
            "Bash",
            json!({"command": format!("echo {n} >> steps.txt")}),
        )])
    };
    let scripts = vec![(
        "do slot",
        vec![
            Turn::OneByOne(vec![bash(1), Turn::Say("all done")]),
            bash(2),
            bash(3),
        ],
    )];
    let model = Model::start(scripts).await;
    let mut world = World {
        max_steps: 2,
        ..World::new(live(&model)).await
    };
    let (ended, _) = world.run().await;
    world.session = ended.session.clone();
    let session = ended.session.clone();
    assert_eq!(failure(ended).class, Class::Steps);
    assert_eq!(
        std::fs::read_to_string(world.slot().join("steps.txt")).unwrap(),
        "1\n2\n"
    );
    let (ended, _) = world.run().await;
    assert_eq!(
        (&ended.outcome, &ended.session),
        (&AgentOutcome::Done, &session)
    );
    // It still knows what it did.
    assert!(
        model.asked().last().unwrap().body["messages"]
            .to_string()
            .contains("echo 2")
    );
}

#[tokio::test]
async fn four_at_once_do_not_mix() {
    let script =
        |marker: &'static str, file: &'static str| (marker, vec![write(file), Turn::Say("done")]);
    let scripts = vec![
        script("do a1", "a1"),
        script("do b2", "b2"),
        script("do c3", "c3"),
        script("do d4", "d4"),
    ];
    let model = Model::start(scripts).await;
    let world = World::new(live(&model)).await;
    let names = ["a1", "b2", "c3", "d4"];
    let runs = futures_util::future::join_all(names.iter().map(|name| world.run_in(name))).await;
    for (name, (ended, usage)) in names.iter().zip(runs) {
        assert_eq!(
            (ended.outcome, usage.requests),
            (AgentOutcome::Done, 2),
            "{name}"
        );
        let entries = std::fs::read_dir(world.root.path().join(name)).unwrap();
        assert_eq!(
            entries
                .map(|entry| entry.unwrap().file_name())
                .collect::<Vec<_>>(),
            [*name]
        );
    }
}

/// A turn that writes below the slot's absolute path, which differs between recording and replay.
fn writes_below(slot: &Path) -> Vec<Turn> {
    let path = slot.join("deep/er.txt").to_str().unwrap().to_owned();
    vec![
        Turn::OneByOne(vec![
            Turn::Status(500, None, "server_error", "boom"),
            write(&path),
        ]),
        Turn::Use(vec![(
            "Bash",
            json!({"command": "pwd > where.txt; cat deep/er.txt >> where.txt"}),
        )]),
        Turn::Say("done"),
    ]
}

#[tokio::test]
async fn a_recorded_run_gives_the_same_tree_again_without_key_or_network() {
    let tape = tempfile::tempdir().unwrap();
    // The script needs the slot's path, and the world the model's address: so the path is made
    // first.
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("slot")).unwrap();
    let model = scripted(writes_below(&root.path().join("slot"))).await;
    let config = Config {
        record: Some(tape.path().to_owned()),
        ..live(&model)
    };
    let world = World {
        tries: "3",
        root,
        ..World::new(config).await
    };
    let (ended, usage) = world.run().await;
    assert_eq!(
        (ended.outcome, usage.unrecorded),
        (AgentOutcome::Done, None)
    );
    let kept: String = std::fs::read_dir(tape.path().join("api"))
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    assert!(kept.contains("{{slot}}/deep/er.txt") && !kept.contains(KEY));
    assert!(
        !kept.contains(world.root.path().to_str().unwrap()),
        "{kept}"
    );
    drop((world, model));

    let world = World {
        tries: "3",
        ..World::new(taped(tape.path())).await
    };
    let (ended, usage) = world.run().await;
    assert_eq!(
        (ended.outcome, usage.tokens.total()),
        (AgentOutcome::Done, 330)
    );
    assert_eq!(
        std::fs::read_to_string(world.slot().join("deep/er.txt")).unwrap(),
        "hi\n"
    );
    let slot = world.slot().canonicalize().unwrap();
    assert_eq!(
        std::fs::read_to_string(world.slot().join("where.txt")).unwrap(),
        format!("{}\nhi\n", slot.display())
    );
}

fn cassette(answers: &[(&str, serde_json::Value)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("api")).unwrap();
    for (key, answer) in answers {
        std::fs::write(
            dir.path().join(format!("api/{key}.json")),
            answer.to_string(),
        )
        .unwrap();
    }
    dir
}

#[tokio::test]
async fn a_cassette_written_by_hand_runs_the_cli() {
    let write =
        json!({"name": "Write", "arguments": {"path": "{{slot}}/a.txt", "content": "by hand\n"}});
    let tape = cassette(&[
        (
            "0-0",
            json!({"turn": {"text": "I begin.", "tool_calls": [write]}}),
        ),
        (
            "0-1",
            json!({"status": 429, "headers": {"retry-after": "0"}}),
        ),
        (
            "0-1-2",
            json!({"turn": {"text": "done", "usage": {"prompt_tokens": 50, "completion_tokens": 5}}}),
        ),
    ]);
    let world = World {
        tries: "3",
        ..World::new(taped(tape.path())).await
    };
    let (ended, usage) = world.run().await;
    assert_eq!(
        (ended.outcome, ended.said.as_str()),
        (AgentOutcome::Done, "done")
    );
    assert_eq!(usage.tokens.total(), 55);
    assert_eq!(
        std::fs::read_to_string(world.slot().join("a.txt")).unwrap(),
        "by hand\n"
    );
}

#[tokio::test]
async fn a_miss_in_the_cassette_is_config_and_says_which() {
    let write = json!({"name": "Write", "arguments": {"path": "a.txt", "content": ""}});
    let tape = cassette(&[("0-0", json!({"turn": {"tool_calls": [write]}}))]);
    let world = World {
        tries: "3",
        ..World::new(taped(tape.path())).await
    };
    let (ended, usage) = world.run().await;
    let failure = failure(ended);
    assert_eq!(failure.class, Class::Config);
    assert!(failure.message.contains("api/0-1"), "{}", failure.message);
    assert_eq!(usage.requests, 2, "a miss is not retried");
}

#[tokio::test]
async fn a_stop_interrupts() {
    let model = scripted(vec![Turn::Stalled]).await;
    let world = World::new(live(&model)).await;
    let stop = world.stop.clone();
    let ((ended, _), ()) = tokio::join!(world.run(), async {
        while model.asked().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.cancel();
    });
    assert_eq!(ended.outcome, AgentOutcome::Interrupted);
}

#[tokio::test]
async fn a_used_up_budget_interrupts() {
    let budget = Budget {
        tokens_left: Some(150),
        ..Budget::default()
    };
    let model = scripted(vec![write("a.txt"), write("b.txt"), write("c.txt")]).await;
    let world = World::new(Config {
        budget,
        ..live(&model)
    })
    .await;
    // Nobody watches the limit here; the attempt finds out by itself.
    let (ended, usage) = world.run().await;
    assert_eq!(ended.outcome, AgentOutcome::Interrupted);
    assert_eq!(*world.gateway.limits().borrow(), Some(Limit::Tokens));
    assert!(usage.over_budget && model.asked().len() == 2, "{usage:?}");
}

#[tokio::test]
async fn a_prompt_that_looks_like_an_option_or_is_very_long_arrives() {
    let model = Model::start(vec![
        ("--version", vec![Turn::Say("a")]),
        ("prompt.md", vec![Turn::Say("b")]),
    ])
    .await;
    let mut world = World::new(live(&model)).await;
    world.max_steps = 5;
    let run = async |prompt: String| {
        let pass = world
            .gateway
            .admit(admission(Vec::new(), Pulse::default()))
            .unwrap();
        let (base_url, token) = (pass.base_url.clone(), pass.token.clone());
        let env = BTreeMap::from([(OsString::from("PATH"), std::env::var_os("PATH").unwrap())]);
        let errand = AgentOrder {
            prompt,
            session: None,
            cwd: world.slot(),
            state: world.root.path().join("state"),
            env,
            model: omk_action::agent::Model {
                name: MODEL.to_owned(),
                base_url,
                token,
                context: 262_144,
                thinks: true,
            },
            max_steps: 5,
            tools_disabled: Vec::new(),
            timeout: Duration::from_secs(60),
            idle_timeout: None,
            longest_wait: Duration::from_secs(30),
            room: None,
            doors: None,
            log: world.root.path().join("log"),
            stop: CancellationToken::new(),
            pulse: Pulse::default(),
        };
        world
            .kimi
            .run(&shepherd(), &errand)
            .await
            .unwrap()
            .judge(&Observed::default())
    };
    assert_eq!(run("--version".to_owned()).await.said, "a");
    assert_eq!(
        run(format!("begin{}", " x".repeat(100_000))).await.said,
        "b"
    );
}

#[tokio::test]
async fn a_missing_cli_says_what_to_do() {
    let empty = tempfile::tempdir().unwrap();
    let env = BTreeMap::from([(OsString::from("PATH"), OsString::from(empty.path()))]);
    let wanted = Install {
        version: "2.1.0".to_owned(),
        tools: empty.path().to_owned(),
        env,
        private: Vec::new(),
    };
    let missing = locate(&shepherd(), &wanted).await.unwrap_err();
    assert!(
        matches!(missing, AgentError::Missing { .. })
            && missing.in_full().contains("omk agent install")
    );
}

/// A `kimi` on PATH that is this script.
#[cfg(unix)]
async fn located(script: &str) -> Result<Installed, AgentError> {
    located_beside(script, Path::new("/nowhere")).await
}

#[cfg(unix)]
fn put_script(dir: &Path, name: &str, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(dir.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(dir.join(name), PermissionsExt::from_mode(0o755)).unwrap();
}

/// The same, where a directory is its user's alone.
#[cfg(unix)]
async fn located_beside(script: &str, private: &Path) -> Result<Installed, AgentError> {
    let dir = tempfile::tempdir().unwrap();
    put_script(dir.path(), "kimi", script);
    let path =
        std::env::join_paths([dir.path(), Path::new("/bin"), Path::new("/usr/bin")]).unwrap();
    let wanted = Install {
        version: "2.1.0".to_owned(),
        tools: dir.path().join("tools"),
        env: BTreeMap::from([("PATH".into(), path), ("OTHER".into(), "other".into())]),
        private: vec![private.to_owned()],
    };
    locate(&shepherd(), &wanted).await
}

#[cfg(unix)]
#[tokio::test]
async fn the_cli_on_path_is_asked_for_its_version() {
    assert_eq!(located("echo 2.1.0").await.unwrap().version, "2.1.0");
    assert!(matches!(
        located("echo 2.0.2").await,
        Err(AgentError::OtherVersion { .. })
    ));
    assert!(matches!(
        located("exit 3").await,
        Err(AgentError::Broken { .. })
    ));
    // As Node.js 20 says it.
    let old = r#"echo "SyntaxError: The requested module 'node:zlib' does not provide an export named 'createZstdDecompress'" >&2
echo "Node.js v20.20.2" >&2; exit 1"#;
    let old = located(old).await.unwrap_err();
    assert!(
        matches!(old, AgentError::OldNode { .. }) && old.to_string().contains("v20.20.2"),
        "{old}"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn the_cli_that_is_asked_for_its_version_writes_nowhere_and_does_not_see_its_users_files() {
    // Not in `/tmp`, which is another one in a room.
    let private = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::fs::write(private.path().join(".npmrc"), "hush").unwrap();
    let outside = private.path().display();
    // It has directories of its own, to be written.
    let held = format!(
        "touch {outside}/x 2>/dev/null && exit 4; touch \"$HOME/x\" \"$TMPDIR/x\" || exit 5; [ -z \"$OTHER\" ] || exit 6"
    );
    assert_eq!(
        located_beside(&format!("{held}; echo 2.1.0"), private.path())
            .await
            .unwrap()
            .version,
        "2.1.0"
    );
    assert_eq!(std::fs::read_dir(private.path()).unwrap().count(), 1);
    if probe(&shepherd(), NetworkReach::Open).await.level == RoomLevel::Sealed {
        // Not even a port of this machine can be reached.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let blind = format!(
            "cat {outside}/.npmrc >&2 && exit 4; bash -c ': </dev/tcp/127.0.0.1/{port}' && exit 5; echo 2.1.0"
        );
        assert_eq!(
            located_beside(&blind, private.path())
                .await
                .unwrap()
                .version,
            "2.1.0"
        );
    }
}

#[cfg(unix)]
#[tokio::test]
async fn npm_fills_the_cache_and_writes_nowhere_else() {
    let bin = tempfile::tempdir().unwrap();
    let cache = tempfile::tempdir().unwrap();
    let script = format!(
        "touch \"$3/here\" && ! touch {0}/x {1}/x 2>&1 && echo \"held, $OTHER$npm_config_registry\" >&2; exit 1",
        bin.path().display(),
        cache.path().display()
    );
    put_script(bin.path(), "npm", &script);
    put_script(bin.path(), "node", "echo v24.0.0");
    let path =
        std::env::join_paths([bin.path(), Path::new("/bin"), Path::new("/usr/bin")]).unwrap();
    let registry = "https://bot:hush@mirror.example/".into();
    let env = BTreeMap::from([
        ("PATH".into(), path),
        ("npm_config_registry".into(), registry),
        ("OTHER".into(), "other".into()),
    ]);
    let wanted = Install {
        version: "2.1.0".to_owned(),
        tools: cache.path().to_owned(),
        env,
        private: Vec::new(),
    };
    let Err(AgentError::Npm { said, .. }) = install(&shepherd(), &wanted).await else {
        panic!("npm fails")
    };
    assert_eq!(
        said.lines().last(),
        Some("held, https://mirror.example/"),
        "{said}"
    );
}

#[tokio::test]
async fn a_version_that_is_none_is_not_installed() {
    let wanted = Install {
        version: "latest; rm -rf /".to_owned(),
        ..wanted()
    };
    assert!(matches!(
        install(&shepherd(), &wanted).await,
        Err(AgentError::BadVersion(_))
    ));
}
