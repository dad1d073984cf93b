//! What `omk doctor` tells: what is there, what is missing, and what to do about it.
//!
//! It refuses to look at the machine itself: what was found is handed to it.

use std::fmt::Write as _;

use serde::Serialize;
use unicode_width::UnicodeWidthStr as _;

use super::room;
use crate::plan::{Demand, RoomLevel};
use crate::text::{escape_invisible, neutralise_workflow_commands, plural, printable};

/// Columns of a terminal that nobody has made larger.
const WIDTH: usize = 80;

/// Everything that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checkup {
    /// In the order in which a person would see to them.
    pub points: Vec<Point>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Point {
    /// What: `git`, `key`, `room`.
    pub check: &'static str,
    /// How it is.
    pub state: Health,
    /// What was found, one line.
    pub found: String,
    /// What to do, each a sentence.
    pub next: Vec<String>,
}

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// As it should be.
    Ok,
    /// A run can start, and a person should know something.
    Warn,
    /// No run can start.
    Missing,
}

/// What of a machine decides which room it gives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kernel {
    /// `6.8.0-31-generic`.
    pub release: String,
    /// AppArmor keeps programs without a profile from making namespaces, as Ubuntu has it since
    /// 23.10.
    pub apparmor_restricts: bool,
    /// Namespaces of users are switched off.
    pub namespaces_off: bool,
    /// This is inside a container.
    pub container: bool,
}

impl Point {
    /// What is as it should be.
    #[must_use]
    pub fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self {
            check,
            state: Health::Ok,
            found: found.into(),
            next: Vec::new(),
        }
    }

    /// What a person should know.
    #[must_use]
    pub fn warn(check: &'static str, found: impl Into<String>, next: Vec<String>) -> Self {
        Self {
            check,
            state: Health::Warn,
            found: found.into(),
            next,
        }
    }

    /// The toolchain that the repository asks of rustup, and whether rustup has it.
    #[must_use]
    pub fn toolchain(file: &str, channel: &str, is_installed: bool) -> Self {
        const CHECK: &str = "rustup";
        if is_installed {
            return Self::ok(CHECK, format!("{channel}, as {file} asks"));
        }
        let found = format!(
            "{file} asks for {channel}, which is not installed; children cannot install it"
        );
        Self::warn(
            CHECK,
            found,
            vec![format!(
                "install it before a run: `rustup toolchain install {channel}`"
            )],
        )
    }

    /// What keeps a run from starting.
    #[must_use]
    pub fn missing(check: &'static str, found: impl Into<String>, next: Vec<String>) -> Self {
        Self {
            check,
            state: Health::Missing,
            found: found.into(),
            next,
        }
    }

    /// Adds what people should know of it.
    pub fn add(&mut self, notes: &[String]) {
        if !notes.is_empty() && self.state == Health::Ok {
            self.state = Health::Warn;
        }
        self.next.extend_from_slice(notes);
    }

    /// The room that children get, beside the one that the plan demands.
    #[must_use]
    pub fn room(level: RoomLevel, why_not: Option<&str>, demand: Demand, kernel: &Kernel) -> Self {
        const ROOM: &str = "room";
        let means = match level {
            RoomLevel::Sealed => "children neither see nor reach anything outside",
            RoomLevel::Landlock => {
                "children cannot write elsewhere, but read, and reach other processes' sockets"
            }
            RoomLevel::None => "children can do all that you can",
        };
        let found = format!("level {level}: {means}");
        let Some(why_not) = why_not else {
            return Self::judged(ROOM, found, level, demand, Vec::new());
        };
        let mut next = vec![format!("why not more: {why_not}")];
        let exceptions = room::exceptions(level);
        if !exceptions.is_empty() {
            next.push(format!(
                "not held: {}; SECURITY.md explains each",
                exceptions.join(", ")
            ));
        }
        next.extend(kernel.advice(level));
        Self::judged(ROOM, found, level, demand, next)
    }

    fn judged(
        check: &'static str,
        found: String,
        level: RoomLevel,
        demand: Demand,
        mut next: Vec<String>,
    ) -> Self {
        let is_enough = level >= demand.least();
        match demand {
            _ if is_enough && level > RoomLevel::None && next.is_empty() => Self::ok(check, found),
            _ if is_enough => Self::warn(check, found, next),
            Demand::ClosedNetwork => {
                let found = format!(
                    "{found}; the plan closes the network of a task or gate, and such a room cannot"
                );
                next.push(format!("or accept rooms that close no network: `room: {{ level: {level} }}` in the plan"));
                Self::missing(check, found, next)
            }
            Demand::Nothing | Demand::Level(_) => {
                let least = demand.least();
                next.push(format!(
                    "or set `room.level` of the plan, which demands `{least}`, to `{level}`"
                ));
                Self::missing(check, found, next)
            }
        }
    }
}

