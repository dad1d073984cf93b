//! What a step tells its runner: outputs for later jobs, the job's summary, and annotations in the
//! log.
//!
//! These are channels that a text could break out of, so every value is fenced or escaped here and
//! nowhere else. It refuses to write more than the runner keeps, and says what was left out.

mod gitlab;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::super::terminal::Terminal;
use super::super::{CommandFailure, FailureKind};
use super::inputs::JobStage;
use super::runner::{ForgeJob, Runner};
use crate::clock::Clock;
use crate::id::Sha256;
use crate::text;

/// A runner keeps 1 MiB of a step's summary, and drops all of it where it is more.
const SUMMARY: u64 = 1 << 20;

/// A runner keeps ten annotations of each kind from a step.
const ANNOTATIONS: usize = 10;

/// The channels of one step.
#[derive(Debug)]
pub(in crate::cli) struct Outputs {
    channel: Channel,
    summary: Option<PathBuf>,
    terminal: Terminal,
    said: RefCell<BTreeMap<JobAnnotationLevel, usize>>,
}

/// How a forge is told things.
#[derive(Debug)]
enum Channel {
    /// A file of outputs, and commands in the log.
    GitHub { output: Option<PathBuf> },
    /// A report of variables, where there is one, and sections of the log.
    GitLab {
        dotenv: Option<PathBuf>,
        told: RefCell<BTreeMap<String, String>>,
        sections: Cell<usize>,
    },
}

/// How bad an annotation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cli) enum JobAnnotationLevel {
    /// Good to know.
    Notice,
    /// Does not decide.
    Warning,
    /// Decides.
    Error,
}

