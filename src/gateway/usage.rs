//! What an attempt used, and what the provider said last.

use std::time::Duration;

use crate::fact::Tokens;
use crate::model::UNNAMED;

/// What an attempt has used.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Usage {
    /// As the provider counted them.
    pub tokens: Tokens,
    /// Whether some of `tokens` is an estimate, because an answer broke off before the provider
    /// had said.
    pub estimated: bool,
    /// What that cost, where prices are known.
    pub cost_micro_usd: Option<u64>,
    /// Requests that were passed on, or served.
    pub requests: u32,
    /// The last answer that was not a good one; `None` again after a good one.
    pub last_error: Option<ProviderError>,
    /// From the first request to the first byte of its answer.
    pub first_byte: Option<Duration>,
    /// What the cassette could not give: "the cassette has no answer api/0-3 (in …)". The attempt
    /// is to fail as `config`.
    pub cassette_miss: Option<String>,
    /// Whether an answer was cut or refused because a limit is used up. The attempt is interrupted
    /// then, not failed.
    pub over_budget: bool,
    /// Why the recording is not whole.
    pub unrecorded: Option<String>,
}

/// An answer of the provider that was not a good one, or the lack of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderError {
    /// The HTTP status; `None` where no answer came, or one broke off.
    pub status: Option<u16>,
    /// How long the provider asked to wait.
    pub retry_after: Option<Duration>,
    /// The provider's own name of the error (`exceeded_current_quota_error`), else `connect`,
    /// `silent`, `stalled`, `dropped`, `redirect`, `not-an-answer`.
    pub kind: String,
    /// What it said, at most 500 characters.
    pub message: String,
}

impl ProviderError {
    /// As a person reads it: `404 (resource_not_found_error): Not found the model …`.
    #[must_use]
    pub fn in_words(&self) -> String {
        let status = self
            .status
            .map_or_else(|| "nothing".to_owned(), |status| status.to_string());
        let kind = if self.kind == UNNAMED {
            String::new()
        } else {
            format!(" ({})", self.kind)
        };
        let message = if self.message.is_empty() {
            String::new()
        } else {
            format!(": {}", self.message)
        };
        format!("{status}{kind}{message}")
    }
}
