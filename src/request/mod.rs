//! What one job hands to the next: the request of the intake job, and the judgement of the judge job.
//!
//! Both travel as job outputs, which only the job that made them can write; a later job believes
//! them and nothing else. It refuses what is not of this version, and what is larger than a job
//! output may be.

mod external_id;

pub use external_id::ExternalId;

use serde::{Deserialize, Serialize};

use crate::fact::{GateOutcome, PlanSource, RunVerdict, Trigger};
use crate::id::{CommitId, RunId, Scope, Sha256, TaskId, Tip};
use crate::text::ForgeKind;

/// The version of [`Request`] and [`Judgement`].
pub const VERSION: u32 = 1;

/// What was asked, by whom, on which commit, with which plan; decided once, by a job without an
/// agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// [`VERSION`].
    pub version: u32,
    /// The run that is to be.
    pub run: RunId,
    /// What its branches are named after: `pr-12`, or the plan's name.
    pub scope: Scope,
    /// Who or what asked.
    pub trigger: Trigger,
    /// What is asked for.
    pub ask: Ask,
    /// The forge that it is at.
    #[serde(default)]
    pub forge: ForgeKind,
    /// The repository, as `owner/name`; at GitLab with all its groups.
    pub repository: String,
    /// The commit that the run is built on: the pull request's pinned head, or the default
    /// branch's tip.
    pub base: CommitId,
    /// The pull request, where the scope is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull: Option<PullScope>,
    /// The default branch's name.
    pub default_branch: String,
    /// The commit of the default branch that `commands`, `protect`, `deliver`, `limits`, `agent`
    /// and `prices` are read at.
    pub rules: CommitId,
    /// Where tasks and gates are read: a commit of a trusted branch, or an approved one of the
    /// pull request.
    pub plan: PlanSource,
    /// Who approved the plan, where it was changed in the pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// The forge's number of the comment that asked, for reactions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<u64>,
    /// The check `omk` that was opened on `base`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<u64>,
    /// The workflow run that this is.
    pub workflow: StartedBy,
    /// The state of the scope's last run, for a retry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Previous>,
    /// Nothing is pushed or written at the forge.
    #[serde(default)]
    pub dry_run: bool,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ask {
    /// A run.
    Run {
        /// Named tasks; empty = all whose `when` holds.
        tasks: Vec<TaskId>,
    },
    /// A run that keeps what is proven already.
    Retry {
        /// Tasks to start anew; empty = those that did not complete.
        tasks: Vec<TaskId>,
    },
}

/// The pull request of a scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PullScope {
    /// Its number.
    pub number: u64,
    /// Its head branch, in this repository.
    pub head: String,
    /// Its base branch.
    pub base: String,
}

/// A run of a workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartedBy {
    /// The forge's number of it.
    pub id: u64,
    /// Counted from 1; grows when a person re-runs its jobs.
    pub attempt: u32,
    /// Its address for people.
    pub url: String,
}

/// Where the state of an earlier run is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Previous {
    /// The run.
    pub run: RunId,
    /// The artifact that holds it.
    pub artifact: u64,
}

/// What a job without an agent and without a key found when it ran the required gates on the
/// result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judgement {
    /// [`VERSION`].
    pub version: u32,
    /// The run that was judged.
    pub run: RunId,
    /// The commit that it was built on.
    pub base: Tip,
    /// What was judged; `None` where the run has no result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Tip>,
    /// The tasks whose commits are on the result, in order.
    pub landed: Vec<TaskId>,
    /// SHA-256 of the plan's bytes that the gates were read from.
    pub plan: Sha256,
    /// What each required gate said of the result's tree.
    pub gates: Vec<GateOutcome>,
    /// Never better than what the run says of itself, and never `ready` without every required
    /// gate.
    pub verdict: RunVerdict,
    /// SHA-256 of the bundle's file of commits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Sha256>,
    /// What a person must know, a sentence each.
    #[serde(default)]
    pub warnings: Vec<String>,
}
