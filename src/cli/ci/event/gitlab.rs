//! What started a pipeline of GitLab's: its source, and the webhook's payload where one was passed
//! on.
//!
//! Whoever knows the trigger's token can write a payload, so two numbers are taken from it, and
//! everything is asked of GitLab again. It refuses payloads that are too large, and says of all
//! that is no command why nothing is done.

use serde::Deserialize;
use serde_json::Value;

use super::super::super::Failure;
use super::super::runner::{MergeRequest, Pipeline};
use super::{Event, Place, Proposal, lenient, payload, shown, words};

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
struct Moved {
    iid: u64,
    #[serde(default)]
    action: Option<String>,
}

#[derive(Deserialize)]
struct Numbered {
    iid: u64,
}

/// What started the pipeline, as far as omk cares.
///
/// # Errors
/// Where a payload is not there, is too large, or lacks what such an event always has.
pub(super) fn read(pipeline: &Pipeline) -> Result<Event, Failure> {
    let asked = || Event::Dispatched {
        actor: pipeline.actor.clone(),
        tasks: words(&pipeline.tasks),
    };
    Ok(match pipeline.source.as_str() {
        "schedule" | "web" | "api" | "trigger" if pipeline.poll => Event::Poll,
        "schedule" if pipeline.tasks.is_empty() => Event::Due,
        "schedule" | "web" | "api" => asked(),
        "trigger" => match &pipeline.payload {
            None => asked(),
            // GitLab makes a payload of whatever the trigger was called with.
            Some(file) => hook(&payload(file)?)?.unwrap_or_else(asked),
        },
        "merge_request_event" => proposed(pipeline),
        other => Event::Ignored(format!(
            "omk does nothing in a pipeline of the source `{}`",
            shown(other)
        )),
    })
}

fn proposed(pipeline: &Pipeline) -> Event {
    let Some(MergeRequest {
        number,
        head,
        source_project,
        project,
        target,
    }) = &pipeline.merge_request
    else {
        return Event::Ignored(
            "this pipeline names no merge request: its variables CI_MERGE_REQUEST_… are empty"
                .to_owned(),
        );
    };
    Event::Proposed(Proposal {
        number: *number,
        head: head.clone(),
        head_repository: *source_project,
        base: target.clone(),
        repository: *project,
    })
}

/// What a webhook tells; `None` where none called the trigger, but a person or a program.
fn hook(payload: &[u8]) -> Result<Option<Event>, Failure> {
    let hook: Hook = part("trigger", &lenient("trigger", FILE, payload)?)?;
    hook.object_kind
        .as_deref()
        .map(|kind| of_kind(kind, &hook.object_attributes, &hook.merge_request))
        .transpose()
}

fn of_kind(kind: &str, attributes: &Value, merge_request: &Value) -> Result<Event, Failure> {
    match kind {
        "note" => {
            if merge_request.is_null() {
                return Ok(Event::Ignored(
                    "the note is not on a merge request, and omk works on those".to_owned(),
                ));
            }
            let request: Numbered = part("note", merge_request)?;
            let note: Note = part("note", attributes)?;
            if note.system == Some(true) {
                return Ok(Event::Ignored("the note is GitLab's own".to_owned()));
            }
            if let Some(action) = note.action.filter(|action| action != "create") {
                let action = shown(&action);
                return Ok(Event::Ignored(format!(
                    "only a new note is a command, and this is its `{action}`"
                )));
            }
            Ok(Event::Commented {
                comment: note.id,
                issue: request.iid,
                place: Place::PullRequest,
            })
        }
        "merge_request" => {
            let moved: Moved = part("merge_request", attributes)?;
            match moved.action.as_deref() {
                Some("close" | "merge") => Ok(Event::Closed { pull: moved.iid }),
                other => {
                    let other = shown(other.unwrap_or("nothing"));
                    Ok(Event::Ignored(format!(
                        "omk does nothing at a merge request's `{other}`"
                    )))
                }
            }
        }
        other => Ok(Event::Ignored(format!(
            "omk does nothing about the event `{}`",
            shown(other)
        ))),
    }
}

