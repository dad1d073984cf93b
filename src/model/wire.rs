//! What a request must look like for one model, whatever the agent wrote into it.
//!
//! Providers refuse, with 400, a request that names thinking in another model's form, or a
//! temperature that the model fixes. The agent knows only its own form, so the gateway translates.
//! It refuses to touch anything else: messages and tools pass as they are.

use std::borrow::Cow;
use std::fmt;

use serde_json::{Map, Value, json};

use super::table::{Effort, Form, Thinks};
use super::{Facts, Origin};
use crate::text::Advised;

/// What a plan wants of a model's thinking: `agent.thinking`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Thinking {
    /// The provider's own default for its model.
    #[default]
    Auto,
    /// None.
    Off,
    /// Some; the provider chooses how much.
    On,
    /// So much.
    To(Effort),
}

impl Thinking {
    /// All that a plan can say, in the order of the contract.
    pub const ALL: [Self; 6] = [
        Self::Auto,
        Self::Off,
        Self::On,
        Self::To(Effort::Low),
        Self::To(Effort::High),
        Self::To(Effort::Max),
    ];

    /// As a plan writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Off => "off",
            Self::On => "on",
            Self::To(effort) => effort.as_str(),
        }
    }
}

impl fmt::Display for Thinking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A wish that the model cannot fulfil.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`agent.thinking: {wish}` does not suit the model `{model}`, which {why}")]
pub struct Unsuited {
    /// The model.
    pub model: String,
    /// What the plan says.
    pub wish: Thinking,
    /// "always thinks".
    pub why: &'static str,
    /// What the plan may say.
    pub possible: Vec<Thinking>,
}

impl Advised for Unsuited {
    fn advice(&self) -> Option<Cow<'_, str>> {
        let words: Vec<String> = self
            .possible
            .iter()
            .map(|word| format!("`{word}`"))
            .collect();
        Some(format!("set it to {}", crate::text::any_of(&words)).into())
    }
}

/// What a request says of thinking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Say {
    /// Nothing: the provider's own default.
    Nothing,
    /// `reasoning_effort`.
    Effort(Effort),
    /// `thinking: {type: disabled}`.
    Disabled,
    /// `thinking: {type: enabled, keep: all}`, with an effort where one is wanted.
    Enabled(Option<Effort>),
}

/// How requests to one model are put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wire {
    say: Say,
    /// Whether the model thinks, as far as omk knows.
    thinks: bool,
    /// Whether it fixes what [`FIXED`] names.
    fixes: bool,
    longest: Option<u32>,
}

/// What Moonshot's models fix (platform documentation, "Using thinking models", autumn 2026), and
/// no coding agent needs.
const FIXED: [&str; 5] = [
    "temperature",
    "top_p",
    "n",
    "presence_penalty",
    "frequency_penalty",
];

impl Wire {
    /// Settles how requests are put for a model of which `facts` is known.
    ///
    /// # Errors
    /// Where the model cannot do what the plan wants, with what it can.
    pub fn settle(facts: &Facts, wish: Thinking) -> Result<Self, Unsuited> {
        let thinks = !matches!(facts.thinking, None | Some(Thinks::Never));
        let wire = |say| Self {
            say,
            thinks,
            fixes: facts.origin == Origin::Table,
            longest: facts.output,
        };
        say(facts, wish).map(wire).map_err(|why| Unsuited {
            model: facts.id.clone(),
            wish,
            why,
            possible: Thinking::ALL
                .into_iter()
                .filter(|wish| say(facts, *wish).is_ok())
                .collect(),
        })
    }

