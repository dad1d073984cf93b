//! Checks at GitHub: one for each name, commit and external id, with all its annotations and none
//! of them twice.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use axum::http::Method;
use omk_action::forge::{
    Annotation, AnnotationLevel, CheckState, CheckWanted, Conclusion, ForgeError,
};
use omk_action::id::{CommitId, Moment};
use serde_json::{Value, json};

use crate::github_server::{Fault, Server};

fn commit() -> CommitId {
    "a".repeat(40).parse().unwrap()
}

fn annotation(line: u32) -> Annotation {
    let (path, message) = ("src/api.rs".to_owned(), format!("remark {line}"));
    let level = AnnotationLevel::Failure;
    Annotation {
        path,
        start_line: line,
        end_line: line,
        level,
        message,
        title: String::new(),
    }
}

fn wanted(state: CheckState, annotations: u32) -> CheckWanted {
    let ended = Moment::from_millis(1_795_373_520_000);
    CheckWanted {
        name: "omk / test".into(),
        commit: commit(),
        external_id: "omk/pr-12/20261122t185155z-4f2a9c/777/1".into(),
        state,
        started: Moment::from_millis(1_795_373_515_000),
        completed: matches!(state, CheckState::Completed(_)).then_some(ended),
        title: "3 of 300 failed".into(),
        summary: "| test | result |".into(),
        text: String::new(),
        annotations: (1..=annotations).map(annotation).collect(),
        details_url: Some("https://github.example/acme/widget/actions/runs/777".into()),
    }
}

const BEGINS: CheckState = CheckState::InProgress;
const READY: CheckState = CheckState::Completed(Conclusion::Success);
const FAILED: CheckState = CheckState::Completed(Conclusion::Failure);

/// The messages of all annotations of the only check.
fn remarks(server: &Server) -> Vec<String> {
    let checks = server.kept("/check-runs");
    assert_eq!(checks.len(), 1, "{checks:?}");
    let all = checks[0]["annotations"].as_array().unwrap().clone();
    all.iter()
        .map(|one| one["message"].as_str().unwrap().to_owned())
        .collect()
}

fn all_remarks(count: u32) -> Vec<String> {
    (1..=count).map(|line| format!("remark {line}")).collect()
}

/// How many annotations each write brought.
fn batches(server: &Server) -> Vec<usize> {
    server
        .bodies()
        .iter()
        .map(|body| body["output"]["annotations"].as_array().map_or(0, Vec::len))
        .collect()
}

#[tokio::test]
async fn a_check_begins_and_ends_as_one() {
    let server = Server::start().await;
    let client = server.client();
    let begun = client.put_check(&wanted(BEGINS, 0), None).await.unwrap();
    assert_eq!(
        (begun.state, begun.title.as_str()),
        (BEGINS, "3 of 300 failed")
    );
    let ended = client
        .put_check(&wanted(READY, 0), Some(begun.id))
        .await
        .unwrap();
    assert_eq!((ended.id, ended.state), (begun.id, READY));
    let again = client.put_check(&wanted(READY, 0), None).await.unwrap();
    assert_eq!(again, ended);
    assert_eq!(
        server.writes(),
        [
            "POST /check-runs".to_owned(),
            format!("PATCH /check-runs/{}", begun.id)
        ]
    );
    let bodies = server.bodies();
    assert_eq!(
        bodies[0],
        json!({
            "name": "omk / test", "head_sha": "a".repeat(40), "external_id": "omk/pr-12/20261122t185155z-4f2a9c/777/1",
            "started_at": "2026-11-22T18:51:55Z", "status": "in_progress",
            "details_url": "https://github.example/acme/widget/actions/runs/777",
            "output": { "title": "3 of 300 failed", "summary": "| test | result |", "text": "" },
        })
    );
    assert_eq!(
        (&bodies[1]["status"], &bodies[1]["conclusion"]),
        (&json!("completed"), &json!("success"))
    );
    assert_eq!(bodies[1]["completed_at"], "2026-11-22T18:52:00Z");
}

#[tokio::test]
async fn five_hundred_annotations_come_in_batches_and_come_once() {
    let server = Server::start().await;
    let client = server.client();
    client.put_check(&wanted(FAILED, 500), None).await.unwrap();
    assert_eq!(batches(&server), [50; 10]);
    assert_eq!(remarks(&server), all_remarks(500));
    let outputs = server
        .bodies()
        .into_iter()
        .map(|body| body["output"]["summary"].clone());
    assert!(
        outputs
            .clone()
            .all(|summary| summary == "| test | result |"),
        "a PATCH replaces the texts"
    );
    client.put_check(&wanted(FAILED, 500), None).await.unwrap();
    assert_eq!(batches(&server).len(), 10, "a repeat sends nothing");
}

