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
mod tests;
