//! Globs over repository paths: which paths one matches, and whether two have a path in common.
//!
//! A glob is expanded into at most [`MAX_ALTERNATIVES`] alternatives without braces, and each of
//! them into components. Matching is polynomial for every input, and two globs are compared within
//! a fixed number of steps. It refuses to touch the file system, and to fold case.

mod component;
mod meet;
mod parse;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::id::RepoPath;
use crate::text::Advised;

use self::component::Component;
pub use self::parse::{MAX_ALTERNATIVES, MAX_BYTES, MAX_DEPTH, MAX_EXPANDED};

/// A pattern over repository paths: `**`, `*`, `?`, `{a,b}`, `[a-z]`; a directory means all below
/// it.
///
/// - `**` as a whole component stands for any number of components, at the end for at least one;
///   elsewhere in a component it is a `*`.
/// - `*` stands for any characters but `/`, leading dots included; `?` for one character, which is
///   one byte where the path is not UTF-8.
/// - `[a-z]` is one character of a class, `[!a]` one outside of it; `\` takes the next character as
///   it is.
/// - A leading `./`, a trailing `/` and doubled `/` do not matter; `.` is the whole repository.
///
/// Two globs are equal where their texts are.
#[derive(Clone)]
pub struct Glob {
    text: Arc<str>,
    meaning: Arc<GlobMeaning>,
}

/// What a text was found to mean.
#[derive(Debug)]
struct GlobMeaning {
    /// Never empty; a path matches the glob where it, or a directory above it, matches one of
    /// these.
    alternatives: Vec<Vec<Component>>,
    /// What all alternatives begin with.
    prefix: Vec<String>,
    /// No wildcard, class or brace anywhere.
    literal: bool,
    /// See [`Glob::size`].
    size: usize,
}

/// Why a text is not a glob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct BadGlob {
    /// What is wrong, as a clause: "a `{` is never closed".
    pub reason: String,
    /// What to write instead, where omk knows.
    pub next: Option<&'static str>,
}

impl BadGlob {
    fn but(reason: &str, next: &'static str) -> Self {
        Self {
            reason: reason.to_owned(),
            next: Some(next),
        }
    }
}

impl From<&str> for BadGlob {
    fn from(reason: &str) -> Self {
        Self {
            reason: reason.to_owned(),
            next: None,
        }
    }
}

impl From<String> for BadGlob {
    fn from(reason: String) -> Self {
        Self { reason, next: None }
    }
}

impl Advised for BadGlob {
    fn advice(&self) -> Option<Cow<'_, str>> {
        self.next.map(Cow::Borrowed)
    }
}

impl Glob {
    /// The glob of this path and all below it, however long the path is; a byte that is no text
    /// stands for any one character.
    #[must_use]
    pub fn literal(path: &RepoPath) -> Self {
        let parts = path.as_bytes().split(|&byte| byte == b'/');
        let text: Vec<String> = parts.clone().map(component::spell).collect();
        let components: Vec<Component> = parts.map(Component::literal).collect();
        let prefix: Vec<String> = component::literal_prefix(&components)
            .map(str::to_owned)
            .collect();
        let literal = prefix.len() == components.len();
        let size = components.iter().map(Component::size).sum();
        let meaning = GlobMeaning {
            alternatives: vec![components],
            prefix,
            literal,
            size,
        };
        Self {
            text: text.join("/").into(),
            meaning: Arc::new(meaning),
        }
    }

    /// Whether `path` is one of the paths meant: it, or a directory above it, matches the pattern.
    #[must_use]
    pub fn matches(&self, path: &RepoPath) -> bool {
        let parts: Vec<&[u8]> = path.as_bytes().split(|&byte| byte == b'/').collect();
        self.meaning
            .alternatives
            .iter()
            .any(|alternative| component::match_path(alternative, &parts))
    }

    /// Whether some path could match both. Never misses one; a `true` is exact but for globs so
    /// large that comparing them would take more than a quarter of a million steps.
    #[must_use]
    pub fn intersects(&self, other: &Self) -> bool {
        if !share_a_line(&self.meaning.prefix, &other.meaning.prefix) {
            return false;
        }
        let mut steps = meet::StepBudget::new();
        self.meaning.alternatives.iter().any(|mine| {
            other
                .meaning
                .alternatives
                .iter()
                .any(|theirs| meet::paths_meet(mine, theirs, &mut steps))
        })
    }

    /// How large the pattern is, all alternatives together: [`Glob::intersects`] takes at most
    /// about the product of two sizes in steps, and usually far less.
    #[must_use]
    pub fn size(&self) -> usize {
        self.meaning.size
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The leading components without a wildcard: `src/api/*.rs` gives `["src", "api"]`. Every path
    /// that matches lies at or below it. With braces it is what all alternatives begin with.
    #[must_use]
    pub fn literal_prefix(&self) -> &[String] {
        &self.meaning.prefix
    }

    /// The leading components without a wildcard of each alternative: `{src,tests}/*.rs` gives
    /// `["src"]` and `["tests"]`. Every path that matches lies at or below one of them. Never
    /// empty.
    pub fn literal_prefixes(&self) -> impl Iterator<Item = Vec<&str>> {
        self.meaning
            .alternatives
            .iter()
            .map(|alternative| component::literal_prefix(alternative).collect())
    }

    /// Whether the pattern has no wildcard, class or brace at all, so that it names one path and
    /// what is below it.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.meaning.literal
    }
}

/// Whether one of two literal prefixes begins with the other.
fn share_a_line(one: &[String], other: &[String]) -> bool {
    one.iter().zip(other).all(|(mine, theirs)| mine == theirs)
}

impl FromStr for Glob {
    type Err = BadGlob;
    fn from_str(text: &str) -> Result<Self, BadGlob> {
        let meaning = parse::parse(text)?;
        Ok(Self {
            text: text.into(),
            meaning: Arc::new(meaning),
        })
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Glob({})", self.text)
    }
}

impl PartialEq for Glob {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Glob {}

#[cfg(test)]
mod tests;
