//! What people write and do at GitLab, as the client reads it: merge requests, notes, pipelines,
//! and what jobs left.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use axum::http::Method;
use omk_action::forge::{ForgeError, Job};
use omk_action::id::{CommitId, Moment, Sha256};
use serde_json::{Value, json};

use crate::gitlab_server::{DATE, Fault, PROJECT, Server, WEB, note};

fn commit(digit: char) -> CommitId {
    digit.to_string().repeat(40).parse().unwrap()
}

fn instead(status: u16, said: &str) -> Fault {
    Fault::Instead(status, Vec::new(), json!({ "message": said }))
}

/// A second of 2026-11-22, after 18:51:00.
fn second(seconds: i64) -> Moment {
    Moment::from_millis(1_795_373_460_000 + seconds * 1_000)
}

fn merge_request(iid: u64, state: &str, source: &Value) -> Value {
    json!({
        "id": 1_000 + iid, "iid": iid, "state": state, "title": "Add a thing", "description": null, "author": null,
        "source_branch": "topic/$(id)", "target_branch": "main", "source_project_id": source, "target_project_id": 7,
        "sha": "a".repeat(40), "web_url": format!("{WEB}/-/merge_requests/{iid}"),
    })
}

#[tokio::test]
async fn a_merge_request_may_have_lost_its_project() {
    let server = Server::start().await;
    let client = server.client();
    let mut told = merge_request(12, "opened", &json!(9));
    told["diff_refs"] = json!({ "base_sha": "c".repeat(40), "start_sha": "b".repeat(40), "head_sha": "a".repeat(40) });
    server.tell("/merge_requests/12", &told);
    let found = client.pull_request(12).await.unwrap();
    assert!(found.open && !found.merged && found.author.is_none() && found.body.is_empty());
    assert_eq!(
        (found.head.branch.as_str(), found.head.repository),
        ("topic/$(id)", Some(9))
    );
    assert_eq!(
        (found.base.commit.clone(), found.base.repository),
        (commit('b'), Some(7))
    );
    for (state, merged) in [("closed", false), ("merged", true), ("locked", false)] {
        server.tell(
            "/merge_requests/12",
            &merge_request(12, state, &Value::Null),
        );
        let found = client.pull_request(12).await.unwrap();
        assert_eq!(
            (found.open, found.merged, found.head.repository),
            (false, merged, None),
            "{state}"
        );
    }
    told["sha"] = Value::Null;
    server.tell("/merge_requests/12", &told);
    assert_eq!(
        client.pull_request(12).await.unwrap().head.commit,
        commit('0'),
        "not told yet"
    );
    told["sha"] = "abc123".into();
    server.tell("/merge_requests/12", &told);
    assert!(
        matches!(
            client.pull_request(12).await,
            Err(ForgeError::Nonsense { .. })
        ),
        "a short id pins nothing"
    );
    assert!(matches!(
        client.pull_request(13).await,
        Err(ForgeError::NotFound { .. })
    ));
}

#[tokio::test]
async fn pushes_come_newest_first_and_to_the_second() {
    let server = Server::start().await;
    let version = |id: u64, head: &Value, at: &str| json!({ "id": id, "head_commit_sha": head, "created_at": at });
    let sha = |digit: char| json!(commit(digit).as_str());
    server.tell(
        "/merge_requests/12/versions",
        &json!([
            version(2, &sha('2'), "2026-11-22T18:51:02.999Z"),
            version(1, &sha('1'), "2026-11-22T18:51:01.000Z"),
            version(4, &Value::Null, "2026-11-22T20:51:03.100+02:00"),
            version(3, &sha('3'), "2026-11-22T18:51:02.999Z"),
        ]),
    );
    let found = server.client().pushes(12).await.unwrap();
    let told: Vec<_> = found
        .iter()
        .map(|push| (push.after.clone(), push.at))
        .collect();
    let expect = [('0', 3), ('3', 2), ('2', 2), ('1', 1)];
    assert_eq!(told, expect.map(|(digit, at)| (commit(digit), second(at))));
}

