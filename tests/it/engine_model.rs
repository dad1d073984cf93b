//! A small model of the contract's section 2, for the engine's law: it is told what happens, and
//! says how each task stands, who is taken out of the result, and how the run ends. It has no time,
//! no order of starts and no workers.

#![expect(clippy::unwrap_used, reason = "a law that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use omk_action::engine::{TaskState, TaskStatus};
use omk_action::fact::{Class, Evidence, Failure, GateOutcome, GateVerdict, Landing, RunVerdict};
use omk_action::id::{TaskId, TreeId};
use omk_action::plan::{OnDependencyFailure, Plan};

/// The contract's table: whether trying again can help.
pub(crate) const TRANSIENT: [(Class, bool); 17] = [
    (Class::Gate, true),
    (Class::Command, true),
    (Class::Scope, false),
    (Class::Refused, false),
    (Class::Context, false),
    (Class::Auth, false),
    (Class::Config, false),
    (Class::Quota, false),
    (Class::Conflict, true),
    (Class::RateLimit, true),
    (Class::Provider, true),
    (Class::Timeout, true),
    (Class::Hung, true),
    (Class::Host, true),
    (Class::Lost, true),
    (Class::NoChange, true),
    (Class::Steps, true),
];

/// How a task has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    Completed,
    Failed(Class),
    Cancelled,
    CancelledByPerson,
}

#[derive(Debug)]
pub(crate) struct Model {
    plan: Arc<Plan>,
    fail_fast: bool,
    failing: bool,
    ended: BTreeMap<TaskId, End>,
    failures: BTreeMap<TaskId, u32>,
    deaths: BTreeMap<TaskId, u32>,
    /// Who is on the result, in order.
    landings: Vec<(TaskId, TreeId)>,
    /// All whose changes are in a task's own.
    within: BTreeMap<TaskId, BTreeSet<TaskId>>,
    ejected: BTreeSet<TaskId>,
    /// Trees on which every required gate passed at once.
    pub(crate) proven: HashSet<TreeId>,
    /// The required gates have passed on the whole result.
    judged_well: bool,
    take_outs: u32,
    clash_one_in: usize,
    base_is_red: bool,
    cancelled: bool,
    /// How often a task was put back because the cause of its failure is gone.
    put_back: BTreeMap<TaskId, u32>,
}

impl Model {
    pub(crate) fn new(
        plan: Arc<Plan>,
        fail_fast: bool,
        clash_one_in: usize,
        base_is_red: bool,
    ) -> Self {
        Self {
            plan,
            fail_fast,
            failing: false,
            ended: BTreeMap::new(),
            failures: BTreeMap::new(),
            deaths: BTreeMap::new(),
            landings: Vec::new(),
            within: BTreeMap::new(),
            ejected: BTreeSet::new(),
            proven: HashSet::new(),
            judged_well: false,
            take_outs: 0,
            clash_one_in,
            base_is_red,
            cancelled: false,
            put_back: BTreeMap::new(),
        }
    }

    /// A task's place in the plan.
    pub(crate) fn place(&self, task: &TaskId) -> usize {
        self.plan
            .tasks
            .iter()
            .position(|planned| planned.id == *task)
            .unwrap()
    }

    pub(crate) fn landed(&self) -> Vec<&TaskId> {
        self.landings.iter().map(|(task, _)| task).collect()
    }

    /// All whose changes are in those of `tasks`, themselves included.
    pub(crate) fn closure(&self, tasks: &[TaskId]) -> BTreeSet<TaskId> {
        tasks
            .iter()
            .flat_map(|task| self.within[task].iter().cloned())
            .collect()
    }

    /// Whether the required gates fail on a tree with just these changes: some do not go together.
    pub(crate) fn is_red(&self, holds: &BTreeSet<TaskId>) -> bool {
        let places: Vec<usize> = holds.iter().map(|task| self.place(task)).collect();
        let clash = |one: usize, other: usize| {
            one < other && (one * 7 + other * 13).is_multiple_of(self.clash_one_in)
        };
        self.base_is_red
            || places
                .iter()
                .any(|&one| places.iter().any(|&other| clash(one, other)))
    }

