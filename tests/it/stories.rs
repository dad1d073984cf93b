//! Stories of scheduling, told by the built binary with real git and command tasks.

use omk_action::fact::{Class, Fact, Order, RunVerdict};
use rustix::process::Signal;

use super::meeting::Meeting;
use super::world::{FILTERS, World, until};

/// Waits, reading a file that the test writes when it is time; children may read everywhere.
fn gate_file(world: &World, name: &str) -> String {
    format!(
        "while [ ! -e {} ]; do sleep 0.02; done",
        world.dir().join(name).display()
    )
}

fn open(world: &World, name: &str) {
    std::fs::write(world.dir().join(name), "").unwrap();
}

fn orders(world: &World) -> Vec<Order> {
    let bytes = std::fs::read(world.run_dir().join("journal.jsonl")).unwrap();
    omk_action::journal::read(&bytes)
        .unwrap()
        .lines
        .into_iter()
        .flat_map(|line| line.orders)
        .collect()
}

/// Which tasks a task's attempts were built on.
fn built_on(world: &World, id: &str) -> Vec<Vec<String>> {
    let onto = |order| match order {
        Order::Start { task, onto, .. } if task.as_str() == id => {
            Some(onto.iter().map(ToString::to_string).collect())
        }
        _ => None,
    };
    orders(world).into_iter().filter_map(onto).collect()
}

