//! What was seen: of agents, commands and gates.

mod containment;
mod gate;

use serde::{Deserialize, Serialize};

use super::closed::kept_from_writing;
use crate::id::{RepoPath, Sha256, Tip, TreeId};
use crate::plan::Network;

pub use containment::{Containment, GateRoom, confined};
pub use gate::{AgainstBase, FailingItem, GateOutcome, GateVerdict, ItemLevel, Location};

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

fn is_zero<N: Default + PartialEq>(count: &N) -> bool {
    *count == N::default()
}

#[cfg(test)]
mod tests;
