//! The name of a host that children may reach: `example.com`.
//!
//! It refuses addresses, ports, schemes, paths and wildcards: what is allowed is one name, asked
//! for by that name.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::Advised;

/// The longest name, in bytes: what DNS can carry (RFC 1035, 255 with the length bytes).
const LONGEST_NAME: usize = 253;

/// The longest part between two dots, in bytes: its length is told in six bits (RFC 1035).
const LONGEST_LABEL: usize = 63;

/// The name of a host, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(Arc<str>);

/// Why a text is not the name of a host, and what to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadHost {
    /// Nothing at all.
    #[error("is empty")]
    Empty,
    /// A scheme, path, port, user or final dot around a name.
    #[error("is more than the name of a host")]
    More {
        /// The name in it.
        name: HostName,
    },
    /// A pattern over names.
    #[error("holds a wildcard")]
    Wildcard,
    /// A number instead of a name.
    #[error("is an IP address")]
    Address,
    /// A name of the machine itself.
    #[error("is this machine itself")]
    Local,
    /// Letters that DNS does not carry.
    #[error("is not in the form that DNS takes")]
    Foreign,
    /// Anything else.
    #[error("is not the name of a host")]
    Malformed,
}

impl Advised for BadHost {
    fn advice(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::More { name } => format!("write only `{name}`").into(),
            Self::Wildcard => {
                "write each name by itself, like `example.com` and `cdn.example.com`".into()
            }
            Self::Address => "write the name that programs ask for, like `example.com`".into(),
            Self::Local => "remove it: children have a loopback of their own".into(),
            Self::Foreign => "write it in ASCII, as `xn--…`".into(),
            Self::Empty | Self::Malformed => "write a name like `example.com`".into(),
        })
    }
}

impl HostName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostName {
    type Err = BadHost;

    /// Upper case is taken as lower case, as DNS does.
    fn from_str(text: &str) -> Result<Self, BadHost> {
        let text = text.trim();
        if text.is_empty() {
            return Err(BadHost::Empty);
        }
        let address = text.trim_start_matches('[').trim_end_matches(']');
        if address.parse::<std::net::IpAddr>().is_ok() {
            return Err(BadHost::Address);
        }
        let bare = bare(text);
        if bare != text {
            return Err(bare
                .parse()
                .map_or_else(|bad| bad, |name| BadHost::More { name }));
        }
        name(&text.to_ascii_lowercase())
    }
}

/// `text` without what people copy along with a name.
fn bare(text: &str) -> &str {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    // An IPv6 address has colons of its own.
    let host = match host
        .strip_prefix('[')
        .and_then(|inner| inner.split_once(']'))
    {
        Some((inner, _)) => inner,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    host.strip_suffix('.').unwrap_or(host)
}

fn name(text: &str) -> Result<HostName, BadHost> {
    if text.is_empty() {
        return Err(BadHost::Empty);
    }
    if text.contains('*') {
        return Err(BadHost::Wildcard);
    }
    if !text.is_ascii() {
        return Err(BadHost::Foreign);
    }
    let sound = |label: &str| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if text.len() > LONGEST_NAME || !text.split('.').all(sound) {
        return Err(BadHost::Malformed);
    }
    let last = text.rsplit('.').next().unwrap_or(text);
    if is_number(last) {
        return Err(BadHost::Address);
    }
    // Names below it are services of this machine that have a name of their own (RFC 6761, 6.3).
    if text == "localhost" {
        return Err(BadHost::Local);
    }
    Ok(HostName(text.into()))
}

/// Programs read a name whose last part is a number as an IPv4 address: `127.1`, `0x7f000001`.
fn is_number(label: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    digits(label)
        || label
            .strip_prefix("0x")
            .is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for HostName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for HostName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;
