//! Which pending tasks start now: by rank, where a worker is free and nobody holds or has reserved
//! their paths.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::attempts::expiry;
use super::build::narrow;
use super::state::{NodeState, TaskNode};
use super::{Alarm, HELD, LEASE, RunState};
use crate::fact::{Order, Session};
use crate::id::TaskId;

impl RunState {
    /// Claims tasks until workers or candidates run out. A task held back by an overlap reserves
    /// its paths, so that lower-ranked ones that overlap it wait while others overtake.
    pub(super) fn dispatch(&mut self) {
        while self.workers_free > 0 {
            let Some((_, index)) = self.ready.pop_first() else {
                return;
            };
            let node = self.node(index);
            if node.is_agent && (self.preflight || self.provider_pause.is_some()) {
                self.node_mut(index).state = NodeState::Paused;
                self.paused.push(index);
                // Others need not wait for the provider too.
                self.unreserve(index);
            } else if let Some(by) = self.blocker(node) {
                self.hold_back(index, by);
            } else {
                self.claim(index);
            }
        }
    }

    /// Of the others that hold or have reserved overlapping paths and rank higher (holders always
    /// do), the one that goes last: it is the one worth waiting for.
    fn blocker(&self, node: &TaskNode) -> Option<u32> {
        let mut last: Option<(u32, u32)> = None;
        self.held.overlapping(&node.sets, node.rank + 1, |holder| {
            last = last.max(Some(holder));
            ControlFlow::Break(())
        });
        last.map(|(_, by)| by)
    }

    fn hold_back(&mut self, index: u32, by: u32) {
        let landings = self.landing_count();
        let node = &mut self.nodes[index as usize];
        node.state = NodeState::Blocked { by };
        node.blocked_since.get_or_insert(landings);
        if !node.reserved {
            node.reserved = true;
            self.held.insert((node.rank + 1, index), &node.sets);
        }
        self.watchers.entry(by).or_default().push(index);
    }

    /// Frees a task's reservation, where it has one.
    pub(super) fn unreserve(&mut self, index: u32) {
        let node = &mut self.nodes[index as usize];
        if std::mem::take(&mut node.reserved) {
            self.held.remove((node.rank + 1, index), &node.sets);
            self.wake_watchers(index);
        }
    }

    /// Frees the paths that a claimed task held.
    pub(super) fn release(&mut self, index: u32) {
        self.held
            .remove((HELD, index), &self.nodes[index as usize].sets);
        self.wake_watchers(index);
    }

    fn wake_watchers(&mut self, index: u32) {
        for watcher in self.watchers.remove(&index).unwrap_or_default() {
            let node = &mut self.nodes[watcher as usize];
            if matches!(node.state, NodeState::Blocked { .. }) {
                node.state = NodeState::Ready;
                self.ready.insert((node.rank, watcher));
            }
        }
    }

    fn claim(&mut self, index: u32) {
        let predecessors = self.overlapping_since_blocked(index);
        let at = self.at;
        let node = &mut self.nodes[index as usize];
        for predecessor in predecessors {
            if !node.predecessors.contains(&predecessor) {
                node.predecessors.push(predecessor);
                node.fresh_session = true;
            }
        }
        if std::mem::take(&mut node.reserved) {
            // Whoever waits for this task goes on waiting: the reservation becomes a hold.
            self.held.remove((node.rank + 1, index), &node.sets);
        }
        self.held.insert((HELD, index), &node.sets);
        node.attempt += 1;
        node.was_blocked_at = node.blocked_since.take();
        node.started_at.get_or_insert(at);
        let expires = at.after(LEASE);
        node.state = NodeState::Claimed { expires };
        let session = if std::mem::replace(&mut node.fresh_session, false) {
            Session::New
        } else {
            Session::Resumed
        };
        let (attempt, retry_count) = (node.attempt, node.retry_count);
        self.alarms.insert((expiry(expires), Alarm::Task(index)));
        self.workers_free -= 1;
        let onto = self.build_onto(index);
        let order = Order::Start {
            task: self.node(index).id.clone(),
            attempt,
            retry_count,
            session,
            onto: self.names(&onto),
            expires,
        };
        let node = self.node_mut(index);
        node.onto = onto;
        node.onto_landings = 0;
        self.orders.push(order);
    }

    fn names(&self, indexes: &[u32]) -> Vec<TaskId> {
        indexes
            .iter()
            .map(|&index| self.node(index).id.clone())
            .collect()
    }

    /// Landed tasks that overlap this one and landed while it was held back.
    fn overlapping_since_blocked(&self, index: u32) -> Vec<u32> {
        let node = self.node(index);
        let Some(since) = node.blocked_since else {
            return Vec::new();
        };
        let mut found = Vec::new();
        self.landed_paths
            .overlapping(&node.sets, u32::MAX, |(landing, other)| {
                if landing < since {
                    return ControlFlow::Break(());
                }
                found.push(other);
                // One with the same paths that waited at least as long is itself built on all the
                // earlier ones.
                let other = self.node(other);
                let waited_as_long = other.was_blocked_at.is_some_and(|at| at <= since);
                if Arc::ptr_eq(&other.sets, &node.sets) && waited_as_long {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The landed tasks whose results the base of `index` holds, oldest landing first. One that
    /// completed without a change stands for what it was itself built on. What was taken out
    /// must not come back below another's change.
    fn build_onto(&self, index: u32) -> Vec<u32> {
        let node = self.node(index);
        let mut onto: HashSet<u32> = HashSet::new();
        let dependencies = self
            .graph
            .dependencies(index as usize)
            .iter()
            .map(|&other| narrow(other));
        for other in dependencies.chain(node.predecessors.iter().copied()) {
            match &self.node(other).state {
                NodeState::Completed { landed: Some(_) } => {
                    onto.insert(other);
                }
                NodeState::Completed { landed: None } => onto.extend(&self.node(other).onto),
                NodeState::Waiting
                | NodeState::Ready
                | NodeState::Blocked { .. }
                | NodeState::Paused
                | NodeState::Backoff { .. }
                | NodeState::Claimed { .. }
                | NodeState::Working { .. }
                | NodeState::Landing { .. }
                | NodeState::Failed
                | NodeState::Cancelled { .. } => {}
            }
        }
        let mut onto: Vec<u32> = onto
            .into_iter()
            .filter(|&other| !self.node(other).is_ejected())
            .collect();
        onto.sort_unstable_by_key(|&other| (self.landing_number(other), other));
        onto
    }
}