#[test]
fn dependencies_run_first_and_their_work_is_there() {
    let world = World::with(
        r#"
gates: [{ id: ok, run: "test -s a.txt" }]
defaults: { gates: [ok] }
tasks:
  - { id: last, run: "cat one two > three", dependencies: [left, right] }
  - { id: left, run: "cat base > one; echo left >> one", dependencies: [root] }
  - { id: right, run: "cat base > two; echo right >> two", dependencies: [root] }
  - { id: root, run: "echo base > base" }
"#,
    );
    let before = world.checkout();
    let said = world.run().exits(0);
    assert_eq!(world.checkout(), before);
    assert_eq!(
        world.shows("omk/run/story", "three"),
        "base\nleft\nbase\nright"
    );
    let landed = world.landed_on("omk/run/story");
    assert_eq!((landed[0].as_str(), landed[3].as_str()), ("root", "last"));
    world.ended(RunVerdict::Ready);
    let text = world.plain(&said.out);
    let last: Vec<&str> = text
        .lines()
        .skip_while(|line| !line.contains("story: ready"))
        .collect();
    insta::with_settings!({filters => FILTERS.to_vec()}, {
        insta::assert_snapshot!(last.join("\n"), @r"
        ✓ story: ready (4 of 4 tasks completed, [TIME])
          look: git diff [COMMIT] omk/run/story
          take: git merge omk/run/story

          proofs   5 in [DIR]/repo/.git/omk/runs/[RUN]/proofs; check them with `omk verify`
          report   [DIR]/repo/.git/omk/runs/[RUN]/report.html
        ");
    });
}

#[test]
fn what_depends_on_a_failure_is_cancelled_unless_it_says_run() {
    let world = World::with(
        r#"
defaults: { retry_policy: { max_attempts: 0 } }
gates: [{ id: ok, run: "true" }]
tasks:
  - { id: broken, run: "exit 3", gates: [ok] }
  - { id: skipped, run: "echo no > no", dependencies: [broken] }
  - { id: deeper, run: "echo no > no", dependencies: [skipped] }
  - { id: anyway, run: "echo yes > yes", dependencies: [broken], on_dependency_failure: run, gates: [ok] }
"#,
    );
    world.run().exits(1).says("broken");
    let states: Vec<String> = ["broken", "skipped", "deeper", "anyway"]
        .map(|task| world.state(task))
        .to_vec();
    assert_eq!(states, ["failed", "cancelled", "cancelled", "completed"]);
    assert_eq!(
        world.files("omk/run/story"),
        [".gitignore", "a.txt", "omk.yaml", "src/lib.rs", "yes"]
    );
    world.ended(RunVerdict::NotReady);
}

#[test]
fn second_writer_waits_for_the_first_and_is_built_on_it() {
    let world = World::with(
        r#"
limits: { workers: 4 }
gates: [{ id: ok, run: "true" }]
defaults: { gates: [ok] }
tasks:
  - { id: first, run: "sleep 0.1; echo first >> log.txt", write_set: ["*.txt"], priority: 1 }
  - { id: second, run: "echo second >> log.txt", write_set: [log.txt] }
  - { id: reader, run: "cat log.txt > copy", read_set: [log.txt], write_set: [copy], priority: -1 }
"#,
    );
    world.run().exits(0);
    assert_eq!(world.shows("omk/run/story", "log.txt"), "first\nsecond");
    assert_eq!(world.shows("omk/run/story", "copy"), "first\nsecond");
    assert_eq!(built_on(&world, "second"), [["first"]]);
    assert_eq!(
        world.landed_on("omk/run/story"),
        ["first", "second", "reader"]
    );
}

#[test]
fn the_loser_of_a_conflict_is_redone_on_top_of_the_winner() {
    let world = World::with(
        r#"
limits: { workers: 2 }
gates: [{ id: ok, run: "true" }]
defaults: { gates: [ok], retry_policy: { backoff_seconds: 0 } }
tasks:
  - { id: quick, run: "echo quick >> log.txt" }
  - { id: slow, run: "test -e log.txt || sleep 0.4; echo slow >> log.txt" }
"#,
    );
    world.run().exits(0);
    assert_eq!(world.shows("omk/run/story", "log.txt"), "quick\nslow");
    assert_eq!(built_on(&world, "slow"), [vec![], vec!["quick".to_owned()]]);
    assert!(
        world
            .facts()
            .iter()
            .any(|fact| matches!(fact, Fact::Clashed { trouble: None, .. }))
    );
    assert_eq!(world.records()["slow"]["retry_count"], 1);
    world.ended(RunVerdict::Ready);
}

#[test]
fn a_red_gate_brings_another_try_which_finds_the_kept_directory() {
    let world = World::with(
        r#"
keep: [target]
gates: [{ id: right, run: "grep -q right answer" }]
defaults: { gates: [right], retry_policy: { backoff_seconds: 0 } }
tasks:
  - { id: learner, run: "mkdir -p target; if [ -e target/tried ]; then echo right > answer; else echo wrong > answer; touch target/tried; fi" }
"#,
    );
    world.run().exits(0);
    assert_eq!(world.classes("learner"), [Class::Gate]);
    assert_eq!(world.records()["learner"]["retry_count"], 1);
    insta::assert_snapshot!(world.failures("learner")[0].message, @"gate `right` (`grep -q right answer`) exited with 1");
    assert_eq!(world.shows("omk/run/story", "answer"), "right");
}

#[test]
fn a_flaky_gate_is_a_warning_and_the_run_is_ready() {
    let meeting = Meeting::new();
    let gate = meeting.gate("moody", "", "", ", retries: 1");
    let world = World::with(&format!(
        "gates:\n  - {gate}\ndefaults: {{ gates: [moody] }}\ntasks: [{{ id: one, run: echo one > one }}]\n"
    ));
    let run = world.start(&["run"]);
    // On the task, and on the result, which a flaky gate has not proven.
    for code in [1, 0, 1, 0] {
        meeting.next().leaves(code);
    }
    let said = run.ends().exits(0).says("flaky");
    assert!(said.out.contains("ready"));
    world
        .omk(&["report", "--format", "markdown"])
        .exits(0)
        .says("flaky");
    world.omk(&["verify"]).exits(0);
}

#[test]
fn a_gate_that_is_not_required_only_warns() {
    let world = World::with(
        r#"
gates:
  - { id: must, run: "true" }
  - { id: nice, run: "echo ugly; exit 1", required: false }
defaults: { gates: [must, nice] }
tasks: [{ id: one, run: "echo one > one" }]
"#,
    );
    world.run().exits(0).says("nice");
    assert_eq!(world.state("one"), "completed");
    world.omk(&["verify"]).exits(0);
}

#[test]
fn a_run_without_any_required_gate_is_neutral_and_says_so() {
    let world = World::with(r#"tasks: [{ id: one, run: "echo one > one" }]"#);
    world.run().exits(0).says("add a gate");
    world.ended(RunVerdict::Neutral);
}

#[test]
fn failures_that_the_base_has_too_are_noted_and_forgiven() {
    let plan = |baseline: &str| {
        format!(
            r#"
baseline: {baseline}
gates:
  - id: suite
    run: "sh suite.sh > report.xml; ! grep -q '<failure' report.xml"
    report: {{ format: junit, path: report.xml }}
defaults: {{ gates: [suite], retry_policy: {{ max_attempts: 0 }} }}
tasks: [{{ id: one, run: "echo one > one" }}]
"#
        )
    };
    let suite = r#"
echo '<testsuite name="s"><testcase classname="s" name="old"><failure message="as ever"/></testcase>'
[ -e two ] && echo '<testcase classname="s" name="new"><failure message="broke"/></testcase>'
echo '<testcase classname="s" name="fine"/></testsuite>'
"#;
    let world = World::new();
    world.write("suite.sh", suite);
    world.plan(&plan("allow"));
    world.run().exits(0).says("1 pre-existing failure");
    world.omk(&["verify"]).exits(0);

    world.plan(&plan("strict"));
    world.run().exits(1);

    world.plan(&plan("allow").replace("echo one > one", "echo two > two"));
    world.run().exits(1).says("new");
}

#[test]
fn trusted_files_are_those_of_the_base_when_the_gate_runs() {
    let world = World::new();
    world.write("scripts/check", "grep -q good work\n");
    world.plan(
        r#"
gates: [{ id: check, run: "sh scripts/check", trusted: ["scripts/**"] }]
defaults: { gates: [check], retry_policy: { max_attempts: 0 } }
tasks: [{ id: cheat, run: "echo bad > work; echo exit 0 > scripts/check" }]
"#,
    );
    world.run().exits(1);
    assert_eq!(world.classes("cheat"), [Class::Gate]);
}

/// Two tasks whose changes pass alone and fail together.
const PAIR: &str = r#"
limits: { workers: 2 }
gates: [{ id: not-both, run: "! { test -e one && test -e two; }" }]
defaults: { gates: [not-both] }
tasks:
  - { id: one, run: "echo 1 > one", write_set: [one] }
  - { id: two, run: "sleep 0.4; echo 2 > two", write_set: [two] }
"#;

#[test]
fn the_culprit_of_a_red_result_is_taken_out_and_the_rest_stays() {
    let world = World::with(PAIR);
    let said = world.run().exits(1);
    assert_eq!(
        world.files("omk/run/story"),
        [".gitignore", "a.txt", "omk.yaml", "one", "src/lib.rs"]
    );
    assert_eq!(world.landed_on("omk/run/story"), ["one"]);
    assert_eq!(
        (world.state("one"), world.state("two")),
        ("completed".into(), "completed".into())
    );
    world.ended(RunVerdict::NotReady);
    let report = world.report();
    let two = report["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|task| task["id"] == "two")
        .unwrap();
    assert!(two["ejected"]["gate"] == "not-both", "{two:#}");
    let text = world.plain(&said.out);
    insta::with_settings!({filters => FILTERS.to_vec()}, {
        insta::assert_snapshot!(text, @r"
          ✓ one  completed [TIME]  1 file
          ✗ two  ejected [TIME]  taken out: gate `not-both` failed with it

          ✓ gate not-both [TIME]  passed

        two: taken out: gate `not-both` failed with it

        ✗ story: not ready (2 of 2 tasks completed, [TIME])
          look:      git diff [COMMIT] omk/run/story
          try again: omk retry

          proofs   3 in [DIR]/repo/.git/omk/runs/[RUN]/proofs; check them with `omk verify`
          report   [DIR]/repo/.git/omk/runs/[RUN]/report.html
        ");
    });
}

/// So many tasks that fail with any other of them, and pass alone.
fn rivals(count: usize) -> World {
    let tasks: Vec<String> = (1..=count)
        .map(|n| {
            format!("  - {{ id: t{n}, run: \"echo {n} > t{n}.txt\", write_set: [t{n}.txt] }}\n")
        })
        .collect();
    World::with(&format!(
        "limits: {{ workers: {count} }}\ngates: [{{ id: alone, run: 'test $(ls t*.txt | wc -l) -le 1' }}]\n\
         defaults: {{ gates: [alone] }}\ntasks:\n{}",
        tasks.concat()
    ))
}

#[test]
fn up_to_three_culprits_are_taken_out() {
    let world = rivals(4);
    world.run().exits(1);
    assert_eq!(world.landed_on("omk/run/story").len(), 1);
    world.ended(RunVerdict::NotReady);
}

#[test]
fn where_a_fourth_would_have_to_go_nothing_is_integrated() {
    let world = rivals(5);
    world.run().exits(1);
    assert_eq!(world.landed_on("omk/run/story"), Vec::<String>::new());
    assert!(["", &world.rev("main")].contains(&world.rev("omk/run/story").as_str()));
    world.ended(RunVerdict::NotReady);
}

#[test]
fn a_used_up_time_limit_stops_the_run_and_more_time_finishes_it() {
    let world = World::new();
    world.plan(&format!(
        r#"
limits: {{ time: 4s }}
gates: [{{ id: ok, run: "true" }}]
defaults: {{ gates: [ok] }}
tasks:
  - {{ id: quick, run: "echo quick > quick" }}
  - {{ id: long, run: "{}; echo long > long", dependencies: [quick] }}
"#,
        gate_file(&world, "go")
    ));
    world.run().exits(4).says("omk resume");
    assert_eq!(
        (world.state("quick"), world.state("long")),
        ("completed".into(), "pending".into())
    );
    assert_eq!(world.records()["long"]["retry_count"], 0);
    world.no_child_is_left();
    open(&world, "go");
    world.omk(&["resume", "--limits", "time=1m"]).exits(0);
    assert_eq!(world.landings(), ["quick", "long"]);
    world.ended(RunVerdict::Ready);
}

#[test]
fn ctrl_c_ends_the_children_and_resume_finishes() {
    let world = World::new();
    let wait = gate_file(&world, "go");
    world.plan(&format!(
        r#"
gates: [{{ id: ok, run: "true" }}]
defaults: {{ gates: [ok] }}
tasks: [{{ id: one, run: "touch begun; {wait}; rm begun; echo one > one" }}]
"#
    ));
    let running = world.start(&["run"]);
    world.until_file("one", "begun");
    running.signal(Signal::INT);
    running.ends().exits(130).says("omk resume");
    world.no_child_is_left();
    assert_eq!(world.records()["one"]["retry_count"], 0);
    open(&world, "go");
    world.omk(&["resume"]).exits(0);
    assert_eq!(
        world.files("omk/run/story"),
        [".gitignore", "a.txt", "omk.yaml", "one", "src/lib.rs"]
    );
    world.ended(RunVerdict::Ready);
    world.omk(&["resume"]).exits(2).says("is over");
}

#[test]
fn a_second_ctrl_c_ends_at_once_and_leaves_no_child() {
    let world = World::new();
    world.plan(r#"tasks: [{ id: one, run: "trap '' INT TERM HUP; touch begun; sleep 600" }]"#);
    let running = world.start(&["run"]);
    world.until_file("one", "begun");
    running.signal(Signal::INT);
    running.signal(Signal::INT);
    running.ends().exits(130);
    world.no_child_is_left();
    world.omk(&["replay"]).exits(0);
}

#[test]
fn a_second_run_of_the_same_scope_is_refused_and_told_who_holds_it() {
    let world = World::new();
    let wait = gate_file(&world, "go");
    world.plan(&format!(
        r#"tasks: [{{ id: one, run: "touch begun; {wait}; rm begun" }}]"#
    ));
    let running = world.start(&["run"]);
    world.until_file("one", "begun");
    let holder = running.pid().to_string();
    let said = world.run().exits(3).says(&holder);
    insta::with_settings!({filters => FILTERS.to_vec()}, {
        let last: Vec<&str> = said.err.lines().skip_while(|line| !line.starts_with("error")).collect();
        insta::assert_snapshot!(world.plain(&last.join("\n")), @r"
        error: failed to start a run of `story`: run [RUN] (process [PID] on [HOST], since [MOMENT]) holds it
          hint: wait for it, or end it with `omk cancel`
        ");
    });
    world.omk(&["resume"]).exits(3).says(&holder);
    open(&world, "go");
    running.ends().exits(0);
    assert_eq!(world.runs().len(), 1);
}

#[test]
fn a_running_run_is_cancelled_for_good() {
    let world = World::with(
        r#"tasks: [{ id: one, run: "touch begun; sleep 600" }, { id: two, run: "true", dependencies: [one] }]"#,
    );
    let running = world.start(&["run"]);
    world.until_file("one", "begun");
    world.omk(&["cancel"]).exits(0);
    running.ends().exits(130);
    assert_eq!(
        (world.state("one"), world.state("two")),
        ("cancelled".into(), "cancelled".into())
    );
    world.ended(RunVerdict::Cancelled);
    world.omk(&["resume"]).exits(2).says("is over");
}

#[test]
fn one_task_is_cancelled_and_the_rest_goes_on() {
    let world = World::new();
    let wait = gate_file(&world, "go");
    world.plan(&format!(
        r#"
limits: {{ workers: 2 }}
gates: [{{ id: ok, run: "true" }}]
defaults: {{ gates: [ok] }}
tasks:
  - {{ id: doomed, run: "touch begun; sleep 600" }}
  - {{ id: after, run: "echo never > never", dependencies: [doomed] }}
  - {{ id: other, run: "{wait}; echo other > other" }}
"#
    ));
    let running = world.start(&["run"]);
    world.until_file("doomed", "begun");
    world.omk(&["cancel", "--task", "doomed"]).exits(0);
    until("it is cancelled", || world.state("doomed") == "cancelled");
    open(&world, "go");
    running.ends().exits(1);
    assert_eq!(
        (world.state("after"), world.state("other")),
        ("cancelled".into(), "completed".into())
    );
    world.no_child_is_left();
}

#[test]
fn a_run_that_was_killed_can_be_cancelled() {
    let world = World::with(r#"tasks: [{ id: one, run: "touch begun; sleep 600" }]"#);
    let running = world.start(&["run"]);
    world.until_file("one", "begun");
    running.signal(Signal::KILL);
    running.ends().exits(-9);
    world.no_child_is_left();
    world.omk(&["cancel"]).exits(0);
    assert_eq!(world.state("one"), "cancelled");
    world.ended(RunVerdict::Cancelled);
    world.omk(&["report"]).exits(0).says("cancelled");
    world.omk(&["resume"]).exits(2).says("is over");
}

#[test]
fn a_request_to_cancel_outlives_the_omk_that_was_killed_before_it_heard() {
    let world = World::with(r#"tasks: [{ id: one, run: "touch begun; sleep 600" }]"#);
    let running = world.start(&["run"]);
    world.until_file("one", "begun");
    // It hears nothing any more, and still holds the scope.
    running.signal(Signal::STOP);
    world.omk(&["cancel"]).exits(0).says("asked process");
    running.signal(Signal::KILL);
    running.ends().exits(-9);
    world.omk(&["resume"]).exits(130);
    assert_eq!(world.state("one"), "cancelled");
    world.ended(RunVerdict::Cancelled);
}

#[test]
fn a_lock_that_a_killed_omk_left_on_a_branch_stops_nobody() {
    let world = World::with(
        "gates: [{ id: ok, run: 'true' }]\ntasks: [{ id: one, run: 'echo one > one', gates: [ok] }]",
    );
    for name in ["run/story", "task/story/one"] {
        let lock = world
            .repo()
            .join(".git/refs/heads/omk")
            .join(format!("{name}.lock"));
        std::fs::create_dir_all(lock.parent().unwrap()).unwrap();
        std::fs::write(lock, "").unwrap();
    }
    world.run().exits(0);
    assert_eq!(world.landed_on("omk/run/story"), ["one"]);
    assert_eq!(world.landed_on("omk/task/story/one"), ["one"]);
}

#[test]
fn fail_fast_starts_nothing_more_and_lets_what_is_under_way_end() {
    let world = World::new();
    let wait = gate_file(&world, "go");
    world.plan(&format!(
        r#"
limits: {{ workers: 2 }}
defaults: {{ retry_policy: {{ max_attempts: 0 }} }}
tasks:
  - {{ id: long, run: "{wait}; echo long > long" }}
  - {{ id: broken, run: "exit 1" }}
  - {{ id: later, run: "echo later > later", priority: -5 }}
"#
    ));
    let running = world.start(&["run", "--fail-fast"]);
    world.until_fact(
        "it is broken",
        |fact| matches!(fact, Fact::Worked { task, .. } if task.as_str() == "broken"),
    );
    open(&world, "go");
    running.ends().exits(1);
    assert_eq!(
        (world.state("long"), world.state("later")),
        ("completed".into(), "cancelled".into())
    );
}

#[test]
fn a_task_for_other_events_is_left_out_unless_it_is_named() {
    let world = World::with(
        r#"
gates: [{ id: ok, run: "true" }]
defaults: { gates: [ok] }
tasks:
  - { id: nightly, run: "echo n > n", when: { events: [schedule] } }
  - { id: always, run: "echo a > a", dependencies: [nightly] }
"#,
    );
    world.run().exits(0).says("nightly is skipped");
    assert_eq!(world.landed_on("omk/run/story"), ["always"]);
    world.omk(&["run", "nightly"]).exits(0);
    assert_eq!(world.landed_on("omk/run/story"), ["nightly"]);
}

#[test]
fn a_named_task_takes_its_dependencies_along() {
    let world = World::with(
        r#"
gates: [{ id: ok, run: "true" }]
defaults: { gates: [ok] }
tasks:
  - { id: deps, run: "echo d > d" }
  - { id: api, run: "cp d api", dependencies: [deps] }
  - { id: docs, run: "echo docs > docs" }
"#,
    );
    world.omk(&["run", "api"]).exits(0);
    assert_eq!(world.landed_on("omk/run/story"), ["deps", "api"]);
    world
        .omk(&["run", "apo"])
        .exits(2)
        .says("did you mean `api`");
}

#[test]
fn records_have_the_fields_of_omk_0_5() {
    let world = World::with(
        r#"
tasks:
  - { id: one, run: "echo one > one", read_set: [a.txt], write_set: [one], metadata: { role: backend }, retry_policy: { max_attempts: 3 } }
"#,
    );
    world.run().exits(0);
    let record = world.records()["one"].clone();
    let fields: Vec<&str> = record
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let promised = [
        "id",
        "name",
        "description",
        "dependencies",
        "priority",
        "owner",
        "lease_expires",
        "retry_count",
        "retry_policy",
        "state",
        "created_at",
        "started_at",
        "completed_at",
        "read_set",
        "write_set",
        "write_set_declared",
        "role",
    ];
    assert_eq!(fields, promised);
    assert_eq!(record["retry_policy"]["max_attempts"], 3);
}

#[test]
fn records_become_a_plan_and_a_run_of_it_gives_such_records_again() {
    let world = World::new();
    let records = r#"[
      {"id":"One Task","name":"first","description":"say one","dependencies":[],"priority":3,"owner":null,"lease_expires":null,
       "retry_count":0,"retry_policy":{"max_attempts":1,"backoff_seconds":1,"backoff_multiplier":2.0,"terminal_on_permanent_failure":true},
       "state":"pending","created_at":"2026-01-01T00:00:00Z","started_at":null,"completed_at":null,"read_set":[],"write_set":["one"],"command":"echo one > one"},
      {"id":"two","name":"second","description":"say two","dependencies":["One Task","gone"],"priority":0,"max_retries":5,
       "state":"running","created_at":"2026-01-01T00:00:00Z","read_set":[],"write_set":[],"command":"cat one > two","colour":"red"},
      {"id":"old","name":"old","description":"","dependencies":[],"priority":0,"state":"completed","created_at":"2026-01-01T00:00:00Z"}
    ]"#;
    std::fs::write(world.dir().join("tasks.json"), records).unwrap();
    let said = world
        .omk(&[
            "init",
            "--from-omk",
            &world.dir().join("tasks.json").display().to_string(),
        ])
        .exits(0);
    assert!(
        said.err.contains("gone") && said.err.contains("old") && said.err.contains("one-task"),
        "{}",
        said.err
    );
    std::fs::write(world.repo().join("omk.yaml"), &said.out).unwrap();
    world.commit("plan");
    world.run().exits(0);
    let records = world.records();
    assert_eq!(
        records.keys().map(String::as_str).collect::<Vec<_>>(),
        ["one-task", "two"]
    );
    assert_eq!(
        (&records["one-task"]["priority"], &records["two"]["colour"]),
        (&3.into(), &"red".into())
    );
    assert_eq!(records["two"]["retry_policy"]["max_attempts"], 5);
    assert_eq!(world.shows("omk/run/repo", "two"), "one");
    let again = world.omk(&["status", "--json"]).out;
    std::fs::write(world.dir().join("again.json"), again).unwrap();
    world
        .omk(&[
            "init",
            "--from-omk",
            &world.dir().join("again.json").display().to_string(),
        ])
        .says("one-task");
}

#[test]
fn old_runs_are_removed_with_their_branches_and_slots() {
    let world = World::with(
        "gates: [{ id: ok, run: \"true\" }]\ntasks: [{ id: one, run: \"echo one > one\", gates: [ok] }]",
    );
    for _ in 0..3 {
        world.run().exits(0);
    }
    assert_eq!(world.runs().len(), 3);
    let newest = world.run_dir();
    world
        .omk(&["clean", "--keep", "1"])
        .exits(0)
        .says("removed 2 runs");
    assert_eq!(world.runs(), [newest]);
    assert!(!world.rev("omk/run/story").is_empty());
    world.omk(&["verify"]).exits(0);
    world.omk(&["clean", "--all"]).exits(0);
    assert!(world.runs().is_empty());
    assert_eq!(world.git(&["branch", "--list", "omk/*"]), "");
    assert_eq!(world.git(&["worktree", "list"]).lines().count(), 1);
    world.run().exits(0);
}
