//! What `omk plan` shows: the order, the waves, who keeps whom waiting, and what it may take at
//! most.
//!
//! It is a pure function of the plan and quick for the largest one. It refuses to foretell time or
//! money: only a run knows.

mod draw;
mod overlap;
mod room;
mod remark;
mod task;

use std::cmp::Reverse;
use std::collections::HashMap;

use serde::Serialize;

use super::checkup::Point;
use crate::graph::Graph;
use crate::id::{PlanName, RepoPath, TaskId};
use crate::plan::{Limits, Plan, Size, Task};
use crate::scope;
use remark::{entries, ungated, unused_gates, useless};
use room::room;
use task::preview_task;

pub use remark::{UnusedGate, Useless};
pub use room::{PreviewNetwork, PreviewOccupant, PreviewRoom};
pub use task::{PreviewTask, WorkKind};

pub use self::overlap::{Overlap, OverlapKind, Overlaps};

/// A plan, looked at before it runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Preview {
    /// The plan's name.
    pub plan: PlanName,
    /// All tasks in the order in which a single worker would take them.
    pub tasks: Vec<PreviewTask>,
    /// Tasks that could run at the same time, were there no overlaps and enough workers; each wave
    /// needs the one before.
    pub waves: Vec<Vec<TaskId>>,
    /// Tasks that never run at the same time although neither depends on the other.
    pub overlaps: Overlaps,
    /// The longest chain of dependencies, first task first.
    pub critical_path: Vec<TaskId>,
    /// Executions of all tasks together, at most.
    pub executions: u64,
    /// What the run may spend.
    pub limits: PreviewLimits,
    /// What children may reach.
    pub room: PreviewRoom,
    /// The largest file, and the largest sum, that one task may add; absent = the usual 100 MB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change_limit: Option<String>,
    /// Entries of write sets that can never be used, each with why not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub useless: Vec<Useless>,
    /// Gates that decide. None of them = the run can never be ready.
    pub required_gates: usize,
    /// Gates that no task names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unused_gates: Vec<UnusedGate>,
    /// Tasks that name no gate, if the plan has any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ungated: Vec<TaskId>,
    /// What this machine and this checkout make of a run, where somebody looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub here: Option<PreviewHere>,
}

/// What one machine and one checkout make of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PreviewHere {
    /// What people should know, and what would stop the run: each as `omk doctor` has it.
    pub points: Vec<Point>,
    /// What the checkout holds and a run does not see.
    pub uncommitted: PreviewUncommitted,
}

/// Changes of a checkout that were not committed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct PreviewUncommitted {
    /// Files that git tracks.
    pub tracked: usize,
    /// Other files, without those that git ignores.
    pub untracked: usize,
    /// The first of them, those that git tracks before others.
    pub first: Vec<String>,
}

/// The limits of a plan; absent = unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PreviewLimits {
    /// Tasks at once; absent = the cores.
    pub workers: Option<u32>,
    /// Wall time, in seconds.
    pub time_seconds: Option<u64>,
    /// Input, cached input and output.
    pub tokens: Option<u64>,
    /// Money.
    pub usd: Option<f64>,
}

impl Preview {
    /// The preview of a checked plan.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let graph = graph_of(&plan.tasks);
        let acyclic = "a checked plan has no cycle";
        let chains = graph.longest_chains().expect(acyclic);
        let rank = |at: usize| {
            (
                Reverse(plan.tasks[at].priority),
                Reverse(chains[at]),
                &plan.tasks[at].id,
            )
        };
        let order = graph.order_by(rank).expect(acyclic);
        let waves = graph.waves().expect(acyclic);
        let mut wave_of = vec![0; plan.tasks.len()];
        for (number, wave) in waves.iter().enumerate() {
            wave.iter().for_each(|&at| wave_of[at] = number + 1);
        }
        let ids = |nodes: &[usize]| {
            nodes
                .iter()
                .map(|&at| plan.tasks[at].id.clone())
                .collect::<Vec<_>>()
        };
        let tasks: Vec<_> = order
            .iter()
            .map(|&at| preview_task(plan, &plan.tasks[at], wave_of[at], chains[at]))
            .collect();
        Self {
            plan: plan.name.clone(),
            executions: tasks.iter().map(|task| task.executions).sum(),
            tasks,
            waves: waves.iter().map(|wave| ids(wave)).collect(),
            overlaps: overlap::find(&plan.tasks, &graph, &order),
            critical_path: ids(&graph.critical_path().expect(acyclic)),
            limits: limits(&plan.limits),
            room: room(plan),
            change_limit: (plan.change_limit != Size::USUAL).then(|| plan.change_limit.to_string()),
            useless: useless(plan),
            required_gates: plan.gates.iter().filter(|gate| gate.required).count(),
            unused_gates: unused_gates(plan),
            ungated: ungated(plan),
            here: None,
        }
    }

    /// The same, with what was found on this machine and in this checkout.
    #[must_use]
    pub fn seen_here(self, here: PreviewHere) -> Self {
        Self {
            here: Some(here),
            ..self
        }
    }

    /// The same for a base with these submodules: entries of write sets that lie in them can never
    /// be used.
    #[must_use]
    pub fn with_submodules(mut self, plan: &Plan, submodules: &[RepoPath]) -> Self {
        let is_known = |task: &TaskId, glob: &str| {
            self.useless
                .iter()
                .any(|one| one.task == *task && one.glob == glob)
        };
        let in_modules = entries(plan).filter(|(_, glob, _)| scope::lies_in(glob, submodules));
        let new = in_modules.filter(|(task, glob, _)| !is_known(&task.id, glob.as_str()));
        let why = "lies in a submodule, where no change can be kept";
        let new: Vec<Useless> = new
            .map(|(task, glob, _)| Useless {
                task: task.id.clone(),
                glob: glob.as_str().to_owned(),
                why,
            })
            .collect();
        self.useless.extend(new);
        self
    }

    /// As JSON, indented; the field names are promised to readers.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a preview holds nothing that JSON cannot")
    }

    /// As a table and lists for a terminal, without colours.
    #[must_use]
    pub fn terminal(&self) -> String {
        draw::terminal(self)
    }

    /// As a Mermaid diagram without its fence, kept below the limits of GitHub's renderer: what
    /// does not fit is counted.
    #[must_use]
    pub fn mermaid(&self) -> String {
        draw::mermaid(self)
    }

    /// As a graph for Graphviz.
    #[must_use]
    pub fn dot(&self) -> String {
        draw::dot(self)
    }
}

fn graph_of(tasks: &[Task]) -> Graph {
    let index: HashMap<&TaskId, usize> = tasks
        .iter()
        .enumerate()
        .map(|(at, task)| (&task.id, at))
        .collect();
    let mut edges = Vec::new();
    for (at, task) in tasks.iter().enumerate() {
        edges.extend(
            task.dependencies
                .iter()
                .filter_map(|id| index.get(id))
                .map(|&on| (on, at)),
        );
    }
    Graph::new(tasks.len(), &edges)
}

fn limits(limits: &Limits) -> PreviewLimits {
    PreviewLimits {
        workers: limits.workers,
        time_seconds: limits.time.map(|time| time.as_secs()),
        tokens: limits.tokens,
        usd: limits.usd,
    }
}

#[cfg(test)]
mod tests;
