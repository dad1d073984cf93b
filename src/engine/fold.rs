//! What each fact does to the run. One total `match`; what cannot have happened is refused before anything changes.

use super::conclude::Phase;
use super::retry::jittered_backoff;
use super::state::{CancelReason, Landed, State};
use super::{Alarm, DEATHS_PER_FAILURE, Illegal, LEASE, Run};
use crate::fact::{Change, Class, Evidence, Fact, Failure, Order, Outcome, RunVerdict, Spending};
use crate::glob::Glob;
use crate::id::{GateId, Moment, RepoPath, TaskId, Tip};

/// A fact's name, as the journal has it.
pub(super) fn name_of(fact: &Fact) -> &'static str {
    match fact {
        Fact::Began(_) => "began",
        Fact::TookUp { .. } => "took-up",
        Fact::Prepared { .. } => "prepared",
        Fact::Renewed { .. } => "renewed",
        Fact::Worked { .. } => "worked",
        Fact::Landed { .. } => "landed",
        Fact::Clashed { .. } => "clashed",
        Fact::Woke => "woke",
        Fact::Judged { .. } => "judged",
        Fact::Rebuilt { .. } => "rebuilt",
        Fact::Limited { .. } => "limited",
        Fact::Stopped { .. } => "stopped",
        Fact::Cancelled { .. } => "cancelled",
    }
}

/// The task and attempt that a fact is about, where it is about one.
fn attempt_of(fact: &Fact) -> Option<(&TaskId, u32)> {
    match fact {
        Fact::Prepared { task, attempt, .. }
        | Fact::Renewed { task, attempt }
        | Fact::Worked { task, attempt, .. }
        | Fact::Landed { task, attempt, .. }
        | Fact::Clashed { task, attempt, .. } => Some((task, *attempt)),
        Fact::Began(_)
        | Fact::TookUp { .. }
        | Fact::Woke
        | Fact::Judged { .. }
        | Fact::Rebuilt { .. }
        | Fact::Limited { .. }
        | Fact::Stopped { .. }
        | Fact::Cancelled { .. } => None,
    }
}

/// Refuses what cannot have happened.
pub(super) fn check(run: &Run, fact: &Fact) -> Result<(), Illegal> {
    if let Some((task, attempt)) = attempt_of(fact) {
        let index = run.index(task)?;
        let node = run.node(index);
        if attempt > node.attempt {
            return Err(Illegal::FutureAttempt { task: task.clone(), attempt, known: node.attempt });
        }
        let possible = attempt < node.attempt || is_late(&node.state) || fits(fact, &node.state);
        if !possible {
            let state = node.state.public().as_str();
            return Err(Illegal::WrongState { fact: name_of(fact), task: task.clone(), state });
        }
    }
    let wrong_phase = |phase: &'static str| Err(Illegal::WrongPhase { fact: name_of(fact), phase });
    match (fact, &run.phase) {
        (Fact::Cancelled { tasks }, _) => tasks.iter().try_for_each(|task| run.index(task).map(drop)),
        (Fact::Judged { .. }, Phase::Working | Phase::Rebuilding { .. }) => wrong_phase(run.phase.as_str()),
        (Fact::Rebuilt { .. }, Phase::Working | Phase::Judging(_)) => wrong_phase(run.phase.as_str()),
        (Fact::TookUp { .. }, Phase::Concluded(_)) if !run.stopped_early => wrong_phase(run.phase.as_str()),
        _ => Ok(()),
    }
}

