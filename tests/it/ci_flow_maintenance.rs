//! Maintenance: the clock or a person starts a run of the default branch; a dashboard issue tells of it.

use serde_json::{Value, json};

use crate::ci_flow_split::{FILTERS, Jobs, Split, ours, seen, steady};
use crate::forge_world::{Event, ForgeWorld, PULL};

const NIGHTLY: &str = "\
version: 1
name: nightly
gates:
  - { id: whole, run: test -s README.md }
tasks:
  - { id: tidy, run: echo tidy > tidy.txt, write_set: [tidy.txt], gates: [whole] }
  - { id: asked, run: echo asked > asked.txt, write_set: [asked.txt], gates: [whole], when: { events: [dispatch] } }
  - { id: talked, run: echo talked > talked.txt, write_set: [talked.txt], gates: [whole], when: { events: [comment] } }
deliver: { as: DELIVER }
";

fn world(deliver: &str) -> ForgeWorld {
    ForgeWorld::with_plan(&NIGHTLY.replace("DELIVER", deliver))
}

fn jobs(world: &ForgeWorld, event: Event) -> Jobs {
    let mut split = Split::start(world, event);
    let jobs = split.all();
    assert_eq!(split.base, world.tip("main"));
    jobs
}

/// The files that a branch has and `main` has not.
fn files(world: &ForgeWorld, branch: &str) -> String {
    world.git(&["fetch", "--quiet", &world.remote("maintainer"), branch]);
    world.git(&["diff", "--name-only", "main", "FETCH_HEAD"]).replace('\n', " ")
}

/// The dashboard issues, open or not.
fn dashboards(world: &ForgeWorld) -> Vec<Value> {
    let issues = world.get("/issues?state=all&per_page=100");
    let issues = issues.as_array().unwrap().iter();
    issues
        .filter(|issue| issue["user"]["login"] == "github-actions[bot]" && issue["pull_request"].is_null())
        .cloned()
        .collect()
}

