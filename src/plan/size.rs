//! Sizes as plans write them: `500KB`, `100MB`, `1GiB`.
//!
//! `KB`, `MB` and `GB` are powers of 1000, `KiB`, `MiB` and `GiB` of 1024. It refuses a number
//! without a unit, because it could mean any of them.

use std::fmt;
use std::str::FromStr;

/// Units, largest first.
const UNITS: [(&str, u64); 6] = [
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1000),
];

/// The largest size of a plan, in bytes: a thousand gigabytes. No forge takes a push of that size.
const LARGEST: u64 = 1_000_000_000_000;

/// A number of bytes, from one kilobyte to a thousand gigabytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

/// Why a text is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSize {
    /// A number alone.
    #[error("has no unit")]
    NoUnit,
    /// A unit that does not exist here.
    #[error("has the unit `{0}`, which is not one")]
    UnknownUnit(String),
    /// Less than a kilobyte, or too much.
    #[error("is out of range")]
    OutOfRange,
    /// Anything else.
    #[error("is not a size")]
    Malformed,
}

impl Size {
    /// What one task may add where the plan says nothing. GitHub refuses larger files.
    pub const USUAL: Self = Self(100_000_000);

    /// In bytes.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.0
    }
}

/// A number of bytes for people, in the largest unit that leaves a number before the point: `1.5
/// GB`.
#[must_use]
pub fn format_bytes(bytes: u64) -> String {
    let found = UNITS
        .iter()
        .find(|(name, unit)| !name.contains('i') && bytes >= *unit);
    let Some((name, unit)) = found else {
        return format!("{bytes} bytes");
    };
    // Rounded up, so that what is over a limit never reads like the limit.
    let tenths = (bytes / unit) * 10 + (bytes % unit * 10).div_ceil(*unit);
    match (tenths / 10, tenths % 10) {
        (whole, 0) => format!("{whole} {name}"),
        (whole, tenth) => format!("{whole}.{tenth} {name}"),
    }
}

impl FromStr for Size {
    type Err = BadSize;
    fn from_str(text: &str) -> Result<Self, BadSize> {
        let text = text.trim();
        let end = text
            .find(|character: char| !(character.is_ascii_digit() || character == '.'))
            .unwrap_or(text.len());
        let (number, unit) = (&text[..end], text[end..].trim_start());
        if number.is_empty() {
            return Err(BadSize::Malformed);
        }
        if unit.is_empty() {
            return Err(BadSize::NoUnit);
        }
        let known = UNITS.iter().find(|(name, _)| *name == unit);
        let (_, unit) =
            known.ok_or_else(|| BadSize::UnknownUnit(unit.chars().take(20).collect()))?;
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty()
            || part.len() > 3
            || part.contains('.')
            || (part.is_empty() && number.contains('.'))
        {
            return Err(BadSize::Malformed);
        }
        let whole: u64 = whole.parse().map_err(|_| BadSize::OutOfRange)?;
        // Thousandths; a unit has at most ten digits, so nothing overflows.
        let thousandths: u64 = format!("{part:0<3}")
            .parse()
            .map_err(|_| BadSize::Malformed)?;
        let bytes = whole
            .checked_mul(*unit)
            .ok_or(BadSize::OutOfRange)?
            .saturating_add(thousandths * unit / 1000);
        if (1000..=LARGEST).contains(&bytes) {
            Ok(Self(bytes))
        } else {
            Err(BadSize::OutOfRange)
        }
    }
}

impl fmt::Display for Size {
    /// As plans write it, and reads back as the same where a plan said it in whole units.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS
            .iter()
            .filter(|(_, unit)| self.0.is_multiple_of(*unit))
            .max_by_key(|(_, unit)| *unit);
        match whole {
            Some((name, unit)) => write!(f, "{}{name}", self.0 / unit),
            // A part of a unit, as `0.001KiB` would be: thousandths of a kilobyte are bytes.
            None => write!(f, "{}.{:03}KB", self.0 / 1000, self.0 % 1000),
        }
    }
}

#[cfg(test)]
mod tests;
