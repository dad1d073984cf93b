//! What people are answered, and what the forge gets told, by jobs that start nothing: against the emulated GitHub.

use serde_json::{Value, json};

use crate::forge_job::Job;
use crate::forge_world::{Event, ForgeWorld, HEAD, PLAN, PULL};

/// A gate job about that event, as a workflow run of its own.
#[track_caller]
fn gate(world: &ForgeWorld, event: &Event) -> Job {
    world.workflow_run(event);
    world.omk_ci("gate", event, &[]).exits(0)
}

/// The reply to the comment of an event; empty where there is none.
fn reply(world: &ForgeWorld, event: &Event) -> String {
    let marker = format!("<!-- omk:reply:{} -->", event.payload["comment"]["id"]);
    let number = event.payload["issue"]["number"].as_u64().unwrap();
    let mut replies: Vec<String> = world.replies(number).into_iter().filter(|reply| reply.contains(&marker)).collect();
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

fn request(job: &Job) -> Value {
    assert_eq!(job.output("go"), "true", "{job:?}");
    serde_json::from_str(job.output("request")).unwrap()
}

#[test]
fn each_comment_gets_one_answer() {
    let world = ForgeWorld::start();
    let both = world.comments("contributor", "/omk status\n\nand then\n\n/omk plan");
    is_answered(&world, &both, "eyes", &["No run on the head", "A run would do 1 task", "the base branch main"]);
    let replies = world.replies(PULL).len();
    let again = world.omk_ci("gate", &both, &[("GITHUB_RUN_ATTEMPT", "2")]).exits(0);
    assert_eq!((again.output("go"), world.replies(PULL).len(), &*world.reactions(&both)), ("false", replies, "eyes"));

    let wrong = world.comments("maintainer", "/omk rnu");
    is_answered(&world, &wrong, "confused", &["A command was not understood", "did you mean `run`?"]);
    let task = world.comments("maintainer", "/omk run fixx");
    is_answered(&world, &task, "confused", &["the plan has no task `fixx`", "Did you mean `fix`?"]);
    let partly = world.comments("maintainer", "/omk help\n/omk frobnicate");
    is_answered(&world, &partly, "eyes, confused", &["What omk can be asked", "frobnicate"]);
    let verify = world.comments("maintainer", "/omk verify");
    is_answered(&world, &verify, "confused", &["There is nothing to verify"]);
    let issue = world.comments_on(3, "maintainer", "/omk run");
    is_answered(&world, &issue, "confused", &["omk works on pull requests, and this is an issue"]);

    for silent in ["```\n/omk run\n```", "> /omk run", "no command at all", "<!--\n/omk run\n-->"] {
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
    is_answered(&world, &edited, "confused", &["the comment was edited", "Write the command in a new comment"]);

    let deleted = world.comments("maintainer", "/omk run");
    let id = deleted.payload["comment"]["id"].as_u64().unwrap();
    assert_eq!(world.api("maintainer", "DELETE", &format!("/issues/comments/{id}"), &Value::Null).status, 204);
    assert_eq!(gate(&world, &deleted).says("the comment is gone").output("go"), "false");

    let token = world.door.token(crate::forge_job::GATE);
    let path = format!("/repos/{}/issues/{PULL}/comments", crate::forge_world::REPOSITORY);
    let own = world.door.api(&token, "POST", &path, &json!({"body": "/omk run"})).json();
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
    is_answered(&world, &unknown, "confused", &["may not give commands here", "the forge does not say"]);
    world.fault(&json!({"path": "/collaborators/maintainer/permission", "status": 403}));
    let forbidden = world.comments("maintainer", "/omk run");
    is_answered(&world, &forbidden, "confused", &["omk could not ask the forge what maintainer may do here"]);
    world.door.control("rights", &json!({"login": "contributor", "permission": "read", "role_name": "deployer"}));
    let custom = world.comments("contributor", "/omk run");
    is_answered(&world, &custom, "confused", &["asks for the permission `write`", "`deployer`"]);
    world.fault(&json!({"path": "/activity", "status": 403}));
    let unpinned = world.comments("maintainer", "/omk run");
    let head = world.tip(HEAD);
    is_answered(&world, &unpinned, "confused", &["no record of when", &format!("/omk run {head}")]);
    let named = gate(&world, &world.comments("maintainer", &format!("/omk run {head}")));
    assert_eq!(request(&named)["base"], *head);
}

#[test]
fn a_run_is_shown_and_cancelled_and_nothing_else_is() {
    let world = ForgeWorld::start();
    let waiting = world.comments("maintainer", "/omk run");
    let first = world.workflow_run(&waiting);
    world.omk_ci("gate", &waiting, &[]).exits(0);
    let asked = world.comments("maintainer", "/omk run");
    let run = world.workflow_run(&asked);
    let job = world.omk_ci("gate", &asked, &[]).exits(0);
    let status = world.comments("maintainer", "/omk status");
    is_answered(&world, &status, "eyes", &["under way", &format!("/actions/runs/{run}"), "[report](<"]);
    // A check like ours, made by another workflow, that leads to a run of yet another.
    let other = json!({"id": 99, "path": ".github/workflows/release.yml"});
    world.door.control("runs", &other);
    let forged = format!("omk/pr-12/{}/99/1", job.output("run-id"));
    let check = json!({"name": "omk", "head_sha": world.tip(HEAD), "status": "in_progress", "external_id": forged});
    let token = world.door.token(&[("checks", "write")]);
    let path = format!("/repos/{}/check-runs", crate::forge_world::REPOSITORY);
    assert_eq!(world.door.api(&token, "POST", &path, &check).status, 201);
    let cancel = world.comments("maintainer", "/omk cancel");
    is_answered(&world, &cancel, "eyes", &["The run is being cancelled", &format!("/actions/runs/{run}")]);
    let state = |id: u64| world.state()["runs"][id.to_string()]["status"].as_str().unwrap().to_owned();
    assert_eq!((&*state(first), &*state(run), &*state(99)), ("completed", "completed", "in_progress"));
    let again = world.comments("maintainer", "/omk cancel");
    is_answered(&world, &again, "eyes", &["There is nothing to cancel"]);
    assert_eq!(state(99), "in_progress");
}

/// The plan with another command for its task.
fn changed_plan() -> String {
    PLAN.replace("echo right", "printf right")
}

#[test]
fn a_changed_plan_counts_once_it_is_approved_by_somebody_who_may() {
    let world = ForgeWorld::start();
    let head = world.pushes("contributor", HEAD, &[("omk.yaml", &changed_plan())]);
    let digest = omk_action::id::Sha256::of(changed_plan().as_bytes());
    let plan = |job: &Job| {
        let request = request(job);
        (request["plan"]["commit"].as_str().unwrap().to_owned(), request["approved_by"].clone())
    };
    let main = (world.tip("main"), Value::Null);

    let first = world.comments("contributor", "/omk run");
    assert_eq!(plan(&gate(&world, &first)), main);
    let told = reply(&world, &first);
    for text in ["is not approved", &format!("/omk approve {}", &digest.as_str()[..12]), "+  - { id: fix", "printf"] {
        assert!(told.contains(text), "it does not say {text:?}: {told}");
    }
    let by_reader = world.comments("reader", &format!("/omk approve {digest}"));
    is_answered(&world, &by_reader, "confused", &["may not give commands here"]);
    let of_another = world.comments("contributor", &format!("/omk approve {}", "a".repeat(12)));
    is_answered(&world, &of_another, "confused", &["is not the plan of this pull request"]);
    let unsaid = world.comments("contributor", &format!("```\n/omk approve {digest}\n```"));
    is_answered(&world, &unsaid, "", &[]);
    assert_eq!(plan(&gate(&world, &world.comments("contributor", "/omk run"))), main);

    let approval = world.comments("maintainer", &format!("/omk approve {}", &digest.as_str()[..16]));
    is_answered(&world, &approval, "eyes", &["is approved by `maintainer`"]);
    let approved = (head, json!("maintainer"));
    assert_eq!(plan(&gate(&world, &world.comments("contributor", "/omk run"))), approved);
    // Who may not any more has approved nothing.
    world.door.control("rights", &json!({"login": "maintainer", "role": "read"}));
    assert_eq!(plan(&gate(&world, &world.comments("contributor", "/omk run"))), main);
    world.door.control("rights", &json!({"login": "maintainer", "role": "admin"}));
    assert_eq!(plan(&gate(&world, &world.comments("contributor", "/omk run"))), approved);
    // Neither does an approval that was changed, or taken back.
    let path = format!("/issues/comments/{}", approval.payload["comment"]["id"]);
    assert_eq!(world.api("maintainer", "DELETE", &path, &Value::Null).status, 204);
    assert_eq!(plan(&gate(&world, &world.comments("contributor", "/omk run"))), main);
}

#[test]
fn a_base_branch_that_anybody_can_make_is_not_trusted() {
    let world = ForgeWorld::start();
    world.git(&["checkout", "--quiet", "-b", "wild", "main"]);
    world.pushes("contributor", "wild", &[("omk.yaml", &changed_plan())]);
    let retargeted = world.api("contributor", "PATCH", &format!("/pulls/{PULL}"), &json!({"base": "wild"}));
    assert_eq!(retargeted.status, 200, "{retargeted:?}");
    for command in ["/omk run", "/omk plan"] {
        let event = world.comments("contributor", command);
        is_answered(&world, &event, "confused", &["the base branch `wild` is not trusted", "Protect `wild`"]);
    }
    world.door.control("protect", &json!({"branch": "wild", "protected": true}));
    let job = gate(&world, &world.comments("contributor", "/omk run"));
    assert_eq!(request(&job)["plan"]["commit"], world.tip("wild"));
    assert_eq!(request(&job)["rules"], world.tip("main"));
}

#[test]
fn forks_and_closed_pull_requests_are_not_run() {
    let world = ForgeWorld::start();
    let pull = |merge: Value| {
        world.door.control("override", &json!({"url": format!("/pulls/{PULL}"), "merge": merge}));
    };
    pull(json!({"head": {"repo": {"id": 987_654}}}));
    for command in ["/omk run", "/omk approve 0123456789ab"] {
        let event = world.comments("maintainer", command);
        is_answered(&world, &event, "confused", &["the pull request comes from a fork"]);
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
    let dry = world.omk_ci("gate", &event, &[("OMK_DRY_RUN", "true")]).exits(0).says("dry run: the check `omk`");
    assert_eq!(request(&dry)["dry_run"], true);
    assert_eq!(world.writes(), Vec::<String>::new());
    let job = world.omk_ci("gate", &event, &[("OMK_TOKEN", "ghp_maintainer")]).exits(0);
    let job = job.says("may not write checks, which only Apps can");
    assert!(request(&job).get("check").is_none(), "{job:?}");
    let statuses = &world.state()["statuses"][world.tip(HEAD)];
    assert_eq!((&statuses[0]["context"], &statuses[0]["state"]), (&json!("omk"), &json!("pending")), "{statuses}");
}

#[test]
fn a_retry_goes_on_from_what_this_workflow_left() {
    let world = ForgeWorld::start();
    let asked = world.comments("maintainer", "/omk run");
    let run = world.workflow_run(&asked);
    let first = world.omk_ci("gate", &asked, &[]).exits(0);
    let none = world.comments("maintainer", "/omk retry");
    assert!(request(&gate(&world, &none)).get("previous").is_none());
    assert!(reply(&world, &none).contains("Nothing is kept of an earlier run"));
    let put = |run: u64| {
        let path = format!("/_test/artifacts?name={}&run={run}", first.output("artifact"));
        let put = world.door.send("POST", &path, None, "application/zip", b"not looked at yet");
        put.json()["id"].clone()
    };
    let state = put(run);
    // One of the same name that another workflow left, and one that a pull request's own version of this one did.
    world.door.control("runs", &json!({"id": 99, "path": ".github/workflows/other.yml"}));
    world.door.control("runs", &json!({"id": 98, "event": "pull_request"}));
    put(99);
    put(98);
    let some = world.comments("maintainer", "/omk retry fix");
    let request = request(&gate(&world, &some));
    assert_eq!(request["previous"], json!({"run": first.output("run-id"), "artifact": state}));
    assert_eq!(request["ask"], json!({"what": "retry", "tasks": ["fix"]}));
    assert_eq!(reply(&world, &some), "");
}

#[test]
fn maintenance_is_of_the_default_branch_and_pushes_onto_it_never() {
    let world = ForgeWorld::start();
    let due = request(&gate(&world, &world.schedule()));
    assert_eq!(
        (&due["scope"], &due["base"], &due["rules"]),
        (&json!("widget"), &json!(world.tip("main")), &due["base"])
    );
    assert_eq!(due["trigger"], json!({"event": "schedule", "actor": "schedule"}));
    let mut by_hand = world.dispatch("contributor");
    by_hand.payload["inputs"] = json!({"tasks": "fix"});
    let asked = request(&gate(&world, &by_hand));
    assert_eq!((&asked["trigger"]["actor"], &asked["ask"]["tasks"]), (&json!("contributor"), &json!(["fix"])));
    assert_eq!(world.checks(&world.tip("main")).len(), 1, "the latest of one name is shown");
    by_hand.payload["inputs"] = json!({"tasks": "fixx"});
    world.omk_ci("gate", &by_hand, &[]).exits(2).says("did you mean `fix`?");
    world.git(&["checkout", "--quiet", "main"]);
    world.pushes("maintainer", "main", &[("omk.yaml", &PLAN.replace("as: pull-request", "as: push"))]);
    world.omk_ci("gate", &world.schedule(), &[]).exits(2).says("would push onto that branch itself");
}

#[test]
fn the_plan_of_a_pull_request_is_checked_and_shown() {
    let world = ForgeWorld::start();
    let opened = world.pull_request("opened");
    world.workflow_run(&opened);
    let check = |world: &ForgeWorld| {
        let checks = world.checks(&world.tip(HEAD)).into_iter();
        checks.filter(|check| check["name"] == "omk plan").last().unwrap_or_default()
    };
    world.omk_ci("", &opened, &[]).exits(0);
    assert_eq!(
        (&check(&world)["conclusion"], &check(&world)["output"]["title"]),
        (&"success".into(), &"unchanged: 1 task".into())
    );

    world.pushes("contributor", HEAD, &[("omk.yaml", &changed_plan())]);
    let changed = world.pull_request("synchronize");
    world.workflow_run(&changed);
    let job = world.omk_ci("", &changed, &[]).exits(0);
    let digest = omk_action::id::Sha256::of(changed_plan().as_bytes());
    let summary = check(&world)["output"]["summary"].as_str().unwrap().to_owned();
    assert!(summary.contains(&format!("/omk approve {}", &digest.as_str()[..12])), "{summary}");
    assert!(job.summary.contains("is changed, and valid"), "{}", job.summary);

    world.pushes("contributor", HEAD, &[("omk.yaml", &PLAN.replace("gates: [test]", "gates: [tset]"))]);
    let wrong = world.pull_request("synchronize");
    world.workflow_run(&wrong);
    world.omk_ci("", &wrong, &[]).exits(2);
    let (id, conclusion) = (check(&world)["id"].clone(), check(&world)["conclusion"].clone());
    let annotations = world.get(&format!("/check-runs/{id}/annotations"));
    assert_eq!((conclusion, &annotations[0]["start_line"]), ("failure".into(), &json!(6)), "{annotations:#}");

    // A fork's token may read, and no more.
    let mut fork = world.pull_request("synchronize");
    fork.payload["pull_request"]["head"]["repo"] = json!({"id": 987_654});
    world.workflow_run(&fork);
    let read = world.door.token(&[("contents", "read"), ("pull-requests", "read")]);
    let before = world.writes().len();
    let job = world.omk_ci("", &fork, &[("OMK_TOKEN", &read)]).exits(2);
    assert!(job.out.contains("::error file=omk.yaml,line=6,col="), "{}", job.out);
    assert!(job.summary.contains("did you mean `test`?"), "{}", job.summary);
    assert_eq!(world.writes().len(), before);
}

#[test]
fn branches_of_a_closed_pull_request_are_removed_unless_somebody_worked_on_them() {
    let world = ForgeWorld::start();
    let ours = |branch: &str| {
        world.git(&["checkout", "--quiet", "--detach", HEAD]);
        let message =
            "fix: done\n\nOmk-Run: 20261122t185155z-4f2a9c\nOmk-Task: fix\nOmk-Attempt: 1\nOmk-Proof: x/fix\n";
        let name = ("omk[bot]", "omk[bot]@users.noreply.github.com");
        let set = |key: &str, value: &str| format!("{key}={value}");
        world.git(&[
            "-c",
            &set("user.name", name.0),
            "-c",
            &set("user.email", name.1),
            "commit",
            "--quiet",
            "--allow-empty",
            &format!("--message={message}"),
        ]);
        world.git(&["push", "--quiet", &world.remote("maintainer"), &format!("HEAD:refs/heads/{branch}")]);
    };
    for branch in ["omk/run/pr-12", "omk/task/pr-12/fix", "omk/task/pr-12/docs", "omk/run/pr-121", "x/omk/run/pr-12"] {
        ours(branch);
    }
    world.pushes("contributor", "omk/task/pr-12/docs", &[("docs.txt", "mine\n")]);
    let closed = world.pull_request("closed");
    world.workflow_run(&closed);
    world.omk_ci("", &closed, &[]).exits(0).says("is open again");
    assert_eq!(world.api("maintainer", "PATCH", &format!("/pulls/{PULL}"), &json!({"state": "closed"})).status, 200);
    let job = world.omk_ci("", &closed, &[]).exits(0).says("2 branches of pr-12 removed");
    assert!(job.out.contains("omk/task/pr-12/docs stays"), "{}", job.out);
    let left: Vec<String> = world.remote_refs().into_keys().filter(|name| name.contains("omk/")).collect();
    assert_eq!(left, ["refs/heads/omk/run/pr-121", "refs/heads/omk/task/pr-12/docs", "refs/heads/x/omk/run/pr-12"]);
}
