//! What started a pipeline of GitLab's: its source, and the webhook's payload where one was passed
//! on.
//!
//! Whoever knows the trigger's token can write a payload, so two numbers are taken from it, and
//! everything is asked of GitLab again. It refuses payloads that are too large, and says of all
//! that is no command why nothing is done.

use serde::Deserialize;
use serde_json::Value;

use super::super::super::CommandFailure;
use super::super::runner::{MergeRequest, Pipeline};
use super::{CommentPlace, ForgeEvent, Proposal, lenient, payload, shown, words};

/// The variable that names the payload's file.
const FILE: &str = "TRIGGER_PAYLOAD";

#[derive(Deserialize)]
struct Hook {
    /// `None` where no webhook sent it.
    object_kind: Option<String>,
    #[serde(default)]
    object_attributes: Value,
    #[serde(default)]
    merge_request: Value,
}

#[derive(Deserialize)]
struct Note {
    id: u64,
    #[serde(default)]
    action: Option<String>,
    #[serde(default)]
    system: Option<bool>,
}

#[derive(Deserialize)]
struct MergeRequestHook {
    iid: u64,
    #[serde(default)]
    action: Option<String>,
}

#[derive(Deserialize)]
struct HookIid {
    iid: u64,
}

/// What started the pipeline, as far as omk cares.
///
/// # Errors
/// Where a payload is not there, is too large, or lacks what such an event always has.
pub(super) fn read(pipeline: &Pipeline) -> Result<ForgeEvent, CommandFailure> {
    let asked = || ForgeEvent::Dispatched {
        actor: pipeline.actor.clone(),
        tasks: words(&pipeline.tasks),
    };
    Ok(match pipeline.source.as_str() {
        "schedule" | "web" | "api" | "trigger" if pipeline.poll => ForgeEvent::Poll,
        "schedule" if pipeline.tasks.is_empty() => ForgeEvent::Due,
        "schedule" | "web" | "api" => asked(),
        "trigger" => match &pipeline.payload {
            None => asked(),
            // GitLab makes a payload of whatever the trigger was called with.
            Some(file) => hook(&payload(file)?)?.unwrap_or_else(asked),
        },
        "merge_request_event" => proposed(pipeline),
        other => ForgeEvent::Ignored(format!(
            "omk does nothing in a pipeline of the source `{}`",
            shown(other)
        )),
    })
}

fn proposed(pipeline: &Pipeline) -> ForgeEvent {
    let Some(MergeRequest {
        number,
        head,
        source_project,
        project,
        target,
    }) = &pipeline.merge_request
    else {
        return ForgeEvent::Ignored(
            "this pipeline names no merge request: its variables CI_MERGE_REQUEST_… are empty"
                .to_owned(),
        );
    };
    ForgeEvent::Proposed(Proposal {
        number: *number,
        head: head.clone(),
        head_repository: *source_project,
        base: target.clone(),
        repository: *project,
    })
}

/// What a webhook tells; `None` where none called the trigger, but a person or a program.
fn hook(payload: &[u8]) -> Result<Option<ForgeEvent>, CommandFailure> {
    let hook: Hook = part("trigger", &lenient("trigger", FILE, payload)?)?;
    hook.object_kind
        .as_deref()
        .map(|kind| of_kind(kind, &hook.object_attributes, &hook.merge_request))
        .transpose()
}

fn of_kind(
    kind: &str,
    attributes: &Value,
    merge_request: &Value,
) -> Result<ForgeEvent, CommandFailure> {
    match kind {
        "note" => {
            if merge_request.is_null() {
                return Ok(ForgeEvent::Ignored(
                    "the note is not on a merge request, and omk works on those".to_owned(),
                ));
            }
            let request: HookIid = part("note", merge_request)?;
            let note: Note = part("note", attributes)?;
            if note.system == Some(true) {
                return Ok(ForgeEvent::Ignored("the note is GitLab's own".to_owned()));
            }
            if let Some(action) = note.action.filter(|action| action != "create") {
                let action = shown(&action);
                return Ok(ForgeEvent::Ignored(format!(
                    "only a new note is a command, and this is its `{action}`"
                )));
            }
            Ok(ForgeEvent::Commented {
                comment: note.id,
                issue: request.iid,
                place: CommentPlace::PullRequest,
            })
        }
        "merge_request" => {
            let moved: MergeRequestHook = part("merge_request", attributes)?;
            match moved.action.as_deref() {
                Some("close" | "merge") => Ok(ForgeEvent::Closed { pull: moved.iid }),
                other => {
                    let other = shown(other.unwrap_or("nothing"));
                    Ok(ForgeEvent::Ignored(format!(
                        "omk does nothing at a merge request's `{other}`"
                    )))
                }
            }
        }
        other => Ok(ForgeEvent::Ignored(format!(
            "omk does nothing about the event `{}`",
            shown(other)
        ))),
    }
}

/// A part of a payload as what it should be; an array is not read as an object's fields.
fn part<T: serde::de::DeserializeOwned>(name: &str, value: &Value) -> Result<T, CommandFailure> {
    let object = if value.is_object() {
        value
    } else {
        &Value::Null
    };
    lenient(name, FILE, object.to_string().as_bytes())
}

#[cfg(test)]
mod tests;
