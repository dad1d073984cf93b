//! Verdicts by their weight: the worst of a run's tasks is the run's.

use crate::engine::RunState;
use crate::engine::state::{CancelReason, NodeState};
use crate::fact::{Class, RunVerdict};

impl RunState {
    /// What the failed tasks amount to.
    pub(super) fn worst_class(&self) -> Option<RunVerdict> {
        let failed = self
            .nodes
            .iter()
            .filter(|node| matches!(node.state, NodeState::Failed));
        failed
            .filter_map(|node| node.failure.as_ref())
            .map(|failure| verdict_of(failure.class))
            .min_by_key(|v| weight(*v))
    }

    pub(super) fn verdict_of_tasks(&self) -> RunVerdict {
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
pub(in crate::engine) fn is_external(class: Class) -> bool {
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
pub(in crate::engine) fn verdict_of_trouble(class: Class) -> RunVerdict {
    match verdict_of(class) {
        RunVerdict::BlockedOnExternal => RunVerdict::BlockedOnExternal,
        _ => RunVerdict::FailedInfra,
    }
}

/// The order in which verdicts hold: the first that does is the run's.
pub(super) fn weight(verdict: RunVerdict) -> u8 {
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
