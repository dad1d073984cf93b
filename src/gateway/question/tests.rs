//! Tests of `gateway::question`.

use super::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[test]
fn the_address_that_was_meant_is_tried_and_never_the_same_again() {
    assert_eq!(near("http://a/"), ["http://a", "http://a/v1"][1..]);
    assert_eq!(near("http://a/v1"), Vec::<String>::new());
    assert_eq!(near("http://a/v1/chat/completions"), ["http://a/v1"]);
    assert_eq!(near("http://a/v2"), ["http://a/v1"]);
    assert_eq!(near("http://a/v1/v1"), ["http://a/v1"]);
    assert_eq!(near("http://a/coding"), ["http://a/coding/v1"]);
}

/// A provider with answers by path. It takes no other path.
async fn provider(answers: Vec<(&'static str, u16, String)>) -> String {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(move |uri: axum::http::Uri| async move {
        let found = answers.into_iter().find(|(path, ..)| *path == uri.path());
        let (_, status, body) = found.unwrap_or(("", 404, String::new()));
        (axum::http::StatusCode::from_u16(status).unwrap(), body)
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    base_url
}

/// What comes of the question there.
async fn asked(base_url: &str) -> String {
    match ask_models(base_url, &ProviderKey::new("sk-secret-0123").unwrap()).await {
        Ok(list) => list
            .iter()
            .map(|offered| offered.id.as_str())
            .collect::<Vec<_>>()
            .join(" "),
        Err(error) => {
            let weight = if error.is_certain() {
                "certain"
            } else {
                "unclear"
            };
            let better = match &error {
                QuestionError::WrongAddress {
                    better: Some(better),
                    ..
                } => format!(", but {better}"),
                _ => String::new(),
            };
            format!("{weight}: {error}{better}")
        }
    }
}

const LIST: &str = r#"{"object":"list","data":[{"id":"kimi-k3","object":"model"}]}"#;
const BAD_KEY: &str =
    r#"{"error":{"type":"invalid_authentication_error","message":"no key sk-secret-0123"}}"#;

#[tokio::test]
async fn what_is_certain_and_what_is_not_is_told_by_the_answer() {
    let mut told = Vec::new();
    for (status, body) in [
        (200, LIST),
        (200, " <html>"),
        (200, "hello"),
        (200, r#"{"models":[]}"#),
        (
            200,
            r#"{"error":{"type":"quota_exceeded","message":"pay first"}}"#,
        ),
        (401, BAD_KEY),
        (401, ""),
        (401, "<html>"),
        (402, ""),
        (403, BAD_KEY),
        (404, ""),
        (405, LIST),
        (302, ""),
        (503, "busy"),
    ] {
        let base_url = provider(vec![("/v1/models", status, body.to_owned())]).await;
        let asked = asked(&format!("{base_url}/v1"))
            .await
            .replace(&base_url, "http://AT");
        told.push(format!("{status} {asked}"));
    }
    insta::assert_snapshot!(told.join("\n"), @"
        200 kimi-k3
        200 certain: use http://AT/v1 as the model's `base_url`: a web page is there
        200 unclear: ask http://AT/v1 for its models: it is not JSON
        200 unclear: ask http://AT/v1 for its models: it holds no list called `data`
        200 certain: use the key at http://AT/v1: the provider answered 200 (quota_exceeded): pay first
        401 certain: use the key at http://AT/v1: the provider answered 401 (invalid_authentication_error): no key ***
        401 unclear: ask http://AT/v1 for its models: it answered 401
        401 unclear: ask http://AT/v1 for its models: it answered 401
        402 certain: use the key at http://AT/v1: the provider answered 402
        403 unclear: ask http://AT/v1 for its models: it answered 403 (invalid_authentication_error): no key ***
        404 unclear: ask http://AT/v1 for its models: it has no list of them
        405 unclear: ask http://AT/v1 for its models: it has no list of them
        302 unclear: ask http://AT/v1 for its models: it answered with a redirect
        503 unclear: ask http://AT/v1 for its models: it answered 503: busy
        ");
}

#[tokio::test]
async fn an_address_nearby_is_better_if_a_provider_speaks_there() {
    let mut told = Vec::new();
    for (status, body) in [(200, LIST), (401, BAD_KEY), (401, "nope"), (200, "hello")] {
        let base_url = provider(vec![("/v1/models", status, body.to_owned())]).await;
        told.push(asked(&base_url).await.replace(&base_url, "http://AT"));
    }
    insta::assert_snapshot!(told.join("\n"), @"
        certain: use http://AT as the model's `base_url`: there is no list of models, but there is one nearby, but http://AT/v1
        certain: use http://AT as the model's `base_url`: there is no list of models, but there is one nearby, but http://AT/v1
        unclear: ask http://AT for its models: it has no list of them
        unclear: ask http://AT for its models: it has no list of them
        ");
}

#[tokio::test]
async fn a_list_is_read_up_to_its_limit() {
    let mut told = Vec::new();
    for more in [0, 1] {
        let body = format!("{LIST}{}", " ".repeat(LONGEST_LIST - LIST.len() + more));
        let base_url = provider(vec![("/v1/models", 200, body)]).await;
        told.push(
            asked(&format!("{base_url}/v1"))
                .await
                .replace(&base_url, "http://AT"),
        );
    }
    assert_eq!(
        told,
        [
            "kimi-k3",
            "unclear: ask http://AT/v1 for its models: its list is longer than 4 MB"
        ]
    );
}

#[tokio::test]
async fn a_connection_that_ends_without_an_answer_is_no_lack_of_a_way() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await.unwrap());
            }
            client.shutdown().await.unwrap();
        }
    });
    let told = asked(&base_url).await.replace(&base_url, "http://AT/v1");
    assert_eq!(
        told,
        "unclear: ask http://AT/v1 for its models: the connection was closed"
    );
}
