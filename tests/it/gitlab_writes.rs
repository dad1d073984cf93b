//! Writes to GitLab: each is done once, whatever happens on the way.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use axum::http::Method;
use omk_action::clock::Clock;
use omk_action::forge::{ForgeError, GitLab, GitLabSite, PullWanted, Reaction};
use serde_json::{Value, json};

use crate::gitlab_server::{Fault, PROJECT, Server, bot, note, patience, user};

const MARKER: &str = "<!-- omk:mr-12 -->";
const SAYS: &str = "<!-- omk:mr-12 -->\n**ready**";
const PLACE: &str = "/merge_requests/12/notes";
const BOT: (u64, &str) = (99, "project_7_bot_4f2a9c");

fn instead(status: u16, said: &str) -> Fault {
    Fault::Instead(status, Vec::new(), json!({ "message": said }))
}

async fn put(client: &GitLab, body: &str) -> Result<u64, ForgeError> {
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

fn keep(server: &Server, id: u64, who: (u64, &str), body: &str) {
    let mut one = note(id, who, body);
    one["at"] = format!("{PROJECT}{PLACE}/{id}").into();
    server.keep(PLACE, one);
}

#[tokio::test]
async fn a_comment_is_made_once_then_edited_then_left() {
    let server = Server::start().await;
    let client = server.client();
    let made = client.put_comment(12, &bot(), MARKER, SAYS).await.unwrap();
    assert_eq!(
        made.url,
        format!(
            "https://gitlab.example/acme/widget/-/merge_requests/12#note_{}",
            made.id
        )
    );
    let changed = format!("{MARKER}\nnot ready\n");
    assert_eq!(put(&client, &changed).await.unwrap(), made.id);
    assert_eq!(put(&client, &changed).await.unwrap(), made.id);
    assert_eq!(
        server.writes(),
        [format!("POST {PLACE}"), format!("PUT {PLACE}/{}", made.id)]
    );
    assert_eq!(bodies(&server, PLACE), [changed.trim_end()]);
    assert_eq!(client.writes(), 2);
}

#[tokio::test]
async fn a_forged_comment_is_not_ours() {
    let server = Server::start().await;
    keep(&server, 1, (666, "eve"), SAYS);
    keep(&server, 2, (667, BOT.1), SAYS);
    keep(&server, 3, BOT, "another's");
    let mut system = note(4, BOT, SAYS);
    system["system"] = true.into();
    server.keep(PLACE, system);
    for id in [31, 30, 32] {
        keep(&server, id, BOT, MARKER);
    }
    assert_eq!(
        put(&server.client(), SAYS).await.unwrap(),
        30,
        "of several the oldest"
    );
    assert_eq!(server.writes(), [format!("PUT {PLACE}/30")]);
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
        keep(&server, id, who, body);
    }
    assert_eq!(put(&server.client(), SAYS).await.unwrap(), 230);
    assert!(server.writes().is_empty(), "it says so already");
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
        assert_eq!(server.writes(), [format!("POST {PLACE}")], "{fault:?}");
        assert_eq!(
            (server.kept(PLACE).len(), &server.kept(PLACE)[0]["id"]),
            (1, &json!(id))
        );
    }
}

#[tokio::test]
async fn a_comment_that_was_not_written_is_sent_once_more() {
    let server = Server::start().await;
    server.fault(Method::POST, PLACE, instead(502, "bad gateway"));
    put(&server.client(), SAYS).await.unwrap();
    assert_eq!(
        (server.writes().len(), bodies(&server, PLACE)),
        (2, vec![SAYS.to_owned()])
    );
    for _ in 0..5 {
        server.fault(Method::PUT, PLACE, instead(500, "oops"));
    }
    let error = put(&server.client(), MARKER).await.unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("the forge does not answer (500: oops)"),
        "{error}"
    );
    assert_eq!(server.writes().len(), 4, "given up after the second try");
}

#[tokio::test]
async fn a_limited_write_was_not_done_and_is_sent_again() {
    let server = Server::start().await;
    let wait = Fault::Instead(
        429,
        vec![("retry-after", "0".into())],
        json!("Retry later\n"),
    );
    server.fault(Method::POST, PLACE, wait);
    let said = json!({ "message": { "error": "This endpoint has been requested too many times. Try again later." } });
    server.fault(Method::POST, PLACE, Fault::Instead(429, Vec::new(), said));
    put(&server.client(), SAYS).await.unwrap();
    assert_eq!((server.writes().len(), server.kept(PLACE).len()), (3, 1));
}