    fn required(&self) -> impl Iterator<Item = &omk_action::id::GateId> {
        self.plan
            .gates
            .iter()
            .filter(|gate| gate.required)
            .map(|gate| &gate.id)
    }

    /// Whether the gates of an attempt prove the tree that they saw.
    pub(crate) fn proves(&self, evidence: &Evidence) -> bool {
        let clean = |outcome: &GateOutcome| outcome.verdict == GateVerdict::Passed;
        self.required().all(|gate| {
            evidence
                .gates
                .iter()
                .any(|outcome| outcome.gate == *gate && clean(outcome))
        })
    }

    /// A task may start: nobody ended it, all it needs has ended as it must, and it is built on
    /// what it needs.
    pub(crate) fn may_start(&self, task: &TaskId, onto: &[TaskId]) {
        assert!(
            !onto.iter().any(|other| self.ejected.contains(other)),
            "`{task}` brings back what was taken out"
        );
        assert!(
            !self.ended.contains_key(task),
            "`{task}` starts after its end"
        );
        let planned = self.plan.task(task).unwrap();
        for dependency in &planned.dependencies {
            let end = self.ended.get(dependency);
            let goes_on =
                planned.on_dependency_failure == OnDependencyFailure::Run && end.is_some();
            assert!(
                end == Some(&End::Completed) || goes_on,
                "`{task}` starts before `{dependency}` is done"
            );
            assert!(
                goes_on || !self.ejected.contains(dependency),
                "`{task}` needs `{dependency}`, which was taken out"
            );
            if self.within.contains_key(dependency) && !self.ejected.contains(dependency) {
                assert!(
                    onto.contains(dependency),
                    "`{task}` is not built on `{dependency}`"
                );
            }
        }
    }

    fn end(&mut self, task: &TaskId, end: End) {
        let failed = end != End::Completed;
        assert!(
            self.ended.insert(task.clone(), end).is_none(),
            "`{task}` ends twice in the model"
        );
        if !failed {
            return;
        }
        let waits = |planned: &&omk_action::plan::Task| {
            planned.dependencies.contains(task)
                && planned.on_dependency_failure == OnDependencyFailure::Skip
        };
        for dependent in self
            .plan
            .tasks
            .iter()
            .filter(waits)
            .map(|planned| planned.id.clone())
            .collect::<Vec<_>>()
        {
            if !self.ended.contains_key(&dependent) {
                self.end(&dependent, End::Cancelled);
            }
        }
    }

    /// An attempt has failed; `busy` are those that somebody works on, or that wait to land.
    pub(crate) fn failed(&mut self, task: &TaskId, failure: &Failure, busy: &BTreeSet<TaskId>) {
        if self.ended.contains_key(task) {
            return;
        }
        let count = self.failures.entry(task.clone()).or_default();
        *count += 1;
        let policy = &self.plan.task(task).unwrap().retry_policy;
        let (_, transient) = TRANSIENT
            .iter()
            .find(|(class, _)| *class == failure.class)
            .unwrap();
        let permanent = !transient && policy.terminal_on_permanent_failure;
        if !(permanent || failure.outlived || *count > policy.max_attempts || self.failing) {
            return;
        }
        self.end(task, End::Failed(failure.class));
        if self.fail_fast {
            self.failing = true;
            for planned in &self.plan.clone().tasks {
                if !self.ended.contains_key(&planned.id) && !busy.contains(&planned.id) {
                    self.end(&planned.id, End::Cancelled);
                }
            }
        }
    }

    /// A task is done; with a change, that has this tree on the result and holds all these.
    pub(crate) fn completed(&mut self, task: &TaskId, change: Option<(TreeId, BTreeSet<TaskId>)>) {
        self.end(task, End::Completed);
        if let Some((tree, within)) = change {
            self.landings.push((task.clone(), tree));
            self.within.insert(task.clone(), within);
        }
    }