impl JobAnnotationLevel {
    fn as_str(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A place in a file, as an annotation names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct AnnotationPlace {
    /// Relative to the repository's top.
    pub(in crate::cli) file: String,
    /// From 1.
    pub(in crate::cli) line: Option<usize>,
    /// From 1.
    pub(in crate::cli) column: Option<usize>,
}

impl Outputs {
    pub(super) fn of(runner: &Runner, terminal: Terminal) -> Self {
        match &runner.host {
            ForgeJob::GitHub(workflow) => {
                Self::github(workflow.output.clone(), workflow.summary.clone(), terminal)
            }
            ForgeJob::GitLab(pipeline) => {
                // Of the other jobs a later one would get variables, and an agent might have had a
                // hand in them.
                let dotenv = match runner.inputs.stage {
                    JobStage::Publish | JobStage::Whole => Some(pipeline.out.join("omk.env")),
                    JobStage::Intake | JobStage::Run | JobStage::Judge => None,
                };
                Self::gitlab(dotenv, pipeline.out.join("summary.md"), terminal)
            }
        }
    }

    fn github(output: Option<PathBuf>, summary: Option<PathBuf>, terminal: Terminal) -> Self {
        Self {
            channel: Channel::GitHub { output },
            summary,
            terminal,
            said: RefCell::default(),
        }
    }

    fn gitlab(dotenv: Option<PathBuf>, summary: PathBuf, terminal: Terminal) -> Self {
        let channel = Channel::GitLab {
            dotenv,
            told: RefCell::default(),
            sections: Cell::new(0),
        };
        Self {
            channel,
            summary: Some(summary),
            terminal,
            said: RefCell::default(),
        }
    }

    /// Sets an output of the step. Nothing happens where the runner takes none.
    ///
    /// # Errors
    /// Where the runner's file cannot be written: then later jobs would go on without it.
    pub(in crate::cli) fn set(&self, name: &str, value: &str) -> Result<(), CommandFailure> {
        let file = match &self.channel {
            Channel::GitHub { output: Some(file) } => file,
            Channel::GitHub { output: None } => return Ok(()),
            Channel::GitLab { told, .. } => {
                told.borrow_mut().insert(name.to_owned(), value.to_owned());
                return Ok(());
            }
        };
        append(file, &entry(name, value)).map_err(|error| {
            CommandFailure::new(
                FailureKind::Infra,
                format!("failed to set the output `{name}`: {error}"),
            )
        })
    }

    /// Adds Markdown, which is inert already, to the job's summary; clipped to what the runner
    /// keeps. A summary that cannot be written loses nothing else, so that is only warned of.
    pub(in crate::cli) fn summarise(&self, markdown: &str) {
        let Some(file) = &self.summary else { return };
        let there = file.metadata().map_or(0, |file| file.len());
        let room = usize::try_from(SUMMARY.saturating_sub(there)).unwrap_or(0);
        let added = fitting(markdown, room);
        if let Err(error) = append(file, added.as_bytes()) {
            self.say(
                JobAnnotationLevel::Warning,
                &format!("the job's summary could not be written: {error}"),
            );
        }
    }

    /// An annotation of the job, one line or more.
    pub(in crate::cli) fn say(&self, level: JobAnnotationLevel, message: &str) {
        self.annotate(level, None, message);
    }

    /// An annotation at a place of a file. From the eleventh of a kind on it is an ordinary line of
    /// the log, as the runner would drop it.
    pub(in crate::cli) fn annotate(
        &self,
        level: JobAnnotationLevel,
        spot: Option<&AnnotationPlace>,
        message: &str,
    ) {
        let mut said = self.said.borrow_mut();
        let count = said.entry(level).or_default();
        *count += 1;
        let place = || {
            spot.map(|spot| format!("{}: ", spot.shown()))
                .unwrap_or_default()
        };
        let line = match self.channel {
            Channel::GitHub { .. } if *count <= ANNOTATIONS => {
                command(level.as_str(), &properties(spot), message)
            }
            Channel::GitHub { .. } => format!(
                "{}: {}",
                level.as_str(),
                inert(&format!("{}{message}", place()))
            ),
            Channel::GitLab { .. } => gitlab::said(
                level,
                &format!("{}{message}", place()),
                self.terminal.colour_out(),
            ),
        };
        self.terminal.print(&format!("{line}\n"));
    }

    /// Lines of the log that are folded below `title`.
    pub(in crate::cli) fn group(&self, title: &str, lines: &str) {
        let text = match &self.channel {
            Channel::GitHub { .. } => {
                let title = command("group", "", title);
                format!("{title}\n{}\n::endgroup::\n", inert(lines.trim_end()))
            }
            Channel::GitLab { sections, .. } => {
                sections.set(sections.get() + 1);
                gitlab::section(sections.get(), Clock::start().now(), title, lines)
            }
        };
        self.terminal.print(&text);
    }

    /// Says how many annotations the runner was not given; writes the report of variables.
    pub(super) fn finish(&self) {
        if let Channel::GitLab { dotenv, told, .. } = &self.channel {
            let Some(file) = dotenv else { return };
            if let Err(error) = std::fs::write(file, gitlab::dotenv(&told.borrow())) {
                self.say(
                    JobAnnotationLevel::Warning,
                    &format!("the variables for later jobs could not be written: {error}"),
                );
            }
            return;
        }
        for (level, &count) in &*self.said.borrow() {
            if count > ANNOTATIONS {
                let more = text::plural(count - ANNOTATIONS, "annotation");
                let kind = level.as_str();
                self.terminal.print(&format!(
                    "{more} more of the kind `{kind}` are in this log only\n"
                ));
            }
        }
    }
}

impl AnnotationPlace {
    fn shown(&self) -> String {
        let number = |number: Option<usize>| {
            number
                .map(|number| format!(":{number}"))
                .unwrap_or_default()
        };
        format!("{}{}{}", self.file, number(self.line), number(self.column))
    }
}

/// An output as the runner reads it: fenced by a line that the value cannot hold, as no text holds
/// its own SHA-256.
fn entry(name: &str, value: &str) -> Vec<u8> {
    let fence = Sha256::of(format!("{name}\n{value}").as_bytes());
    format!("{name}<<{fence}\n{value}\n{fence}\n").into_bytes()
}

fn fitting(markdown: &str, room: usize) -> String {
    const LEFT_OUT: &str = "\n\n*The rest is left out: a summary holds 1 MiB.*\n";
    let whole = format!("{}\n", markdown.trim_end());
    if whole.len() <= room {
        return whole;
    }
    let Some(room) = room.checked_sub(LEFT_OUT.len()) else {
        return String::new();
    };
    let end = (0..=room)
        .rev()
        .find(|&end| markdown.is_char_boundary(end))
        .unwrap_or(0);
    let end = markdown[..end].rfind('\n').unwrap_or(end);
    format!("{}{LEFT_OUT}", &markdown[..end])
}

fn append(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(file)?
        .write_all(bytes)
}

/// Text that may be anybody's, as lines of a log that command nothing.
fn inert(message: &str) -> String {
    text::neutralise_workflow_commands(&text::printable(message.as_bytes()))
}

fn command(name: &str, properties: &str, message: &str) -> String {
    let message = text::printable(message.as_bytes());
    let message = message
        .replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A");
    format!("::{name}{properties}::{message}")
}

fn properties(spot: Option<&AnnotationPlace>) -> String {
    let Some(spot) = spot else {
        return String::new();
    };
    let file = text::printable(spot.file.as_bytes());
    let mut out = format!(" file={}", property(&file));
    if let Some(line) = spot.line {
        out.push_str(&format!(",line={line}"));
    }
    if let Some(column) = spot.column {
        out.push_str(&format!(",col={column}"));
    }
    out
}

fn property(text: &str) -> String {
    let escaped = text
        .replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A");
    escaped.replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests;
