//! One answer of the model: read out of a stream of server-sent events as it passes, and written as
//! one again.
//!
//! It refuses to keep how the answer was cut into chunks: deltas are merged, so a path that was
//! split over two of them is whole again. It never changes what passes; it only looks.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::fact::Tokens;
use crate::model::{Empty, Refusal};

/// What the model said in one answer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// Words for the reader.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Words that came before them, where the model thinks aloud.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reasoning: String,
    /// Tools it wants to use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Why it stopped: `stop`, `tool_calls`, `length`, `content_filter`; filled in from the rest
    /// where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish: Option<String>,
    /// What it cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<TurnUsage>,
}

/// A tool that the model wants to use.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCall {
    /// The provider's name of the call; made from its place where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The tool.
    pub name: String,
    /// Its arguments: an object, or the JSON text of one exactly as the model wrote it.
    pub arguments: Value,
}

impl ToolCall {
    fn arguments_text(&self) -> String {
        self.arguments
            .as_str()
            .map_or_else(|| self.arguments.to_string(), str::to_owned)
    }
}

/// What an answer cost, in the provider's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TurnUsage {
    /// All input, cached input included.
    #[serde(default)]
    pub prompt_tokens: u64,
    /// Output.
    #[serde(default)]
    pub completion_tokens: u64,
    /// Input that the provider had cached.
    #[serde(default)]
    pub cached_tokens: u64,
    /// How much of the output was reasoning, where the provider says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
}

impl TurnUsage {
    fn read(usage: &Value) -> Option<Self> {
        // Some providers count in floats. `as` saturates, and takes what is not a number for 0.
        let number = |value: &Value| {
            value
                .as_u64()
                .or_else(|| value.as_f64().map(|count| count as u64))
        };
        let prompt_tokens = usage.get("prompt_tokens").and_then(number)?;
        let completion_tokens = usage.get("completion_tokens").and_then(number).unwrap_or(0);
        let nested = usage
            .pointer("/prompt_tokens_details/cached_tokens")
            .and_then(number);
        let cached_tokens = nested
            .or_else(|| usage.get("cached_tokens").and_then(number))
            .unwrap_or(0);
        let reasoning_tokens = usage
            .pointer("/completion_tokens_details/reasoning_tokens")
            .and_then(number);
        Some(Self {
            prompt_tokens,
            completion_tokens,
            cached_tokens,
            reasoning_tokens,
        })
    }

    /// The same in omk's words.
    #[must_use]
    pub fn tokens(self) -> Tokens {
        Tokens {
            input: self.prompt_tokens.saturating_sub(self.cached_tokens),
            cached_input: self.cached_tokens,
            output: self.completion_tokens,
            reasoning: self
                .reasoning_tokens
                .unwrap_or(0)
                .min(self.completion_tokens),
        }
    }

    fn to_json(self) -> Value {
        let mut usage = json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens.saturating_add(self.completion_tokens),
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens},
        });
        if let Some(reasoning) = self.reasoning_tokens {
            usage["completion_tokens_details"] = json!({"reasoning_tokens": reasoning});
        }
        usage
    }
}

/// Reads a turn out of passing bytes.
#[derive(Debug, Default)]
pub struct TurnReader {
    line: Vec<u8>,
    turn: Turn,
    done: bool,
    spoken: u64,
    /// What the provider said of its own trouble inside an answer that began as a good one.
    refusal: Option<Refusal>,
}

/// A line of a stream longer than this is not looked into; it still passes. No sane delta is a
/// hundredth of it.
const LONGEST_LINE: usize = 16 << 20;

/// More of one answer, in bytes, is counted and passes, but is not kept: the longest real one, a
/// million tokens, has four megabytes.
const MOST_KEPT: u64 = 16 << 20;

