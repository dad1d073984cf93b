//! What went wrong, and what a person can do about it: two parts, and the one way to show both.
//!
//! It refuses to let advice into the text of an error: a text is shown, and nobody looks for its
//! parts again.

use std::borrow::Cow;
use std::fmt::Display;

/// What can say what a person can do about it. Its text says what went wrong, and no advice.
///
/// A trait, since each room has errors of its own, and all are shown in the same ways.
pub trait Advised: Display {
    /// What to do next, as a clause: "install git 2.38 or newer"; `None` if omk does not know.
    fn advice(&self) -> Option<Cow<'_, str>>;

    /// Both parts, for a place that has one line.
    fn in_full(&self) -> String {
        with_advice(&self.to_string(), self.advice().as_deref())
    }
}

/// What went wrong and what to do about it, for a place that has one line: `what; advice`.
#[must_use]
pub fn with_advice(what: &str, advice: Option<&str>) -> String {
    advice.map_or_else(|| what.to_owned(), |advice| format!("{what}; {advice}"))
}
