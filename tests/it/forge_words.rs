//! Every text that a person can get, at each forge: in the words of the one where it is read, and of no other.

use omk_action::command::{Malformed, plan_of, read};
use omk_action::fact::*;
use omk_action::id::*;
use omk_action::plan::{self, Complaints, Permission, Plan};
use omk_action::report::dashboard::{self, Entry, Last, Open};
use omk_action::report::plan_check::{Found, Origin, PlanCheck, Whose};
use omk_action::report::preview::Preview;
use omk_action::report::pull::{self, About, PullText, Starts};
use omk_action::report::reply::Reply;
use omk_action::report::reply::answer::*;
use omk_action::report::reply::refuse::*;
use omk_action::report::reply::show::{self, approval_needed};
use omk_action::report::sticky::{self, Lost};
use omk_action::report::{Instead, Placed, Pull, Trouble, check, code_quality};
use omk_action::request::{Ask, Request};
use omk_action::text::ForgeKind;
use omk_action::trust::{Refusal, Unpinned};

use crate::deliver_sample::*;

/// What runs there.
fn url(forge: ForgeKind) -> &'static str {
    match forge {
        ForgeKind::GitHub => "https://github.com/acme/widget/actions/runs/9",
        ForgeKind::GitLab => "https://gitlab.com/acme/widget/-/pipelines/9",
    }
}

fn commit(digit: char) -> CommitId {
    tip(digit).commit
}

fn run() -> RunId {
    request().run
}

fn tasks(ids: &[&str]) -> Vec<TaskId> {
    ids.iter().map(|id| id.parse().unwrap()).collect()
}

fn parsed(text: &str) -> Result<Plan, Complaints> {
    plan::parse(text.as_bytes(), "omk.yaml", "nightly")
}

fn mistakes(body: &str) -> Vec<Malformed> {
    plan_of(read(body)).malformed
}

fn refusals() -> Vec<Refusal> {
    let permission = |needs, said: Option<&str>| Refusal::Permission {
        login: "mallory".to_owned(),
        needs,
        said: said.map(str::to_owned),
    };
    vec![
        Refusal::Gone,
        Refusal::Bot { login: "renovate".to_owned(), id: 7 },
        permission(Permission::Triage, None),
        permission(Permission::Write, Some("reporter")),
        permission(Permission::Maintain, Some("developer")),
        permission(Permission::Admin, Some("maintainer")),
        Refusal::Edited,
        Refusal::NotAPullRequest,
        Refusal::Closed { merged: false },
        Refusal::Closed { merged: true },
        Refusal::Fork,
        Refusal::HeadGone,
        Refusal::Base { branch: "my-main".to_owned(), default_branch: "main".to_owned() },
        Refusal::Unpinned { head: commit('a'), why: Unpinned::NoRecord },
        Refusal::NotTheHead { named: commit('b'), head: commit('a') },
    ]
}

/// Everything that is said where something was done.
fn answers(forge: ForgeKind) -> Vec<String> {
    let url = url(forge);
    let plan = Sha256::of(b"plan");
    let whole = plan.as_str().parse().unwrap();
    let head = commit('a');
    let none = Standing { head: &head, check: None, workflow_url: None, comment_url: None };
    let busy = Standing { check: Some(("under way", url)), workflow_url: Some(url), ..none.clone() };
    vec![
        help(forge),
        accepted(forge, &run(), &head, &tasks(&["api"]), url),
        approved(forge, &whole, "jane", Some(&plan)),
        approved(forge, &whole, "jane", Some(&Sha256::of(b"another"))),
        approved(forge, &whole, "jane", None),
        status(forge, &none),
        status(forge, &busy),
        cancelled(forge, url),
        nothing_to_cancel(forge, &head),
        not_ours_to_cancel(forge, url),
        nothing_kept("the last run's state is gone"),
        verified(&run(), &[]),
    ]
}

/// Everything that is said where something was not done.
fn refused_everything(forge: ForgeKind) -> Vec<String> {
    let url = url(forge);
    let complaints = parsed("version: 1\ntasks: []\n").unwrap_err();
    let mut texts: Vec<String> = refusals().iter().map(|refusal| refused(forge, refusal)).collect();
    let a = "a".repeat(40);
    let b = "b".repeat(40);
    for body in ["/omk approve".to_owned(), "/omk approve x".to_owned(), format!("/omk run {a} {b}")] {
        texts.push(malformed(forge, &mistakes(&body)));
    }
    texts.extend([
        unknown_tasks(&tasks(&["ap"]), "omk.yaml", &tasks(&["api"])),
        plan_mistakes(&complaints, &format!("the {}", forge.pull_request())),
        no_plan(forge, "omk.yaml", "the default branch main"),
        busy(forge, url),
        could_not("ask the forge what jane may do here", "read the members: 502"),
        nothing_kept_of_earlier(forge),
        no_proofs(forge),
        approval_needed(forge, "omk.yaml", &Sha256::of(b"plan"), Permission::Write, "-a\n+b\n"),
    ]);
    let preview = Preview::of(&parsed("version: 1\nname: n\ntasks: [{id: a, run: 'true'}]\n").unwrap());
    texts.push(show::plan(&preview, &format!("the {} main", forge.base_branch())));
    texts
}

