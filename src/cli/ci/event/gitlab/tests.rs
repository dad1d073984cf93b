//! Tests of `cli::ci::event::gitlab`.

use serde_json::json;

use super::*;

fn pipeline(source: &str) -> Pipeline {
    Pipeline {
        source: source.to_owned(),
        actor: "root".to_owned(),
        ..Pipeline::default()
    }
}

fn of(hook: &Value) -> Result<ForgeEvent, CommandFailure> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), hook.to_string()).unwrap();
    read(&Pipeline {
        payload: Some(file.path().to_owned()),
        ..pipeline("trigger")
    })
}

fn note(more: &Value) -> Value {
    let mut attributes =
        json!({"id": 5, "note": "/omk run", "noteable_type": "MergeRequest", "action": "create"});
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
    assert_eq!(read(&pipeline("schedule")).unwrap(), ForgeEvent::Due);
    let asked = ForgeEvent::Dispatched {
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
        ForgeEvent::Dispatched {
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
            ForgeEvent::Poll
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
            let ForgeEvent::Ignored(why) = read(&pipeline).unwrap() else {
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
    let ForgeEvent::Proposed(proposal) = read(&pipeline).unwrap() else {
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
    let comment = ForgeEvent::Commented {
        comment: 5,
        issue: 12,
        place: CommentPlace::PullRequest,
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
        let ForgeEvent::Ignored(why) = of(&ignored).unwrap() else {
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
        ForgeEvent::Dispatched {
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
        assert_eq!(
            moved(json!(action)).unwrap(),
            ForgeEvent::Closed { pull: 12 }
        );
    }
    for action in [
        json!("open"),
        json!("update"),
        json!("approved"),
        json!(null),
    ] {
        assert!(matches!(moved(action), Ok(ForgeEvent::Ignored(_))));
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
