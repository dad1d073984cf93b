//! Standard output and standard error: who may colour, how wide, and what becomes of a broken pipe.

use std::io::{IsTerminal as _, Write as _};

use super::args::TerminalChoice;
use crate::report::terminal::{Colour, Screen};

/// Where words go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terminal {
    when: TerminalChoice,
}

impl Terminal {
    pub(super) fn new(when: TerminalChoice) -> Self {
        Self { when }
    }

    /// Prints what was asked for. A reader that has gone is no failure.
    pub(super) fn print(self, text: &str) {
        let _ = std::io::stdout().lock().write_all(text.as_bytes());
    }

    /// Says what is beside what was asked for: progress, warnings, complaints.
    pub(super) fn complain(self, text: &str) {
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }

    pub(super) fn colour_out(self) -> Colour {
        self.colour(std::io::stdout().is_terminal())
    }

    pub(super) fn colour_err(self) -> Colour {
        self.colour(std::io::stderr().is_terminal())
    }

    fn colour(self, is_terminal: bool) -> Colour {
        let wanted = match self.when {
            TerminalChoice::Always => true,
            TerminalChoice::Never => false,
            // https://no-color.org
            TerminalChoice::Auto => {
                is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
        };
        if wanted { Colour::On } else { Colour::Off }
    }

    /// The room for a live view on standard error, where that is a terminal that can move its
    /// cursor.
    pub(super) fn screen(self) -> Option<Screen> {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
        if dumb || ci || !std::io::stderr().is_terminal() {
            return None;
        }
        let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok()?;
        (size.ws_col >= 40 && size.ws_row >= 8).then(|| Screen {
            width: usize::from(size.ws_col),
            height: usize::from(size.ws_row) - 2,
        })
    }

    /// Whether a person can be asked.
    pub(super) fn can_ask(self) -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }
}
