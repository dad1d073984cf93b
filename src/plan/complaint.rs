//! Complaints: what is wrong with a text, where, why, and what to do next, rendered with the excerpt and a caret.
//!
//! It refuses to print anything that could move the cursor or hide text: control and invisible characters of an
//! excerpt are shown as replacement characters, and long lines are cut around the caret.

use std::fmt;

use unicode_width::UnicodeWidthStr as _;

use super::nearest::Guesser;

/// How many complaints are kept; the rest is counted. Nobody reads more, and a hostile file could make a million.
const KEPT: usize = 1000;

/// The widest excerpt, in terminal columns: fits beside the gutter in a terminal of ordinary width.
const EXCERPT_WIDTH: usize = 100;

/// How much of a cut line is shown before the caret, in characters.
const EXCERPT_LEAD: usize = 40;

/// How much of somebody's text is quoted in a sentence, in characters.
const QUOTED: usize = 60;

/// A position in a text, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
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
    pub place: Option<Place>,
    /// What else helps to understand it.
    pub notes: Vec<String>,
}

impl Complaint {
    /// A complaint about the file as a whole.
    #[must_use]
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), ..Self::default() }
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
        Self { file: file.to_owned(), text: String::new(), kept: vec![complaint], more: 0 }
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
        let lines = Lines::of(&self.text);
        let mut out = String::new();
        for (index, complaint) in self.kept.iter().enumerate() {
            if index > 0 {
                out.push('\n');
            }
            render_one(&mut out, &self.file, &lines, complaint);
        }
        if self.more > 0 {
            out.push_str(&format!("\nerror: {} more mistakes are not shown\n", self.more));
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

/// `text` in backticks as part of a sentence: clipped, and without anything that could leave its line.
pub(super) fn quoted(text: &str) -> String {
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

/// A range of bytes of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct Span {
    /// The first byte.
    pub(super) start: usize,
    /// One past the last.
    pub(super) end: usize,
}

/// Collects the complaints about one text.
pub(super) struct Critic<'t> {
    file: &'t str,
    lines: Lines<'t>,
    found: Vec<(Span, Complaint)>,
    seen: std::collections::HashSet<(Span, String)>,
    more: usize,
    /// Takes the words about complaints that are not kept.
    spare: Complaint,
    guesser: Guesser,
}

impl<'t> Critic<'t> {
    pub(super) fn new(file: &'t str, text: &'t str) -> Self {
        let lines = Lines::of(text);
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
        self.found.push((at, Complaint { what, hint: None, place, notes: Vec::new() }));
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
    pub(super) fn guess<'c>(&mut self, word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<String> {
        if self.found.len() == KEPT { None } else { self.guesser.guess(word, candidates) }
    }

    /// All complaints in the order of the text; `None` where there are none.
    pub(super) fn verdict(mut self) -> Option<Complaints> {
        if self.found.is_empty() {
            return None;
        }
        self.found.sort_by_key(|(at, _)| at.start);
        let kept = self.found.into_iter().map(|(_, complaint)| complaint).collect();
        Some(Complaints { file: self.file.to_owned(), text: self.lines.text.to_owned(), kept, more: self.more })
    }
}

/// A text and where its lines begin. Lines end as in YAML: LF, CR LF, or CR.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let bytes = text.as_bytes();
        let ends = (0..bytes.len()).filter(|&at| match bytes[at] {
            b'\n' => true,
            b'\r' => bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        });
        Self { text, starts: std::iter::once(0).chain(ends.map(|at| at + 1)).collect() }
    }

    /// A line without its end; from 0. Past the last line, nothing.
    fn line(&self, index: usize) -> &'t str {
        let Some(&start) = self.starts.get(index) else { return "" };
        let end = self.starts.get(index + 1).copied().unwrap_or(self.text.len());
        self.text.get(start..end).unwrap_or("").trim_end_matches(['\n', '\r'])
    }

    fn place(&self, at: Span) -> Place {
        let start = floor_char(self.text, at.start);
        let index = self.starts.partition_point(|&first| first <= start).saturating_sub(1);
        let first = self.starts.get(index).copied().unwrap_or(0);
        let line_end = first + self.line(index).len();
        let end = floor_char(self.text, at.end.clamp(start, line_end.max(start)));
        let column = self.text.get(first..start).unwrap_or("").chars().count() + 1;
        let width = self.text.get(start..end).unwrap_or("").chars().count().max(1);
        Place { line: index + 1, column, width }
    }
}