    pub(crate) fn cancelled(&mut self, tasks: &[TaskId]) {
        self.cancelled |= tasks.is_empty();
        for planned in &self.plan.clone().tasks {
            let named = tasks.is_empty() || tasks.contains(&planned.id);
            if named && !self.ended.contains_key(&planned.id) {
                self.end(&planned.id, End::CancelledByPerson);
            }
        }
    }

    /// omk has died during these tasks. The third death during one is a failure.
    pub(crate) fn died(&mut self, during: &[TaskId], busy: &BTreeSet<TaskId>) {
        let mut during = during.to_vec();
        during.sort_by_key(|task| self.place(task));
        for task in during {
            let deaths = self.deaths.entry(task.clone()).or_default();
            *deaths += 1;
            if *deaths == 3 {
                *deaths = 0;
                self.failed(&task, &Failure::new(Class::Lost, "three deaths"), busy);
            }
        }
    }

    /// Whether a run that ended so can be taken up once the cause outside is gone: something failed
    /// for it, and nothing else that was to end the run at once.
    pub(crate) fn is_blocked(&self) -> bool {
        let otherwise = |end: &End| matches!(end, End::Failed(class) if !EXTERNAL.contains(class));
        self.ended_in(&EXTERNAL) && !(self.fail_fast && self.ended.values().any(otherwise))
    }

    /// The cause outside is gone: what failed for it is tried again, and what was cancelled by omk,
    /// unless something that it needs stays as it ended.
    pub(crate) fn unblocked(&mut self) {
        if !self.is_blocked() {
            return;
        }
        let external = |end: &End| matches!(end, End::Failed(class) if EXTERNAL.contains(class));
        let lost = |end: &End| *end == End::Cancelled || external(end);
        let mut back: BTreeSet<TaskId> = self
            .ended
            .iter()
            .filter(|(_, end)| lost(end))
            .map(|(task, _)| task.clone())
            .collect();
        loop {
            let stays = |task: &TaskId| {
                let planned = self.plan.task(task).unwrap();
                let ended_badly = |dependency: &TaskId| {
                    let badly = self
                        .ended
                        .get(dependency)
                        .is_some_and(|end| *end != End::Completed);
                    badly && !back.contains(dependency) || self.ejected.contains(dependency)
                };
                lost(&self.ended[task])
                    && planned.on_dependency_failure == OnDependencyFailure::Skip
                    && planned.dependencies.iter().any(ended_badly)
            };
            let staying: Vec<TaskId> = back.iter().filter(|task| stays(task)).cloned().collect();
            if staying.is_empty() {
                break;
            }
            back.retain(|task| !staying.contains(task));
        }
        self.judged_well = false;
        for task in back {
            *self.put_back.entry(task.clone()).or_default() += 1;
            self.ended.remove(&task);
        }
        self.failing = false;
    }

    /// The most failures that a task may have: its policy's, and one for each time that it was put
    /// back.
    pub(crate) fn most_failures(&self, task: &TaskId) -> u32 {
        self.plan.task(task).unwrap().retry_policy.max_attempts
            + 1
            + self.put_back.get(task).copied().unwrap_or(0)
    }

    /// The gates have spoken on so many landings.
    pub(crate) fn judged(&mut self, prefix: u32, gates: &[GateOutcome]) {
        let passed = |gate: &omk_action::id::GateId| {
            gates
                .iter()
                .any(|outcome: &GateOutcome| outcome.gate == *gate && outcome.counts_as_passed)
        };
        if prefix as usize == self.landings.len() {
            let all_passed = self.required().all(passed);
            self.judged_well = all_passed;
        }
    }

