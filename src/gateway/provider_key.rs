//! The provider's key, which is never shown.

use std::fmt;

/// The provider's key. Shows itself as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderKey(String);

impl ProviderKey {
    /// Wraps a key. White space around it is not part of it: secrets are often pasted with a line
    /// end.
    ///
    /// # Errors
    /// If the rest cannot stand in a header: it holds a control character, or something else than
    /// ASCII.
    pub fn new(key: &str) -> Result<Self, BadKey> {
        let key = key.trim();
        let sound = key
            .bytes()
            .all(|byte| byte.is_ascii_graphic() || byte == b' ');
        if sound {
            Ok(Self(key.to_owned()))
        } else {
            Err(BadKey)
        }
    }

    /// Whether it looks like a key of a Kimi Code subscription, which no other address takes.
    #[must_use]
    pub fn is_of_subscription(&self) -> bool {
        self.0.starts_with("sk-kimi-")
    }

    /// Whether it stands in a text.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        !self.0.is_empty() && text.contains(&self.0)
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

/// A key that cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it holds a line break, a control character, or a character that is not ASCII")]
pub struct BadKey;

impl fmt::Debug for ProviderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
