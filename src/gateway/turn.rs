//! One answer of the model: read out of a stream of server-sent events as it passes, and written as
//! one again.
//!
//! It refuses to keep how the answer was cut into chunks: deltas are merged, so a path that was
//! split over two of them is whole again. It never changes what passes; it only looks.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::fact::Tokens;
use crate::model::{Empty, ProviderRefusal};

/// What the model said in one answer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelAnswer {
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
    turn: ModelAnswer,
    done: bool,
    spoken: u64,
    /// What the provider said of its own trouble inside an answer that began as a good one.
    refusal: Option<ProviderRefusal>,
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
        self.refusal = self
            .refusal
            .take()
            .or_else(|| ProviderRefusal::inside(chunk));
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
    pub fn refusal(&self) -> Option<&ProviderRefusal> {
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
    pub fn turn(&self) -> &ModelAnswer {
        &self.turn
    }
}

impl ModelAnswer {
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
    pub fn to_events(&self, seed: &str, ending: AnswerEnding) -> Vec<String> {
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
            AnswerEnding::Complete => {
                let usage = Some(self.usage.unwrap_or_default());
                events.push(chunk(json!({}), Some(self.finish()), usage));
                events.push("data: [DONE]\n\n".to_owned());
            }
            AnswerEnding::Dropped | AnswerEnding::Cancelled => {}
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
pub enum AnswerEnding {
    /// Whole.
    #[default]
    Complete,
    /// The provider broke off.
    Dropped,
    /// The agent went away before the end.
    Cancelled,
}

impl AnswerEnding {
    pub(super) fn is_complete(&self) -> bool {
        *self == Self::Complete
    }
}

#[cfg(test)]
mod tests;
