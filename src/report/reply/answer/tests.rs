//! What people are told where something was done.

use super::super::tests::{GITHUB, JOBS, commit, holding, run, shown, tasks};
use super::*;
use crate::proof::Finding;

#[test]
fn what_can_be_asked_is_shown() {
    insta::assert_snapshot!(shown(&help(GITHUB)), @"
    **What omk can be asked**

    ```text
    /omk run [TASK]...    Run the plan, or some tasks of it with what they need
    /omk plan             Show what a run would do
    /omk status           Show where the run stands
    /omk retry [TASK]...  Run again what is not proven, and the tasks that are named
    /omk cancel           End the run
    /omk approve DIGEST   Let the plan of that SHA-256 be used, which the pull request changes
    /omk verify           Check the proofs of the last run
    /omk help             Show what can be asked
    ```

    A command is a line of its own in a comment on a pull request, outside code, quotes and HTML. Tasks are named by id. `run` and `retry` take the head's full commit id too, to say which one you saw.
    ");
}

#[test]
fn a_run_that_starts_says_what_it_does() {
    insta::assert_snapshot!(shown(&accepted(GITHUB, &run(), &commit('a'), &[], JOBS)), @"
    👀 **Run `20261122t185155z-4f2a9c` starts**

    It does all tasks on `aaaaaaaaaaaa`. [Its jobs](<https://github.com/acme/widget/actions/runs/9>).

    The check `omk` shows where it stands; `/omk cancel` ends it.
    ");
    insta::assert_snapshot!(accepted(GITHUB, &run(), &commit('a'), &tasks(&["api"]), JOBS), @"
    👀 **Run `20261122t185155z-4f2a9c` starts**

    It does `api` on `aaaaaaaaaaaa`. [Its jobs](<https://github.com/acme/widget/actions/runs/9>).

    The check `omk` shows where it stands; `/omk cancel` ends it.
    ");
    insta::assert_snapshot!(accepted(GITHUB, &run(), &commit('a'), &tasks(&["api", "docs", "cli"]), JOBS), @"
    👀 **Run `20261122t185155z-4f2a9c` starts**

    It does `api` and 2 more tasks on `aaaaaaaaaaaa`. [Its jobs](<https://github.com/acme/widget/actions/runs/9>).

    The check `omk` shows where it stands; `/omk cancel` ends it.
    ");
}

#[test]
fn a_retry_that_keeps_nothing_says_why() {
    insta::assert_snapshot!(shown(&nothing_kept("the artifact of the last run has expired.")), @"
    ℹ️ **All tasks start anew**

    Nothing of the last run can be kept: the artifact of the last run has expired.

    A retry keeps what was proven on the same base with the same plan, as long as the last run's artifact is there.
    ");
}

#[test]
fn an_approval_is_answered_by_what_it_approves() {
    let plan = Sha256::of(b"plan");
    let whole: PlanDigest = plan.as_str().parse().unwrap();
    let short: PlanDigest = plan.as_str()[..12].parse().unwrap();
    insta::assert_snapshot!(shown(&approved(GITHUB, &whole, "jane", Some(&plan))), @"
    👍 **The plan `64879f7d6b96` is approved by `jane`**

    It counts as long as that comment is there, unedited, and its author has the permission.

    Start it with `/omk run`. Delete the comment to take the approval back.
    ");
    insta::assert_snapshot!(shown(&approved(GITHUB, &short, "jane", Some(&plan))), @"
    👍 **The plan `64879f7d6b96` is approved by `jane`**

    It counts as long as that comment is there, unedited, and its author has the permission. Give all 64 digits next time: who writes two plans can make them begin alike.

    Start it with `/omk run`. Delete the comment to take the approval back.
    ");
    insta::assert_snapshot!(shown(&approved(GITHUB, &whole, "jane", Some(&Sha256::of(b"another")))), @"
    😕 **`64879f7d6b96` is not the plan of this pull request**

    At the head it is `ae448ac86c4e` now; it may have been changed since you looked.

    Look at it again in the check `omk plan`, and approve the digest that it shows.
    ");
    insta::assert_snapshot!(shown(&approved(GITHUB, &whole, "jane", None)), @"
    👍 **There is nothing to approve**

    The pull request does not change the plan; the one of its base branch is used.

    Start it with `/omk run`.
    ");
}

#[test]
fn status_says_where_to_look() {
    let head = commit('a');
    let none = ScopeStanding {
        head: &head,
        check: None,
        workflow_url: None,
        comment_url: None,
    };
    insta::assert_snapshot!(shown(&status(GITHUB, &none)), @"
    ⚪ **No run on the head `aaaaaaaaaaaa`**

    It has no check `omk`.

    Start one with `/omk run`.
    ");
    let comment_url = Some("https://github.com/acme/widget/pull/12#issuecomment-3");
    insta::assert_snapshot!(shown(&status(GITHUB, &ScopeStanding { comment_url, ..none.clone() })), @"
    ⚪ **No run on the head `aaaaaaaaaaaa`**

    It has no check `omk`. [The report](<https://github.com/acme/widget/pull/12#issuecomment-3>) tells of an earlier one.

    Start one with `/omk run`.
    ");
    let check = Some((
        "3 of 5 tasks completed",
        "https://github.com/acme/widget/runs/5",
    ));
    let busy = ScopeStanding {
        check,
        comment_url,
        workflow_url: Some(JOBS),
        ..none
    };
    insta::assert_snapshot!(shown(&status(GITHUB, &busy)), @"
    🔄 **On `aaaaaaaaaaaa`: 3 of 5 tasks completed**

    [Check](<https://github.com/acme/widget/runs/5>), [report](<https://github.com/acme/widget/pull/12#issuecomment-3>), [jobs](<https://github.com/acme/widget/actions/runs/9>).

    `/omk cancel` ends it.
    ");
    insta::assert_snapshot!(shown(&status(GITHUB, &ScopeStanding { workflow_url: None, ..busy })), @"
    ⚪ **On `aaaaaaaaaaaa`: 3 of 5 tasks completed**

    [Check](<https://github.com/acme/widget/runs/5>), [report](<https://github.com/acme/widget/pull/12#issuecomment-3>).

    `/omk retry` runs again what is not proven.
    ");
}

#[test]
fn a_cancellation_says_what_is_kept() {
    insta::assert_snapshot!(shown(&cancelled(GITHUB, JOBS)), @"
    🛑 **The run is being cancelled**

    [The run](<https://github.com/acme/widget/actions/runs/9>) ends within seconds. What it finished is kept as an artifact, and not delivered.

    Start again with `/omk retry`, which keeps what is proven, or with `/omk run`.
    ");
    insta::assert_snapshot!(shown(&not_ours_to_cancel(GITHUB, JOBS)), @"
    😕 **Nothing was cancelled: the run that the check names is not one of this workflow**

    Anybody who can write checks can make one that names another run, so omk ends only runs of its own workflow here.

    If it is to end, somebody who may can do it there: [the run](<https://github.com/acme/widget/actions/runs/9>).
    ");
    insta::assert_snapshot!(shown(&nothing_to_cancel(GITHUB, &commit('a'))), @"
    ⚪ **There is nothing to cancel**

    No check `omk` is in progress on the head `aaaaaaaaaaaa`.

    A run on an earlier commit can be ended in the Actions tab. `/omk status` shows where things stand.
    ");
}

#[test]
fn proofs_are_counted_and_each_is_folded() {
    let broken = Checked {
        findings: vec![Finding::CommitMissing(commit('d'))],
        ..holding()
    };
    let proofs = [("api".to_owned(), holding()), ("run".to_owned(), broken)];
    insta::assert_snapshot!(shown(&verified(&run(), &proofs)), @"
    ❌ **2 proofs of run `20261122t185155z-4f2a9c` checked: 1 does not hold**

    Statement, digests, commit, tree, plan and rules of each were held against this repository.

    What does not hold is no evidence: do not merge on its word. `/omk run` makes it anew.

    <details><summary>Each proof</summary>

    ```text
    holds   api
    BROKEN  run
            - the commit dddddddddddddddddddddddddddddddddddddddd is not in this repository
    (unsigned)
    ```

    </details>
    ");
    insta::assert_snapshot!(shown(&verified(&run(), &proofs[..1])), @"
    ✅ **1 proof of run `20261122t185155z-4f2a9c` checked: all hold**

    Statement, digests, commit, tree, plan and rules of each were held against this repository.

    `omk verify` checks the same on a laptop, offline.

    <details><summary>Each proof</summary>

    ```text
    holds   api
    (unsigned)
    ```

    </details>
    ");
    insta::assert_snapshot!(shown(&verified(&run(), &[])), @"
    😕 **There is nothing to verify**

    Run `20261122t185155z-4f2a9c` left no proof: one is written for every task whose change landed.

    Start a run with `/omk run`.
    ");
}
