//! Tests of `bundle::judged`.

use super::*;
use serde_json::json;

#[test]
fn no_judgement_makes_a_verdict_better_than_the_runs_own() {
    let others = [
        RunVerdict::Cancelled,
        RunVerdict::FailedInfra,
        RunVerdict::BlockedOnExternal,
        RunVerdict::BlockedOnHuman,
        RunVerdict::NeedsMoreBudget,
        RunVerdict::NotReady,
    ];
    let held = ProofStanding::Held(vec!["test".parse().expect("an id")]);
    for own in others {
        for standing in [&ProofStanding::Proven, &ProofStanding::Unproven, &held] {
            assert_eq!(lowered(own, standing), own, "{standing:?}");
        }
    }
    let below = |own| {
        [&ProofStanding::Proven, &ProofStanding::Unproven, &held]
            .map(|standing| lowered(own, standing))
    };
    assert_eq!(
        below(RunVerdict::Ready),
        [RunVerdict::Ready, RunVerdict::Neutral, RunVerdict::NotReady]
    );
    assert_eq!(
        below(RunVerdict::Neutral),
        [
            RunVerdict::Neutral,
            RunVerdict::Neutral,
            RunVerdict::NotReady
        ]
    );
}

/// Two gates that have much to say: one passed, one failed.
fn talkative() -> Judgement {
    let item = json!({"key": "k", "message": "m", "level": "error"});
    let hosts: Vec<String> = (0..9).map(|at| format!("{at}.example")).collect();
    let gate = |verdict: &str| {
        json!({"gate": "test", "command": "c".repeat(90), "required": true, "verdict": verdict,
                "counts_as_passed": verdict == "passed", "duration_ms": 1, "attempts": 1, "note": "n".repeat(90),
                "log": {"path": "logs/x.log", "sha256": "1".repeat(64), "bytes": 1, "head": "h", "tail": "t"},
                "failing": vec![&item; 30],
                "room": {"containment": {"level": "sealed", "subreaper": true}, "network": "open",
                    "refused_hosts": hosts, "unreached_hosts": hosts}})
    };
    let id = "1".repeat(40);
    let judgement = json!({"version": VERSION, "run": "20200101t000000z-000000", "base": {"commit": id, "tree": id},
            "landed": [], "plan": "1".repeat(64), "gates": [gate("passed"), gate("failed")], "verdict": "not_ready"});
    serde_json::from_value(judgement).expect("a judgement")
}

/// What is left of a gate: how much of its log, how many items and hosts, how long its note and
/// its command.
fn left(gate: &GateOutcome) -> [usize; 6] {
    let log = gate
        .log
        .as_ref()
        .map_or(0, |log| 1 + log.head.len() + log.tail.len());
    let room = gate.room.as_ref().expect("it ran in one");
    let length = |text: &str| text.chars().count();
    let hosts = [room.refused_hosts.len(), room.unreached_hosts.len()];
    [
        log,
        gate.failing.len(),
        hosts[0],
        hosts[1],
        length(&gate.note),
        length(&gate.command),
    ]
}

#[test]
fn a_judgement_loses_no_more_than_it_must_to_fit_and_the_least_that_matters_first() {
    let whole = talkative();
    let size = |judgement: &Judgement| serde_json::to_vec(judgement).expect("it is JSON").len();
    let mut fitted = whole.clone();
    let mut steps = Vec::new();
    loop {
        let most = size(&fitted);
        assert_eq!(fit(whole.clone(), most), fitted, "it fits to the byte");
        steps.push([left(&fitted.gates[0]), left(&fitted.gates[1])]);
        fitted = fit(whole.clone(), most - 1);
        if size(&fitted) == most {
            break;
        }
    }
    let all = [3, 30, 9, 9, 90, 90];
    let some = [1, 30, 9, 9, 90, 90];
    let items = |log| [log, 20, 9, 9, 90, 90];
    let expected = [
        [all; 2],
        [some, all],
        [items(1), items(3)],
        [items(1); 2],
        [[1, 0, 5, 5, 90, 90]; 2],
        [[0, 0, 0, 0, 80, 80]; 2],
    ];
    assert_eq!(steps, expected);
    assert_eq!(fitted.verdict, whole.verdict);
}
