//! The table of models and providers, read from `models.yaml`, which is part of the program.
//!
//! It refuses to guess: a name that is not in the table is not like one that is.

use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::Prices;

/// Whether a model thinks before it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Thinks {
    /// It cannot be turned off.
    Always,
    /// It can be turned on and off.
    Choice,
    /// It cannot.
    Never,
}

/// How a request says how much to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Top-level `reasoning_effort`; a `thinking` object is not to be sent.
    Effort,
    /// `thinking: {type, effort, keep}`.
    Object,
}

/// How much to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effort {
    /// Little.
    Low,
    /// Much.
    High,
    /// As much as the model can.
    Max,
}

impl Effort {
    /// All, least first.
    pub const ALL: [Self; 3] = [Self::Low, Self::High, Self::Max];

    /// As plans and requests write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::High => "high",
            Self::Max => "max",
        }
    }
}

impl fmt::Display for Effort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the table says of one model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// Its name at the provider.
    pub id: String,
    /// How many tokens it can see.
    pub context: u32,
    /// The most that one answer is asked for, in tokens; `None` = whatever the agent asks for.
    pub output: Option<u32>,
    /// Whether it thinks.
    pub thinking: Thinks,
    /// How a request says so; `None` for models that never think.
    pub form: Option<Form>,
    /// The efforts that it knows.
    #[serde(default)]
    pub efforts: Vec<Effort>,
    /// What it costs, where it is paid by the token.
    pub prices: Option<Prices>,
    /// Whether a subscription pays for it.
    #[serde(default)]
    pub subscription: bool,
    /// The day from which it is gone, as `2026-05-25`.
    pub retired: Option<String>,
    /// What to use in its place.
    pub successor: Option<String>,
}

/// An address that serves models.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// As a plan writes it.
    pub base_url: String,
    /// What people call it.
    pub name: String,
    /// Where its keys are made. Keys of one provider are refused by the others.
    pub keys: String,
    /// Where credit is bought.
    pub credit: Option<String>,
    /// Whether a subscription pays.
    #[serde(default)]
    pub subscription: bool,
    /// Whether it charges the prices of this table.
    #[serde(default)]
    pub in_usd: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelTable {
    providers: Vec<Provider>,
    models: Vec<Card>,
}

static TABLE: LazyLock<ModelTable> = LazyLock::new(|| {
    serde_yaml::from_str(include_str!("models.yaml"))
        .expect("a test reads the same table, and it is part of the program")
});

/// The card of the model with exactly that name.
#[must_use]
pub fn card(id: &str) -> Option<&'static Card> {
    cards().iter().find(|card| card.id == id)
}

/// All cards.
#[must_use]
pub fn cards() -> &'static [Card] {
    &TABLE.models
}

/// The provider at that address; a slash at its end does not matter.
#[must_use]
pub fn provider(base_url: &str) -> Option<&'static Provider> {
    let base_url = base_url.trim_end_matches('/');
    providers()
        .iter()
        .find(|provider| provider.base_url.eq_ignore_ascii_case(base_url))
}

/// All providers of the table.
#[must_use]
pub fn providers() -> &'static [Provider] {
    &TABLE.providers
}

#[cfg(test)]
mod tests;
