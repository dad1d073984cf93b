//! The excerpt of a complaint: the line it is about, with a caret under what is meant.
//!
//! It refuses to print anything that could move the cursor or hide text: control and invisible
//! characters are shown as replacement characters, and long lines are cut around the caret.

use unicode_width::UnicodeWidthStr as _;

use super::complaint::{Complaint, Position};

/// The widest excerpt, in terminal columns: fits beside the gutter in a terminal of ordinary width.
const EXCERPT_WIDTH: usize = 100;

/// How much of a cut line is shown before the caret, in characters.
const EXCERPT_LEAD: usize = 40;

/// A range of bytes of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct Span {
    /// The first byte.
    pub(super) start: usize,
    /// One past the last.
    pub(super) end: usize,
}

/// A text and where its lines begin. Lines end as in YAML: LF, CR LF, or CR.
pub(super) struct TextLines<'t> {
    pub(super) text: &'t str,
    starts: Vec<usize>,
}

impl<'t> TextLines<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let bytes = text.as_bytes();
        let ends = (0..bytes.len()).filter(|&at| match bytes[at] {
            b'\n' => true,
            b'\r' => bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        });
        Self {
            text,
            starts: std::iter::once(0).chain(ends.map(|at| at + 1)).collect(),
        }
    }

    /// A line without its end; from 0. Past the last line, nothing.
    pub(super) fn line(&self, index: usize) -> &'t str {
        let Some(&start) = self.starts.get(index) else {
            return "";
        };
        let end = self
            .starts
            .get(index + 1)
            .copied()
            .unwrap_or(self.text.len());
        self.text
            .get(start..end)
            .unwrap_or("")
            .trim_end_matches(['\n', '\r'])
    }

    pub(super) fn place(&self, at: Span) -> Position {
        let start = floor_char(self.text, at.start);
        let index = self
            .starts
            .partition_point(|&first| first <= start)
            .saturating_sub(1);
        let first = self.starts.get(index).copied().unwrap_or(0);
        let line_end = first + self.line(index).len();
        let end = floor_char(self.text, at.end.clamp(start, line_end.max(start)));
        let column = self.text.get(first..start).unwrap_or("").chars().count() + 1;
        let width = self
            .text
            .get(start..end)
            .unwrap_or("")
            .chars()
            .count()
            .max(1);
        Position {
            line: index + 1,
            column,
            width,
        }
    }
}

fn floor_char(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// What stands for a character in an excerpt: itself, unless it moves the cursor, turns the text
/// round or hides.
pub(super) fn visible(character: char) -> char {
    let hides = matches!(character,
        '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}');
    if character.is_control() || hides {
        '\u{fffd}'
    } else {
        character
    }
}

/// Writes one complaint; `line` is the line it is about, where it has a place.
pub(super) fn render(out: &mut String, file: &str, line: &str, complaint: &Complaint) {
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
            out.push_str(&format!(
                "{:gutter$} --> {file}:{}:{}\n",
                "", place.line, place.column
            ));
            let excerpt = Excerpt::of(line, place);
            out.push_str(format!("  {number} | {}", excerpt.line).trim_end());
            out.push('\n');
            let caret = format!(
                "{}{}",
                " ".repeat(excerpt.before),
                "^".repeat(excerpt.under)
            );
            let hint = complaint
                .hint
                .as_deref()
                .map(|hint| format!(" {hint}"))
                .unwrap_or_default();
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
    fn of(line: &str, place: Position) -> Self {
        let caret = place.column - 1;
        let skipped = if line.len() > EXCERPT_WIDTH {
            caret.saturating_sub(EXCERPT_LEAD)
        } else {
            0
        };
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
        let under = through
            .unwrap_or_else(|| shown.width())
            .saturating_sub(before)
            .max(1);
        Self {
            line: shown,
            before,
            under,
        }
    }
}

#[cfg(test)]
mod tests;
