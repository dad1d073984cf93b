//! Which processes may hold a lock of git's: the one place that asks the system for processes of
//! others.
//!
//! git closes a lock's file before it moves the ref, and runs a hook in between. So a git process
//! that is older than the lock, and at work in the repository, may hold it. It refuses to call a
//! lock free because nothing has it open.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::plain_file;
use crate::processes::ProcessStat;

/// The largest file of a process that is read, in bytes. Its words may be longer, and begin with
/// what is looked for.
const LARGEST: u64 = 64 << 10;

/// How many times in a second Linux counts the age of processes, for programs (`USER_HZ`).
const TICKS: i64 = 100;

/// How far the start of a process and the time of a file may be apart, in seconds: both are
/// rounded.
const ROUNDING: i64 = 2;

/// git's commands that stay for long and never move a ref.
const READS: &[&str] = &[
    "cat-file",
    "log",
    "show",
    "diff",
    "blame",
    "grep",
    "daemon",
    "fsmonitor--daemon",
    "credential-cache--daemon",
];

/// Whether the system says which processes there are.
pub(super) fn sees_processes() -> bool {
    ProcessStat::read(Path::new("/proc/self")).is_some_and(|process| began(&process).is_some())
}

/// Whether a process that is at work may hold a lock that was made at `since`, in seconds, in the
/// repository whose files lie in these places.
pub(super) fn may_be_held(lock: &Path, since: i64, common_dir: &Path, places: &[PathBuf]) -> bool {
    let Ok(processes) = ProcessStat::all() else {
        return false;
    };
    // One that has ended, and that nobody has looked for yet, holds nothing.
    let older = |process: &ProcessStat| {
        !process.is_zombie && began(process).is_some_and(|at| at <= since + ROUNDING)
    };
    processes
        .filter(|(_, process)| older(process))
        .any(|(directory, _)| {
            has_open(&directory, lock)
                || (is_git(&directory)
                    && works_in(&directory, common_dir, places)
                    && may_move_refs(&directory))
        })
}

/// When a process began, in seconds since 1970.
fn began(process: &ProcessStat) -> Option<i64> {
    let of_all = plain_file::read(Path::new("/proc/stat"), 16 << 20).ok()?;
    let of_all = String::from_utf8_lossy(&of_all).into_owned();
    let boot: i64 = of_all
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()?;
    Some(boot + process.began / TICKS)
}

fn has_open(process: &Path, lock: &Path) -> bool {
    let Ok(open) = fs::read_dir(process.join("fd")) else {
        return false;
    };
    open.filter_map(Result::ok)
        .any(|file| fs::read_link(file.path()).is_ok_and(|target| target == lock))
}

fn is_git(process: &Path) -> bool {
    plain_file::read(&process.join("comm"), LARGEST).is_ok_and(|name| name.starts_with(b"git"))
}

/// Whether a git at work in this repository has none of those commands that only read. Only of such
/// a git are the words looked at: one that shows a history in a pager may stay for hours.
fn may_move_refs(git: &Path) -> bool {
    let words = plain_file::read(&git.join("cmdline"), LARGEST).unwrap_or_default();
    !words
        .split(|byte| *byte == 0)
        .skip(1)
        .any(|word| READS.iter().any(|read| read.as_bytes() == word))
}

/// Whether it works in one of these places. That of another user's process cannot be seen, so it
/// may; one that has no directory any more is about to be gone.
fn works_in(process: &Path, common_dir: &Path, places: &[PathBuf]) -> bool {
    match fs::read_link(process.join("cwd")) {
        Ok(directory) => {
            directory.starts_with(common_dir)
                || places.iter().any(|place| directory.starts_with(place))
        }
        Err(error) => error.kind() == ErrorKind::PermissionDenied,
    }
}
