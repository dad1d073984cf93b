//! From a checked plan and the beginning of a run to a [`RunState`]: dense indexes, ranks, counts of
//! open dependencies.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::conclude::RunPhase;
use super::overlap::{Index, Sets};
use super::state::{NodeState, TaskNode};
use super::{Alarm, RunState};
use crate::fact::{Began, Order};
use crate::glob::Glob;
use crate::graph::Graph;
use crate::id::{Moment, TaskId};
use crate::plan::{OnDependencyFailure, Plan, RetryPolicy, Task, Work, WriteSet};

/// The run as it stands when it has begun, before anything was ordered.
pub(super) fn run(plan: &Plan, began: &Began, at: Moment) -> RunState {
    let all = began.selected.len() == plan.tasks.len();
    let selected: HashSet<&TaskId> = if all {
        HashSet::new()
    } else {
        began.selected.iter().collect()
    };
    let tasks: Vec<&Task> = plan
        .tasks
        .iter()
        .filter(|task| all || selected.contains(&task.id))
        .collect();
    let by_id: HashMap<TaskId, u32> = tasks
        .iter()
        .zip(0..)
        .map(|(task, index): (_, u32)| (task.id.clone(), index))
        .collect();
    let edges: Vec<(usize, usize)> = tasks
        .iter()
        .enumerate()
        .flat_map(|(index, task)| {
            let present = task
                .dependencies
                .iter()
                .filter_map(|dependency| by_id.get(dependency));
            present
                .map(move |&dependency| (dependency as usize, index))
                .collect::<Vec<_>>()
        })
        .collect();
    let graph = Graph::new(tasks.len(), &edges);
    let ranks = ranks(&tasks, &graph);
    let mut common = Common::default();
    let nodes: Vec<TaskNode> = tasks
        .iter()
        .enumerate()
        .map(|(index, task)| node(task, index, &graph, ranks[index], &mut common))
        .collect();
    let ready = nodes
        .iter()
        .enumerate()
        .filter(|(_, node)| matches!(node.state, NodeState::Ready));
    let ready = ready
        .map(|(index, node)| (node.rank, narrow(index)))
        .collect();
    let mut run = RunState {
        began: began.clone(),
        at,
        by_id,
        required_gates: plan
            .gates
            .iter()
            .filter(|gate| gate.required)
            .map(|gate| gate.id.clone())
            .collect(),
        workers: began.workers.max(1),
        workers_free: began.workers.max(1),
        ready,
        watchers: HashMap::new(),
        held: Index::default(),
        landed_paths: Index::default(),
        alarms: BTreeSet::new(),
        armed: None,
        time_limit: began.spending.time_ms.map(Duration::from_millis),
        deadline: None,
        provider_pause: None,
        paused: Vec::new(),
        preflight: began.preflight,
        landing_queue: VecDeque::new(),
        landing: None,
        landings: Vec::new(),
        landing_of_commit: HashMap::new(),
        keeps: !plan.keep.is_empty(),
        proven: HashMap::new(),
        unfinished: u32::try_from(nodes.len()).unwrap_or(u32::MAX),
        phase: RunPhase::Working,
        take_outs: 0,
        result_passed: false,
        unplaced: None,
        stopped_early: false,
        failing_fast: false,
        began_at: at,
        orders: if began.preflight {
            vec![Order::Preflight]
        } else {
            Vec::new()
        },
        nodes,
        graph,
    };
    run.start_time_limit(at);
    run
}

impl RunState {
    /// The time limit counts from here, anew in each process that works on the run.
    pub(super) fn start_time_limit(&mut self, at: Moment) {
        if let Some(old) = self.deadline.take() {
            self.alarms.remove(&(old, Alarm::Deadline));
        }
        if let Some(limit) = self.time_limit {
            let deadline = at.after(limit);
            self.deadline = Some(deadline);
            self.alarms.insert((deadline, Alarm::Deadline));
        }
    }
}

fn node(task: &Task, index: usize, graph: &Graph, rank: u32, common: &mut Common) -> TaskNode {
    let unmet = narrow(graph.dependencies(index).len());
    TaskNode {
        id: task.id.clone(),
        is_agent: matches!(task.work, Work::Prompt(_)),
        gates: if matches!(task.work, Work::Prompt(_)) {
            task.gates.clone()
        } else {
            Vec::new()
        },
        policy: common.policy(task.retry_policy),
        runs_after_failure: task.on_dependency_failure == OnDependencyFailure::Run,
        rank,
        sets: common.sets(task),
        learns_sets: task.write_set == WriteSet::Unknown,
        state: if unmet == 0 {
            NodeState::Ready
        } else {
            NodeState::Waiting
        },
        unmet,
        attempt: 0,
        retry_count: 0,
        deaths: 0,
        failure: None,
        failed_gates: Vec::new(),
        fresh_session: true,
        reserved: false,
        blocked_since: None,
        was_blocked_at: None,
        predecessors: Vec::new(),
        onto: Vec::new(),
        onto_landings: 0,
        started_at: None,
        completed_at: None,
    }
}

/// What many tasks have in common is kept once.
#[derive(Default)]
struct Common {
    policy: Arc<RetryPolicy>,
    nothing: Arc<Sets>,
    sets: HashMap<(Vec<String>, Vec<String>), Arc<Sets>>,
}

impl Common {
    fn policy(&mut self, policy: RetryPolicy) -> Arc<RetryPolicy> {
        if *self.policy != policy {
            self.policy = Arc::new(policy);
        }
        Arc::clone(&self.policy)
    }

    fn sets(&mut self, task: &Task) -> Arc<Sets> {
        let write: &[Glob] = match &task.write_set {
            WriteSet::Unknown => &[],
            WriteSet::Declared(globs) => globs,
        };
        if write.is_empty() && task.read_set.is_empty() {
            return Arc::clone(&self.nothing);
        }
        let texts = |globs: &[Glob]| globs.iter().map(|glob| glob.as_str().to_owned()).collect();
        let known = self.sets.entry((texts(write), texts(&task.read_set)));
        let sets = || {
            Arc::new(Sets {
                write: write.to_vec(),
                read: task.read_set.clone(),
            })
        };
        Arc::clone(known.or_insert_with(sets))
    }
}

/// Highest priority first; then the longest chain of dependents; then id. Rank 0 goes first.
fn ranks(tasks: &[&Task], graph: &Graph) -> Vec<u32> {
    let chains = graph
        .longest_chains()
        .unwrap_or_else(|_| vec![0; tasks.len()]);
    let mut order: Vec<usize> = (0..tasks.len()).collect();
    order.sort_by(|&a, &b| {
        let by_priority = tasks[b].priority.cmp(&tasks[a].priority);
        by_priority
            .then(chains[b].cmp(&chains[a]))
            .then_with(|| tasks[a].id.cmp(&tasks[b].id))
    });
    let mut ranks = vec![0; tasks.len()];
    for (rank, index) in order.into_iter().enumerate() {
        ranks[index] = narrow(rank);
    }
    ranks
}

/// A plan holds at most 10,000 tasks, and no graph here comes near 2^32.
pub(super) fn narrow(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
