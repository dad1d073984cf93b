//! What Moonshot's providers refuse, as documented and reported in autumn 2026: the rules of the
//! scripted model.
//!
//! A request that a real provider would refuse must not pass here, or tests agree with omk and
//! nobody else does. Each rule gives the status, the type and the message that were seen or
//! documented. It refuses to know scripts.

use axum::http::HeaderMap;
use serde_json::{Value, json};

/// A refusal: status, type, message.
pub(crate) type Refusal = (u16, &'static str, String);

/// The models that are there, by `GET /models` of 2026-11.
pub(crate) const THERE: [&str; 5] = [
    "kimi-k3",
    "kimi-k3.1-pro",
    "kimi-k2.7-code",
    "kimi-k2.7-code-highspeed",
    "kimi-k2.6",
];

/// The subscription's.
pub(crate) const SUBSCRIBED: [&str; 2] = ["kimi-for-coding", "kimi-for-coding-highspeed"];

/// Agents that the subscription's address lets in, by the beginning of their User-Agent.
const LET_IN: [&str; 2] = ["kimi-code-cli/", "KimiCLI/"];

/// The answer to `GET /models`.
pub(crate) fn models(subscription: bool) -> Value {
    if subscription {
        let one = |id: &&str| {
            json!({"id": id, "object": "model", "display_name": id, "context_length": 262_144, "supports_reasoning": true,
                "supports_image_in": true, "supports_thinking_type": "only"})
        };
        return json!({"object": "list", "data": SUBSCRIBED.iter().map(one).collect::<Vec<_>>()});
    }
    let one = |id: &&str| {
        let context = if id.starts_with("kimi-k3") {
            1_048_576
        } else {
            262_144
        };
        json!({"id": id, "object": "model", "owned_by": "moonshot", "context_length": context, "supports_reasoning": true})
    };
    json!({"object": "list", "data": THERE.iter().map(one).collect::<Vec<_>>()})
}

/// Why this request is refused; `None` where it is not.
pub(crate) fn refusal(subscription: bool, headers: &HeaderMap, body: &Value) -> Option<Refusal> {
    let agent = headers
        .get("user-agent")
        .map_or("", |value| value.to_str().unwrap());
    if subscription && !LET_IN.iter().any(|name| agent.starts_with(name)) {
        let message = "Kimi For Coding is currently only available for Coding Agents such as Kimi CLI, Claude Code, Roo \
            Code, Kilo Code, etc.";
        return Some((403, "access_terminated_error", message.to_owned()));
    }
    let model = body["model"].as_str().unwrap_or_default();
    let there: &[&str] = if subscription { &SUBSCRIBED } else { &THERE };
    if !there.contains(&model) {
        let message = format!("Not found the model {model} or Permission denied");
        return Some((404, "resource_not_found_error", message));
    }
    let invalid = |message: String| Some((400, "invalid_request_error", message));
    if let Some(why) = thinking_of(model, body) {
        return invalid(why);
    }
    for (name, only) in [("temperature", 1.0), ("top_p", 0.95), ("n", 1.0)] {
        if body
            .get(name)
            .is_some_and(|value| value.as_f64() != Some(only))
        {
            return invalid(format!(
                "invalid {name}: only {only} is allowed for this model"
            ));
        }
    }
    let thinks = model.starts_with("kimi-k3") || body["thinking"]["type"] == "enabled";
    if thinks
        && body
            .get("tool_choice")
            .is_some_and(|choice| choice != "auto" && choice != "none")
    {
        return invalid("tool_choice 'specified' is incompatible with thinking enabled".to_owned());
    }
    let longest = if model.starts_with("kimi-k3") {
        131_072
    } else {
        262_144
    };
    if ["max_tokens", "max_completion_tokens"]
        .iter()
        .any(|name| body[name].as_u64().is_some_and(|max| max > longest))
    {
        return invalid(format!("max_tokens must be at most {longest}"));
    }
    if thinks && let Some(at) = without_reasoning(body) {
        let message = format!(
            "thinking is enabled but reasoning_content is missing in assistant tool call message at index {at}"
        );
        return invalid(message);
    }
    None
}

fn thinking_of(model: &str, body: &Value) -> Option<String> {
    let thinking = body.get("thinking");
    let effort = body.get("reasoning_effort");
    if model.starts_with("kimi-k3") {
        if thinking.is_some() {
            return Some("invalid thinking: this model takes reasoning_effort".to_owned());
        }
        let known =
            effort.is_none_or(|effort| ["low", "high", "max"].iter().any(|known| effort == known));
        return (!known).then(|| {
            "invalid reasoning_effort: only low, high and max are allowed for this model".to_owned()
        });
    }
    if effort.is_some() {
        return Some("invalid reasoning_effort: not supported by this model".to_owned());
    }
    let Some(thinking) = thinking else {
        // Reported to stall; here a refusal, so that no test waits for it.
        return (model == "kimi-k2.6")
            .then(|| "this stand-in stalls without `thinking`, as the model does".to_owned());
    };
    let kind = thinking["type"].as_str().unwrap_or_default();
    if (model.starts_with("kimi-k2.7-code") || model.starts_with("kimi-for-coding"))
        && kind != "enabled"
    {
        return Some("invalid thinking: only type=enabled is allowed for this model".to_owned());
    }
    let sound = ["enabled", "disabled"].contains(&kind)
        && thinking.get("keep").is_none_or(|keep| keep == "all");
    (!sound).then(|| format!("invalid thinking: {thinking}"))
}

/// The first message that used a tool and lost its reasoning.
fn without_reasoning(body: &Value) -> Option<usize> {
    let messages = body["messages"].as_array()?;
    messages.iter().position(|message| {
        let used = message["tool_calls"]
            .as_array()
            .is_some_and(|calls| !calls.is_empty());
        message["role"] == "assistant"
            && used
            && message["reasoning_content"]
                .as_str()
                .is_none_or(str::is_empty)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stand-in itself: each documented refusal is one, and what is documented to pass does.
    #[test]
    fn a_request_is_refused_as_documented() {
        let agent = |name: &'static str| {
            HeaderMap::from_iter([(axum::http::header::USER_AGENT, name.parse().unwrap())])
        };
        let cli = agent("kimi-code-cli/2.1.0");
        let status = |subscription: bool, headers: &HeaderMap, body: Value| {
            refusal(subscription, headers, &body).map(|(status, ..)| status)
        };
        let asked = |model: &str, rest: Value| {
            let mut body = json!({"model": model, "messages": []});
            body.as_object_mut()
                .unwrap()
                .extend(rest.as_object().unwrap().clone());
            status(false, &cli, body)
        };
        assert_eq!(asked("kimi-k2-0905-preview", json!({})), Some(404));
        assert_eq!(asked("kimi-k3", json!({})), None);
        assert_eq!(
            asked("kimi-k3", json!({"thinking": {"type": "disabled"}})),
            Some(400)
        );
        assert_eq!(asked("kimi-k3", json!({"reasoning_effort": "max"})), None);
        assert_eq!(
            asked("kimi-k3", json!({"reasoning_effort": "medium"})),
            Some(400)
        );
        assert_eq!(asked("kimi-k3", json!({"temperature": 0.6})), Some(400));
        assert_eq!(
            asked("kimi-k3", json!({"tool_choice": "required"})),
            Some(400)
        );
        assert_eq!(
            asked("kimi-k3", json!({"max_completion_tokens": 1_048_576})),
            Some(400)
        );
        assert_eq!(
            asked("kimi-k2.7-code", json!({"thinking": {"type": "disabled"}})),
            Some(400)
        );
        assert_eq!(
            asked(
                "kimi-k2.7-code",
                json!({"thinking": {"type": "enabled", "keep": "all"}})
            ),
            None
        );
        assert_eq!(asked("kimi-k2.6", json!({})), Some(400));
        assert_eq!(
            asked("kimi-k2.6", json!({"thinking": {"type": "disabled"}})),
            None
        );
        let forgot = json!({"messages": [{"role": "assistant", "tool_calls": [{"id": "a"}]}]});
        assert_eq!(asked("kimi-k3", forgot), Some(400));
        let body =
            json!({"model": "kimi-for-coding", "messages": [], "thinking": {"type": "enabled"}});
        assert_eq!(status(true, &cli, body.clone()), None);
        assert_eq!(status(true, &agent("curl/8"), body), Some(403));
    }
}
