//! Each kind of write at GitLab goes wrong once: nothing is lost, nothing is there twice.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::ci_flow_one_job::signal;
use crate::gitlab_fault_steps::Steps;
use crate::gitlab_world::GitLabWorld;

/// What is written, by the path that a fault is for.
const WRITES: &[(&str, &str)] = &[
    ("POST", "/merge_requests/12/notes$"),
    ("PUT", "/notes/\\d+$"),
    ("POST", "/award_emoji$"),
    ("POST", "/statuses/"),
    ("POST", "/projects/7/merge_requests$"),
    ("POST", "/git-receive-pack$"),
];

/// A whole run while the first write of each kind goes wrong in the next of these ways.
fn survives(faults: &[Value]) {
    let world = GitLabWorld::start();
    let steps = Steps::start(&world);
    for ((method, path), fault) in WRITES.iter().zip(faults.iter().cycle()) {
        let mut fault = fault.clone();
        (fault["method"], fault["path"]) = ((*method).into(), (*path).into());
        world.fault(&fault);
    }
    steps.all();
    steps.is_whole();
}

#[test]
fn a_limit_that_names_its_end_is_waited_for_at_gitlab() {
    let body = json!({"message": {"error": "This endpoint has been requested too many times. Try again later."}});
    let after = json!({"status": 429, "headers": {"Retry-After": "1"}, "body": body});
    // A second that is over: a wait of one, whatever the clocks say.
    let reset = json!({"status": 429, "headers": {"RateLimit-Remaining": "0", "RateLimit-Reset": "1"}, "raw": "Retry later\n"});
    survives(&[after, reset]);
}

#[test]
fn a_write_at_gitlab_that_was_not_done_is_done_again() {
    survives(&[
        json!({"status": 500, "raw": "<html>"}),
        json!({"drop": true}),
        json!({"status": 503}),
    ]);
}

#[test]
fn a_write_at_gitlab_that_was_done_is_not_done_again() {
    survives(&[json!({"when": "after", "drop": true})]);
    survives(&[
        json!({"status": 502, "when": "after"}),
        json!({"raw": "nonsense", "when": "after"}),
    ]);
}

#[test]
fn a_dashboard_at_gitlab_is_there_once() {
    let world = GitLabWorld::start();
    for (method, path) in [("POST", "/issues$"), ("PUT", "/issues/\\d+$")] {
        world.fault(&json!({"method": method, "path": path, "when": "after", "drop": true}));
    }
    for _ in 0..2 {
        let pipeline = world.pipeline("schedule", "maintainer");
        for command in ["intake", "run", "judge", "publish"] {
            world.omk_ci(command, &pipeline, &[]).exits(0);
        }
    }
    let state = world.state();
    assert_eq!(
        state["issues"].as_array().unwrap().len(),
        1,
        "{:#?}",
        state["issues"]
    );
    assert_eq!(
        state["merge_requests"].as_array().unwrap().len(),
        2,
        "12, and the one with the result"
    );
}

#[test]
fn a_publication_that_is_ended_in_the_middle_can_be_repeated_at_gitlab() {
    let world = GitLabWorld::start();
    let mut steps = Steps::judged(&world);
    // It is done, which a new member shows, and the answer takes its time.
    let done = json!({"path": "members", "body": {"username": "drive-by", "access_level": 10}});
    let path = "/projects/7/merge_requests$";
    world
        .fault(&json!({"method": "POST", "path": path, "when": "after", "do": [done], "delay": 5}));
    let members = || world.state()["members"].as_object().unwrap().len();
    let before = members();
    let (mut omk, _) = world.job("publish", &steps.pipeline, &[]);
    let mut child = omk
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while members() == before {
        assert!(child.try_wait().unwrap().is_none(), "it ended before");
        std::thread::sleep(Duration::from_millis(20));
    }
    signal(&child, Signal::TERM);
    assert!(!child.wait().unwrap().success());
    // That request has no status yet.
    world.forgive(1);
    steps.again("publish").exits(0);
    steps.is_whole();
}
