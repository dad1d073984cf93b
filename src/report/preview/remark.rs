//! What in a plan has no effect, or is missing: useless entries, unused gates, ungated tasks.

use std::collections::HashSet;

use serde::Serialize;

use crate::glob::Glob;
use crate::id::{GateId, TaskId};
use crate::plan::{Network, Plan, RoomLevel, Task, WriteSet};
use crate::scope;

/// A gate that no task names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnusedGate {
    /// Its id.
    pub id: GateId,
    /// A required one judges the result; another one never runs.
    pub required: bool,
}

/// An entry of a write set that can never be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Useless {
    /// Whose.
    pub task: TaskId,
    /// The entry, as the author wrote it.
    pub glob: String,
    /// Why, as a clause.
    pub why: &'static str,
}

/// What makes a room less than its networks say.
pub(super) fn notes(plan: &Plan) -> Vec<&'static str> {
    let closed = |network: &Network| matches!(network, Network::None | Network::Allow(_));
    let of_gates = plan
        .gates
        .iter()
        .map(|gate| plan.room.network_of_gate(gate));
    let mut networks = plan
        .tasks
        .iter()
        .map(|task| plan.room.network_of_task(task))
        .chain(of_gates);
    let mut notes = Vec::new();
    let any_closed = networks.any(closed);
    if any_closed && plan.room.least == Some(RoomLevel::None) {
        notes.push(
            "`level: none` accepts machines that cannot close a network: there, all of it is open",
        );
    }
    if any_closed && plan.room.docker {
        notes.push("`docker: true` opens every network: who reaches Docker's socket is root");
    }
    notes
}

/// The entries of all write sets, each with its task and the whole set.
pub(super) fn entries(plan: &Plan) -> impl Iterator<Item = (&Task, &Glob, &[Glob])> {
    plan.tasks.iter().flat_map(|task| {
        let globs: &[Glob] = match &task.write_set {
            WriteSet::Declared(globs) => globs,
            WriteSet::Unknown => &[],
        };
        globs.iter().map(move |glob| (task, glob, globs))
    })
}

pub(super) fn useless(plan: &Plan) -> Vec<Useless> {
    let found = entries(plan).filter_map(|(task, glob, all)| {
        let why = scope::never_used(glob, all, &plan.protect)?;
        Some(Useless {
            task: task.id.clone(),
            glob: glob.as_str().to_owned(),
            why,
        })
    });
    found.collect()
}

pub(super) fn unused_gates(plan: &Plan) -> Vec<UnusedGate> {
    let used: HashSet<&GateId> = plan.tasks.iter().flat_map(|task| &task.gates).collect();
    let unused = plan.gates.iter().filter(|gate| !used.contains(&gate.id));
    unused
        .map(|gate| UnusedGate {
            id: gate.id.clone(),
            required: gate.required,
        })
        .collect()
}

pub(super) fn ungated(plan: &Plan) -> Vec<TaskId> {
    // A plan without gates is told so once.
    let tasks = if plan.gates.is_empty() {
        &[]
    } else {
        &plan.tasks[..]
    };
    tasks
        .iter()
        .filter(|task| task.gates.is_empty())
        .map(|task| task.id.clone())
        .collect()
}
