//! Tests of `fact::logs`.

use super::*;
use serde_json::{Value, json};

fn log(path: &str) -> Value {
    json!({"path": path, "sha256": "0".repeat(64), "bytes": 0})
}

fn gate(path: Option<&str>) -> Value {
    json!({"gate": "test", "command": "true", "required": true, "verdict": "passed", "counts_as_passed": true,
            "duration_ms": 1, "attempts": 1, "log": path.map(log)})
}

#[test]
fn each_file_that_a_fact_names_is_one_of_its_logs() {
    let agent = json!({"kind": "kimi-code", "version": "1", "model": "m", "tokens": {"input": 1, "cached_input": 0,
            "output": 1}, "requests": 1, "resumed": false, "transcript": log("transcript"), "said": ""});
    let tip = json!({"commit": "1".repeat(40), "tree": "2".repeat(40)});
    for (fact, logs) in [
        (
            json!({"fact": "worked", "task": "a", "attempt": 1, "outcome": {"outcome": "unchanged"}, "evidence": {
                    "command": {"command": "true", "exit": 0, "log": log("command")}, "agent": agent,
                    "gates": [gate(Some("gate")), gate(None)], "duration_ms": 1}}),
            vec!["command", "transcript", "gate"],
        ),
        (
            json!({"fact": "judged", "prefix": 0, "tip": tip, "gates": [gate(Some("one")), gate(Some("two"))]}),
            vec!["one", "two"],
        ),
        (
            json!({"fact": "preflighted", "gates": [gate(Some("before"))]}),
            vec!["before"],
        ),
        (json!({"fact": "woke"}), vec![]),
    ] {
        let fact: Fact = serde_json::from_value(fact).expect("a fact");
        assert_eq!(
            fact.logs()
                .iter()
                .map(|log| log.path.as_str())
                .collect::<Vec<_>>(),
            logs,
            "{fact:?}"
        );
    }
}

#[test]
fn only_what_counts_answers_need_not_be_on_the_disk_at_once() {
    let tokens = json!({"input": 1, "cached_input": 0, "output": 0});
    for (fact, is_spending) in [
        (
            json!({"fact": "asked", "task": "a", "attempt": 1, "request": 0, "tokens": tokens}),
            true,
        ),
        (
            json!({"fact": "answered", "task": "a", "attempt": 1, "request": 0, "tokens": tokens, "estimated": false}),
            true,
        ),
        (json!({"fact": "limited", "limit": "tokens"}), false),
        (json!({"fact": "woke"}), false),
    ] {
        let fact: Fact = serde_json::from_value(fact).expect("a fact");
        assert_eq!(fact.is_spending(), is_spending, "{fact:?}");
    }
}
