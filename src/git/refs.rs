//! Branches: moved only from where they were expected to be.
//!
//! It refuses to move a branch that someone else moved, one that is a symbolic ref, and to look at
//! tags or remotes.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

use git2::{ErrorCode, Oid, ReferenceType, Repository};

use super::error::GitError;
use super::lookup::commit_of_ref;
use super::loose::names;
use super::merge::signature;
use super::repo::{Repo, commit_id, commit_oid};
use crate::id::{CommitId, Moment};

/// Where a branch must be for it to be moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Nowhere: it must not exist.
    Absent,
    /// At that commit.
    At(CommitId),
    /// Anywhere: a person said `--force`.
    Anything,
}

/// A branch and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchTip {
    /// Without `refs/heads/`.
    pub name: String,
    /// Its tip.
    pub tip: CommitId,
}

impl Repo {
    /// Moves a branch, or makes it, if it is where it was expected. The comparison happens under
    /// git's own lock of the branch, so no other git process comes between. The reflog says
    /// `why`.
    ///
    /// # Errors
    /// [`GitError::BranchMoved`] where it is elsewhere; where the name is no branch name, a branch
    /// is in the way of its name, or another process holds the lock.
    pub fn move_branch(
        &self,
        name: &str,
        to: &CommitId,
        expected: &Expected,
        why: &str,
        when: Moment,
    ) -> Result<(), GitError> {
        let full = full_name(name)?;
        self.with(|repo| {
            let what = || format!("move branch `{name}`");
            self.refuse_prefixes(repo, name)?;
            let mut transaction = repo.transaction().map_err(GitError::lib(what()))?;
            transaction
                .lock_ref(&full)
                .map_err(|error| self.locked(name, &full, what(), error))?;
            compare(repo, name, &full, expected)?;
            let by = signature(when.as_millis().div_euclid(1000)).map_err(GitError::lib(what()))?;
            let why: String = why
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect();
            transaction
                .set_target(&full, commit_oid(to), Some(&by), &why)
                .map_err(GitError::lib(what()))?;
            transaction.commit().map_err(GitError::lib(what()))
        })
    }

    /// Deletes a branch if it is where it was expected; one that is gone already is fine.
    ///
    /// # Errors
    /// As [`Repo::move_branch`].
    pub fn delete_branch(&self, name: &str, expected: &Expected) -> Result<(), GitError> {
        let full = full_name(name)?;
        self.with_durable_refs(|repo| {
            let what = || format!("delete branch `{name}`");
            if current(repo, name, &full)?.is_none() {
                return Ok(());
            }
            let mut transaction = repo.transaction().map_err(GitError::lib(what()))?;
            transaction
                .lock_ref(&full)
                .map_err(|error| self.locked(name, &full, what(), error))?;
            compare(repo, name, &full, expected)?;
            transaction.remove(&full).map_err(GitError::lib(what()))?;
            transaction
                .commit()
                .map_err(|error| self.locked(name, &full, what(), error))?;
            // A transaction leaves it, and `git fsck` reads it.
            repo.reflog_delete(&full).map_err(GitError::lib(what()))
        })
    }

    /// Where a branch is; `None` where there is none of that name.
    ///
    /// # Errors
    /// Where the name is no branch name, or the refs cannot be read.
    pub fn branch_tip(&self, name: &str) -> Result<Option<CommitId>, GitError> {
        let full = full_name(name)?;
        self.with(|repo| Ok(current(repo, name, &full)?.map(commit_id)))
    }

