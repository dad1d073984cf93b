//! `/omk retry`: what is proven stays, what was named starts anew, and what cannot be believed is a
//! full run, said.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use serde_json::{Value, json};

use crate::ci_flow_split::{Jobs, Split, put_artifact, zipped};
use crate::forge_world::{ForgeWorld, PULL};

/// Tasks that never write the same twice, and one that fails until FLAG is there. What is proven is
/// delivered, so that both runs can be looked at.
const PLAN: &str = "\
version: 1
name: widget
defaults: { gates: [whole], retry_policy: { max_attempts: 0 } }
gates:
  - { id: whole, run: test -s README.md }
tasks:
  - { id: first, run: head -c 16 /dev/urandom | od -An -tx1 > first.txt, write_set: [first.txt] }
  - { id: second, run: cat first.txt > second.txt; head -c 16 /dev/urandom | od -An -tx1 >> second.txt, write_set: [second.txt], dependencies: [first] }
  - { id: beside, run: head -c 16 /dev/urandom | od -An -tx1 > beside.txt, write_set: [beside.txt] }
  - { id: late, run: test -f FLAG && echo late > late.txt, write_set: [late.txt] }
deliver: { as: branches, partial: true }
";

/// A world, and the directory whose file `flag` lets the last task pass.
fn world() -> (ForgeWorld, tempfile::TempDir) {
    let outside = tempfile::tempdir().unwrap();
    let flag = outside.path().join("flag");
    (
        ForgeWorld::with_plan(&PLAN.replace("FLAG", flag.to_str().unwrap())),
        outside,
    )
}

/// The first run, in which one task fails; its jobs, and its artifact's number.
fn first_run(world: &ForgeWorld) -> (Split<'_>, Jobs, u64) {
    let mut split = Split::start(world, world.comments("maintainer", "/omk run"));
    let jobs = split.all();
    assert_eq!(jobs.codes(), [0, 1, 1, 1], "{jobs:#?}");
    let artifact = split.keeps(&jobs.run);
    (split, jobs, artifact)
}

/// All jobs of a retry, once the last task can pass.
fn retry(world: &ForgeWorld, outside: &tempfile::TempDir, command: &str) -> Jobs {
    std::fs::write(outside.path().join("flag"), "").unwrap();
    let mut split = Split::start(world, world.comments("maintainer", command));
    let jobs = split.all();
    assert_eq!(jobs.codes(), [0; 4], "{jobs:#?}");
    jobs
}

/// What the three random files of the result hold now, with whether each is new.
struct Files([String; 3]);

impl Files {
    fn of(world: &ForgeWorld) -> Self {
        world.git(&[
            "fetch",
            "--quiet",
            &world.remote("maintainer"),
            "omk/run/pr-12",
        ]);
        Self(
            ["first", "second", "beside"]
                .map(|name| world.git(&["show", &format!("FETCH_HEAD:{name}.txt")])),
        )
    }

    /// The tasks that were done anew since.
    fn anew(&self, before: &Self) -> Vec<&'static str> {
        let names = ["first", "second", "beside"]
            .into_iter()
            .zip(&self.0)
            .zip(&before.0);
        names
            .filter(|((_, now), then)| now != then)
            .map(|((name, _), _)| name)
            .collect()
    }
}

#[test]
fn what_is_proven_is_not_done_again() {
    let (world, outside) = world();
    let (_, _, artifact) = first_run(&world);
    let before = Files::of(&world);
    let jobs = retry(&world, &outside, "/omk retry");
    let request: Value = serde_json::from_str(jobs.intake.output("request")).unwrap();
    assert_eq!(request["previous"]["artifact"], artifact, "{request:#}");
    jobs.run
        .says("kept from run ")
        .says(": first, second, beside");
    assert_eq!(Files::of(&world).anew(&before), [""; 0]);
    assert_eq!(world.git(&["show", "FETCH_HEAD:late.txt"]), "late");
    assert_eq!(
        world.replies(PULL).len(),
        1,
        "nothing more is to be said: {:#?}",
        world.replies(PULL)
    );
}