fn floor_char(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// What stands for a character in an excerpt: itself, unless it moves the cursor, turns the text round or hides.
fn visible(character: char) -> char {
    let hides = matches!(character,
        '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}');
    if character.is_control() || hides { '\u{fffd}' } else { character }
}

fn render_one(out: &mut String, file: &str, lines: &Lines<'_>, complaint: &Complaint) {
    out.push_str(&format!("error: {}\n", complaint.what));
    let gutter = match complaint.place {
        None => {
            out.push_str(&format!("  --> {file}\n"));
            if let Some(hint) = &complaint.hint {
                out.push_str(&format!("    = hint: {hint}\n"));
            }
            1
        }
        Some(place) => {
            let number = place.line.to_string();
            let gutter = number.len();
            out.push_str(&format!("{:gutter$} --> {file}:{}:{}\n", "", place.line, place.column));
            let excerpt = Excerpt::of(lines.line(place.line - 1), place);
            out.push_str(&format!("  {number} | {}\n", excerpt.line));
            let caret = format!("{}{}", " ".repeat(excerpt.before), "^".repeat(excerpt.under));
            let hint = complaint.hint.as_deref().map(|hint| format!(" {hint}")).unwrap_or_default();
            out.push_str(&format!("  {:gutter$} | {caret}{hint}\n", ""));
            gutter
        }
    };
    for note in &complaint.notes {
        out.push_str(&format!("  {:gutter$} = note: {note}\n", ""));
    }
}

/// A line as it is shown, and where its caret goes, in terminal columns.
struct Excerpt {
    line: String,
    before: usize,
    under: usize,
}

impl Excerpt {
    fn of(line: &str, place: Place) -> Self {
        let caret = place.column - 1;
        let skipped = if caret > EXCERPT_LEAD && line.len() > EXCERPT_WIDTH { caret - EXCERPT_LEAD } else { 0 };
        let mut shown = String::from(if skipped > 0 { "…" } else { "" });
        let (mut before, mut through) = (shown.width(), None);
        for (index, character) in line.chars().enumerate().skip(skipped) {
            if index == caret {
                before = shown.width();
            }
            if index == caret + place.width {
                through = Some(shown.width());
            }
            // Marks that join the character before have no width, so characters are counted too.
            if shown.width() >= EXCERPT_WIDTH || index - skipped >= 2 * EXCERPT_WIDTH {
                shown.push('…');
                break;
            }
            match character {
                '\t' => shown.push_str("    "),
                other => shown.push(visible(other)),
            }
        }
        if caret >= line.chars().count() {
            before = shown.width() + caret - line.chars().count();
        }
        let under = through.unwrap_or_else(|| shown.width()).saturating_sub(before).max(1);
        Self { line: shown, before, under }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, at: std::ops::Range<usize>, expect: &str) {
        let mut critic = Critic::new("omk.yaml", text);
        critic.say(Span { start: at.start, end: at.end }, "wrong").advise("right");
        let shown = critic.verdict().map(|complaints| complaints.render()).unwrap_or_default();
        assert_eq!(shown, expect);
    }

    #[test]
    fn caret_stands_under_its_word() {
        check("a: 1\nb: no\n", 8..10, "error: wrong\n  --> omk.yaml:2:4\n  2 | b: no\n    |    ^^ right\n");
    }

    #[test]
    fn wide_and_joined_characters_move_the_caret_by_their_columns() {
        let text = "日本: e\u{301}x";
        let at = text.find('x').unwrap();
        check(text, at..at + 1, "error: wrong\n  --> omk.yaml:1:7\n  1 | 日本: e\u{301}x\n    |        ^ right\n");
    }

    #[test]
    fn tabs_and_hidden_characters_are_shown_as_something_with_a_width() {
        check("\tx\u{202e}y", 5..6, "error: wrong\n  --> omk.yaml:1:4\n  1 |     x\u{fffd}y\n    |       ^ right\n");
    }

    #[test]
    fn gutter_grows_with_the_line_number() {
        let text = "\n".repeat(99) + "x";
        check(&text, 99..100, "error: wrong\n    --> omk.yaml:100:1\n  100 | x\n      | ^ right\n");
    }

    #[test]
    fn carriage_returns_end_lines_and_are_not_shown() {
        check("a\r\nb\rc\r\n", 5..6, "error: wrong\n  --> omk.yaml:3:1\n  3 | c\n    | ^ right\n");
    }

    #[test]
    fn end_of_file_has_a_place() {
        check("abc", 3..3, "error: wrong\n  --> omk.yaml:1:4\n  1 | abc\n    |    ^ right\n");
    }

    #[test]
    fn long_lines_are_cut_around_the_caret() {
        let text = format!("{}X{}", "a".repeat(5000), "b".repeat(5000));
        let mut critic = Critic::new("f", &text);
        critic.say(Span { start: 5000, end: 5001 }, "wrong");
        let shown = critic.verdict().unwrap().render();
        let [_, _, line, caret] = shown.lines().collect::<Vec<_>>()[..] else { panic!("{shown}") };
        assert!(line.width() < 120);
        let column = line.chars().position(|character| character == 'X');
        assert_eq!(column, caret.chars().position(|character| character == '^'));
    }

    #[test]
    fn same_complaint_is_made_once_and_a_thousand_are_kept() {
        let text = "x".repeat(3000);
        let mut critic = Critic::new("f", &text);
        for at in 0..1500 {
            critic.say(Span { start: at, end: at + 1 }, "wrong").advise("right");
            critic.say(Span { start: at, end: at + 1 }, "wrong").advise("right");
        }
        let complaints = critic.verdict().unwrap();
        assert_eq!(complaints.iter().count(), KEPT);
        assert!(complaints.len() >= 1500);
        assert!(complaints.render().contains("more mistakes are not shown"));
    }

    proptest::proptest! {
        #[test]
        fn rendering_never_panics(text in "\\PC{0,40}(\n\\PC{0,40}){0,3}", start in 0usize..200, length in 0usize..50) {
            let mut critic = Critic::new("f", &text);
            critic.say(Span { start, end: start + length }, "wrong");
            let shown = critic.verdict().map(|complaints| complaints.render());
            proptest::prop_assert!(shown.is_some_and(|shown| shown.contains('^')));
        }
    }
}
