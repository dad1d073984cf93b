//! Gates side by side: how many at once, each in a checkout of its own, in which order, and what
//! ends them.

use omk_action::fact::{Fact, GateOutcome, GateVerdict, RunVerdict};

use crate::bundle_world::Ran;
use crate::meeting::{Guest, Meeting, names};
use crate::world::{Running, World};

const ONE: &str = "tasks: [{ id: one, run: echo 1 > one.txt, write_set: [one.txt] }]";

/// A world in which task `one` has these gates.
fn world(workers: u32, gates: &[String], more: &str) -> World {
    let listed: String = gates.iter().map(|gate| format!("  - {gate}\n")).collect();
    let ids: Vec<&str> = gates
        .iter()
        .map(|gate| gate["{ id: ".len()..].split(',').next().unwrap())
        .collect();
    World::with(&format!(
        "limits: {{ workers: {workers} }}\ngates:\n{listed}\
         defaults: {{ gates: [{}], retry_policy: {{ max_attempts: 0 }} }}\n{ONE}\n{more}",
        ids.join(", ")
    ))
}

/// What the gates of task `one` said at its last attempt.
fn said(world: &World) -> Vec<GateOutcome> {
    let worked = world.facts().into_iter().rev().find_map(|fact| match fact {
        Fact::Worked { evidence, .. } => Some(evidence.gates),
        _ => None,
    });
    worked.unwrap()
}

fn verdicts(world: &World) -> Vec<(String, GateVerdict)> {
    said(world)
        .into_iter()
        .map(|outcome| (outcome.gate.to_string(), outcome.verdict))
        .collect()
}

fn all_pass(guests: Vec<Guest>, run: Running) {
    guests.into_iter().for_each(|guest| guest.leaves(0));
    run.ends().exits(0);
}

#[test]
fn gates_of_a_task_run_side_by_side_each_in_a_checkout_of_its_own() {
    let meeting = Meeting::new();
    let wreck = "git rm -rq src; echo more >> one.txt; git add -A; git commit -qm wreck; rm -f a.txt; mkdir left; echo x > left/x";
    let clean = "test -z \"$(git status --porcelain)\"; git diff --exit-code HEAD; test \"$(git rev-list --count $OMK_BASE..HEAD)\" = 1; test -e src/lib.rs; test ! -e left; test \"$(cat one.txt)\" = 1";
    let gates = [
        meeting.gate("a", "", clean, ""),
        meeting.gate("b", wreck, "", ""),
        meeting.gate("c", wreck, "", ""),
        // It starts last, in the slot that another one has left.
        meeting.gate("d", clean, clean, ""),
    ];
    let world = world(3, &gates, "");
    let run = world.start(&["run"]);
    let mut guests = meeting.gather(3);
    assert_eq!(names(&guests), ["a", "b", "c"]);
    meeting.is_complete();
    // Two have wrecked their trees by now.
    guests.remove(1).leaves(0);
    guests.push(meeting.next());
    assert_eq!(names(&guests), ["a", "c", "d"]);
    all_pass(guests, run);
    // The outcomes are in the plan's order, whichever ended first.
    let passed = ["a", "b", "c", "d"].map(|gate| (gate.to_owned(), GateVerdict::Passed));
    assert_eq!(verdicts(&world), passed);
    world.omk(&["verify"]).exits(0);
    world.ended(RunVerdict::Ready);
}

#[test]
fn one_worker_has_one_gate_at_a_time() {
    let meeting = Meeting::new();
    let world = world(
        1,
        &["a", "b"].map(|name| meeting.gate(name, "", "", "")),
        "",
    );
    let run = world.start(&["run"]);
    for name in ["a", "b"] {
        let guest = meeting.next();
        assert_eq!(guest.name, name);
        meeting.is_complete();
        guest.leaves(0);
    }
    run.ends().exits(0);
}

#[test]
fn a_task_and_the_gates_of_another_never_have_more_than_the_workers() {
    let meeting = Meeting::new();
    let more = "  - { id: two, dependencies: [], run: echo 2 > two.txt, write_set: [two.txt], gates: [] }\n";
    let plan = world(
        2,
        &["a", "b", "c"].map(|name| meeting.gate(name, "", "", "")),
        "",
    );
    let text = std::fs::read_to_string(plan.repo().join("omk.yaml")).unwrap();
    // The second task can start once a worker is free: at the same time as the first.
    let tasks = "tasks:\n  - { id: one, run: echo 1 > one.txt, write_set: [one.txt] }\n";
    plan.write("omk.yaml", &text.replace(ONE, &format!("{tasks}{more}")));
    plan.commit("two");
    let run = plan.start(&["run"]);
    let first = meeting.gather(1);
    // One worker is left by the task that has no gates.
    plan.until_fact(
        "two landed",
        |fact| matches!(fact, Fact::Landed { task, .. } if task.as_str() == "two"),
    );
    first.into_iter().for_each(|guest| guest.leaves(0));
    let guests = meeting.gather(2);
    meeting.is_complete();
    guests.into_iter().for_each(|guest| guest.leaves(0));
    // The result is another tree than that of the task.
    let guests = meeting.gather(2);
    meeting.is_complete();
    guests.into_iter().for_each(|guest| guest.leaves(0));
    meeting.next().leaves(0);
    run.ends().exits(0);
}

