//! What a run of the built omk with the real Kimi CLI spent, when omk is killed meanwhile: nothing
//! of it is forgotten.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use crate::e2e_world::{World, until, write};
use crate::model::{Model, Turn};

const PLAN: &str = r#"
limits: { workers: 1 }
gates: [{ id: check, run: sh check.sh }]
tasks: [{ id: talk, prompt: do talk, write_set: ["*.txt"], gates: [check], retry_policy: { max_attempts: 0 } }]
"#;

/// What the scripted model says that each of its answers used.
const ANSWER: u64 = 110;

fn total(tokens: &Value) -> u64 {
    ["input", "cached_input", "output"]
        .iter()
        .map(|kind| tokens[*kind].as_u64().unwrap())
        .sum()
}

/// By the journal: what is known of each request, and of how many the answer came.
fn by_request(world: &World) -> (u64, usize, usize) {
    let mut requests = BTreeMap::new();
    let mut answered = BTreeSet::new();
    for line in world.journal() {
        let fact = &line["fact"];
        let name = (fact["attempt"].as_u64(), fact["request"].as_u64());
        if fact["fact"] == "asked" || fact["fact"] == "answered" {
            requests.insert(name, total(&fact["tokens"]));
        }
        if fact["fact"] == "answered" {
            answered.insert(name);
        }
    }
    (requests.values().sum(), requests.len(), answered.len())
}

/// Kills omk once so many requests have come to the model, and a moment has passed.
async fn killed(
    world: &World,
    model: &Model,
    command: &str,
    requests: usize,
    moment: Duration,
) -> bool {
    let mut omk = world.omk(&[command]).spawn().unwrap();
    until("the model was asked, or omk came to its end", || {
        model.asked().len() >= requests || omk.try_wait().unwrap().is_some()
    })
    .await;
    tokio::time::sleep(moment).await;
    let over = omk.try_wait().unwrap().is_some();
    if !over {
        omk.start_kill().unwrap();
    }
    omk.wait().await.unwrap();
    !over
}

fn claimed(proof: &Value) -> u64 {
    proof["predicate"]["agent"]
        .as_array()
        .unwrap()
        .iter()
        .map(|agent| total(&agent["tokens"]))
        .sum()
}

