//! The gateway between a plain client and a scripted model.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use omk_action::exec::Pulse;
use omk_action::fact::{Limit, Tokens};
use omk_action::gateway::{
    Admission, Budget, Config, Gateway, Pass, ProviderKey, Timeouts, Upstream,
};
use omk_action::model::{ModelFacts, Thinking, Wire};
use serde_json::{Value, json};

use crate::model::{Model, Turn};

pub(crate) const KEY: &str = "sk-the-real-key-0123456789";

/// The model of a plan that names none.
pub(crate) const MODEL: &str = omk_action::model::DEFAULT;

/// How requests to that model are put.
pub(crate) fn wire(model: &str, wish: Thinking) -> Wire {
    Wire::settle(
        &ModelFacts::gather(model, "https://api.moonshot.ai/v1", None),
        wish,
    )
    .unwrap()
}

pub(crate) fn live(model: &Model) -> Config {
    Config {
        upstream: Upstream::Live {
            base_url: model.base_url.clone(),
            key: ProviderKey::new(KEY).unwrap(),
        },
        record: None,
        budget: Budget::default(),
        journal: None,
        timeouts: Timeouts::default(),
        model: Some(MODEL.to_owned()),
        wire: Some(wire(MODEL, Thinking::Auto)),
        scrub: Arc::new(str::to_owned),
    }
}

pub(crate) fn taped(dir: &Path) -> Config {
    let upstream = Upstream::Cassette {
        dir: dir.to_owned(),
    };
    let scrub = Arc::new(str::to_owned);
    let (budget, timeouts) = (Budget::default(), Timeouts::default());
    Config {
        upstream,
        record: None,
        budget,
        journal: None,
        timeouts,
        model: None,
        wire: None,
        scrub,
    }
}

pub(crate) fn admission(placeholders: Vec<(String, String)>, pulse: Pulse) -> Admission {
    Admission {
        task: "api".parse().unwrap(),
        retry_count: 0,
        attempt: 1,
        placeholders,
        pulse,
    }
}

pub(crate) fn admit(gateway: &Gateway) -> Pass {
    gateway
        .admit(admission(Vec::new(), Pulse::default()))
        .unwrap()
}

pub(crate) fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()
        .unwrap()
}

pub(crate) fn question() -> Value {
    json!({"model": MODEL, "stream": true, "messages": [{"role": "user", "content": "do it"}]})
}

pub(crate) fn ask(pass: &Pass) -> reqwest::RequestBuilder {
    let url = format!("{}/chat/completions", pass.base_url);
    client()
        .post(url)
        .bearer_auth(&pass.token)
        .json(&question())
}

pub(crate) async fn scripted(turns: Vec<Turn>) -> Model {
    Model::start(vec![("do it", turns)]).await
}

#[tokio::test]
async fn the_key_goes_to_the_provider_and_the_token_stays_here() {
    let model = scripted(vec![Turn::Say("hello")]).await;
    let gateway = Gateway::start(live(&model)).await.unwrap();
    let pass = admit(&gateway);
    let said = ask(&pass).send().await.unwrap().text().await.unwrap();
    assert!(
        said.contains("hello") && said.ends_with("data: [DONE]\n\n"),
        "{said}"
    );
    let asked = model.asked();
    assert_eq!(asked[0].authorization, format!("Bearer {KEY}"));
    assert!(!asked[0].body.to_string().contains(&pass.token));
    assert_eq!(
        asked[0].body["stream_options"],
        json!({"include_usage": true}),
        "what is not counted is not served"
    );
    let usage = pass.close();
    assert_eq!(
        usage.tokens,
        Tokens {
            input: 60,
            cached_input: 40,
            output: 10,
            reasoning: 4
        }
    );
    assert_eq!(
        (usage.requests, usage.estimated, usage.last_error),
        (1, false, None)
    );
    assert!(usage.first_byte.is_some());
}

