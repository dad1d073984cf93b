//! Paths in a repository: bytes, as git has them, and text that reads back as the same bytes.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::BadName;

/// A path inside the repository, as git stores it: bytes, `/` between components, never absolute.
///
/// As text it is itself, or quoted as git does (`core.quotePath`) where it is not UTF-8, holds a
/// control character, or starts with a quote; the text parses back to the same bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoPath(Arc<[u8]>);

impl RepoPath {
    /// A path from git's own bytes; `None` where it is empty, absolute, or has an empty, `.` or
    /// `..` component.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let sound = bytes
            .split(|&byte| byte == b'/')
            .all(|part| !matches!(part, b"" | b"." | b".."));
        (sound && !bytes.contains(&0)).then(|| Self(bytes.into()))
    }

    /// The path as git stores it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        if let Ok(text) = std::str::from_utf8(&self.0)
            && !text.starts_with('"')
            && !text.chars().any(char::is_control)
        {
            return f.write_str(text);
        }
        f.write_char('"')?;
        for &byte in self.0.iter() {
            match byte {
                b'"' => f.write_str("\\\"")?,
                b'\\' => f.write_str("\\\\")?,
                b'\n' => f.write_str("\\n")?,
                b'\t' => f.write_str("\\t")?,
                b'\r' => f.write_str("\\r")?,
                b' '..=b'~' => f.write_char(char::from(byte))?,
                _ => write!(f, "\\{byte:03o}")?,
            }
        }
        f.write_char('"')
    }
}

impl fmt::Debug for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RepoPath({self})")
    }
}

impl FromStr for RepoPath {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        let bytes = match text.strip_prefix('"') {
            Some(rest) => rest.strip_suffix('"').and_then(unquote),
            None => Some(text.as_bytes().to_vec()),
        };
        bytes
            .and_then(|bytes| Self::from_bytes(&bytes))
            .ok_or_else(|| {
                BadName::new(
                    text,
                    "a path inside the repository",
                    "relative, without `.`, `..` or empty parts",
                )
            })
    }
}

fn unquote(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next()? {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            quoted @ (b'"' | b'\\') => out.push(quoted),
            high @ b'0'..=b'3' => {
                let (middle, low) = (bytes.next()?, bytes.next()?);
                if !(b'0'..=b'7').contains(&middle) || !(b'0'..=b'7').contains(&low) {
                    return None;
                }
                out.push((high - b'0') << 6 | (middle - b'0') << 3 | (low - b'0'));
            }
            _ => return None,
        }
    }
    Some(out)
}

impl Serialize for RepoPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RepoPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}