#[tokio::test]
async fn merge_requests_are_those_of_the_last_day_into_this_project() {
    let server = Server::start().await;
    for iid in 1..=150 {
        server.keep("/merge_requests", merge_request(iid, "opened", &json!(7)));
    }
    let mut elsewhere = merge_request(151, "opened", &json!(7));
    elsewhere["target_project_id"] = 8.into();
    server.keep("/merge_requests", elsewhere);
    let found = server
        .client()
        .merge_requests_updated_since(second(0))
        .await
        .unwrap();
    assert_eq!((found.len(), found[0].number), (150, 1));
    let asked = server.reads();
    assert_eq!(asked.len(), 2);
    let expect = "merge_requests?state=all&scope=all&updated_after=2026-11-22T18%3A51%3A00Z&order_by=created_at&sort=asc";
    assert!(asked[0].contains(expect), "{}", asked[0]);
}

#[tokio::test]
async fn merge_requests_of_others_with_that_branch_are_not_ours() {
    let server = Server::start().await;
    for (iid, source) in [
        (1, json!(7)),
        (2, json!(9)),
        (3, Value::Null),
        (4, json!(7)),
    ] {
        server.keep("/merge_requests", merge_request(iid, "closed", &source));
    }
    let client = server.client();
    let found = client.pull_requests_from("topic/$(id)").await.unwrap();
    assert_eq!(
        found.iter().map(|pull| pull.number).collect::<Vec<_>>(),
        [4, 1]
    );
    assert!(
        client.pull_requests_from("topic").await.unwrap().is_empty(),
        "whatever GitLab lists"
    );
    assert!(server.reads()[0].contains("?source_branch=topic%2F%24%28id%29&state=all&scope=all&"));
}

const NOTES: &str = "/merge_requests/12/notes";

#[tokio::test]
async fn what_gitlab_itself_wrote_is_no_comment() {
    let server = Server::start().await;
    let client = server.client();
    for id in 1..=230 {
        let mut one = note(id, (5, "ann"), "/omk run");
        one["system"] = (id % 2 == 0).into();
        one["at"] = format!("{PROJECT}{NOTES}/{id}").into();
        server.keep(NOTES, one);
    }
    let found = client.comments(12).await.unwrap();
    assert_eq!(found.len(), 115);
    assert_eq!(found[1].url, format!("{WEB}/-/merge_requests/12#note_3"));
    assert_eq!(
        (found[1].created, found[1].updated),
        (second(55), second(55)),
        "to the second"
    );
    assert_eq!(client.comment(12, 3).await.unwrap().unwrap(), found[1]);
    assert_eq!(client.comment(12, 4).await.unwrap(), None);
    assert_eq!(client.comment(12, 999).await.unwrap(), None);
}

#[tokio::test]
async fn a_list_without_end_is_an_error() {
    let server = Server::start().await;
    let one = json!([note(1, (5, "ann"), "chatter")]);
    let mut endless = (
        200,
        vec![("x-next-page", "2".to_owned())],
        one.to_string().into_bytes(),
    );
    endless.1.push((
        "link",
        "<https://evil.example/steal>; rel=\"next\"".to_owned(),
    ));
    server
        .world()
        .canned
        .insert(format!("{PROJECT}{NOTES}"), endless);
    let error = server.client().comments(12).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the list has more than 30 pages of 100"),
        "{error}"
    );
    assert_eq!(
        server.reads().len(),
        30,
        "pages have numbers, wherever a link leads"
    );
}

fn touched(id: u64, updated: &str) -> Value {
    let mut one = note(id, (5, "ann"), "/omk run");
    one["updated_at"] = updated.into();
    one["at"] = format!("{PROJECT}{NOTES}/{id}").into();
    one
}

