//! The plan: what `omk.yaml` says, checked whole, with every default filled in.
//!
//! Text becomes a [`Plan`] in two steps, `raw` (a spanned YAML tree) and `lower` (types that cannot
//! be wrong, or every complaint at once). Behind this module nobody checks a plan again. It refuses
//! to read files.

mod complaint;
mod duration;
mod excerpt;
mod governed;
mod host;
mod lower;
mod name;
mod nearest;
mod parse;
mod raw;
mod room;
mod scalar;
mod schema;
mod size;
mod syntax;
mod write;

pub(crate) use complaint::quoted;
pub use complaint::{Complaint, Complaints, Position};
pub use duration::{BadDuration, format_duration, parse_duration};
pub use governed::governed;
pub use host::{BadHost, HostName};
pub use lower::keys::RECORD as RECORD_FIELDS;
pub use name::default_name;
pub use nearest::{did_you_mean, nearest};
pub use parse::parse;
pub use room::{BadRoomLevel, Demand, Network, Networks, Room, RoomLevel};
pub use schema::schema;
pub use size::{BadSize, Size, format_bytes};
pub use write::{definition_of, to_yaml};

use std::collections::BTreeMap;
use std::time::Duration;

use crate::glob::Glob;
use crate::id::{GateId, PlanName, TaskId};
use crate::model::{self, Prices, Thinking};

/// A checked plan: ids are unique, everything named exists, the dependencies have no cycle.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// `name`, or the directory's name as a slug.
    pub name: PlanName,
    /// How prompts are run.
    pub agent: Agent,
    /// What a run may spend.
    pub limits: Limits,
    /// USD per million tokens, as the plan says; [`Plan::known_prices`] has those that count.
    pub prices: Option<Prices>,
    /// Variables for every child.
    pub env: BTreeMap<String, String>,
    /// Variables taken from the caller's environment.
    pub pass_env: Vec<String>,
    /// Ignored build caches that stay in a slot between tasks, as paths relative to it.
    pub keep: Vec<String>,
    /// What children may reach.
    pub room: Room,
    /// The largest file, and the largest sum, that one task may add.
    pub change_limit: Size,
    /// Whether the required gates run on the base before the first prompt is paid for.
    pub preflight: bool,
    /// Whether failures that the base has too are forgiven.
    pub baseline: Baseline,
    /// In the order of the file.
    pub gates: Vec<Gate>,
    /// In the order of the file.
    pub tasks: Vec<Task>,
    /// What becomes of a ready run.
    pub deliver: Deliver,
    /// Further protected paths, as written and parsed.
    pub protect: Vec<Glob>,
    /// Who may give commands in comments.
    pub commands: Commands,
}

/// The coding agent that carries out prompts.
#[derive(Debug, Clone, PartialEq)]
pub struct Agent {
    /// Which program and protocol.
    pub kind: AgentKind,
    /// The pinned version; checked before a run.
    pub version: String,
    /// The model's name, sent to the provider as is.
    pub model: String,
    /// How much the model thinks before it speaks.
    pub thinking: Thinking,
    /// The provider's endpoint, without a trailing slash.
    pub base_url: String,
    /// The variable that omk, and only omk, reads the key from.
    pub key_env: String,
    /// Model calls in one turn.
    pub max_steps: u32,
    /// Tools the model is not shown.
    pub tools_disabled: Vec<String>,
}

/// Which program carries out prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentKind {
    /// Kimi Code CLI in print mode.
    KimiCode,
}

impl AgentKind {
    /// As plans and proofs write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KimiCode => "kimi-code",
        }
    }
}

/// What a run may spend; absent = unlimited.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Limits {
    /// Tasks at once; absent = the cores.
    pub workers: Option<u32>,
    /// Wall time of the run.
    pub time: Option<Duration>,
    /// Input + cached input + output.
    pub tokens: Option<u64>,
    /// Money, in USD; needs [`Plan::known_prices`].
    pub usd: Option<f64>,
}

/// What to do about failing items that the base has too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Baseline {
    /// A gate whose failures are all pre-existing counts as passed.
    Allow,
    /// It does not.
    Strict,
}

