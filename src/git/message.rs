//! Commit messages of omk: a subject, a body, and trailers that nobody else can put there.
//!
//! It refuses text that would end a paragraph early, look like a trailer of ours, or split the
//! message: such text is kept, but made harmless.

use std::fmt;

use super::merge::AUTHOR;
use crate::fact::Trigger;
use crate::id::{RunId, TaskId};
use crate::plan::{Event, Task};
use crate::text::{self, Scrubber, clip};

/// The width of a subject; what git's own tools and the forges show.
const SUBJECT: usize = 72;

/// A commit message by omk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitMessage {
    subject: String,
    body: String,
    trailers: Vec<(&'static str, String)>,
}

impl CommitMessage {
    /// A message about a task's attempt, with the trailers that mark a commit as omk's own.
    #[must_use]
    pub fn new(subject: &str, run: &RunId, task: &TaskId, attempt: u32) -> Self {
        let trailers = vec![
            ("Omk-Run", run.to_string()),
            ("Omk-Task", task.to_string()),
            ("Omk-Attempt", attempt.to_string()),
            ("Omk-Proof", format!("{run}/{task}")),
        ];
        let subject = one_line(subject);
        Self {
            subject: if subject.is_empty() {
                task.to_string()
            } else {
                subject
            },
            body: String::new(),
            trailers,
        }
    }

    /// The message of a task's commit, by the plan and by what the journal says of the run. Another
    /// job makes the same bytes of the same two. Only well-known patterns are masked: a job
    /// that judges has no secrets to look for.
    #[must_use]
    pub fn of_task(
        run: &RunId,
        trigger: &Trigger,
        planned: &Task,
        attempt: u32,
        sign_off: bool,
    ) -> Self {
        let scrub = |text: &str| Scrubber::default().scrub(text);
        let body = scrub(&text::printable(planned.description.as_bytes()));
        let message = Self::new(&scrub(&planned.name), run, &planned.id, attempt).body(&body);
        let message = if trigger.event == Event::Comment {
            message.requested_by(&trigger.actor)
        } else {
            message
        };
        if sign_off {
            message.signed_off()
        } else {
            message
        }
    }

    /// The same about the same, without a word of the plan's author: the task's id and the
    /// trailers.
    #[must_use]
    pub fn bare(mut self) -> Self {
        let task = self
            .trailers
            .iter()
            .find(|(key, _)| *key == "Omk-Task")
            .map(|(_, task)| task.clone());
        self.subject = task.unwrap_or(self.subject);
        self.body = String::new();
        self
    }

    /// A message about a run as a whole, with the trailer that marks a commit as omk's own.
    #[must_use]
    pub fn of_run(subject: &str, run: &RunId) -> Self {
        let subject = one_line(subject);
        let subject = if subject.is_empty() {
            run.to_string()
        } else {
            subject
        };
        Self {
            subject,
            body: String::new(),
            trailers: vec![("Omk-Run", run.to_string())],
        }
    }

    /// With a body, in the author's own lines.
    #[must_use]
    pub fn body(mut self, text: &str) -> Self {
        self.body = text
            .lines()
            .map(harmless)
            .collect::<Vec<_>>()
            .join("\n")
            .trim_matches('\n')
            .to_owned();
        self
    }

    /// With `Requested-by`.
    #[must_use]
    pub fn requested_by(self, who: &str) -> Self {
        self.trailer("Requested-by", who)
    }

    /// With `Signed-off-by`, by whoever the commit is by: a sign-off counts for its author only.
    #[must_use]
    pub fn signed_off(self) -> Self {
        self.trailer("Signed-off-by", &signer())
    }

    fn trailer(mut self, key: &'static str, value: &str) -> Self {
        let value = one_line(value);
        if !value.is_empty() {
            self.trailers.push((key, value));
        }
        self
    }
}

/// Whom omk's commits are signed off by: `Name <address>`.
#[must_use]
pub fn signer() -> String {
    format!("{} <{}>", AUTHOR.0, AUTHOR.1)
}

impl fmt::Display for CommitMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", clip(&self.subject, SUBJECT))?;
        if !self.body.is_empty() {
            writeln!(f, "{}\n", self.body)?;
        }
        for (key, value) in &self.trailers {
            writeln!(f, "{key}: {value}")?;
        }
        Ok(())
    }
}

/// One line without control characters, its spaces collapsed.
fn one_line(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|c| {
            if c.is_control() || is_line_end(c) {
                ' '
            } else {
                c
            }
        })
        .collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_line_end(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// A body line that could be read as a trailer, or as the end of the message, moves in by a space.
fn harmless(line: &str) -> String {
    let line: String = line
        .chars()
        .filter(|&c| c == '\t' || !(c.is_control() || is_line_end(c)))
        .collect();
    let key = line
        .split_once(':')
        .map(|(key, _)| key.trim_end().to_ascii_lowercase());
    let forges = key.is_some_and(|key| key.starts_with("omk-") || key.ends_with("-by"));
    if forges || line.starts_with("---") {
        format!(" {line}")
    } else {
        line.trim_end().to_owned()
    }
}

/// What the trailers of a commit by omk say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trailers {
    /// The run.
    pub run: RunId,
    /// The task; absent on a commit that is not a task's.
    pub task: Option<TaskId>,
    /// The attempt.
    pub attempt: Option<u32>,
}

impl Trailers {
    /// The trailers of a message, where it has omk's. Only the last paragraph counts, as in git.
    #[must_use]
    pub fn of(message: &str) -> Option<Self> {
        let (_, last) = message.trim_end().rsplit_once("\n\n")?;
        let value = |key: &str| {
            let lines = last.lines().filter_map(|line| line.split_once(": "));
            lines
                .filter(|(found, _)| *found == key)
                .map(|(_, value)| value.trim())
                .next()
        };
        Some(Self {
            run: value("Omk-Run")?.parse().ok()?,
            task: value("Omk-Task").and_then(|text| text.parse().ok()),
            attempt: value("Omk-Attempt").and_then(|text| text.parse().ok()),
        })
    }
}

#[cfg(test)]
mod tests;
