//! Tests of `gateway::relay`.

use super::*;

use super::super::Budget;
use super::super::spend::Ledger;
use std::collections::BTreeMap;

const KEY: &str = "sk-the-real-key-0123456789";

fn attempt() -> Arc<AdmittedAttempt> {
    let ledger = Ledger::new(Budget::default(), None);
    let closed = tokio_util::sync::CancellationToken::new();
    Arc::new(AdmittedAttempt::new(
        ("api".parse().unwrap(), 1),
        crate::exec::Pulse::default(),
        (None, None),
        ledger,
        closed,
    ))
}

/// What an agent gets of an answer in these pieces: its status and its body, unless that breaks
/// off.
async fn passed(
    attempt: &Arc<AdmittedAttempt>,
    status: u16,
    kind: &str,
    pieces: Vec<Bytes>,
) -> (u16, Option<String>) {
    let mut relay = Relay::new(Arc::clone(attempt), Arc::new(str::to_owned));
    let headers = BTreeMap::from([("content-type".to_owned(), kind.to_owned())]);
    let body = stream::iter(pieces.into_iter().map(Ok)).boxed();
    relay.arrived(UpstreamResponse {
        status,
        headers,
        body,
        ..UpstreamResponse::none()
    });
    let response = relay.into_response(Some(KEY)).await;
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
    (
        status,
        body.ok()
            .map(|body| String::from_utf8(body.to_vec()).unwrap()),
    )
}

async fn streamed(attempt: &Arc<AdmittedAttempt>, pieces: &[&'static str]) -> Option<String> {
    let pieces = pieces
        .iter()
        .map(|piece| Bytes::from_static(piece.as_bytes()))
        .collect();
    let (status, body) = passed(attempt, 200, "text/event-stream", pieces).await;
    assert_eq!(status, 200);
    body
}

/// The last error of an attempt: its status, kind and message.
fn error(attempt: &AdmittedAttempt) -> Option<(Option<u16>, String, String)> {
    attempt
        .usage()
        .last_error
        .map(|error| (error.status, error.kind, error.message))
}

#[tokio::test]
async fn what_only_began_like_the_key_comes_at_the_end() {
    let pieces = ["data: [DONE]\n\n", ": sk-the-re"];
    assert_eq!(streamed(&attempt(), &pieces).await, Some(pieces.concat()));
    let whole = passed(
        &attempt(),
        500,
        "text/plain",
        vec![Bytes::from_static(b"it begins with sk-the-re")],
    )
    .await;
    assert_eq!(whole, (500, Some("it begins with sk-the-re".to_owned())));
    let both = streamed(
        &attempt(),
        &[": sk-the-real-", "key-0123456789!\n", "data: [DONE]\n"],
    )
    .await
    .unwrap();
    assert!(
        !both.contains("sk-the") && both.ends_with("!\ndata: [DONE]\n"),
        "{both}"
    );
    assert_eq!(
        streamed(&attempt(), &["data: [DONE]\n\n"]).await.as_deref(),
        Some("data: [DONE]\n\n")
    );
}

#[tokio::test]
async fn the_last_answer_says_what_is_wrong_with_the_provider() {
    let attempt = attempt();
    let refusal = "data: {\"error\":{\"type\":\"overloaded\",\"message\":\"busy\"}}\n\n";
    assert_eq!(
        streamed(&attempt, &[refusal]).await.as_deref(),
        Some(refusal),
        "it came to its end"
    );
    assert_eq!(
        error(&attempt),
        Some((Some(200), "overloaded".to_owned(), "busy".to_owned()))
    );
    let good =
        "data: {\"choices\":[{\"delta\":{\"content\":\"hello\"},\"finish_reason\":\"stop\"}]}\n\n";
    assert!(streamed(&attempt, &[good]).await.is_some());
    assert_eq!(error(&attempt), None, "a good answer makes up for it");
    let empty = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    assert!(streamed(&attempt, &[empty]).await.is_some());
    let nothing = crate::model::Empty::Nothing;
    let expected = (
        Some(200),
        nothing.as_str().to_owned(),
        nothing.in_words().to_owned(),
    );
    assert_eq!(error(&attempt), Some(expected));
    let torn = "data: {\"choices\":[{\"delta\":{\"content\":\"hel\"}}]}\n\n";
    assert_eq!(streamed(&attempt, &[torn]).await, None);
    assert_eq!(
        error(&attempt).map(|(status, kind, _)| (status, kind)),
        Some((None, "dropped".to_owned()))
    );
}

#[tokio::test]
async fn a_whole_answer_passes_up_to_its_limit() {
    for (length, status, kind) in [
        (LONGEST_WHOLE, 500, None),
        (LONGEST_WHOLE + 1, 502, Some("not-an-answer")),
    ] {
        let attempt = attempt();
        let body = Bytes::from(vec![b'x'; length]);
        let pieces = vec![body.slice(..length / 2), body.slice(length / 2..)];
        let (found, text) = passed(&attempt, 500, "text/plain", pieces).await;
        assert_eq!(
            (found, text.unwrap().len() == length),
            (status, kind.is_none())
        );
        let broke = attempt
            .usage()
            .last_error
            .filter(|error| error.status.is_none());
        assert_eq!(broke.map(|error| error.kind).as_deref(), kind);
    }
}
