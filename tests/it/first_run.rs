//! A first real run: today's models, each as its provider documents it, with the built omk and the
//! real Kimi CLI.

use serde_json::{Value, json};

use crate::e2e_world::{KEY_ENV, World, bash, reasoning_seconds, write};
use crate::gateway::KEY;
use crate::model::{Model, Offer, Turn};

/// A task whose first attempt fails its gate, so that the second one goes on in the same session.
const WORK: &str = r#"
gates: [{ id: check, run: sh check.sh }]
tasks:
  - id: work
    prompt: do work
    write_set: ["*.txt"]
    gates: [check]
    retry_policy: { max_attempts: 1, backoff_seconds: 0 }
"#;

fn script() -> Vec<(&'static str, Vec<Turn>)> {
    let both = ["one", "two"].map(|name| {
        let prompt = format!("helper {name}: say what you see");
        (
            "Agent",
            json!({"prompt": prompt, "description": name, "run_in_background": false}),
        )
    });
    let edit = Turn::Use(vec![(
        "Edit",
        json!({"path": "fix.txt", "old_string": "wrong", "new_string": "right"}),
    )]);
    vec![
        (
            "helper one",
            vec![bash("echo one > one.txt"), Turn::Say("I see one.")],
        ),
        (
            "helper two",
            vec![bash("echo two > two.txt"), Turn::Say("I see two.")],
        ),
        ("it must say right", vec![edit, Turn::Say("done")]),
        (
            "do work",
            vec![
                Turn::Use(both.into()),
                write("fix.txt", "wrong\n"),
                bash("cat fix.txt"),
                Turn::Say("done"),
            ],
        ),
    ]
}

/// What the requests of a finished run said of thinking: `thinking=… effort=…`, each once.
fn said_of_thinking(model: &Model) -> String {
    let said = |body: &Value| {
        format!(
            "thinking={} effort={}",
            body["thinking"], body["reasoning_effort"]
        )
    };
    let said: std::collections::BTreeSet<String> = model
        .asked()
        .iter()
        .map(|asked| said(&asked.body))
        .collect();
    Vec::from_iter(said).join("\n")
}

/// Lets the CLI do [`WORK`] with that model: an edit, shell calls, two sub-agents at once, a
/// session that is resumed.
async fn finishes(offer: Offer, agent: &str) -> (World, Model) {
    let model = Model::offering(offer, script()).await;
    let world = World::asking(&model, agent, WORK).await;
    let ended = world.run(&["run"]).await;
    assert_eq!(
        (ended.code, &world.report()["verdict"]),
        (Some(0), &json!("ready")),
        "{ended:?}"
    );
    assert_eq!(world.attempts("work"), "gate, changed");
    assert_eq!(world.starts("work")[1]["session"], "resumed");
    let show = |path: &str| world.git(&["show", &format!("omk/run/e2e:{path}")]);
    assert_eq!(
        [show("fix.txt"), show("one.txt"), show("two.txt")],
        ["right", "one", "two"]
    );
    assert_eq!(
        model.looked_up(),
        ["/v1/models"],
        "asked once, before the first prompt"
    );
    (world, model)
}

#[tokio::test]
async fn kimi_k3_works_and_costs_what_the_table_says() {
    let (world, model) = finishes(Offer::Platform, "model: kimi-k3").await;
    assert_eq!(said_of_thinking(&model), "thinking=null effort=null");
    // Without `prices` in the plan. Each answer has 60 tokens of input, 40 of cached input and 10
    // of output.
    let report = world.report();
    let answers = u64::try_from(model.asked().len()).unwrap();
    assert_eq!(
        report["tokens"],
        json!({"input": 60 * answers, "cached_input": 40 * answers, "output": 10 * answers,
        "reasoning": 4 * answers})
    );
    assert_eq!(
        report["cost_micro_usd"].as_u64().unwrap(),
        answers * (60 * 3 + 12 + 10 * 15)
    );
    // The reasoning is in the account, and not among the words.
    assert!(!report.to_string().contains("Let me see."), "{report}");
    // What the CLI says of itself reaches the provider, and nothing that tells of the machine does.
    for asked in model.asked() {
        assert_eq!(asked.headers["user-agent"], "kimi-code-cli/2.1.0");
        assert_eq!(asked.headers["x-msh-platform"], "kimi_code_cli");
        assert_eq!(asked.headers.get("x-msh-device-id"), None);
        assert!(asked.body["max_completion_tokens"].as_u64().unwrap() <= 131_072);
    }
}

