//! What a run still needs of git's objects, and what keeps it: a ref of the run's own,
//! `refs/omk/keep/RUN`, and a second name for each new object's file.
//!
//! The ref points to a commit without content, whose parents are the commits to keep: each new one
//! is put on top of the last. A `git prune` that had looked at the refs before that still removes
//! what is new; the second names bring it back. It refuses to call anything kept that it has not
//! read.

mod second_name;
mod keep_ref;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use git2::{ErrorClass, ErrorCode, Oid, Repository};

use super::call::go_on;
use super::difference::difference;
use super::error::GitError;
use super::locked::unless_locked;
use super::lookup::{find_commit, find_entry, find_tree};
use super::loose::names;
use super::repo::{Repo, commit_oid, tree_oid};
use crate::id::{CommitId, Moment, RepoPath, RunId, Tip, TreeId};
use keep_ref::TRIES;

pub(super) use second_name::is_sound;

/// What keeps the objects of one run. Cheap to clone, and shared between threads.
#[derive(Debug, Clone)]
pub struct Anchor {
    pub(super) repo: Repo,
    run: RunId,
    /// The second names of objects, as git lays them out.
    spare: PathBuf,
    kept: Arc<Mutex<HashMap<Oid, KeepState>>>,
    /// How many objects had vanished and are back.
    brought_back: Arc<AtomicU64>,
}

/// How far the keeping of a commit has come.
#[derive(Debug)]
enum KeepState {
    /// The ref leads to it.
    Held,
    /// These objects are all that is new in it, each read once and with a second name.
    Whole(Vec<Oid>),
    /// It is on the disk, with all that it has.
    OnDisk,
}

impl Anchor {
    /// That of a run. Nothing is written yet.
    #[must_use]
    pub fn new(repo: &Repo, run: &RunId) -> Self {
        let spare = repo.common_dir().join("omk/objects").join(run.as_str());
        Self {
            repo: repo.clone(),
            run: run.clone(),
            spare,
            kept: Arc::default(),
            brought_back: Arc::default(),
        }
    }

    /// Keeps commits that are in the repository.
    ///
    /// # Errors
    /// If one is missing, or the ref cannot be moved.
    pub fn hold(&self, commits: &[CommitId], when: Moment) -> Result<(), GitError> {
        let mut kept = self.kept();
        let new: Vec<Oid> = commits
            .iter()
            .map(commit_oid)
            .filter(|oid| !kept.contains_key(oid))
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let before = self.repo.with(|repo| self.tip(repo))?;
        let parents: Vec<Oid> = before.into_iter().chain(new.iter().copied()).collect();
        self.point_to(&parents, when)?;
        kept.extend(new.into_iter().map(|oid| (oid, KeepState::Held)));
        Ok(())
    }

    /// Keeps a commit that was just made, with all that it has and `old` has not: it is whole when
    /// this returns.
    ///
    /// # Errors
    /// [`GitError::Missing`] if an object is gone or torn. It is out of the way then: made again,
    /// it is written again.
    pub fn secure(&self, old: &TreeId, new: &Tip, when: Moment) -> Result<(), GitError> {
        self.secured(old, new, when).map(drop)
    }

    /// The same, and it is on the disk when this returns. A few milliseconds; nothing for what is
    /// there already.
    ///
    /// # Errors
    /// As [`Anchor::secure`], and where the disk refuses.
    pub fn settle(&self, old: &TreeId, new: &Tip, when: Moment) -> Result<(), GitError> {
        let commit = commit_oid(&new.commit);
        let known = match self.kept().get(&commit) {
            Some(KeepState::OnDisk) => return Ok(()),
            Some(KeepState::Whole(objects)) => Some(objects.clone()),
            Some(KeepState::Held) | None => None,
        };
        let objects = match known.filter(|objects| self.are_loose(objects)) {
            Some(objects) => objects,
            None => self.secured(old, new, when)?,
        };
        self.repo.write_through(&objects)?;
        self.kept().insert(commit, KeepState::OnDisk);
        Ok(())
    }

    /// Whether a commit is kept, as far as this process knows.
    #[must_use]
    pub fn holds(&self, commit: &CommitId) -> bool {
        self.kept().contains_key(&commit_oid(commit))
    }

