//! Globs over repository paths: which paths one matches, and whether two have a path in common.
//!
//! It refuses to touch the file system.

use std::fmt;
use std::str::FromStr;

use crate::id::RepoPath;

/// A pattern over repository paths: `**`, `*`, `?`, `{a,b}`, `[a-z]`; a directory means all below it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Glob {
    text: String,
}

/// Why a text is not a glob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct BadGlob {
    /// What is wrong, as a clause: "a `{` is never closed".
    pub reason: String,
}

impl Glob {
    /// Whether `path` is one of the paths meant.
    #[must_use]
    pub fn matches(&self, _path: &RepoPath) -> bool {
        false
    }

    /// Whether some path could match both. Never misses one.
    #[must_use]
    pub fn intersects(&self, _other: &Self) -> bool {
        true
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The leading components without a wildcard: `src/api/*.rs` gives `["src", "api"]`. Every path that matches lies
    /// at or below it.
    #[must_use]
    pub fn literal_prefix(&self) -> &[String] {
        &[]
    }

    /// Whether the pattern has no wildcard at all.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        false
    }
}

impl FromStr for Glob {
    type Err = BadGlob;
    fn from_str(text: &str) -> Result<Self, BadGlob> {
        Ok(Self { text: text.into() })
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Glob({})", self.text)
    }
}