#[tokio::test]
async fn kimi_k3_1_pro_takes_an_effort() {
    let (_world, model) = finishes(Offer::Platform, "model: kimi-k3.1-pro, thinking: low").await;
    assert_eq!(said_of_thinking(&model), r#"thinking=null effort="low""#);
}

#[tokio::test]
async fn kimi_k2_7_code_works() {
    let (_world, model) = finishes(Offer::Platform, "model: kimi-k2.7-code").await;
    assert_eq!(
        said_of_thinking(&model),
        r#"thinking={"type":"enabled","keep":"all"} effort=null"#
    );
}

#[tokio::test]
async fn kimi_k2_6_works() {
    let (_world, model) = finishes(Offer::Platform, "model: kimi-k2.6").await;
    assert_eq!(
        said_of_thinking(&model),
        r#"thinking={"type":"enabled","keep":"all"} effort=null"#
    );
}

#[tokio::test]
async fn kimi_k2_6_works_without_thinking() {
    let (_world, model) = finishes(Offer::Platform, "model: kimi-k2.6, thinking: off").await;
    assert_eq!(
        said_of_thinking(&model),
        r#"thinking={"type":"disabled"} effort=null"#
    );
}

#[tokio::test]
async fn kimi_for_coding_works_through_the_subscriptions_own_door() {
    let (world, model) = finishes(Offer::Subscription, "model: kimi-for-coding").await;
    assert_eq!(
        said_of_thinking(&model),
        r#"thinking={"type":"enabled","keep":"all"} effort=null"#
    );
    assert_eq!(
        world.report()["cost_micro_usd"],
        Value::Null,
        "a subscription pays"
    );
}

const ONE: &str = "tasks: [{ id: one, prompt: do one, write_set: [one.txt], retry_policy: { max_attempts: 0 } }]\n";

/// How a run ends whose provider answers the question like this. No prompt may have been sent.
async fn stopped(offer: Offer, agent: &str) -> String {
    let model = Model::offering(offer, vec![("do one", vec![Turn::Say("never asked")])]).await;
    let world = World::asking(&model, agent, ONE).await;
    let ended = world.run(&["run"]).await;
    assert_eq!(
        model.asked().len(),
        0,
        "nothing was asked, so nothing is paid: {ended:?}"
    );
    assert_eq!((ended.code, world.runs().len()), (Some(3), 0), "{ended:?}");
    ended
        .stderr
        .replace(&model.base_url, "http://127.0.0.1:PORT/v1")
        .trim_end()
        .to_owned()
}

fn other(status: u16, kind: &'static str, body: impl Into<String>) -> Offer {
    Offer::Other(status, kind, body.into())
}

#[tokio::test]
async fn a_model_that_is_not_there_is_found_out_before_anything_is_paid() {
    insta::assert_snapshot!(stopped(Offer::Platform, "model: kimi-k2-0905-preview").await, @r"
    error: the model `kimi-k2-0905-preview` is not at http://127.0.0.1:PORT/v1: Moonshot retired it on 2026-05-25
      hint: set `agent.model` to `kimi-k3`
      hint: this provider has `kimi-k3`, `kimi-k3.1-pro`, `kimi-k2.7-code`, `kimi-k2.7-code-highspeed`, `kimi-k2.6`
      hint: nothing was run, and nothing was paid
    ");
    insta::assert_snapshot!(stopped(Offer::Platform, "model: kimi-k2.7-cod").await, @r"
    error: the model `kimi-k2.7-cod` is not at http://127.0.0.1:PORT/v1
      hint: set `agent.model` to `kimi-k2.7-code`
      hint: this provider has `kimi-k3`, `kimi-k3.1-pro`, `kimi-k2.7-code`, `kimi-k2.7-code-highspeed`, `kimi-k2.6`
      hint: nothing was run, and nothing was paid
    ");
    let many: Vec<Value> = (0..300)
        .map(|n| json!({"id": format!("vendor/model-{n}")}))
        .collect();
    let many = other(200, "application/json", json!({"data": many}).to_string());
    insta::assert_snapshot!(stopped(many, "model: nothing-like-it").await, @r"
    error: the model `nothing-like-it` is not at http://127.0.0.1:PORT/v1
      hint: this provider has `vendor/model-0`, `vendor/model-1`, `vendor/model-2`, `vendor/model-3`, `vendor/model-4`, `vendor/model-5`, `vendor/model-6`, `vendor/model-7` and 292 more
      hint: nothing was run, and nothing was paid
    ");
    insta::assert_snapshot!(stopped(Offer::Platform, "model: kimi-k3, thinking: off").await, @r"
    error: `agent.thinking: off` does not suit the model `kimi-k3`, which always thinks
      hint: set it to `auto`, `on`, `low`, `high` or `max`
    ");
}

#[tokio::test]
async fn a_key_of_another_console_is_found_out_before_anything_is_paid() {
    let refused = |kind: &str, message: &str| {
        other(
            401,
            "application/json",
            json!({"error": {"message": message, "type": kind}}).to_string(),
        )
    };
    let echo = format!("Incorrect API key provided: {KEY}");
    let said = stopped(refused("incorrect_api_key_error", &echo), "model: kimi-k3").await;
    assert!(!said.contains(KEY), "{said}");
    insta::assert_snapshot!(said, @r"
    error: http://127.0.0.1:PORT/v1 does not take the key in MODEL_KEY: it answered 401 (incorrect_api_key_error): Incorrect API key provided: ***
      hint: check the key in MODEL_KEY
      hint: make a key at the provider behind http://127.0.0.1:PORT/v1
      hint: nothing was run, and nothing was paid
    ");
}

/// Whatever a provider says to the question, no part of the key and nothing that a terminal or a CI
/// log acts on is shown.
#[tokio::test]
async fn a_hostile_provider_gets_no_key_and_no_escape_code_onto_the_terminal() {
    const ACTS: &str =
        "\u{1b}[31m\u{1b}]0;title\u{7}\n::error::pwned\n::add-mask::x\n\u{202e}\u{0}";
    let cut = format!("{}{KEY}", "x".repeat(480));
    let error = |kind: &str, message: &str| {
        json!({"error": {"type": kind, "message": message}}).to_string()
    };
    let list = json!({"data": [{"id": format!("kimi-{KEY}")}, {"id": ACTS}, {"id": "kimi-k2.6"}]})
        .to_string();
    for (status, body) in [
        (401, error(&format!("t {KEY}"), "no")),
        (401, error("t", &cut)),
        (401, error(&"k".repeat(1_000_000), "no")),
        (401, error(ACTS, ACTS)),
        (429, error(&format!("quota-{KEY}"), &cut)),
        (200, list),
    ] {
        let said = stopped(
            other(status, "application/json", body.clone()),
            "model: kimi-k3",
        )
        .await;
        let begun = &KEY[..12];
        assert!(
            !said.contains(begun) && said.len() < 2_000,
            "{body:.200}\n{said}"
        );
        let acts = said
            .chars()
            .any(|c| (c.is_control() && c != '\n') || c == '\u{202e}');
        assert!(
            !acts && !said.lines().any(|line| line.trim_start().starts_with("::")),
            "{said:?}"
        );
    }
}

#[tokio::test]
async fn an_address_that_is_no_providers_is_found_out_before_anything_is_paid() {
    let page = || other(200, "text/html", "<!doctype html><title>Welcome</title>");
    insta::assert_snapshot!(stopped(page(), "model: kimi-k3").await, @r"
    error: http://127.0.0.1:PORT/v1 is not the address of a model's provider: a web page is there
      hint: set `agent.base_url` to an address like `https://api.moonshot.ai/v1`
      hint: nothing was run, and nothing was paid
    ");
    // Without its `/v1`.
    let model = Model::start(vec![("do one", vec![Turn::Say("never asked")])]).await;
    let short = model.base_url.trim_end_matches("/v1").to_owned();
    let mut world = World::new(&model, ONE).await;
    world.rewrite_plan(|plan| plan.replace(&model.base_url, &short));
    let ended = world.run(&["run"]).await;
    assert_eq!((ended.code, model.asked().len()), (Some(3), 0), "{ended:?}");
    insta::assert_snapshot!(ended.stderr.replace(&short, "http://127.0.0.1:PORT").trim_end(), @r"
    error: http://127.0.0.1:PORT is not the address of a model's provider: there is no list of models, but there is one nearby
      hint: set `agent.base_url` to `http://127.0.0.1:PORT/v1`
      hint: nothing was run, and nothing was paid
    ");
    // Nobody there at all.
    world.rewrite_plan(|plan| plan.replace(&short, "http://127.0.0.1:9/v1"));
    insta::assert_snapshot!(world.run(&["run"]).await.stderr.trim_end(), @r"
    error: the model's provider at http://127.0.0.1:9/v1 could not be reached: the connection was refused
      hint: check `agent.base_url`, and the network and proxy of this machine
      hint: nothing was run, and nothing was paid
    ");
}

/// How a run goes on whose provider does not answer the question: what omk says of it.
async fn goes_on(offer: Offer) -> String {
    let answers = vec![write("one.txt", "1\n"), Turn::Say("done")];
    let model = Model::offering(offer, vec![("do one", answers)]).await;
    let world = World::new(&model, ONE).await;
    let ended = world.run(&["run"]).await;
    assert_eq!(
        (ended.code, world.attempts("one").as_str()),
        (Some(0), "changed"),
        "{ended:?}"
    );
    let notes = ended
        .stderr
        .lines()
        .filter(|line| line.starts_with("note: "));
    notes
        .collect::<Vec<_>>()
        .join("\n")
        .replace(&model.base_url, "http://127.0.0.1:PORT/v1")
}

#[tokio::test]
async fn a_provider_that_cannot_tell_its_models_stops_no_run() {
    insta::assert_snapshot!(goes_on(other(404, "application/json", "{}")).await, @r"
    note: omk could not ask http://127.0.0.1:PORT/v1 for its models: it has no list of them; it goes on, and the first prompt will tell
    note: omk counts Moonshot's prices in USD for `kimi-k3`; set `prices` in the plan if this provider has others
    ");
    let busy = json!({"error": {"message": "The engine is currently overloaded", "type": "engine_overloaded_error"}});
    insta::assert_snapshot!(goes_on(other(429, "application/json", busy.to_string())).await, @r"
    note: omk could not ask http://127.0.0.1:PORT/v1 for its models: it answered 429 (engine_overloaded_error): The engine is currently overloaded; it goes on, and the first prompt will tell
    note: omk counts Moonshot's prices in USD for `kimi-k3`; set `prices` in the plan if this provider has others
    ");
    let long = format!("{{\"data\": [\"{}\"]}}", "x".repeat(10 << 20));
    insta::assert_snapshot!(goes_on(other(200, "application/json", long)).await, @r"
    note: omk could not ask http://127.0.0.1:PORT/v1 for its models: its list is longer than 4 MB; it goes on, and the first prompt will tell
    note: omk counts Moonshot's prices in USD for `kimi-k3`; set `prices` in the plan if this provider has others
    ");
    insta::assert_snapshot!(goes_on(other(200, "application/json", "{\"object\": \"list\"}")).await, @r"
    note: omk could not ask http://127.0.0.1:PORT/v1 for its models: it holds no list called `data`; it goes on, and the first prompt will tell
    note: omk counts Moonshot's prices in USD for `kimi-k3`; set `prices` in the plan if this provider has others
    ");
    insta::assert_snapshot!(goes_on(other(307, "text/html", "")).await, @r"
    note: omk could not ask http://127.0.0.1:PORT/v1 for its models: it answered with a redirect; it goes on, and the first prompt will tell
    note: omk counts Moonshot's prices in USD for `kimi-k3`; set `prices` in the plan if this provider has others
    ");
    // A key that may not read the list may be good for prompts.
    let scopes = json!({"error": {"message": "Missing scopes: api.model.read", "type": "invalid_request_error"}});
    insta::assert_snapshot!(goes_on(other(403, "application/json", scopes.to_string())).await, @r"
    note: omk could not ask http://127.0.0.1:PORT/v1 for its models: it answered 403 (invalid_request_error): Missing scopes: api.model.read; it goes on, and the first prompt will tell
    note: omk counts Moonshot's prices in USD for `kimi-k3`; set `prices` in the plan if this provider has others
    ");
    insta::assert_snapshot!(goes_on(Offer::Silent).await, @r"
    note: omk could not ask http://127.0.0.1:PORT/v1 for its models: it gave no answer in 5 s; it goes on, and the first prompt will tell
    note: omk counts Moonshot's prices in USD for `kimi-k3`; set `prices` in the plan if this provider has others
    ");
}

#[tokio::test]
async fn an_unknown_model_works_with_safe_settings_and_what_was_assumed_is_said() {
    let list = json!({"data": [{"id": "llama-coder"}]}).to_string();
    let model = Model::unruly(
        other(200, "application/json", list),
        vec![("do one", vec![write("one.txt", "1\n"), Turn::Say("done")])],
    )
    .await;
    let world = World::asking(&model, "model: llama-coder", ONE).await;
    let ended = world.run(&["run"]).await;
    assert_eq!(
        (ended.code, world.attempts("one").as_str()),
        (Some(0), "changed"),
        "{ended:?}"
    );
    assert_eq!(said_of_thinking(&model), "thinking=null effort=null");
    let notes = ended
        .stderr
        .lines()
        .filter(|line| line.starts_with("note: "));
    insta::assert_snapshot!(notes.collect::<Vec<_>>().join("\n"), @"note: omk does not know the model `llama-coder`: it assumes a context of 131072 tokens, and leaves thinking to the provider");
}

#[tokio::test]
async fn omk_agent_check_asks_the_same_question_alone() {
    let model = Model::start(Vec::new()).await;
    let mut world = World::new(&model, ONE).await;
    let here = |text: &str| {
        text.replace(&model.base_url, "http://127.0.0.1:PORT/v1")
            .trim_end()
            .to_owned()
    };
    let good = world.run(&["agent", "check"]).await;
    assert_eq!(good.code, Some(0), "{good:?}");
    insta::assert_snapshot!(here(&good.stdout), @r"
    Kimi Code CLI 2.1.0 is ready
    the model kimi-k3 at http://127.0.0.1:PORT/v1 is there, and the key was not refused
      context   1048576 tokens
      thinking  on, as much as the provider thinks best; `agent.thinking` may be on, low, high or max
      price     $3.00 input, $0.30 cached input, $15.00 output, for a million tokens
    ");
    let mut keyless = world.omk(&["agent", "check"]);
    keyless.env_remove(KEY_ENV);
    let keyless = world.end_of(keyless).await;
    assert_eq!(keyless.code, Some(3));
    insta::assert_snapshot!(here(&keyless.stderr), @r"
    error: there is no key for the model: the variable MODEL_KEY is not set
      hint: make a key at the provider behind http://127.0.0.1:PORT/v1
      hint: set MODEL_KEY for omk alone: no child of omk sees it
      hint: or serve recorded answers with `omk run --cassette DIR`
    ");
    world.rewrite_plan(|plan| plan.replace("kimi-k3", "kimi-k2.5"));
    let gone = world.run(&["agent", "check"]).await;
    assert_eq!(gone.code, Some(3));
    insta::assert_snapshot!(here(&gone.stderr), @r"
    error: the model `kimi-k2.5` is not at http://127.0.0.1:PORT/v1: Moonshot retired it on 2026-08-31
      hint: set `agent.model` to `kimi-k3`
      hint: this provider has `kimi-k3`, `kimi-k3.1-pro`, `kimi-k2.7-code`, `kimi-k2.7-code-highspeed`, `kimi-k2.6`
      hint: nothing was run, and nothing was paid
    ");
    assert_eq!(model.asked().len(), 0);
}

/// A key goes to the provider of the plan that it is for, or nowhere.
#[tokio::test]
async fn a_plan_that_cannot_be_read_is_not_replaced_by_the_default_provider() {
    let model = Model::start(Vec::new()).await;
    let world = World::new(&model, ONE).await;
    std::fs::copy(world.at("repo/omk.yaml"), world.at("home/omk.yaml")).unwrap();
    for arguments in [
        &["agent", "check"][..],
        &["agent", "check", "--plan", "omk.yaml"],
        &["agent", "check", "--plan", "no"],
    ] {
        let mut outside = world.omk(arguments);
        outside.current_dir(world.at("home"));
        let ended = world.end_of(outside).await;
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(
            !ended.stderr.contains("moonshot") && model.looked_up().is_empty(),
            "{ended:?}"
        );
    }
}

/// How a task ends whose model answers so: class, message and advice.
async fn ends(turn: Turn) -> String {
    let model = Model::start(vec![("do one", vec![turn])]).await;
    let world = World::new(
        &model,
        &format!("env: {{ KIMI_LOOP_MAX_ATTEMPTS_PER_STEP: \"1\" }}\n{ONE}"),
    )
    .await;
    let ended = world.run(&["run"]).await;
    let journal = world.journal();
    let failed = journal
        .iter()
        .map(|line| &line["fact"]["outcome"])
        .rfind(|outcome| outcome["class"].is_string());
    let Some(failed) = failed else {
        panic!("it did not fail: {ended:?}")
    };
    let words = |name: &str| {
        failed[name]
            .as_str()
            .unwrap_or("-")
            .replace(&model.base_url, "http://127.0.0.1:PORT/v1")
    };
    assert!(
        !ended.stdout.contains(KEY) && !ended.stderr.contains(KEY),
        "{ended:?}"
    );
    if let Some(advice) = failed["advice"].as_str() {
        assert!(
            ended.stdout.contains(advice),
            "people see the advice: {ended:?}"
        );
    }
    format!(
        "{}: {}\n  {}",
        words("class"),
        words("message"),
        words("advice")
    )
}

#[tokio::test]
async fn a_provider_is_quoted_with_the_setting_or_the_page_that_changes_it() {
    let says = |status, kind, message| Turn::Status(status, None, kind, message);
    let quota = "You exceeded your current token quota, please check your account balance";
    let mut all = Vec::new();
    for turn in [
        says(
            400,
            "invalid_request_error",
            "invalid thinking: only type=enabled is allowed for this model",
        ),
        says(
            400,
            "invalid_request_error",
            "max_tokens must be at most 4096",
        ),
        says(
            401,
            "invalid_authentication_error",
            "Invalid Authentication",
        ),
        says(
            403,
            "access_terminated_error",
            "Kimi For Coding is currently only available for Coding Agents",
        ),
        says(
            403,
            "permission_denied_error",
            "The API you are accessing is not open",
        ),
        says(
            404,
            "resource_not_found_error",
            "Not found the model kimi-k3 or Permission denied",
        ),
        says(413, "request_too_large", "Request body too large"),
        says(429, "exceeded_current_quota_error", quota),
        says(
            429,
            "rate_limit_reached_error",
            "Your account reached max request concurrency: 1",
        ),
        Turn::Page,
        Turn::Reason("stop"),
        Turn::Reason("length"),
        Turn::Nothing,
        // What a subscription says when its week is over, and what proxies and other providers say
        // in forms of their own.
        says(
            403,
            "access_terminated_error",
            "You've reached your weekly (7-day) usage limit",
        ),
        says(
            429,
            "rate_limit_reached_error",
            "You've reached your usage limit for this period",
        ),
        Turn::Raw(
            200,
            "application/json",
            r#"{"error":{"message":"quota exceeded","type":"insufficient_quota"}}"#,
        ),
        Turn::Raw(
            200,
            "text/event-stream",
            "data: {\"error\":{\"message\":\"The engine is currently overloaded\"}}\n\n",
        ),
        Turn::Raw(
            422,
            "application/json",
            r#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#,
        ),
        Turn::Raw(
            503,
            "text/plain",
            "upstream connect error or disconnect/reset before headers",
        ),
        Turn::Raw(404, "text/plain", "404 page not found"),
    ] {
        all.push(ends(turn).await);
    }
    insta::assert_snapshot!(all.join("\n"), @r"
    config: the provider answered 400 (invalid_request_error): invalid thinking: only type=enabled is allowed for this model
      set `agent.thinking`, which is `auto` here, to what the model `kimi-k3` takes; `omk agent check` lists it
    config: the provider answered 400 (invalid_request_error): max_tokens must be at most 4096
      -
    auth: the provider answered 401 (invalid_authentication_error): Invalid Authentication
      check the key in MODEL_KEY: keys for this address are made at the provider
    auth: the provider answered 403 (access_terminated_error): Kimi For Coding is currently only available for Coding Agents
      this address serves subscriptions, through coding agents that it knows; look at yours at the provider, or use `base_url: https://api.moonshot.ai/v1` with a key that is paid by the token
    auth: the provider answered 403 (permission_denied_error): The API you are accessing is not open
      check the key in MODEL_KEY: keys for this address are made at the provider
    config: the provider answered 404 (resource_not_found_error): Not found the model kimi-k3 or Permission denied
      `omk agent check` says which models this provider has; set `agent.model` to one of them
    config: the provider answered 413 (request_too_large): Request body too large
      the conversation is too large for the provider; split the task into smaller ones
    quota: the provider answered 429 (exceeded_current_quota_error): You exceeded your current token quota, please check your account balance
      look at what is left at the provider, and run the task again when there is more
    rate-limit: the provider answered 429 (rate_limit_reached_error): Your account reached max request concurrency: 1
      set fewer `limits.workers`, or ask the provider for a higher limit
    provider: something came that is not a model's answer
      `agent.base_url: http://127.0.0.1:PORT/v1` may not be the address of a model's provider
    provider: the model reasoned, and then neither wrote an answer nor used a tool
      -
    steps: the model was still reasoning when its answer reached the longest length, and was cut
      set `agent.thinking: low` where the model has efforts, or split the task into smaller ones
    provider: the model's answer was empty
      -
    quota: the provider answered 403 (access_terminated_error): You've reached your weekly (7-day) usage limit
      look at what is left at the provider, and run the task again when there is more
    quota: the provider answered 429 (rate_limit_reached_error): You've reached your usage limit for this period
      look at what is left at the provider, and run the task again when there is more
    quota: quota exceeded
      look at what is left at the provider, and run the task again when there is more
    rate-limit: The engine is currently overloaded
      the provider is overloaded; omk tries again as often as the retry policy allows
    config: the provider answered 422: field required
      -
    provider: the provider answered 503: upstream connect error or disconnect/reset before headers
      -
    config: the provider answered 404: 404 page not found
      no provider of models answers there: correct `agent.base_url: http://127.0.0.1:PORT/v1`
    ");
}

#[tokio::test]
async fn reasoning_that_goes_on_is_no_silence() {
    // Eight seconds of reasoning, and three of silence are too many. `scripts/soak` has the model
    // reason for minutes.
    let reasons = Turn::Ponder(400, reasoning_seconds() * 10 / 4, "done");
    let model = Model::start(vec![("do one", vec![write("one.txt", "1\n"), reasons])]).await;
    let world = World::new(&model, &ONE.replace("prompt:", "idle_timeout: 3s, prompt:")).await;
    let ended = world.run(&["run"]).await;
    assert_eq!(
        (ended.code, world.attempts("one").as_str()),
        (Some(0), "changed"),
        "{ended:?}"
    );
}

#[tokio::test]
async fn a_limit_in_dollars_is_kept_by_the_tables_prices() {
    // 342 millionths of a dollar an answer, by the table.
    let answers = vec![
        bash("true"),
        bash("true"),
        bash("true"),
        Turn::Say("never reached"),
    ];
    let model = Model::start(vec![("do one", answers)]).await;
    let world = World::new(&model, &format!("limits: {{ usd: 0.0008 }}\n{ONE}")).await;
    let ended = world.run(&["run"]).await;
    assert_eq!(
        (ended.code, &world.report()["verdict"]),
        (Some(4), &json!("needs_more_budget")),
        "{ended:?}"
    );
    assert_eq!(model.asked().len(), 3, "the third answer broke the limit");
}
