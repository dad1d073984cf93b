//! What comes of attempts: their work, their landing, their failures, and what waits for them.

use std::sync::Arc;
use std::time::Duration;

use super::build::narrow;
use super::overlap::Sets;
use super::retry::jittered_backoff;
use super::state::{CancelReason, LandedChange, NodeState, TaskState};
use super::{Alarm, LEASE, RunState};
use crate::fact::{
    Change, Class, Evidence, Failure, GateOutcome, GateVerdict, Outcome, RunVerdict,
};
use crate::glob::Glob;
use crate::id::{GateId, Moment, RepoPath, Tip};

impl RunState {
    pub(super) fn prepared(&mut self, index: u32, base: &Tip) {
        let onto_landings = self
            .landing_of_commit
            .get(&base.commit)
            .map_or(0, |number| number + 1);
        let node = self.node_mut(index);
        node.onto_landings = onto_landings;
        if let NodeState::Claimed { expires } = node.state {
            node.state = NodeState::Working { expires };
        }
    }

    pub(super) fn renew(&mut self, index: u32) {
        let later = self.at.after(LEASE);
        let node = self.node_mut(index);
        let (NodeState::Claimed { expires } | NodeState::Working { expires }) = &mut node.state
        else {
            return;
        };
        let earlier = std::mem::replace(expires, later);
        self.alarms.remove(&(expiry(earlier), Alarm::Task(index)));
        self.alarms.insert((expiry(later), Alarm::Task(index)));
    }

    /// Takes a task out of its worker's hands.
    pub(super) fn end_lease(&mut self, index: u32) {
        if let Some(expires) = self.node(index).state.lease() {
            self.alarms.remove(&(expiry(expires), Alarm::Task(index)));
            self.workers_free += 1;
        }
    }

    pub(super) fn worked(&mut self, index: u32, outcome: &Outcome, evidence: &Evidence) {
        self.end_lease(index);
        match outcome {
            Outcome::Changed(change) => {
                self.remember_proof(index, change, evidence);
                self.node_mut(index).state = NodeState::Landing {
                    change: Box::new(change.clone()),
                };
                self.landing_queue.push_back(index);
            }
            Outcome::Unchanged => {
                self.release(index);
                self.complete(index, None);
            }
            Outcome::Failed(failure) => {
                self.release(index);
                self.fail(index, failure.clone());
                self.remember_gates(index, evidence);
            }
            Outcome::Interrupted => {
                self.release(index);
                self.make_ready(index);
            }
        }
    }

    /// A tree on which all required gates passed cleanly needs no second look.
    pub(super) fn remember_proof(&mut self, index: u32, change: &Change, evidence: &Evidence) {
        let clean = |gate: &GateId| {
            let of_gate = |outcome: &&GateOutcome| outcome.gate == *gate;
            evidence
                .gates
                .iter()
                .find(of_gate)
                .is_some_and(|o| matches!(o.verdict, GateVerdict::Passed | GateVerdict::Reused))
        };
        if !self.keeps
            && evidence.tree.as_ref() == Some(&change.tip.tree)
            && self.required_gates.iter().all(clean)
        {
            self.proven.insert(change.tip.tree.clone(), index);
        }
    }

    /// What held a change is what an agent's next attempt begins with; without one, nobody needs it
    /// here.
    fn remember_gates(&mut self, index: u32, evidence: &Evidence) {
        let node = self.node_mut(index);
        let by_gates = node
            .failure
            .as_ref()
            .is_some_and(|failure| failure.class == Class::Gate);
        if node.is_agent && by_gates && node.state.public() == TaskState::Pending {
            let skipped = |gate: &&GateOutcome| gate.verdict == GateVerdict::Skipped;
            let held = evidence
                .gates
                .iter()
                .filter(|gate| gate.required && !gate.counts_as_passed);
            // What one failure ended tells nothing.
            let held = held.filter(|gate| !skipped(gate));
            node.failed_gates = held.cloned().collect();
        }
    }

    pub(super) fn landed(&mut self, index: u32, tip: &Tip) {
        let number = self.landing_count();
        let node = self.node_mut(index);
        let NodeState::Landing { change } = std::mem::replace(&mut node.state, NodeState::Ready)
        else {
            return;
        };
        self.landing = None;
        self.landings.push((index, tip.clone()));
        self.landing_of_commit.insert(tip.commit.clone(), number);
        self.release(index);
        self.landed_paths
            .insert((number, index), &self.nodes[index as usize].sets);
        self.complete(
            index,
            Some(LandedChange {
                change: *change,
                tip: tip.clone(),
                number,
                ejected: None,
            }),
        );
    }

    pub(super) fn clashed(&mut self, index: u32, paths: &[RepoPath]) {
        self.landing = None;
        self.release(index);
        let node = self.node(index);
        let mut touched: Vec<Glob> = Vec::new();
        if let NodeState::Landing { change } = &node.state
            && node.learns_sets
        {
            touched.extend(change.paths.iter().map(Glob::literal));
        }
        let winners = self.winners(index, paths);
        let node = self.node_mut(index);
        if !touched.is_empty() {
            node.sets = Arc::new(Sets {
                write: touched,
                read: node.sets.read.clone(),
            });
        }
        for winner in winners {
            if !node.predecessors.contains(&winner) {
                node.predecessors.push(winner);
            }
        }
        let listed: Vec<String> = paths.iter().take(20).map(ToString::to_string).collect();
        let more = if paths.len() > 20 {
            format!(" and {} more", paths.len() - 20)
        } else {
            String::new()
        };
        let message = format!(
            "its change does not merge with what landed meanwhile, in {}{more}",
            listed.join(", ")
        );
        self.fail(
            index,
            Failure::new(Class::Conflict, message).about(paths.to_vec()),
        );
    }