/// Whether the fact is what a task in that state can bring.
fn fits(fact: &Fact, state: &State) -> bool {
    match fact {
        Fact::Prepared { .. } => matches!(state, State::Claimed { .. }),
        Fact::Renewed { .. } => state.lease().is_some(),
        Fact::Worked { outcome, .. } => match outcome {
            Outcome::Changed(_) | Outcome::Unchanged => matches!(state, State::Working { .. }),
            Outcome::Failed(_) | Outcome::Interrupted => state.lease().is_some(),
        },
        Fact::Landed { .. } | Fact::Clashed { .. } => matches!(state, State::Landing { .. }),
        Fact::Began(_)
        | Fact::TookUp { .. }
        | Fact::Woke
        | Fact::Judged { .. }
        | Fact::Rebuilt { .. }
        | Fact::Limited { .. }
        | Fact::Stopped { .. }
        | Fact::Cancelled { .. } => true,
    }
}

/// Whether nobody holds the task any more, so that an answer comes from a revoked attempt.
fn is_late(state: &State) -> bool {
    state.lease().is_none() && !matches!(state, State::Landing { .. })
}

/// Lets the fact happen. It has been checked.
pub(super) fn apply(run: &mut Run, fact: &Fact) {
    if let Some((task, attempt)) = attempt_of(fact) {
        let Ok(index) = run.index(task) else { return };
        let node = run.node(index);
        if attempt == node.attempt && fits(fact, &node.state) && run.phase.verdict().is_none() {
            run.attempt_fact(index, fact);
        }
        return;
    }
    match fact {
        Fact::TookUp { workers, spending, .. } => run.took_up(*workers, *spending),
        Fact::Woke => run.woke(),
        Fact::Judged { trouble: Some(_), .. } => run.stop_early(RunVerdict::FailedInfra),
        Fact::Judged { prefix, gates, .. } => run.judged(*prefix, gates),
        Fact::Rebuilt { landings, clashed } => run.rebuilt(landings, clashed),
        Fact::Limited { .. } => run.stop_early(RunVerdict::NeedsMoreBudget),
        Fact::Stopped { .. } => run.stop_early(RunVerdict::Cancelled),
        Fact::Cancelled { tasks } => run.cancelled_by_person(tasks),
        Fact::Began(_)
        | Fact::Prepared { .. }
        | Fact::Renewed { .. }
        | Fact::Worked { .. }
        | Fact::Landed { .. }
        | Fact::Clashed { .. } => {}
    }
}

impl Run {
    pub(super) fn index(&self, task: &TaskId) -> Result<u32, Illegal> {
        self.by_id.get(task).copied().ok_or_else(|| Illegal::UnknownTask { task: task.clone() })
    }