/// A part of a payload as what it should be; an array is not read as an object's fields.
fn part<T: serde::de::DeserializeOwned>(name: &str, value: &Value) -> Result<T, Failure> {
    let object = if value.is_object() {
        value
    } else {
        &Value::Null
    };
    lenient(name, FILE, object.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pipeline(source: &str) -> Pipeline {
        Pipeline {
            source: source.to_owned(),
            actor: "root".to_owned(),
            ..Pipeline::default()
        }
    }

    fn of(hook: &Value) -> Result<Event, Failure> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), hook.to_string()).unwrap();
        read(&Pipeline {
            payload: Some(file.path().to_owned()),
            ..pipeline("trigger")
        })
    }

    fn note(more: &Value) -> Value {
        let mut attributes = json!({"id": 5, "note": "/omk run", "noteable_type": "MergeRequest", "action": "create"});
        attributes
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({
            "object_kind": "note", "event_type": "note", "user": {"id": 1, "username": "x$(id)"},
            "object_attributes": attributes, "merge_request": {"iid": 12, "title": "::error::"}, "project_id": 9,
        })
    }

    #[test]
    fn each_source_has_its_event() {
        assert_eq!(read(&pipeline("schedule")).unwrap(), Event::Due);
        let asked = Event::Dispatched {
            actor: "root".to_owned(),
            tasks: vec![],
        };
        for source in ["web", "api", "trigger"] {
            assert_eq!(read(&pipeline(source)).unwrap(), asked, "{source}");
        }
        let named = Pipeline {
            tasks: "api, docs\tweb".to_owned(),
            ..pipeline("web")
        };
        let tasks = ["api", "docs", "web"].map(str::to_owned).to_vec();
        assert_eq!(
            read(&named).unwrap(),
            Event::Dispatched {
                actor: "root".to_owned(),
                tasks
            }
        );
        for source in ["schedule", "web", "api", "trigger"] {
            assert_eq!(
                read(&Pipeline {
                    poll: true,
                    ..pipeline(source)
                })
                .unwrap(),
                Event::Poll
            );
        }
        for source in [
            "push",
            "pipeline",
            "parent_pipeline",
            "chat",
            "merge_request_event",
            "x\n::y",
        ] {
            let poll = Pipeline {
                poll: true,
                ..pipeline(source)
            };
            for pipeline in [pipeline(source), poll] {
                let Event::Ignored(why) = read(&pipeline).unwrap() else {
                    panic!("{source}")
                };
                assert!(!why.contains('\n'), "{why}");
            }
        }
    }

    #[test]
    fn a_merge_request_pipeline_is_about_what_its_variables_say() {
        let request = MergeRequest {
            number: 12,
            head: "1".repeat(40).parse().unwrap(),
            source_project: Some(10),
            project: 9,
            target: "main".to_owned(),
        };
        let pipeline = Pipeline {
            merge_request: Some(request),
            ..pipeline("merge_request_event")
        };
        let Event::Proposed(proposal) = read(&pipeline).unwrap() else {
            panic!()
        };
        assert_eq!(
            (
                proposal.number,
                proposal.repository,
                proposal.head_repository
            ),
            (12, 9, Some(10))
        );
    }

    #[test]
    fn only_a_new_note_on_a_merge_request_is_a_comment() {
        let comment = Event::Commented {
            comment: 5,
            issue: 12,
            place: Place::PullRequest,
        };
        assert_eq!(of(&note(&json!({}))).unwrap(), comment);
        assert_eq!(of(&note(&json!({"action": null}))).unwrap(), comment);
        let mut elsewhere = note(&json!({"noteable_type": "Issue"}));
        elsewhere["merge_request"] = json!(null);
        for ignored in [
            note(&json!({"action": "update"})),
            note(&json!({"system": true})),
            elsewhere,
            json!({"object_kind": "push"}),
            json!({"object_kind": "x\n::set-output"}),
            json!({"object_kind": ""}),
        ] {
            let Event::Ignored(why) = of(&ignored).unwrap() else {
                panic!("{ignored}")
            };
            assert!(!why.contains('\n'), "{why}");
        }
    }

    #[test]
    fn a_trigger_that_no_webhook_called_asks_for_maintenance() {
        // GitLab writes a payload for every call: what it was called with, but for the token.
        let called = json!({"ref": "main", "id": "42", "variables": {"OMK_TASKS": "api"}});
        assert_eq!(
            of(&called).unwrap(),
            Event::Dispatched {
                actor: "root".to_owned(),
                tasks: vec![]
            }
        );
    }

    #[test]
    fn a_merge_request_that_ended_is_cleaned_up_after() {
        let moved = |action: Value| {
            of(
                &json!({"object_kind": "merge_request", "object_attributes": {"iid": 12, "id": 99, "action": action}}),
            )
        };
        for action in ["close", "merge"] {
            assert_eq!(moved(json!(action)).unwrap(), Event::Closed { pull: 12 });
        }
        for action in [
            json!("open"),
            json!("update"),
            json!("approved"),
            json!(null),
        ] {
            assert!(matches!(moved(action), Ok(Event::Ignored(_))));
        }
    }

    #[test]
    fn a_hostile_payload_is_a_clear_failure() {
        for hook in [
            json!([]),
            json!("note"),
            json!({"object_kind": ["note"]}),
            note(&json!({"id": -1})),
            note(&json!({"id": "5"})),
            note(&json!({"id": 1e30})),
            json!({"object_kind": "note", "merge_request": {"iid": "12"}, "object_attributes": {"id": 5}}),
            json!({"object_kind": "note", "merge_request": [], "object_attributes": {"id": 5}}),
            json!({"object_kind": "note", "merge_request": {"iid": 12}}),
            json!({"object_kind": "merge_request"}),
        ] {
            assert!(of(&hook).is_err(), "{hook}");
        }
        let deep = format!("{{\"object_kind\": {}", "[".repeat(100_000));
        assert!(super::hook(deep.as_bytes()).is_err());
        let failure = super::hook(b"\xff\xfe{").unwrap_err();
        assert!(
            failure.render().contains("TRIGGER_PAYLOAD"),
            "{}",
            failure.render()
        );
        let gone = Pipeline {
            payload: Some("/nonexistent/payload".into()),
            ..pipeline("trigger")
        };
        assert!(read(&gone).is_err());
        let large = tempfile::NamedTempFile::new().unwrap();
        large.as_file().set_len((32 << 20) + 1).unwrap();
        let large = Pipeline {
            payload: Some(large.path().to_owned()),
            ..pipeline("trigger")
        };
        assert!(read(&large).unwrap_err().error.contains("32 MiB"));
    }
}