/// A word in a text for people that only another forge than `forge` has; `None` = it is told in the words of `forge`. What
/// others wrote may say anything.
fn foreign_word(forge: ForgeKind, text: &str) -> Option<&'static str> {
    const OF_GITHUB: [&str; 19] = [
        "github",
        "pull request",
        "pull-request",
        "pull_request",
        "/pull/",
        "workflow",
        "the action",
        "actions tab",
        "actions/",
        "attempt 1",
        "an app",
        "app's",
        "check `",
        "checks",
        "the check",
        "contents: write",
        "personal",
        "base branch",
        "#1",
    ];
    const OF_GITLAB: [&str; 12] = [
        "gitlab",
        "merge request",
        "merge_request",
        "pipeline",
        "target branch",
        "access token",
        "ci/cd",
        "the role",
        "maintainer",
        "omk_token",
        "this project",
        "!1",
    ];
    let foreign: &[&'static str] = match forge {
        ForgeKind::GitHub => &OF_GITLAB,
        ForgeKind::GitLab => &OF_GITHUB,
    };
    let text = text.to_lowercase();
    foreign.iter().copied().find(|word| text.contains(word))
}

/// The request, at that forge.
fn asked(forge: ForgeKind) -> Request {
    match forge {
        ForgeKind::GitHub => request(),
        ForgeKind::GitLab => at_gitlab(request()),
    }
}

/// A maintenance run, at that forge.
fn due(forge: ForgeKind) -> Request {
    match forge {
        ForgeKind::GitHub => nightly(),
        ForgeKind::GitLab => at_gitlab(nightly()),
    }
}

fn page(forge: ForgeKind, number: u64) -> String {
    match forge {
        ForgeKind::GitHub => format!("https://github.com/acme/widget/pull/{number}"),
        ForgeKind::GitLab => format!("https://gitlab.test/acme/widget/-/merge_requests/{number}"),
    }
}

fn placed(forge: ForgeKind, pulls: u64) -> Placed {
    let pull = |number| Pull { number, url: page(forge, number), task: None };
    Placed {
        delivered: true,
        branches: vec![format!("omk/run/{}12", forge.scope_prefix())],
        proofs: Some("refs/omk/proofs/20261122t185155z-4f2a9c".to_owned()),
        pulls: (13..13 + pulls).map(pull).collect(),
        compare: None,
        troubles: Vec::new(),
    }
}

fn troubles() -> Vec<Trouble> {
    let branch = || "omk/run/x".to_owned();
    let feature = || "feature".to_owned();
    vec![
        Trouble::PullsNotAllowed,
        Trouble::HeadMoved { branch: feature(), now: commit('e') },
        Trouble::Behind { branch: feature(), now: commit('e') },
        Trouble::TargetGone { branch: feature() },
        Trouble::RefRefused { name: branch(), said: "pre-receive hook declined".to_owned() },
        Trouble::HeadRefused { branch: feature(), said: "pre-receive hook declined".to_owned() },
        Trouble::Foreign { branch: branch(), tip: commit('f') },
        Trouble::Overtaken { by: run() },
        Trouble::Closed { number: 13, task: Some("api".parse().unwrap()) },
        Trouble::Closed { number: 13, task: None },
        Trouble::Full { limit: 5, waiting: 1 },
        Trouble::Full { limit: 5, waiting: 2 },
        Trouble::PushRefused { said: "pre-receive hook declined".to_owned() },
        Trouble::NoChecks { instead: Instead::Nothing },
        Trouble::TokenGone { undone: "write the comment".to_owned() },
        Trouble::Other("something else".to_owned()),
    ]
}

/// Why a run can be lost.
fn losses() -> Vec<Lost> {
    vec![
        Lost::NotStarted { why: "there is no key".to_owned(), verdict: RunVerdict::NotReady },
        Lost::Unpublished("the disk is full".to_owned(), RunVerdict::FailedInfra),
        Lost::NoBundle,
        Lost::NoJudgement,
        Lost::Refused("a path leaves the bundle".to_owned()),
        Lost::Cancelled,
    ]
}

