//! What of a user's directories a sealed room can have as copies: settled once a run, outside of
//! any room.
//!
//! A copy is a layer over the original. A file can only be copied up into it if its owner and group
//! are known in the room, and those are omk's own; and not every file system takes part. It refuses
//! to guess what it can try, and looks through directories because one file of another owner, deep
//! in them, is enough to fail a child.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::OnceCell;

use super::RunShared;
use super::thread::blocking;
use crate::exec::environment::{Caller, child_env};
use crate::exec::{Shepherd, copyable};
use crate::git::{Pool, Repo};
use crate::plan::RoomLevel;

/// How many entries of one directory tree are looked at, nearest first. It takes 0.3 s, once a run;
/// a cache of packages may have ten times as many, and what is written again lies near its top.
const MOST: usize = 50_000;

/// What can be copied, once it is settled.
#[derive(Debug, Default)]
pub(super) struct Copies(OnceCell<BTreeSet<PathBuf>>);

impl Copies {
    /// Settles it, if that was not done before.
    pub(super) async fn settle(shared: &Arc<RunShared>) {
        shared.copies.0.get_or_init(|| found(shared)).await;
    }

    /// Whether a child can have a copy of that directory. What was not settled cannot be copied.
    pub(super) fn has(&self, directory: &Path) -> bool {
        self.0.get().is_some_and(|found| found.contains(directory))
    }
}

async fn found(shared: &Arc<RunShared>) -> BTreeSet<PathBuf> {
    let tools = &shared.tools;
    if tools.level != RoomLevel::Sealed {
        return BTreeSet::new();
    }
    let all = can_be_copied(&tools.shepherd, &tools.caller, &tools.repo, &tools.pool).await;
    all.into_iter()
        .filter(|(_, can)| *can)
        .map(|(directory, _)| directory)
        .collect()
}

/// The repository and the caller's caches, and whether a sealed room can have a copy of each.
pub async fn can_be_copied(
    shepherd: &Shepherd,
    caller: &Caller,
    repo: &Repo,
    pool: &Pool,
) -> Vec<(PathBuf, bool)> {
    let nowhere = Path::new("/");
    let none = BTreeMap::new();
    let env = child_env(caller, nowhere, nowhere, &none, &[], &none);
    let mut wanted: BTreeSet<PathBuf> = env.caches.into_iter().map(|(_, cache)| cache).collect();
    wanted.insert(repo.common_dir().to_owned());
    let pool = pool.clone();
    let looked_at = blocking(move || {
        let (ours, others): (Vec<PathBuf>, Vec<PathBuf>) =
            wanted.into_iter().partition(|directory| is_ours(directory));
        (ours, others, pool.scratch())
    });
    let (ours, others, scratch) = looked_at.await;
    let can = match scratch {
        Ok(scratch) => copyable(shepherd, ours.clone(), scratch.path()).await,
        Err(_) => vec![false; ours.len()],
    };
    ours.into_iter()
        .zip(can)
        .chain(others.into_iter().map(|directory| (directory, false)))
        .collect()
}

/// Whether all that is written again in a directory, as far as one looks, belongs to this process's
/// user and group.
fn is_ours(top: &Path) -> bool {
    let (user, group) = (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    // Root's rooms know every owner and group, but their root cannot write what is another's.
    let belongs = |meta: &Metadata| meta.uid() == user && (user == 0 || meta.gid() == group);
    let Ok(meta) = top.symlink_metadata() else {
        return false;
    };
    if !belongs(&meta) {
        return false;
    }
    let mut waiting = VecDeque::from([top.to_owned()]);
    let mut seen = 0;
    while let Some(directory) = waiting.pop_front() {
        let inside = directory.strip_prefix(top).unwrap_or(&directory);
        let has_objects = inside
            .components()
            .any(|part| part.as_os_str() == "objects");
        for entry in std::fs::read_dir(&directory)
            .into_iter()
            .flatten()
            .flatten()
        {
            seen += 1;
            if seen > MOST {
                return true;
            }
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            // git never writes to an object; only to the directories that hold them.
            if has_objects && !is_directory {
                continue;
            }
            // Runs lie there, as many as were made, and rooms hide them.
            if directory == top && entry.file_name() == "omk" {
                continue;
            }
            // It may be gone, as files of other processes are.
            let Ok(meta) = entry.metadata() else { continue };
            if !belongs(&meta) {
                return false;
            }
            if is_directory {
                waiting.push_back(entry.path());
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_directory_of_another_owner_is_enough_and_an_object_is_not() {
        if !rustix::process::geteuid().is_root() {
            // Only root gives files away.
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        // Where the repository lies says nothing.
        let top = dir.path().join("objects/repository");
        let at = |path: &str| top.join(path);
        for path in ["refs/heads", "objects/ab"] {
            std::fs::create_dir_all(at(path)).unwrap();
        }
        for path in ["refs/heads/main", "objects/ab/cdef"] {
            std::fs::write(at(path), "").unwrap();
        }
        assert!(is_ours(&top));
        std::os::unix::fs::chown(at("objects/ab/cdef"), Some(12345), None).unwrap();
        assert!(is_ours(&top));
        std::fs::create_dir_all(at("omk/runs")).unwrap();
        std::os::unix::fs::chown(at("omk/runs"), Some(12345), None).unwrap();
        assert!(is_ours(&top), "rooms hide it");
        std::os::unix::fs::chown(at("refs/heads/main"), Some(12345), None).unwrap();
        assert!(!is_ours(&top));
        assert!(!is_ours(&at("nowhere")));
    }
}
