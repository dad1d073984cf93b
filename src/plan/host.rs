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
pub struct Host(Arc<str>);

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
        name: Host,
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

impl Host {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Host {
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

fn name(text: &str) -> Result<Host, BadHost> {
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
    Ok(Host(text.into()))
}

/// Programs read a name whose last part is a number as an IPv4 address: `127.1`, `0x7f000001`.
fn is_number(label: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    digits(label)
        || label
            .strip_prefix("0x")
            .is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for Host {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Host {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bad(text: &str) -> String {
        let bad = text.parse::<Host>().expect_err(text);
        bad.in_full()
    }

    #[test]
    fn names_are_read_in_lower_case() {
        for (text, expect) in [
            ("example.com", "example.com"),
            ("Cdn.Example.COM", "cdn.example.com"),
            ("intranet", "intranet"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("3d.example", "3d.example"),
        ] {
            assert_eq!(
                text.parse::<Host>().map(|host| host.to_string()),
                Ok(expect.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_copied_along_with_a_name_is_refused_and_the_name_offered() {
        for text in [
            "https://example.com",
            "example.com:443",
            "example.com/api",
            "https://me:pw@Example.com:443/a?b#c",
            "example.com.",
            "example.com?x",
        ] {
            assert_eq!(
                bad(text),
                "is more than the name of a host; write only `example.com`",
                "{text}"
            );
        }
    }

    #[test]
    fn addresses_are_no_names_however_they_are_written() {
        for text in [
            "127.0.0.1",
            "::1",
            "[::1]:80",
            "https://[fe80::1]/",
            "10.0.0.1:80",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "1.2.3.0X4",
            "::ffff:10.0.0.1",
        ] {
            assert_eq!(
                bad(text),
                "is an IP address; write the name that programs ask for, like `example.com`",
                "{text}"
            );
        }
    }

    #[test]
    fn everything_else_says_what_to_write() {
        assert_eq!(
            bad("*.example.com"),
            "holds a wildcard; write each name by itself, like `example.com` and `cdn.example.com`"
        );
        assert_eq!(
            bad("https://*"),
            "holds a wildcard; write each name by itself, like `example.com` and `cdn.example.com`"
        );
        assert_eq!(
            bad("localhost"),
            "is this machine itself; remove it: children have a loopback of their own"
        );
        assert!("registry.localhost".parse::<Host>().is_ok());
        assert_eq!(
            bad("bücher.example"),
            "is not in the form that DNS takes; write it in ASCII, as `xn--…`"
        );
        assert_eq!(bad(" "), "is empty; write a name like `example.com`");
        let long = format!("{}.example", "a".repeat(64));
        let name = |last: usize| {
            format!(
                "{}{}",
                format!("{}.", "a".repeat(63)).repeat(3),
                "b".repeat(last)
            )
        };
        assert_eq!(name(61).len(), 253);
        for text in [&long[1..], &name(61)] {
            assert!(text.parse::<Host>().is_ok(), "{text}");
        }
        assert_eq!(name(62).parse::<Host>(), Err(BadHost::Malformed));
        for text in [
            "a b",
            "a..b",
            "-a.b",
            "a-.b",
            "a_b.example",
            "a\nb",
            "a\0",
            ".",
            "..",
            &long,
            &"a.".repeat(128),
        ] {
            let bad = text.parse::<Host>().expect_err(text);
            assert!(
                matches!(bad, BadHost::Malformed | BadHost::Empty),
                "{text:?}: {bad:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_name_reads_back_the_same(text in "\\PC{0,30}|[a-zA-Z0-9.:/@\\[\\]*-]{0,20}|([a-z0-9]{1,5}\\.){1,3}[a-z]{2,3}") {
            if let Ok(host) = text.parse::<Host>() {
                prop_assert_eq!(host.to_string().parse::<Host>(), Ok(host.clone()));
                prop_assert!(host.as_str().bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-')));
            }
        }
    }
}
