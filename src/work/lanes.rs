//! Gates side by side: which gate starts when and in which lane, and what ends the others.
//!
//! The first lane is the slot of the work; each further one is a slot of its own, so that every
//! gate finds a clean checkout whatever another one does at the same time. It refuses to let two
//! gates share a slot, to use more lanes than there are free workers, and to call a gate that was
//! ended a pass.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::attempt::Interruption;
use crate::fact::{GateOutcome, GateVerdict, ProofOrigin};
use crate::gate::judge::skipped;
use crate::id::{GateId, Sha256};
use crate::plan::Gate;

/// What becomes of a task's other gates once a required one has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AfterFailure {
    /// They are ended, or not started.
    #[default]
    End,
    /// They run to their ends.
    GoOn,
}

impl AfterFailure {
    /// What `--keep-going` asks for, if it is given.
    #[must_use]
    pub fn of(keep_going: bool) -> Self {
        if keep_going { Self::GoOn } else { Self::End }
    }
}

/// How gates are run, beyond what the plan says of each.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    /// How many attempts and gates of tasks run at once.
    pub workers: u32,
    /// What the first failure ends.
    pub after_failure: AfterFailure,
    /// How long gates took in earlier runs, in milliseconds.
    pub durations: HashMap<GateId, u64>,
    /// The proofs of clean passes, by the key of what each depends on; `None` = no verdict is
    /// reused from here, nor later.
    pub reusable: Option<HashMap<Sha256, ProofOrigin>>,
}

/// The workers of a run. A task has one while it is under way; its gates have more as far as they
/// are free.
#[derive(Debug)]
pub(super) struct Workers {
    tasks: Arc<Semaphore>,
    /// Gates on the result and on the base need no worker, and are as many at once.
    others: Arc<Semaphore>,
}

/// A worker that is taken.
pub(super) type Worker = OwnedSemaphorePermit;

/// Whose free workers further lanes take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    /// A task's change.
    Task,
    /// The result, a part of it, or the base.
    Result,
}

impl Workers {
    pub(super) fn new(workers: u32) -> Self {
        let permits = |count: u32| {
            Arc::new(Semaphore::new(
                usize::try_from(count).unwrap_or(Semaphore::MAX_PERMITS),
            ))
        };
        Self {
            tasks: permits(workers.max(1)),
            others: permits(workers.max(1) - 1),
        }
    }

    /// A worker for an attempt, which waits while gates of other tasks have them all. `None` once
    /// it is stopped.
    pub(super) async fn take(&self, stop: &CancellationToken) -> Option<Worker> {
        tokio::select! {
            worker = Arc::clone(&self.tasks).acquire_owned() => worker.ok(),
            () = stop.cancelled() => None,
        }
    }

    fn free(&self, on: On) -> Option<Worker> {
        let workers = match on {
            On::Task => &self.tasks,
            On::Result => &self.others,
        };
        Arc::clone(workers).try_acquire_owned().ok()
    }
}

/// How long gates take, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Durations(Mutex<HashMap<GateId, u64>>);

impl Durations {
    pub(super) fn known(durations: HashMap<GateId, u64>) -> Self {
        Self(Mutex::new(durations))
    }

    /// Remembers the shortest time of a gate that ran to its end.
    fn note(&self, outcome: &GateOutcome) {
        match outcome.verdict {
            GateVerdict::Passed | GateVerdict::Failed | GateVerdict::Flaky => {}
            GateVerdict::TimedOut | GateVerdict::Skipped | GateVerdict::Reused => return,
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let shortest = known
            .entry(outcome.gate.clone())
            .or_insert(outcome.duration_ms);
        *shortest = outcome.duration_ms.min(*shortest);
    }

    /// The numbers of these gates, the cheap ones first; those of which nothing is known come last,
    /// in the plan's order.
    fn cheap_first(&self, gates: &[&Gate]) -> VecDeque<usize> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut order: Vec<usize> = (0..gates.len()).collect();
        order.sort_by_key(|index| known.get(&gates[*index].id).copied().unwrap_or(u64::MAX));
        order.into()
    }
}

/// Where a gate runs.
#[derive(Debug)]
pub(super) enum Lane {
    /// In the slot of the work.
    Own,
    /// In a slot of its own, which takes a worker.
    Beside(Worker),
}

/// What came of a gate in its lane.
pub(super) enum LaneResult {
    /// It has an outcome.
    To(Box<GateOutcome>),
    /// There was no slot for it. It waits for that of the work.
    NoSlot,
}

