//! Deliveries to a real git remote and a scripted GitHub: each form, each verdict, and again.

use omk_action::deliver::{definitions, proofs_ref, tell_lost};
use omk_action::fact::RunVerdict;
use omk_action::report::pull;
use omk_action::report::sticky::LostRun;
use serde_json::json;

use crate::deliver_sample::*;
use crate::deliver_steps::plan;
use crate::deliver_world::{RUN, Rig, of_pull, troubles};

/// A write's path without what differs from run to run.
fn shape(write: &str) -> String {
    write
        .split('/')
        .map(|part| {
            if part.bytes().all(|byte| byte.is_ascii_digit()) {
                "N"
            } else {
                part
            }
        })
        .collect::<Vec<_>>()
        .join("/")
}

fn shapes(writes: &[String]) -> Vec<String> {
    writes.iter().map(|write| shape(write)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ready_run_is_pushed_then_told_and_a_repeat_makes_nothing_twice() {
    let rig = Rig::new().await;
    let mut request = of_pull();
    let outcome = rig.outcome(&mut request, RunVerdict::Ready, &["deps", "api"]);
    let plan = plan("{as: pull-request, labels: [omk]}");
    let delivered = rig.deliver(&plan, &request, &outcome).await;
    assert_eq!(delivered.troubles, Vec::<String>::new());
    assert!(delivered.delivered && !delivered.blocked);
    let result = outcome.result.as_ref().unwrap().commit.to_string();
    assert_eq!(rig.remote_ref(RUN), result);
    assert_eq!(rig.refs().len(), 2, "{:?}", rig.refs());
    let [(number, url)] = delivered.pulls.as_slice() else {
        panic!("{delivered:?}")
    };
    // First what there is, then what is said of it.
    let expect = [
        "POST /pulls",
        "POST /issues/N/labels",
        "POST /check-runs",
        "POST /check-runs",
        "POST /check-runs",
        "POST /issues/N/comments",
        "POST /issues/comments/N/reactions",
    ];
    assert_eq!(shapes(&rig.server.writes()), expect);
    assert_eq!(
        rig.checks(),
        [
            format!("omk on {}: success", &request.base.as_str()[..7]),
            format!("omk on {}: success", &result[..7]),
            format!("omk / test on {}: success", &result[..7]),
        ]
    );
    assert_eq!(rig.reactions(), ["rocket"]);
    let comment = rig.comment();
    assert!(
        comment.contains(&format!("[#{number}]({url})")),
        "{comment}"
    );
    let opened = &rig.server.kept("/pulls")[0];
    assert_eq!(
        (&opened["head"]["ref"], &opened["base"]["ref"]),
        (&json!("omk/run/pr-12"), &json!("feature"))
    );
    assert_eq!(opened["draft"], true);

    let (refs, writes) = (rig.refs(), rig.server.writes().len());
    let again = rig.deliver(&plan, &request, &outcome).await;
    assert_eq!(
        (again.troubles.len(), again.pulls, again.pushed),
        (0, delivered.pulls, delivered.pushed)
    );
    assert_eq!(rig.refs(), refs);
    let repeated = rig.server.writes().split_off(writes);
    // A reaction is a set: sending it again makes no second one.
    assert!(
        repeated.iter().all(|write| write.ends_with("/reactions")),
        "{repeated:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proofs_and_all_they_speak_of_can_be_fetched() {
    let rig = Rig::new().await;
    let mut request = of_pull();
    let mut outcome = rig.outcome(&mut request, RunVerdict::Ready, &["deps"]);
    // A change that was merged on its way: its own commit is on no branch.
    let own = rig.change(&request, "other", &rig.base);
    outcome
        .tasks
        .push(("api".parse().unwrap(), own.commit.clone()));
    rig.deliver(&plan("{}"), &request, &outcome).await;
    let name = proofs_ref(&request);
    let dir = rig.world.dir().join("remote.git");
    let git = |args: &[&str]| {
        rig.world
            .git(&[&["--git-dir", dir.to_str().unwrap()], args].concat())
    };
    assert_eq!(
        git(&["show", &format!("{name}:run.result.json")]),
        "{\"a\":1}"
    );
    let reachable = git(&["rev-list", &name]);
    for commit in [&own.commit, &outcome.result.as_ref().unwrap().commit] {
        assert!(reachable.contains(commit.as_str()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_goes_onto_the_head_and_one_that_moved_gets_a_pull_request() {
    let rig = Rig::new().await;
    let mut request = of_pull();
    let outcome = rig.outcome(&mut request, RunVerdict::Ready, &["deps"]);
    let result = outcome.result.as_ref().unwrap().commit.to_string();
    let delivered = rig.deliver(&plan("{as: push}"), &request, &outcome).await;
    assert!(
        delivered.delivered && delivered.pulls.is_empty(),
        "{delivered:?}"
    );
    assert_eq!(rig.remote_ref("refs/heads/feature"), result);
    let again = rig.deliver(&plan("{as: push}"), &request, &outcome).await;
    assert!(again.delivered && again.troubles.is_empty(), "{again:?}");

    let theirs = rig.somebody_pushes("feature", rig.base.commit.as_str());
    let moved = rig.deliver(&plan("{as: push}"), &request, &outcome).await;
    assert_eq!(
        rig.remote_ref("refs/heads/feature"),
        theirs,
        "never overwritten"
    );
    assert_eq!(moved.pulls.len(), 1);
    assert!(
        troubles(&moved).contains("delivered as a pull request instead"),
        "{moved:?}"
    );
    assert!(
        rig.comment()
            .contains("delivered as a pull request instead")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_that_a_person_closed_is_left_alone() {
    let rig = Rig::new().await;
    let mut request = nightly();
    request.check = None;
    let outcome = rig.outcome(&mut request, RunVerdict::Ready, &["deps"]);
    let plan = plan("{}");
    let side = |branch: &str| json!({ "ref": branch, "sha": "a".repeat(40), "repo": { "id": 7 } });
    let body = format!(
        "{}\nwords",
        pull::marker(&request, None, &definitions(&plan))
    );
    let closed = json!({ "number": 13, "state": "closed", "title": "t", "body": body, "html_url": "https://x/13",
        "head": side("omk/run/nightly"), "base": side("main"), "user": null, "at": "/repos/acme/widget/pulls/13" });
    rig.server.keep("/pulls", closed);
    let delivered = rig.deliver(&plan, &request, &outcome).await;
    assert_eq!(rig.server.kept("/pulls").len(), 1);
    assert_eq!(delivered.pushed, [proofs_ref(&request)]);
    assert!(
        troubles(&delivered).contains("closed by a person"),
        "{delivered:?}"
    );
    assert!(!delivered.blocked, "a person wants it so");
    let mut other = plan.clone();
    other.tasks[0].priority = 3;
    let delivered = rig.deliver(&other, &request, &outcome).await;
    assert_eq!(
        (rig.server.kept("/pulls").len(), delivered.pulls.len()),
        (2, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_task_has_a_pull_request_and_no_more_than_the_plan_allows() {
    let rig = Rig::new().await;
    let mut request = nightly();
    request.check = None;
    let outcome = rig.outcome(&mut request, RunVerdict::Ready, &["deps", "api"]);
    let one = plan("{as: pull-request-per-task, limit: 1}");
    let delivered = rig.deliver(&one, &request, &outcome).await;
    assert_eq!(delivered.pulls.len(), 1);
    assert!(
        troubles(&delivered).contains("the plan allows 1 at once"),
        "{delivered:?}"
    );
    let delivered = rig
        .deliver(&plan("{as: pull-request-per-task}"), &request, &outcome)
        .await;
    assert_eq!(
        (delivered.pulls.len(), rig.server.kept("/pulls").len()),
        (2, 2),
        "the first is updated in place"
    );
    let pulls = rig.server.kept("/pulls");
    let of = |branch: &str| {
        pulls
            .iter()
            .find(|pull| pull["head"]["ref"] == branch)
            .unwrap()["body"]
            .as_str()
            .unwrap()
    };
    assert!(
        of("omk/task/nightly/api").contains("It is built on `deps`"),
        "{}",
        of("omk/task/nightly/api")
    );
    assert!(!of("omk/task/nightly/deps").contains("It is built on"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_not_ready_delivers_nothing_unless_the_plan_says_partial() {
    let rig = Rig::new().await;
    let mut request = of_pull();
    let outcome = rig.outcome(&mut request, RunVerdict::NotReady, &["deps"]);
    let delivered = rig.deliver(&plan("{}"), &request, &outcome).await;
    assert!(
        !delivered.delivered && !delivered.blocked && delivered.troubles.is_empty(),
        "{delivered:?}"
    );
    assert_eq!(rig.refs(), Vec::<String>::new());
    assert_eq!(
        rig.checks(),
        [format!("omk on {}: failure", &request.base.as_str()[..7])]
    );
    assert_eq!(rig.reactions(), ["confused"]);
    assert!(
        rig.comment().contains("**Nothing was delivered**"),
        "{}",
        rig.comment()
    );
    let delivered = rig
        .deliver(&plan("{partial: true, draft: false}"), &request, &outcome)
        .await;
    assert_eq!(
        (
            delivered.pulls.len(),
            &rig.server.kept("/pulls")[0]["draft"]
        ),
        (1, &json!(true))
    );
    assert!(
        rig.checks()
            .iter()
            .all(|check| check.ends_with("failure") || check.starts_with("omk / ")),
        "{:?}",
        rig.checks()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_it_would_do_and_does_nothing() {
    let rig = Rig::new().await;
    let mut request = of_pull();
    request.dry_run = true;
    let outcome = rig.outcome(&mut request, RunVerdict::Ready, &["deps"]);
    let delivered = rig.deliver(&plan("{}"), &request, &outcome).await;
    assert_eq!((rig.refs(), rig.server.writes()), (vec![], vec![]));
    let lines = delivered
        .lines()
        .join("\n")
        .replace(&outcome.result.unwrap().commit.as_str()[..12], "RESULT");
    let lines = lines.replace(&request.base.as_str()[..12], "BASE");
    insta::with_settings!({ filters => vec![(r"proofs/(\S+) to [0-9a-f]{12}", "proofs/$1 to PROOFS")] }, {
        insta::assert_snapshot!(lines, @r#"
dry run: push refs/heads/omk/run/pr-12 to RESULT (now absent)
dry run: push refs/omk/proofs/20261122t185155z-4f2a9c to PROOFS (now absent)
dry run: open or update the pull request from omk/run/pr-12 to feature
dry run: close as Success the check omk on BASE: ready: 1 of 1 task completed
dry run: close as Success the check omk on RESULT: ready: 1 of 1 task completed
dry run: close as Success the check omk / test on RESULT: passed
dry run: edit the comment on pull request 12
"#);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_maintenance_run_is_told_on_its_dashboard_and_a_repeat_adds_nothing() {
    let rig = Rig::new().await;
    let mut request = nightly();
    request.check = None;
    let outcome = rig.outcome(&mut request, RunVerdict::Ready, &["deps"]);
    let first = rig.deliver(&plan("{}"), &request, &outcome).await;
    assert_eq!(first.troubles, Vec::<String>::new());
    let issue = rig.server.kept("/issues");
    let writes = rig.server.writes().len();
    let second = rig.deliver(&plan("{}"), &request, &outcome).await;
    assert_eq!(
        (second.comment, rig.server.kept("/issues")),
        (first.comment, issue)
    );
    assert_eq!(
        rig.server.writes().len(),
        writes,
        "{:?}",
        rig.server.writes()
    );
    // The next run edits the same issue, and remembers this one.
    request.run = "20261123t185155z-000001".parse().unwrap();
    let next = rig.outcome(&mut request, RunVerdict::Ready, &["deps"]);
    rig.deliver(&plan("{}"), &request, &next).await;
    let issues = rig.server.kept("/issues");
    assert_eq!(issues.len(), 1);
    assert!(
        issues[0]["body"].as_str().unwrap().contains("Last 2 runs"),
        "{}",
        issues[0]["body"]
    );
    // One that delivers nothing still shows what waits to be merged.
    request.run = "20261124t185155z-000002".parse().unwrap();
    let bad = rig.outcome(&mut request, RunVerdict::NotReady, &["deps"]);
    rig.deliver(&plan("{}"), &request, &bad).await;
    let body = rig.server.kept("/issues")[0]["body"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        body.contains("Last 3 runs") && body.contains("1 open result"),
        "{body}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_left_nothing_closes_its_check_and_says_so() {
    let rig = Rig::new().await;
    let mut request = of_pull();
    request.base = rig.base.commit.clone();
    let check = omk_action::deliver::opened(&request, at(0));
    request.check = Some(
        rig.server
            .client()
            .put_check(&check, None)
            .await
            .unwrap()
            .id,
    );
    let told = tell_lost(&rig.server.forge(), &request, &LostRun::NoBundle, at(800)).await;
    assert_eq!(told.troubles, Vec::<String>::new());
    assert_eq!(
        rig.checks(),
        [format!("omk on {}: failure", &request.base.as_str()[..7])]
    );
    assert!(
        rig.comment().contains("without leaving its result"),
        "{}",
        rig.comment()
    );
    assert_eq!(rig.reactions(), ["confused"]);
    tell_lost(&rig.server.forge(), &request, &LostRun::Cancelled, at(900)).await;
    assert_eq!(
        rig.checks(),
        [format!("omk on {}: cancelled", &request.base.as_str()[..7])],
        "the same check"
    );
    assert!(rig.comment().contains("cancelled"));
}
