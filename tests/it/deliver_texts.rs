//! What a person reads at the forge: the sticky comment in each state, checks, pull requests, the
//! dashboard.

use omk_action::fact::*;
use omk_action::report::dashboard::{self, DashboardRun, Last, OpenPullRequest};
use omk_action::report::pull::{self, About, PullText, Starts};
use omk_action::report::sticky::{self, LostRun};
use omk_action::report::{DeliveryObstacle, Instead, Placed, Pull, TaskStage, View, check};
use omk_action::request::{Ask, Request};
use omk_action::text::ForgeKind;

use crate::deliver_sample::*;

/// Lines that a person sees without a click.
fn open_lines(text: &str) -> usize {
    let (mut depth, mut lines) = (0_usize, 0);
    for line in text.lines() {
        depth += line.matches("<details>").count();
        let hidden = depth > 0 && !line.contains("<summary>") || line.starts_with("<!--");
        lines += usize::from(!hidden && !line.trim().is_empty());
        depth -= line.matches("</details>").count();
    }
    assert_eq!(depth, 0, "a fold is not closed:\n{text}");
    lines
}

/// What holds of every text.
fn sound(text: &str, most: usize) {
    assert!(text.len() <= most, "{} bytes", text.len());
    assert!(
        open_lines(text) < 25,
        "{} lines lie open:\n{text}",
        open_lines(text)
    );
}

fn placed() -> Placed {
    Placed {
        delivered: true,
        branches: vec!["omk/run/pr-12".to_owned()],
        proofs: Some("refs/omk/proofs/20261122t185155z-4f2a9c".to_owned()),
        pulls: vec![Pull {
            number: 13,
            url: "https://github.com/acme/widget/pull/13".to_owned(),
            task: None,
        }],
        compare: None,
        troubles: Vec::new(),
    }
}

