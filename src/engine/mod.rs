//! The engine: facts in, orders out. It decides what runs when, what a failure means, and how a run
//! ends.
//!
//! [`Engine`] is a plain value. It has no clock, does no I/O and takes no chances: the same facts
//! at the same moments give the same orders, which is what makes a replay exact. It refuses facts
//! that cannot have happened.

mod overlap;
mod retry;
mod state;
mod build;
mod choose;
mod fold;
mod attempts;
mod stop;
mod unblock;
mod lose;
mod preflight;
mod conclude;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub use preflight::cannot_run;
pub use retry::{jittered_backoff, next_backoff};
pub use state::{CancelReason, Ejected, TaskState, TaskStatus, WaitReason};

use crate::fact::{Began, Fact, Order, RunVerdict};
use crate::graph::Graph;
use crate::id::{CommitId, GateId, Moment, TaskId, Tip, TreeId};
use crate::plan::Plan;
use conclude::RunPhase;
use overlap::Index;
use state::{NodeState, TaskNode};

/// How long a claim holds unless it is renewed. Workers renew at a third of it.
pub const LEASE: Duration = Duration::from_secs(300);

/// So many deaths of omk during one task count as one failure of the task.
const DEATHS_PER_FAILURE: u32 = 3;

/// The key of a held path in the index; reservations have their rank plus one.
const HELD: u32 = 0;

/// What wakes the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Alarm {
    Task(u32),
    ProviderPause,
    Deadline,
}

/// A fact that cannot have happened here; the engine is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// The first fact of a run must be its beginning.
    #[error("`{fact}` before the run began")]
    NotBegun {
        /// The fact's name.
        fact: &'static str,
    },
    /// A run begins once.
    #[error("the run began twice")]
    BegunTwice,
    /// No such task takes part.
    #[error("task `{task}` is not in this run")]
    UnknownTask {
        /// The name as given.
        task: TaskId,
    },
    /// Attempts are counted here; one that was never given out cannot answer.
    #[error("task `{task}` has had {known} attempts, so attempt {attempt} cannot answer")]
    FutureAttempt {
        /// The task.
        task: TaskId,
        /// The attempt that answered.
        attempt: u32,
        /// The attempts given out.
        known: u32,
    },
    /// The task is not where this fact could happen to it.
    #[error("`{fact}` came for task `{task}`, which is {state}")]
    WrongState {
        /// The fact's name.
        fact: &'static str,
        /// The task.
        task: TaskId,
        /// Where it is.
        state: &'static str,
    },
    /// The run is not where this fact could happen.
    #[error("`{fact}` came while the run was {phase}")]
    WrongPhase {
        /// The fact's name.
        fact: &'static str,
        /// Where the run is.
        phase: &'static str,
    },
}

/// A run in progress.
#[derive(Debug, Clone)]
pub struct Engine {
    plan: Arc<Plan>,
    run: Option<RunState>,
}

/// Everything there is once the run began.
#[derive(Debug, Clone)]
struct RunState {
    began: Began,
    began_at: Moment,
    at: Moment,
    nodes: Vec<TaskNode>,
    graph: Graph,
    by_id: HashMap<TaskId, u32>,
    required_gates: Vec<GateId>,

    workers: u32,
    workers_free: u32,
    /// Pending tasks to look at, by rank.
    ready: BTreeSet<(u32, u32)>,
    /// Tasks to look at again when the one of that index releases its paths.
    watchers: HashMap<u32, Vec<u32>>,
    /// Held and reserved paths.
    held: Index,
    /// Paths of landed tasks, by landing.
    landed_paths: Index,
    alarms: BTreeSet<(Moment, Alarm)>,
    /// The moment of the last order to wake.
    armed: Option<Moment>,
    time_limit: Option<Duration>,
    deadline: Option<Moment>,
    provider_pause: Option<Moment>,
    paused: Vec<u32>,
    /// The required gates run on the base, and no prompt starts.
    preflight: bool,

    landing_queue: VecDeque<u32>,
    landing: Option<u32>,
    /// Landed tasks in order; the last one's tip is the integration tip.
    landings: Vec<(u32, Tip)>,
    landing_of_commit: HashMap<CommitId, u32>,
    /// Gates of tasks find caches, which those of the result do not: no task proves the result.
    keeps: bool,
    /// Trees on which all required gates passed cleanly, and the task that showed it.
    proven: HashMap<TreeId, u32>,

    unfinished: u32,
    phase: RunPhase,
    take_outs: u32,
    /// The required gates have passed on the present tip.
    result_passed: bool,
    /// The verdict that it ended with, if its result's branch could not be put at the result.
    unplaced: Option<RunVerdict>,
    /// It ended before all was done, and can be taken up again.
    stopped_early: bool,
    /// A task has failed, and that was to end the run: nothing is tried again.
    failing_fast: bool,
    orders: Vec<Order>,
}

impl Engine {
    /// An engine for a checked plan. The run begins with [`Fact::Began`].
    #[must_use]
    pub fn new(plan: Arc<Plan>) -> Self {
        Self { plan, run: None }
    }

    /// Takes a fact that happened at `at`, and says what is to be done about it.
    ///
    /// # Errors
    /// Where the fact cannot have happened; nothing has changed then. An answer of a revoked
    /// attempt is not an error: it is ignored.
    pub fn take(&mut self, at: Moment, fact: &Fact) -> Result<Vec<Order>, Illegal> {
        if let Fact::Began(began) = fact {
            if self.run.is_some() {
                return Err(Illegal::BegunTwice);
            }
            self.run = Some(build::run(&self.plan, began, at));
        }
        let Some(run) = &mut self.run else {
            return Err(Illegal::NotBegun {
                fact: fold::name_of(fact),
            });
        };
        let about = fold::check(run, fact)?;
        run.at = run.at.max(at);
        fold::apply(run, fact, about);
        run.settle();
        Ok(std::mem::take(&mut run.orders))
    }

