//! The question before the first prompt, put into words: is the model there, is the key good, how
//! are requests put?
//!
//! It refuses to start what would certainly fail, and to stop what only might.

use super::{CommandFailure, FailureKind};
use crate::exec::secret::Secret;
use crate::gateway::{self, ProviderKey, QuestionError, Upstream};
use crate::model::{self, FactsSource, ModelFacts, Offered, Thinking, Thinks, Wire};
use crate::plan::{Agent, Plan, nearest};
use crate::text;

/// A model that can be asked.
pub(super) struct Settled {
    pub(super) facts: ModelFacts,
    /// How requests to it are put.
    pub(super) wire: Wire,
    /// What a person should know before it is paid, each a sentence.
    pub(super) notes: Vec<String>,
    /// Whether the provider said that the model is there.
    pub(super) confirmed: bool,
}

/// Where the answers of a run come from.
pub(super) fn upstream(plan: &Plan, key: &Secret) -> Result<Upstream, CommandFailure> {
    let key = ProviderKey::new(key.expose()).map_err(|why| {
        let name = &plan.agent.key_env;
        CommandFailure::new(
            FailureKind::Blocked,
            format!("the key in {name} cannot be sent: {why}"),
        )
        .hint(format!("set {name} again, to the key alone"))
    })?;
    Ok(Upstream::Live {
        base_url: plan.agent.base_url.clone(),
        key,
    })
}

/// Settles how the plan's model is asked, with the provider's own word where there is a provider to
/// ask.
pub(super) async fn settle(agent: &Agent, upstream: &Upstream) -> Result<Settled, CommandFailure> {
    let Upstream::Live { base_url, key } = upstream else {
        let facts = ModelFacts::gather(&agent.model, &agent.base_url, None);
        let notes = facts.assumptions();
        return Ok(Settled {
            wire: wire(&facts, agent)?,
            facts,
            notes,
            confirmed: false,
        });
    };
    let (offered, mut notes) = match gateway::ask_models(base_url, key).await {
        Ok(list) => {
            // A provider may echo the key even here, and an error names what it offers.
            let list: Vec<Offered> = list
                .into_iter()
                .filter(|offered| !key.is_in(&offered.id))
                .collect();
            (Some(find(&list, agent)?.clone()), Vec::new())
        }
        Err(error) if error.is_certain() => return Err(refusal(&error, agent, key)),
        Err(error) => (
            None,
            vec![format!(
                "omk could not {error}; it goes on, and the first prompt will tell"
            )],
        ),
    };
    let facts = ModelFacts::gather(&agent.model, base_url, offered.as_ref());
    let gone = model::card(&agent.model).and_then(|card| card.retired.as_deref());
    if let (None, Some(day)) = (&offered, gone) {
        notes.push(format!(
            "Moonshot retired the model `{}` on {day}",
            agent.model
        ));
    }
    notes.extend(facts.assumptions());
    Ok(Settled {
        wire: wire(&facts, agent)?,
        facts,
        notes,
        confirmed: offered.is_some(),
    })
}

fn wire(facts: &ModelFacts, agent: &Agent) -> Result<Wire, CommandFailure> {
    Wire::settle(facts, agent.thinking)
        .map_err(|unsuited| CommandFailure::of(FailureKind::Blocked, &unsuited))
}

/// How many models an error names.
const MOST_NAMED: usize = 8;

fn find<'a>(list: &'a [Offered], agent: &Agent) -> Result<&'a Offered, CommandFailure> {
    let Agent {
        model, base_url, ..
    } = agent;
    if let Some(offered) = list
        .iter()
        .find(|offered| offered.id == *model)
        .or_else(|| list.iter().find(|offered| offered.stands_for(model)))
    {
        return Ok(offered);
    }
    let card = model::card(model);
    let retired = card.and_then(|card| card.retired.as_deref());
    let retired = retired
        .map(|day| format!(": Moonshot retired it on {day}"))
        .unwrap_or_default();
    let failure = CommandFailure::new(
        FailureKind::Blocked,
        format!("the model `{model}` is not at {base_url}{retired}"),
    );
    let there = |id: &&str| list.iter().any(|offered| offered.id == **id);
    let successor = card
        .and_then(|card| card.successor.as_deref())
        .filter(there)
        .map(str::to_owned);
    // A name that was not written to its end is nearer than one with another letter.
    let begun = list
        .iter()
        .find(|offered| offered.id.starts_with(model.as_str()))
        .map(|offered| offered.id.clone());
    let near = successor
        .or(begun)
        .or_else(|| nearest(model, list.iter().map(|offered| offered.id.as_str())));
    let elsewhere = card.filter(|card| {
        card.subscription && !model::provider(base_url).is_some_and(|at| at.subscription)
    });
    let failure = match elsewhere {
        Some(_) => failure.hint(format!(
            "`{model}` is a subscription's: set `base_url` to {}",
            subscriptions()
        )),
        None => failure,
    };
    let failure = match near.filter(|_| elsewhere.is_none()) {
        Some(near) => failure.hint(format!("set `agent.model` to `{near}`")),
        None => failure,
    };
    let named: Vec<String> = list
        .iter()
        .take(MOST_NAMED)
        .map(|offered| format!("`{}`", offered.id))
        .collect();
    let more = list.len().saturating_sub(MOST_NAMED);
    let more = if more == 0 {
        String::new()
    } else {
        format!(" and {more} more")
    };
    Err(failure
        .hint(format!("this provider has {}{more}", named.join(", ")))
        .hint(NOTHING_PAID))
}

