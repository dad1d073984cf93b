//! How a run ends: landing in turn, judging the result, taking out culprits, and the verdict.

use super::state::{CancelReason, Ejected, NodeState};
use super::{Alarm, RunState};
use crate::fact::{Class, Failure, GateOutcome, GateVerdict, Landing, Order, RunVerdict};
use crate::id::{GateId, TaskId};

/// So many times a culprit is taken out; then nothing is integrated.
const MOST_TAKE_OUTS: u32 = 3;

/// Where the run as a whole is.
#[derive(Debug, Clone)]
pub(super) enum RunPhase {
    Working,
    Judging(Hunt),
    Rebuilding { without: Vec<u32>, ejected: Ejected },
    Concluded(RunVerdict),
}

/// The search for the shortest prefix of landings that fails.
#[derive(Debug, Clone)]
pub(super) struct Hunt {
    /// The prefix being judged.
    probing: u32,
    /// A prefix that passes, once one is known.
    passes: Option<u32>,
    /// The shortest prefix known to fail, and what failed there.
    fails: Option<(u32, Ejected)>,
}

impl RunPhase {
    pub(super) fn verdict(&self) -> Option<RunVerdict> {
        if let Self::Concluded(verdict) = self {
            Some(*verdict)
        } else {
            None
        }
    }

    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Working => "under way",
            Self::Judging(_) => "being judged",
            Self::Rebuilding { .. } => "being rebuilt",
            Self::Concluded(_) => "over",
        }
    }
}

impl RunState {
    /// Orders all that can be ordered now.
    pub(super) fn settle(&mut self) {
        if matches!(self.phase, RunPhase::Working) {
            self.dispatch();
            self.land_next();
            if self.unfinished == 0 {
                self.begin_judging();
            }
        }
        self.arm();
    }

    fn land_next(&mut self) {
        if self.landing.is_some() {
            return;
        }
        let Some(index) = self.landing_queue.pop_front() else {
            return;
        };
        self.landing = Some(index);
        let node = self.node(index);
        let order = Order::Land {
            task: node.id.clone(),
            attempt: node.attempt,
        };
        self.orders.push(order);
    }

    /// Asks to be woken for the first alarm, unless an earlier wake is already on its way.
    fn arm(&mut self) {
        if self.phase.verdict().is_some() {
            return;
        }
        let Some(&(due, _)) = self.alarms.first() else {
            return;
        };
        if self.armed.is_none_or(|armed| due < armed) {
            self.armed = Some(due);
            self.orders.push(Order::Wake { at: due });
        }
    }

    /// How many landings there are on the integration branch.
    pub(super) fn landing_count(&self) -> u32 {
        u32::try_from(self.landings.len()).unwrap_or(u32::MAX)
    }

    /// A landed task's place in the order of landings; the end for others.
    pub(super) fn landing_number(&self, index: u32) -> u32 {
        self.node(index)
            .landed()
            .map_or(u32::MAX, |landed| landed.number)
    }

    fn begin_judging(&mut self) {
        let Some((_, tip)) = self.landings.last() else {
            return self.conclude();
        };
        if self.required_gates.is_empty() {
            return self.conclude();
        }
        if self.proven.contains_key(&tip.tree) {
            self.result_passed = true;
            return self.conclude();
        }
        self.probe(Hunt {
            probing: self.landing_count(),
            passes: None,
            fails: None,
        });
    }

    fn probe(&mut self, hunt: Hunt) {
        self.orders.push(Order::Judge {
            prefix: hunt.probing,
        });
        self.phase = RunPhase::Judging(hunt);
    }

    /// The gates have spoken on a prefix of the landings.
    pub(super) fn judged(&mut self, prefix: u32, gates: &[GateOutcome]) {
        let RunPhase::Judging(hunt) = &self.phase else {
            return;
        };
        if hunt.probing != prefix {
            return;
        }
        let mut hunt = hunt.clone();
        match self.first_failing(gates) {
            None if prefix == self.landing_count() => {
                self.result_passed = true;
                return self.conclude();
            }
            None => hunt.passes = Some(prefix),
            // The base fails by itself: nobody here is the culprit.
            Some(_) if prefix == 0 => return self.conclude(),
            Some(ejected) => hunt.fails = Some((prefix, ejected)),
        }
        self.hunt_on(hunt);
    }