    /// The plan it follows.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// How the run began, once it has.
    #[must_use]
    pub fn began(&self) -> Option<&Began> {
        self.run.as_ref().map(|run| &run.began)
    }

    /// The last moment it heard of.
    #[must_use]
    pub fn at(&self) -> Option<Moment> {
        self.run.as_ref().map(|run| run.at)
    }

    /// How the run ended, where it has.
    #[must_use]
    pub fn verdict(&self) -> Option<RunVerdict> {
        self.run.as_ref().and_then(|run| run.phase.verdict())
    }

    /// Whether something could still be done: a task that is not final, a result not judged.
    #[must_use]
    pub fn can_go_on(&self) -> bool {
        self.run
            .as_ref()
            .is_some_and(|run| run.phase.verdict().is_none() || run.stopped_early)
    }

    /// Whether tasks have failed for a cause outside, in a run that has ended so: it can be taken
    /// up once that is gone.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.run.as_ref().is_some_and(RunState::is_blocked)
    }

    /// Whether the run has ended, and its result's branch is not at the result.
    #[must_use]
    pub fn is_unplaced(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.unplaced.is_some())
    }

    /// Where every task stands, in the order of the plan.
    pub fn tasks(&self) -> impl Iterator<Item = TaskStatus<'_>> {
        self.run
            .iter()
            .flat_map(|run| run.nodes.iter().map(|node| run.status(node)))
    }

    /// Where a task stands.
    #[must_use]
    pub fn task(&self, id: &TaskId) -> Option<TaskStatus<'_>> {
        let run = self.run.as_ref()?;
        let index = *run.by_id.get(id)?;
        Some(run.status(&run.nodes[index as usize]))
    }

    /// The tasks on the integration branch, in landing order, with the tip each made.
    pub fn landings(&self) -> impl Iterator<Item = (&TaskId, &Tip)> {
        self.run.iter().flat_map(|run| {
            run.landings
                .iter()
                .map(|(index, tip)| (&run.nodes[*index as usize].id, tip))
        })
    }

    /// The landed tasks whose changes a task's own change holds besides, because it was built on
    /// them.
    pub fn built_on(&self, id: &TaskId) -> impl Iterator<Item = &TaskId> {
        let run = self.run.iter();
        run.filter_map(|run| Some((run, run.node(*run.by_id.get(id)?))))
            .flat_map(|(run, node)| {
                let seen = run
                    .landings
                    .iter()
                    .take(node.onto_landings as usize)
                    .map(|(index, _)| index);
                node.onto
                    .iter()
                    .chain(seen)
                    .map(|&index| &run.node(index).id)
            })
    }

    /// The integration tip: the run's base until something landed.
    #[must_use]
    pub fn tip(&self) -> Option<&Tip> {
        let run = self.run.as_ref()?;
        Some(run.landings.last().map_or(&run.began.base, |(_, tip)| tip))
    }

    /// The task whose own gates already proved the present tip's tree, where one did.
    #[must_use]
    pub fn tip_proven_by(&self) -> Option<&TaskId> {
        let run = self.run.as_ref()?;
        let index = run.proven.get(&self.tip()?.tree)?;
        Some(&run.nodes[*index as usize].id)
    }
}

impl RunState {
    fn node(&self, index: u32) -> &TaskNode {
        &self.nodes[index as usize]
    }

    fn node_mut(&mut self, index: u32) -> &mut TaskNode {
        &mut self.nodes[index as usize]
    }

    fn status<'a>(&'a self, node: &'a TaskNode) -> TaskStatus<'a> {
        let landed = node.landed();
        TaskStatus {
            id: &node.id,
            state: node.state.public(),
            waits: self.waits(node),
            attempt: node.attempt,
            retry_count: node.retry_count,
            lease_expires: node.state.lease(),
            failure: node.failure.as_deref(),
            failed_gates: &node.failed_gates,
            cancelled: if let NodeState::Cancelled { reason } = &node.state {
                Some(reason)
            } else {
                None
            },
            change: if let NodeState::Landing { change } = &node.state {
                Some(change)
            } else {
                landed.map(|l| &l.change)
            },
            landed: landed.map(|landed| &landed.tip),
            ejected: landed.and_then(|landed| landed.ejected.as_ref()),
            created_at: self.began_at,
            started_at: node.started_at,
            completed_at: node.completed_at,
        }
    }

    fn waits(&self, node: &TaskNode) -> Option<WaitReason> {
        match &node.state {
            NodeState::Waiting => Some(WaitReason::Dependencies),
            NodeState::Ready => Some(WaitReason::Worker),
            NodeState::Blocked { by } => Some(WaitReason::Paths(self.node(*by).id.clone())),
            NodeState::Paused if self.preflight => Some(WaitReason::Preflight),
            NodeState::Paused => Some(WaitReason::Provider(self.provider_pause.unwrap_or(self.at))),
            NodeState::Backoff { until } => Some(WaitReason::Backoff(*until)),
            NodeState::Claimed { .. }
            | NodeState::Working { .. }
            | NodeState::Landing { .. }
            | NodeState::Completed { .. }
            | NodeState::Failed
            | NodeState::Cancelled { .. } => None,
        }
    }
}
