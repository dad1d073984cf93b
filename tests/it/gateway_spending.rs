//! What the gateway tells the journal of spending, and what it keeps back near a limit.

use std::time::Duration;

use omk_action::fact::{Fact, Tokens};
use omk_action::gateway::{Budget, Config, Gateway, Pass};
use serde_json::json;

use crate::gateway::{MODEL, admit, ask, client, live, question, scripted};
use crate::model::Turn;

/// What the gateway told its journal, by name.
fn told(
    journal: &mut tokio::sync::mpsc::UnboundedReceiver<Fact>,
) -> Vec<(&'static str, u64, Tokens)> {
    std::iter::from_fn(|| journal.try_recv().ok())
        .map(|fact| match fact {
            Fact::Asked {
                request, tokens, ..
            } => ("asked", request, tokens),
            Fact::Answered {
                request,
                tokens,
                estimated: false,
                ..
            } => ("answered", request, tokens),
            Fact::Answered {
                request, tokens, ..
            } => ("answered about", request, tokens),
            other => panic!("that is not about spending: {other:?}"),
        })
        .collect()
}

/// Until something is told that nobody has looked at.
async fn until_told(journal: &tokio::sync::mpsc::UnboundedReceiver<Fact>) {
    while journal.is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn no_request_goes_out_and_no_answer_ends_before_the_journal_has_it() {
    let model = scripted(vec![Turn::Say("hello")]).await;
    let (facts, mut journal) = tokio::sync::mpsc::unbounded_channel();
    let gateway = Gateway::start(Config {
        journal: Some(facts),
        ..live(&model)
    })
    .await
    .unwrap();
    let pass = admit(&gateway);
    let mut asking = Box::pin(ask(&pass).send());
    let a_moment = Duration::from_millis(50);
    tokio::select! {
        _ = &mut asking => panic!("it was answered before the journal had it"),
        () = until_told(&journal) => {}
    }
    assert!(tokio::time::timeout(a_moment, &mut asking).await.is_err());
    let first = told(&mut journal);
    assert!(
        matches!(first[..], [("asked", 0, tokens)] if tokens.input > 0),
        "{first:?}"
    );
    assert_eq!(model.asked().len(), 0, "the journal does not have it yet");

    gateway.wrote(1);
    let mut response = asking.await.unwrap();
    let mut heard = String::new();
    until_told(&journal).await;
    while let Ok(chunk) = tokio::time::timeout(a_moment, response.chunk()).await {
        heard.push_str(std::str::from_utf8(&chunk.unwrap().unwrap()).unwrap());
    }
    assert!(
        !heard.contains("finish_reason\":\"stop"),
        "the journal has no count of it yet: {heard}"
    );
    let used = Tokens {
        input: 60,
        cached_input: 40,
        output: 10,
        reasoning: 4,
    };
    assert_eq!(told(&mut journal), [("answered", 0, used)]);

    gateway.wrote(1);
    assert!(response.text().await.unwrap().ends_with("data: [DONE]\n\n"));
    assert_eq!(pass.close().tokens, used);
    assert_eq!(told(&mut journal), [], "nothing is told twice");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_told_as_an_estimate_and_one_that_was_refused_as_nothing() {
    let refused = Turn::Status(429, None, "rate_limit_reached_error", "slow down");
    let model = scripted(vec![Turn::OneByOne(vec![Turn::Truncated, refused])]).await;
    let (facts, mut journal) = tokio::sync::mpsc::unbounded_channel();
    let gateway = Gateway::start(Config {
        journal: Some(facts),
        ..live(&model)
    })
    .await
    .unwrap();
    gateway.wrote(9);
    let pass = admit(&gateway);
    assert!(ask(&pass).send().await.unwrap().bytes().await.is_err());
    assert_eq!(ask(&pass).send().await.unwrap().status(), 429);
    let usage = pass.close();
    let told = told(&mut journal);
    let [
        ("asked", 0, sent),
        ("answered about", 0, first),
        ("asked", 1, _),
        ("answered", 1, second),
    ] = told[..]
    else {
        panic!("{told:?}")
    };
    assert!(
        first.input == sent.input && first.output > 0 && second.total() == 0,
        "{told:?}"
    );
    assert_eq!(usage.tokens, first);
}

#[tokio::test]
async fn a_picture_is_no_million_words() {
    let model = scripted(vec![Turn::Say("hello")]).await;
    let (facts, mut journal) = tokio::sync::mpsc::unbounded_channel();
    let gateway = Gateway::start(Config {
        journal: Some(facts),
        ..live(&model)
    })
    .await
    .unwrap();
    gateway.wrote(9);
    let pass = admit(&gateway);
    let picture = format!("data:image/png;base64,{}", "A".repeat(1_000_000));
    let content = json!([{"type": "text", "text": "do it"}, {"type": "image_url", "image_url": {"url": picture}}]);
    let body =
        json!({"model": MODEL, "stream": true, "messages": [{"role": "user", "content": content}]});
    let url = format!("{}/chat/completions", pass.base_url);
    client()
        .post(url)
        .bearer_auth(&pass.token)
        .json(&body)
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    let told = told(&mut journal);
    assert!(
        matches!(told[..], [("asked", 0, tokens), _] if (1_000..1_200).contains(&tokens.input)),
        "{told:?}"
    );
}

#[tokio::test]
async fn near_a_limit_requests_go_out_one_by_one() {
    let budget = Budget {
        tokens_left: Some(300),
        ..Budget::default()
    };
    let model = scripted(vec![Turn::Ponder(50, 2, "hello")]).await;
    let gateway = Gateway::start(Config {
        budget,
        ..live(&model)
    })
    .await
    .unwrap();
    let long = || {
        let mut body = question();
        body["messages"][0]["content"] = json!(format!("do it {}", "x".repeat(900)));
        body
    };
    let passes: Vec<Pass> = (0..5).map(|_| admit(&gateway)).collect();
    let all = passes.iter().map(async |pass| {
        let url = format!("{}/chat/completions", pass.base_url);
        let response = client()
            .post(url)
            .bearer_auth(&pass.token)
            .json(&long())
            .send()
            .await
            .unwrap();
        let status = response.status().as_u16();
        (status, response.bytes().await.is_ok())
    });
    let mut ends = futures_util::future::join_all(all).await;
    ends.sort_unstable();
    // 110 each: the third uses the limit up, and no more are sent.
    assert_eq!(
        ends,
        [
            (200, true),
            (200, true),
            (200, true),
            (402, true),
            (402, true)
        ]
    );
    assert_eq!(
        model.asked().len(),
        3,
        "what is under way is charged when it is sent"
    );
}

#[tokio::test]
async fn a_request_that_waits_ends_with_its_attempt_and_keeps_nothing_for_itself() {
    let budget = Budget {
        tokens_left: Some(60),
        ..Budget::default()
    };
    let model = scripted(vec![Turn::OneByOne(vec![
        Turn::Hanging,
        Turn::Say("hello"),
    ])])
    .await;
    let gateway = Gateway::start(Config {
        budget,
        ..live(&model)
    })
    .await
    .unwrap();
    let (first, second, third) = (admit(&gateway), admit(&gateway), admit(&gateway));
    let under_way = tokio::spawn(ask(&first).send());
    while model.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    let mut waiting = Box::pin(ask(&second).send());
    assert!(
        tokio::time::timeout(Duration::from_millis(50), &mut waiting)
            .await
            .is_err(),
        "it waits"
    );
    assert_eq!(second.close().tokens, Tokens::default());
    assert_eq!(waiting.await.unwrap().status(), 401);
    under_way.abort();
    model.given_up(1).await;
    assert_eq!(
        ask(&third).send().await.unwrap().status(),
        200,
        "nothing is under way any more"
    );
}

#[tokio::test]
async fn an_attempt_that_is_over_waits_for_no_journal() {
    let model = scripted(vec![Turn::Say("hello")]).await;
    let (facts, mut journal) = tokio::sync::mpsc::unbounded_channel();
    let gateway = Gateway::start(Config {
        journal: Some(facts),
        ..live(&model)
    })
    .await
    .unwrap();
    let a_moment = Duration::from_millis(50);
    let pass = admit(&gateway);
    let mut asking = Box::pin(ask(&pass).send());
    assert!(tokio::time::timeout(a_moment, &mut asking).await.is_err());
    assert_eq!(pass.close().tokens, Tokens::default());
    assert_eq!(
        (asking.await.unwrap().status().as_u16(), model.asked().len()),
        (401, 0)
    );
    let told = told(&mut journal);
    assert!(
        matches!(told[..], [("asked", 0, _), ("answered", 0, nothing)] if nothing.total() == 0),
        "{told:?}"
    );

    let pass = admit(&gateway);
    let mut asking = Box::pin(ask(&pass).send());
    assert!(tokio::time::timeout(a_moment, &mut asking).await.is_err());
    gateway.wrote(3);
    let mut response = asking.await.unwrap();
    while tokio::time::timeout(a_moment, response.chunk())
        .await
        .is_ok()
    {}
    assert_eq!(
        pass.close().tokens.output,
        10,
        "its end was there, and the journal did not have it"
    );
    assert!(response.text().await.is_err());
}
