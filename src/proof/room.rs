//! What a proof claims of the rooms: their level, and what was open to children on the network.
//!
//! These types are promised, as all of a statement. It refuses to claim more than the journal
//! holds: what is unknown is absent.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::input::Input;
use crate::fact::GateOutcome;
use crate::id::{GateId, TaskId};
use crate::plan::{Network, RoomLevel};

/// How children were confined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoomClaim {
    /// The weakest level of the rooms in which the work and its gates ran.
    pub level: RoomLevel,
    /// A child subreaper ended every descendant.
    pub subreaper: bool,
    /// What was open to children on the network; absent if nothing is known of it, and in older
    /// proofs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkClaim>,
}

/// What was open to children on the network: `none`, `model` (the model alone), `open`
/// (everything), or `allow` with the hosts. In a room of level `none` everything is open, whatever
/// the plan says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NetworkClaim {
    /// Of each task's agent or command, by the task's id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, Network>")]
    pub tasks: BTreeMap<TaskId, Network>,
    /// Of each gate, by the gate's id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, Network>")]
    pub gates: BTreeMap<GateId, Network>,
}

pub(super) fn room(input: &Input) -> RoomClaim {
    let of_gate =
        |gate: &GateOutcome| Some((gate.gate.clone(), gate.room.as_ref()?.network.clone()));
    let network = NetworkClaim {
        tasks: input.networks.clone(),
        gates: input.gates.iter().filter_map(of_gate).collect(),
    };
    let is_known = !network.tasks.is_empty() || !network.gates.is_empty();
    RoomClaim {
        level: input.containment.level,
        subreaper: input.containment.subreaper,
        network: is_known.then_some(network),
    }
}
