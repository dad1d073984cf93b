//! Tests of `history`.

use super::*;
use crate::fact::Fact;
use crate::fact::{GateRoom, Outcome};
use crate::plan::RoomLevel;

fn tokens(input: u64) -> Tokens {
    Tokens {
        input,
        ..Tokens::default()
    }
}

/// What is known to be spent after each of these facts: (tokens, millionths of a USD).
fn spent(facts: Vec<Fact>) -> Vec<(u64, Option<u64>)> {
    let mut history = History::default();
    facts
        .into_iter()
        .map(|fact| {
            history.take(Moment::from_millis(0), &fact, &[]);
            (history.tokens().total(), history.cost_micro_usd())
        })
        .collect()
}

fn asked(attempt: u32, request: u64, input: u64) -> Fact {
    let task = "talk".parse().expect("an id");
    Fact::Asked {
        task,
        attempt,
        request,
        tokens: tokens(input),
        cost_micro_usd: Some(input),
    }
}

fn answered(attempt: u32, request: u64, input: u64) -> Fact {
    let task = "talk".parse().expect("an id");
    let tokens = tokens(input);
    Fact::Answered {
        task,
        attempt,
        request,
        tokens,
        estimated: false,
        cost_micro_usd: Some(input),
    }
}

fn worked(attempt: u32, agent: Option<u64>) -> Fact {
    let agent = agent.map(|input| {
        let plan = Agent::default();
        let cost = Cost {
            tokens: tokens(input),
            cost_micro_usd: Some(input),
            estimated: false,
        };
        Spent::Counted(BTreeMap::from([(0, cost)])).evidence(&plan)
    });
    let evidence = Box::new(Evidence {
        agent,
        ..Evidence::default()
    });
    Fact::Worked {
        task: "talk".parse().expect("an id"),
        attempt,
        outcome: Outcome::Interrupted,
        evidence,
    }
}

#[test]
fn a_request_counts_from_when_it_is_sent_and_its_answer_in_its_place() {
    let facts = vec![
        asked(1, 0, 50),
        answered(1, 0, 30),
        asked(1, 1, 60),
        asked(1, 2, 5),
        answered(1, 2, 0),
    ];
    let counts: Vec<u64> = spent(facts).into_iter().map(|(tokens, _)| tokens).collect();
    assert_eq!(counts, [50, 30, 90, 95, 90]);
}

#[test]
fn what_an_attempt_says_in_the_end_takes_the_place_of_its_requests_and_of_no_other_attempts() {
    // The first attempt died with omk; the last could not say what it used.
    let facts = vec![
        answered(1, 0, 7),
        answered(2, 0, 30),
        worked(2, Some(31)),
        answered(2, 0, 30),
        asked(3, 0, 100),
        worked(3, None),
    ];
    let counts = spent(facts);
    assert_eq!(
        counts.iter().map(|(tokens, _)| *tokens).collect::<Vec<_>>(),
        [7, 37, 38, 38, 138, 138]
    );
    assert!(
        counts.iter().all(|(tokens, cost)| *cost == Some(*tokens)),
        "{counts:?}"
    );
}

/// A place where children ran, and how to say that its one child ran at that level.
type Ran = fn(Containment) -> Fact;

fn gate(containment: Containment) -> Vec<GateOutcome> {
    let room = GateRoom {
        containment,
        network: crate::plan::Network::Open,
        refused_hosts: Vec::new(),
        unreached_hosts: Vec::new(),
    };
    let outcome = serde_json::json!({
        "gate": "test", "command": "true", "required": true, "verdict": "passed", "counts_as_passed": true, "exit": 0,
        "duration_ms": 1, "attempts": 1, "failing": [], "failing_total": 0, "note": "",
    });
    let outcome: GateOutcome = serde_json::from_value(outcome).expect("an outcome");
    vec![GateOutcome {
        room: Some(room),
        ..outcome
    }]
}

#[test]
fn a_run_is_as_confined_as_its_least_confined_child_wherever_that_ran() {
    let worked = |evidence: Evidence| Fact::Worked {
        task: "talk".parse().expect("an id"),
        attempt: 1,
        outcome: Outcome::Interrupted,
        evidence: Box::new(evidence),
    };
    let log = || crate::fact::LogEvidence {
        path: String::new(),
        sha256: crate::id::Sha256::of(b""),
        bytes: 0,
        head: String::new(),
        tail: String::new(),
    };
    let command = |containment| {
        let command = crate::fact::CommandEvidence {
            command: "x".to_owned(),
            exit: Some(0),
            log: log(),
        };
        worked(Evidence {
            command: Some(command),
            containment,
            ..Evidence::default()
        })
    };
    let of_task = |containment| {
        worked(Evidence {
            gates: gate(containment),
            ..Evidence::default()
        })
    };
    let on_base: Ran = |containment| Fact::Preflighted {
        gates: gate(containment),
        trouble: None,
    };
    let on_result: Ran = |containment| {
        let id = "0".repeat(40);
        let tip = Tip {
            commit: id.parse().expect("an id"),
            tree: id.parse().expect("an id"),
        };
        Fact::Judged {
            prefix: 1,
            tip,
            gates: gate(containment),
            trouble: None,
        }
    };
    // One attempt, whose command and whose gate ran in different rooms.
    let attempt = |work, judged| {
        let Fact::Worked { mut evidence, .. } = command(work) else {
            return None;
        };
        evidence.gates = gate(judged);
        evidence.room()
    };
    let places: [&dyn Fn(Containment) -> Fact; 4] = [&command, &of_task, &on_base, &on_result];
    let at = |level, subreaper| Containment {
        level,
        subreaper,
        why_not: None,
    };
    let (strong, weak) = (at(RoomLevel::Sealed, true), at(RoomLevel::Landlock, false));
    assert_eq!(attempt(strong.clone(), weak.clone()), Some(weak.clone()));
    assert_eq!(attempt(weak.clone(), strong.clone()), Some(weak.clone()));
    for (first, one) in places.iter().enumerate() {
        for other in &places {
            for facts in [
                [one(weak.clone()), other(strong.clone())],
                [one(strong.clone()), other(weak.clone())],
            ] {
                let mut history = History::default();
                for fact in facts {
                    history.take(Moment::from_millis(0), &fact, &[]);
                }
                assert_eq!(history.containment, Some(weak.clone()), "{first}");
            }
        }
    }
}
