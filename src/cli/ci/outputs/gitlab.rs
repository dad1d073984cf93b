//! GitLab's forms: lines of the log, sections that fold, and the report of variables for later
//! jobs.
//!
//! A section begins and ends with a carriage return and an escape sequence, which no text of
//! anybody's keeps here. It refuses to put a value into a variable that could end its line, or be
//! expanded into something else.

use std::collections::BTreeMap;

use super::{JobAnnotationLevel, inert};
use crate::id::Moment;
use crate::report::terminal::Colour;
use crate::text;

/// The variables that later jobs get, and what they are called among the outputs.
const DOTENV: [(&str, &str); 7] = [
    ("OMK_VERDICT", "verdict"),
    ("OMK_BRANCH", "branch"),
    ("OMK_MERGE_REQUEST", "pull-request"),
    ("OMK_RUN_ID", "run-id"),
    ("OMK_SCOPE", "scope"),
    ("OMK_TOKENS", "tokens"),
    ("OMK_COST", "cost"),
];

/// The longest value: all of them together stay below the 5 KB that GitLab takes of a report.
const LONGEST: usize = 512;

/// The report of variables; what could be read as something else is left out.
pub(super) fn dotenv(told: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    for (variable, name) in DOTENV {
        if let Some(value) = told.get(name).filter(|value| is_plain(value)) {
            out.push_str(&format!("{variable}={value}\n"));
        }
    }
    out
}

fn is_plain(value: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    !value.is_empty() && value.len() <= LONGEST && value.bytes().all(plain)
}

/// A line of the log, or more.
pub(super) fn said(level: JobAnnotationLevel, message: &str, colour: Colour) -> String {
    let code = match level {
        JobAnnotationLevel::Notice => "36",
        JobAnnotationLevel::Warning => "33",
        JobAnnotationLevel::Error => "31",
    };
    let message = inert(message);
    match colour {
        Colour::On => format!("\x1b[{code}m{}:\x1b[0m {message}", level.as_str()),
        Colour::Off => format!("{}: {message}", level.as_str()),
    }
}

/// Lines that are folded below a title.
pub(super) fn section(number: usize, at: Moment, title: &str, lines: &str) -> String {
    let (seconds, name) = (at.as_millis().div_euclid(1000), format!("omk_{number}"));
    let title = text::clip(&inert(title).replace('\n', " "), 200);
    let lines = inert(lines.trim_end());
    format!(
        "\x1b[0Ksection_start:{seconds}:{name}[collapsed=true]\r\x1b[0K{title}\n{lines}\n\
         \x1b[0Ksection_end:{seconds}:{name}\r\x1b[0K\n"
    )
}

#[cfg(test)]
mod tests;