const NOTHING_PAID: &str = "nothing was run, and nothing was paid";

fn refusal(error: &QuestionError, agent: &Agent, key: &ProviderKey) -> CommandFailure {
    let failure = |words: String| CommandFailure::new(FailureKind::Blocked, words);
    let failure = match error {
        QuestionError::Refused { base_url, said } => {
            let words = said.in_words();
            let failure = failure(format!(
                "{base_url} does not take the key in {}: it answered {words}",
                agent.key_env
            ));
            failure
                .hint(format!("check the key in {}", agent.key_env))
                .hint(which_key(base_url, key.is_of_subscription()))
        }
        QuestionError::NoCredit { base_url, said } => {
            let at = model::provider(base_url);
            let look = at.map(|at| at.credit.as_deref().unwrap_or(&at.keys));
            let failure = failure(format!(
                "there is nothing left to pay with at {base_url}: it answered {}",
                said.in_words()
            ));
            match look {
                Some(page) => failure.hint(format!(
                    "look at {page}, and start again when there is more"
                )),
                None => failure.hint("start again when there is more"),
            }
        }
        QuestionError::Unreachable { base_url, cause } => failure(format!(
            "the model's provider at {base_url} could not be reached: {cause}"
        ))
        .hint("check `agent.base_url`, and the network and proxy of this machine"),
        QuestionError::WrongAddress {
            base_url,
            found,
            better,
        } => {
            let failure = failure(format!(
                "{base_url} is not the address of a model's provider: {found}"
            ));
            match better {
                Some(better) => failure.hint(format!("set `agent.base_url` to `{better}`")),
                None => failure
                    .hint("set `agent.base_url` to an address like `https://api.moonshot.ai/v1`"),
            }
        }
        QuestionError::Client(_) | QuestionError::NoList { .. } | QuestionError::Unclear { .. } => {
            failure(format!("failed to {error}"))
        }
    };
    failure.hint(NOTHING_PAID)
}

/// The addresses of subscriptions, in words.
fn subscriptions() -> String {
    let all = model::providers()
        .iter()
        .filter(|provider| provider.subscription);
    text::any_of(
        &all.map(|provider| format!("`{}`", provider.base_url))
            .collect::<Vec<_>>(),
    )
}

/// Where the key for an address comes from. Keys of one provider are refused by all others.
pub(super) fn which_key(base_url: &str, is_of_subscription: bool) -> String {
    let at = model::provider(base_url);
    match at {
        Some(at) if is_of_subscription && !at.subscription => {
            format!(
                "this key is one of a subscription: set `model: kimi-for-coding` and `base_url` to {}; keys for {} are made \
                 at {}",
                subscriptions(),
                at.base_url,
                at.keys
            )
        }
        Some(at) => format!("keys for {} are made at {}; no other keys work there", at.base_url, at.keys),
        None if is_of_subscription => {
            "this key begins with `sk-kimi-`, as those of a subscription do, which no other address takes".to_owned()
        }
        None => format!("make a key at the provider behind {base_url}"),
    }
}

/// What is known of a model, in lines for a person.
pub(super) fn in_lines(settled: &Settled) -> String {
    let facts = &settled.facts;
    let prices = match (facts.prices, facts.subscription) {
        (Some(prices), _) => format!(
            "${:.2} input, ${:.2} cached input, ${:.2} output, for a million tokens",
            prices.input, prices.cached_input, prices.output
        ),
        (None, true) => "paid by the subscription".to_owned(),
        (None, false) => "not known; set `prices` in the plan".to_owned(),
    };
    let assumed = if facts.origin == FactsSource::Assumed {
        " (assumed)"
    } else {
        ""
    };
    format!(
        "  context   {} tokens{assumed}\n  thinking  {}{}\n  price     {prices}\n",
        facts.context,
        settled.wire.in_words(),
        choices(facts),
    )
}

fn choices(facts: &ModelFacts) -> String {
    let possible: Vec<String> = Thinking::ALL
        .into_iter()
        .filter(|wish| *wish != Thinking::Auto && Wire::settle(facts, *wish).is_ok())
        .map(|wish| wish.to_string())
        .collect();
    match facts.thinking {
        Some(Thinks::Always | Thinks::Choice) if possible.len() > 1 => {
            format!("; `agent.thinking` may be {}", text::any_of(&possible))
        }
        Some(_) | None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_another_console_is_told_from_one_that_is_only_wrong() {
        let platform = "https://api.moonshot.ai/v1";
        insta::assert_snapshot!(which_key(platform, false), @"keys for https://api.moonshot.ai/v1 are made at https://platform.kimi.ai/console/api-keys; no other keys work there");
        insta::assert_snapshot!(which_key(platform, true), @"this key is one of a subscription: set `model: kimi-for-coding` and `base_url` to `https://api.kimi.com/coding/v1` or `https://api.kimi.ai/coding/v1`; keys for https://api.moonshot.ai/v1 are made at https://platform.kimi.ai/console/api-keys");
        insta::assert_snapshot!(which_key("https://api.kimi.com/coding/v1/", true), @"keys for https://api.kimi.com/coding/v1 are made at https://www.kimi.com/code/console; no other keys work there");
        insta::assert_snapshot!(which_key("http://127.0.0.1:1/v1", true), @"this key begins with `sk-kimi-`, as those of a subscription do, which no other address takes");
    }
}