fn proofs(world: &World) -> Vec<Value> {
    let entries = std::fs::read_dir(world.runs().pop().unwrap().join("proofs")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let statements = paths.filter(|path| path.to_str().unwrap().ends_with("proof.json"));
    statements
        .map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
        .collect()
}

#[tokio::test]
async fn a_limit_counts_what_a_killed_attempt_had_spent_and_report_and_proof_say_it() {
    let talk = vec![
        write("talk.txt", "a\n"),
        Turn::OneByOne(vec![Turn::Hanging, Turn::Say("done")]),
    ];
    let model = Model::start(vec![("do talk", talk)]).await;
    let world = World::new(&model, PLAN).await;
    assert!(killed(&world, &model, "run", 2, Duration::ZERO).await);
    let (spent, requests, answered) = by_request(&world);
    assert_eq!((requests, answered), (2, 1), "the second was on its way");
    let estimate = spent - ANSWER;
    assert!(
        estimate > 1000,
        "the CLI's prompt alone is longer: {estimate}"
    );

    // The limit was used up by what was sent before omk was killed.
    let limit = format!("tokens={}", spent - 1);
    let again = world.run(&["resume", "--limits", &limit]).await;
    assert_eq!((again.code, model.asked().len()), (Some(4), 2), "{again:?}");
    assert_eq!(total(&world.report()["tokens"]), spent);

    let more = world.run(&["resume", "--limits", "tokens=1000000"]).await;
    assert_eq!(
        (more.code, &world.report()["verdict"]),
        (Some(0), &json!("ready")),
        "{more:?}"
    );
    let report = world.report();
    assert_eq!(total(&report["tokens"]), spent + 2 * ANSWER);
    assert_eq!(total(&report["tasks"][0]["tokens"]), spent + 2 * ANSWER);
    assert!(
        report["warnings"]
            .to_string()
            .contains("tokens are an estimate"),
        "{}",
        report["warnings"]
    );
    for proof in proofs(&world) {
        assert_eq!(claimed(&proof), spent + 2 * ANSWER, "{proof}");
    }
    for args in [&["verify"][..], &["replay"][..]] {
        let checked = world.run(args).await;
        assert_eq!(checked.code, Some(0), "{checked:?}");
    }

    // A new run has limits of its own; the old one's bill is not lost for it.
    let retried = world.run(&["retry"]).await;
    assert_eq!(retried.code, Some(0), "{retried:?}");
    assert!(
        retried.stderr.contains("tokens of that run"),
        "{}",
        retried.stderr
    );
    world.assert_nobody_is_left().await;
}

#[tokio::test]
async fn whenever_omk_is_killed_every_request_and_every_answer_that_the_agent_had_is_counted() {
    let answers = |text| Turn::Ponder(15, 4, text);
    let step = |n| write(n, "a\n");
    let talk = vec![
        step("a.txt"),
        step("b.txt"),
        answers("more to come"),
        step("c.txt"),
        answers("done"),
    ];
    let model = Model::start(vec![("do talk", talk)]).await;
    let world = World::new(&model, PLAN).await;
    // Said where the test fails: (requests until then, milliseconds since the last of them).
    let mut asked = 0;
    for (round, (requests, moment)) in [(1, 3), (2, 21), (3, 64), (3, 90), (2, 7)]
        .into_iter()
        .enumerate()
    {
        let command = if round == 0 { "run" } else { "resume" };
        let was_killed = killed(
            &world,
            &model,
            command,
            asked + requests,
            Duration::from_millis(moment),
        )
        .await;
        asked = model.asked().len();
        let (_, told, answered) = by_request(&world);
        assert!(
            told >= asked,
            "round {round}: the model was asked {asked} times, the journal tells of {told}"
        );
        // What the agent had in hand, it told in the next request.
        let mut had = BTreeMap::new();
        for (number, request) in model.asked().iter().enumerate() {
            let messages = request.body["messages"].as_array().unwrap();
            let answers = messages
                .iter()
                .filter(|message| message["role"] == "assistant")
                .count();
            had.insert(number - answers.min(number), answers);
        }
        let had: usize = had.values().sum();
        assert!(
            answered >= had,
            "round {round}: the agent had {had} answers, the journal tells of {answered}"
        );
        if !was_killed {
            break;
        }
    }
    let ended = world.run(&["resume"]).await;
    assert!(matches!(ended.code, Some(0 | 2)), "{ended:?}");
    let (spent, requests, answered) = by_request(&world);
    assert!(spent >= ANSWER * answered as u64 && requests >= model.asked().len());
    assert_eq!(total(&world.report()["tokens"]), spent);
    for proof in proofs(&world) {
        assert_eq!(claimed(&proof), spent, "{proof}");
    }
    world.assert_nobody_is_left().await;
}

#[tokio::test]
async fn an_answer_that_cannot_be_recorded_is_reported() {
    let talk = vec![write("talk.txt", "a\n"), Turn::Ponder(100, 5, "done")];
    let model = Model::start(vec![("do talk", talk)]).await;
    let world = World::new(&model, PLAN).await;
    let mut omk = world.omk(&["run"]).spawn().unwrap();
    until("the model was asked for its second answer", || {
        model.asked().len() >= 2
    })
    .await;
    let cassette = world.runs().pop().unwrap().join("cassette");
    std::fs::rename(&cassette, cassette.with_extension("aside")).unwrap();
    std::fs::write(&cassette, "in its way").unwrap();
    assert_eq!(omk.wait().await.unwrap().code(), Some(0));
    let warnings = world.report()["warnings"].to_string();
    assert!(
        warnings.contains("attempt 1 of `talk`: the answer talk/0-1 could not be recorded: "),
        "{warnings}"
    );
    assert!(
        warnings.contains("`omk replay --agents` cannot repeat it"),
        "{warnings}"
    );
    world.assert_nobody_is_left().await;
}
