//! What was seen: of agents, commands and gates.

use serde::{Deserialize, Serialize};

use super::closed::{advice_on_exit, both, closed, kept_from_writing, refusal};
use super::reuse::Reuse;
use crate::id::{GateId, RepoPath, Sha256, Tip, TreeId};
use crate::plan::{Network, RoomLevel};

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
    /// How the agent or the command was confined.
    #[serde(default)]
    pub containment: Containment,
    /// What was open to the agent or the command; absent if neither began, and in older journals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// Hosts that the work asked for and that its network does not allow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_hosts: Vec<String>,
    /// Hosts that its network allows and that could not be reached, each with the reason in
    /// brackets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreached_hosts: Vec<String>,
    /// How long the attempt took, gates included, in milliseconds.
    pub duration_ms: u64,
}

impl Evidence {
    /// What its command could not write, as a clause.
    #[must_use]
    pub fn kept_from_writing(&self) -> Option<String> {
        kept_from_writing(&self.command.as_ref()?.log, self.containment.level)
    }

    /// How its children were confined, agent, command and gates: the weakest of them. `None` if
    /// there was none.
    #[must_use]
    pub fn room(&self) -> Option<Containment> {
        let worked = self.agent.is_some() || self.command.is_some();
        let work = worked.then(|| self.containment.clone());
        work.into_iter()
            .chain(confined(&self.gates))
            .reduce(Containment::weakest)
    }
}

/// How gates were confined, each that ran.
pub fn confined(gates: &[GateOutcome]) -> impl Iterator<Item = Containment> {
    gates
        .iter()
        .filter_map(|gate| gate.room.as_ref())
        .map(|room| room.containment.clone())
}

/// How children were confined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "RecordedContainment")]
pub struct Containment {
    /// The level of their room.
    pub level: RoomLevel,
    /// Every descendant was ended; otherwise only the process group was.
    pub subreaper: bool,
    /// The step that the system refused, if the room is not sealed: `make namespaces: Operation
    /// not permitted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
}

impl Containment {
    /// Of two, what holds for both.
    #[must_use]
    pub fn weakest(self, other: Self) -> Self {
        let subreaper = self.subreaper && other.subreaper;
        let (weaker, stronger) = if other.level < self.level {
            (other, self)
        } else {
            (self, other)
        };
        let same_level = weaker.level == stronger.level;
        let why_not = weaker.why_not.or(stronger.why_not.filter(|_| same_level));
        Self {
            level: weaker.level,
            subreaper,
            why_not,
        }
    }
}

/// The room of a gate's executions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateRoom {
    /// How they were confined, the weakest of them.
    pub containment: Containment,
    /// What was open to them.
    pub network: Network,
    /// Hosts that they asked for and that their network does not allow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_hosts: Vec<String>,
    /// Hosts that their network allows and that could not be reached, each with the reason in
    /// brackets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreached_hosts: Vec<String>,
}

impl Default for Containment {
    fn default() -> Self {
        Self {
            level: RoomLevel::None,
            subreaper: false,
            why_not: None,
        }
    }
}

/// A containment as journals hold it: up to 0.6 they said only whether Landlock was there.
#[derive(Deserialize)]
struct RecordedContainment {
    level: Option<RoomLevel>,
    #[serde(default)]
    landlock: bool,
    subreaper: bool,
    #[serde(default)]
    why_not: Option<String>,
}

impl From<RecordedContainment> for Containment {
    fn from(recorded: RecordedContainment) -> Self {
        let before = if recorded.landlock {
            RoomLevel::Landlock
        } else {
            RoomLevel::None
        };
        let RecordedContainment {
            level,
            subreaper,
            why_not,
            ..
        } = recorded;
        Self {
            level: level.unwrap_or(before),
            subreaper,
            why_not,
        }
    }
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
    /// Why the model's answers were not recorded as a whole, and cannot be repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unrecorded: Option<String>,
}

/// Tokens used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tokens {
    /// Input that was not cached.
    pub input: u64,
    /// Input that the provider had cached.
    pub cached_input: u64,
    /// Output, reasoning included.
    pub output: u64,
    /// How much of the output was reasoning, as far as the provider says.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reasoning: u64,
}

impl Tokens {
    /// All together.
    #[must_use]
    pub fn total(self) -> u64 {
        self.input
            .saturating_add(self.cached_input)
            .saturating_add(self.output)
    }
}

impl std::ops::AddAssign for Tokens {
    fn add_assign(&mut self, other: Self) {
        self.input = self.input.saturating_add(other.input);
        self.cached_input = self.cached_input.saturating_add(other.cached_input);
        self.output = self.output.saturating_add(other.output);
        self.reasoning = self.reasoning.saturating_add(other.reasoning);
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
    /// Whether this outcome lets a change through: passed, flaky, reused, or a forgiven
    /// pre-existing failure. False for `skipped`.
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
    /// Failing items, from the gate's report; at most 200. A gate that passed may have some: its
    /// tool only warns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failing: Vec<FailingItem>,
    /// How many failing items there were in all.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failing_total: u32,
    /// How many files its report was.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reports: u32,
    /// What else a person must know: "flaky: passed on the 2nd of 2 executions", "the report is
    /// missing".
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// The room that it ran in; absent if it did not run, and in older journals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<GateRoom>,
    /// What lets another gate reuse the verdict; absent if it may not be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reuse: Option<Reuse>,
}

impl GateOutcome {
    /// What its room refused, as a clause; of a gate that failed, what its room closed.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        let room = self.room.as_ref()?;
        let hosts = match self.verdict {
            GateVerdict::Failed | GateVerdict::TimedOut => closed(
                Some(&room.network),
                &room.refused_hosts,
                &room.unreached_hosts,
            ),
            GateVerdict::Passed
            | GateVerdict::Flaky
            | GateVerdict::Skipped
            | GateVerdict::Reused => refusal(&room.refused_hosts, &room.unreached_hosts),
        };
        both(hosts, self.kept_from_writing())
    }

    /// What it could not write, as a clause.
    #[must_use]
    pub fn kept_from_writing(&self) -> Option<String> {
        kept_from_writing(self.log.as_ref()?, self.room.as_ref()?.containment.level)
    }

    /// What people can do about its failure, where omk knows.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        advice_on_exit(self.exit)
    }
}

fn is_zero<N: Default + PartialEq>(count: &N) -> bool {
    *count == N::default()
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
    pub place: Option<Location>,
    /// How bad.
    pub level: ItemLevel,
}

/// A place in a file of the repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
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
pub enum ItemLevel {
    /// Worth a look.
    Notice,
    /// Not good.
    Warning,
    /// Wrong.
    Error,
}

impl ItemLevel {
    /// The milder of two.
    #[must_use]
    pub fn milder(self, other: Self) -> Self {
        match (self, other) {
            (Self::Notice, _) | (_, Self::Notice) => Self::Notice,
            (Self::Warning, _) | (_, Self::Warning) => Self::Warning,
            (Self::Error, Self::Error) => Self::Error,
        }
    }
}

#[cfg(test)]
mod tests;
