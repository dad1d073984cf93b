//! What a job is started with: events and requests that are not what they should be are refused in
//! a sentence, and nothing is written for them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::ci_security::{Asked, inner, without_landlock};
use crate::forge_job::{GATE, Job, ONE_JOB};
use crate::forge_world::{Event, ForgeWorld, HEAD, PULL};

/// That the job was refused before it wrote anything, and did not stumble.
#[track_caller]
fn is_refused(world: &ForgeWorld, job: &Job, refs: &BTreeMap<String, String>, why: &str) {
    assert!(matches!(job.code, Some(2 | 5)), "{why}: {job:?}");
    assert!(
        job.err.contains(why) || job.out.contains(why),
        "{why:?} is not said: {job:?}"
    );
    assert!(
        !job.err.contains("panicked") && job.err.len() < 4_000,
        "{job:?}"
    );
    assert_eq!(
        (world.writes(), job.output("go")),
        (Vec::new(), ""),
        "{job:?}"
    );
    assert_eq!(world.remote_refs(), *refs);
}

#[test]
fn pull_request_target_is_refused() {
    let world = ForgeWorld::start();
    let refs = world.remote_refs();
    let event = Event {
        name: "pull_request_target",
        ..world.pull_request("opened")
    };
    for stage in ["", "intake"] {
        world.workflow_run(&event);
        let job = world.omk_ci(stage, &event, &[]);
        assert_eq!(job.code, Some(2), "{job:?}");
        is_refused(
            &world,
            &job,
            &refs,
            "start this workflow on `pull_request` instead",
        );
    }
}

#[test]
fn an_event_of_a_strange_shape_is_a_sentence_and_not_a_crash() {
    let world = ForgeWorld::start();
    let refs = world.remote_refs();
    let huge = serde_json::from_str::<Value>("1e308").unwrap();
    let deep = (0..200).fold(json!({}), |inner, _| json!({"issue": inner}));
    for payload in [
        json!(null),
        json!([]),
        json!({}),
        json!("issue_comment"),
        json!({"action": "created"}),
        json!({"action": "created", "issue": {"number": PULL}}),
        json!({"action": "created", "issue": {"number": "12"}, "comment": {"id": 1}}),
        json!({"action": "created", "issue": {"number": -12}, "comment": {"id": 1}}),
        json!({"action": "created", "issue": {"number": 1.5}, "comment": {"id": 1}}),
        json!({"action": "created", "issue": {"number": huge}, "comment": {"id": 1}}),
        json!({"action": ["created"], "issue": {"number": PULL}, "comment": {"id": 1}}),
        json!({"action": "created", "issue": {"number": PULL}, "comment": {"id": "1/../2"}}),
        json!({"action": "created", "issue": {"number": PULL}, "comment": null}),
        deep,
    ] {
        let event = Event {
            name: "issue_comment",
            payload,
        };
        let job = world.omk_ci("intake", &event, &[]);
        is_refused(
            &world,
            &job,
            &refs,
            "failed to read the payload of the event issue_comment",
        );
    }
    // What is well formed and wrong leads nowhere either.
    let of = |number: u64, id: u64, action: &str| {
        let issue = json!({"number": number, "pull_request": {}});
        Event {
            name: "issue_comment",
            payload: json!({"action": action, "issue": issue, "comment": {"id": id}}),
        }
    };
    let before = world.writes();
    for event in [
        of(1 << 52, 1 << 52, "created"),
        of(PULL, 999_999, "created"),
        of(PULL, 1, "edited\n::set-output name=go::true"),
    ] {
        let job = world.omk_ci("intake", &event, &[]);
        assert_ne!(job.output("go"), "true", "{job:?}");
        assert!(!job.err.contains("panicked"), "{job:?}");
        assert!(
            !job.out.lines().any(|line| line.starts_with("::set-output")),
            "{job:?}"
        );
        assert_eq!(world.writes(), before, "{job:?}");
    }
}