    /// The branches below `omk/`, in order.
    ///
    /// # Errors
    /// Where the refs cannot be read.
    pub fn omk_branches(&self) -> Result<Vec<BranchTip>, GitError> {
        self.with(|repo| {
            let read = || {
                let mut found = Vec::new();
                for reference in repo.references_glob("refs/heads/omk/*")? {
                    let reference = reference?;
                    let name = String::from_utf8_lossy(reference.name_bytes()).into_owned();
                    let Some(tip) = reference.target() else {
                        continue;
                    };
                    found.push(BranchTip {
                        name: name.trim_start_matches("refs/heads/").to_owned(),
                        tip: commit_id(tip),
                    });
                }
                found.sort_by(|one, other| one.name.cmp(&other.name));
                Ok(found)
            };
            read().map_err(GitError::lib("list the branches below `omk/`"))
        })
    }

    /// The files of branches below `omk/` that hold no commit's name, by branch: no git can read or
    /// move them.
    ///
    /// # Errors
    /// If the refs cannot be read.
    pub fn garbled_omk_branches(&self) -> Result<Vec<(String, PathBuf)>, GitError> {
        let mut found = Vec::new();
        let mut directories = vec!["omk".to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in names(&self.common_dir().join("refs/heads").join(&directory))? {
                let name = format!("{directory}/{entry}");
                let path = self.common_dir().join("refs/heads").join(&name);
                if path.is_dir() {
                    directories.push(name);
                    continue;
                }
                let Ok(full) = full_name(&name) else { continue };
                let read = self.with(|repo| current(repo, &name, &full));
                if matches!(&read, Err(GitError::Library { .. })) {
                    found.push((name, path));
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// Those of these commits that no branch or tag of the user's has in its history, here or at a
    /// remote as last fetched. HEAD is not asked: on a branch it holds nothing besides, and on
    /// none it holds nothing for good.
    ///
    /// # Errors
    /// If the refs or the history cannot be read.
    pub fn unmerged(&self, commits: &[CommitId]) -> Result<BTreeSet<CommitId>, GitError> {
        if commits.is_empty() {
            return Ok(BTreeSet::new());
        }
        self.with(|repo| {
            let oids: Vec<Oid> = commits.iter().map(commit_oid).collect();
            self.look_at_history(repo, &oids)?;
            let read = || {
                // What is torn, or leads to something torn, holds nothing.
                let whole = |reference: &git2::Reference<'_>| {
                    let tip = commit_of_ref(repo, reference).ok().flatten();
                    tip.filter(|tip| self.look_at_history(repo, &[*tip]).is_ok())
                };
                let mut tips = Vec::new();
                for reference in repo.references()? {
                    let reference = reference?;
                    let name = String::from_utf8_lossy(reference.name_bytes()).into_owned();
                    // A symbolic ref holds nothing besides the branch that it names.
                    if reference.kind() == Some(ReferenceType::Direct) && is_users(&name) {
                        tips.extend(whole(&reference));
                    }
                }
                let mut walk = repo.revwalk()?;
                for commit in commits {
                    walk.push(commit_oid(commit))?;
                }
                for tip in &tips {
                    walk.hide(*tip)?;
                }
                let left: HashSet<Oid> = walk.collect::<Result<_, _>>()?;
                // One walk for all of them goes by the dates of commits, which may be wrong: what
                // it leaves is looked at again.
                let mut unmerged = BTreeSet::new();
                for commit in commits
                    .iter()
                    .filter(|commit| left.contains(&commit_oid(commit)))
                {
                    let mut merged = false;
                    for tip in &tips {
                        merged = merged || repo.graph_descendant_of(*tip, commit_oid(commit))?;
                    }
                    unmerged.extend(Some(commit.clone()).filter(|_| !merged));
                }
                Ok(unmerged)
            };
            read().map_err(GitError::lib("look for merged commits"))
        })
    }

    /// Whether a branch called `omk` exists; it makes every branch of ours impossible.
    ///
    /// # Errors
    /// Where the refs cannot be read.
    pub fn branch_named_omk_exists(&self) -> Result<bool, GitError> {
        Ok(self.branch_tip("omk")?.is_some())
    }

    /// How a person names that commit in git: by the branch, if it is there and nothing else goes
    /// by its name, else by the commit.
    #[must_use]
    pub fn name_of(&self, branch: &str, commit: &CommitId) -> String {
        let is_there = self
            .branch_tip(branch)
            .is_ok_and(|tip| tip.as_ref() == Some(commit));
        // What git tries before branches (gitrevisions): `refs/NAME`, then `refs/tags/NAME`.
        let is_taken = self.with(|repo| {
            let others = [format!("refs/{branch}"), format!("refs/tags/{branch}")];
            Ok(others
                .iter()
                .any(|other| repo.find_reference(other).is_ok()))
        });
        if is_there && is_taken.is_ok_and(|taken| !taken) {
            branch.to_owned()
        } else {
            commit.short().to_owned()
        }
    }

    /// A lock that was held names its file, if it is still there.
    fn locked(&self, name: &str, full: &str, what: String, error: git2::Error) -> GitError {
        let locks = [format!("{full}.lock"), "packed-refs.lock".to_owned()]
            .map(|lock| self.common_dir().join(lock));
        let held = locks
            .into_iter()
            .find(|lock| error.code() == ErrorCode::Locked && lock.symlink_metadata().is_ok());
        match held {
            Some(lock) => GitError::BranchLocked {
                name: name.to_owned(),
                lock,
            },
            None => GitError::lib(what)(error),
        }
    }

    /// A branch `a` makes `a/b` impossible; said in words rather than as a failed lock.
    fn refuse_prefixes(&self, repo: &Repository, name: &str) -> Result<(), GitError> {
        for (slash, _) in name.match_indices('/') {
            let shorter = &name[..slash];
            if current(repo, shorter, &format!("refs/heads/{shorter}"))?.is_some() {
                return Err(GitError::BranchInTheWay {
                    name: shorter.to_owned(),
                });
            }
        }
        Ok(())
    }
}

/// Whether a ref holds what a person took: a branch or a tag that is not omk's. A stash is none.
fn is_users(name: &str) -> bool {
    let of_remote = |rest: &str| {
        rest.split_once('/')
            .is_some_and(|(_, branch)| !branch.starts_with("omk/"))
    };
    match name.strip_prefix("refs/") {
        Some(rest) if rest.starts_with("heads/") => !rest.starts_with("heads/omk/"),
        Some(rest) if rest.starts_with("tags/") => true,
        Some(rest) => rest.strip_prefix("remotes/").is_some_and(of_remote),
        None => false,
    }
}

pub(super) fn full_name(name: &str) -> Result<String, GitError> {
    let full = format!("refs/heads/{name}");
    if git2::Reference::is_valid_name(&full) && !name.starts_with('-') {
        return Ok(full);
    }
    Err(GitError::BadBranch {
        name: name.chars().take(80).collect(),
    })
}

fn current(repo: &Repository, name: &str, full: &str) -> Result<Option<Oid>, GitError> {
    match repo.find_reference(full) {
        Ok(reference) if reference.kind() == Some(ReferenceType::Symbolic) => {
            let found = "is a symbolic ref to another branch".into();
            Err(GitError::BranchMoved {
                name: name.into(),
                expected: "a branch of its own".into(),
                found,
            })
        }
        Ok(reference) => Ok(reference.target()),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(GitError::lib(format!("read branch `{name}`"))(error)),
    }
}

fn compare(repo: &Repository, name: &str, full: &str, expected: &Expected) -> Result<(), GitError> {
    let found = current(repo, name, full)?;
    let (right, expected) = match (expected, found) {
        (Expected::Anything, _) => (true, String::new()),
        (Expected::Absent, found) => (found.is_none(), "absent".to_owned()),
        (Expected::At(commit), found) => {
            (found == Some(commit_oid(commit)), format!("at {commit}"))
        }
    };
    if right {
        return Ok(());
    }
    let found = found.map_or_else(|| "does not exist".to_owned(), |oid| format!("is at {oid}"));
    Err(GitError::BranchMoved {
        name: name.into(),
        expected,
        found,
    })
}
