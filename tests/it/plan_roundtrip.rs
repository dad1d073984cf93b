//! Any plan can be written down and read again.

use std::collections::BTreeMap;
use std::time::Duration;

use omk_action::glob::Glob;
use omk_action::id::{GateId, TaskId};
use omk_action::model::{Prices, Thinking};
use omk_action::plan::{
    self, Agent, AgentKind, Baseline, Bot, ChangePolicy, Commands, Deliver, DeliverAs, Event, Gate,
    Limits, Network, Networks, OnDependencyFailure, Permission, Plan, Report, ReportFormat,
    RetryPolicy, Room, RoomLevel, Task, When, Work, WriteSet,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value};

/// Text that YAML makes hard: quotes, indentation, line ends, words that look like something else.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,8}( [a-z]{1,8}){0,3}",
        "[ -~\n\t]{0,40}",
        "\\PC{0,20}",
        "[a-z#:-]{1,6}(\n[ a-z|>#]{0,8}){1,5}",
        "[\u{1}-\u{1f}\u{7f}-\u{a0}\u{2028}\u{feff}\u{ffff}a\r]{0,10}",
        select(vec![
            "yes", "no", "null", "~", "true", "1", "1.5", "-", "- a", "? b", "<<", "*a", "&a",
            "!a", "...", "---", ".", " a", "a ", "0x1"
        ])
        .prop_map(str::to_owned),
    ]
}

fn words() -> impl Strategy<Value = String> {
    text().prop_filter("says something", |text| !text.trim().is_empty())
}

fn globs() -> impl Strategy<Value = Vec<Glob>> {
    let glob = select(vec![
        "src/**", "a b/*.rs", "docs", "{a,b}/c", "[a-z]?", "Cargo.*", "ü/#x", "- a",
    ]);
    vec(
        glob.prop_map(|text| text.parse().expect("sound names")),
        0..4,
    )
}

fn duration() -> impl Strategy<Value = Duration> {
    (1u64..31_536_000_000).prop_map(Duration::from_millis)
}

fn variables() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map("[A-Za-z_][A-Za-z0-9_]{0,8}", text(), 0..3)
}

