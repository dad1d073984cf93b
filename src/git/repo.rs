//! The user's repository: found, checked once for what omk cannot work with, and read.
//!
//! It refuses to write anything.

mod history;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use git2::{ErrorCode, Oid, Repository, RepositoryOpenFlags};

use super::call::go_on;
use super::error::GitError;
use super::lineage::Lineage;
use super::lookup::commit_of_ref;
use super::module::SlotLayout;
use super::open::{
    accept_partial_clones, open, refuse_formats, tidy, why_not_found, why_not_opened,
};
use super::rules::AttributeTable;
use super::tree::Listing;
use crate::id::{CommitId, RepoPath, Sha256, Tip, TreeId};

/// Listings kept: a slot is filled from, and compared with, the same few trees.
const LISTINGS: usize = 4;

/// A repository with a work tree and at least one commit. Cheap to clone, and shared between
/// threads.
#[derive(Clone)]
pub struct Repo {
    inner: Arc<RepoShared>,
}

struct RepoShared {
    git_dir: PathBuf,
    common_dir: PathBuf,
    top: PathBuf,
    idle: Mutex<Vec<Repository>>,
    listings: Mutex<Vec<(Oid, Arc<Listing>)>>,
    /// What is known of the commits above the base that was asked for last: a process works on one
    /// run.
    lineage: Mutex<Option<Arc<Lineage>>>,
    /// What git's configuration says of conversions, once it was asked for.
    settings: OnceLock<Vec<(String, String)>>,
    /// What git said of the attributes of files, by the digest of the rules; the latest first.
    tables: Mutex<Vec<(Sha256, Arc<AttributeTable>)>>,
    /// What slots hold of trees; the latest first.
    layouts: Mutex<Vec<Arc<SlotLayout>>>,
    /// The clones of submodules that were opened, by their directories.
    modules: Mutex<HashMap<PathBuf, Repo>>,
    /// Commits that can be read, with all below them.
    walked: Mutex<HashSet<Oid>>,
}

impl std::fmt::Debug for Repo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Repo({})", self.inner.common_dir.display())
    }
}

impl Repo {
    /// The repository that `dir` lies in, whichever worktree of it.
    ///
    /// # Errors
    /// Where there is none, or one that omk cannot work with: bare, without commits, reftable or
    /// SHA-256, somebody else's. Each says what to do.
    pub fn discover(dir: &Path) -> Result<Self, GitError> {
        accept_partial_clones();
        let found =
            Repository::discover_path(dir, [] as [&Path; 0]).map_err(|_| why_not_found(dir))?;
        // From where it was looked for: a repository that lies apart from its files does not know
        // where these are.
        let repo = Repository::open_ext(dir, RepositoryOpenFlags::CROSS_FS, [] as [&Path; 0])
            .map_err(|error| why_not_opened(&found, error))?;
        refuse_formats(&repo)?;
        let Some(top) = repo.workdir().map(Path::to_owned) else {
            return Err(GitError::Bare {
                path: tidy(repo.path()),
            });
        };
        let head = repo.head().map_err(|error| {
            let unborn = matches!(error.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound);
            let what = format!("read HEAD of {}", top.display());
            if unborn {
                GitError::NoCommits { path: tidy(&top) }
            } else {
                GitError::lib(what)(error)
            }
        })?;
        if commit_of_ref(&repo, &head)?.is_none() {
            return Err(GitError::NoCommits { path: tidy(&top) });
        }
        let absolute =
            |path: &Path| std::fs::canonicalize(path).map_err(GitError::io("resolve", path));
        Ok(Self::at(
            absolute(repo.path())?,
            absolute(repo.commondir())?,
            absolute(&top)?,
        ))
    }

