//! What happened and what is to be done: the words between the engine and the world, as the journal keeps them.
//!
//! It refuses to decide anything: it only names. Every type here is promised to readers of old journals; new fields
//! are optional, and a changed meaning is a new name.

use serde::{Deserialize, Serialize};

use crate::id::{CommitId, GateId, Moment, RepoPath, RunId, Scope, Sha256, TaskId, Tip, TreeId};
use crate::plan::Event;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "kebab-case")]
pub enum Fact {
    /// A run began. Always the first fact, and never again.
    Began(Box<Began>),
    /// Another process took the run up; what was under way has been interrupted.
    TookUp {
        /// The process that goes on.
        host: Host,
        /// Tasks at once, where the person gave another number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workers: Option<u32>,
        /// What may be spent, where the person gave other limits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        spending: Option<Spending>,
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
    /// The integration branch was built anew, without some tasks.
    Rebuilt {
        /// The tasks that are on it now, in landing order, with their new commits.
        landings: Vec<Landing>,
        /// Tasks that could not be merged without the ones taken out.
        clashed: Vec<TaskId>,
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
    /// What the run may spend.
    #[serde(default)]
    pub spending: Spending,
    /// The first task that fails cancels the rest.
    pub fail_fast: bool,
    /// Who or what asked for it.
    pub trigger: Trigger,
    /// Where it runs.
    pub host: Host,
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
pub struct Host {
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

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Whose turn it is, and whether trying again can help.
    pub class: Class,
    /// What happened, for people and for the next attempt; clipped and scrubbed.
    pub message: String,
    /// How long the provider asked to wait, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// The class of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// A required gate said no.
    Gate,
    /// It wrote elsewhere than it may.
    Scope,
    /// The provider's safety filter refused.
    Refused,
    /// The model's context overflowed.
    Context,
    /// The key was refused.
    Auth,
    /// Something is set up wrongly.
    Config,
    /// No credit is left.
    Quota,
    /// Its commit did not merge.
    Conflict,
    /// The provider asked to slow down.
    RateLimit,
    /// The provider failed, or the network.
    Provider,
    /// Its own timeout.
    Timeout,
    /// Silence.
    Hung,
    /// The machine: disk, spawn.
    Host,
    /// omk itself died during it, for the third time.
    Lost,
    /// A change was required, and none was made.
    NoChange,
    /// The step limit was reached.
    Steps,
}

impl Class {
    /// Whether trying again can help. The one place that says so.
    #[must_use]
    pub fn is_transient(self) -> bool {
        match self {
            Self::Scope | Self::Refused | Self::Context | Self::Auth | Self::Config | Self::Quota => false,
            Self::Gate
            | Self::Conflict
            | Self::RateLimit
            | Self::Provider
            | Self::Timeout
            | Self::Hung
            | Self::Host
            | Self::Lost
            | Self::NoChange
            | Self::Steps => true,
        }
    }

    /// Whether the next attempt goes on with the agent's session, on the tree as it was left.
    #[must_use]
    pub fn keeps_session(self) -> bool {
        match self {
            Self::Gate
            | Self::Steps
            | Self::NoChange
            | Self::RateLimit
            | Self::Provider
            | Self::Hung
            | Self::Timeout => true,
            Self::Scope
            | Self::Conflict
            | Self::Lost
            | Self::Refused
            | Self::Context
            | Self::Auth
            | Self::Config
            | Self::Quota
            | Self::Host => false,
        }
    }

    /// The class's name in records and reports: `rate-limit`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Scope => "scope",
            Self::Refused => "refused",
            Self::Context => "context",
            Self::Auth => "auth",
            Self::Config => "config",
            Self::Quota => "quota",
            Self::Conflict => "conflict",
            Self::RateLimit => "rate-limit",
            Self::Provider => "provider",
            Self::Timeout => "timeout",
            Self::Hung => "hung",
            Self::Host => "host",
            Self::Lost => "lost",
            Self::NoChange => "no-change",
            Self::Steps => "steps",
        }
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
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

/// What was seen during an attempt.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Evidence {
    /// What the work was built on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Tip>,
    /// Every path that was changed, whether allowed or not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed: Vec<RepoPath>,
    /// The tree that the gates saw, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<TreeId>,
    /// What each gate said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<GateOutcome>,
    /// What the agent did and cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentEvidence>,
    /// What the command did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandEvidence>,
    /// How the children were confined.
    #[serde(default)]
    pub containment: Containment,
    /// How long the attempt took, gates included, in milliseconds.
    pub duration_ms: u64,
}

/// How children were confined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Containment {
    /// Landlock confined writes to the slot, HOME, TMPDIR and caches.
    pub landlock: bool,
    /// A child subreaper ended every descendant; otherwise only the process group was.
    pub subreaper: bool,
}

/// What an agent did and cost in one attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentEvidence {
    /// `kimi-code`.
    pub kind: String,
    /// The version that ran.
    pub version: String,
    /// The model's name.
    pub model: String,
    /// What it used.
    pub tokens: Tokens,
    /// What that cost, in millionths of a USD, where prices are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_micro_usd: Option<u64>,
    /// Requests to the provider.
    pub requests: u32,
    /// The agent's own name of the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Whether it went on with an earlier attempt's session.
    pub resumed: bool,
    /// The transcript, relative to the run's directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript: Option<LogEvidence>,
    /// The agent's last words, clipped and scrubbed.
    pub said: String,
}