#[tokio::test]
async fn a_reaction_is_no_edit() {
    let server = Server::start().await;
    let client = server.client();
    let at = |seconds: u32| format!("2026-11-22T18:51:{seconds}Z");
    for (id, updated) in [(1, DATE.to_owned()), (2, at(57)), (3, at(58)), (4, at(59))] {
        server.keep(NOTES, touched(id, &updated));
    }
    let said = |id: u64, updated: &str, by: &Value| {
        let id = format!("gid://gitlab/Note/{id}");
        json!({ "id": id, "updatedAt": updated, "lastEditedAt": updated, "lastEditedBy": by })
    };
    let told = json!({
        "n2": said(2, &at(57), &Value::Null), "n3": said(3, &at(58), &json!({ "id": "gid://gitlab/User/5" })), "n4": null,
    });
    server.tell_at("/api/graphql", 200, &json!({ "data": told }));
    let found = client.comments(12).await.unwrap();
    let updated: Vec<_> = found.iter().map(|comment| comment.updated).collect();
    assert_eq!(updated, [55, 55, 58, 59].map(second));
    let asked = server
        .world()
        .seen
        .iter()
        .find(|seen| seen.path == "/api/graphql")
        .unwrap()
        .clone();
    let question = asked.body["query"].as_str().unwrap();
    assert!(
        question.contains("n2: note(id: \"gid://gitlab/Note/2\")") && !question.contains("n1:"),
        "{question}"
    );
    assert_eq!(
        client.comment(12, 2).await.unwrap().unwrap().updated,
        second(55)
    );
    assert_eq!(client.writes(), 0, "a question changes nothing");
}

#[tokio::test]
async fn where_nobody_tells_a_note_that_was_touched_counts_as_edited() {
    let server = Server::start().await;
    server.keep(NOTES, touched(2, "2026-11-22T18:51:57Z"));
    let updated = async || {
        server
            .client()
            .comments(12)
            .await
            .map(|found| found[0].updated)
    };
    assert_eq!(updated().await.unwrap(), second(57), "404");
    for told in [
        json!({ "errors": [{ "message": "no" }] }),
        json!([]),
        json!({ "data": null }),
        json!({ "data": {} }),
    ] {
        server.tell_at("/api/graphql", 200, &told);
        assert_eq!(updated().await.unwrap(), second(57), "{told}");
    }
    for _ in 0..3 {
        server.fault(Method::POST, "/api/graphql", instead(502, "bad gateway"));
    }
    let error = updated().await.unwrap_err();
    assert!(
        matches!(error, ForgeError::Unavailable { .. }),
        "it may tell later: {error:?}"
    );
}

#[tokio::test]
async fn a_pipeline_is_read() {
    let server = Server::start().await;
    let client = server.client();
    let mut told = json!({
        "id": 77, "project_id": 7, "ref": "main", "tag": false, "status": "running", "source": "trigger", "web_url": "https://x/77",
    });
    server.tell("/pipelines/77", &told);
    let found = client.workflow_run(77).await.unwrap().unwrap();
    assert_eq!(
        (
            found.repository,
            found.head_repository,
            found.branch.as_deref()
        ),
        (7, Some(7), Some("main"))
    );
    assert_eq!(
        (found.event.as_str(), found.path.as_str(), found.completed),
        ("trigger", ".gitlab-ci.yml", false)
    );
    for (status, over) in [
        ("success", true),
        ("failed", true),
        ("canceled", true),
        ("skipped", true),
        ("manual", false),
    ] {
        told["status"] = status.into();
        server.tell("/pipelines/77", &told);
        assert_eq!(
            client.workflow_run(77).await.unwrap().unwrap().completed,
            over,
            "{status}"
        );
    }
    told["ref"] = "refs/merge-requests/12/head".into();
    server.tell("/pipelines/77", &told);
    let found = client.workflow_run(77).await.unwrap().unwrap();
    assert_eq!(
        (found.branch, found.head_repository),
        (None, None),
        "its commit may be from a fork"
    );
    told["ref"] = "main".into();
    told["tag"] = true.into();
    server.tell("/pipelines/77", &told);
    assert_eq!(
        client.workflow_run(77).await.unwrap().unwrap().branch,
        None,
        "a tag is no branch"
    );
    assert_eq!(client.workflow_run(78).await.unwrap(), None);
}