#[test]
fn a_schedule_opens_a_pull_request_against_main_and_keeps_a_dashboard() {
    let world = world("pull-request");
    let first = jobs(&world, world.schedule());
    assert_eq!(first.codes(), [0; 4], "{first:#?}");
    let pull = world.get("/pulls/13");
    assert_eq!((&pull["head"]["ref"], &pull["base"]["ref"]), (&"omk/run/nightly".into(), &"main".into()));
    assert_eq!(files(&world, "omk/run/nightly"), "tidy.txt", "what only a person asks for is left out");
    assert_eq!(seen(&world, &world.tip("main")), ["omk: success"]);
    assert_eq!(world.replies(PULL), [""; 0]);
    let found = dashboards(&world);
    assert_eq!(found.len(), 1, "{found:#?}");
    insta::with_settings!({filters => FILTERS.to_vec()}, {
        insta::assert_snapshot!(steady(&world, found[0]["body"].as_str().unwrap()), @r#"
        <!-- omk:dashboard:nightly -->
        <!-- omk:runs [{"run":"<run>","at":<moment>,"verdict":"ready","completed":1,"tasks":1,"url":"https://forge.test/acme/widget/actions/runs/<n>"}] -->
        ### ✅ omk `nightly`: ready

        1 of 1 task completed · <time>

        **Delivered** as pull request [#13](https://forge.test/acme/widget/pull/13).

        - Look at it here: `git fetch origin omk/run/nightly && git diff <HEAD> FETCH_HEAD`
        - Review it as you would a colleague's, and merge it.

        <details><summary>3 tasks: graph and table</summary>

        ```mermaid
        flowchart LR
          t0["✓ tidy<br/>completed"]:::good
          t1["· asked<br/>skipped"]:::idle
          t2["· talked<br/>skipped"]:::idle
          classDef good fill:#dafbe1,stroke:#1a7f37,color:#0b2e13
          classDef bad fill:#ffebe9,stroke:#cf222e,color:#4c0a0f
          classDef busy fill:#ddf4ff,stroke:#0969da,color:#042551
          classDef idle fill:#f6f8fa,stroke:#8c959f,color:#424a53
        ```

        | | task | state | tries | time | gates | |
        |-|-|-|-:|-:|-|-|
        | ✅ | `tidy` | completed | 1 | <time> | `whole` passed | 1 file |
        | ⚪ | `asked` | skipped |  |  |  | not selected |
        | ⚪ | `talked` | skipped |  |  |  | not selected |

        </details>

        <details><summary>Proof, and how to verify it</summary>

        ```sh
        git fetch origin refs/omk/proofs/<run>
        git show FETCH_HEAD:run.result.json > proof.json
        omk verify proof.json
        ```

        The ref holds a proof for each task that landed, one for the result, and the commits they speak of.

        </details>

        <sub>[workflow run <n>](https://forge.test/acme/widget/actions/runs/<n>), attempt 1, artifact `omk-nightly-<run>`</sub>

        <sub>run `<run>` · base `<HEAD>` · plan omk.yaml `<short>` · asked for by schedule · judged_by: separate-job · sandbox: writes confined · omk 0.6.0</sub>

        <details><summary>1 open result</summary>

        - [#13](https://forge.test/acme/widget/pull/13) omk/run/nightly

        </details>

        <details><summary>Last 1 run</summary>

        | run | over | verdict | tasks |
        |-|-|-|-:|
        | [<run>](https://forge.test/acme/widget/actions/runs/<n>) | <moment> | ready | 1 of 1 |

        </details>
        "#);
    });
    // The next night: the same pull request, the same issue.
    let second = jobs(&world, world.schedule());
    assert_eq!(second.codes(), [0; 4], "{second:#?}");
    let body = dashboards(&world).pop().unwrap()["body"].as_str().unwrap().to_owned();
    assert_eq!(dashboards(&world).len(), 1);
    assert!(body.contains(first.gate.output("run-id")) && body.contains(second.gate.output("run-id")), "{body}");
    assert_eq!(
        world
            .get("/pulls?state=all&base=main")
            .as_array()
            .unwrap()
            .iter()
            .filter(|pull| pull["number"] != PULL)
            .count(),
        1
    );
}

#[test]
fn a_dispatch_may_name_tasks() {
    let world = world("pull-request");
    let all = jobs(&world, world.dispatch("maintainer"));
    assert_eq!(all.codes(), [0; 4], "{all:#?}");
    assert_eq!(files(&world, "omk/run/nightly"), "asked.txt tidy.txt");
    let mut named = world.dispatch("maintainer");
    named.payload["inputs"] = json!({"tasks": "talked"});
    let one = jobs(&world, named);
    assert_eq!(one.codes(), [0; 4], "{one:#?}");
    assert_eq!(files(&world, "omk/run/nightly"), "talked.txt", "a task that is named needs no `when`");
    let mut wrong = world.dispatch("maintainer");
    wrong.payload["inputs"] = json!({"tasks": "talkd"});
    let mut split = Split::start(&world, wrong);
    split.gate().exits(2).says("there is no task `talkd` in the plan").says("did you mean `talked`?");
}

#[test]
fn what_a_person_closed_is_left_alone_until_its_definition_changes() {
    let world = world("pull-request-per-task");
    assert_eq!(jobs(&world, world.schedule()).codes(), [0; 4]);
    assert_eq!(world.get("/pulls/13")["head"]["ref"], "omk/task/nightly/tidy");
    assert_eq!(world.api("maintainer", "PATCH", "/pulls/13", &json!({"state": "closed"})).status, 200);
    let before = world.tip("omk/task/nightly/tidy");
    let again = jobs(&world, world.schedule());
    assert_eq!(world.tip("omk/task/nightly/tidy"), before);
    let open = world.get("/pulls?state=open");
    assert_eq!(open.as_array().unwrap().len(), 1, "{open:#}");
    again.publish.says("the pull request 13 of task `tidy` was closed by a person");
    let body = dashboards(&world).pop().unwrap()["body"].as_str().unwrap().to_owned();
    assert!(body.contains("closed by a person"), "{body}");
    // Another definition is another task.
    world.git(&["checkout", "--quiet", "main"]);
    let other = NIGHTLY.replace("DELIVER", "pull-request-per-task").replace("echo tidy", "echo tidier");
    world.pushes("maintainer", "main", &[("omk.yaml", &other)]);
    assert_eq!(jobs(&world, world.schedule()).codes(), [0; 4]);
    assert_ne!(world.tip("omk/task/nightly/tidy"), before);
    let open = world.get("/pulls?state=open");
    assert!(open.as_array().unwrap().iter().any(|pull| pull["head"]["ref"] == "omk/task/nightly/tidy"), "{open:#}");
}

#[test]
fn maintenance_does_not_push_to_main() {
    let world = world("push");
    let mut split = Split::start(&world, world.schedule());
    let gate = split.gate().exits(2);
    assert_eq!(gate.output("go"), "");
    gate.says("push");
    assert_eq!(ours(&world), [""; 0]);
}
