//! What the engine knows of one task, inside and as shown outside.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::overlap::Sets;
use crate::fact::{Change, Failure, GateOutcome};
use crate::id::{GateId, Moment, TaskId, Tip};
use crate::plan::RetryPolicy;

/// The public states, as in every record. The last three are final; only `Pending` can be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// Waits: for dependencies, paths, a worker, or the end of a backoff.
    Pending,
    /// Leased; its slot is being prepared.
    Claimed,
    /// Agent or command, gates, or landing.
    Running,
    /// Its change has landed, or it made none and need not.
    Completed,
    /// It will not be tried again.
    Failed,
    /// It will not be tried at all.
    Cancelled,
}

impl TaskState {
    /// Its name in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Claimed => "claimed",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing will happen to it any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Completed | Self::Failed | Self::Cancelled => true,
            Self::Pending | Self::Claimed | Self::Running => false,
        }
    }
}

/// What a pending task waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitReason {
    /// Dependencies that are not final yet.
    Dependencies,
    /// A worker.
    Worker,
    /// Paths that this task holds or has reserved.
    Paths(TaskId),
    /// What the required gates say of the run's base.
    Preflight,
    /// The provider, which asked to wait.
    Provider(Moment),
    /// The end of a backoff.
    Backoff(Moment),
}

/// Why a task was cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CancelReason {
    /// A dependency failed or was cancelled.
    Dependency(TaskId),
    /// A person said so.
    Person,
    /// Another task failed, and the run was to stop at the first failure.
    FailFast(TaskId),
}

/// Why a landed task left the result again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ejected {
    /// The gate that failed with it.
    pub gate: Option<GateId>,
    /// That gate's log, relative to the run's directory.
    pub log: Option<String>,
}

/// One task as the engine sees it now.
#[derive(Debug, Clone)]
pub struct TaskStatus<'a> {
    /// The task.
    pub id: &'a TaskId,
    /// Its public state.
    pub state: TaskState,
    /// What it waits for, where it is pending.
    pub waits: Option<WaitReason>,
    /// The last attempt, counted from 1; 0 = never claimed.
    pub attempt: u32,
    /// Failures so far.
    pub retry_count: u32,
    /// When its lease ends, where it has one.
    pub lease_expires: Option<Moment>,
    /// The last failure, where there was one.
    pub failure: Option<&'a Failure>,
    /// The gates that held its change, where that is the failure and another attempt of an agent
    /// follows.
    pub failed_gates: &'a [GateOutcome],
    /// Why it was cancelled, where it was.
    pub cancelled: Option<&'a CancelReason>,
    /// Its own change, once it has landed or waits to land.
    pub change: Option<&'a Change>,
    /// Where it landed.
    pub landed: Option<&'a Tip>,
    /// Why it left the result again.
    pub ejected: Option<&'a Ejected>,
    /// When the run began.
    pub created_at: Moment,
    /// When it was first claimed.
    pub started_at: Option<Moment>,
    /// When it became final.
    pub completed_at: Option<Moment>,
}

/// Inside: data lives in the state it is true of.
#[derive(Debug, Clone)]
pub(super) enum NodeState {
    Waiting,
    Ready,
    Blocked { by: u32 },
    Paused,
    Backoff { until: Moment },
    Claimed { expires: Moment },
    Working { expires: Moment },
    Landing { change: Box<Change> },
    Completed { landed: Option<Box<LandedChange>> },
    Failed,
    Cancelled { reason: CancelReason },
}

/// A completed task's change.
#[derive(Debug, Clone)]
pub(super) struct LandedChange {
    pub(super) change: Change,
    pub(super) tip: Tip,
    /// Which landing of the run it was, from 0.
    pub(super) number: u32,
    pub(super) ejected: Option<Ejected>,
}

impl NodeState {
    pub(super) fn public(&self) -> TaskState {
        match self {
            Self::Waiting
            | Self::Ready
            | Self::Blocked { .. }
            | Self::Paused
            | Self::Backoff { .. } => TaskState::Pending,
            Self::Claimed { .. } => TaskState::Claimed,
            Self::Working { .. } | Self::Landing { .. } => TaskState::Running,
            Self::Completed { .. } => TaskState::Completed,
            Self::Failed => TaskState::Failed,
            Self::Cancelled { .. } => TaskState::Cancelled,
        }
    }

    /// The lease's end, where a worker holds the task.
    pub(super) fn lease(&self) -> Option<Moment> {
        match self {
            Self::Claimed { expires } | Self::Working { expires } => Some(*expires),
            Self::Waiting
            | Self::Ready
            | Self::Blocked { .. }
            | Self::Paused
            | Self::Backoff { .. }
            | Self::Landing { .. }
            | Self::Completed { .. }
            | Self::Failed
            | Self::Cancelled { .. } => None,
        }
    }
}

/// A task of the run: what the plan says of it, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct TaskNode {
    pub(super) id: TaskId,
    pub(super) is_agent: bool,
    /// The gates of a prompt; a command's need not be known beforehand.
    pub(super) gates: Vec<GateId>,
    pub(super) policy: Arc<RetryPolicy>,
    pub(super) runs_after_failure: bool,
    pub(super) rank: u32,
    /// The same one for tasks with equal sets.
    pub(super) sets: Arc<Sets>,
    /// The plan declares no write set: what it touched counts after a conflict.
    pub(super) learns_sets: bool,

    pub(super) state: NodeState,
    /// Dependencies that are not final yet.
    pub(super) unmet: u32,
    pub(super) attempt: u32,
    pub(super) retry_count: u32,
    /// How often omk died during this task since its last failure of that class.
    pub(super) deaths: u32,
    pub(super) failure: Option<Box<Failure>>,
    pub(super) failed_gates: Vec<GateOutcome>,
    /// Its paths are reserved in the index of held paths.
    pub(super) reserved: bool,
    /// The next attempt starts a new session of the agent on a fresh base.
    pub(super) fresh_session: bool,
    /// How many landings there were when an overlap first held it back, while it waits for its
    /// next attempt.
    pub(super) blocked_since: Option<u32>,
    /// The same, of its last attempt.
    pub(super) was_blocked_at: Option<u32>,
    /// Tasks it waited for, or lost a conflict to.
    pub(super) predecessors: Vec<u32>,
    /// What its last attempt was built on, oldest landing first.
    pub(super) onto: Vec<u32>,
    /// Its last attempt was built on the first so many landings, all of them.
    pub(super) onto_landings: u32,
    pub(super) started_at: Option<Moment>,
    pub(super) completed_at: Option<Moment>,
}

impl TaskNode {
    /// Its landed change, where it has one.
    pub(super) fn landed(&self) -> Option<&LandedChange> {
        if let NodeState::Completed { landed } = &self.state {
            landed.as_deref()
        } else {
            None
        }
    }

    /// Whether its change landed and was taken out of the result again.
    pub(super) fn is_ejected(&self) -> bool {
        self.landed().is_some_and(|landed| landed.ejected.is_some())
    }
}
