//! One world for gates: what they find is a clean checkout of the judged commit, wherever they run.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]
#![expect(
    clippy::print_stdout,
    reason = "if a repository breaks the law, a person must know which it was"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use omk_action::fact::{Class, Fact, GateOutcome, GateVerdict, Outcome};
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
    assert_eq!(
        (world.state("whole"), world.state("half")),
        ("completed".into(), "failed".into())
    );
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
        Fact::Worked {
            outcome: Outcome::Changed(change),
            evidence,
            ..
        } => Some((
            evidence.gates[0]
                .log
                .as_ref()
                .unwrap()
                .head
                .trim_end()
                .to_owned(),
            change.tip.commit.to_string(),
        )),
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
    world.write(
        "check.sh",
        "test -z \"$(git status --porcelain)\" && grep -q good work\n",
    );
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
    assert_eq!(
        (world.state("honest"), world.state("cheat")),
        ("completed".into(), "failed".into())
    );
    // It is still part of the change.
    assert!(
        world
            .shows("omk/run/story", "check.sh")
            .contains("# better")
    );
}

/// What the gate found, and the trees that it should have.
fn finds(gates: &[GateOutcome], judged: &Tip, base: &Tip, what: &str) {
    for gate in gates {
        let found = &gate.log.as_ref().unwrap().head;
        assert_eq!(
            *found,
            format!("{}\n{}\n", judged.tree, base.tree),
            "{what}"
        );
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
                Fact::Worked {
                    outcome: Outcome::Changed(change),
                    evidence,
                    ..
                } => {
                    assert_eq!(evidence.gates.len(), 1);
                    finds(
                        &evidence.gates,
                        &change.tip,
                        base.as_ref().unwrap(),
                        "a task",
                    );
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
        finds(
            &judgement.gates,
            &judgement.result.unwrap(),
            &run_base,
            "the judge",
        );
        assert_eq!(
            (Vec::from_iter(worlds), judgement.gates.len()),
            (vec!["result", "task"], 1)
        );
    }
}

#[test]
fn a_write_that_the_room_refused_is_named_in_the_failure_and_is_a_warning_if_the_child_went_on() {
    let world = World::with(
        r#"
defaults: { retry_policy: { max_attempts: 0 }, gates: [] }
gates: [{ id: lint, run: "echo 1 > /usr/omk-lint; true" }]
tasks:
  - { id: fails, run: "echo 1 > /usr/omk-x", write_set: [] }
  - { id: goes-on, run: "echo 1 > /usr/omk-y; echo 1 > a", write_set: [a], gates: [lint] }
"#,
    );
    let said = world.run().exits(1);
    if !world.report().to_string().contains("\"level\":\"sealed\"")
        && rustix::process::getuid().is_root()
    {
        return;
    }
    assert!(
        world.failures("fails")[0]
            .message
            .contains("its room kept /usr/omk-x read-only"),
        "{said:?}"
    );
    said.says("the command of `goes-on` went on although its room kept /usr/omk-y read-only")
        .says("gate `lint` on `goes-on` passed although its room kept /usr/omk-lint read-only");
}

#[test]
fn gates_on_the_result_find_no_cache_of_a_task_however_many_workers_there_are() {
    for workers in [1, 3] {
        let world = World::with(&format!(
            r#"
limits: {{ workers: {workers} }}
keep: [cache]
defaults: {{ gates: [g, h], retry_policy: {{ max_attempts: 0 }} }}
gates:
  - {{ id: g, run: "ls cache" }}
  - {{ id: h, run: "ls cache" }}
tasks:
  - {{ id: one, run: "mkdir -p cache; echo 1 > cache/x; echo 1 > one", write_set: [one] }}
  - {{ id: two, run: "mkdir -p cache; echo 1 > cache/x; echo 2 > two", write_set: [two], dependencies: [one] }}
"#
        ));
        world.write(".gitignore", "cache\n");
        world.commit("ignore");
        world.omk(&["run", "--keep-going"]).exits(1);
        let judged = world.facts().into_iter().find_map(|fact| match fact {
            Fact::Judged {
                prefix: 2, gates, ..
            } => Some(gates),
            _ => None,
        });
        let gates = judged.expect("a task that found its cache proves no result");
        let failed = gates
            .iter()
            .filter(|gate| gate.verdict == GateVerdict::Failed);
        assert_eq!(failed.count(), 2, "{workers}: {gates:?}");
        assert_eq!(
            (world.state("one"), world.state("two")),
            ("completed".into(), "completed".into())
        );
    }
}

#[test]
fn trusted_files_are_found_through_links_and_nobody_can_bend_the_way_to_them() {
    for (globs, deed) in [
        ("scripts/**", "echo exit 0 > real/check.sh"),
        ("scripts/check.sh", "echo exit 0 > real/check.sh"),
        (
            "scripts/**",
            "rm scripts; mkdir scripts; echo exit 0 > scripts/check.sh",
        ),
        (
            "scripts/**",
            "mkdir evil; echo exit 0 > evil/check.sh; ln -sfn evil scripts",
        ),
        ("scripts/**", "echo exit 0 > real/sourced.sh"),
        ("way/scripts/**", "echo exit 0 > real/check.sh"),
    ] {
        let world = World::new();
        world.write(
            "real/check.sh",
            "if test -e real/sourced.sh; then . real/sourced.sh; fi; ! grep -q bad a.txt\n",
        );
        std::os::unix::fs::symlink("real", world.repo().join("scripts")).unwrap();
        std::os::unix::fs::symlink(".", world.repo().join("way")).unwrap();
        world.plan(&format!(
            r#"
defaults: {{ gates: [check], retry_policy: {{ max_attempts: 0 }} }}
gates: [{{ id: check, run: "sh scripts/check.sh", trusted: ["{globs}"] }}]
tasks: [{{ id: one, run: "echo bad > a.txt; {deed}", write_set: [a.txt, "real/**", scripts, "scripts/**", "evil/**"] }}]
"#
        ));
        world.run().exits(1);
        assert_eq!(world.classes("one"), [Class::Gate], "{globs}: {deed}");
    }
}

#[test]
fn what_a_link_at_a_protected_path_leads_to_is_protected_too() {
    let world = World::new();
    world.write("docs/A.md", "be good\n");
    world.write("hooks/pre-commit", "true\n");
    world.write("data/x", "1\n");
    for (target, link) in [
        ("docs/A.md", "AGENTS.md"),
        ("hooks", ".husky"),
        ("data", "fixed"),
    ] {
        std::os::unix::fs::symlink(target, world.repo().join(link)).unwrap();
    }
    world.plan(
        r#"
protect: ["fixed/**"]
defaults: { retry_policy: { max_attempts: 0 } }
tasks:
  - { id: told, run: "echo evil > docs/A.md", write_set: ["docs/**"] }
  - { id: hook, run: "echo evil > hooks/pre-push", write_set: ["hooks/**"] }
  - { id: data, run: "echo 2 > data/x", write_set: ["data/**"] }
  - { id: named, run: "echo 3 > docs/A.md", write_set: [docs/A.md] }
"#,
    );
    world
        .run()
        .exits(1)
        .says("is what a link at a protected path leads to");
    for task in ["told", "hook", "data"] {
        assert_eq!(world.classes(task), [Class::Scope], "{task}");
    }
    assert_eq!(
        world.state("named"),
        "completed",
        "its plan names the very file"
    );
}
