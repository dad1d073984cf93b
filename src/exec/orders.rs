//! What omk and a shepherd say to each other: one JSON text a line, over a socket that is the
//! shepherd's standard input.
//!
//! Orders hold the child's whole environment, so they never travel in arguments or variables, which
//! others can read. It refuses to be promised to anyone: both ends are the same binary.

use std::ffi::OsString;
use std::io::{self, BufRead, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::sandbox::Sandbox;
use super::{Child, Program};
use crate::plan::RoomLevel;

/// The first line from omk. Any byte after it means *stop*; the end of the stream means that omk is
/// gone.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Orders {
    /// The program and its arguments.
    pub(super) argv: Vec<OsString>,
    /// Where to start it.
    pub(super) cwd: OsString,
    /// Its whole environment.
    pub(super) env: Vec<(OsString, OsString)>,
    /// What it may see, touch and reach; `None` = everything.
    pub(super) room: Option<Sandbox>,
    /// How many files it may have open, if that is limited.
    pub(super) open_files: Option<u64>,
}

impl Orders {
    /// What is asked for that child, in a room of that level at most.
    pub(super) fn of(child: &Child, at_most: RoomLevel, open_files: Option<u64>) -> Self {
        let argv = match &child.program {
            Program::Shell(text) => vec!["/bin/sh".into(), "-c".into(), text.into()],
            Program::Direct(program, arguments) => {
                std::iter::once(program).chain(arguments).cloned().collect()
            }
        };
        Self {
            argv,
            cwd: child.cwd.clone().into(),
            env: child.env.clone().into_iter().collect(),
            room: child.room.clone().map(|room| Sandbox {
                most: room.most.min(at_most),
                ..room
            }),
            open_files,
        }
    }
}

/// A line from the shepherd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ShepherdReport {
    /// The child could not be started. The last line.
    Failed {
        /// What failed: "start `sh`".
        what: String,
        /// The system's error number, where there is one.
        errno: Option<i32>,
    },
    /// The room would have been of too low a level. The last line.
    Refused {
        /// The least level that is accepted.
        least: RoomLevel,
        /// The step that failed, and how.
        why: String,
    },
    /// The room is made. The process outside says so, for inside its number is another one.
    Room {
        /// The number of the room's first process.
        first: i32,
    },
    /// The child exists and is about to execute its program. It says so itself, so that omk knows
    /// it even if the child's first act is to kill its shepherd.
    Born {
        /// Its process id, which is its group's and session's too; not told where it means nothing
        /// outside.
        pid: i32,
    },
    /// The room has a door: the listener that comes beside this line.
    Door {},
    /// The child runs.
    Started {
        /// The level of its room.
        level: RoomLevel,
        /// Why it is not sealed, if that was tried.
        why_not: Option<String>,
        /// The shepherd adopts every orphan.
        subreaper: bool,
    },
    /// The child and all its descendants are gone. The last line.
    Over {
        /// How the child itself ended.
        status: ChildStatus,
        /// Whether it was still running when the order to stop came.
        ordered: bool,
        /// Descendants that had to be ended.
        stragglers: u32,
        /// Whether every descendant was found; false where `/proc` could not be read.
        complete: bool,
    },
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ChildStatus {
    /// With that code.
    Exited(i32),
    /// By that signal.
    Signalled(i32),
}

/// Writes `message` as one line.
pub(super) fn say<M: Serialize>(mut to: impl Write, message: &M) -> io::Result<()> {
    to.write_all(&line(message)?)
}

/// `message` as one line, with its end.
pub(super) fn line<M: Serialize>(message: &M) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}

/// Reads one line.
pub(super) fn hear<M: DeserializeOwned>(from: &mut impl BufRead) -> io::Result<M> {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line)?;
    Ok(serde_json::from_slice(&line)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    #[test]
    fn orders_keep_bytes_that_are_not_text() {
        let odd = OsString::from_vec(vec![b'a', 0xff, b'\n', b'"']);
        let orders = Orders {
            argv: vec![odd.clone()],
            cwd: odd.clone(),
            env: vec![("A".into(), odd.clone())],
            room: None,
            open_files: None,
        };
        let line = line(&orders).unwrap();
        assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1);
        let back: Orders = hear(&mut &line[..]).unwrap();
        assert_eq!(
            (back.argv, back.cwd, back.env),
            (vec![odd.clone()], odd.clone(), vec![("A".into(), odd)])
        );
    }
}
