//! Maintenance of the default branch: what a person asks for by name, and what a person has closed.

use serde_json::{Value, json};

use crate::ci_flow_split::{Jobs, Split, ours};
use crate::forge_world::{Event, ForgeWorld};

const NIGHTLY: &str = "\
version: 1
name: nightly
gates:
  - { id: whole, run: test -s README.md }
tasks:
  - { id: tidy, run: echo tidy > tidy.txt, write_set: [tidy.txt], gates: [whole] }
  - { id: asked, run: echo asked > asked.txt, write_set: [asked.txt], gates: [whole], when: { events: [dispatch] } }
  - { id: talked, run: echo talked > talked.txt, write_set: [talked.txt], gates: [whole], when: { events: [comment] } }
deliver: { as: DELIVER }
";

fn world(deliver: &str) -> ForgeWorld {
    ForgeWorld::with_plan(&NIGHTLY.replace("DELIVER", deliver))
}

fn jobs(world: &ForgeWorld, event: Event) -> Jobs {
    let mut split = Split::start(world, event);
    let jobs = split.all();
    assert_eq!(split.base, world.tip("main"));
    jobs
}

/// The files that a branch has and `main` has not.
fn files(world: &ForgeWorld, branch: &str) -> String {
    world.git(&["fetch", "--quiet", &world.remote("maintainer"), branch]);
    world
        .git(&["diff", "--name-only", "main", "FETCH_HEAD"])
        .replace('\n', " ")
}

/// The dashboard issues, open or not.
fn dashboards(world: &ForgeWorld) -> Vec<Value> {
    let issues = world.get("/issues?state=all&per_page=100");
    let issues = issues.as_array().unwrap().iter();
    issues
        .filter(|issue| {
            issue["user"]["login"] == "github-actions[bot]" && issue["pull_request"].is_null()
        })
        .cloned()
        .collect()
}

#[test]
fn a_dispatch_may_name_tasks() {
    let world = world("pull-request");
    let all = jobs(&world, world.dispatch("maintainer"));
    assert_eq!(all.codes(), [0; 4], "{all:#?}");
    assert_eq!(files(&world, "omk/run/nightly"), "asked.txt tidy.txt");
    let mut named = world.dispatch("maintainer");
    named.payload["inputs"] = json!({"tasks": "talked"});
    let one = jobs(&world, named);
    assert_eq!(one.codes(), [0; 4], "{one:#?}");
    assert_eq!(
        files(&world, "omk/run/nightly"),
        "talked.txt",
        "a task that is named needs no `when`"
    );
    let mut wrong = world.dispatch("maintainer");
    wrong.payload["inputs"] = json!({"tasks": "talkd"});
    let mut split = Split::start(&world, wrong);
    split
        .intake()
        .exits(2)
        .says("there is no task `talkd` in this plan")
        .says("did you mean `talked`?");
}

#[test]
fn what_a_person_closed_is_left_alone_until_its_definition_changes() {
    let world = world("pull-request-per-task");
    assert_eq!(jobs(&world, world.schedule()).codes(), [0; 4]);
    assert_eq!(
        world.get("/pulls/13")["head"]["ref"],
        "omk/task/nightly/tidy"
    );
    assert_eq!(
        world
            .api(
                "maintainer",
                "PATCH",
                "/pulls/13",
                &json!({"state": "closed"})
            )
            .status,
        200
    );
    let before = world.tip("omk/task/nightly/tidy");
    let again = jobs(&world, world.schedule());
    assert_eq!(world.tip("omk/task/nightly/tidy"), before);
    let open = world.get("/pulls?state=open");
    assert_eq!(open.as_array().unwrap().len(), 1, "{open:#}");
    again
        .publish
        .says("the pull request 13 of task `tidy` was closed by a person");
    let body = dashboards(&world).pop().unwrap()["body"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(body.contains("closed by a person"), "{body}");
    // Another definition is another task.
    world.git(&["checkout", "--quiet", "main"]);
    let other = NIGHTLY
        .replace("DELIVER", "pull-request-per-task")
        .replace("echo tidy", "echo tidier");
    world.pushes("maintainer", "main", &[("omk.yaml", &other)]);
    assert_eq!(jobs(&world, world.schedule()).codes(), [0; 4]);
    assert_ne!(world.tip("omk/task/nightly/tidy"), before);
    let open = world.get("/pulls?state=open");
    assert!(
        open.as_array()
            .unwrap()
            .iter()
            .any(|pull| pull["head"]["ref"] == "omk/task/nightly/tidy"),
        "{open:#}"
    );
}

#[test]
fn maintenance_does_not_push_to_main() {
    let world = world("push");
    let mut split = Split::start(&world, world.schedule());
    let gate = split.intake().exits(2);
    assert_eq!(gate.output("go"), "");
    gate.says("push");
    assert_eq!(ours(&world), [""; 0]);
}
