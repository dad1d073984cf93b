//! GitLab does not answer, answers slowly, without end, or nonsense: jobs end with a clear error,
//! and nothing is lost.

use serde_json::json;

use crate::gitlab_fault_steps::Steps;
use crate::gitlab_world::{GitLabWorld, REQUEST};

/// An address where nobody listens.
const NOWHERE: (&str, &str) = ("CI_API_V4_URL", "http://127.0.0.1:9/api/v4");

#[test]
fn an_api_that_is_gone_for_a_whole_job_loses_nothing() {
    let world = GitLabWorld::start();
    let mut steps = Steps::start(&world);
    steps.env = vec![NOWHERE];
    steps
        .job("intake")
        .exits(5)
        .says("cannot connect to http://127.0.0.1:9/api/v4");
    assert_eq!(world.awards(&steps.note), "");
    steps.env.clear();
    // It was back for the retry, and is gone again for the run, which needs git alone.
    steps.again("intake").exits(0);
    steps.env = vec![NOWHERE];
    let run = steps.job("run").exits(0);
    assert!(
        run.files.contains_key("bundle/bundle.json"),
        "{:?}",
        run.files.keys()
    );
    steps.job("judge").exits(5).says("cannot connect to");
    steps.job("publish").exits(5).says("cannot connect to");
    steps.env.clear();
    steps.again("judge").exits(0);
    steps.again("publish").exits(0);
    steps.is_whole();
}

#[test]
fn a_git_that_is_gone_is_said_and_tried_again_by_hand() {
    let world = GitLabWorld::start();
    let mut steps = Steps::start(&world);
    steps.job("intake").exits(0);
    world.fault(&json!({"path": "/git-upload-pack$", "status": 503, "times": 99}));
    steps.job("run").exits(5);
    steps.job("judge").exits(3).says("the run could not start");
    world.door.control("faults", &json!({"clear": true}));
    steps.job("publish");
    assert!(
        steps.reply().contains("The run could not start"),
        "{}",
        steps.reply()
    );
    // The runner's part of the retry: the same pipeline, new jobs.
    for command in ["run", "judge", "publish"] {
        steps.again(command).exits(0);
    }
    assert!(
        steps.reply().contains("**Delivered** as merge request"),
        "{}",
        steps.reply()
    );
    assert_eq!(steps.refs().len(), 2);
}

#[test]
fn a_read_that_fails_at_gitlab_is_tried_again_and_a_slow_one_waited_for() {
    let world = GitLabWorld::start();
    let steps = Steps::start(&world);
    for path in [
        "/api/v4/user$",
        "/projects/7$",
        "/branches/main$",
        "/merge_requests/12$",
        "/notes/\\d+$",
        "/award_emoji",
        "/members/all/",
        "/versions",
        "/files/",
        "/statuses\\?",
        "/pipelines\\?",
        "/pipelines/\\d+/jobs",
        "/artifacts$",
        "/info/refs",
    ] {
        world.fault(
            &json!({"method": "GET", "path": path, "status": 502, "raw": "<html>", "times": 2}),
        );
    }
    for path in ["/notes\\?", "/merge_requests\\?"] {
        world.fault(&json!({"method": "GET", "path": path, "drop": true}));
        world.fault(&json!({"method": "GET", "path": path, "delay": 0.3}));
    }
    steps.all();
    steps.is_whole();
}

#[test]
fn nonsense_is_called_so_and_nothing_is_done_for_it() {
    for (path, raw) in [
        ("/api/v4/user$", "{\"id\": "),
        ("/notes/\\d+$", "<html>maintenance</html>"),
        ("/award_emoji", "{\"awards\": 7}"),
        ("/award_emoji", ""),
    ] {
        let world = GitLabWorld::start();
        let steps = Steps::start(&world);
        world.fault(&json!({"method": "GET", "path": path, "raw": raw, "times": 9}));
        let job = steps.job("intake");
        assert!(matches!(job.code, Some(3 | 5)), "{path}: {job:#?}");
        job.says("error: failed to ").says("makes no sense");
        assert!(world.writes().is_empty(), "{path}: {:?}", world.writes());
    }
}

#[test]
fn a_list_without_end_is_given_up() {
    let world = GitLabWorld::start();
    let mut steps = Steps::judged(&world);
    let more = json!({"Link": "<http://127.0.0.1/again>; rel=\"next\"", "X-Next-Page": "2"});
    world.fault(
        &json!({"method": "GET", "path": "/notes\\?", "raw": "[]", "headers": more, "times": 999}),
    );
    // It is delivered all the same.
    steps
        .job("publish")
        .exits(0)
        .says("the list has more than 30 pages");
    assert_eq!(
        (steps.refs().len(), world.awards(&steps.note).as_str()),
        (2, "eyes, rocket")
    );
    world.door.control("faults", &json!({"clear": true}));
    assert!(steps.reply().contains("omk: accepted"), "{}", steps.reply());
    steps.again("publish").exits(0);
    steps.is_whole();
}

#[test]
fn a_pipeline_whose_jobs_have_no_end_is_said() {
    let world = GitLabWorld::start();
    let steps = Steps::judged(&world);
    let more = json!({"Link": "<http://127.0.0.1/again>; rel=\"next\""});
    world.fault(
        &json!({"method": "GET", "path": "/jobs\\?", "raw": "[]", "headers": more, "times": 999}),
    );
    steps
        .job("publish")
        .exits(5)
        .says("the list has more than 30 pages");
    assert!(
        steps.reply().contains("The result could not be published"),
        "{}",
        steps.reply()
    );
    assert_eq!(world.replies(REQUEST).len(), 1);
}
