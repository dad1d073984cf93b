//! How places and processes look from outside, so that two looks can be compared.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// All files below some places: whose they are, when they changed, and what is in them.
#[derive(Debug)]
pub(super) struct Snapshot(BTreeMap<PathBuf, String>);

impl Snapshot {
    pub(super) fn of(places: &[PathBuf]) -> Self {
        let mut found = BTreeMap::new();
        for place in places {
            walk(place, &mut found);
        }
        Self(found)
    }

    /// The paths that differ in another one, each with how.
    pub(super) fn changes(&self, later: &Self) -> Vec<String> {
        let paths = self
            .0
            .keys()
            .chain(later.0.keys().filter(|path| !self.0.contains_key(*path)));
        let differs = paths.filter(|path| self.0.get(*path) != later.0.get(*path));
        differs
            .map(|path| {
                format!(
                    "{path:?}: {:?}, then {:?}",
                    self.0.get(path),
                    later.0.get(path)
                )
            })
            .collect()
    }
}

fn walk(path: &Path, found: &mut BTreeMap<PathBuf, String>) {
    let Ok(meta) = path.symlink_metadata() else {
        return;
    };
    let content = if meta.is_file() {
        let bytes = std::fs::read(path).unwrap_or_default();
        omk_action::id::Sha256::of(&bytes).to_string()
    } else if meta.is_symlink() {
        format!(
            "{:?}",
            std::fs::read_link(path).unwrap().as_os_str().as_bytes()
        )
    } else {
        String::new()
    };
    let mode = format!(
        "{:o} {}:{} {}",
        meta.mode(),
        meta.uid(),
        meta.gid(),
        content
    );
    found.insert(path.to_owned(), mode);
    if meta.is_dir() {
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            walk(&entry.path(), found);
        }
    }
}

/// How a process runs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Process {
    alive: bool,
    nice: String,
    policy: String,
    limits: String,
    first_to_die: String,
    processors: String,
    disk: i64,
}

/// How a child of this test runs.
pub(super) fn of_process(child: &mut std::process::Child) -> Process {
    let pid = child.id();
    let read =
        |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let stat = read("stat");
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    // Fields 3, 19 and 41 of stat(5): the state, the nice value, and the policy.
    let field = |number: usize| (*fields.get(number - 3).unwrap_or(&"?")).to_owned();
    let of_status = |status: String| {
        status
            .lines()
            .find(|line| line.starts_with("Cpus_allowed:"))
            .map(ToOwned::to_owned)
            .unwrap_or_default()
    };
    // SAFETY: a plain question about a process, without pointers.
    let disk = unsafe { libc::syscall(libc::SYS_ioprio_get, 1, pid) };
    Process {
        alive: matches!(child.try_wait(), Ok(None)) && "SRI".contains(&field(3)),
        nice: field(19),
        policy: field(41),
        limits: read("limits"),
        first_to_die: read("oom_score_adj"),
        processors: of_status(read("status")),
        // Only the class that an attempt sets.
        disk: if disk >> 13 == 3 { disk } else { 0 },
    }
}
