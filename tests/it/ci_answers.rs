//! What people are answered, and what the forge gets told, by jobs that start nothing: against the
//! emulated GitHub.

use serde_json::{Value, json};

use crate::forge_job::Job;
use crate::forge_world::{Event, ForgeWorld, HEAD, PLAN, PULL};

/// An intake job about that event, as a workflow run of its own.
#[track_caller]
pub(crate) fn gate(world: &ForgeWorld, event: &Event) -> Job {
    world.workflow_run(event);
    world.omk_ci("intake", event, &[]).exits(0)
}

/// The reply to the comment of an event; empty where there is none.
fn reply(world: &ForgeWorld, event: &Event) -> String {
    let marker = format!("<!-- omk:reply:{} -->", event.payload["comment"]["id"]);
    let number = event.payload["issue"]["number"].as_u64().unwrap();
    let mut replies: Vec<String> = world
        .replies(number)
        .into_iter()
        .filter(|reply| reply.contains(&marker))
        .collect();
    assert!(replies.len() <= 1, "{replies:#?}");
    replies.pop().unwrap_or_default()
}

/// That a comment is answered so, reacted to so, and starts nothing.
#[track_caller]
fn is_answered(world: &ForgeWorld, event: &Event, reaction: &str, says: &[&str]) {
    let job = gate(world, event);
    assert_eq!(job.output("go"), "false", "{job:?}");
    let reply = reply(world, event);
    for text in says {
        assert!(reply.contains(text), "it does not say {text:?}: {reply}");
    }
    assert_eq!(world.reactions(event), reaction, "{reply}");
}

/// What later jobs are told.
#[track_caller]
pub(crate) fn request(job: &Job) -> Value {
    assert_eq!(job.output("go"), "true", "{job:?}");
    serde_json::from_str(job.output("request")).unwrap()
}

#[test]
fn each_comment_gets_one_answer() {
    let world = ForgeWorld::start();
    let both = world.comments("contributor", "/omk status\n\nand then\n\n/omk plan");
    is_answered(
        &world,
        &both,
        "eyes",
        &[
            "No run on the head",
            "A run would do 1 task",
            "the base branch main",
        ],
    );
    let replies = world.replies(PULL).len();
    let again = world
        .omk_ci("intake", &both, &[("GITHUB_RUN_ATTEMPT", "2")])
        .exits(0);
    assert_eq!(
        (
            again.output("go"),
            world.replies(PULL).len(),
            &*world.reactions(&both)
        ),
        ("false", replies, "eyes")
    );

    let wrong = world.comments("maintainer", "/omk rnu");
    is_answered(
        &world,
        &wrong,
        "confused",
        &["A command was not understood", "did you mean `run`?"],
    );
    let task = world.comments("maintainer", "/omk run fixx");
    is_answered(
        &world,
        &task,
        "confused",
        &["the plan has no task `fixx`", "Did you mean `fix`?"],
    );
    let partly = world.comments("maintainer", "/omk help\n/omk frobnicate");
    is_answered(
        &world,
        &partly,
        "eyes, confused",
        &["What omk can be asked", "frobnicate"],
    );
    let verify = world.comments("maintainer", "/omk verify");
    is_answered(&world, &verify, "confused", &["There is nothing to verify"]);
    let issue = world.comments_on(3, "maintainer", "/omk run");
    is_answered(
        &world,
        &issue,
        "confused",
        &["omk works on pull requests, and this is an issue"],
    );

    for silent in [
        "```\n/omk run\n```",
        "> /omk run",
        "no command at all",
        "<!--\n/omk run\n-->",
    ] {
        let event = world.comments("maintainer", silent);
        is_answered(&world, &event, "", &[]);
        assert_eq!(reply(&world, &event), "", "{silent}");
    }
    assert_eq!(world.checks(&world.tip(HEAD)), Vec::<Value>::new());
}