/// A check that the runner makes of a change.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// Unique in the plan.
    pub id: GateId,
    /// A shell command, run in the task's slot.
    pub run: String,
    /// Wall time of one execution.
    pub timeout: Duration,
    /// Whether its verdict decides; one that is not required only warns.
    pub required: bool,
    /// Further executions after a failing one; passing only then is `flaky`.
    pub retries: u32,
    /// What the gate reads; given = its verdict may be reused.
    pub inputs: Option<Vec<Glob>>,
    /// A shell command whose output is part of what the verdict depends on.
    pub fingerprint: Option<String>,
    /// Restored from the trusted commit before the gate runs.
    pub trusted: Vec<Glob>,
    /// Where it leaves its failing items.
    pub report: Option<Report>,
    /// Variables of this gate, over the plan's.
    pub env: BTreeMap<String, String>,
    /// What it reaches; absent = as the room says.
    pub network: Option<Network>,
    /// Whether no other gate of the same task runs beside it.
    pub exclusive: bool,
}

/// The files with a gate's failing items.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// How to read it.
    pub format: ReportFormat,
    /// Relative to the slot; at least one. A path without wildcards is one file.
    pub paths: Vec<Glob>,
}

/// The formats of failing items that are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportFormat {
    /// JUnit XML.
    Junit,
    /// SARIF 2.1.0.
    Sarif,
    /// `cargo --message-format=json`, one message a line.
    CargoJson,
}

/// One piece of work.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Unique in the plan.
    pub id: TaskId,
    /// What a person reads; the id where the plan gives none.
    pub name: String,
    /// What a person reads, longer; may be empty.
    pub description: String,
    /// What is to be done.
    pub work: Work,
    /// Tasks that must be completed first.
    pub dependencies: Vec<TaskId>,
    /// Higher first.
    pub priority: i32,
    /// What it reads.
    pub read_set: Vec<Glob>,
    /// What it may write.
    pub write_set: WriteSet,
    /// Whether it must change something.
    pub change: ChangePolicy,
    /// How failures are retried.
    pub retry_policy: RetryPolicy,
    /// Wall time of the agent or command; gates have their own.
    pub timeout: Duration,
    /// No output and no model traffic for so long = hung.
    pub idle_timeout: Duration,
    /// Gates of this task, by id.
    pub gates: Vec<GateId>,
    /// When it takes part in a run; absent = always.
    pub when: Option<When>,
    /// What becomes of it when a dependency fails.
    pub on_dependency_failure: OnDependencyFailure,
    /// Variables of this task, over the plan's.
    pub env: BTreeMap<String, String>,
    /// What its agent or command reaches; absent = as the room says.
    pub network: Option<Network>,
    /// Free, for people and records.
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

/// What a task does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Words for the agent.
    Prompt(String),
    /// A shell command.
    Run(String),
}

/// What a task may write.
#[derive(Debug, Clone, PartialEq)]
pub enum WriteSet {
    /// Nothing was declared: anything that is not protected, and conflicts show when landing.
    Unknown,
    /// These paths and no others; empty = nothing.
    Declared(Vec<Glob>),
}

/// Whether a task must change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangePolicy {
    /// No change is a failure.
    Required,
    /// No change is fine.
    Optional,
}

/// What becomes of a task when a dependency fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDependencyFailure {
    /// It is cancelled, and so on down.
    Skip,
    /// It runs all the same.
    Run,
}

/// How failures are retried. The arithmetic is in `engine::retry`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    /// Retries, so `max_attempts + 1` executions may fail.
    pub max_attempts: u32,
    /// The first waiting time, in seconds.
    pub backoff_seconds: u64,
    /// By how much it grows; finite and at least 1.
    pub backoff_multiplier: f64,
    /// Whether a permanent failure ends the task at once.
    pub terminal_on_permanent_failure: bool,
    /// The longest waiting time, in seconds; absent = the larger of 3600 and `backoff_seconds`.
    pub max_backoff_seconds: Option<u64>,
    /// How far a waiting time may be shortened, 0 to 1.
    pub jitter: f64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 2,
            backoff_seconds: 1,
            backoff_multiplier: 2.0,
            terminal_on_permanent_failure: true,
            max_backoff_seconds: None,
            jitter: 0.0,
        }
    }
}

