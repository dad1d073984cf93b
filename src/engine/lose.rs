//! What a run does again because git's objects are gone or torn: changes that the journal names,
//! and that nobody can read.
//!
//! It refuses to count that as a failure of the task: it had done its work.

use super::RunState;
use super::conclude::RunPhase;
use super::state::{Ejected, NodeState};
use crate::fact::Order;
use crate::id::TaskId;

impl RunState {
    /// Puts back tasks whose changes are lost, and those whose changes are built on them. What
    /// landed beside them is landed anew, unless it landed before.
    pub(super) fn lose(&mut self, lost: &[TaskId]) {
        for index in self.all_lost(lost) {
            self.put_back(index);
        }
        for index in 0..self.node_count() {
            self.wait_again(index);
        }
        self.leave_off();
    }

    fn all_lost(&self, lost: &[TaskId]) -> Vec<u32> {
        let named = lost.iter().filter_map(|task| self.index(task).ok());
        let mut out: Vec<u32> = named.filter(|&index| self.has_change(index)).collect();
        let mut known = 0;
        while known < out.len() {
            let (index, first) = (out[known], self.landing_number(out[known]));
            known += 1;
            for other in 0..self.node_count() {
                let node = self.node(other);
                let is_on_it = node.onto.contains(&index) || node.onto_landings > first;
                if is_on_it && self.has_change(other) && !out.contains(&other) {
                    out.push(other);
                }
            }
        }
        out
    }

    /// Whether it has a change that waits to land, or that is on the result.
    fn has_change(&self, index: u32) -> bool {
        let node = self.node(index);
        let waits = matches!(node.state, NodeState::Landing { .. });
        waits || node.landed().is_some_and(|landed| landed.ejected.is_none())
    }

    fn put_back(&mut self, index: u32) {
        if let Some(number) = self.node(index).landed().map(|landed| landed.number) {
            self.landed_paths
                .remove((number, index), &self.nodes[index as usize].sets);
            self.unfinished += 1;
        } else {
            self.landing_queue.retain(|&other| other != index);
            self.release(index);
        }
        self.proven.retain(|_, prover| *prover != index);
        let node = self.node_mut(index);
        node.state = NodeState::Waiting;
        node.completed_at = None;
        node.fresh_session = true;
    }

    /// Takes what is put back off the integration tip. What landed later is landed anew, by an
    /// order.
    fn leave_off(&mut self) {
        let is_off = |index: u32| self.node(index).landed().is_none();
        let without: Vec<u32> = self
            .landings
            .iter()
            .map(|(index, _)| *index)
            .filter(|&index| is_off(index))
            .collect();
        let Some(first) = self.landings.iter().position(|(index, _)| is_off(*index)) else {
            return;
        };
        if self.landings.len() - first == without.len() {
            for (_, tip) in self.landings.drain(first..) {
                self.landing_of_commit.remove(&tip.commit);
            }
            return;
        }
        let names: Vec<TaskId> = without
            .iter()
            .map(|&index| self.node(index).id.clone())
            .collect();
        self.orders.push(Order::Rebuild { without: names });
        self.phase = RunPhase::Rebuilding {
            without,
            ejected: Ejected {
                gate: None,
                log: None,
            },
        };
    }
}