#[tokio::test]
async fn annotations_that_came_without_an_answer_are_not_sent_again() {
    for fault in [Fault::After(502), Fault::SilentAfter, Fault::CutAfter] {
        let server = Server::start().await;
        server.fault(Method::POST, "/check-runs", fault.clone());
        server.fault(Method::PATCH, "/check-runs", fault);
        server.fault(
            Method::PATCH,
            "/check-runs",
            Fault::Instead(500, Vec::new(), Value::Null),
        );
        server
            .client()
            .put_check(&wanted(FAILED, 170), None)
            .await
            .unwrap();
        assert_eq!(remarks(&server), all_remarks(170));
        assert_eq!(
            batches(&server),
            [50, 50, 50, 50, 20],
            "the third batch was sent twice, and came once"
        );
    }
}

#[tokio::test]
async fn a_repeat_goes_on_where_the_first_one_broke_off() {
    let server = Server::start().await;
    let client = server.client();
    client.put_check(&wanted(BEGINS, 0), None).await.unwrap();
    for _ in 0..2 {
        server.fault(
            Method::PATCH,
            "/check-runs",
            Fault::Instead(502, Vec::new(), Value::Null),
        );
    }
    let error = client
        .put_check(&wanted(FAILED, 120), None)
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("update the check `omk / test`: the forge does not answer (502"),
        "{error}"
    );
    server.fault(Method::PATCH, "/check-runs", Fault::After(200));
    server.fault(
        Method::PATCH,
        "/check-runs",
        Fault::Instead(403, Vec::new(), json!({ "message": "no" })),
    );
    client
        .put_check(&wanted(FAILED, 120), None)
        .await
        .unwrap_err();
    assert_eq!(remarks(&server).len(), 50);
    client.put_check(&wanted(FAILED, 120), None).await.unwrap();
    assert_eq!(remarks(&server), all_remarks(120));
}

#[tokio::test]
async fn a_check_made_without_an_answer_is_found_and_another_run_s_is_not_taken() {
    let server = Server::start().await;
    let client = server.client();
    let other = CheckWanted {
        external_id: "omk/pr-12/20261122t185155z-4f2a9c/777/2".into(),
        ..wanted(BEGINS, 0)
    };
    let other = client.put_check(&other, None).await.unwrap();
    server.fault(Method::POST, "/check-runs", Fault::After(502));
    let made = client.put_check(&wanted(BEGINS, 0), None).await.unwrap();
    assert_ne!(made.id, other.id);
    let found = client.put_check(&wanted(READY, 0), None).await.unwrap();
    assert_eq!(found.id, made.id);
    assert_eq!(
        server.writes(),
        [
            "POST /check-runs",
            "POST /check-runs",
            &format!("PATCH /check-runs/{}", made.id)
        ]
    );
}

#[tokio::test]
async fn a_completed_check_is_never_taken_back() {
    let server = Server::start().await;
    let client = server.client();
    let ended = client.put_check(&wanted(READY, 0), None).await.unwrap();
    let anew = client
        .put_check(&wanted(BEGINS, 0), Some(ended.id))
        .await
        .unwrap();
    assert_ne!(anew.id, ended.id);
    let again = client
        .put_check(
            &CheckWanted {
                title: "later".into(),
                ..wanted(BEGINS, 0)
            },
            Some(ended.id),
        )
        .await
        .unwrap();
    assert_eq!(again.id, anew.id, "the new one is the one from here on");
    let expect = [
        "POST /check-runs",
        "POST /check-runs",
        &format!("PATCH /check-runs/{}", anew.id),
    ];
    assert_eq!(server.writes(), expect);
}

#[tokio::test]
async fn a_known_check_that_is_gone_is_looked_for() {
    let server = Server::start().await;
    let client = server.client();
    let made = client.put_check(&wanted(BEGINS, 0), Some(4)).await.unwrap();
    assert_eq!(
        client
            .put_check(&wanted(READY, 0), Some(4))
            .await
            .unwrap()
            .id,
        made.id
    );
    assert_eq!(server.kept("/check-runs").len(), 1);
}

