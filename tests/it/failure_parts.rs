//! A failure keeps its parts: a gate of several lines in each text, and the paths of a scope or a
//! conflict.
//!
//! It refuses to accept a command that is cut where there is room for it, or that stands among the
//! output.

use std::time::Duration;

use omk_action::fact::{Class, Failure, GateOutcome, GateVerdict, LogEvidence, RunVerdict};
use omk_action::id::Sha256;
use omk_action::report::terminal::{Colour, ProgressEvent, line, summary};
use omk_action::report::{Placed, TaskStage, View, check, html, junit, sticky};
use omk_action::text::ForgeKind;

use crate::deliver_sample::{gate, landed, request, task, view};
use crate::world::World;

const SCRIPT: &str = "set -e\nmake generate\ntest -z \"$(git status --porcelain)\"\n";

fn script_gate() -> GateOutcome {
    let output = "generating\nsrc/api.rs differs\n";
    let log = LogEvidence {
        path: "logs/api/1/gate-fresh-1.log".to_owned(),
        sha256: Sha256::of(output.as_bytes()),
        bytes: output.len() as u64,
        head: output.to_owned(),
        tail: String::new(),
    };
    GateOutcome {
        command: SCRIPT.to_owned(),
        exit: Some(1),
        log: Some(log),
        ..gate("fresh", GateVerdict::Failed)
    }
}

fn failure() -> Failure {
    Failure::new(
        Class::Gate,
        "gate `fresh` (`set -e` + 2 lines) exited with 1",
    )
}

/// A run of which one task fails, and the result too, at the same script.
fn failing() -> View {
    let mut api = task("api", TaskStage::Failed);
    api.failure = Some(failure());
    api.gates = vec![script_gate()];
    let mut view = view(
        &request(),
        RunVerdict::NotReady,
        vec![task("deps", landed('1')), api],
    );
    view.gates = vec![script_gate()];
    view
}

#[test]
fn a_line_of_the_log_counts_the_lines_that_it_has_no_room_for() {
    let (api, failure) = ("api".parse().unwrap(), failure());
    let event = ProgressEvent::Retrying {
        task: &api,
        failure: &failure,
        wait: Duration::from_secs(2),
    };
    insta::assert_snapshot!(line(&event, Duration::from_secs(70), Colour::Off), @"  1m 10s ! api              again in 2.0 s: gate `fresh` (`set -e` + 2 lines) exited with 1");
}

