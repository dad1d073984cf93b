//! The excerpt of a complaint: the line it is about, with a caret under what is meant.
//!
//! It refuses to print anything that could move the cursor or hide text: control and invisible
//! characters are shown as replacement characters, and long lines are cut around the caret.

use unicode_width::UnicodeWidthStr as _;

use super::complaint::{Complaint, Place};

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
pub(super) struct Lines<'t> {
    pub(super) text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
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

    pub(super) fn place(&self, at: Span) -> Place {
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
        Place {
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
    fn of(line: &str, place: Place) -> Self {
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
mod tests {
    use super::*;
    use crate::plan::complaint::Critic;

    fn check(text: &str, at: std::ops::Range<usize>, expect: &str) {
        let mut critic = Critic::new("omk.yaml", text);
        critic
            .say(
                Span {
                    start: at.start,
                    end: at.end,
                },
                "wrong",
            )
            .advise("right");
        let shown = critic
            .verdict()
            .map(|complaints| complaints.render())
            .unwrap_or_default();
        assert_eq!(shown, expect);
    }

    #[test]
    fn caret_stands_under_its_word() {
        check(
            "a: 1\nb: no\n",
            8..10,
            "error: wrong\n  --> omk.yaml:2:4\n  2 | b: no\n    |    ^^ right\n",
        );
    }

    #[test]
    fn wide_and_joined_characters_move_the_caret_by_their_columns() {
        let text = "日本: e\u{301}x";
        let at = text.find('x').unwrap();
        check(
            text,
            at..at + 1,
            "error: wrong\n  --> omk.yaml:1:7\n  1 | 日本: e\u{301}x\n    |        ^ right\n",
        );
    }

    #[test]
    fn tabs_and_hidden_characters_are_shown_as_something_with_a_width() {
        check(
            "\tx\u{202e}y",
            5..6,
            "error: wrong\n  --> omk.yaml:1:4\n  1 |     x\u{fffd}y\n    |       ^ right\n",
        );
    }

    #[test]
    fn gutter_grows_with_the_line_number() {
        let text = "\n".repeat(99) + "x";
        check(
            &text,
            99..100,
            "error: wrong\n    --> omk.yaml:100:1\n  100 | x\n      | ^ right\n",
        );
    }

    #[test]
    fn carriage_returns_end_lines_and_are_not_shown() {
        check(
            "a\r\nb\rc\r\n",
            5..6,
            "error: wrong\n  --> omk.yaml:3:1\n  3 | c\n    | ^ right\n",
        );
    }

    #[test]
    fn end_of_file_has_a_place() {
        check(
            "abc",
            3..3,
            "error: wrong\n  --> omk.yaml:1:4\n  1 | abc\n    |    ^ right\n",
        );
    }

    #[test]
    fn long_lines_are_cut_around_the_caret() {
        let text = format!("{}X{}", "a".repeat(5000), "b".repeat(5000));
        let mut critic = Critic::new("f", &text);
        critic.say(
            Span {
                start: 5000,
                end: 5001,
            },
            "wrong",
        );
        let shown = critic.verdict().unwrap().render();
        let [_, _, line, caret] = shown.lines().collect::<Vec<_>>()[..] else {
            panic!("{shown}")
        };
        assert!(line.width() < 120);
        let column = line.chars().position(|character| character == 'X');
        assert_eq!(column, caret.chars().position(|character| character == '^'));
    }

    #[test]
    fn a_line_is_cut_where_it_is_wider_than_a_hundred_columns() {
        let excerpt = |length: usize, column: usize| {
            let line = "a".repeat(length);
            let excerpt = Excerpt::of(
                &line,
                Place {
                    line: 1,
                    column,
                    width: 2,
                },
            );
            (excerpt.line, excerpt.before, excerpt.under)
        };
        let a = |count: usize| "a".repeat(count);
        assert_eq!(excerpt(100, 99), (a(100), 98, 2));
        assert_eq!(excerpt(101, 1), (format!("{}…", a(100)), 0, 2));
        assert_eq!(excerpt(101, 41), (format!("{}…", a(100)), 40, 2));
        assert_eq!(excerpt(101, 42), (format!("…{}…", a(99)), 41, 2));
        assert_eq!(excerpt(101, 43), (format!("…{}", a(99)), 41, 2));
        // Marks without a width of their own are counted.
        let marks = Excerpt::of(
            &format!("e{}", "\u{301}".repeat(300)),
            Place {
                line: 1,
                column: 1,
                width: 1,
            },
        );
        assert_eq!(marks.line, format!("e{}…", "\u{301}".repeat(199)));
    }

    #[test]
    fn a_place_lies_on_one_line_and_on_whole_characters() {
        let text = "abc\ndé\nghi";
        let lines = Lines::of(text);
        for ((start, end), (line, column, width)) in [
            ((0, 3), (1, 1, 3)),
            ((1, 9), (1, 2, 2)),
            ((4, 11), (2, 1, 2)),
            // In the midst of the `é`.
            ((6, 7), (2, 2, 1)),
            ((4, 6), (2, 1, 1)),
            ((8, 10), (3, 1, 2)),
            ((11, 11), (3, 4, 1)),
            ((99, 100), (3, 4, 1)),
        ] {
            assert_eq!(
                lines.place(Span { start, end }),
                Place {
                    line,
                    column,
                    width
                },
                "{start}..{end}"
            );
        }
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