#[tokio::test]
async fn an_edit_without_an_answer_is_looked_at() {
    let server = Server::start().await;
    let client = server.client();
    let id = put(&client, SAYS).await.unwrap();
    server.fault(Method::PUT, PLACE, Fault::After(502));
    put(&client, &format!("{MARKER}\none")).await.unwrap();
    assert_eq!(server.writes().len(), 2, "it was done");
    server.fault(Method::PUT, PLACE, instead(404, "404 Not Found"));
    assert_ne!(
        put(&client, &format!("{MARKER}\ntwo")).await.unwrap(),
        id,
        "one deleted under us is made anew"
    );
}

#[tokio::test]
async fn a_comment_is_refused_once() {
    let server = Server::start().await;
    for (status, said) in [
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (404, "Not found"),
        (400, "note is too long"),
    ] {
        server.fault(Method::POST, PLACE, instead(status, said));
        put(&server.client(), SAYS).await.unwrap_err();
    }
    assert_eq!(server.writes().len(), 4);
}

#[tokio::test]
async fn no_text_of_ours_is_carried_out() {
    let server = Server::start().await;
    let client = server.client();
    let body = format!("{MARKER}\nan agent's words:\n/merge\r\n  /approve\n/omk run\n");
    put(&client, &body).await.unwrap();
    put(&client, &body).await.unwrap();
    assert_eq!(
        bodies(&server, PLACE),
        [format!(
            "{MARKER}\nan agent's words:\n\\/merge\n  \\/approve\n/omk run"
        )]
    );
    assert_eq!(server.writes().len(), 1, "it is the same the second time");
    client
        .put_pull_request(&PullWanted {
            body: body.clone(),
            ..wanted()
        })
        .await
        .unwrap();
    client
        .put_issue(&bot(), MARKER, "omk", &body)
        .await
        .unwrap();
    for description in server
        .bodies()
        .iter()
        .skip(1)
        .map(|body| body["description"].as_str().unwrap().to_owned())
    {
        assert!(description.contains("\n\\/merge\n"), "{description}");
    }
}

#[tokio::test]
async fn a_reaction_is_there_once() {
    let server = Server::start().await;
    let client = server.client();
    let awards = format!("{PLACE}/5/award_emoji");
    client.react(12, 5, Reaction::Eyes).await.unwrap();
    client
        .react(12, 5, Reaction::Eyes)
        .await
        .expect("it is there, and that is what was wanted");
    server.fault(Method::POST, "/award_emoji", Fault::After(502));
    client.react(12, 5, Reaction::Rocket).await.unwrap();
    server.fault(Method::POST, "/award_emoji", instead(502, "bad gateway"));
    client.react(12, 5, Reaction::Confused).await.unwrap();
    let names: Vec<Value> = server
        .kept(&awards)
        .iter()
        .map(|award| award["name"].clone())
        .collect();
    assert_eq!(names, [json!("eyes"), json!("rocket"), json!("confused")]);
    assert_eq!(server.writes().len(), 5);
    let told = client.awards(12, 5).await.unwrap();
    assert_eq!(told[0], (bot(), "eyes".to_owned()));
}

#[tokio::test]
async fn of_two_that_react_at_once_one_was_first() {
    let server = Server::start().await;
    let client = server.client();
    assert!(client.claim(12, 5, Reaction::Eyes).await.unwrap());
    assert!(!client.claim(12, 5, Reaction::Eyes).await.unwrap());
    // Its own, of which it was not told.
    server.fault(Method::POST, "/award_emoji", Fault::After(502));
    assert!(client.claim(12, 5, Reaction::Rocket).await.unwrap());
    server.fault(Method::POST, "/award_emoji", instead(404, "404 Not found"));
    server.fault(Method::GET, "/award_emoji", instead(404, "404 Not found"));
    assert!(
        !client.claim(12, 6, Reaction::Eyes).await.unwrap(),
        "nobody can have a note that is gone"
    );
}

