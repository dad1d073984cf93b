//! The stories that people live through at a forge, each told once and held against what GitHub and
//! GitLab then show.
//!
//! A telling is a snapshot for each forge in `stories/`: laid side by side they differ in words and
//! numbers, and where the forges themselves do. It refuses to know which forge it is at.

use omk_action::id::Sha256;

use crate::forge_world::{ForgeWorld, HEAD, PLAN};
use crate::gitlab_world::GitLabWorld;
use crate::story_tale::{Detail, Tale};
use crate::story_world::{AnyWorld, Change, When};

/// Says that `fix.txt`, where it is there, must say right.
const CHECK: &str = "test ! -f fix.txt || grep -q right fix.txt || { echo 'fix.txt: it must say right'; exit 1; }\n";

fn world<W: AnyWorld>(plan: &str) -> W {
    W::with(&[
        ("omk.yaml", plan),
        ("README.md", "A widget.\n"),
        ("check.sh", CHECK),
    ])
}

/// Each story at both forges.
macro_rules! at_both {
    ($($story:ident),*) => {$(
        mod $story {
            #[test]
            fn at_github() {
                super::$story::<super::ForgeWorld>();
            }

            #[test]
            fn at_gitlab() {
                super::$story::<super::GitLabWorld>();
            }
        }
    )*};
}

at_both!(
    a_comment_is_run_and_delivered,
    who_may_not_is_told_so,
    commands_are_answered,
    a_changed_plan_is_approved,
    what_is_not_ready_stays_and_is_retried,
    a_schedule_maintains_the_default_branch,
    results_are_pushed,
    branches_are_pushed_and_removed
);

fn a_comment_is_run_and_delivered<W: AnyWorld>() {
    let world: W = world(PLAN);
    let mut tale = Tale::of(&world, Detail::All);
    tale.asks("maintainer", "Please.\n\n/omk run");
    tale.checks(HEAD);
    tale.checks(&format!("omk/run/{}", W::SCOPE));
    tale.pulls();
    tale.refs();
    tale.writes();
    tale.detail = Detail::Open;
    tale.asks_gate("contributor", "/omk status");
    tale.asks_gate("contributor", "/omk verify");
    tale.ends("delivered");
}

fn who_may_not_is_told_so<W: AnyWorld>() {
    let world: W = world(PLAN);
    let mut tale = Tale::of(&world, Detail::Open);
    tale.asks_gate("reader", "/omk run");
    tale.asks_gate(W::BOT, "/omk run");
    tale.head("our own comment: /omk run");
    tale.hears(&world.comment_of_ours("/omk run"));
    let edited = tale.says("maintainer", "/omk help");
    tale.head("edited: /omk run");
    world.edit(&edited, "/omk run");
    tale.hears(&edited);
    tale.head("from a fork");
    world.change(Change::Fork);
    tale.asks_gate("maintainer", "/omk run");
    tale.asks_gate("maintainer", "/omk approve 0123456789ab");
    world.change(Change::Own);
    tale.head("to a branch that anybody can make");
    world.work(&["checkout", "--quiet", "-b", "wild", "main"]);
    world.push(
        When::Before,
        "contributor",
        "wild",
        &[("wild.txt", "wild\n")],
    );
    world.change(Change::Base("wild"));
    tale.asks_gate("maintainer", "/omk run");
    world.change(Change::Base("main"));
    tale.head("closed");
    world.change(Change::Closed);
    tale.asks_gate("maintainer", "/omk run");
    world.change(Change::Open);
    tale.checks(HEAD);
    let said = tale.says("maintainer", "/omk run");
    tale.head("pushed after that");
    world.work(&["checkout", "--quiet", HEAD]);
    let head = world.push(
        When::Since,
        "contributor",
        HEAD,
        &[("feature.txt", "something else\n")],
    );
    tale.hears(&said);
    tale.checks(HEAD);
    tale.asks_gate("maintainer", &format!("/omk run {head}"));
    tale.checks(HEAD);
    tale.refs();
    tale.writes();
    tale.ends("refused");
}

fn commands_are_answered<W: AnyWorld>() {
    let world: W = world(PLAN);
    world.is_set_up();
    let mut tale = Tale::of(&world, Detail::Open);
    for command in [
        "/omk help",
        "/omk plan",
        "/omk status",
        "/omk verify",
        "/omk cancel",
    ] {
        tale.asks_gate("maintainer", command);
    }
    for wrong in [
        "/omk rnu",
        "/omk run fixx",
        "/omk approve all",
        "/omk run\n/omk retry",
        "> /omk run",
    ] {
        tale.asks_gate("contributor", wrong);
    }
    let (said, started) = tale.asks_gate("maintainer", "/omk run");
    tale.checks(HEAD);
    tale.asks_gate("contributor", "/omk status");
    tale.asks_gate("contributor", "/omk cancel");
    tale.head("what still runs then");
    let ended = world.after_cancel(&said, &started);
    tale.ran(ended);
    tale.comments();
    tale.checks(HEAD);
    tale.asks_gate("contributor", "/omk status");
    tale.refs();
    tale.writes();
    tale.ends("commands");
}

