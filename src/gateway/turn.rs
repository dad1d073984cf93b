//! One answer of the model: read out of a stream of server-sent events as it passes, and written as
//! one again.
//!
//! It refuses to keep how the answer was cut into chunks: deltas are merged, so a path that was
//! split over two of them is whole again. It never changes what passes; it only looks.

mod reader;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::fact::Tokens;
use crate::model::Empty;

pub use reader::TurnReader;

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
