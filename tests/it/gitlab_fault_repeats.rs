//! The same thing happens twice at GitLab: jobs that are retried, pipelines that overlap, a head
//! that moves meanwhile.

use serde_json::json;

use crate::forge_world::PLAN;
use crate::gitlab_fault_steps::Steps;
use crate::gitlab_world::{BOT, GitLabWorld, REQUEST, SOURCE};

#[test]
fn a_publication_that_is_retried_at_gitlab_writes_nothing_twice() {
    let world = GitLabWorld::start();
    let mut steps = Steps::judged(&world);
    steps.job("publish").exits(0);
    // Of an award GitLab itself says that it is there.
    let writes = || {
        world
            .writes()
            .into_iter()
            .filter(|write| !write.contains("/award_emoji"))
            .collect::<Vec<_>>()
    };
    let before = writes();
    steps.again("publish").exits(0);
    assert_eq!(writes(), before, "there was nothing left to write");
    steps.is_whole();
    // Also where all that was before it is tried again.
    for command in ["run", "judge", "publish"] {
        steps.again(command).exits(0);
    }
    assert_eq!(
        (steps.refs().len(), world.awards(&steps.note).as_str()),
        (2, "eyes, rocket")
    );
    assert_eq!(world.state()["merge_requests"].as_array().unwrap().len(), 2);
    assert_eq!(steps.statuses(&steps.head), ["omk success"]);
    assert!(
        steps.reply().contains("**Delivered** as merge request"),
        "{}",
        steps.reply()
    );
}

#[test]
fn a_gate_that_is_retried_starts_nothing_twice() {
    let world = GitLabWorld::start();
    let mut steps = Steps::start(&world);
    steps.job("intake").exits(0);
    let writes = world.writes();
    steps
        .again("intake")
        .exits(0)
        .says("an earlier try of this job has accepted run");
    assert_eq!(world.writes(), writes);
    for command in ["run", "judge", "publish"] {
        steps.job(command).exits(0);
    }
    steps.is_whole();
    // What has ended is not begun again.
    steps.again("intake").exits(0).says("answered already");
    steps.again("publish").exits(0).says("nothing to run");
    steps.is_whole();
}

#[test]
fn a_poll_that_is_retried_goes_on_with_its_run() {
    let world = GitLabWorld::start();
    let mut steps = Steps::start(&world);
    steps.pipeline = world.pipeline("schedule", "maintainer");
    steps.env.push(("OMK_POLL", "true"));
    let request = steps.job("intake").exits(0).files["request.json"].clone();
    let again = steps.again("intake").exits(0).files["request.json"].clone();
    assert_eq!(request, again);
    assert_ne!(request.trim(), "null");
    // Another pipeline's poll has nothing to do with it.
    let other = world.pipeline("schedule", "maintainer");
    let told = world
        .omk_ci("intake", &other, &[("OMK_POLL", "true")])
        .exits(0);
    assert_eq!(told.files["request.json"].trim(), "null");
}

#[test]
fn a_note_that_two_pipelines_see_at_once_is_answered_by_one() {
    let world = GitLabWorld::start();
    let steps = Steps::start(&world);
    // The other one marks it between this one's look and its own mark.
    let other =
        json!({"path": "award", "body": {"id": steps.note["id"], "name": "eyes", "username": BOT}});
    world.fault(&json!({"method": "GET", "path": "/award_emoji", "when": "after", "do": [other]}));
    steps.job("intake").exits(0).says("answered already");
    steps.job("run").exits(0).says("nothing to run");
    steps.job("judge").exits(0);
    steps.job("publish").exits(0);
    assert_eq!((world.replies(REQUEST).len(), steps.refs().len()), (0, 0));
    assert_eq!(
        (
            steps.statuses(&steps.head).len(),
            world.awards(&steps.note).as_str()
        ),
        (0, "eyes")
    );
    // A poll meets it, too.
    let poll = world.pipeline("schedule", "maintainer");
    world
        .omk_ci("intake", &poll, &[("OMK_POLL", "true")])
        .exits(0);
    assert_eq!(world.replies(REQUEST).len(), 0);
}

