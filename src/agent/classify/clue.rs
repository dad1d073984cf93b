//! The class of an error by what the CLI printed of it.

use super::from_gateway;
use crate::agent::Observed;
use crate::fact::Class;
use crate::model::{Empty, is_out_of_credit, is_too_large};

/// What is known of an error.
pub(super) struct Clue<'a> {
    pub(super) code: &'a str,
    pub(super) name: &'a str,
    pub(super) message: &'a str,
    pub(super) status: Option<u16>,
}

impl Clue<'_> {
    /// The class that the CLI's own words point to; where they are the same for two, the provider's
    /// tell.
    pub(super) fn class(&self, observed: &Observed) -> Option<Class> {
        let kind = observed.kind.as_deref().unwrap_or_default();
        if self.name.contains("EmptyResponse") && Empty::named(kind) == Some(Empty::ReasoningCut) {
            return Some(Class::Steps);
        }
        if self.name.contains("ContextOverflow") || self.code == "context.overflow" {
            return Some(Class::Context);
        }
        if self.code == "provider.filtered" || self.message.contains("safety policy blocked") {
            return Some(Class::Refused);
        }
        if self.status == Some(400)
            && (kind.contains("content_filter") || self.message.contains("high risk"))
        {
            return Some(Class::Refused);
        }
        let said = observed.message.as_deref().unwrap_or(self.message);
        if self.name.contains("QuotaExhausted")
            || is_out_of_credit(self.status, kind, self.message)
            || is_out_of_credit(self.status, kind, said)
        {
            return Some(Class::Quota);
        }
        if self.status == Some(400) && is_too_large(self.message) {
            return Some(Class::Context);
        }
        // An error inside an answer that began as a good one: the CLI does not tell more than that
        // there was one.
        if matches!(observed.status, Some(200..=299))
            && self.status.is_none()
            && Empty::named(kind).is_none()
        {
            return from_gateway(observed);
        }
        match self.code {
            "loop.max_steps_exceeded" => return Some(Class::Steps),
            "provider.auth_error" => return Some(Class::Auth),
            "provider.rate_limit" => return Some(Class::RateLimit),
            "provider.connection_error" => return Some(Class::Provider),
            _ => {}
        }
        if let Some(class) = self.status.and_then(by_status) {
            return Some(class);
        }
        let no_setup =
            self.message.contains("No model configured") || self.code.starts_with("config");
        if no_setup || self.code.starts_with("model.") {
            return Some(Class::Config);
        }
        let broke = ["Connection", "Timeout", "EmptyResponse"]
            .iter()
            .any(|word| self.name.contains(word));
        let broke = broke
            || self.message.starts_with("terminated")
            || self.message.contains("empty response");
        (broke || self.code.starts_with("provider.")).then_some(Class::Provider)
    }
}

pub(super) fn by_status(status: u16) -> Option<Class> {
    match status {
        401 | 403 => Some(Class::Auth),
        402 => Some(Class::Quota),
        408 | 425 | 500..=599 => Some(Class::Provider),
        429 => Some(Class::RateLimit),
        400..=499 => Some(Class::Config),
        _ => None,
    }
}
