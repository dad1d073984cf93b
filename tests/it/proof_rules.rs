//! Rules of proofs one by one: reused verdicts, strict plans, logs that are missing, and what the
//! test result makes of it.

use omk_action::fact::*;
use omk_action::id::*;
use omk_action::plan::{Baseline, Network, RoomLevel};
use omk_action::proof::*;

use crate::proof::{commit, findings, gate, input, passed, seen, tree};

/// What could not be checked, a line each.
fn remarks(input: &Input, seen: &ProofContext) -> String {
    let checked = check(&prove(input).to_bytes(), seen);
    checked
        .remarks
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

/// A run whose gate was reused from another run's proof of `api`, and that proof.
fn reused() -> (Input, Input) {
    let mut origin = input();
    origin.gates[0].reuse = Some(Reuse {
        key: Sha256::of(b"all that it depends on"),
        from: None,
    });
    let mut claims = input();
    claims.gates[0].verdict = GateVerdict::Reused;
    claims.gates[0].reuse = Some(Reuse {
        key: Sha256::of(b"all that it depends on"),
        from: Some(ProofOrigin {
            run: origin.run.clone(),
            proof: "api".into(),
            commit: origin.result.commit.clone(),
        }),
    });
    (claims, origin)
}

fn with_origin(origin: &Input) -> ProofContext {
    let origins = [("20261122t185155z-4f2a9c/api".to_owned(), prove(origin))].into();
    ProofContext { origins, ..seen() }
}

#[test]
fn a_reused_verdict_holds_by_the_very_proof_that_it_comes_from() {
    let (claims, origin) = reused();
    assert_eq!(findings(&claims, &with_origin(&origin)), "");
    assert!(
        !remarks(&claims, &with_origin(&origin)).contains("reused"),
        "{}",
        remarks(&claims, &with_origin(&origin))
    );
    assert_eq!(
        findings(&claims, &seen()),
        "",
        "a proof that is not at hand is no fault"
    );
    assert!(
        remarks(&claims, &seen()).contains("20261122t185155z-4f2a9c/api"),
        "{}",
        remarks(&claims, &seen())
    );

    let changed: [(&str, fn(&mut Input)); 6] = [
        ("another gate", |origin| origin.gates[0].gate = gate("lint")),
        ("another command", |origin| {
            origin.gates[0].command = "true".into()
        }),
        ("other premises", |origin| {
            origin.gates[0].reuse.as_mut().unwrap().key = Sha256::of(b"other")
        }),
        ("it failed there", |origin| {
            origin.gates[0].verdict = GateVerdict::Failed
        }),
        ("it did not count there", |origin| {
            origin.gates[0].counts_as_passed = false
        }),
        ("another commit", |origin| {
            origin.result.commit = commit('d')
        }),
    ];
    for (what, change) in changed {
        let (claims, mut origin) = reused();
        change(&mut origin);
        let found = findings(&claims, &with_origin(&origin));
        assert!(
            found.contains("20261122t185155z-4f2a9c/api"),
            "{what}: {found}"
        );
    }
    let (claims, mut origin) = reused();
    origin.gates.push(passed("lint"));
    assert_eq!(
        findings(&claims, &with_origin(&origin)),
        "",
        "other gates there do not matter"
    );
    // Without a source there is nothing to go by.
    let (mut claims, _) = reused();
    claims.gates[0].reuse.as_mut().unwrap().from = None;
    assert_ne!(findings(&claims, &seen()), "");
}

#[test]
fn a_strict_plan_forgives_no_failure_and_finds_no_fault_with_what_passed() {
    let strict = || {
        let mut seen = seen();
        seen.plan.as_mut().unwrap().baseline = Baseline::Strict;
        seen
    };
    assert_eq!(findings(&input(), &strict()), "");
    let mut forgiven = input();
    (forgiven.gates[0].verdict, forgiven.gates[0].exit) = (GateVerdict::Failed, Some(1));
    forgiven.gates[0].against_base = Some(AgainstBase::PreExisting);
    assert_eq!(findings(&forgiven, &seen()), "");
    let not_allowed = "counts as passed by its baseline, which the plan does not allow";
    assert!(
        findings(&forgiven, &strict()).contains(not_allowed),
        "{}",
        findings(&forgiven, &strict())
    );
    forgiven.gates[0].counts_as_passed = false;
    assert!(
        !findings(&forgiven, &strict()).contains(not_allowed),
        "{}",
        findings(&forgiven, &strict())
    );
}

#[test]
fn a_log_is_missing_if_it_is_neither_here_nor_strange() {
    let log = "logs/api-1/gate-test-1.log".to_owned();
    assert!(
        !remarks(&input(), &seen()).contains("log"),
        "{}",
        remarks(&input(), &seen())
    );
    let none = ProofContext {
        logs: [].into(),
        ..seen()
    };
    assert!(
        remarks(&input(), &none).contains("1 log is not here"),
        "{}",
        remarks(&input(), &none)
    );
    let strange = ProofContext {
        logs: [].into(),
        strange_logs: [(log, "it is a link".to_owned())].into(),
        ..seen()
    };
    assert!(
        !remarks(&input(), &strange).contains("1 log is not here"),
        "{}",
        remarks(&input(), &strange)
    );
    assert!(findings(&input(), &strange).contains("it is a link"));
}

#[test]
fn a_proof_of_sixteen_mebibytes_is_read_and_one_byte_more_is_not() {
    let mut bytes = prove(&input()).to_bytes();
    bytes.resize(16 * 1024 * 1024, b' ');
    assert!(read(&bytes).is_ok());
    bytes.push(b' ');
    assert!(matches!(read(&bytes), Err(Unreadable::TooLarge)));
}

#[test]
fn the_room_is_told_with_networks_of_gates_though_no_task_had_one() {
    let network = |input: &Input| prove(input).predicate.room.network;
    assert_eq!(network(&input()), None);
    let mut with_gate = input();
    let containment = Containment {
        level: RoomLevel::Landlock,
        subreaper: true,
        why_not: None,
    };
    with_gate.gates[0].room = Some(GateRoom {
        containment,
        network: Network::None,
        refused_hosts: Vec::new(),
        unreached_hosts: Vec::new(),
    });
    assert_eq!(network(&with_gate).unwrap().gates.len(), 1);
    let mut with_task = input();
    with_task.networks = [("api".parse().unwrap(), Network::Model)].into();
    assert_eq!(network(&with_task).unwrap().tasks.len(), 1);
}

#[test]
fn each_gate_that_holds_a_result_is_told_as_failed_or_as_missing() {
    let unmet_of = |gates: Vec<GateOutcome>| {
        unmet(true, &gates, &[gate("test")], Some(&tree('2')), &tree('2'))
    };
    assert_eq!(unmet_of(vec![passed("test")]), []);
    assert_eq!(unmet_of(Vec::new()), [Unmet::Missing(gate("test"))]);
    let failed = GateOutcome {
        verdict: GateVerdict::Failed,
        counts_as_passed: false,
        ..passed("test")
    };
    assert_eq!(
        unmet_of(vec![failed]),
        [Unmet::NotPassed(gate("test"), GateVerdict::Failed)]
    );
    // It says that it counts; its verdict does not carry that.
    let lies = GateOutcome {
        verdict: GateVerdict::Failed,
        ..passed("test")
    };
    assert_eq!(
        unmet_of(vec![lies]),
        [Unmet::NotPassed(gate("test"), GateVerdict::Failed)]
    );
    let modest = GateOutcome {
        counts_as_passed: false,
        ..passed("test")
    };
    assert_eq!(
        unmet_of(vec![modest]),
        [Unmet::NotPassed(gate("test"), GateVerdict::Passed)]
    );
}

#[test]
fn the_test_result_warns_of_what_is_not_clean_and_fails_for_a_gate_that_is_missing() {
    let result = |input: &Input| test_result(input).expect("a gate ran").predicate;
    let mut old = input();
    (old.gates[0].verdict, old.gates[0].against_base) =
        (GateVerdict::Failed, Some(AgainstBase::PreExisting));
    assert_eq!(
        (result(&old).result, result(&old).warned_tests),
        (Verdict::Warned, vec!["test".to_owned()])
    );
    let mut flaky = input();
    flaky.gates[0].verdict = GateVerdict::Flaky;
    assert_eq!(
        (result(&flaky).result, result(&flaky).warned_tests),
        (Verdict::Warned, vec!["test".to_owned()])
    );
    let mut missing = input();
    missing.required.push(gate("lint"));
    assert_eq!(
        (result(&missing).result, result(&missing).failed_tests.len()),
        (Verdict::Failed, 0)
    );
    let mut failed = input();
    (failed.gates[0].verdict, failed.gates[0].counts_as_passed) = (GateVerdict::Failed, false);
    assert_eq!(
        (result(&failed).result, result(&failed).failed_tests.len()),
        (Verdict::Failed, 1)
    );
}
