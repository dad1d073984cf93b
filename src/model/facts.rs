//! What is known of one model: the provider's own words first, then the table, then what is safe to
//! assume.
//!
//! It refuses to assume in silence: what was assumed is said.

use super::table::{Effort, Form, Provider, Thinks, card, provider};
use super::{Offered, Prices};

/// Where the facts come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactsSource {
    /// The table, perhaps with more from the provider.
    Table,
    /// The provider's list alone.
    Provider,
    /// Neither knows it.
    Assumed,
}

/// What is known of one model at one address.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelFacts {
    /// Its name at the provider.
    pub id: String,
    /// How many tokens it can see.
    pub context: u32,
    /// The most that one answer is asked for, in tokens; `None` = whatever the agent asks for.
    pub output: Option<u32>,
    /// Whether it thinks, where that is known.
    pub thinking: Option<Thinks>,
    /// How a request says how much, where that is known.
    pub form: Option<Form>,
    /// The efforts that it knows.
    pub efforts: Vec<Effort>,
    /// What it costs, where omk knows.
    pub prices: Option<Prices>,
    /// Whether a subscription pays for it.
    pub subscription: bool,
    /// Where this comes from.
    pub origin: FactsSource,
    at: Option<&'static Provider>,
}

/// The context of a model that neither provider nor table knows, in tokens. Small enough for every
/// model that can drive a coding agent today. The agent compacts its conversation earlier than it
/// must; too much would end in an overflow.
const ASSUMED_CONTEXT: u32 = 131_072;

impl ModelFacts {
    /// Puts together what is known of the model `id` at `base_url`; `offered` is the provider's own
    /// entry.
    #[must_use]
    pub fn gather(id: &str, base_url: &str, offered: Option<&Offered>) -> Self {
        let card = card(id);
        let told = |offered: &&Offered| offered.context.is_some() || offered.thinking.is_some();
        let origin = match (card, offered.filter(told)) {
            (Some(_), _) => FactsSource::Table,
            (None, Some(_)) => FactsSource::Provider,
            (None, None) => FactsSource::Assumed,
        };
        let thinking = offered
            .and_then(|offered| offered.thinking)
            .or(card.map(|card| card.thinking));
        let efforts = offered
            .map(|offered| offered.efforts.clone())
            .filter(|efforts| !efforts.is_empty());
        // A provider that speaks of thinking in Moonshot's words takes Moonshot's form.
        let object = || {
            thinking
                .filter(|thinking| *thinking != Thinks::Never)
                .map(|_| Form::Object)
        };
        Self {
            id: id.to_owned(),
            context: offered
                .and_then(|offered| offered.context)
                .or(card.map(|card| card.context))
                .unwrap_or(ASSUMED_CONTEXT),
            output: card.and_then(|card| card.output),
            thinking,
            form: card.and_then(|card| card.form).or_else(object),
            efforts: efforts
                .or_else(|| card.map(|card| card.efforts.clone()))
                .unwrap_or_default(),
            prices: card.and_then(|card| card.prices),
            subscription: card.is_some_and(|card| card.subscription),
            origin,
            at: provider(base_url),
        }
    }

    /// What was assumed about the model, each a sentence for a person; empty where all is known.
    #[must_use]
    pub fn assumptions(&self) -> Vec<String> {
        let mut said = Vec::new();
        let id = &self.id;
        match self.origin {
            FactsSource::Assumed => said.push(format!(
                "omk does not know the model `{id}`: it assumes a context of {} tokens, and leaves thinking to the provider",
                self.context
            )),
            FactsSource::Provider => said.push(format!(
                "omk knows the model `{id}` from its provider only: a context of {} tokens, and no prices",
                self.context
            )),
            FactsSource::Table if self.prices.is_some() && !self.at.is_some_and(|at| at.in_usd) => said.push(format!(
                "omk counts Moonshot's prices in USD for `{id}`; set `prices` in the plan if this provider has others"
            )),
            FactsSource::Table => {}
        }
        said
    }
}

#[cfg(test)]
mod tests;