#[test]
fn a_named_task_takes_what_is_built_on_it_along() {
    let (world, outside) = world();
    first_run(&world);
    let before = Files::of(&world);
    let jobs = retry(&world, &outside, "/omk retry first");
    jobs.run.says("kept from run ").says(": beside");
    assert_eq!(Files::of(&world).anew(&before), ["first", "second"]);
}

#[test]
fn an_artifact_that_is_gone_means_a_full_run_and_that_is_said() {
    let (world, outside) = world();
    let mut split = Split::start(&world, world.comments("maintainer", "/omk run"));
    split.all();
    split.over();
    let before = Files::of(&world);
    let jobs = retry(&world, &outside, "/omk retry");
    assert_eq!(
        Files::of(&world).anew(&before),
        ["first", "second", "beside"]
    );
    jobs.run
        .says("this retry is a full run: no run of this scope has left its state");
    let replies = world.replies(PULL);
    assert!(
        replies
            .iter()
            .any(|reply| reply.contains("So this is a full run.")),
        "{replies:#?}"
    );
}

#[test]
fn an_artifact_that_goes_after_the_gate_has_seen_it_means_a_full_run() {
    let (world, outside) = world();
    let (_, _, artifact) = first_run(&world);
    let before = Files::of(&world);
    world.fault(
        &json!({"path": format!("/actions/artifacts/{artifact}/zip$"), "status": 410, "times": 9}),
    );
    let jobs = retry(&world, &outside, "/omk retry");
    assert_eq!(
        Files::of(&world).anew(&before),
        ["first", "second", "beside"]
    );
    jobs.run.says("this retry is a full run: ");
}

#[test]
fn an_artifact_of_another_workflow_repository_or_event_is_not_taken() {
    let (world, _outside) = world();
    let (split, _, artifact) = first_run(&world);
    let previous = || {
        let mut retry = Split::start(&world, world.comments("maintainer", "/omk retry"));
        let gate = retry.intake().exits(0);
        let request: Value = serde_json::from_str(gate.output("request")).unwrap();
        request["previous"]["artifact"].clone()
    };
    let is = |values: Value| {
        let mut run = values;
        run["id"] = split.number.into();
        world.door.control("runs", &run)
    };
    let own = is(json!({}));
    for other in [
        json!({"path": ".github/workflows/other.yml"}),
        json!({"head_repository": {"id": 4, "full_name": "mallory/widget"}}),
        json!({"repository": {"id": 4, "full_name": "mallory/widget"}}),
        json!({"event": "pull_request"}),
    ] {
        is(other.clone());
        assert_eq!(previous(), Value::Null, "{other}");
        let replies = world.replies(PULL);
        assert!(
            replies
                .last()
                .is_some_and(|reply| reply.contains("So this is a full run.")),
            "{other}: {replies:#?}"
        );
        is(own.clone());
    }
    assert_eq!(previous(), artifact);
}

#[test]
fn an_artifact_that_was_tampered_with_is_not_believed() {
    let (world, outside) = world();
    let (split, jobs, _) = first_run(&world);
    std::fs::write(outside.path().join("flag"), "").unwrap();
    let bundle = split.bundle("run");
    for file in [
        "journal.jsonl",
        "bundle.json",
        "plan.yaml",
        "changes.bundle",
    ] {
        let path = bundle.join(file);
        let whole = std::fs::read(&path).unwrap();
        let mut lie = whole.clone();
        lie[whole.len() / 2] ^= 1;
        std::fs::write(&path, lie).unwrap();
        put_artifact(
            &world,
            jobs.run.output("artifact"),
            split.number,
            &zipped(&bundle),
        );
        std::fs::write(&path, whole).unwrap();
        let mut retry = Split::start(&world, world.comments("maintainer", "/omk retry"));
        retry.intake().exits(0);
        let run = retry.run().exits(0).says("this retry is a full run: ");
        assert!(!run.out.contains("kept from run"), "{file}: {}", run.out);
        retry.over();
    }
}