#[test]
fn the_closing_text_shows_the_output_alone() {
    insta::assert_snapshot!(summary(&failing(), Colour::Off), @"
      ✓ deps  completed   1m 35s  1 file
      ✗ api   failed      1m 35s  gate `fresh` (`set -e` + 2 lines) exited with 1

      ✗ gate fresh   1m 01s  failed (exit 1)

    result: gate `fresh` failed (exit 1)
        │ generating
        │ src/api.rs differs
        log: logs/api/1/gate-fresh-1.log
    api: gate `fresh` (`set -e` + 2 lines) exited with 1
        │ generating
        │ src/api.rs differs
        log: logs/api/1/gate-fresh-1.log

      room: sealed
    ✗ pr-12: not ready (1 of 2 tasks completed, 1 failed, 12m 04s, 435k tokens, $0.16)
      look:      git diff bbbbbbbbbbbb omk/run/pr-12
      try again: omk retry
    ");
}

#[test]
fn the_comment_shows_the_script_and_below_it_the_output() {
    insta::assert_snapshot!(sticky::ended(&request(), &failing(), &Placed::default()), @r#"
    <!-- omk:sticky:pr-12 -->
    <!-- omk:data {"run":"20261122t185155z-4f2a9c","base":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","state":"ended","verdict":"not_ready","workflow":9001} -->
    ### ❌ omk `nightly`: not ready

    1 of 2 tasks completed · 1 failed · 12m 04s · 435k tokens, $0.16

    - ❌ gate `fresh` on the result: failed (exit 1)
    - ❌ `api`: gate \`fresh\` (\`set -e\` + 2 lines) exited with 1

    **Nothing was delivered**: only what is ready is.

    - See what failed above, and mend the task or the gate.
    - Try again with a comment `/omk retry`: what is proven already is kept.

    <details><summary>2 tasks: graph and table</summary>

    ```mermaid
    flowchart LR
      t0["✓ deps<br/>completed"]:::good
      t1["✗ api<br/>failed"]:::bad
      classDef good fill:#dafbe1,stroke:#1a7f37,color:#0b2e13
      classDef bad fill:#ffebe9,stroke:#cf222e,color:#4c0a0f
      classDef busy fill:#ddf4ff,stroke:#0969da,color:#042551
      classDef idle fill:#f6f8fa,stroke:#8c959f,color:#424a53
    ```

    | | task | state | tries | time | gates | |
    |-|-|-|-:|-:|-|-|
    | ✅ | `deps` | completed | 1 | 1m 35s | `test` passed | 1 file |
    | ❌ | `api` | failed | 1 | 1m 35s | `fresh` failed (exit 1) | gate \`fresh\` (\`set -e\` + 2 lines) exited with 1 |

    </details>

    <details><summary>the result: gate fresh failed (exit 1)</summary>

    ```sh
    set -e
    make generate
    test -z "$(git status --porcelain)"
    ```

    ```text
    generating
    src/api.rs differs
    ```

    </details>

    <details><summary>api: gate fresh failed (exit 1)</summary>

    ```sh
    set -e
    make generate
    test -z "$(git status --porcelain)"
    ```

    ```text
    generating
    src/api.rs differs
    ```

    </details>

    <sub>[workflow run 9001](https://github.com/acme/widget/actions/runs/9001), attempt 1, artifact `omk-pr-12-20261122t185155z-4f2a9c`</sub>

    <sub>run `20261122t185155z-4f2a9c` · base `bbbbbbbbbbbb` · plan omk.yaml `64879f7d6b96` · asked for by ann · judged_by: separate-job · room: sealed · omk 0.6.0</sub>
    "#);
}

#[test]
fn the_check_shows_the_script_and_below_it_the_output() {
    let checks = check::gates(ForgeKind::GitHub, &failing());
    insta::assert_snapshot!(format!("{}\n\n{}", checks[0].text.title, checks[0].text.summary), @r#"
    failed (exit 1)

    ❌ failed (exit 1)

    It ran this script for 1m 01s.

    ```sh
    set -e
    make generate
    test -z "$(git status --porcelain)"
    ```

    ```text
    generating
    src/api.rs differs
    ```
    "#);
}

#[test]
fn the_page_shows_the_script_and_below_it_the_output() {
    let page = html::render(&failing());
    let (_, gates) = page.split_once("</table>\n").unwrap();
    insta::assert_snapshot!(gates, @r#"
    <h2>Gates on the result</h2>
    <details><summary class="bad">gate fresh failed (exit 1)</summary><pre class="command">set -e
    make generate
    test -z &quot;$(git status --porcelain)&quot;</pre><pre>generating
    src/api.rs differs
    </pre></details>
    <h2 id="deps">deps <small>deps</small></h2>
    <details><summary class="good">gate test passed</summary><pre class="command">make test</pre><pre>running test
    </pre></details>
    <details><summary>1 file</summary><pre>src/deps.rs</pre></details>
    <h2 id="api">api <small>api</small></h2>
    <pre class="bad">gate `fresh` (`set -e` + 2 lines) exited with 1</pre>
    <details><summary class="bad">gate fresh failed (exit 1)</summary><pre class="command">set -e
    make generate
    test -z &quot;$(git status --porcelain)&quot;</pre><pre>generating
    src/api.rs differs
    </pre></details>
    <details><summary>1 file</summary><pre>src/api.rs</pre></details>
    "#);
}

#[test]
fn junit_tells_the_exit_and_the_output() {
    insta::assert_snapshot!(junit::render(&failing()), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="omk nightly" tests="5" failures="3" errors="0" skipped="0" time="724.000">
      <testsuite name="deps" tests="2" failures="0" errors="0" skipped="0" time="95.000">
        <testcase classname="omk.deps" name="task" time="33.500"/>
        <testcase classname="omk.deps" name="gate test" time="61.500"/>
      </testsuite>
      <testsuite name="api" tests="2" failures="2" errors="0" skipped="0" time="95.000">
        <testcase classname="omk.api" name="task" time="33.500">
          <failure message="gate `fresh` (`set -e` + 2 lines) exited with 1">gate `fresh` (`set -e` + 2 lines) exited with 1</failure>
        </testcase>
        <testcase classname="omk.api" name="gate fresh" time="61.500">
          <failure message="failed (exit 1)">failed (exit 1)&#10;&#10;generating&#10;src/api.rs differs&#10;</failure>
        </testcase>
      </testsuite>
      <testsuite name="pr-12: result" tests="1" failures="1" errors="0" skipped="0" time="61.500">
        <testcase classname="omk.pr-12" name="gate fresh" time="61.500">
          <failure message="failed (exit 1)">failed (exit 1)&#10;&#10;generating&#10;src/api.rs differs&#10;</failure>
        </testcase>
      </testsuite>
    </testsuites>
    "#);
}

#[test]
fn a_failure_of_an_older_journal_is_read_and_shown() {
    let older =
        r#"{"class":"gate","message":"gate `fresh` (`set -e` …) exited with 1\n\ngenerating"}"#;
    let failure: Failure = serde_json::from_str(older).unwrap();
    assert_eq!(failure.paths, []);
    let mut view = failing();
    view.tasks[1].failure = Some(failure);
    let said = summary(&view, Colour::Off);
    assert!(
        said.contains("api: gate `fresh` (`set -e` …) exited with 1\n"),
        "{said}"
    );
}

#[test]
fn a_run_shows_the_whole_script_of_its_gate() {
    let world = World::with(
        "gates:\n  - id: fresh\n    run: |\n      set -e\n      echo 'one of the output'\n      exit 3 # the last line\n\
         tasks:\n  - { id: one, run: 'echo 1 > one.txt', gates: [fresh], retry_policy: { max_attempts: 0 } }\n",
    );
    let said = world.run().exits(1);
    let failure = world.failures("one").remove(0);
    assert_eq!(
        failure.message,
        "gate `fresh` (`set -e` + 2 lines) exited with 3"
    );
    said.says("    │ one of the output\n");
    for report in ["report.md", "report.html"] {
        let text = std::fs::read_to_string(world.run_dir().join(report)).unwrap();
        assert!(text.contains("exit 3 # the last line"), "{report}: {text}");
    }
    world
        .omk(&["replay"])
        .exits(0)
        .says("failed (gate): gate `fresh` (`set -e` + 2 lines) exited with 3\n");
}

#[test]
fn a_scope_failure_names_every_path() {
    let world = World::with(
        "gates: [{ id: ok, run: 'true' }]\ntasks:\n  - { id: one, write_set: [a.txt], \
         run: 'for n in $(seq 25); do echo $n > new-$n; done' }\n",
    );
    world.run().exits(1);
    let failure = world.failures("one").remove(0);
    assert_eq!((failure.class, failure.paths.len()), (Class::Scope, 25));
    assert!(
        !failure.message.contains('\n') && failure.message.ends_with("; and 5 more"),
        "{}",
        failure.message
    );
}
