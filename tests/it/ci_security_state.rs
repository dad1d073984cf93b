//! What an earlier run left, and what a person types into a form: none of it decides anything by
//! what it is called.

use serde_json::{Value, json};

use crate::ci_security::{Asked, one_job_on};
use crate::forge_world::{Event, ForgeWorld, HEAD, PULL};

/// Leaves an artifact at the forge that is named like the state of a run of pull request 12; the
/// artifact's number.
fn leaves(world: &ForgeWorld, run: &Value, name: &str, bytes: &[u8]) -> u64 {
    world.door.control("runs", run);
    let path = format!("/_test/artifacts?name={name}&run={}", run["id"]);
    let made = world
        .door
        .send("POST", &path, None, "application/zip", bytes);
    assert_eq!(made.status, 200, "{made:?}");
    made.json()["id"].as_u64().unwrap()
}

#[test]
fn only_this_workflow_of_this_repository_can_leave_the_state_of_a_run() {
    let world = ForgeWorld::start();
    let names = [
        "omk-pr-12-20260101t000000z-aaaaaa",
        "omk-pr-12-20260101t000000z-bbbbbb",
    ];
    let elsewhere = json!({"id": 424_242, "full_name": "drive-by/widget"});
    for (id, run) in [
        // The pull request's own version of the workflow, the whole of which its author wrote.
        (71, json!({"id": 71, "event": "pull_request"})),
        (
            72,
            json!({"id": 72, "event": "issue_comment", "path": ".github/workflows/other.yml"}),
        ),
        (
            73,
            json!({"id": 73, "event": "issue_comment", "head_repository": elsewhere}),
        ),
        (74, json!({"id": 74, "event": "workflow_dispatch"})),
    ] {
        leaves(&world, &run, names[0], b"no zip");
        let asked = Asked::by(&world, "maintainer", "/omk retry");
        assert_eq!(asked.accepted()["previous"], Value::Null, "{id}");
        assert!(
            world
                .replies(PULL)
                .pop()
                .unwrap()
                .contains("Nothing is kept of an earlier run"),
            "{id}"
        );
    }
    // Named like another scope's, or like no run's.
    let ours = json!({"id": 75, "event": "issue_comment"});
    for name in [
        "omk-pr-1-20260101t000000z-aaaaaa",
        "omk-pr-12-../../x",
        "omk-pr-12-",
        "xomk-pr-12-20260101t000000z-aaaaaa",
    ] {
        leaves(&world, &ours, name, b"no zip");
    }
    assert_eq!(
        Asked::by(&world, "maintainer", "/omk retry").accepted()["previous"],
        Value::Null
    );
    let artifact = leaves(&world, &ours, names[1], b"no zip");
    let asked = Asked::by(&world, "maintainer", "/omk retry");
    assert_eq!(
        asked.accepted()["previous"],
        json!({"run": "20260101t000000z-bbbbbb", "artifact": artifact})
    );
}

#[test]
fn a_state_that_is_no_state_makes_a_retry_a_full_run() {
    let world = ForgeWorld::start();
    let ours = json!({"id": 75, "event": "issue_comment"});
    leaves(
        &world,
        &ours,
        "omk-pr-12-20260101t000000z-aaaaaa",
        b"PK\x03\x04 and then nothing",
    );
    let event = world.comments("maintainer", "/omk retry");
    let (_, job) = one_job_on(&world, &event, &world.tip(HEAD), &[]);
    let job = job.exits(0).says("this retry is a full run");
    assert_eq!(world.reactions(&event), "eyes, rocket", "{job:?}");
}

#[test]
fn tasks_that_a_form_names_are_names_and_nothing_else() {
    let world = ForgeWorld::start();
    let refs = world.remote_refs();
    let honest = world.dispatch("maintainer");
    let with = |inputs: Value| {
        let mut event: Event = honest.clone();
        event.payload["inputs"] = inputs;
        event
    };
    for tasks in [
        "$(touch pwned)",
        "--plan=/etc/passwd",
        "../fix",
        "fix\n::set-output name=go::true",
        "`id`",
        "\u{202e}xif",
    ] {
        let event = with(json!({"tasks": tasks}));
        world.workflow_run(&event);
        let job = world
            .omk_ci("intake", &event, &[])
            .exits(2)
            .says("there is no task");
        assert_eq!(
            (world.writes(), job.output("go")),
            (Vec::new(), ""),
            "{job:?}"
        );
        let commands = job
            .out
            .lines()
            .chain(job.err.lines())
            .any(|line| line.trim_start().starts_with("::set"));
        assert!(!commands && !job.err.contains('\u{202e}'), "{job:?}");
    }
    for inputs in [
        json!({"tasks": ["fix"]}),
        json!({"tasks": {"fix": 1}}),
        json!("fix"),
        json!(7),
    ] {
        let event = with(inputs);
        world.workflow_run(&event);
        let job = world.omk_ci("intake", &event, &[]);
        assert!(
            matches!(job.code, Some(2 | 5)) && job.output("go").is_empty(),
            "{job:?}"
        );
    }
    assert_eq!(world.remote_refs(), refs);
}
