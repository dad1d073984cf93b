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
mod tests {
    use super::*;

    fn room(
        level: RoomLevel,
        why_not: Option<&str>,
        least: Option<RoomLevel>,
        kernel: &Kernel,
    ) -> String {
        let demand = least.map_or(Demand::Nothing, Demand::Level);
        Checkup {
            points: vec![Point::room(level, why_not, demand, kernel)],
        }
        .terminal()
    }

    #[test]
    fn all_there_is_all_ok() {
        let points = vec![
            Point::ok("git", "git version 2.47.3"),
            Point::ok("agent", "Kimi Code CLI 2.1.0"),
            Point::room(
                RoomLevel::Sealed,
                None,
                Demand::Level(RoomLevel::Sealed),
                &Kernel::default(),
            ),
        ];
        let checkup = Checkup { points };
        assert!(checkup.can_start());
        insta::assert_snapshot!(checkup.terminal(), @"
        ok       git    git version 2.47.3
        ok       agent  Kimi Code CLI 2.1.0
        ok       room   level sealed: children neither see nor reach anything outside

        a run can start
        ");
        insta::assert_snapshot!(checkup.json(), @r#"
        {
          "can_start": true,
          "checks": [
            {
              "check": "git",
              "state": "ok",
              "found": "git version 2.47.3",
              "next": []
            },
            {
              "check": "agent",
              "state": "ok",
              "found": "Kimi Code CLI 2.1.0",
              "next": []
            },
            {
              "check": "room",
              "state": "ok",
              "found": "level sealed: children neither see nor reach anything outside",
              "next": []
            }
          ]
        }
        "#);
    }

    #[test]
    fn what_is_missing_says_what_to_do() {
        let points = vec![
            Point::missing(
                "git",
                "there is no `git` on PATH",
                vec!["install git".to_owned()],
            ),
            Point::warn(
                "agent",
                "there is no `rg` on PATH",
                vec!["install ripgrep".to_owned()],
            ),
            Point::missing(
                "key",
                "the variable K\u{202e}EY is\n::error::not set",
                vec!["set it".to_owned()],
            ),
        ];
        let checkup = Checkup { points };
        assert!(!checkup.can_start());
        insta::assert_snapshot!(checkup.terminal(), @"
        missing  git    there is no `git` on PATH
                        - install git
        warn     agent  there is no `rg` on PATH
                        - install ripgrep
        missing  key    the variable K[U+202E]EY is ::error::not set
                        - set it

        a run cannot start: 2 things are missing
        ");
        assert!(
            checkup.json().contains(r#""can_start": false"#)
                && checkup.json().contains(r#""state": "missing""#)
        );
    }

    #[test]
    fn no_line_is_wider_than_a_screen_but_for_a_command_to_copy() {
        let long = "words that go on and on until they reach the end of the line and then some more of them";
        let command = format!("run `{} --flag` first", "x".repeat(90));
        let points = vec![Point::warn("agent", long, vec![long.to_owned(), command])];
        insta::assert_snapshot!(Checkup { points }.terminal(), @"
        warn     agent  words that go on and on until they reach the end of the line and
                        then some more of them
                        - words that go on and on until they reach the end of the line
                          and then some more of them
                        - run
                          `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx --flag`
                          first

        a run can start, with 1 warning
        ");
    }

    #[test]
    fn a_toolchain_that_is_not_installed_comes_with_the_command() {
        let missing = Point::toolchain("rust-toolchain.toml", "1.80.0", false);
        let there = Point::toolchain("rust-toolchain.toml", "1.80.0", true);
        insta::assert_snapshot!(Checkup { points: vec![missing, there] }.terminal(), @"
        warn     rustup  rust-toolchain.toml asks for 1.80.0, which is not installed;
                         children cannot install it
                         - install it before a run: `rustup toolchain install 1.80.0`
        ok       rustup  1.80.0, as rust-toolchain.toml asks

        a run can start, with 1 warning
        ");
    }

    #[test]
    fn a_room_says_what_would_make_a_better_one() {
        let kernel = |release: &str| Kernel {
            release: release.to_owned(),
            ..Kernel::default()
        };
        let ubuntu = Kernel {
            apparmor_restricts: true,
            ..kernel("6.8.0-31-generic")
        };
        let why = Some("a namespace of users: Permission denied");
        insta::assert_snapshot!(room(RoomLevel::Landlock, why, None, &ubuntu), @"
        warn     room  level landlock: children cannot write elsewhere, but read, and
                       reach other processes' sockets
                       - why not more: a namespace of users: Permission denied
                       - not held: metadata, network seen, private files, processes
                         seen, scheduling of processes (not as root), shared memory,
                         sockets by name, terminals; SECURITY.md explains each
                       - allow namespaces:
                         `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`

        a run can start, with 1 warning
        ");
        let docker = Kernel {
            container: true,
            ..ubuntu.clone()
        };
        insta::assert_snapshot!(room(RoomLevel::Landlock, why, Some(RoomLevel::Sealed), &docker), @"
        missing  room  level landlock: children cannot write elsewhere, but read, and
                       reach other processes' sockets
                       - why not more: a namespace of users: Permission denied
                       - not held: metadata, network seen, private files, processes
                         seen, scheduling of processes (not as root), shared memory,
                         sockets by name, terminals; SECURITY.md explains each
                       - start the container with
                         `--security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined`
                       - allow namespaces:
                         `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`,
                         on the container's host
                       - or set `room.level` of the plan, which demands `sealed`, to
                         `landlock`

        a run cannot start: 1 thing is missing
        ");
        let off = Kernel {
            namespaces_off: true,
            ..kernel("6.1.0")
        };
        insta::assert_snapshot!(room(RoomLevel::Landlock, why, Some(RoomLevel::Landlock), &off), @"
        warn     room  level landlock: children cannot write elsewhere, but read, and
                       reach other processes' sockets
                       - why not more: a namespace of users: Permission denied
                       - not held: metadata, network seen, private files, processes
                         seen, scheduling of processes (not as root), shared memory,
                         sockets by name, terminals; SECURITY.md explains each
                       - allow namespaces: set `kernel.unprivileged_userns_clone` to 1,
                         and `user.max_user_namespaces` to 10000

        a run can start, with 1 warning
        ");
        let old = Some("this kernel has no Landlock");
        insta::assert_snapshot!(room(RoomLevel::None, old, None, &kernel("5.4.0")), @"
        warn     room  level none: children can do all that you can
                       - why not more: this kernel has no Landlock
                       - Landlock needs Linux 5.13 or newer with `landlock` in
                         /sys/kernel/security/lsm; this is 5.4.0

        a run can start, with 1 warning
        ");
        insta::assert_snapshot!(room(RoomLevel::None, old, Some(RoomLevel::Landlock), &kernel("5.4.0")), @"
        missing  room  level none: children can do all that you can
                       - why not more: this kernel has no Landlock
                       - Landlock needs Linux 5.13 or newer with `landlock` in
                         /sys/kernel/security/lsm; this is 5.4.0
                       - or set `room.level` of the plan, which demands `landlock`, to
                         `none`

        a run cannot start: 1 thing is missing
        ");
        assert!(room(RoomLevel::Landlock, None, None, &ubuntu).starts_with("ok "));
        let closed = Point::room(
            RoomLevel::None,
            old,
            Demand::ClosedNetwork,
            &kernel("5.4.0"),
        );
        insta::assert_snapshot!(Checkup { points: vec![closed] }.terminal(), @"
        missing  room  level none: children can do all that you can; the plan closes the
                       network of a task or gate, and such a room cannot
                       - why not more: this kernel has no Landlock
                       - Landlock needs Linux 5.13 or newer with `landlock` in
                         /sys/kernel/security/lsm; this is 5.4.0
                       - or accept rooms that close no network: `room: { level: none }`
                         in the plan

        a run cannot start: 1 thing is missing
        ");
    }
}