#[test]
fn edited_deleted_and_own_comments_start_nothing() {
    let world = ForgeWorld::start();
    let edited = world.comments("maintainer", "/omk run");
    let id = edited.payload["comment"]["id"].as_u64().unwrap();
    let later = json!({"url": format!("/issues/comments/{id}"), "merge": {"updated_at": "2099-01-01T00:00:00Z"}});
    world.door.control("override", &later);
    is_answered(
        &world,
        &edited,
        "confused",
        &[
            "the comment was edited",
            "Write the command in a new comment",
        ],
    );

    let deleted = world.comments("maintainer", "/omk run");
    let id = deleted.payload["comment"]["id"].as_u64().unwrap();
    assert_eq!(
        world
            .api(
                "maintainer",
                "DELETE",
                &format!("/issues/comments/{id}"),
                &Value::Null
            )
            .status,
        204
    );
    assert_eq!(
        gate(&world, &deleted)
            .says("the comment is gone")
            .output("go"),
        "false"
    );

    let token = world.door.token(crate::forge_job::GATE);
    let path = format!(
        "/repos/{}/issues/{PULL}/comments",
        crate::forge_world::REPOSITORY
    );
    let own = world
        .door
        .api(&token, "POST", &path, &json!({"body": "/omk run"}))
        .json();
    let mut event = world.comments("maintainer", "nothing");
    event.payload["comment"] = own;
    is_answered(&world, &event, "", &[]);
    assert_eq!(reply(&world, &event), "");
    assert_eq!(world.replies(PULL).len(), 2, "{:#?}", world.replies(PULL));
}

#[test]
fn what_the_forge_does_not_say_is_no_permission() {
    let world = ForgeWorld::start();
    world.fault(&json!({"path": "/collaborators/maintainer/permission", "status": 404}));
    let unknown = world.comments("maintainer", "/omk run");
    is_answered(
        &world,
        &unknown,
        "confused",
        &["may not give commands here", "the forge does not say"],
    );
    world.fault(&json!({"path": "/collaborators/maintainer/permission", "status": 403}));
    let forbidden = world.comments("maintainer", "/omk run");
    is_answered(
        &world,
        &forbidden,
        "confused",
        &["omk could not ask the forge what maintainer may do here"],
    );
    world.door.control(
        "rights",
        &json!({"login": "contributor", "permission": "read", "role_name": "deployer"}),
    );
    let custom = world.comments("contributor", "/omk run");
    is_answered(
        &world,
        &custom,
        "confused",
        &["asks for the permission `write`", "`deployer`"],
    );
    world.fault(&json!({"path": "/activity", "status": 403}));
    let unpinned = world.comments("maintainer", "/omk run");
    let head = world.tip(HEAD);
    is_answered(
        &world,
        &unpinned,
        "confused",
        &["no record of when", &format!("/omk run {head}")],
    );
    let named = gate(
        &world,
        &world.comments("maintainer", &format!("/omk run {head}")),
    );
    assert_eq!(request(&named)["base"], *head);
}

