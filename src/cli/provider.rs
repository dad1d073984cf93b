//! The question before the first prompt, put into words: is the model there, is the key good, how are requests put?
//!
//! It refuses to start what would certainly fail, and to stop what only might.

use super::{Failure, Kind};
use crate::exec::secret::Secret;
use crate::gateway::{self, Key, QuestionError, Upstream};
use crate::model::{self, Facts, Offered, Origin, Thinking, Thinks, Wire};
use crate::plan::{Agent, Plan, nearest};
use crate::text;

/// A model that can be asked.
pub(super) struct Settled {
    pub(super) facts: Facts,
    /// How requests to it are put.
    pub(super) wire: Wire,
    /// What a person should know before it is paid, each a sentence.
    pub(super) notes: Vec<String>,
    /// Whether the provider said that the model is there.
    pub(super) confirmed: bool,
}

/// Where the answers of a run come from.
pub(super) fn upstream(plan: &Plan, key: &Secret) -> Upstream {
    Upstream::Live { base_url: plan.agent.base_url.clone(), key: Key::new(key.expose().to_owned()) }
}

/// Settles how the plan's model is asked, with the provider's own word where there is a provider to ask.
pub(super) async fn settle(agent: &Agent, upstream: &Upstream) -> Result<Settled, Failure> {
    let Upstream::Live { base_url, key } = upstream else {
        let facts = Facts::gather(&agent.model, &agent.base_url, None);
        let notes = facts.assumptions();
        return Ok(Settled { wire: wire(&facts, agent)?, facts, notes, confirmed: false });
    };
    let (offered, mut notes) = match gateway::ask_models(base_url, key).await {
        Ok(list) => (Some(find(&list, agent)?.clone()), Vec::new()),
        Err(error) if error.is_certain() => return Err(refusal(&error, agent, key)),
        Err(error) => (None, vec![format!("omk could not {error}; it goes on, and the first prompt will tell")]),
    };
    let facts = Facts::gather(&agent.model, base_url, offered.as_ref());
    let gone = model::card(&agent.model).and_then(|card| card.retired.as_deref());
    if let (None, Some(day)) = (&offered, gone) {
        notes.push(format!("Moonshot retired the model `{}` on {day}", agent.model));
    }
    notes.extend(facts.assumptions());
    Ok(Settled { wire: wire(&facts, agent)?, facts, notes, confirmed: offered.is_some() })
}

fn wire(facts: &Facts, agent: &Agent) -> Result<Wire, Failure> {
    Wire::settle(facts, agent.thinking)
        .map_err(|unsuited| Failure::new(Kind::Blocked, unsuited.to_string()).hint(unsuited.advice()))
}

/// How many models an error names.
const MOST_NAMED: usize = 8;

fn find<'a>(list: &'a [Offered], agent: &Agent) -> Result<&'a Offered, Failure> {
    let Agent { model, base_url, .. } = agent;
    if let Some(offered) = list.iter().find(|offered| offered.id == *model) {
        return Ok(offered);
    }
    let card = model::card(model);
    let retired = card.and_then(|card| card.retired.as_deref());
    let retired = retired.map(|day| format!(": Moonshot retired it on {day}")).unwrap_or_default();
    let failure = Failure::new(Kind::Blocked, format!("the model `{model}` is not at {base_url}{retired}"));
    let there = |id: &&str| list.iter().any(|offered| offered.id == **id);
    let successor = card.and_then(|card| card.successor.as_deref()).filter(there).map(str::to_owned);
    let near = successor.or_else(|| nearest(model, list.iter().map(|offered| offered.id.as_str())));
    let failure = match near {
        Some(near) => failure.hint(format!("set `agent.model` to `{near}`")),
        None => failure,
    };
    let named: Vec<String> = list.iter().take(MOST_NAMED).map(|offered| format!("`{}`", offered.id)).collect();
    let more = list.len().saturating_sub(MOST_NAMED);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    Err(failure.hint(format!("this provider has {}{more}", named.join(", "))).hint(NOTHING_PAID))
}

const NOTHING_PAID: &str = "nothing was run, and nothing was paid";

fn refusal(error: &QuestionError, agent: &Agent, key: &Key) -> Failure {
    let failure = |words: String| Failure::new(Kind::Blocked, words);
    let failure = match error {
        QuestionError::Refused { base_url, said } => {
            let words = said.in_words();
            let failure =
                failure(format!("{base_url} does not take the key in {}: it answered {words}", agent.key_env));
            failure.hint(which_key(base_url, key.is_of_subscription()))
        }
        QuestionError::Unreachable { base_url, cause } => {
            failure(format!("the model's provider at {base_url} could not be reached: {cause}"))
                .hint("check `agent.base_url`, and the network and proxy of this machine")
        }
        QuestionError::WrongAddress { base_url, found, better } => {
            let failure = failure(format!("{base_url} is not the address of a model's provider: {found}"));
            match better {
                Some(better) => failure.hint(format!("set `agent.base_url` to `{better}`")),
                None => failure.hint("set `agent.base_url` to an address like `https://api.moonshot.ai/v1`"),
            }
        }
        QuestionError::Client(_) | QuestionError::NoList { .. } | QuestionError::Unclear { .. } => {
            failure(format!("failed to {error}"))
        }
    };
    failure.hint(NOTHING_PAID)
}

/// Where the key for an address comes from. Keys of one provider are refused by all others.
pub(super) fn which_key(base_url: &str, is_of_subscription: bool) -> String {
    let at = model::provider(base_url);
    let subscription = model::providers().iter().find(|provider| provider.subscription);
    match (at, subscription) {
        (Some(at), Some(other)) if is_of_subscription && !at.subscription => format!(
            "this key is one of {}: it needs `base_url: {}` and `model: kimi-for-coding`; keys for this address are made at {}",
            other.name, other.base_url, at.keys
        ),
        (Some(at), _) => format!("keys for this address are made at {}; no other keys work here", at.keys),
        (None, _) => "ask this provider for a key".to_owned(),
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
    let assumed = if facts.origin == Origin::Assumed { " (assumed)" } else { "" };
    format!(
        "  context   {} tokens{assumed}\n  thinking  {}{}\n  price     {prices}\n",
        facts.context,
        settled.wire.in_words(),
        choices(facts),
    )
}

fn choices(facts: &Facts) -> String {
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
