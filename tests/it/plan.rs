//! Sound plans: every key is read, what is left out has its default, and `defaults` lie under each
//! task.

use std::time::Duration;

use omk_action::plan::{
    self, Agent, AgentKind, Baseline, ChangePolicy, DeliverAs, Event, Network, OnDependencyFailure,
    Permission, Plan, RetryPolicy, Room, RoomLevel, WriteSet,
};
use serde_json::json;

/// The example of the contract, and the task it depends on.
pub(crate) const EVERY_KEY: &str = include_str!("plans/every-key.yaml");

pub(crate) fn sound(text: &str) -> Plan {
    match plan::parse(text.as_bytes(), "omk.yaml", "My Project") {
        Ok(plan) => plan,
        Err(complaints) => panic!("{complaints}"),
    }
}

fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

#[test]
fn every_key_of_the_contract_is_read() {
    let plan = sound(EVERY_KEY);
    assert_eq!(plan.name.as_str(), "nightly");
    assert_eq!(plan.agent.kind, AgentKind::KimiCode);
    assert_eq!(plan.agent.version, "2.1.0");
    assert_eq!(plan.agent.tools_disabled, ["FetchURL"]);
    assert_eq!(plan.limits.workers, Some(4));
    assert_eq!(plan.limits.time, Some(minutes(330)));
    assert_eq!(plan.limits.tokens, Some(2_000_000));
    assert_eq!(plan.limits.usd, Some(10.0));
    assert_eq!(plan.prices.map(|prices| prices.cached_input), Some(0.15));
    assert_eq!(plan.env["RUST_BACKTRACE"], "1");
    assert_eq!(plan.pass_env, ["SCCACHE_DIR"]);
    assert_eq!(plan.keep, ["target", "node_modules"]);
    assert_eq!(plan.room.least, Some(RoomLevel::Landlock));
    let hosts = ["index.example.com", "cdn.example.com"].map(|name| name.parse().unwrap());
    assert_eq!(plan.room.network.tasks, Network::Allow(hosts.to_vec()));
    assert_eq!(
        (&plan.room.network.agent, plan.room.docker),
        (&Network::Model, false)
    );
    assert_eq!(plan.change_limit.bytes(), 250_000_000);
    assert_eq!(plan.baseline, Baseline::Allow);
    assert_eq!(
        plan.protect
            .iter()
            .map(|glob| glob.as_str())
            .collect::<Vec<_>>(),
        ["migrations/**"]
    );
    assert_eq!(plan.deliver.form, DeliverAs::PullRequest);
    assert_eq!(plan.deliver.labels, ["omk"]);
    assert_eq!(plan.commands.permission, Permission::Write);

    let [gate] = &plan.gates[..] else {
        panic!("{:?}", plan.gates)
    };
    assert_eq!(gate.run, "cargo test --locked");
    assert_eq!(plan.gate(&"test".parse().unwrap()), Some(gate));
    assert_eq!(plan.gate(&"tests".parse().unwrap()), None);
    assert_eq!(plan.known_prices(), plan.prices);
    assert_eq!(plan.room.network_of_gate(gate), &Network::None);
    assert_eq!(gate.timeout, minutes(15));
    assert_eq!(gate.retries, 1);
    assert_eq!(gate.inputs.as_ref().map(Vec::len), Some(2));
    assert_eq!(
        gate.report.as_ref().map(|report| report.paths[0].as_str()),
        Some("target/junit.xml")
    );

    let api = plan.task(&"api".parse().unwrap()).unwrap();
    assert_eq!(api.name, "Split the API module");
    assert_eq!(plan.room.network_of_task(api), &Network::Model);
    assert_eq!(plan.room.network_of_task(&plan.tasks[1]), &Network::Open);
    assert_eq!(api.priority, 10);
    assert_eq!(api.dependencies, ["deps".parse().unwrap()]);
    assert_eq!(api.timeout, minutes(45));
    assert_eq!(api.retry_policy.max_backoff_seconds, Some(3600));
    assert_eq!(
        api.when.as_ref().map(|when| when.events.clone()),
        Some(vec![Event::Schedule, Event::Comment])
    );
    assert_eq!(api.on_dependency_failure, OnDependencyFailure::Skip);
    assert_eq!(api.metadata["role"], json!("backend"));
}