    /// What is kept in a repository, by run.
    ///
    /// # Errors
    /// Where the refs cannot be read.
    pub fn all(repo: &Repo) -> Result<Vec<Self>, GitError> {
        let list = |repo: &Repository| -> Result<Vec<String>, git2::Error> {
            repo.references_glob("refs/omk/keep/*")?
                .map(|found| Ok(found?.name()?.to_owned()))
                .collect()
        };
        let mut found =
            repo.with(|repo| list(repo).map_err(GitError::lib("list what is kept for runs")))?;
        // A ref that no git can read any more is in no list of git's.
        for directory in ["refs/omk/keep", "omk/objects"] {
            found.extend(names(&repo.common_dir().join(directory))?);
        }
        let runs: BTreeSet<RunId> = found
            .iter()
            .filter_map(|name| name.rsplit('/').next()?.parse().ok())
            .collect();
        Ok(runs.iter().map(|run| Self::new(repo, run)).collect())
    }

    /// The run that it is about.
    #[must_use]
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// Does work on objects over if some have vanished or are torn, once those are back or out of
    /// the way.
    ///
    /// # Errors
    /// Those of the last try.
    pub fn steadily<T>(
        &self,
        mut work: impl FnMut() -> Result<T, GitError>,
    ) -> Result<T, GitError> {
        let mut left = TRIES;
        loop {
            left -= 1;
            match work() {
                Err(error) if error.is_missing() && left > 0 && self.is_in_use() => {
                    go_on()?;
                    self.mend()?;
                }
                done => return done,
            }
        }
    }

    fn secured(&self, old: &TreeId, new: &Tip, when: Moment) -> Result<Vec<Oid>, GitError> {
        self.steadily(|| {
            let objects = self.repo.with(|repo| made(repo, old, new))?;
            self.name_twice(&objects)?;
            self.hold(std::slice::from_ref(&new.commit), when)?;
            self.check(&objects)?;
            let mut kept = self.kept();
            let kept = kept
                .entry(commit_oid(&new.commit))
                .or_insert(KeepState::Held);
            if !matches!(kept, KeepState::OnDisk) {
                *kept = KeepState::Whole(objects.clone());
            }
            Ok(objects)
        })
    }

    /// Keeps just these commits, and what is below them: the run is over. The ref is one commit
    /// again.
    ///
    /// # Errors
    /// As [`Anchor::hold`].
    pub fn keep_only(&self, commits: &[CommitId], when: Moment) -> Result<(), GitError> {
        self.bring_back()?;
        let mut kept = self.kept();
        let mut once = HashSet::new();
        let parents: Vec<Oid> = commits
            .iter()
            .map(commit_oid)
            .filter(|oid| once.insert(*oid))
            .collect();
        self.point_to(&parents, when)?;
        *kept = parents
            .into_iter()
            .map(|oid| (oid, KeepState::Held))
            .collect();
        Ok(())
    }

    /// Lets everything go.
    ///
    /// # Errors
    /// If the ref is locked, or the disk refuses.
    pub fn remove(&self) -> Result<(), GitError> {
        self.kept().clear();
        self.repo
            .with(|repo| match repo.find_reference(&self.name()) {
                Err(error) if error.code() == ErrorCode::NotFound => Ok(()),
                // Its file names no commit, and it is nobody's but omk's.
                Err(error) if error.class() == ErrorClass::Reference => {
                    let file = self.repo.common_dir().join(self.name());
                    fs::remove_file(&file).map_err(GitError::io("remove", &file))
                }
                found => {
                    let what = || format!("remove `{}`", self.name());
                    let mut found = found.map_err(GitError::lib(what()))?;
                    unless_locked(|| found.delete()).map_err(GitError::lib(what()))
                }
            })?;
        match fs::remove_dir_all(&self.spare) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(GitError::io("remove", &self.spare)(error))
            }
            _ => Ok(()),
        }
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Oid, KeepState>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The commit, its tree, and what that has and the old one has not.
pub(super) fn made(repo: &Repository, old: &TreeId, new: &Tip) -> Result<Vec<Oid>, GitError> {
    find_commit(repo, &new.commit)?;
    let root = find_tree(repo, tree_oid(&new.tree))?;
    let mut objects = BTreeSet::from([commit_oid(&new.commit), tree_oid(&new.tree)]);
    let mut directories = HashSet::new();
    for (path, sides) in difference(repo, tree_oid(old), tree_oid(&new.tree))? {
        objects.extend(
            sides
                .after
                .filter(|entry| !entry.is_submodule())
                .map(|entry| entry.oid),
        );
        go_on()?;
        for (slash, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            if !directories.insert(path[..slash].to_vec()) {
                continue;
            }
            let Some(directory) = RepoPath::from_bytes(&path[..slash]) else {
                continue;
            };
            objects.extend(find_entry(repo, &root, &directory)?.map(|entry| entry.id()));
        }
    }
    Ok(objects.into_iter().collect())
}
