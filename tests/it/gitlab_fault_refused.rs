//! GitLab refuses something for good: a push, a merge request, statuses, the token itself. What to
//! do is said, and everything else goes on.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::forge_world::PLAN;
use crate::gitlab_fault_steps::Steps;
use crate::gitlab_world::{BOT, GitLabWorld, REQUEST, SOURCE};

/// Lets the server refuse pushes of refs that fit the pattern of `case`, in GitLab's words.
fn hook(world: &GitLabWorld, pattern: &str) {
    let told = world.door.control("hooks", &json!({}));
    let hook = std::path::Path::new(told["git"].as_str().unwrap()).join("hooks/pre-receive");
    let script = format!(
        "#!/bin/sh\nwhile read -r old new ref; do case $ref in {pattern})\n\
         echo 'GitLab: a push rule of this project refuses it.' >&2; exit 1 ;; esac; done\n"
    );
    std::fs::write(&hook, script).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_protected_source_branch_gets_a_merge_request_instead() {
    let world = GitLabWorld::with_plan(&PLAN.replace("as: pull-request", "as: push"));
    let steps = Steps::judged(&world);
    world.door.control("protect", &json!({"branch": SOURCE}));
    steps.job("publish").exits(0);
    assert_eq!(world.tip(SOURCE), steps.head);
    let reply = steps.reply();
    assert!(reply.contains("**Delivered** as merge request"), "{reply}");
    assert!(
        reply.contains("You are not allowed to push code to protected branches on this project"),
        "{reply}"
    );
    assert_eq!(world.awards(&steps.note), "eyes, rocket");
}

#[test]
fn proofs_that_a_push_rule_refuses_do_not_keep_the_result() {
    let world = GitLabWorld::start();
    let steps = Steps::judged(&world);
    hook(&world, "refs/omk/*");
    steps
        .job("publish")
        .exits(0)
        .says("a push rule of this project refuses it");
    assert_eq!(steps.refs(), ["refs/heads/omk/run/mr-12"]);
    assert!(
        steps.reply().contains("**Delivered** as merge request"),
        "{}",
        steps.reply()
    );
}

#[test]
fn a_result_that_a_push_rule_refuses_is_said_and_can_be_published_later() {
    let world = GitLabWorld::start();
    let mut steps = Steps::judged(&world);
    hook(&world, "refs/heads/omk/*");
    steps
        .job("publish")
        .exits(3)
        .says("a push rule of this project refuses it");
    assert_eq!(steps.refs().len(), 0);
    let reply = steps.reply();
    assert!(
        reply.contains("a push rule of this project refuses it"),
        "{reply}"
    );
    assert_eq!(
        (
            world.awards(&steps.note).as_str(),
            steps.statuses(&steps.head)
        ),
        ("eyes, confused", vec!["omk success".to_owned()])
    );
    hook(&world, "none");
    steps.again("publish").exits(0);
    assert!(
        steps.reply().contains("**Delivered** as merge request"),
        "{}",
        steps.reply()
    );
    assert_eq!(steps.refs().len(), 2);
}

#[test]
fn merge_requests_that_may_not_be_opened_get_a_link() {
    let world = GitLabWorld::start();
    let steps = Steps::judged(&world);
    world.fault(&json!({"method": "POST", "path": "/projects/7/merge_requests$", "status": 403, "times": 9, "body": {"message": "403 Forbidden"}}));
    steps
        .job("publish")
        .exits(0)
        .says("the result is pushed and safe");
    let reply = steps.reply();
    assert!(
        reply.contains("/gitlab/acme/widget/-/merge_requests/new?merge_request%5Bsource_branch%5D=omk%2Frun%2Fmr-12"),
        "{reply}"
    );
    assert_eq!(
        (
            world.awards(&steps.note).as_str(),
            steps.statuses(&steps.head)
        ),
        ("eyes, rocket", vec!["omk success".to_owned()])
    );
}

#[test]
fn statuses_that_may_not_be_written_are_missed_and_nothing_else_is() {
    let world = GitLabWorld::start();
    let steps = Steps::start(&world);
    let refused = json!({"method": "POST", "path": "/statuses/", "status": 403, "times": 99, "body": {"message": "403 Forbidden"}});
    world.fault(&refused);
    steps
        .job("intake")
        .exits(0)
        .says("the token may not do that (403: Forbidden)");
    for command in ["run", "judge", "publish"] {
        steps.job(command).exits(0);
    }
    let reply = steps.reply();
    assert!(reply.contains("**Delivered** as merge request"), "{reply}");
    assert!(
        reply.contains("the token may not write commit statuses")
            && reply.contains("role Developer"),
        "{reply}"
    );
    assert_eq!(
        (world.awards(&steps.note).as_str(), steps.refs().len()),
        ("eyes, rocket", 2)
    );
}

#[test]
fn a_role_that_is_too_low_is_told_what_it_lacks() {
    let world = GitLabWorld::start();
    let mut steps = Steps::judged(&world);
    world.level(BOT, 20);
    let job = steps.job("publish").exits(3);
    assert_eq!(steps.refs().len(), 0);
    job.says("failed to download the artifacts of the job")
        .says("role Developer");
    assert!(
        steps.reply().contains("role Developer"),
        "{}",
        steps.reply()
    );
    world.level(BOT, 30);
    steps.again("publish").exits(0);
    assert_eq!(steps.refs().len(), 2);
}

#[test]
fn a_scope_that_is_missing_is_named() {
    let world = GitLabWorld::start();
    let mut steps = Steps::start(&world);
    // A token that can only read cannot mark the note, so nothing is done.
    steps.env = vec![("OMK_TOKEN", "glpat-judge")];
    steps
        .job("intake")
        .exits(3)
        .says("The request requires higher privileges than provided by the access token");
    assert_eq!(
        (
            world.replies(REQUEST).len(),
            world.awards(&steps.note).as_str()
        ),
        (0, "")
    );
    // With a better one the same job does it.
    steps.env.clear();
    steps.again("intake").exits(0);
    steps.job("run").exits(0);
    steps.job("judge").exits(0);
    // One that can only read and push: the result is safe, and the rest is named.
    let scopes = json!(["read_api", "write_repository"]);
    world.door.control(
        "tokens",
        &json!({"username": BOT, "scopes": scopes, "token": "glpat-push"}),
    );
    steps.env = vec![("OMK_TOKEN", "glpat-push")];
    let job = steps.job("publish");
    job.says("The request requires higher privileges")
        .says("pushed: refs/heads/omk/run/mr-12");
    assert_eq!(
        (steps.refs().len(), world.awards(&steps.note).as_str()),
        (2, "eyes")
    );
    steps.env.clear();
    steps.again("publish").exits(0);
    assert_eq!(steps.refs().len(), 2);
    assert!(
        steps.reply().contains("**Delivered** as merge request"),
        "{}",
        steps.reply()
    );
}

#[test]
fn a_token_that_is_revoked_in_the_middle_loses_nothing() {
    let world = GitLabWorld::start();
    let mut steps = Steps::judged(&world);
    let revoke =
        json!({"path": "token_state", "body": {"token": "glpat-publish", "revoked": true}});
    world.fault(
        &json!({"method": "POST", "path": "/git-receive-pack$", "when": "after", "do": [revoke]}),
    );
    let job = steps.job("publish").exits(3);
    assert_eq!(
        (
            steps.refs().len(),
            job.dotenv("OMK_VERDICT"),
            job.dotenv("OMK_MERGE_REQUEST")
        ),
        (2, "ready", "")
    );
    assert!(job.files["summary.md"].contains("ready"), "{:?}", job.files);
    let undone = "so omk could not open the merge request, write the commit statuses, write the comment, react to the comment";
    job.says("the token is not good any more (401)")
        .says(undone)
        .says("pushed: refs/heads/omk/run/mr-12");
    assert_eq!(steps.statuses(&steps.head), ["omk running"]);
    world
        .door
        .control("token_state", &json!({"token": "glpat-publish"}));
    steps.again("publish").exits(0);
    steps.is_whole();
    // One that was never good is said at once.
    world.door.control(
        "token_state",
        &json!({"token": "glpat-intake", "expired": true}),
    );
    let next = Steps::start(&world);
    next.job("intake")
        .exits(3)
        .says("the token is refused (401)");
    assert_eq!(world.awards(&next.note), "");
}
