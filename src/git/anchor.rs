//! What a run still needs of git's objects, and what keeps it: a ref of the run's own,
//! `refs/omk/keep/RUN`, and a second name for each new object's file.
//!
//! The ref points to a commit without content, whose parents are the commits to keep: each new one
//! is put on top of the last. A `git prune` that had looked at the refs before that still removes
//! what is new; the second names bring it back. It refuses to call anything kept that it has not
//! read.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use git2::{ErrorClass, ErrorCode, Odb, OdbLookupFlags, Oid, Repository};

use super::call::go_on;
use super::difference::difference;
use super::error::GitError;
use super::locked::unless_locked;
use super::lookup::{commit_at, find_commit, find_entry, find_tree};
use super::loose::{self, link, names, place};
use super::merge::signature;
use super::missing::is_whole_file;
use super::repo::{Repo, commit_oid, tree_oid};
use crate::id::{CommitId, Moment, RepoPath, RunId, Tip, TreeId};

/// How often work on objects is done over if objects vanish meanwhile. Each `git prune` beside it
/// can spoil one try; so many in a row are no accident.
const TRIES: usize = 5;

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

    /// Whether what was read once is still there. Nothing tears it while this machine runs.
    fn are_loose(&self, objects: &[Oid]) -> bool {
        objects.iter().all(|oid| {
            self.loose(*oid)
                .symlink_metadata()
                .is_ok_and(|meta| meta.is_file())
        })
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

    /// Brings back all that has vanished of what was kept.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn bring_back(&self) -> Result<(), GitError> {
        let odb = self.fresh()?;
        for shelf in names(&self.spare)? {
            for rest in names(&self.spare.join(&shelf))? {
                let Ok(oid) = Oid::from_str(&format!("{shelf}{rest}")) else {
                    continue;
                };
                if !odb.exists_ext(oid, OdbLookupFlags::NO_REFRESH) {
                    self.link_back(oid)?;
                }
            }
        }
        Ok(())
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

    /// How many objects have vanished so far, and are back.
    #[must_use]
    pub fn brought_back(&self) -> u64 {
        self.brought_back.load(Ordering::Relaxed)
    }

    fn link_back(&self, oid: Oid) -> Result<(), GitError> {
        self.brought_back.fetch_add(1, Ordering::Relaxed);
        link(&self.second(oid), &self.loose(oid))
    }

    /// Whether a run is under way here: a judge keeps nothing, and mends nothing.
    fn is_in_use(&self) -> bool {
        !self.kept().is_empty()
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Oid, KeepState>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn name(&self) -> String {
        format!("refs/omk/keep/{}", self.run)
    }

    fn tip(&self, repo: &Repository) -> Result<Option<Oid>, GitError> {
        match repo.find_reference(&self.name()) {
            Ok(found) => {
                let there = |oid: &Oid| {
                    let _ = link(&self.second(*oid), &self.loose(*oid));
                    commit_at(repo, *oid).is_ok()
                };
                Ok(found.target().filter(there))
            }
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            // A power cut may have left it empty. What it held is held again by whoever takes the
            // run up.
            Err(error) if error.class() == ErrorClass::Reference => Ok(None),
            Err(error) => Err(GitError::lib(format!("read `{}`", self.name()))(error)),
        }
    }

    /// Points the ref to a new commit on top of these, which is as much in danger as they are.
    fn point_to(&self, parents: &[Oid], when: Moment) -> Result<(), GitError> {
        let mut left = TRIES;
        loop {
            left -= 1;
            match self
                .repo
                .with(|repo| self.try_to_point(repo, parents, when))
            {
                Err(error) if left > 0 && !matches!(error, GitError::Stopped) => {
                    self.bring_back()?
                }
                done => return done,
            }
        }
    }

    fn try_to_point(
        &self,
        repo: &Repository,
        parents: &[Oid],
        when: Moment,
    ) -> Result<(), GitError> {
        let parents = parents
            .iter()
            .map(|oid| commit_at(repo, *oid))
            .collect::<Result<Vec<_>, _>>()?;
        let write = || {
            let nothing = repo.find_tree(repo.treebuilder(None)?.write()?)?;
            let by = signature(when.as_millis().div_euclid(1000))?;
            let message = format!("omk: what run {} needs\n", self.run);
            repo.commit(
                None,
                &by,
                &by,
                &message,
                &nothing,
                &parents.iter().collect::<Vec<_>>(),
            )
            .map(|top| [top, nothing.id()])
        };
        let what = || GitError::lib(format!("keep what run {} needs", self.run));
        let made = write().map_err(what())?;
        self.name_twice(&made)?;
        unless_locked(|| repo.reference(&self.name(), made[0], true, "").map(drop))
            .map_err(what())?;
        self.check(&made)
    }

    /// Gives new objects a second name, which no git knows and none removes.
    fn name_twice(&self, objects: &[Oid]) -> Result<(), GitError> {
        let mut odb = None;
        for oid in objects {
            let second = self.second(*oid);
            if second.symlink_metadata().is_ok() {
                continue;
            }
            if link(&self.loose(*oid), &second).is_ok() {
                continue;
            }
            // It is in a pack, which git may remove with what nobody needs of it; or the files'
            // system knows no second names.
            if odb.is_none() {
                odb = Some(self.fresh()?);
            }
            let Some(odb) = &odb else { continue };
            let object = odb
                .read(*oid)
                .map_err(GitError::lib(format!("copy object {oid}")))?;
            loose::write(&second, object.kind(), object.data())
                .map_err(GitError::io("write", &second))?;
            // It may be another repository's, whose owner may remove it: git does not write here
            // what is there.
            if self
                .repo
                .common_dir()
                .join("objects/info/alternates")
                .symlink_metadata()
                .is_ok()
            {
                link(&second, &self.loose(*oid))?;
            }
        }
        Ok(())
    }

    /// Reads objects from the disk. What has vanished is brought back; what is torn is removed, so
    /// that it can be written again: git does not write what seems to be there.
    fn check(&self, objects: &[Oid]) -> Result<(), GitError> {
        let mut odb = self.fresh()?;
        for oid in objects {
            go_on()?;
            if is_sound(&odb, *oid, &self.loose(*oid)) {
                continue;
            }
            let (first, second) = (self.loose(*oid), self.second(*oid));
            let _ = fs::remove_file(&first);
            self.link_back(*oid)?;
            odb = self.fresh()?;
            if !is_sound(&odb, *oid, &first) {
                let _ = fs::remove_file(&first);
                let _ = fs::remove_file(&second);
                let what = format!("read object {oid}, which was just written");
                return Err(GitError::Missing {
                    what,
                    next: "does another program clean up in this repository?",
                });
            }
        }
        Ok(())
    }

    /// The repository's objects as they are on the disk now, without anything from memory.
    pub(super) fn fresh(&self) -> Result<Odb<'static>, GitError> {
        let open = || {
            let odb = Odb::new()?;
            odb.add_disk_alternate(&self.repo.common_dir().join("objects").to_string_lossy())?;
            Ok(odb)
        };
        open().map_err(GitError::lib("open the object store"))
    }

    pub(super) fn loose(&self, oid: Oid) -> PathBuf {
        place(&self.repo.common_dir().join("objects"), oid)
    }

    pub(super) fn second(&self, oid: Oid) -> PathBuf {
        place(&self.spare, oid)
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

pub(super) fn is_sound(odb: &Odb<'_>, oid: Oid, loose: &Path) -> bool {
    if loose.symlink_metadata().is_ok() {
        is_whole_file(loose)
    } else {
        odb.exists(oid)
    }
}
