//! What held the children of an attempt.

use serde::{Deserialize, Serialize};

use super::gate::GateOutcome;
use crate::plan::{Network, RoomLevel};

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
    pub(super) level: Option<RoomLevel>,
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
