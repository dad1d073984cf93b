//! Removing slots, and setting aside what cannot be removed: files of another owner, immutable
//! ones, a mount.
//!
//! It refuses to touch what another process holds, and to give up at the first thing that stays.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use rustix::fs::{FlockOperation, Mode, OFlags};

use super::error::GitError;
use super::pool::{OUTLIVED, Pool, STUCK, Slot, SlotName, lock};
use super::walk::{clear_leftovers, remove};

/// What the names of directories begin with in which somebody tries something.
const SCRATCH: &str = "try-";

/// A slot, or a directory beside one, that omk may not remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// Where it is.
    pub path: PathBuf,
    /// Why, in words that fit after "failed to remove …:".
    pub why: String,
}

/// What came of the attempt to empty a slot that could not be laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rescue {
    /// Nothing is in it any more: it can be laid out anew.
    Emptied,
    /// It holds what omk may not remove, and is not taken again.
    SetAside,
    /// The disk did not refuse, or not because of what is in the slot.
    Nothing,
}

/// A directory of the pool in which its holder tries something; gone when dropped.
#[derive(Debug)]
pub struct Scratch {
    directory: tempfile::TempDir,
    /// Its lock, so that nobody takes it for what a killed process left.
    _lock: OwnedFd,
}

impl Scratch {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// What became of the slots in [`Pool::remove_idle`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Removed {
    /// These are gone.
    pub gone: Vec<SlotName>,
    /// These are in use, and were left alone.
    pub busy: Vec<SlotName>,
    /// What of them could not be removed.
    pub stuck: Vec<Stuck>,
}

impl Pool {
    /// Every slot that was ever taken.
    ///
    /// # Errors
    /// Where the pool's directory cannot be read.
    pub fn all(&self) -> Result<BTreeSet<SlotName>, GitError> {
        let names = self.entries()?.into_iter().filter_map(|path| {
            let name = path.file_name()?.to_str()?;
            name.strip_suffix(".lock")
                .unwrap_or(name)
                .parse::<SlotName>()
                .ok()
        });
        Ok(names.collect())
    }

    /// Removes every slot that nobody holds, with its worktree in the repository, and what killed
    /// processes left beside them. What cannot be removed is told, and no run takes it.
    ///
    /// # Errors
    /// Where the pool's directory cannot be read or written.
    pub fn remove_idle(&self) -> Result<Removed, GitError> {
        let mut removed = Removed::default();
        for name in self.all()? {
            if lock(self.root(), name)?.is_none() {
                removed.busy.push(name);
                continue;
            }
            for kind in [OUTLIVED, STUCK] {
                let _ = std::fs::remove_file(self.file(name, kind));
            }
            let slot = self.acquire(Some(name))?;
            if slot.name() != name {
                removed.busy.push(name);
                continue;
            }
            let left = slot.empty_out();
            if left.is_empty() {
                let _ = std::fs::remove_dir(&slot.attic);
                removed.gone.push(name);
            } else {
                slot.mark(STUCK, &left)?;
                removed.stuck.extend(left);
            }
        }
        self.remove_scratches(&mut removed)?;
        Ok(removed)
    }

    /// Removes the directories in which nobody tries anything any more.
    fn remove_scratches(&self, removed: &mut Removed) -> Result<(), GitError> {
        let is_scratch = |path: &PathBuf| {
            path.file_name()
                .is_some_and(|name| name.as_bytes().starts_with(SCRATCH.as_bytes()))
        };
        for path in self.entries()?.into_iter().filter(is_scratch) {
            if is_held(&path) {
                continue;
            }
            let attic =
                tempfile::tempdir_in(self.root()).map_err(GitError::io("write in", self.root()))?;
            if let Err(error) = remove(&path, attic.path()) {
                removed.stuck.push(Stuck {
                    path,
                    why: why(&error),
                });
            }
        }
        Ok(())
    }

    /// A directory to try something in, beside the slots.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn scratch(&self) -> std::io::Result<Scratch> {
        let directory = tempfile::Builder::new()
            .prefix(SCRATCH)
            .tempdir_in(self.root())?;
        let lock = open(directory.path())?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive)?;
        Ok(Scratch {
            directory,
            _lock: lock,
        })
    }

    /// The slots that this process has set aside.
    #[must_use]
    pub fn set_aside(&self) -> Vec<Stuck> {
        self.inner
            .stuck
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn entries(&self) -> Result<Vec<PathBuf>, GitError> {
        let entries = std::fs::read_dir(self.root()).map_err(GitError::io("read", self.root()))?;
        Ok(entries.flatten().map(|entry| entry.path()).collect())
    }
}

impl Slot {
    /// Empties a slot that could not be laid out because of that error. One that holds what omk may
    /// not remove, as a file of another owner or an immutable one, is set aside: this run and
    /// later ones take another number.
    #[must_use]
    pub fn rescue(&self, error: &GitError) -> Rescue {
        if !is_refused(error) {
            return Rescue::Nothing;
        }
        let left = self.empty_out();
        if left.is_empty() {
            return Rescue::Emptied;
        }
        // A disk that takes no mark refuses everything.
        if self.mark(STUCK, &left).is_err() {
            return Rescue::Nothing;
        }
        self.pool
            .inner
            .stuck
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(left);
        Rescue::SetAside
    }

    /// Removes what is in the slot and beside it, as far as the disk lets it; what is left.
    fn empty_out(&self) -> Vec<Stuck> {
        let mut left = Vec::new();
        for path in [
            self.path(),
            &self.admin,
            &self.own_file("private"),
            &self.attic,
        ] {
            let done = if *path == self.attic {
                clear_leftovers(path)
            } else {
                remove(path, &self.attic)
            };
            if let Err(error) = done {
                left.push(Stuck {
                    path: path.to_owned(),
                    why: why(&error),
                });
            }
        }
        self.known().take();
        // The lock's file stays: removing it would let two processes lock two files of one name.
        for kind in ["known", "index", "list", "stamp"] {
            let _ = std::fs::remove_file(self.own_file(kind));
        }
        left
    }

    fn mark(&self, kind: &str, left: &[Stuck]) -> Result<(), GitError> {
        let path = self.own_file(kind);
        let why: String = left
            .iter()
            .map(|stuck| format!("{}\n", stuck.why))
            .collect();
        std::fs::write(&path, why).map_err(GitError::io("write", &path))
    }
}

fn open(directory: &Path) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(
        directory,
        OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

/// Whether somebody tries something in that directory now.
fn is_held(directory: &Path) -> bool {
    let lock = |directory: OwnedFd| {
        rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive)
    };
    open(directory).is_ok_and(|directory| lock(directory) == Err(rustix::io::Errno::WOULDBLOCK))
}

/// The system's own reason, if it gave one.
fn why(error: &GitError) -> String {
    match error {
        GitError::Io { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}

/// Whether the disk refused because of whose a file is, of its flags, or of what is mounted there.
fn is_refused(error: &GitError) -> bool {
    let GitError::Io { source, .. } = error else {
        return false;
    };
    match source.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::ResourceBusy => {
            true
        }
        // Of a directory, something in it stayed.
        kind => kind == ErrorKind::DirectoryNotEmpty,
    }
}
