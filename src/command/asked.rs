//! What a whole comment asks for, in the order in which it is done.

use super::{Command, Malformed, ParsedLine};
use crate::id::{CommitId, TaskId};

/// What a comment asks for: each thing once, a run last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommentRequest {
    /// What comes first, in the comment's order; never a run or a retry.
    pub first: Vec<Command>,
    /// What comes last.
    pub work: Option<WorkRequest>,
    /// What cannot be understood, in the comment's order.
    pub malformed: Vec<Malformed>,
}

/// What is to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkRequest {
    /// As [`Command::Run`].
    Run {
        /// Tasks by id; empty = all.
        tasks: Vec<TaskId>,
        /// The commit that the person named.
        commit: Option<CommitId>,
    },
    /// As [`Command::Retry`].
    Retry {
        /// Tasks to start anew; empty = those that did not complete.
        tasks: Vec<TaskId>,
        /// The commit that the person named.
        commit: Option<CommitId>,
    },
}

impl WorkRequest {
    /// The commit that the person named.
    #[must_use]
    pub fn commit(&self) -> Option<&CommitId> {
        match self {
            Self::Run { commit, .. } | Self::Retry { commit, .. } => commit.as_ref(),
        }
    }

    /// The tasks that the person named.
    #[must_use]
    pub fn tasks(&self) -> &[TaskId] {
        match self {
            Self::Run { tasks, .. } | Self::Retry { tasks, .. } => tasks,
        }
    }
}

impl CommentRequest {
    /// Whether the comment says nothing to omk.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_empty() && self.work.is_none() && self.malformed.is_empty()
    }
}

/// Puts the commands of a comment in order. What is said twice is done once. Of two different runs
/// or retries none is started, and the second is complained about.
#[must_use]
pub fn plan_of(found: Vec<ParsedLine>) -> CommentRequest {
    let mut asked = CommentRequest::default();
    let mut started: Option<usize> = None;
    let mut refused = false;
    for ParsedLine {
        line,
        text,
        command,
    } in found
    {
        let work = match command {
            Ok(Command::Run { tasks, commit }) => WorkRequest::Run { tasks, commit },
            Ok(Command::Retry { tasks, commit }) => WorkRequest::Retry { tasks, commit },
            Ok(
                other @ (Command::Plan
                | Command::Status
                | Command::Cancel
                | Command::Approve { .. }
                | Command::Verify
                | Command::Help),
            ) => {
                if !asked.first.contains(&other) {
                    asked.first.push(other);
                }
                continue;
            }
            Err(malformed) => {
                asked.malformed.push(malformed);
                continue;
            }
        };
        match (started, &asked.work) {
            (None, _) => {
                started = Some(line);
                asked.work = Some(work);
            }
            (Some(_), Some(first)) if *first == work => {}
            (Some(first), _) => {
                refused = true;
                asked.malformed.push(Malformed::second(line, &text, first));
            }
        }
    }
    if refused {
        asked.work = None;
    }
    asked
}
