//! What a killed omk, or a power cut, left of omk's own refs: locks, and files without content.
//!
//! It refuses to take a lock away from a process that still works: it looks twice, only below
//! `omk/`, and asks the system which processes there are.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::holders::{may_be_held, sees_processes};
use super::repo::Repo;
use crate::id::Scope;
use crate::plain_file;

/// A git process holds a branch's lock for a few milliseconds, unless a hook or a slow disk keeps
/// it. A lock that is the same file after this long was left, if no process is at work that may
/// hold it.
const HOLDS_AT_MOST: Duration = Duration::from_millis(300);

/// The same where the system does not say which processes there are: longer than any hook takes
/// that does its work well.
const UNSEEN: Duration = Duration::from_secs(5);

/// The digits of a commit's id.
const DIGEST: usize = 40;

impl Repo {
    /// Removes the locks of a scope's branches that nobody holds any more. The caller has the scope
    /// to itself, so no other omk moves these branches. Blocks for a moment where there is any
    /// lock, and not otherwise.
    ///
    /// What cannot be removed stays: moving the branch then says so.
    pub fn remove_left_locks(&self, scope: &Scope) {
        self.remove_torn(scope);
        let before = self.locks(scope);
        if before.is_empty() {
            return;
        }
        let sees = sees_processes();
        std::thread::sleep(if sees { HOLDS_AT_MOST } else { UNSEEN });
        let after = self.locks(scope);
        let places = self.checkouts().unwrap_or_default();
        for (path, identity) in &before {
            let may_be_held = || may_be_held(path, identity.1, self.common_dir(), &places);
            if after.get(path) == Some(identity) && !may_be_held() {
                let _ = fs::remove_file(path);
            }
        }
    }

    /// Removes the files of refs that a power cut tore: nobody can work on a branch whose file says
    /// nothing. Where it was packed before, it is there again; else whoever takes the run up
    /// puts it where it belongs.
    fn remove_torn(&self, scope: &Scope) {
        let ours = self.common_dir().join("refs/heads/omk");
        let tasks = entries(&ours.join("task").join(scope.as_str()));
        let kept = entries(&self.common_dir().join("refs/omk/keep"));
        let result = ours.join("run").join(scope.as_str());
        for path in tasks.into_iter().chain(kept).chain([result]) {
            let is_lock = path
                .extension()
                .is_some_and(|extension| extension == "lock");
            if !is_lock && is_torn(&path) {
                let _ = fs::remove_file(&path);
            }
        }
    }

    fn locks(&self, scope: &Scope) -> BTreeMap<PathBuf, (u64, i64, i64)> {
        let ours = self.common_dir().join("refs/heads/omk");
        let mut found = BTreeMap::new();
        let mut look = |path: PathBuf| {
            if let Ok(meta) = fs::symlink_metadata(&path) {
                found.insert(path, (meta.ino(), meta.mtime(), meta.mtime_nsec()));
            }
        };
        look(ours.join("run").join(format!("{scope}.lock")));
        let kept = self.common_dir().join("refs/omk/keep");
        for path in entries(&ours.join("task").join(scope.as_str()))
            .into_iter()
            .chain(entries(&kept))
        {
            if path
                .extension()
                .is_some_and(|extension| extension == "lock")
            {
                look(path);
            }
        }
        found
    }
}

/// Whether a ref's file is empty, cut off, or has zeros where bytes were to be: no tool writes such
/// a file. git reads one without a newline at its end.
fn is_torn(path: &Path) -> bool {
    let Ok(bytes) = plain_file::read(path, 1024) else {
        return false;
    };
    let said = bytes.trim_ascii();
    let cut_off = said.len() < DIGEST && said.iter().all(u8::is_ascii_hexdigit);
    cut_off || bytes.contains(&0)
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .collect()
}
