//! Reused verdicts, checked against the proofs that they come from.
//!
//! It refuses a verdict whose proof does not say just that. A proof that is not at hand is a
//! remark, no fault.

use super::check::{Finding, ProofContext, ProofRemark};
use super::statement::{GateClaim, Predicate, Statement};
use crate::fact::GateVerdict;

/// The gates whose verdicts are reused, each with the name of the proof and that proof, if it is at
/// hand.
fn reused<'a>(
    claims: &'a Predicate,
    seen: &'a ProofContext,
) -> impl Iterator<Item = (&'a GateClaim, &'a str, Option<&'a Statement>)> {
    let reused = claims
        .gates
        .iter()
        .filter(|gate| gate.verdict == GateVerdict::Reused);
    reused.filter_map(|gate| {
        let name = gate.reused_from.as_deref()?;
        Some((gate, name, seen.origins.get(name)))
    })
}

/// What fails.
pub(super) fn findings(claims: &Predicate, seen: &ProofContext, findings: &mut Vec<Finding>) {
    for (gate, name, origin) in reused(claims, seen) {
        if origin.is_some_and(|origin| !carries(gate, origin)) {
            findings.push(Finding::Origin {
                gate: gate.id.clone(),
                from: name.to_owned(),
            });
        }
    }
}

/// What could not be checked.
pub(super) fn remarks(claims: &Predicate, seen: &ProofContext) -> Vec<ProofRemark> {
    let unseen = reused(claims, seen).filter(|(_, _, origin)| origin.is_none());
    unseen
        .map(|(gate, name, _)| ProofRemark::OriginUnseen {
            gate: gate.id.clone(),
            from: name.to_owned(),
        })
        .collect()
}

fn carries(gate: &GateClaim, origin: &Statement) -> bool {
    let says = |said: &&GateClaim| {
        let same =
            said.id == gate.id && said.command == gate.command && said.reuse_key == gate.reuse_key;
        same && said.verdict == GateVerdict::Passed && said.counts_as_passed
    };
    let of_commit = gate.reused_commit.as_ref() == Some(&origin.predicate.result.commit);
    gate.reuse_key.is_some() && of_commit && origin.predicate.gates.iter().any(|said| says(&said))
}
