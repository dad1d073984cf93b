//! Durations as plans write them: `30s`, `5h30m`, `1d`.
//!
//! It refuses a number without a unit, because nobody agrees which one was meant, and anything no
//! run could wait for.

use std::time::Duration;

/// The longest duration of a plan: a year. No forge lets a job run so long, and no deadline
/// overflows.
pub(super) const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The shortest: timers count in milliseconds.
pub(super) const SHORTEST: Duration = Duration::from_millis(1);

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadDuration {
    /// A number alone.
    #[error("has no unit")]
    NoUnit,
    /// A unit that does not exist here.
    #[error("has the unit `{0}`, which is not one")]
    UnknownUnit(String),
    /// A minus sign.
    #[error("is negative")]
    Negative,
    /// Zero, or less than a millisecond.
    #[error("is shorter than a millisecond")]
    TooShort,
    /// Over a year.
    #[error("is longer than a year")]
    TooLong,
    /// Anything else.
    #[error("is not a duration")]
    Malformed,
}

/// Reads a duration as plans write them, from `1ms` to `365d`.
///
/// # Errors
/// Where it has no unit or an unknown one, is out of range, or is no duration at all.
pub fn parse_duration(text: &str) -> Result<Duration, BadDuration> {
    let text = text.trim();
    if text.starts_with('-') {
        return Err(BadDuration::Negative);
    }
    if !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        return Err(BadDuration::NoUnit);
    }
    // To the library `M` is a month; whoever writes it here means minutes.
    if let Some(upper) = text.chars().find(char::is_ascii_uppercase) {
        return Err(BadDuration::UnknownUnit(upper.to_string()));
    }
    let duration = humantime::parse_duration(text).map_err(|error| reword(&error))?;
    match duration {
        short if short < SHORTEST => Err(BadDuration::TooShort),
        long if long > LONGEST => Err(BadDuration::TooLong),
        sound => Ok(sound),
    }
}

fn reword(error: &humantime::DurationError) -> BadDuration {
    match error {
        humantime::DurationError::UnknownUnit { unit, .. } if unit.is_empty() => {
            BadDuration::NoUnit
        }
        humantime::DurationError::UnknownUnit { unit, .. } => {
            BadDuration::UnknownUnit(unit.chars().take(20).collect())
        }
        humantime::DurationError::NumberOverflow => BadDuration::TooLong,
        humantime::DurationError::InvalidCharacter(_)
        | humantime::DurationError::NumberExpected(_)
        | humantime::DurationError::Empty => BadDuration::Malformed,
    }
}

/// A duration as plans write it; reads back as the same.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let (seconds, mut out) = (duration.as_secs(), String::new());
    let whole = [
        ("d", seconds / 86_400),
        ("h", seconds / 3600 % 24),
        ("m", seconds / 60 % 60),
        ("s", seconds % 60),
    ];
    let nanos = u64::from(duration.subsec_nanos());
    let parts = [
        ("ms", nanos / 1_000_000),
        ("us", nanos / 1000 % 1000),
        ("ns", nanos % 1000),
    ];
    for (unit, count) in whole.into_iter().chain(parts) {
        if count > 0 {
            out.push_str(&format!("{count}{unit}"));
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_plans_are_read() {
        let seconds = |text| parse_duration(text).map(|duration| duration.as_secs());
        assert_eq!(seconds("30m"), Ok(1800));
        assert_eq!(seconds("5h30m"), Ok(19_800));
        assert_eq!(seconds("1d 2h"), Ok(93_600));
        assert_eq!(parse_duration("1500ms"), Ok(Duration::from_millis(1500)));
    }

    #[test]
    fn mistakes_are_told_apart() {
        assert_eq!(parse_duration("30"), Err(BadDuration::NoUnit));
        assert_eq!(parse_duration("1h30"), Err(BadDuration::NoUnit));
        assert_eq!(parse_duration("-5m"), Err(BadDuration::Negative));
        assert_eq!(parse_duration("0s"), Err(BadDuration::TooShort));
        assert_eq!(parse_duration("2years"), Err(BadDuration::TooLong));
        assert_eq!(
            parse_duration("99999999999999999999h"),
            Err(BadDuration::TooLong)
        );
        assert_eq!(
            parse_duration("5 parsecs"),
            Err(BadDuration::UnknownUnit("parsecs".to_owned()))
        );
        assert_eq!(
            parse_duration("1M"),
            Err(BadDuration::UnknownUnit("M".to_owned()))
        );
        assert_eq!(parse_duration("soon"), Err(BadDuration::Malformed));
        assert_eq!(parse_duration(""), Err(BadDuration::Malformed));
    }

    #[test]
    fn a_millisecond_is_the_shortest_and_a_year_the_longest() {
        assert_eq!(parse_duration("1ms"), Ok(Duration::from_millis(1)));
        assert_eq!(parse_duration("999us"), Err(BadDuration::TooShort));
        assert_eq!(parse_duration("365d"), Ok(Duration::from_secs(31_536_000)));
        assert_eq!(parse_duration("365d 1ms"), Err(BadDuration::TooLong));
        assert_eq!(parse_duration("1.5"), Err(BadDuration::NoUnit));
        let unit = "x".repeat(21);
        assert_eq!(
            parse_duration(&format!("1{unit}")),
            Err(BadDuration::UnknownUnit("x".repeat(20)))
        );
    }

    #[test]
    fn each_unit_is_written_where_there_is_some_of_it() {
        for (nanos, expect) in [
            (0, "0s"),
            (1, "1ns"),
            (1_000, "1us"),
            (999_999_999, "999ms999us999ns"),
            (1_000_000_000, "1s"),
            (59_000_000_000, "59s"),
            (60_000_000_000, "1m"),
            (3_599_000_000_000, "59m59s"),
            (3_600_000_000_000, "1h"),
            (86_399_000_000_000, "23h59m59s"),
            (90_061_002_003_004, "1d1h1m1s2ms3us4ns"),
        ] {
            assert_eq!(format_duration(Duration::from_nanos(nanos)), expect);
        }
    }

    proptest::proptest! {
        #[test]
        fn written_durations_read_back(millis in 1u64..31_536_000_000) {
            let duration = Duration::from_millis(millis);
            proptest::prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,20}") {
            drop(parse_duration(&text));
        }
    }
}
