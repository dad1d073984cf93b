//! A plain line for each event, for logs of CI and for pipes.
//!
//! It refuses to print what a child printed: that is in the log files, and the summary shows its
//! end.

use std::time::Duration;

use super::{Colour, Tint, pad, sign};
use crate::fact::Failure;
use crate::id::{GateId, TaskId};
use crate::report::ink;
use crate::report::view::Mark;
use crate::text;

/// Something that a person who watches wants to know.
#[derive(Debug, Clone, PartialEq)]
pub enum ProgressEvent<'a> {
    /// An attempt began.
    Started {
        /// The task.
        task: &'a TaskId,
        /// The attempt, counted from 1.
        attempt: u32,
    },
    /// A gate has spoken.
    Gate {
        /// The task; `None` = the result.
        task: Option<&'a TaskId>,
        /// The gate.
        gate: &'a GateId,
        /// In words: `passed`, `failed (exit 1)`.
        verdict: &'a str,
        /// What else a person must know, as a clause; may be empty.
        note: &'a str,
        /// How it is shown.
        mark: Mark,
        /// How long it took.
        took: Duration,
    },
    /// An attempt failed, and another follows.
    Retrying {
        /// The task.
        task: &'a TaskId,
        /// Why it failed.
        failure: &'a Failure,
        /// How long until the next.
        wait: Duration,
    },
    /// It failed for good.
    Failed {
        /// The task.
        task: &'a TaskId,
        /// Why.
        failure: &'a Failure,
        /// How long it took.
        took: Duration,
    },
    /// Its change is on the result.
    Landed {
        /// The task.
        task: &'a TaskId,
        /// How many files it touches.
        files: usize,
        /// How long it took.
        took: Duration,
    },
    /// It made no change, and need not.
    Unchanged {
        /// The task.
        task: &'a TaskId,
        /// How long it took.
        took: Duration,
    },
    /// It will not be tried.
    Cancelled {
        /// The task.
        task: &'a TaskId,
        /// Why.
        why: &'a str,
    },
    /// It was taken out of the result.
    Ejected {
        /// The task.
        task: &'a TaskId,
        /// The gate that failed with it.
        gate: Option<&'a GateId>,
    },
    /// Something else that a person must know.
    Warning {
        /// What.
        what: &'a str,
    },
}

/// The event in one line without a line break; `at` is the time since the run began.
#[must_use]
pub fn line(event: &ProgressEvent<'_>, at: Duration, colour: Colour) -> String {
    let (mark, whose, words) = told(event);
    let whose = pad(&whose, 16);
    let at = colour.paint(Tint::Dim, &format!("{:>8}", text::duration(at)));
    let text = format!(
        "{at} {} {whose} {}",
        colour.paint(Tint::Of(mark), sign(mark)),
        ink::line(&words, 400)
    );
    text::neutralise_workflow_commands(text.trim_end())
}

fn told(event: &ProgressEvent<'_>) -> (Mark, String, String) {
    let took = |took: &Duration| text::duration(*took);
    let because = |failure: &Failure| {
        text::with_advice(
            ink::first_line(&ink::failure(failure)),
            failure.advice.as_deref(),
        )
    };
    match event {
        ProgressEvent::Started { task, attempt: 1 } => {
            (Mark::Busy, task.to_string(), "started".to_owned())
        }
        ProgressEvent::Started { task, attempt } => (
            Mark::Busy,
            task.to_string(),
            format!("started, attempt {attempt}"),
        ),
        ProgressEvent::Gate {
            task,
            gate,
            verdict,
            note,
            mark,
            took: length,
        } => {
            let whose = task.map_or_else(|| "result".to_owned(), ToString::to_string);
            let note = if note.is_empty() {
                String::new()
            } else {
                format!("; {note}")
            };
            (
                *mark,
                whose,
                format!("gate {gate} {verdict} in {}{note}", took(length)),
            )
        }
        ProgressEvent::Retrying {
            task,
            failure,
            wait,
        } => {
            let next = if wait.is_zero() {
                "at once".to_owned()
            } else {
                format!("in {}", took(wait))
            };
            (
                Mark::Doubtful,
                task.to_string(),
                format!("again {next}: {}", because(failure)),
            )
        }
        ProgressEvent::Failed {
            task,
            failure,
            took: length,
        } => (
            Mark::Bad,
            task.to_string(),
            format!("failed after {}: {}", took(length), because(failure)),
        ),
        ProgressEvent::Landed {
            task,
            files,
            took: length,
        } => (
            Mark::Good,
            task.to_string(),
            format!("landed, {}, {}", text::plural(*files, "file"), took(length)),
        ),
        ProgressEvent::Unchanged { task, took: length } => (
            Mark::Good,
            task.to_string(),
            format!("completed without a change, {}", took(length)),
        ),
        ProgressEvent::Cancelled { task, why } => {
            (Mark::Idle, task.to_string(), format!("cancelled: {why}"))
        }
        ProgressEvent::Ejected { task, gate } => {
            let gate = gate.map_or_else(|| "the gates".to_owned(), |gate| format!("gate {gate}"));
            (
                Mark::Bad,
                task.to_string(),
                format!("taken out of the result: {gate} failed with it"),
            )
        }
        ProgressEvent::Warning { what } => {
            (Mark::Doubtful, "warning".to_owned(), (*what).to_owned())
        }
    }
}

/// How a CI log folds lines away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Groups {
    /// It does not.
    None,
    /// GitHub's `::group::`.
    GitHub,
}

/// Lines under a title, folded where the log can do that. Ends with a line break.
#[must_use]
pub fn group(title: &str, lines: &str, groups: Groups) -> String {
    let title = ink::line(title, 120);
    let lines = text::neutralise_workflow_commands(lines);
    let end = if lines.is_empty() || lines.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    match groups {
        Groups::None => format!("{title}\n{lines}{end}"),
        // A percent sign would be decoded.
        Groups::GitHub => format!(
            "::group::{}\n{lines}{end}::endgroup::\n",
            title.replace('%', "%25")
        ),
    }
}
