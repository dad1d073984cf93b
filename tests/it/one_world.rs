//! One world for gates: what they find is a clean checkout of the judged commit, wherever they run.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
#![expect(clippy::print_stdout, reason = "if a repository breaks the law, a person must know which it was")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use omk_action::fact::{Class, Fact, GateOutcome, Outcome};
use omk_action::id::Tip;

use crate::bundle_world::Ran;
use crate::odd_repositories::{Odd, seeds};
use crate::world::World;

/// One in so many repositories.
const BY_GATES: u64 = 4;

/// Prints what it finds, and fails on the base as on each change, so that the base is judged too.
const GATE: &str = r#"report: { format: junit, path: out.xml }, run: "git status --porcelain; git rev-parse \"HEAD^{tree}\" \"$OMK_BASE^{tree}\"; \
    echo '<testsuite><testcase classname=\"c\" name=\"n\"><failure/></testcase></testsuite>' > out.xml; exit 1""#;

/// Generated code that must be up to date, as many projects check it.
const GENERATED: &str = r#"
gates: [{ id: fresh, run: "sort words > sorted && test -z \"$(git status --porcelain)\"" }]
defaults: { gates: [fresh], retry_policy: { max_attempts: 0 } }
tasks:
  - { id: whole, run: "echo zebra >> words && sort words > sorted" }
  - { id: half, run: "echo ape >> words", dependencies: [whole] }
"#;

#[test]
fn a_gate_that_generates_and_asks_git_fails_only_where_something_changes() {
    let world = World::new();
    world.write("words", "b\na\n");
    world.write("sorted", "a\nb\n");
    world.plan(GENERATED);
    world.run().exits(1);
    assert_eq!((world.state("whole"), world.state("half")), ("completed".into(), "failed".into()));
    assert_eq!(world.classes("half"), [Class::Gate]);
    world.omk(&["verify"]).says("whole");
}

#[test]
fn a_gate_can_ask_git_all_that_it_asks_in_a_clone() {
    let asks = r#"set -e
test "$(git log -1 --format=%an)" = 'omk[bot]'
test "$(git rev-list --count "$OMK_BASE..HEAD")" -ge 1
git diff --exit-code "$OMK_BASE" -- src a.txt
! git diff --quiet "$OMK_BASE" HEAD
git describe --always
git diff-index --quiet HEAD --
echo more >> a.txt
git stash --quiet
git diff --exit-code HEAD
git stash pop --quiet
! git diff --quiet HEAD
"#;
    let world = World::new();
    let run = serde_json::to_string(asks).unwrap();
    world.plan(&format!(
        "gates: [{{ id: asks, run: {run}, env: {{ OMK_BASE: mine }} }}]\ndefaults: {{ gates: [asks], retry_policy: {{ max_attempts: 0 }} }}\n\
         tasks: [{{ id: one, run: echo 1 > one }}, {{ id: two, run: echo 2 > two, dependencies: [one] }}]\n"
    ));
    let said = world.run();
    assert_eq!(said.code, 0, "{said:?} {:?}", world.failures("one"));
    let ran = Ran::of(world);
    let (said, _) = ran.judged(&ran.bundle());
    said.exits(0);
}

#[test]
fn the_commit_that_the_gates_of_a_task_saw_is_the_one_that_lands() {
    let world = World::with(
        "gates: [{ id: see, run: git rev-parse HEAD }]\ntasks: [{ id: one, run: echo 1 > one, gates: [see] }]\n",
    );
    world.run().exits(0);
    let seen = world.facts().into_iter().find_map(|fact| match fact {
        Fact::Worked { outcome: Outcome::Changed(change), evidence, .. } => {
            Some((evidence.gates[0].log.as_ref().unwrap().head.trim_end().to_owned(), change.tip.commit.to_string()))
        }
        _ => None,
    });
    let landed = world.rev("omk/run/story");
    assert_eq!(seen, Some((landed.clone(), landed)));
}