impl Kernel {
    /// What would make a better room possible.
    fn advice(&self, level: RoomLevel) -> Vec<String> {
        let mut advice = Vec::new();
        if self.container {
            advice.push(
                "start the container with `--security-opt seccomp=unconfined --security-opt apparmor=unconfined \
                 --security-opt systempaths=unconfined`"
                    .to_owned(),
            );
        }
        if self.apparmor_restricts {
            let whose = if self.container {
                ", on the container's host"
            } else {
                ""
            };
            advice.push(format!(
                "allow namespaces: `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`{whose}"
            ));
        }
        if self.namespaces_off {
            advice.push(
                "allow namespaces: set `kernel.unprivileged_userns_clone` to 1, and `user.max_user_namespaces` to \
                 10000"
                    .to_owned(),
            );
        }
        if level == RoomLevel::None {
            advice.push(format!(
                "Landlock needs Linux 5.13 or newer with `landlock` in /sys/kernel/security/lsm; this is {}",
                self.release
            ));
        }
        advice
    }
}

impl Checkup {
    /// Whether a run can start.
    #[must_use]
    pub fn can_start(&self) -> bool {
        self.count(Health::Missing) == 0
    }

    fn count(&self, state: Health) -> usize {
        self.points
            .iter()
            .filter(|point| point.state == state)
            .count()
    }

    /// As JSON, indented; the field names are promised to readers.
    #[must_use]
    pub fn json(&self) -> String {
        let value = serde_json::json!({ "can_start": self.can_start(), "checks": self.points });
        format!("{value:#}\n")
    }

    /// As lines for a terminal, without colours.
    #[must_use]
    pub fn terminal(&self) -> String {
        // What was found may quote a program or a provider.
        let inert = |text: &str| {
            let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
            neutralise_workflow_commands(&escape_invisible(&printable(line.as_bytes())))
        };
        let width = self
            .points
            .iter()
            .map(|point| point.check.len())
            .max()
            .unwrap_or(0);
        let mut out = String::new();
        for point in &self.points {
            let state = match point.state {
                Health::Ok => "ok     ",
                Health::Warn => "warn   ",
                Health::Missing => "missing",
            };
            let start = format!("{state}  {:width$}  ", point.check);
            out.push_str(&wrapped(&start, &inert(&point.found)));
            for next in &point.next {
                out.push_str(&wrapped(
                    &format!("         {:width$}  - ", ""),
                    &inert(next),
                ));
            }
        }
        let warned = self.count(Health::Warn);
        let warned = if warned == 0 {
            String::new()
        } else {
            format!(", with {}", plural(warned, "warning"))
        };
        let end = match self.count(Health::Missing) {
            0 => format!("a run can start{warned}"),
            1 => "a run cannot start: 1 thing is missing".to_owned(),
            missing => format!("a run cannot start: {missing} things are missing"),
        };
        let _ = writeln!(out, "\n{end}");
        out
    }
}

/// A line that goes on below itself where it is longer than a screen is wide. What stands between
/// backticks is to be copied, so it stays in one line, however long that gets.
fn wrapped(start: &str, text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut inside = false;
    for word in text.split(' ') {
        match words.last_mut().filter(|_| inside) {
            Some(last) => last.push_str(&format!(" {word}")),
            None => words.push(word.to_owned()),
        }
        inside ^= word.matches('`').count() % 2 == 1;
    }
    let indent = start.width();
    let (mut out, mut column) = (start.to_owned(), indent);
    for word in words {
        if column > indent && column + 1 + word.width() > WIDTH {
            out.push_str(&format!("\n{:indent$}", ""));
            column = indent;
        }
        if column > indent {
            out.push(' ');
            column += 1;
        }
        column += word.width();
        out.push_str(&word);
    }
    out + "\n"
}

#[cfg(test)]
mod tests;