    fn at(git_dir: PathBuf, common_dir: PathBuf, top: PathBuf) -> Self {
        let inner = RepoShared {
            git_dir,
            common_dir,
            top,
            idle: Mutex::default(),
            listings: Mutex::default(),
            lineage: Mutex::default(),
            settings: OnceLock::new(),
            tables: Mutex::default(),
            layouts: Mutex::default(),
            modules: Mutex::default(),
            walked: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// A new repository without anything, in a directory that is empty: to fetch into, and to be
    /// thrown away.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn empty(dir: &Path) -> Result<Self, GitError> {
        let absolute =
            |path: &Path| std::fs::canonicalize(path).map_err(GitError::io("resolve", path));
        let top = absolute(dir)?;
        let mut how = git2::RepositoryInitOptions::new();
        // No template: what a person keeps there, such as hooks, is not for us.
        how.no_reinit(true).external_template(false);
        let repo = Repository::init_opts(&top, &how).map_err(GitError::lib("make a repository"))?;
        Ok(Self::at(
            absolute(repo.path())?,
            absolute(repo.commondir())?,
            top,
        ))
    }

    /// The directory that all worktrees share: `.git` of the main one. Absolute.
    #[must_use]
    pub fn common_dir(&self) -> &Path {
        &self.inner.common_dir
    }

    /// The top of the user's own work tree. Absolute.
    #[must_use]
    pub fn workdir(&self) -> &Path {
        &self.inner.top
    }

    pub(super) fn walked(&self) -> MutexGuard<'_, HashSet<Oid>> {
        self.inner
            .walked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn git_dir(&self) -> &Path {
        &self.inner.git_dir
    }

    pub(super) fn layouts(&self) -> MutexGuard<'_, Vec<Arc<SlotLayout>>> {
        self.inner
            .layouts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The user's clone of a submodule, whose git directory is that.
    pub(super) fn module(&self, git_dir: &Path) -> Result<Self, GitError> {
        let mut known = self
            .inner
            .modules
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(git_dir) {
            return Ok(known.clone());
        }
        let path = || git_dir.to_owned();
        refuse_formats(&open(git_dir, git_dir)?)?;
        let repo = Self::at(path(), path(), path());
        known.insert(path(), repo.clone());
        Ok(repo)
    }

    pub(super) fn tables_cell(&self) -> &Mutex<Vec<(Sha256, Arc<AttributeTable>)>> {
        &self.inner.tables
    }

    pub(super) fn settings_cell(&self) -> &OnceLock<Vec<(String, String)>> {
        &self.inner.settings
    }

    /// Lends an open repository to one thread. Opening costs more than most of what is done with
    /// it.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&Repository) -> Result<T, GitError>,
    ) -> Result<T, GitError> {
        go_on()?;
        let idle = self.idle().pop();
        let repo = match idle {
            Some(repo) => repo,
            None => open(self.git_dir(), self.workdir())?,
        };
        let result = work(&repo);
        // What failed may have gone by what an open repository remembers of packs and objects that
        // are gone.
        if result.is_ok() {
            self.idle().push(repo);
        }
        result
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Repository>> {
        self.inner
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of the commits above that base.
    pub(super) fn lineage(&self, repo: &Repository, base: Oid) -> Result<Arc<Lineage>, GitError> {
        let mut kept = self
            .inner
            .lineage
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.as_ref().filter(|known| known.base() == base) {
            return Ok(Arc::clone(known));
        }
        let lineage = Arc::new(Lineage::above(repo, base)?);
        *kept = Some(Arc::clone(&lineage));
        Ok(lineage)
    }

    /// Every entry of a tree, from memory where it was asked for lately.
    pub(super) fn listing(&self, tree: &TreeId) -> Result<Arc<Listing>, GitError> {
        let oid = tree_oid(tree);
        let lock = || {
            self.inner
                .listings
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some((_, listing)) = lock().iter().find(|(id, _)| *id == oid) {
            return Ok(Arc::clone(listing));
        }
        let listing = Arc::new(self.with(|repo| Listing::read(repo, oid))?);
        let mut kept = lock();
        kept.truncate(LISTINGS - 1);
        kept.insert(0, (oid, Arc::clone(&listing)));
        Ok(listing)
    }
}

impl RepoPath {
    /// The path for calls that take one.
    pub(super) fn as_path(&self) -> &Path {
        use std::os::unix::ffi::OsStrExt as _;
        Path::new(std::ffi::OsStr::from_bytes(self.as_bytes()))
    }
}

pub(super) fn commit_oid(id: &CommitId) -> Oid {
    Oid::from_str(id.as_str()).expect("a CommitId is 40 hex digits")
}

pub(super) fn tree_oid(id: &TreeId) -> Oid {
    Oid::from_str(id.as_str()).expect("a TreeId is 40 hex digits")
}

pub(super) fn commit_id(oid: Oid) -> CommitId {
    oid.to_string()
        .parse()
        .expect("SHA-256 repositories were refused when this one was opened")
}

pub(super) fn tree_id(oid: Oid) -> TreeId {
    oid.to_string()
        .parse()
        .expect("SHA-256 repositories were refused when this one was opened")
}

pub(super) fn tip_of(commit: &git2::Commit<'_>) -> Tip {
    Tip {
        commit: commit_id(commit.id()),
        tree: tree_id(commit.tree_id()),
    }
}
