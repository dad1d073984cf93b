//! One task of a run, and the stage it is in.

use serde::{Deserialize, Serialize};

use super::Mark;
use crate::fact::{CommandEvidence, Failure, GateOutcome, Tokens};
use crate::id::{GateId, Moment, RepoPath, TaskId, Tip};

/// A task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskView {
    /// Its id.
    pub id: TaskId,
    /// What the plan calls it; the id where it gives no name.
    pub name: String,
    /// Where it stands.
    #[serde(flatten)]
    pub stage: TaskStage,
    /// Attempts so far, interrupted ones included.
    pub attempts: u32,
    /// Failures so far.
    pub retry_count: u32,
    /// Executions that may fail: `max_attempts + 1`.
    pub executions: u32,
    /// Higher first.
    pub priority: i32,
    /// Tasks that must be completed first.
    #[serde(default)]
    pub dependencies: Vec<TaskId>,
    /// Who holds its lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Its last failure, whether or not it was made good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// When it was first claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Moment>,
    /// When it became final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Moment>,
    /// Work of all attempts, gates included and waiting not, in milliseconds.
    #[serde(default)]
    pub worked_ms: u64,
    /// What its command did at the last attempt, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandEvidence>,
    /// Hosts that its agent or command asked for at the last attempt, and that its network
    /// refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_hosts: Vec<String>,
    /// Those that its network allows and that could not be reached, each with the reason in
    /// brackets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreached_hosts: Vec<String>,
    /// What the gates said at the last attempt that came to them.
    #[serde(default)]
    pub gates: Vec<GateOutcome>,
    /// Every path that its change touches.
    #[serde(default)]
    pub paths: Vec<RepoPath>,
    /// What it used.
    #[serde(default)]
    pub tokens: Tokens,
    /// What that cost, in millionths of a USD, where prices are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_micro_usd: Option<u64>,
}

/// Where a task stands, with what is true of it only there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum TaskStage {
    /// Not part of the run, because its `when` is false or it was not asked for.
    LeftOut,
    /// Waits.
    Pending {
        /// For what, as a clause: "for api", "for a worker"; may be empty.
        #[serde(default)]
        waits: String,
        /// When its backoff ends.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Moment>,
    },
    /// Leased; its slot is being prepared.
    Claimed,
    /// Agent or command, gates, or landing.
    Running {
        /// Which, as a noun: "agent", "gate test", "landing"; may be empty.
        #[serde(default)]
        doing: String,
    },
    /// Done.
    Completed {
        /// Its commit on the result; `None` where it made no change.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        landed: Option<Tip>,
        /// Why it left the result again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ejected: Option<Ejection>,
    },
    /// It will not be tried again; [`TaskView::failure`] says why.
    Failed,
    /// It will not be tried at all.
    Cancelled {
        /// Why, as a clause: "deps failed".
        #[serde(default)]
        why: String,
    },
}

/// Why a task left the result again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ejection {
    /// The gate that failed with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateId>,
    /// That gate's log, relative to the run's directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

impl TaskStage {
    /// Its public name: `completed`; `skipped` for a task left out.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::LeftOut => "skipped",
            Self::Pending { .. } => "pending",
            Self::Claimed => "claimed",
            Self::Running { .. } => "running",
            Self::Completed {
                ejected: Some(_), ..
            } => "ejected",
            Self::Completed { ejected: None, .. } => "completed",
            Self::Failed => "failed",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    /// How it is shown.
    #[must_use]
    pub fn mark(&self) -> Mark {
        match self {
            Self::Completed { ejected: None, .. } => Mark::Good,
            Self::Completed {
                ejected: Some(_), ..
            }
            | Self::Failed => Mark::Bad,
            Self::Claimed | Self::Running { .. } => Mark::Busy,
            Self::LeftOut | Self::Pending { .. } | Self::Cancelled { .. } => Mark::Idle,
        }
    }
}
