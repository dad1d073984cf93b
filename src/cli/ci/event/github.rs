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
mod tests;
