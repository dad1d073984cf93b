//! What people are shown of a plan.

use super::super::LIMIT;
use super::super::tests::{GITHUB, parsed, shown};
use super::*;

#[test]
fn a_changed_plan_is_shown_with_what_approves_it() {
    let diff = "@@ -8,3 +8,3 @@\n gates:\n-  - { id: test, run: make test }\n+  - { id: test, run: 'true' } # @everyone ```\n";
    insta::assert_snapshot!(shown(&approval_needed(GITHUB, "omk.yaml", &Sha256::of(b"plan"), Permission::Write, diff)), @"
    ✋ **The plan is changed here, and the change is not approved**

    The pull request changes `omk.yaml`, which says what is run. Until somebody with the permission `write` has approved exactly these bytes, the plan of the base branch is used.

    Read the change. To approve it, write this in a comment, and then `/omk run` (both may be in one):

    ```text
    /omk approve 64879f7d6b960a01909762d911a32d4582c20010c5641ee90278b644a9e3b525
    ```

    <details><summary>What changes in the plan</summary>

    ````diff
    @@ -8,3 +8,3 @@
     gates:
    -  - { id: test, run: make test }
    +  - { id: test, run: 'true' } # @everyone ```
    ````

    </details>
    ");
    let text = approval_needed(
        GITHUB,
        "omk.yaml",
        &Sha256::of(b"plan"),
        Permission::Write,
        &"+x\n".repeat(10_000),
    );
    assert!(text.contains("more lines …"));
    let unseen = approval_needed(
        GITHUB,
        "omk.yaml",
        &Sha256::of(b"plan"),
        Permission::Write,
        &"\u{202e}".repeat(100_000),
    );
    assert!(
        unseen.len() < LIMIT / 2 && unseen.contains("[U+202E]"),
        "{}",
        unseen.len()
    );
}

#[test]
fn a_plan_is_drawn_and_its_table_folded() {
    let text = "version: 1\nname: nightly\ngates: [{ id: test, run: make test }]\ntasks:\n  - { id: deps, run: make }\n  - { id: api, prompt: x, dependencies: [deps] }\n";
    insta::assert_snapshot!(shown(&plan(&Preview::of(&parsed(text).unwrap()), "the base branch")), @r#"
    📋 **A run would do 2 tasks, in up to 6 executions**

    The plan `nightly` is that of the base branch.

    Start it with `/omk run`.

    <details><summary>Tasks, waves and overlaps</summary>

    ```mermaid
    flowchart LR
      t0["deps"]
      t1["api"]
      t0 --> t1
    ```

    ```text
    nightly: 2 tasks, up to 6 executions

       task  priority  executions  after  name
    1  deps         0  up to 3
    2  api          0  up to 3     deps

    2 waves, if there are workers enough:
      1. deps
      2. api

    critical path, 2 tasks:
      deps -> api

    without a write_set, so conflicts show only when landing: deps, api

    gates of no task, which judge only the result: test

    tasks without a gate, whose changes are judged only in the result: deps, api
    ```

    </details>
    "#);
    let many: String = (0..3_000)
        .map(|at| format!("  - {{ id: t{at}, run: make, write_set: [a{at}] }}\n"))
        .collect();
    let large = plan(
        &Preview::of(&parsed(&format!("version: 1\ntasks:\n{many}")).unwrap()),
        "the base branch",
    );
    assert!(
        large.len() < LIMIT && shown(&large).contains("more lines …"),
        "{}",
        large.len()
    );
}
