//! What one attempt is to do, taken from the engine when it is ordered.

use crate::engine::Engine;
use crate::fact::{Failure, GateOutcome, Order, Session};
use crate::id::{CommitId, RepoPath, TaskId, Tip};
use crate::plan::Task;

/// One attempt's orders.
#[derive(Debug, Clone)]
pub(super) struct Assignment {
    pub(super) task: Task,
    pub(super) attempt: u32,
    pub(super) retry_count: u32,
    pub(super) session: Session,
    /// The results that its base holds, oldest landing first.
    pub(super) onto: Vec<Foundation>,
    /// The integration tip when it was ordered; its base where the results do not fit together.
    pub(super) tip: Tip,
    /// Why the last attempt failed.
    pub(super) last_failure: Option<Failure>,
    /// The gates that held its change, where that was the failure.
    pub(super) failed_gates: Vec<GateOutcome>,
}

/// A landed task that the base holds.
#[derive(Debug, Clone)]
pub(super) struct Foundation {
    pub(super) id: TaskId,
    pub(super) commit: CommitId,
    pub(super) paths: Vec<RepoPath>,
}

impl Assignment {
    /// The errand that an [`Order::Start`] means; `None` for other orders.
    pub(super) fn of(order: &Order, engine: &Engine) -> Option<Self> {
        let Order::Start {
            task,
            attempt,
            retry_count,
            session,
            onto,
            ..
        } = order
        else {
            return None;
        };
        let status = engine.task(task)?;
        let onto = onto.iter().filter_map(|other| {
            let change = engine.task(other)?.change?;
            Some(Foundation {
                id: other.clone(),
                commit: change.tip.commit.clone(),
                paths: change.paths.clone(),
            })
        });
        Some(Self {
            task: engine.plan().task(task)?.clone(),
            attempt: *attempt,
            retry_count: *retry_count,
            session: *session,
            onto: onto.collect(),
            tip: engine.tip()?.clone(),
            last_failure: status.failure.cloned(),
            failed_gates: status.failed_gates.to_vec(),
        })
    }
}
