//! Tests of `model::refusal`.

use super::*;
use proptest::prelude::*;

fn read(body: &str) -> String {
    let ProviderRefusal { kind, message } =
        ProviderRefusal::read(body.as_bytes()).shown(&str::to_owned);
    format!("{kind}: {message}")
}

#[test]
fn errors_are_read_in_the_shapes_that_providers_give_them() {
    // As documented by, or reported of: Moonshot, OpenRouter, SiliconFlow, FastAPI (twice),
    // Ollama, Cloudflare, Volcengine, a Go proxy, OAuth, Envoy, nginx.
    let shapes = [
        r#"{"error":{"message":"Invalid Authentication","type":"invalid_authentication_error"}}"#,
        r#"{"error":{"message":"This request requires more credits","code":402},"user_id":"u"}"#,
        r#"{"code":20015,"message":"reasoning_content is missing","data":null}"#,
        r#"{"detail":"Your key has no access to this model"}"#,
        r#"{"detail":[{"loc":["body","messages"],"msg":"field required","type":"value_error.missing"}]}"#,
        r#"{"error":"model \"kimi-k3\" not found"}"#,
        r#"{"success":false,"errors":[{"code":10000,"message":"Authentication error"}]}"#,
        r#"{"error":{"code":"InvalidParameter","message":"no such parameter","param":"","type":"BadRequest"}}"#,
        r#"{"error":{"type":"<nil>","message":"it is missing"},"type":"error"}"#,
        r#"{"error":"invalid_grant","error_description":"expired"}"#,
        "upstream connect error or disconnect/reset before headers\nmore",
        "<html><head><title>502 Bad Gateway</title></head>",
        "<html>",
        "",
    ];
    insta::assert_snapshot!(shapes.map(read).join("\n"), @r#"
        invalid_authentication_error: Invalid Authentication
        not-an-answer: This request requires more credits
        not-an-answer: reasoning_content is missing
        not-an-answer: Your key has no access to this model
        value_error.missing: field required
        not-an-answer: model "kimi-k3" not found
        not-an-answer: Authentication error
        BadRequest: no such parameter
        not-an-answer: it is missing
        not-an-answer: invalid_grant
        not-an-answer: upstream connect error or disconnect/reset before headers
        not-an-answer: 502 Bad Gateway
        not-an-answer: 
        not-an-answer:
        "#);
}

#[test]
fn an_error_inside_a_good_answer_is_found_and_no_other() {
    let inside = |text: &str| {
        ProviderRefusal::inside(&serde_json::from_str(text).unwrap()).map(|refusal| refusal.message)
    };
    assert_eq!(
        inside(r#"{"error":{"message":"quota exceeded"}}"#).as_deref(),
        Some("quota exceeded")
    );
    assert_eq!(
        inside(r#"{"error":"STREAM_EXPLODED"}"#).as_deref(),
        Some("STREAM_EXPLODED")
    );
    assert_eq!(inside(r#"{"error":null,"choices":[]}"#), None);
    assert_eq!(
        inside(r#"{"choices":[{"delta":{"content":"error"}}]}"#),
        None
    );
}

#[test]
fn money_room_and_size_are_told_apart() {
    // As reported of the subscription in 2026, under three statuses and four names.
    for (status, kind, message) in [
        (
            403,
            "access_terminated_error",
            "You've reached your weekly (7-day) usage limit. Your quota will reset …",
        ),
        (
            403,
            "permission_error",
            "You've reached your usage limit for this billing cycle.",
        ),
        (
            429,
            "rate_limit_reached_error",
            "You've reached your usage limit for this period.",
        ),
        (
            402,
            "invalid_request_error",
            "We're unable to verify your membership benefits at this time.",
        ),
        (
            429,
            "exceeded_current_quota_error",
            "Your account is suspended due to insufficient balance",
        ),
        (200, "x", "quota exceeded"),
    ] {
        assert!(is_out_of_credit(Some(status), kind, message), "{message}");
    }
    for (status, kind, message) in [
        (
            403,
            "access_terminated_error",
            "Kimi For Coding is currently only available for Coding Agents",
        ),
        (
            429,
            "rate_limit_reached_error",
            "Your account reached max request concurrency: 1",
        ),
        (
            429,
            "engine_overloaded_error",
            "The engine is currently overloaded",
        ),
        (
            400,
            "invalid_request_error",
            "Your request exceeded your current plan's context",
        ),
    ] {
        assert!(!is_out_of_credit(Some(status), kind, message), "{message}");
    }
    assert!(is_overloaded("engine_overloaded_error", "") && !is_overloaded("x", "full"));
    assert!(is_too_large(
        "Invalid request: total message size 2228224 exceeds limit 2097152"
    ));
    assert!(!is_too_large("the size is fine"));
}

#[test]
fn no_part_of_a_secret_is_left_at_the_cut() {
    let hide = |text: &str| text.replace("sk-SECRET", "***");
    for before in LONGEST_MESSAGE - 20..LONGEST_MESSAGE + 5 {
        let body =
            serde_json::json!({"error": {"message": format!("{}sk-SECRET", "x".repeat(before))}})
                .to_string();
        assert!(
            !ProviderRefusal::read(body.as_bytes())
                .shown(&hide)
                .message
                .contains("sk"),
            "{before}"
        );
    }
    for kind in ["bad sk-SECRET", &"y".repeat(1_000_000), "a\u{1b}[31m"] {
        let body = serde_json::json!({"error": {"type": kind}}).to_string();
        let shown = ProviderRefusal::read(body.as_bytes()).shown(&hide).kind;
        assert!(
            shown.len() <= LONGEST_KIND && !shown.contains("SECRET") && !shown.contains('\x1b'),
            "{shown}"
        );
    }
}

proptest! {
    #[test]
    fn no_body_panics_and_no_message_is_long(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let refusal = ProviderRefusal::read(&bytes).shown(&str::to_owned);
        prop_assert!(refusal.message.chars().count() <= LONGEST_MESSAGE && refusal.kind.len() <= LONGEST_KIND);
        let inert = !refusal.message.contains('\x1b');
        prop_assert!(inert);
    }
}
