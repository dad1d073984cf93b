//! Every text that a person can get, at each forge: in the words of the one where it is read, and
//! of no other.

use omk_action::command::{Malformed, plan_of, read};
use omk_action::fact::*;
use omk_action::id::*;
use omk_action::plan::{self, Complaints, Permission, Plan};
use omk_action::report::dashboard::{self, DashboardRun, Last, OpenPullRequest};
use omk_action::report::plan_check::{PlanCheck, PlanFinding, PlanOwner, PullOrigin};
use omk_action::report::preview::Preview;
use omk_action::report::pull::{self, About, PullText, Starts};
use omk_action::report::reply::Reply;
use omk_action::report::reply::answer::*;
use omk_action::report::reply::refuse::*;
use omk_action::report::reply::show::{self, approval_needed};
use omk_action::report::sticky::{self, LostRun};
use omk_action::report::{DeliveryObstacle, Instead, Placed, Pull, check, code_quality};
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
        Refusal::Bot {
            login: "renovate".to_owned(),
            id: 7,
        },
        permission(Permission::Triage, None),
        permission(Permission::Write, Some("Reporter")),
        permission(Permission::Maintain, Some("Developer")),
        permission(Permission::Admin, Some("maintainer")),
        Refusal::Edited,
        Refusal::NotAPullRequest,
        Refusal::Closed { merged: false },
        Refusal::Closed { merged: true },
        Refusal::Fork,
        Refusal::HeadGone,
        Refusal::Base {
            branch: "my-main".to_owned(),
            default_branch: "main".to_owned(),
        },
        Refusal::Unpinned {
            head: commit('a'),
            why: Unpinned::NoRecord,
        },
        Refusal::NotTheHead {
            named: commit('b'),
            head: commit('a'),
        },
    ]
}

/// Everything that is said where something was done.
fn answers(forge: ForgeKind) -> Vec<String> {
    let url = url(forge);
    let plan = Sha256::of(b"plan");
    let whole = plan.as_str().parse().unwrap();
    let head = commit('a');
    let none = ScopeStanding {
        head: &head,
        check: None,
        workflow_url: None,
        comment_url: None,
    };
    let busy = ScopeStanding {
        check: Some(("under way", url)),
        workflow_url: Some(url),
        ..none.clone()
    };
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
    let mut texts: Vec<String> = refusals()
        .iter()
        .map(|refusal| refused(forge, refusal))
        .collect();
    let a = "a".repeat(40);
    let b = "b".repeat(40);
    for body in [
        "/omk approve".to_owned(),
        "/omk approve x".to_owned(),
        format!("/omk run {a} {b}"),
    ] {
        texts.push(malformed(forge, &mistakes(&body)));
    }
    texts.extend([
        unknown_tasks(&tasks(&["ap"]), "omk.yaml", &tasks(&["api"])),
        plan_mistakes(&complaints, &format!("the {}", forge.pull_request())),
        no_plan(forge, "omk.yaml", "the default branch main"),
        busy(forge, url),
        may_not_cancel(forge, url),
        could_not(
            "ask the forge what jane may do here",
            "failed to read the members: 502",
        ),
        nothing_kept_of_earlier(forge),
        no_proofs(forge),
        approval_needed(
            forge,
            "omk.yaml",
            &Sha256::of(b"plan"),
            Permission::Write,
            "-a\n+b\n",
        ),
    ]);
    let preview =
        Preview::of(&parsed("version: 1\nname: n\ntasks: [{id: a, run: 'true'}]\n").unwrap());
    texts.push(show::plan(
        &preview,
        &format!("the {} main", forge.base_branch()),
    ));
    texts
}

/// A word in a text for people that only another forge than `forge` has; `None` = it is told in the
/// words of `forge`. What others wrote may say anything.
fn foreign_word(forge: ForgeKind, text: &str) -> Option<&'static str> {
    const OF_GITHUB: [&str; 20] = [
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
        "an app ",
        "app's token",
        "check `",
        "checks",
        "the check",
        "contents: write",
        "personal",
        "base branch",
        "#12",
        "#13",
    ];
    const OF_GITLAB: [&str; 11] = [
        "gitlab",
        "merge request",
        "merge_request",
        "pipeline",
        "target branch",
        "access token",
        "ci/cd",
        "the role",
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
    let pull = |number| Pull {
        number,
        url: page(forge, number),
        task: None,
    };
    Placed {
        delivered: true,
        branches: vec![format!("omk/run/{}12", forge.scope_prefix())],
        proofs: Some("refs/omk/proofs/20261122t185155z-4f2a9c".to_owned()),
        pulls: (13..13 + pulls).map(pull).collect(),
        compare: None,
        troubles: Vec::new(),
    }
}

fn troubles() -> Vec<DeliveryObstacle> {
    let branch = || "omk/run/x".to_owned();
    let feature = || "feature".to_owned();
    vec![
        DeliveryObstacle::PullsNotAllowed,
        DeliveryObstacle::HeadMoved {
            branch: feature(),
            now: commit('e'),
        },
        DeliveryObstacle::Behind {
            branch: feature(),
            now: commit('e'),
        },
        DeliveryObstacle::TargetGone { branch: feature() },
        DeliveryObstacle::RefRefused {
            name: branch(),
            said: "pre-receive hook declined".to_owned(),
        },
        DeliveryObstacle::HeadRefused {
            branch: feature(),
            said: "pre-receive hook declined".to_owned(),
        },
        DeliveryObstacle::Foreign {
            branch: branch(),
            tip: commit('f'),
        },
        DeliveryObstacle::Overtaken { by: run() },
        DeliveryObstacle::Closed {
            number: 13,
            task: Some("api".parse().unwrap()),
        },
        DeliveryObstacle::Closed {
            number: 13,
            task: None,
        },
        DeliveryObstacle::Full {
            limit: 5,
            waiting: 1,
        },
        DeliveryObstacle::Full {
            limit: 5,
            waiting: 2,
        },
        DeliveryObstacle::PushRefused {
            said: "pre-receive hook declined".to_owned(),
        },
        DeliveryObstacle::NoChecks {
            instead: Instead::Nothing,
        },
        DeliveryObstacle::TokenGone {
            undone: "write the comment".to_owned(),
        },
        DeliveryObstacle::Other("something else".to_owned()),
    ]
}

