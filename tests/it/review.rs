//! Stories of what a second look at the run found: seldom paths through it.

use std::collections::BTreeSet;

use omk_action::fact::{Fact, RunVerdict};
use rustix::process::Signal;

use super::e2e_world::{self, write};
use super::model::{Model, Turn};
use super::world::World;

#[test]
fn a_gate_sees_nothing_that_the_work_left_in_its_home() {
    let world = World::with(
        r#"
gates:
  - { id: clean, run: "test ! -e \"$HOME/bent\" && test ! -e \"$TMPDIR/bent\" && touch \"$HOME/bent\"" }
  - { id: again, run: "test ! -e \"$HOME/bent\"" }
defaults: { gates: [clean, again], retry_policy: { max_attempts: 0 } }
tasks: [{ id: bends, run: "touch \"$HOME/bent\" \"$TMPDIR/bent\"; echo work > work" }]
"#,
    );
    world.run().exits(0);
    world.ended(RunVerdict::Ready);
}

#[test]
fn a_culprit_is_found_where_the_base_itself_fails_on_something_older() {
    let world = World::new();
    world.write(
        "suite.sh",
        r#"
echo '<testsuite name="s"><testcase classname="s" name="old"><failure message="as ever"/></testcase>'
[ -e one ] && [ -e two ] && echo '<testcase classname="s" name="both"><failure message="broke"/></testcase>'
echo '<testcase classname="s" name="fine"/></testsuite>'
"#,
    );
    world.plan(
        r#"
limits: { workers: 2 }
gates:
  - id: suite
    run: "sh suite.sh > report.xml; ! grep -q '<failure' report.xml"
    report: { format: junit, path: report.xml }
defaults: { gates: [suite], retry_policy: { max_attempts: 0 } }
tasks:
  - { id: one, run: "echo 1 > one", write_set: [one] }
  - { id: two, run: "echo 2 > two", write_set: [two] }
"#,
    );
    world.run().exits(1);
    assert_eq!(
        world.landed_on("omk/run/story").len(),
        1,
        "the one that landed last is taken out"
    );
    world.ended(RunVerdict::NotReady);
}

#[test]
fn a_run_after_one_that_lost_everything_needs_no_force() {
    let world = World::with(
        r#"
gates: [{ id: judge, run: "test ! -e one" }]
tasks: [{ id: one, run: "echo 1 > one" }]
"#,
    );
    world.run().exits(1);
    assert_eq!(
        world.rev("omk/run/story"),
        world.rev("HEAD"),
        "everything was taken out"
    );
    world.run().exits(1);
    world.ended(RunVerdict::NotReady);
    // A commit that somebody else put there is theirs.
    world.git(&["branch", "--force", "omk/run/story", "HEAD"]);
    world.git(&["commit", "--quiet", "--allow-empty", "-m", "mine"]);
    world.git(&["branch", "--force", "omk/run/story", "HEAD"]);
    world.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    world.run().exits(2).says("not omk's");
}

#[tokio::test]
async fn a_slot_is_not_kept_for_a_task_that_is_never_tried_again() {
    let wrong = || vec![write("fix.txt", "wrong\n"), Turn::Say("done")];
    let model = Model::start(vec![
        ("do one", wrong()),
        ("do two", wrong()),
        ("do three", wrong()),
    ])
    .await;
    let plan = r#"
limits: { workers: 1 }
defaults: { gates: [check], retry_policy: { max_attempts: 0 } }
gates: [{ id: check, run: sh check.sh }]
tasks:
  - { id: one, prompt: do one }
  - { id: two, prompt: do two }
  - { id: three, prompt: do three }
"#;
    let world = e2e_world::World::new(&model, plan).await;
    let ended = world.run(&["run"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(
        ["one", "two", "three"].map(|task| world.attempts(task)),
        ["gate"; 3]
    );
    let journal = world.journal();
    let slots: BTreeSet<&str> = journal
        .iter()
        .filter_map(|line| line["fact"]["slot"].as_str())
        .collect();
    // The next task may begin before the first slot is back; the third must not need a third.
    assert!(slots.len() < 3, "{slots:?}");
}

#[test]
fn a_limit_given_on_the_way_leaves_the_others_as_they_were() {
    let world = World::with(r#"tasks: [{ id: one, run: "sleep 600" }]"#);
    world
        .omk(&["run", "--limits", "time=200ms,tokens=5"])
        .exits(4);
    world.omk(&["resume", "--limits", "time=300ms"]).exits(4);
    let limits = &world.report()["limits"];
    assert_eq!(
        (&limits["time_ms"], &limits["tokens"]),
        (&300.into(), &5.into()),
        "{limits:#}"
    );
}

#[test]
fn paths_outside_the_write_set_are_on_record() {
    let world = World::with(
        r#"tasks: [{ id: one, run: "echo > b.txt; echo > c.txt", write_set: [c.txt], retry_policy: { max_attempts: 0 } }]"#,
    );
    world.run().exits(1);
    let observed = world.facts().into_iter().find_map(|fact| match fact {
        Fact::Worked { evidence, .. } => Some(
            evidence
                .observed
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
        ),
        _ => None,
    });
    assert_eq!(observed.unwrap(), ["b.txt", "c.txt"]);
}

#[test]
fn a_gate_that_mends_the_tree_does_not_pass_on_its_retry() {
    let world = World::with(
        r#"
gates: [{ id: format, retries: 1, run: "grep -q tidy one || { echo tidy > one; exit 1; }" }]
defaults: { gates: [format], retry_policy: { max_attempts: 0 } }
tasks: [{ id: one, run: "echo untidy-no > one; sed -i s/untidy-no/rough/ one" }]
"#,
    );
    world.run().exits(1);
    assert_eq!(world.state("one"), "failed");
}

#[test]
fn one_task_of_a_killed_run_is_cancelled_without_starting_another() {
    let world = World::with(
        r#"
limits: { workers: 1 }
tasks:
  - { id: first, priority: 1, run: "touch begun; sleep 600" }
  - { id: second, run: "echo second > second" }
"#,
    );
    let running = world.start(&["run"]);
    world.until_file("first", "begun");
    running.signal(Signal::KILL);
    running.ends().exits(-9);
    world.omk(&["cancel", "--task", "first"]).exits(0);
    assert_eq!(
        (world.state("first"), world.state("second")),
        ("cancelled".into(), "pending".into())
    );
    world.omk(&["replay"]).exits(0);
    world.omk(&["resume"]).exits(1);
    assert_eq!(world.state("second"), "completed");
}

#[test]
fn a_gates_own_variables_reach_it_and_its_home_stays_private() {
    let world = World::with(
        r#"
gates: [{ id: look, env: { GREETING: hello, HOME: /nowhere }, run: "test $GREETING = hello && test $HOME != /nowhere" }]
defaults: { gates: [look] }
tasks: [{ id: one, run: "echo one > one" }]
"#,
    );
    world.run().exits(0);
}