#[tokio::test]
async fn only_the_admitted_come_in_and_only_through_one_door() {
    let model = scripted(vec![Turn::Say("hello")]).await;
    let gateway = Gateway::start(live(&model)).await.unwrap();
    let (pass, other) = (admit(&gateway), admit(&gateway));
    let status =
        async |request: reqwest::RequestBuilder| request.send().await.unwrap().status().as_u16();
    let post = |path: &str| {
        client()
            .post(format!("{}{path}", pass.base_url))
            .json(&question())
    };
    assert_eq!(status(post("/chat/completions")).await, 401);
    assert_eq!(
        status(post("/chat/completions").bearer_auth("omk-guess")).await,
        401
    );
    assert_eq!(
        status(post("/chat/completions").bearer_auth(KEY)).await,
        401
    );
    assert_eq!(status(post("/files").bearer_auth(&pass.token)).await, 404);
    assert_eq!(
        status(
            post("/chat/completions")
                .bearer_auth(&pass.token)
                .header("host", "evil.example")
        )
        .await,
        421
    );
    let another = json!({"model": "gpt", "messages": []});
    assert_eq!(
        status(
            post("/chat/completions")
                .bearer_auth(&pass.token)
                .json(&another)
        )
        .await,
        400
    );
    assert_eq!(
        status(
            client()
                .get(format!("{}/models", pass.base_url))
                .bearer_auth(&pass.token)
        )
        .await,
        200
    );
    assert_eq!(model.asked().len(), 0);
    // One attempt's end is not another's.
    let token = pass.token.clone();
    let base_url = pass.base_url.clone();
    assert_eq!(pass.close().requests, 0);
    let again = client()
        .post(format!("{base_url}/chat/completions"))
        .bearer_auth(token)
        .json(&question());
    assert_eq!(status(again).await, 401);
    assert_eq!(status(ask(&other)).await, 200);
}

#[tokio::test]
async fn a_room_serves_its_own_attempt_and_nobody_else() {
    let model = scripted(vec![Turn::Say("hello")]).await;
    let gateway = Gateway::start(live(&model)).await.unwrap();
    let (pass, other) = (admit(&gateway), admit(&gateway));
    let room = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let inside = room.local_addr().unwrap().port();
    pass.serve(room).unwrap();
    // In a room the listener has the gateway's own port.
    let status = async |port: u16, pass: &Pass| {
        let url = format!("http://127.0.0.1:{port}/v1/chat/completions");
        let request = client()
            .post(url)
            .header("host", format!("127.0.0.1:{}", gateway.port()));
        request
            .bearer_auth(&pass.token)
            .json(&question())
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!(
        (status(inside, &pass).await, status(inside, &other).await),
        (200, 401)
    );
    assert_eq!(
        (
            status(gateway.port(), &pass).await,
            status(gateway.port(), &other).await
        ),
        (401, 200)
    );
}

#[tokio::test]
async fn a_provider_that_is_not_reached_is_named_with_the_reason() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let model = scripted(Vec::new()).await;
    let upstream = Upstream::Live {
        base_url: format!("http://127.0.0.1:{free}/v1"),
        key: ProviderKey::new(KEY).unwrap(),
    };
    let gateway = Gateway::start(Config {
        upstream,
        ..live(&model)
    })
    .await
    .unwrap();
    let pass = admit(&gateway);
    assert_eq!(ask(&pass).send().await.unwrap().status(), 502);
    let error = pass.close().last_error.unwrap();
    assert_eq!((error.status, error.kind.as_str()), (None, "connect"));
    let said = format!(
        "the model's provider at http://127.0.0.1:{free} could not be reached: the connection was refused"
    );
    assert_eq!(error.message, said);
}

#[tokio::test]
async fn neither_the_key_nor_a_token_is_shown() {
    let model = scripted(Vec::new()).await;
    let config = live(&model);
    let shown = format!("{config:?}");
    assert!(
        shown.contains(&model.base_url) && shown.contains("key: ***") && !shown.contains(KEY),
        "{shown}"
    );
    let pass = admit(&Gateway::start(config).await.unwrap());
    let shown = format!("{pass:?}");
    assert!(
        shown.contains(&pass.base_url) && !shown.contains(&pass.token),
        "{shown}"
    );
}

