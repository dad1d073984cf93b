//! Processes of this machine, as `/proc/PID/stat` tells of them (proc_pid_stat(5)): the one place
//! that reads that file.
//!
//! It refuses to look at what a process says or keeps: its command line, its environment, its
//! memory.

use std::io;
use std::path::{Path, PathBuf};

use crate::plain_file;

/// The largest such file, in bytes: far more than the kernel writes.
const LARGEST: u64 = 64 << 10;

/// Which field after the name tells when the process began.
const BEGAN: usize = 19;

/// A process, as it was at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessStat {
    /// Its number.
    pub pid: i32,
    /// The number of the one above it.
    pub parent: i32,
    /// Whether it says that it has ended, and waits for the one above it to look. It may still
    /// run, in threads that outlive the first.
    pub is_zombie: bool,
    /// When it began, in ticks of the clock that Linux counts in for programs, since the machine
    /// started.
    pub began: i64,
}

impl ProcessStat {
    /// Reads one, of a directory `/proc/PID`. `None`: it is none, or has ended.
    #[must_use]
    pub fn read(directory: &Path) -> Option<Self> {
        Self::parse(&plain_file::read(&directory.join("stat"), LARGEST).ok()?)
    }

    /// Every process that can be seen, with its directory, in no order. One that ends meanwhile is
    /// left out.
    ///
    /// # Errors
    /// Where there is no `/proc`.
    pub fn all() -> io::Result<impl Iterator<Item = (PathBuf, Self)>> {
        let directories = std::fs::read_dir("/proc")?
            .filter_map(Result::ok)
            .map(|entry| entry.path());
        let numbered = directories.filter(|path| {
            path.file_name().is_some_and(|name| {
                name.as_encoded_bytes()
                    .first()
                    .is_some_and(u8::is_ascii_digit)
            })
        });
        Ok(numbered.filter_map(|path| Self::read(&path).map(|process| (path, process))))
    }

    /// `PID (name) S PPID …`, where the name may hold anything.
    fn parse(stat: &[u8]) -> Option<Self> {
        let open = stat.iter().position(|byte| *byte == b'(')?;
        let close = stat.iter().rposition(|byte| *byte == b')')?;
        let pid = std::str::from_utf8(&stat[..open])
            .ok()?
            .trim()
            .parse()
            .ok()?;
        let fields: Vec<&str> = std::str::from_utf8(&stat[close + 1..])
            .ok()?
            .split_ascii_whitespace()
            .collect();
        let is_zombie = matches!(*fields.first()?, "Z" | "X");
        Some(Self {
            pid,
            parent: fields.get(1)?.parse().ok()?,
            is_zombie,
            began: fields.get(BEGAN)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_hides_nothing() {
        let rest = " 34 12 12 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 0 0";
        let read = |begin: &str| ProcessStat::parse(format!("{begin}{rest}").as_bytes());
        let process = |is_zombie| {
            Some(ProcessStat {
                pid: 12,
                parent: 34,
                is_zombie,
                began: 4711,
            })
        };
        assert_eq!(read("12 (a) Z 1) S"), process(false));
        assert_eq!(read("12 (sh) Z"), process(true));
        assert_eq!(read("12 (sh) X"), process(true));
        assert_eq!(ProcessStat::parse(b"12 (sh"), None);
        assert_eq!(ProcessStat::parse(b"12 (sh) S 34 12"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_among_all_of_them() {
        let me = ProcessStat::read(Path::new("/proc/self")).unwrap();
        assert!(
            ProcessStat::all()
                .unwrap()
                .any(|(_, process)| process == me)
        );
        assert_eq!(me.pid, i32::try_from(std::process::id()).unwrap());
    }
}
