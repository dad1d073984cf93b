//! What GitHub's answers share: accounts, dates, texts that are cut.
//!
//! Answers are read leanly: what omk does not use is not looked at, so that it cannot be wrong. It
//! refuses to cut a character in two.

use serde::Deserialize;

pub(super) use crate::forge::wire::{WithId, encoded, moment, segment, segments};
use crate::id::Moment;
use crate::trust::Account;

/// Somebody, as GitHub tells of them.
#[derive(Debug, Deserialize)]
pub(super) struct GitHubUser {
    id: u64,
    login: String,
    #[serde(rename = "type", default)]
    kind: String,
}

impl GitHubUser {
    pub(super) fn id(&self) -> u64 {
        self.id
    }
}

impl From<GitHubUser> for Account {
    fn from(user: GitHubUser) -> Self {
        let bot = user.kind == "Bot" || user.login.ends_with("[bot]");
        Self {
            id: user.id,
            login: user.login,
            bot,
        }
    }
}

/// A moment as GitHub wants it.
pub(super) fn date(moment: Moment) -> String {
    moment
        .to_utc()
        .to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
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
    fn a_cut_keeps_whole_characters_and_says_so() {
        assert_eq!(cut("größe", 7, "…cut"), "größe");
        assert_eq!(cut("größer", 7, "…"), "grö…");
        assert!(cut(&"ü".repeat(50_000), 65_535, "\n\ncut").len() <= 65_535);
    }
}