/// Why a run can be lost.
fn losses() -> Vec<LostRun> {
    vec![
        LostRun::NotStarted {
            why: "there is no key".to_owned(),
            verdict: RunVerdict::NotReady,
        },
        LostRun::Unpublished("the disk is full".to_owned(), RunVerdict::FailedInfra),
        LostRun::NoBundle,
        LostRun::NoJudgement,
        LostRun::Refused("a path leaves the bundle".to_owned()),
        LostRun::Cancelled,
    ]
}

/// The comment of a run, in each of its states.
fn comments(forge: ForgeKind) -> Vec<String> {
    let request = asked(forge);
    let due = due(forge);
    let mut retry = asked(forge);
    retry.ask = Ask::Retry { tasks: Vec::new() };
    retry.approved_by = Some("bob".to_owned());
    let mut texts = vec![
        sticky::accepted(&request),
        sticky::accepted(&retry),
        sticky::accepted(&due),
    ];
    texts.push(sticky::ended(&request, &good(&request), &placed(forge, 1)));
    texts.push(sticky::ended(&retry, &good(&retry), &placed(forge, 7)));
    let by_hand = Placed {
        compare: Some(page(forge, 0)),
        troubles: troubles(),
        ..placed(forge, 0)
    };
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
    let shown = |text: check::CheckText| {
        format!(
            "{}: {}\n{}\n{}",
            text.name, text.title, text.summary, text.text
        )
    };
    let mut texts = vec![shown(check::opened(&request))];
    texts.push(shown(check::running(&request, &view)));
    let with_troubles = Placed {
        troubles: troubles(),
        ..placed(forge, 1)
    };
    texts.push(shown(check::ended(&request, &view, &with_troubles)));
    texts.push(shown(check::lost(
        RunVerdict::FailedInfra,
        &sticky::lost(&request, &LostRun::NoBundle),
    )));
    let mut many = bad(&request);
    many.gates = (0..22)
        .map(|number| failing_gate(&format!("g{number}"), 1))
        .collect();
    texts.extend(
        check::gates(forge, &many)
            .into_iter()
            .skip(19)
            .map(|gate| shown(gate.text)),
    );
    texts.push(code_quality::render(&check::all_remarks(&many, 3)));
    let mut approved = asked(forge);
    approved.approved_by = Some("bob".to_owned());
    let started = |event| {
        let mut request = due(forge);
        request.trigger.event = event;
        request
    };
    let starts = if forge == ForgeKind::GitHub {
        Starts::Approved
    } else {
        Starts::Alone
    };
    let requests = [
        approved,
        due(forge),
        started(plan::Event::Dispatch),
        started(plan::Event::Manual),
    ];
    for request in &requests {
        let view = good(request);
        let marker = pull::marker(request, None, &Sha256::of(b"tasks"));
        let of = PullText {
            request,
            view: &view,
            about: About::Run,
            marker: &marker,
            proofs: None,
            starts,
        };
        let with = [view.tasks[0].id.clone()];
        let task = PullText {
            about: About::Task {
                task: &view.tasks[1],
                with: &with,
            },
            ..of
        };
        texts.extend(
            [of, task]
                .iter()
                .map(|text| format!("{}\n\n{}", pull::title(text), pull::body(text))),
        );
    }
    let due = due(forge);
    let open = [OpenPullRequest {
        number: 13,
        url: page(forge, 13),
        branch: "omk/run/nightly".to_owned(),
    }];
    let earlier = DashboardRun {
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
    texts.push(dashboard::body(
        &due,
        Last::Lost(&LostRun::NoBundle),
        at(730),
        Some(&[]),
        &[earlier],
    ));
    texts
}

/// The check of a plan.
fn plan_checks(forge: ForgeKind) -> Vec<String> {
    let complaints = parsed("version: 1\ntasks: [{id: a, runn: x}]\n").unwrap_err();
    let preview =
        Preview::of(&parsed("version: 1\nname: n\ntasks: [{id: a, run: 'true'}]\n").unwrap());
    let digest = Sha256::of(b"plan");
    let changed = |permission| PlanFinding::Changed {
        digest: &digest,
        preview: &preview,
        diff: "-a\n+b\n",
        permission,
    };
    let all = [
        (PullOrigin::Own, PlanFinding::Nothing),
        (PullOrigin::Own, PlanFinding::Same(&preview)),
        (PullOrigin::Own, changed(Some(Permission::Write))),
        (PullOrigin::Own, changed(None)),
        (PullOrigin::Fork, changed(Some(Permission::Write))),
        (
            PullOrigin::Own,
            PlanFinding::Wrong {
                complaints: &complaints,
                whose: PlanOwner::PullRequest,
            },
        ),
        (
            PullOrigin::Own,
            PlanFinding::Wrong {
                complaints: &complaints,
                whose: PlanOwner::Base,
            },
        ),
    ];
    let told = all.into_iter().map(|(origin, found)| {
        let text = PlanCheck {
            forge,
            path: "omk.yaml",
            branch: "main",
            origin,
            found,
        }
        .render();
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

/// The text without what is hidden.
fn seen(text: &str) -> String {
    let parts = text.split("<!--");
    parts
        .enumerate()
        .map(|(at, part)| {
            if at == 0 {
                part
            } else {
                part.split_once("-->").unwrap().1
            }
        })
        .collect()
}

const BOTH: [ForgeKind; 2] = [ForgeKind::GitHub, ForgeKind::GitLab];

#[test]
fn no_word_of_one_forge_is_said_at_the_other() {
    for forge in BOTH {
        let of: [fn(ForgeKind) -> Vec<String>; 6] = [
            answers,
            refused_everything,
            comments,
            pages,
            plan_checks,
            logged,
        ];
        for text in of.into_iter().flat_map(|texts| texts(forge)) {
            let seen = seen(&text);
            assert_eq!(foreign_word(forge, &seen), None, "{seen}");
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
    insta::assert_snapshot!(answers(ForgeKind::GitLab).join("\n---\n"), @r#"
**What omk can be asked**

```text
/omk run [TASK]...    Run the plan, or some tasks of it with what they need
/omk plan             Show what a run would do
/omk status           Show where the run stands
/omk retry [TASK]...  Run again what is not proven, and the tasks that are named
/omk cancel           End the run
/omk approve DIGEST   Let the plan of that SHA-256 be used, which the merge request changes
/omk verify           Check the proofs of the last run
/omk help             Show what can be asked
```

A command is a line of its own in a comment on a merge request, outside code, quotes and HTML. Tasks are named by id. `run` and `retry` take the head's full commit id too, to say which one you saw.

---
👀 **Run `20261122t185155z-4f2a9c` starts**

It does `api` on `aaaaaaaaaaaa`. [Its jobs](<https://gitlab.com/acme/widget/-/pipelines/9>).

The commit status `omk` shows where it stands; `/omk cancel` ends it.

---
👍 **The plan `64879f7d6b96` is approved by `jane`**

It counts as long as that comment is there, unedited, and its author has the permission.

Start it with `/omk run`. Delete the comment to take the approval back.

---
😕 **`64879f7d6b96` is not the plan of this merge request**

At the head it is `ae448ac86c4e` now; it may have been changed since you looked.

Look at it again in the answer to `/omk plan`, and approve the digest that it shows.

---
👍 **There is nothing to approve**

The merge request does not change the plan; the one of its target branch is used.

Start it with `/omk run`.

---
⚪ **No run on the head `aaaaaaaaaaaa`**

It has no commit status `omk`.

Start one with `/omk run`.

---
🔄 **On `aaaaaaaaaaaa`: under way**

[Commit status](<https://gitlab.com/acme/widget/-/pipelines/9>), [jobs](<https://gitlab.com/acme/widget/-/pipelines/9>).

`/omk cancel` ends it.

---
🛑 **The run is being cancelled**

[The pipeline](<https://gitlab.com/acme/widget/-/pipelines/9>) ends within seconds. Nothing of it is delivered.

Start again with `/omk retry`, which keeps what is proven where the pipeline left it, or with `/omk run`.

---
⚪ **There is nothing to cancel**

No commit status `omk` is in progress on the head `aaaaaaaaaaaa`.

A run on an earlier commit can be ended under Build > Pipelines. `/omk status` shows where things stand.

---
😕 **Nothing was cancelled: the pipeline that the commit status names is not one of omk's**

Anybody who can write a commit status can make one that names another pipeline, so omk ends only its own in this project.

If it is to end, somebody who may can do it there: [the pipeline](<https://gitlab.com/acme/widget/-/pipelines/9>).

---
ℹ️ **All tasks start anew**

Nothing of the last run can be kept: the last run's state is gone.

A retry keeps what was proven on the same base with the same plan, as long as the last run's artifact is there.

---
😕 **There is nothing to verify**

Run `20261122t185155z-4f2a9c` left no proof: one is written for every task whose change landed.

Start a run with `/omk run`.
"#);
}

#[test]
fn what_was_not_done_is_said_in_gitlabs_words() {
    insta::assert_snapshot!(refused_everything(ForgeKind::GitLab).join("\n---\n"), @r#"
😕 **Nothing was done: the account that asked is gone**

omk asks the forge what the author of a comment may do here, and it knows of no author.

Somebody with the permission can write the same command in a new comment.

---
😕 **Nothing was done: the bot `renovate` may give no commands here**

A bot is obeyed only if the plan on the default branch lists it by login and id.

To allow it, add `{ login: "renovate", id: 7 }` to `commands.bots` of the plan on the default branch.

---
😕 **Nothing was done: `mallory` may not give commands here**

The plan on the default branch asks for the role Reporter, and the forge does not say that they have it.

Somebody who has it can write the same command. Who may is set by `commands.permission` of the plan.

---
😕 **Nothing was done: `mallory` may not give commands here**

The plan on the default branch asks for the role Developer; the forge says `Reporter`.

Somebody who has it can write the same command. Who may is set by `commands.permission` of the plan.

---
😕 **Nothing was done: `mallory` may not give commands here**

The plan on the default branch asks for the role Maintainer; the forge says `Developer`.

Somebody who has it can write the same command. Who may is set by `commands.permission` of the plan.

---
😕 **Nothing was done: `mallory` may not give commands here**

The plan on the default branch asks for the role Owner; the forge says `maintainer`.

Somebody who has it can write the same command. Who may is set by `commands.permission` of the plan.

---
😕 **Nothing was done: the comment was edited**

What it said when others read it cannot be told any more.

Write the command in a new comment.

---
😕 **omk works on merge requests, and this is an issue**

A command is about the head of a merge request; an issue has none.

Write it in a comment on a merge request. Maintenance runs start by a schedule or by hand, under Build > Pipelines.

---
😕 **Nothing was done: the merge request is closed**

A run's result would have nowhere to go, and its branches were removed.

Reopen it, and write the command in a new comment.

---
😕 **Nothing was done: the merge request is merged**

A run's result would have nowhere to go, and its branches were removed.

Open a new merge request, and write the command there.

---
😕 **Nothing was done: the merge request comes from a fork**

Its code is somebody else's until it is merged; omk runs nothing of it beside a token or a key.

Somebody with the role Developer can push the branch to this project, after reading it, and open a merge request from there.

---
😕 **Nothing was done: the project that the merge request came from is gone**

Who could have written to it cannot be told any more.

Push the branch to this project, after reading it, and open a merge request from there.

---
😕 **Nothing was done: the target branch `my-main` is not trusted**

Tasks and gates are read from the target branch. Whoever can push can make such a branch and point the merge request at it, so it counts only if it is the default branch or protected.

Protect `my-main` (Settings > Repository > Protected branches), or change the merge request's target branch to `main`.

---
😕 **Nothing was done: it is not certain which commit you saw**

The forge has no record of when the head was pushed.

Look at the head. If that is what you mean, name it:

```text
/omk run aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
```

---
😕 **Nothing was done: `bbbbbbbbbbbb` is not the head**

The merge request's head is `aaaaaaaaaaaa` now. A run is built on the head only.

Look at the head. If that is what you mean, name it:

```text
/omk run aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
```

---
😕 **A command was not understood**

```text
error: `/omk approve` needs the digest of the plan: `/omk approve DIGEST`
  --> comment:1:6
  1 | /omk approve
    |      ^^^^^^^ the answer to `/omk plan` shows it
```

Write it right in a new comment; `/omk help` shows what can be asked.

---
😕 **A command was not understood**

```text
error: `x` is not the digest of a plan
  --> comment:1:14
  1 | /omk approve x
    |              ^ copy it from the answer to `/omk plan`
```

Write it right in a new comment; `/omk help` shows what can be asked.

---
😕 **A command was not understood**

```text
error: `bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb` is a second commit
  --> comment:1:51
  1 | /omk run aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
    |                                                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ a run is built on one: name the merge request's head, or none
```

Write it right in a new comment; `/omk help` shows what can be asked.

---
😕 **Nothing was started: the plan has no task `ap`**

`omk.yaml` has: `api`. Did you mean `api`?

Name tasks of the plan, or none for all of them.

---
😕 **Nothing was started: the plan of the merge request has 1 mistake**

```text
error: the plan has no tasks
  --> omk.yaml:2:8
  2 | tasks: []
    |        ^^ add at least one
```

Mend it there; `omk plan` shows the same on a laptop.

---
😕 **Nothing was done: there is no `omk.yaml`**

It is read from the default branch main, and is not there.

Write one with `omk init`, and merge it; or set the component's input `plan` to where it is.

---
😕 **Nothing was started: a run is under way here**

[Another run](<https://gitlab.com/acme/widget/-/pipelines/9>) works on this merge request. Two would race for its branches.

Wait for it, or end it with `/omk cancel`, and ask again.

---
😕 **Nothing was cancelled: omk may not do that here**

[The pipeline](<https://gitlab.com/acme/widget/-/pipelines/9>) goes on: on a protected branch GitLab lets only those end one who may merge there, and omk's account may not.

Somebody who may can end it there. Or let omk's account merge (Settings > Repository > Protected branches), and write the command again.

---
😕 **omk could not ask the forge what jane may do here**

The reason: failed to read the members: 502.

Write the command again in a new comment. If it fails again, the log of the job tells more.

---
⚪ **Nothing is kept of an earlier run**

No artifacts of omk's pipelines hold the state of one: they are gone, or there were none. So this is a full run.

---
⚪ **There is nothing to verify**

No run of this merge request has left a proof at `refs/omk/proofs/`: one is pushed with every delivered result.

Start a run with `/omk run`.

---
✋ **The plan is changed here, and the change is not approved**

The merge request changes `omk.yaml`, which says what is run. Until somebody with the role Developer has approved exactly these bytes, the plan of the target branch is used.

Read the change. To approve it, write this in a comment, and then `/omk run` (both may be in one):

```text
/omk approve 64879f7d6b960a01909762d911a32d4582c20010c5641ee90278b644a9e3b525
```

<details><summary>What changes in the plan</summary>

```diff
-a
+b
```

</details>

---
📋 **A run would do 1 task, in up to 3 executions**

The plan `n` is that of the target branch main.

Start it with `/omk run`.

<details><summary>Tasks, waves and overlaps</summary>

```mermaid
flowchart LR
  t0["a"]
```

```text
n: 1 task, up to 3 executions
no required gate: nothing will be verified, so the run can never be ready

   task  priority  executions  after  name
1  a            0  up to 3

1 wave, if there are workers enough:
  1. a

critical path, 1 task:
  a

without a write_set, so conflicts show only when landing: a
```

</details>
"#);
}

/// Only what differs between verdicts: from the heading to the first fold.
fn above_the_fold(text: &str) -> String {
    let body = text.split_once("\n###").map_or(text, |(_, rest)| rest);
    format!(
        "###{}",
        body.split("\n<details>").next().unwrap_or_default()
    )
}

#[test]
fn the_comment_of_a_run_is_in_gitlabs_words() {
    let all = comments(ForgeKind::GitLab);
    assert!(
        all.iter().all(|text| text.starts_with("<!-- omk:sticky:")),
        "the marker stays hidden at the top"
    );
    insta::assert_snapshot!(all[0], @r#"
<!-- omk:sticky:mr-12 -->
<!-- omk:data {"run":"20261122t185155z-4f2a9c","base":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","state":"accepted","verdict":null,"workflow":9001} -->
### 🔄 omk: accepted

It runs all tasks of the plan on `bbbbbbbbbbbb`, the head of `feature`, with the plan `omk.yaml` `64879f7d6b96`, as `ann` asked. This comment will say what came of it.

- Watch it in [the pipeline](https://gitlab.test/acme/widget/-/pipelines/9001).
- End it with a comment `/omk cancel`.
"#);
    insta::assert_snapshot!(all[3], @r#"
<!-- omk:sticky:mr-12 -->
<!-- omk:data {"run":"20261122t185155z-4f2a9c","base":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","state":"ended","verdict":"ready","workflow":9001} -->
### ✅ omk `nightly`: ready

2 of 2 tasks completed · 12m 04s · 435k tokens, $<!-- -->0.16

**Delivered** as merge request [!13](https://gitlab.test/acme/widget/-/merge_requests/13).

- Look at it here: `git fetch origin omk/run/mr-12 && git diff bbbbbbbbbbbb FETCH_HEAD`
- Review it as you would a colleague's, and merge it.

<details><summary>2 tasks: graph and table</summary>

```mermaid
flowchart LR
  t0["✓ deps<br/>completed"]:::good
  t1["✓ api<br/>completed"]:::good
  t0 --> t1
  classDef good fill:#dafbe1,stroke:#1a7f37,color:#0b2e13
  classDef bad fill:#ffebe9,stroke:#cf222e,color:#4c0a0f
  classDef busy fill:#ddf4ff,stroke:#0969da,color:#042551
  classDef idle fill:#f6f8fa,stroke:#8c959f,color:#424a53
```

| | task | state | tries | time | gates | |
|-|-|-|-:|-:|-|-|
| ✅ | `deps` | completed | 1 | 1m 35s | `test` passed | 1 file |
| ✅ | `api` Split the API module | completed | 1 | 1m 35s | `test` passed | 1 file |

</details>

<details><summary>Proof, and how to verify it</summary>

```sh
git fetch origin refs/omk/proofs/20261122t185155z-4f2a9c
git show FETCH_HEAD:run.result.json > proof.json
omk verify proof.json
```

The ref holds a proof for each task that landed, one for the result, and the commits they speak of.

</details>

<sub>[pipeline 9001](https://gitlab.test/acme/widget/-/pipelines/9001) and its artifacts</sub>

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · plan omk.yaml `64879f7d6b96` · asked for by ann · judged_by: separate-job · room: sealed · omk 0.6.0</sub>
"#);
    let rest: Vec<String> = all[4..].iter().map(|text| above_the_fold(text)).collect();
    // The verdicts of a maintenance run differ from those of a comment's by what is to be done,
    // which the first shows.
    let told = [
        &rest[..3],
        &rest[7..8],
        &rest[10..14],
        &rest[15..17],
        &rest[22..23],
    ]
    .concat();
    insta::assert_snapshot!(told.join("\n---\n"), @r#"
### ✅ omk `nightly`: ready

2 of 2 tasks completed · 12m 04s · 435k tokens, $<!-- -->0.16

**Delivered** as merge requests [!13](https://gitlab.test/acme/widget/-/merge_requests/13), [!14](https://gitlab.test/acme/widget/-/merge_requests/14), [!15](https://gitlab.test/acme/widget/-/merge_requests/15), [!16](https://gitlab.test/acme/widget/-/merge_requests/16), [!17](https://gitlab.test/acme/widget/-/merge_requests/17) and 2 more.

- Look at it here: `git fetch origin omk/run/mr-12 && git diff bbbbbbbbbbbb FETCH_HEAD`
- Review it as you would a colleague's, and merge it.

---
### ✅ omk `nightly`: ready

2 of 2 tasks completed · 12m 04s · 435k tokens, $<!-- -->0.16

**Pushed** to `omk/run/mr-12`.

> ⚠️ the merge request could not be opened: this project does not let the token do it. Open it yourself, or see that merge requests are on (Settings \> General \> Visibility, project features, permissions), and that \`OMK\_TOKEN\` (Settings \> CI/CD \> Variables) is an access token with the role Developer and the scope \`api\`; the result is pushed and safe

> ⚠️ \`feature\` is at eeeeeeeeeeee now, so the result was not pushed onto it: it is delivered as a merge request instead

> ⚠️ \`feature\` has moved since, to eeeeeeeeeeee: the result is of the commit it was asked for on, and the merge may want your eye

> ⚠️ \`feature\` is gone, so there is nothing to merge the result into: its own branch is pushed, and can be merged elsewhere

> 12 more, in the log of the job that delivered it

- [Open the merge request](https://gitlab.test/acme/widget/-/merge_requests/0) yourself.
- Look at it here: `git fetch origin omk/run/mr-12 && git diff bbbbbbbbbbbb FETCH_HEAD`
- Take it: `git fetch origin omk/run/mr-12 && git merge FETCH_HEAD`

---
### 🔄 omk `nightly`: under way

2 of 2 tasks completed · 435k tokens, $<!-- -->0.16

- Watch it in [the pipeline](https://gitlab.test/acme/widget/-/pipelines/9001).
- End it by cancelling the pipeline.

---
### ⚠️ omk `nightly`: blocked on human

1 of 3 tasks completed · 1 failed · 1 cancelled · 12m 04s · 435k tokens, $<!-- -->0.16

- ❌ `api`: gate \`test\` failed: 2 tests

**Nothing was delivered**: only what is ready is.

- An approval is missing: read the changed plan, and approve it with `/omk approve DIGEST`.

---
### ❌ omk: not ready

The run could not start: there is no key. Nothing was delivered.

- See [the pipeline](https://gitlab.test/acme/widget/-/pipelines/9001) for what happened.
- Start anew with a comment `/omk run`.

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · asked for by `ann` · [pipeline 9001](https://gitlab.test/acme/widget/-/pipelines/9001) and its artifacts</sub>

---
### ❌ omk: failed infra

The result could not be published: the disk is full. This attempt delivered nothing.

- See [the pipeline](https://gitlab.test/acme/widget/-/pipelines/9001) for what happened.
- Retry the failed job there, once what was in its way has passed.
- Start anew with a comment `/omk run`.

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · asked for by `ann` · [pipeline 9001](https://gitlab.test/acme/widget/-/pipelines/9001) and its artifacts</sub>

---
### ❌ omk: failed infra

The job that ran the tasks ended without leaving its result: it was cancelled or killed, ran out of time or disk, or its artifacts are gone. Nothing was delivered.

- See [the pipeline](https://gitlab.test/acme/widget/-/pipelines/9001) for what happened.
- Start anew with a comment `/omk run`.

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · asked for by `ann` · [pipeline 9001](https://gitlab.test/acme/widget/-/pipelines/9001) and its artifacts</sub>

---
### ❌ omk: failed infra

The job that judges the result ended without a judgement, so nobody but the agent's own job has seen it. Nothing was delivered.

- See [the pipeline](https://gitlab.test/acme/widget/-/pipelines/9001) for what happened.
- Start anew with a comment `/omk run`.

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · asked for by `ann` · [pipeline 9001](https://gitlab.test/acme/widget/-/pipelines/9001) and its artifacts</sub>

---
### ⚪ omk: cancelled

The pipeline was cancelled before the run was over. Nothing was delivered.

- See [the pipeline](https://gitlab.test/acme/widget/-/pipelines/9001) for what happened.
- Start anew with a comment `/omk run`.

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · asked for by `ann` · [pipeline 9001](https://gitlab.test/acme/widget/-/pipelines/9001) and its artifacts</sub>

---
### ❌ omk `nightly`: not ready

1 of 3 tasks completed · 1 failed · 1 cancelled · 12m 04s · 435k tokens, $<!-- -->0.16

- ❌ `api`: gate \`test\` failed: 2 tests

**Nothing was delivered**: only what is ready is.

- See what failed above, and mend the task or the gate.
- Try again by running a new pipeline on `main`.

---
### ⚪ omk `nightly`: cancelled

1 of 3 tasks completed · 1 failed · 1 cancelled · 12m 04s · 435k tokens, $<!-- -->0.16

- ❌ `api`: gate \`test\` failed: 2 tests

**Nothing was delivered**: only what is ready is.

- Try again by running a new pipeline on `main`.
"#);
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
    insta::assert_snapshot!(all.join("\n---\n"), @r#"
omk: under way
Run `20261122t185155z-4f2a9c` on `bbbbbbbbbbbb`, as `ann` asked.

[Watch it in the pipeline](https://gitlab.test/acme/widget/-/pipelines/9001)


---
omk: 2 of 2 tasks completed so far
### ✅ omk `nightly`: ready

2 of 2 tasks completed · 12m 04s · 435k tokens, $<!-- -->0.16

```mermaid
flowchart LR
  t0["✓ deps<br/>completed"]:::good
  t1["✓ api<br/>completed"]:::good
  t0 --> t1
  classDef good fill:#dafbe1,stroke:#1a7f37,color:#0b2e13
  classDef bad fill:#ffebe9,stroke:#cf222e,color:#4c0a0f
  classDef busy fill:#ddf4ff,stroke:#0969da,color:#042551
  classDef idle fill:#f6f8fa,stroke:#8c959f,color:#424a53
```

| | task | state | tries | time | gates | |
|-|-|-|-:|-:|-|-|
| ✅ | `deps` | completed | 1 | 1m 35s | `test` passed | 1 file |
| ✅ | `api` Split the API module | completed | 1 | 1m 35s | `test` passed | 1 file |

[Watch it in the pipeline](https://gitlab.test/acme/widget/-/pipelines/9001)

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · plan omk.yaml `64879f7d6b96` · asked for by ann · judged_by: separate-job · room: sealed · omk 0.6.0</sub>


---
omk: ready: 2 of 2 tasks completed
### ✅ omk `nightly`: ready

2 of 2 tasks completed · 12m 04s · 435k tokens, $<!-- -->0.16

Delivered as [!13](https://gitlab.test/acme/widget/-/merge_requests/13).

> ⚠️ the merge request could not be opened: this project does not let the token do it. Open it yourself, or see that merge requests are on (Settings \> General \> Visibility, project features, permissions), and that \`OMK\_TOKEN\` (Settings \> CI/CD \> Variables) is an access token with the role Developer and the scope \`api\`; the result is pushed and safe

> ⚠️ \`feature\` is at eeeeeeeeeeee now, so the result was not pushed onto it: it is delivered as a merge request instead

> ⚠️ \`feature\` has moved since, to eeeeeeeeeeee: the result is of the commit it was asked for on, and the merge may want your eye

> ⚠️ \`feature\` is gone, so there is nothing to merge the result into: its own branch is pushed, and can be merged elsewhere

> ⚠️ \`omk/run/x\` was refused (pre-receive hook declined) and is left out; see whether a protected branch or a push rule covers it (Settings \> Repository)

```mermaid
flowchart LR
  t0["✓ deps<br/>completed"]:::good
  t1["✓ api<br/>completed"]:::good
  t0 --> t1
  classDef good fill:#dafbe1,stroke:#1a7f37,color:#0b2e13
  classDef bad fill:#ffebe9,stroke:#cf222e,color:#4c0a0f
  classDef busy fill:#ddf4ff,stroke:#0969da,color:#042551
  classDef idle fill:#f6f8fa,stroke:#8c959f,color:#424a53
```

| | task | state | tries | time | gates | |
|-|-|-|-:|-:|-|-|
| ✅ | `deps` | completed | 1 | 1m 35s | `test` passed | 1 file |
| ✅ | `api` Split the API module | completed | 1 | 1m 35s | `test` passed | 1 file |

[The pipeline](https://gitlab.test/acme/widget/-/pipelines/9001)

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · plan omk.yaml `64879f7d6b96` · asked for by ann · judged_by: separate-job · room: sealed · omk 0.6.0</sub>


---
omk: failed infra: nothing was delivered
<!-- omk:sticky:mr-12 -->
<!-- omk:data {"run":"20261122t185155z-4f2a9c","base":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","state":"lost","verdict":"failed_infra","workflow":9001} -->
### ❌ omk: failed infra

The job that ran the tasks ended without leaving its result: it was cancelled or killed, ran out of time or disk, or its artifacts are gone. Nothing was delivered.

- See [the pipeline](https://gitlab.test/acme/widget/-/pipelines/9001) for what happened.
- Start anew with a comment `/omk run`.

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · asked for by `ann` · [pipeline 9001](https://gitlab.test/acme/widget/-/pipelines/9001) and its artifacts</sub>


---
omk / g19: failed (exit 101, 1 failing)
❌ failed (exit 101, 1 failing)

It ran `make g19` for 1m 01s.

```text
running g19
```

- suite::test\_0 (src/api.rs:1): assertion \`left == right\` failed

---
omk / other gates: 0 of 2 gates passed
Gates beyond the first twenty, which have commit statuses of their own.

- ❌ `g20`: failed (exit 101, 1 failing)
- ❌ `g21`: failed (exit 101, 1 failing)


---
[
  {
    "description": "suite::test_0: assertion `left == right` failed left: 1",
    "check_name": "omk / g0",
    "fingerprint": "a67c94624d77778d51c4941a99797f267afe1f3d1de7e8f12c100c9daa47c967",
    "severity": "major",
    "location": {
      "path": "src/api.rs",
      "lines": {
        "begin": 1
      }
    }
  },
  {
    "description": "suite::test_0: assertion `left == right` failed left: 1",
    "check_name": "omk / g1",
    "fingerprint": "503b237962fb729b3af1129965b034bcb28d33fa30d25c6bf8c76def82ffa158",
    "severity": "major",
    "location": {
      "path": "src/api.rs",
      "lines": {
        "begin": 1
      }
    }
  },
  {
    "description": "suite::test_0: assertion `left == right` failed left: 1",
    "check_name": "omk / g2",
    "fingerprint": "db70783a4bee30e2b46c561c5af1817c20f65cd9228259ce74e3488d008b506f",
    "severity": "major",
    "location": {
      "path": "src/api.rs",
      "lines": {
        "begin": 1
      }
    }
  }
]

---
omk: nightly (for !12)

<!-- omk:pull:mr-12:085154084c7427596104bc42f51f59f6d3ffd3d5f49f098210c20449fb7b2c71 -->
Made by omk's run `20261122t185155z-4f2a9c`: `ann` asked for it [in a comment](https://gitlab.test/acme/widget/-/merge_requests/12#note_7); judged in a job of its own.

| task | what | files | commit |
|-|-|-:|-|
| `deps` | deps | 1 | `111111111111` |
| `api` | Split the API module | 1 | `222222222222` |

[…]

- ✅ gate `test` passed

- Updated in place by the next run; a commit that is not omk's stops that, and nothing of yours is overwritten.
- The plan is the merge request's own, approved by `bob`.

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · plan `omk.yaml` `64879f7d6b96` · [pipeline](https://gitlab.test/acme/widget/-/pipelines/9001) · omk 0\.6.0</sub>

---
Split the API module

<!-- omk:pull:mr-12:085154084c7427596104bc42f51f59f6d3ffd3d5f49f098210c20449fb7b2c71 -->
Made by omk's run `20261122t185155z-4f2a9c`: `ann` asked for it [in a comment](https://gitlab.test/acme/widget/-/merge_requests/12#note_7); judged in a job of its own.

Task `api`: Split the API module, 1 file.

It is built on `deps`, whose commits are in here too. Merge those first, with a merge commit, and only its own remain.

- ✅ gate `test` passed

- Updated in place by the next run; a commit that is not omk's stops that, and nothing of yours is overwritten.
- The plan is the merge request's own, approved by `bob`.

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · plan `omk.yaml` `64879f7d6b96` · [pipeline](https://gitlab.test/acme/widget/-/pipelines/9001) · omk 0\.6.0</sub>

---
omk: nightly, 2 tasks

<!-- omk:pull:nightly:085154084c7427596104bc42f51f59f6d3ffd3d5f49f098210c20449fb7b2c71 -->
Made by omk's run `20261122t185155z-4f2a9c`: by schedule; judged in a job of its own.

| task | what | files | commit |
|-|-|-:|-|
| `deps` | deps | 1 | `111111111111` |
| `api` | Split the API module | 1 | `222222222222` |

[…]

- ✅ gate `test` passed

- Updated in place by the next run; a commit that is not omk's stops that, and nothing of yours is overwritten.
- Close it, and it is left alone until its definition in the plan changes.

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · plan `omk.yaml` `64879f7d6b96` · [pipeline](https://gitlab.test/acme/widget/-/pipelines/9001) · omk 0\.6.0</sub>

---
Split the API module

<!-- omk:pull:nightly:085154084c7427596104bc42f51f59f6d3ffd3d5f49f098210c20449fb7b2c71 -->
Made by omk's run `20261122t185155z-4f2a9c`: by schedule; judged in a job of its own.

Task `api`: Split the API module, 1 file.

It is built on `deps`, whose commits are in here too. Merge those first, with a merge commit, and only its own remain.

- ✅ gate `test` passed

- Updated in place by the next run; a commit that is not omk's stops that, and nothing of yours is overwritten.
- Close it, and it is left alone until its definition in the plan changes.

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · plan `omk.yaml` `64879f7d6b96` · [pipeline](https://gitlab.test/acme/widget/-/pipelines/9001) · omk 0\.6.0</sub>

---
omk: nightly, 2 tasks

<!-- omk:pull:nightly:085154084c7427596104bc42f51f59f6d3ffd3d5f49f098210c20449fb7b2c71 -->
Made by omk's run `20261122t185155z-4f2a9c`: `schedule` ran the pipeline; judged in a job of its own.

| task | what | files | commit |
|-|-|-:|-|
| `deps` | deps | 1 | `111111111111` |
| `api` | Split the API module | 1 | `222222222222` |

[…]

- ✅ gate `test` passed

- Updated in place by the next run; a commit that is not omk's stops that, and nothing of yours is overwritten.
- Close it, and it is left alone until its definition in the plan changes.

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · plan `omk.yaml` `64879f7d6b96` · [pipeline](https://gitlab.test/acme/widget/-/pipelines/9001) · omk 0\.6.0</sub>

---
Split the API module

<!-- omk:pull:nightly:085154084c7427596104bc42f51f59f6d3ffd3d5f49f098210c20449fb7b2c71 -->
Made by omk's run `20261122t185155z-4f2a9c`: `schedule` ran the pipeline; judged in a job of its own.

Task `api`: Split the API module, 1 file.

It is built on `deps`, whose commits are in here too. Merge those first, with a merge commit, and only its own remain.

- ✅ gate `test` passed

- Updated in place by the next run; a commit that is not omk's stops that, and nothing of yours is overwritten.
- Close it, and it is left alone until its definition in the plan changes.

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · plan `omk.yaml` `64879f7d6b96` · [pipeline](https://gitlab.test/acme/widget/-/pipelines/9001) · omk 0\.6.0</sub>

---
omk: nightly, 2 tasks

<!-- omk:pull:nightly:085154084c7427596104bc42f51f59f6d3ffd3d5f49f098210c20449fb7b2c71 -->
Made by omk's run `20261122t185155z-4f2a9c`: `schedule` ran it by hand; judged in a job of its own.

| task | what | files | commit |
|-|-|-:|-|
| `deps` | deps | 1 | `111111111111` |
| `api` | Split the API module | 1 | `222222222222` |

[…]

- ✅ gate `test` passed

- Updated in place by the next run; a commit that is not omk's stops that, and nothing of yours is overwritten.
- Close it, and it is left alone until its definition in the plan changes.

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · plan `omk.yaml` `64879f7d6b96` · [pipeline](https://gitlab.test/acme/widget/-/pipelines/9001) · omk 0\.6.0</sub>

---
Split the API module

<!-- omk:pull:nightly:085154084c7427596104bc42f51f59f6d3ffd3d5f49f098210c20449fb7b2c71 -->
Made by omk's run `20261122t185155z-4f2a9c`: `schedule` ran it by hand; judged in a job of its own.

Task `api`: Split the API module, 1 file.

It is built on `deps`, whose commits are in here too. Merge those first, with a merge commit, and only its own remain.

- ✅ gate `test` passed

- Updated in place by the next run; a commit that is not omk's stops that, and nothing of yours is overwritten.
- Close it, and it is left alone until its definition in the plan changes.

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · plan `omk.yaml` `64879f7d6b96` · [pipeline](https://gitlab.test/acme/widget/-/pipelines/9001) · omk 0\.6.0</sub>

---
<!-- omk:dashboard:nightly -->
<!-- omk:runs [{"run":"20261122t185155z-4f2a9c","at":1795372924000,"verdict":"ready","completed":2,"tasks":2,"url":"https://gitlab.test/acme/widget/-/pipelines/9001"},{"run":"20261121t185155z-000001","at":1795286200000,"verdict":"not_ready","completed":1,"tasks":2,"url":"https://gitlab.com/acme/widget/-/pipelines/9"}] -->
### ✅ omk `nightly`: ready

2 of 2 tasks completed · 12m 04s · 435k tokens, $<!-- -->0.16

**Delivered** as merge request [!13](https://gitlab.test/acme/widget/-/merge_requests/13).

- Look at it here: `git fetch origin omk/run/mr-12 && git diff bbbbbbbbbbbb FETCH_HEAD`
- Review it as you would a colleague's, and merge it.

[…]

[…]

<sub>[pipeline 9001](https://gitlab.test/acme/widget/-/pipelines/9001) and its artifacts</sub>

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · plan omk.yaml `64879f7d6b96` · asked for by schedule · judged_by: separate-job · room: sealed · omk 0.6.0</sub>

[…]

[…]

---
<!-- omk:dashboard:nightly -->
<!-- omk:runs [{"run":"20261122t185155z-4f2a9c","at":1795372930000,"verdict":"failed_infra","completed":0,"tasks":0,"url":"https://gitlab.test/acme/widget/-/pipelines/9001"},{"run":"20261121t185155z-000001","at":1795286200000,"verdict":"not_ready","completed":1,"tasks":2,"url":"https://gitlab.com/acme/widget/-/pipelines/9"}] -->
### ❌ omk: failed infra

The job that ran the tasks ended without leaving its result: it was cancelled or killed, ran out of time or disk, or its artifacts are gone. Nothing was delivered.

- See [the pipeline](https://gitlab.test/acme/widget/-/pipelines/9001) for what happened.
- Try again by running a new pipeline on `main`.

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · asked for by `schedule` · [pipeline 9001](https://gitlab.test/acme/widget/-/pipelines/9001) and its artifacts</sub>

**Open results:** none.

[…]
"#);
}

#[test]
fn the_check_of_a_plan_is_in_gitlabs_words() {
    let all: Vec<String> = plan_checks(ForgeKind::GitLab)
        .iter()
        .map(|text| text.split("<details>").next().unwrap().to_owned())
        .collect();
    insta::assert_snapshot!(all.join("\n---\n"), @r#"
omk plan: there is no plan

There is no `omk.yaml` on `main`, and this merge request adds none.

Write one with `omk init`, or set the component's input `plan` to where it is.

---
omk plan: unchanged: 1 task

The plan `omk.yaml` is that of `main`.


---
omk plan: changed: valid, 1 task

The plan `omk.yaml` is changed, and valid.

Until it is merged, runs use the plan of `main`. To use this one before that, somebody with the role Developer writes in a comment:

```text
/omk approve 64879f7d6b96
/omk run
```

Its `agent`, `limits`, `prices`, `room`, `deliver`, `protect` and `commands` count once they are on the default branch, approved or not.

```diff
-a
+b
```


---
omk plan: changed: valid, 1 task

The plan `omk.yaml` is changed, and valid.

It counts once it is merged: until there is a plan on the default branch, nobody can be told to have the role to approve `64879f7d6b96`.

```diff
-a
+b
```


---
omk plan: changed: valid, 1 task

The plan `omk.yaml` is changed, and valid.

Nothing of it is run: the merge request comes from another project. It counts once it is merged.

```diff
-a
+b
```


---
omk plan: invalid: 2 mistakes

The plan `omk.yaml` has 2 mistakes.

```text
error: task `a` has neither `prompt` nor `run`
  --> omk.yaml:2:9
  2 | tasks: [{id: a, runn: x}]
    |         ^^^^^^^^^^^^^^^^ say what to do: `prompt:` for the agent, or `run:` for a shell command

error: task `a` has no key `runn`
  --> omk.yaml:2:17
  2 | tasks: [{id: a, runn: x}]
    |                 ^^^^ did you mean `run`?
```

Mend it in this merge request; `omk plan` shows the same on a laptop.

---
omk plan: invalid: 2 mistakes

The plan `omk.yaml` has 2 mistakes.

```text
error: task `a` has neither `prompt` nor `run`
  --> omk.yaml:2:9
  2 | tasks: [{id: a, runn: x}]
    |         ^^^^^^^^^^^^^^^^ say what to do: `prompt:` for the agent, or `run:` for a shell command

error: task `a` has no key `runn`
  --> omk.yaml:2:17
  2 | tasks: [{id: a, runn: x}]
    |                 ^^^^ did you mean `run`?
```

This merge request does not change it: the mistakes are on the target branch, and runs are refused until they are mended there.
"#);
}

#[test]
fn what_is_in_the_way_is_said_in_gitlabs_words() {
    insta::assert_snapshot!(logged(ForgeKind::GitLab).join("\n"), @r#"
the account that wrote the comment is gone
the bot "renovate" with id 7 is not listed in `commands.bots`
"mallory" needs the role Reporter here, and the forge says nothing of them
"mallory" needs the role Developer here, and the forge says "Reporter"
"mallory" needs the role Maintainer here, and the forge says "Developer"
"mallory" needs the role Owner here, and the forge says "maintainer"
the comment was edited
this is not a merge request
the merge request is closed
the merge request is merged
the merge request comes from another project
the merge request's project is gone
the target branch "my-main" is neither the default branch nor protected
the head aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa is not known to be what the comment is about: there is no record of a push
bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb is not the head, which is aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
the comment is our own
the merge request could not be opened: this project does not let the token do it. Open it yourself, or see that merge requests are on (Settings > General > Visibility, project features, permissions), and that `OMK_TOKEN` (Settings > CI/CD > Variables) is an access token with the role Developer and the scope `api`; the result is pushed and safe
`feature` is at eeeeeeeeeeee now, so the result was not pushed onto it: it is delivered as a merge request instead
`feature` has moved since, to eeeeeeeeeeee: the result is of the commit it was asked for on, and the merge may want your eye
`feature` is gone, so there is nothing to merge the result into: its own branch is pushed, and can be merged elsewhere
`omk/run/x` was refused (pre-receive hook declined) and is left out; see whether a protected branch or a push rule covers it (Settings > Repository)
`feature` refuses the push (pre-receive hook declined): the result is delivered as a merge request instead
the branch `omk/run/x` holds a commit that is not omk's (ffffffffffff): it was left alone. Merge, rename or delete it, then retry
a newer run, 20261122t185155z-4f2a9c, has delivered already: this older result does not take its place, and is in the artifacts of the job that ran it
the merge request !13 of task `api` was closed by a person: it is left alone until its definition in the plan changes. Reopen it to have it updated again
the merge request !13 was closed by a person: it is left alone until its definition in the plan changes. Reopen it to have it updated again
1 more merge request was not opened: the plan allows 5 at once (`deliver: limit`). Merge or close some, and they follow at the next run; their branches are pushed
2 more merge requests were not opened: the plan allows 5 at once (`deliver: limit`). Merge or close some, and they follow at the next run; their branches are pushed
the result could not be pushed (pre-receive hook declined). It is in the artifacts of the job that ran it; retry the job that delivers once that is mended, with an access token that may push (role Developer, scope `write_repository`)
the token may not write commit statuses: this text alone tells the verdict. On a protected branch it takes the right to merge there, too (Settings > Repository > Protected branches); elsewhere the role Developer and the scope `api` (`OMK_TOKEN`, Settings > CI/CD > Variables)
the token is not good any more (401), so omk could not write the comment. What was pushed stays; put a fresh token of the same account into the variable `OMK_TOKEN` (Settings > CI/CD > Variables), and retry the job that delivers
something else
The run could not start: there is no key.
The result could not be published: the disk is full.
The job that ran the tasks ended without leaving its result: it was cancelled or killed, ran out of time or disk, or its artifacts are gone.
The job that judges the result ended without a judgement, so nobody but the agent's own job has seen it.
What the run left is not to be believed: a path leaves the bundle.
The pipeline was cancelled before the run was over.
"#);
}