#[test]
fn an_exclusive_gate_has_no_other_one_beside_it() {
    let meeting = Meeting::new();
    let gates = [
        meeting.gate("a", "", "", ""),
        meeting.gate("b", "", "", ", exclusive: true"),
        meeting.gate("c", "", "", ""),
        meeting.gate("d", "", "", ""),
    ];
    let world = world(4, &gates, "");
    let run = world.start(&["run"]);
    for name in ["a", "b"] {
        let guest = meeting.next();
        assert_eq!(guest.name, name);
        meeting.is_complete();
        guest.leaves(0);
    }
    let guests = meeting.gather(2);
    assert_eq!(names(&guests), ["c", "d"]);
    all_pass(guests, run);
}

#[test]
fn the_first_required_failure_ends_the_other_gates() {
    let meeting = Meeting::new();
    let gates = [
        // It would say that all is well.
        meeting.gate("slow", "trap 'exit 0' TERM INT HUP", "", ""),
        meeting.gate("stubborn", "trap '' TERM INT HUP", "", ""),
        meeting.gate("warns", "", "", ", required: false"),
        meeting.gate("bad", "", "", ""),
        meeting.gate("late", "", "", ""),
    ];
    let world = world(4, &gates, "");
    let run = world.start(&["run"]);
    let mut guests = meeting.gather(4);
    assert_eq!(names(&guests), ["bad", "slow", "stubborn", "warns"]);
    let warns = guests.pop().unwrap();
    let bad = guests.remove(0);
    // A gate that is not required ends nothing.
    warns.leaves(1);
    guests.push(meeting.next());
    bad.leaves(1);
    run.ends().exits(1).says("gate `bad`");
    let told: Vec<String> = said(&world)
        .iter()
        .map(|gate| {
            format!(
                "{} {} {} {}",
                gate.gate,
                gate.verdict.as_str(),
                gate.counts_as_passed,
                gate.note
            )
        })
        .collect();
    let expected = [
        "slow skipped false ended: required gate `bad` failed",
        "stubborn skipped false ended: required gate `bad` failed",
        "warns failed false ",
        "bad failed false ",
        "late skipped false ended: required gate `bad` failed",
    ];
    assert_eq!(told, expected);
    let failure = &world.failures("one")[0].message;
    assert!(
        failure.starts_with("gate `bad` (") && !failure.contains("`slow`"),
        "{failure}"
    );
    world.no_child_is_left();
}

#[test]
fn a_gate_that_was_waiting_for_its_turn_does_not_run_after_a_failure() {
    let meeting = Meeting::new();
    let world = world(
        1,
        &["a", "b"].map(|name| meeting.gate(name, "", "", "")),
        "",
    );
    let run = world.start(&["run"]);
    meeting.next().leaves(1);
    run.ends().exits(1);
    let gate = &said(&world)[1];
    assert_eq!((gate.verdict, gate.attempts), (GateVerdict::Skipped, 0));
    assert_eq!(gate.note, "did not run: required gate `a` failed");
    assert_eq!(
        world.report()["tasks"][0]["gates"][1]["note"],
        gate.note.as_str()
    );
}

#[test]
fn all_gates_run_to_their_ends_with_keep_going() {
    let meeting = Meeting::new();
    let world = world(
        2,
        &["a", "b", "c"].map(|name| meeting.gate(name, "", "", "")),
        "",
    );
    let run = world.start(&["run", "--keep-going"]);
    let mut guests = meeting.gather(2);
    guests.remove(0).leaves(1);
    guests.push(meeting.next());
    guests.into_iter().for_each(|guest| guest.leaves(0));
    run.ends().exits(1);
    let expected = [
        ("a", GateVerdict::Failed),
        ("b", GateVerdict::Passed),
        ("c", GateVerdict::Passed),
    ];
    assert_eq!(
        verdicts(&world),
        expected.map(|(gate, verdict)| (gate.to_owned(), verdict))
    );
}

