//! The GitLab client: what it reads, and how it behaves where GitLab does not.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use axum::http::Method;
use omk_action::clock::Clock;
use omk_action::exec::secret::Secret;
use omk_action::forge::{ForgeError, GitLab, GitLabSite, Job, Patience, Token};
use omk_action::id::{CommitId, Moment, Sha256};
use omk_action::trust::Rights;
use serde_json::{Value, json};

use crate::gitlab_server::{DATE, Fault, PROJECT, Server, TOKEN, WEB, bot, note, patience, project, user};

fn commit(digit: char) -> CommitId {
    digit.to_string().repeat(40).parse().unwrap()
}

fn instead(status: u16, said: &str) -> Fault {
    Fault::Instead(status, Vec::new(), json!({ "message": said }))
}

fn limited(headers: &[(&'static str, &str)]) -> Fault {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Fault::Instead(429, headers, json!("Retry later\n"))
}

/// A second of 2026-11-22, after 18:51:00.
fn second(seconds: i64) -> Moment {
    Moment::from_millis(1_795_373_460_000 + seconds * 1_000)
}

#[tokio::test]
async fn each_token_goes_into_its_own_header() {
    let server = Server::start().await;
    server.client().repository().await.unwrap();
    let token = Token::Job(Secret::new(format!("{TOKEN}\n")));
    let job = GitLab::with_patience(GitLabSite { token, ..server.site() }, patience()).unwrap();
    job.repository().await.unwrap();
    assert!(!format!("{job:?}").contains(TOKEN));
    let tokens: Vec<_> = server.world().seen.iter().map(|seen| seen.tokens.clone()).collect();
    let expect = |header: &str| vec![(header.to_owned(), TOKEN.to_owned())];
    assert_eq!(tokens, [expect("private-token"), expect("job-token")]);
}

#[tokio::test]
async fn a_gitlab_below_a_path_is_spoken_to_there() {
    let server = Server::start().await;
    server.tell_at("/gitlab/api/v4/projects/7", 200, &project());
    for api in [format!("{}/gitlab/api/v4", server.base), format!("{}/gitlab/api/v4/", server.base)] {
        let client = GitLab::with_patience(GitLabSite { api, ..server.site() }, patience()).unwrap();
        let found = client.repository().await.unwrap();
        assert_eq!((found.id, found.name.as_str(), found.url.as_str()), (7, "acme/widget", WEB));
    }
    assert!(server.reads().iter().all(|path| path == "/gitlab/api/v4/projects/7"));
}

#[tokio::test]
async fn a_project_is_private_unless_gitlab_says_otherwise() {
    let server = Server::start().await;
    for (visibility, private) in
        [(json!("public"), false), (json!("internal"), false), (json!("private"), true), (Value::Null, true)]
    {
        let mut told = project();
        told["visibility"] = visibility;
        server.tell("", &told);
        assert_eq!(server.client().repository().await.unwrap().private, private);
    }
    let mut empty = project();
    empty["default_branch"] = Value::Null;
    server.tell("", &empty);
    let error = server.client().repository().await.unwrap_err();
    assert!(error.to_string().contains("it has no default branch: is it empty?"), "{error}");
}

#[tokio::test]
async fn each_refusal_is_told_apart() {
    let server = Server::start().await;
    let client = server.client();
    let cases = [
        (401, json!({ "message": "401 Unauthorized" }), "the token is refused (401)"),
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
        (400, json!({ "message": { "title": ["is odd"] } }), "the forge refuses it (400: title: is odd)"),
        (422, json!({ "error": "state is missing" }), "the forge refuses it (422: state is missing)"),
        (302, json!({}), "the forge refuses it (302: it has moved elsewhere)"),
    ];
    for (status, said, expect) in &cases {
        let away = vec![("location", format!("{}/elsewhere", server.base))];
        server.fault(Method::GET, "/projects/7", Fault::Instead(*status, away, said.clone()));
        let error = client.repository().await.unwrap_err();
        assert_eq!(error.to_string(), format!("read the project: {expect}"));
    }
    assert_eq!(server.reads().len(), cases.len(), "a refusal is not asked for twice, a redirect not followed");
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
    assert!(text.contains("read the project: the forge does not answer (502: bad gateway for ***"), "{text}");
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
    let spent = [("ratelimit-remaining", "0"), ("ratelimit-reset", &*(now - 5).to_string())];
    server.fault(Method::GET, "/projects/7", limited(&spent));
    let clock = Clock::start();
    server.client().repository().await.unwrap();
    assert!(clock.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.reads().len(), 4);
    let spent = [("ratelimit-remaining", "0"), ("ratelimit-reset", &*(now + 3_000).to_string())];
    server.fault(Method::GET, "/projects/7", limited(&spent));
    let error = server.client().repository().await.unwrap_err();
    let ForgeError::Limited { wait, .. } = &error else { panic!("{error:?}") };
    assert!((2_900..3_100).contains(&wait.as_secs()), "{wait:?}");
}

#[tokio::test]
async fn every_call_ends() {
    let server = Server::start().await;
    for _ in 0..50 {
        server.fault(Method::GET, "/projects/7", Fault::SilentAfter);
    }
    let short = Patience { call: Duration::from_millis(100), ..patience() };
    let error = GitLab::with_patience(server.site(), short).unwrap().repository().await.unwrap_err();
    assert_eq!(error.to_string(), "read the project: the forge does not answer (given up after 100 ms)");
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_sent() {
    let check = |api: &str, token: &str| {
        let token = Token::Access(Secret::new(token.to_owned()));
        let site = GitLabSite { api: api.into(), project: 7, token, spacing: Duration::ZERO, authorities: None };
        GitLab::new(site).unwrap_err().to_string()
    };
    for api in ["gitlab.example/api/v4", "ftp://gitlab.example/api/v4", "https://me:secret@gitlab.example/api/v4"] {
        assert!(check(api, TOKEN).contains("CI_API_V4_URL"), "{api}");
    }
    for token in ["", "two words", "line\nbreak", "ü"] {
        let error = check("https://gitlab.example/api/v4", token);
        assert!(error.contains("speak to GitLab: the token is empty, or holds"), "{error}");
    }
}

#[tokio::test]
async fn a_token_is_somebody() {
    let server = Server::start().await;
    let client = server.client();
    assert_eq!(client.me().await.unwrap(), bot());
    assert_eq!(client.clone().me().await.unwrap(), bot());
    assert_eq!(server.reads(), ["/api/v4/user"], "it is asked for once");
    server.tell_at("/api/v4/job", 200, &json!({ "id": 5, "user": user(6, "ann") }));
    let token = Token::Job(Secret::new(TOKEN.into()));
    let job = GitLab::with_patience(GitLabSite { token, ..server.site() }, patience()).unwrap();
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
    server.tell_at("/api/v4/users/5", 200, &json!({ "id": 5, "username": "ann", "bot": false }));
    let rights = |triage, push, maintain, admin| Some(Rights { triage, push, maintain, admin });
    for (level, word, expect) in [
        (0, "none", rights(false, false, false, false)),
        (10, "guest", rights(false, false, false, false)),
        (15, "guest", rights(false, false, false, false)),
        (20, "reporter", rights(true, false, false, false)),
        (30, "developer", rights(true, true, false, false)),
        (40, "maintainer", rights(true, true, true, false)),
        (50, "owner", rights(true, true, true, true)),
    ] {
        server.tell("/members/all/5", &member(level, &json!({ "expires_at": null })));
        let found = client.permission(5).await.unwrap().unwrap();
        assert_eq!((found.permission.as_str(), found.rights, found.bot), (word, expect, false));
    }
    server.tell_at("/api/v4/users/5", 200, &json!({ "id": 5, "username": "ann", "bot": true }));
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
        assert_eq!((found.permission.as_str(), found.rights), ("none", Some(Rights::default())), "{more}");
    }
    server.tell("/members/all/5", &member(50, &json!({ "id": 6 })));
    assert!(client.permission(5).await.is_err(), "that is somebody else");
    server.fault(Method::GET, "/members/", instead(403, "403 Forbidden"));
    assert!(client.permission(5).await.is_err(), "not told is not the same as none");
    server.tell("/members/all/5", &member(50, &json!({})));
    assert!(client.permission(5).await.is_err(), "nor is an account that nobody tells of");
}

#[tokio::test]
async fn a_branch_is_there_or_not() {
    let server = Server::start().await;
    let client = server.client();
    let told = json!({ "name": "topic/x y", "commit": { "id": "a".repeat(40) }, "protected": true });
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
    assert_eq!(client.branch("Main").await.unwrap(), None, "another name is another branch");
    assert!(server.reads().iter().all(|path| path.starts_with(&format!("{PROJECT}/repository/branches/"))));
}

#[tokio::test]
async fn a_file_is_bytes_and_nothing_else_is_a_file() {
    let server = Server::start().await;
    let client = server.client();
    let head = commit('a');
    let tell = |path: &str, body: Vec<u8>| {
        server.world().canned.insert(format!("{PROJECT}/repository/files/{path}/raw"), (200, Vec::new(), body));
    };
    tell("ci%2Fomk%20a.yaml", b"version: 1\n\xff".to_vec());
    assert_eq!(client.file("ci/omk a.yaml", &head).await.unwrap().unwrap(), b"version: 1\n\xff");
    assert_eq!(server.reads(), [format!("{PROJECT}/repository/files/ci%2Fomk%20a.yaml/raw?ref={head}")]);
    for none in ["missing", "../../secrets", "/etc/passwd", "a//b", "", "."] {
        assert_eq!(client.file(none, &head).await.unwrap(), None, "{none}");
    }
    tell("large", vec![b'#'; (1 << 20) + 1]);
    assert_eq!(client.file("large", &head).await.unwrap().unwrap().len(), (1 << 20) + 1);
    tell("larger", vec![b'#'; (1 << 20) + 2]);
    let error = client.file("larger", &head).await.unwrap_err();
    assert!(matches!(error, ForgeError::Refused { status: 413, .. }), "{error:?}");
}

#[tokio::test]
async fn a_comparison_lists_paths_or_says_that_it_does_not() {
    let server = Server::start().await;
    let client = server.client();
    server.tell("/repository/merge_base", &json!({ "id": "c".repeat(40) }));
    let diff = |old: &str, new: &str| json!({ "old_path": old, "new_path": new, "diff": "@@" });
    let diffs = json!([diff("src/old.rs", "src/new.rs"), diff("omk.yaml", "omk.yaml")]);
    server.tell("/repository/compare", &json!({ "diffs": diffs, "compare_timeout": false }));
    let found = client.compare(&commit('b'), &commit('a')).await.unwrap();
    assert_eq!(found.merge_base, commit('c'));
    assert_eq!(found.paths.unwrap(), ["src/new.rs", "src/old.rs", "omk.yaml"]);
    let asked = server.reads();
    let (b, a) = (commit('b'), commit('a'));
    assert!(asked[0].ends_with(&format!("merge_base?refs%5B%5D={b}&refs%5B%5D={a}")), "{asked:?}");
    assert!(asked[1].ends_with(&format!("compare?from={b}&to={a}&straight=false")), "{asked:?}");
    for told in [json!({ "diffs": diffs, "compare_timeout": true }), json!({ "diffs": null })] {
        server.tell("/repository/compare", &told);
        assert_eq!(client.compare(&b, &a).await.unwrap().paths, None, "there may be more");
    }
    server.fault(Method::GET, "/merge_base", instead(404, "404 Merge Base Not Found"));
    assert!(matches!(client.compare(&b, &a).await, Err(ForgeError::NotFound { .. })));
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
    assert_eq!((found.head.branch.as_str(), found.head.repository), ("topic/$(id)", Some(9)));
    assert_eq!((found.base.commit.clone(), found.base.repository), (commit('b'), Some(7)));
    for (state, merged) in [("closed", false), ("merged", true), ("locked", false)] {
        server.tell("/merge_requests/12", &merge_request(12, state, &Value::Null));
        let found = client.pull_request(12).await.unwrap();
        assert_eq!((found.open, found.merged, found.head.repository), (false, merged, None), "{state}");
    }
    told["sha"] = Value::Null;
    server.tell("/merge_requests/12", &told);
    assert_eq!(client.pull_request(12).await.unwrap().head.commit, commit('0'), "not told yet");
    told["sha"] = "abc123".into();
    server.tell("/merge_requests/12", &told);
    assert!(matches!(client.pull_request(12).await, Err(ForgeError::Nonsense { .. })), "a short id pins nothing");
    assert!(matches!(client.pull_request(13).await, Err(ForgeError::NotFound { .. })));
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
    let told: Vec<_> = found.iter().map(|push| (push.after.clone(), push.at)).collect();
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
    let found = server.client().merge_requests_updated_since(second(0)).await.unwrap();
    assert_eq!((found.len(), found[0].number), (150, 1));
    let asked = server.reads();
    assert_eq!(asked.len(), 2);
    let expect =
        "merge_requests?state=all&scope=all&updated_after=2026-11-22T18%3A51%3A00Z&order_by=created_at&sort=asc";
    assert!(asked[0].contains(expect), "{}", asked[0]);
}

#[tokio::test]
async fn merge_requests_of_others_with_that_branch_are_not_ours() {
    let server = Server::start().await;
    for (iid, source) in [(1, json!(7)), (2, json!(9)), (3, Value::Null), (4, json!(7))] {
        server.keep("/merge_requests", merge_request(iid, "closed", &source));
    }
    let client = server.client();
    let found = client.pull_requests_from("topic/$(id)").await.unwrap();
    assert_eq!(found.iter().map(|pull| pull.number).collect::<Vec<_>>(), [4, 1]);
    assert!(client.pull_requests_from("topic").await.unwrap().is_empty(), "whatever GitLab lists");
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
    assert_eq!((found[1].created, found[1].updated), (second(55), second(55)), "to the second");
    assert_eq!(client.comment(12, 3).await.unwrap().unwrap(), found[1]);
    assert_eq!(client.comment(12, 4).await.unwrap(), None);
    assert_eq!(client.comment(12, 999).await.unwrap(), None);
}

#[tokio::test]
async fn a_list_without_end_is_an_error() {
    let server = Server::start().await;
    let one = json!([note(1, (5, "ann"), "chatter")]);
    let mut endless = (200, vec![("x-next-page", "2".to_owned())], one.to_string().into_bytes());
    endless.1.push(("link", "<https://evil.example/steal>; rel=\"next\"".to_owned()));
    server.world().canned.insert(format!("{PROJECT}{NOTES}"), endless);
    let error = server.client().comments(12).await.unwrap_err();
    assert!(error.to_string().contains("the list has more than 30 pages of 100"), "{error}");
    assert_eq!(server.reads().len(), 30, "pages have numbers, wherever a link leads");
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
    let asked = server.world().seen.iter().find(|seen| seen.path == "/api/graphql").unwrap().clone();
    let question = asked.body["query"].as_str().unwrap();
    assert!(question.contains("n2: note(id: \"gid://gitlab/Note/2\")") && !question.contains("n1:"), "{question}");
    assert_eq!(client.comment(12, 2).await.unwrap().unwrap().updated, second(55));
    assert_eq!(client.writes(), 0, "a question changes nothing");
}

#[tokio::test]
async fn where_nobody_tells_a_note_that_was_touched_counts_as_edited() {
    let server = Server::start().await;
    server.keep(NOTES, touched(2, "2026-11-22T18:51:57Z"));
    let updated = async || server.client().comments(12).await.map(|found| found[0].updated);
    assert_eq!(updated().await.unwrap(), second(57), "404");
    for told in [json!({ "errors": [{ "message": "no" }] }), json!([]), json!({ "data": null }), json!({ "data": {} })]
    {
        server.tell_at("/api/graphql", 200, &told);
        assert_eq!(updated().await.unwrap(), second(57), "{told}");
    }
    for _ in 0..3 {
        server.fault(Method::POST, "/api/graphql", instead(502, "bad gateway"));
    }
    let error = updated().await.unwrap_err();
    assert!(matches!(error, ForgeError::Unavailable { .. }), "it may tell later: {error:?}");
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
    assert_eq!((found.repository, found.head_repository, found.branch.as_deref()), (7, Some(7), Some("main")));
    assert_eq!((found.event.as_str(), found.path.as_str(), found.completed), ("trigger", ".gitlab-ci.yml", false));
    for (status, over) in
        [("success", true), ("failed", true), ("canceled", true), ("skipped", true), ("manual", false)]
    {
        told["status"] = status.into();
        server.tell("/pipelines/77", &told);
        assert_eq!(client.workflow_run(77).await.unwrap().unwrap().completed, over, "{status}");
    }
    told["ref"] = "refs/merge-requests/12/head".into();
    server.tell("/pipelines/77", &told);
    let found = client.workflow_run(77).await.unwrap().unwrap();
    assert_eq!((found.branch, found.head_repository), (None, None), "its commit may be from a fork");
    told["ref"] = "main".into();
    told["tag"] = true.into();
    server.tell("/pipelines/77", &told);
    assert_eq!(client.workflow_run(77).await.unwrap().unwrap().branch, None, "a tag is no branch");
    assert_eq!(client.workflow_run(78).await.unwrap(), None);
}

#[tokio::test]
async fn jobs_are_those_of_the_pipeline() {
    let server = Server::start().await;
    let job = |id: u64, name: &str, file: &Value| json!({ "id": id, "name": name, "status": "success", "artifacts_file": file });
    let file = json!({ "filename": "artifacts.zip", "size": 1_000 });
    server.tell("/pipelines/77/jobs", &json!([job(9, "omk-judge", &Value::Null), job(8, "omk-run", &file)]));
    let found = server.client().jobs(77).await.unwrap();
    let expect = |id, name: &str, has_artifacts| Job { id, name: name.into(), status: "success".into(), has_artifacts };
    assert_eq!(found, [expect(8, "omk-run", true), expect(9, "omk-judge", false)]);
    assert!(matches!(server.client().jobs(78).await, Err(ForgeError::NotFound { .. })));
}

const ZIP: &str = "/api/v4/projects/7/jobs/8/artifacts";

#[tokio::test]
async fn artifacts_come_from_gitlab_or_from_elsewhere_without_the_token() {
    let (server, store) = (Server::start().await, Server::start().await);
    let archive: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("bundle.zip");
    let holds = |server: &Server, path: &str| {
        server.world().canned.insert(path.to_owned(), (200, Vec::new(), archive.clone()));
    };
    holds(&server, ZIP);
    server.fault(Method::GET, ZIP, Fault::CutAfter);
    server.fault(Method::GET, ZIP, instead(502, "bad gateway"));
    assert_eq!(server.client().download_artifact(8, 300_000, &to).await.unwrap(), Sha256::of(&archive));
    assert_eq!(std::fs::read(&to).unwrap(), archive);
    let away = (302, vec![("location", format!("{}/blob?sig=SECRET", store.base))], Vec::new());
    server.world().canned.insert(ZIP.into(), away);
    holds(&store, "/blob");
    store.fault(Method::GET, "/blob", instead(403, "the signature is too old"));
    assert_eq!(server.client().download_artifact(8, 300_000, &to).await.unwrap(), Sha256::of(&archive));
    assert!(store.world().seen.iter().all(|seen| seen.tokens.is_empty()), "{:?}", store.world().seen);
    for fault in [None, Some(Fault::Unsized)] {
        store.world().faults.extend(fault.map(|fault| (Method::GET, "/blob".to_owned(), fault)));
        let error = server.client().download_artifact(8, 299_999, &to).await.unwrap_err();
        let expect = "download the artifacts of the job 8: the forge refuses it (413: it is larger than 299999 bytes)";
        assert_eq!(error.to_string(), expect);
        assert!(!to.exists());
    }
    let round = (302, vec![("location", "file:///etc/passwd?SECRET".to_owned())], Vec::new());
    server.world().canned.insert(ZIP.into(), round);
    let error = server.client().download_artifact(8, 10, &to).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("SECRET"), "{error:?}");
    let error = server.client().download_artifact(9, 10, &to).await.unwrap_err();
    assert!(matches!(error, ForgeError::NotFound { .. }), "{error:?}");
}
