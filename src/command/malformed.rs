//! What is wrong with a command, where, and what was probably meant.
//!
//! It refuses to show a word of a comment with anything in it that could hide or move text.

use super::digest;
use super::grammar;
use crate::plan::{Complaint, Position, did_you_mean, nearest, quoted};
use crate::text::ForgeKind;

/// What the text is called in a complaint.
const NAME: &str = "comment";

/// A command that cannot be understood, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    complaint: Box<Complaint>,
    text: String,
    /// What to do next, where each forge has its own words for it; then the complaint has no hint.
    advice: Option<Advice>,
}

/// What to do next, which each forge has its own words for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Advice {
    /// Look the digest up.
    LookUp,
    /// Copy the digest.
    Copy,
    /// Name one commit.
    NameHead,
}

impl Advice {
    fn words(self, forge: ForgeKind) -> String {
        match self {
            Self::LookUp => format!("{} shows it", forge.plan_shown()),
            Self::Copy => format!("copy it from {}", forge.plan_shown()),
            Self::NameHead => {
                format!(
                    "a run is built on one: name the {}'s head, or none",
                    forge.pull_request()
                )
            }
        }
    }
}

impl Malformed {
    /// What to do next, in a forge's words.
    #[must_use]
    pub fn hint(&self, forge: ForgeKind) -> Option<String> {
        self.advice
            .map(|advice| advice.words(forge))
            .or_else(|| self.complaint.hint.clone())
    }

    /// All of it with line, column, excerpt and caret, ending with a line end, in a forge's words.
    /// It is plain text, not Markdown.
    #[must_use]
    pub fn render(&self, forge: ForgeKind) -> String {
        let complaint = Complaint {
            hint: self.hint(forge),
            ..(*self.complaint).clone()
        };
        complaint.render(NAME, &self.text)
    }

    fn new(line: &MalformedLine<'_>, word: Word<'_>, what: String) -> Self {
        let place = Position {
            line: line.number,
            column: word.column,
            width: word.text.chars().count().max(1),
        };
        let complaint = Complaint {
            what,
            place: Some(place),
            ..Complaint::default()
        };
        Self {
            complaint: Box::new(complaint),
            text: line.text.to_owned(),
            advice: None,
        }
    }

    fn advise_by_forge(mut self, advice: Advice) -> Self {
        self.advice = Some(advice);
        self
    }

    fn advise(mut self, hint: impl Into<String>) -> Self {
        self.complaint.advise(hint);
        self
    }

    fn note(mut self, note: impl Into<String>) -> Self {
        self.complaint.note(note);
        self
    }

    /// What can be asked, beside what is wrong.
    fn with_help(self) -> Self {
        let known = grammar::names().join("`, `");
        self.note(format!("what can be asked: `{known}`"))
    }

    pub(super) fn too_long(number: usize, text: &str, most: usize) -> Self {
        let shown = crate::text::clip(text, super::SHOWN);
        let line = MalformedLine::of(number, &shown);
        let what = format!("this line is longer than {most} bytes, and was not read");
        Self::new(&line, line.head(), what).advise("name fewer tasks")
    }

    pub(super) fn too_many(number: usize, text: &str, more: usize, most: usize) -> Self {
        let shown = crate::text::clip(text, super::SHOWN);
        let line = MalformedLine::of(number, &shown);
        let what = format!(
            "a comment holds at most {most} commands; this and what follows were not read ({more} in all)"
        );
        Self::new(&line, line.head(), what).advise("write them in another comment")
    }

    /// A second run or retry.
    pub(super) fn second(number: usize, text: &str, first: usize) -> Self {
        let line = MalformedLine::of(number, text);
        let what = format!(
            "a comment starts at most one run, and line {first} asks for one already; none was started"
        );
        Self::new(&line, line.head(), what).advise("write one line: `/omk run` or `/omk retry`")
    }
}

/// Words that other tools use for ours.
const FOREIGN: [(&str, &str); 8] = [
    ("start", "run"),
    ("test", "run"),
    ("rerun", "retry"),
    ("preview", "plan"),
    ("stop", "cancel"),
    ("abort", "cancel"),
    ("check", "verify"),
    ("usage", "help"),
];

/// The command that was probably meant. Short words are nothing like each other by likeness, so one
/// slip is looked for first.
fn meant(word: &str, names: &[String]) -> Option<String> {
    let foreign = FOREIGN
        .iter()
        .find(|(other, _)| *other == word)
        .map(|(_, ours)| (*ours).to_owned());
    let slip = || {
        names
            .iter()
            .find(|name| strsim::osa_distance(word, name) == 1)
            .cloned()
    };
    foreign
        .or_else(slip)
        .or_else(|| nearest(word, names.iter().map(String::as_str)))
}

/// A word of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word<'t> {
    pub(super) text: &'t str,
    /// From 1, in characters.
    column: usize,
}

