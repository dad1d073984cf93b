//! What happened and what is to be done: the words between the engine and the world, as the journal
//! keeps them.
//!
//! It refuses to decide anything: it only names. Every type here is promised to readers of old
//! journals; new fields are optional, and a changed meaning is a new name.

mod class;
mod closed;
mod evidence;
mod logs;
mod order;
mod reuse;

use serde::{Deserialize, Serialize};

use crate::id::{CommitId, RepoPath, RunId, Scope, Sha256, TaskId, Tip};
use crate::plan::Event;

pub use class::{Class, Failure};
pub use closed::{advice_on_exit, both, closed, kept_from_writing, refusal};
pub use evidence::{
    AgainstBase, AgentEvidence, CommandEvidence, Containment, Evidence, FailingItem, GateOutcome,
    GateRoom, GateVerdict, ItemLevel, Location, LogEvidence, Tokens, confined,
};
pub use order::{Order, RunVerdict, Session};
pub use reuse::{ProofOrigin, Reuse};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "kebab-case")]
pub enum Fact {
    /// A run began. Always the first fact, and never again.
    Began(Box<Began>),
    /// Another process took the run up; what was under way has been interrupted.
    TookUp {
        /// The process that goes on.
        host: HostProcess,
        /// Tasks at once, where the person gave another number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workers: Option<u32>,
        /// What may be spent, where the person gave other limits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        spending: Option<Spending>,
        /// The cause outside that failed tasks is to be looked at again: they go back to pending.
        /// omk up to 0.6 left them failed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unblocked: bool,
        /// Tasks whose change is gone from the repository, or torn: they go back to pending, with
        /// what is built on them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        lost: Vec<TaskId>,
    },
    /// A claimed task's slot is ready, and its work begins.
    Prepared {
        /// The task.
        task: TaskId,
        /// The attempt, counted from 1.
        attempt: u32,
        /// What the work is built on.
        base: Tip,
        /// The slot's path.
        slot: String,
    },
    /// The worker of an attempt lives.
    Renewed {
        /// The task.
        task: TaskId,
        /// The attempt.
        attempt: u32,
    },
    /// A request of an agent is about to go to the model. Counts until its answer is counted: a
    /// killed omk has sent it.
    Asked {
        /// The task.
        task: TaskId,
        /// The attempt.
        attempt: u32,
        /// Which request of the attempt, counted from 0.
        request: u64,
        /// What its input is taken for.
        tokens: Tokens,
        /// What that costs, in millionths of a USD, where prices are known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cost_micro_usd: Option<u64>,
    },
    /// What an answer of the model used has been counted. Takes the place of what was counted of
    /// that request before.
    Answered {
        /// The task.
        task: TaskId,
        /// The attempt.
        attempt: u32,
        /// Which request of the attempt, counted from 0.
        request: u64,
        /// What it used, input included.
        tokens: Tokens,
        /// Whether the provider did not say so, and this is omk's own count.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        estimated: bool,
        /// What that cost, in millionths of a USD, where prices are known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cost_micro_usd: Option<u64>,
    },
    /// An attempt's work and gates are over.
    Worked {
        /// The task.
        task: TaskId,
        /// The attempt.
        attempt: u32,
        /// How it ended.
        outcome: Outcome,
        /// What was seen meanwhile.
        evidence: Box<Evidence>,
    },
    /// A task's change is on the integration tip.
    Landed {
        /// The task.
        task: TaskId,
        /// The attempt.
        attempt: u32,
        /// The new integration tip.
        tip: Tip,
    },
    /// A task's change did not merge onto the integration tip.
    Clashed {
        /// The task.
        task: TaskId,
        /// The attempt.
        attempt: u32,
        /// Where it did not merge.
        paths: Vec<RepoPath>,
        /// What went wrong instead, where the merge could not even be tried.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trouble: Option<Failure>,
    },
    /// A moment the engine asked to be woken at has come.
    Woke,
    /// The required gates have run on the result, or on a part of it.
    Judged {
        /// How many landings the judged tree holds, oldest first; 0 = the run's base.
        prefix: u32,
        /// What was judged.
        tip: Tip,
        /// What each gate said.
        gates: Vec<GateOutcome>,
        /// What went wrong instead, where they could not be run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trouble: Option<Failure>,
    },
    /// The required gates have run on the run's base, before its first prompt.
    Preflighted {
        /// What each gate said.
        gates: Vec<GateOutcome>,
        /// What went wrong instead, where they could not be run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trouble: Option<Failure>,
    },
    /// The integration branch was built anew, without some tasks.
    Rebuilt {
        /// The tasks that are on it now, in landing order, with their new commits.
        landings: Vec<Landing>,
        /// Tasks that could not be merged without the ones taken out.
        clashed: Vec<TaskId>,
        /// What went wrong instead, where it could not be built.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trouble: Option<Failure>,
    },
    /// The run had ended, and its result's branch could not be put at the result; or what was left
    /// undone so is done.
    Placed {
        /// Why it could not be; `None` = it is there now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trouble: Option<Failure>,
    },
    /// A limit of the run is used up.
    Limited {
        /// Which.
        limit: Limit,
    },
    /// A person or the runner asked omk to stop; the run can be taken up again.
    Stopped {
        /// How it was asked: `SIGINT`, `SIGTERM`.
        signal: String,
    },
    /// A person cancelled the run, or some tasks of it.
    Cancelled {
        /// Which tasks; empty = the whole run.
        tasks: Vec<TaskId>,
    },
}

