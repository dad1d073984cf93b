//! What each fact does to the run. One total `match`; what cannot have happened is refused before
//! anything changes.

use super::conclude::{RunPhase, verdict_of_trouble};
use super::state::NodeState;
use super::{Illegal, RunState};
use crate::fact::{Fact, Outcome, RunVerdict};
use crate::id::TaskId;

/// A fact's name, as the journal has it.
pub(super) fn name_of(fact: &Fact) -> &'static str {
    match fact {
        Fact::Began(_) => "began",
        Fact::TookUp { .. } => "took-up",
        Fact::Prepared { .. } => "prepared",
        Fact::Renewed { .. } => "renewed",
        Fact::Asked { .. } => "asked",
        Fact::Answered { .. } => "answered",
        Fact::Worked { .. } => "worked",
        Fact::Landed { .. } => "landed",
        Fact::Clashed { .. } => "clashed",
        Fact::Woke => "woke",
        Fact::Judged { .. } => "judged",
        Fact::Preflighted { .. } => "preflighted",
        Fact::Rebuilt { .. } => "rebuilt",
        Fact::Placed { .. } => "placed",
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
        | Fact::Asked { task, attempt, .. }
        | Fact::Answered { task, attempt, .. }
        | Fact::Worked { task, attempt, .. }
        | Fact::Landed { task, attempt, .. }
        | Fact::Clashed { task, attempt, .. } => Some((task, *attempt)),
        Fact::Began(_)
        | Fact::TookUp { .. }
        | Fact::Woke
        | Fact::Judged { .. }
        | Fact::Preflighted { .. }
        | Fact::Rebuilt { .. }
        | Fact::Placed { .. }
        | Fact::Limited { .. }
        | Fact::Stopped { .. }
        | Fact::Cancelled { .. } => None,
    }
}

/// Refuses what cannot have happened; the task that the fact is about, where it is about one.
pub(super) fn check(run: &RunState, fact: &Fact) -> Result<Option<u32>, Illegal> {
    if let Some((task, attempt)) = attempt_of(fact) {
        let index = run.index(task)?;
        let node = run.node(index);
        if attempt > node.attempt {
            return Err(Illegal::FutureAttempt {
                task: task.clone(),
                attempt,
                known: node.attempt,
            });
        }
        let possible = attempt < node.attempt || is_late(&node.state) || fits(fact, &node.state);
        if !possible {
            let state = node.state.public().as_str();
            return Err(Illegal::WrongState {
                fact: name_of(fact),
                task: task.clone(),
                state,
            });
        }
        return Ok(Some(index));
    }
    let wrong_phase = |phase: &'static str| {
        Err(Illegal::WrongPhase {
            fact: name_of(fact),
            phase,
        })
    };
    match (fact, &run.phase) {
        (Fact::Cancelled { tasks }, _) => tasks
            .iter()
            .try_for_each(|task| run.index(task).map(drop))
            .map(|()| None),
        (Fact::Judged { .. }, RunPhase::Working | RunPhase::Rebuilding { .. }) => {
            wrong_phase(run.phase.as_str())
        }
        (Fact::Rebuilt { .. }, RunPhase::Working | RunPhase::Judging(_)) => {
            wrong_phase(run.phase.as_str())
        }
        (Fact::TookUp { lost, .. }, _) if lost.iter().any(|task| run.index(task).is_err()) => lost
            .iter()
            .try_for_each(|task| run.index(task).map(drop))
            .map(|()| None),
        (
            Fact::Placed { .. },
            RunPhase::Working | RunPhase::Judging(_) | RunPhase::Rebuilding { .. },
        ) => wrong_phase(run.phase.as_str()),
        (Fact::TookUp { unblocked, .. }, RunPhase::Concluded(_))
            if !(run.stopped_early || *unblocked && run.is_blocked()) =>
        {
            wrong_phase(run.phase.as_str())
        }
        _ => Ok(None),
    }
}