#[test]
fn a_request_that_the_gate_job_did_not_write_is_refused_by_every_later_job() {
    let world = ForgeWorld::start();
    let event = world.comments("maintainer", "/omk run");
    let asked = Asked::of(&world, event.clone());
    let honest = asked.accepted();
    let (refs, written) = (world.remote_refs(), world.writes());
    let with = |change: &dyn Fn(&mut Value)| {
        let mut request = honest.clone();
        change(&mut request);
        request.to_string()
    };
    for (why, request) in [
        (
            "is about another repository",
            with(&|request| request["repository"] = json!("acme/gadget")),
        ),
        (
            "is not what the intake job wrote",
            with(&|request| request["scope"] = json!("../main")),
        ),
        (
            "is not what the intake job wrote",
            with(&|request| request["base"] = json!("main")),
        ),
        (
            "is not what the intake job wrote",
            with(&|request| request["extra"] = json!(1)),
        ),
        (
            "is not what the intake job wrote",
            with(&|request| drop(request.as_object_mut().unwrap().remove("plan"))),
        ),
        ("is not what the intake job wrote", "{".to_owned()),
        ("is not what the intake job wrote", "[".repeat(100_000)),
        (
            "is of version 99",
            with(&|request| request["version"] = json!(99)),
        ),
        ("is empty", String::new()),
    ] {
        for stage in ["run", "judge", "publish"] {
            let job = world.omk_ci(stage, &event, &[("OMK_REQUEST", &request)]);
            assert!(matches!(job.code, Some(2)), "{stage}: {job:?}");
            assert!(
                job.err.contains(why),
                "{stage}: {why:?} is not said: {job:?}"
            );
            assert_eq!(
                (world.writes(), world.remote_refs()),
                (written.clone(), refs.clone()),
                "{stage}"
            );
        }
    }
    // A digest or a commit that is not what was decided on: the plan is read anew, and does not
    // fit.
    let number = asked.event.payload["comment"]["id"].as_u64().unwrap();
    assert!(number > 0);
    world.checkout("job-4001-run/workspace", &world.tip(HEAD));
    for (why, request) in [
        (
            "its digest differs",
            with(&|request| request["plan"]["digest"] = json!("0".repeat(64))),
        ),
        (
            "does not have it",
            with(&|request| request["plan"]["commit"] = json!("0".repeat(40))),
        ),
        (
            "is not a path inside the repository",
            with(&|request| request["plan"]["path"] = json!("../omk.yaml")),
        ),
    ] {
        let job = world.omk_ci("run", &event, &[("OMK_REQUEST", &request)]);
        let said = "the plan of this run cannot be read";
        assert!(
            job.code == Some(3) && job.err.contains(said) && job.err.contains(why),
            "{why}: {job:?}"
        );
        assert_eq!(
            (world.writes(), world.remote_refs()),
            (written.clone(), refs.clone())
        );
    }
}

/// A plan with an agent.
const PROMPT: &str = "\
version: 1
name: widget
agent: { version: \"2.1.0\", model: kimi-k3, base_url: \"http://127.0.0.1:9\", key_env: MODEL_KEY }
gates:
  - { id: test, run: sh check.sh }
tasks:
  - { id: fix, prompt: Fix it, write_set: [fix.txt], gates: [test] }
";

#[test]
fn an_agent_beside_a_token_that_can_write_needs_a_sandbox() {
    let world = ForgeWorld::with_plan(PROMPT);
    let (event, refs) = (
        world.comments("maintainer", "/omk run"),
        world.remote_refs(),
    );
    let run = world.workflow_run(&event);
    world.checkout(&format!("job-{run}-all/workspace"), &world.tip(HEAD));
    let job = world.omk_ci("", &event, &[("OMK_UNSAFE_ONE_JOB", "yes, please")]);
    is_refused(&world, &job, &refs, "OMK_UNSAFE_ONE_JOB");
    let job =
        without_landlock(&world, &event, &[("OMK_KEY", "sk-0123456789abcdefABCDEF")]).exits(2);
    let job = job
        .says("no sandbox (Landlock)")
        .says("unsafe-one-job: true");
    assert!(
        !job.out.contains("sk-0123") && !job.err.contains("sk-0123"),
        "{job:?}"
    );
    assert_eq!(world.remote_refs(), refs);
    assert_eq!(world.reactions(&event), "eyes, confused");
    assert_eq!(world.checks(&world.tip(HEAD))[0]["conclusion"], "failure");
    let sticky = world.replies(PULL).pop().unwrap();
    assert!(inner(&sticky).contains("no sandbox (Landlock)"), "{sticky}");
}

#[test]
fn a_token_that_is_not_ours_or_is_not_there_starts_nothing() {
    let world = ForgeWorld::start();
    let (event, refs) = (
        world.comments("maintainer", "/omk run"),
        world.remote_refs(),
    );
    world.workflow_run(&event);
    let stale = world.door.token(ONE_JOB);
    world.door.control("expire", &json!({"token": stale}));
    for (token, code, why) in [
        ("", 3, "there is no token to speak to the forge with"),
        (stale.as_str(), 3, "the token is refused (401)"),
        (
            "ghs_\r\nX-Evil: 1",
            2,
            "the token is empty, or holds characters that no token has",
        ),
    ] {
        let job = world.omk_ci("intake", &event, &[("OMK_TOKEN", token)]);
        assert!(
            job.code == Some(code) && job.err.contains(why),
            "{why}: {job:?}"
        );
        assert_eq!(
            (world.writes(), world.remote_refs()),
            (Vec::new(), refs.clone())
        );
        assert!(
            token.is_empty() || !(job.out.contains(token) || job.err.contains(token)),
            "{job:?}"
        );
    }
    // It may read nothing of what decides.
    let few: Vec<_> = GATE
        .iter()
        .copied()
        .filter(|(name, _)| *name != "contents")
        .collect();
    let job = world.omk_ci("intake", &event, &[("OMK_TOKEN", &world.door.token(&few))]);
    assert!(
        job.code == Some(3) && job.err.contains("the token may not do that (403"),
        "{job:?}"
    );
    assert_eq!(job.output("go"), "", "{job:?}");
}
