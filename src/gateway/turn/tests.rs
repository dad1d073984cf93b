//! Tests of `gateway::turn`.

use super::reader::{LONGEST_LINE, MOST_KEPT};
use super::*;
use proptest::prelude::*;

fn sample() -> ModelAnswer {
    ModelAnswer {
        text: "Ich schreibe „hello“.".to_owned(),
        reasoning: "hm".to_owned(),
        tool_calls: vec![
            ToolCall {
                id: Some("Write:0".to_owned()),
                name: "Write".to_owned(),
                arguments: Value::String(r#"{"path":"a.txt","content":"hi\n"}"#.to_owned()),
            },
            ToolCall {
                id: Some("Bash:1".to_owned()),
                name: "Bash".to_owned(),
                arguments: Value::String(r#"{"command":"ls"}"#.to_owned()),
            },
        ],
        finish: Some("tool_calls".to_owned()),
        usage: Some(TurnUsage {
            prompt_tokens: 100,
            completion_tokens: 10,
            cached_tokens: 40,
            reasoning_tokens: Some(4),
        }),
    }
}

proptest! {
    #[test]
    fn an_answer_reads_the_same_however_it_is_cut(cuts in prop::collection::vec(1usize..40, 1..60)) {
        let stream = sample().to_events("s", AnswerEnding::Complete).concat();
        let mut reader = TurnReader::default();
        let mut rest = stream.as_bytes();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break }
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            reader.look_at(now);
            rest = later;
        }
        prop_assert!(reader.is_complete());
        prop_assert_eq!(reader.turn(), &sample());
    }

    #[test]
    fn any_bytes_are_looked_at_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut reader = TurnReader::default();
        reader.look_at(b"data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":18446744073709551615}]}}]}\n");
        reader.look_at(&bytes);
    }
}

#[test]
fn cached_tokens_are_found_in_either_place() {
    for usage in [
        json!({"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 40}}),
        json!({"prompt_tokens": 100, "completion_tokens": 7, "cached_tokens": 40}),
    ] {
        let tokens = TurnUsage::read(&usage).map(TurnUsage::tokens);
        assert_eq!(
            tokens,
            Some(Tokens {
                input: 60,
                cached_input: 40,
                output: 7,
                reasoning: 0
            })
        );
    }
}

#[test]
fn usage_inside_the_choice_counts_too() {
    let mut reader = TurnReader::default();
    reader.look_at(
            b"data: {\"choices\":[{\"delta\":{},\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}]}\n\n",
        );
    assert_eq!(reader.usage().map(|usage| usage.completion_tokens), Some(4));
}

#[test]
fn an_answer_without_words_or_tools_is_called_by_its_kind() {
    let turn = |text: &str, reasoning: &str, finish: &str| {
        let (text, reasoning, finish) = (
            text.to_owned(),
            reasoning.to_owned(),
            Some(finish.to_owned()),
        );
        ModelAnswer {
            text,
            reasoning,
            finish,
            ..ModelAnswer::default()
        }
        .emptiness()
    };
    assert_eq!(turn("", "hm", "length"), Some(Empty::ReasoningCut));
    assert_eq!(turn("", "hm", "stop"), Some(Empty::ReasoningOnly));
    assert_eq!(turn("", "", "stop"), Some(Empty::Nothing));
    // A filter's silence and a cut text have classes of their own.
    assert_eq!(turn("", "", "content_filter"), None);
    assert_eq!(turn("par", "hm", "length"), None);
    assert_eq!(sample().emptiness(), None);
}

#[test]
fn a_stream_without_a_reason_to_stop_is_not_complete() {
    let mut reader = TurnReader::default();
    reader.look_at(
        sample()
            .to_events("s", AnswerEnding::Dropped)
            .concat()
            .as_bytes(),
    );
    assert!(!reader.is_complete());
}

#[test]
fn an_answer_that_is_no_stream_reads_the_same_and_names_no_tools_that_are_not_used() {
    let words = ModelAnswer {
        tool_calls: Vec::new(),
        reasoning: String::new(),
        finish: Some("stop".to_owned()),
        ..sample()
    };
    for turn in [sample(), words] {
        let whole = turn.to_completion("s");
        let mut reader = TurnReader::default();
        reader.look_at_whole(whole.to_string().as_bytes());
        assert!(reader.is_complete());
        assert_eq!(reader.turn(), &turn);
        let has = |name: &str| {
            whole
                .pointer(&format!("/choices/0/message/{name}"))
                .is_some()
        };
        assert_eq!(
            (has("tool_calls"), has("reasoning_content")),
            (turn.tool_calls.len() == 2, !turn.reasoning.is_empty())
        );
    }
    let mut reader = TurnReader::default();
    reader.look_at_whole(b"{\"status\": \"up\"}");
    assert!(!reader.is_complete(), "somebody else's JSON");
}

#[test]
fn a_stream_is_over_with_a_reason_to_stop_or_with_its_last_line() {
    let is_complete = |text: &str| {
        let mut reader = TurnReader::default();
        reader.look_at(text.as_bytes());
        reader.is_complete()
    };
    assert!(is_complete("data: [DONE]\n\n"));
    assert!(is_complete(
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
    ));
    assert!(!is_complete(
        "data: {\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":null}]}\n\n"
    ));
    assert!(!is_complete("data: [DONE]"), "a line has an end");
}

