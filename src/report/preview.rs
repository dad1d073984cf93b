//! What `omk plan` shows: the order, the waves, who keeps whom waiting, and what it may take at
//! most.
//!
//! It is a pure function of the plan and quick for the largest one. It refuses to foretell time or
//! money: only a run knows.

mod draw;
mod overlap;

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::checkup::Point;
use crate::glob::Glob;
use crate::graph::Graph;
use crate::id::{GateId, PlanName, RepoPath, TaskId};
use crate::plan::{
    Gate, Limits, Network, Networks, Plan, Room, RoomLevel, Size, Task, Work, WriteSet,
};
use crate::scope;
use crate::text;

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

/// A gate that no task names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnusedGate {
    /// Its id.
    pub id: GateId,
    /// A required one judges the result; another one never runs.
    pub required: bool,
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

/// A task of a [`Preview`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PreviewTask {
    /// Its id.
    pub id: TaskId,
    /// Its name, as the author wrote it.
    pub name: String,
    /// Whether it is words for the agent or a command.
    pub kind: WorkKind,
    /// Higher first.
    pub priority: i32,
    /// The tasks it waits for.
    pub dependencies: Vec<TaskId>,
    /// Counted from 1; the index into [`Preview::waves`] and 1.
    pub wave: usize,
    /// How many tasks the longest chain of its dependents has.
    pub chain: usize,
    /// How often it may be executed, at most.
    pub executions: u64,
    /// Whether the plan says what it may write.
    pub write_set_declared: bool,
    /// Whether it takes part only under a condition.
    pub conditional: bool,
    /// What its room leaves open, in a word or two, if that is not the default: `no network`, `2
    /// hosts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
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

/// What kind of work a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkKind {
    /// Words for the agent.
    Prompt,
    /// A shell command.
    Run,
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

fn preview_task(plan: &Plan, task: &Task, wave: usize, chain: usize) -> PreviewTask {
    PreviewTask {
        id: task.id.clone(),
        name: task.name.clone(),
        kind: match task.work {
            Work::Prompt(_) => WorkKind::Prompt,
            Work::Run(_) => WorkKind::Run,
        },
        priority: task.priority,
        dependencies: task.dependencies.clone(),
        wave,
        chain,
        executions: u64::from(task.retry_policy.max_attempts) + 1,
        write_set_declared: task.write_set != WriteSet::Unknown,
        conditional: task.when.is_some(),
        room: open_to(plan, task),
    }
}

/// What a task's room leaves open, if that is not what omk leaves open to its kind of work.
fn open_to(plan: &Plan, task: &Task) -> Option<String> {
    let (usual, network) = (Networks::default(), plan.room.network_of_task(task));
    let usual = match task.work {
        Work::Prompt(_) => usual.agent,
        Work::Run(_) => usual.tasks,
    };
    (*network != usual).then(|| match network {
        Network::None => "no network".to_owned(),
        Network::Model => "model only".to_owned(),
        Network::Open => "open network".to_owned(),
        Network::Allow(hosts) => text::plural(hosts.len(), "host"),
    })
}

/// What makes a room less than its networks say.
fn notes(plan: &Plan) -> Vec<&'static str> {
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

fn room(plan: &Plan) -> PreviewRoom {
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

/// The entries of all write sets, each with its task and the whole set.
fn entries(plan: &Plan) -> impl Iterator<Item = (&Task, &Glob, &[Glob])> {
    plan.tasks.iter().flat_map(|task| {
        let globs: &[Glob] = match &task.write_set {
            WriteSet::Declared(globs) => globs,
            WriteSet::Unknown => &[],
        };
        globs.iter().map(move |glob| (task, glob, globs))
    })
}

fn useless(plan: &Plan) -> Vec<Useless> {
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

fn unused_gates(plan: &Plan) -> Vec<UnusedGate> {
    let used: HashSet<&GateId> = plan.tasks.iter().flat_map(|task| &task.gates).collect();
    let unused = plan.gates.iter().filter(|gate| !used.contains(&gate.id));
    unused
        .map(|gate| UnusedGate {
            id: gate.id.clone(),
            required: gate.required,
        })
        .collect()
}

fn ungated(plan: &Plan) -> Vec<TaskId> {
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
