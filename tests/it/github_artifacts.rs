//! Workflow runs, artifacts and Apps at GitHub: nothing gets a token that it is not meant for.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use omk_action::exec::secret::Secret;
use omk_action::forge::{ForgeError, GitHub};
use omk_action::id::Sha256;
use serde_json::{Value, json};

use crate::github_server::{DATE, Fault, REPOSITORY, Server};

/// Made for this test, and good for nothing else.
const KEY: &str = include_str!("app-key.pem");

const ZIP: &str = "/actions/artifacts/8/zip";

fn instead(status: u16, said: &str) -> Fault {
    Fault::Instead(status, Vec::new(), json!({ "message": said }))
}

fn leads_to(server: &Server, address: &str) {
    let answer = (302, vec![("location", address.to_owned())], Vec::new());
    server
        .world()
        .canned
        .insert(format!("{REPOSITORY}{ZIP}"), answer);
}

fn holds(server: &Server, path: &str, bytes: &[u8]) {
    server
        .world()
        .canned
        .insert(path.to_owned(), (200, Vec::new(), bytes.to_owned()));
}

#[tokio::test]
async fn an_artifact_is_fetched_from_another_server_without_the_token() {
    let (server, store) = (Server::start().await, Server::start().await);
    let archive: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
    leads_to(&server, &format!("{}/there?sig=SECRET", store.base));
    let further = (
        307,
        vec![("location", format!("{}/blob?sig=SECRET", store.base))],
        Vec::new(),
    );
    store.world().canned.insert("/there".into(), further);
    holds(&store, "/blob", &archive);
    store.fault(Method::GET, "/blob", Fault::CutAfter);
    store.fault(
        Method::GET,
        "/blob",
        instead(403, "the signature is too old"),
    );
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("state.zip");
    let digest = server
        .client()
        .download_artifact(8, 300_000, &to)
        .await
        .unwrap();
    assert_eq!(digest, Sha256::of(&archive));
    assert_eq!(std::fs::read(&to).unwrap(), archive);
    assert!(
        store
            .world()
            .seen
            .iter()
            .all(|seen| seen.authorization.is_none()),
        "{:?}",
        store.world().seen
    );
    assert_eq!(server.reads(), 3, "each try asks for a fresh address");
    assert!(
        server
            .world()
            .seen
            .iter()
            .all(|seen| seen.authorization.is_some())
    );
}

#[tokio::test]
async fn an_artifact_that_is_too_large_leaves_nothing() {
    let (server, store) = (Server::start().await, Server::start().await);
    leads_to(&server, &format!("{}/blob?sig=SECRET", store.base));
    holds(&store, "/blob", &[7; 5_000]);
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("state.zip");
    let error = server
        .client()
        .download_artifact(8, 4_999, &to)
        .await
        .unwrap_err();
    let expect =
        "download the artifact 8: the forge refuses it (413: it is larger than 4999 bytes)";
    assert_eq!(error.to_string(), expect);
    assert!(!to.exists());
    // One that hides its size is counted as it comes.
    store.fault(Method::GET, "/blob", Fault::Unsized);
    let error = server
        .client()
        .download_artifact(8, 4_999, &to)
        .await
        .unwrap_err();
    assert!(
        matches!(error, ForgeError::Refused { status: 413, .. }),
        "{error:?}"
    );
    assert_eq!(store.reads(), 2);
    assert!(!to.exists());
}

#[tokio::test]
async fn an_artifact_that_is_gone_is_not_found() {
    let (server, store) = (Server::start().await, Server::start().await);
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("state.zip");
    for (status, said) in [(404, "Not Found"), (410, "Artifact has expired")] {
        server.fault(Method::GET, ZIP, instead(status, said));
        let error = server
            .client()
            .download_artifact(8, 10, &to)
            .await
            .unwrap_err();
        assert!(matches!(error, ForgeError::NotFound { .. }), "{error:?}");
    }
    leads_to(&server, &format!("{}/blob?sig=SECRET", store.base));
    let error = server
        .client()
        .download_artifact(8, 10, &to)
        .await
        .unwrap_err();
    assert!(matches!(error, ForgeError::NotFound { .. }), "{error:?}");
}