fn positive() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.1),
        Just(10.0),
        1e-9..1e12f64,
        Just(1e300),
        Just(f64::MIN_POSITIVE)
    ]
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e12..1e12f64).prop_map(Value::from),
        text().prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            btree_map(text(), inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn metadata() -> impl Strategy<Value = Map<String, Value>> {
    let key = prop_oneof![text().prop_map(|text| format!("x{text}")), "k{150,1200}"];
    btree_map(key, json(), 0..3).prop_map(|map| map.into_iter().collect())
}

prop_compose! {
    fn retry_policy()(
        max_attempts in any::<u32>(), backoff_seconds in any::<u64>(), backoff_multiplier in 1.0..1e9f64,
        terminal_on_permanent_failure in any::<bool>(), max_backoff_seconds in option::of(any::<u64>()),
        jitter in 0.0..=1.0f64, usual in any::<bool>(),
    ) -> RetryPolicy {
        if usual { return RetryPolicy::default(); }
        RetryPolicy {
            max_attempts, backoff_seconds, backoff_multiplier, terminal_on_permanent_failure, max_backoff_seconds,
            jitter,
        }
    }
}

/// What a child reaches that has a model, or has none.
fn network(own: Network) -> impl Strategy<Value = Network> {
    let hosts = vec("[a-z][a-z0-9]{0,5}(\\.[a-z][a-z0-9]{0,5}){0,2}", 1..4);
    let hosts = hosts.prop_map(|names| {
        names
            .iter()
            .map(|name| name.parse().expect("sound names"))
            .collect()
    });
    prop_oneof![
        Just(own),
        Just(Network::Open),
        hosts.prop_map(Network::Allow)
    ]
}

prop_compose! {
    fn room()(
        least in select(vec![None, Some(RoomLevel::None), Some(RoomLevel::Landlock), Some(RoomLevel::Sealed)]),
        agent in network(Network::Model), gates in network(Network::None), tasks in network(Network::None),
        docker in any::<bool>(), usual in any::<bool>(),
    ) -> Room {
        if usual { return Room::default(); }
        Room { least, network: Networks { agent, gates, tasks }, docker }
    }
}

prop_compose! {
    fn gate()(
        run in words(), timeout in duration(), required in any::<bool>(), retries in 0u32..=100,
        inputs in option::of(globs()), fingerprint in option::of(words()), trusted in globs(),
        report in option::of((select(vec![ReportFormat::Junit, ReportFormat::Sarif, ReportFormat::CargoJson]), proptest::collection::vec("[a-z]{1,4}(/[a-z #*]{1,5}){0,2}", 1..3))),
        env in variables(), network in option::of(network(Network::None)), exclusive in any::<bool>(),
    ) -> Gate {
        let report = report.map(|(format, paths)| {
            Report { format, paths: paths.iter().map(|path| path.parse().expect("a sound glob")).collect() }
        });
        let id = "x".parse().expect("sound names");
        let fingerprint = fingerprint.filter(|_| inputs.is_some());
        Gate { id, run, timeout, required, retries, inputs, fingerprint, trusted, report, env, network, exclusive }
    }
}

prop_compose! {
    fn when()(
        events in vec(select(vec![Event::Manual, Event::Comment, Event::Schedule, Event::Dispatch]), 0..3),
        changed in globs(),
    ) -> When {
        When { events, changed }
    }
}

prop_compose! {
    fn task()(
        (name, description, work) in (option::of(words()), text(), (any::<bool>(), words())),
        priority in any::<i32>(), read_set in globs(), write_set in option::of(globs()),
        change in select(vec![ChangePolicy::Required, ChangePolicy::Optional]), retry_policy in retry_policy(),
        (timeout, idle_timeout) in (duration(), duration()), when in option::of(when()),
        on_dependency_failure in select(vec![OnDependencyFailure::Skip, OnDependencyFailure::Run]),
        env in variables(), metadata in metadata(),
        (to_model, to_none) in (option::of(network(Network::Model)), option::of(network(Network::None))),
    ) -> Task {
        Task {
            id: "x".parse().expect("sound names"),
            name: name.unwrap_or_default(),
            description,
            network: if work.0 { to_model } else { to_none },
            work: if work.0 { Work::Prompt(work.1) } else { Work::Run(work.1) },
            dependencies: Vec::new(),
            priority,
            read_set,
            write_set: write_set.map_or(WriteSet::Unknown, WriteSet::Declared),
            change,
            retry_policy,
            timeout,
            idle_timeout,
            gates: Vec::new(),
            when,
            on_dependency_failure,
            env,
            metadata,
        }
    }
}

/// Gives ids, and dependencies and gates that exist.
fn connect(gates: &mut [Gate], tasks: &mut [Task], picks: &[(Index, Index)]) {
    for (index, gate) in gates.iter_mut().enumerate() {
        gate.id = format!("g{index}").parse().expect("sound names");
    }
    for index in 0..tasks.len() {
        let id: TaskId = format!("t{index}").parse().expect("sound names");
        let task = &mut tasks[index];
        if task.name.is_empty() {
            task.name = id.to_string();
        }
        task.id = id;
        let (before, which) = picks[index % picks.len()];
        if index > 0 && before.index(2) == 0 {
            task.dependencies = vec![
                format!("t{}", before.index(index))
                    .parse()
                    .expect("sound names"),
            ];
        }
        if !gates.is_empty() {
            let gate: GateId = gates[which.index(gates.len())].id.clone();
            task.gates = vec![gate];
        }
    }
}

prop_compose! {
    fn agent()(
        version in "[0-9]{1,2}\\.[0-9]{1,2}(\\.[0-9]{1,2})?", model in words(), key_env in "[A-Z]{1,5}_KEY",
        max_steps in 1..=u32::MAX, tools_disabled in vec(words(), 0..3), usual in any::<bool>(),
        thinking in select(Thinking::ALL.to_vec()),
    ) -> Agent {
        if usual { return Agent::default(); }
        let base_url = "http://127.0.0.1:9/v1".to_owned();
        Agent { kind: AgentKind::KimiCode, version, model, thinking, base_url, key_env, max_steps, tools_disabled }
    }
}

prop_compose! {
    fn deliver()(
        form in select(vec![DeliverAs::PullRequest, DeliverAs::PullRequestPerTask, DeliverAs::Push, DeliverAs::Branches]),
        draft in any::<bool>(), labels in vec(words(), 0..3), partial in any::<bool>(), limit in 1..=u32::MAX,
        sign_off in any::<bool>(),
    ) -> Deliver {
        Deliver { form, draft, labels, partial, limit, sign_off }
    }
}

prop_compose! {
    fn any_plan()(
        agent in agent(),
        (workers, time, tokens, usd) in (option::of(1u32..=1024), option::of(duration()), option::of(1..=u64::MAX), option::of(positive())),
        prices in (positive(), positive(), positive()), env in variables(),
        keep in vec("[a-z]{1,5}(/[a-z ]{0,4}[a-z])?", 0..3), (strict, preflight) in any::<(bool, bool)>(), deliver in deliver(),
        (room, protect, change_limit, permission, bots) in (
            room(),
            globs(),
            select(vec!["100MB", "1.5GiB", "1001KB"]).prop_map(|size| size.parse().expect("sizes")),
            select(vec![Permission::Triage, Permission::Write, Permission::Maintain, Permission::Admin]),
            vec((words(), 1..=u64::MAX), 0..3),
        ),
        mut gates in vec(gate(), 0..3), mut tasks in vec(task(), 1..5), picks in vec(any::<(Index, Index)>(), 1..5),
    ) -> Plan {
        connect(&mut gates, &mut tasks, &picks);
        let bots = bots.into_iter().map(|(login, id)| Bot { login, id }).collect();
        Plan {
            name: "some-plan".parse().expect("sound names"),
            agent,
            limits: Limits { workers, time, tokens, usd },
            prices: Some(Prices { input: prices.0, cached_input: prices.1, output: prices.2 }),
            env,
            pass_env: vec!["SCCACHE_DIR".to_owned()],
            keep,
            room,
            change_limit,
            preflight,
            baseline: if strict { Baseline::Strict } else { Baseline::Allow },
            gates,
            tasks,
            deliver,
            protect,
            commands: Commands { permission, bots },
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 4000, failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn written_plan_reads_back_the_same(expect in any_plan()) {
        let text = plan::to_yaml(&expect);
        match plan::parse(text.as_bytes(), "omk.yaml", "other") {
            Ok(plan) => prop_assert_eq!(plan, expect, "{}", text),
            Err(complaints) => prop_assert!(false, "{complaints}\n{text}"),
        }
    }
}

#[test]
fn defaults_are_not_written() {
    let text = "version: 1\nname: small\ntasks:\n  - id: a\n    run: make\n";
    let plan = crate::plan::sound(text);
    assert_eq!(plan::to_yaml(&plan), text);
}

#[test]
fn written_plan_reads_well() {
    insta::assert_snapshot!(plan::to_yaml(&crate::plan::sound(crate::plan::EVERY_KEY)), @r#"
    version: 1
    name: nightly
    agent:
      thinking: high
      tools:
        disabled: [FetchURL]
    limits:
      workers: 4
      time: 5h30m
      tokens: 2000000
      usd: 10.0
    prices:
      input: 0.6
      cached_input: 0.15
      output: 2.5
    env:
      RUST_BACKTRACE: "1"
    pass_env: [SCCACHE_DIR]
    keep: [target, node_modules]
    room:
      level: landlock
      network:
        tasks:
          allow: [index.example.com, cdn.example.com]
    change_limit: 250MB
    gates:
      - id: test
        run: cargo test --locked
        retries: 1
        inputs: ["src/**", "Cargo.*"]
        fingerprint: cargo --version
        trusted: ["scripts/**"]
        report:
          format: junit
          path: target/junit.xml
        network: none
        exclusive: true
    tasks:
      - id: api
        name: Split the API module
        description: what a person reads
        prompt: |
          Move the handlers out of src/api.rs …
        dependencies: [deps]
        priority: 10
        read_set: [docs/api.md]
        write_set: ["src/api/**", src/api.rs]
        retry_policy:
          max_backoff_seconds: 3600
        timeout: 45m
        gates: [test]
        when:
          events: [schedule, comment]
          changed: ["src/**"]
        metadata:
          role: backend
      - id: deps
        run: cargo update
        write_set: [Cargo.lock]
        gates: [test]
        network: open
    deliver:
      labels: [omk]
    protect: ["migrations/**"]
    "#);
}
