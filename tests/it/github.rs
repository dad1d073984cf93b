//! The GitHub client: what it reads, and how it behaves where GitHub does not.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use axum::http::Method;
use omk_action::clock::Clock;
use omk_action::exec::secret::Secret;
use omk_action::forge::{ForgeError, GitHub, GitHubSite, Patience};
use omk_action::id::{CommitId, Moment};
use omk_action::trust::{Account, Rights};
use serde_json::{Value, json};

use crate::github_server::{Fault, REPOSITORY, Server, TOKEN, bot, patience};

fn commit(digit: char) -> CommitId {
    digit.to_string().repeat(40).parse().unwrap()
}

fn instead(status: u16, said: &str) -> Fault {
    Fault::Instead(status, Vec::new(), json!({ "message": said }))
}

fn limited(status: u16, headers: &[(&'static str, &str)], said: &str) -> Fault {
    let headers = headers
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect();
    Fault::Instead(status, headers, json!({ "message": said }))
}

fn repository() -> Value {
    json!({
        "id": 7, "full_name": "acme/widget", "default_branch": "main", "private": false,
        "html_url": "https://github.example/acme/widget", "more": { "that": ["nobody", "reads"] },
    })
}

#[tokio::test]
async fn a_read_is_repeated_until_the_forge_is_well_again() {
    let server = Server::start().await;
    server.tell("", &repository());
    server.fault(Method::GET, "/widget", instead(500, "oops"));
    server.fault(Method::GET, "/widget", Fault::SilentAfter);
    let found = server.client().repository().await.unwrap();
    assert_eq!(
        (found.id, found.default_branch.as_str(), found.private),
        (7, "main", false)
    );
    assert_eq!(server.reads(), 3);
    assert_eq!(
        server.world().seen[0].authorization.as_deref(),
        Some(format!("Bearer {TOKEN}").as_str())
    );
}

#[tokio::test]
async fn a_read_is_given_up_after_the_third_time() {
    let server = Server::start().await;
    for _ in 0..9 {
        server.fault(
            Method::GET,
            "/widget",
            instead(
                502,
                &format!("bad gateway\nfor {TOKEN} {}", "x".repeat(9_000)),
            ),
        );
    }
    let error = server.client().repository().await.unwrap_err();
    assert_eq!(server.reads(), 3);
    let text = format!("{error} {error:?}");
    assert!(
        text.contains("read the repository: the forge does not answer (502: bad gateway for ***"),
        "{text}"
    );
    assert!(!text.contains(TOKEN) && text.len() < 1_000, "{text}");
}

#[tokio::test]
async fn nobody_at_home_is_said_in_our_words() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let api = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let site = GitHubSite {
        api: api.clone(),
        repository: "a/b".into(),
        token: Secret::new(TOKEN.into()),
        spacing: Duration::ZERO,
    };
    let error = GitHub::with_patience(site, patience())
        .unwrap()
        .repository()
        .await
        .unwrap_err();
    let expect =
        format!("read the repository: the forge does not answer (cannot connect to {api})");
    assert_eq!(error.to_string(), expect);
}

#[tokio::test]
async fn each_refusal_is_told_apart() {
    let server = Server::start().await;
    let client = server.client();
    let cases = [
        (
            401,
            "Bad credentials",
            "read the repository: the token is refused (401)",
        ),
        (
            403,
            "Resource not accessible by integration",
            "read the repository: the token may not do that (403: Resource not accessible by integration)",
        ),
        (
            404,
            "Not Found",
            "read the repository: there is no such thing, or the token may not see it (404)",
        ),
        (
            422,
            "Validation Failed",
            "read the repository: the forge refuses it (422: Validation Failed)",
        ),
        (
            301,
            "Moved Permanently",
            "read the repository: the forge refuses it (301: it has moved elsewhere)",
        ),
    ];
    for (status, said, expect) in cases {
        server.fault(Method::GET, "/widget", instead(status, said));
        assert_eq!(client.repository().await.unwrap_err().to_string(), expect);
    }
    assert_eq!(
        server.reads(),
        cases.len(),
        "a refusal is not asked for twice"
    );
}

#[tokio::test]
async fn garbage_is_called_so() {
    let server = Server::start().await;
    server.fault(Method::GET, "/widget", Fault::PageAfter);
    let error = server.client().repository().await.unwrap_err();
    assert!(matches!(error, ForgeError::Nonsense { .. }), "{error:?}");
    server.tell("", &json!({ "id": "seven" }));
    let error = server.client().repository().await.unwrap_err();
    assert!(matches!(error, ForgeError::Nonsense { .. }), "{error:?}");
}

#[tokio::test]
async fn a_wish_to_wait_is_obeyed() {
    let server = Server::start().await;
    server.tell("", &repository());
    server.fault(
        Method::GET,
        "/widget",
        limited(429, &[("retry-after", "1")], "slow down"),
    );
    server.fault(
        Method::GET,
        "/widget",
        limited(403, &[], "You have exceeded a secondary rate limit."),
    );
    let clock = Clock::start();
    server.client().repository().await.unwrap();
    assert!(clock.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.reads(), 3);
}

#[tokio::test]
async fn a_wish_to_wait_for_too_long_is_an_error_at_once() {
    let server = Server::start().await;
    let soon = Clock::start().now().as_millis() / 1_000 + 3_000;
    let spent = [
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", &*soon.to_string()),
    ];
    server.fault(
        Method::GET,
        "/widget",
        limited(403, &spent, "API rate limit exceeded for installation."),
    );
    let error = server.client().repository().await.unwrap_err();
    let ForgeError::Limited { wait, .. } = &error else {
        panic!("{error:?}")
    };
    assert!((2_900..3_100).contains(&wait.as_secs()), "{wait:?}");
    assert!(
        error
            .to_string()
            .contains("limit of requests is used up, and it asks to wait "),
        "{error}"
    );
    assert_eq!(server.reads(), 1);
    server.fault(
        Method::POST,
        "/reactions",
        limited(429, &[("retry-after", "86400")], "tomorrow"),
    );
    let error = server
        .client()
        .react(5, omk_action::forge::Reaction::Eyes)
        .await
        .unwrap_err();
    assert!(matches!(error, ForgeError::Limited { .. }), "{error:?}");
    assert_eq!(server.writes().len(), 1);
}

#[tokio::test]
async fn a_limit_that_stays_is_not_waited_for_without_end() {
    let server = Server::start().await;
    for _ in 0..50 {
        server.fault(
            Method::GET,
            "/widget",
            limited(429, &[("retry-after", "0")], "again"),
        );
    }
    let error = server.client().repository().await.unwrap_err();
    assert!(matches!(error, ForgeError::Limited { .. }), "{error:?}");
    assert!(server.reads() < 10);
}

#[tokio::test]
async fn every_call_ends() {
    let server = Server::start().await;
    for _ in 0..50 {
        server.fault(Method::GET, "/widget", Fault::SilentAfter);
    }
    let short = Patience {
        call: Duration::from_millis(100),
        ..patience()
    };
    let error = GitHub::with_patience(server.site(), short)
        .unwrap()
        .repository()
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "read the repository: the forge does not answer (given up after 100 ms)"
    );
}

