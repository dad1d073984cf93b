//! Models: what omk knows of them, what a provider says of them, and what a request to each must
//! look like.
//!
//! Models come and go faster than releases of omk. So the facts are data (`models.yaml`), the
//! provider's own list wins where it says more, and an unknown model works with settings that no
//! provider refuses. It refuses to ask anybody: the gateway does, and hands the answer in.

mod empty;
mod facts;
mod offer;
mod refusal;
mod table;
mod wire;

pub use empty::Empty;
pub use facts::{FactsSource, ModelFacts};
pub use offer::{BadOffer, Offered, read_offer};
pub use refusal::{ProviderRefusal, UNNAMED, is_out_of_credit, is_overloaded, is_too_large};
pub use table::{Card, Effort, Form, Provider, Thinks, card, cards, provider, providers};
pub use wire::{Thinking, Unsuited, Wire};

use serde::Deserialize;

/// The model of a plan that names none.
pub const DEFAULT: &str = "kimi-k3";

/// USD per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// Input that the provider had not cached.
    pub input: f64,
    /// Input that it had.
    pub cached_input: f64,
    /// Output, reasoning included.
    pub output: f64,
}
