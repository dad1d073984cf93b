//! What a proof is made of: plain data that the journal and the plan know.
//!
//! It refuses to hold anything that is not evidence: no intentions, no opinions of the agent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::fact::{
    AgentEvidence, Containment, GateOutcome, HostProcess, PlanSource, RunVerdict, Trigger,
};
use crate::id::{GateId, RepoPath, RunId, Scope, Sha256, TaskId, Tip, TreeId};
use crate::plan::Network;

/// The name of a run's own proof; no task can have it, for ids have no dot.
pub const RUN_PROOF: &str = "run.result";

/// What is known of a task or a run when its proof is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// The run.
    pub run: RunId,
    /// What its branches are named after.
    pub scope: Scope,
    /// omk's own version.
    pub omk: String,
    /// Where the plan was read from.
    pub plan: PlanSource,
    /// Whether this proves one task or the run's result.
    pub share: Share,
    /// What the result is built on.
    pub base: Tip,
    /// The result: a task's own change, or the integration tip.
    pub result: Tip,
    /// The gates that the plan requires here, in the plan's order.
    pub required: Vec<GateId>,
    /// The tree that the gates saw; absent where none ran.
    pub judged_tree: Option<TreeId>,
    /// What each gate said of that tree.
    pub gates: Vec<GateOutcome>,
    /// What the agent did and cost, one entry for each attempt that had one.
    pub agent: Vec<AgentEvidence>,
    /// SHA-256 of the last journal line that was written before this proof.
    pub journal_head: Sha256,
    /// The machine that ran it.
    pub runner: HostProcess,
    /// How the children were confined, the weakest of them.
    pub containment: Containment,
    /// What was open to each task's agent or command, as far as the journal says; what was open to
    /// gates is with them.
    pub networks: BTreeMap<TaskId, Network>,
    /// Who judged.
    pub judged_by: JudgedBy,
    /// Who or what asked for it.
    pub trigger: Trigger,
    /// What the run would like to say; [`super::prove`] says no more than the evidence carries.
    pub verdict: RunVerdict,
    /// SHA-256 of the bundle that carries the commits, where there is one.
    pub bundle: Option<Sha256>,
}

/// Which part of a run is proven.
#[derive(Debug, Clone, PartialEq)]
pub enum Share {
    /// One task's own change.
    Task(TaskShare),
    /// The integrated result.
    Run {
        /// The tasks that are on it, in landing order.
        landed: Vec<TaskId>,
        /// Tasks that completed, with or without a change.
        completed: Vec<TaskId>,
        /// Every path that differs from the base.
        observed: Vec<RepoPath>,
    },
}

/// One task's part.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskShare {
    /// The task.
    pub id: TaskId,
    /// The attempt that was proven, counted from 1; so many were made.
    pub attempts: u32,
    /// Whether the task is completed.
    pub completed: bool,
    /// The write set as the plan declares it; `None` = unknown.
    pub declared: Option<Vec<String>>,
    /// Every path that the change touches.
    pub observed: Vec<RepoPath>,
}

/// Who judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum JudgedBy {
    /// The job that ran the agent.
    SameJob,
    /// A fresh runner without a key and without an agent.
    SeparateJob,
}

impl JudgedBy {
    /// Its name in records and reports: `same-job`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SameJob => "same-job",
            Self::SeparateJob => "separate-job",
        }
    }
}