fn a_changed_plan_is_approved<W: AnyWorld>() {
    let world: W = world(PLAN);
    let mut tale = Tale::of(&world, Detail::Open);
    // It would also like to be pushed without asking; who governs is the default branch.
    let changed = PLAN
        .replace("echo right", "echo all right")
        .replace("as: pull-request", "as: push");
    let digest = Sha256::of(changed.as_bytes());
    world.work(&["checkout", "--quiet", HEAD]);
    tale.head("the plan is changed");
    world.push(When::Before, "contributor", HEAD, &[("omk.yaml", &changed)]);
    let checked = world.proposed();
    tale.ran(checked);
    tale.checks(HEAD);
    let result = format!("omk/run/{}", W::SCOPE);
    tale.asks("maintainer", "/omk run");
    tale.file(&result, "fix.txt");
    tale.asks_gate("reader", &format!("/omk approve {digest}"));
    tale.asks_gate("maintainer", "/omk approve 0123456789ab");
    tale.asks_gate(
        "maintainer",
        &format!("/omk approve {}", &digest.as_str()[..12]),
    );
    tale.asks("contributor", "/omk run");
    tale.file(&result, "fix.txt");
    tale.checks(HEAD);
    tale.pulls();
    tale.refs();
    tale.ends("approved");
}

/// Two tasks; the second writes what its gate refuses until FLAG is there.
const HALF: &str = "\
version: 1
name: widget
limits: { workers: 1 }
defaults: { retry_policy: { max_attempts: 0 } }
gates:
  - { id: whole, run: test -s README.md }
  - { id: right, run: sh check.sh }
tasks:
  - { id: good, run: head -c 16 /dev/urandom | od -An -tx1 > good.txt, write_set: [good.txt], gates: [whole] }
  - { id: late, run: test -f FLAG && echo right > fix.txt || echo wrong > fix.txt, write_set: [fix.txt], gates: [right] }
deliver: { as: pull-request }
";

fn what_is_not_ready_stays_and_is_retried<W: AnyWorld>() {
    let outside = tempfile::tempdir().unwrap();
    let flag = outside.path().join("flag");
    let world: W = world(&HALF.replace("FLAG", flag.to_str().unwrap()));
    let mut tale = Tale::of(&world, Detail::Open);
    tale.asks("maintainer", "/omk run");
    tale.checks(HEAD);
    tale.pulls();
    tale.refs();
    tale.writes();
    std::fs::write(&flag, "").unwrap();
    tale.asks("maintainer", "/omk retry");
    tale.log("kept from");
    tale.checks(HEAD);
    tale.checks(&format!("omk/run/{}", W::SCOPE));
    tale.pulls();
    tale.refs();
    tale.ends("retried");
}

/// Maintenance with a pull request for each task.
const NIGHTLY: &str = "\
version: 1
name: nightly
limits: { workers: 1 }
gates:
  - { id: whole, run: test -s README.md }
tasks:
  - { id: tidy, name: Tidy up, run: echo tidy > tidy.txt, write_set: [tidy.txt], gates: [whole] }
  - { id: docs, run: echo docs > docs.txt, write_set: [docs.txt], gates: [whole] }
  - { id: asked, run: echo asked > asked.txt, write_set: [asked.txt], gates: [whole], when: { events: [dispatch] } }
deliver: { as: pull-request-per-task, labels: [omk], draft: false }
";

fn a_schedule_maintains_the_default_branch<W: AnyWorld>() {
    let world: W = world(NIGHTLY);
    world.is_set_up();
    let mut tale = Tale::of(&world, Detail::Open);
    tale.head("the clock strikes");
    tale.ran(world.scheduled());
    tale.checks("main");
    tale.detail = Detail::All;
    tale.issues();
    tale.detail = Detail::Open;
    tale.pulls();
    tale.refs();
    tale.writes();
    tale.head("somebody works on a branch, and the clock strikes again");
    let branch = "omk/task/nightly/docs";
    world.work(&["fetch", "--quiet", &world.address("maintainer"), branch]);
    world.work(&["checkout", "--quiet", "--detach", "FETCH_HEAD"]);
    world.push(
        When::Before,
        "contributor",
        branch,
        &[("docs.txt", "better docs\n")],
    );
    tale.ran(world.scheduled());
    tale.log("omk's");
    tale.comments();
    tale.checks("main");
    tale.issues();
    tale.pulls();
    tale.refs();
    tale.writes();
    tale.ends("maintained");
}

/// Two tasks, one of them built on the other.
const TWO: &str = "\
version: 1
name: widget
gates:
  - { id: whole, run: test -s README.md }
tasks:
  - { id: one, run: echo one > one.txt, write_set: [one.txt], gates: [whole] }
  - { id: two, run: cat one.txt > two.txt, write_set: [two.txt], gates: [whole], dependencies: [one] }
deliver: { as: WAY }
";

fn results_are_pushed<W: AnyWorld>() {
    let world: W = world(&TWO.replace("WAY", "push, sign_off: true"));
    let mut tale = Tale::of(&world, Detail::Open);
    tale.asks("maintainer", "/omk run");
    tale.checks(HEAD);
    tale.commits(HEAD);
    tale.pulls();
    tale.refs();
    tale.writes();
    tale.ends("pushed");
}

fn branches_are_pushed_and_removed<W: AnyWorld>() {
    let world: W = world(&TWO.replace("WAY", "branches"));
    let mut tale = Tale::of(&world, Detail::Open);
    tale.asks("maintainer", "/omk run");
    tale.checks(HEAD);
    tale.pulls();
    tale.refs();
    tale.writes();
    tale.head("somebody works on a branch");
    let branch = format!("omk/task/{}/two", W::SCOPE);
    world.work(&["fetch", "--quiet", &world.address("maintainer"), &branch]);
    world.work(&["checkout", "--quiet", "--detach", "FETCH_HEAD"]);
    world.push(
        When::Before,
        "contributor",
        &branch,
        &[("two.txt", "better\n")],
    );
    tale.head("closed, and open again before anybody looks");
    tale.ran(world.closed());
    tale.log("branch");
    tale.head("closed");
    world.change(Change::Closed);
    tale.ran(world.closed());
    tale.log("branch");
    tale.refs();
    tale.comments();
    tale.writes();
    tale.ends("closed");
}