#[test]
fn what_is_left_out_has_its_default() {
    let plan = sound("version: 1\ntasks: [{ id: a, prompt: do it }]\n");
    assert_eq!(plan.name.as_str(), "my-project");
    assert_eq!(plan.agent, Agent::default());
    assert_eq!(plan.agent.model, "kimi-k3");
    assert!(
        plan.prices.is_none() && plan.known_prices().is_some(),
        "omk knows what its own model costs"
    );
    assert_eq!(plan.room, Room::default());
    assert!(plan.deliver.draft);
    assert_eq!(plan.deliver.limit, 5);
    let [task] = &plan.tasks[..] else {
        panic!("{:?}", plan.tasks)
    };
    assert_eq!(
        (task.name.as_str(), task.description.as_str(), task.priority),
        ("a", "", 0)
    );
    assert_eq!(
        (task.timeout, task.idle_timeout),
        (minutes(30), minutes(10))
    );
    assert_eq!(task.write_set, WriteSet::Unknown);
    assert_eq!(task.retry_policy, RetryPolicy::default());
    assert!(task.gates.is_empty() && task.when.is_none());
}

#[test]
fn each_permission_is_called_as_it_is_written() {
    for word in ["triage", "write", "maintain", "admin"] {
        let plan = sound(&format!(
            "version: 1\ncommands: {{ permission: {word} }}\ntasks: [{{ id: a, run: x }}]\n"
        ));
        assert_eq!(plan.commands.permission.as_str(), word);
    }
}

#[test]
fn prompt_must_change_something_unless_it_may_write_nothing() {
    let check = |task: &str, expect: ChangePolicy| {
        let plan = sound(&format!("version: 1\ntasks:\n  - {{ id: a, {task} }}\n"));
        assert_eq!(plan.tasks[0].change, expect, "{task}");
    };
    check("prompt: p", ChangePolicy::Required);
    check("prompt: p, write_set: [src]", ChangePolicy::Required);
    check("prompt: p, write_set: []", ChangePolicy::Optional);
    check("run: r", ChangePolicy::Optional);
    check("run: r, change: required", ChangePolicy::Required);
}

#[test]
fn defaults_lie_under_each_task_field_by_field() {
    let plan = sound(
        "version: 1
gates: [{ id: test, run: t }, { id: lint, run: l }]
defaults:
  timeout: 5m
  gates: [test]
  env: { A: a, B: b }
  metadata: { team: core, role: any }
  priority: 3
  write_set: [src]
  on_dependency_failure: run
  retry_policy: { max_attempts: 7, jitter: 0.5, max_backoff_seconds: 60, terminal_on_permanent_failure: false }
tasks:
  - { id: plain, run: x }
  - id: own
    run: x
    timeout: 1m
    gates: [lint]
    env: { B: own }
    metadata: { role: own }
    priority: 4
    write_set: []
    on_dependency_failure: skip
    retry_policy: { jitter: 0.25 }
",
    );
    let [plain, own] = &plan.tasks[..] else {
        panic!("{:?}", plan.tasks)
    };
    assert_eq!(plain.timeout, minutes(5));
    assert_eq!(plain.gates, ["test".parse().unwrap()]);
    assert_eq!(
        (plain.retry_policy.max_attempts, plain.retry_policy.jitter),
        (7, 0.5)
    );
    assert_eq!((plain.priority, own.priority), (3, 4));
    assert_eq!(
        plain.write_set,
        WriteSet::Declared(vec!["src".parse().unwrap()])
    );
    assert_eq!(own.write_set, WriteSet::Declared(Vec::new()));
    assert_eq!(plain.on_dependency_failure, OnDependencyFailure::Run);
    assert_eq!(own.on_dependency_failure, OnDependencyFailure::Skip);
    assert_eq!(
        serde_json::Value::Object(own.metadata.clone()),
        json!({ "team": "core", "role": "own" })
    );
    assert_eq!(own.timeout, minutes(1));
    assert_eq!(own.gates, ["lint".parse().unwrap()]);
    assert_eq!((own.env["A"].as_str(), own.env["B"].as_str()), ("a", "own"));
    assert_eq!(
        (own.retry_policy.max_attempts, own.retry_policy.jitter),
        (7, 0.25)
    );
    assert_eq!(own.retry_policy.max_backoff_seconds, Some(60));
    assert!(!own.retry_policy.terminal_on_permanent_failure);
    assert_eq!(own.retry_policy.backoff_multiplier, 2.0);
}

