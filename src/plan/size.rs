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
mod tests {
    use super::*;

    #[test]
    fn sizes_of_plans_are_read() {
        let bytes = |text: &str| text.parse::<Size>().map(Size::bytes);
        assert_eq!(bytes("100MB"), Ok(100_000_000));
        assert_eq!(bytes("100 MB"), Ok(100_000_000));
        assert_eq!(bytes("1.5GiB"), Ok(1_610_612_736));
        assert_eq!(bytes("1KB"), Ok(1000));
        assert_eq!(Size::USUAL.to_string(), "100MB");
    }

    #[test]
    fn mistakes_are_told_apart() {
        let bad = |text: &str| text.parse::<Size>().unwrap_err();
        assert_eq!(bad("100"), BadSize::NoUnit);
        assert_eq!(bad("100mb"), BadSize::UnknownUnit("mb".to_owned()));
        assert_eq!(bad("5 parsecs"), BadSize::UnknownUnit("parsecs".to_owned()));
        for text in ["0KB", "0.9KB", "2000GB", "99999999999999999999GB"] {
            assert_eq!(bad(text), BadSize::OutOfRange, "{text}");
        }
        for text in ["", "much", "-1MB", "1..5MB", "1.MB", ".5MB", "1.2345MB"] {
            assert_eq!(bad(text), BadSize::Malformed, "{text}");
        }
    }

    #[test]
    fn people_read_a_size_rounded_up() {
        assert_eq!(format_bytes(100_000_000), "100 MB");
        assert_eq!(format_bytes(100_000_001), "100.1 MB");
        assert_eq!(format_bytes(1_510_000_000), "1.6 GB");
        assert_eq!(format_bytes(999), "999 bytes");
    }

    #[test]
    fn sizes_hold_at_both_ends_and_to_the_thousandth() {
        let bytes = |text: &str| text.parse::<Size>().map(Size::bytes);
        assert_eq!(bytes("1000GB"), Ok(1_000_000_000_000));
        assert_eq!(bytes("1000.001GB"), Err(BadSize::OutOfRange));
        assert_eq!(bytes("0.999KB"), Err(BadSize::OutOfRange));
        assert_eq!(bytes("0.001MB"), Ok(1000));
        assert_eq!(bytes("1.05KB"), Ok(1050));
        assert_eq!(bytes("1.001KiB"), Ok(1025));
        assert_eq!(bytes("2.5MiB"), Ok(2_621_440));
        assert_eq!(bytes("1.234GB"), Ok(1_234_000_000));
        assert_eq!(
            bytes(&format!("1{}", "x".repeat(21))),
            Err(BadSize::UnknownUnit("x".repeat(20)))
        );
    }

    #[test]
    fn a_size_is_written_in_its_largest_whole_unit() {
        for (bytes, expect) in [
            (1000, "1KB"),
            (1001, "1.001KB"),
            (1024, "1KiB"),
            (1_048_576, "1MiB"),
            (1_000_000, "1MB"),
            (1_500_000, "1500KB"),
            (1_073_741_824, "1GiB"),
            (1_000_000_000, "1GB"),
            (12_345_678, "12345.678KB"),
        ] {
            assert_eq!(Size(bytes).to_string(), expect);
        }
    }

    #[test]
    fn people_read_each_unit_from_its_first_byte_on() {
        for (bytes, expect) in [
            (0, "0 bytes"),
            (1000, "1 KB"),
            (1001, "1.1 KB"),
            (1100, "1.1 KB"),
            (999_999, "1000 KB"),
            (1_000_000, "1 MB"),
            (1_073_741_824, "1.1 GB"),
            (2_950_000_000, "3 GB"),
        ] {
            assert_eq!(format_bytes(bytes), expect);
        }
    }

    proptest::proptest! {
        #[test]
        fn written_sizes_read_back(bytes in 1000_u64..=LARGEST) {
            proptest::prop_assert_eq!(Size(bytes).to_string().parse(), Ok(Size(bytes)));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,20}") {
            drop(text.parse::<Size>());
        }
    }
}
