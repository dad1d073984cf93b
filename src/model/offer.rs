//! A provider's own list of its models: the answer to `GET /models`.
//!
//! OpenAI's form is a list of ids. Moonshot's and Kimi Code's add `context_length`,
//! `supports_thinking_type` and `think_efforts`, as the Kimi Code CLI reads them. Anything else is
//! passed over; a member of an unexpected kind counts as absent. It refuses lists that nobody could
//! mean.

use serde_json::Value;

use super::table::{Effort, Thinks};

/// A model that a provider offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Its name.
    pub id: String,
    /// How many tokens it can see, where the provider says so.
    pub context: Option<u32>,
    /// Whether it thinks, where the provider says so.
    pub thinking: Option<Thinks>,
    /// The efforts that it knows; empty where the provider names none.
    pub efforts: Vec<Effort>,
}

impl Offered {
    /// Whether this entry offers `model` under another name: `llama3:latest` is also `llama3`
    /// (Ollama), `kimi-k3` also `kimi-k3:nitro` (OpenRouter), and `openai/*` everything that
    /// begins so (LiteLLM).
    #[must_use]
    pub fn stands_for(&self, model: &str) -> bool {
        let latest = self.id.strip_suffix(":latest") == Some(model);
        let variant = model
            .split_once(':')
            .is_some_and(|(base, _)| base == self.id);
        latest
            || variant
            || self
                .id
                .strip_suffix('*')
                .is_some_and(|start| model.starts_with(start))
    }
}

/// Why an answer is no list of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadOffer {
    /// It is not JSON.
    #[error("it is not JSON")]
    NotJson,
    /// It is JSON without a list in `data`.
    #[error("it holds no list called `data`")]
    NoList,
    /// The list names no model.
    #[error("it lists no model")]
    Empty,
}

/// The longest name of a model that is taken for one, in bytes.
const LONGEST_ID: usize = 200;

/// Reads the answer to `GET /models`.
///
/// # Errors
/// Where the answer is no list of models.
pub fn read_offer(body: &[u8]) -> Result<Vec<Offered>, BadOffer> {
    let answer: Value = serde_json::from_slice(body).map_err(|_| BadOffer::NotJson)?;
    // Some providers answer with the bare list.
    let list = answer
        .get("data")
        .unwrap_or(&answer)
        .as_array()
        .ok_or(BadOffer::NoList)?;
    let offered: Vec<Offered> = list.iter().filter_map(offered).collect();
    if offered.is_empty() {
        Err(BadOffer::Empty)
    } else {
        Ok(offered)
    }
}

fn offered(item: &Value) -> Option<Offered> {
    let id = item.get("id").and_then(Value::as_str)?;
    // Names are shown to people, so that they hold nothing that a terminal or a log would act on.
    let sound =
        !id.is_empty() && id.len() <= LONGEST_ID && id.bytes().all(|byte| byte.is_ascii_graphic());
    if !sound {
        return None;
    }
    // Moonshot and OpenRouter; vLLM; LM Studio.
    let named = ["context_length", "max_model_len", "max_context_length"]
        .iter()
        .find_map(|name| item.get(*name));
    let context = named
        .and_then(Value::as_u64)
        .and_then(|tokens| u32::try_from(tokens).ok());
    let thinking = match item.get("supports_thinking_type").and_then(Value::as_str) {
        Some("only") => Some(Thinks::Always),
        Some("both") => Some(Thinks::Choice),
        Some("no") => Some(Thinks::Never),
        // The older `supports_reasoning` does not tell whether thinking can be turned off, nor how
        // it is asked for.
        _ => None,
    };
    let efforts = item
        .get("think_efforts")
        .filter(|efforts| efforts.get("support") == Some(&Value::Bool(true)));
    let named = efforts
        .and_then(|efforts| efforts.get("valid_efforts"))
        .and_then(Value::as_array);
    let named: Vec<&str> = named
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let efforts = Effort::ALL
        .into_iter()
        .filter(|effort| named.contains(&effort.as_str()))
        .collect();
    Some(Offered {
        id: id.to_owned(),
        context: context.filter(|tokens| *tokens > 0),
        thinking,
        efforts,
    })
}

#[cfg(test)]
mod tests;