#[tokio::test]
async fn no_error_tells_where_an_artifact_lies() {
    let (server, store) = (Server::start().await, Server::start().await);
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("state.zip");
    for address in [
        "file:///etc/passwd?SECRET".to_owned(),
        "SECRET".to_owned(),
        format!("{}/round?SECRET", store.base),
    ] {
        leads_to(&server, &address);
        let round = (302, vec![("location", address.clone())], Vec::new());
        store.world().canned.insert("/round".into(), round);
        let error = server
            .client()
            .download_artifact(8, 10, &to)
            .await
            .unwrap_err();
        assert!(
            !format!("{error} {error:?}").contains("SECRET"),
            "{error:?}"
        );
    }
    assert!(store.world().seen.len() < 20);
    holds(&server, &format!("{REPOSITORY}{ZIP}"), b"PK");
    let error = server
        .client()
        .download_artifact(8, 10, &to)
        .await
        .unwrap_err();
    assert!(matches!(error, ForgeError::Nonsense { .. }), "{error:?}");
    assert!(!to.exists());
}

fn artifact(id: u64, name: &str, created: &str, origin: &Value) -> Value {
    json!({
        "id": id, "name": name, "size_in_bytes": 1_000 + id, "expired": id == 4, "created_at": created,
        "workflow_run": origin,
    })
}

#[tokio::test]
async fn artifacts_are_found_by_how_their_names_begin() {
    let server = Server::start().await;
    let origin =
        json!({ "id": 777, "repository_id": 7, "head_repository_id": 9, "head_branch": "x" });
    server.tell(
        "/actions/artifacts",
        &json!({ "total_count": 5, "artifacts": [
        artifact(1, "omk-pr-12-20261122t185155z-4f2a9c", DATE, &origin),
        artifact(2, "omk-pr-12-20261122t195155z-4f2a9c", "2026-11-22T19:51:55Z", &origin),
        artifact(3, "omk-pr-123-20261122t185155z-4f2a9c", DATE, &origin),
        artifact(4, "omk-pr-12-expired", DATE, &origin),
        artifact(5, "omk-pr-12-of-nobody", DATE, &Value::Null),
    ] }),
    );
    let found = server.client().artifacts("omk-pr-12-").await.unwrap();
    assert_eq!(
        found.iter().map(|artifact| artifact.id).collect::<Vec<_>>(),
        [2, 1]
    );
    let first = &found[0];
    assert_eq!((first.bytes, first.workflow_run), (1_002, 777));
    assert_eq!(
        (first.repository, first.head_repository),
        (Some(7), Some(9))
    );
}

#[tokio::test]
async fn artifacts_that_may_be_among_the_rest_are_not_called_gone() {
    let server = Server::start().await;
    let many: Vec<Value> = (1..=100)
        .map(|id| artifact(id, "coverage", DATE, &Value::Null))
        .collect();
    server.tell(
        "/actions/artifacts",
        &json!({ "total_count": 90_000, "artifacts": many }),
    );
    let error = server.client().artifacts("omk-pr-12-").await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("it is not among the newest 3,000"),
        "{error}"
    );
    assert_eq!(server.reads(), 30);
}

#[tokio::test]
async fn a_workflow_run_is_read_and_cancelled() {
    let server = Server::start().await;
    let client = server.client();
    let mut run = json!({
        "id": 777, "path": ".github/workflows/omk.yml@refs/heads/main", "repository": { "id": 7 },
        "head_repository": null, "status": "in_progress", "event": "issue_comment", "html_url": "https://x/777",
    });
    server.tell("/actions/runs/777", &run);
    let found = client.workflow_run(777).await.unwrap().unwrap();
    assert_eq!(
        (found.path.as_str(), found.repository),
        (".github/workflows/omk.yml", 7)
    );
    assert!(!found.completed && found.head_repository.is_none());
    assert_eq!(client.workflow_run(778).await.unwrap(), None);
    client.cancel_workflow_run(777).await.unwrap();
    server.fault(
        Method::POST,
        "/cancel",
        instead(409, "Cannot cancel a workflow run that is completed."),
    );
    client
        .cancel_workflow_run(777)
        .await
        .expect("it is over, and that is what was wanted");
    assert_eq!(server.writes().len(), 2);
    run["status"] = "completed".into();
    server.tell("/actions/runs/777", &run);
    server.fault(Method::POST, "/cancel", Fault::After(502));
    client.cancel_workflow_run(777).await.unwrap();
    assert_eq!(
        server.writes().len(),
        3,
        "it is over: nothing is sent again"
    );
    server.fault(
        Method::POST,
        "/cancel",
        instead(403, "Resource not accessible by integration"),
    );
    assert!(matches!(
        client.cancel_workflow_run(777).await,
        Err(ForgeError::Forbidden { .. })
    ));
}

