//! GitHub's payloads, read for numbers.

use std::path::Path;

use serde::Deserialize;

use super::super::super::{CommandFailure, FailureKind};
use super::super::runner::EventName;
use super::{CommentPlace, ForgeEvent, Proposal, lenient, payload, shown, words};
use crate::id::CommitId;

/// The variable that names the payload's file.
const FILE: &str = "GITHUB_EVENT_PATH";

#[derive(Deserialize)]
struct Commented {
    action: String,
    issue: CommentedIssue,
    comment: HookNumber,
}

#[derive(Deserialize)]
struct CommentedIssue {
    number: u64,
    #[serde(default)]
    pull_request: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct HookNumber {
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
struct PullRequestHook {
    action: String,
    number: u64,
    pull_request: HookSides,
    repository: HookNumber,
}

#[derive(Deserialize)]
struct HookSides {
    head: MovedSide,
    base: MovedSide,
}

#[derive(Deserialize)]
struct MovedSide {
    #[serde(rename = "ref")]
    branch: String,
    sha: CommitId,
    #[serde(default)]
    repo: Option<HookNumber>,
}

/// Reads the payload of an event from the file that the runner names.
///
/// # Errors
/// Where there is none, it is larger than any payload, or lacks what such an event always has.
pub(super) fn read(name: &EventName, file: &Path) -> Result<ForgeEvent, CommandFailure> {
    parse(name, &payload(file)?)
}

fn parse(name: &EventName, payload: &[u8]) -> Result<ForgeEvent, CommandFailure> {
    match name {
        EventName::IssueComment => commented(lenient("issue_comment", FILE, payload)?),
        EventName::Schedule => Ok(ForgeEvent::Due),
        EventName::WorkflowDispatch => dispatched(lenient("workflow_dispatch", FILE, payload)?),
        EventName::PullRequest => Ok(moved(lenient("pull_request", FILE, payload)?)),
        EventName::PullRequestTarget => Ok(ForgeEvent::Refused {
            why: "`pull_request_target` gives a pull request's author the rights of this repository, and omk needs none \
                  of them there",
            next: "start this workflow on `pull_request` instead",
        }),
        EventName::Other(name) => {
            let name = shown(name);
            Ok(ForgeEvent::Ignored(format!(
                "omk does nothing about the event `{name}`"
            )))
        }
    }
}

fn commented(payload: Commented) -> Result<ForgeEvent, CommandFailure> {
    if payload.action != "created" {
        return Ok(ForgeEvent::Ignored(format!(
            "only a new comment is a command, and this one was {}",
            shown(&payload.action)
        )));
    }
    let place = if payload.issue.pull_request.is_some() {
        CommentPlace::PullRequest
    } else {
        CommentPlace::Issue
    };
    Ok(ForgeEvent::Commented {
        comment: payload.comment.id,
        issue: payload.issue.number,
        place,
    })
}

fn dispatched(payload: Dispatched) -> Result<ForgeEvent, CommandFailure> {
    let tasks = match payload
        .inputs
        .as_ref()
        .and_then(|inputs| inputs.get("tasks"))
    {
        None | Some(serde_json::Value::Null) => Vec::new(),
        Some(serde_json::Value::String(text)) => words(text),
        Some(_) => {
            return Err(CommandFailure::new(
                FailureKind::Usage,
                "the workflow's input `tasks` is not a text",
            )
            .hint("declare it with `type: string`; tasks are separated by spaces"));
        }
    };
    let actor = payload
        .sender
        .map_or_else(|| "somebody".to_owned(), |sender| sender.login);
    Ok(ForgeEvent::Dispatched { actor, tasks })
}

fn moved(payload: PullRequestHook) -> ForgeEvent {
    let PullRequestHook {
        action,
        number,
        pull_request: HookSides { head, base },
        repository,
    } = payload;
    match action.as_str() {
        "opened" | "synchronize" | "reopened" | "edited" => ForgeEvent::Proposed(Proposal {
            number,
            head: head.sha,
            head_repository: head.repo.map(|repository| repository.id),
            base: base.branch,
            repository: repository.id,
        }),
        "closed" => ForgeEvent::Closed { pull: number },
        other => ForgeEvent::Ignored(format!(
            "omk does nothing when a pull request is {}",
            shown(other)
        )),
    }
}

#[cfg(test)]
mod tests;
