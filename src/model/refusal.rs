//! What a provider says of its own trouble, in whatever shape, and whether it speaks of money or of
//! room.
//!
//! OpenAI's form is `{"error": {"type", "message"}}`. Proxies, gateways and other providers have
//! forms of their own, and some answer 200 and put the error inside. It refuses to guess from a
//! status alone: that is the reader's business.

use serde_json::Value;

use crate::text;

/// What was said, as it came. It may echo the key: [`ProviderRefusal::shown`] makes it fit for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderRefusal {
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

impl ProviderRefusal {
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
mod tests;