#[tokio::test]
async fn words_pass_as_they_come_and_beat_the_pulse() {
    let model = scripted(vec![Turn::Stalled]).await;
    let gateway = Gateway::start(live(&model)).await.unwrap();
    let pulse = Pulse::default();
    let pass = gateway.admit(admission(Vec::new(), pulse.clone())).unwrap();
    let mut response = ask(&pass).send().await.unwrap();
    // The model never finishes; what it said is here all the same.
    let mut heard = String::new();
    while !heard.contains("par") {
        heard.push_str(std::str::from_utf8(&response.chunk().await.unwrap().unwrap()).unwrap());
    }
    assert!(pulse.count() >= 2);
    // The client goes away, and so does the request to the provider.
    drop(response);
    model.given_up(1).await;
    let usage = pass.close();
    assert!(usage.estimated && usage.tokens.input > 0, "{usage:?}");
}

#[tokio::test]
async fn closing_a_pass_breaks_off_what_is_under_way() {
    let model = scripted(vec![Turn::Stalled]).await;
    let gateway = Gateway::start(live(&model)).await.unwrap();
    let pass = admit(&gateway);
    let response = ask(&pass).send().await.unwrap();
    drop(pass);
    assert!(response.bytes().await.is_err());
    model.given_up(1).await;
}

#[tokio::test]
async fn a_stream_without_its_end_breaks_for_the_agent_too() {
    for turn in [Turn::Truncated, Turn::Dropped, Turn::Malformed] {
        let model = scripted(vec![turn.clone()]).await;
        let gateway = Gateway::start(live(&model)).await.unwrap();
        let pass = admit(&gateway);
        let response = ask(&pass).send().await.unwrap();
        assert!(response.bytes().await.is_err(), "{turn:?}");
        let error = pass.close().last_error.unwrap();
        assert_eq!(
            (error.status, error.kind.as_str()),
            (None, "dropped"),
            "{turn:?}"
        );
    }
}

#[tokio::test]
async fn silence_ends_before_the_agents_own_patience() {
    let short = Duration::from_millis(50);
    let model = scripted(vec![Turn::OneByOne(vec![Turn::Hanging, Turn::Stalled])]).await;
    // Each kind of silence with its own patience alone: on a busy machine the beginning of an
    // answer takes longer, too.
    let timeouts = Timeouts {
        answer: short,
        ..Timeouts::default()
    };
    let gateway = Gateway::start(Config {
        timeouts,
        ..live(&model)
    })
    .await
    .unwrap();
    let pass = admit(&gateway);
    assert_eq!(ask(&pass).send().await.unwrap().status(), 504);
    assert_eq!(pass.close().last_error.unwrap().kind, "silent");
    let timeouts = Timeouts {
        stall: short,
        ..Timeouts::default()
    };
    let gateway = Gateway::start(Config {
        timeouts,
        ..live(&model)
    })
    .await
    .unwrap();
    let pass = admit(&gateway);
    assert!(ask(&pass).send().await.unwrap().bytes().await.is_err());
    assert_eq!(pass.close().last_error.unwrap().kind, "stalled");
    model.given_up(2).await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = ("location", "http://127.0.0.1:9/v1");
    let model = scripted(vec![Turn::Status(307, Some(elsewhere), "x", "go there")]).await;
    let gateway = Gateway::start(live(&model)).await.unwrap();
    let pass = admit(&gateway);
    assert_eq!(ask(&pass).send().await.unwrap().status(), 400);
    assert_eq!(pass.close().last_error.unwrap().kind, "redirect");
}

#[tokio::test]
async fn trouble_is_passed_on_with_its_wait_but_never_with_the_key() {
    let message = "wrong key sk-the-real-key-0123456789";
    let model = scripted(vec![Turn::Status(
        429,
        Some(("retry-after", "7")),
        "rate_limit_reached_error",
        message,
    )])
    .await;
    let gateway = Gateway::start(live(&model)).await.unwrap();
    let pass = admit(&gateway);
    let response = ask(&pass).send().await.unwrap();
    assert_eq!(
        (
            response.status().as_u16(),
            response.headers()["retry-after"].to_str().unwrap()
        ),
        (429, "7")
    );
    let body = response.text().await.unwrap();
    assert!(body.contains("wrong key ***"), "{body}");
    let error = pass.close().last_error.unwrap();
    assert_eq!(
        (error.retry_after, error.kind.as_str()),
        (Some(Duration::from_secs(7)), "rate_limit_reached_error")
    );
}

