//! Facts, one after the other, folded into a history.

use super::spent::{Cost, Spent};
use super::{History, TaskHistory};
use crate::fact::{Containment, Evidence, Fact, Limit, Order, Outcome, RunVerdict, confined};
use crate::id::{Moment, TaskId};

impl History {
    /// Remembers a fact, and what the engine ordered because of it.
    pub fn take(&mut self, at: Moment, fact: &Fact, orders: &[Order]) {
        match fact {
            Fact::Began(began) => self.host = Some(began.host.clone()),
            Fact::TookUp {
                host,
                workers,
                spending,
                unblocked: _,
                lost,
            } => {
                self.warnings.extend(lost.iter().map(|task| {
                    format!("the change of `{task}` was gone from git's objects, or torn, so it was made again")
                }));
                self.host = Some(host.clone());
                self.workers = workers.or(self.workers);
                self.spending = spending.or(self.spending);
                (self.ended, self.limited, self.unplaced) = (None, None, None);
            }
            Fact::Prepared { task, base, .. } => self.task_mut(task).base = Some(base.clone()),
            &Fact::Asked {
                ref task,
                attempt,
                request,
                tokens,
                cost_micro_usd,
            } => {
                self.task_mut(task).asked(
                    attempt,
                    request,
                    Cost {
                        tokens,
                        cost_micro_usd,
                        estimated: true,
                    },
                );
            }
            &Fact::Answered {
                ref task,
                attempt,
                request,
                tokens,
                estimated,
                cost_micro_usd,
            } => {
                self.task_mut(task).asked(
                    attempt,
                    request,
                    Cost {
                        tokens,
                        cost_micro_usd,
                        estimated,
                    },
                );
            }
            Fact::Worked {
                task,
                attempt,
                outcome,
                evidence,
            } => {
                if matches!(outcome, Outcome::Changed(_) | Outcome::Unchanged) {
                    self.warn_of_walls(task, evidence);
                }
                if let Some(why) = evidence
                    .agent
                    .as_ref()
                    .and_then(|agent| agent.unrecorded.as_ref())
                {
                    let what = format!(
                        "attempt {attempt} of `{task}`: {why}; `omk replay --agents` cannot repeat it"
                    );
                    self.warnings.push(what);
                }
                self.worked(task, *attempt, evidence);
            }
            Fact::Judged {
                trouble: Some(trouble),
                ..
            } => {
                self.warnings.push(format!(
                    "the result could not be judged: {}",
                    trouble.in_full()
                ));
            }
            Fact::Rebuilt {
                trouble: Some(trouble),
                ..
            } => {
                self.warnings.push(format!(
                    "the result could not be built anew: {}",
                    trouble.in_full()
                ));
            }
            Fact::Judged { tip, gates, .. } => {
                self.saw_rooms(confined(gates));
                self.judged = Some((tip.clone(), gates.clone()));
            }
            Fact::Preflighted { gates, .. } => self.saw_rooms(confined(gates)),
            Fact::Placed { trouble } => self.unplaced.clone_from(trouble),
            Fact::Limited { limit } => self.limited = Some(*limit),
            Fact::Woke
            | Fact::Renewed { .. }
            | Fact::Landed { .. }
            | Fact::Clashed { .. }
            | Fact::Rebuilt { trouble: None, .. }
            | Fact::Stopped { .. }
            | Fact::Cancelled { .. } => {}
        }
        for order in orders {
            if let Order::Conclude { verdict } = order {
                self.ended = Some(at);
                if *verdict == RunVerdict::NeedsMoreBudget {
                    self.limited.get_or_insert(Limit::Time);
                }
            }
        }
    }

    fn task_mut(&mut self, task: &TaskId) -> &mut TaskHistory {
        self.tasks.entry(task.clone()).or_default()
    }

    /// A child that could not write something and went on may have done less than it says.
    fn warn_of_walls(&mut self, task: &TaskId, evidence: &Evidence) {
        let command = evidence
            .kept_from_writing()
            .map(|kept| format!("the command of `{task}` went on although {kept}"));
        let gates = evidence
            .gates
            .iter()
            .filter(|gate| gate.counts_as_passed)
            .filter_map(|gate| {
                Some(format!(
                    "gate `{}` on `{task}` passed although {}",
                    gate.gate,
                    gate.kept_from_writing()?
                ))
            });
        self.warnings.extend(command.into_iter().chain(gates));
    }

    fn saw_rooms(&mut self, rooms: impl IntoIterator<Item = Containment>) {
        self.containment = self
            .containment
            .take()
            .into_iter()
            .chain(rooms)
            .reduce(Containment::weakest);
    }

    fn worked(&mut self, task: &TaskId, attempt: u32, evidence: &Evidence) {
        self.saw_rooms(evidence.room());
        let task = self.task_mut(task);
        task.worked_ms += evidence.duration_ms;
        if let Some(agent) = &evidence.agent {
            task.spent
                .insert(attempt, Spent::Settled(Box::new(agent.clone())));
        }
        // A revoked attempt may answer after the one that took its place. What it used counts, and
        // nothing else.
        if attempt < task.attempt {
            return;
        }
        task.attempt = attempt;
        if !evidence.gates.is_empty() {
            task.gates.clone_from(&evidence.gates);
        }
        task.last = Some(evidence.clone());
    }
}
