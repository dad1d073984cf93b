//! Reports: what a person reads of a good, a failing and a stopped run; and that no text can break
//! them.

use std::time::Duration;

use omk_action::fact::*;
use omk_action::id::*;
use omk_action::plan::Event as Cause;
use omk_action::plan::RoomLevel;
use omk_action::proof::JudgedBy;
use omk_action::report::terminal::{
    Colour, Groups, Live, ProgressEvent, Screen, group, line, summary,
};
use omk_action::report::*;
use proptest::prelude::*;

/// Half past six on a Sunday.
const START: i64 = 1_795_372_200_000;

fn at(seconds: i64) -> Moment {
    Moment::from_millis(START + 1000 * seconds)
}

fn tip(digit: char) -> Tip {
    let hex = digit.to_string().repeat(40);
    Tip {
        commit: hex.parse().expect("a commit id"),
        tree: hex.parse().expect("a tree id"),
    }
}

fn gate(id: &str, verdict: GateVerdict, log: &str) -> GateOutcome {
    GateOutcome {
        gate: id.parse().expect("a gate id"),
        command: format!("make {id}"),
        required: true,
        verdict,
        against_base: None,
        counts_as_passed: matches!(
            verdict,
            GateVerdict::Passed | GateVerdict::Flaky | GateVerdict::Reused
        ),
        exit: Some(if verdict == GateVerdict::Failed {
            101
        } else {
            0
        }),
        duration_ms: 61_500,
        attempts: 1,
        log: Some(LogEvidence {
            path: format!("logs/gate-{id}-1.log"),
            sha256: Sha256::of(log.as_bytes()),
            bytes: log.len() as u64,
            head: log.to_owned(),
            tail: String::new(),
        }),
        failing: Vec::new(),
        failing_total: 0,
        reports: 0,
        note: String::new(),
        room: None,
        reuse: None,
    }
}

fn task(id: &str, stage: TaskStage, from: i64, to: i64) -> TaskView {
    TaskView {
        id: id.parse().expect("a task id"),
        name: id.to_owned(),
        stage,
        attempts: 1,
        retry_count: 0,
        executions: 3,
        priority: 0,
        dependencies: Vec::new(),
        owner: None,
        failure: None,
        started: Some(at(from)),
        ended: Some(at(to)),
        worked_ms: 1000 * (to - from).unsigned_abs(),
        command: None,
        refused_hosts: Vec::new(),
        unreached_hosts: Vec::new(),
        gates: vec![gate("test", GateVerdict::Passed, "ok\n")],
        paths: vec![format!("src/{id}.rs").parse().expect("a path")],
        tokens: Tokens {
            input: 40_000,
            cached_input: 100_000,
            output: 5_000,
            reasoning: 0,
        },
        cost_micro_usd: Some(51_500),
    }
}

fn landed(digit: char) -> TaskStage {
    TaskStage::Completed {
        landed: Some(tip(digit)),
        ejected: None,
    }
}

fn view(verdict: RunVerdict, tasks: Vec<TaskView>) -> View {
    View {
        version: VERSION,
        omk: "0.6.0".to_owned(),
        run: "20261122t185155z-4f2a9c".parse().expect("a run id"),
        scope: "nightly".parse().expect("a scope"),
        plan: "nightly".parse().expect("a plan name"),
        plan_path: "omk.yaml".to_owned(),
        plan_digest: Sha256::of(b"plan").to_string(),
        trigger: Trigger {
            event: Cause::Schedule,
            actor: "ann".to_owned(),
            comment: None,
        },
        verdict: Some(verdict),
        started: at(0),
        ended: Some(at(724)),
        base: tip('b'),
        result: Some(tip('c')),
        branch: "omk/run/nightly".to_owned(),
        limits: LimitsView {
            workers: Some(4),
            time_ms: None,
            tokens: Some(2_000_000),
            micro_usd: None,
        },
        limited: None,
        tokens: Tokens {
            input: 120_000,
            cached_input: 300_000,
            output: 15_000,
            reasoning: 0,
        },
        cost_micro_usd: Some(154_500),
        tasks,
        gates: vec![gate("test", GateVerdict::Passed, "ok\n")],
        containment: Some(Containment {
            level: RoomLevel::Sealed,
            subreaper: true,
            why_not: None,
        }),
        room_exceptions: Vec::new(),
        judged_by: Some(JudgedBy::SameJob),
        warnings: Vec::new(),
        unplaced: None,
        next: Vec::new(),
    }
}