    /// The culprit is the last task of the shortest prefix that fails; with it goes what is built
    /// on it, and nothing else. After three times all go.
    pub(crate) fn must_take_out(&self, without: &[TaskId]) {
        let landed = self.landed();
        let expected: BTreeSet<&TaskId> = if self.take_outs >= 3 {
            landed.into_iter().collect()
        } else {
            let red =
                |length: &usize| self.is_red(&landed[..*length].iter().copied().cloned().collect());
            let culprit = landed[(1..=landed.len()).find(red).expect("a result that fails") - 1];
            landed
                .into_iter()
                .filter(|task| self.within[*task].contains(culprit))
                .collect()
        };
        assert_eq!(without.iter().collect::<BTreeSet<_>>(), expected);
    }

    pub(crate) fn rebuilt(&mut self, without: &[TaskId], landings: &[Landing], clashed: &[TaskId]) {
        self.take_outs += 1;
        self.ejected.extend(without.iter().chain(clashed).cloned());
        self.landings = landings
            .iter()
            .map(|landing| (landing.task.clone(), landing.tip.tree.clone()))
            .collect();
    }

    /// Who holds something of what did not merge any more.
    pub(crate) fn holds_any(&self, task: &TaskId, clashed: &[TaskId]) -> bool {
        clashed
            .iter()
            .any(|other| self.within[task].contains(other))
    }

    /// A task stands as it must.
    pub(crate) fn compare(&self, status: &TaskStatus<'_>, is_active: bool, lands: bool) {
        let expected: &[TaskState] = match self.ended.get(status.id) {
            Some(End::Completed) => &[TaskState::Completed],
            Some(End::Failed(_)) => &[TaskState::Failed],
            Some(End::Cancelled | End::CancelledByPerson) => &[TaskState::Cancelled],
            None if is_active => &[TaskState::Claimed, TaskState::Running],
            None if lands => &[TaskState::Running],
            None => &[TaskState::Pending],
        };
        assert!(
            expected.contains(&status.state),
            "{} is {:?}, and not {expected:?}",
            status.id,
            status.state
        );
        assert_eq!(
            status.retry_count,
            self.failures.get(status.id).copied().unwrap_or(0),
            "{}",
            status.id
        );
        assert_eq!(
            status.ejected.is_some(),
            self.ejected.contains(status.id),
            "{}",
            status.id
        );
        if let Some(End::Failed(class)) = self.ended.get(status.id) {
            assert_eq!(status.failure.map(|failure| failure.class), Some(*class));
        }
    }

    fn ended_in(&self, classes: &[Class]) -> bool {
        self.ended
            .values()
            .any(|end| matches!(end, End::Failed(class) if classes.contains(class)))
    }

    /// The verdict of a run that stops before its end: what a failed task says weighs more than a
    /// budget.
    pub(crate) fn early(&self, verdict: RunVerdict) -> RunVerdict {
        match verdict {
            RunVerdict::NeedsMoreBudget if self.ended_in(&[Class::Host, Class::Lost]) => {
                RunVerdict::FailedInfra
            }
            RunVerdict::NeedsMoreBudget if self.ended_in(&EXTERNAL) => {
                RunVerdict::BlockedOnExternal
            }
            verdict => verdict,
        }
    }

    /// The verdict of a run that has come to its end: the first that holds.
    pub(crate) fn verdict(&self) -> RunVerdict {
        let all_completed =
            self.ended.values().all(|end| *end == End::Completed) && self.ejected.is_empty();
        let passed = self.judged_well
            || self
                .landings
                .last()
                .is_some_and(|(_, tree)| self.proven.contains(tree));
        if self.cancelled {
            RunVerdict::Cancelled
        } else if self.ended_in(&[Class::Host, Class::Lost]) {
            RunVerdict::FailedInfra
        } else if self.ended_in(&EXTERNAL) {
            RunVerdict::BlockedOnExternal
        } else if !all_completed {
            RunVerdict::NotReady
        } else if self.landings.is_empty() || self.required().next().is_none() {
            RunVerdict::Neutral
        } else if passed {
            RunVerdict::Ready
        } else {
            RunVerdict::NotReady
        }
    }
}

const EXTERNAL: [Class; 5] = [
    Class::Auth,
    Class::Config,
    Class::Quota,
    Class::RateLimit,
    Class::Provider,
];