#[tokio::test]
async fn an_enterprise_server_has_its_api_below_a_path() {
    let server = Server::start().await;
    server.tell_at("/api/v3/repos/acme/widget", 200, &repository());
    for api in [
        format!("{}/api/v3", server.base),
        format!("{}/api/v3/", server.base),
    ] {
        let site = GitHubSite {
            api,
            ..server.site()
        };
        let client = GitHub::with_patience(site, patience()).unwrap();
        assert_eq!(client.repository().await.unwrap().name, "acme/widget");
        client
            .react(5, omk_action::forge::Reaction::Eyes)
            .await
            .unwrap();
    }
    let seen: Vec<String> = server
        .world()
        .seen
        .iter()
        .map(|seen| seen.path.clone())
        .collect();
    assert!(
        seen.iter()
            .all(|path| path.starts_with("/api/v3/repos/acme/widget")),
        "{seen:?}"
    );
    assert!(
        server
            .world()
            .seen
            .iter()
            .all(|seen| seen.authorization.is_some())
    );
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_sent() {
    let check = |api: &str, repository: &str, token: &str| {
        let token = Secret::new(token.to_owned());
        let site = GitHubSite {
            api: api.into(),
            repository: repository.into(),
            token,
            spacing: Duration::ZERO,
        };
        GitHub::new(site).unwrap_err().to_string()
    };
    let good = "https://api.github.com";
    assert!(check("api.github.com", "a/b", TOKEN).contains("GITHUB_API_URL"));
    assert!(check("ftp://api.github.com", "a/b", TOKEN).contains("GITHUB_API_URL"));
    assert!(check("https://me:secret@api.github.com", "a/b", TOKEN).contains("GITHUB_API_URL"));
    for repository in [
        "widget",
        "acme/",
        "../widget",
        "acme/..",
        "acme/wid/get",
        "acme/wid get",
        "acme/w?x",
    ] {
        assert!(
            check(good, repository, TOKEN).contains("owner/name"),
            "{repository}"
        );
    }
    for token in ["", "two words", "line\nbreak", "ü"] {
        assert!(
            check(good, "a/b", token).contains("the token is empty, or holds"),
            "{token}"
        );
    }
}

#[tokio::test]
async fn the_token_is_in_no_debug_output() {
    let server = Server::start().await;
    server.tell("", &repository());
    let site = GitHubSite {
        token: Secret::new(format!("{TOKEN}\n")),
        ..server.site()
    };
    let client = GitHub::new(site).unwrap();
    client.repository().await.unwrap();
    assert!(!format!("{client:?}").contains(TOKEN));
    assert_eq!(
        server.world().seen[0].authorization.as_deref(),
        Some(format!("Bearer {TOKEN}").as_str())
    );
}

#[tokio::test]
async fn a_job_s_own_token_is_github_actions() {
    let server = Server::start().await;
    server.tell_at(
        "/user",
        403,
        &json!({ "message": "Resource not accessible by integration" }),
    );
    let answer = json!({ "id": 41_898_282, "login": "github-actions[bot]", "type": "Bot" });
    server.tell_at("/users/github-actions%5Bbot%5D", 200, &answer);
    let client = server.client();
    assert_eq!(client.me().await.unwrap(), bot());
    assert_eq!(client.clone().me().await.unwrap(), bot());
    assert_eq!(server.reads(), 2, "it is asked for once");
}

#[tokio::test]
async fn an_app_s_token_is_its_bot_and_a_person_s_is_theirs() {
    let server = Server::start().await;
    server.tell_at(
        "/users/omk-at-acme%5Bbot%5D",
        200,
        &json!({ "id": 5, "login": "omk-at-acme[bot]", "type": "Bot" }),
    );
    let me = server.client().as_app("omk-at-acme").me().await.unwrap();
    assert_eq!(
        me,
        Account {
            id: 5,
            login: "omk-at-acme[bot]".into(),
            bot: true
        }
    );
    server.tell_at(
        "/user",
        200,
        &json!({ "id": 6, "login": "ann", "type": "User" }),
    );
    let me = server.client().me().await.unwrap();
    assert_eq!(
        me,
        Account {
            id: 6,
            login: "ann".into(),
            bot: false
        }
    );
    server.tell_at("/user", 403, &json!({ "message": "Must accept the terms" }));
    assert!(
        matches!(
            server.client().me().await,
            Err(ForgeError::Forbidden { .. })
        ),
        "that is no App's token"
    );
}

#[tokio::test]
async fn permissions_are_handed_on_as_they_are() {
    let server = Server::start().await;
    let client = server.client();
    let answer = json!({
        "permission": "write", "role_name": "release-manager",
        "user": { "login": "ann", "permissions": { "pull": true, "triage": true, "push": true } },
    });
    server.tell("/collaborators/ann/permission", &answer);
    let found = client.permission("ann").await.unwrap().unwrap();
    assert_eq!(
        (found.permission.as_str(), found.role_name.as_deref()),
        ("write", Some("release-manager"))
    );
    assert_eq!(
        found.rights,
        Some(Rights {
            triage: true,
            push: true,
            maintain: false,
            admin: false
        })
    );
    server.tell(
        "/collaborators/bob/permission",
        &json!({ "permission": "none", "user": null }),
    );
    assert_eq!(
        client.permission("bob").await.unwrap().unwrap().rights,
        None
    );
    assert_eq!(client.permission("nobody").await.unwrap(), None);
    for hostile in ["..", "", "../../other/repo/collaborators/eve"] {
        assert_eq!(client.permission(hostile).await.unwrap(), None);
    }
    let seen: Vec<String> = server
        .world()
        .seen
        .iter()
        .map(|seen| seen.path.clone())
        .collect();
    assert!(
        seen.iter()
            .all(|path| path.starts_with(&format!("{REPOSITORY}/collaborators/"))),
        "{seen:?}"
    );
    server.fault(Method::GET, "/ann/", instead(403, "Must have push access"));
    assert!(
        client.permission("ann").await.is_err(),
        "not told is not the same as none"
    );
}

fn pull(state: &str, head_repository: &Value) -> Value {
    json!({
        "number": 12, "state": state, "title": "Add a thing", "body": null, "user": null, "merged": false,
        "html_url": "https://github.example/acme/widget/pull/12",
        "head": { "ref": "topic/$(id)", "sha": "a".repeat(40), "repo": head_repository },
        "base": { "ref": "main", "sha": "b".repeat(40), "repo": { "id": 7 } },
    })
}

#[tokio::test]
async fn a_pull_request_may_have_lost_its_repository() {
    let server = Server::start().await;
    let client = server.client();
    server.tell(
        "/pulls/12",
        &pull("open", &json!({ "id": 9, "fork": true })),
    );
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
    server.tell("/pulls/12", &pull("closed", &Value::Null));
    let found = client.pull_request(12).await.unwrap();
    assert!(!found.open);
    assert_eq!(found.head.repository, None);
    assert!(matches!(
        client.pull_request(13).await,
        Err(ForgeError::NotFound { .. })
    ));
    let mut short = pull("open", &Value::Null);
    short["head"]["sha"] = "abc123".into();
    server.tell("/pulls/12", &short);
    assert!(
        matches!(
            client.pull_request(12).await,
            Err(ForgeError::Nonsense { .. })
        ),
        "a short id pins nothing"
    );
}

#[tokio::test]
async fn pushes_come_newest_first_and_for_that_branch_alone() {
    let server = Server::start().await;
    let push = |digit: char, at: &str, reference: &str, kind: &str| json!({ "ref": reference, "after": commit(digit).as_str(), "timestamp": at, "activity_type": kind });
    let branch = "refs/heads/topic/x&y";
    server.tell(
        "/activity",
        &json!([
            push('1', "2026-11-22T10:00:00Z", branch, "branch_creation"),
            push('3', "2026-11-22T10:00:02Z", branch, "force_push"),
            push('2', "2026-11-22T12:00:02+02:00", branch, "push"),
            push('4', "2026-11-22T11:00:00Z", "refs/heads/other", "push"),
            push('0', "2026-11-22T10:30:00Z", branch, "branch_deletion"),
        ]),
    );
    let found = server.client().pushes("topic/x&y").await.unwrap();
    let after: Vec<CommitId> = found.iter().map(|push| push.after.clone()).collect();
    assert_eq!(after, [commit('0'), commit('3'), commit('2'), commit('1')]);
    assert_eq!(found[3].at, Moment::from_millis(1_795_341_600_000));
    let asked = server.world().seen[0].path.clone();
    assert_eq!(
        asked,
        format!("{REPOSITORY}/activity?ref=refs%2Fheads%2Ftopic%2Fx%26y&per_page=100")
    );
}

#[tokio::test]
async fn a_branch_is_there_or_not() {
    let server = Server::start().await;
    let client = server.client();
    server.tell(
        "/branches/topic%2Fx%20y",
        &json!({ "commit": { "sha": "a".repeat(40) }, "protected": true }),
    );
    let found = client.branch("topic/x y").await.unwrap().unwrap();
    assert_eq!((found.commit, found.protected), (commit('a'), true));
    assert_eq!(client.branch("gone").await.unwrap(), None);
    server.fault(
        Method::GET,
        "/branches/old",
        instead(301, "Moved Permanently"),
    );
    assert_eq!(
        client.branch("old").await.unwrap(),
        None,
        "another branch has another name"
    );
}

#[tokio::test]
async fn a_file_is_bytes_and_nothing_else_is_a_file() {
    let server = Server::start().await;
    let client = server.client();
    let (head, raw) = (
        commit('a'),
        "application/vnd.github.raw+json; charset=utf-8",
    );
    let tell = |path: &str, kind: &str, body: Vec<u8>| {
        let answer = (200, vec![("content-type", kind.to_owned())], body);
        server
            .world()
            .canned
            .insert(format!("{REPOSITORY}/contents/{path}"), answer);
    };
    tell("ci/omk%20a.yaml", raw, b"version: 1\n\xff".to_vec());
    assert_eq!(
        client.file("ci/omk a.yaml", &head).await.unwrap().unwrap(),
        b"version: 1\n\xff"
    );
    assert_eq!(
        server.world().seen[0].path,
        format!("{REPOSITORY}/contents/ci/omk%20a.yaml?ref={head}")
    );
    tell("omk.json", raw, b"{\"type\":\"dir\"}".to_vec());
    assert_eq!(
        client.file("omk.json", &head).await.unwrap().unwrap(),
        b"{\"type\":\"dir\"}"
    );
    tell("dir", "application/json", b"[{\"type\":\"file\"}]".to_vec());
    tell(
        "module",
        "application/json",
        b"{\"type\":\"submodule\"}".to_vec(),
    );
    tell(
        "link",
        "application/json",
        b"{\"type\":\"symlink\",\"target\":\"x\"}".to_vec(),
    );
    for none in [
        "dir",
        "module",
        "link",
        "missing",
        "../../secrets",
        "/etc/passwd",
        "a//b",
        "",
    ] {
        assert_eq!(client.file(none, &head).await.unwrap(), None, "{none}");
    }
    let wrapped =
        json!({ "type": "file", "encoding": "base64", "content": "dmVyc2lv\nbjogMQo=\n" });
    tell(
        "wrapped",
        "application/json; charset=utf-8",
        wrapped.to_string().into_bytes(),
    );
    assert_eq!(
        client.file("wrapped", &head).await.unwrap().unwrap(),
        b"version: 1\n"
    );
    tell("large", raw, vec![b'#'; (1 << 20) + 1]);
    assert_eq!(
        client.file("large", &head).await.unwrap().unwrap().len(),
        (1 << 20) + 1
    );
    tell("larger", raw, vec![b'#'; (1 << 20) + 2]);
    let error = client.file("larger", &head).await.unwrap_err();
    assert!(
        matches!(error, ForgeError::Refused { status: 413, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_comparison_lists_paths_or_says_that_it_does_not() {
    let server = Server::start().await;
    let client = server.client();
    let path = format!("/compare/{}...{}", commit('b'), commit('a'));
    let mut answer = json!({
        "merge_base_commit": { "sha": "c".repeat(40) },
        "files": [{ "filename": "src/new.rs", "previous_filename": "src/old.rs" }, { "filename": "omk.yaml" }],
    });
    server.tell(&path, &answer);
    let found = client.compare(&commit('b'), &commit('a')).await.unwrap();
    assert_eq!(found.merge_base, commit('c'));
    assert_eq!(
        found.paths.unwrap(),
        ["src/new.rs", "src/old.rs", "omk.yaml"]
    );
    answer["files"] = (0..300)
        .map(|number| json!({ "filename": format!("{number}.rs") }))
        .collect();
    server.tell(&path, &answer);
    assert_eq!(
        client
            .compare(&commit('b'), &commit('a'))
            .await
            .unwrap()
            .paths,
        None,
        "there may be more"
    );
}

#[tokio::test]
async fn writes_of_all_copies_are_spaced() {
    let server = Server::start().await;
    let site = GitHubSite {
        spacing: Duration::from_millis(120),
        ..server.site()
    };
    let client = GitHub::with_patience(site, patience()).unwrap();
    let (one, two) = (client.clone(), client.clone());
    let clock = Clock::start();
    let write = |client: GitHub, comment| async move {
        client
            .react(comment, omk_action::forge::Reaction::Rocket)
            .await
    };
    // Spawned, so that the calls are known to be fit for any thread.
    let tasks = [
        tokio::spawn(write(one, 1)),
        tokio::spawn(write(two, 2)),
        tokio::spawn(write(client.clone(), 3)),
    ];
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
