//! What a forge can say instead of an answer.

use std::time::Duration;

/// A call that did not get what it asked for. Fits after "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForgeError {
    /// What omk was given cannot work: an address, a key. Nothing was sent.
    #[error("{what}: {said}")]
    Misconfigured {
        /// What was tried.
        what: String,
        /// What is wrong, and what would be right.
        said: String,
    },
    /// There is no such thing, or the token may not see it.
    #[error("{what}: there is no such thing, or the token may not see it (404)")]
    NotFound {
        /// What was tried: `read pull request 12`.
        what: String,
    },
    /// The token is not, or no longer, good.
    #[error("{what}: the token is refused (401)")]
    Unauthorized {
        /// What was tried.
        what: String,
    },
    /// The token may not do this.
    #[error("{what}: the token may not do that (403: {said})")]
    Forbidden {
        /// What was tried.
        what: String,
        /// The forge's words, clipped.
        said: String,
    },
    /// The forge wants to be left alone for longer than omk waits.
    #[error("{what}: the forge's limit of requests is used up, and it asks to wait {}", crate::text::duration(*wait))]
    Limited {
        /// What was tried.
        what: String,
        /// How long.
        wait: Duration,
    },
    /// The forge understood, and says no.
    #[error("{what}: the forge refuses it ({status}: {said})")]
    Refused {
        /// What was tried.
        what: String,
        /// The HTTP status.
        status: u16,
        /// The forge's words, clipped.
        said: String,
    },
    /// The forge did not answer, or answered with trouble of its own; what was asked may have been
    /// done.
    #[error("{what}: the forge does not answer ({said})")]
    Unavailable {
        /// What was tried.
        what: String,
        /// What happened.
        said: String,
    },
    /// An answer that is none.
    #[error("{what}: the forge's answer makes no sense ({said})")]
    Nonsense {
        /// What was tried.
        what: String,
        /// What is wrong with it.
        said: String,
    },
}
