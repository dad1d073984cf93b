//! What ends work from outside: alarms, signals, budgets, persons, and the death of omk itself.

use std::time::Duration;

use super::conclude::RunPhase;
use super::state::{CancelReason, NodeState};
use super::{Alarm, DEATHS_PER_FAILURE, LEASE, RunState, TaskState};
use crate::fact::{Class, Failure, Order, RunVerdict, Spending};
use crate::id::TaskId;

impl RunState {
    pub(super) fn woke(&mut self) {
        self.armed = None;
        while let Some(&(due, alarm)) = self.alarms.first() {
            if due > self.at {
                return;
            }
            self.alarms.pop_first();
            match alarm {
                Alarm::Task(index) => self.task_alarm(index),
                Alarm::ProviderPause => {
                    self.provider_pause = None;
                    for index in std::mem::take(&mut self.paused) {
                        if matches!(self.node(index).state, NodeState::Paused) {
                            self.make_ready(index);
                        }
                    }
                }
                Alarm::Deadline => self.stop_early(RunVerdict::NeedsMoreBudget),
            }
        }
    }

    pub(super) fn task_alarm(&mut self, index: u32) {
        if matches!(self.node(index).state, NodeState::Backoff { .. }) {
            self.make_ready(index);
        } else if self.node(index).state.lease().is_some() {
            self.order_end(index);
            self.workers_free += 1;
            self.release(index);
            let message = format!("its worker gave no sign of life for {} s", LEASE.as_secs());
            self.fail(index, Failure::new(Class::Host, message));
        }
    }

    pub(super) fn order_end(&mut self, index: u32) {
        let node = self.node(index);
        let order = Order::End {
            task: node.id.clone(),
            attempt: node.attempt,
        };
        self.orders.push(order);
    }

    /// Puts every attempt under way back; nothing is counted.
    pub(super) fn interrupt_all(&mut self) -> Vec<u32> {
        let active: Vec<u32> = (0..self.node_count())
            .filter(|&index| self.node(index).state.lease().is_some())
            .collect();
        for &index in &active {
            self.end_lease(index);
            self.release(index);
            self.make_ready(index);
            self.node_mut(index).fresh_session = true;
        }
        active
    }

    pub(super) fn stop_early(&mut self, verdict: RunVerdict) {
        if self.phase.verdict().is_some() {
            return;
        }
        for index in self.interrupt_all() {
            self.order_end(index);
        }
        self.stopped_early = true;
        self.conclude_with(verdict);
    }

    pub(super) fn took_up(
        &mut self,
        workers: Option<u32>,
        spending: Option<Spending>,
        unblocked: bool,
    ) {
        if let Some(spending) = spending {
            self.time_limit = spending.time_ms.map(Duration::from_millis);
        }
        for index in self.interrupt_all() {
            let node = self.node_mut(index);
            node.deaths += 1;
            if node.deaths >= DEATHS_PER_FAILURE {
                node.deaths = 0;
                let rank = node.rank;
                self.ready.remove(&(rank, index));
                let message =
                    format!("omk itself died {DEATHS_PER_FAILURE} times during this task");
                self.fail(index, Failure::new(Class::Lost, message));
            }
        }
        if unblocked {
            self.unblock();
        }
        for node in &mut self.nodes {
            node.fresh_session = true;
        }
        if let Some(landing) = self.landing.take() {
            self.landing_queue.push_front(landing);
        }
        self.workers = workers.unwrap_or(self.workers).max(1);
        self.workers_free = self.workers;
        if self.preflight {
            self.orders.push(Order::Preflight);
        }
        self.phase = RunPhase::Working;
        self.stopped_early = false;
        self.result_passed = false;
        self.unplaced = None;
        self.armed = None;
        self.start_time_limit(self.at);
    }

    pub(super) fn cancelled_by_person(&mut self, tasks: &[TaskId]) {
        if self.phase.verdict().is_some() && !self.stopped_early {
            return;
        }
        if tasks.is_empty() {
            for index in 0..self.node_count() {
                self.cancel_one(index);
            }
            self.stopped_early = false;
            self.conclude_with(RunVerdict::Cancelled);
            return;
        }
        for task in tasks {
            if let Ok(index) = self.index(task) {
                self.cancel_one(index);
            }
        }
    }

    pub(super) fn cancel_one(&mut self, index: u32) {
        if self.node(index).state.public().is_final() {
            return;
        }
        if self.node(index).state.lease().is_some() {
            self.order_end(index);
            self.end_lease(index);
            self.release(index);
        } else if matches!(self.node(index).state, NodeState::Landing { .. }) {
            self.landing_queue.retain(|&other| other != index);
            if self.landing == Some(index) {
                self.landing = None;
            }
            self.release(index);
        }
        self.cancel(index, CancelReason::Person);
    }

    pub(super) fn cancel(&mut self, index: u32, reason: CancelReason) {
        let node = &self.nodes[index as usize];
        self.ready.remove(&(node.rank, index));
        if let NodeState::Backoff { until } = node.state {
            self.alarms.remove(&(until, Alarm::Task(index)));
        }
        self.unreserve(index);
        self.end(index, NodeState::Cancelled { reason });
    }

    /// Cancels all that nobody works on.
    pub(super) fn cancel_pending(&mut self, reason: &CancelReason) {
        for index in 0..self.node_count() {
            if self.node(index).state.public() == TaskState::Pending {
                self.cancel(index, reason.clone());
            }
        }
    }
}