fn good() -> View {
    let deps = task("deps", landed('1'), 0, 95);
    let mut api = task("api", landed('2'), 95, 490);
    api.name = "Split the API module".to_owned();
    api.dependencies = vec![deps.id.clone()];
    api.attempts = 2;
    api.retry_count = 1;
    api.failure = Some(Failure::new(Class::Gate, "gate `test` failed"));
    let mut docs = task(
        "docs",
        TaskStage::Completed {
            landed: None,
            ejected: None,
        },
        95,
        130,
    );
    docs.paths.clear();
    docs.dependencies = vec![deps.id.clone()];
    let mut rare = task("rare", TaskStage::LeftOut, 0, 0);
    (rare.attempts, rare.started, rare.ended) = (0, None, None);
    (rare.gates, rare.paths) = (Vec::new(), Vec::new());
    let mut view = view(RunVerdict::Ready, vec![deps, api, docs, rare]);
    view.gates[0].verdict = GateVerdict::Flaky;
    view.gates[0].note = "flaky: passed on the 2nd of 2 executions".to_owned();
    view
}

fn failing() -> View {
    let deps = task("deps", landed('1'), 0, 95);
    let mut api = task("api", TaskStage::Failed, 95, 700);
    api.dependencies = vec![deps.id.clone()];
    (api.attempts, api.retry_count) = (3, 3);
    api.failure = Some(Failure {
        class: Class::Gate,
        message: "gate `test` failed: 2 tests\n@everyone look <img src=x>".to_owned(),
        paths: Vec::new(),
        advice: None,
        retry_after_ms: None,
        outlived: false,
    });
    let mut test = gate(
        "test",
        GateVerdict::Failed,
        "running 2 tests\n\n\x1b[31mtest api::splits ... FAILED\x1b[0m\n::error::boo\n```\nend\n",
    );
    test.against_base = Some(AgainstBase::Broke);
    test.failing = vec![FailingItem {
        key: "api::splits".to_owned(),
        message: "assertion `left == right` failed\n left: 1".to_owned(),
        place: Some(Location {
            path: "src/api.rs".to_owned(),
            line: 12,
            end_line: 12,
        }),
        level: ItemLevel::Error,
    }];
    test.failing_total = 2;
    api.gates = vec![gate("lint", GateVerdict::Passed, ""), test];
    let mut docs = task(
        "docs",
        TaskStage::Cancelled {
            why: "api failed".to_owned(),
        },
        0,
        0,
    );
    docs.dependencies = vec![api.id.clone()];
    (docs.attempts, docs.started, docs.ended) = (0, None, None);
    (docs.gates, docs.paths) = (Vec::new(), Vec::new());
    let ejected = Ejection {
        gate: Some("test".parse().expect("a gate id")),
        log: None,
    };
    let bump = task(
        "bump",
        TaskStage::Completed {
            landed: None,
            ejected: Some(ejected),
        },
        0,
        40,
    );
    let mut view = view(RunVerdict::NotReady, vec![deps, api, docs, bump]);
    view.containment = Some(Containment {
        level: RoomLevel::None,
        subreaper: true,
        why_not: Some("this kernel has no Landlock".to_owned()),
    });
    view
}