#[tokio::test]
async fn of_several_who_claim_a_note_at_a_time_one_gets_it() {
    let server = Server::start().await;
    let (client, other) = (server.client(), server.client());
    let (first, second) = tokio::join!(
        client.claim(12, 5, Reaction::Eyes),
        other.claim(12, 5, Reaction::Eyes)
    );
    assert!(first.unwrap() ^ second.unwrap());
    assert!(!client.claim(12, 5, Reaction::Eyes).await.unwrap());
    server.fault(Method::POST, "/award_emoji", Fault::After(502));
    assert!(
        client.claim(12, 6, Reaction::Eyes).await.unwrap(),
        "it was not answered, and it was done"
    );
    server.fault(Method::POST, "/award_emoji", instead(404, "404 Not found"));
    server.fault(Method::GET, "/award_emoji", instead(404, "404 Not found"));
    assert!(
        !client.claim(12, 7, Reaction::Eyes).await.unwrap(),
        "nobody gets what is gone"
    );
}

#[tokio::test]
async fn another_s_reaction_is_not_ours() {
    let server = Server::start().await;
    let client = server.client();
    let awards = format!("{PLACE}/5/award_emoji");
    server.keep(&awards, json!({ "name": "eyes", "user": user(666, "eve") }));
    server.keep(
        &awards,
        json!({ "name": "rocket", "user": { "id": 99, "username": BOT.1 } }),
    );
    server.fault(
        Method::POST,
        "/award_emoji",
        instead(404, "404 Award Emoji Not Found"),
    );
    let error = client.react(12, 5, Reaction::Eyes).await.unwrap_err();
    assert!(matches!(error, ForgeError::NotFound { .. }), "{error:?}");
    server.fault(Method::POST, "/award_emoji", instead(404, "404 Not found"));
    server.fault(Method::GET, "/award_emoji", instead(404, "404 Not found"));
    client
        .react(12, 6, Reaction::Eyes)
        .await
        .expect("a comment that is gone needs no reaction");
}

fn wanted() -> PullWanted {
    PullWanted {
        head: "omk/run/mr-12".into(),
        base: "topic/x".into(),
        title: "omk: two tasks".into(),
        body: SAYS.into(),
        draft: false,
        labels: vec!["omk".into(), "bot".into()],
    }
}

#[tokio::test]
async fn a_merge_request_is_opened_once_and_then_kept_up_to_date() {
    let server = Server::start().await;
    let client = server.client();
    server.fault(Method::POST, "/merge_requests", Fault::After(504));
    let made = client.put_pull_request(&wanted()).await.unwrap();
    assert!(made.open && made.head.repository == Some(7));
    client.put_pull_request(&wanted()).await.unwrap();
    let changed = PullWanted {
        title: "omk: three tasks".into(),
        ..wanted()
    };
    server.fault(Method::PUT, "/merge_requests", Fault::SilentAfter);
    assert_eq!(
        client.put_pull_request(&changed).await.unwrap().number,
        made.number
    );
    assert_eq!(
        server.writes(),
        [
            "POST /merge_requests".to_owned(),
            format!("PUT /merge_requests/{}", made.number)
        ]
    );
    let expect = json!({
        "source_branch": "omk/run/mr-12", "target_branch": "topic/x", "title": "omk: two tasks", "description": SAYS,
        "remove_source_branch": true, "labels": "omk,bot",
    });
    assert_eq!(server.bodies()[0], expect);
    assert_eq!(
        server.bodies()[1],
        json!({ "title": "omk: three tasks", "description": SAYS })
    );
}

#[tokio::test]
async fn a_draft_stays_one_until_a_person_says_otherwise() {
    let server = Server::start().await;
    let client = server.client();
    client
        .put_pull_request(&PullWanted {
            draft: true,
            ..wanted()
        })
        .await
        .unwrap();
    client
        .put_pull_request(&PullWanted {
            draft: true,
            title: "omk: three".into(),
            ..wanted()
        })
        .await
        .unwrap();
    client
        .put_pull_request(&PullWanted {
            title: "omk: four".into(),
            ..wanted()
        })
        .await
        .unwrap();
    server
        .world()
        .kept
        .get_mut(&format!("{PROJECT}/merge_requests"))
        .unwrap()[0]["title"] = "omk: four".into();
    client
        .put_pull_request(&PullWanted {
            draft: true,
            title: "omk: five".into(),
            ..wanted()
        })
        .await
        .unwrap();
    let titles: Vec<Value> = server
        .bodies()
        .iter()
        .map(|body| body["title"].clone())
        .collect();
    assert_eq!(
        titles,
        [
            "Draft: omk: two tasks",
            "Draft: omk: three",
            "Draft: omk: four",
            "omk: five"
        ]
        .map(|one| json!(one))
    );
}

