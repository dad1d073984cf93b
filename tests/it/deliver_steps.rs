//! What is decided of a delivery, from what was found: tables, without a remote and without a
//! forge.

use std::fmt::Write as _;

use omk_action::deliver::{
    DeliveredShare, Held, RemoteState, RunOutcome, conclusion, full, plan_delivery, proofs_ref,
    share, task_definition,
};
use omk_action::fact::RunVerdict;
use omk_action::forge::Conclusion;
use omk_action::git::RefUpdate;
use omk_action::history::{run_branch, task_branch};
use omk_action::id::Sha256;
use omk_action::plan::Plan;
use omk_action::proof::JudgedBy;
use omk_action::report::{View, pull};
use omk_action::request::Request;
use omk_action::trust::{PullRequest, PullSide};

use crate::deliver_sample::*;

/// A plan with the tasks of [`good`], delivered so.
pub(crate) fn plan(deliver: &str) -> Plan {
    let text = format!(
        "version: 1\nname: nightly\ngates: [{{id: test, run: make test}}]\ndefaults: {{gates: [test]}}\n\
         tasks:\n- {{id: deps, run: 'true'}}\n- {{id: api, run: 'true', dependencies: [deps]}}\ndeliver: {deliver}\n"
    );
    omk_action::plan::parse(text.as_bytes(), "omk.yaml", "nightly").unwrap()
}

fn outcome(view: View) -> RunOutcome {
    RunOutcome {
        verdict: view.verdict.unwrap(),
        result: view.result.clone(),
        tasks: vec![
            ("deps".parse().unwrap(), tip('1').commit),
            ("api".parse().unwrap(), tip('2').commit),
        ],
        proofs: vec![("run.result.json".to_owned(), b"{}".to_vec())],
        judged_by: JudgedBy::SeparateJob,
        view,
    }
}

fn held(digit: char, ours: bool) -> Held {
    Held {
        commit: tip(digit).commit,
        ours,
    }
}

/// What there is at the beginning: the head at the pinned commit.
fn fresh() -> RemoteState {
    let mut found = RemoteState::default();
    found.refs.insert(full("feature"), held('b', false));
    found
}

pub(crate) fn pull_of(number: u64, branch: &str, marker: &str) -> PullRequest {
    let side = |branch: &str| PullSide {
        branch: branch.to_owned(),
        commit: tip('1').commit,
        repository: Some(7),
    };
    PullRequest {
        number,
        open: true,
        head: side(branch),
        base: side("main"),
        url: format!("https://github.com/acme/widget/pull/{number}"),
        author: None,
        merged: false,
        body: format!("{marker}\nwords"),
    }
}

fn closed(number: u64, branch: &str, marker: &str) -> PullRequest {
    PullRequest {
        open: false,
        ..pull_of(number, branch, marker)
    }
}

/// The steps as lines: `ref: from -> to`, `pull: head -> base`, `trouble: …`.
fn steps(deliver: &str, request: &Request, found: &RemoteState) -> String {
    steps_of(&plan(deliver), request, &outcome(good(request)), found)
}

fn steps_of(plan: &Plan, request: &Request, outcome: &RunOutcome, found: &RemoteState) -> String {
    let proofs = tip('9').commit;
    let steps = plan_delivery(plan, request, outcome, Some(&proofs), found);
    let mut out = String::new();
    for RefUpdate { name, to, expected } in &steps.refs {
        let digit = |id: &Option<omk_action::id::CommitId>| {
            id.as_ref()
                .map_or("-".to_owned(), |id| id.as_str()[..1].to_owned())
        };
        let _ = writeln!(out, "ref: {name}: {} -> {}", digit(expected), digit(to));
    }
    for step in &steps.pulls {
        let draft = if step.draft { " (draft)" } else { "" };
        let _ = writeln!(out, "pull: {} -> {}{draft}", step.head, step.base);
    }
    for trouble in &steps.troubles {
        let _ = writeln!(
            out,
            "trouble: {}",
            trouble.words(omk_action::text::ForgeKind::GitHub)
        );
    }
    out
}

