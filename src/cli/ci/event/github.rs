//! GitHub's payloads, read for numbers.

use std::path::Path;

use serde::Deserialize;

use super::super::super::{Failure, Kind};
use super::super::runner::EventName;
use super::{Event, Place, Proposal, lenient, payload, shown, words};
use crate::id::CommitId;

/// The variable that names the payload's file.
const FILE: &str = "GITHUB_EVENT_PATH";

#[derive(Deserialize)]
struct Commented {
    action: String,
    issue: CommentedIssue,
    comment: Numbered,
}

#[derive(Deserialize)]
struct CommentedIssue {
    number: u64,
    #[serde(default)]
    pull_request: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Numbered {
    id: u64,
}

#[derive(Deserialize)]
struct Dispatched {
    #[serde(default)]
    inputs: Option<serde_json::Map<String, serde_json::Value>>,
    #[serde(default)]
    sender: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    login: String,
}

#[derive(Deserialize)]
struct Moved {
    action: String,
    number: u64,
    pull_request: Sides,
    repository: Numbered,
}

#[derive(Deserialize)]
struct Sides {
    head: MovedSide,
    base: MovedSide,
}

#[derive(Deserialize)]
struct MovedSide {
    #[serde(rename = "ref")]
    branch: String,
    sha: CommitId,
    #[serde(default)]
    repo: Option<Numbered>,
}

/// Reads the payload of an event from the file that the runner names.
///
/// # Errors
/// Where there is none, it is larger than any payload, or lacks what such an event always has.
pub(super) fn read(name: &EventName, file: &Path) -> Result<Event, Failure> {
    parse(name, &payload(file)?)
}

fn parse(name: &EventName, payload: &[u8]) -> Result<Event, Failure> {
    match name {
        EventName::IssueComment => commented(lenient("issue_comment", FILE, payload)?),
        EventName::Schedule => Ok(Event::Due),
        EventName::WorkflowDispatch => dispatched(lenient("workflow_dispatch", FILE, payload)?),
        EventName::PullRequest => Ok(moved(lenient("pull_request", FILE, payload)?)),
        EventName::PullRequestTarget => Ok(Event::Refused {
            why: "`pull_request_target` gives a pull request's author the rights of this repository, and omk needs none \
                  of them there",
            next: "start this workflow on `pull_request` instead",
        }),
        EventName::Other(name) => {
            let name = shown(name);
            Ok(Event::Ignored(format!(
                "omk does nothing about the event `{name}`"
            )))
        }
    }
}

fn commented(payload: Commented) -> Result<Event, Failure> {
    if payload.action != "created" {
        return Ok(Event::Ignored(format!(
            "only a new comment is a command, and this one was {}",
            shown(&payload.action)
        )));
    }
    let place = if payload.issue.pull_request.is_some() {
        Place::PullRequest
    } else {
        Place::Issue
    };
    Ok(Event::Commented {
        comment: payload.comment.id,
        issue: payload.issue.number,
        place,
    })
}

fn dispatched(payload: Dispatched) -> Result<Event, Failure> {
    let tasks = match payload
        .inputs
        .as_ref()
        .and_then(|inputs| inputs.get("tasks"))
    {
        None | Some(serde_json::Value::Null) => Vec::new(),
        Some(serde_json::Value::String(text)) => words(text),
        Some(_) => {
            return Err(
                Failure::new(Kind::Usage, "the workflow's input `tasks` is not a text")
                    .hint("declare it with `type: string`; tasks are separated by spaces"),
            );
        }
    };
    let actor = payload
        .sender
        .map_or_else(|| "somebody".to_owned(), |sender| sender.login);
    Ok(Event::Dispatched { actor, tasks })
}

fn moved(payload: Moved) -> Event {
    let Moved {
        action,
        number,
        pull_request: Sides { head, base },
        repository,
    } = payload;
    match action.as_str() {
        "opened" | "synchronize" | "reopened" | "edited" => Event::Proposed(Proposal {
            number,
            head: head.sha,
            head_repository: head.repo.map(|repository| repository.id),
            base: base.branch,
            repository: repository.id,
        }),
        "closed" => Event::Closed { pull: number },
        other => Event::Ignored(format!(
            "omk does nothing when a pull request is {}",
            shown(other)
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(name: &str, payload: serde_json::Value) -> Result<Event, Failure> {
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
            Event::Commented {
                comment: 5,
                issue: 12,
                place: Place::PullRequest
            }
        );
        let plain = of("issue_comment", comment("created", json!(null))).unwrap();
        assert_eq!(
            plain,
            Event::Commented {
                comment: 5,
                issue: 12,
                place: Place::Issue
            }
        );
        for action in ["edited", "deleted", "created\n::set-output name=go::true"] {
            let Event::Ignored(why) = of("issue_comment", comment(action, json!({}))).unwrap()
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
            Ok(Event::Dispatched { tasks, actor }) => Ok((actor, tasks)),
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
            Event::Proposed(Proposal {
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
            Event::Closed { pull: 12 }
        );
        assert!(matches!(
            of("pull_request", pull("labeled", json!(null))),
            Ok(Event::Ignored(_))
        ));
    }

    #[test]
    fn an_event_with_all_rights_is_refused_and_an_unknown_one_ignored() {
        assert!(matches!(
            of("pull_request_target", pull("opened", json!({"id": 9}))),
            Ok(Event::Refused { .. })
        ));
        assert!(matches!(of("push", json!({})), Ok(Event::Ignored(_))));
        assert_eq!(
            of("schedule", json!({"schedule": "0 3 * * *"})).unwrap(),
            Event::Due
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
}
