//! `/omk …` in a comment: what a person asks for, or a located complaint.
//!
//! Only text counts that a person wrote to be read as text: lines in code, quotes, HTML and the
//! history below an e-mail are not commands. It refuses to know who wrote the comment, and whether
//! they may.

mod asked;
mod digest;
mod grammar;
mod history;
mod html;
mod lines;
mod malformed;

pub use asked::{CommentRequest, WorkRequest, plan_of};
pub use digest::PlanDigest;
pub use grammar::{Tasks, help};
pub use malformed::Malformed;

use crate::id::{CommitId, TaskId};

/// What a comment asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Run the plan, or some tasks of it.
    Run {
        /// Tasks by id; empty = all.
        tasks: Vec<TaskId>,
        /// The commit to run on, where the person names one in full; it must be the head.
        commit: Option<CommitId>,
    },
    /// Run again what is not proven.
    Retry {
        /// Tasks to start anew, with what depends on them; empty = those that did not complete.
        tasks: Vec<TaskId>,
        /// As for a run.
        commit: Option<CommitId>,
    },
    /// Show what a run would do.
    Plan,
    /// Show where the run stands.
    Status,
    /// End the run.
    Cancel,
    /// Let a changed plan be used.
    Approve {
        /// How the SHA-256 of the plan's bytes begins.
        digest: PlanDigest,
    },
    /// Check the proofs of the last run.
    Verify,
    /// Show what can be asked.
    Help,
}

/// A line of a comment that speaks to omk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedLine {
    /// Counted from 1.
    pub line: usize,
    /// The line without its end, clipped.
    pub text: String,
    /// What it asks for.
    pub command: Result<Command, Malformed>,
}

/// The largest comment that is read, in bytes; GitHub takes 65,536 characters, GitLab a million.
const LARGEST: usize = 1 << 20;

/// Commands that are read in one comment: there are eight words, and what is said twice is said.
const MOST: usize = 20;

/// The longest line that is taken for a command, in bytes: sixty tasks with the longest names.
const LONGEST_LINE: usize = 4096;

/// How much of a line is kept to be shown, in characters.
const SHOWN: usize = 400;

/// Every line that speaks to omk, in order. Never more than 21: the last one then says that there
/// are more. A comment of more than 1 MiB is not read.
#[must_use]
pub fn read(body: &str) -> Vec<ParsedLine> {
    if body.len() > LARGEST {
        return Vec::new();
    }
    let lines = lines::spoken(body);
    let mut found: Vec<ParsedLine> = lines
        .iter()
        .take(MOST)
        .map(|line| understand(line.number, line.text))
        .collect();
    if let Some(line) = lines.get(MOST) {
        let malformed = Malformed::too_many(line.number, line.text, lines.len() - MOST, MOST);
        found.push(found_at(line.number, line.text, Err(malformed)));
    }
    found
}

/// The digests that a comment approves.
pub fn approvals(body: &str) -> impl Iterator<Item = PlanDigest> {
    read(body)
        .into_iter()
        .filter_map(|found| match found.command {
            Ok(Command::Approve { digest }) => Some(digest),
            Ok(
                Command::Run { .. }
                | Command::Retry { .. }
                | Command::Plan
                | Command::Status
                | Command::Cancel
                | Command::Verify
                | Command::Help,
            )
            | Err(_) => None,
        })
}

fn understand(number: usize, text: &str) -> ParsedLine {
    let command = if text.len() > LONGEST_LINE {
        Err(Malformed::too_long(number, text, LONGEST_LINE))
    } else {
        grammar::parse(number, text)
    };
    found_at(number, text, command)
}

fn found_at(line: usize, text: &str, command: Result<Command, Malformed>) -> ParsedLine {
    ParsedLine {
        line,
        text: crate::text::clip(text, SHOWN),
        command,
    }
}

#[cfg(test)]
mod tests;
