//! The claims of a predicate, each a promised type.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fact::{AgainstBase, GateVerdict, Tokens};
use crate::id::{CommitId, GateId, Sha256, TaskId, TreeId};

/// The plan that was followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanClaim {
    /// Relative to the repository's top.
    pub path: String,
    /// The commit that holds it; absent where none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub commit: Option<CommitId>,
    /// SHA-256 of the file's bytes.
    #[schemars(with = "String")]
    pub digest: Sha256,
    /// Whether it differed from HEAD.
    pub uncommitted: bool,
}

/// The task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskClaim {
    /// Its id.
    #[schemars(with = "String")]
    pub id: TaskId,
    /// How many attempts it took.
    pub attempts: u32,
}

/// What a result is built on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BaseClaim {
    /// The commit.
    #[schemars(with = "String")]
    pub commit: CommitId,
    /// Its tree.
    #[schemars(with = "String")]
    pub tree: TreeId,
}

/// A result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResultClaim {
    /// The commit.
    #[schemars(with = "String")]
    pub commit: CommitId,
    /// Its tree.
    #[schemars(with = "String")]
    pub tree: TreeId,
}

/// What a gate said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GateClaim {
    /// The gate.
    #[schemars(with = "String")]
    pub id: GateId,
    /// Its command.
    pub command: String,
    /// Whether it decides.
    pub required: bool,
    /// The tree that it saw; absent where it saw none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub tree: Option<TreeId>,
    /// `passed`, `failed`, `flaky`, `timed-out`, `skipped` or `reused`.
    #[schemars(with = "String")]
    pub verdict: GateVerdict,
    /// `fixed`, `broke` or `pre-existing`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub against_base: Option<AgainstBase>,
    /// Whether it lets the change through.
    pub counts_as_passed: bool,
    /// For `reused`: the proof that the verdict comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reused_from: Option<String>,
    /// For `reused`: the commit that the gate saw then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub reused_commit: Option<CommitId>,
    /// The digest of all that the verdict depends on: a later gate with the same one may reuse it.
    /// Absent if none may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub reuse_key: Option<Sha256>,
    /// The exit code; absent where it was ended or did not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// Wall time of all executions, in milliseconds.
    pub duration_ms: u64,
    /// Executions.
    pub attempts: u32,
    /// How many items its report said were failing.
    pub failing: u32,
    /// What it printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogClaim>,
}

/// A file of the run's directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogClaim {
    /// Relative to the run's directory, with `/`.
    pub path: String,
    /// Its digest.
    #[schemars(with = "String")]
    pub sha256: Sha256,
}

/// What an agent did and cost in one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentClaim {
    /// `kimi-code`.
    pub kind: String,
    /// Its version.
    pub version: String,
    /// The model's name.
    pub model: String,
    /// Tokens, by kind.
    #[schemars(with = "BTreeMap<String, u64>")]
    pub tokens: Tokens,
    /// In millionths of a USD, where prices are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_micro_usd: Option<u64>,
    /// Its transcript.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript: Option<LogClaim>,
}

/// The machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunnerClaim {
    /// Its name.
    pub name: String,
    /// `linux/x86_64`.
    pub platform: String,
}

/// Who or what asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TriggerClaim {
    /// `manual`, `comment`, `schedule` or `dispatch`.
    #[schemars(with = "String")]
    pub event: crate::plan::Event,
    /// Who.
    pub actor: String,
    /// The comment's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}
