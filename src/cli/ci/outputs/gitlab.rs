//! GitLab's forms: lines of the log, sections that fold, and the report of variables for later
//! jobs.
//!
//! A section begins and ends with a carriage return and an escape sequence, which no text of
//! anybody's keeps here. It refuses to put a value into a variable that could end its line, or be
//! expanded into something else.

use std::collections::BTreeMap;

use super::{Level, inert};
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
pub(super) fn said(level: Level, message: &str, colour: Colour) -> String {
    let code = match level {
        Level::Notice => "36",
        Level::Warning => "33",
        Level::Error => "31",
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
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_become_another_variable() {
        let told = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                .collect::<BTreeMap<_, _>>()
        };
        let usual = told(&[
            ("verdict", "ready"),
            ("branch", "omk/run/mr-12"),
            ("cost", "0.012000"),
            ("bundle", "/x"),
        ]);
        assert_eq!(
            dotenv(&usual),
            "OMK_VERDICT=ready\nOMK_BRANCH=omk/run/mr-12\nOMK_COST=0.012000\n"
        );
        for hostile in [
            "a\nLD_PRELOAD=x",
            "a\rb",
            "$HOME",
            "`id`",
            "a b",
            "\"",
            "ä",
            "",
            "a=b",
        ] {
            assert_eq!(dotenv(&told(&[("branch", hostile)])), "", "{hostile:?}");
        }
        let all: Vec<(&str, String)> = DOTENV
            .iter()
            .map(|(_, name)| (*name, "x".repeat(LONGEST)))
            .collect();
        let all: Vec<(&str, &str)> = all
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        assert!(dotenv(&told(&all)).len() < 5_000);
        assert_eq!(dotenv(&told(&[("branch", &"x".repeat(LONGEST + 1))])), "");
    }

    #[test]
    fn nobodys_text_opens_or_ends_a_section() {
        let hostile = "x\r\x1b[0Ksection_end:1:omk_1\r\x1b[0K\n\x1b[31mred";
        let text = section(1, Moment::from_millis(1_700_000_000_999), hostile, hostile);
        assert_eq!(text.matches('\r').count(), 2);
        assert!(
            text.starts_with("\x1b[0Ksection_start:1700000000:omk_1[collapsed=true]\r\x1b[0Kx "),
            "{text:?}"
        );
        assert!(
            text.ends_with("\x1b[0Ksection_end:1700000000:omk_1\r\x1b[0K\n"),
            "{text:?}"
        );
        assert_eq!(
            said(Level::Warning, "a\r\x1b[0Kb", Colour::Off),
            "warning: a\nb"
        );
        assert!(said(Level::Error, "x", Colour::On).starts_with("\x1b[31merror:\x1b[0m x"));
    }
}
