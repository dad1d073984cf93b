//! Complaints: what is wrong with a text, where, why, and what to do next.
//!
//! It refuses to be flooded: the first thousand are kept, the rest is counted.

use std::fmt;

use super::excerpt::{Span, TextLines, render, visible};
use super::nearest::Guesser;

/// How many complaints are kept; the rest is counted. Nobody reads more, and a hostile file could
/// make a million.
const KEPT: usize = 1000;

/// How much of somebody's text is quoted in a sentence, in characters.
const QUOTED: usize = 60;

/// A position in a text, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// How many characters are meant; at least 1, and never more than the line has.
    pub width: usize,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Complaint {
    /// What is wrong, and why: a lowercase sentence without a full stop.
    pub what: String,
    /// What to do next.
    pub hint: Option<String>,
    /// Where; absent = the file as a whole.
    pub place: Option<Position>,
    /// What else helps to understand it.
    pub notes: Vec<String>,
}

impl Complaint {
    /// A complaint about the file as a whole.
    #[must_use]
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            ..Self::default()
        }
    }

    /// Says what to do next.
    pub fn advise(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what else helps.
    pub fn note(&mut self, note: impl Into<String>) -> &mut Self {
        self.notes.push(note.into());
        self
    }

    /// It as people read it, ending with a line end, where only the line that it is about is at
    /// hand.
    #[must_use]
    pub fn render(&self, file: &str, line: &str) -> String {
        let mut out = String::new();
        render(&mut out, file, line, self);
        out
    }
}

/// Every mistake of one text, in its order; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaints {
    file: String,
    text: String,
    kept: Vec<Complaint>,
    more: usize,
}

impl Complaints {
    /// One complaint about a text as a whole.
    #[must_use]
    pub fn one(file: &str, complaint: Complaint) -> Self {
        Self {
            file: file.to_owned(),
            text: String::new(),
            kept: vec![complaint],
            more: 0,
        }
    }

    /// What the text was called.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// How many mistakes there are.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is always at least one")]
    pub fn len(&self) -> usize {
        self.kept.len() + self.more
    }

    /// The mistakes, in the order of the text; the first thousand where there are more.
    pub fn iter(&self) -> std::slice::Iter<'_, Complaint> {
        self.kept.iter()
    }

    /// All of it as people read it, ending with a line end.
    #[must_use]
    pub fn render(&self) -> String {
        let lines = TextLines::of(&self.text);
        let mut out = String::new();
        for (index, complaint) in self.kept.iter().enumerate() {
            if index > 0 {
                out.push('\n');
            }
            let line = complaint
                .place
                .map_or("", |place| lines.line(place.line - 1));
            render(&mut out, &self.file, line, complaint);
        }
        if self.more > 0 {
            out.push_str(&format!(
                "\nerror: {} more mistakes are not shown\n",
                self.more
            ));
        }
        out
    }
}

impl<'a> IntoIterator for &'a Complaints {
    type Item = &'a Complaint;
    type IntoIter = std::slice::Iter<'a, Complaint>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Complaints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render().trim_end())
    }
}

impl std::error::Error for Complaints {}

/// `text` in backticks as part of a sentence: clipped, and without anything that could leave its
/// line.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("`");
    for (index, character) in text.chars().enumerate() {
        if index == QUOTED {
            out.push('…');
            break;
        }
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other => out.push(visible(other)),
        }
    }
    out.push('`');
    out
}

/// Collects the complaints about one text.
pub(super) struct Critic<'t> {
    file: &'t str,
    lines: TextLines<'t>,
    found: Vec<(Span, Complaint)>,
    seen: std::collections::HashSet<(Span, String)>,
    more: usize,
    /// Takes the words about complaints that are not kept.
    spare: Complaint,
    guesser: Guesser,
}

impl<'t> Critic<'t> {
    pub(super) fn new(file: &'t str, text: &'t str) -> Self {
        let lines = TextLines::of(text);
        Self {
            file,
            lines,
            found: Vec::new(),
            seen: std::collections::HashSet::new(),
            more: 0,
            spare: Complaint::default(),
            guesser: Guesser::new(),
        }
    }

    /// Complains about a place, once: what is used through an alias is read more than once.
    pub(super) fn say(&mut self, at: Span, what: impl Into<String>) -> &mut Complaint {
        let what = what.into();
        self.spare = Complaint::default();
        if self.seen.contains(&(at, what.clone())) {
            return &mut self.spare;
        }
        if self.found.len() == KEPT {
            self.more += 1;
            return &mut self.spare;
        }
        self.seen.insert((at, what.clone()));
        let place = Some(self.lines.place(at));
        self.found.push((
            at,
            Complaint {
                what,
                hint: None,
                place,
                notes: Vec::new(),
            },
        ));
        match self.found.last_mut() {
            Some((_, complaint)) => complaint,
            None => &mut self.spare,
        }
    }

    /// `file:line:column` of a place, for notes.
    pub(super) fn whereabouts(&self, at: Span) -> String {
        let place = self.lines.place(at);
        format!("{}:{}:{}", self.file, place.line, place.column)
    }

    /// The candidate that was probably meant by `word`.
    pub(super) fn guess<'c>(
        &mut self,
        word: &str,
        candidates: impl Iterator<Item = &'c str>,
    ) -> Option<String> {
        if self.found.len() == KEPT {
            None
        } else {
            self.guesser.guess(word, candidates)
        }
    }

    /// All complaints in the order of the text; `None` where there are none.
    pub(super) fn verdict(mut self) -> Option<Complaints> {
        if self.found.is_empty() {
            return None;
        }
        self.found.sort_by_key(|(at, _)| at.start);
        let kept = self
            .found
            .into_iter()
            .map(|(_, complaint)| complaint)
            .collect();
        Some(Complaints {
            file: self.file.to_owned(),
            text: self.lines.text.to_owned(),
            kept,
            more: self.more,
        })
    }
}

#[cfg(test)]
mod tests;