#[test]
fn an_agent_or_command_that_goes_on_after_a_gate_finds_the_base_as_its_head() {
    let world = World::with(
        "gates: [{ id: never, run: test -e two }]\n\
         tasks: [{ id: one, run: \"git status --porcelain; git rev-parse HEAD; echo 1 > one\", gates: [never], \
         retry_policy: { max_attempts: 1, backoff_seconds: 0 } }]\n",
    );
    world.run().exits(1);
    let base = world.rev("HEAD");
    let mut attempts = 0;
    for fact in world.facts() {
        if let Fact::Worked { evidence, .. } = fact {
            attempts += 1;
            assert_eq!(evidence.command.unwrap().log.head, format!("{base}\n"));
        }
    }
    assert_eq!(attempts, 2);
}

#[test]
fn a_trusted_file_that_the_change_bends_is_no_change_to_git() {
    let world = World::new();
    world.write("check.sh", "test -z \"$(git status --porcelain)\" && grep -q good work\n");
    world.plan(
        r#"
gates: [{ id: check, run: "sh check.sh", trusted: [check.sh] }]
defaults: { gates: [check], retry_policy: { max_attempts: 0 } }
tasks:
  - { id: honest, run: "echo good > work; echo '# better' >> check.sh" }
  - { id: cheat, run: "echo bad > work; echo exit 0 > check.sh", dependencies: [honest] }
"#,
    );
    world.run().exits(1);
    assert_eq!((world.state("honest"), world.state("cheat")), ("completed".into(), "failed".into()));
    // It is still part of the change.
    assert!(world.shows("omk/run/story", "check.sh").contains("# better"));
}

/// What the gate found, and the trees that it should have.
fn finds(gates: &[GateOutcome], judged: &Tip, base: &Tip, what: &str) {
    for gate in gates {
        let found = &gate.log.as_ref().unwrap().head;
        assert_eq!(*found, format!("{}\n{}\n", judged.tree, base.tree), "{what}");
    }
}

#[test]
fn every_gate_finds_a_clean_checkout_of_the_tree_that_its_proof_names() {
    for seed in seeds().step_by(usize::try_from(BY_GATES).unwrap()) {
        println!("repository {seed}");
        let odd = Odd::plain(seed, GATE);
        odd.world.run().exits(0);
        let (mut run_base, mut base, mut worlds) = (None, None, BTreeSet::new());
        for fact in odd.world.facts() {
            match fact {
                Fact::Began(began) => run_base = Some(began.base),
                Fact::Prepared { base: on, .. } => base = Some(on),
                Fact::Worked { outcome: Outcome::Changed(change), evidence, .. } => {
                    assert_eq!(evidence.gates.len(), 1);
                    finds(&evidence.gates, &change.tip, base.as_ref().unwrap(), "a task");
                    worlds.insert("task");
                }
                Fact::Judged { tip, gates, .. } => {
                    finds(&gates, &tip, run_base.as_ref().unwrap(), "the result");
                    worlds.insert("result");
                }
                _ => {}
            }
        }
        let run_base = run_base.unwrap();
        let log = fs::read_to_string(odd.world.run_dir().join("logs/base/gate-ok-1.log")).unwrap();
        assert_eq!(log, format!("{0}\n{0}\n", run_base.tree), "the base");
        let ran = Ran::of(odd.world);
        let clone = ran.clone();
        for own in ["config", "info/attributes"].map(Path::new) {
            let from = ran.world.repo().join(".git").join(own);
            if from.exists() {
                fs::copy(from, clone.join(".git").join(own)).unwrap();
            }
        }
        let judgement = ran.judged(&ran.bundle()).1.unwrap();
        finds(&judgement.gates, &judgement.result.unwrap(), &run_base, "the judge");
        assert_eq!((Vec::from_iter(worlds), judgement.gates.len()), (vec!["result", "task"], 1));
    }
}
