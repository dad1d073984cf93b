//! The forge has trouble while a run is accepted and published: nothing is lost, nothing is there
//! twice, all is said.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::ci_flow_one_job::signal;
use crate::ci_flow_split::{Jobs, Split, ours, seen};
use crate::forge_job::left;
use crate::forge_world::{ForgeWorld, HEAD, PULL};

/// A run that is judged, and waits to be published.
fn judged(world: &ForgeWorld) -> Split<'_> {
    let mut split = Split::start(world, world.comments("maintainer", "/omk run"));
    split.intake().exits(0);
    split.run().exits(0);
    split.judge().exits(0);
    split
}

/// That everything of a good run is there, and once.
#[track_caller]
fn is_whole(world: &ForgeWorld, split: &Split<'_>) {
    assert_eq!(ours(world).len(), 2, "{:?}", ours(world));
    let result = world.tip("omk/run/pr-12");
    let all = |commit: &str| {
        let path = format!("/commits/{commit}/check-runs?per_page=100&filter=all");
        let checks = world.get(&path)["check_runs"].as_array().unwrap().clone();
        let mut names: Vec<String> = checks
            .iter()
            .map(|check| {
                format!(
                    "{} {}",
                    check["name"].as_str().unwrap(),
                    check["conclusion"].as_str().unwrap_or("-")
                )
            })
            .collect();
        names.sort();
        names
    };
    assert_eq!(all(&split.base), ["omk success"]);
    assert_eq!(all(&result), ["omk / test success", "omk success"]);
    let pulls = world.get("/pulls?state=all&per_page=100");
    assert_eq!(pulls.as_array().unwrap().len(), 2, "{pulls:#}");
    assert_eq!(world.replies(PULL).len(), 1, "{:#?}", world.replies(PULL));
    assert!(
        world.replies(PULL)[0].contains("**Delivered** as pull request"),
        "{:#?}",
        world.replies(PULL)
    );
    assert_eq!(world.reactions(&split.event), "eyes, rocket");
}

/// What is written, by the path that a fault is for.
const WRITES: &[(&str, &str)] = &[
    ("POST", "/check-runs$"),
    ("PATCH", "/check-runs/\\d+$"),
    ("POST", "/issues/\\d+/comments$"),
    ("PATCH", "/issues/comments/\\d+$"),
    ("POST", "/issues/comments/\\d+/reactions$"),
    ("POST", "/acme/widget/pulls$"),
];

/// A whole run while the first write of each kind goes wrong like this.
fn survives(fault: &Value) {
    let world = ForgeWorld::start();
    // What people write is not what is to fail.
    let event = world.comments("maintainer", "/omk run");
    for (method, path) in WRITES {
        let mut fault = fault.clone();
        (fault["method"], fault["path"]) = ((*method).into(), (*path).into());
        world.fault(&fault);
    }
    let mut split = Split::start(&world, event);
    let jobs: Jobs = split.all();
    assert_eq!(jobs.codes(), [0; 4], "{jobs:#?}");
    is_whole(&world, &split);
}

#[test]
fn a_limit_that_names_its_end_is_waited_for() {
    survives(
        &json!({"status": 429, "headers": {"Retry-After": "1"}, "message": "API rate limit exceeded"}),
    );
}

#[test]
fn a_secondary_limit_that_names_its_end_is_waited_for() {
    let message =
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
    survives(&json!({"status": 403, "headers": {"Retry-After": "1"}, "message": message}));
}

#[test]
fn a_write_that_was_not_done_is_done_again() {
    survives(&json!({"status": 500, "message": "Server Error"}));
}

#[test]
fn a_write_that_was_done_is_not_done_again() {
    survives(&json!({"status": 502, "when": "after", "message": "Bad Gateway"}));
}

#[test]
fn a_write_whose_answer_never_came_is_not_done_again() {
    survives(&json!({"when": "after", "drop": true}));
}

#[test]
fn a_read_that_fails_is_tried_again() {
    let world = ForgeWorld::start();
    let event = world.comments("maintainer", "/omk run");
    for path in [
        "/acme/widget$",
        "/branches/main$",
        "/pulls/12$",
        "/permission$",
        "/contents/omk.yaml$",
        "/activity$",
        "/pulls$",
    ] {
        world.fault(&json!({"method": "GET", "path": path, "status": 500}));
    }
    let mut split = Split::start(&world, event);
    let jobs = split.all();
    assert_eq!(jobs.codes(), [0; 4], "{jobs:#?}");
    is_whole(&world, &split);
}

#[test]
fn a_head_that_moved_since_the_gate_is_said_and_the_result_is_delivered() {
    let world = ForgeWorld::start();
    let split = judged(&world);
    world.git(&["checkout", "--quiet", HEAD]);
    let moved = world.pushes("contributor", HEAD, &[("feature.txt", "all of it\n")]);
    split.publish().exits(0).says("has moved since");
    is_whole(&world, &split);
    let reply = &world.replies(PULL)[0];
    assert!(
        reply.contains(&format!("has moved since, to {}", &moved[..12])),
        "{reply}"
    );
}

