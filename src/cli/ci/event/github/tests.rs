//! Tests of `cli::ci::event::github`.

use serde_json::json;

use super::*;

fn of(name: &str, payload: serde_json::Value) -> Result<ForgeEvent, CommandFailure> {
    parse(&EventName::named(name), payload.to_string().as_bytes())
}

fn comment(action: &str, pull: serde_json::Value) -> serde_json::Value {
    json!({
        "action": action, "issue": {"number": 12, "pull_request": pull, "title": "x"},
        "comment": {"id": 5, "body": "/omk run"}, "sender": {"login": "octocat"},
    })
}

fn pull(action: &str, head_repository: serde_json::Value) -> serde_json::Value {
    json!({
        "action": action, "number": 12, "repository": {"id": 9},
        "pull_request": {
            "head": {"ref": "x$(id)", "sha": "1".repeat(40), "repo": head_repository},
            "base": {"ref": "main", "sha": "2".repeat(40), "repo": {"id": 9}},
        },
    })
}

#[test]
fn only_a_created_comment_is_one() {
    let created = of("issue_comment", comment("created", json!({"url": "u"}))).unwrap();
    assert_eq!(
        created,
        ForgeEvent::Commented {
            comment: 5,
            issue: 12,
            place: CommentPlace::PullRequest
        }
    );
    let plain = of("issue_comment", comment("created", json!(null))).unwrap();
    assert_eq!(
        plain,
        ForgeEvent::Commented {
            comment: 5,
            issue: 12,
            place: CommentPlace::Issue
        }
    );
    for action in ["edited", "deleted", "created\n::set-output name=go::true"] {
        let ForgeEvent::Ignored(why) = of("issue_comment", comment(action, json!({}))).unwrap()
        else {
            panic!("{action}")
        };
        assert!(!why.contains('\n'), "{why}");
    }
}

#[test]
fn a_dispatch_names_tasks_in_any_of_the_usual_ways() {
    let tasks = |inputs: serde_json::Value| match of(
        "workflow_dispatch",
        json!({"inputs": inputs, "sender": {"login": "octocat"}, "ref": "refs/heads/main"}),
    ) {
        Ok(ForgeEvent::Dispatched { tasks, actor }) => Ok((actor, tasks)),
        Ok(other) => panic!("{other:?}"),
        Err(failure) => Err(failure.error),
    };
    let octocat = "octocat".to_owned();
    assert_eq!(
        tasks(json!({"tasks": " api, docs\tweb"})).unwrap(),
        (
            octocat.clone(),
            vec!["api".to_owned(), "docs".to_owned(), "web".to_owned()]
        )
    );
    for nothing in [
        json!(null),
        json!({}),
        json!({"tasks": null}),
        json!({"tasks": ""}),
        json!({"tasks": " , "}),
    ] {
        assert_eq!(tasks(nothing).unwrap(), (octocat.clone(), vec![]));
    }
    assert!(tasks(json!({"tasks": ["api"]})).is_err());
}

#[test]
fn a_pull_request_is_checked_cleaned_up_after_or_left_alone() {
    let proposal = |repository| {
        ForgeEvent::Proposed(Proposal {
            number: 12,
            head: "1".repeat(40).parse().unwrap(),
            head_repository: repository,
            base: "main".to_owned(),
            repository: 9,
        })
    };
    for action in ["opened", "synchronize", "reopened", "edited"] {
        assert_eq!(
            of("pull_request", pull(action, json!({"id": 9}))).unwrap(),
            proposal(Some(9))
        );
    }
    assert_eq!(
        of("pull_request", pull("opened", json!(null))).unwrap(),
        proposal(None)
    );
    assert_eq!(
        of("pull_request", pull("closed", json!(null))).unwrap(),
        ForgeEvent::Closed { pull: 12 }
    );
    assert!(matches!(
        of("pull_request", pull("labeled", json!(null))),
        Ok(ForgeEvent::Ignored(_))
    ));
}

#[test]
fn an_event_with_all_rights_is_refused_and_an_unknown_one_ignored() {
    assert!(matches!(
        of("pull_request_target", pull("opened", json!({"id": 9}))),
        Ok(ForgeEvent::Refused { .. })
    ));
    assert!(matches!(of("push", json!({})), Ok(ForgeEvent::Ignored(_))));
    assert_eq!(
        of("schedule", json!({"schedule": "0 3 * * *"})).unwrap(),
        ForgeEvent::Due
    );
}

#[test]
fn a_payload_of_an_unknown_shape_is_a_clear_failure() {
    let mut bad_commit = pull("opened", json!({"id": 9}));
    bad_commit["pull_request"]["head"]["sha"] = json!("HEAD");
    let bad = [
        ("issue_comment", json!({})),
        (
            "issue_comment",
            json!({"action": "created", "issue": {"number": -1}, "comment": {"id": 5}}),
        ),
        ("issue_comment", json!([])),
        ("workflow_dispatch", json!({"inputs": 5})),
        ("pull_request", json!({"action": "closed"})),
        ("pull_request", bad_commit),
    ];
    for (name, payload) in bad {
        let failure = of(name, payload.clone()).expect_err(&payload.to_string());
        assert!(failure.error.contains(name), "{}", failure.error);
    }
    assert!(parse(&EventName::IssueComment, b"\xff\xfe{").is_err());
    assert!(read(&EventName::Schedule, Path::new("/nonexistent/event.json")).is_err());
}