#[tokio::test]
async fn where_somebody_was_faster_theirs_is_taken() {
    let server = Server::start().await;
    let client = server.client();
    client.put_pull_request(&wanted()).await.unwrap();
    // The look before sees nothing yet.
    server.fault(
        Method::GET,
        "/merge_requests?",
        Fault::Instead(200, Vec::new(), json!([])),
    );
    let changed = PullWanted {
        title: "omk: three tasks".into(),
        ..wanted()
    };
    client.put_pull_request(&changed).await.unwrap();
    assert_eq!(server.kept("/merge_requests").len(), 1);
    server.fault(
        Method::GET,
        "/merge_requests?",
        Fault::Instead(200, Vec::new(), json!([])),
    );
    server.fault(
        Method::GET,
        "/merge_requests?",
        Fault::Instead(200, Vec::new(), json!([])),
    );
    let error = client.put_pull_request(&wanted()).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("409: Another open merge request already exists"),
        "{error}"
    );
}

#[tokio::test]
async fn a_setting_that_forbids_merge_requests_is_told_in_its_words() {
    let server = Server::start().await;
    server.fault(
        Method::POST,
        "/merge_requests",
        instead(403, "403 Forbidden"),
    );
    let error = server
        .client()
        .put_pull_request(&wanted())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ForgeError::Forbidden { said, .. } if said == "Forbidden"),
        "{error:?}"
    );
    assert_eq!(server.writes(), ["POST /merge_requests"]);
}

#[tokio::test]
async fn the_dashboard_is_one_issue() {
    let server = Server::start().await;
    let client = server.client();
    server.keep(
        "/issues",
        json!({
            "iid": 1, "title": "omk", "description": MARKER, "state": "opened", "author": user(666, "eve"), "web_url": "https://x/1",
        }),
    );
    server.fault(Method::POST, "/issues", Fault::SilentAfter);
    let made = client.put_issue(&bot(), MARKER, "omk", SAYS).await.unwrap();
    assert!(made.open && made.number > 1);
    assert_eq!(
        client.put_issue(&bot(), MARKER, "omk", SAYS).await.unwrap(),
        made
    );
    assert_eq!(
        client.issue(&bot(), MARKER).await.unwrap(),
        Some(made.clone())
    );
    server.fault(Method::PUT, "/issues", Fault::After(502));
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
            format!("PUT /issues/{}", made.number)
        ]
    );
    assert!(
        server.reads()[0].contains("/issues?author_id=99&state=opened&scope=all&"),
        "{:?}",
        server.reads()
    );
}

#[tokio::test]
async fn a_pipeline_is_cancelled_once() {
    let server = Server::start().await;
    let client = server.client();
    let tell = |status: &str| {
        let told = json!({ "id": 76, "project_id": 7, "ref": "main", "status": status, "source": "web", "web_url": "https://x" });
        server.tell("/pipelines/76", &told);
    };
    tell("running");
    client.cancel_workflow_run(76).await.unwrap();
    server.fault(Method::POST, "/cancel", instead(422, "it cannot be"));
    assert!(
        matches!(
            client.cancel_workflow_run(76).await,
            Err(ForgeError::Refused { .. })
        ),
        "it runs on"
    );
    tell("canceled");
    server.fault(Method::POST, "/cancel", Fault::After(502));
    client.cancel_workflow_run(76).await.unwrap();
    server.fault(Method::POST, "/cancel", instead(422, "it is over"));
    client
        .cancel_workflow_run(76)
        .await
        .expect("it is over, and that is what was wanted");
    assert_eq!(server.writes().len(), 4);
    server.fault(Method::POST, "/cancel", instead(403, "403 Forbidden"));
    assert!(matches!(
        client.cancel_workflow_run(76).await,
        Err(ForgeError::Forbidden { .. })
    ));
}

#[tokio::test]
async fn writes_of_all_copies_are_spaced() {
    let server = Server::start().await;
    let site = GitLabSite {
        spacing: Duration::from_millis(120),
        ..server.site()
    };
    let client = GitLab::with_patience(site, patience()).unwrap();
    let clock = Clock::start();
    let write =
        |client: GitLab, comment| async move { client.react(12, comment, Reaction::Rocket).await };
    // Spawned, so that the calls are known to be fit for any thread.
    let tasks = [1, 2, 3].map(|comment| tokio::spawn(write(client.clone(), comment)));
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert!(
        clock.elapsed() >= Duration::from_millis(240),
        "{:?}",
        clock.elapsed()
    );
    assert_eq!((client.writes(), server.writes().len()), (3, 3));
}
