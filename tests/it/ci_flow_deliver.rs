//! Where results go: red runs, second runs, a head that moves, pull requests for each task,
//! repeats, and what a dry run leaves alone.

use serde_json::{Value, json};

use crate::ci_flow_split::{Jobs, Split, ours, seen};
use crate::forge_world::{ForgeWorld, HEAD, PULL};

/// Two tasks, one of which never passes its gate.
const HALF: &str = "\
version: 1
name: widget
defaults: { retry_policy: { max_attempts: 0 } }
gates:
  - { id: whole, run: test -s README.md }
  - { id: never, run: \"echo '::error file=bad.txt::this is not what it should be'; false\", required: false }
tasks:
  - { id: good, run: echo right > good.txt, write_set: [good.txt], change: required, gates: [whole] }
  - { id: bad, run: exit 7, write_set: [bad.txt], change: required, gates: [whole] }
deliver: { as: pull-request, partial: PARTIAL }
";

/// Three tasks, one of them built on another.
const THREE: &str = "\
version: 1
name: widget
gates:
  - { id: whole, run: test -s README.md }
tasks:
  - { id: one, run: echo one > one.txt, write_set: [one.txt], gates: [whole] }
  - { id: two, run: cat one.txt > two.txt, write_set: [two.txt], gates: [whole], dependencies: [one] }
  - { id: three, run: echo three > three.txt, write_set: [three.txt], gates: [whole], dependencies: [two] }
deliver: DELIVER
";

fn three(deliver: &str) -> ForgeWorld {
    ForgeWorld::with_plan(&THREE.replace("DELIVER", deliver))
}

/// All jobs for a new `/omk run`.
fn run_again(world: &ForgeWorld) -> (Split<'_>, Jobs) {
    let mut split = Split::start(world, world.comments("maintainer", "/omk run"));
    let jobs = split.all();
    (split, jobs)
}

/// Numbers and branches of the open pull requests beside the one that is asked on.
fn pulls(world: &ForgeWorld) -> Vec<String> {
    let pulls = world.get("/pulls?state=open");
    let mut pulls: Vec<&Value> = pulls
        .as_array()
        .unwrap()
        .iter()
        .filter(|pull| pull["number"] != PULL)
        .collect();
    pulls.sort_by_key(|pull| pull["number"].as_u64());
    let told = |pull: &&Value| {
        let of = |side: &str| pull[side]["ref"].as_str().unwrap().to_owned();
        format!("#{} {} -> {}", pull["number"], of("head"), of("base"))
    };
    pulls.iter().map(told).collect()
}

#[test]
fn what_is_proven_is_delivered_where_the_plan_says_partial() {
    let world = ForgeWorld::with_plan(&HALF.replace("PARTIAL", "true"));
    let (split, jobs) = run_again(&world);
    assert_eq!(jobs.codes(), [0, 1, 1, 1], "{jobs:#?}");
    assert_eq!(pulls(&world), ["#13 omk/run/pr-12 -> feature"]);
    let result = world.tip("omk/run/pr-12");
    let pull = world.get("/pulls/13");
    assert_eq!(pull["draft"], true, "what is not ready is a draft");
    let files = world.git(&[
        "ls-remote",
        &world.remote("maintainer"),
        "refs/heads/omk/run/pr-12",
    ]);
    assert!(files.starts_with(&result), "{files}");
    world.git(&[
        "fetch",
        "--quiet",
        &world.remote("maintainer"),
        "omk/run/pr-12",
    ]);
    assert_eq!(
        world.git(&["diff", "--name-only", &split.base, "FETCH_HEAD"]),
        "good.txt"
    );
    assert_eq!(seen(&world, &split.base), ["omk: failure"]);
    assert_eq!(seen(&world, &result)[0], "omk: failure");
    let replies = world.replies(PULL);
    assert!(
        replies.len() == 1 && replies[0].contains("**Delivered** as pull request"),
        "{replies:#?}"
    );
    assert_eq!(world.reactions(&split.event), "eyes, rocket");
}

#[test]
fn a_second_run_updates_what_the_first_made() {
    let world = ForgeWorld::start();
    let (_, first) = run_again(&world);
    assert_eq!(first.codes(), [0; 4], "{first:#?}");
    let before = world.tip("omk/run/pr-12");
    let (split, second) = run_again(&world);
    assert_eq!(second.codes(), [0; 4], "{second:#?}");
    let after = world.tip("omk/run/pr-12");
    assert_ne!(before, after, "each run's commits name it");
    assert_eq!(pulls(&world), ["#13 omk/run/pr-12 -> feature"]);
    let replies = world.replies(PULL);
    assert_eq!(replies.len(), 1, "{replies:#?}");
    assert!(
        replies[0].contains(second.intake.output("run-id"))
            && !replies[0].contains(first.intake.output("run-id"))
    );
    let body = world.get("/pulls/13")["body"].as_str().unwrap().to_owned();
    assert!(
        body.contains(second.intake.output("run-id"))
            && !body.contains(first.intake.output("run-id")),
        "{body}"
    );
    assert_eq!(
        ours(&world).len(),
        3,
        "a branch, and the proofs of both: {:?}",
        ours(&world)
    );
    assert_eq!(world.reactions(&split.event), "eyes, rocket");
}

#[test]
fn somebody_elses_commit_on_the_branch_of_the_result_stops_it() {
    let world = ForgeWorld::start();
    run_again(&world);
    world.git(&[
        "fetch",
        "--quiet",
        &world.remote("maintainer"),
        "omk/run/pr-12",
    ]);
    world.git(&["checkout", "--quiet", "--detach", "FETCH_HEAD"]);
    let theirs = world.pushes(
        "contributor",
        "omk/run/pr-12",
        &[("fix.txt", "right, and mine\n")],
    );
    let (split, jobs) = run_again(&world);
    assert_eq!(jobs.codes(), [0, 0, 0, 3], "{jobs:#?}");
    assert_eq!(world.tip("omk/run/pr-12"), theirs);
    let replies = world.replies(PULL);
    let said = format!(
        "holds a commit that is not omk's ({}): it was left alone",
        &theirs[..12]
    );
    assert!(
        replies.len() == 1 && replies[0].contains(&said),
        "{replies:#?}"
    );
    assert_eq!(
        seen(&world, &split.base),
        ["omk: success"],
        "the run itself was good"
    );
    assert_eq!(world.reactions(&split.event), "eyes, confused");
    jobs.publish.says("that is not omk's");
}

#[test]
fn a_head_that_moved_meanwhile_is_not_pushed_onto() {
    let world = three("{ as: push }");
    let mut split = Split::start(&world, world.comments("maintainer", "/omk run"));
    split.intake().exits(0);
    split.run().exits(0);
    split.judge().exits(0);
    world.git(&["checkout", "--quiet", HEAD]);
    let moved = world.pushes("contributor", HEAD, &[("feature.txt", "all of it\n")]);
    let publish = split.publish().exits(0);
    assert_eq!(world.tip(HEAD), moved);
    assert_eq!(pulls(&world), ["#13 omk/run/pr-12 -> feature"]);
    let replies = world.replies(PULL);
    let said = format!("{} now, so the result was not pushed onto it", &moved[..12]);
    assert!(
        replies.len() == 1 && replies[0].contains(&said),
        "{replies:#?}"
    );
    publish.says("delivered as a pull request instead");
    assert_eq!(world.reactions(&split.event), "eyes, rocket");
}

#[test]
fn a_pull_request_for_each_task_up_to_the_limit() {
    let world =
        three("{ as: pull-request-per-task, limit: 2, draft: false, labels: [omk, robot] }");
    let (split, jobs) = run_again(&world);
    assert_eq!(jobs.codes(), [0; 4], "{jobs:#?}");
    assert_eq!(
        pulls(&world),
        [
            "#13 omk/task/pr-12/one -> feature",
            "#14 omk/task/pr-12/two -> feature"
        ]
    );
    let second = world.get("/pulls/14");
    assert_eq!(second["draft"], false);
    assert!(
        second["body"].as_str().unwrap().contains("`one`"),
        "it is built on one: {second:#}"
    );
    let labels: Vec<&str> = second["labels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|label| label["name"].as_str().unwrap())
        .collect();
    assert_eq!(labels, ["omk", "robot"]);
    let replies = world.replies(PULL);
    assert!(
        replies[0].contains("1 more pull request was not opened: the plan allows 2 at once"),
        "{replies:#?}"
    );
    assert!(ours(&world).contains(&"refs/heads/omk/task/pr-12/three".to_owned()));
    assert_eq!(world.reactions(&split.event), "eyes, rocket");
    // One is closed: who asks again in a comment wants a new one, and there is room for no more.
    let closed = world.api(
        "maintainer",
        "PATCH",
        "/pulls/13",
        &json!({"state": "closed"}),
    );
    assert_eq!(closed.status, 200, "{closed:?}");
    let (_, jobs) = run_again(&world);
    assert_eq!(jobs.codes(), [0; 4], "{jobs:#?}");
    assert_eq!(
        pulls(&world),
        [
            "#14 omk/task/pr-12/two -> feature",
            "#15 omk/task/pr-12/one -> feature"
        ]
    );
}

#[test]
fn publishing_again_makes_nothing_twice() {
    let world = ForgeWorld::start();
    let (split, jobs) = run_again(&world);
    assert_eq!(jobs.codes(), [0; 4], "{jobs:#?}");
    let (refs, head) = (world.remote_refs(), seen(&world, &split.base));
    let checks = world.checks(&world.tip("omk/run/pr-12")).len();
    let again = split.publish().exits(0);
    assert_eq!(again.output("pull-request"), "13");
    assert_eq!(world.remote_refs(), refs);
    assert_eq!(seen(&world, &split.base), head);
    assert_eq!(world.checks(&world.tip("omk/run/pr-12")).len(), checks);
    assert_eq!(pulls(&world), ["#13 omk/run/pr-12 -> feature"]);
    assert_eq!(world.replies(PULL).len(), 1);
    assert_eq!(world.reactions(&split.event), "eyes, rocket");
}

#[test]
fn a_workflow_run_that_is_run_again_makes_nothing_twice() {
    let world = ForgeWorld::start();
    let (mut split, jobs) = run_again(&world);
    assert_eq!(jobs.codes(), [0; 4], "{jobs:#?}");
    split.env.push(("GITHUB_RUN_ATTEMPT", "2"));
    let jobs = split.all();
    assert_eq!(jobs.codes(), [0; 4], "{jobs:#?}");
    assert_eq!(pulls(&world), ["#13 omk/run/pr-12 -> feature"]);
    assert_eq!(world.replies(PULL).len(), 1);
    assert_eq!(world.reactions(&split.event), "eyes, rocket");
    assert_eq!(seen(&world, &split.base).last().unwrap(), "omk: success");
}

#[test]
fn a_dry_run_writes_nothing_and_says_what_it_would() {
    let world = ForgeWorld::start();
    let mut split = Split::start(&world, world.comments("maintainer", "/omk run"));
    split.env.push(("OMK_DRY_RUN", "true"));
    let refs = world.remote_refs();
    let jobs = split.all();
    assert_eq!(jobs.codes(), [0; 4], "{jobs:#?}");
    assert_eq!(world.writes(), [""; 0]);
    assert_eq!(world.remote_refs(), refs);
    jobs.publish.says("dry run: ").says("omk/run/pr-12");
}

#[test]
fn an_older_run_does_not_put_its_result_over_that_of_a_newer_one() {
    let world = ForgeWorld::start();
    let mut older = Split::start(&world, world.comments("maintainer", "/omk run"));
    older.intake().exits(0);
    older.run().exits(0);
    older.judge().exits(0);
    let (newer, jobs) = run_again(&world);
    assert_eq!(jobs.codes(), [0; 4], "{jobs:#?}");
    let (refs, told) = (ours(&world), world.replies(PULL));
    let result = world.tip("omk/run/pr-12");
    world.run.set(older.number);
    older.publish().exits(0).says("a newer run");
    assert_eq!(world.tip("omk/run/pr-12"), result);
    assert_eq!(
        (ours(&world), world.replies(PULL)),
        (refs, told),
        "the newer run's comment stays"
    );
    assert_eq!(world.reactions(&older.event), "eyes, confused");
    assert_eq!(seen(&world, &newer.base), ["omk: success"]);
}
