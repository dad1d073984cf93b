//! Tests of `gateway::upstream`.

use super::super::turn::{ModelAnswer, ToolCall, TurnReader};
use super::*;

fn after(pairs: &[(&str, &str)]) -> Option<Duration> {
    retry_after(
        &pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    )
}

#[test]
fn a_wait_is_read_in_all_its_spellings() {
    let date = ("date", "Sun, 22 Nov 2026 19:00:00 GMT");
    assert_eq!(after(&[("retry-after", "7")]), Some(Duration::from_secs(7)));
    assert_eq!(
        after(&[("retry-after", "1.5")]),
        Some(Duration::from_millis(1500))
    );
    assert_eq!(
        after(&[("retry-after-ms", "20"), ("retry-after", "7")]),
        Some(Duration::from_millis(20))
    );
    assert_eq!(
        after(&[("retry-after", "Sun, 22 Nov 2026 19:01:00 GMT"), date]),
        Some(Duration::from_secs(60))
    );
    assert_eq!(
        after(&[("retry-after", "Sun, 22 Nov 2026 18:00:00 GMT"), date]),
        Some(Duration::ZERO)
    );
    assert_eq!(after(&[("retry-after", "soon")]), None);
    assert_eq!(after(&[("retry-after", "-1")]), None);
}

#[test]
fn what_a_provider_says_of_itself_is_read() {
    let body =
        br#"{"error":{"message":"You exceeded your quota","type":"exceeded_current_quota_error"}}"#;
    let error = read_error(429, &BTreeMap::new(), body, &str::to_owned);
    assert_eq!(
        (error.kind.as_str(), error.message.as_str()),
        ("exceeded_current_quota_error", "You exceeded your quota")
    );
    assert_eq!(
        read_error(500, &BTreeMap::new(), b"<html>", &str::to_owned).kind,
        "not-an-answer"
    );
}

#[test]
fn only_http_and_https_are_addresses_of_a_provider() {
    let is_taken = |base_url| {
        !matches!(
            client(base_url, Timeouts::default()),
            Err(GatewayError::BaseUrl(_))
        )
    };
    for good in [
        "http://127.0.0.1:1/v1",
        "https://api.example/v1",
        "https://[::1]/v1",
    ] {
        assert!(is_taken(good), "{good}");
    }
    for bad in [
        "ftp://api.example",
        "api.example/v1",
        "https:",
        "unix:/run/x",
        "",
    ] {
        assert!(!is_taken(bad), "{bad}");
    }
    assert_eq!(
        host("https://api.example:8443/v1/chat?x"),
        "https://api.example:8443"
    );
    assert_eq!(host("https://api.example/v1"), "https://api.example");
}

#[test]
fn trouble_with_a_connection_is_put_into_words() {
    let kinds = [
        ErrorKind::ConnectionRefused,
        ErrorKind::ConnectionReset,
        ErrorKind::ConnectionAborted,
        ErrorKind::UnexpectedEof,
        ErrorKind::TimedOut,
        ErrorKind::NetworkUnreachable,
        ErrorKind::HostUnreachable,
        ErrorKind::Other,
    ];
    insta::assert_snapshot!(kinds.map(|kind| of_machine(kind).unwrap_or("-")).join("\n"), @"
        the connection was refused
        the connection was cut
        the connection was cut
        the connection was closed
        there was no answer
        there is no way to it
        there is no way to it
        -
        ");
}

#[test]
fn a_refusal_has_a_status_only_where_the_provider_answered() {
    let status = |kind| refusal(502, kind, "x").error.and_then(|error| error.status);
    assert_eq!(["silent", "connect", "dropped"].map(status), [None; 3]);
    assert_eq!(["redirect", "cassette"].map(status), [Some(502); 2]);
}

#[tokio::test]
async fn a_recorded_answer_is_played_as_it_is_asked_for() {
    let call = ToolCall {
        id: None,
        name: "Write".to_owned(),
        arguments: json!({"path": "a"}),
    };
    let turn = ModelAnswer {
        text: "hello".to_owned(),
        tool_calls: vec![call],
        ..ModelAnswer::default()
    };
    let recording = Recording {
        v: 1,
        status: 200,
        turn: Some(turn),
        ..Recording::default()
    };
    for (wants_stream, kind) in [(true, "text/event-stream"), (false, "application/json")] {
        let answer = play(&recording, "api/0-0", wants_stream);
        assert_eq!(answer.headers["content-type"], kind);
        let parts: Vec<Bytes> = answer
            .body
            .map(|part| part.expect("it does not break"))
            .collect()
            .await;
        let (body, mut reader) = (parts.concat(), TurnReader::default());
        if wants_stream {
            reader.look_at(&body)
        } else {
            reader.look_at_whole(&body)
        }
        let read = reader.turn();
        assert!(
            reader.is_complete() && read.text == "hello" && read.tool_calls[0].name == "Write",
            "{read:?}"
        );
    }
}