/// A line that begins with `/omk`, taken apart.
pub(super) struct MalformedLine<'t> {
    number: usize,
    text: &'t str,
    /// The words behind `/omk`.
    pub(super) words: Vec<Word<'t>>,
}

impl<'t> MalformedLine<'t> {
    pub(super) fn of(number: usize, text: &'t str) -> Self {
        let mut column = 1;
        let mut words = Vec::new();
        for piece in text.split_inclusive(char::is_whitespace) {
            let word = piece.trim_end_matches(char::is_whitespace);
            if !word.is_empty() {
                words.push(Word { text: word, column });
            }
            column += piece.chars().count();
        }
        Self {
            number,
            text,
            words: words.split_off(words.len().min(1)),
        }
    }

    /// `/omk` itself.
    fn head(&self) -> Word<'t> {
        let text = self.text.trim_start_matches(' ');
        Word {
            text: text.get(..4).unwrap_or(text),
            column: self.text.len() - text.len() + 1,
        }
    }

    pub(super) fn last(&self) -> Word<'t> {
        self.words.last().copied().unwrap_or_else(|| self.head())
    }

    /// The last word that says so, behind the first one.
    pub(super) fn word(&self, text: &str) -> Word<'t> {
        self.words
            .iter()
            .skip(1)
            .rfind(|word| word.text == text)
            .copied()
            .unwrap_or_else(|| self.last())
    }

    pub(super) fn nothing_asked(&self) -> Malformed {
        Malformed::new(
            self,
            self.head(),
            "`/omk` needs to be told what to do".to_owned(),
        )
        .advise("add a word: `/omk run`")
        .with_help()
    }

    pub(super) fn unknown(&self, word: Word<'_>) -> Malformed {
        let names = grammar::names();
        let plain = word
            .text
            .trim_matches(|c: char| !c.is_alphanumeric())
            .to_lowercase();
        let meant = meant(&plain, &names);
        let hint = meant.map_or_else(
            || "`/omk help` tells more".to_owned(),
            |meant| did_you_mean(&meant),
        );
        Malformed::new(
            self,
            word,
            format!("omk does not know the command {}", quoted(word.text)),
        )
        .advise(hint)
        .with_help()
    }

    pub(super) fn too_much(&self, word: Word<'_>, command: Word<'_>) -> Malformed {
        let usage = grammar::usage_of(command.text).unwrap_or_default();
        let what = format!(
            "{} is more than `/omk {}` takes",
            quoted(word.text),
            command.text
        );
        Malformed::new(self, word, what).advise(format!("write `{usage}`, and nothing behind it"))
    }

    pub(super) fn too_little(&self, command: Word<'_>) -> Malformed {
        let usage = grammar::usage_of(command.text).unwrap_or_default();
        Malformed::new(
            self,
            command,
            format!(
                "`/omk {}` needs the digest of the plan: `{usage}`",
                command.text
            ),
        )
        .advise_by_forge(Advice::LookUp)
    }

    pub(super) fn option(&self, word: Word<'_>) -> Malformed {
        let what = format!(
            "{} is an option, and a comment takes none",
            quoted(word.text)
        );
        Malformed::new(self, word, what)
            .advise("how a run works is what the plan on the default branch says")
    }

    pub(super) fn bad_task(&self, word: Word<'_>) -> Malformed {
        let is_hex = word.text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let what = format!("{} is not a task's id", quoted(word.text));
        let malformed = Malformed::new(self, word, what);
        if is_hex && word.text.len() == 40 {
            return malformed.advise("a commit is written in lower-case digits");
        }
        let plain: String = word
            .text
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
            .collect();
        let plain = plain.to_lowercase();
        match plain.parse::<crate::id::TaskId>() {
            Ok(task) => malformed.advise(did_you_mean(task.as_str())),
            Err(_) => malformed
                .advise("an id is of a-z, 0-9, `_` and `-`, and begins with a letter or digit"),
        }
    }

    pub(super) fn second_commit(&self, word: Word<'_>) -> Malformed {
        let what = format!("{} is a second commit", quoted(word.text));
        Malformed::new(self, word, what).advise_by_forge(Advice::NameHead)
    }

    pub(super) fn bad_digest(&self, word: Word<'_>) -> Malformed {
        let length = word.text.chars().count();
        let is_hex = word.text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let what = format!("{} is not the digest of a plan", quoted(word.text));
        let malformed = Malformed::new(self, word, what);
        let hint = match () {
            () if is_hex && length < digest::FEWEST => {
                format!("give at least {} digits; it has {length}", digest::FEWEST)
            }
            () if is_hex && length > digest::ALL => {
                format!("a SHA-256 has {} digits; this has {length}", digest::ALL)
            }
            () if is_hex => "write it in lower case".to_owned(),
            () => return malformed.advise_by_forge(Advice::Copy),
        };
        malformed.advise(hint)
    }
}