    /// The landed tasks that changed any of these paths, and on which `index` was not built.
    pub(super) fn winners(&self, index: u32, paths: &[RepoPath]) -> Vec<u32> {
        let node = self.node(index);
        let lost_to = |other: &u32| {
            self.node(*other)
                .landed()
                .is_some_and(|landed| landed.change.paths.iter().any(|path| paths.contains(path)))
        };
        let landed = self
            .landings
            .iter()
            .skip(node.onto_landings as usize)
            .map(|(other, _)| *other);
        let unseen: Vec<u32> = landed.filter(|other| !node.onto.contains(other)).collect();
        let winners: Vec<u32> = unseen.iter().copied().filter(lost_to).collect();
        // A file against a directory of that name is a conflict in a path that nobody else changed.
        if winners.is_empty() { unseen } else { winners }
    }

    pub(super) fn fail(&mut self, index: u32, mut failure: Failure) {
        // The failure of another task may have ended it a moment ago.
        if self.node(index).state.public().is_final() {
            return;
        }
        let wait = failure
            .retry_after_ms
            .map(Duration::from_millis)
            .unwrap_or_default();
        if failure.class == Class::RateLimit && !wait.is_zero() {
            self.pause_provider(&mut failure, self.at.after(wait));
        }
        let outlived = failure.outlived;
        let node = &mut self.nodes[index as usize];
        node.retry_count = node.retry_count.saturating_add(1);
        node.fresh_session = !(node.is_agent && failure.class.keeps_session());
        let permanent = !failure.class.is_transient() && node.policy.terminal_on_permanent_failure;
        node.failure = Some(Box::new(failure));
        node.failed_gates = Vec::new();
        if permanent || outlived || node.retry_count > node.policy.max_attempts || self.failing_fast
        {
            return self.fail_for_good(index);
        }
        let backoff = jittered_backoff(&node.policy, &self.began.run, &node.id, node.retry_count);
        let until = self.at.after(backoff.max(wait));
        if until == self.at {
            // Without a wait it keeps its place before those of a lower rank that want its paths.
            return self.make_ready(index);
        }
        node.state = NodeState::Backoff { until };
        self.alarms.insert((until, Alarm::Task(index)));
    }

    /// The task has its failure, and is not tried again.
    pub(super) fn fail_for_good(&mut self, index: u32) {
        let outlived = self
            .node(index)
            .failure
            .as_ref()
            .is_some_and(|failure| failure.outlived);
        self.end(index, NodeState::Failed);
        if self.began.fail_fast {
            self.failing_fast = true;
            self.cancel_pending(&CancelReason::FailFast(self.node(index).id.clone()));
        }
        if outlived {
            self.stop_early(RunVerdict::FailedInfra);
        }
    }

    /// No agent task starts before the provider wants it; a wait past the run's end is as good as
    /// no credit.
    pub(super) fn pause_provider(&mut self, failure: &mut Failure, until: Moment) {
        if self.deadline.is_some_and(|deadline| until > deadline) {
            failure.class = Class::Quota;
            failure
                .message
                .push_str("; the provider asks to wait longer than this run may take");
            return;
        }
        if self.provider_pause.is_some_and(|pause| pause >= until) {
            return;
        }
        if let Some(earlier) = self.provider_pause.replace(until) {
            self.alarms.remove(&(earlier, Alarm::ProviderPause));
        }
        self.alarms.insert((until, Alarm::ProviderPause));
    }

    pub(super) fn complete(&mut self, index: u32, landed: Option<LandedChange>) {
        self.end(
            index,
            NodeState::Completed {
                landed: landed.map(Box::new),
            },
        );
    }

    /// The one door to the final states, through which a task goes once: those that wait for it go
    /// on, or are cancelled in turn.
    pub(super) fn end(&mut self, index: u32, state: NodeState) {
        let mut ending = vec![(index, state)];
        while let Some((index, state)) = ending.pop() {
            let at = self.at;
            let node = self.node_mut(index);
            if node.state.public().is_final() {
                continue;
            }
            node.state = state;
            node.completed_at = Some(at);
            self.unfinished -= 1;
            let failed = !matches!(self.node(index).state, NodeState::Completed { .. });
            let id = self.node(index).id.clone();
            for position in 0..self.graph.dependents(index as usize).len() {
                let dependent = self.graph.dependents(index as usize)[position];
                let node = &mut self.nodes[dependent];
                if !matches!(node.state, NodeState::Waiting) {
                    continue;
                }
                if failed && !node.runs_after_failure {
                    let reason = CancelReason::Dependency(id.clone());
                    ending.push((narrow(dependent), NodeState::Cancelled { reason }));
                    continue;
                }
                node.unmet -= 1;
                if node.unmet == 0 {
                    self.make_ready(narrow(dependent));
                }
            }
        }
    }

    /// It can start, unless a dependency has been put back meanwhile.
    pub(super) fn make_ready(&mut self, index: u32) {
        let open = self.open_dependencies(index);
        let node = &mut self.nodes[index as usize];
        if open > 0 {
            node.unmet = open;
            node.state = NodeState::Waiting;
            return;
        }
        node.state = NodeState::Ready;
        self.ready.insert((node.rank, index));
    }
}

/// A lease has expired when now is *past* its end.
pub(super) fn expiry(expires: Moment) -> Moment {
    expires.after(Duration::from_millis(1))
}