    fn first_failing(&self, gates: &[GateOutcome]) -> Option<Ejected> {
        let outcome_of = |gate: &GateId| gates.iter().find(|outcome| outcome.gate == *gate);
        let held = self
            .required_gates
            .iter()
            .filter(|gate| !outcome_of(gate).is_some_and(|found| found.counts_as_passed));
        // One that was ended because another failed is not the reason.
        let ran = |gate: &&GateId| {
            outcome_of(gate).is_some_and(|found| found.verdict != GateVerdict::Skipped)
        };
        let held: Vec<&GateId> = held.collect();
        let first = held
            .iter()
            .copied()
            .find(ran)
            .or_else(|| held.first().copied())?;
        let log = outcome_of(first)
            .and_then(|outcome| outcome.log.as_ref())
            .map(|log| log.path.clone());
        Some(Ejected {
            gate: Some(first.clone()),
            log,
        })
    }

    /// Halves the stretch between a prefix that passes and one that fails; at its end stands the
    /// culprit.
    fn hunt_on(&mut self, mut hunt: Hunt) {
        let Some((fails, ejected)) = hunt.fails.clone() else {
            return;
        };
        if self.take_outs >= MOST_TAKE_OUTS {
            let all = self.landings.iter().map(|(index, _)| *index).collect();
            return self.take_out(all, ejected);
        }
        let Some(mut passes) = hunt.passes else {
            hunt.probing = 0;
            return self.probe(hunt);
        };
        while fails - passes > 1 {
            let middle = passes + (fails - passes) / 2;
            if !self
                .proven
                .contains_key(&self.landings[middle as usize - 1].1.tree)
            {
                hunt.probing = middle;
                hunt.passes = Some(passes);
                return self.probe(hunt);
            }
            passes = middle;
        }
        let culprit = self.landings[fails as usize - 1].0;
        let without = self.built_on(culprit);
        self.take_out(without, ejected);
    }

    fn take_out(&mut self, without: Vec<u32>, ejected: Ejected) {
        let names: Vec<TaskId> = without
            .iter()
            .map(|&index| self.node(index).id.clone())
            .collect();
        self.orders.push(Order::Rebuild { without: names });
        self.phase = RunPhase::Rebuilding { without, ejected };
    }

    /// The culprit and the landed tasks that are built on it, however indirectly.
    fn built_on(&self, culprit: u32) -> Vec<u32> {
        let mut out = vec![culprit];
        let first = self.landing_number(culprit);
        for (index, _) in &self.landings {
            let node = self.node(*index);
            let on_all_of_it = node.onto_landings > first;
            if *index != culprit
                && (on_all_of_it || node.onto.iter().any(|other| out.contains(other)))
            {
                out.push(*index);
            }
        }
        out
    }

    /// The integration branch stands anew.
    pub(super) fn rebuilt(&mut self, landings: &[Landing], clashed: &[TaskId]) {
        // A run that ended meanwhile stays ended; whoever takes it up looks for the culprit again.
        let RunPhase::Rebuilding { without, ejected } = self.phase.clone() else {
            return;
        };
        self.phase = RunPhase::Working;
        // What was lost was not taken out.
        self.take_outs += u32::from(
            without
                .iter()
                .any(|&index| self.node(index).landed().is_some()),
        );
        for index in without {
            self.eject(index, ejected.clone());
        }
        for task in clashed {
            if let Ok(index) = self.index(task) {
                self.eject(
                    index,
                    Ejected {
                        gate: None,
                        log: None,
                    },
                );
            }
        }
        // The numbers change, so from here on what a task was built on is told by names alone.
        let before: Vec<u32> = std::mem::take(&mut self.landings)
            .into_iter()
            .map(|(index, _)| index)
            .collect();
        self.landing_of_commit.clear();
        for (landing, number) in landings.iter().zip(0..) {
            let Ok(index) = self.index(&landing.task) else {
                continue;
            };
            self.landings.push((index, landing.tip.clone()));
            self.landing_of_commit
                .insert(landing.tip.commit.clone(), number);
            let node = self.node_mut(index);
            let seen = std::mem::take(&mut node.onto_landings) as usize;
            let unnamed = before
                .iter()
                .take(seen)
                .filter(|other| !node.onto.contains(other));
            let unnamed: Vec<u32> = unnamed.copied().collect();
            node.onto.extend(unnamed);
            if let NodeState::Completed {
                landed: Some(landed),
            } = &mut node.state
            {
                landed.number = number;
                landed.tip = landing.tip.clone();
            }
        }
    }

    fn eject(&mut self, index: u32, why: Ejected) {
        if let NodeState::Completed {
            landed: Some(landed),
        } = &mut self.node_mut(index).state
        {
            landed.ejected = Some(why);
        }
    }

    fn conclude(&mut self) {
        let verdict = self.verdict_of_tasks();
        self.conclude_with(verdict);
    }

