//! What a provider says of its own trouble, in whatever shape, and whether it speaks of money or of
//! room.
//!
//! OpenAI's form is `{"error": {"type", "message"}}`. Proxies, gateways and other providers have
//! forms of their own, and some answer 200 and put the error inside. It refuses to guess from a
//! status alone: that is the reader's business.

use serde_json::Value;

use crate::text;

/// What was said, as it came. It may echo the key: [`Refusal::shown`] makes it fit for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The provider's own name of the error: `exceeded_current_quota_error`; [`UNNAMED`] where it
    /// has none.
    pub kind: String,
    /// What it says; empty where it says nothing.
    pub message: String,
}

/// The kind of an error that has no name of its own.
pub const UNNAMED: &str = "not-an-answer";

/// Longer messages are cut; people read them in a line or two.
const LONGEST_MESSAGE: usize = 500;

/// The longest name of an error that is taken for one.
const LONGEST_KIND: usize = 80;

impl Refusal {
    /// Reads the body of an answer that is not a good one.
    #[must_use]
    pub fn read(body: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Ok(said) => Self::of(&said),
            Err(_) => Self::new(None, &plain(body)),
        }
    }

    /// The error inside an answer that looked like a good one: a member `error` that is not null.
    #[must_use]
    pub fn inside(answer: &Value) -> Option<Self> {
        let error = answer.get("error").filter(|error| !error.is_null())?;
        let said = error.is_string() || error.is_object();
        said.then(|| Self::of(answer))
    }

    fn of(said: &Value) -> Self {
        let error = said.get("error").filter(|error| error.is_object());
        let first = || {
            said.pointer("/errors/0")
                .or_else(|| said.pointer("/detail/0"))
        };
        let place = error.or_else(first).unwrap_or(said);
        let text = |name: &str| {
            place
                .get(name)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty() && *text != "<nil>")
        };
        let kind = ["type", "code"].iter().find_map(|name| text(name));
        let bare = || {
            ["error", "detail", "error_description"]
                .iter()
                .find_map(|name| said.get(*name)?.as_str())
        };
        let message = ["message", "msg"]
            .iter()
            .find_map(|name| text(name))
            .or_else(bare)
            .unwrap_or_default();
        Self::new(kind, message)
    }

    fn new(kind: Option<&str>, message: &str) -> Self {
        let is_name = |kind: &&str| {
            kind.len() <= LONGEST_KIND
                && kind
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_.-/ ".contains(&byte))
        };
        Self {
            kind: kind.filter(is_name).unwrap_or(UNNAMED).to_owned(),
            message: message.to_owned(),
        }
    }

    /// Without secrets and control characters, and at most 500 characters long. Secrets go first:
    /// one that is cut in two is not found any more.
    #[must_use]
    pub fn shown(&self, hide: &dyn Fn(&str) -> String) -> Self {
        let message = hide(&text::printable(self.message.as_bytes()));
        // In one line, so that nothing in it begins one: a CI log takes some lines for commands.
        let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
        let message = text::escape_invisible(&message)
            .chars()
            .take(LONGEST_MESSAGE)
            .collect();
        Self {
            kind: hide(&self.kind),
            message,
        }
    }
}

/// A body that is not JSON: the title of a page, or the first line of a text.
fn plain(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(64 << 10)]);
    let text = text.trim_start();
    if !text.starts_with('<') {
        return text
            .lines()
            .next()
            .unwrap_or_default()
            .trim_end()
            .to_owned();
    }
    let title = text
        .split_once("<title>")
        .and_then(|(_, rest)| rest.split_once("</title>"));
    title.map_or_else(String::new, |(title, _)| title.trim().to_owned())
}

/// Signs that there is nothing left to pay with. A subscription says so with 402, 403 and 429, and
/// under any name.
const NO_CREDIT: [&str; 10] = [
    "exceeded your current",
    "usage limit",
    "usage quota",
    "insufficient balance",
    "insufficient_quota",
    "insufficient quota",
    "quota exceeded",
    "check your account balance",
    "recharge",
    "more credits",
];

/// Whether the provider says that credit or quota is used up, and waiting some seconds will not
/// help.
#[must_use]
pub fn is_out_of_credit(status: Option<u16>, kind: &str, message: &str) -> bool {
    let speaks_of_it = || {
        let (kind, message) = (kind.to_lowercase(), message.to_lowercase());
        kind.contains("quota") || NO_CREDIT.iter().any(|sign| message.contains(sign))
    };
    match status {
        Some(402) => true,
        Some(200..=299 | 403 | 429) => speaks_of_it(),
        Some(_) | None => false,
    }
}

/// Whether the provider says that it has no room just now.
#[must_use]
pub fn is_overloaded(kind: &str, message: &str) -> bool {
    let (kind, message) = (kind.to_lowercase(), message.to_lowercase());
    ["overloaded", "rate_limit", "rate limit"]
        .iter()
        .any(|sign| kind.contains(sign) || message.contains(sign))
}

/// Whether the provider says that the conversation is too large for it.
#[must_use]
pub fn is_too_large(message: &str) -> bool {
    let message = message.to_lowercase();
    let size = message.contains("message size") && message.contains("exceeds limit");
    size || [
        "exceeded model token limit",
        "maximum context length",
        "context_length_exceeded",
    ]
    .iter()
    .any(|sign| message.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(body: &str) -> String {
        let Refusal { kind, message } = Refusal::read(body.as_bytes()).shown(&str::to_owned);
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
            Refusal::inside(&serde_json::from_str(text).unwrap()).map(|refusal| refusal.message)
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
                serde_json::json!({"error": {"message": format!("{}sk-SECRET", "x".repeat(before))}}).to_string();
            assert!(
                !Refusal::read(body.as_bytes())
                    .shown(&hide)
                    .message
                    .contains("sk"),
                "{before}"
            );
        }
        for kind in ["bad sk-SECRET", &"y".repeat(1_000_000), "a\u{1b}[31m"] {
            let body = serde_json::json!({"error": {"type": kind}}).to_string();
            let shown = Refusal::read(body.as_bytes()).shown(&hide).kind;
            assert!(
                shown.len() <= LONGEST_KIND && !shown.contains("SECRET") && !shown.contains('\x1b'),
                "{shown}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_body_panics_and_no_message_is_long(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let refusal = Refusal::read(&bytes).shown(&str::to_owned);
            prop_assert!(refusal.message.chars().count() <= LONGEST_MESSAGE && refusal.kind.len() <= LONGEST_KIND);
            let inert = !refusal.message.contains('\x1b');
            prop_assert!(inert);
        }
    }
}
