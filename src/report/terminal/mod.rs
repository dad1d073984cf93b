//! The view on a terminal and in a CI log: the closing text of a run, a line for each event, and a
//! live tree.
//!
//! Short, aligned, understood at a glance. It refuses to move the cursor: who drives the screen
//! does that; and to use colour as the only carrier of a meaning.

mod line;
mod live;
mod summary;

pub use line::{Groups, ProgressEvent, group, line};
pub use live::{Live, Screen};
pub use summary::summary;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::view::Mark;

/// Whether to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    Off,
    /// With SGR sequences.
    On,
}

/// What is coloured.
#[derive(Debug, Clone, Copy)]
enum Tint {
    Of(Mark),
    Bold,
    Dim,
}

impl Colour {
    fn paint(self, tint: Tint, text: &str) -> String {
        let code = match tint {
            Tint::Of(Mark::Good) => "32",
            Tint::Of(Mark::Bad) => "31",
            Tint::Of(Mark::Doubtful) => "33",
            Tint::Of(Mark::Busy) => "36",
            Tint::Of(Mark::Idle) | Tint::Dim => "2",
            Tint::Bold => "1",
        };
        match self {
            Self::On if !text.is_empty() => format!("\x1b[{code}m{text}\x1b[0m"),
            Self::On | Self::Off => text.to_owned(),
        }
    }

    fn sign(self, mark: Mark) -> String {
        self.paint(Tint::Of(mark), sign(mark))
    }
}

fn sign(mark: Mark) -> &'static str {
    match mark {
        Mark::Good => "✓",
        Mark::Bad => "✗",
        Mark::Doubtful => "!",
        Mark::Busy => "▸",
        Mark::Idle => "·",
    }
}

/// The text in at most `columns` columns; what is cut off becomes `…`.
fn fit(text: &str, columns: usize) -> String {
    // Some marks (U+11357) take a column behind another character, and none by themselves.
    let behind = format!(" {text}").width().saturating_sub(1);
    if text.width().max(behind) <= columns {
        return text.to_owned();
    }
    let mut used = 0;
    let mut out = String::new();
    for ch in text.chars() {
        used += ch
            .width()
            .unwrap_or(0)
            .max(format!(" {ch}").width().saturating_sub(1));
        if used + 1 > columns {
            break;
        }
        out.push(ch);
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

/// The text filled up with blanks to `columns` columns.
fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(text.width())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_that_takes_a_column_only_behind_others_is_counted() {
        for (columns, most) in [(0, 2), (1, 3), (5, 7)] {
            let line = format!("  {}", fit("\u{11357}\u{11357}", columns));
            assert!(line.width() <= most, "{line:?} in {columns}");
        }
    }
}
