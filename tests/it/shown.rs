//! What people see of rooms, refusals and failed commands: the same facts in each rendering of a
//! run.
//!
//! It refuses to look at one rendering alone: what one shows, all must.

use omk_action::fact::{
    Class, CommandEvidence, Containment, Failure, GateRoom, GateVerdict, LogEvidence, RunVerdict,
};
use omk_action::id::Sha256;
use omk_action::plan::{Network, RoomLevel};
use omk_action::report::terminal::{Colour, summary};
use omk_action::report::{Placed, TaskStage, View, check, html, json, junit, markdown, sticky};

use crate::deliver_sample::{gate, landed, request, task, view};
use crate::world::World;

/// Each text in which a run is shown, by name.
fn renderings(view: &View) -> Vec<(&'static str, String)> {
    let request = request();
    vec![
        ("terminal", summary(view, Colour::Off)),
        ("report.md", markdown::render(view, markdown::COMMENT_LIMIT)),
        (
            "job summary",
            markdown::render(view, markdown::SUMMARY_LIMIT),
        ),
        ("comment", sticky::ended(&request, view, &Placed::default())),
        (
            "check",
            check::ended(&request, view, &Placed::default()).summary,
        ),
        ("report.html", html::render(view)),
        ("JSON", json::render(view)),
    ]
}

#[track_caller]
fn each_says(view: &View, words: &[&str]) {
    for (name, text) in renderings(view) {
        for word in words {
            assert!(text.contains(word), "{name} does not say {word:?}:\n{text}");
        }
    }
}

/// A run whose children had that room.
fn in_room(level: RoomLevel, why_not: Option<&str>) -> View {
    let mut view = view(
        &request(),
        RunVerdict::Ready,
        vec![task("api", landed('1'))],
    );
    view.room_exceptions = omk_action::report::room::exceptions(level);
    view.containment = Some(Containment {
        level,
        subreaper: true,
        why_not: why_not.map(ToOwned::to_owned),
    });
    view
}

