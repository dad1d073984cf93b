//! `/omk …` in a comment: what a person asks for, or a located complaint.
//!
//! Only text counts that a person wrote to be read as text: lines in code, quotes and HTML are not commands. It refuses to
//! know who wrote the comment, and whether they may.

use crate::id::CommitId;

/// What a comment asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Run the plan, or some tasks of it.
    Run {
        /// Tasks by name; empty = all.
        tasks: Vec<String>,
        /// The commit to run on, where the person names one in full; it must be the head.
        commit: Option<CommitId>,
    },
    /// Run again what is not proven.
    Retry {
        /// Tasks to start anew, with what depends on them; empty = those that did not complete.
        tasks: Vec<String>,
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
        /// How the SHA-256 of the plan's bytes begins: 12 to 64 lower-case hex digits.
        digest: String,
    },
    /// Check the proofs of the last run.
    Verify,
    /// Show what can be asked.
    Help,
}
