//! The statement as it is written: an in-toto Statement v1 with a predicate of our own, in a fixed
//! order of keys.
//!
//! These types are promised: readers of old proofs depend on them, `schema/proof-v1.json` publishes
//! them. A changed meaning is a new predicate type; new fields are optional. It refuses to hold
//! what [`super::Input`] does not.

mod claim;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::input::{Input, JudgedBy, Share};
use super::room::{RoomClaim, room};
use super::rules::unmet;
use crate::fact::{GateOutcome, GateVerdict, LogEvidence, RunVerdict};
use crate::id::{GateId, RunId, Scope, Sha256, TaskId, Tip};
use crate::text::join_lines;

pub use claim::{
    AgentClaim, BaseClaim, GateClaim, LogClaim, PlanClaim, ResultClaim, RunnerClaim, TaskClaim,
    TriggerClaim,
};

/// `_type` of every statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// `predicateType` of our own predicate. A name, not an address: it promises no host.
pub const PREDICATE_TYPE: &str = "urn:omk-action:proof:v1";

/// An in-toto Statement v1: what omk can show for one task, or for the result of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Statement {
    /// `https://in-toto.io/Statement/v1`.
    #[serde(rename = "_type")]
    pub kind: String,
    /// What the statement is about: the commit, its tree, and the bundle that carries them.
    pub subject: Vec<Subject>,
    /// `urn:omk-action:proof:v1`.
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// What is claimed.
    pub predicate: Predicate,
}

/// A thing that a statement is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Subject {
    /// What people call it: `commit`, `tree`, `bundle`.
    pub name: String,
    /// What it is.
    pub digest: Digests,
}

/// Digests by algorithm: `gitCommit`, `gitTree`, `sha256`.
pub type Digests = BTreeMap<String, String>;

/// What is claimed of the subjects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Predicate {
    /// The run.
    #[schemars(with = "String")]
    pub run: RunId,
    /// What its branches are named after: `pr-12`, or the plan's name.
    #[schemars(with = "String")]
    pub scope: Scope,
    /// The version of omk that wrote this.
    pub omk: String,
    /// The plan.
    pub plan: PlanClaim,
    /// The task; absent where the statement is about the whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskClaim>,
    /// The tasks on the result, in landing order; absent where the statement is about one task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<String>>")]
    pub landed: Option<Vec<TaskId>>,
    /// Whether a task is completed: this one, or at least one of the run.
    pub completed: bool,
    /// What the result is built on.
    pub base: BaseClaim,
    /// The result.
    pub result: ResultClaim,
    /// The write set that the plan declares for the task; absent = unknown, or a whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<Vec<String>>,
    /// Every path that differs between base and result, as git quotes it.
    pub observed: Vec<String>,
    /// The gates that the plan requires here. Empty = nothing was verified.
    #[schemars(with = "Vec<String>")]
    pub required: Vec<GateId>,
    /// What each gate said.
    pub gates: Vec<GateClaim>,
    /// What the agent did and cost, an entry for each attempt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agent: Vec<AgentClaim>,
    /// SHA-256 of the last line of the run's journal when this was written.
    #[schemars(with = "String")]
    pub journal_head: Sha256,
    /// The machine.
    pub runner: RunnerClaim,
    /// How children were confined.
    pub room: RoomClaim,
    /// Who judged: the job that ran the agent, or a separate one.
    pub judged_by: JudgedBy,
    /// Who or what asked for it.
    pub trigger: TriggerClaim,
    /// `ready`, `not_ready`, `neutral`, …
    #[schemars(with = "String")]
    pub verdict: RunVerdict,
}

/// The statement of this evidence. It says `ready` only where the rules carry it: else `neutral`
/// where nothing was verified, and `not_ready` where something did not pass.
#[must_use]
pub fn prove(input: &Input) -> Statement {
    Statement {
        kind: STATEMENT_TYPE.to_owned(),
        subject: subjects(&input.result, input.bundle.as_ref()),
        predicate_type: PREDICATE_TYPE.to_owned(),
        predicate: predicate(input),
    }
}

impl Statement {
    /// The bytes of the file: indented JSON with a newline at its end, the same for the same
    /// statement.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        to_bytes(self)
    }

    /// The digest of the file.
    #[must_use]
    pub fn digest(&self) -> Sha256 {
        Sha256::of(&self.to_bytes())
    }
}

/// The JSON Schema of [`Statement`], as published in `schema/proof-v1.json`.
#[must_use]
pub fn schema() -> String {
    let mut schema = schemars::schema_for!(Statement).to_value();
    join_lines(&mut schema);
    String::from_utf8(to_bytes(&schema)).expect("JSON is UTF-8")
}

