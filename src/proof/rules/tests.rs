//! Tests of `proof::rules`.

use super::*;

fn gate(id: &str) -> GateId {
    id.parse().expect("a gate id")
}

fn outcome(id: &str, verdict: GateVerdict, counts_as_passed: bool) -> GateOutcome {
    GateOutcome {
        gate: gate(id),
        command: "true".to_owned(),
        required: true,
        verdict,
        against_base: None,
        counts_as_passed,
        exit: None,
        duration_ms: 0,
        attempts: 1,
        log: None,
        failing: Vec::new(),
        failing_total: 0,
        reports: 0,
        note: String::new(),
        room: None,
        reuse: None,
    }
}

#[test]
fn a_required_gate_that_did_not_run_holds_a_change_back() {
    let ran = [outcome("lint", GateVerdict::Passed, true)];
    assert_eq!(
        standing(&ran, &[gate("lint"), gate("test")]),
        ProofStanding::Held(vec![gate("test")])
    );
    let skipped = [outcome("lint", GateVerdict::Skipped, true)];
    assert_eq!(
        standing(&skipped, &[gate("lint")]),
        ProofStanding::Held(vec![gate("lint")])
    );
}

#[test]
fn no_gates_prove_nothing() {
    let ran = [outcome("lint", GateVerdict::Passed, true)];
    assert_eq!(standing(&ran, &[]), ProofStanding::Unproven);
}

#[test]
fn a_failure_said_to_count_does_not_count_unless_it_is_old() {
    let mut failed = outcome("test", GateVerdict::Failed, true);
    assert_eq!(
        standing(std::slice::from_ref(&failed), &[gate("test")]),
        ProofStanding::Held(vec![gate("test")])
    );
    failed.against_base = Some(AgainstBase::PreExisting);
    assert_eq!(
        standing(std::slice::from_ref(&failed), &[gate("test")]),
        ProofStanding::Proven
    );
    failed.counts_as_passed = false;
    assert_eq!(
        standing(&[failed], &[gate("test")]),
        ProofStanding::Held(vec![gate("test")])
    );
}

#[test]
fn one_failing_outcome_of_two_for_a_gate_decides() {
    let both = [
        outcome("test", GateVerdict::Passed, true),
        outcome("test", GateVerdict::Failed, false),
    ];
    assert_eq!(
        standing(&both, &[gate("test")]),
        ProofStanding::Held(vec![gate("test")])
    );
}
