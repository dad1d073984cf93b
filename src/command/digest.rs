//! How a plan's digest begins, as a person writes it to approve the plan.

use std::fmt;
use std::str::FromStr;

use crate::id::{BadName, Sha256};

/// The fewest digits that the contract takes. They name a plan among those of honest people; who
/// writes two plans himself can make them begin alike, so all digits are what is shown to be
/// copied.
pub(super) const FEWEST: usize = 12;

/// All digits of a SHA-256.
pub(super) const ALL: usize = 64;

/// The first 12 to 64 lower-case hex digits of the SHA-256 of a plan's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PlanDigest(String);

impl PlanDigest {
    /// Whether `digest` begins with it.
    #[must_use]
    pub fn begins(&self, digest: &Sha256) -> bool {
        digest.as_str().starts_with(&self.0)
    }

    /// Whether it is the whole digest, so that no other plan can have it.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.0.len() == ALL
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its first twelve digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl FromStr for PlanDigest {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if (FEWEST..=ALL).contains(&text.len()) && text.bytes().all(hex) {
            return Ok(Self(text.to_owned()));
        }
        Err(BadName::new(
            text,
            "how a SHA-256 begins",
            "12 to 64 lower-case hex digits",
        ))
    }
}

impl fmt::Display for PlanDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_long_enough_and_lower_case() {
        let check = |text: &str, valid: bool| {
            assert_eq!(text.parse::<PlanDigest>().is_ok(), valid, "{text}")
        };
        check(&"a".repeat(11), false);
        check(&"a".repeat(12), true);
        check(&"9".repeat(64), true);
        check(&"a".repeat(65), false);
        check(&"A".repeat(12), false);
        check("0123456789ag", false);
        check("", false);
        let digest: PlanDigest = "0123456789ab".parse().unwrap();
        assert_eq!(
            (digest.to_string().as_str(), digest.as_str()),
            ("0123456789ab", "0123456789ab")
        );
    }

    #[test]
    fn a_digest_begins_only_what_it_begins() {
        let plan = Sha256::of(b"plan");
        let start: PlanDigest = plan.as_str()[..12].parse().unwrap();
        assert!(start.begins(&plan) && !start.begins(&Sha256::of(b"other")) && !start.is_whole());
        let whole: PlanDigest = plan.as_str().parse().unwrap();
        assert!(whole.begins(&plan) && whole.is_whole());
        let middle: PlanDigest = plan.as_str()[1..20].parse().unwrap();
        assert!(!middle.begins(&plan));
    }
}
