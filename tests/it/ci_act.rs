//! The example workflows under a real runner, against the emulated GitHub: all jobs, real pushes,
//! read back by others' programs: `gh`, and `git ls-remote`.

use serde_json::{Value, json};

use crate::forge_act::{all_four, checks, pulls, refs};
use crate::forge_job::ONE_JOB;
use crate::forge_world::{ForgeWorld, HEAD, PLAN, PULL, git, steady};

#[test]
fn a_comment_becomes_a_pull_request() {
    let world = ForgeWorld::start();
    let (event, head) = (world.comments("maintainer", "/omk run"), world.tip(HEAD));
    all_four(&world.act("comment.yml", &event, &[]).green());

    assert_eq!(world.reactions(&event), "eyes, rocket");
    assert_eq!(
        refs(&world),
        [
            "refs/heads/feature",
            "refs/heads/main",
            "refs/heads/omk/run/pr-12",
            "refs/omk/proofs/RUN"
        ]
    );
    assert_eq!(world.tip(HEAD), head, "the head branch is its author's");
    let result = world.tip("omk/run/pr-12");
    let clone = world.checkout("read-back", &result);
    assert_eq!(
        std::fs::read_to_string(clone.join("fix.txt")).unwrap(),
        "right\n"
    );
    let replies = world.replies(PULL);
    assert_eq!(replies.len(), 1, "{replies:#?}");
    steady(|| {
        insta::assert_snapshot!(checks(&world, &head), @"omk | completed | success | ready: 1 of 1 task completed");
        insta::assert_snapshot!(checks(&world, &result), @r#"
        omk | completed | success | ready: 1 of 1 task completed
        omk / test | completed | success | passed
        "#);
        insta::assert_snapshot!(pulls(&world), @r#"
        12 | A feature | feature -> main | open
        13 | Write it down (for #12) | omk/run/pr-12 -> feature | draft, open
        "#);
        insta::assert_snapshot!(git(&clone, &["log", "-1", "--format=%an <%ae>%n%B"]), @r#"
        omk[bot] <omk[bot]@users.noreply.github.com>
        Write it down

        Omk-Run: [run]
        Omk-Task: fix
        Omk-Attempt: 1
        Omk-Proof: [run]/fix
        Requested-by: maintainer
        "#);
        insta::assert_snapshot!(replies[0], @r#"
        <!-- omk:sticky:pr-12 -->
        <!-- omk:data {"run":"[run]","base":"[commit]","state":"ended","verdict":"ready","workflow":4001} -->
        ### ✅ omk `widget`: ready

        1 of 1 task completed · [time]

        **Delivered** as pull request [#13]([site]/acme/widget/pull/13).

        - Look at it here: `git fetch origin omk/run/pr-12 && git diff [short] FETCH_HEAD`
        - Review it as you would a colleague's, and merge it.

        <details><summary>1 task: graph and table</summary>

        | | task | state | tries | time | gates | |
        |-|-|-|-:|-:|-|-|
        | ✅ | `fix` Write it down | completed | 1 | [time] | `test` passed | 1 file |

        </details>

        <details><summary>Proof, and how to verify it</summary>

        ```sh
        git fetch origin refs/omk/proofs/[run]
        git show FETCH_HEAD:run.result.json > proof.json
        omk verify proof.json
        ```

        The ref holds a proof for each task that landed, one for the result, and the commits they speak of.

        </details>

        <sub>[workflow run 4001]([site]/acme/widget/actions/runs/4001), attempt 1, artifact `omk-pr-12-[run]`</sub>

        <sub>run `[run]` · base `[short]` · plan omk.yaml `[short]` · asked for by maintainer · judged_by: separate-job · room: [level] · omk 0.6.0</sub>
        "#);
        insta::assert_snapshot!(world.gh("/pulls/13", ".body"), @r#"
        <!-- omk:pull:pr-12:[digest] -->
        Made by omk's run `[run]`: `maintainer` asked for it [in a comment]([site]/acme/widget/issues/12#issuecomment-1); judged in a job of its own.

        | task | what | files | commit |
        |-|-|-:|-|
        | `fix` | Write it down | 1 | `[short]` |

        - ✅ gate `test` passed

        <details><summary>Proof, and how to verify it</summary>

        ```sh
        git fetch origin refs/omk/proofs/[run]
        git show FETCH_HEAD:run.result.json > proof.json
        omk verify proof.json
        ```

        The ref holds a proof for each task that landed, one for the result, and the commits they speak of.

        </details>

        - Updated in place by the next run; a commit that is not omk's stops that, and nothing of yours is overwritten.
        - Its checks wait for "Approve workflows to run" below, because GITHUB_TOKEN opened it; with an App's token they start alone.

        <sub>run `[run]` · base `[short]` · plan `omk.yaml` `[short]` · [workflow run]([site]/acme/widget/actions/runs/4001) · omk 0\.6.0</sub>
        "#);
    });
}

#[test]
fn everything_in_one_job() {
    let world = ForgeWorld::start();
    let permissions: serde_json::Map<String, Value> = ONE_JOB
        .iter()
        .map(|(name, right)| ((*name).to_owned(), json!(right)))
        .collect();
    let pins = crate::workflows::parsed("examples/workflows/comment.yml");
    let used = |step: usize| pins["jobs"]["run"]["steps"][step]["uses"].clone();
    let workflow = json!({
        "name": "agents", "on": {"issue_comment": {"types": ["created"]}}, "permissions": {},
        "jobs": {"agent": {
            "runs-on": "ubuntu-24.04", "permissions": permissions,
            "steps": [{"uses": used(0), "with": {"persist-credentials": false}}, {"uses": used(1)}],
        }},
    });
    let event = world.comments("maintainer", "/omk run");
    world.act_on(&workflow, &event, &[]).green();
    assert_eq!(world.reactions(&event), "eyes, rocket");
    assert_eq!(
        refs(&world),
        [
            "refs/heads/feature",
            "refs/heads/main",
            "refs/heads/omk/run/pr-12",
            "refs/omk/proofs/RUN"
        ]
    );
    steady(|| {
        insta::assert_snapshot!(pulls(&world), @r#"
    12 | A feature | feature -> main | open
    13 | Write it down (for #12) | omk/run/pr-12 -> feature | draft, open
    "#)
    });
    assert!(
        world.replies(PULL)[0].contains("judged_by: same-job"),
        "{:#?}",
        world.replies(PULL)
    );
}

#[test]
fn a_changed_plan_is_shown_and_holds_once_it_is_approved() {
    let world = ForgeWorld::start();
    world.git(&["checkout", "--quiet", HEAD]);
    let changed = PLAN.replace("echo right >", "echo right indeed >");
    world.pushes("contributor", HEAD, &[("omk.yaml", &changed)]);
    let head = world.tip(HEAD);
    world
        .act("plan-check.yml", &world.pull_request("synchronize"), &[])
        .green();
    steady(|| {
        insta::assert_snapshot!(checks(&world, &head), @"omk plan | completed | success | changed: valid, 1 task");
        insta::assert_snapshot!(world.gh(&format!("/commits/{head}/check-runs"), ".check_runs[0].output.summary"), @r#"
        The plan `omk.yaml` is changed, and valid.

        Until it is merged, runs use the plan of `main`. To use this one before that, somebody with the permission `write` writes in a comment:

        ```text
        /omk approve [short]
        /omk run
        ```

        Its `agent`, `limits`, `prices`, `room`, `deliver`, `protect` and `commands` count once they are on the default branch, approved or not.

        ```diff
        @@ -3,5 +3,5 @@
         gates:
           - { id: test, run: sh check.sh }
         tasks:
        -  - { id: fix, name: Write it down, run: echo right > fix.txt, write_set: [fix.txt], change: required, gates: [test] }
        +  - { id: fix, name: Write it down, run: echo right indeed > fix.txt, write_set: [fix.txt], change: required, gates: [test] }
         deliver: { as: pull-request }
        ```

        <details><summary>What a run would do</summary>

        ```text
        widget: 1 task, up to 3 executions

           task  priority  executions  after  name
        1  fix          0  up to 3            Write it down

        1 wave, if there are workers enough:
          1. fix

        critical path, 1 task:
          fix
        ```

        ```mermaid
        flowchart LR
          t0["fix"]
        ```

        </details>
        "#);
    });

    let digest = omk_action::id::Sha256::of(changed.as_bytes()).to_string();
    let event = world.comments(
        "maintainer",
        &format!("/omk approve {}\n/omk run", &digest[..12]),
    );
    all_four(&world.act("comment.yml", &event, &[]).green());
    assert_eq!(world.reactions(&event), "eyes, rocket");
    let clone = world.checkout("read-back", &world.tip("omk/run/pr-12"));
    assert_eq!(
        std::fs::read_to_string(clone.join("fix.txt")).unwrap(),
        "right indeed\n"
    );
}

#[test]
fn a_closed_pull_request_takes_our_branches_along() {
    let world = ForgeWorld::start();
    world
        .jobs(&world.comments("maintainer", "/omk run"), &[])
        .published()
        .exits(0);
    assert!(refs(&world).contains(&"refs/heads/omk/run/pr-12".to_owned()));
    assert_eq!(
        world
            .api(
                "maintainer",
                "PATCH",
                "/pulls/12",
                &json!({"state": "closed"})
            )
            .status,
        200
    );
    world
        .act("cleanup.yml", &world.pull_request("closed"), &[])
        .green();
    assert_eq!(
        refs(&world),
        [
            "refs/heads/feature",
            "refs/heads/main",
            "refs/omk/proofs/RUN"
        ]
    );
    steady(|| {
        insta::assert_snapshot!(pulls(&world), @r#"
    12 | A feature | feature -> main | closed
    13 | Write it down (for #12) | omk/run/pr-12 -> feature | draft, closed
    "#)
    });
}

#[test]
fn a_comment_that_says_nothing_to_us_starts_no_machine() {
    let world = ForgeWorld::start();
    let acted = world
        .act(
            "comment.yml",
            &world.comments("maintainer", "Nice work."),
            &[],
        )
        .green();
    assert!(
        !acted.ran("intake") && world.writes().is_empty(),
        "{}",
        acted.log
    );
}

#[test]
fn a_refusal_is_no_red_job_and_starts_no_agent() {
    let world = ForgeWorld::start();
    let event = world.comments("drive-by", "/omk run");
    let acted = world.act("comment.yml", &event, &[]).green();
    assert!(
        acted.ran("intake") && !acted.ran("run") && !acted.ran("publish"),
        "{}",
        acted.log
    );
    assert_eq!(world.reactions(&event), "confused");
}

#[test]
fn what_failed_before_is_an_annotation_of_the_gates_check() {
    let plan = PLAN.replace(
        "- { id: test, run: sh check.sh }",
        "- { id: test, run: sh check.sh, report: { format: junit, path: report.xml } }",
    );
    let report = "<testsuite name='s'><testcase classname='c' name='old' file='README.md' line='1'>\
                  <failure message='as it was'/></testcase></testsuite>";
    let check = format!("cat > report.xml <<'X'\n{report}\nX\nexit 1\n");
    let world = ForgeWorld::with_files(&[
        ("omk.yaml", &plan),
        ("README.md", "A widget.\n"),
        ("check.sh", &check),
    ]);
    let event = world.comments("maintainer", "/omk run");
    all_four(&world.act("comment.yml", &event, &[]).green());
    let result = world.tip("omk/run/pr-12");
    let gate = ".check_runs[] | select(.name == \"omk / test\")";
    let id = world.gh(
        &format!("/commits/{result}/check-runs"),
        &format!("{gate} | .id"),
    );
    let shown = ".[] | [.path, .start_line, .annotation_level, .message] | join(\" \")";
    insta::assert_snapshot!(world.gh(&format!("/check-runs/{id}/annotations"), shown), @"README.md 1 notice as it was");
}