/// Tokens used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tokens {
    /// Input that was not cached.
    pub input: u64,
    /// Input that the provider had cached.
    pub cached_input: u64,
    /// Output.
    pub output: u64,
}

impl Tokens {
    /// All together.
    #[must_use]
    pub fn total(self) -> u64 {
        self.input.saturating_add(self.cached_input).saturating_add(self.output)
    }
}

impl std::ops::AddAssign for Tokens {
    fn add_assign(&mut self, other: Self) {
        self.input = self.input.saturating_add(other.input);
        self.cached_input = self.cached_input.saturating_add(other.cached_input);
        self.output = self.output.saturating_add(other.output);
    }
}

/// What a command did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommandEvidence {
    /// The shell command.
    pub command: String,
    /// Its exit code; absent where it was ended.
    pub exit: Option<i32>,
    /// What it printed.
    pub log: LogEvidence,
}

/// What a child printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEvidence {
    /// Relative to the run's directory, with `/`.
    pub path: String,
    /// SHA-256 of that file.
    pub sha256: Sha256,
    /// How much was printed; more than the file holds where it was cut at the cap.
    pub bytes: u64,
    /// The first lines, clipped and scrubbed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub head: String,
    /// The last lines, clipped and scrubbed; empty where the head holds all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tail: String,
}

/// What a gate said of a tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateOutcome {
    /// The gate.
    pub gate: GateId,
    /// Its command, as the plan has it.
    pub command: String,
    /// Whether it decides.
    pub required: bool,
    /// The verdict on this tree.
    pub verdict: GateVerdict,
    /// The verdict against the base, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against_base: Option<AgainstBase>,
    /// Whether this outcome lets a change through: passed, flaky, reused, or a forgiven pre-existing failure. False for `skipped`.
    pub counts_as_passed: bool,
    /// The exit code of the last execution; absent where it was ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// Wall time of all executions, in milliseconds.
    pub duration_ms: u64,
    /// Executions.
    pub attempts: u32,
    /// What the last execution printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogEvidence>,
    /// Failing items, from the gate's report; at most 200.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failing: Vec<FailingItem>,
    /// How many failing items there were in all.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failing_total: u32,
    /// What else a person must know: "flaky: passed on the 2nd of 2 executions", "the report is missing".
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// The verdict of a gate on a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GateVerdict {
    /// Exit 0 at the first execution.
    Passed,
    /// Another exit at every execution.
    Failed,
    /// Exit 0 only at a later execution.
    Flaky,
    /// Ended at its timeout.
    TimedOut,
    /// Did not run; never a pass.
    Skipped,
    /// Taken from an earlier proof.
    Reused,
}

impl GateVerdict {
    /// Its name in records and reports: `timed-out`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Flaky => "flaky",
            Self::TimedOut => "timed-out",
            Self::Skipped => "skipped",
            Self::Reused => "reused",
        }
    }
}

/// A gate's verdict compared with the one on the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgainstBase {
    /// It failed on the base and passes now.
    Fixed,
    /// It fails on items that the base has not.
    Broke,
    /// Its failing items are a subset of the base's.
    PreExisting,
}

/// A failing item of a gate's report: a test, a finding, a compiler's error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailingItem {
    /// What identifies it between runs: `suite::test`, `rule@path`.
    pub key: String,
    /// What it says, clipped and scrubbed.
    pub message: String,
    /// Where, where the report says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// How bad.
    pub level: Level,
}

/// A place in a file of the repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Relative to the repository's top.
    pub path: String,
    /// From 1.
    pub line: u32,
    /// The last line, from 1; the same as `line` for a single one.
    pub end_line: u32,
}

/// How bad a failing item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Worth a look.
    Notice,
    /// Not good.
    Warning,
    /// Wrong.
    Error,
}

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
        /// Tasks whose results the base holds: dependencies and predecessors that landed, oldest landing first.
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
    /// Report [`Fact::Woke`] at that moment. Replaces the last such order.
    Wake {
        /// When.
        at: Moment,
    },
    /// Run the required gates on the first so many landings.
    Judge {
        /// How many landings, oldest first; 0 = the run's base.
        prefix: u32,
    },
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
