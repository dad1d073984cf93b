//! The hunt for the change that a failing result is due to, by judging shorter prefixes.

use super::RunPhase;
use crate::engine::RunState;
use crate::engine::state::Ejected;
use crate::fact::{GateOutcome, GateVerdict, Order};
use crate::id::{GateId, TaskId};

/// So many times a culprit is taken out; then nothing is integrated.
const MOST_TAKE_OUTS: u32 = 3;

/// The search for the shortest prefix of landings that fails.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Hunt {
    /// The prefix being judged.
    probing: u32,
    /// A prefix that passes, once one is known.
    passes: Option<u32>,
    /// The shortest prefix known to fail, and what failed there.
    fails: Option<(u32, Ejected)>,
}

impl RunState {
    pub(super) fn begin_judging(&mut self) {
        let Some((_, tip)) = self.landings.last() else {
            return self.conclude();
        };
        if self.required_gates.is_empty() {
            return self.conclude();
        }
        if self.proven.contains_key(&tip.tree) {
            self.result_passed = true;
            return self.conclude();
        }
        self.probe(Hunt {
            probing: self.landing_count(),
            passes: None,
            fails: None,
        });
    }

    fn probe(&mut self, hunt: Hunt) {
        self.orders.push(Order::Judge {
            prefix: hunt.probing,
        });
        self.phase = RunPhase::Judging(hunt);
    }

    /// The gates have spoken on a prefix of the landings.
    pub(in crate::engine) fn judged(&mut self, prefix: u32, gates: &[GateOutcome]) {
        let RunPhase::Judging(hunt) = &self.phase else {
            return;
        };
        if hunt.probing != prefix {
            return;
        }
        let mut hunt = hunt.clone();
        match self.first_failing(gates) {
            None if prefix == self.landing_count() => {
                self.result_passed = true;
                return self.conclude();
            }
            None => hunt.passes = Some(prefix),
            // The base fails by itself: nobody here is the culprit.
            Some(_) if prefix == 0 => return self.conclude(),
            Some(ejected) => hunt.fails = Some((prefix, ejected)),
        }
        self.hunt_on(hunt);
    }

    fn first_failing(&self, gates: &[GateOutcome]) -> Option<Ejected> {
        let outcome_of = |gate: &GateId| gates.iter().find(|outcome| outcome.gate == *gate);
        let held = self
            .required_gates
            .iter()
            .filter(|gate| !outcome_of(gate).is_some_and(|found| found.counts_as_passed));
        // One that was ended because another failed is not the reason.
        let ran = |gate: &&GateId| {
            outcome_of(gate).is_some_and(|found| found.verdict != GateVerdict::Skipped)
        };
        let held: Vec<&GateId> = held.collect();
        let first = held
            .iter()
            .copied()
            .find(ran)
            .or_else(|| held.first().copied())?;
        let log = outcome_of(first)
            .and_then(|outcome| outcome.log.as_ref())
            .map(|log| log.path.clone());
        Some(Ejected {
            gate: Some(first.clone()),
            log,
        })
    }

    /// Halves the stretch between a prefix that passes and one that fails; at its end stands the
    /// culprit.
    fn hunt_on(&mut self, mut hunt: Hunt) {
        let Some((fails, ejected)) = hunt.fails.clone() else {
            return;
        };
        if self.take_outs >= MOST_TAKE_OUTS {
            let all = self.landings.iter().map(|(index, _)| *index).collect();
            return self.take_out(all, ejected);
        }
        let Some(mut passes) = hunt.passes else {
            hunt.probing = 0;
            return self.probe(hunt);
        };
        while fails - passes > 1 {
            let middle = passes + (fails - passes) / 2;
            if !self
                .proven
                .contains_key(&self.landings[middle as usize - 1].1.tree)
            {
                hunt.probing = middle;
                hunt.passes = Some(passes);
                return self.probe(hunt);
            }
            passes = middle;
        }
        let culprit = self.landings[fails as usize - 1].0;
        let without = self.built_on(culprit);
        self.take_out(without, ejected);
    }

    fn take_out(&mut self, without: Vec<u32>, ejected: Ejected) {
        let names: Vec<TaskId> = without
            .iter()
            .map(|&index| self.node(index).id.clone())
            .collect();
        self.orders.push(Order::Rebuild { without: names });
        self.phase = RunPhase::Rebuilding { without, ejected };
    }

    /// The culprit and the landed tasks that are built on it, however indirectly.
    fn built_on(&self, culprit: u32) -> Vec<u32> {
        let mut out = vec![culprit];
        let first = self.landing_number(culprit);
        for (index, _) in &self.landings {
            let node = self.node(*index);
            let on_all_of_it = node.onto_landings > first;
            if *index != culprit
                && (on_all_of_it || node.onto.iter().any(|other| out.contains(other)))
            {
                out.push(*index);
            }
        }
        out
    }
}
