//! What a run does again once the cause that blocked it is gone: a key, credit, a setup, a
//! provider.
//!
//! It refuses to touch what completed, what failed for another reason, and what a person cancelled.
//! Failures stay counted: a blocked task gets one more execution for each time that it is taken up,
//! and the retries that its policy has left.

use super::build::narrow;
use super::conclude::is_external;
use super::state::{CancelReason, NodeState};
use super::{Alarm, RunState, TaskState};
use crate::fact::RunVerdict;

impl RunState {
    /// Whether it has ended for a cause outside, and can go on if that is gone.
    pub(super) fn is_blocked(&self) -> bool {
        self.phase.verdict() == Some(RunVerdict::BlockedOnExternal) && self.can_be_unblocked()
    }

    /// Whether something has failed for a cause outside, and would be tried again if that is gone.
    fn can_be_unblocked(&self) -> bool {
        (0..self.node_count()).any(|index| self.is_blocked_outside(index))
            && !self.failed_fast_otherwise()
    }

    fn is_blocked_outside(&self, index: u32) -> bool {
        let node = self.node(index);
        matches!(node.state, NodeState::Failed)
            && node
                .failure
                .as_ref()
                .is_some_and(|failure| is_external(failure.class))
    }

    /// Whether the run was to end at the first failure, and one of them is no matter of a cause
    /// outside.
    fn failed_fast_otherwise(&self) -> bool {
        let failed = |index: &u32| matches!(self.node(*index).state, NodeState::Failed);
        let mut failed = (0..self.node_count()).filter(failed);
        self.began.fail_fast && failed.any(|index| !self.is_blocked_outside(index))
    }

    /// Puts back what failed for a cause outside, and what was cancelled for that.
    pub(super) fn unblock(&mut self) {
        if !self.can_be_unblocked() {
            return;
        }
        let back = self.all_to_put_back();
        self.failing_fast = false;
        for (index, _) in back.iter().enumerate().filter(|(_, back)| **back) {
            self.unfinished += 1;
            let node = &mut self.nodes[index];
            node.state = NodeState::Waiting;
            node.completed_at = None;
            // What prompts need is looked at again: it may be what was missing.
            self.preflight |= node.is_agent && self.began.preflight;
        }
        for index in 0..self.node_count() {
            self.wait_again(index);
        }
    }

    /// Each failed task with a cause outside, and each cancelled one that no person cancelled,
    /// unless it would be cancelled again at once for a dependency that stays failed or
    /// cancelled, or needs one that was taken out of the result.
    fn all_to_put_back(&self) -> Vec<bool> {
        let cancelled = |index: u32| match &self.node(index).state {
            NodeState::Cancelled { reason } => match reason {
                CancelReason::Dependency(_) | CancelReason::FailFast(_) => true,
                CancelReason::Person => false,
            },
            NodeState::Waiting
            | NodeState::Ready
            | NodeState::Blocked { .. }
            | NodeState::Paused
            | NodeState::Backoff { .. }
            | NodeState::Claimed { .. }
            | NodeState::Working { .. }
            | NodeState::Landing { .. }
            | NodeState::Completed { .. }
            | NodeState::Failed => false,
        };
        let mut back: Vec<bool> = (0..self.node_count())
            .map(|index| self.is_blocked_outside(index) || cancelled(index))
            .collect();
        let is_lost = |index: u32| {
            let node = self.node(index);
            node.is_ejected()
                || matches!(
                    node.state.public(),
                    TaskState::Failed | TaskState::Cancelled
                )
        };
        let mut stay: Vec<u32> = (0..self.node_count())
            .filter(|&index| is_lost(index) && !back[index as usize])
            .collect();
        while let Some(index) = stay.pop() {
            for &dependent in self.graph.dependents(index as usize) {
                let node = &self.nodes[dependent];
                if back[dependent] && !node.runs_after_failure {
                    back[dependent] = false;
                    stay.push(narrow(dependent));
                }
            }
        }
        back
    }

    /// A pending task with a dependency that is not final any more waits for it; one without
    /// starts.
    pub(super) fn wait_again(&mut self, index: u32) {
        let node = self.node(index);
        let waited = matches!(node.state, NodeState::Waiting);
        if node.state.public() != TaskState::Pending
            || !waited && self.open_dependencies(index) == 0
        {
            return;
        }
        // It was to run after a failure, which is none any more.
        let rank = node.rank;
        if let NodeState::Backoff { until } = node.state {
            self.alarms.remove(&(until, Alarm::Task(index)));
        }
        self.ready.remove(&(rank, index));
        self.unreserve(index);
        self.make_ready(index);
    }

    /// How many of a task's dependencies are not final.
    pub(super) fn open_dependencies(&self, index: u32) -> u32 {
        let is_open = |dependency: &&usize| !self.nodes[**dependency].state.public().is_final();
        narrow(
            self.graph
                .dependencies(index as usize)
                .iter()
                .filter(is_open)
                .count(),
        )
    }
}
