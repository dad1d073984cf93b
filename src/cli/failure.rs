//! What a command says when it cannot do what it was asked: whose turn it is, what went wrong, what
//! next.

use std::fmt::Write as _;

use crate::text::{self, Advised};

/// Whose turn it is; decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The person who typed the command, or wrote the plan.
    Usage,
    /// A check did not pass.
    NotReady,
    /// Something outside: a key, a tool, another run.
    Blocked,
    /// The machine.
    Infra,
}

impl FailureKind {
    /// The exit code, as the contract's list has it.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::NotReady => 1,
            Self::Blocked => 3,
            Self::Infra => 5,
        }
    }
}

/// A command that could not do what it was asked.
#[derive(Debug)]
pub struct CommandFailure {
    /// Whose turn it is.
    pub kind: FailureKind,
    /// What went wrong, after "failed to"; or a whole text of its own where `whole` says so.
    pub error: String,
    /// What to do next, each a sentence.
    pub hints: Vec<String>,
    /// `error` is a rendered text already.
    whole: bool,
}

impl CommandFailure {
    /// A failure in words that are shown after `error: `.
    #[must_use]
    pub fn new(kind: FailureKind, error: impl Into<String>) -> Self {
        Self {
            kind,
            error: error.into(),
            hints: Vec::new(),
            whole: false,
        }
    }

    /// A failure that is a rendered text already, such as a plan's complaints.
    #[must_use]
    pub fn rendered(kind: FailureKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            error: text.into(),
            hints: Vec::new(),
            whole: true,
        }
    }

    /// An error of a room below whose text says what is wrong, and what it advises.
    #[must_use]
    pub fn of(kind: FailureKind, error: &(impl Advised + ?Sized)) -> Self {
        Self::new(kind, error.to_string()).advised_by(error)
    }

    /// An error of a room below whose text says what was to be done, and what it advises.
    #[must_use]
    pub fn to_do(kind: FailureKind, error: &(impl Advised + ?Sized)) -> Self {
        Self::new(kind, format!("failed to {error}")).advised_by(error)
    }

    /// The same, with what an error advises.
    #[must_use]
    pub fn advised_by(self, error: &(impl Advised + ?Sized)) -> Self {
        match error.advice() {
            Some(advice) => self.hint(advice),
            None => self,
        }
    }

    /// The same, and what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// What went wrong and what to do next, for a place that has one line.
    #[must_use]
    pub fn in_full(&self) -> String {
        let parts = std::iter::once(&self.error)
            .chain(&self.hints)
            .map(|part| part.trim_end_matches('.'));
        parts.collect::<Vec<_>>().join("; ")
    }

    /// As a person reads it, with a newline at the end.
    #[must_use]
    pub fn render(&self) -> String {
        // Not only omk's own words stand here: a provider, a forge or a file may be quoted.
        let inert = |text: &str| {
            text::neutralise_workflow_commands(&text::escape_invisible(&text::printable(
                text.as_bytes(),
            )))
        };
        let mut out = if self.whole {
            self.error.trim_end().to_owned()
        } else {
            format!("error: {}", inert(&self.error))
        };
        for hint in &self.hints {
            let _ = write!(out, "\n  hint: {}", inert(hint));
        }
        out.push('\n');
        out
    }
}

/// An error of a room below, in the voice of the edge.
pub(crate) fn infra(error: impl std::fmt::Display) -> CommandFailure {
    CommandFailure::new(FailureKind::Infra, format!("failed to {error}"))
}
