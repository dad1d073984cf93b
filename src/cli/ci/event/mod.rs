//! The event: what the forge says has happened, as little of it as omk needs.
//!
//! A payload is read for numbers and names that lead to the thing itself; what decides is then read
//! anew by API. It refuses shapes that it does not know with what is missing, and it never takes a
//! commit, a text or a right from here that the forge can still be asked for.

mod github;
mod gitlab;

use std::path::Path;

use serde::Deserialize;

use super::super::{CommandFailure, FailureKind};
use super::runner::{ForgeJob, Runner};
use crate::id::CommitId;
use crate::plain_file;

/// GitHub's payloads are at most 25 MB, and GitLab's are smaller, so this is more than any of them.
const LARGEST: u64 = 32 << 20;

/// What happened, as far as omk cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ForgeEvent {
    /// A comment was made.
    Commented {
        /// The comment's number.
        comment: u64,
        /// The number of the issue or pull request.
        issue: u64,
        /// Which of the two it is.
        place: CommentPlace,
    },
    /// It is time for a maintenance run.
    Due,
    /// It is time to look for comments, of which this forge tells nobody.
    Poll,
    /// Somebody asks for a maintenance run.
    Dispatched {
        /// Who, as the forge names them.
        actor: String,
        /// Tasks by name; empty = all whose `when` holds.
        tasks: Vec<String>,
    },
    /// A pull request was opened, moved or retargeted.
    Proposed(Proposal),
    /// A pull request was closed, merged or not.
    Closed {
        /// Its number.
        pull: u64,
    },
    /// Nothing for omk; a sentence that says so.
    Ignored(String),
    /// Something that omk must not be started by.
    Refused {
        /// Why.
        why: &'static str,
        /// What to do.
        next: &'static str,
    },
}

/// Where a comment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CommentPlace {
    /// On a pull request.
    PullRequest,
    /// On a plain issue.
    Issue,
}

/// A pull request, as it was when something happened to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proposal {
    /// Its number.
    pub(super) number: u64,
    /// The commit that is to be merged.
    pub(super) head: CommitId,
    /// The number of the repository that has it; `None` where that is gone.
    pub(super) head_repository: Option<u64>,
    /// The branch that it is to be merged into.
    pub(super) base: String,
    /// The number of this repository.
    pub(super) repository: u64,
}

/// Reads what started this job.
///
/// # Errors
/// Where the forge's payload is not there, is larger than any, or lacks what such an event always
/// has.
pub(super) fn read(runner: &Runner) -> Result<ForgeEvent, CommandFailure> {
    match &runner.host {
        ForgeJob::GitHub(workflow) => github::read(&workflow.event, &workflow.event_path),
        ForgeJob::GitLab(pipeline) => gitlab::read(pipeline),
    }
}

/// The bytes of a payload.
fn payload(file: &Path) -> Result<Vec<u8>, CommandFailure> {
    let failed = |why: String| {
        CommandFailure::new(
            FailureKind::Infra,
            format!("failed to read the event's payload: {why}"),
        )
    };
    plain_file::read(file, LARGEST).map_err(|why| failed(format!("{}: {why}", file.display())))
}

/// A payload as what it should be, whatever else it holds. `variable` names the file.
fn lenient<'p, T: Deserialize<'p>>(
    name: &str,
    variable: &str,
    payload: &'p [u8],
) -> Result<T, CommandFailure> {
    serde_json::from_slice(payload).map_err(|error| {
        // The parser's words quote field names, and at most a scalar.
        let said = crate::text::clip(&error.to_string(), 200)
            .escape_debug()
            .to_string();
        CommandFailure::new(
            FailureKind::Infra,
            format!("failed to read the payload of the event {name}: {said}"),
        )
        .hint(format!(
            "the file that {variable} names must be the forge's own payload"
        ))
    })
}

/// A word of a payload as part of a sentence: short, and without anything that could leave its
/// line.
fn shown(word: &str) -> String {
    crate::text::clip(word, 60).escape_debug().to_string()
}

/// Tasks by name, as people write lists.
fn words(text: &str) -> Vec<String> {
    let words = text
        .split(|c: char| c.is_whitespace() || c == ',')
        .filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}
