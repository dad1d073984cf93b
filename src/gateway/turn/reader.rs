//! Reading an answer out of a stream of events as it passes.

use serde_json::Value;

use super::{ModelAnswer, ToolCall, TurnUsage};
use crate::model::ProviderRefusal;

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
pub(super) const LONGEST_LINE: usize = 16 << 20;

/// More of one answer, in bytes, is counted and passes, but is not kept: the longest real one, a
/// million tokens, has four megabytes.
pub(super) const MOST_KEPT: u64 = 16 << 20;

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
