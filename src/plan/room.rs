//! What children may reach: how tightly their room is closed, and which part of the network is open
//! to them.
//!
//! It refuses to know how a room is built, and whether this machine can build it.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::host::HostName;
use super::{Gate, Task, Work};

/// What a plan demands of the room that children work in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Room {
    /// The least level that is accepted; absent = the best that the machine has, whatever that is.
    pub least: Option<RoomLevel>,
    /// What children reach, by what they are.
    pub network: Networks,
    /// Whether the Docker socket stays in reach. Who can use it is root.
    pub docker: bool,
}

/// How tightly a room is closed, loosest first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum RoomLevel {
    /// Not at all.
    None,
    /// Landlock keeps children from writing elsewhere; the exceptions are in SECURITY.md.
    Landlock,
    /// Namespaces and mounts of their own: children neither see nor reach anything outside.
    Sealed,
}

/// What children's rooms must hold, so that a run can start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// Whatever the machine has is enough.
    Nothing,
    /// The plan closes a network, and does not say that a room which cannot is enough.
    ClosedNetwork,
    /// The plan demands a level.
    Level(RoomLevel),
}

/// A text is no level of a room.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a room's level is `sealed`, `landlock` or `none`")]
pub struct BadRoomLevel;

/// What children reach on the network, by what they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Networks {
    /// Agents: tasks with a prompt.
    pub agent: Network,
    /// Gates.
    pub gates: Network,
    /// Commands: tasks with `run`.
    pub tasks: Network,
}

/// What a child reaches on the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// Nothing.
    None,
    /// The model, through omk's gateway. Only agents have one.
    Model,
    /// Everything.
    Open,
    /// These hosts, through omk's gateway; never empty. An agent reaches its model, too.
    Allow(#[schemars(with = "Vec<String>")] Vec<HostName>),
}

impl Room {
    /// What a task's agent or command reaches.
    #[must_use]
    pub fn network_of_task<'a>(&'a self, task: &'a Task) -> &'a Network {
        task.network.as_ref().unwrap_or(match task.work {
            Work::Prompt(_) => &self.network.agent,
            Work::Run(_) => &self.network.tasks,
        })
    }

    /// What a gate reaches.
    #[must_use]
    pub fn network_of_gate<'a>(&'a self, gate: &'a Gate) -> &'a Network {
        gate.network.as_ref().unwrap_or(&self.network.gates)
    }
}

impl Room {
    /// What the plan demands of the rooms of children with these networks.
    #[must_use]
    pub fn demand<'a>(&self, networks: impl IntoIterator<Item = &'a Network>) -> Demand {
        match self.least {
            Some(RoomLevel::None) => Demand::Nothing,
            Some(least) => Demand::Level(least),
            // An agent's network is closed by omk. Without a word on the level, one that the plan
            // closes must be closed.
            None if networks
                .into_iter()
                .any(|network| matches!(network, Network::None | Network::Allow(_))) =>
            {
                Demand::ClosedNetwork
            }
            None => Demand::Nothing,
        }
    }
}

impl Demand {
    /// The least level that meets it.
    #[must_use]
    pub fn least(self) -> RoomLevel {
        match self {
            Self::Nothing => RoomLevel::None,
            Self::ClosedNetwork => RoomLevel::Landlock,
            Self::Level(least) => least,
        }
    }
}

impl Network {
    /// What is really open in a room of that level: without a room nothing closes the network.
    #[must_use]
    pub fn at(&self, level: RoomLevel) -> Self {
        match level {
            RoomLevel::None => Self::Open,
            RoomLevel::Landlock | RoomLevel::Sealed => self.clone(),
        }
    }
}

impl RoomLevel {
    /// As it is written in a plan.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Landlock => "landlock",
            Self::Sealed => "sealed",
        }
    }
}

impl fmt::Display for RoomLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for RoomLevel {
    type Err = BadRoomLevel;

    fn from_str(text: &str) -> Result<Self, BadRoomLevel> {
        let levels = [Self::None, Self::Landlock, Self::Sealed];
        levels
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or(BadRoomLevel)
    }
}

impl Default for Networks {
    fn default() -> Self {
        Self {
            agent: Network::Model,
            gates: Network::Open,
            tasks: Network::Open,
        }
    }
}

impl fmt::Display for Network {
    /// The word of the plan, or the hosts: `only example.com, cdn.example.com`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Model => f.write_str("model"),
            Self::Open => f.write_str("open"),
            Self::Allow(hosts) => {
                let names: Vec<&str> = hosts.iter().map(HostName::as_str).collect();
                write!(f, "only {}", names.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests;
