//! Commit statuses at GitLab: found again by their address, and written once, whatever GitLab
//! allows.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use axum::http::Method;
use omk_action::forge::{Check, CheckState, CheckWanted, Conclusion, ForgeError};
use omk_action::id::{CommitId, Moment};
use serde_json::{Value, json};

use crate::gitlab_server::{Fault, PROJECT, Server, user};

const PIPELINE: &str = "https://gitlab.example/acme/widget/-/pipelines/77";

fn head() -> CommitId {
    "a".repeat(40).parse().unwrap()
}

fn place() -> String {
    format!("/repository/commits/{}/statuses", head())
}

fn wanted(run: &str, state: CheckState, title: &str) -> CheckWanted {
    CheckWanted {
        name: "omk / test".into(),
        commit: head(),
        external_id: format!("omk/mr-12/{run}/77/1"),
        state,
        started: Moment::from_millis(0),
        completed: None,
        title: title.into(),
        summary: "many words".into(),
        text: String::new(),
        annotations: Vec::new(),
        details_url: Some(PIPELINE.into()),
    }
}

fn over(how: Conclusion) -> CheckState {
    CheckState::Completed(how)
}

async fn put(server: &Server, wanted: &CheckWanted) -> Check {
    server.client().put_check(wanted, None).await.unwrap()
}

fn instead(status: u16, said: &str) -> Fault {
    Fault::Instead(status, Vec::new(), json!({ "message": said }))
}

/// The statuses that are kept: state, run, pipeline.
fn kept(server: &Server) -> Vec<(String, String, u64)> {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let run = |value: &Value| {
        word(value)
            .split('/')
            .rev()
            .nth(2)
            .unwrap_or_default()
            .to_owned()
    };
    let kept = server.kept(&place());
    kept.iter()
        .map(|one| {
            (
                word(&one["status"]),
                run(&one["target_url"]),
                one["pipeline_id"].as_u64().unwrap(),
            )
        })
        .collect()
}

fn one(state: &str, run: &str) -> (String, String, u64) {
    (state.into(), run.into(), 77)
}

const RUNNING: CheckState = CheckState::InProgress;

#[tokio::test]
async fn a_status_is_made_then_ended_and_found_by_its_address() {
    let server = Server::start().await;
    let began = put(&server, &wanted("r1", RUNNING, "running")).await;
    assert_eq!(
        (began.state, began.external_id.as_str()),
        (RUNNING, "omk/mr-12/r1/77/1")
    );
    let body = &server.bodies()[0];
    assert_eq!(body["target_url"], format!("{PIPELINE}#omk/mr-12/r1/77/1"));
    assert_eq!(
        (&body["pipeline_id"], &body["state"], &body["name"]),
        (&json!(77), &json!("running"), &json!("omk / test"))
    );
    put(&server, &wanted("r1", RUNNING, "1 of 3 tasks")).await;
    assert_eq!(
        server.writes().len(),
        1,
        "GitLab takes no new line for what is under way"
    );
    server.tell("/pipelines", &json!([{ "id": 78 }]));
    let ended = put(
        &server,
        &wanted("r1", over(Conclusion::Success), &"ready ".repeat(90)),
    )
    .await;
    assert_eq!(
        (ended.id, ended.state),
        (began.id, over(Conclusion::Success))
    );
    assert_eq!(
        kept(&server),
        [one("success", "r1")],
        "where it began, though there is a newer pipeline"
    );
    assert_eq!(ended.title.chars().count(), 255);
    put(
        &server,
        &wanted("r1", over(Conclusion::Success), &"ready ".repeat(90)),
    )
    .await;
    assert_eq!(server.writes().len(), 2);
    assert_eq!(
        server
            .client()
            .all_checks(&head(), "omk / test")
            .await
            .unwrap(),
        [ended]
    );
    assert_eq!(
        server.client().all_checks(&head(), "omk").await.unwrap(),
        []
    );
    let asked = server.reads().pop().unwrap();
    assert!(
        asked.contains("/statuses?name=omk&all=true&per_page=100&page=1"),
        "{asked}"
    );
    assert_eq!(
        server.world().seen[0].path.replace(PROJECT, ""),
        format!(
            "{}?name=omk%20%2F%20test&all=true&per_page=100&page=1",
            place()
        )
    );
}

