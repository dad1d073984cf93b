//! Slots: worktrees of the user's repository, in a pool outside of it, at paths that stay the same.
//!
//! A slot is git's linked worktree, made by hand: `omk-slot-N-…` below `.git/worktrees`, its HEAD
//! detached. Beside it, out of a child's reach, lie its lock, its attic, and what omk knows of its
//! files. The room refuses to share a slot between two holders, in this process or another: the
//! lock ends with the file descriptor, so also with a killed process.

mod slot_name;
mod registration;

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use git2::Oid;
use rustix::fs::FlockOperation;

use super::error::GitError;
use super::facts::{SlotFacts, Stat};
use super::removal::Stuck;
use super::repo::Repo;
use crate::id::Sha256;
use crate::text::Scrubber;
use slot_name::{SLOTS, admin_name};

pub(super) use registration::make_directory;
pub use slot_name::SlotName;
pub(super) use slot_name::{admin_at, may_be_slot};

/// The kind of the file beside a slot that says that it must not be taken again.
pub(super) const OUTLIVED: &str = "outlived";

/// The kind of the file beside a slot that could not be emptied: no run takes it. It holds the
/// reason.
pub(super) const STUCK: &str = "stuck";

/// The slots of one repository. Cheap to clone, and shared between threads.
#[derive(Clone)]
pub struct Pool {
    pub(super) inner: Arc<PoolShared>,
    scrubber: Scrubber,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({})", self.inner.root.display())
    }
}

pub(super) struct PoolShared {
    repo: Repo,
    root: PathBuf,
    /// What is known of the slots that nobody in this process holds.
    idle: Mutex<HashMap<SlotName, SlotKnowledge>>,
    /// Those that this process has set aside.
    pub(super) stuck: Mutex<Vec<Stuck>>,
}

/// What omk knows of a slot.
pub(super) struct SlotKnowledge {
    pub(super) facts: SlotFacts,
    /// The tree in the worktree's own index, and that file as it was left, unless others of the
    /// slot were written since.
    pub(super) index: Option<(Oid, Option<Stat>)>,
}

impl Pool {
    /// The pool of a repository below `directory` (omk's cache): `slots/<digest of the repository's
    /// path>/`.
    ///
    /// # Errors
    /// Where the directory cannot be made.
    pub fn open(repo: &Repo, directory: &Path) -> Result<Self, GitError> {
        let digest = Sha256::of(repo.common_dir().as_os_str().as_bytes());
        let root = directory.join("slots").join(digest.short());
        // Slots hold the repository's files, which may not be for everyone on the machine.
        let made = std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&root);
        made.map_err(GitError::io("make", &root))?;
        let root = std::fs::canonicalize(&root).map_err(GitError::io("resolve", &root))?;
        let inner = Arc::new(PoolShared {
            repo: repo.clone(),
            root,
            idle: Mutex::default(),
            stuck: Mutex::default(),
        });
        Ok(Self {
            inner,
            scrubber: Scrubber::default(),
        })
    }

    /// The same pool, whose slots take in nothing that holds a secret which that scrubber knows.
    #[must_use]
    pub fn refusing(self, scrubber: Scrubber) -> Self {
        Self { scrubber, ..self }
    }

    pub(super) fn scrubber(&self) -> &Scrubber {
        &self.scrubber
    }

    /// Where the slots are.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// A slot that nobody else holds: the preferred one where it is free, else the first. What is
    /// in it is whatever its last holder left; reset it. Never waits for another holder.
    ///
    /// # Errors
    /// Where the pool's directory cannot be written.
    pub fn acquire(&self, prefer: Option<SlotName>) -> Result<Slot, GitError> {
        for name in prefer.into_iter().chain((1..=SLOTS).map(SlotName)) {
            if [OUTLIVED, STUCK]
                .iter()
                .any(|kind| self.file(name, kind).exists())
            {
                continue;
            }
            let Some(lock) = lock(self.root(), name)? else {
                continue;
            };
            let known = self.idle().remove(&name);
            let known = known.unwrap_or_else(|| SlotKnowledge {
                facts: SlotFacts::load(&self.file(name, "known")),
                index: None,
            });
            let attic = self.file(name, "attic");
            make_directory(&attic)?;
            let path = self.inner.root.join(name.to_string());
            let admin = self
                .inner
                .repo
                .common_dir()
                .join("worktrees")
                .join(admin_name(self.root(), name));
            let slot = Slot {
                pool: self.clone(),
                name,
                path,
                admin,
                attic,
                lock,
                known: Mutex::new(Some(known)),
            };
            return Ok(slot);
        }
        let source = std::io::Error::other(format!("all {SLOTS} slots are in use"));
        Err(GitError::Io {
            what: format!("take a slot of {}", self.inner.root.display()),
            source,
        })
    }

    pub(super) fn repo(&self) -> &Repo {
        &self.inner.repo
    }

    /// A file of omk's own beside a slot.
    pub(super) fn file(&self, name: SlotName, kind: &str) -> PathBuf {
        self.inner.root.join(format!("{name}.{kind}"))
    }

    fn idle(&self) -> MutexGuard<'_, HashMap<SlotName, SlotKnowledge>> {
        self.inner
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PoolShared {
    /// Leaves what is known to the next process. Lost where this one is killed: then files are read
    /// once more.
    fn drop(&mut self) {
        let idle = self.idle.get_mut().unwrap_or_else(PoisonError::into_inner);
        for (name, mut known) in std::mem::take(idle) {
            if let Ok(Some(_held)) = lock(&self.root, name) {
                let _ = known.facts.save(&self.root.join(format!("{name}.known")));
            }
        }
    }
}

/// Takes a slot's lock, if nobody has it.
pub(super) fn lock(root: &Path, name: SlotName) -> Result<Option<File>, GitError> {
    let path = root.join(format!("{name}.lock"));
    let opened = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let file = opened.map_err(GitError::io("open", &path))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(errno) => Err(GitError::io("lock", &path)(errno.into())),
    }
}

/// A slot, held by nobody else until it is dropped.
pub struct Slot {
    // Dropped first: the last slot of a pool leaves what is known, under the lock.
    #[expect(dead_code, reason = "holding it open is holding the slot")]
    lock: File,
    pub(super) pool: Pool,
    name: SlotName,
    path: PathBuf,
    pub(super) admin: PathBuf,
    pub(super) attic: PathBuf,
    known: Mutex<Option<SlotKnowledge>>,
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot({})", self.path.display())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(known) = self.known().take() {
            self.pool.idle().insert(self.name, known);
        }
    }
}

impl Slot {
    /// Its number.
    #[must_use]
    pub fn name(&self) -> SlotName {
        self.name
    }

    /// Where its files are. Absolute, without symlinks, and the same for every run of this
    /// repository.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The worktree's own git directory, which a child that wants to use git must be able to read.
    #[must_use]
    pub fn git_dir(&self) -> &Path {
        &self.admin
    }

    /// Has nobody take this slot again until it is removed by name: a process may still be at work
    /// in it.
    ///
    /// # Errors
    /// Where the disk refuses; then the slot must not be given back.
    pub fn condemn(&self) -> Result<(), GitError> {
        let path = self.own_file(OUTLIVED);
        File::create(&path)
            .map(drop)
            .map_err(GitError::io("write", &path))
    }

    pub(super) fn known(&self) -> MutexGuard<'_, Option<SlotKnowledge>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn own_file(&self, kind: &str) -> PathBuf {
        self.pool.file(self.name, kind)
    }
}