/// Whether the fact is what a task in that state can bring.
fn fits(fact: &Fact, state: &NodeState) -> bool {
    match fact {
        Fact::Prepared { .. } => matches!(state, NodeState::Claimed { .. }),
        Fact::Renewed { .. } => state.lease().is_some(),
        Fact::Worked { outcome, .. } => match outcome {
            Outcome::Changed(_) | Outcome::Unchanged => matches!(state, NodeState::Working { .. }),
            Outcome::Failed(_) | Outcome::Interrupted => state.lease().is_some(),
        },
        Fact::Landed { .. } | Fact::Clashed { .. } => matches!(state, NodeState::Landing { .. }),
        // Money is spent whatever became of the task meanwhile.
        Fact::Asked { .. } | Fact::Answered { .. } => true,
        Fact::Began(_)
        | Fact::TookUp { .. }
        | Fact::Woke
        | Fact::Judged { .. }
        | Fact::Preflighted { .. }
        | Fact::Rebuilt { .. }
        | Fact::Placed { .. }
        | Fact::Limited { .. }
        | Fact::Stopped { .. }
        | Fact::Cancelled { .. } => true,
    }
}

/// Whether nobody holds the task any more, so that an answer comes from a revoked attempt.
fn is_late(state: &NodeState) -> bool {
    state.lease().is_none() && !matches!(state, NodeState::Landing { .. })
}

/// Lets the fact happen. It has been checked, and found to be about that task.
pub(super) fn apply(run: &mut RunState, fact: &Fact, about: Option<u32>) {
    if let (Some(index), Some((_, attempt))) = (about, attempt_of(fact)) {
        let node = run.node(index);
        if attempt == node.attempt && fits(fact, &node.state) && run.phase.verdict().is_none() {
            run.attempt_fact(index, fact);
        }
        return;
    }
    match fact {
        Fact::TookUp {
            workers,
            spending,
            unblocked,
            lost,
            ..
        } => {
            run.took_up(*workers, *spending, *unblocked);
            run.lose(lost);
        }
        Fact::Woke => run.woke(),
        Fact::Judged {
            trouble: Some(why), ..
        } => run.stop_early(verdict_of_trouble(why.class)),
        Fact::Judged { prefix, gates, .. } => run.judged(*prefix, gates),
        Fact::Preflighted { gates, trouble } => run.preflighted(gates, trouble.as_ref()),
        Fact::Rebuilt {
            trouble: Some(why), ..
        } => run.stop_early(verdict_of_trouble(why.class)),
        Fact::Rebuilt {
            landings, clashed, ..
        } => run.rebuilt(landings, clashed),
        Fact::Placed { trouble } => run.placed(trouble.as_ref()),
        Fact::Limited { .. } => run.stop_early(RunVerdict::NeedsMoreBudget),
        Fact::Stopped { .. } => run.stop_early(RunVerdict::Cancelled),
        Fact::Cancelled { tasks } => run.cancelled_by_person(tasks),
        Fact::Began(_)
        | Fact::Prepared { .. }
        | Fact::Renewed { .. }
        | Fact::Asked { .. }
        | Fact::Answered { .. }
        | Fact::Worked { .. }
        | Fact::Landed { .. }
        | Fact::Clashed { .. } => {}
    }
}

impl RunState {
    pub(super) fn index(&self, task: &TaskId) -> Result<u32, Illegal> {
        self.by_id
            .get(task)
            .copied()
            .ok_or_else(|| Illegal::UnknownTask { task: task.clone() })
    }

    pub(super) fn node_count(&self) -> u32 {
        u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)
    }

    fn attempt_fact(&mut self, index: u32, fact: &Fact) {
        match fact {
            Fact::Prepared { base, .. } => self.prepared(index, base),
            Fact::Renewed { .. } => self.renew(index),
            Fact::Worked {
                outcome, evidence, ..
            } => self.worked(index, outcome, evidence),
            Fact::Landed { tip, .. } => self.landed(index, tip),
            Fact::Clashed {
                trouble: Some(trouble),
                ..
            } => {
                self.landing = None;
                self.release(index);
                self.fail(index, trouble.clone());
            }
            Fact::Clashed { paths, .. } => self.clashed(index, paths),
            Fact::Asked { .. }
            | Fact::Answered { .. }
            | Fact::Began(_)
            | Fact::TookUp { .. }
            | Fact::Woke
            | Fact::Judged { .. }
            | Fact::Preflighted { .. }
            | Fact::Rebuilt { .. }
            | Fact::Placed { .. }
            | Fact::Limited { .. }
            | Fact::Stopped { .. }
            | Fact::Cancelled { .. } => {}
        }
    }
}
