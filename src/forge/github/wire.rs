//! What GitHub's paths and answers share: encoding, accounts, dates.
//!
//! Answers are read leanly: what omk does not use is not looked at, so that it cannot be wrong. It refuses path parts
//! that would climb: `.` and `..` are resolved by URLs even where they are encoded.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};

use crate::id::Moment;
use crate::trust::Account;

/// A text as one part of a path or as a value of a query: all but letters, digits, `-`, `_`, `.` and `~` is encoded.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// A text as one part of a path; `None` where it would climb or vanish.
pub(super) fn segment(text: &str) -> Option<String> {
    (!matches!(text, "" | "." | "..")).then(|| encoded(text))
}

/// A path of several parts.
pub(super) fn segments(path: &str) -> Option<String> {
    path.split('/').map(segment).collect::<Option<Vec<_>>>().map(|parts| parts.join("/"))
}

/// Somebody, as GitHub tells of them.
#[derive(Debug, Deserialize)]
pub(super) struct User {
    id: u64,
    login: String,
    #[serde(rename = "type", default)]
    kind: String,
}

impl User {
    pub(super) fn id(&self) -> u64 {
        self.id
    }
}

impl From<User> for Account {
    fn from(user: User) -> Self {
        let bot = user.kind == "Bot" || user.login.ends_with("[bot]");
        Self { id: user.id, login: user.login, bot }
    }
}

/// A thing that has a number.
#[derive(Debug, Deserialize)]
pub(super) struct Numbered {
    pub(super) id: u64,
}

/// A date as RFC 3339.
pub(super) fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Moment, D::Error> {
    DateTime::<Utc>::deserialize(deserializer).map(|date| Moment::from_millis(date.timestamp_millis()))
}

/// A moment as GitHub wants it.
pub(super) fn date(moment: Moment) -> String {
    moment.to_utc().to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// The text in at most `most` bytes; where some is cut off, `note` says so at its end.
pub(super) fn cut(text: &str, most: usize, note: &str) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let mut end = most.saturating_sub(note.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{note}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_climbs_out_of_its_place() {
        assert_eq!(segment("feature/x y").as_deref(), Some("feature%2Fx%20y"));
        assert_eq!(segment("dependabot[bot]").as_deref(), Some("dependabot%5Bbot%5D"));
        assert_eq!(segment("%2e%2e").as_deref(), Some("%252e%252e"));
        assert_eq!(segment(".."), None);
        assert_eq!(segment(""), None);
        assert_eq!(segments("ci/omk ü.yaml").as_deref(), Some("ci/omk%20%C3%BC.yaml"));
        assert_eq!(segments("ci/../../omk.yaml"), None);
        assert_eq!(segments("/omk.yaml"), None);
    }

    #[test]
    fn a_cut_keeps_whole_characters_and_says_so() {
        assert_eq!(cut("größe", 7, "…cut"), "größe");
        assert_eq!(cut("größer", 7, "…"), "grö…");
        assert!(cut(&"ü".repeat(50_000), 65_535, "\n\ncut").len() <= 65_535);
    }
}