#[test]
fn all_that_the_model_says_counts() {
    let mut reader = TurnReader::default();
    let said = |delta: Value| format!("data: {}\n\n", json!({"choices": [{"delta": delta}]}));
    let mut spoken = Vec::new();
    for delta in [
        json!({"content": "abc"}),
        json!({"content": "defg"}),
        json!({"reasoning_content": "hm"}),
        json!({"reasoning_content": "hm, hm"}),
        json!({"tool_calls": [{"index": 0, "function": {"name": "Write", "arguments": "{\"path\":"}}]}),
        json!({"tool_calls": [{"index": 0, "function": {"arguments": "\"a\"}"}}]}),
    ] {
        reader.look_at(said(delta).as_bytes());
        spoken.push(reader.spoken());
    }
    assert_eq!(spoken, [3, 7, 9, 15, 28, 32]);
}

#[test]
fn a_line_is_read_in_whatever_pieces_it_comes_unless_it_is_longer_than_any() {
    let of_length = |length: usize| {
        let frame = "data: {\"choices\":[{\"delta\":{\"content\":\"\"}}]}\n";
        let (head, tail) = frame.split_at(frame.len() - "\"}}]}\n".len());
        format!("{head}{}{tail}", "x".repeat(length - frame.len()))
    };
    for (length, is_read) in [
        (20_000, true),
        (LONGEST_LINE, true),
        (LONGEST_LINE + 1, false),
    ] {
        let (mut reader, line) = (TurnReader::default(), of_length(length));
        let (first, second) = line.split_at(length / 2);
        reader.look_at(first.as_bytes());
        reader.look_at(second.as_bytes());
        assert_eq!(reader.spoken() > 0, is_read, "{length}");
        reader.look_at(b"data: [DONE]\n");
        assert!(reader.is_complete(), "the next line is read");
    }
}

#[test]
fn an_error_inside_a_stream_is_kept_and_the_first_one_stays() {
    let mut reader = TurnReader::default();
    assert_eq!(reader.refusal(), None);
    for kind in ["overloaded", "later"] {
        reader.look_at(
            format!("data: {{\"error\":{{\"type\":\"{kind}\",\"message\":\"m\"}}}}\n").as_bytes(),
        );
        assert_eq!(
            reader.refusal().map(|refusal| refusal.kind.as_str()),
            Some("overloaded")
        );
    }
}

#[test]
fn an_answer_without_end_is_counted_and_no_longer_kept() {
    let mut reader = TurnReader::default();
    let mut says = |delta: Value| {
        reader.look_at(format!("data: {}\n", json!({"choices": [{"delta": delta}]})).as_bytes());
        (reader.turn().clone(), reader.spoken())
    };
    let half = "x".repeat(usize::try_from(MOST_KEPT / 2).unwrap());
    for (text, kept) in [(half.as_str(), 1), (half.as_str(), 2), ("more", 2)] {
        assert_eq!(
            says(json!({"content": text})).0.text.len(),
            kept * half.len()
        );
    }
    let call = json!({"index": 0, "function": {"name": "Write", "arguments": "{}"}});
    let (turn, spoken) = says(json!({"reasoning_content": "hm", "tool_calls": [call]}));
    let call = ToolCall {
        id: None,
        name: "Write".to_owned(),
        arguments: Value::String(String::new()),
    };
    assert_eq!((turn.reasoning.as_str(), turn.tool_calls), ("", vec![call]));
    assert_eq!(spoken, MOST_KEPT + 13);
}

#[test]
fn a_call_has_its_place_and_none_makes_room_for_millions() {
    for (place, calls) in [(0, 1), (3, 4), (1024, 1025), (1025, 1025), (u64::MAX, 1025)] {
        let mut reader = TurnReader::default();
        let call = json!({"index": place, "function": {"name": "Write"}});
        reader.look_at(
            format!(
                "data: {}\n",
                json!({"choices": [{"delta": {"tool_calls": [call]}}]})
            )
            .as_bytes(),
        );
        let found = &reader.turn().tool_calls;
        assert_eq!(
            (found.len(), found[calls - 1].name.as_str()),
            (calls, "Write"),
            "{place}"
        );
    }
}