#[test]
fn a_token_that_expires_after_the_push_loses_nothing() {
    let world = ForgeWorld::start();
    let split = judged(&world);
    world.fault(&json!({"method": "POST", "path": "/acme/widget/pulls$", "status": 401, "message": "Bad credentials"}));
    let job = split.publish().exits(3);
    assert_eq!(ours(&world).len(), 2, "it was pushed before");
    assert_eq!(
        (job.output("verdict"), job.output("pull-request")),
        ("ready", "")
    );
    assert!(job.summary.contains("ready"), "{}", job.summary);
    let undone = "so omk could not open the pull request, write the checks, write the comment, react to the comment";
    job.says("the token is not good any more (401)")
        .says(undone)
        .says("pushed: refs/heads/omk/run/pr-12");
    assert_eq!(seen(&world, &split.base), ["omk: in_progress"]);
    // With a fresh one it is all there.
    split.publish().exits(0);
    is_whole(&world, &split);
}

/// The job that publishes, with its checkout and the bundle, not yet started.
fn ready(world: &ForgeWorld, split: &Split<'_>) -> (std::process::Command, std::path::PathBuf) {
    split.fresh("publish", Some("run"));
    let handed = [
        ("OMK_REQUEST", split.request.as_str()),
        ("OMK_JUDGEMENT", split.judgement.as_str()),
    ];
    world.job("publish", &split.event, &handed)
}

#[test]
fn a_token_that_is_refused_from_the_start_is_said() {
    let world = ForgeWorld::start();
    let split = judged(&world);
    let (mut omk, place) = ready(&world, &split);
    world.fault(&json!({"path": "^/(repos/|acme/)", "status": 401, "times": 1000, "message": "Bad credentials"}));
    let job = left(&omk.output().unwrap(), &place);
    world.door.control("faults", &json!({"clear": true}));
    assert_eq!(job.code, Some(3), "{job:#?}");
    assert_eq!(ours(&world), [""; 0]);
    job.says("refuses the token");
    split.publish().exits(0);
    is_whole(&world, &split);
}

#[test]
fn a_personal_token_writes_statuses_where_it_may_write_no_checks() {
    let world = ForgeWorld::start();
    let mut split = Split::start(&world, world.comments("contributor", "/omk run"));
    split.env.push(("OMK_TOKEN", "ghp_maintainer"));
    let jobs = split.all();
    assert_eq!(jobs.codes(), [0; 4], "{jobs:#?}");
    assert_eq!(seen(&world, &split.base), [""; 0]);
    for commit in [split.base.clone(), world.tip("omk/run/pr-12")] {
        let status = world.get(&format!("/commits/{commit}/status"));
        assert_eq!(
            (&status["state"], &status["statuses"][0]["context"]),
            (&"success".into(), &"omk".into()),
            "{status:#}"
        );
    }
    let comments = world.comments_of(PULL);
    let sticky = comments.last().unwrap()["body"].as_str().unwrap();
    assert!(
        sticky
            .contains("the token may not write checks: a commit status tells the verdict instead"),
        "{sticky}"
    );
    assert!(sticky.contains("**Delivered** as pull request"), "{sticky}");
    jobs.intake.says("this token may not write checks");
}

#[test]
fn checks_that_are_refused_are_no_reason_to_deliver_nothing() {
    let world = ForgeWorld::start();
    let refused = "Resource not accessible by integration";
    world.fault(&json!({"method": "POST", "path": "/check-runs", "status": 403, "times": 99, "message": refused}));
    let mut split = Split::start(&world, world.comments("maintainer", "/omk run"));
    let jobs = split.all();
    assert_eq!(jobs.codes(), [0; 4], "{jobs:#?}");
    let replies = world.replies(PULL);
    assert!(
        replies.len() == 1 && replies[0].contains("this text alone tells the verdict"),
        "{replies:#?}"
    );
    assert!(
        replies[0].contains("**Delivered** as pull request"),
        "{replies:#?}"
    );
    assert_eq!(world.reactions(&split.event), "eyes, rocket");
}

#[test]
fn a_repository_that_lets_actions_open_no_pull_requests_gets_a_link() {
    let world = ForgeWorld::start();
    let split = judged(&world);
    let refused = "GitHub Actions is not permitted to create or approve pull requests.";
    world.fault(
        &json!({"method": "POST", "path": "/acme/widget/pulls$", "status": 403, "times": 9, "message": refused}),
    );
    let job = split.publish().exits(0);
    assert_eq!(ours(&world).len(), 2);
    let reply = &world.replies(PULL)[0];
    let compare = format!(
        "{}/acme/widget/compare/feature...omk/run/pr-12?expand=1",
        world.door.url
    );
    assert!(reply.contains(&compare), "{reply}");
    assert!(
        reply.contains("Allow GitHub Actions to create and approve pull requests"),
        "{reply}"
    );
    assert_eq!(seen(&world, &split.base), ["omk: success"]);
    assert_eq!(world.reactions(&split.event), "eyes, rocket");
    assert_eq!(job.output("branch"), "omk/run/pr-12");
    job.says("the result is pushed and safe");
}