#[tokio::test]
async fn each_end_has_its_word() {
    for (how, word, back) in [
        (Conclusion::Success, "success", Conclusion::Success),
        (Conclusion::Failure, "failed", Conclusion::Failure),
        (Conclusion::ActionRequired, "failed", Conclusion::Failure),
        (Conclusion::Cancelled, "canceled", Conclusion::Cancelled),
        (Conclusion::Neutral, "skipped", Conclusion::Neutral),
    ] {
        let server = Server::start().await;
        let made = put(&server, &wanted("r1", over(how), "over")).await;
        assert_eq!(
            (made.state, server.bodies()[0]["state"].as_str()),
            (over(back), Some(word))
        );
        put(&server, &wanted("r1", over(how), "over")).await;
        assert_eq!(server.writes().len(), 1, "it says so already");
    }
}

#[tokio::test]
async fn what_runs_is_ended_before_it_is_skipped() {
    let server = Server::start().await;
    put(&server, &wanted("r1", RUNNING, "running")).await;
    let skipped = put(
        &server,
        &wanted("r1", over(Conclusion::Neutral), "nothing was verified"),
    )
    .await;
    assert_eq!(skipped.state, over(Conclusion::Neutral));
    assert_eq!(kept(&server), [one("canceled", "r1"), one("skipped", "r1")]);
}

#[tokio::test]
async fn a_gitlab_that_knows_no_skipping_is_told_that_it_ended() {
    let server = Server::start().await;
    for _ in 0..2 {
        server.fault(
            Method::POST,
            "/statuses/",
            instead(400, "state does not have a valid value"),
        );
        let ended = put(
            &server,
            &wanted("r1", over(Conclusion::Neutral), "nothing was verified"),
        )
        .await;
        assert_eq!(
            ended.state,
            over(Conclusion::Cancelled),
            "that is no success"
        );
    }
    assert_eq!(kept(&server), [one("canceled", "r1")]);
}

#[tokio::test]
async fn another_run_s_status_that_never_ended_makes_way() {
    let server = Server::start().await;
    put(&server, &wanted("r1", RUNNING, "running")).await;
    put(&server, &wanted("r2", RUNNING, "running")).await;
    assert_eq!(kept(&server), [one("canceled", "r1"), one("running", "r2")]);
    put(
        &server,
        &wanted("r2", over(Conclusion::Failure), "not ready"),
    )
    .await;
    put(&server, &wanted("r1", over(Conclusion::Success), "ready")).await;
    assert_eq!(
        kept(&server),
        [
            one("canceled", "r1"),
            one("failed", "r2"),
            one("success", "r1")
        ]
    );
    let checks = server
        .client()
        .all_checks(&head(), "omk / test")
        .await
        .unwrap();
    assert_eq!(
        checks.last().map(|check| check.external_id.as_str()),
        Some("omk/mr-12/r1/77/1")
    );
}

#[tokio::test]
async fn a_status_of_somebody_else_is_left_alone() {
    let server = Server::start().await;
    let forged = json!({
        "id": 1, "name": "omk / test", "status": "running", "pipeline_id": 77, "author": user(666, "eve"),
        "target_url": format!("{PIPELINE}#omk/mr-12/r0/77/1"),
    });
    server.keep(&place(), forged.clone());
    put(&server, &wanted("r1", RUNNING, "running")).await;
    assert_eq!(kept(&server), [one("running", "r0"), one("running", "r1")]);
    assert_eq!(server.kept(&place())[0], forged);
}

#[tokio::test]
async fn a_status_that_is_over_begins_anew() {
    let server = Server::start().await;
    put(
        &server,
        &wanted("r1", over(Conclusion::Failure), "not ready"),
    )
    .await;
    put(&server, &wanted("r1", RUNNING, "running")).await;
    put(&server, &wanted("r1", over(Conclusion::Success), "ready")).await;
    assert_eq!(kept(&server), [one("failed", "r1"), one("success", "r1")]);
}