#[test]
fn max_retries_counts_only_without_a_policy_of_the_task() {
    let attempts = |task: &str| {
        let text = format!(
            "version: 1\ndefaults: {{ retry_policy: {{ max_attempts: 5, backoff_seconds: 9 }} }}\ntasks:\n  - {{ id: a, run: x{task} }}\n"
        );
        let policy = sound(&text).tasks[0].retry_policy;
        assert_eq!(policy.backoff_seconds, 9);
        policy.max_attempts
    };
    assert_eq!(attempts(""), 5);
    assert_eq!(attempts(", max_retries: 1"), 1);
    assert_eq!(
        attempts(", max_retries: 1, retry_policy: { jitter: 0.5 }"),
        5
    );
    assert_eq!(
        attempts(", max_retries: 1, retry_policy: { max_attempts: 3 }"),
        3
    );
}

#[test]
fn byte_order_mark_and_carriage_returns_are_fine() {
    let unix = "version: 1\ntasks:\n  - id: a\n    prompt: |\n      one\n      two\n";
    let windows = format!("\u{feff}{}", unix.replace('\n', "\r\n"));
    assert_eq!(sound(&windows), sound(unix));
}

#[test]
fn plain_aliases_stand_for_what_they_name() {
    let plan = sound(
        "version: 1
tasks:
  - { id: a, run: x, write_set: &paths [src, docs], retry_policy: &patient { max_attempts: 9 } }
  - { id: b, run: x, write_set: *paths, retry_policy: *patient }
",
    );
    assert_eq!(plan.tasks[0].write_set, plan.tasks[1].write_set);
    assert_eq!(plan.tasks[1].retry_policy.max_attempts, 9);
}

#[test]
fn words_of_older_yaml_are_text() {
    let plan = sound(
        "version: 1\nenv: { A: yes, B: off, C: 1:30, D: 1_000 }\ntasks: [{ id: a, run: x }]\n",
    );
    assert_eq!(
        plan.env.values().collect::<Vec<_>>(),
        ["yes", "off", "1:30", "1_000"]
    );
}

#[test]
fn metadata_is_kept_as_it_is() {
    let plan = sound(
        "version: 1\ntasks: [{ id: a, run: x, metadata: { n: 18446744073709551615, f: 1.5, l: [~, true, { x: '1' }] } }]\n",
    );
    let expect = json!({ "n": u64::MAX, "f": 1.5, "l": [null, true, { "x": "1" }] });
    assert_eq!(
        serde_json::Value::Object(plan.tasks[0].metadata.clone()),
        expect
    );
}

#[test]
fn ten_thousand_tasks_in_a_chain_are_read() {
    let mut text = String::from("version: 1\ntasks:\n  - { id: t0, run: x }\n");
    for index in 1..10_000 {
        text.push_str(&format!(
            "  - {{ id: t{index}, run: x, dependencies: [t{}] }}\n",
            index - 1
        ));
    }
    assert_eq!(sound(&text).tasks.len(), 10_000);
}

#[test]
fn keys_may_stand_in_any_order_and_style() {
    let json = r#"{"tasks": [{"run": "x", "id": "a", "priority": -3}], "version": 1, "name": "n"}"#;
    assert_eq!(sound(json).tasks[0].priority, -3);
}

#[test]
fn paths_and_addresses_are_written_one_way() {
    let plan = sound(
        "version: 1\nkeep: [./target/, a/b]\nagent: { base_url: http://127.0.0.1:8080/v1/ }\ntasks: [{ id: a, run: x }]\n",
    );
    assert_eq!(plan.keep, ["target", "a/b"]);
    assert_eq!(plan.agent.base_url, "http://127.0.0.1:8080/v1");
}