#[test]
fn each_form_of_delivery_has_its_refs_and_pull_requests() {
    let (request, nightly) = (request(), nightly());
    insta::assert_snapshot!(steps("{as: pull-request}", &request, &fresh()), @r#"
ref: refs/heads/omk/run/pr-12: - -> c
ref: refs/omk/proofs/20261122t185155z-4f2a9c: - -> 9
pull: omk/run/pr-12 -> feature (draft)
"#);
    insta::assert_snapshot!(steps("{as: pull-request, draft: false}", &nightly, &RemoteState::default()), @r#"
ref: refs/heads/omk/run/nightly: - -> c
ref: refs/omk/proofs/20261122t185155z-4f2a9c: - -> 9
pull: omk/run/nightly -> main
"#);
    insta::assert_snapshot!(steps("{as: pull-request-per-task}", &nightly, &RemoteState::default()), @r#"
ref: refs/heads/omk/run/nightly: - -> c
ref: refs/heads/omk/task/nightly/deps: - -> 1
ref: refs/heads/omk/task/nightly/api: - -> 2
ref: refs/omk/proofs/20261122t185155z-4f2a9c: - -> 9
pull: omk/task/nightly/deps -> main (draft)
pull: omk/task/nightly/api -> main (draft)
"#);
    insta::assert_snapshot!(steps("{as: push}", &request, &fresh()), @r#"
ref: refs/heads/feature: b -> c
ref: refs/heads/omk/run/pr-12: - -> c
ref: refs/omk/proofs/20261122t185155z-4f2a9c: - -> 9
"#);
    insta::assert_snapshot!(steps("{as: branches}", &request, &fresh()), @r#"
ref: refs/heads/omk/run/pr-12: - -> c
ref: refs/heads/omk/task/pr-12/deps: - -> 1
ref: refs/heads/omk/task/pr-12/api: - -> 2
ref: refs/omk/proofs/20261122t185155z-4f2a9c: - -> 9
"#);
}

#[test]
fn the_default_branch_is_never_pushed_onto_even_where_it_is_the_head() {
    let (mut request, mut found) = (request(), fresh());
    request.pull.as_mut().unwrap().head = "main".to_owned();
    let head = found.refs.remove(&full("feature")).unwrap();
    found.refs.insert(full("main"), head);
    let steps = steps("{as: push}", &request, &found);
    assert!(
        steps.contains(
            "`main` refuses the push (it is the default branch, which omk does not push onto)"
        ),
        "{steps}"
    );
    assert!(!steps.contains("refs/heads/main"), "{steps}");
}

#[test]
fn what_is_there_already_is_the_lease_and_nothing_is_pushed_twice() {
    let request = request();
    let mut found = fresh();
    found
        .refs
        .insert(full(&run_branch(&request.scope)), held('7', true));
    found.refs.insert(proofs_ref(&request), held('9', true));
    insta::assert_snapshot!(steps("{as: pull-request}", &request, &found), @r#"
ref: refs/heads/omk/run/pr-12: 7 -> c
ref: refs/omk/proofs/20261122t185155z-4f2a9c: 9 -> 9
pull: omk/run/pr-12 -> feature (draft)
"#);
}

#[test]
fn a_head_that_has_moved_gets_a_pull_request_and_is_never_overwritten() {
    let request = request();
    let mut found = fresh();
    found.refs.insert(full("feature"), held('e', false));
    insta::assert_snapshot!(steps("{as: push}", &request, &found), @r#"
ref: refs/heads/omk/run/pr-12: - -> c
ref: refs/omk/proofs/20261122t185155z-4f2a9c: - -> 9
pull: omk/run/pr-12 -> feature (draft)
trouble: `feature` is at eeeeeeeeeeee now, so the result was not pushed onto it: it is delivered as a pull request instead
"#);
    insta::assert_snapshot!(steps("{as: pull-request}", &request, &found), @r#"
ref: refs/heads/omk/run/pr-12: - -> c
ref: refs/omk/proofs/20261122t185155z-4f2a9c: - -> 9
pull: omk/run/pr-12 -> feature (draft)
trouble: `feature` has moved since, to eeeeeeeeeeee: the result is of the commit it was asked for on, and the merge may want your eye
"#);
    found.refs.insert(full("feature"), held('b', false));
    found
        .refused
        .insert(full("feature"), "protected branch".to_owned());
    insta::assert_snapshot!(steps("{as: push}", &request, &found), @r#"
ref: refs/heads/omk/run/pr-12: - -> c
ref: refs/omk/proofs/20261122t185155z-4f2a9c: - -> 9
pull: omk/run/pr-12 -> feature (draft)
trouble: `feature` refuses the push (protected branch): the result is delivered as a pull request instead
"#);
    found.refused.clear();
    // A repeat finds the result on the head already.
    found.refs.insert(full("feature"), held('c', true));
    insta::assert_snapshot!(steps("{as: push}", &request, &found), @r#"
ref: refs/heads/feature: c -> c
ref: refs/heads/omk/run/pr-12: - -> c
ref: refs/omk/proofs/20261122t185155z-4f2a9c: - -> 9
"#);
}

#[test]
fn a_head_that_is_gone_gets_branches_and_no_pull_request() {
    insta::assert_snapshot!(steps("{as: pull-request}", &request(), &RemoteState::default()), @r#"
ref: refs/heads/omk/run/pr-12: - -> c
ref: refs/omk/proofs/20261122t185155z-4f2a9c: - -> 9
trouble: `feature` is gone, so there is nothing to merge the result into: its own branch is pushed, and can be merged elsewhere
"#);
}

#[test]
fn somebody_elses_commit_is_left_alone_and_the_rest_is_delivered() {
    let request = request();
    let mut found = fresh();
    found
        .refs
        .insert(full(&run_branch(&request.scope)), held('f', false));
    insta::assert_snapshot!(steps("{as: pull-request}", &request, &found), @r#"
ref: refs/omk/proofs/20261122t185155z-4f2a9c: - -> 9
trouble: the branch `omk/run/pr-12` holds a commit that is not omk's (ffffffffffff): it was left alone. Merge, rename or delete it, then retry
"#);
    let mut found = fresh();
    found.refs.insert(
        full(&task_branch(&request.scope, &"deps".parse().unwrap())),
        held('f', false),
    );
    insta::assert_snapshot!(steps("{as: pull-request-per-task}", &request, &found), @r#"
ref: refs/heads/omk/run/pr-12: - -> c
ref: refs/heads/omk/task/pr-12/api: - -> 2
ref: refs/omk/proofs/20261122t185155z-4f2a9c: - -> 9
pull: omk/task/pr-12/api -> feature (draft)
trouble: the branch `omk/task/pr-12/deps` holds a commit that is not omk's (ffffffffffff): it was left alone. Merge, rename or delete it, then retry
"#);
}

#[test]
fn a_pull_request_that_a_person_closed_stays_closed_until_its_definition_changes() {
    let request = nightly();
    let (plan, deps) = (plan("{as: pull-request-per-task}"), "deps".parse().unwrap());
    let marker = pull::marker(
        &request,
        Some(&deps),
        &task_definition(&plan, &deps).unwrap(),
    );
    let branch = task_branch(&request.scope, &deps);
    let mut found = RemoteState::default();
    found
        .pulls
        .insert(branch.clone(), vec![closed(13, &branch, &marker)]);
    insta::assert_snapshot!(steps_of(&plan, &request, &outcome(good(&request)), &found), @r#"
ref: refs/heads/omk/run/nightly: - -> c
ref: refs/heads/omk/task/nightly/api: - -> 2
ref: refs/omk/proofs/20261122t185155z-4f2a9c: - -> 9
pull: omk/task/nightly/api -> main (draft)
trouble: the pull request 13 of task `deps` was closed by a person: it is left alone until its definition in the plan changes. Reopen it to have it updated again
"#);
    let other = pull::marker(&request, Some(&deps), &Sha256::of(b"another definition"));
    found
        .pulls
        .insert(branch.clone(), vec![closed(13, &branch, &other)]);
    assert!(
        steps_of(&plan, &request, &outcome(good(&request)), &found)
            .contains("pull: omk/task/nightly/deps")
    );
    found.pulls.insert(
        branch.clone(),
        vec![PullRequest {
            merged: true,
            ..closed(13, &branch, &marker)
        }],
    );
    assert!(
        steps_of(&plan, &request, &outcome(good(&request)), &found)
            .contains("pull: omk/task/nightly/deps")
    );
}

#[test]
fn a_person_who_asks_in_a_comment_gets_a_new_pull_request() {
    let request = request();
    let branch = run_branch(&request.scope);
    let plan = plan("{as: pull-request}");
    let marker = pull::marker(&request, None, &omk_action::deliver::definitions(&plan));
    let mut found = fresh();
    found
        .pulls
        .insert(branch.clone(), vec![closed(13, &branch, &marker)]);
    assert!(
        steps_of(&plan, &request, &outcome(good(&request)), &found)
            .contains("pull: omk/run/pr-12 -> feature")
    );
}

#[test]
fn no_more_pull_requests_are_open_at_once_than_the_plan_allows() {
    let request = nightly();
    let gone = "omk/task/nightly/long-gone";
    let mut found = RemoteState::default();
    found
        .pulls
        .insert(gone.to_owned(), vec![pull_of(11, gone, "")]);
    insta::assert_snapshot!(steps("{as: pull-request-per-task, limit: 2}", &request, &found), @r#"
ref: refs/heads/omk/run/nightly: - -> c
ref: refs/heads/omk/task/nightly/deps: - -> 1
ref: refs/heads/omk/task/nightly/api: - -> 2
ref: refs/omk/proofs/20261122t185155z-4f2a9c: - -> 9
pull: omk/task/nightly/deps -> main (draft)
trouble: 1 more pull request was not opened: the plan allows 2 at once (`deliver: limit`). Merge or close some, and they follow at the next run; their branches are pushed
"#);
    // One that is open already is updated, whatever the limit.
    let api = task_branch(&request.scope, &"api".parse().unwrap());
    found.pulls.insert(api.clone(), vec![pull_of(12, &api, "")]);
    insta::assert_snapshot!(steps("{as: pull-request-per-task, limit: 2}", &request, &found), @r#"
ref: refs/heads/omk/run/nightly: - -> c
ref: refs/heads/omk/task/nightly/deps: - -> 1
ref: refs/heads/omk/task/nightly/api: - -> 2
ref: refs/omk/proofs/20261122t185155z-4f2a9c: - -> 9
pull: omk/task/nightly/api -> main (draft)
trouble: 1 more pull request was not opened: the plan allows 2 at once (`deliver: limit`). Merge or close some, and they follow at the next run; their branches are pushed
"#);
}

#[test]
fn only_what_is_ready_is_delivered_unless_the_plan_says_partial() {
    let request = request();
    let of = |deliver: &str, verdict: RunVerdict, change: fn(&mut View)| {
        let mut view = bad(&request);
        view.verdict = Some(verdict);
        change(&mut view);
        share(&plan(deliver), &outcome(view))
    };
    let same = |_: &mut View| ();
    assert_eq!(of("{}", RunVerdict::Ready, same), DeliveredShare::All);
    assert_eq!(
        of("{}", RunVerdict::Ready, |view| view.result = None),
        DeliveredShare::Nothing
    );
    assert_eq!(
        of("{}", RunVerdict::Ready, |view| view.result =
            Some(view.base.clone())),
        DeliveredShare::Nothing
    );
    for verdict in [
        RunVerdict::NotReady,
        RunVerdict::NeedsMoreBudget,
        RunVerdict::BlockedOnExternal,
        RunVerdict::FailedInfra,
    ] {
        assert_eq!(of("{}", verdict, same), DeliveredShare::Nothing);
        assert_eq!(
            of("{partial: true}", verdict, same),
            DeliveredShare::Partial
        );
    }
    for verdict in [RunVerdict::Neutral, RunVerdict::Cancelled] {
        assert_eq!(
            of("{partial: true}", verdict, same),
            DeliveredShare::Nothing
        );
    }
    let unproven = |view: &mut View| view.gates = vec![failing_gate("test", 1)];
    assert_eq!(
        of("{partial: true}", RunVerdict::NotReady, unproven),
        DeliveredShare::Nothing
    );
    assert_eq!(
        of("{partial: true}", RunVerdict::NotReady, |view| view
            .gates
            .clear()),
        DeliveredShare::Nothing
    );
    insta::assert_snapshot!(steps_of(&plan("{partial: true, draft: false}"), &request, &outcome(bad(&request)), &fresh()), @r#"
ref: refs/heads/omk/run/pr-12: - -> c
ref: refs/omk/proofs/20261122t185155z-4f2a9c: - -> 9
pull: omk/run/pr-12 -> feature (draft)
"#);
    assert_eq!(
        steps_of(&plan("{}"), &request, &outcome(bad(&request)), &fresh()),
        ""
    );
}

#[test]
fn a_definitions_digest_changes_with_the_task_and_with_nothing_else() {
    let digest = |plan: &Plan| task_definition(plan, &"deps".parse().unwrap()).unwrap();
    let (one, mut other) = (plan("{}"), plan("{draft: false}"));
    (other.agent.model, other.gates[0].run) = ("another".to_owned(), "make check".to_owned());
    other.tasks[1].priority = 7;
    assert_eq!(digest(&one), digest(&other));
    other.tasks[0].priority = 7;
    assert_ne!(digest(&one), digest(&other));
    assert!(task_definition(&one, &"none".parse().unwrap()).is_none());
}

#[test]
fn conclusions_are_those_of_the_contract() {
    let table = [
        (RunVerdict::Ready, Conclusion::Success),
        (RunVerdict::NotReady, Conclusion::Failure),
        (RunVerdict::BlockedOnExternal, Conclusion::Failure),
        (RunVerdict::NeedsMoreBudget, Conclusion::Failure),
        (RunVerdict::FailedInfra, Conclusion::Failure),
        (RunVerdict::BlockedOnHuman, Conclusion::ActionRequired),
        (RunVerdict::Cancelled, Conclusion::Cancelled),
        (RunVerdict::Neutral, Conclusion::Neutral),
    ];
    for (verdict, expect) in table {
        assert_eq!(conclusion(verdict), expect);
    }
}
