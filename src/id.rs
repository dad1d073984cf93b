//! Names and digests that cannot be wrong: parsed once, at the edge, and trusted afterwards.
//!
//! It refuses to know what any of these names refers to: a [`TaskId`] is well-formed text, not the
//! promise that a plan holds such a task.

mod path;
mod moment;

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use moment::Moment;
pub use path::RepoPath;

/// Why a text is not the name it was meant to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}{}", .rule.map(|rule| format!(": {rule}")).unwrap_or_default())]
pub struct BadName {
    /// The text as it was given, clipped to 80 characters.
    pub text: String,
    /// What would have been right, with its article: `a task id`.
    pub expected: &'static str,
    /// What makes it right: `64 lower-case hex digits`.
    pub rule: Option<&'static str>,
}

impl BadName {
    /// A text that is not what was expected.
    #[must_use]
    pub fn new(text: &str, expected: &'static str, rule: impl Into<Option<&'static str>>) -> Self {
        Self {
            text: text.chars().take(80).collect(),
            expected,
            rule: rule.into(),
        }
    }
}

fn is_lower_alnum(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// `[a-z0-9][a-z0-9{extra}]{0,max-1}`, the shape that all names of a plan share.
fn is_slug(text: &str, extra: &[u8], max: usize) -> bool {
    let bytes = text.as_bytes();
    (1..=max).contains(&bytes.len())
        && is_lower_alnum(bytes[0])
        && bytes
            .iter()
            .all(|&byte| is_lower_alnum(byte) || extra.contains(&byte))
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $rule:expr, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(text.into())) } else { Err(BadName::new(text, $expected, $rule)) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), &self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    };
}

name!(
    /// The id of a task, unique in its plan.
    TaskId,
    "a task id",
    "1 to 64 of a-z, 0-9, `_` and `-`, not starting with `_` or `-`",
    |text| is_slug(text, b"_-", 64)
);

name!(
    /// The id of a gate, unique in its plan.
    GateId,
    "a gate id",
    "1 to 64 of a-z, 0-9, `_` and `-`, not starting with `_` or `-`",
    |text| is_slug(text, b"_-", 64)
);

name!(
    /// The name of a plan. Never `pr-N` or `mr-N`: those are scopes of pull and merge requests.
    PlanName,
    "a plan name",
    "1 to 40 of a-z, 0-9 and `-`, not starting with `-`, and not `pr-N` or `mr-N`",
    |text| is_slug(text, b"-", 40) && !is_request_scope(text)
);

name!(
    /// What a run's branches are named after: `pr-12`, `mr-12`, or the plan's name.
    Scope,
    "a scope",
    "`pr-N`, `mr-N` or a plan name",
    |text| is_slug(text, b"-", 40)
);

name!(
    /// One run: `20261122t185155z-4f2a9c`, the UTC second it began at, and six hex digits that tell apart and order the runs
    /// of one second.
    RunId,
    "a run id like `20261122t185155z-4f2a9c`",
    None,
    |text| is_run_id(text)
);

name!(
    /// The SHA-256 of some bytes, as 64 lower-case hex digits.
    Sha256,
    "a SHA-256",
    "64 lower-case hex digits",
    |text| is_hex(text, 64)
);

name!(
    /// A commit of the repository, as 40 lower-case hex digits.
    CommitId,
    "a commit id",
    "40 lower-case hex digits",
    |text| is_hex(text, 40)
);

name!(
    /// A tree of the repository, as 40 lower-case hex digits.
    TreeId,
    "a tree id",
    "40 lower-case hex digits",
    |text| is_hex(text, 40)
);

impl From<PlanName> for Scope {
    fn from(name: PlanName) -> Self {
        Self(name.0)
    }
}

/// So many digits are enough to name a commit or a digest to a person.
const SHORT: usize = 12;

macro_rules! short {
    ($($name:ident),*) => {
        $(impl $name {
            /// Its first twelve digits, for people.
            #[must_use]
            pub fn short(&self) -> &str {
                &self.0[..SHORT]
            }
        })*
    };
}

short!(CommitId, TreeId, Sha256);

impl Sha256 {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self::from_digest(&sha2::Sha256::digest(bytes))
    }

    /// A finished digest as a name.
    #[must_use]
    pub fn from_digest(digest: &[u8]) -> Self {
        let mut hex = String::with_capacity(64);
        for byte in digest {
            hex.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
            hex.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
        }
        Self(hex.into())
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn is_request_scope(text: &str) -> bool {
    let number = text
        .strip_prefix("pr-")
        .or_else(|| text.strip_prefix("mr-"));
    number.is_some_and(|digits| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn is_run_id(text: &str) -> bool {
    let Some((stamp, chance)) = text.split_once('-') else {
        return false;
    };
    let digits =
        |range: std::ops::Range<usize>| stamp.as_bytes()[range].iter().all(u8::is_ascii_digit);
    let stamped = stamp.len() == 16
        && stamp.is_ascii()
        && digits(0..8)
        && &stamp[8..9] == "t"
        && digits(9..15)
        && &stamp[15..] == "z";
    stamped && is_hex(chance, 6)
}

/// A commit and its tree.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tip {
    /// The commit.
    pub commit: CommitId,
    /// Its tree.
    pub tree: TreeId,
}
