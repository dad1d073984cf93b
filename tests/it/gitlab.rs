//! The GitLab client: what it reads, and how it behaves where GitLab does not.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use axum::http::Method;
use omk_action::clock::Clock;
use omk_action::exec::secret::Secret;
use omk_action::forge::{ForgeError, GitLab, GitLabSite, GitLabToken, Patience};
use omk_action::id::CommitId;
use omk_action::trust::Rights;
use serde_json::{Value, json};

use crate::gitlab_server::{Fault, PROJECT, Server, TOKEN, WEB, bot, patience, project, user};

fn commit(digit: char) -> CommitId {
    digit.to_string().repeat(40).parse().unwrap()
}

fn instead(status: u16, said: &str) -> Fault {
    Fault::Instead(status, Vec::new(), json!({ "message": said }))
}

fn limited(headers: &[(&'static str, &str)]) -> Fault {
    let headers = headers
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect();
    Fault::Instead(429, headers, json!("Retry later\n"))
}

#[tokio::test]
async fn each_token_goes_into_its_own_header() {
    let server = Server::start().await;
    server.client().repository().await.unwrap();
    let token = GitLabToken::Job(Secret::new(format!("{TOKEN}\n")));
    let job = GitLab::with_patience(
        GitLabSite {
            token,
            ..server.site()
        },
        patience(),
    )
    .unwrap();
    job.repository().await.unwrap();
    assert!(!format!("{job:?}").contains(TOKEN));
    let tokens: Vec<_> = server
        .world()
        .seen
        .iter()
        .map(|seen| seen.tokens.clone())
        .collect();
    let expect = |header: &str| vec![(header.to_owned(), TOKEN.to_owned())];
    assert_eq!(tokens, [expect("private-token"), expect("job-token")]);
}

#[tokio::test]
async fn a_gitlab_below_a_path_is_spoken_to_there() {
    let server = Server::start().await;
    server.tell_at("/gitlab/api/v4/projects/7", 200, &project());
    for api in [
        format!("{}/gitlab/api/v4", server.base),
        format!("{}/gitlab/api/v4/", server.base),
    ] {
        let client = GitLab::with_patience(
            GitLabSite {
                api,
                ..server.site()
            },
            patience(),
        )
        .unwrap();
        let found = client.repository().await.unwrap();
        assert_eq!(
            (found.id, found.name.as_str(), found.url.as_str()),
            (7, "acme/widget", WEB)
        );
    }
    assert!(
        server
            .reads()
            .iter()
            .all(|path| path == "/gitlab/api/v4/projects/7")
    );
}

#[tokio::test]
async fn a_project_is_private_unless_gitlab_says_otherwise() {
    let server = Server::start().await;
    for (visibility, private) in [
        (json!("public"), false),
        (json!("internal"), false),
        (json!("private"), true),
        (Value::Null, true),
    ] {
        let mut told = project();
        told["visibility"] = visibility;
        server.tell("", &told);
        assert_eq!(server.client().repository().await.unwrap().private, private);
    }
    let mut empty = project();
    empty["default_branch"] = Value::Null;
    server.tell("", &empty);
    let error = server.client().repository().await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("it has no default branch: is it empty?"),
        "{error}"
    );
}

#[tokio::test]
async fn each_refusal_is_told_apart() {
    let server = Server::start().await;
    let client = server.client();
    let cases = [
        (
            401,
            json!({ "message": "401 Unauthorized" }),
            "the token is refused (401)",
        ),
        (
            403,
            json!({ "error": "insufficient_scope", "error_description": "The request requires higher privileges" }),
            "the token may not do that (403: insufficient_scope; The request requires higher privileges)",
        ),
        (
            404,
            json!({ "message": "404 Project Not Found" }),
            "there is no such thing, or the token may not see it (404)",
        ),
        (
            400,
            json!({ "message": { "title": ["is odd"] } }),
            "the forge refuses it (400: title: is odd)",
        ),
        (
            422,
            json!({ "error": "state is missing" }),
            "the forge refuses it (422: state is missing)",
        ),
        (
            302,
            json!({}),
            "the forge refuses it (302: it has moved elsewhere)",
        ),
    ];
    for (status, said, expect) in &cases {
        let away = vec![("location", format!("{}/elsewhere", server.base))];
        server.fault(
            Method::GET,
            "/projects/7",
            Fault::Instead(*status, away, said.clone()),
        );
        let error = client.repository().await.unwrap_err();
        assert_eq!(error.to_string(), format!("read the project: {expect}"));
    }
    assert_eq!(
        server.reads().len(),
        cases.len(),
        "a refusal is not asked for twice, a redirect not followed"
    );
}

#[tokio::test]
async fn a_read_is_repeated_and_given_up_after_the_third_time() {
    let server = Server::start().await;
    server.fault(Method::GET, "/projects/7", instead(500, "oops"));
    server.fault(Method::GET, "/projects/7", Fault::SilentAfter);
    server.client().repository().await.unwrap();
    assert_eq!(server.reads().len(), 3);
    for _ in 0..9 {
        let said = format!("bad gateway\nfor {TOKEN} {}", "x".repeat(9_000));
        server.fault(Method::GET, "/projects/7", instead(502, &said));
    }
    let error = server.client().repository().await.unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(
        text.contains("read the project: the forge does not answer (502: bad gateway for ***"),
        "{text}"
    );
    assert!(!text.contains(TOKEN) && text.len() < 1_000, "{text}");
    assert_eq!(server.reads().len(), 6);
}

#[tokio::test]
async fn garbage_is_called_so() {
    let server = Server::start().await;
    server.fault(Method::GET, "/projects/7", Fault::PageAfter);
    for told in [json!({ "id": "seven" }), json!([]), Value::Null] {
        let error = server.client().repository().await.unwrap_err();
        assert!(matches!(error, ForgeError::Nonsense { .. }), "{error:?}");
        server.tell("", &told);
    }
}

#[tokio::test]
async fn a_wish_to_wait_is_obeyed() {
    let server = Server::start().await;
    server.fault(Method::GET, "/projects/7", limited(&[("retry-after", "1")]));
    server.fault(Method::GET, "/projects/7", limited(&[]));
    let now = Clock::start().now().as_millis() / 1_000;
    let spent = [
        ("ratelimit-remaining", "0"),
        ("ratelimit-reset", &*(now - 5).to_string()),
    ];
    server.fault(Method::GET, "/projects/7", limited(&spent));
    let clock = Clock::start();
    server.client().repository().await.unwrap();
    assert!(clock.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.reads().len(), 4);
    let spent = [
        ("ratelimit-remaining", "0"),
        ("ratelimit-reset", &*(now + 3_000).to_string()),
    ];
    server.fault(Method::GET, "/projects/7", limited(&spent));
    let error = server.client().repository().await.unwrap_err();
    let ForgeError::Limited { wait, .. } = &error else {
        panic!("{error:?}")
    };
    assert!((2_900..3_100).contains(&wait.as_secs()), "{wait:?}");
}

#[tokio::test]
async fn every_call_ends() {
    let server = Server::start().await;
    for _ in 0..50 {
        server.fault(Method::GET, "/projects/7", Fault::SilentAfter);
    }
    let short = Patience {
        call: Duration::from_millis(100),
        ..patience()
    };
    let error = GitLab::with_patience(server.site(), short)
        .unwrap()
        .repository()
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "read the project: the forge does not answer (given up after 100 ms)"
    );
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_sent() {
    let check = |api: &str, token: &str| {
        let token = GitLabToken::Access(Secret::new(token.to_owned()));
        let site = GitLabSite {
            api: api.into(),
            project: 7,
            token,
            spacing: Duration::ZERO,
            authorities: None,
        };
        GitLab::new(site).unwrap_err().to_string()
    };
    for api in [
        "gitlab.example/api/v4",
        "ftp://gitlab.example/api/v4",
        "https://me:secret@gitlab.example/api/v4",
    ] {
        assert!(check(api, TOKEN).contains("CI_API_V4_URL"), "{api}");
    }
    for token in ["", "two words", "line\nbreak", "ü"] {
        let error = check("https://gitlab.example/api/v4", token);
        assert!(
            error.contains("speak to GitLab: the token is empty, or holds"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_token_is_somebody() {
    let server = Server::start().await;
    let client = server.client();
    assert_eq!(client.me().await.unwrap(), bot());
    assert_eq!(client.clone().me().await.unwrap(), bot());
    assert_eq!(server.reads(), ["/api/v4/user"], "it is asked for once");
    server.tell_at(
        "/api/v4/job",
        200,
        &json!({ "id": 5, "user": user(6, "ann") }),
    );
    let token = GitLabToken::Job(Secret::new(TOKEN.into()));
    let job = GitLab::with_patience(
        GitLabSite {
            token,
            ..server.site()
        },
        patience(),
    )
    .unwrap();
    assert_eq!(job.me().await.unwrap().login, "ann");
}

fn member(level: u64, more: &Value) -> Value {
    let mut member = user(5, "ann");
    member["access_level"] = level.into();
    for (name, value) in more.as_object().unwrap() {
        member[name] = value.clone();
    }
    member
}

#[tokio::test]
async fn an_access_level_is_rights() {
    let server = Server::start().await;
    let client = server.client();
    server.tell_at(
        "/api/v4/users/5",
        200,
        &json!({ "id": 5, "username": "ann", "bot": false }),
    );
    let rights = |triage, push, maintain, admin| {
        Some(Rights {
            triage,
            push,
            maintain,
            admin,
        })
    };
    for (level, word, expect) in [
        (0, "none", rights(false, false, false, false)),
        (10, "Guest", rights(false, false, false, false)),
        (15, "Planner", rights(false, false, false, false)),
        (20, "Reporter", rights(true, false, false, false)),
        (30, "Developer", rights(true, true, false, false)),
        (40, "Maintainer", rights(true, true, true, false)),
        (50, "Owner", rights(true, true, true, true)),
    ] {
        server.tell(
            "/members/all/5",
            &member(level, &json!({ "expires_at": null })),
        );
        let found = client.permission(5).await.unwrap().unwrap();
        assert_eq!(
            (found.permission.as_str(), found.rights, found.bot),
            (word, expect, false)
        );
    }
    server.tell_at(
        "/api/v4/users/5",
        200,
        &json!({ "id": 5, "username": "ann", "bot": true }),
    );
    assert!(client.permission(5).await.unwrap().unwrap().bot);
    assert_eq!(client.permission(6).await.unwrap(), None);
}

#[tokio::test]
async fn whoever_is_blocked_or_gone_has_no_rights() {
    let server = Server::start().await;
    let client = server.client();
    for more in [
        json!({ "state": "blocked" }),
        json!({ "state": "awaiting" }),
        json!({ "membership_state": "awaiting" }),
        json!({ "expires_at": "2020-01-01" }),
        json!({ "expires_at": Clock::start().now().to_utc().format("%Y-%m-%d").to_string() }),
    ] {
        server.tell("/members/all/5", &member(50, &more));
        let found = client.permission(5).await.unwrap().unwrap();
        assert_eq!(
            (found.permission.as_str(), found.rights),
            ("none", Some(Rights::default())),
            "{more}"
        );
    }
    server.tell("/members/all/5", &member(50, &json!({ "id": 6 })));
    assert!(client.permission(5).await.is_err(), "that is somebody else");
    server.fault(Method::GET, "/members/", instead(403, "403 Forbidden"));
    assert!(
        client.permission(5).await.is_err(),
        "not told is not the same as none"
    );
    server.tell("/members/all/5", &member(50, &json!({})));
    assert!(
        client.permission(5).await.is_err(),
        "nor is an account that nobody tells of"
    );
}

#[tokio::test]
async fn a_branch_is_there_or_not() {
    let server = Server::start().await;
    let client = server.client();
    let told =
        json!({ "name": "topic/x y", "commit": { "id": "a".repeat(40) }, "protected": true });
    server.tell("/repository/branches/topic%2Fx%20y", &told);
    let found = client.branch("topic/x y").await.unwrap().unwrap();
    assert_eq!((found.commit, found.protected), (commit('a'), true));
    for none in ["gone", "..", ""] {
        assert_eq!(client.branch(none).await.unwrap(), None, "{none}");
    }
    server.tell(
        "/repository/branches/Main",
        &json!({ "name": "main", "commit": { "id": "a".repeat(40) }, "protected": true }),
    );
    assert_eq!(
        client.branch("Main").await.unwrap(),
        None,
        "another name is another branch"
    );
    assert!(
        server
            .reads()
            .iter()
            .all(|path| path.starts_with(&format!("{PROJECT}/repository/branches/")))
    );
}

#[tokio::test]
async fn a_file_is_bytes_and_nothing_else_is_a_file() {
    let server = Server::start().await;
    let client = server.client();
    let head = commit('a');
    let tell = |path: &str, body: Vec<u8>| {
        server.world().canned.insert(
            format!("{PROJECT}/repository/files/{path}/raw"),
            (200, Vec::new(), body),
        );
    };
    tell("ci%2Fomk%20a.yaml", b"version: 1\n\xff".to_vec());
    assert_eq!(
        client.file("ci/omk a.yaml", &head).await.unwrap().unwrap(),
        b"version: 1\n\xff"
    );
    assert_eq!(
        server.reads(),
        [format!(
            "{PROJECT}/repository/files/ci%2Fomk%20a.yaml/raw?ref={head}"
        )]
    );
    for none in ["missing", "../../secrets", "/etc/passwd", "a//b", "", "."] {
        assert_eq!(client.file(none, &head).await.unwrap(), None, "{none}");
    }
    tell("large", vec![b'#'; (1 << 20) + 1]);
    assert_eq!(
        client.file("large", &head).await.unwrap().unwrap().len(),
        (1 << 20) + 1
    );
    tell("larger", vec![b'#'; (1 << 20) + 2]);
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
    server.tell("/repository/merge_base", &json!({ "id": "c".repeat(40) }));
    let diff = |old: &str, new: &str| json!({ "old_path": old, "new_path": new, "diff": "@@" });
    let diffs = json!([
        diff("src/old.rs", "src/new.rs"),
        diff("omk.yaml", "omk.yaml")
    ]);
    server.tell(
        "/repository/compare",
        &json!({ "diffs": diffs, "compare_timeout": false }),
    );
    let found = client.compare(&commit('b'), &commit('a')).await.unwrap();
    assert_eq!(found.merge_base, commit('c'));
    assert_eq!(
        found.paths.unwrap(),
        ["src/new.rs", "src/old.rs", "omk.yaml"]
    );
    let asked = server.reads();
    let (b, a) = (commit('b'), commit('a'));
    assert!(
        asked[0].ends_with(&format!("merge_base?refs%5B%5D={b}&refs%5B%5D={a}")),
        "{asked:?}"
    );
    assert!(
        asked[1].ends_with(&format!("compare?from={b}&to={a}&straight=false")),
        "{asked:?}"
    );
    for told in [
        json!({ "diffs": diffs, "compare_timeout": true }),
        json!({ "diffs": null }),
    ] {
        server.tell("/repository/compare", &told);
        assert_eq!(
            client.compare(&b, &a).await.unwrap().paths,
            None,
            "there may be more"
        );
    }
    server.fault(
        Method::GET,
        "/merge_base",
        instead(404, "404 Merge Base Not Found"),
    );
    assert!(matches!(
        client.compare(&b, &a).await,
        Err(ForgeError::NotFound { .. })
    ));
}