    /// Puts a request in the form that the model takes.
    pub fn translate(&self, request: &mut Map<String, Value>) {
        let fixed = FIXED.into_iter().filter(|_| self.fixes);
        for name in fixed.chain(["thinking", "reasoning_effort", "reasoning"]) {
            request.remove(name);
        }
        match self.say {
            Say::Nothing => {}
            Say::Effort(effort) => {
                request.insert("reasoning_effort".to_owned(), effort.as_str().into());
            }
            Say::Disabled => {
                request.insert("thinking".to_owned(), json!({"type": "disabled"}));
            }
            // Without `keep` a model thinks everything again after each tool call.
            Say::Enabled(effort) => {
                let mut object = json!({"type": "enabled", "keep": "all"});
                if let Some(effort) = effort {
                    object["effort"] = effort.as_str().into();
                }
                request.insert("thinking".to_owned(), object);
            }
        }
        let forced = request
            .get("tool_choice")
            .is_some_and(|choice| choice != "auto" && choice != "none");
        if forced && self.thinks && self.say != Say::Disabled {
            request.insert("tool_choice".to_owned(), "auto".into());
        }
        if let Some(longest) = self.longest {
            for name in ["max_tokens", "max_completion_tokens"] {
                // What is no whole number may still be one to a lenient provider.
                let fits = |wanted: &Value| {
                    wanted.is_null()
                        || wanted
                            .as_u64()
                            .is_some_and(|wanted| wanted <= u64::from(longest))
                };
                if request.get(name).is_some_and(|wanted| !fits(wanted)) {
                    request.insert(name.to_owned(), longest.into());
                }
            }
        }
    }

    /// What requests say of thinking, for a person.
    #[must_use]
    pub fn in_words(&self) -> String {
        match self.say {
            Say::Nothing if self.thinks => "on, as much as the provider thinks best".to_owned(),
            Say::Nothing => "left to the provider".to_owned(),
            Say::Effort(effort) | Say::Enabled(Some(effort)) => format!("on, effort {effort}"),
            Say::Disabled => "off".to_owned(),
            Say::Enabled(None) => "on".to_owned(),
        }
    }
}

