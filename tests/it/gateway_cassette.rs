//! What the gateway records of a scripted model's answers, and serves again.

use std::path::{Path, PathBuf};

use omk_action::exec::Pulse;
use omk_action::fact::Tokens;
use omk_action::gateway::{Config, Gateway, Pass};
use serde_json::{Value, json};

use crate::gateway::{KEY, MODEL, admission, admit, ask, client, live, question, scripted, taped};
use crate::model::{Model, Turn};

fn places(slot: &str) -> Vec<(String, String)> {
    vec![("{{slot}}".to_owned(), slot.to_owned())]
}

async fn record(dir: &Path, turns: Vec<Turn>) -> Model {
    let model = scripted(turns).await;
    let gateway = Gateway::start(Config {
        record: Some(dir.to_owned()),
        ..live(&model)
    })
    .await
    .unwrap();
    let pass = gateway
        .admit(admission(places("/here/slot-1"), Pulse::default()))
        .unwrap();
    drop(ask(&pass).send().await.unwrap().bytes().await);
    drop(ask(&pass).send().await.unwrap().bytes().await);
    assert_eq!(pass.close().unrecorded, None);
    model
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(dir.join("api"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn what_was_recorded_is_served_again_with_the_paths_of_the_new_place() {
    let dir = tempfile::tempdir().unwrap();
    let write = Turn::Use(vec![(
        "Write",
        json!({"path": "/here/slot-1/a.txt", "content": "sk-the-real-key-0123456789"}),
    )]);
    record(
        dir.path(),
        vec![Turn::OneByOne(vec![
            Turn::Status(429, Some(("retry-after", "1")), "slow", "later"),
            write,
        ])],
    )
    .await;
    let names: Vec<_> = files(dir.path())
        .iter()
        .map(|path| path.file_name().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["0-0-2.json", "0-0.json"]);
    let kept = std::fs::read_to_string(&files(dir.path())[0]).unwrap();
    assert!(
        kept.contains("{{slot}}/a.txt") && kept.contains("***") && !kept.contains(KEY),
        "{kept}"
    );
    let request = serde_json::from_str::<Value>(&kept).unwrap()["request"].take();
    let asked = json!({"model": MODEL, "messages_before": 0, "messages": [{"role": "user", "content": "do it"}]});
    assert_eq!(request, asked, "people see what was asked");

    let gateway = Gateway::start(taped(dir.path())).await.unwrap();
    let pass = gateway
        .admit(admission(places("/there"), Pulse::default()))
        .unwrap();
    let first = ask(&pass).send().await.unwrap();
    assert_eq!(
        (
            first.status().as_u16(),
            first.headers()["retry-after"].to_str().unwrap()
        ),
        (429, "1")
    );
    let second = ask(&pass).send().await.unwrap().text().await.unwrap();
    assert!(second.contains(r#"{\"path\":\"/there/a.txt\""#), "{second}");
    // A third answer was never recorded.
    let third = ask(&pass).send().await.unwrap();
    assert_eq!(third.status(), 400);
    assert!(third.text().await.unwrap().contains("api/0-0-3"));
    let usage = pass.close();
    assert!(usage.cassette_miss.unwrap().contains("api/0-0-3"));
    assert_eq!(
        usage.tokens,
        Tokens {
            input: 60,
            cached_input: 40,
            output: 10,
            reasoning: 4
        }
    );
}

#[tokio::test]
async fn an_answer_that_is_no_stream_is_counted_recorded_and_served_again_either_way() {
    let dir = tempfile::tempdir().unwrap();
    let whole = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],
        "usage":{"prompt_tokens":10,"completion_tokens":3}}"#;
    let model = scripted(vec![Turn::Raw(200, "application/json", whole)]).await;
    let gateway = Gateway::start(Config {
        record: Some(dir.path().to_owned()),
        ..live(&model)
    })
    .await
    .unwrap();
    let pass = admit(&gateway);
    let ask = async |pass: &Pass, stream: bool| {
        let mut body = question();
        body["stream"] = stream.into();
        let url = format!("{}/chat/completions", pass.base_url);
        client()
            .post(url)
            .bearer_auth(&pass.token)
            .json(&body)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    };
    assert_eq!(ask(&pass, false).await, whole);
    let usage = pass.close();
    let used = Tokens {
        input: 10,
        output: 3,
        ..Tokens::default()
    };
    assert_eq!(
        (usage.tokens, usage.estimated, usage.last_error),
        (used, false, None)
    );
    let kept: Value =
        serde_json::from_slice(&std::fs::read(&files(dir.path())[0]).unwrap()).unwrap();
    assert_eq!(
        (&kept["turn"]["text"], kept.get("body")),
        (&json!("hello"), None),
        "{kept}"
    );

    let gateway = Gateway::start(taped(dir.path())).await.unwrap();
    let pass = admit(&gateway);
    let again: Value = serde_json::from_str(&ask(&pass, false).await).unwrap();
    assert_eq!(again["choices"][0]["message"]["content"], "hello");
    let pass = admit(&gateway);
    let streamed = ask(&pass, true).await;
    assert!(
        streamed.contains("\"content\":\"hello\"") && streamed.ends_with("data: [DONE]\n\n"),
        "{streamed}"
    );
}

#[tokio::test]
async fn a_recording_that_cannot_be_kept_is_not_kept_secret() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let model = scripted(vec![Turn::Say("hello")]).await;
    let gateway = Gateway::start(Config {
        record: Some(file.path().join("x")),
        ..live(&model)
    })
    .await
    .unwrap();
    let pass = admit(&gateway);
    assert!(
        ask(&pass)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
            .contains("hello")
    );
    let why = pass.close().unrecorded.unwrap();
    assert!(
        why.starts_with("the answer api/0-0 could not be recorded: "),
        "{why}"
    );
}

#[tokio::test]
async fn a_broken_answer_breaks_again_in_the_replay() {
    let dir = tempfile::tempdir().unwrap();
    record(
        dir.path(),
        vec![Turn::OneByOne(vec![Turn::Dropped, Turn::Page])],
    )
    .await;
    let gateway = Gateway::start(taped(dir.path())).await.unwrap();
    let pass = admit(&gateway);
    assert!(ask(&pass).send().await.unwrap().bytes().await.is_err());
    let page = ask(&pass).send().await.unwrap();
    assert_eq!(
        (
            page.headers()["content-type"].to_str().unwrap(),
            page.status().as_u16()
        ),
        ("text/html", 200)
    );
    assert_eq!(page.text().await.unwrap(), "<html>hi");
}

#[tokio::test]
async fn a_key_in_a_header_of_an_answer_is_not_recorded() {
    let dir = tempfile::tempdir().unwrap();
    record(
        dir.path(),
        vec![Turn::Status(
            429,
            Some(("retry-after", KEY)),
            "slow",
            "later",
        )],
    )
    .await;
    let kept = std::fs::read_to_string(&files(dir.path())[0]).unwrap();
    assert!(kept.contains("***") && !kept.contains(KEY), "{kept}");
}
