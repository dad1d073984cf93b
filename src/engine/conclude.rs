//! How a run ends: landing in turn, judging the result, taking out culprits, and the verdict.

mod hunt;
mod weight;

use super::state::{Ejected, NodeState};
use super::{Alarm, RunState};
use crate::fact::{Failure, Landing, Order, RunVerdict};
use crate::id::TaskId;
use weight::weight;

pub(super) use hunt::Hunt;
pub(super) use weight::{is_external, verdict_of_trouble};

/// Where the run as a whole is.
#[derive(Debug, Clone)]
pub(super) enum RunPhase {
    Working,
    Judging(Hunt),
    Rebuilding { without: Vec<u32>, ejected: Ejected },
    Concluded(RunVerdict),
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
}