#[tokio::test]
async fn a_status_that_was_written_without_an_answer_is_found() {
    for fault in [
        Fault::After(502),
        Fault::SilentAfter,
        Fault::CutAfter,
        Fault::PageAfter,
    ] {
        for state in [
            RUNNING,
            over(Conclusion::Success),
            over(Conclusion::Neutral),
        ] {
            let server = Server::start().await;
            server.fault(Method::POST, "/statuses/", fault.clone());
            put(&server, &wanted("r1", state, "words")).await;
            assert_eq!(
                (server.writes().len(), kept(&server).len()),
                (1, 1),
                "{fault:?}"
            );
        }
    }
    let server = Server::start().await;
    put(&server, &wanted("r1", RUNNING, "running")).await;
    server.fault(Method::POST, "/statuses/", Fault::After(502));
    put(&server, &wanted("r2", RUNNING, "running")).await;
    assert_eq!(kept(&server), [one("canceled", "r1"), one("running", "r2")]);
    assert_eq!(server.writes().len(), 3);
}

#[tokio::test]
async fn a_refused_change_is_looked_at_again_and_not_without_end() {
    let server = Server::start().await;
    let refusal = "Cannot transition status via :run from :running (Reason(s): Status cannot transition via \"run\")";
    server.fault(Method::POST, "/statuses/", instead(400, refusal));
    server.fault(
        Method::POST,
        "/statuses/",
        instead(409, "Another update to this commit status is in progress"),
    );
    put(&server, &wanted("r1", RUNNING, "running")).await;
    assert_eq!(kept(&server), [one("running", "r1")]);
    let before = server.writes().len();
    for _ in 0..50 {
        server.fault(Method::POST, "/statuses/", instead(400, refusal));
    }
    let error = server
        .client()
        .put_check(&wanted("r2", RUNNING, "running"), None)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ForgeError::Refused { status: 400, said, .. } if said.contains("transition")),
        "{error:?}"
    );
    assert!(server.writes().len() - before < 6);
}

#[tokio::test]
async fn what_is_refused_for_good_is_sent_once() {
    let server = Server::start().await;
    for (status, said) in [
        (400, "name: has already been taken"),
        (403, "403 Forbidden"),
        (401, "401 Unauthorized"),
    ] {
        server.fault(Method::POST, "/statuses/", instead(status, said));
        server
            .client()
            .put_check(&wanted("r1", RUNNING, "running"), None)
            .await
            .unwrap_err();
    }
    assert_eq!(server.writes().len(), 3);
}

#[tokio::test]
async fn a_commit_without_a_pipeline_gets_one_from_gitlab() {
    let server = Server::start().await;
    server.tell("/pipelines", &json!([]));
    put(&server, &wanted("r1", RUNNING, "running")).await;
    assert_eq!(server.bodies()[0]["pipeline_id"], Value::Null);
    let server = Server::start().await;
    server.fault(
        Method::POST,
        "/statuses/",
        instead(404, "404 Pipeline for pipeline_id, sha and ref Not Found"),
    );
    put(&server, &wanted("r1", RUNNING, "running")).await;
    let pipelines: Vec<Value> = server
        .bodies()
        .iter()
        .map(|body| body["pipeline_id"].clone())
        .collect();
    assert_eq!(pipelines, [json!(77), Value::Null]);
}

#[tokio::test]
async fn an_address_that_is_too_long_makes_way_for_a_short_one() {
    let server = Server::start().await;
    let long = format!(
        "https://gitlab.example/{}/-/pipelines/77",
        "group/".repeat(50)
    );
    let wanted = CheckWanted {
        details_url: Some(long),
        ..wanted("r1", RUNNING, "running")
    };
    let made = put(&server, &wanted).await;
    assert_eq!(made.external_id, "omk/mr-12/r1/77/1");
    assert_eq!(made.url, format!("{}/projects/7", server.base));
}

#[tokio::test]
async fn a_plain_status_is_written_once() {
    let server = Server::start().await;
    let client = server.client();
    let put = async |state, said: &str| {
        client
            .put_status(&head(), "omk", state, said, Some(PIPELINE))
            .await
            .unwrap()
    };
    put(RUNNING, "running").await;
    server.fault(Method::POST, "/statuses/", Fault::SilentAfter);
    put(over(Conclusion::Success), "ready").await;
    put(over(Conclusion::Success), "ready").await;
    let states: Vec<Value> = server
        .bodies()
        .iter()
        .map(|body| body["state"].clone())
        .collect();
    assert_eq!(states, [json!("running"), json!("success")]);
    assert_eq!(server.bodies()[0]["target_url"], PIPELINE);
}