fn say(facts: &Facts, wish: Thinking) -> Result<Say, &'static str> {
    let known = |effort: Effort| facts.efforts.contains(&effort);
    match (facts.thinking, facts.form, wish) {
        (Some(Thinks::Never), _, Thinking::Auto | Thinking::Off) => Ok(Say::Nothing),
        (Some(Thinks::Never), _, Thinking::On | Thinking::To(_)) => Err("does not think"),
        (Some(Thinks::Always), _, Thinking::Off) => Err("always thinks"),
        (Some(Thinks::Choice), _, Thinking::Off) => Ok(Say::Disabled),
        (Some(_), Some(Form::Effort), Thinking::Auto | Thinking::On) => Ok(Say::Nothing),
        (Some(_), Some(Form::Effort), Thinking::To(effort)) if known(effort) => {
            Ok(Say::Effort(effort))
        }
        (Some(_), Some(Form::Object), Thinking::Auto | Thinking::On) => Ok(Say::Enabled(None)),
        (Some(_), Some(Form::Object), Thinking::To(effort)) if known(effort) => {
            Ok(Say::Enabled(Some(effort)))
        }
        (Some(_), Some(_), Thinking::To(_)) if facts.efforts.is_empty() => {
            Err("has no efforts to choose from")
        }
        (Some(_), Some(_), Thinking::To(_)) => Err("knows other efforts"),
        // Of a model that omk does not know, the plan knows better: it gets the usual form of what
        // it asks for.
        (_, _, Thinking::Auto) => Ok(Say::Nothing),
        (_, _, Thinking::Off) => Ok(Say::Disabled),
        (_, _, Thinking::On) => Ok(Say::Enabled(None)),
        (_, _, Thinking::To(effort)) => Ok(Say::Effort(effort)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Offered, cards};
    use proptest::prelude::*;

    /// What each current model is documented to take, for each wish.
    #[test]
    fn each_model_gets_what_its_provider_documents() {
        let mut table = String::new();
        for id in ["kimi-k3", "kimi-k2.7-code", "kimi-k2.6", "k3", "some-other"] {
            for wish in Thinking::ALL {
                let facts = Facts::gather(id, "https://api.moonshot.ai/v1", None);
                let put = match Wire::settle(&facts, wish) {
                    Ok(wire) => {
                        let mut request =
                            json!({"thinking": {"type": "disabled"}, "temperature": 0.6});
                        wire.translate(request.as_object_mut().unwrap());
                        request.to_string()
                    }
                    Err(unsuited) => format!("refused: {}", unsuited.in_full()),
                };
                table.push_str(&format!("{id} {wish}: {put}\n"));
            }
        }
        insta::assert_snapshot!(table, @r#"
        kimi-k3 auto: {}
        kimi-k3 off: refused: `agent.thinking: off` does not suit the model `kimi-k3`, which always thinks; set it to `auto`, `on`, `low`, `high` or `max`
        kimi-k3 on: {}
        kimi-k3 low: {"reasoning_effort":"low"}
        kimi-k3 high: {"reasoning_effort":"high"}
        kimi-k3 max: {"reasoning_effort":"max"}
        kimi-k2.7-code auto: {"thinking":{"type":"enabled","keep":"all"}}
        kimi-k2.7-code off: refused: `agent.thinking: off` does not suit the model `kimi-k2.7-code`, which always thinks; set it to `auto` or `on`
        kimi-k2.7-code on: {"thinking":{"type":"enabled","keep":"all"}}
        kimi-k2.7-code low: refused: `agent.thinking: low` does not suit the model `kimi-k2.7-code`, which has no efforts to choose from; set it to `auto` or `on`
        kimi-k2.7-code high: refused: `agent.thinking: high` does not suit the model `kimi-k2.7-code`, which has no efforts to choose from; set it to `auto` or `on`
        kimi-k2.7-code max: refused: `agent.thinking: max` does not suit the model `kimi-k2.7-code`, which has no efforts to choose from; set it to `auto` or `on`
        kimi-k2.6 auto: {"thinking":{"type":"enabled","keep":"all"}}
        kimi-k2.6 off: {"thinking":{"type":"disabled"}}
        kimi-k2.6 on: {"thinking":{"type":"enabled","keep":"all"}}
        kimi-k2.6 low: refused: `agent.thinking: low` does not suit the model `kimi-k2.6`, which has no efforts to choose from; set it to `auto`, `off` or `on`
        kimi-k2.6 high: refused: `agent.thinking: high` does not suit the model `kimi-k2.6`, which has no efforts to choose from; set it to `auto`, `off` or `on`
        kimi-k2.6 max: refused: `agent.thinking: max` does not suit the model `kimi-k2.6`, which has no efforts to choose from; set it to `auto`, `off` or `on`
        k3 auto: {"thinking":{"type":"enabled","keep":"all"}}
        k3 off: refused: `agent.thinking: off` does not suit the model `k3`, which always thinks; set it to `auto`, `on`, `low`, `high` or `max`
        k3 on: {"thinking":{"type":"enabled","keep":"all"}}
        k3 low: {"thinking":{"type":"enabled","keep":"all","effort":"low"}}
        k3 high: {"thinking":{"type":"enabled","keep":"all","effort":"high"}}
        k3 max: {"thinking":{"type":"enabled","keep":"all","effort":"max"}}
        some-other auto: {"temperature":0.6}
        some-other off: {"temperature":0.6,"thinking":{"type":"disabled"}}
        some-other on: {"temperature":0.6,"thinking":{"type":"enabled","keep":"all"}}
        some-other low: {"temperature":0.6,"reasoning_effort":"low"}
        some-other high: {"temperature":0.6,"reasoning_effort":"high"}
        some-other max: {"temperature":0.6,"reasoning_effort":"max"}
        "#);
    }

    #[test]
    fn what_a_model_fixes_is_not_sent_and_an_answer_is_no_longer_than_it_can_be() {
        let facts = Facts::gather("kimi-k3", "https://api.moonshot.ai/v1", None);
        let mut request = json!({"model": "kimi-k3", "temperature": 0.3, "top_p": 1, "n": 2, "presence_penalty": 0,
            "frequency_penalty": 0, "tool_choice": {"type": "function", "function": {"name": "x"}},
            "max_completion_tokens": 1_048_576, "max_tokens": 5, "messages": []});
        Wire::settle(&facts, Thinking::Auto)
            .unwrap()
            .translate(request.as_object_mut().unwrap());
        insta::assert_snapshot!(request, @r#"{"model":"kimi-k3","messages":[],"max_tokens":5,"max_completion_tokens":131072,"tool_choice":"auto"}"#);
    }

    fn any_wish() -> impl Strategy<Value = Thinking> {
        prop::sample::select(Thinking::ALL.to_vec())
    }

    fn any_facts() -> impl Strategy<Value = Facts> {
        let ids: Vec<String> = cards()
            .iter()
            .map(|card| card.id.clone())
            .chain(["other".to_owned()])
            .collect();
        let thinks = prop::sample::select(vec![
            None,
            Some(Thinks::Always),
            Some(Thinks::Choice),
            Some(Thinks::Never),
        ]);
        let efforts = prop::sample::subsequence(Effort::ALL.to_vec(), 0..=3);
        (prop::sample::select(ids), thinks, efforts, any::<bool>()).prop_map(
            |(id, thinking, efforts, listed)| {
                let offered = Offered {
                    id: id.clone(),
                    context: None,
                    thinking,
                    efforts,
                };
                Facts::gather(
                    &id,
                    "https://api.moonshot.ai/v1",
                    Some(&offered).filter(|_| listed),
                )
            },
        )
    }

    proptest! {
        /// Whatever the agent wrote: a request names thinking in one form at most, never one that the model refuses, and
        /// keeps everything else. What is translated twice is as translated once.
        #[test]
        fn a_request_never_says_what_the_model_refuses(
            facts in any_facts(), wish in any_wish(), temperature in any::<bool>(), effort in any::<bool>(),
            object in any::<bool>(), forced in any::<bool>(), longest in 1u64..3_000_000,
        ) {
            let mut request = json!({"model": facts.id, "messages": [{"role": "user", "content": "hi"}], "tools": [],
                "max_completion_tokens": longest});
            if temperature { request["temperature"] = json!(0.6); }
            if effort { request["reasoning_effort"] = json!("ultra"); }
            if object { request["thinking"] = json!({"type": "disabled"}); }
            if forced { request["tool_choice"] = json!("required"); }
            match Wire::settle(&facts, wish) {
                Ok(wire) => {
                    wire.translate(request.as_object_mut().unwrap());
                    let once = request.clone();
                    wire.translate(request.as_object_mut().unwrap());
                    prop_assert_eq!(&once, &request);
                    let said = (request.get("thinking"), request.get("reasoning_effort"));
                    prop_assert!(!matches!(said, (Some(_), Some(_))));
                    if facts.form == Some(Form::Effort) { prop_assert!(said.0.is_none() || facts.thinking == Some(Thinks::Choice)); }
                    if facts.thinking == Some(Thinks::Never) { prop_assert_eq!(said, (None, None)); }
                    if facts.thinking == Some(Thinks::Always) && facts.form == Some(Form::Object) {
                        prop_assert_eq!(&request["thinking"]["type"], "enabled");
                    }
                    prop_assert_eq!(request.get("temperature").is_some(), temperature && facts.origin != Origin::Table);
                    prop_assert_eq!(&request["messages"][0]["content"], "hi");
                    if let Some(most) = facts.output {
                        prop_assert!(request["max_completion_tokens"].as_u64().unwrap() <= u64::from(most));
                    }
                }
                // A refusal always leaves a way: `auto` suits every model.
                Err(unsuited) => {
                    prop_assert!(unsuited.possible.contains(&Thinking::Auto));
                    prop_assert!(!unsuited.possible.contains(&wish));
                }
            }
        }
    }
}
