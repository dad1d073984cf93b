//! Tests of `gateway::cassette`.

use super::super::turn::ToolCall;
use super::places::map_json_text;
use super::*;
use proptest::prelude::*;

fn shelf(dir: &Path, slot: &str) -> Shelf {
    let places = Places::new(vec![("{{slot}}".to_owned(), slot.to_owned())]);
    Shelf::new(dir.to_owned(), "api".parse().unwrap(), 0, places)
}

fn writes(path: &str) -> Recording {
    let arguments = Value::String(json!({"path": path, "content": "a \"b\""}).to_string());
    let call = ToolCall {
        id: None,
        name: "Write".to_owned(),
        arguments,
    };
    Recording {
        v: 1,
        status: 200,
        turn: Some(ModelAnswer {
            text: format!("see {path}."),
            tool_calls: vec![call],
            ..ModelAnswer::default()
        }),
        ..Recording::default()
    }
}

#[test]
fn an_answer_comes_back_with_the_paths_of_another_machine() {
    let dir = tempfile::tempdir().unwrap();
    // A path that JSON must escape.
    let (here, there) = (r#"/tmp/a "b"/slot"#, r"/srv/c\d/slot");
    shelf(dir.path(), here)
        .save("api/0-0", writes(&format!("{here}/x")), &str::to_owned)
        .unwrap();
    let kept = std::fs::read_to_string(dir.path().join("api/0-0.json")).unwrap();
    assert!(
        kept.contains("{{slot}}/x") && !kept.contains("/tmp/a"),
        "{kept}"
    );
    assert_eq!(
        shelf(dir.path(), there).load("api/0-0").unwrap(),
        writes(&format!("{there}/x"))
    );
}

#[test]
fn a_longer_name_is_not_a_path_below() {
    let places = Places::new(vec![
        ("{{slot}}".to_owned(), "/s/1".to_owned()),
        ("{{home}}".to_owned(), "/s/1/home".to_owned()),
    ]);
    assert_eq!(
        places.hide("/s/1 /s/10 /s/1/x /s/1/home/y /s/1. /s/1.old /s/1-b"),
        "{{slot}} /s/10 {{slot}}/x {{home}}/y {{slot}}. /s/1.old /s/1-b"
    );
}

#[test]
fn a_place_that_is_asked_again_gets_a_running_number() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = shelf(dir.path(), "/s");
    assert_eq!(
        [
            shelf.next_key(0),
            shelf.next_key(1),
            shelf.next_key(0),
            shelf.next_key(0)
        ],
        ["api/0-0", "api/0-1", "api/0-0-2", "api/0-0-3"]
    );
}

#[test]
fn a_miss_names_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let miss = shelf(dir.path(), "/s")
        .load("api/0-3")
        .unwrap_err()
        .to_string();
    assert!(miss.contains("api/0-3"), "{miss}");
}

#[test]
fn an_interrupted_recording_gives_way_to_the_next_and_other_retries_stay() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = shelf(dir.path(), "/s");
    for key in ["api/0-0", "api/0-1-2", "api/10-0"] {
        shelf.save(key, writes("x"), &str::to_owned).unwrap();
    }
    shelf.clear();
    let left: Vec<_> = std::fs::read_dir(dir.path().join("api"))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left, ["10-0.json"]);
}

#[test]
fn what_is_written_by_hand_is_understood() {
    let turn: Recording = serde_json::from_value(
            json!({"turn": {"text": "hi", "tool_calls": [{"name": "Write", "arguments": {"path": "a", "content": "b"}}]}}),
        )
        .unwrap();
    assert_eq!((turn.status, turn.end), (200, AnswerEnding::Complete));
    let slow: Recording =
        serde_json::from_value(json!({"status": 429, "headers": {"retry-after": "1"}})).unwrap();
    assert_eq!(slow.status, 429);
    assert!(serde_json::from_value::<Recording>(json!({"turns": {}})).is_err());
}

#[test]
fn reminders_of_the_cli_are_not_the_user() {
    let request = json!({"messages": [
        {"role": "system", "content": "s"}, {"role": "user", "content": "old"}, {"role": "assistant", "content": "a"},
        {"role": "user", "content": [{"type": "text", "text": "new"}]},
        {"role": "assistant", "content": "b"}, {"role": "tool", "content": "t"},
        {"role": "user", "content": "<system-reminder>\ndate\n</system-reminder>"},
        {"role": "assistant", "content": "c"}, {"role": "tool", "content": "t"},
    ]});
    assert_eq!(turns_since_user(&request), 2);
    let reminder = json!({"type": "text", "text": " <system-reminder>\ndate\n</system-reminder>"});
    let words = json!({"type": "text", "text": "go on"});
    for (content, turns) in [
        (json!([reminder, reminder]), 1),
        (json!([reminder, words]), 0),
        (json!([reminder, {"type": "image_url"}]), 0),
        (json!([]), 0),
        (Value::Null, 0),
    ] {
        let request =
            json!({"messages": [{"role": "assistant"}, {"role": "user", "content": content}]});
        assert_eq!(turns_since_user(&request), turns, "{content}");
    }
}

proptest! {
    #[test]
    fn hiding_and_filling_give_the_text_back(text in "[a-z/ .\"\\\\]{0,30}(/s/1)?[a-z/ 0-9.]{0,30}") {
        let places = Places::new(vec![("{{slot}}".to_owned(), "/s/1".to_owned())]);
        prop_assert_eq!(places.fill(&places.hide(&text)), text);
    }
}

#[test]
fn people_see_what_is_new_in_a_request() {
    let message = |role: &str| json!({"role": role, "content": role});
    let request = json!({"model": "m", "messages":
            [message("system"), message("user"), message("assistant"), message("tool"), message("system"), message("user")]});
    let expected =
        json!({"model": "m", "messages_before": 3, "messages": [message("tool"), message("user")]});
    assert_eq!(request_for_people(&request), expected);
    let first = json!({"model": "m", "messages": [message("system"), message("user")]});
    let expected = json!({"model": "m", "messages_before": 0, "messages": [message("user")]});
    assert_eq!(request_for_people(&first), expected);
}

#[test]
fn a_secret_is_taken_out_of_an_answer_of_whatever_form() {
    let hide = |text: &str| text.replace("12345678", "***");
    for (text, hidden) in [
        ("12345678", "***"),
        ("\"12345678\"", "\"***\""),
        ("{\"a\": [\"12345678\"]}", "{\"a\":[\"***\"]}"),
        ("[\"12345678\"]", "[\"***\"]"),
        ("not {12345678", "not {***"),
        ("{\"a\": [1,  2]}", "{\"a\": [1,  2]}"),
    ] {
        assert_eq!(map_json_text(text, &hide), hidden, "{text}");
    }
}