/// The comment of a run, in each of its states.
fn comments(forge: ForgeKind) -> Vec<String> {
    let request = asked(forge);
    let due = due(forge);
    let mut retry = asked(forge);
    retry.ask = Ask::Retry { tasks: Vec::new() };
    retry.approved_by = Some("bob".to_owned());
    let mut texts = vec![sticky::accepted(&request), sticky::accepted(&retry), sticky::accepted(&due)];
    texts.push(sticky::ended(&request, &good(&request), &placed(forge, 1)));
    texts.push(sticky::ended(&retry, &good(&retry), &placed(forge, 7)));
    let by_hand = Placed { compare: Some(page(forge, 0)), troubles: troubles(), ..placed(forge, 0) };
    texts.push(sticky::ended(&request, &good(&request), &by_hand));
    let mut under_way = good(&request);
    (under_way.verdict, under_way.ended) = (None, None);
    texts.push(sticky::running(&due, &under_way));
    for request in [&request, &due] {
        for verdict in [
            RunVerdict::NotReady,
            RunVerdict::Neutral,
            RunVerdict::NeedsMoreBudget,
            RunVerdict::BlockedOnExternal,
            RunVerdict::BlockedOnHuman,
            RunVerdict::FailedInfra,
            RunVerdict::Cancelled,
        ] {
            let mut view = bad(request);
            view.verdict = Some(verdict);
            texts.push(sticky::ended(request, &view, &Placed::default()));
        }
        texts.extend(losses().iter().map(|lost| sticky::lost(request, lost)));
    }
    texts
}

/// Checks, pull requests, the dashboard.
fn pages(forge: ForgeKind) -> Vec<String> {
    let request = asked(forge);
    let view = good(&request);
    let shown = |text: check::CheckText| format!("{}: {}\n{}\n{}", text.name, text.title, text.summary, text.text);
    let mut texts = vec![shown(check::opened(&request))];
    texts.push(shown(check::running(&request, &view)));
    let with_troubles = Placed { troubles: troubles(), ..placed(forge, 1) };
    texts.push(shown(check::ended(&request, &view, &with_troubles)));
    texts.push(shown(check::lost(RunVerdict::FailedInfra, &sticky::lost(&request, &Lost::NoBundle))));
    let mut many = bad(&request);
    many.gates = (0..22).map(|number| failing_gate(&format!("g{number}"), 1)).collect();
    texts.extend(check::gates(forge, &many).into_iter().skip(19).map(|gate| shown(gate.text)));
    texts.push(code_quality::render(&check::all_remarks(&many, 3)));
    let mut approved = asked(forge);
    approved.approved_by = Some("bob".to_owned());
    let started = |event| {
        let mut request = due(forge);
        request.trigger.event = event;
        request
    };
    let starts = if forge == ForgeKind::GitHub { Starts::Approved } else { Starts::Alone };
    let requests = [approved, due(forge), started(plan::Event::Dispatch), started(plan::Event::Manual)];
    for request in &requests {
        let view = good(request);
        let marker = pull::marker(request, None, &Sha256::of(b"tasks"));
        let of = PullText { request, view: &view, about: About::Run, marker: &marker, proofs: None, starts };
        let with = [view.tasks[0].id.clone()];
        let task = PullText { about: About::Task { task: &view.tasks[1], with: &with }, ..of };
        texts.extend([of, task].iter().map(|text| format!("{}\n\n{}", pull::title(text), pull::body(text))));
    }
    let due = due(forge);
    let open = [Open { number: 13, url: page(forge, 13), branch: "omk/run/nightly".to_owned() }];
    let earlier = Entry {
        run: "20261121t185155z-000001".parse().unwrap(),
        at: at(-86_000),
        verdict: RunVerdict::NotReady,
        completed: 1,
        tasks: 2,
        url: url(forge).to_owned(),
    };
    let view = good(&due);
    let placed = placed(forge, 1);
    texts.push(dashboard::body(
        &due,
        Last::Ended(&view, &placed),
        at(730),
        Some(&open),
        std::slice::from_ref(&earlier),
    ));
    texts.push(dashboard::body(&due, Last::Lost(&Lost::NoBundle), at(730), Some(&[]), &[earlier]));
    texts
}

