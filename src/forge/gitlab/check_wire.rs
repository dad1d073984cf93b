//! Checks as commit statuses: a name, a state, a line and an address.
//!
//! omk's own name of a check is the fragment of its address, which is how it is found again. It
//! refuses to show as a success what is none.

use serde::Deserialize;

use super::texts::title;
use super::wire::GitLabUser;
use crate::forge::wire::segments;
use crate::forge::{Check, CheckState, Conclusion};
use crate::id::CommitId;

/// As many characters as GitLab takes of an address.
pub(super) const MOST_ADDRESS: usize = 255;

/// The word for what was not verified.
pub(super) const SKIPPED: &str = "skipped";

/// The word for what was ended.
pub(super) const CANCELED: &str = "canceled";

#[derive(Debug, Deserialize)]
pub(super) struct GitLabStatus {
    pub(super) id: u64,
    pub(super) status: String,
    name: String,
    description: Option<String>,
    target_url: Option<String>,
    pub(super) pipeline_id: Option<u64>,
    pub(super) author: Option<GitLabUser>,
}

/// A status as omk wants it to be.
#[derive(Debug)]
pub(super) struct DesiredStatus<'a> {
    pub(super) commit: &'a CommitId,
    pub(super) name: &'a str,
    pub(super) external_id: &'a str,
    pub(super) state: CheckState,
    pub(super) description: String,
    pub(super) address: Option<String>,
}

impl GitLabStatus {
    pub(super) fn is_under_way(&self) -> bool {
        state(&self.status) == CheckState::InProgress
    }

    /// What stands behind the `#` of its address.
    pub(super) fn external_id(&self) -> String {
        let fragment = self
            .target_url
            .as_deref()
            .and_then(|url| url.split_once('#'));
        fragment
            .map(|(_, fragment)| decoded(fragment))
            .unwrap_or_default()
    }

    /// Whether it is the wanted one, whatever it says.
    pub(super) fn is(&self, wanted: &DesiredStatus<'_>) -> bool {
        self.name == wanted.name && self.external_id() == wanted.external_id
    }

    /// Whether it says what is wanted, in that word. The line of one under way stays as it is:
    /// GitLab takes no other.
    pub(super) fn says(&self, wanted: &DesiredStatus<'_>, word: &str) -> bool {
        self.status == word
            && (self.is_under_way()
                || self.description.as_deref().unwrap_or_default() == wanted.description)
    }
}

impl From<GitLabStatus> for Check {
    fn from(raw: GitLabStatus) -> Self {
        let external_id = raw.external_id();
        let url = raw.target_url.unwrap_or_default();
        Self {
            id: raw.id,
            state: state(&raw.status),
            name: raw.name,
            external_id,
            app: None,
            url: url.split('#').next().unwrap_or_default().to_owned(),
            title: raw.description.unwrap_or_default(),
        }
    }
}

/// What GitLab's word means.
fn state(word: &str) -> CheckState {
    CheckState::Completed(match word {
        "created"
        | "waiting_for_resource"
        | "preparing"
        | "waiting_for_callback"
        | "pending"
        | "running"
        | "canceling"
        | "scheduled" => return CheckState::InProgress,
        "success" => Conclusion::Success,
        CANCELED => Conclusion::Cancelled,
        SKIPPED => Conclusion::Neutral,
        "manual" => Conclusion::ActionRequired,
        // "failed", and what GitLab may invent: none of it is good.
        _ => Conclusion::Failure,
    })
}

/// What GitLab calls a state.
pub(super) fn word(state: CheckState) -> &'static str {
    match state {
        CheckState::InProgress => "running",
        CheckState::Completed(Conclusion::Success) => "success",
        CheckState::Completed(Conclusion::Failure | Conclusion::ActionRequired) => "failed",
        CheckState::Completed(Conclusion::Neutral) => SKIPPED,
        CheckState::Completed(Conclusion::Cancelled) => CANCELED,
    }
}

/// A line as GitLab takes it.
pub(super) fn line(text: &str) -> String {
    title(text)
}

/// The address with the external id behind it; one that is too long makes way for the project's
/// short one.
pub(super) fn address(url: Option<&str>, external_id: &str, short: &str) -> String {
    let fragment = segments(external_id).unwrap_or_default();
    let with = |url: &str| format!("{}#{fragment}", url.split('#').next().unwrap_or_default());
    let fits = |address: &String| address.chars().count() <= MOST_ADDRESS;
    url.map(with).filter(fits).unwrap_or_else(|| with(short))
}

/// A fragment's text: what is encoded wrongly stays as it is.
fn decoded(fragment: &str) -> String {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = tail
            .get(..2)
            .and_then(|pair| std::str::from_utf8(pair).ok());
        let hex =
            hex.filter(|pair| first == b'%' && pair.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match hex.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| fragment.to_owned())
}

#[cfg(test)]
mod tests;
