//! The rules: what a set of gate outcomes is worth, and when `ready` may be said.
//!
//! This is the one place that decides it, for landing, for writing proofs and for checking them. It
//! refuses the benefit of the doubt.

use crate::fact::{AgainstBase, GateOutcome, GateVerdict};
use crate::id::{GateId, TreeId};

/// What a set of outcomes is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProofStanding {
    /// At least one required gate, and each one passed.
    Proven,
    /// No gate is required: nothing stands in the way, and nothing is verified.
    Unproven,
    /// These required gates did not run or did not pass.
    Held(Vec<GateId>),
}

/// What the outcomes are worth where these gates are required.
#[must_use]
pub fn standing(outcomes: &[GateOutcome], required: &[GateId]) -> ProofStanding {
    let held: Vec<GateId> = required
        .iter()
        .filter(|gate| !has_passed(outcomes, gate))
        .cloned()
        .collect();
    if !held.is_empty() {
        return ProofStanding::Held(held);
    }
    if required.is_empty() {
        ProofStanding::Unproven
    } else {
        ProofStanding::Proven
    }
}

fn has_passed(outcomes: &[GateOutcome], gate: &GateId) -> bool {
    let mut own = outcomes
        .iter()
        .filter(|outcome| outcome.gate == *gate)
        .peekable();
    own.peek().is_some()
        && own.all(|outcome| {
            outcome.counts_as_passed && counts(outcome.verdict, outcome.against_base)
        })
}

/// Whether a verdict may count as passed at all; whether it does is also the plan's `baseline` to
/// say.
#[must_use]
pub fn counts(verdict: GateVerdict, against_base: Option<AgainstBase>) -> bool {
    match verdict {
        GateVerdict::Passed | GateVerdict::Flaky | GateVerdict::Reused => true,
        GateVerdict::Failed => against_base == Some(AgainstBase::PreExisting),
        GateVerdict::TimedOut | GateVerdict::Skipped => false,
    }
}

/// Why `ready` cannot be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unmet {
    /// No task is completed.
    NoCompletedTask,
    /// No required gate ran: nothing was verified.
    NothingVerified,
    /// This required gate has no outcome.
    Missing(GateId),
    /// This required gate did not pass.
    NotPassed(GateId, GateVerdict),
    /// The gates saw another tree than the result's.
    OtherTree {
        /// The tree that they saw, where they saw one.
        judged: Option<TreeId>,
        /// The result's.
        result: TreeId,
    },
}

/// Everything that stands between this evidence and `ready`; empty = nothing.
#[must_use]
pub fn unmet(
    completed: bool,
    outcomes: &[GateOutcome],
    required: &[GateId],
    judged: Option<&TreeId>,
    result: &TreeId,
) -> Vec<Unmet> {
    let mut unmet = Vec::new();
    if !completed {
        unmet.push(Unmet::NoCompletedTask);
    }
    match standing(outcomes, required) {
        ProofStanding::Proven => {}
        ProofStanding::Unproven => unmet.push(Unmet::NothingVerified),
        ProofStanding::Held(gates) => unmet.extend(gates.into_iter().map(|gate| {
            let held = |outcome: &&GateOutcome| {
                outcome.gate == gate
                    && !(outcome.counts_as_passed && counts(outcome.verdict, outcome.against_base))
            };
            match outcomes.iter().find(held).map(|outcome| outcome.verdict) {
                Some(verdict) => Unmet::NotPassed(gate, verdict),
                None => Unmet::Missing(gate),
            }
        })),
    }
    if !required.is_empty() && judged != Some(result) {
        unmet.push(Unmet::OtherTree {
            judged: judged.cloned(),
            result: result.clone(),
        });
    }
    unmet
}

#[cfg(test)]
mod tests;
