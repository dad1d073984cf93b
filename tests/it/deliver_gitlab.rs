//! Delivery in GitLab's manner: what is in the way there, and that nothing is lost for it. The
//! remote is real; the API is not GitLab's here, as nothing of this is about its paths.

use axum::http::Method;
use omk_action::deliver::{Delivered, ForgeProgress, proofs_ref};
use omk_action::fact::RunVerdict;
use omk_action::report::Count;
use omk_action::request::Request;
use omk_action::text::ForgeKind;

use crate::deliver_sample::*;
use crate::deliver_steps::plan;
use crate::deliver_world::{Rig, troubles};
use crate::github_server::bot;

/// The branch of the result of [`of_merge_request`].
const RUN: &str = "refs/heads/omk/run/mr-12";

fn of_merge_request() -> Request {
    let mut request = at_gitlab(request());
    request.check = None;
    request
}

/// No word of GitHub's is in what is told.
fn in_gitlabs_words(delivered: &Delivered) {
    let told = delivered.lines().join("\n");
    for word in ["pull request", "GitHub", "GITHUB", "workflow", "check"] {
        assert!(!told.contains(word), "{word}: {told}");
    }
}

/// A hook as GitLab's: it looks at the whole push, refuses all of it for one ref, and does not say
/// for which.
fn refuse(rig: &Rig, name: &str) {
    let words = "GitLab: You are not allowed to push code to protected branches on this project.";
    let script = format!(
        "while read -r old new ref; do case \"$ref\" in {name}) echo '{words}' >&2; refused=1;; esac; done\n[ -z \"$refused\" ]"
    );
    rig.hook("pre-receive", &script);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_request_that_may_not_be_opened_leaves_branches_and_a_link() {
    let rig = Rig::new().await;
    let mut request = of_merge_request();
    let outcome = rig.outcome(&mut request, RunVerdict::Ready, &["deps"]);
    rig.refuse(1, &Method::POST, "/pulls", 403, "403 Forbidden");
    let delivered = rig.deliver(&plan("{}"), &request, &outcome).await;
    assert!(
        delivered.delivered && delivered.pulls.is_empty(),
        "{delivered:?}"
    );
    assert_eq!(
        rig.remote_ref(RUN),
        outcome.result.unwrap().commit.to_string()
    );
    let comment = rig.comment();
    let link = "https://gitlab.test/acme/widget/-/merge_requests/new?merge_request%5Bsource_branch%5D=omk%2Frun%2Fmr-12&\
                merge_request%5Btarget_branch%5D=feature";
    assert!(
        comment.contains(&format!("[Open the merge request]({link})")),
        "{comment}"
    );
    assert!(
        comment.contains("Settings > CI/CD > Variables") || comment.contains("CI/CD \\>"),
        "{comment}"
    );
    in_gitlabs_words(&delivered);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_commit_statuses_are_refused_nothing_takes_their_place() {
    let rig = Rig::new().await;
    let mut request = of_merge_request();
    let outcome = rig.outcome(&mut request, RunVerdict::Ready, &["deps"]);
    rig.refuse(9, &Method::POST, "/check-runs", 403, "403 Forbidden");
    let delivered = rig.deliver(&plan("{}"), &request, &outcome).await;
    assert!(
        delivered.delivered && delivered.pulls.len() == 1,
        "{delivered:?}"
    );
    assert!(
        troubles(&delivered).contains("this text alone tells the verdict"),
        "{delivered:?}"
    );
    assert!(
        !rig.server
            .writes()
            .iter()
            .any(|write| write.contains("/statuses")),
        "{:?}",
        rig.server.writes()
    );
    assert!(
        rig.comment().contains("**Delivered** as merge request [!"),
        "{}",
        rig.comment()
    );
    assert_eq!(rig.reactions(), ["rocket"]);
    in_gitlabs_words(&delivered);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_a_protected_branch_that_takes_no_status_keeps_none_from_the_result() {
    let rig = Rig::new().await;
    let mut request = of_merge_request();
    let outcome = rig.outcome(&mut request, RunVerdict::Ready, &["deps"]);
    rig.refuse(1, &Method::POST, "/check-runs", 403, "403 Forbidden");
    let delivered = rig.deliver(&plan("{}"), &request, &outcome).await;
    assert!(
        troubles(&delivered).contains("takes the right to merge there"),
        "{delivered:?}"
    );
    let kept = rig.server.kept("/check-runs");
    let result = outcome.result.unwrap().commit.to_string();
    let of_result = kept
        .iter()
        .filter(|check| check["head_sha"] == result.as_str());
    assert_eq!(
        (of_result.count(), kept.len()),
        (kept.len(), kept.len()),
        "{kept:?}"
    );
    assert!(kept.iter().any(|check| check["name"] == "omk"), "{kept:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_head_that_git_does_not_name_gets_a_merge_request_and_the_rest_is_pushed() {
    let rig = Rig::new().await;
    let mut request = of_merge_request();
    let outcome = rig.outcome(&mut request, RunVerdict::Ready, &["deps"]);
    refuse(&rig, "refs/heads/feature");
    let delivered = rig.deliver(&plan("{as: push}"), &request, &outcome).await;
    assert_eq!(
        rig.remote_ref("refs/heads/feature"),
        rig.base.commit.to_string()
    );
    assert_eq!(
        rig.remote_ref(RUN),
        outcome.result.unwrap().commit.to_string()
    );
    assert!(
        !rig.remote_ref(&proofs_ref(&request)).is_empty(),
        "the proofs are there too"
    );
    assert!(
        delivered.delivered && delivered.pulls.len() == 1,
        "{delivered:?}"
    );
    assert!(
        troubles(&delivered).contains("`feature` refuses the push"),
        "{delivered:?}"
    );
    in_gitlabs_words(&delivered);
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_that_a_project_does_not_take_keep_nothing_else_from_being_delivered() {
    let rig = Rig::new().await;
    let mut request = of_merge_request();
    let outcome = rig.outcome(&mut request, RunVerdict::Ready, &["deps"]);
    refuse(&rig, "refs/omk/*");
    let result = outcome.result.as_ref().unwrap().commit.to_string();
    let delivered = rig.deliver(&plan("{as: push}"), &request, &outcome).await;
    assert_eq!(
        rig.remote_ref("refs/heads/feature"),
        result,
        "the head is pushed as it was wanted"
    );
    assert_eq!(
        (rig.remote_ref(RUN), rig.remote_ref(&proofs_ref(&request))),
        (result, String::new())
    );
    assert!(
        delivered.delivered && delivered.pulls.is_empty(),
        "{delivered:?}"
    );
    assert!(
        troubles(&delivered).contains("`refs/omk/proofs/"),
        "{delivered:?}"
    );
    in_gitlabs_words(&delivered);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_may_go_nowhere_is_said_and_tried_a_few_times_only() {
    let rig = Rig::new().await;
    let mut request = of_merge_request();
    let outcome = rig.outcome(&mut request, RunVerdict::Ready, &["deps"]);
    refuse(&rig, "refs/heads/omk/*");
    let delivered = rig.deliver(&plan("{as: push}"), &request, &outcome).await;
    assert!(!delivered.delivered && delivered.blocked, "{delivered:?}");
    assert_eq!(rig.refs(), Vec::<String>::new());
    assert!(
        troubles(&delivered).contains("retry the job that delivers"),
        "{delivered:?}"
    );
    in_gitlabs_words(&delivered);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_is_repeated_makes_nothing_twice() {
    let rig = Rig::new().await;
    let mut request = of_merge_request();
    let outcome = rig.outcome(&mut request, RunVerdict::Ready, &["deps"]);
    let first = rig.deliver(&plan("{}"), &request, &outcome).await;
    let second = rig.deliver(&plan("{}"), &request, &outcome).await;
    assert!(
        first.delivered && second.delivered && second.troubles.is_empty(),
        "{second:?}"
    );
    assert_eq!((first.pulls, first.pushed), (second.pulls, second.pushed));
    assert_eq!(rig.server.kept("/pulls").len(), 1);
    rig.comment();
    let body = rig.server.kept("/pulls")[0]["body"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        !body.contains("Approve workflows") && body.contains("[pipeline]"),
        "{body}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_under_way_is_not_told_of() {
    let rig = Rig::new().await;
    let github = ForgeProgress::new(rig.server.forge(), request(), bot(), at(0));
    let gitlab = ForgeProgress::new(rig.server.forge(), of_merge_request(), bot(), at(0));
    let count = Count {
        all: 2,
        completed: 1,
        ..Count::default()
    };
    assert!(github.is_due(count, at(60)) && !gitlab.is_due(count, at(60)));
    assert_eq!(of_merge_request().forge, ForgeKind::GitLab);
}
