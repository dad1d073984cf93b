//! Fields that hold a quantity: whole numbers, numbers, durations and sizes.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{Field, SHOWN};
use crate::plan::complaint::{Critic, quoted};
use crate::plan::duration::{BadDuration, parse_duration};
use crate::plan::scalar::{Scalar, ScalarMeaning};
use crate::text::beginning;

impl<'n> Field<'n> {
    /// A whole number within `range`.
    pub(in crate::plan::lower) fn whole<T>(
        self,
        range: RangeInclusive<T>,
        critic: &mut Critic<'_>,
    ) -> Option<T>
    where
        T: TryFrom<i128> + Into<i128> + Copy,
    {
        let scalar = self.scalar("a whole number", critic)?;
        let (least, most) = ((*range.start()).into(), (*range.end()).into());
        match scalar.meaning() {
            ScalarMeaning::Whole(Some(value)) if (least..=most).contains(&value) => {
                return T::try_from(value).ok();
            }
            ScalarMeaning::Whole(_) => {
                let what = format!("`{}` is out of range", self.key);
                critic
                    .say(self.node.at, what)
                    .advise(format!("it goes from {least} to {most}"));
            }
            ScalarMeaning::Number(_) | ScalarMeaning::Bool(_) | ScalarMeaning::Nothing => {
                self.wrong("a whole number", critic)
            }
            ScalarMeaning::Text => self.number_as_text("a whole number", scalar, critic),
        }
        None
    }

    /// A finite number for which `sound` holds; `rule` says what that is.
    pub(in crate::plan::lower) fn number(
        self,
        rule: &str,
        sound: fn(f64) -> bool,
        critic: &mut Critic<'_>,
    ) -> Option<f64> {
        let scalar = self.scalar("a number", critic)?;
        let value = match scalar.meaning() {
            #[expect(
                clippy::cast_precision_loss,
                reason = "prices and factors are no counts"
            )]
            ScalarMeaning::Whole(value) => value.map(|value| value as f64),
            ScalarMeaning::Number(value) => Some(value),
            ScalarMeaning::Bool(_) | ScalarMeaning::Nothing => {
                self.wrong("a number", critic);
                return None;
            }
            ScalarMeaning::Text => {
                self.number_as_text("a number", scalar, critic);
                return None;
            }
        };
        match value {
            Some(value) if !value.is_finite() => {
                critic
                    .say(self.node.at, format!("`{}` must be finite", self.key))
                    .advise(format!("it must be {rule}"));
                None
            }
            Some(value) if sound(value) => Some(value),
            Some(_) | None => {
                critic
                    .say(self.node.at, format!("`{}` is out of range", self.key))
                    .advise(format!("it must be {rule}"));
                None
            }
        }
    }

    fn number_as_text(self, expected: &str, scalar: &Scalar, critic: &mut Critic<'_>) {
        let digits: String = scalar
            .text
            .chars()
            .filter(|character| !matches!(character, '_' | ',' | ' '))
            .collect();
        let bare = Scalar {
            text: digits,
            plain: true,
        };
        let hint = match bare.meaning() {
            ScalarMeaning::Whole(_) | ScalarMeaning::Number(_) => {
                format!("write {} without quotes", beginning(&bare.text, SHOWN))
            }
            ScalarMeaning::Text | ScalarMeaning::Bool(_) | ScalarMeaning::Nothing => {
                format!("write {expected}")
            }
        };
        critic
            .say(
                self.pointed(),
                format!("`{}` must be {expected}, but this is text", self.key),
            )
            .advise(hint);
    }

    /// A duration with its unit.
    pub(in crate::plan::lower) fn duration(self, critic: &mut Critic<'_>) -> Option<Duration> {
        let scalar = self.scalar("a duration", critic)?;
        if scalar.meaning() == ScalarMeaning::Nothing
            || matches!(scalar.meaning(), ScalarMeaning::Bool(_))
        {
            self.wrong("a duration", critic);
            return None;
        }
        let bad = match parse_duration(&scalar.text) {
            Ok(duration) => return Some(duration),
            Err(bad) => bad,
        };
        let hint = match &bad {
            BadDuration::NoUnit if scalar.text.bytes().all(|byte| byte.is_ascii_digit()) => {
                format!("write `{0}s` or `{0}m`", beginning(&scalar.text, SHOWN))
            }
            BadDuration::UnknownUnit(_) => "the units are `s`, `m`, `h` and `d`".to_owned(),
            BadDuration::TooLong | BadDuration::TooShort | BadDuration::Negative => {
                "it goes from `1ms` to `365d`".to_owned()
            }
            BadDuration::NoUnit | BadDuration::Malformed => {
                "write it like `90s`, `30m` or `5h30m`".to_owned()
            }
        };
        critic
            .say(
                self.pointed(),
                format!("the duration {} {bad}", quoted(&scalar.text)),
            )
            .advise(hint);
        None
    }
}