    fn node_count(&self) -> u32 {
        u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)
    }

    fn attempt_fact(&mut self, index: u32, fact: &Fact) {
        match fact {
            Fact::Prepared { base, .. } => self.prepared(index, base),
            Fact::Renewed { .. } => self.renew(index),
            Fact::Worked { outcome, evidence, .. } => self.worked(index, outcome, evidence),
            Fact::Landed { tip, .. } => self.landed(index, tip),
            Fact::Clashed { trouble: Some(trouble), .. } => {
                self.landing = None;
                self.release(index);
                self.fail(index, trouble.clone());
            }
            Fact::Clashed { paths, .. } => self.clashed(index, paths),
            Fact::Began(_)
            | Fact::TookUp { .. }
            | Fact::Woke
            | Fact::Judged { .. }
            | Fact::Rebuilt { .. }
            | Fact::Limited { .. }
            | Fact::Stopped { .. }
            | Fact::Cancelled { .. } => {}
        }
    }

    fn prepared(&mut self, index: u32, base: &Tip) {
        let onto_landings = self.landing_of_commit.get(&base.commit).map_or(0, |number| number + 1);
        let node = self.node_mut(index);
        node.onto_landings = onto_landings;
        if let State::Claimed { expires } = node.state {
            node.state = State::Working { expires };
        }
    }

    fn renew(&mut self, index: u32) {
        let later = self.at.after(LEASE);
        let node = self.node_mut(index);
        let (State::Claimed { expires } | State::Working { expires }) = &mut node.state else { return };
        let earlier = std::mem::replace(expires, later);
        self.alarms.remove(&(expiry(earlier), Alarm::Task(index)));
        self.alarms.insert((expiry(later), Alarm::Task(index)));
    }

    /// Takes a task out of its worker's hands.
    fn end_lease(&mut self, index: u32) {
        if let Some(expires) = self.node(index).state.lease() {
            self.alarms.remove(&(expiry(expires), Alarm::Task(index)));
            self.workers_free += 1;
        }
    }

    fn worked(&mut self, index: u32, outcome: &Outcome, evidence: &Evidence) {
        self.end_lease(index);
        match outcome {
            Outcome::Changed(change) => {
                self.remember_proof(index, change, evidence);
                self.node_mut(index).state = State::Landing { change: change.clone() };
                self.landing_queue.push_back(index);
            }
            Outcome::Unchanged => {
                self.release(index);
                self.complete(index, None);
            }
            Outcome::Failed(failure) => {
                self.release(index);
                self.fail(index, failure.clone());
            }
            Outcome::Interrupted => {
                self.release(index);
                self.make_ready(index);
            }
        }
    }

    /// A tree on which all required gates passed cleanly needs no second look.
    fn remember_proof(&mut self, index: u32, change: &Change, evidence: &Evidence) {
        let clean = |gate: &GateId| {
            let of_gate = |outcome: &&crate::fact::GateOutcome| outcome.gate == *gate;
            evidence.gates.iter().find(of_gate).is_some_and(|o| o.verdict == crate::fact::GateVerdict::Passed)
        };
        if evidence.tree.as_ref() == Some(&change.tip.tree) && self.required_gates.iter().all(clean) {
            self.proven.insert(change.tip.tree.clone(), index);
        }
    }

    fn landed(&mut self, index: u32, tip: &Tip) {
        let number = self.landing_count();
        let node = self.node_mut(index);
        let State::Landing { change } = std::mem::replace(&mut node.state, State::Ready) else { return };
        self.landing = None;
        self.landings.push((index, tip.clone()));
        self.landing_of_commit.insert(tip.commit.clone(), number);
        self.release(index);
        self.landed_paths.insert((number, index), &self.nodes[index as usize].sets);
        self.complete(index, Some(Landed { change, tip: tip.clone(), number, ejected: None }));
    }

    fn clashed(&mut self, index: u32, paths: &[RepoPath]) {
        self.landing = None;
        self.release(index);
        let node = self.node(index);
        let mut touched: Vec<Glob> = Vec::new();
        if let State::Landing { change } = &node.state
            && node.learns_sets
        {
            touched.extend(change.paths.iter().map(Glob::literal));
        }
        let winners = self.winners(index, paths);
        let node = self.node_mut(index);
        if !touched.is_empty() {
            node.sets.write = touched;
            // A class of its own: nobody else has just these paths by declaration.
            node.sets_class = u32::MAX - index;
        }
        for winner in winners {
            if !node.predecessors.contains(&winner) {
                node.predecessors.push(winner);
            }
        }
        let listed: Vec<String> = paths.iter().take(20).map(ToString::to_string).collect();
        let more = if paths.len() > 20 { format!(" and {} more", paths.len() - 20) } else { String::new() };
        let message = format!("its change does not merge with what landed meanwhile, in {}{more}", listed.join(", "));
        self.fail(index, Failure { class: Class::Conflict, message, retry_after_ms: None });
    }

    /// The landed tasks that changed any of these paths, and on which `index` was not built.
    fn winners(&self, index: u32, paths: &[RepoPath]) -> Vec<u32> {
        let node = self.node(index);
        let lost_to = |other: &u32| {
            self.node(*other).landed().is_some_and(|landed| {
                landed.number >= node.onto_landings && landed.change.paths.iter().any(|path| paths.contains(path))
            })
        };
        let landed = self.landings.iter().map(|(other, _)| *other);
        landed.filter(|other| !node.onto.contains(other)).filter(lost_to).collect()
    }

    fn fail(&mut self, index: u32, mut failure: Failure) {
        let wait = failure.retry_after_ms.map(std::time::Duration::from_millis).unwrap_or_default();
        if failure.class == Class::RateLimit && !wait.is_zero() {
            self.pause_provider(&mut failure, self.at.after(wait));
        }
        let node = &mut self.nodes[index as usize];
        node.retry_count = node.retry_count.saturating_add(1);
        node.fresh_session = !(node.is_agent && failure.class.keeps_session());
        let permanent = !failure.class.is_transient() && node.policy.terminal_on_permanent_failure;
        node.failure = Some(failure);
        if permanent || node.retry_count > node.policy.max_attempts {
            node.state = State::Failed;
            self.finish(index);
            if self.began.fail_fast {
                self.cancel_pending(&CancelReason::FailFast(self.node(index).id.clone()));
            }
            return;
        }
        let backoff = jittered_backoff(&node.policy, &self.began.run, &node.id, node.retry_count);
        let until = self.at.after(backoff.max(wait));
        node.state = State::Backoff { until };
        self.alarms.insert((until, Alarm::Task(index)));
    }

    /// No agent task starts before the provider wants it; a wait past the run's end is as good as no credit.
    fn pause_provider(&mut self, failure: &mut Failure, until: Moment) {
        if self.deadline.is_some_and(|deadline| until > deadline) {
            failure.class = Class::Quota;
            failure.message.push_str("; the provider asks to wait longer than this run may take");
            return;
        }
        if self.provider_pause.is_some_and(|pause| pause >= until) {
            return;
        }
        if let Some(earlier) = self.provider_pause.replace(until) {
            self.alarms.remove(&(earlier, Alarm::ProviderPause));
        }
        self.alarms.insert((until, Alarm::ProviderPause));
    }

    fn complete(&mut self, index: u32, landed: Option<Landed>) {
        self.node_mut(index).state = State::Completed { landed };
        self.finish(index);
    }

    /// The task has become final: those that wait for it go on, or are cancelled in turn.
    fn finish(&mut self, index: u32) {
        let mut stack = vec![index];
        while let Some(index) = stack.pop() {
            let at = self.at;
            self.unfinished -= 1;
            self.node_mut(index).completed_at = Some(at);
            let failed = !matches!(self.node(index).state, State::Completed { .. });
            let id = self.node(index).id.clone();
            for position in 0..self.dependents[index as usize].len() {
                let dependent = self.dependents[index as usize][position];
                let node = &mut self.nodes[dependent as usize];
                if !matches!(node.state, State::Waiting) {
                    continue;
                }
                if failed && !node.runs_after_failure {
                    node.state = State::Cancelled { reason: CancelReason::Dependency(id.clone()) };
                    stack.push(dependent);
                    continue;
                }
                node.unmet -= 1;
                if node.unmet == 0 {
                    self.make_ready(dependent);
                }
            }
        }
    }

    fn make_ready(&mut self, index: u32) {
        let node = &mut self.nodes[index as usize];
        node.state = State::Ready;
        self.ready.insert((node.rank, index));
    }

    fn woke(&mut self) {
        self.armed = None;
        while let Some(&(due, alarm)) = self.alarms.first() {
            if due > self.at {
                return;
            }
            self.alarms.pop_first();
            match alarm {
                Alarm::Task(index) => self.task_alarm(index),
                Alarm::ProviderPause => {
                    self.provider_pause = None;
                    for index in std::mem::take(&mut self.paused) {
                        if matches!(self.node(index).state, State::Paused) {
                            self.make_ready(index);
                        }
                    }
                }
                Alarm::Deadline => self.stop_early(RunVerdict::NeedsMoreBudget),
            }
        }
    }

    fn task_alarm(&mut self, index: u32) {
        if matches!(self.node(index).state, State::Backoff { .. }) {
            self.make_ready(index);
        } else if self.node(index).state.lease().is_some() {
            self.order_end(index);
            self.workers_free += 1;
            self.release(index);
            let message = format!("its worker gave no sign of life for {} s", LEASE.as_secs());
            self.fail(index, Failure { class: Class::Host, message, retry_after_ms: None });
        }
    }

    fn order_end(&mut self, index: u32) {
        let node = self.node(index);
        let order = Order::End { task: node.id.clone(), attempt: node.attempt };
        self.orders.push(order);
    }

    /// Puts every attempt under way back; nothing is counted.
    pub(super) fn interrupt_all(&mut self) -> Vec<u32> {
        let active: Vec<u32> =
            (0..self.node_count()).filter(|&index| self.node(index).state.lease().is_some()).collect();
        for &index in &active {
            self.end_lease(index);
            self.release(index);
            self.make_ready(index);
            self.node_mut(index).fresh_session = true;
        }
        active
    }

    fn stop_early(&mut self, verdict: RunVerdict) {
        if self.phase.verdict().is_some() {
            return;
        }
        for index in self.interrupt_all() {
            self.order_end(index);
        }
        self.stopped_early = true;
        self.conclude_with(verdict);
    }

    fn took_up(&mut self, workers: Option<u32>, spending: Option<Spending>) {
        if let Some(spending) = spending {
            self.time_limit = spending.time_ms.map(std::time::Duration::from_millis);
        }
        for index in self.interrupt_all() {
            let node = self.node_mut(index);
            node.deaths += 1;
            if node.deaths >= DEATHS_PER_FAILURE {
                node.deaths = 0;
                let rank = node.rank;
                self.ready.remove(&(rank, index));
                let message = format!("omk itself died {DEATHS_PER_FAILURE} times during this task");
                self.fail(index, Failure { class: Class::Lost, message, retry_after_ms: None });
            }
        }
        for node in &mut self.nodes {
            node.fresh_session = true;
        }
        if let Some(landing) = self.landing.take() {
            self.landing_queue.push_front(landing);
        }
        self.workers_free = workers.unwrap_or(self.began.workers).max(1);
        self.phase = Phase::Working;
        self.stopped_early = false;
        self.armed = None;
        self.start_time_limit(self.at);
    }

    fn cancelled_by_person(&mut self, tasks: &[TaskId]) {
        if self.phase.verdict().is_some() && !self.stopped_early {
            return;
        }
        if tasks.is_empty() {
            for index in 0..self.node_count() {
                self.cancel_one(index);
            }
            self.stopped_early = false;
            self.conclude_with(RunVerdict::Cancelled);
            return;
        }
        for task in tasks {
            if let Ok(index) = self.index(task) {
                self.cancel_one(index);
            }
        }
    }

    fn cancel_one(&mut self, index: u32) {
        if self.node(index).state.public().is_final() {
            return;
        }
        if self.node(index).state.lease().is_some() {
            self.order_end(index);
            self.end_lease(index);
            self.release(index);
        } else if matches!(self.node(index).state, State::Landing { .. }) {
            self.landing_queue.retain(|&other| other != index);
            if self.landing == Some(index) {
                self.landing = None;
            }
            self.release(index);
        }
        self.cancel(index, CancelReason::Person);
    }

    fn cancel(&mut self, index: u32, reason: CancelReason) {
        let node = &mut self.nodes[index as usize];
        self.ready.remove(&(node.rank, index));
        if let State::Backoff { until } = node.state {
            self.alarms.remove(&(until, Alarm::Task(index)));
        }
        node.state = State::Cancelled { reason };
        self.unreserve(index);
        self.finish(index);
    }

    /// Cancels all that nobody works on.
    fn cancel_pending(&mut self, reason: &CancelReason) {
        for index in 0..self.node_count() {
            if self.node(index).state.public() == super::TaskState::Pending {
                self.cancel(index, reason.clone());
            }
        }
    }
}

/// A lease has expired when now is *past* its end.
pub(super) fn expiry(expires: Moment) -> Moment {
    expires.after(std::time::Duration::from_millis(1))
}
