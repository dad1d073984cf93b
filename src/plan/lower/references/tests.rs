//! What must be there and once, and who waits for whom.

use crate::plan::lower::tests::{check, check_task, said, takes};
use crate::plan::parse;

#[test]
fn what_plans_name_must_be_there_and_once() {
    let add = |kind: &str| format!("add a {kind} with this id, or remove the name");
    check_task(
        "dependencies: [zzz]",
        &format!(
            "task `a` needs `zzz`, which is not in this plan; {}",
            add("task")
        ),
    );
    check_task(
        "gates: [zzz]",
        &format!(
            "task `a` names the gate `zzz`, which is not in this plan; {}",
            add("gate")
        ),
    );
    check(
        "defaults: { gates: [zzz] }",
        &format!(
            "`defaults` names the gate `zzz`, which is not in this plan; {}",
            add("gate")
        ),
    );
    check(
        "gates: [{ id: g, run: g }]\ndefaults: { gates: [g, g] }",
        "`defaults` names `g` twice; remove one of the two",
    );
    check(
        "gates: [{ run: g }]",
        "this gate has no `id`; add one: `id: my-gate`",
    );
    check(
        "gates: [{ id: g }]",
        "gate `g` has no `run`; add the shell command that checks: `run: …`",
    );
    check(
        "gates: [g]",
        "a gate must be a map of keys, but this is text; its keys are `id`, `run`, `timeout`, `required`, `retries`, `inputs`, `fingerprint`, `trusted`, `report`, `env`, `network`, `exclusive`",
    );
    check(
        "gates: [{ id: g, run: g, fingerprint: x }]",
        "gate `g` has a `fingerprint` and no `inputs`; say what the gate reads: `inputs: [\"src/**\"]`; without it no verdict is reused",
    );
    takes(
        "gates: [{ id: g, run: g, inputs: [], fingerprint: {} }]",
        &["x"],
    );
    check(
        "gates: [{ id: g, run: g, report: { path: x } }]",
        "the report of gate `g` has no `format`; add it: `report: { format: junit, path: target/junit.xml }`",
    );
    check(
        "gates: [{ id: g, run: g, report: { format: sarif } }]",
        "the report of gate `g` has no `path`; add it: `report: { format: junit, path: target/junit.xml }`",
    );
    check(
        "gates: [{ id: g, run: g, report: { format: sarif, path: [] } }]",
        "the report of gate `g` has no `path`; name a file or a glob",
    );
    check(
        "commands: { bots: [{ id: 1 }] }",
        "this bot has no `login`; a bot is known by both: `{login: name[bot], id: 123}`",
    );
    check(
        "commands: { bots: [{ login: x }] }",
        "this bot has no `id`; a bot is known by both: `{login: name[bot], id: 123}`",
    );
    check(
        "prices: { input: 1, output: 1 }",
        "`prices` has no `cached_input`; add it, in USD per million tokens",
    );
    check_task(
        "metadata: { owner: x }",
        "metadata cannot have the key `owner`: the task's record has a field of that name; choose another name",
    );
    check_task(
        "metadata: { n: [{ x: 1e999 }] }",
        "the number `1e999` cannot be kept exactly; put it in quotes",
    );
    check_task(
        "metadata: { n: -9223372036854775809 }",
        "the number `-9223372036854775809` cannot be kept exactly; put it in quotes",
    );
    takes(
        "task metadata: { n: {} }",
        &[
            "-9223372036854775808",
            "18446744073709551615",
            "1e300",
            "~",
            "[]",
        ],
    );
    check_task(
        "needs: [b]",
        "task `a` has no key `needs`; did you mean `dependencies`?",
    );
    check("nmae: x", "a plan has no key `nmae`; did you mean `name`?");
    check(
        "limits: { zzz: 1 }",
        "`limits` has no key `zzz`; the keys here are `workers`, `time`, `tokens`, `usd`",
    );
}

#[test]
fn a_long_cycle_is_told_by_its_ends() {
    let cycle = |count: usize| {
        let mut text = String::from("version: 1\ntasks:\n");
        for index in 0..count {
            text.push_str(&format!(
                "  - {{ id: t{index}, run: x, dependencies: [t{}] }}\n",
                (index + 1) % count
            ));
        }
        said(parse(text.as_bytes(), "omk.yaml", "x"), "a cycle")
    };
    let names = |from: usize, to: usize| {
        (from..to)
            .map(|index| format!("t{index}"))
            .collect::<Vec<_>>()
            .join(" -> ")
    };
    let expect = |path: &str| {
        format!("tasks wait for each other: {path} -> t0; remove one of these dependencies")
    };
    assert_eq!(cycle(1), expect("t0"));
    assert_eq!(cycle(20), expect(&names(0, 20)));
    assert_eq!(
        cycle(21),
        expect(&format!(
            "{} -> … 1 more … -> {}",
            names(0, 10),
            names(11, 21)
        ))
    );
    assert_eq!(
        cycle(30),
        expect(&format!(
            "{} -> … 10 more … -> {}",
            names(0, 10),
            names(20, 30)
        ))
    );
}

#[test]
fn a_cycle_is_told_without_the_way_to_it() {
    let text = "version: 1\ntasks:
  - { id: a, run: x, dependencies: [d, b] }
  - { id: b, run: x, dependencies: [c] }
  - { id: c, run: x, dependencies: [d, b] }
  - { id: d, run: x }\n";
    let expect = "tasks wait for each other: b -> c -> b; remove one of these dependencies";
    assert_eq!(
        said(parse(text.as_bytes(), "omk.yaml", "x"), "a cycle"),
        expect
    );
}
