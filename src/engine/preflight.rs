//! What the required gates said of the run's base, before the first prompt: whether prompts start
//! at all.
//!
//! It refuses to hold a failing base against a task: that is what tasks may be there to repair. A
//! gate that cannot run is another matter, for nothing that an agent does there could be judged.

use super::RunState;
use super::state::NodeState;
use crate::fact::{Class, Failure, GateOutcome, GateVerdict};

/// What a shell exits with if it cannot execute a program, or not find it.
const NOT_RUN: [i32; 2] = [126, 127];

impl RunState {
    /// The gates have spoken on the base. Prompts that need one which cannot run fail; the others
    /// may start.
    pub(super) fn preflighted(&mut self, gates: &[GateOutcome], trouble: Option<&Failure>) {
        if self.phase.verdict().is_some() || !std::mem::take(&mut self.preflight) {
            return;
        }
        for index in std::mem::take(&mut self.paused) {
            if matches!(self.node(index).state, NodeState::Paused) {
                self.make_ready(index);
            }
        }
        for index in 0..self.node_count() {
            let node = self.node(index);
            // What one failure ends may be another task, or the run.
            if !node.is_agent || node.state.public().is_final() || self.phase.verdict().is_some() {
                continue;
            }
            let needed = gates
                .iter()
                .find(|outcome| cannot_run(outcome) && node.gates.contains(&outcome.gate));
            if let Some(failure) = trouble.cloned().or_else(|| needed.map(not_run)) {
                self.refuse(index, failure);
            }
        }
    }

    /// Fails a task that no worker has begun, for good: trying it costs money.
    fn refuse(&mut self, index: u32, failure: Failure) {
        let node = &mut self.nodes[index as usize];
        self.ready.remove(&(node.rank, index));
        node.failure = Some(Box::new(failure));
        self.unreserve(index);
        self.fail_for_good(index);
    }
}

/// Whether a gate failed because its command could not be executed, or was not found.
#[must_use]
pub fn cannot_run(outcome: &GateOutcome) -> bool {
    outcome.verdict == GateVerdict::Failed
        && outcome.exit.is_some_and(|exit| NOT_RUN.contains(&exit))
}

fn not_run(outcome: &GateOutcome) -> Failure {
    let exit = outcome.exit.unwrap_or_default();
    let command = outcome.command.trim().lines().next().unwrap_or_default();
    let command = crate::text::clip(command, 200);
    let said = outcome
        .log
        .as_ref()
        .map(|log| log.head.trim())
        .unwrap_or_default();
    let said = crate::text::clip(said.lines().last().unwrap_or_default(), 300);
    let said = if said.is_empty() {
        String::new()
    } else {
        format!(": {said}")
    };
    let gate = &outcome.gate;
    Failure {
        advice: Some(
            "install what the gate needs, or have the gate install it (`npm ci && npm test`: a slot holds what is committed); if a \
             task is to make it, write `preflight: false`"
                .to_owned(),
        ),
        ..Failure::new(
            Class::Config,
            format!("gate `{gate}` (`{command}`) cannot run on the base: it exited with {exit}{said}"),
        )
    }
}