#[tokio::test]
async fn texts_and_lines_are_kept_within_the_limits() {
    let server = Server::start().await;
    let long = "ü".repeat(100_000);
    let strange = Annotation {
        start_line: 0,
        end_line: 0,
        message: long.clone(),
        title: long.clone(),
        ..annotation(1)
    };
    let check = CheckWanted {
        summary: long.clone(),
        text: long.clone(),
        title: long,
        annotations: vec![strange],
        ..wanted(FAILED, 0)
    };
    server.client().put_check(&check, None).await.unwrap();
    server.client().put_check(&check, None).await.unwrap();
    let bodies = server.bodies();
    assert_eq!(bodies.len(), 1, "what was cut is the same the second time");
    let output = &bodies[0]["output"];
    for text in [
        &output["summary"],
        &output["text"],
        &output["annotations"][0]["message"],
    ] {
        let text = text.as_str().unwrap();
        assert!((65_500..=65_535).contains(&text.len()), "{}", text.len());
        assert!(text.ends_with("_cut: this was longer than the 65,535 bytes that GitHub takes_"));
    }
    assert_eq!(output["title"].as_str().unwrap().chars().count(), 255);
    assert_eq!(
        (
            &output["annotations"][0]["start_line"],
            &output["annotations"][0]["end_line"]
        ),
        (&json!(1), &json!(1))
    );
}

#[tokio::test]
async fn a_token_that_may_not_write_checks_is_told_so_once() {
    let server = Server::start().await;
    let said = "Resource not accessible by personal access token";
    server.fault(
        Method::POST,
        "/check-runs",
        Fault::Instead(403, Vec::new(), json!({ "message": said })),
    );
    let error = server
        .client()
        .put_check(&wanted(BEGINS, 0), None)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ForgeError::Forbidden { said: told, .. } if told == said),
        "{error:?}"
    );
    assert_eq!(server.writes().len(), 1);
}

#[tokio::test]
async fn checks_are_read_with_whose_they_are() {
    let server = Server::start().await;
    let check = |id: u64, conclusion: &str| {
        json!({
            "id": id, "name": "omk", "external_id": null, "status": "completed", "conclusion": conclusion,
            "app": { "id": 15_368, "slug": "github-actions" }, "html_url": "https://x/1", "output": { "title": null },
        })
    };
    let words = [
        "success",
        "skipped",
        "timed_out",
        "stale",
        "cancelled",
        "action_required",
        "whatever",
    ];
    let checks: Vec<Value> = words
        .iter()
        .zip(1..)
        .map(|(word, id)| check(id, word))
        .collect();
    server.tell(
        &format!("/commits/{}/check-runs", commit()),
        &json!({ "total_count": 7, "check_runs": checks }),
    );
    let found = server.client().checks(&commit(), "omk").await.unwrap();
    let states: Vec<CheckState> = found.iter().map(|check| check.state).collect();
    let expect = [
        Conclusion::Success,
        Conclusion::Neutral,
        Conclusion::Failure,
        Conclusion::Failure,
        Conclusion::Cancelled,
        Conclusion::ActionRequired,
        Conclusion::Failure,
    ];
    assert_eq!(states, expect.map(CheckState::Completed));
    assert_eq!(found[0].app, Some(15_368));
    let asked = server.world().seen[0].path.clone();
    assert!(
        asked.contains("check-runs?check_name=omk&filter=latest&per_page=100"),
        "{asked}"
    );
}

#[tokio::test]
async fn annotations_that_are_counted_late_are_not_sent_again() {
    let server = Server::start().await;
    let told = |count: u64| {
        let mut check = json!({ "id": 101, "name": "omk / test", "status": "completed", "conclusion": "failure" });
        check["output"] =
            json!({ "title": "?", "summary": "reworded", "annotations_count": count });
        Fault::Instead(201, Vec::new(), check)
    };
    server.fault(Method::POST, "/check-runs", told(0));
    server.fault(Method::PATCH, "/check-runs", told(0));
    server.fault(
        Method::PATCH,
        "/check-runs",
        Fault::Instead(502, Vec::new(), Value::Null),
    );
    server.fault(Method::GET, "/check-runs/101", told(120));
    server
        .client()
        .put_check(&wanted(FAILED, 120), None)
        .await
        .unwrap();
    assert_eq!(batches(&server), [50, 50, 20]);
}

#[tokio::test]
async fn a_known_check_that_is_another_one_is_not_touched() {
    let server = Server::start().await;
    let client = server.client();
    let other = CheckWanted {
        external_id: "omk/pr-13/20261122t185155z-4f2a9c/777/1".into(),
        ..wanted(BEGINS, 0)
    };
    let other = client.put_check(&other, None).await.unwrap();
    let made = client
        .put_check(&wanted(READY, 0), Some(other.id))
        .await
        .unwrap();
    assert_ne!(made.id, other.id);
    assert_eq!(server.writes(), ["POST /check-runs", "POST /check-runs"]);
}