#[test]
fn a_sealed_room_is_a_quiet_word() {
    let view = in_room(RoomLevel::Sealed, None);
    for (name, text) in renderings(&view) {
        assert!(text.contains("sealed"), "{name}: {text}");
        assert!(
            !text.contains("omk doctor") && !text.contains("exceptions"),
            "{name} warns: {text}"
        );
    }
    insta::assert_snapshot!(summary(&view, Colour::Off), @"
      ✓ api  completed   1m 35s  1 file

      ✓ gate test   1m 01s  passed

      room: sealed
    ✓ pr-12: ready (1 of 1 task completed, 12m 04s, 435k tokens, $0.16)
      look: git diff bbbbbbbbbbbb omk/run/pr-12
      take: git merge omk/run/pr-12
    ");
}

#[test]
fn a_room_of_level_landlock_names_its_exceptions_and_the_reason() {
    let view = in_room(
        RoomLevel::Landlock,
        Some("make namespaces: Operation not permitted"),
    );
    let exceptions = omk_action::report::room::exceptions(RoomLevel::Landlock);
    let names: Vec<&str> = exceptions.iter().map(String::as_str).collect();
    assert_eq!(names.len(), 8);
    each_says(&view, &names);
    each_says(
        &view,
        &["landlock", "make namespaces: Operation not permitted"],
    );
    insta::assert_snapshot!(summary(&view, Colour::Off), @"
      ✓ api  completed   1m 35s  1 file

      ✓ gate test   1m 01s  passed

    warning: The children's room was of level landlock, not sealed (make namespaces: Operation not permitted). Landlock alone does not hold: metadata, network seen, private files, processes seen, scheduling of processes (not as root), shared memory, sockets by name, terminals. SECURITY.md explains each; `omk doctor` says what to do.

    ✓ pr-12: ready (1 of 1 task completed, 12m 04s, 435k tokens, $0.16)
      look: git diff bbbbbbbbbbbb omk/run/pr-12
      take: git merge omk/run/pr-12
    ");
}

#[test]
fn no_room_at_all_is_a_warning_with_its_reason() {
    let view = in_room(RoomLevel::None, Some("this kernel has no Landlock"));
    each_says(&view, &["none", "this kernel has no Landlock"]);
}

#[test]
fn a_failed_command_shows_its_exit_its_words_and_its_output() {
    let output = "checking\nline 7 is `wrong`\n";
    let mut fmt = task("fmt", TaskStage::Failed);
    fmt.failure = Some(Failure::new(
        Class::Command,
        "command `make fmt` exited with 3",
    ));
    fmt.command = Some(CommandEvidence {
        command: "make fmt".to_owned(),
        exit: Some(3),
        log: LogEvidence {
            path: "logs/fmt/1/command.log".to_owned(),
            sha256: Sha256::of(output.as_bytes()),
            bytes: output.len() as u64,
            head: output.to_owned(),
            tail: String::new(),
        },
    });
    fmt.gates.clear();
    let mut view = view(&request(), RunVerdict::NotReady, vec![fmt]);
    view.gates.clear();
    each_says(&view, &["make fmt", "line 7 is `wrong`", "fmt"]);
    let report = markdown::render(&view, markdown::COMMENT_LIMIT);
    assert!(
        report.contains("<summary>fmt: command failed (exit 3)</summary>"),
        "{report}"
    );
    insta::assert_snapshot!(junit::render(&view), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="omk nightly" tests="1" failures="1" errors="0" skipped="0" time="724.000">
      <testsuite name="fmt" tests="1" failures="1" errors="0" skipped="0" time="95.000">
        <testcase classname="omk.fmt" name="task" time="95.000">
          <failure message="command `make fmt` exited with 3">command `make fmt` exited with 3&#10;&#10;checking&#10;line 7 is `wrong`&#10;</failure>
        </testcase>
      </testsuite>
    </testsuites>
    "#);
    insta::assert_snapshot!(summary(&view, Colour::Off), @"
      ✗ fmt  failed      1m 35s  command `make fmt` exited with 3

    fmt: command `make fmt` exited with 3
        │ checking
        │ line 7 is `wrong`
        log: logs/fmt/1/command.log

      room: sealed
    ✗ pr-12: not ready (0 of 1 task completed, 1 failed, 12m 04s, 435k tokens, $0.16)
      look:      git diff bbbbbbbbbbbb omk/run/pr-12
      try again: omk retry
    ");
}

#[test]
fn what_a_gates_network_refused_stands_beside_its_verdict() {
    let mut test = gate("test", GateVerdict::Failed);
    test.counts_as_passed = false;
    test.room = Some(GateRoom {
        containment: Containment {
            level: RoomLevel::Sealed,
            subreaper: true,
            why_not: None,
        },
        network: Network::Allow(vec!["index.example.com".parse().unwrap()]),
        refused_hosts: (0..7).map(|at| format!("host-{at}.example.com")).collect(),
        unreached_hosts: vec!["index.example.com (it does not answer)".to_owned()],
    });
    let mut view = view(
        &request(),
        RunVerdict::NotReady,
        vec![task("api", landed('1'))],
    );
    view.gates = vec![test];
    each_says(
        &view,
        &[
            "host-0.example.com",
            "host-4.example.com",
            "index.example.com (it does not answer)",
        ],
    );
    for (name, text) in renderings(&view)
        .into_iter()
        .filter(|(name, _)| *name != "JSON")
    {
        assert!(text.contains("and 2 more"), "{name}: {text}");
        assert!(
            text.contains("its network could not reach index.example.com"),
            "{name}: {text}"
        );
    }
    let scrubbed = view.scrubbed(&|text: &str| text.replace("host-0", "***"));
    assert!(!json::render(&scrubbed).contains("host-0"));
}

#[test]
fn a_gate_that_failed_without_a_network_says_so_and_one_that_passed_does_not() {
    let without = |verdict: GateVerdict| {
        let mut test = gate("test", verdict);
        test.counts_as_passed = verdict == GateVerdict::Passed;
        test.room = Some(GateRoom {
            containment: Containment {
                level: RoomLevel::Sealed,
                subreaper: true,
                why_not: None,
            },
            network: Network::None,
            refused_hosts: Vec::new(),
            unreached_hosts: Vec::new(),
        });
        let mut view = view(
            &request(),
            RunVerdict::NotReady,
            vec![task("api", landed('1'))],
        );
        view.gates = vec![test];
        view
    };
    for (name, text) in renderings(&without(GateVerdict::Failed))
        .into_iter()
        .filter(|(name, _)| *name != "JSON")
    {
        assert!(text.contains("its room had no network"), "{name}: {text}");
    }
    for (name, text) in renderings(&without(GateVerdict::Passed)) {
        assert!(!text.contains("no network"), "{name}: {text}");
    }
}

#[test]
fn a_command_that_failed_in_a_room_without_a_network_says_what_was_closed() {
    let world = World::with(
        "room: { network: { tasks: none, gates: none } }\n\
         gates: [{ id: online, run: getent hosts a.example }]\n\
         tasks:\n  - { id: one, retry_policy: { max_attempts: 0 }, run: getent hosts a.example }\n\
         \x20 - { id: two, retry_policy: { max_attempts: 0 }, gates: [online], run: 'echo 2 > two.txt', write_set: [two.txt] }\n",
    );
    let said = world.run();
    if said.err.contains("cannot") && world.runs().is_empty() {
        // This machine cannot close a network.
        return;
    }
    let closed = "exited with 2; its room had no network";
    said.exits(1)
        .says(&format!("command `getent hosts a.example` {closed}"))
        .says(&format!("(`getent hosts a.example`) {closed}"));
    for report in ["report.md", "report.html", "junit.xml"] {
        let text = std::fs::read_to_string(world.run_dir().join(report)).unwrap();
        assert!(text.contains(closed), "{report}: {text}");
    }
}

#[test]
fn a_program_that_is_not_found_comes_with_what_slots_and_paths_hold() {
    let world = World::with(
        "gates: [{ id: test, run: .venv/bin/python -m unittest }]\n\
         tasks:\n  - { id: one, retry_policy: { max_attempts: 0 }, run: no-such-tool }\n\
         \x20 - { id: two, retry_policy: { max_attempts: 0 }, gates: [test], run: 'echo 2 > two.txt', write_set: [two.txt] }\n",
    );
    let said = world.run().exits(1);
    let hint = "hint: a program was not found: slots hold committed files only";
    assert_eq!(said.out.matches(hint).count(), 2, "{}", said.out);
    for failed in ["one", "two"] {
        assert!(
            world.failures(failed)[0]
                .advice
                .as_ref()
                .unwrap()
                .contains("PATH alone"),
            "{failed}"
        );
    }
    // The log is found from wherever people are.
    let log = world.run_dir().join("logs/two/1/gate-test-1.log");
    assert!(log.is_file(), "{}", log.display());
    said.says(&format!("log: {}", log.display()));
    world
        .omk(&["status"])
        .exits(0)
        .says(&format!("log: {}", log.display()));
}

/// Asks the proxy of its room for a host, as tools do, and fails.
const ASKS: &str =
    "python3 -c 'import urllib.request as r; r.urlopen(\"https://refused.example/\", timeout=20)'";

#[test]
fn a_host_that_the_network_refused_is_named_with_the_command_that_failed() {
    let world = World::with(&format!(
        "room: {{ network: {{ tasks: {{ allow: [allowed.example] }} }} }}\n\
         tasks:\n  - {{ id: one, retry_policy: {{ max_attempts: 0 }}, run: \"{}\" }}\n",
        ASKS.replace('"', "\\\"")
    ));
    let said = world.run().exits(1);
    if world.classes("one") != [Class::Command] {
        // This machine cannot close a network.
        return;
    }
    let message = world.failures("one").remove(0).message;
    let first = message.lines().next().unwrap();
    assert!(
        first.starts_with("command `python3")
            && first.ends_with("; its network refused refused.example"),
        "{message}"
    );
    said.says("its network refused refused.example");
    for report in ["report.md", "report.html", "junit.xml"] {
        let text = std::fs::read_to_string(world.run_dir().join(report)).unwrap();
        assert!(
            text.contains("its network refused refused.example"),
            "{report}: {text}"
        );
    }
    assert_eq!(
        world.report()["tasks"][0]["refused_hosts"][0],
        "refused.example"
    );
}

#[test]
fn a_host_that_the_network_refused_is_named_with_the_gate_that_failed() {
    let world = World::with(&format!(
        "gates:\n  - {{ id: online, network: {{ allow: [allowed.example] }}, run: \"{}\" }}\n\
         tasks:\n  - {{ id: one, retry_policy: {{ max_attempts: 1, backoff_seconds: 0 }}, gates: [online], run: \
         'echo 1 > one.txt', write_set: [one.txt] }}\n",
        ASKS.replace('"', "\\\"")
    ));
    let said = world.run().exits(1);
    if world.classes("one").first() != Some(&Class::Gate) {
        return;
    }
    let message = world.failures("one").remove(0).message;
    assert!(
        message
            .lines()
            .next()
            .unwrap()
            .ends_with("exited with 1; its network refused refused.example"),
        "{message}"
    );
    // A line for the gate, and one for the attempt.
    said.says("gate online failed (exit 1) in")
        .says("its network refused refused.example");
    for report in ["report.md", "report.html", "junit.xml"] {
        let text = std::fs::read_to_string(world.run_dir().join(report)).unwrap();
        assert!(
            text.contains("its network refused refused.example"),
            "{report}: {text}"
        );
    }
}

#[test]
fn a_proof_says_what_was_open_to_each_task_and_gate() {
    let world = World::with(
        "room: { network: { gates: none } }\n\
         gates:\n  - { id: test, run: test -e one.txt }\n  - { id: online, run: 'true', network: open }\n\
         tasks: [{ id: one, run: 'echo 1 > one.txt', write_set: [one.txt], gates: [test, online] }]\n",
    );
    let said = world.run();
    if world.classes("one") == [Class::Config] {
        // This machine cannot close a network.
        return;
    }
    said.exits(0);
    for proof in ["one", "run.result"] {
        let text =
            std::fs::read_to_string(world.run_dir().join(format!("proofs/{proof}.json"))).unwrap();
        let proof: serde_json::Value = serde_json::from_str(&text).unwrap();
        let network = &proof["predicate"]["room"]["network"];
        let expected = serde_json::json!({ "tasks": { "one": "open" }, "gates": { "test": "none", "online": "open" } });
        assert_eq!(*network, expected, "{text}");
    }
    world.omk(&["verify"]).exits(0);
}