fn claims(authorization: &str) -> Value {
    let jwt = authorization.strip_prefix("Bearer ").unwrap();
    let parts: Vec<&str> = jwt.split('.').collect();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[0]).unwrap()).unwrap();
    assert_eq!(header["alg"], "RS256");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap()
}

async fn installation(server: &Server, key: &str) -> Result<(String, String), ForgeError> {
    let key = Secret::new(key.to_owned());
    let found = GitHub::installation(&server.base, "acme/widget", 4711, &key).await?;
    assert!(!format!("{found:?}").contains(found.token.expose()));
    Ok((found.token.expose().to_owned(), found.slug.clone()))
}

#[tokio::test]
async fn an_app_gets_a_token_for_this_repository_alone() {
    let server = Server::start().await;
    server.tell(
        "/installation",
        &json!({ "id": 99, "app_slug": "omk-at-acme", "app_id": 4711 }),
    );
    server.fault(
        Method::POST,
        "/access_tokens",
        Fault::Instead(
            201,
            Vec::new(),
            json!({ "token": "ghs_minted", "expires_at": DATE }),
        ),
    );
    let (token, slug) = installation(&server, KEY).await.unwrap();
    assert_eq!(
        (token.as_str(), slug.as_str()),
        ("ghs_minted", "omk-at-acme")
    );
    let seen = server.world().seen.clone();
    assert_eq!(seen[1].path, "/app/installations/99/access_tokens");
    assert_eq!(seen[1].body, json!({ "repositories": ["widget"] }));
    let claims = claims(seen[1].authorization.as_ref().unwrap());
    let lasts = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert!(claims["iss"] == 4711 && lasts <= 600, "{claims}");
    assert_eq!(seen.len(), 2);
}

#[tokio::test]
async fn a_key_whose_lines_are_spelt_out_is_a_key() {
    let server = Server::start().await;
    server.tell(
        "/installation",
        &json!({ "id": 99, "app_slug": "omk-at-acme" }),
    );
    server.fault(Method::POST, "/access_tokens", instead(500, "oops"));
    server.fault(
        Method::POST,
        "/access_tokens",
        Fault::Instead(201, Vec::new(), json!({ "token": "ghs_minted" })),
    );
    let key = Secret::new(KEY.trim().replace('\n', "\\n"));
    let token = GitHub::app_token(&server.base, "acme/widget", 4711, &key)
        .await
        .unwrap();
    assert_eq!(token.expose(), "ghs_minted");
}

#[tokio::test]
async fn an_app_that_cannot_be_is_told_why() {
    let server = Server::start().await;
    let broken = KEY.replace("MII", "AAA");
    for key in [
        "",
        "hunter2-hunter2",
        "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----",
        &broken,
    ] {
        let error = installation(&server, key).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(matches!(error, ForgeError::Misconfigured { .. }), "{text}");
        assert!(
            text.contains("the App's private key is not the PEM file of an RSA key"),
            "{text}"
        );
        assert!(
            !text.contains("hunter2") && !text.contains("AAAA"),
            "{text}"
        );
    }
    assert_eq!(server.world().seen.len(), 0);
    let error = installation(&server, KEY).await.unwrap_err();
    let expect = "find where the App 4711 is installed on acme/widget: there is no such thing, or the token may not see it \
                  (404)";
    assert_eq!(error.to_string(), expect);
    server.fault(
        Method::GET,
        "/installation",
        instead(401, "A JSON web token could not be decoded"),
    );
    let error = installation(&server, KEY).await.unwrap_err();
    assert!(
        matches!(error, ForgeError::Unauthorized { .. }),
        "{error:?}"
    );
}
