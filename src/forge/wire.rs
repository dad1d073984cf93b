//! What the paths and answers of all forges share: encoding, numbers, dates.
//!
//! It refuses path parts that would climb: `.` and `..` are resolved by URLs even where they are
//! encoded.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};

use crate::id::Moment;

/// A text as one part of a path or as a value of a query: all but letters, digits, `-`, `_`, `.`
/// and `~` is encoded.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// A text as one part of a path; `None` where it would climb or vanish.
pub(super) fn segment(text: &str) -> Option<String> {
    (!matches!(text, "" | "." | "..")).then(|| encoded(text))
}

/// A path of several parts.
pub(super) fn segments(path: &str) -> Option<String> {
    path.split('/')
        .map(segment)
        .collect::<Option<Vec<_>>>()
        .map(|parts| parts.join("/"))
}

/// A thing that has a number.
#[derive(Debug, Deserialize)]
pub(super) struct WithId {
    pub(super) id: u64,
}

/// A date as RFC 3339.
pub(super) fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Moment, D::Error> {
    DateTime::<Utc>::deserialize(deserializer)
        .map(|date| Moment::from_millis(date.timestamp_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_climbs_out_of_its_place() {
        assert_eq!(segment("feature/x y").as_deref(), Some("feature%2Fx%20y"));
        assert_eq!(
            segment("dependabot[bot]").as_deref(),
            Some("dependabot%5Bbot%5D")
        );
        assert_eq!(segment("%2e%2e").as_deref(), Some("%252e%252e"));
        assert_eq!(segment(".."), None);
        assert_eq!(segment(""), None);
        assert_eq!(
            segments("ci/omk ü.yaml").as_deref(),
            Some("ci/omk%20%C3%BC.yaml")
        );
        assert_eq!(segments("ci/../../omk.yaml"), None);
        assert_eq!(segments("/omk.yaml"), None);
    }
}
