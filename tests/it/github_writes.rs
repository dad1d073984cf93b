//! Writes to GitHub: each is done once, whatever happens on the way.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use axum::http::Method;
use omk_action::forge::{CheckState, Conclusion, ForgeError, GitHub, PullWanted, Reaction};
use omk_action::id::CommitId;
use serde_json::{Value, json};

use crate::github_server::{DATE, Fault, Server, bot, comment};

const MARKER: &str = "<!-- omk:pr-12 -->";
const SAYS: &str = "<!-- omk:pr-12 -->\n**ready**";
const PLACE: &str = "/issues/12/comments";
const BOT: (u64, &str) = (41_898_282, "github-actions[bot]");

fn instead(status: u16, said: &str) -> Fault {
    Fault::Instead(status, Vec::new(), json!({ "message": said }))
}

fn wait() -> Fault {
    Fault::Instead(
        429,
        vec![("retry-after", "0".into())],
        json!({ "message": "slow down" }),
    )
}

async fn put(client: &GitHub, body: &str) -> Result<u64, ForgeError> {
    client
        .put_comment(12, &bot(), MARKER, body)
        .await
        .map(|comment| comment.id)
}

fn bodies(server: &Server, place: &str) -> Vec<String> {
    server
        .kept(place)
        .iter()
        .map(|one| one["body"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_comment_is_made_once_then_edited_then_left() {
    let server = Server::start().await;
    let client = server.client();
    let id = put(&client, SAYS).await.unwrap();
    let changed = format!("{MARKER}\nnot ready");
    assert_eq!(put(&client, &changed).await.unwrap(), id);
    assert_eq!(put(&client, &changed).await.unwrap(), id);
    assert_eq!(
        server.writes(),
        [
            "POST /issues/12/comments".to_owned(),
            format!("PATCH /issues/comments/{id}")
        ]
    );
    assert_eq!(bodies(&server, PLACE), [changed]);
    assert_eq!(client.writes(), 2);
}

#[tokio::test]
async fn a_forged_comment_is_not_ours() {
    let server = Server::start().await;
    server.keep(PLACE, comment(1, (666, "eve"), SAYS));
    server.keep(PLACE, comment(2, (667, "github-actions[bot]"), SAYS));
    server.keep(PLACE, comment(3, BOT, "another workflow's"));
    let id = put(&server.client(), SAYS).await.unwrap();
    assert!(id > 3);
    assert_eq!(server.writes(), ["POST /issues/12/comments"]);
}

#[tokio::test]
async fn of_several_comments_of_ours_the_oldest_is_the_one() {
    let server = Server::start().await;
    for id in [31, 30, 32] {
        server.keep(PLACE, comment(id, BOT, MARKER));
        server.world().kept.values_mut().flatten().last().unwrap()["at"] =
            format!("/repos/acme/widget/issues/comments/{id}").into();
    }
    assert_eq!(put(&server.client(), SAYS).await.unwrap(), 30);
    assert_eq!(server.writes(), ["PATCH /issues/comments/30"]);
}

#[tokio::test]
async fn our_comment_is_found_on_the_third_page() {
    let server = Server::start().await;
    for id in 1..=250 {
        let (who, body) = if id == 230 {
            (BOT, SAYS)
        } else {
            ((5, "ann"), "chatter")
        };
        server.keep(PLACE, comment(id, who, body));
    }
    let client = server.client();
    assert_eq!(client.comments(12).await.unwrap().len(), 250);
    assert_eq!(server.reads(), 3);
    assert_eq!(put(&client, SAYS).await.unwrap(), 230);
    assert!(server.writes().is_empty(), "it says so already");
}

#[tokio::test]
async fn a_list_without_end_is_an_error() {
    let server = Server::start().await;
    for id in 1..=3_001 {
        server.keep(PLACE, comment(id, (5, "ann"), "chatter"));
    }
    let error = put(&server.client(), SAYS).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the list has more than 30 pages of 100"),
        "{error}"
    );
    assert!(server.writes().is_empty(), "better none than a second one");
}

#[tokio::test]
async fn a_comment_that_was_written_without_an_answer_is_found() {
    for fault in [
        Fault::After(502),
        Fault::After(500),
        Fault::SilentAfter,
        Fault::CutAfter,
        Fault::PageAfter,
    ] {
        let server = Server::start().await;
        server.fault(Method::POST, PLACE, fault.clone());
        let id = put(&server.client(), SAYS).await.unwrap();
        assert_eq!(server.writes(), ["POST /issues/12/comments"], "{fault:?}");
        assert_eq!(server.kept(PLACE).len(), 1);
        assert_eq!(server.kept(PLACE)[0]["id"], id);
    }
}

#[tokio::test]
async fn a_comment_that_was_not_written_is_sent_once_more() {
    let server = Server::start().await;
    server.fault(Method::POST, PLACE, instead(502, "bad gateway"));
    put(&server.client(), SAYS).await.unwrap();
    assert_eq!(server.writes().len(), 2);
    assert_eq!(bodies(&server, PLACE), [SAYS]);
}

#[tokio::test]
async fn a_comment_that_is_written_at_the_second_try_without_an_answer_is_found_too() {
    let server = Server::start().await;
    server.fault(Method::POST, PLACE, instead(503, "busy"));
    server.fault(Method::POST, PLACE, Fault::SilentAfter);
    put(&server.client(), SAYS).await.unwrap();
    assert_eq!((server.writes().len(), server.kept(PLACE).len()), (2, 1));
}

#[tokio::test]
async fn a_comment_is_given_up_after_the_second_try() {
    let server = Server::start().await;
    for _ in 0..5 {
        server.fault(Method::POST, PLACE, instead(500, "oops"));
    }
    let error = put(&server.client(), SAYS).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "write a comment on #12: the forge does not answer (500: oops)"
    );
    assert_eq!(server.writes().len(), 2);
}

#[tokio::test]
async fn where_nobody_can_look_nothing_is_sent_again() {
    let server = Server::start().await;
    server.fault(Method::POST, PLACE, Fault::After(502));
    let client = server.client();
    // The look before goes well; all after it fail.
    server.fault(Method::GET, "nothing", instead(500, ""));
    let looked = tokio::spawn(async move { put(&client, SAYS).await });
    while server.writes().is_empty() {
        tokio::task::yield_now().await;
    }
    for _ in 0..20 {
        server.fault(Method::GET, PLACE, instead(500, "oops"));
    }
    let error = looked.await.unwrap().unwrap_err();
    assert!(matches!(error, ForgeError::Unavailable { .. }), "{error:?}");
    assert_eq!((server.writes().len(), server.kept(PLACE).len()), (1, 1));
}

#[tokio::test]
async fn a_limited_write_was_not_done_and_is_sent_again() {
    let server = Server::start().await;
    server.fault(Method::POST, PLACE, wait());
    let secondary =
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
    server.fault(Method::POST, PLACE, instead(403, secondary));
    put(&server.client(), SAYS).await.unwrap();
    assert_eq!((server.writes().len(), server.kept(PLACE).len()), (3, 1));
    assert_eq!(server.reads(), 1, "there was nothing to look for");
}

#[tokio::test]
async fn a_comment_deleted_under_us_is_made_anew() {
    let server = Server::start().await;
    let client = server.client();
    let first = put(&client, SAYS).await.unwrap();
    server.fault(Method::PATCH, "/issues/comments", instead(404, "Not Found"));
    let second = put(&client, &format!("{MARKER}\nnot ready")).await.unwrap();
    assert_ne!(first, second);
    let expect = [
        "POST /issues/12/comments",
        &format!("PATCH /issues/comments/{first}"),
        "POST /issues/12/comments",
    ];
    assert_eq!(server.writes(), expect);
}

#[tokio::test]
async fn an_edit_without_an_answer_is_looked_at() {
    let server = Server::start().await;
    let client = server.client();
    let id = put(&client, SAYS).await.unwrap();
    server.fault(Method::PATCH, "/issues/comments", Fault::After(502));
    put(&client, &format!("{MARKER}\none")).await.unwrap();
    assert_eq!(server.writes().len(), 2, "it was done");
    server.fault(
        Method::PATCH,
        "/issues/comments",
        instead(502, "bad gateway"),
    );
    assert_eq!(put(&client, &format!("{MARKER}\ntwo")).await.unwrap(), id);
    assert_eq!(server.writes().len(), 4, "it was not");
    assert_eq!(bodies(&server, PLACE), [format!("{MARKER}\ntwo")]);
}

#[tokio::test]
async fn a_comment_is_refused_once() {
    let server = Server::start().await;
    for (status, said) in [
        (401, "Bad credentials"),
        (403, "Issue is locked"),
        (404, "Not Found"),
        (422, "too long"),
    ] {
        server.fault(Method::POST, PLACE, instead(status, said));
        put(&server.client(), SAYS).await.unwrap_err();
    }
    assert_eq!(server.writes().len(), 4);
}

#[tokio::test]
async fn a_body_that_is_too_long_says_that_it_is_cut() {
    let server = Server::start().await;
    let client = server.client();
    put(&client, &format!("{MARKER}\n{}", "ü".repeat(70_000)))
        .await
        .unwrap();
    put(&client, &format!("{MARKER}\n{}", "ü".repeat(70_000)))
        .await
        .unwrap();
    let body = &bodies(&server, PLACE)[0];
    assert_eq!(body.chars().count(), 65_536);
    assert!(
        body.starts_with(MARKER) && body.ends_with("the rest of it is cut off._\n"),
        "{}",
        &body[..40]
    );
    assert_eq!(
        server.writes().len(),
        1,
        "the cut text is the same the second time"
    );
}

#[tokio::test]
async fn a_comment_is_read_as_it_is() {
    let server = Server::start().await;
    server.tell(
        "/issues/comments/5",
        &json!({
            "id": 5, "user": null, "body": "/omk run", "html_url": "https://x/5",
            "created_at": DATE, "updated_at": "2026-11-22T19:51:56+01:00",
        }),
    );
    let found = server.client().comment(5).await.unwrap().unwrap();
    assert_eq!((found.author, found.body.as_str()), (None, "/omk run"));
    assert_eq!(found.updated.as_millis() - found.created.as_millis(), 1_000);
    assert_eq!(server.client().comment(6).await.unwrap(), None);
}

#[tokio::test]
async fn reactions_are_looked_for_before_they_are_sent_again() {
    let server = Server::start().await;
    let me = json!({ "id": 41_898_282, "login": "github-actions[bot]", "type": "Bot" });
    server.tell_at(
        "/user",
        403,
        &json!({ "message": "Resource not accessible by integration" }),
    );
    server.tell_at("/users/github-actions%5Bbot%5D", 200, &me);
    let client = server.client();
    client.react(5, Reaction::Eyes).await.unwrap();
    server.fault(Method::POST, "/reactions", Fault::After(502));
    client.react(5, Reaction::Rocket).await.unwrap();
    server.fault(Method::POST, "/reactions", instead(502, "bad gateway"));
    client.react(5, Reaction::Confused).await.unwrap();
    let sent: Vec<String> = server
        .bodies()
        .iter()
        .map(|body| body["content"].to_string())
        .collect();
    assert_eq!(
        sent,
        ["\"eyes\"", "\"rocket\"", "\"confused\"", "\"confused\""]
    );
    assert_eq!(server.kept("/issues/comments/5/reactions").len(), 3);
    server.fault(Method::POST, "/reactions", instead(404, "Not Found"));
    client
        .react(6, Reaction::Eyes)
        .await
        .expect("a comment that is gone needs no reaction");
}

#[tokio::test]
async fn the_dashboard_is_one_issue() {
    let server = Server::start().await;
    let client = server.client();
    let mut forged = comment(1, (666, "eve"), MARKER);
    forged["number"] = 1.into();
    forged["state"] = "open".into();
    forged["title"] = "omk".into();
    server.keep("/issues", forged);
    server.fault(Method::POST, "/issues", Fault::SilentAfter);
    let made = client.put_issue(&bot(), MARKER, "omk", SAYS).await.unwrap();
    assert!(made.open && made.number > 1);
    let again = client.put_issue(&bot(), MARKER, "omk", SAYS).await.unwrap();
    assert_eq!(again, made);
    server.fault(Method::PATCH, "/issues", Fault::After(502));
    let edited = client
        .put_issue(&bot(), MARKER, "omk: 2 failures", SAYS)
        .await
        .unwrap();
    assert_eq!(
        (edited.number, edited.title.as_str()),
        (made.number, "omk: 2 failures")
    );
    assert_eq!(
        server.writes(),
        [
            "POST /issues".to_owned(),
            format!("PATCH /issues/{}", made.number)
        ]
    );
}

fn wanted() -> PullWanted {
    PullWanted {
        head: "omk/run/pr-12".into(),
        base: "topic/x".into(),
        title: "omk: two tasks".into(),
        body: SAYS.into(),
        draft: true,
        labels: vec!["omk".into()],
    }
}

#[tokio::test]
async fn a_pull_request_is_opened_once_and_then_kept_up_to_date() {
    let server = Server::start().await;
    let client = server.client();
    server.fault(Method::POST, "/pulls", Fault::After(504));
    let made = client.put_pull_request(&wanted()).await.unwrap();
    assert!(made.open && made.head.repository == Some(7));
    client.put_pull_request(&wanted()).await.unwrap();
    let changed = PullWanted {
        title: "omk: three tasks".into(),
        draft: false,
        ..wanted()
    };
    assert_eq!(
        client.put_pull_request(&changed).await.unwrap().number,
        made.number
    );
    let number = made.number;
    let expect = [
        "POST /pulls",
        &format!("POST /issues/{number}/labels"),
        &format!("PATCH /pulls/{number}"),
    ];
    assert_eq!(server.writes(), expect);
    let bodies = server.bodies();
    assert_eq!(
        (&bodies[0]["draft"], &bodies[1]["labels"]),
        (&json!(true), &json!(["omk"]))
    );
    assert_eq!(
        bodies[2],
        json!({ "title": "omk: three tasks", "body": SAYS }),
        "an open one stays a draft"
    );
    assert_eq!(
        client
            .pull_requests_from("omk/run/pr-12")
            .await
            .unwrap()
            .len(),
        1
    );
    assert!(
        client
            .pull_requests_from("omk/run/pr-13")
            .await
            .unwrap()
            .is_empty(),
        "whatever GitHub lists"
    );
    let asked = server
        .world()
        .seen
        .iter()
        .find(|seen| seen.path.contains("state=all"))
        .unwrap()
        .path
        .clone();
    assert!(
        asked.contains("/pulls?head=acme%3Aomk%2Frun%2Fpr-12&state=all"),
        "{asked}"
    );
}

#[tokio::test]
async fn a_setting_that_forbids_pull_requests_is_told_in_its_words() {
    let server = Server::start().await;
    let said = "GitHub Actions is not permitted to create or approve pull requests.";
    server.fault(Method::POST, "/pulls", instead(403, said));
    let error = server
        .client()
        .put_pull_request(&wanted())
        .await
        .unwrap_err();
    let ForgeError::Forbidden { said: told, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(told, said);
    assert_eq!(server.writes(), ["POST /pulls"]);
}

#[tokio::test]
async fn a_pull_request_without_drafts_or_labels_is_opened_all_the_same() {
    let server = Server::start().await;
    server.fault(
        Method::POST,
        "/pulls",
        instead(
            422,
            "Draft pull requests are not supported in this repository.",
        ),
    );
    server.fault(
        Method::POST,
        "/labels",
        instead(403, "Resource not accessible by integration"),
    );
    server.client().put_pull_request(&wanted()).await.unwrap();
    let drafts: Vec<Value> = server
        .bodies()
        .iter()
        .take(2)
        .map(|body| body["draft"].clone())
        .collect();
    assert_eq!(drafts, [json!(true), json!(false)]);
    assert_eq!(server.kept("/pulls").len(), 1);
}

#[tokio::test]
async fn a_pull_request_with_no_change_is_refused() {
    let server = Server::start().await;
    let errors = json!({ "message": "Validation Failed", "errors": [{ "message": "No commits between main and x" }] });
    server.fault(
        Method::POST,
        "/pulls",
        Fault::Instead(422, Vec::new(), errors),
    );
    let error = server
        .client()
        .put_pull_request(&wanted())
        .await
        .unwrap_err();
    let expect = "open a pull request from omk/run/pr-12 to topic/x: the forge refuses it (422: Validation Failed; \
                  No commits between main and x)";
    assert_eq!(error.to_string(), expect);
}

#[tokio::test]
async fn a_status_is_written_once() {
    let server = Server::start().await;
    let client = server.client();
    let commit: CommitId = "a".repeat(40).parse().unwrap();
    let put = async |state, said: &str| {
        client
            .put_status(&commit, "omk", state, said, Some("https://x/1"))
            .await
            .unwrap()
    };
    put(CheckState::InProgress, "running").await;
    server.fault(Method::POST, "/statuses", Fault::SilentAfter);
    put(
        CheckState::Completed(Conclusion::Success),
        &"ready ".repeat(50),
    )
    .await;
    put(
        CheckState::Completed(Conclusion::Success),
        &"ready ".repeat(50),
    )
    .await;
    put(
        CheckState::Completed(Conclusion::Neutral),
        "nothing was verified",
    )
    .await;
    let states: Vec<String> = server
        .bodies()
        .iter()
        .map(|body| body["state"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(states, ["pending", "success", "error"]);
    assert_eq!(
        server.bodies()[1]["description"]
            .as_str()
            .unwrap()
            .chars()
            .count(),
        140
    );
}
