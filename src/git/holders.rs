//! Which processes may hold a lock of git's: the one place that asks the system for processes of others.
//!
//! git closes a lock's file before it moves the ref, and runs a hook in between. So a git process that is older than the lock,
//! and at work in the repository, may hold it. It refuses to call a lock free because nothing has it open.

use std::fs;
use std::path::{Path, PathBuf};

use crate::plain_file;

/// The largest file of a process that is read, in bytes. Its words may be longer, and begin with what is looked for.
const LARGEST: u64 = 64 << 10;

/// How many times in a second Linux counts the age of processes, for programs (`USER_HZ`).
const TICKS: i64 = 100;

/// How far the start of a process and the time of a file may be apart, in seconds: both are rounded.
const ROUNDING: i64 = 2;

/// Which field of `/proc/PID/stat`, after the name, tells when the process began.
const BEGAN: usize = 19;

/// git's commands that stay for long and never move a ref.
const READS: &[&str] =
    &["cat-file", "log", "show", "diff", "blame", "grep", "daemon", "fsmonitor--daemon", "credential-cache--daemon"];

/// Whether the system says which processes there are.
pub(super) fn sees_processes() -> bool {
    started(Path::new("/proc/self")).is_some()
}

/// Whether a process that is at work may hold a lock that was made at `since`, in seconds, in the repository whose files lie
/// in these places.
pub(super) fn may_be_held(lock: &Path, since: i64, common_dir: &Path, places: &[PathBuf]) -> bool {
    let Ok(entries) = fs::read_dir("/proc") else { return false };
    let processes = entries.filter_map(Result::ok).map(|entry| entry.path());
    processes
        .filter(|process| started(process).is_some_and(|at| at <= since + ROUNDING))
        .any(|process| has_open(&process, lock) || (may_move_refs(&process) && works_in(&process, common_dir, places)))
}

/// When a process began, in seconds since 1970. `None`: it is none, or it has ended.
fn started(process: &Path) -> Option<i64> {
    let stat = plain_file::read(&process.join("stat"), LARGEST).ok()?;
    // The name before may hold anything.
    let after_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
    let fields = std::str::from_utf8(&stat[after_name..]).ok()?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    // One that has ended, and that nobody has looked for yet, holds nothing.
    let ticks: i64 = fields.get(BEGAN).filter(|_| fields[0] != "Z")?.parse().ok()?;
    let of_all = plain_file::read(Path::new("/proc/stat"), 16 << 20).ok()?;
    let of_all = String::from_utf8_lossy(&of_all).into_owned();
    let boot: i64 = of_all.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(boot + ticks / TICKS)
}

fn has_open(process: &Path, lock: &Path) -> bool {
    let Ok(open) = fs::read_dir(process.join("fd")) else { return false };
    open.filter_map(Result::ok).any(|file| fs::read_link(file.path()).is_ok_and(|target| target == lock))
}

/// Whether it is git, and not one of those commands that only read.
fn may_move_refs(process: &Path) -> bool {
    let name = plain_file::read(&process.join("comm"), LARGEST).unwrap_or_default();
    let words = plain_file::read(&process.join("cmdline"), LARGEST).unwrap_or_default();
    let reads = || words.split(|byte| *byte == 0).skip(1).any(|word| READS.iter().any(|read| read.as_bytes() == word));
    name.starts_with(b"git") && !reads()
}

/// Whether it works in one of these places. That of another user's process cannot be seen, so it may.
fn works_in(process: &Path, common_dir: &Path, places: &[PathBuf]) -> bool {
    let Ok(directory) = fs::read_link(process.join("cwd")) else { return true };
    directory.starts_with(common_dir) || places.iter().any(|place| directory.starts_with(place))
}