fn stopped() -> View {
    let deps = task("deps", landed('1'), 0, 95);
    let mut api = task(
        "api",
        TaskStage::Pending {
            waits: "for the run to go on".to_owned(),
            until: None,
        },
        95,
        700,
    );
    api.ended = None;
    api.dependencies = vec![deps.id.clone()];
    let mut view = view(RunVerdict::NeedsMoreBudget, vec![deps, api]);
    view.limited = Some(Limit::Tokens);
    view.gates.clear();
    view.judged_by = None;
    view
}

#[test]
fn a_good_run_in_markdown() {
    insta::assert_snapshot!(markdown::render(&good(), markdown::COMMENT_LIMIT), @r#"
    ### ✅ omk `nightly`: ready

    3 of 3 tasks completed · 12m 04s · 435k tokens, $0.16

    - ⚠️ gate `test` on the result: flaky: passed on the 2nd of 2 executions

    ```sh
    git diff bbbbbbbbbbbb omk/run/nightly  # look
    git merge omk/run/nightly              # take
    ```

    ```mermaid
    flowchart LR
      t0["✓ deps<br/>completed"]:::good
      t1["✓ api<br/>completed"]:::good
      t2["✓ docs<br/>completed"]:::good
      t3["· rare<br/>skipped"]:::idle
      t0 --> t1
      t0 --> t2
      classDef good fill:#dafbe1,stroke:#1a7f37,color:#0b2e13
      classDef bad fill:#ffebe9,stroke:#cf222e,color:#4c0a0f
      classDef busy fill:#ddf4ff,stroke:#0969da,color:#042551
      classDef idle fill:#f6f8fa,stroke:#8c959f,color:#424a53
    ```

    | | task | state | tries | time | gates | |
    |-|-|-|-:|-:|-|-|
    | ✅ | `deps` | completed | 1 | 1m 35s | `test` passed | 1 file |
    | ✅ | `api` Split the API module | completed | 2 | 6m 35s | `test` passed | 1 file |
    | ✅ | `docs` | completed | 1 | 35.0 s | `test` passed | no change |
    | ⚪ | `rare` | skipped |  |  |  | not selected |

    <details><summary>the result: gate test flaky</summary>

    ```sh
    make test
    ```

    ```text
    ok
    ```

    </details>

    <sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · plan omk.yaml `64879f7d6b96` · asked for by ann · judged_by: same-job · room: sealed · omk 0.6.0</sub>
    "#);
}

#[test]
fn a_failing_run_in_markdown() {
    insta::assert_snapshot!(markdown::render(&failing(), markdown::COMMENT_LIMIT), @r#"
    ### ❌ omk `nightly`: not ready

    2 of 4 tasks completed · 1 failed · 1 cancelled · 12m 04s · 435k tokens, $0.16

    - ❌ `api`: gate \`test\` failed: 2 tests
    - ❌ `bump`: taken out: gate \`test\` failed with it

    > ⚠️ The children's room was of level none (this kernel has no Landlock): they could do all that the user can, and nothing confined their writes. \`omk doctor\` says what to do.

    ```sh
    git diff bbbbbbbbbbbb omk/run/nightly  # look
    omk retry                              # try again
    ```

    ```mermaid
    flowchart LR
      t0["✓ deps<br/>completed"]:::good
      t1["✗ api<br/>failed"]:::bad
      t2["· docs<br/>cancelled"]:::idle
      t3["✗ bump<br/>ejected"]:::bad
      t0 --> t1
      t1 --> t2
      classDef good fill:#dafbe1,stroke:#1a7f37,color:#0b2e13
      classDef bad fill:#ffebe9,stroke:#cf222e,color:#4c0a0f
      classDef busy fill:#ddf4ff,stroke:#0969da,color:#042551
      classDef idle fill:#f6f8fa,stroke:#8c959f,color:#424a53
    ```

    | | task | state | tries | time | gates | |
    |-|-|-|-:|-:|-|-|
    | ✅ | `deps` | completed | 1 | 1m 35s | `test` passed | 1 file |
    | ❌ | `api` | failed | 3 | 10m 05s | `lint` passed, `test` failed (exit 101, 2 failing, passed before) | gate \`test\` failed: 2 tests |
    | ⚪ | `docs` | cancelled |  |  |  | api failed |
    | ❌ | `bump` | ejected | 1 | 40.0 s | `test` passed | taken out: gate \`test\` failed with it |

    <details><summary>api: gate test failed (exit 101, 2 failing, passed before)</summary>

    ```sh
    make test
    ```

    - api::splits (src/api.rs:12): assertion \`left == right\` failed
    - 1 more

    ````text
    running 2 tests

    test api::splits ... FAILED
    ::error::boo
    ```
    end
    ````

    </details>

    <sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · plan omk.yaml `64879f7d6b96` · asked for by ann · judged_by: same-job · room: none · omk 0.6.0</sub>
    "#);
}

#[test]
fn a_stopped_run_in_markdown() {
    insta::assert_snapshot!(markdown::render(&stopped(), markdown::COMMENT_LIMIT), @r#"
### ⚠️ omk `nightly`: needs more budget

1 of 2 tasks completed · 12m 04s · 435k tokens, $0.16

```sh
git diff bbbbbbbbbbbb omk/run/nightly  # look
omk resume 20261122t185155z-4f2a9c     # with more `limits: tokens`
```

```mermaid
flowchart LR
  t0["✓ deps<br/>completed"]:::good
  t1["· api<br/>pending"]:::idle
  t0 --> t1
  classDef good fill:#dafbe1,stroke:#1a7f37,color:#0b2e13
  classDef bad fill:#ffebe9,stroke:#cf222e,color:#4c0a0f
  classDef busy fill:#ddf4ff,stroke:#0969da,color:#042551
  classDef idle fill:#f6f8fa,stroke:#8c959f,color:#424a53
```

| | task | state | tries | time | gates | |
|-|-|-|-:|-:|-|-|
| ✅ | `deps` | completed | 1 | 1m 35s | `test` passed | 1 file |
| ⚪ | `api` | pending | 1 |  | `test` passed | for the run to go on |

<sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · plan omk.yaml `64879f7d6b96` · asked for by ann · room: sealed · omk 0.6.0</sub>
"#);
}

#[test]
fn a_good_run_at_a_terminal() {
    insta::assert_snapshot!(summary(&good(), Colour::Off), @"
      ✓ deps  completed   1m 35s  1 file
      ✓ api   completed   6m 35s  2 attempts, 1 file
      ✓ docs  completed   35.0 s  no change
      · rare  skipped             not selected

      ! gate test   1m 01s  flaky: passed on the 2nd of 2 executions

      room: sealed
    ✓ nightly: ready (3 of 3 tasks completed, 12m 04s, 435k tokens, $0.16)
      look: git diff bbbbbbbbbbbb omk/run/nightly
      take: git merge omk/run/nightly
    ");
}

#[test]
fn a_failing_run_at_a_terminal() {
    insta::assert_snapshot!(summary(&failing(), Colour::Off), @"
      ✓ deps  completed   1m 35s  1 file
      ✗ api   failed     10m 05s  3 attempts, gate `test` failed: 2 tests
      · docs  cancelled           api failed
      ✗ bump  ejected     40.0 s  taken out: gate `test` failed with it

      ✓ gate test   1m 01s  passed

    api: gate `test` failed: 2 tests
        - api::splits (src/api.rs:12): assertion `left == right` failed
        - 1 more
        │ running 2 tests
        │ test api::splits ... FAILED
        │ ::error::boo
        │ ```
        │ end
        log: logs/gate-test-1.log

    bump: taken out: gate `test` failed with it

    warning: The children's room was of level none (this kernel has no Landlock): they could do all that the user can, and nothing confined their writes. `omk doctor` says what to do.

    ✗ nightly: not ready (2 of 4 tasks completed, 1 failed, 1 cancelled, 12m 04s, 435k tokens, $0.16)
      look:      git diff bbbbbbbbbbbb omk/run/nightly
      try again: omk retry
    ");
}

#[test]
fn a_stopped_run_at_a_terminal() {
    insta::assert_snapshot!(summary(&stopped(), Colour::Off), @"
      ✓ deps  completed   1m 35s  1 file
      · api   pending    10m 29s  for the run to go on

      room: sealed
    ! nightly: needs more budget (1 of 2 tasks completed, 12m 04s, 435k tokens, $0.16)
      look:  git diff bbbbbbbbbbbb omk/run/nightly
      go on: omk resume 20261122t185155z-4f2a9c   (with more `limits: tokens`)
    ");
}

#[test]
fn colour_changes_no_word() {
    for view in [good(), failing(), stopped()] {
        let plain = omk_action::text::strip_ansi(&summary(&view, Colour::On));
        assert_eq!(plain, summary(&view, Colour::Off));
    }
}

#[test]
fn a_failing_run_as_junit() {
    insta::assert_snapshot!(junit::render(&failing()), @r#"
<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="omk nightly" tests="9" failures="3" errors="0" skipped="1" time="724.000">
  <testsuite name="deps" tests="2" failures="0" errors="0" skipped="0" time="95.000">
    <testcase classname="omk.deps" name="task" time="33.500"/>
    <testcase classname="omk.deps" name="gate test" time="61.500"/>
  </testsuite>
  <testsuite name="api" tests="3" failures="2" errors="0" skipped="0" time="605.000">
    <testcase classname="omk.api" name="task" time="482.000">
      <failure message="gate `test` failed: 2 tests&#10;@everyone look &lt;img src=x&gt;">gate `test` failed: 2 tests&#10;@everyone look &lt;img src=x&gt;</failure>
    </testcase>
    <testcase classname="omk.api" name="gate lint" time="61.500"/>
    <testcase classname="omk.api" name="gate test" time="61.500">
      <failure message="failed (exit 101, 2 failing, passed before)">failed (exit 101, 2 failing, passed before)&#10;&#10;running 2 tests&#10;&#10;test api::splits ... FAILED&#10;::error::boo&#10;```&#10;end&#10;</failure>
    </testcase>
  </testsuite>
  <testsuite name="docs" tests="1" failures="0" errors="0" skipped="1" time="0.000">
    <testcase classname="omk.docs" name="task" time="0.000">
      <skipped message="cancelled: api failed">cancelled: api failed</skipped>
    </testcase>
  </testsuite>
  <testsuite name="bump" tests="2" failures="1" errors="0" skipped="0" time="61.500">
    <testcase classname="omk.bump" name="task" time="0.000">
      <failure message="left the result: gate test failed with it">left the result: gate test failed with it</failure>
    </testcase>
    <testcase classname="omk.bump" name="gate test" time="61.500"/>
  </testsuite>
  <testsuite name="nightly: result" tests="1" failures="0" errors="0" skipped="0" time="61.500">
    <testcase classname="omk.nightly" name="gate test" time="61.500"/>
  </testsuite>
</testsuites>
"#);
}

#[test]
fn junit_is_read_back_as_it_was_meant() {
    let text = junit::render(&failing());
    let items = crate::gate::junit(&text);
    let keys: Vec<&str> = items.failing.iter().map(|item| item.key.as_str()).collect();
    assert_eq!(
        (keys.as_slice(), items.note.as_str()),
        (
            ["omk.api::task", "omk.api::gate test", "omk.bump::task"].as_slice(),
            ""
        )
    );
}

#[test]
fn json_round_trips() {
    for view in [good(), failing(), stopped()] {
        let text = json::render(&view);
        assert_eq!(
            serde_json::from_str::<View>(&text).expect("it was just written"),
            view
        );
    }
}

fn under_way() -> View {
    let mut view = failing();
    view.verdict = None;
    view.ended = None;
    view.tasks[1].stage = TaskStage::Running {
        doing: "agent".to_owned(),
    };
    view.tasks[1].ended = None;
    let until = Some(at(130));
    view.tasks[2].stage = TaskStage::Pending {
        waits: String::new(),
        until,
    };
    view.tasks[2].retry_count = 1;
    let message = "429 Too Many Requests".to_owned();
    view.tasks[2].failure = Some(Failure::new(Class::RateLimit, message));
    view
}

#[test]
fn a_live_tree_shows_what_is_under_way() {
    let live = Live::new(
        Screen {
            width: 72,
            height: 10,
        },
        Colour::Off,
    );
    insta::assert_snapshot!(live.frame(&under_way(), at(125)).join("\n"), @r#"
✓ deps     1m 35s  completed · 1 file
⠋ api      30.0 s  agent · attempt 3 · 145k tokens
· docs             again in 5.0 s; rate-limit: 429 Too Many Requests
✗ bump     40.0 s  ejected · taken out: gate `test` failed with it
━━━━━━━━━━━━━━━━━━━────────────────────  2/4  2m 05s  435k tokens, $0.16
"#);
}

#[test]
fn a_small_screen_shows_the_busy_and_counts_the_rest() {
    let live = Live::new(
        Screen {
            width: 60,
            height: 4,
        },
        Colour::Off,
    );
    insta::assert_snapshot!(live.frame(&under_way(), at(125)).join("\n"), @r#"
⠋ api      30.0 s  agent · attempt 3 · 145k tokens
✗ bump     40.0 s  ejected · taken out: gate `test` failed …
… 2 more: 1 pending, 1 completed
━━━━━━━━━━━━━──────────────  2/4  2m 05s  435k tokens, $0.16
"#);
}

#[test]
fn events_are_one_line_each() {
    let api: TaskId = "api".parse().expect("a task id");
    let test: GateId = "test".parse().expect("a gate id");
    let failure = Failure::new(Class::Gate, "gate `test` failed\nmore");
    let took = Duration::from_millis(61_500);
    let events = [
        ProgressEvent::Started {
            task: &api,
            attempt: 1,
        },
        ProgressEvent::Gate {
            task: Some(&api),
            gate: &test,
            verdict: "failed (exit 1)",
            note: "its network refused a.example",
            mark: Mark::Bad,
            took,
        },
        ProgressEvent::Retrying {
            task: &api,
            failure: &failure,
            wait: Duration::from_secs(2),
        },
        ProgressEvent::Started {
            task: &api,
            attempt: 2,
        },
        ProgressEvent::Landed {
            task: &api,
            files: 3,
            took,
        },
        ProgressEvent::Unchanged { task: &api, took },
        ProgressEvent::Failed {
            task: &api,
            failure: &failure,
            took,
        },
        ProgressEvent::Cancelled {
            task: &api,
            why: "deps failed",
        },
        ProgressEvent::Ejected {
            task: &api,
            gate: Some(&test),
        },
        ProgressEvent::Warning {
            what: "::error::the cache\nis gone",
        },
    ];
    let lines: Vec<String> = events
        .iter()
        .map(|event| line(event, took, Colour::Off))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
1m 01s ▸ api              started
1m 01s ✗ api              gate test failed (exit 1) in 1m 01s; its network refused a.example
1m 01s ! api              again in 2.0 s: gate `test` failed
1m 01s ▸ api              started, attempt 2
1m 01s ✓ api              landed, 3 files, 1m 01s
1m 01s ✓ api              completed without a change, 1m 01s
1m 01s ✗ api              failed after 1m 01s: gate `test` failed
1m 01s · api              cancelled: deps failed
1m 01s ✗ api              taken out of the result: gate test failed with it
1m 01s ! warning          ::error::the cache is gone
"#);
}

#[test]
fn a_group_folds_on_github_alone_and_obeys_nobody() {
    assert_eq!(
        group("api 100%", "one\n::error::two", Groups::None),
        "api 100%\none\n: :error::two\n"
    );
    let folded = group("api 100%", "one\n::endgroup::", Groups::GitHub);
    assert_eq!(
        folded,
        "::group::api 100%25\none\n: :endgroup::\n::endgroup::\n"
    );
}

#[test]
fn a_run_of_ten_thousand_tasks_keeps_the_limits() {
    let mut view = failing();
    let pattern = view.tasks.clone();
    view.tasks = (0..10_000)
        .map(|n| TaskView {
            id: format!("task-{n}").parse().expect("a task id"),
            ..pattern[n % pattern.len()].clone()
        })
        .collect();
    let comment = markdown::render(&view, markdown::COMMENT_LIMIT);
    assert!(
        comment.len() <= markdown::COMMENT_LIMIT,
        "{}",
        comment.len()
    );
    for said in [
        " more tasks.",
        " more logs.",
        "[\"9940 more\"]",
        "\n- 4992 more\n",
    ] {
        assert!(comment.contains(said), "{said:?} is not said");
    }
    let closing = summary(&view, Colour::Off);
    assert!(closing.lines().count() < 200);
    assert!(closing.contains("more tasks"));
    let frame = Live::new(
        Screen {
            width: 80,
            height: 24,
        },
        Colour::Off,
    )
    .frame(&view, at(800));
    assert_eq!(frame.len(), 24);
}

#[test]
fn nothing_of_a_secret_is_left_once_scrubbed() {
    let secret = "s3cr3t-value-of-ann";
    let mut view = failing();
    let spoil = |text: &mut String| text.push_str(secret);
    view.warnings.iter_mut().for_each(spoil);
    view.next.push(secret.to_owned());
    for text in [
        &mut view.plan_path,
        &mut view.branch,
        &mut view.trigger.actor,
    ] {
        spoil(text);
    }
    for task in &mut view.tasks {
        spoil(&mut task.name);
        task.owner = Some(secret.to_owned());
        task.paths.push(secret.parse().expect("a path"));
        task.failure
            .iter_mut()
            .for_each(|failure| spoil(&mut failure.message));
        for gate in &mut task.gates {
            [&mut gate.command, &mut gate.note]
                .into_iter()
                .for_each(spoil);
            gate.log.iter_mut().for_each(|log| {
                [&mut log.head, &mut log.tail, &mut log.path]
                    .into_iter()
                    .for_each(spoil)
            });
            for item in &mut gate.failing {
                [&mut item.key, &mut item.message]
                    .into_iter()
                    .for_each(spoil);
                item.place
                    .iter_mut()
                    .for_each(|place| spoil(&mut place.path));
            }
        }
    }
    assert!(json::render(&view).contains(secret));
    let view = view.scrubbed(&|text| text.replace(secret, "***"));
    for text in [
        json::render(&view),
        markdown::render(&view, 64_000),
        summary(&view, Colour::On),
        html::render(&view),
    ] {
        assert!(!text.contains(secret));
    }
}

/// What no rendering may let through.
const HIDDEN: [char; 2] = ['\u{202e}', '\0'];

/// Words that break things, among any others.
fn hostile() -> impl Strategy<Value = String> {
    let words = prop_oneof![
        Just("</details><script>alert(1)</script>".to_owned()),
        Just("@everyone #1 !2 /run\n/close".to_owned()),
        Just("::error::x\n##[error]y".to_owned()),
        Just("````\n|x|\n<!-- -->]]>".to_owned()),
        Just("\u{0}\u{202e}\u{1b}[31m\u{fffe}\r".to_owned()),
        Just("<".repeat(3000)),
        Just("日本語🎉".repeat(500)),
        any::<String>(),
    ];
    proptest::collection::vec(words, 0..4).prop_map(|words| words.concat())
}

/// Markdown without its blocks of code, in which nothing is obeyed.
fn without_code(markdown: &str) -> String {
    let mut fence: Option<&str> = None;
    let mut prose = String::new();
    for line in markdown.lines() {
        match fence {
            Some(open) if line == open => fence = None,
            Some(_) => {}
            None if line.starts_with("```") => {
                fence = Some(&line[..line.len() - line.trim_start_matches('`').len()])
            }
            None => {
                prose.push_str(line);
                prose.push('\n');
            }
        }
    }
    assert_eq!(fence, None, "a block of code is never closed");
    prose
}

/// A view too long to be shown when a law breaks.
#[derive(Clone)]
struct Unshown(View);

impl std::fmt::Debug for Unshown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text: String = format!("{:?}", self.0).chars().take(3000).collect();
        f.write_str(&text)
    }
}

/// A run with every free text replaced.
fn hostile_view() -> impl Strategy<Value = Unshown> {
    (
        proptest::collection::vec(hostile(), 12),
        1_usize..40,
        prop_oneof![Just(failing()), Just(good()), Just(stopped())],
    )
        .prop_map(|(texts, copies, mut view)| {
            let mut next = texts.into_iter().cycle();
            let mut text = move || next.next().expect("it never ends");
            view.warnings = (0..copies).map(|_| text()).collect();
            view.next = vec![text()];
            (view.plan_path, view.trigger.actor, view.omk, view.branch) =
                (text(), text(), text(), text());
            let pattern = view.tasks.clone();
            view.tasks = (0..copies)
                .map(|n| pattern[n % pattern.len()].clone())
                .collect();
            for (n, task) in view.tasks.iter_mut().enumerate() {
                task.id = format!("task-{n}").parse().expect("a task id");
                task.name = text();
                match &mut task.stage {
                    TaskStage::Pending { waits: words, .. }
                    | TaskStage::Running { doing: words }
                    | TaskStage::Cancelled { why: words } => {
                        *words = text();
                    }
                    TaskStage::LeftOut
                    | TaskStage::Claimed
                    | TaskStage::Completed { .. }
                    | TaskStage::Failed => {}
                }
                task.failure
                    .iter_mut()
                    .for_each(|failure| failure.message = text());
                for gate in &mut task.gates {
                    (gate.command, gate.note) = (text(), text());
                    gate.log
                        .iter_mut()
                        .for_each(|log| (log.head, log.tail, log.path) = (text(), text(), text()));
                    gate.failing = vec![
                        FailingItem {
                            key: text(),
                            message: text(),
                            place: None,
                            level: ItemLevel::Error
                        };
                        30
                    ];
                    gate.failing_total = 50;
                }
            }
            Unshown(view)
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn rendering_never_panics_and_keeps_its_limits(Unshown(view) in hostile_view(), width in 0_usize..200, height in 0_usize..40) {
        for limit in [0, 16_000, markdown::COMMENT_LIMIT] {
            let text = markdown::render(&view, limit);
            prop_assert!(text.len() <= limit.max(16_000), "{} bytes of {limit}", text.len());
            // An escaped `<` begins nothing.
            let prose = without_code(&text).replace("\\<", "");
            prop_assert_eq!(prose.matches("\n<details>").count(), prose.matches("</details>").count());
            prop_assert!(!prose.contains("<script") && !prose.contains("@everyone"));
            prop_assert!(!text.contains(HIDDEN));
        }
        for colour in [Colour::Off, Colour::On] {
            let text = summary(&view, colour);
            prop_assert!(text.lines().all(|line| !line.trim_start().starts_with("::")));
            prop_assert!(!text.contains(HIDDEN));
        }
        let frame = Live::new(Screen { width, height }, Colour::Off).frame(&view, at(800));
        prop_assert!(frame.len() <= height.max(2));
        for line in &frame {
            prop_assert!(unicode_width::UnicodeWidthStr::width(line.as_str()) <= width.max(20), "{line:?}");
            prop_assert!(!line.contains(char::is_control));
        }
        let page = html::render(&view);
        prop_assert!(!page.contains("<script"));
        prop_assert_eq!(serde_json::from_str::<View>(&json::render(&view)).expect("it was just written"), view.clone());
        let text = junit::render(&view);
        let items = crate::gate::junit(&text);
        prop_assert_eq!(items.note, "");
    }
}