/// The check of a plan.
fn plan_checks(forge: ForgeKind) -> Vec<String> {
    let complaints = parsed("version: 1\ntasks: [{id: a, runn: x}]\n").unwrap_err();
    let preview = Preview::of(&parsed("version: 1\nname: n\ntasks: [{id: a, run: 'true'}]\n").unwrap());
    let digest = Sha256::of(b"plan");
    let changed = |permission| Found::Changed { digest: &digest, preview: &preview, diff: "-a\n+b\n", permission };
    let all = [
        (Origin::Own, Found::Nothing),
        (Origin::Own, Found::Same(&preview)),
        (Origin::Own, changed(Some(Permission::Write))),
        (Origin::Own, changed(None)),
        (Origin::Fork, changed(Some(Permission::Write))),
        (Origin::Own, Found::Wrong { complaints: &complaints, whose: Whose::PullRequest }),
        (Origin::Own, Found::Wrong { complaints: &complaints, whose: Whose::Base }),
    ];
    let told = all.into_iter().map(|(origin, found)| {
        let text = PlanCheck { forge, path: "omk.yaml", branch: "main", origin, found }.render();
        format!("{}: {}\n\n{}", text.name, text.title, text.summary)
    });
    told.collect()
}

/// Clauses for logs.
fn logged(forge: ForgeKind) -> Vec<String> {
    let refusals = refusals().into_iter().chain([Refusal::Ours]);
    let mut lines: Vec<String> = refusals.map(|refusal| refusal.words(forge)).collect();
    lines.extend(troubles().iter().map(|trouble| trouble.words(forge)));
    lines.extend(losses().iter().map(|lost| lost.words(forge)));
    lines
}

const BOTH: [ForgeKind; 2] = [ForgeKind::GitHub, ForgeKind::GitLab];

#[test]
fn no_word_of_one_forge_is_said_at_the_other() {
    for forge in BOTH {
        let of: [fn(ForgeKind) -> Vec<String>; 6] = [answers, refused_everything, comments, pages, plan_checks, logged];
        for text in of.into_iter().flat_map(|texts| texts(forge)) {
            assert_eq!(foreign_word(forge, &text), None, "{text}");
        }
    }
    // The words would be found, were they there.
    assert!(foreign_word(ForgeKind::GitHub, &answers(ForgeKind::GitLab).join("")).is_some());
    assert!(foreign_word(ForgeKind::GitLab, &answers(ForgeKind::GitHub).join("")).is_some());
}

#[test]
fn no_reply_is_a_command_whose_forge_it_may_be() {
    for forge in BOTH {
        for text in answers(forge).into_iter().chain(refused_everything(forge)) {
            let reply = Reply::to(forge, 1, Some("jane")).say(text).render();
            assert_eq!(read(&reply), [], "{reply}");
            let quick = |line: &&str| line.starts_with('/') && !line.starts_with("/omk ");
            assert_eq!(reply.lines().find(quick), None, "a quick action");
        }
    }
}

#[test]
fn what_was_done_is_said_in_gitlabs_words() {
    insta::assert_snapshot!(answers(ForgeKind::GitLab).join("\n---\n"), @"");
}

#[test]
fn what_was_not_done_is_said_in_gitlabs_words() {
    insta::assert_snapshot!(refused_everything(ForgeKind::GitLab).join("\n---\n"), @"");
}

/// Only what differs between verdicts: from the heading to the first fold.
fn above_the_fold(text: &str) -> String {
    let body = text.split_once("\n###").map_or(text, |(_, rest)| rest);
    format!("###{}", body.split("\n<details>").next().unwrap_or_default())
}

#[test]
fn the_comment_of_a_run_is_in_gitlabs_words() {
    let all = comments(ForgeKind::GitLab);
    assert!(all.iter().all(|text| text.starts_with("<!-- omk:sticky:")), "the marker stays hidden at the top");
    insta::assert_snapshot!(all[0], @"");
    insta::assert_snapshot!(all[3], @"");
    let rest: Vec<String> = all[4..].iter().map(|text| above_the_fold(text)).collect();
    insta::assert_snapshot!(rest.join("\n---\n"), @"");
}

#[test]
fn statuses_merge_requests_and_the_dashboard_are_in_gitlabs_words() {
    let short = |text: &String| {
        text.split("\n<details>")
            .map(|part| part.split_once("</details>").map_or(part, |(_, rest)| rest))
            .collect::<Vec<_>>()
            .join("\n[…]")
    };
    let all: Vec<String> = pages(ForgeKind::GitLab).iter().map(short).collect();
    insta::assert_snapshot!(all.join("\n---\n"), @"");
}

#[test]
fn the_check_of_a_plan_is_in_gitlabs_words() {
    let all: Vec<String> =
        plan_checks(ForgeKind::GitLab).iter().map(|text| text.split("<details>").next().unwrap().to_owned()).collect();
    insta::assert_snapshot!(all.join("\n---\n"), @"");
}

#[test]
fn what_is_in_the_way_is_said_in_gitlabs_words() {
    insta::assert_snapshot!(logged(ForgeKind::GitLab).join("\n"), @"");
}