#[tokio::test]
async fn jobs_are_those_of_the_pipeline() {
    let server = Server::start().await;
    let job = |id: u64, name: &str, file: &Value| json!({ "id": id, "name": name, "status": "success", "artifacts_file": file });
    let file = json!({ "filename": "artifacts.zip", "size": 1_000 });
    server.tell(
        "/pipelines/77/jobs",
        &json!([job(9, "omk-judge", &Value::Null), job(8, "omk-run", &file)]),
    );
    let found = server.client().jobs(77).await.unwrap();
    let expect = |id, name: &str, has_artifacts| Job {
        id,
        name: name.into(),
        status: "success".into(),
        has_artifacts,
    };
    assert_eq!(
        found,
        [expect(8, "omk-run", true), expect(9, "omk-judge", false)]
    );
    assert!(matches!(
        server.client().jobs(78).await,
        Err(ForgeError::NotFound { .. })
    ));
}

const ZIP: &str = "/api/v4/projects/7/jobs/8/artifacts";

#[tokio::test]
async fn artifacts_come_from_gitlab_or_from_elsewhere_without_the_token() {
    let (server, store) = (Server::start().await, Server::start().await);
    let archive: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("bundle.zip");
    let holds = |server: &Server, path: &str| {
        server
            .world()
            .canned
            .insert(path.to_owned(), (200, Vec::new(), archive.clone()));
    };
    holds(&server, ZIP);
    server.fault(Method::GET, ZIP, Fault::CutAfter);
    server.fault(Method::GET, ZIP, instead(502, "bad gateway"));
    assert_eq!(
        server
            .client()
            .download_artifact(8, 300_000, &to)
            .await
            .unwrap(),
        Sha256::of(&archive)
    );
    assert_eq!(std::fs::read(&to).unwrap(), archive);
    let away = (
        302,
        vec![("location", format!("{}/blob?sig=SECRET", store.base))],
        Vec::new(),
    );
    server.world().canned.insert(ZIP.into(), away);
    holds(&store, "/blob");
    store.fault(
        Method::GET,
        "/blob",
        instead(403, "the signature is too old"),
    );
    assert_eq!(
        server
            .client()
            .download_artifact(8, 300_000, &to)
            .await
            .unwrap(),
        Sha256::of(&archive)
    );
    assert!(
        store.world().seen.iter().all(|seen| seen.tokens.is_empty()),
        "{:?}",
        store.world().seen
    );
    for fault in [None, Some(Fault::Unsized)] {
        store
            .world()
            .faults
            .extend(fault.map(|fault| (Method::GET, "/blob".to_owned(), fault)));
        let error = server
            .client()
            .download_artifact(8, 299_999, &to)
            .await
            .unwrap_err();
        let expect = "download the artifacts of the job 8: the forge refuses it (413: it is larger than 299999 bytes)";
        assert_eq!(error.to_string(), expect);
        assert!(!to.exists());
    }
    let round = (
        302,
        vec![("location", "file:///etc/passwd?SECRET".to_owned())],
        Vec::new(),
    );
    server.world().canned.insert(ZIP.into(), round);
    let error = server
        .client()
        .download_artifact(8, 10, &to)
        .await
        .unwrap_err();
    assert!(
        !format!("{error} {error:?}").contains("SECRET"),
        "{error:?}"
    );
    let error = server
        .client()
        .download_artifact(9, 10, &to)
        .await
        .unwrap_err();
    assert!(matches!(error, ForgeError::NotFound { .. }), "{error:?}");
}