impl Fact {
    /// Whether it only counts what is spent, so that nothing waits until it is on disk.
    #[must_use]
    pub fn is_spending(&self) -> bool {
        matches!(self, Self::Asked { .. } | Self::Answered { .. })
    }
}

/// The first fact of a run: all that the engine needs beside the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Began {
    /// The run.
    pub run: RunId,
    /// What its branches are named after.
    pub scope: Scope,
    /// omk's own version.
    pub omk: String,
    /// Where the plan was read from, and what it was.
    pub plan: PlanSource,
    /// The commit that the run is built on.
    pub base: Tip,
    /// Tasks at once.
    pub workers: u32,
    /// The tasks that take part; dependencies included.
    pub selected: Vec<TaskId>,
    /// Tasks left out because their `when` is false.
    pub left_out: Vec<TaskId>,
    /// Tasks for which the work of an earlier run is tried first. Who takes the run up looks for
    /// it again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<TaskId>,
    /// What the run may spend.
    #[serde(default)]
    pub spending: Spending,
    /// The first task that fails cancels the rest.
    pub fail_fast: bool,
    /// A required gate that fails does not end the others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_going: bool,
    /// No verdict of an earlier run is reused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_reuse: bool,
    /// No prompt starts before the required gates have run on the base. Older runs did without.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub preflight: bool,
    /// Who or what asked for it.
    pub trigger: Trigger,
    /// Where it runs.
    pub host: HostProcess,
    /// The integration branch's value when the run began; it is moved only from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch_was: Option<CommitId>,
}

/// What a run may spend; absent = unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Spending {
    /// Wall time of each process that works on it, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_ms: Option<u64>,
    /// Input + cached input + output, of all processes together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Money, in millionths of a USD, of all processes together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_usd: Option<u64>,
}

/// Where a plan was read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanSource {
    /// Relative to the repository's top.
    pub path: String,
    /// SHA-256 of the file's bytes.
    pub digest: Sha256,
    /// The commit that holds exactly these bytes at that path, where one does.
    pub commit: Option<CommitId>,
    /// Whether it differs from HEAD.
    pub uncommitted: bool,
}

/// Who or what asked for a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// What started it.
    pub event: Event,
    /// Who, as the forge or the machine names them.
    pub actor: String,
    /// The comment's address, where a comment started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// A process on a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostProcess {
    /// The machine's name.
    pub name: String,
    /// omk's process id there.
    pub pid: u32,
    /// `linux/x86_64`.
    pub platform: String,
}

/// How an attempt's work ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// It changed something, and all required gates passed; the change waits to land.
    Changed(Change),
    /// It changed nothing, and that is fine.
    Unchanged,
    /// It failed.
    Failed(Failure),
    /// It was stopped from outside; counts as nothing.
    Interrupted,
}

/// A task's own change, as a commit on its base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The commit, whose only parent is the attempt's base.
    pub tip: Tip,
    /// Every path that differs from the base.
    pub paths: Vec<RepoPath>,
}

/// A limit of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// Wall time.
    Time,
    /// Tokens.
    Tokens,
    /// Money.
    Usd,
}

/// A task on the integration branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Landing {
    /// The task.
    pub task: TaskId,
    /// The integration tip once it had landed.
    pub tip: Tip,
}