impl TurnReader {
    /// Looks at the next bytes of a stream of server-sent events.
    pub fn look_at(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            if self.line.len() + part.len() <= LONGEST_LINE {
                self.line.extend_from_slice(part);
            }
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.line_read(&line);
            }
        }
    }

    fn line_read(&mut self, line: &[u8]) {
        let Ok(line) = std::str::from_utf8(line) else {
            return;
        };
        let Some(payload) = line.trim_end().strip_prefix("data:") else {
            return;
        };
        let payload = payload.trim_start();
        if payload == "[DONE]" {
            self.done = true;
        } else if let Ok(chunk) = serde_json::from_str::<Value>(payload) {
            self.absorb(&chunk);
        }
    }

    fn absorb(&mut self, chunk: &Value) {
        self.refusal = self.refusal.take().or_else(|| Refusal::inside(chunk));
        let choice = chunk.pointer("/choices/0").unwrap_or(&Value::Null);
        let usage = chunk.get("usage").and_then(TurnUsage::read);
        if let Some(usage) = usage.or_else(|| choice.get("usage").and_then(TurnUsage::read)) {
            self.turn.usage = Some(usage);
        }
        if let Some(finish) = choice.get("finish_reason").and_then(Value::as_str) {
            self.turn.finish = Some(finish.to_owned());
        }
        // A whole answer has `message` where a streamed one has `delta`.
        let Some(delta) = choice.get("delta").or_else(|| choice.get("message")) else {
            return;
        };
        let kept = self.spoken < MOST_KEPT;
        if let Some(text) = delta.get("content").and_then(Value::as_str) {
            self.turn.text.push_str(if kept { text } else { "" });
            self.spoken += text.len() as u64;
        }
        if let Some(text) = delta.get("reasoning_content").and_then(Value::as_str) {
            self.turn.reasoning.push_str(if kept { text } else { "" });
            self.spoken += text.len() as u64;
        }
        for (place, call) in delta
            .get("tool_calls")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .enumerate()
        {
            self.absorb_call(place, call);
        }
    }

    fn absorb_call(&mut self, place: usize, call: &Value) {
        // More calls than this in one answer are nonsense, and an index must not make us allocate.
        const MOST_CALLS: usize = 1024;
        let index = call
            .get("index")
            .and_then(Value::as_u64)
            .and_then(|index| usize::try_from(index).ok());
        let index = index.unwrap_or(place).min(MOST_CALLS);
        while self.turn.tool_calls.len() <= index {
            self.turn.tool_calls.push(ToolCall {
                arguments: Value::String(String::new()),
                ..ToolCall::default()
            });
        }
        let mine = &mut self.turn.tool_calls[index];
        if let Some(id) = call
            .get("id")
            .and_then(Value::as_str)
            .filter(|id| !id.is_empty())
        {
            mine.id = Some(id.to_owned());
        }
        if let Some(name) = call.pointer("/function/name").and_then(Value::as_str) {
            mine.name.push_str(name);
            self.spoken += name.len() as u64;
        }
        if let (Some(more), Value::String(text)) = (
            call.pointer("/function/arguments").and_then(Value::as_str),
            &mut mine.arguments,
        ) {
            text.push_str(if self.spoken < MOST_KEPT { more } else { "" });
            self.spoken += more.len() as u64;
        }
    }

    /// Reads an answer that was not streamed.
    pub fn look_at_whole(&mut self, body: &[u8]) {
        if let Ok(answer) = serde_json::from_slice::<Value>(body) {
            self.absorb(&answer);
            // JSON without a choice is somebody else's JSON.
            self.done = answer.pointer("/choices/0").is_some();
        }
    }

    /// Whether the answer came to its own end: `[DONE]`, or a reason to stop.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.done || self.turn.finish.is_some()
    }

    /// What the provider said of its own trouble, where the answer holds an error.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    /// What the answer cost, once the provider has said so.
    #[must_use]
    pub fn usage(&self) -> Option<TurnUsage> {
        self.turn.usage
    }

    /// How much the model has said so far, in bytes.
    #[must_use]
    pub fn spoken(&self) -> u64 {
        self.spoken
    }

    /// What has been said so far.
    #[must_use]
    pub fn turn(&self) -> &Turn {
        &self.turn
    }
}

impl Turn {
    /// What is wrong with a whole answer that holds neither words nor tools. A filter's silence has
    /// a class of its own.
    pub(super) fn emptiness(&self) -> Option<Empty> {
        let filtered = self.finish.as_deref() == Some("content_filter");
        if !self.text.is_empty() || !self.tool_calls.is_empty() || filtered {
            return None;
        }
        Some(match (self.reasoning.is_empty(), self.finish.as_deref()) {
            (false, Some("length")) => Empty::ReasoningCut,
            (false, _) => Empty::ReasoningOnly,
            (true, _) => Empty::Nothing,
        })
    }