#[tokio::test]
async fn a_used_up_budget_cuts_the_model_while_it_speaks() {
    let budget = Budget {
        tokens_left: Some(2),
        ..Budget::default()
    };
    let model = scripted(vec![Turn::Say(
        "one two three four five six seven eight nine ten eleven twelve",
    )])
    .await;
    let gateway = Gateway::start(Config {
        budget,
        ..live(&model)
    })
    .await
    .unwrap();
    let (pass, other) = (admit(&gateway), admit(&gateway));
    assert!(ask(&pass).send().await.unwrap().bytes().await.is_err());
    assert_eq!(*gateway.limits().borrow(), Some(Limit::Tokens));
    assert_eq!(ask(&other).send().await.unwrap().status(), 402);
    assert!(pass.close().over_budget && other.close().over_budget);
    assert_eq!(model.asked().len(), 1);
}

#[tokio::test]
async fn a_request_that_is_given_up_before_its_answer_is_still_accounted_for_and_no_sign_of_life() {
    let model = scripted(vec![Turn::Hanging]).await;
    let gateway = Gateway::start(live(&model)).await.unwrap();
    let pulse = Pulse::default();
    let pass = gateway.admit(admission(Vec::new(), pulse.clone())).unwrap();
    let mut long = question();
    long["messages"][0]["content"] = json!(format!("do it {}", "x".repeat(40_000)));
    let url = format!("{}/chat/completions", pass.base_url);
    let asking = client()
        .post(url)
        .bearer_auth(&pass.token)
        .json(&long)
        .send();
    tokio::select! {
        _ = asking => panic!("nobody answers"),
        () = async { while model.asked().is_empty() { tokio::task::yield_now().await } } => {}
    }
    model.given_up(1).await;
    assert_eq!(pulse.count(), 0, "asking alone keeps no idle clock alive");
    let usage = pass.close();
    assert!(usage.tokens.input >= 10_000 && usage.estimated, "{usage:?}");
}

#[tokio::test]
async fn nothing_in_a_request_gets_around_the_model_the_count_or_the_longest_answer() {
    let model = scripted(vec![Turn::Say("hi")]).await;
    let gateway = Gateway::start(live(&model)).await.unwrap();
    let pass = admit(&gateway);
    let ask = async |extra: Value| {
        let mut body = question();
        body.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        let url = format!("{}/chat/completions", pass.base_url);
        let response = client()
            .post(url)
            .bearer_auth(&pass.token)
            .json(&body)
            .send()
            .await
            .unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    for (extra, why) in [
        (json!({"stream": "true"}), "`stream` is true or false"),
        (json!({"stream": 1}), "`stream` is true or false"),
        (json!({"model": "gpt"}), "not `gpt`"),
        (json!({"model": [MODEL]}), "not ``"),
    ] {
        let (status, said) = ask(extra.clone()).await;
        assert!(status == 400 && said.contains(why), "{extra}: {said}");
    }
    assert_eq!(model.asked().len(), 0);
    for longest in [
        json!("99999999"),
        json!(9_999_999.0),
        json!(1e300),
        json!(u64::MAX),
    ] {
        let extra = json!({"max_tokens": longest, "models": ["gpt"], "route": "fallback",
            "stream_options": {"include_usage": false}, "temperature": 2, "thinking": {"type": "disabled"}});
        assert_eq!(ask(extra.clone()).await.0, 200, "{extra}");
        let asked = model.asked().pop().unwrap().body;
        assert_eq!(
            (&asked["max_tokens"], &asked["stream_options"]),
            (&json!(131_072), &json!({"include_usage": true}))
        );
        let gone = ["models", "route", "temperature", "thinking"]
            .iter()
            .all(|name| asked.get(*name).is_none());
        assert!(gone, "{asked}");
    }
}