impl LaneResult {
    pub(super) fn to(outcome: GateOutcome) -> Self {
        Self::To(Box::new(outcome))
    }
}

/// A round of gates.
pub(super) struct Round<'a> {
    pub(super) gates: &'a [&'a Gate],
    pub(super) workers: &'a Workers,
    pub(super) durations: &'a Durations,
    pub(super) on: On,
    pub(super) after_failure: AfterFailure,
    /// Whether gates take turns in the slot of the work: it has what they share.
    pub(super) turns: bool,
    pub(super) stop: &'a CancellationToken,
}

impl<'a> Round<'a> {
    /// Runs the gates, each by `run`, which ends it once its token is cancelled. The outcomes come
    /// in the order of the gates.
    ///
    /// # Errors
    /// The first trouble, once nothing is under way any more; one that leaves a process behind goes
    /// before others.
    pub(super) async fn run(
        &self,
        run: &(
             dyn Fn(
            &'a Gate,
            Lane,
            CancellationToken,
        ) -> BoxFuture<'a, Result<LaneResult, Interruption>>
                 + Sync
         ),
    ) -> Result<Vec<GateOutcome>, Interruption> {
        let end = self.stop.child_token();
        let mut waiting = self.durations.cheap_first(self.gates);
        let mut outcomes: Vec<Option<GateOutcome>> = vec![None; self.gates.len()];
        let mut under_way = FuturesUnordered::new();
        let (mut own_is_free, mut alone, mut turns) = (true, false, self.turns);
        let (mut failed, mut trouble) = (None, None);
        loop {
            while let Some(&next) = waiting.front().filter(|_| !end.is_cancelled()) {
                let gate = self.gates[next];
                if alone || (gate.exclusive && !under_way.is_empty()) {
                    break;
                }
                let beside = || {
                    self.workers
                        .free(self.on)
                        .filter(|_| !turns)
                        .map(Lane::Beside)
                };
                let Some(lane) = own_is_free.then_some(Lane::Own).or_else(beside) else {
                    break;
                };
                waiting.pop_front();
                alone = gate.exclusive;
                let is_own = matches!(lane, Lane::Own);
                own_is_free &= !is_own;
                let running = run(gate, lane, end.clone());
                under_way.push(async move { (next, is_own, running.await) });
            }
            let Some((index, was_own, ran)) = under_way.next().await else {
                break;
            };
            own_is_free |= was_own;
            alone = false;
            match ran {
                Ok(LaneResult::To(outcome)) => {
                    self.durations.note(&outcome);
                    let stops = outcome.required
                        && !outcome.counts_as_passed
                        && self.after_failure == AfterFailure::End;
                    if stops && outcome.verdict != GateVerdict::Skipped && failed.is_none() {
                        failed = Some(outcome.gate.clone());
                        end.cancel();
                    }
                    outcomes[index] = Some(*outcome);
                }
                Ok(LaneResult::NoSlot) => {
                    turns = true;
                    waiting.push_front(index);
                }
                // Told as one that did not run: the failure says why.
                Err(Interruption::Interrupted) if failed.is_some() => {}
                Err(new) => {
                    end.cancel();
                    trouble = Some(
                        trouble
                            .filter(|old: &Interruption| old.goes_before(&new))
                            .unwrap_or(new),
                    );
                }
            }
        }
        match trouble {
            Some(trouble) => Err(trouble),
            None => Ok(self
                .gates
                .iter()
                .zip(outcomes)
                .map(|(gate, found)| self.told(gate, found, failed.as_ref()))
                .collect()),
        }
    }

    /// The outcome, with the reason of one that did not come to its end.
    fn told(
        &self,
        gate: &Gate,
        outcome: Option<GateOutcome>,
        failed: Option<&GateId>,
    ) -> GateOutcome {
        let ended_by = failed.filter(|_| !self.stop.is_cancelled());
        match (outcome, ended_by) {
            (Some(outcome), Some(failed)) if outcome.verdict == GateVerdict::Skipped => {
                let note = match outcome.attempts {
                    0 => format!("did not run: required gate `{failed}` failed"),
                    _ => format!("ended: required gate `{failed}` failed"),
                };
                GateOutcome { note, ..outcome }
            }
            (Some(outcome), _) => outcome,
            (None, Some(failed)) => skipped(
                gate,
                &format!("did not run: required gate `{failed}` failed"),
            ),
            (None, None) => skipped(gate, "the attempt was stopped"),
        }
    }
}
