//! Everything that can be in the way of a delivery: nothing is lost, nothing is made twice,
//! everything is said.

use std::time::Duration;

use axum::http::Method;
use omk_action::deliver::{ForgeProgress, proofs_ref};
use omk_action::fact::{GateVerdict, RunVerdict};
use omk_action::report::TaskStage;
use serde_json::{Value, json};

use crate::deliver_sample::*;
use crate::deliver_steps::plan;
use crate::deliver_world::{RUN, Rig, of_pull, troubles};
use crate::github_server::{Fault, bot};

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_that_may_not_be_opened_leaves_branches_and_a_link() {
    let rig = Rig::new().await;
    let mut request = of_pull();
    let outcome = rig.outcome(&mut request, RunVerdict::Ready, &["deps"]);
    rig.refuse(
        1,
        &Method::POST,
        "/pulls",
        403,
        "GitHub Actions is not permitted to create or approve pull requests.",
    );
    let delivered = rig.deliver(&plan("{}"), &request, &outcome).await;
    assert!(delivered.delivered && delivered.pulls.is_empty());
    assert_eq!(
        rig.remote_ref(RUN),
        outcome.result.unwrap().commit.to_string()
    );
    let comment = rig.comment();
    for part in [
        "Allow GitHub Actions to create and approve pull requests",
        "(https://github.com/acme/widget/compare/feature...omk/run/pr-12?expand=1)",
    ] {
        assert!(comment.contains(part), "{part}\n{comment}");
    }
    assert_eq!(rig.checks().len(), 3);
    assert_eq!(rig.reactions(), ["rocket"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_checks_are_refused_a_status_tells_the_verdict_and_which_token_to_use() {
    let rig = Rig::new().await;
    let mut request = of_pull();
    let outcome = rig.outcome(&mut request, RunVerdict::Ready, &["deps"]);
    rig.refuse(
        9,
        &Method::POST,
        "/check-runs",
        403,
        "You must authenticate via a GitHub App.",
    );
    let delivered = rig.deliver(&plan("{}"), &request, &outcome).await;
    assert!(delivered.delivered);
    assert!(
        troubles(&delivered).contains("GITHUB_TOKEN with `checks: write`"),
        "{delivered:?}"
    );
    for commit in [&request.base, &outcome.result.as_ref().unwrap().commit] {
        let statuses = rig.server.kept(&format!("/commits/{commit}/statuses"));
        assert_eq!(statuses.len(), 1);
        assert_eq!(
            (&statuses[0]["context"], &statuses[0]["state"]),
            (&json!("omk"), &json!("success"))
        );
    }
    assert!(rig.comment().contains("checks: write"));
    assert_eq!(
        rig.server
            .writes()
            .iter()
            .filter(|write| write.contains("check-runs"))
            .count(),
        1,
        "asked once"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_moves_between_look_and_push_is_looked_at_again() {
    let rig = Rig::new().await;
    let mut request = of_pull();
    let outcome = rig.outcome(&mut request, RunVerdict::Ready, &["deps"]);
    let theirs = rig.somebody_pushes("elsewhere", rig.base.commit.as_str());
    // The remote's own hook moves the head while the push is under way, once.
    rig.hook(
        "pre-receive",
        &format!("[ -e moved ] || {{ touch moved; echo {theirs} > refs/heads/feature; }}"),
    );
    let delivered = rig.deliver(&plan("{as: push}"), &request, &outcome).await;
    assert_eq!(
        rig.remote_ref("refs/heads/feature"),
        theirs,
        "never overwritten"
    );
    assert_eq!(
        rig.remote_ref(RUN),
        outcome.result.unwrap().commit.to_string()
    );
    assert!(
        delivered.delivered && delivered.pulls.len() == 1,
        "{delivered:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_protected_gets_a_pull_request() {
    let rig = Rig::new().await;
    let mut request = of_pull();
    let outcome = rig.outcome(&mut request, RunVerdict::Ready, &["deps"]);
    rig.hook(
        "update",
        "[ \"$1\" != refs/heads/feature ] || { echo 'GH006: Protected branch update failed' >&2; exit 1; }",
    );
    let delivered = rig.deliver(&plan("{as: push}"), &request, &outcome).await;
    assert_eq!(
        rig.remote_ref("refs/heads/feature"),
        rig.base.commit.to_string()
    );
    assert!(
        delivered.delivered && delivered.pulls.len() == 1,
        "{delivered:?}"
    );
    assert!(
        troubles(&delivered).contains("`feature` refuses the push"),
        "{delivered:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_is_refused_is_said_and_nothing_is_opened() {
    let rig = Rig::new().await;
    let mut request = of_pull();
    let outcome = rig.outcome(&mut request, RunVerdict::Ready, &["deps"]);
    rig.hook("pre-receive", "echo 'not today' >&2; exit 1");
    let delivered = rig.deliver(&plan("{}"), &request, &outcome).await;
    assert!(!delivered.delivered && delivered.blocked, "{delivered:?}");
    assert_eq!((rig.refs(), rig.server.kept("/pulls")), (vec![], vec![]));
    assert!(
        rig.comment().contains("could not be pushed"),
        "{}",
        rig.comment()
    );
    // The verdict is told where there is something to tell it on: the pinned commit.
    assert_eq!(
        rig.checks(),
        [format!("omk on {}: success", &request.base.as_str()[..7])]
    );
    assert_eq!(rig.reactions(), ["confused"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_commit_on_our_branch_is_left_alone_and_the_rest_is_delivered() {
    let rig = Rig::new().await;
    let mut request = of_pull();
    let outcome = rig.outcome(&mut request, RunVerdict::Ready, &["deps"]);
    let theirs = rig.somebody_pushes("omk/run/pr-12", rig.base.commit.as_str());
    let delivered = rig.deliver(&plan("{}"), &request, &outcome).await;
    assert_eq!(rig.remote_ref(RUN), theirs);
    assert_eq!(delivered.pushed, [proofs_ref(&request)]);
    assert!(!delivered.delivered && delivered.pulls.is_empty());
    assert!(troubles(&delivered).contains("not omk's"), "{delivered:?}");
    assert!(rig.comment().contains("not omk's"), "{}", rig.comment());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_ours_that_somebody_amended_is_theirs() {
    let rig = Rig::new().await;
    let mut request = of_pull();
    let outcome = rig.outcome(&mut request, RunVerdict::Ready, &["deps"]);
    rig.deliver(&plan("{}"), &request, &outcome).await;
    rig.world.git(&[
        "checkout",
        "--quiet",
        "--detach",
        outcome.result.as_ref().unwrap().commit.as_str(),
    ]);
    rig.world.write("src/deps.rs", "better\n");
    rig.world
        .git(&["commit", "--quiet", "--all", "--amend", "--no-edit"]);
    let amended = rig.world.rev("HEAD");
    rig.world.git(&[
        "push",
        "--quiet",
        "--force",
        rig.remote.url(),
        &format!("HEAD:{RUN}"),
    ]);
    rig.world.git(&["checkout", "--quiet", "main"]);
    let delivered = rig.deliver(&plan("{}"), &request, &outcome).await;
    assert_eq!(rig.remote_ref(RUN), amended);
    assert!(troubles(&delivered).contains("not omk's"), "{delivered:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_gates_and_five_hundred_remarks_keep_every_limit() {
    let rig = Rig::new().await;
    let mut request = of_pull();
    let names: Vec<String> = (0..50).map(|number| format!("t{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut outcome = rig.outcome(&mut request, RunVerdict::Ready, &names);
    outcome.view.gates = (0..300)
        .map(|number| gate(&format!("g{number}"), GateVerdict::Passed))
        .collect();
    for number in 0..3 {
        let mut failing = failing_gate(&format!("g{number}"), 170);
        (failing.required, failing.counts_as_passed) = (false, false);
        failing.log.as_mut().unwrap().head = "a line of a long log\n".repeat(10_000);
        outcome.view.gates[number] = failing;
    }
    let delivered = rig
        .deliver(&plan("{labels: [omk]}"), &request, &outcome)
        .await;
    // The server refuses what GitHub would refuse.
    assert_eq!(delivered.troubles, Vec::<String>::new());
    let checks = rig.server.kept("/check-runs");
    assert_eq!(checks.len(), 2 + 20 + 1);
    let remarks = |check: &Value| check["annotations"].as_array().map_or(0, Vec::len);
    assert_eq!(checks.iter().map(remarks).sum::<usize>(), 500);
    assert!(
        rig.server.writes().len() + 3 < 60,
        "{} writes",
        rig.server.writes().len()
    );
    assert!(rig.comment().len() <= 65_000);
    let text = checks
        .iter()
        .find(|check| check["name"] == "omk / g2")
        .unwrap()["output"]["summary"]
        .as_str()
        .unwrap();
    assert!(
        text.contains("160 failing items are shown at their lines, 10 more are not."),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_that_is_deleted_under_us_is_written_anew() {
    let rig = Rig::new().await;
    let mut request = of_pull();
    let outcome = rig.outcome(&mut request, RunVerdict::Ready, &["deps"]);
    let old = crate::github_server::comment(
        5,
        (bot().id, &bot().login),
        "<!-- omk:sticky:pr-12 -->\nold",
    );
    rig.server.keep("/issues/12/comments", old);
    rig.server.fault(
        Method::PATCH,
        "/issues/comments/",
        Fault::Instead(404, vec![], json!({ "message": "Not Found" })),
    );
    let delivered = rig.deliver(&plan("{}"), &request, &outcome).await;
    assert_eq!(delivered.troubles, Vec::<String>::new());
    let comments = rig.server.kept("/issues/12/comments");
    assert!(
        comments.last().unwrap()["body"]
            .as_str()
            .unwrap()
            .contains("**Delivered**")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_expires_after_the_push_ends_the_talk_and_what_was_pushed_is_said() {
    let rig = Rig::new().await;
    let mut request = of_pull();
    let outcome = rig.outcome(&mut request, RunVerdict::Ready, &["deps"]);
    rig.refuse(1, &Method::POST, "/pulls", 401, "Bad credentials");
    let delivered = rig.deliver(&plan("{}"), &request, &outcome).await;
    assert!(delivered.blocked && !delivered.delivered);
    assert_eq!(delivered.pushed, [RUN.to_owned(), proofs_ref(&request)]);
    assert_eq!(
        rig.server.writes(),
        ["POST /pulls"],
        "nothing is tried after that"
    );
    insta::assert_snapshot!(delivered.lines().join("\n"), @r#"
pushed: refs/heads/omk/run/pr-12, refs/omk/proofs/20261122t185155z-4f2a9c
warning: the token is not good any more (401), so omk could not open the pull request, write the checks, write the comment, react to the comment. What was pushed stays; repeat `omk publish` with a fresh token
"#);
    // Again with a fresh token: what is missing is made, and nothing twice.
    let delivered = rig.deliver(&plan("{}"), &request, &outcome).await;
    assert!(
        delivered.delivered && delivered.pulls.len() == 1,
        "{delivered:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_shown_every_fifteen_seconds_at_most_and_ten_times_in_all() {
    let rig = Rig::new().await;
    let mut request = of_pull();
    request.check = Some(7);
    let names: Vec<String> = (0..200).map(|number| format!("t{number}")).collect();
    let mut view = view(
        &request,
        RunVerdict::Ready,
        names
            .iter()
            .map(|name| task(name, TaskStage::Claimed))
            .collect(),
    );
    (view.verdict, view.ended) = (None, None);
    let mut progress = ForgeProgress::new(rig.server.forge(), request.clone(), bot(), at(0));
    let mut edits: Vec<i64> = Vec::new();
    let mut second = 0;
    while second < 6 * 3600 {
        if progress.is_due(view.count(), at(second)) {
            edits.push(second);
            progress.show(&view, at(second)).await.unwrap();
            assert!(
                !progress.is_due(view.count(), at(second + 3600)),
                "nothing has changed"
            );
            view.tasks[edits.len()].stage = landed('1');
        }
        second += 1;
    }
    assert!(
        edits
            .windows(2)
            .all(|pair| at(pair[1]).since(at(pair[0])) >= Duration::from_secs(15)),
        "{edits:?}"
    );
    assert!(edits[0] >= 15 && edits.len() == 10, "{edits:?}");
    assert!(
        edits.last().is_some_and(|last| *last > 3600),
        "they last for a while: {edits:?}"
    );
    let writes = rig.server.writes();
    assert_eq!(
        writes.len(),
        20,
        "each of the comment and of the check: {writes:#?}"
    );
    assert!(rig.comment().contains("under way"));
    let checks = rig.server.kept("/check-runs");
    assert!(
        checks.len() == 1 && checks[0]["status"] == "in_progress",
        "{checks:#?}"
    );
    assert_eq!(
        checks[0]["output"]["title"],
        "9 of 200 tasks completed so far"
    );
    // A comment that cannot be written ends nothing.
    let mut progress = ForgeProgress::new(rig.server.forge(), request, bot(), at(0));
    rig.refuse(1, &Method::PATCH, "/issues/comments/", 403, "no");
    assert!(progress.show(&view, at(20)).await.is_err());
    assert!(progress.show(&good(&of_pull()), at(40)).await.is_ok());
    let (mut nowhere, mut dry) = (nightly(), of_pull());
    (nowhere.check, dry.dry_run) = (None, true);
    for request in [nowhere, dry] {
        let none = ForgeProgress::new(rig.server.forge(), request, bot(), at(0));
        assert!(
            !none.is_due(view.count(), at(100)),
            "there is nowhere to show it"
        );
    }
}
