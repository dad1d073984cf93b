//! What is to be done, and how a run ends.

use serde::{Deserialize, Serialize};

use crate::id::{Moment, TaskId};

/// Something to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case")]
pub enum Order {
    /// Prepare a slot for a claimed task, and do its work.
    Start {
        /// The task.
        task: TaskId,
        /// The attempt, counted from 1.
        attempt: u32,
        /// Failures so far.
        retry_count: u32,
        /// Whether to go on with the last attempt's session and tree.
        session: Session,
        /// Tasks whose results the base holds: dependencies and predecessors that landed, oldest
        /// landing first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        onto: Vec<TaskId>,
        /// When the lease ends unless renewed.
        expires: Moment,
    },
    /// Merge a task's change onto the integration tip.
    Land {
        /// The task.
        task: TaskId,
        /// The attempt.
        attempt: u32,
    },
    /// End an attempt's children; its answer does not count any more.
    End {
        /// The task.
        task: TaskId,
        /// The attempt.
        attempt: u32,
    },
    /// Report [`Fact::Woke`](super::Fact::Woke) at that moment. Replaces the last such order.
    Wake {
        /// When.
        at: Moment,
    },
    /// Run the required gates on the first so many landings.
    Judge {
        /// How many landings, oldest first; 0 = the run's base.
        prefix: u32,
    },
    /// Run the required gates on the run's base.
    Preflight,
    /// Build the integration branch anew without these tasks.
    Rebuild {
        /// The tasks to take out.
        without: Vec<TaskId>,
    },
    /// The run is over.
    Conclude {
        /// How.
        verdict: RunVerdict,
    },
}

/// Whether an attempt goes on with what the last one left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Session {
    /// A new session on a fresh base.
    New,
    /// The same session, on the tree as it was left, in the same slot.
    Resumed,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunVerdict {
    /// A person interrupted or cancelled it.
    Cancelled,
    /// The machine failed.
    FailedInfra,
    /// A provider or a setting is in the way.
    BlockedOnExternal,
    /// An approval is missing.
    BlockedOnHuman,
    /// A limit stopped it.
    NeedsMoreBudget,
    /// Something did not pass.
    NotReady,
    /// Nothing was verified.
    Neutral,
    /// All is well.
    Ready,
}

impl RunVerdict {
    /// Its name in records and reports: `not_ready`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::FailedInfra => "failed_infra",
            Self::BlockedOnExternal => "blocked_on_external",
            Self::BlockedOnHuman => "blocked_on_human",
            Self::NeedsMoreBudget => "needs_more_budget",
            Self::NotReady => "not_ready",
            Self::Neutral => "neutral",
            Self::Ready => "ready",
        }
    }

    /// The exit code of a command that ends with it.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Ready | Self::Neutral => 0,
            Self::NotReady => 1,
            Self::BlockedOnExternal | Self::BlockedOnHuman => 3,
            Self::NeedsMoreBudget => 4,
            Self::FailedInfra => 5,
            Self::Cancelled => 130,
        }
    }
}