fn ended(request: &Request, view: &View, placed: &Placed) -> String {
    let text = sticky::ended(request, view, placed);
    sound(&text, sticky::LIMIT);
    text
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
fn the_comment_of_an_accepted_run() {
    let text = sticky::accepted(&request());
    sound(&text, sticky::LIMIT);
    insta::assert_snapshot!(text, @r#"
<!-- omk:sticky:pr-12 -->
<!-- omk:data {"run":"20261122t185155z-4f2a9c","base":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","state":"accepted","verdict":null,"workflow":9001} -->
### 🔄 omk: accepted

It runs all tasks of the plan on `bbbbbbbbbbbb`, the head of `feature`, with the plan `omk.yaml` `64879f7d6b96`, as `ann` asked. This comment will say how it goes.

- Watch it in [the workflow run](https://github.com/acme/widget/actions/runs/9001).
- End it with a comment `/omk cancel`.
"#);
    let mut named = nightly();
    named.ask = Ask::Retry {
        tasks: vec!["api".parse().unwrap(), "docs".parse().unwrap()],
    };
    insta::assert_snapshot!(sticky::accepted(&named), @r#"
<!-- omk:sticky:nightly -->
<!-- omk:data {"run":"20261122t185155z-4f2a9c","base":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","state":"accepted","verdict":null,"workflow":9001} -->
### 🔄 omk: accepted

It runs `api` and `docs` on `bbbbbbbbbbbb`, the tip of `main`, with the plan `omk.yaml` `64879f7d6b96`, as `schedule` asked. This comment will say how it goes.

- Watch it in [the workflow run](https://github.com/acme/widget/actions/runs/9001).
- End it by cancelling the workflow run.
"#);
}

#[test]
fn the_comment_of_a_run_under_way() {
    let request = request();
    let mut view = good(&request);
    (view.verdict, view.ended, view.result) = (None, None, None);
    view.gates.clear();
    view.tasks[1].stage = TaskStage::Running {
        doing: "agent".to_owned(),
    };
    let text = sticky::running(&request, &view);
    sound(&text, sticky::LIMIT);
    insta::assert_snapshot!(text, @r#"
<!-- omk:sticky:pr-12 -->
<!-- omk:data {"run":"20261122t185155z-4f2a9c","base":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","state":"running","verdict":null,"workflow":9001} -->
### 🔄 omk `nightly`: under way

1 of 2 tasks completed · 1 running · 435k tokens, $0.16

- Watch it in [the workflow run](https://github.com/acme/widget/actions/runs/9001).
- End it with a comment `/omk cancel`.

<details><summary>2 tasks: graph and table</summary>

```mermaid
flowchart LR
  t0["✓ deps<br/>completed"]:::good
  t1["▸ api<br/>running"]:::busy
  t0 --> t1
  classDef good fill:#dafbe1,stroke:#1a7f37,color:#0b2e13
  classDef bad fill:#ffebe9,stroke:#cf222e,color:#4c0a0f
  classDef busy fill:#ddf4ff,stroke:#0969da,color:#042551
  classDef idle fill:#f6f8fa,stroke:#8c959f,color:#424a53
```

| | task | state | tries | time | gates | |
|-|-|-|-:|-:|-|-|
| ✅ | `deps` | completed | 1 | 1m 35s | `test` passed | 1 file |
| 🔄 | `api` Split the API module | running | 1 | 1m 35s | `test` passed | agent |

</details>

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · plan omk.yaml `64879f7d6b96` · asked for by ann · judged_by: separate-job · room: sealed · omk 0.6.0</sub>
"#);
}

#[test]
fn the_comment_of_a_ready_run() {
    let request = request();
    insta::assert_snapshot!(ended(&request, &good(&request), &placed()), @r#"
<!-- omk:sticky:pr-12 -->
<!-- omk:data {"run":"20261122t185155z-4f2a9c","base":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","state":"ended","verdict":"ready","workflow":9001} -->
### ✅ omk `nightly`: ready

2 of 2 tasks completed · 12m 04s · 435k tokens, $0.16

**Delivered** as pull request [#13](https://github.com/acme/widget/pull/13).

- Look at it here: `git fetch origin omk/run/pr-12 && git diff bbbbbbbbbbbb FETCH_HEAD`
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

<sub>[workflow run 9001](https://github.com/acme/widget/actions/runs/9001), attempt 1, artifact `omk-pr-12-20261122t185155z-4f2a9c`</sub>

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · plan omk.yaml `64879f7d6b96` · asked for by ann · judged_by: separate-job · room: sealed · omk 0.6.0</sub>
"#);
}

#[test]
fn who_approved_a_changed_plan_is_said() {
    let mut request = request();
    request.approved_by = Some("bob`@x".to_owned());
    let (view, marker) = (good(&request), String::new());
    let said = "approved by ``bob`@x``";
    assert!(ended(&request, &view, &placed()).contains(said));
    assert!(pull::body(&pull_text(&request, &view, About::Run, &marker)).contains(said));
}

#[test]
fn the_comment_of_a_run_that_is_not_ready() {
    let request = request();
    let placed = Placed {
        proofs: None,
        ..Placed::default()
    };
    insta::assert_snapshot!(ended(&request, &bad(&request), &placed), @r#"
<!-- omk:sticky:pr-12 -->
<!-- omk:data {"run":"20261122t185155z-4f2a9c","base":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","state":"ended","verdict":"not_ready","workflow":9001} -->
### ❌ omk `nightly`: not ready

1 of 3 tasks completed · 1 failed · 1 cancelled · 12m 04s · 435k tokens, $0.16

- ❌ `api`: gate \`test\` failed: 2 tests

**Nothing was delivered**: only what is ready is.

- See what failed above, and mend the task or the gate.
- Try again with a comment `/omk retry`: what is proven already is kept.

<details><summary>3 tasks: graph and table</summary>

```mermaid
flowchart LR
  t0["✓ deps<br/>completed"]:::good
  t1["✗ api<br/>failed"]:::bad
  t2["· docs<br/>cancelled"]:::idle
  t1 --> t2
  classDef good fill:#dafbe1,stroke:#1a7f37,color:#0b2e13
  classDef bad fill:#ffebe9,stroke:#cf222e,color:#4c0a0f
  classDef busy fill:#ddf4ff,stroke:#0969da,color:#042551
  classDef idle fill:#f6f8fa,stroke:#8c959f,color:#424a53
```

| | task | state | tries | time | gates | |
|-|-|-|-:|-:|-|-|
| ✅ | `deps` | completed | 1 | 1m 35s | `test` passed | 1 file |
| ❌ | `api` | failed | 3 | 1m 35s | `test` passed | gate \`test\` failed: 2 tests |
| ⚪ | `docs` | cancelled | 1 | 1m 35s |  | api failed |

</details>

<sub>[workflow run 9001](https://github.com/acme/widget/actions/runs/9001), attempt 1, artifact `omk-pr-12-20261122t185155z-4f2a9c`</sub>

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · plan omk.yaml `64879f7d6b96` · asked for by ann · judged_by: separate-job · room: sealed · omk 0.6.0</sub>
"#);
}

#[test]
fn the_comment_of_every_other_verdict() {
    let request = request();
    let none = Placed::default();
    let of = |verdict, change: fn(&mut View)| {
        let mut view = bad(&request);
        view.verdict = Some(verdict);
        change(&mut view);
        above_the_fold(&ended(&request, &view, &none))
    };
    insta::assert_snapshot!(of(RunVerdict::Neutral, |view| {
        view.result = None;
        view.tasks = vec![task("deps", TaskStage::Completed { landed: None, ejected: None })];
    }), @r#"
### ⚪ omk `nightly`: neutral

1 of 1 task completed · 12m 04s · 435k tokens, $0.16

- Nothing needed to be changed: there is nothing to merge.
"#);
    insta::assert_snapshot!(of(RunVerdict::Neutral, |view| {
        view.tasks.truncate(1);
        view.gates.clear();
    }), @r#"
### ⚪ omk `nightly`: neutral

1 of 1 task completed · 12m 04s · 435k tokens, $0.16

- Nothing was verified, so nothing is delivered: add a gate to the plan.
"#);
    insta::assert_snapshot!(of(RunVerdict::NeedsMoreBudget, |view| view.limited = Some(Limit::Tokens)), @r#"
### ⚠️ omk `nightly`: needs more budget

1 of 3 tasks completed · 1 failed · 1 cancelled · 12m 04s · 435k tokens, $0.16

- ❌ `api`: gate \`test\` failed: 2 tests

**Nothing was delivered**: only what is ready is.

- Raise `limits: tokens` in the plan on the default branch.
- Try again with a comment `/omk retry`: what is proven already is kept.
"#);
    insta::assert_snapshot!(of(RunVerdict::BlockedOnExternal, |_| ()), @r#"
### ❌ omk `nightly`: blocked on external

1 of 3 tasks completed · 1 failed · 1 cancelled · 12m 04s · 435k tokens, $0.16

- ❌ `api`: gate \`test\` failed: 2 tests

**Nothing was delivered**: only what is ready is.

- Mend what blocks it outside: the provider's key, its credit, its limits.
- Try again with a comment `/omk retry`: what is proven already is kept.
"#);
    insta::assert_snapshot!(of(RunVerdict::BlockedOnHuman, |_| ()), @r#"
### ⚠️ omk `nightly`: blocked on human

1 of 3 tasks completed · 1 failed · 1 cancelled · 12m 04s · 435k tokens, $0.16

- ❌ `api`: gate \`test\` failed: 2 tests

**Nothing was delivered**: only what is ready is.

- An approval is missing: read the changed plan, and approve it with `/omk approve DIGEST`.
"#);
    insta::assert_snapshot!(of(RunVerdict::FailedInfra, |_| ()), @r#"
### ❌ omk `nightly`: failed infra

1 of 3 tasks completed · 1 failed · 1 cancelled · 12m 04s · 435k tokens, $0.16

- ❌ `api`: gate \`test\` failed: 2 tests

**Nothing was delivered**: only what is ready is.

- The machine failed, not the work: [the workflow run](https://github.com/acme/widget/actions/runs/9001) says how.
- Try again with a comment `/omk retry`: what is proven already is kept.
"#);
    insta::assert_snapshot!(of(RunVerdict::Cancelled, |_| ()), @r#"
### ⚪ omk `nightly`: cancelled

1 of 3 tasks completed · 1 failed · 1 cancelled · 12m 04s · 435k tokens, $0.16

- ❌ `api`: gate \`test\` failed: 2 tests

**Nothing was delivered**: only what is ready is.

- Try again with a comment `/omk retry`: what is proven already is kept.
"#);
}

#[test]
fn the_comment_of_a_run_that_cannot_be_believed() {
    let request = request();
    for lost in [
        LostRun::NoJudgement,
        LostRun::Cancelled,
        LostRun::Refused("a path leaves the bundle: `../x`".to_owned()),
    ] {
        sound(&sticky::lost(&request, &lost), sticky::LIMIT);
    }
    insta::assert_snapshot!(sticky::lost(&request, &LostRun::NoBundle), @r#"
<!-- omk:sticky:pr-12 -->
<!-- omk:data {"run":"20261122t185155z-4f2a9c","base":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","state":"lost","verdict":"failed_infra","workflow":9001} -->
### ❌ omk: failed infra

The job that ran the tasks ended without leaving its result: it was cancelled or killed, ran out of time or disk, or its artifact is gone. Nothing was delivered.

- See [the workflow run](https://github.com/acme/widget/actions/runs/9001) for what happened.
- Start anew with a comment `/omk run`.

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · asked for by `ann` · [workflow run 9001](https://github.com/acme/widget/actions/runs/9001), attempt 1, artifact `omk-pr-12-20261122t185155z-4f2a9c`</sub>
"#);
    let refused = LostRun::Refused("the path `../x` leaves the bundle @everyone <b>".to_owned());
    insta::assert_snapshot!(above_the_fold(&sticky::lost(&request, &refused)), @r#"
### ❌ omk: failed infra

What the run left is not to be believed: the path \`../x\` leaves the bundle @<!-- -->everyone \<b\>. Nothing was delivered.

- See [the workflow run](https://github.com/acme/widget/actions/runs/9001) for what happened.
- Start anew with a comment `/omk run`.

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · asked for by `ann` · [workflow run 9001](https://github.com/acme/widget/actions/runs/9001), attempt 1, artifact `omk-pr-12-20261122t185155z-4f2a9c`</sub>
"#);
    insta::assert_snapshot!(above_the_fold(&sticky::lost(&nightly(), &LostRun::NoJudgement)), @r#"
### ❌ omk: failed infra

The job that judges the result ended without a judgement, so nobody but the agent's own job has seen it. Nothing was delivered.

- See [the workflow run](https://github.com/acme/widget/actions/runs/9001) for what happened.
- Try again by running the workflow once more.

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · asked for by `schedule` · [workflow run 9001](https://github.com/acme/widget/actions/runs/9001), attempt 1, artifact `omk-nightly-20261122t185155z-4f2a9c`</sub>
"#);
    let why =
        "the plan cannot be read: omk.yaml is not at dddddddddddd; start a new run".to_owned();
    let lost = LostRun::NotStarted {
        why,
        verdict: RunVerdict::BlockedOnExternal,
    };
    insta::assert_snapshot!(above_the_fold(&sticky::lost(&request, &lost)), @r#"
### ❌ omk: blocked on external

The run could not start: the plan cannot be read: omk.yaml is not at dddddddddddd; start a new run. Nothing was delivered.

- See [the workflow run](https://github.com/acme/widget/actions/runs/9001) for what happened.
- Start anew with a comment `/omk run`.

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · asked for by `ann` · [workflow run 9001](https://github.com/acme/widget/actions/runs/9001), attempt 1, artifact `omk-pr-12-20261122t185155z-4f2a9c`</sub>
"#);
    insta::assert_snapshot!(above_the_fold(&sticky::lost(&request, &LostRun::Cancelled)), @r#"
### ⚪ omk: cancelled

The workflow was cancelled before the run was over. Nothing was delivered.

- See [the workflow run](https://github.com/acme/widget/actions/runs/9001) for what happened.
- Start anew with a comment `/omk run`.

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · asked for by `ann` · [workflow run 9001](https://github.com/acme/widget/actions/runs/9001), attempt 1, artifact `omk-pr-12-20261122t185155z-4f2a9c`</sub>
"#);
}

#[test]
fn each_trouble_of_a_delivery_says_what_why_and_what_next() {
    let branch = || "omk/run/pr-12".to_owned();
    let all = [
        DeliveryObstacle::PullsNotAllowed,
        DeliveryObstacle::HeadMoved {
            branch: "feature".to_owned(),
            now: tip('e').commit,
        },
        DeliveryObstacle::Behind {
            branch: "feature".to_owned(),
            now: tip('e').commit,
        },
        DeliveryObstacle::TargetGone {
            branch: "feature".to_owned(),
        },
        DeliveryObstacle::RefRefused {
            name: branch(),
            said: "protected".to_owned(),
        },
        DeliveryObstacle::HeadRefused {
            branch: "feature".to_owned(),
            said: "protected branch hook declined".to_owned(),
        },
        DeliveryObstacle::Foreign {
            branch: branch(),
            tip: tip('f').commit,
        },
        DeliveryObstacle::Closed {
            number: 13,
            task: Some("api".parse().unwrap()),
        },
        DeliveryObstacle::Full {
            limit: 5,
            waiting: 2,
        },
        DeliveryObstacle::PushRefused {
            said: "pre-receive hook declined".to_owned(),
        },
        DeliveryObstacle::NoChecks {
            instead: Instead::Status,
        },
        DeliveryObstacle::TokenGone {
            undone: "write the comment".to_owned(),
        },
        DeliveryObstacle::Other("something else".to_owned()),
    ];
    let sentences: Vec<String> = all
        .iter()
        .map(|trouble| trouble.words(ForgeKind::GitHub))
        .collect();
    insta::assert_snapshot!(sentences.join("\n"), @r#"
the pull request could not be opened: this repository does not let the token do it. Open it yourself, or turn on "Allow GitHub Actions to create and approve pull requests" (Settings, Actions, General) and give the job `pull-requests: write`, or give omk an App's token; the result is pushed and safe
`feature` is at eeeeeeeeeeee now, so the result was not pushed onto it: it is delivered as a pull request instead
`feature` has moved since, to eeeeeeeeeeee: the result is of the commit it was asked for on, and the merge may want your eye
`feature` is gone, so there is nothing to merge the result into: its own branch is pushed, and can be merged elsewhere
`omk/run/pr-12` was refused (protected) and is left out; see whether a rule of the repository covers it
`feature` refuses the push (protected branch hook declined): the result is delivered as a pull request instead
the branch `omk/run/pr-12` holds a commit that is not omk's (ffffffffffff): it was left alone. Merge, rename or delete it, then retry
the pull request 13 of task `api` was closed by a person: it is left alone until its definition in the plan changes. Reopen it to have it updated again
2 more pull requests were not opened: the plan allows 5 at once (`deliver: limit`). Merge or close some, and they follow at the next run; their branches are pushed
the result could not be pushed (pre-receive hook declined). It is in the run's artifact; `omk publish` can be repeated once that is mended, with a token that may push (`contents: write`)
the token may not write checks: a commit status tells the verdict instead. Use GITHUB_TOKEN with `checks: write`, or an App's token; a personal one cannot
the token is not good any more (401), so omk could not write the comment. What was pushed stays; repeat `omk publish` with a fresh token
something else
"#);
}

#[test]
fn the_comment_of_a_run_whose_pull_request_may_not_be_opened() {
    let request = request();
    let placed = Placed {
        pulls: Vec::new(),
        compare: Some(
            "https://github.com/acme/widget/compare/feature...omk/run/pr-12?expand=1".to_owned(),
        ),
        troubles: vec![DeliveryObstacle::PullsNotAllowed],
        ..placed()
    };
    insta::assert_snapshot!(above_the_fold(&ended(&request, &good(&request), &placed)), @r#"
### ✅ omk `nightly`: ready

2 of 2 tasks completed · 12m 04s · 435k tokens, $0.16

**Pushed** to `omk/run/pr-12`.

> ⚠️ the pull request could not be opened: this repository does not let the token do it. Open it yourself, or turn on "Allow GitHub Actions to create and approve pull requests" (Settings, Actions, General) and give the job \`pull-requests: write\`, or give omk an App's token; the result is pushed and safe

- [Open the pull request](https://github.com/acme/widget/compare/feature...omk/run/pr-12?expand=1) yourself.
- Look at it here: `git fetch origin omk/run/pr-12 && git diff bbbbbbbbbbbb FETCH_HEAD`
- Take it: `git fetch origin omk/run/pr-12 && git merge FETCH_HEAD`
"#);
}

#[test]
fn the_comment_of_a_run_whose_head_has_moved() {
    let request = request();
    let moved = DeliveryObstacle::HeadMoved {
        branch: "feature`@x".to_owned(),
        now: tip('e').commit,
    };
    let placed = Placed {
        troubles: vec![moved],
        ..placed()
    };
    insta::assert_snapshot!(above_the_fold(&ended(&request, &good(&request), &placed)), @r#"
### ✅ omk `nightly`: ready

2 of 2 tasks completed · 12m 04s · 435k tokens, $0.16

**Delivered** as pull request [#13](https://github.com/acme/widget/pull/13).

> ⚠️ \`feature\`@<!-- -->x\` is at eeeeeeeeeeee now, so the result was not pushed onto it: it is delivered as a pull request instead

- Look at it here: `git fetch origin omk/run/pr-12 && git diff bbbbbbbbbbbb FETCH_HEAD`
- Review it as you would a colleague's, and merge it.
"#);
}

#[test]
fn the_check_of_a_run() {
    let request = request();
    let text = check::opened(&request);
    insta::assert_snapshot!(format!("{}: {}\n{}", text.name, text.title, text.summary), @r#"
omk: under way
Run `20261122t185155z-4f2a9c` on `bbbbbbbbbbbb`, as `ann` asked.

[Watch it in the workflow run](https://github.com/acme/widget/actions/runs/9001)
"#);
    let text = check::ended(&request, &bad(&request), &Placed::default());
    insta::assert_snapshot!(format!("{}: {}\n{}", text.name, text.title, text.summary), @r#"
omk: not ready: 1 of 3 tasks completed
### ❌ omk `nightly`: not ready

1 of 3 tasks completed · 1 failed · 1 cancelled · 12m 04s · 435k tokens, $0.16

- ❌ `api`: gate \`test\` failed: 2 tests

```mermaid
flowchart LR
  t0["✓ deps<br/>completed"]:::good
  t1["✗ api<br/>failed"]:::bad
  t2["· docs<br/>cancelled"]:::idle
  t1 --> t2
  classDef good fill:#dafbe1,stroke:#1a7f37,color:#0b2e13
  classDef bad fill:#ffebe9,stroke:#cf222e,color:#4c0a0f
  classDef busy fill:#ddf4ff,stroke:#0969da,color:#042551
  classDef idle fill:#f6f8fa,stroke:#8c959f,color:#424a53
```

| | task | state | tries | time | gates | |
|-|-|-|-:|-:|-|-|
| ✅ | `deps` | completed | 1 | 1m 35s | `test` passed | 1 file |
| ❌ | `api` | failed | 3 | 1m 35s | `test` passed | gate \`test\` failed: 2 tests |
| ⚪ | `docs` | cancelled | 1 | 1m 35s |  | api failed |

[The workflow run](https://github.com/acme/widget/actions/runs/9001)

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · plan omk.yaml `64879f7d6b96` · asked for by ann · judged_by: separate-job · room: sealed · omk 0.6.0</sub>
"#);
    let text = check::lost(
        RunVerdict::FailedInfra,
        &sticky::lost(&request, &LostRun::NoBundle),
    );
    insta::assert_snapshot!(text.title, @"failed infra: nothing was delivered");
}

#[test]
fn the_check_of_a_failing_gate() {
    let request = request();
    let mut view = bad(&request);
    view.gates = vec![failing_gate("test", 3)];
    let checks = check::gates(ForgeKind::GitHub, &view);
    let [one] = checks.as_slice() else {
        panic!("{checks:?}")
    };
    assert_eq!(one.end, check::GateEnd::Bad);
    insta::assert_snapshot!(format!("{}: {}\n{}\n{}", one.text.name, one.text.title, one.text.summary, one.text.text), @r#"
omk / test: failed (exit 101, 3 failing)
❌ failed (exit 101, 3 failing)

It ran `make test` for 1m 01s.

```text
running test
```

- suite::test\_0 (src/api.rs:1): assertion \`left == right\` failed
- suite::test\_1 (src/api.rs:2): assertion \`left == right\` failed
- suite::test\_2 (src/api.rs:3): assertion \`left == right\` failed
"#);
    insta::assert_debug_snapshot!(one.text.remarks[0], @r#"
CheckRemark {
    place: Location {
        path: "src/api.rs",
        line: 1,
        end_line: 1,
    },
    level: Error,
    check: "omk / test",
    item: Some(
        "suite::test_0",
    ),
    title: "test: suite::test_0",
    message: "assertion `left == right` failed\n left: 1",
    hint: None,
}
"#);
}

#[test]
fn a_remarks_level_says_whether_it_decides() {
    let request = request();
    let level = |change: fn(&mut GateOutcome)| {
        let mut view = bad(&request);
        view.gates = vec![failing_gate("test", 1)];
        change(&mut view.gates[0]);
        check::gates(ForgeKind::GitHub, &view)[0].text.remarks[0].level
    };
    assert_eq!(level(|_| ()), ItemLevel::Error);
    assert_eq!(level(|gate| gate.required = false), ItemLevel::Warning);
    assert_eq!(
        level(|gate| gate.against_base = Some(AgainstBase::PreExisting)),
        ItemLevel::Notice
    );
    assert_eq!(
        level(|gate| gate.against_base = Some(AgainstBase::Broke)),
        ItemLevel::Error
    );
}

#[test]
fn of_three_hundred_gates_twenty_have_checks_and_the_failing_ones_first() {
    let request = request();
    let mut view = bad(&request);
    view.gates = (0..300)
        .map(|number| gate(&format!("g{number}"), GateVerdict::Passed))
        .collect();
    view.gates[250] = failing_gate("g250", 500);
    view.gates[251].required = false;
    view.gates[251].counts_as_passed = false;
    let checks = check::gates(ForgeKind::GitHub, &view);
    assert_eq!(checks.len(), check::GATES + 1);
    let names: Vec<&str> = checks
        .iter()
        .map(|check| check.text.name.as_str())
        .collect();
    assert_eq!(&names[..3], ["omk / g250", "omk / g251", "omk / g0"]);
    assert_eq!(names[20], check::OTHER_GATES);
    assert_eq!(checks[20].end, check::GateEnd::Good);
    insta::assert_snapshot!(checks[20].text.title, @"280 of 280 gates passed");
    assert!(
        checks
            .iter()
            .all(|check| check.text.summary.len() <= check::LIMIT
                && check.text.text.len() <= check::LIMIT)
    );
}

#[test]
fn a_run_has_five_hundred_remarks_at_most_and_says_how_many_more() {
    let request = request();
    let mut view = bad(&request);
    view.gates = (0..30)
        .map(|number| failing_gate(&format!("g{number}"), 200))
        .collect();
    let checks = check::gates(ForgeKind::GitHub, &view);
    assert_eq!(
        checks
            .iter()
            .map(|check| check.text.remarks.len())
            .sum::<usize>(),
        check::REMARKS
    );
    assert!(
        checks[2]
            .text
            .summary
            .contains("100 failing items are shown at their lines, 100 more are not.")
    );
    assert!(
        checks[3]
            .text
            .summary
            .contains("200 failing items not shown at a line.")
    );
    assert_eq!(checks[20].end, check::GateEnd::Bad);
}

#[test]
fn no_check_is_named_like_a_job_of_ours() {
    for job in ["gate", "run", "judge", "publish"] {
        assert_ne!(check::gate_name(job), format!("omk / {job}"));
    }
    assert_eq!(check::gate_name("test"), "omk / test");
}

#[test]
fn places_that_are_not_in_the_tree_are_no_remarks() {
    let request = request();
    let mut view = bad(&request);
    view.gates = vec![failing_gate("test", 5)];
    let mut place = |at: usize, path: &str| {
        view.gates[0].failing[at].place.as_mut().unwrap().path = path.to_owned()
    };
    place(0, "/etc/passwd");
    place(1, "../x");
    place(2, "a\nb");
    place(3, "");
    assert_eq!(
        check::gates(ForgeKind::GitHub, &view)[0].text.remarks.len(),
        1
    );
}

fn pull_text<'a>(
    request: &'a Request,
    view: &'a View,
    about: About<'a>,
    marker: &'a str,
) -> PullText<'a> {
    let proofs = Some("refs/omk/proofs/20261122t185155z-4f2a9c");
    PullText {
        request,
        view,
        about,
        marker,
        proofs,
        starts: Starts::Approved,
    }
}

#[test]
fn the_pull_request_of_a_run() {
    let request = request();
    let view = good(&request);
    let marker = pull::marker(&request, None, &omk_action::id::Sha256::of(b"tasks"));
    let text = pull_text(&request, &view, About::Run, &marker);
    sound(&pull::body(&text), pull::LIMIT);
    insta::assert_snapshot!(format!("{}\n\n{}", pull::title(&text), pull::body(&text)), @r#"
omk: nightly (for #12)

<!-- omk:pull:pr-12:085154084c7427596104bc42f51f59f6d3ffd3d5f49f098210c20449fb7b2c71 -->
Made by omk's run `20261122t185155z-4f2a9c`: `ann` asked for it [in a comment](https://github.com/acme/widget/pull/12#issuecomment-7); judged in a job of its own.

| task | what | files | commit |
|-|-|-:|-|
| `deps` | deps | 1 | `111111111111` |
| `api` | Split the API module | 1 | `222222222222` |

<details><summary>Graph</summary>

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

</details>

- ✅ gate `test` passed

<details><summary>Proof, and how to verify it</summary>

```sh
git fetch origin refs/omk/proofs/20261122t185155z-4f2a9c
git show FETCH_HEAD:run.result.json > proof.json
omk verify proof.json
```

The ref holds a proof for each task that landed, one for the result, and the commits they speak of.

</details>

- Updated in place by the next run; a commit that is not omk's stops that, and nothing of yours is overwritten.
- Its checks wait for "Approve workflows to run" below, because GITHUB_TOKEN opened it; with an App's token they start alone.

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · plan `omk.yaml` `64879f7d6b96` · [workflow run](https://github.com/acme/widget/actions/runs/9001) · omk 0\.6.0</sub>
"#);
}

#[test]
fn the_pull_request_of_a_task_that_is_built_on_another() {
    let request = nightly();
    let view = good(&request);
    let task = &view.tasks[1];
    let marker = pull::marker(
        &request,
        Some(&task.id),
        &omk_action::id::Sha256::of(b"api"),
    );
    let with = [view.tasks[0].id.clone()];
    let text = PullText {
        starts: Starts::Alone,
        ..pull_text(&request, &view, About::Task { task, with: &with }, &marker)
    };
    sound(&pull::body(&text), pull::LIMIT);
    insta::assert_snapshot!(format!("{}\n\n{}", pull::title(&text), pull::body(&text)), @r#"
Split the API module

<!-- omk:pull:nightly:api:14c2529eb4498c5d1ffd6915d05bf58a91bdda796af59f41d480d11c099d0479 -->
Made by omk's run `20261122t185155z-4f2a9c`: by schedule; judged in a job of its own.

Task `api`: Split the API module, 1 file.

It is built on `deps`, whose commits are in here too. Merge those first, with a merge commit, and only its own remain.

- ✅ gate `test` passed

<details><summary>Proof, and how to verify it</summary>

```sh
git fetch origin refs/omk/proofs/20261122t185155z-4f2a9c
git show FETCH_HEAD:api.json > proof.json
omk verify proof.json
```

The ref holds a proof for each task that landed, one for the result, and the commits they speak of.

</details>

- Updated in place by the next run; a commit that is not omk's stops that, and nothing of yours is overwritten.
- Close it, and it is left alone until its definition in the plan changes.

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · plan `omk.yaml` `64879f7d6b96` · [workflow run](https://github.com/acme/widget/actions/runs/9001) · omk 0\.6.0</sub>
"#);
}

#[test]
fn a_title_refers_to_nobody_but_its_own_pull_request() {
    let request = request();
    let mut view = good(&request);
    view.tasks.truncate(1);
    view.tasks[0].name = "fixes #1 for @everyone\n\u{202e}now".to_owned();
    let text = pull_text(&request, &view, About::Run, "");
    insta::assert_snapshot!(pull::title(&text), @"fixes # 1 for @ everyone [U+202E]now (for #12)");
}

#[test]
fn the_dashboard_of_a_plan() {
    let request = nightly();
    let view = good(&request);
    let placed = Placed {
        branches: vec!["omk/run/nightly".to_owned()],
        ..placed()
    };
    let open = [OpenPullRequest {
        number: 13,
        url: "https://github.com/acme/widget/pull/13".to_owned(),
        branch: "omk/run/nightly".to_owned(),
    }];
    let earlier = DashboardRun {
        run: "20261121t185155z-000001".parse().unwrap(),
        at: at(-86_000),
        verdict: RunVerdict::NotReady,
        completed: 1,
        tasks: 2,
        url: "https://github.com/acme/widget/actions/runs/8001".to_owned(),
    };
    let body = dashboard::body(
        &request,
        Last::Ended(&view, &placed),
        at(730),
        Some(&open),
        &[earlier],
    );
    sound(&body, dashboard::LIMIT);
    insta::assert_snapshot!(format!("{}\n{body}", dashboard::title(&request.scope)), @r#"
omk: maintenance `nightly`
<!-- omk:dashboard:nightly -->
<!-- omk:runs [{"run":"20261122t185155z-4f2a9c","at":1795372924000,"verdict":"ready","completed":2,"tasks":2,"url":"https://github.com/acme/widget/actions/runs/9001"},{"run":"20261121t185155z-000001","at":1795286200000,"verdict":"not_ready","completed":1,"tasks":2,"url":"https://github.com/acme/widget/actions/runs/8001"}] -->
### ✅ omk `nightly`: ready

2 of 2 tasks completed · 12m 04s · 435k tokens, $0.16

**Delivered** as pull request [#13](https://github.com/acme/widget/pull/13).

- Look at it here: `git fetch origin omk/run/nightly && git diff bbbbbbbbbbbb FETCH_HEAD`
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

<sub>[workflow run 9001](https://github.com/acme/widget/actions/runs/9001), attempt 1, artifact `omk-nightly-20261122t185155z-4f2a9c`</sub>

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · plan omk.yaml `64879f7d6b96` · asked for by schedule · judged_by: separate-job · room: sealed · omk 0.6.0</sub>

<details><summary>1 open result</summary>

- [#13](https://github.com/acme/widget/pull/13) omk/run/nightly

</details>

<details><summary>Last 2 runs</summary>

| run | over | verdict | tasks |
|-|-|-|-:|
| [20261122t185155z-4f2a9c](https://github.com/acme/widget/actions/runs/9001) | 2026-11-22 18:42 UTC | ready | 2 of 2 |
| [20261121t185155z-000001](https://github.com/acme/widget/actions/runs/8001) | 2026-11-21 18:36 UTC | not ready | 1 of 2 |

</details>
"#);
    let remembered = dashboard::runs(&body);
    assert_eq!(remembered.len(), 2);
    let again = dashboard::body(
        &request,
        Last::Ended(&view, &placed),
        at(730),
        Some(&open),
        &remembered,
    );
    assert_eq!(again, body, "a repeat changes nothing");
    assert!(dashboard::runs("<!-- omk:runs [{\"run\":1}] -->").is_empty());
    let lost = dashboard::body(
        &request,
        Last::Lost(&LostRun::NoBundle),
        at(730),
        Some(&[]),
        &remembered,
    );
    insta::assert_snapshot!(above_the_fold(&lost), @r#"
### ❌ omk: failed infra

The job that ran the tasks ended without leaving its result: it was cancelled or killed, ran out of time or disk, or its artifact is gone. Nothing was delivered.

- See [the workflow run](https://github.com/acme/widget/actions/runs/9001) for what happened.
- Try again by running the workflow once more.

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · asked for by `schedule` · [workflow run 9001](https://github.com/acme/widget/actions/runs/9001), attempt 1, artifact `omk-nightly-20261122t185155z-4f2a9c`</sub>

**Open results:** none.
"#);
}

/// A run in which everything that others wrote is as bad as it can be.
fn hostile(request: &mut Request) -> View {
    let evil = "@everyone fixes #1 <!-- omk:sticky:pr-12 --> <img src=x onerror=alert(1)> ``` `x` | \u{202e}\u{200b}\n\
                ### heading\n::set-output name=a::b\n/omk run\n/close\n/merge now\n\
                closes !1 $1 &1 ~bug %v1 [issue:1] [TOC] GL-1 https://x.test/-/issues/1\n";
    request.trigger.actor = evil.to_owned();
    request.pull.as_mut().unwrap().head = "a`b|c<!--".to_owned();
    request.plan.path = evil.to_owned();
    let mut view = bad(request);
    view.trigger.actor = evil.to_owned();
    view.warnings = vec![evil.repeat(50); 40];
    view.gates = (0..300)
        .map(|number| {
            let mut gate = failing_gate(&format!("g{number}"), 200);
            (gate.command, gate.note) = (evil.to_owned(), evil.repeat(20));
            let log = gate.log.as_mut().unwrap();
            log.head = evil.repeat(2_000);
            for item in &mut gate.failing {
                (item.key, item.message) = (evil.to_owned(), evil.repeat(30));
            }
            gate
        })
        .collect();
    for number in 0..500 {
        let mut task = failed_task(&format!("t{number}"));
        task.name = evil.to_owned();
        task.failure.as_mut().unwrap().message = evil.repeat(100);
        view.tasks.push(task);
    }
    view
}

/// What a renderer makes of it: text outside of code, run by run, and markup.
fn rendered(text: &str) -> (Vec<String>, Vec<String>) {
    use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
    let (mut runs, mut markup, mut in_code) = (vec![String::new()], Vec::new(), false);
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => in_code = true,
            Event::End(TagEnd::CodeBlock) => in_code = false,
            Event::Text(words) if !in_code => runs.last_mut().unwrap().push_str(&words),
            Event::Html(html) | Event::InlineHtml(html) => {
                markup.push(html.to_string());
                runs.push(String::new());
            }
            Event::Start(Tag::Heading { .. }) => runs.push("heading: ".to_owned()),
            _ => runs.push(String::new()),
        }
    }
    (runs, markup)
}

#[test]
fn hostile_text_is_inert_and_keeps_every_limit() {
    hostile_text_is_inert_at(request());
    hostile_text_is_inert_at(at_gitlab(request()));
}

fn hostile_text_is_inert_at(mut request: Request) {
    let forge = request.forge;
    let view = hostile(&mut request);
    let troubles = vec![DeliveryObstacle::Other(view.warnings[0].clone()); 30];
    let placed = Placed {
        troubles,
        ..placed()
    };
    let marker = pull::marker(&request, None, &omk_action::id::Sha256::of(b"tasks"));
    let run = pull_text(&request, &view, About::Run, &marker);
    let mut texts = vec![
        (sticky::accepted(&request), sticky::LIMIT, 1),
        (sticky::running(&request, &view), sticky::LIMIT, 1),
        (sticky::ended(&request, &view, &placed), sticky::LIMIT, 1),
        (
            sticky::lost(&request, &LostRun::Refused(view.warnings[0].clone())),
            sticky::LIMIT,
            1,
        ),
        (pull::body(&run), pull::LIMIT, 0),
        (
            dashboard::body(&request, Last::Ended(&view, &placed), at(0), None, &[]),
            dashboard::LIMIT,
            0,
        ),
    ];
    for text in &texts {
        sound(&text.0, text.1);
    }
    texts.push((
        check::ended(&request, &view, &placed).summary,
        check::LIMIT,
        0,
    ));
    for check in check::gates(forge, &view) {
        texts.push((check.text.summary, check::LIMIT, 0));
        texts.push((check.text.text, check::LIMIT, 0));
        assert!(check.text.title.chars().count() <= 140 && !check.text.title.contains('\n'));
        assert!(
            check
                .text
                .remarks
                .iter()
                .all(|remark| remark.message.len() <= 64 * 1024)
        );
    }
    let sticky = sticky::marker(&request.scope);
    for (text, most, markers) in texts {
        assert!(text.len() <= most, "{} bytes", text.len());
        assert_eq!(text.matches(&sticky).count(), markers, "a forged marker");
        assert!(!text.contains(['\u{202e}', '\u{200b}']), "invisible text");
        let quick = |line: &&str| line.starts_with("/close") || line.starts_with("/merge");
        assert_eq!(text.lines().find(quick), None, "a quick action");
        let (runs, markup) = rendered(&text);
        assert!(
            !markup.iter().any(|html| html.contains("<img")),
            "{markup:?}"
        );
        for run in runs {
            assert!(
                !run.contains("@everyone") && !run.contains("#1 "),
                "a mention or reference: {run}"
            );
            for reference in [
                "!1 ",
                "$1 ",
                "&1 ",
                "~bug",
                "%v1",
                "[issue:",
                "[TOC]",
                "GL-1",
                "https://x.test",
            ] {
                assert!(!run.contains(reference), "a reference: {run}");
            }
            assert!(!run.starts_with("heading: heading"), "a heading: {run}");
            assert!(!run.starts_with("/omk"), "a command: {run}");
        }
    }
}
