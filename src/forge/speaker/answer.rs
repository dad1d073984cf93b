//! What comes back from a forge: an answer, a refusal, a wish to wait, or doubt.
//!
//! It refuses to trust its shape: whatever is not there, is not there.

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::SAID;
use crate::forge::ForgeError;
use crate::text::clip;

/// An answer that is a success.
#[derive(Debug)]
pub(in crate::forge) struct ForgeAnswer {
    pub(in crate::forge) status: u16,
    pub(in crate::forge) headers: HeaderMap,
    pub(in crate::forge) body: Vec<u8>,
}

/// Why an exchange gave nothing.
#[derive(Debug)]
pub(in crate::forge) enum Failed {
    /// It was not done; it may be asked for again after so long.
    Wait(Duration),
    /// Something else.
    Trouble(RequestFailure),
}

/// Why a request gave nothing, waits being over.
#[derive(Debug)]
pub(in crate::forge) enum RequestFailure {
    /// It was not done, and asking again would change nothing.
    Certain(ForgeError),
    /// Nobody knows whether it was done.
    Doubt(String),
}

impl From<ForgeError> for Failed {
    fn from(error: ForgeError) -> Self {
        Self::Trouble(RequestFailure::Certain(error))
    }
}

pub(super) fn doubt(said: impl Into<String>) -> Failed {
    Failed::Trouble(RequestFailure::Doubt(said.into()))
}

impl ForgeAnswer {
    /// The answer as JSON; no body is `null`.
    pub(in crate::forge) fn json<T: DeserializeOwned>(&self) -> Result<T, String> {
        let body = if self.body.is_empty() {
            b"null".as_slice()
        } else {
            &self.body
        };
        serde_json::from_slice(body).map_err(|error| clip(&error.to_string(), SAID))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.header(name)?.trim().parse().ok()
    }

    /// Whether the forge says that there is another page. Where it leads to is not looked at: pages
    /// have numbers.
    pub(super) fn has_next_page(&self) -> Option<bool> {
        let linked = self
            .header("link")
            .map(|link| link.contains("rel=\"next\""));
        linked.or_else(|| {
            self.header("x-next-page")
                .map(|page| !page.trim().is_empty())
        })
    }

    pub(in crate::forge) fn content_type(&self) -> &str {
        self.header("content-type").unwrap_or_default()
    }

    /// The forge's words for a refusal: its message, and the errors it lists.
    pub(super) fn words(&self) -> String {
        let Ok(body) = self.json::<Value>() else {
            return String::from_utf8_lossy(&self.body[..self.body.len().min(4 * SAID)])
                .into_owned();
        };
        let mut words = Vec::new();
        for name in ["message", "error", "error_description"] {
            spell("", &body[name], &mut words);
        }
        if words.is_empty() {
            words.push("no reason given".to_owned());
        }
        let listed = body["errors"].as_array().into_iter().flatten();
        let listed =
            listed.filter_map(|error| error.as_str().or_else(|| error["message"].as_str()));
        words.extend(listed.take(5).map(str::to_owned));
        words.join("; ")
    }
}

/// As many words of one refusal as an error can hold.
const MOST_WORDS: usize = 5;

/// The texts in a value, each with the name of what it is about: `title: is too long`.
fn spell(name: &str, value: &Value, words: &mut Vec<String>) {
    if words.len() >= MOST_WORDS {
        return;
    }
    match value {
        Value::String(text) if name.is_empty() => words.push(text.clone()),
        Value::String(text) => words.push(format!("{name}: {text}")),
        Value::Array(list) => list.iter().for_each(|one| spell(name, one, words)),
        Value::Object(map) => map.iter().for_each(|(name, one)| spell(name, one, words)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(body: &str) -> String {
        ForgeAnswer {
            status: 400,
            headers: HeaderMap::new(),
            body: body.as_bytes().to_owned(),
        }
        .words()
    }

    #[test]
    fn a_refusal_is_told_in_whatever_shape_it_comes() {
        assert_eq!(words(r#"{"message":"403 Forbidden"}"#), "403 Forbidden");
        assert_eq!(
            words(r#"{"message":{"title":["is too long","is odd"]}}"#),
            "title: is too long; title: is odd"
        );
        assert_eq!(
            words(r#"{"message":["Another one exists: !5"]}"#),
            "Another one exists: !5"
        );
        assert_eq!(words(r#"{"error":"state is missing"}"#), "state is missing");
        let scope =
            r#"{"error":"insufficient_scope","error_description":"needs api","scope":"api"}"#;
        assert_eq!(words(scope), "insufficient_scope; needs api");
        assert_eq!(
            words(r#"{"message":"No","errors":[{"message":"too long"},"odd",7]}"#),
            "No; too long; odd"
        );
        assert_eq!(words("Retry later\n"), "Retry later\n");
        assert_eq!(words("[7]"), "no reason given");
        assert!(
            words(&format!(
                "{{\"message\":{}}}",
                "[".repeat(60) + "\"x\"" + &"]".repeat(60)
            ))
            .contains('x')
        );
    }
}