#[test]
fn comments_that_are_deleted_meanwhile_are_missed_by_nobody() {
    let world = ForgeWorld::start();
    let split = judged(&world);
    let asked = split.event.payload["comment"]["id"].as_u64().unwrap();
    for comment in world.comments_of(PULL) {
        let deleted = world.api(
            "maintainer",
            "DELETE",
            &format!("/issues/comments/{}", comment["id"]),
            &Value::Null,
        );
        assert_eq!(deleted.status, 204, "{deleted:?}");
    }
    let job = split.publish().exits(0);
    assert_eq!(job.output("pull-request"), "13");
    let replies = world.replies(PULL);
    assert!(
        replies.len() == 1 && replies[0].contains("**Delivered** as pull request"),
        "{replies:#?}"
    );
    assert_eq!(
        world.state()["reactions"][asked.to_string()]
            .as_array()
            .map_or(0, Vec::len),
        1,
        "the eyes of the gate"
    );
    assert_eq!(seen(&world, &split.base), ["omk: success"]);
}

#[test]
fn a_bundle_that_is_gone_is_said() {
    let world = ForgeWorld::start();
    let mut split = judged(&world);
    std::fs::remove_dir_all(split.bundle("run")).unwrap();
    split.judge().exits(3).says("there is nothing to judge");
    let job = split.publish().exits(5);
    assert_eq!(job.output("verdict"), "failed_infra");
    assert_eq!(ours(&world), [""; 0]);
    assert_eq!(seen(&world, &split.base), ["omk: failure"]);
    assert_eq!(world.reactions(&split.event), "eyes, confused");
    let replies = world.replies(PULL);
    assert!(
        replies.len() == 1 && replies[0].contains("or its artifact is gone"),
        "{replies:#?}"
    );
}

#[test]
fn a_publication_that_is_ended_in_the_middle_can_be_repeated() {
    for path in ["/acme/widget/pulls$", "/check-runs$"] {
        let world = ForgeWorld::start();
        let split = judged(&world);
        split.fresh("publish", Some("run"));
        // It is done, which a run of another workflow shows, and the answer takes its time.
        let done =
            json!({"path": "/_test/runs", "body": {"id": 9, "path": ".github/workflows/done.yml"}});
        world.fault(
            &json!({"method": "POST", "path": path, "when": "after", "do": [done], "delay": 5}),
        );
        let handed = [
            ("OMK_REQUEST", split.request.as_str()),
            ("OMK_JUDGEMENT", split.judgement.as_str()),
        ];
        let (mut omk, _) = world.job("publish", &split.event, &handed);
        let mut child = omk
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while world.state()["runs"]["9"].is_null() {
            assert!(
                child.try_wait().unwrap().is_none(),
                "it ended before {path}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        signal(&child, Signal::TERM);
        assert!(!child.wait().unwrap().success());
        // That request has no status yet.
        world.forgive(1);
        split.publish().exits(0);
        is_whole(&world, &split);
    }
}

#[test]
fn a_publication_that_cannot_begin_says_so_where_people_look() {
    let world = ForgeWorld::start();
    let split = judged(&world);
    // The plan is on `main`, which the checkout of the head does not have.
    let (mut omk, place) = ready(&world, &split);
    world.fault(&json!({"path": "/git-upload-pack$", "status": 500, "times": 99}));
    left(&omk.output().unwrap(), &place).exits(5);
    world.door.control("faults", &json!({"clear": true}));
    assert_eq!(ours(&world), [""; 0]);
    assert_eq!(seen(&world, &split.base), ["omk: failure"]);
    assert_eq!(world.reactions(&split.event), "eyes, confused");
    let replies = world.replies(PULL);
    assert!(
        replies.len() == 1 && replies[0].contains("The result could not be published"),
        "{replies:#?}"
    );
    // What was judged is there still.
    split.publish().exits(0);
    assert_eq!(seen(&world, &split.base), ["omk: success"]);
    assert!(
        world.replies(PULL)[0].contains("**Delivered** as pull request"),
        "{:#?}",
        world.replies(PULL)
    );
}

#[test]
fn the_summary_tells_also_why_there_is_nothing_to_publish() {
    let world = ForgeWorld::start();
    let split = judged(&world);
    std::fs::remove_dir_all(split.bundle("run")).unwrap();
    world.fault(&json!({"method": "PATCH", "path": "/issues/comments/", "status": 403, "times": 9, "message": "No"}));
    let job = split.publish().exits(5);
    assert!(job.summary.contains("or its artifact is gone"), "{job:#?}");
}
