//! What the children of a run may reach: level, networks, and who has one of their own.

use serde::Serialize;

use super::remark::notes;
use crate::id::{GateId, TaskId};
use crate::plan::{Gate, Network, Networks, Plan, Room, RoomLevel, Task};

/// What the plan lets children reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PreviewRoom {
    /// The least level that is accepted; absent = the best that the machine has.
    pub least: Option<RoomLevel>,
    /// The network of agents.
    pub agent: Network,
    /// The network of gates.
    pub gates: Network,
    /// The network of commands.
    pub tasks: Network,
    /// Whether the Docker socket stays in reach.
    pub docker: bool,
    /// Gates and tasks with a network of their own, in the order of the plan.
    pub exceptions: Vec<PreviewNetwork>,
    /// What else opens the room, a sentence each: `docker`, and a level that closes nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<&'static str>,
}

/// A task or gate with a network of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PreviewNetwork {
    /// Whose it is.
    #[serde(flatten)]
    pub of: PreviewOccupant,
    /// What it reaches.
    pub network: Network,
}

/// Who works in a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PreviewOccupant {
    /// A task's agent or command.
    Task(TaskId),
    /// A gate.
    Gate(GateId),
}

impl PreviewRoom {
    /// Whether the plan leaves all of it at the defaults.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        let Room {
            least,
            network:
                Networks {
                    agent,
                    gates,
                    tasks,
                },
            docker,
        } = Room::default();
        *self
            == Self {
                least,
                agent,
                gates,
                tasks,
                docker,
                exceptions: Vec::new(),
                notes: Vec::new(),
            }
    }
}

pub(super) fn room(plan: &Plan) -> PreviewRoom {
    let of_task = |task: &Task| {
        let network = task.network.clone()?;
        Some(PreviewNetwork {
            of: PreviewOccupant::Task(task.id.clone()),
            network,
        })
    };
    let of_gate = |gate: &Gate| {
        let network = gate.network.clone()?;
        Some(PreviewNetwork {
            of: PreviewOccupant::Gate(gate.id.clone()),
            network,
        })
    };
    let Room {
        least,
        network: Networks {
            agent,
            gates,
            tasks,
        },
        docker,
    } = plan.room.clone();
    let exceptions = plan
        .gates
        .iter()
        .filter_map(of_gate)
        .chain(plan.tasks.iter().filter_map(of_task))
        .collect();
    PreviewRoom {
        least,
        agent,
        gates,
        tasks,
        docker,
        exceptions,
        notes: notes(plan),
    }
}