    /// Ends the run; what the tasks say comes first where it weighs more.
    pub(super) fn conclude_with(&mut self, verdict: RunVerdict) {
        let verdict = match verdict {
            RunVerdict::NeedsMoreBudget => match self.worst_class() {
                Some(heavier @ (RunVerdict::FailedInfra | RunVerdict::BlockedOnExternal)) => {
                    heavier
                }
                _ => RunVerdict::NeedsMoreBudget,
            },
            RunVerdict::Cancelled
            | RunVerdict::FailedInfra
            | RunVerdict::BlockedOnExternal
            | RunVerdict::BlockedOnHuman
            | RunVerdict::NotReady
            | RunVerdict::Neutral
            | RunVerdict::Ready => verdict,
        };
        self.phase = RunPhase::Concluded(verdict);
        self.orders.push(Order::Conclude { verdict });
        if let Some(deadline) = self.deadline.take() {
            self.alarms.remove(&(deadline, Alarm::Deadline));
        }
    }

    /// The result's branch is not at the result, or is there at last. Until it is, nobody finds the
    /// result where it belongs, so the run is not ready.
    pub(super) fn placed(&mut self, trouble: Option<&Failure>) {
        let Some(now) = self.phase.verdict() else {
            return;
        };
        let verdict = match (trouble, self.unplaced) {
            (Some(_), before) => {
                self.unplaced = Some(before.unwrap_or(now));
                std::cmp::min_by_key(now, RunVerdict::NotReady, |verdict| weight(*verdict))
            }
            (None, Some(before)) => {
                self.unplaced = None;
                before
            }
            (None, None) => now,
        };
        if verdict != now {
            self.phase = RunPhase::Concluded(verdict);
            self.orders.push(Order::Conclude { verdict });
        }
    }

    /// What the failed tasks amount to.
    fn worst_class(&self) -> Option<RunVerdict> {
        let failed = self
            .nodes
            .iter()
            .filter(|node| matches!(node.state, NodeState::Failed));
        failed
            .filter_map(|node| node.failure.as_ref())
            .map(|failure| verdict_of(failure.class))
            .min_by_key(|v| weight(*v))
    }

    fn verdict_of_tasks(&self) -> RunVerdict {
        if let Some(verdict) = self.worst_class() {
            return verdict;
        }
        let unsound = |state: &NodeState| match state {
            NodeState::Cancelled { reason } => match reason {
                CancelReason::Dependency(_) | CancelReason::Person | CancelReason::FailFast(_) => {
                    true
                }
            },
            NodeState::Completed { landed } => landed
                .as_ref()
                .is_some_and(|landed| landed.ejected.is_some()),
            NodeState::Waiting
            | NodeState::Ready
            | NodeState::Blocked { .. }
            | NodeState::Paused
            | NodeState::Backoff { .. }
            | NodeState::Claimed { .. }
            | NodeState::Working { .. }
            | NodeState::Landing { .. }
            | NodeState::Failed => true,
        };
        if self.nodes.iter().any(|node| unsound(&node.state)) {
            return RunVerdict::NotReady;
        }
        if self.landings.is_empty() || self.required_gates.is_empty() {
            return RunVerdict::Neutral;
        }
        if self.result_passed {
            RunVerdict::Ready
        } else {
            RunVerdict::NotReady
        }
    }
}

/// Whether a failure of that class has a cause outside: a key, credit, a setup, a provider.
pub(super) fn is_external(class: Class) -> bool {
    verdict_of(class) == RunVerdict::BlockedOnExternal
}

fn verdict_of(class: Class) -> RunVerdict {
    match class {
        Class::Host | Class::Lost => RunVerdict::FailedInfra,
        Class::Auth | Class::Config | Class::Quota | Class::RateLimit | Class::Provider => {
            RunVerdict::BlockedOnExternal
        }
        Class::Gate
        | Class::Command
        | Class::Scope
        | Class::Refused
        | Class::Context
        | Class::Conflict
        | Class::Timeout
        | Class::Hung
        | Class::NoChange
        | Class::Steps => RunVerdict::NotReady,
    }
}

/// What a run ends with if its result could not be judged or built: this machine has to be set up
/// first, or it failed.
pub(super) fn verdict_of_trouble(class: Class) -> RunVerdict {
    match verdict_of(class) {
        RunVerdict::BlockedOnExternal => RunVerdict::BlockedOnExternal,
        _ => RunVerdict::FailedInfra,
    }
}

/// The order in which verdicts hold: the first that does is the run's.
fn weight(verdict: RunVerdict) -> u8 {
    match verdict {
        RunVerdict::Cancelled => 0,
        RunVerdict::FailedInfra => 1,
        RunVerdict::BlockedOnExternal => 2,
        RunVerdict::BlockedOnHuman => 3,
        RunVerdict::NeedsMoreBudget => 4,
        RunVerdict::NotReady => 5,
        RunVerdict::Neutral => 6,
        RunVerdict::Ready => 7,
    }
}
