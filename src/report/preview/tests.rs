//! Previews of small plans in full, and of large ones in time.

use proptest::prelude::*;

use super::*;
use crate::plan::WriteSet;

/// A plan of `tasks`, as YAML without its first line.
fn plan(tasks: &str) -> Plan {
    let text = format!("version: 1\nname: nightly\n{tasks}");
    crate::plan::parse(text.as_bytes(), "omk.yaml", "nightly")
        .unwrap_or_else(|complaints| panic!("{complaints}"))
}

fn nightly() -> Preview {
    Preview::of(&plan(
        "limits: { workers: 2, time: 1h, tokens: 5000, usd: 1.5 }
prices: { input: 1, cached_input: 1, output: 1 }
gates: [{ id: test, run: make test }]
tasks:
  - { id: docs, name: Write the docs, prompt: x, read_set: [src/**], write_set: [docs/**] }
  - { id: api, prompt: x, dependencies: [deps], write_set: ['src/api/**', src/api.rs], priority: 10 }
  - { id: deps, run: make, write_set: [Cargo.lock], retry_policy: { max_attempts: 0 } }
  - { id: cli, run: make, dependencies: [deps], write_set: ['src/*.rs'], when: { events: [schedule] } }
  - { id: release, run: make, dependencies: [api, docs] }
",
    ))
}

#[test]
fn a_terminal_shows_order_waves_and_overlaps() {
    insta::assert_snapshot!(nightly().terminal(), @"
    nightly: 5 tasks, up to 13 executions
    limits: 2 workers, 1h 00m, 5000 tokens, 1.50 USD

       task     priority  executions  after      name
    1  deps            0  1
    2  api            10  up to 3     deps
    3  docs            0  up to 3                Write the docs
    4  cli             0  up to 3     deps       (conditional)
    5  release         0  up to 3     api, docs

    3 waves, if there are workers enough:
      1. docs, deps
      2. api, cli
      3. release

    critical path, 3 tasks:
      deps -> api -> release

    3 overlaps, never at the same time:
      api and docs: src/api/** is written, src/** is read
      api and cli: src/api.rs and src/*.rs are written
      docs and cli: src/** is read, src/*.rs is written

    without a write_set, so conflicts show only when landing: release

    gates of no task, which judge only the result: test

    tasks without a gate, whose changes are judged only in the result: docs, api, deps, cli, release
    ");
}

#[test]
fn a_terminal_shows_what_children_may_reach_unless_it_is_usual() {
    let shown = |keys: &str, task: &str| {
        let text = format!("{keys}\ntasks: [{{ id: api, prompt: x{task} }}]\n");
        let text = Preview::of(&plan(&text)).terminal();
        let upper = text
            .lines()
            .skip(1)
            .take_while(|line| !line.is_empty() && !line.starts_with("no required"));
        upper.collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(
        shown(
            "gates: [{ id: test, run: x, network: open }]\n\
             room: { level: landlock, network: { gates: { allow: [example.com, cdn.example.com] } }, docker: true }",
            ", network: { allow: [docs.rs] }",
        ),
        @"
    room: level landlock at least, with Docker
    network: agents model; gates only example.com, cdn.example.com; commands open
      gate test: open
      task api: only docs.rs
      `docker: true` opens every network: who reaches Docker's socket is root
    "
    );
    insta::assert_snapshot!(shown("room: { level: sealed }", ""), @"
    room: level sealed
    network: agents model; gates open; commands open
    ");
    insta::assert_snapshot!(shown("room: { level: best }", ""), @"");
    insta::assert_snapshot!(
        shown("gates: [{ id: test, run: x }]\nroom: { level: none, network: { gates: none }, docker: true }", ""),
        @"
        room: level none at least, with Docker
        network: agents model; gates none; commands open
          `level: none` accepts machines that cannot close a network: there, all of it is open
          `docker: true` opens every network: who reaches Docker's socket is root
        "
    );
}

#[test]
fn json_holds_everything() {
    insta::assert_snapshot!(nightly().json(), @r#"
    {
      "plan": "nightly",
      "tasks": [
        {
          "id": "deps",
          "name": "deps",
          "kind": "run",
          "priority": 0,
          "dependencies": [],
          "wave": 1,
          "chain": 2,
          "executions": 1,
          "write_set_declared": true,
          "conditional": false
        },
        {
          "id": "api",
          "name": "api",
          "kind": "prompt",
          "priority": 10,
          "dependencies": [
            "deps"
          ],
          "wave": 2,
          "chain": 1,
          "executions": 3,
          "write_set_declared": true,
          "conditional": false
        },
        {
          "id": "docs",
          "name": "Write the docs",
          "kind": "prompt",
          "priority": 0,
          "dependencies": [],
          "wave": 1,
          "chain": 1,
          "executions": 3,
          "write_set_declared": true,
          "conditional": false
        },
        {
          "id": "cli",
          "name": "cli",
          "kind": "run",
          "priority": 0,
          "dependencies": [
            "deps"
          ],
          "wave": 2,
          "chain": 0,
          "executions": 3,
          "write_set_declared": true,
          "conditional": true
        },
        {
          "id": "release",
          "name": "release",
          "kind": "run",
          "priority": 0,
          "dependencies": [
            "api",
            "docs"
          ],
          "wave": 3,
          "chain": 0,
          "executions": 3,
          "write_set_declared": false,
          "conditional": false
        }
      ],
      "waves": [
        [
          "docs",
          "deps"
        ],
        [
          "api",
          "cli"
        ],
        [
          "release"
        ]
      ],
      "overlaps": {
        "total": 3,
        "exact": true,
        "listed": [
          {
            "first": "api",
            "second": "docs",
            "kind": "first-writes",
            "first_glob": "src/api/**",
            "second_glob": "src/**"
          },
          {
            "first": "api",
            "second": "cli",
            "kind": "both-write",
            "first_glob": "src/api.rs",
            "second_glob": "src/*.rs"
          },
          {
            "first": "docs",
            "second": "cli",
            "kind": "second-writes",
            "first_glob": "src/**",
            "second_glob": "src/*.rs"
          }
        ]
      },
      "critical_path": [
        "deps",
        "api",
        "release"
      ],
      "executions": 13,
      "limits": {
        "workers": 2,
        "time_seconds": 3600,
        "tokens": 5000,
        "usd": 1.5
      },
      "room": {
        "least": null,
        "agent": "model",
        "gates": "open",
        "tasks": "open",
        "docker": false,
        "exceptions": []
      },
      "required_gates": 1,
      "unused_gates": [
        {
          "id": "test",
          "required": true
        }
      ],
      "ungated": [
        "docs",
        "api",
        "deps",
        "cli",
        "release"
      ]
    }
    "#);
}

#[test]
fn mermaid_draws_arrows_and_overlaps() {
    insta::assert_snapshot!(nightly().mermaid(), @r#"
    flowchart LR
      t0["deps"]
      t1["api"]
      t2["docs"]
      t3["cli"]
      t4["release"]
      t0 --> t1
      t0 --> t3
      t1 --> t4
      t2 --> t4
      t1 -. overlap .- t2
      t1 -. overlap .- t3
      t2 -. overlap .- t3
    "#);
}

#[test]
fn dot_draws_the_same() {
    insta::assert_snapshot!(nightly().dot(), @r#"
    digraph "nightly" {
      rankdir=LR;
      node [shape=box];
      "deps";
      "api";
      "docs";
      "cli";
      "release";
      "deps" -> "api";
      "deps" -> "cli";
      "api" -> "release";
      "docs" -> "release";
      "api" -> "docs" [style=dashed, dir=none];
      "api" -> "cli" [style=dashed, dir=none];
      "docs" -> "cli" [style=dashed, dir=none];
    }
    "#);
}

#[test]
fn a_name_cannot_paint_the_terminal() {
    let shown = Preview::of(&plan(
        "tasks: [{ id: a, name: \"\\e[31mred\\u202e\", run: x }]",
    ))
    .terminal();
    assert!(shown.contains("[U+001B][31mred[U+202E]"), "{shown}");
}

#[test]
fn tasks_in_line_never_overlap() {
    let shown = Preview::of(&plan(
        "tasks:
  - { id: a, run: x, write_set: [src] }
  - { id: b, run: x, dependencies: [a] }
  - { id: c, run: x, dependencies: [b], write_set: [src/a] }
",
    ));
    assert_eq!((shown.overlaps.total, shown.overlaps.listed.len()), (0, 0));
}

#[test]
fn braces_are_found_below_each_of_their_prefixes() {
    let overlaps = Preview::of(&plan(
        "tasks:
  - { id: a, run: x, write_set: ['{src,tests/it}/*.rs'] }
  - { id: b, run: x, write_set: [tests/it/a.rs] }
  - { id: c, run: x, read_set: [src] }
",
    ))
    .overlaps;
    let pairs: Vec<_> = overlaps
        .listed
        .iter()
        .map(|pair| (pair.first.as_str(), pair.second.as_str()))
        .collect();
    assert_eq!(pairs, [("a", "b"), ("a", "c")]);
}

/// A plan of many tasks, made without going through YAML for each.
fn many(tasks: usize, write_set: impl Fn(usize) -> String) -> Plan {
    let mut plan = plan("tasks: [{ id: t0, run: x }]");
    let first = plan.tasks[0].clone();
    plan.tasks = (0..tasks)
        .map(|at| Task {
            id: format!("t{at}").parse().expect("an id"),
            dependencies: (at % 10 != 0)
                .then(|| format!("t{}", at - 1).parse().expect("an id"))
                .into_iter()
                .collect(),
            write_set: WriteSet::Declared(vec![write_set(at).parse().expect("a glob")]),
            ..first.clone()
        })
        .collect();
    plan
}

#[test]
fn ten_thousand_tasks_with_the_same_paths_are_counted() {
    let preview = Preview::of(&many(10_000, |_| "src/**".into()));
    // All pairs but those inside a chain of ten.
    assert_eq!(preview.overlaps.total, 10_000 * 9_999 / 2 - 1_000 * 45);
    assert!(preview.overlaps.exact);
    assert_eq!(preview.overlaps.listed.len(), 100);
    assert_eq!(preview.critical_path.len(), 10);
}

#[test]
fn ten_thousand_tasks_with_paths_of_their_own_do_not_overlap() {
    let overlaps = Preview::of(&many(10_000, |at| format!("src/{at}/**"))).overlaps;
    assert_eq!((overlaps.total, overlaps.exact), (0, true));
}

#[test]
fn a_hostile_plan_gets_at_least() {
    let overlaps = Preview::of(&many(3_000, |at| format!("**/*a{at}*"))).overlaps;
    assert!(!overlaps.exact && overlaps.total > 0);
}

#[test]
fn a_hundred_hostile_globs_do_not_take_for_ever() {
    let hostile = |at| format!("{}*{}{at}", "{*a,?a}".repeat(8), "*a".repeat(20));
    let overlaps = Preview::of(&many(100, hostile)).overlaps;
    assert!(!overlaps.exact && overlaps.total > 0);
}

proptest! {
    #[test]
    fn the_index_finds_what_comparing_all_pairs_finds(
        sets in prop::collection::vec(("(a|b|\\*\\*|\\{a,b/a\\}|\\*)(/(a|b|\\*)){0,2}", "(a|b)(/(a|b|\\*\\*)){0,2}", any::<bool>()), 1..9),
    ) {
        let mut plan = plan("tasks: [{ id: t0, run: x }]");
        let first = plan.tasks[0].clone();
        plan.tasks = sets.iter().enumerate().map(|(at, (write, read, depends))| Task {
            id: format!("t{at}").parse().expect("an id"),
            dependencies: (*depends && at > 0).then(|| format!("t{}", at - 1).parse().expect("an id")).into_iter().collect(),
            write_set: WriteSet::Declared(vec![write.parse().expect("a glob")]),
            read_set: vec![read.parse().expect("a glob")],
            ..first.clone()
        }).collect();
        let mut pairs = 0;
        for (second, (write, read, _)) in sets.iter().enumerate() {
            for (first, (other_write, other_read, _)) in sets[..second].iter().enumerate() {
                // Each task depends on the one before it, or on none.
                let related = sets[first + 1..=second].iter().all(|(_, _, depends)| *depends);
                let glob = |text: &str| text.parse::<crate::glob::Glob>().expect("a glob");
                let meets = glob(write).intersects(&glob(other_write))
                    || glob(write).intersects(&glob(other_read))
                    || glob(read).intersects(&glob(other_write));
                pairs += usize::from(meets && !related);
            }
        }
        let overlaps = Preview::of(&plan).overlaps;
        prop_assert_eq!(overlaps.total, pairs);
        prop_assert_eq!(overlaps.listed.len(), pairs);
        prop_assert!(overlaps.listed.iter().all(|pair| !pair.first_glob.is_empty()));
    }
}
