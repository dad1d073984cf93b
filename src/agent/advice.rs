//! What a person can do about a failure of the model's provider: the setting, or the page, that
//! changes it.
//!
//! It refuses to quote the provider: its words stand in the failure's message. Advice holds only
//! omk's own words and the plan's.

use super::Observed;
use crate::fact::Class;
use crate::model::{self, Empty, UNNAMED, is_overloaded};
use crate::plan::Agent;

/// The advice for a failure of that class, with what the gateway saw; `None` where there is none
/// beyond the class's own.
#[must_use]
pub fn advice(class: Class, observed: &Observed, agent: &Agent) -> Option<String> {
    let kind = observed.kind.as_deref().unwrap_or_default();
    let message = observed
        .message
        .as_deref()
        .unwrap_or_default()
        .to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let at = model::provider(&agent.base_url);
    let keys = || {
        at.map_or_else(
            || "at the provider".to_owned(),
            |at| format!("at {}", at.keys),
        )
    };
    let words = match class {
        Class::Auth if kind == "access_terminated_error" => format!(
            "this address serves subscriptions, through coding agents that it knows; look at yours {}, or use \
             `base_url: https://api.moonshot.ai/v1` with a key that is paid by the token",
            keys()
        ),
        Class::Auth if says(&["subscription"]) => format!(
            "this subscription does not have the model `{}`; set `agent.model` to one that `omk agent check` lists, or look at it {}",
            agent.model,
            keys()
        ),
        Class::Auth => format!("check the key in {}: keys for this address are made {}", agent.key_env, keys()),
        Class::Quota => match at.and_then(|at| at.credit.as_deref()) {
            Some(credit) => format!("add credit at {credit}, and run the task again"),
            None => format!("look at what is left {}, and run the task again when there is more", keys()),
        },
        Class::RateLimit if is_overloaded(kind, &message) && !kind.contains("rate_limit") => {
            "the provider is overloaded; omk tries again as often as the retry policy allows".to_owned()
        }
        Class::RateLimit => "set fewer `limits.workers`, or ask the provider for a higher limit".to_owned(),
        Class::Config if observed.status == Some(404) && kind == UNNAMED => {
            format!("no provider of models answers there: correct `agent.base_url: {}`", agent.base_url)
        }
        Class::Config if observed.status == Some(404) => {
            "`omk agent check` says which models this provider has; set `agent.model` to one of them".to_owned()
        }
        Class::Config if observed.status == Some(413) => {
            "the conversation is too large for the provider; split the task into smaller ones".to_owned()
        }
        Class::Config if says(&["thinking", "reasoning_effort"]) => format!(
            "set `agent.thinking`, which is `{}` here, to what the model `{}` takes; `omk agent check` lists it",
            agent.thinking, agent.model
        ),
        Class::Config if says(&["model"]) && says(&["not found", "not exist", "no such", "permission denied"]) => {
            "`omk agent check` says which models this provider has; set `agent.model` to one of them".to_owned()
        }
        Class::Config if kind == "redirect" => "correct `agent.base_url`".to_owned(),
        Class::Steps if Empty::named(kind) == Some(Empty::ReasoningCut) => {
            "set `agent.thinking: low` where the model has efforts, or split the task into smaller ones".to_owned()
        }
        Class::Provider if kind == "connect" => {
            format!("check `agent.base_url: {}`, and the network and proxy of this machine", agent.base_url)
        }
        Class::Provider if kind == UNNAMED && observed.status == Some(200) => {
            format!("`agent.base_url: {}` may not be the address of a model's provider", agent.base_url)
        }
        Class::Context => "the conversation is too large for the model; split the task into smaller ones".to_owned(),
        Class::Gate
        | Class::Command
        | Class::Scope
        | Class::Refused
        | Class::Config
        | Class::Conflict
        | Class::Provider
        | Class::Timeout
        | Class::Hung
        | Class::Host
        | Class::Lost
        | Class::NoChange
        | Class::Steps => return None,
    };
    Some(words)
}