/// When a task takes part in a run. Both conditions must hold where both are given.
#[derive(Debug, Clone, PartialEq)]
pub struct When {
    /// What started the run; empty = anything.
    pub events: Vec<Event>,
    /// Paths of which one must have changed; empty = does not matter.
    pub changed: Vec<Glob>,
}

/// What started a run.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A person at a command line.
    Manual,
    /// A comment.
    Comment,
    /// A clock.
    Schedule,
    /// A person at a forge.
    Dispatch,
}

/// What becomes of a ready run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deliver {
    /// The form of the result.
    pub form: DeliverAs,
    /// Pull requests are opened as drafts.
    pub draft: bool,
    /// Labels of pull requests.
    pub labels: Vec<String>,
    /// Deliver the proven tasks of a run that is not ready.
    pub partial: bool,
    /// Open pull requests at once, for [`DeliverAs::PullRequestPerTask`].
    pub limit: u32,
    /// Adds `Signed-off-by`.
    pub sign_off: bool,
}

/// The form of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliverAs {
    /// One pull request, a commit per task.
    PullRequest,
    /// One for each task.
    PullRequestPerTask,
    /// Onto the branch itself.
    Push,
    /// Branches only.
    Branches,
}

/// Who may give commands in comments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commands {
    /// The least permission.
    pub permission: Permission,
    /// Bots that may, too.
    pub bots: Vec<Bot>,
}

/// A permission on a repository, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// May sort issues.
    Triage,
    /// May push.
    Write,
    /// May change settings.
    Maintain,
    /// May do all.
    Admin,
}

impl Permission {
    /// As it is written in a plan.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Triage => "triage",
            Self::Write => "write",
            Self::Maintain => "maintain",
            Self::Admin => "admin",
        }
    }
}

/// A bot, by its exact login and number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bot {
    /// `name[bot]`.
    pub login: String,
    /// The forge's number of it.
    pub id: u64,
}

/// Wall time of an agent or command where the plan says nothing.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// Silence that counts as hung where the plan says nothing.
pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// Wall time of a gate where the plan says nothing.
pub const DEFAULT_GATE_TIMEOUT: Duration = Duration::from_secs(15 * 60);

impl Plan {
    /// The task of that id.
    #[must_use]
    pub fn task(&self, id: &TaskId) -> Option<&Task> {
        self.tasks.iter().find(|task| task.id == *id)
    }

    /// The gate of that id.
    #[must_use]
    pub fn gate(&self, id: &GateId) -> Option<&Gate> {
        self.gates.iter().find(|gate| gate.id == *id)
    }

    /// What a token costs: as the plan says, else as omk's table of models does.
    #[must_use]
    pub fn known_prices(&self) -> Option<Prices> {
        self.prices
            .or_else(|| model::card(&self.agent.model)?.prices)
    }
}

impl Default for Agent {
    fn default() -> Self {
        Self {
            kind: AgentKind::KimiCode,
            version: "2.1.0".to_owned(),
            model: model::DEFAULT.to_owned(),
            thinking: Thinking::Auto,
            base_url: "https://api.moonshot.ai/v1".to_owned(),
            key_env: "KIMI_API_KEY".to_owned(),
            max_steps: 200,
            tools_disabled: Vec::new(),
        }
    }
}

impl Default for Deliver {
    fn default() -> Self {
        Self {
            form: DeliverAs::PullRequest,
            draft: true,
            labels: Vec::new(),
            partial: false,
            limit: 5,
            sign_off: false,
        }
    }
}

impl Default for Commands {
    fn default() -> Self {
        Self {
            permission: Permission::Write,
            bots: Vec::new(),
        }
    }
}

impl ChangePolicy {
    /// What holds where a task does not say: a prompt that may write something must change
    /// something.
    #[must_use]
    pub fn usual(work: &Work, write_set: &WriteSet) -> Self {
        match (work, write_set) {
            (Work::Prompt(_), WriteSet::Declared(globs)) if globs.is_empty() => Self::Optional,
            (Work::Prompt(_), WriteSet::Declared(_) | WriteSet::Unknown) => Self::Required,
            (Work::Run(_), WriteSet::Declared(_) | WriteSet::Unknown) => Self::Optional,
        }
    }
}
