//! What a request must look like for one model, whatever the agent wrote into it.
//!
//! Providers refuse, with 400, a request that names thinking in another model's form, or a
//! temperature that the model fixes. The agent knows only its own form, so the gateway translates.
//! It refuses to touch anything else: messages and tools pass as they are.

use std::borrow::Cow;
use std::fmt;

use serde_json::{Map, Value, json};

use super::table::{Effort, Form, Thinks};
use super::{FactsSource, ModelFacts};
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
    pub fn settle(facts: &ModelFacts, wish: Thinking) -> Result<Self, Unsuited> {
        let thinks = !matches!(facts.thinking, None | Some(Thinks::Never));
        let wire = |say| Self {
            say,
            thinks,
            fixes: facts.origin == FactsSource::Table,
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

fn say(facts: &ModelFacts, wish: Thinking) -> Result<Say, &'static str> {
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
mod tests;
