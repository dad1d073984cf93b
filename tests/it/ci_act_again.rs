//! The example workflows under a real runner, once more: maintenance in place, a retry, a cancel,
//! an App of somebody's own.

use std::path::Path;

use crate::forge_act::{all_four, checks, pulls};
use crate::forge_world::{ForgeWorld, HEAD, PLAN, PULL, steady};

#[test]
fn maintenance_by_the_clock_is_updated_in_place() {
    let world = ForgeWorld::start();
    all_four(&world.act("schedule.yml", &world.schedule(), &[]).green());
    let first = world.tip("omk/run/widget");
    world.git(&["checkout", "--quiet", "main"]);
    world.pushes("maintainer", "main", &[("README.md", "Another one.\n")]);
    all_four(&world.act("schedule.yml", &world.schedule(), &[]).green());
    assert_ne!(world.tip("omk/run/widget"), first);
    let dashboards = world.gh(
        "/issues?per_page=100",
        r#".[] | select(.title | startswith("omk")) | .body"#,
    );
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

        <sub>run `[run]` · base `[short]` · plan omk.yaml `[short]` · asked for by schedule · judged_by: separate-job · room: [level] · omk 0.6.0</sub>

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
    all_four(
        &world
            .act("dispatch.yml", &world.dispatch("maintainer"), &[])
            .green(),
    );
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
fn an_app_of_somebodys_own_speaks_where_it_is_given() {
    let world = ForgeWorld::start();
    let key = world.door.key.clone();
    let event = world.comments("maintainer", "/omk run");
    let inputs = ["intake", "publish"].map(|job| {
        [
            (job, "app-id", "12345"),
            (job, "app-private-key", key.as_str()),
        ]
    });
    all_four(&world.act("comment.yml", &event, &inputs.concat()).green());
    let who = |path: &str, filter: &str| world.gh(path, filter);
    assert_eq!(who("/pulls/13", ".user.login"), "omk-action[bot]");
    assert_eq!(
        who("/issues/12/comments", ".[-1].user.login"),
        "omk-action[bot]"
    );
    let head = world.tip(HEAD);
    assert_eq!(
        who(
            &format!("/commits/{head}/check-runs"),
            ".check_runs[0].app.slug"
        ),
        "omk-action"
    );
    // What an App opens starts workflows: nobody has to approve them.
    assert!(
        !who("/pulls/13", ".body").contains("Approve workflows"),
        "{}",
        who("/pulls/13", ".body")
    );
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
    assert!(
        !world.remote_refs().contains_key("refs/heads/omk/run/pr-12"),
        "nothing is delivered of it"
    );

    std::fs::write(outside.path().join("now"), "").unwrap();
    let event = world.comments("maintainer", "/omk retry");
    let acted = world.act("comment.yml", &event, &[]).green();
    all_four(&acted);
    assert_eq!(world.reactions(&event), "eyes, rocket");
    let kept = acted
        .log
        .lines()
        .any(|line| line.contains("kept from run") && line.ends_with(": fix"));
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
    world.omk_ci("intake", &event, &[]).exits(0);
    let cancel = world.comments("contributor", "/omk cancel");
    let acted = world.act("comment.yml", &cancel, &[]).green();
    assert!(!acted.ran("run"), "{}", acted.log);
    assert_eq!(
        world.state()["runs"][run.to_string()]["conclusion"],
        "cancelled"
    );
    assert_eq!(world.reactions(&cancel), "eyes");
}
