//! The example workflows under a real runner, against the emulated GitHub: all jobs, real pushes, read back by others'
//! programs: `gh`, and `git ls-remote`.

use std::path::Path;

use serde_json::{Value, json};

use crate::forge_act::Acted;
use crate::forge_job::ONE_JOB;
use crate::forge_world::{ForgeWorld, HEAD, PLAN, PULL, git, steady};

/// Where every ref is, run ids aside.
fn refs(world: &ForgeWorld) -> Vec<String> {
    let names = world.remote_refs().into_keys().filter(|name| name != "HEAD");
    names
        .map(|name| if name.starts_with("refs/omk/proofs/") { "refs/omk/proofs/RUN".to_owned() } else { name })
        .collect()
}

/// The checks on a commit, a line each.
fn checks(world: &ForgeWorld, commit: &str) -> String {
    let line = r#"[.name, .status, .conclusion, .output.title] | join(" | ")"#;
    world.gh(
        &format!("/commits/{commit}/check-runs?per_page=100"),
        &format!(".check_runs | sort_by(.id) | .[] | {line}"),
    )
}

/// The pull requests, a line each.
fn pulls(world: &ForgeWorld) -> String {
    let line = r#"[.number, .title, .head.ref + " -> " + .base.ref, if .draft then "draft, " else "" end + .state]"#;
    world.gh("/pulls?state=all&per_page=100", &format!(r#"sort_by(.number) | .[] | {line} | join(" | ")"#))
}

#[track_caller]
fn all_four(acted: &Acted) {
    for job in ["gate", "run", "judge", "publish"] {
        assert!(acted.ran(job), "{job} was not run\n{}", acted.log);
    }
}

#[test]
fn a_comment_becomes_a_pull_request() {
    let world = ForgeWorld::start();
    let (event, head) = (world.comments("maintainer", "/omk run"), world.tip(HEAD));
    all_four(&world.act("comment.yml", &event, &[]).green());

    assert_eq!(world.reactions(&event), "eyes, rocket");
    assert_eq!(
        refs(&world),
        ["refs/heads/feature", "refs/heads/main", "refs/heads/omk/run/pr-12", "refs/omk/proofs/RUN"]
    );
    assert_eq!(world.tip(HEAD), head, "the head branch is its author's");
    let result = world.tip("omk/run/pr-12");
    let clone = world.checkout("read-back", &result);
    assert_eq!(std::fs::read_to_string(clone.join("fix.txt")).unwrap(), "right\n");
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

        <sub>run `[run]` · base `[short]` · plan omk.yaml `[short]` · asked for by maintainer · judged_by: separate-job · sandbox: writes confined · omk 0.6.0</sub>
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
fn maintenance_by_the_clock_is_updated_in_place() {
    let world = ForgeWorld::start();
    all_four(&world.act("schedule.yml", &world.schedule(), &[]).green());
    let first = world.tip("omk/run/widget");
    world.git(&["checkout", "--quiet", "main"]);
    world.pushes("maintainer", "main", &[("README.md", "Another one.\n")]);
    all_four(&world.act("schedule.yml", &world.schedule(), &[]).green());
    assert_ne!(world.tip("omk/run/widget"), first);
    let dashboards = world.gh("/issues?per_page=100", r#".[] | select(.title | startswith("omk")) | .body"#);
    steady(|| {
        insta::assert_snapshot!(pulls(&world), @r#"
        12 | A feature | feature -> main | open
        13 | Write it down | omk/run/widget -> main | draft, open
        "#);
        insta::assert_snapshot!(dashboards, @r#"
        <!-- omk:dashboard:widget -->
        <!-- omk:runs [{"run":"[run]","at":[date],"verdict":"ready","completed":1,"tasks":1,"url":"[site]/acme/widget/actions/runs/4002"},{"run":"[run]","at":[date],"verdict":"ready","completed":1,"tasks":1,"url":"[site]/acme/widget/actions/runs/4001"}] -->
        ### ✅ omk `widget`: ready

        1 of 1 task completed · [time]

        **Delivered** as pull request [#13]([site]/acme/widget/pull/13).

        - Look at it here: `git fetch origin omk/run/widget && git diff [short] FETCH_HEAD`
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

        <sub>[workflow run 4002]([site]/acme/widget/actions/runs/4002), attempt 1, artifact `omk-widget-[run]`</sub>

        <sub>run `[run]` · base `[short]` · plan omk.yaml `[short]` · asked for by schedule · judged_by: separate-job · sandbox: writes confined · omk 0.6.0</sub>

        <details><summary>1 open result</summary>

        - [#13]([site]/acme/widget/pull/13) omk/run/widget

        </details>

        <details><summary>Last 2 runs</summary>

        | run | over | verdict | tasks |
        |-|-|-|-:|
        | [[run]]([site]/acme/widget/actions/runs/4002) | [date] | ready | 1 of 1 |
        | [[run]]([site]/acme/widget/actions/runs/4001) | [date] | ready | 1 of 1 |

        </details>
        "#);
    });
}

#[test]
fn a_run_by_hand_is_maintenance_too() {
    let world = ForgeWorld::start();
    all_four(&world.act("dispatch.yml", &world.dispatch("maintainer"), &[]).green());
    steady(|| {
        insta::assert_snapshot!(pulls(&world), @r#"
        12 | A feature | feature -> main | open
        13 | Write it down | omk/run/widget -> main | draft, open
        "#);
        insta::assert_snapshot!(checks(&world, &world.tip("omk/run/widget")), @r#"
        omk | completed | success | ready: 1 of 1 task completed
        omk / test | completed | success | passed
        "#);
    });
}

#[test]
fn everything_in_one_job() {
    let world = ForgeWorld::start();
    let permissions: serde_json::Map<String, Value> =
        ONE_JOB.iter().map(|(name, right)| ((*name).to_owned(), json!(right))).collect();
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
        ["refs/heads/feature", "refs/heads/main", "refs/heads/omk/run/pr-12", "refs/omk/proofs/RUN"]
    );
    steady(|| {
        insta::assert_snapshot!(pulls(&world), @r#"
    12 | A feature | feature -> main | open
    13 | Write it down (for #12) | omk/run/pr-12 -> feature | draft, open
    "#)
    });
    assert!(world.replies(PULL)[0].contains("judged_by: same-job"), "{:#?}", world.replies(PULL));
}

#[test]
fn a_changed_plan_is_shown_and_holds_once_it_is_approved() {
    let world = ForgeWorld::start();
    world.git(&["checkout", "--quiet", HEAD]);
    let changed = PLAN.replace("echo right >", "echo right indeed >");
    world.pushes("contributor", HEAD, &[("omk.yaml", &changed)]);
    let head = world.tip(HEAD);
    world.act("plan-check.yml", &world.pull_request("synchronize"), &[]).green();
    steady(|| {
        insta::assert_snapshot!(checks(&world, &head), @"omk plan | completed | success | changed: valid, 1 task");
        insta::assert_snapshot!(world.gh(&format!("/commits/{head}/check-runs"), ".check_runs[0].output.summary"), @r#"
        The plan `omk.yaml` is changed, and valid.

        Until it is merged, runs use the plan of `main`. To use this one before that, somebody with the permission `write` writes in a comment:

        ```text
        /omk approve [short]
        /omk run
        ```

        Its `agent`, `limits`, `prices`, `deliver`, `protect` and `commands` count once they are on the default branch, approved or not.

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
    let event = world.comments("maintainer", &format!("/omk approve {}\n/omk run", &digest[..12]));
    all_four(&world.act("comment.yml", &event, &[]).green());
    assert_eq!(world.reactions(&event), "eyes, rocket");
    let clone = world.checkout("read-back", &world.tip("omk/run/pr-12"));
    assert_eq!(std::fs::read_to_string(clone.join("fix.txt")).unwrap(), "right indeed\n");
}

#[test]
fn a_closed_pull_request_takes_our_branches_along() {
    let world = ForgeWorld::start();
    world.jobs(&world.comments("maintainer", "/omk run"), &[]).published().exits(0);
    assert!(refs(&world).contains(&"refs/heads/omk/run/pr-12".to_owned()));
    assert_eq!(world.api("maintainer", "PATCH", "/pulls/12", &json!({"state": "closed"})).status, 200);
    world.act("cleanup.yml", &world.pull_request("closed"), &[]).green();
    assert_eq!(refs(&world), ["refs/heads/feature", "refs/heads/main", "refs/omk/proofs/RUN"]);
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
    let acted = world.act("comment.yml", &world.comments("maintainer", "Nice work."), &[]).green();
    assert!(!acted.ran("gate") && world.writes().is_empty(), "{}", acted.log);
}

#[test]
fn a_refusal_is_no_red_job_and_starts_no_agent() {
    let world = ForgeWorld::start();
    let event = world.comments("drive-by", "/omk run");
    let acted = world.act("comment.yml", &event, &[]).green();
    assert!(acted.ran("gate") && !acted.ran("run") && !acted.ran("publish"), "{}", acted.log);
    assert_eq!(world.reactions(&event), "confused");
}

#[test]
fn an_app_of_somebodys_own_speaks_where_it_is_given() {
    let world = ForgeWorld::start();
    let key = world.door.key.clone();
    let event = world.comments("maintainer", "/omk run");
    let inputs = ["gate", "publish"].map(|job| [(job, "app-id", "12345"), (job, "app-private-key", key.as_str())]);
    all_four(&world.act("comment.yml", &event, &inputs.concat()).green());
    let who = |path: &str, filter: &str| world.gh(path, filter);
    assert_eq!(who("/pulls/13", ".user.login"), "omk-action[bot]");
    assert_eq!(who("/issues/12/comments", ".[-1].user.login"), "omk-action[bot]");
    let head = world.tip(HEAD);
    assert_eq!(who(&format!("/commits/{head}/check-runs"), ".check_runs[0].app.slug"), "omk-action");
    // What an App opens starts workflows: nobody has to approve them.
    assert!(!who("/pulls/13", ".body").contains("Approve workflows"), "{}", who("/pulls/13", ".body"));
}

/// A plan of two tasks, the second of which fails until the file is there.
fn waiting(file: &Path) -> String {
    let second = format!(
        "  - {{ id: more, run: \"test -e {} && echo more > more.txt\", write_set: [more.txt], change: required, gates: \
         [test], retry_policy: {{ max_attempts: 0 }} }}\ndeliver:",
        file.display()
    );
    PLAN.replace("deliver:", &second)
}

#[test]
fn a_retry_keeps_what_is_proven_and_delivers_the_whole() {
    let outside = tempfile::tempdir().unwrap();
    let world = ForgeWorld::with_plan(&waiting(&outside.path().join("now")));
    let event = world.comments("maintainer", "/omk run");
    all_four(&world.act("comment.yml", &event, &[]).red());
    assert_eq!(world.reactions(&event), "eyes, confused");
    assert!(!world.remote_refs().contains_key("refs/heads/omk/run/pr-12"), "nothing is delivered of it");

    std::fs::write(outside.path().join("now"), "").unwrap();
    let event = world.comments("maintainer", "/omk retry");
    let acted = world.act("comment.yml", &event, &[]).green();
    all_four(&acted);
    assert_eq!(world.reactions(&event), "eyes, rocket");
    let kept = acted.log.lines().any(|line| line.contains("kept from run") && line.ends_with(": fix"));
    assert!(kept, "{}", acted.log);
    let clone = world.checkout("read-back", &world.tip("omk/run/pr-12"));
    for file in ["fix.txt", "more.txt"] {
        assert!(clone.join(file).exists(), "{file}");
    }
    assert_eq!(world.replies(PULL).len(), 1, "one comment tells both runs");
}

#[test]
fn a_run_under_way_is_cancelled_by_a_comment() {
    let world = ForgeWorld::start();
    let event = world.comments("maintainer", "/omk run");
    let run = world.workflow_run(&event);
    world.omk_ci("gate", &event, &[]).exits(0);
    let cancel = world.comments("contributor", "/omk cancel");
    let acted = world.act("comment.yml", &cancel, &[]).green();
    assert!(!acted.ran("run"), "{}", acted.log);
    assert_eq!(world.state()["runs"][run.to_string()]["conclusion"], "cancelled");
    assert_eq!(world.reactions(&cancel), "eyes");
}