    fn finish(&self) -> &str {
        let natural = if self.tool_calls.is_empty() {
            "stop"
        } else {
            "tool_calls"
        };
        self.finish.as_deref().unwrap_or(natural)
    }

    fn calls(&self, seed: &str) -> Vec<Value> {
        let call = |(index, call): (usize, &ToolCall)| {
            let id = call
                .id
                .clone()
                .unwrap_or_else(|| format!("call_{seed}_{index}"));
            json!({"index": index, "id": id, "type": "function",
                   "function": {"name": call.name, "arguments": call.arguments_text()}})
        };
        self.tool_calls.iter().enumerate().map(call).collect()
    }

    /// The answer as server-sent events, one text each; `seed` names it and its calls apart from
    /// other answers. One that was broken off has neither a reason to stop nor `[DONE]`.
    #[must_use]
    pub fn to_events(&self, seed: &str, ending: Ending) -> Vec<String> {
        let chunk = |delta: Value, finish: Option<&str>, usage: Option<TurnUsage>| {
            let mut chunk = json!({"id": format!("chatcmpl-{seed}"), "object": "chat.completion.chunk", "created": 0,
                "model": "omk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
            if let Some(usage) = usage {
                chunk["usage"] = usage.to_json();
            }
            format!("data: {chunk}\n\n")
        };
        let mut events = vec![chunk(
            json!({"role": "assistant", "content": ""}),
            None,
            None,
        )];
        if !self.reasoning.is_empty() {
            events.push(chunk(
                json!({"reasoning_content": self.reasoning}),
                None,
                None,
            ));
        }
        if !self.text.is_empty() {
            events.push(chunk(json!({"content": self.text}), None, None));
        }
        events.extend(
            self.calls(seed)
                .into_iter()
                .map(|call| chunk(json!({"tool_calls": [call]}), None, None)),
        );
        match ending {
            Ending::Complete => {
                let usage = Some(self.usage.unwrap_or_default());
                events.push(chunk(json!({}), Some(self.finish()), usage));
                events.push("data: [DONE]\n\n".to_owned());
            }
            Ending::Dropped | Ending::Cancelled => {}
        }
        events
    }

    /// The answer as one JSON document, for a request that did not ask for a stream.
    #[must_use]
    pub fn to_completion(&self, seed: &str) -> Value {
        let mut message = json!({"role": "assistant", "content": self.text});
        if !self.reasoning.is_empty() {
            message["reasoning_content"] = self.reasoning.as_str().into();
        }
        if !self.tool_calls.is_empty() {
            message["tool_calls"] = self.calls(seed).into();
        }
        json!({"id": format!("chatcmpl-{seed}"), "object": "chat.completion", "created": 0, "model": "omk",
               "choices": [{"index": 0, "message": message, "finish_reason": self.finish()}],
               "usage": self.usage.unwrap_or_default().to_json()})
    }
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Whole.
    #[default]
    Complete,
    /// The provider broke off.
    Dropped,
    /// The agent went away before the end.
    Cancelled,
}

impl Ending {
    pub(super) fn is_complete(&self) -> bool {
        *self == Self::Complete
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Turn {
        Turn {
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
            let stream = sample().to_events("s", Ending::Complete).concat();
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
            Turn {
                text,
                reasoning,
                finish,
                ..Turn::default()
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
        reader.look_at(sample().to_events("s", Ending::Dropped).concat().as_bytes());
        assert!(!reader.is_complete());
    }

    #[test]
    fn an_answer_that_is_no_stream_reads_the_same_and_names_no_tools_that_are_not_used() {
        let words = Turn {
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
                format!("data: {{\"error\":{{\"type\":\"{kind}\",\"message\":\"m\"}}}}\n")
                    .as_bytes(),
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
            reader
                .look_at(format!("data: {}\n", json!({"choices": [{"delta": delta}]})).as_bytes());
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
}