pub(super) fn to_bytes(value: &impl Serialize) -> Vec<u8> {
    let mut bytes =
        serde_json::to_vec_pretty(value).expect("its keys are strings and its numbers finite");
    bytes.push(b'\n');
    bytes
}

pub(super) fn subjects(result: &Tip, bundle: Option<&Sha256>) -> Vec<Subject> {
    let subject = |name: &str, algorithm: &str, digest: &str| Subject {
        name: name.to_owned(),
        digest: [(algorithm.to_owned(), digest.to_owned())].into(),
    };
    let mut subjects = vec![
        subject("commit", "gitCommit", result.commit.as_str()),
        subject("tree", "gitTree", result.tree.as_str()),
    ];
    subjects.extend(bundle.map(|digest| subject("bundle", "sha256", digest.as_str())));
    subjects
}

/// The verdict that the evidence carries, at most the one asked for.
pub(super) fn carried(input: &Input) -> RunVerdict {
    if input.verdict != RunVerdict::Ready {
        return input.verdict;
    }
    let tree = input.judged_tree.as_ref();
    let unmet = unmet(
        completed(input),
        &input.gates,
        &input.required,
        tree,
        &input.result.tree,
    );
    match unmet.as_slice() {
        [] => RunVerdict::Ready,
        [super::Unmet::NothingVerified] => RunVerdict::Neutral,
        _ => RunVerdict::NotReady,
    }
}

fn completed(input: &Input) -> bool {
    match &input.share {
        Share::Task(task) => task.completed,
        Share::Run { completed, .. } => !completed.is_empty(),
    }
}

fn predicate(input: &Input) -> Predicate {
    let (task, landed, declared, observed) = match &input.share {
        Share::Task(task) => {
            let claim = TaskClaim {
                id: task.id.clone(),
                attempts: task.attempts,
            };
            (Some(claim), None, task.declared.clone(), &task.observed)
        }
        Share::Run {
            landed, observed, ..
        } => (None, Some(landed.clone()), None, observed),
    };
    Predicate {
        run: input.run.clone(),
        scope: input.scope.clone(),
        omk: input.omk.clone(),
        plan: PlanClaim {
            path: input.plan.path.clone(),
            commit: input.plan.commit.clone(),
            digest: input.plan.digest.clone(),
            uncommitted: input.plan.uncommitted,
        },
        task,
        landed,
        completed: completed(input),
        base: BaseClaim {
            commit: input.base.commit.clone(),
            tree: input.base.tree.clone(),
        },
        result: ResultClaim {
            commit: input.result.commit.clone(),
            tree: input.result.tree.clone(),
        },
        declared,
        observed: observed.iter().map(ToString::to_string).collect(),
        required: input.required.clone(),
        gates: input
            .gates
            .iter()
            .map(|outcome| gate(outcome, input))
            .collect(),
        agent: input.agent.iter().map(agent).collect(),
        journal_head: input.journal_head.clone(),
        runner: RunnerClaim {
            name: input.runner.name.clone(),
            platform: input.runner.platform.clone(),
        },
        room: room(input),
        judged_by: input.judged_by,
        trigger: TriggerClaim {
            event: input.trigger.event,
            actor: input.trigger.actor.clone(),
            comment: input.trigger.comment.clone(),
        },
        verdict: carried(input),
    }
}

fn gate(outcome: &GateOutcome, input: &Input) -> GateClaim {
    let ran = outcome.verdict != GateVerdict::Skipped;
    let from = outcome.reuse.as_ref().and_then(|reuse| reuse.from.as_ref());
    GateClaim {
        id: outcome.gate.clone(),
        command: outcome.command.clone(),
        required: outcome.required,
        tree: input.judged_tree.clone().filter(|_| ran),
        verdict: outcome.verdict,
        against_base: outcome.against_base,
        counts_as_passed: outcome.counts_as_passed,
        reused_from: from.map(ToString::to_string),
        reused_commit: from.map(|from| from.commit.clone()),
        reuse_key: outcome.reuse.as_ref().map(|reuse| reuse.key.clone()),
        exit: outcome.exit,
        duration_ms: outcome.duration_ms,
        attempts: outcome.attempts,
        failing: outcome.failing_total,
        log: outcome.log.as_ref().map(log),
    }
}

fn agent(evidence: &crate::fact::AgentEvidence) -> AgentClaim {
    AgentClaim {
        kind: evidence.kind.clone(),
        version: evidence.version.clone(),
        model: evidence.model.clone(),
        tokens: evidence.tokens,
        cost_micro_usd: evidence.cost_micro_usd,
        transcript: evidence.transcript.as_ref().map(log),
    }
}

fn log(evidence: &LogEvidence) -> LogClaim {
    LogClaim {
        path: evidence.path.clone(),
        sha256: evidence.sha256.clone(),
    }
}
