//! Slots: worktrees of the user's repository, in a pool outside of it, at paths that stay the same.
//!
//! A slot is git's linked worktree, made by hand: `omk-slot-N-…` below `.git/worktrees`, its HEAD
//! detached. Beside it, out of a child's reach, lie its lock, its attic, and what omk knows of its
//! files. The room refuses to share a slot between two holders, in this process or another: the
//! lock ends with the file descriptor, so also with a killed process.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use git2::Oid;
use rustix::fs::FlockOperation;

use super::error::GitError;
use super::facts::{SlotFacts, Stat};
use super::removal::Stuck;
use super::repo::Repo;
use super::slot::calm_file;
use super::walk::{clear_leftovers, remove};
use crate::id::{BadName, CommitId, Sha256};
use crate::plain_file;
use crate::text::Scrubber;

/// What the names of our worktrees begin with.
const PREFIX: &str = "omk-slot-";

/// The kind of the file beside a slot that says that it must not be taken again.
pub(super) const OUTLIVED: &str = "outlived";

/// The kind of the file beside a slot that could not be emptied: no run takes it. It holds the
/// reason.
pub(super) const STUCK: &str = "stuck";

/// Slots of a pool; far more than any machine has workers.
const SLOTS: u32 = 4096;

/// How often a worktree's directory is made. `git worktree prune`, which `git gc` runs, removes one
/// that is half made.
const TRIES: usize = 5;

/// What git itself keeps in a worktree's directory, and we too.
const KEPT: [&str; 4] = ["HEAD", "commondir", "gitdir", "index"];

/// Whether a directory of `.git/worktrees` has the name of a slot.
pub(super) fn may_be_slot(name: &OsStr) -> bool {
    name.as_bytes().starts_with(PREFIX.as_bytes())
}

/// What git's directory of the slot at that place is called below `.git/worktrees`. `None`: no slot
/// can be there.
pub(super) fn admin_at(slot: &Path) -> Option<String> {
    Some(admin_name(
        slot.parent()?,
        slot.file_name()?.to_str()?.parse().ok()?,
    ))
}

fn admin_name(root: &Path, name: SlotName) -> String {
    format!(
        "{PREFIX}{name}-{}",
        &Sha256::of(root.as_os_str().as_bytes()).as_str()[..8]
    )
}

/// A slot of a pool, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotName(u32);

impl fmt::Display for SlotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for SlotName {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        let number = text
            .parse()
            .ok()
            .filter(|number| (1..=SLOTS).contains(number));
        let canonical = number.filter(|number: &u32| number.to_string() == text);
        canonical
            .map(Self)
            .ok_or_else(|| BadName::new(text, "a slot", "a number from 1"))
    }
}

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

    /// Makes the slot a worktree with HEAD at `commit`, whatever was done to it. Says nothing of
    /// its files.
    pub(super) fn register(&self, commit: &CommitId) -> Result<(), GitError> {
        let mut left = TRIES;
        loop {
            left -= 1;
            match self.try_to_register(commit) {
                Err(_) if left > 0 && !self.admin.exists() => {}
                done => return done,
            }
        }
    }

    fn try_to_register(&self, commit: &CommitId) -> Result<(), GitError> {
        clear_leftovers(&self.attic)?;
        real_directory(&self.path, &self.attic)?;
        self.write_link()?;
        let worktrees = self.pool.repo().common_dir().join("worktrees");
        make_directory(&worktrees)?;
        real_directory(&self.admin, &self.attic)?;
        let entries = std::fs::read_dir(&self.admin).map_err(GitError::io("read", &self.admin))?;
        for entry in entries {
            let entry = entry.map_err(GitError::io("read", &self.admin))?;
            let plain = entry.file_type().is_ok_and(|kind| kind.is_file());
            // A half-done merge, hooks, settings, locks: none of it is for the next holder.
            if !plain || !KEPT.iter().any(|kept| entry.file_name() == *kept) {
                remove(&entry.path(), &self.attic)?;
            }
        }
        let mut link = self.path.join(".git").into_os_string().into_encoded_bytes();
        link.push(b'\n');
        self.write_exactly(&self.admin.join("commondir"), b"../..\n")?;
        self.write_exactly(&self.admin.join("gitdir"), &link)?;
        self.write_exactly(&self.admin.join("HEAD"), format!("{commit}\n").as_bytes())
    }

    /// Makes sure that the slot's place is a directory, and no symlink to one.
    pub(super) fn make_real(&self) -> Result<(), GitError> {
        real_directory(&self.path, &self.attic)
    }

    /// Writes the `.git` file that makes git see a worktree here.
    fn write_link(&self) -> Result<(), GitError> {
        let mut text = b"gitdir: ".to_vec();
        text.extend(self.admin.as_os_str().as_bytes());
        text.push(b'\n');
        let link = self.path.join(".git");
        self.write_exactly(&link, &text)?;
        calm_file(&link)
    }

    pub(super) fn write_exactly(&self, path: &Path, bytes: &[u8]) -> Result<(), GitError> {
        if plain_file::read(path, bytes.len() as u64).is_ok_and(|found| found == bytes) {
            return Ok(());
        }
        remove(path, &self.attic)?;
        let write = || File::create_new(path)?.write_all(bytes);
        write().map_err(GitError::io("write", path))
    }
}

pub(super) fn make_directory(path: &Path) -> Result<(), GitError> {
    match std::fs::create_dir(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(GitError::io("make", path)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Makes sure that a directory, and no symlink to one, is at `path`, and that we may write there.
fn real_directory(path: &Path, attic: &Path) -> Result<(), GitError> {
    use std::os::unix::fs::PermissionsExt as _;
    match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() && meta.permissions().mode() & 0o700 == 0o700 => return Ok(()),
        Ok(meta) if meta.is_dir() => {
            let open = std::fs::Permissions::from_mode(meta.permissions().mode() | 0o700);
            return std::fs::set_permissions(path, open).map_err(GitError::io("open up", path));
        }
        Ok(_) => remove(path, attic)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(GitError::io("look at", path)(error)),
    }
    make_directory(path)
}