#[test]
fn an_older_run_that_ends_later_gives_way() {
    let world = GitLabWorld::start();
    let mut older = Steps::judged(&world);
    let newer = Steps::start(&world);
    newer.all();
    let (told, tip) = (newer.reply(), world.tip("omk/run/mr-12"));
    older.job("publish").exits(0).says("a newer run");
    assert_eq!(
        (newer.reply(), world.tip("omk/run/mr-12")),
        (told.clone(), tip.clone())
    );
    assert_eq!(world.state()["merge_requests"].as_array().unwrap().len(), 2);
    assert_eq!(world.awards(&newer.note), "eyes, rocket");
    // So does one that has nothing to show.
    world.door.control(
        "artifacts",
        &json!({"job": older.pipeline.jobs["omk-run"], "gone": true}),
    );
    older.again("publish").exits(5);
    assert_eq!((newer.reply(), world.tip("omk/run/mr-12")), (told, tip));
    let shown = world.status_lines(&newer.head);
    assert!(
        shown.len() == 1 && shown[0].starts_with("omk: success"),
        "{shown:?}"
    );
}

/// A run on a head that moves before that job; what its note says in the end.
fn moved_before(command: &str, plan: &str) -> (GitLabWorld, String) {
    let world = GitLabWorld::with_plan(plan);
    let steps = Steps::start(&world);
    for stage in ["intake", "run", "judge", "publish"] {
        if stage == command {
            world.git(&["checkout", "--quiet", SOURCE]);
            world.pushes("contributor", SOURCE, &[("feature.txt", "all of it\n")]);
        }
        steps.job(stage).exits(0);
    }
    assert_eq!(steps.refs().len(), 2);
    let told = steps.reply();
    (world, told)
}

#[test]
fn a_head_that_moves_after_the_gate_is_said_and_the_result_is_delivered_at_gitlab() {
    for command in ["run", "publish"] {
        let (world, told) = moved_before(command, PLAN);
        let tip = world.tip(SOURCE);
        assert!(
            told.contains(&format!("has moved since, to {}", &tip[..12])),
            "{told}"
        );
        assert!(told.contains("**Delivered** as merge request"), "{told}");
    }
}

#[test]
fn a_head_that_moves_is_not_pushed_onto_at_gitlab() {
    let plan = PLAN.replace("as: pull-request", "as: push");
    let (world, told) = moved_before("judge", &plan);
    assert_eq!(
        world.git(&["rev-parse", "HEAD"]),
        world.tip(SOURCE),
        "what the contributor pushed last is there"
    );
    assert!(told.contains("**Delivered** as merge request"), "{told}");
    // And where it moves between the look and the push.
    let world = GitLabWorld::with_plan(&plan);
    let steps = Steps::judged(&world);
    let moved = json!({"path": "move", "body": {"branch": SOURCE, "commit": world.tip("main"), "username": "contributor"}});
    world.fault(&json!({"path": "service=git-receive-pack", "do": [moved]}));
    steps.job("publish").exits(0);
    assert_eq!(world.tip(SOURCE), world.tip("main"));
    assert!(
        steps.reply().contains("**Delivered** as merge request"),
        "{}",
        steps.reply()
    );
}

#[test]
fn a_head_that_moves_before_the_gate_needs_its_commit_named() {
    let world = GitLabWorld::start();
    let steps = Steps::start(&world);
    world.git(&["checkout", "--quiet", SOURCE]);
    world.door.control("push_age", &json!({"seconds": -5}));
    let moved = world.pushes("contributor", SOURCE, &[("feature.txt", "all of it\n")]);
    steps.job("intake").exits(0);
    steps.job("run").exits(0).says("nothing to run");
    assert_eq!(steps.refs().len(), 0);
    assert!(steps.reply().contains(&moved[..12]), "{}", steps.reply());
    assert_eq!(world.awards(&steps.note), "eyes, confused");
}