#[test]
fn a_failure_that_the_base_has_too_ends_no_other_gate() {
    let meeting = Meeting::new();
    let old = r#"{ id: old, report: { format: junit, path: out.xml }, run: "echo '<testsuite><testcase classname=\"c\" name=\"n\"><failure/></testcase></testsuite>' > out.xml; exit 1" }"#;
    let world = world(2, &[old.to_owned(), meeting.gate("slow", "", "", "")], "");
    let run = world.start(&["run"]);
    let slow = meeting.next();
    // Nothing tells outside that the other gate is over; what comes too late would be ended here.
    meeting.is_complete();
    slow.leaves(0);
    // The result is judged again, for an old failure is not clean.
    meeting.next().leaves(0);
    run.ends().exits(0);
    let expected = [("old", GateVerdict::Failed), ("slow", GateVerdict::Passed)];
    assert_eq!(
        verdicts(&world),
        expected.map(|(gate, verdict)| (gate.to_owned(), verdict))
    );
}

#[test]
fn cheap_gates_start_first_once_it_is_known_which_are() {
    let meeting = Meeting::new();
    let world = world(
        1,
        &["slow", "quick"].map(|name| meeting.gate(name, "", "", "")),
        "",
    );
    let run = world.start(&["run"]);
    let slow = meeting.next();
    assert_eq!(slow.name, "slow");
    meeting.is_complete();
    slow.leaves(0);
    meeting.next().leaves(0);
    run.ends().exits(0);
    world.write("a.txt", "other\n");
    world.commit("other");
    let run = world.start(&["run"]);
    for name in ["quick", "slow"] {
        let guest = meeting.next();
        assert_eq!(guest.name, name);
        guest.leaves(0);
    }
    run.ends().exits(0);
    assert_eq!(
        verdicts(&world)[0].0,
        "slow",
        "they are told in the plan's order"
    );
}

#[test]
fn gates_take_turns_where_a_cache_is_kept_and_each_finds_it() {
    let meeting = Meeting::new();
    // They are not required, for the result has no cache.
    let gate = |name| meeting.gate(name, "test -e target/cache", "", ", required: false");
    let world = world(3, &[gate("a"), gate("b")], "keep: [target]\n");
    let text = std::fs::read_to_string(world.repo().join("omk.yaml")).unwrap();
    world.write(
        "omk.yaml",
        &text.replace(
            "run: echo 1 > one.txt",
            "run: mkdir target; echo 1 | tee target/cache > one.txt",
        ),
    );
    world.commit("cache");
    let run = world.start(&["run"]);
    for name in ["a", "b"] {
        let guest = meeting.next();
        assert_eq!(guest.name, name);
        meeting.is_complete();
        guest.leaves(0);
    }
    run.ends().exits(0);
}

#[test]
fn gates_on_the_result_and_in_a_judgement_run_side_by_side() {
    let meeting = Meeting::new();
    let world = world(
        2,
        &["a", "b"].map(|name| meeting.gate(name, "", "", "")),
        "",
    );
    let text = std::fs::read_to_string(world.repo().join("omk.yaml")).unwrap();
    world.write("omk.yaml", &text.replace("gates: [a, b]", "gates: []"));
    world.commit("none for the task");
    let run = world.start(&["run"]);
    all_pass(meeting.gather(2), run);
    let ran = Ran::of(world);
    let bundle = ran.bundle();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            meeting
                .gather(2)
                .into_iter()
                .for_each(|guest| guest.leaves(0))
        });
        ran.judged(&bundle).0.exits(0);
    });
    let check = ran.world.start(&["plan", "--check"]);
    all_pass(meeting.gather(2), check);
}

#[test]
fn the_gate_that_failed_on_the_result_is_the_reason_and_not_one_that_it_ended() {
    let world = World::with(
        r#"
limits: { workers: 2 }
gates:
  - { id: slow, run: "if test -e one && test -e two; then sleep 60; fi" }
  - { id: both, run: "! test -e one || ! test -e two" }
tasks:
  - { id: one, run: echo 1 > one }
  - { id: two, run: echo 2 > two }
"#,
    );
    world.run().exits(1);
    let tasks = world.report()["tasks"].clone();
    let gates: Vec<&str> = tasks
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|task| task.pointer("/ejected/gate")?.as_str())
        .collect();
    assert_eq!(gates, ["both"], "{tasks:#}");
}

#[test]
fn a_run_that_was_killed_between_two_gates_is_taken_up() {
    let meeting = Meeting::new();
    let world = world(
        2,
        &["a", "b"].map(|name| meeting.gate(name, "echo x >> a.txt", "", "")),
        "",
    );
    let run = world.start(&["run"]);
    let guests = meeting.gather(2);
    assert!(run.killed_after(std::time::Duration::ZERO).is_none());
    world.no_child_is_left();
    drop(guests);
    let run = world.start(&["resume"]);
    let guests = meeting.gather(2);
    assert_eq!(names(&guests), ["a", "b"]);
    all_pass(guests, run);
    assert_eq!(world.landings(), ["one"]);
    world.ended(RunVerdict::Ready);
}