#[test]
fn a_run_is_shown_and_cancelled_and_nothing_else_is() {
    let world = ForgeWorld::start();
    let waiting = world.comments("maintainer", "/omk run");
    let first = world.workflow_run(&waiting);
    world.omk_ci("intake", &waiting, &[]).exits(0);
    let asked = world.comments("maintainer", "/omk run");
    let run = world.workflow_run(&asked);
    let job = world.omk_ci("intake", &asked, &[]).exits(0);
    let status = world.comments("maintainer", "/omk status");
    is_answered(
        &world,
        &status,
        "eyes",
        &["under way", &format!("/actions/runs/{run}"), "[report](<"],
    );
    // A check like ours, made by another workflow, that leads to a run of yet another.
    let other = json!({"id": 99, "path": ".github/workflows/release.yml"});
    world.door.control("runs", &other);
    let forged = format!("omk/pr-12/{}/99/1", job.output("run-id"));
    let check = json!({"name": "omk", "head_sha": world.tip(HEAD), "status": "in_progress", "external_id": forged});
    let token = world.door.token(&[("checks", "write")]);
    let path = format!("/repos/{}/check-runs", crate::forge_world::REPOSITORY);
    assert_eq!(world.door.api(&token, "POST", &path, &check).status, 201);
    let cancel = world.comments("maintainer", "/omk cancel");
    is_answered(
        &world,
        &cancel,
        "eyes",
        &[
            "The run is being cancelled",
            &format!("/actions/runs/{run}"),
        ],
    );
    let state = |id: u64| {
        world.state()["runs"][id.to_string()]["status"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        (&*state(first), &*state(run), &*state(99)),
        ("completed", "completed", "in_progress")
    );
    let again = world.comments("maintainer", "/omk cancel");
    is_answered(&world, &again, "eyes", &["There is nothing to cancel"]);
    assert_eq!(state(99), "in_progress");
}

/// The plan with another command for its task.
pub(crate) fn changed_plan() -> String {
    PLAN.replace("echo right", "printf right")
}

#[test]
fn a_changed_plan_counts_once_it_is_approved_by_somebody_who_may() {
    let world = ForgeWorld::start();
    let head = world.pushes("contributor", HEAD, &[("omk.yaml", &changed_plan())]);
    let digest = omk_action::id::Sha256::of(changed_plan().as_bytes());
    let plan = |job: &Job| {
        let request = request(job);
        (
            request["plan"]["commit"].as_str().unwrap().to_owned(),
            request["approved_by"].clone(),
        )
    };
    let main = (world.tip("main"), Value::Null);

    let first = world.comments("contributor", "/omk run");
    assert_eq!(plan(&gate(&world, &first)), main);
    let told = reply(&world, &first);
    for text in [
        "is not approved",
        &format!("/omk approve {}", &digest.as_str()[..12]),
        "+  - { id: fix",
        "printf",
    ] {
        assert!(told.contains(text), "it does not say {text:?}: {told}");
    }
    let by_reader = world.comments("reader", &format!("/omk approve {digest}"));
    is_answered(
        &world,
        &by_reader,
        "confused",
        &["may not give commands here"],
    );
    let of_another = world.comments("contributor", &format!("/omk approve {}", "a".repeat(12)));
    is_answered(
        &world,
        &of_another,
        "confused",
        &["is not the plan of this pull request"],
    );
    let unsaid = world.comments("contributor", &format!("```\n/omk approve {digest}\n```"));
    is_answered(&world, &unsaid, "", &[]);
    assert_eq!(
        plan(&gate(&world, &world.comments("contributor", "/omk run"))),
        main
    );

    let approval = world.comments(
        "maintainer",
        &format!("/omk approve {}", &digest.as_str()[..16]),
    );
    is_answered(&world, &approval, "eyes", &["is approved by `maintainer`"]);
    let approved = (head, json!("maintainer"));
    assert_eq!(
        plan(&gate(&world, &world.comments("contributor", "/omk run"))),
        approved
    );
    // Who may not any more has approved nothing.
    world
        .door
        .control("rights", &json!({"login": "maintainer", "role": "read"}));
    assert_eq!(
        plan(&gate(&world, &world.comments("contributor", "/omk run"))),
        main
    );
    world
        .door
        .control("rights", &json!({"login": "maintainer", "role": "admin"}));
    assert_eq!(
        plan(&gate(&world, &world.comments("contributor", "/omk run"))),
        approved
    );
    // Neither does an approval that was taken back.
    let path = format!("/issues/comments/{}", approval.payload["comment"]["id"]);
    assert_eq!(
        world
            .api("maintainer", "DELETE", &path, &Value::Null)
            .status,
        204
    );
    assert_eq!(
        plan(&gate(&world, &world.comments("contributor", "/omk run"))),
        main
    );
    let both = world.comments("maintainer", &format!("/omk approve {digest}\n/omk run"));
    assert_eq!(plan(&gate(&world, &both)), approved);
    // Nor does one that was edited: nobody knows what it was read as.
    let edited = format!("/issues/comments/{}", both.payload["comment"]["id"]);
    world.door.control(
        "override",
        &json!({"url": edited, "merge": {"updated_at": "2099-01-01T00:00:00Z"}}),
    );
    assert_eq!(
        plan(&gate(&world, &world.comments("contributor", "/omk run"))),
        main
    );
}

#[test]
fn a_base_branch_that_anybody_can_make_is_not_trusted() {
    let world = ForgeWorld::start();
    world.git(&["checkout", "--quiet", "-b", "wild", "main"]);
    world.pushes("contributor", "wild", &[("omk.yaml", &changed_plan())]);
    let retargeted = world.api(
        "contributor",
        "PATCH",
        &format!("/pulls/{PULL}"),
        &json!({"base": "wild"}),
    );
    assert_eq!(retargeted.status, 200, "{retargeted:?}");
    for command in ["/omk run", "/omk plan"] {
        let event = world.comments("contributor", command);
        is_answered(
            &world,
            &event,
            "confused",
            &["the base branch `wild` is not trusted", "Protect `wild`"],
        );
    }
    world
        .door
        .control("protect", &json!({"branch": "wild", "protected": true}));
    let job = gate(&world, &world.comments("contributor", "/omk run"));
    assert_eq!(request(&job)["plan"]["commit"], world.tip("wild"));
    assert_eq!(request(&job)["rules"], world.tip("main"));
}

#[test]
fn forks_and_closed_pull_requests_are_not_run() {
    let world = ForgeWorld::start();
    let pull = |merge: Value| {
        world.door.control(
            "override",
            &json!({"url": format!("/pulls/{PULL}"), "merge": merge}),
        );
    };
    pull(json!({"head": {"repo": {"id": 987_654}}}));
    for command in ["/omk run", "/omk approve 0123456789ab"] {
        let event = world.comments("maintainer", command);
        is_answered(
            &world,
            &event,
            "confused",
            &["the pull request comes from a fork"],
        );
    }
    pull(json!({"head": {"repo": null}}));
    let gone = world.comments("maintainer", "/omk run");
    is_answered(&world, &gone, "confused", &["is gone"]);
    pull(json!({"state": "closed"}));
    let closed = world.comments("maintainer", "/omk run");
    is_answered(&world, &closed, "confused", &["the pull request is closed"]);
    assert_eq!(world.checks(&world.tip(HEAD)), Vec::<Value>::new());
}

#[test]
fn a_token_that_may_write_no_checks_and_a_dry_run_go_on_without() {
    let world = ForgeWorld::start();
    let event = world.comments("contributor", "/omk run");
    world.workflow_run(&event);
    let dry = world
        .omk_ci("intake", &event, &[("OMK_DRY_RUN", "true")])
        .exits(0)
        .says("dry run: the check `omk`");
    assert_eq!(request(&dry)["dry_run"], true);
    assert_eq!(world.writes(), Vec::<String>::new());
    let job = world
        .omk_ci("intake", &event, &[("OMK_TOKEN", "ghp_maintainer")])
        .exits(0);
    let job = job.says("may not write checks, which only Apps can");
    assert!(request(&job).get("check").is_none(), "{job:?}");
    let statuses = &world.state()["statuses"][world.tip(HEAD)];
    assert_eq!(
        (&statuses[0]["context"], &statuses[0]["state"]),
        (&json!("omk"), &json!("pending")),
        "{statuses}"
    );
}

#[test]
fn a_retry_goes_on_from_what_this_workflow_left() {
    let world = ForgeWorld::start();
    let asked = world.comments("maintainer", "/omk run");
    let run = world.workflow_run(&asked);
    let first = world.omk_ci("intake", &asked, &[]).exits(0);
    let none = world.comments("maintainer", "/omk retry");
    assert!(request(&gate(&world, &none)).get("previous").is_none());
    assert!(reply(&world, &none).contains("Nothing is kept of an earlier run"));
    let put = |run: u64| {
        let path = format!(
            "/_test/artifacts?name={}&run={run}",
            first.output("artifact")
        );
        let put = world
            .door
            .send("POST", &path, None, "application/zip", b"not looked at yet");
        put.json()["id"].clone()
    };
    let state = put(run);
    // One of the same name that another workflow left, and one that a pull request's own version of
    // this one did.
    world.door.control(
        "runs",
        &json!({"id": 99, "path": ".github/workflows/other.yml"}),
    );
    world
        .door
        .control("runs", &json!({"id": 98, "event": "pull_request"}));
    put(99);
    put(98);
    let some = world.comments("maintainer", "/omk retry fix");
    let request = request(&gate(&world, &some));
    assert_eq!(
        request["previous"],
        json!({"run": first.output("run-id"), "artifact": state})
    );
    assert_eq!(request["ask"], json!({"what": "retry", "tasks": ["fix"]}));
    assert_eq!(reply(&world, &some), "");
}

#[test]
fn proofs_of_the_newest_result_are_held_against_its_commits() {
    let world = ForgeWorld::start();
    let asked = world.comments("contributor", "/omk run");
    let run = world.workflow_run(&asked);
    world.checkout(&format!("job-{run}-all/workspace"), &world.tip(HEAD));
    let job = world.omk_ci("", &asked, &[]).exits(0);
    assert!(!job.output("proof").is_empty(), "{job:?}");
    let verify = world.comments("maintainer", "/omk verify");
    is_answered(
        &world,
        &verify,
        "eyes",
        &["all hold", "holds   fix.json", "holds   run.result.json"],
    );
    // A later change to the proofs is found.
    let name = format!("refs/omk/proofs/{}", job.output("run-id"));
    world.git(&["fetch", "--quiet", &world.remote("maintainer"), &name]);
    world.git(&["checkout", "--quiet", "--detach", "FETCH_HEAD"]);
    let path = world.at("work/fix.json");
    let proof = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, proof.replace("sh check.sh", "true # check")).unwrap();
    world.git(&["add", "--all"]);
    world.git(&["commit", "--quiet", "--message=A small change"]);
    world.git(&[
        "push",
        "--quiet",
        "--force",
        &world.remote("maintainer"),
        &format!("HEAD:{name}"),
    ]);
    let again = world.comments("maintainer", "/omk verify");
    is_answered(
        &world,
        &again,
        "confused",
        &[
            "1 does not hold",
            "BROKEN  fix.json",
            "ran another command than the plan has",
        ],
    );
}

#[test]
fn a_later_job_takes_no_other_plan_than_the_one_that_was_decided_on() {
    let world = ForgeWorld::start();
    let asked = world.comments("contributor", "/omk run");
    let run = world.workflow_run(&asked);
    let told = request(&world.omk_ci("intake", &asked, &[]).exits(0));
    world.checkout(&format!("job-{run}-run/workspace"), &world.tip(HEAD));
    let refused = |request: &Value, code: i32, why: &str| {
        let env = [("OMK_REQUEST", &*request.to_string())];
        world.omk_ci("run", &asked, &env).exits(code).says(why);
    };
    let mut other = told.clone();
    other["plan"]["digest"] = json!("a".repeat(64));
    refused(&other, 3, "its digest differs");
    let mut gone = told.clone();
    gone["plan"]["path"] = json!("plans/omk.yaml");
    refused(&gone, 3, "plans/omk.yaml is not at");
    let mut foreign = told;
    foreign["repository"] = json!("acme/other");
    refused(&foreign, 2, "another repository");
}
