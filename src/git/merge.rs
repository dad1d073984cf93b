//! Merges in memory: bases out of several results, and landing a change on the integration tip.
//!
//! It refuses to touch a branch or a work tree. The same inputs give the same commit ids, so a run that is taken up
//! again ends in the same trees.

use std::collections::BTreeSet;

use git2::{ErrorCode, MergeOptions, Oid, Repository, Signature, Time};

use super::error::GitError;
use super::message::Message;
use super::repo::{Repo, commit_id, commit_oid, find_commit, find_tree, tip_of, tree_id, tree_oid};
use super::tree::{Changes, Difference, build, difference};
use crate::id::{CommitId, Moment, RepoPath, Tip, TreeId};

/// Who omk's commits are by.
pub(super) const AUTHOR: (&str, &str) = ("omk[bot]", "omk[bot]@users.noreply.github.com");

/// Candidates for a rename; git's own default was 400 for years, and each pair is compared by content.
const RENAMES: u32 = 200;

/// Two changes in one tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merge {
    /// They fit.
    Clean(TreeId),
    /// They do not, in these paths.
    Conflict(Vec<RepoPath>),
}

/// What a task is to be built on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MergedBase {
    /// The run's base with all the results in it.
    Clean(Tip),
    /// The results do not fit together, in these paths.
    Conflict(Vec<RepoPath>),
}

/// A change put onto a tip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Landed {
    /// The new tip: one commit on the old one.
    Clean(Tip),
    /// The tip holds the change already; there is nothing to commit.
    Empty,
    /// It does not fit, in these paths.
    Conflict(Vec<RepoPath>),
}

impl Repo {
    /// Merges `theirs` into `ours`, against `base` or their merge base. Nothing is committed.
    ///
    /// # Errors
    /// Where an object is missing, or the two have no common history and no `base` was given.
    pub fn merge_onto(&self, ours: &CommitId, theirs: &CommitId, base: Option<&CommitId>) -> Result<Merge, GitError> {
        self.with(|repo| {
            let (ours, theirs) = (commit_oid(ours), commit_oid(theirs));
            let base = match base {
                Some(base) => commit_oid(base),
                None => repo.merge_base(ours, theirs).map_err(GitError::lib("find where two commits part"))?,
            };
            let tree = |oid: Oid| repo.find_commit(oid).map(|commit| commit.tree_id());
            let read = || Ok((tree(base)?, tree(ours)?, tree(theirs)?));
            let (base, ours, theirs) = read().map_err(GitError::lib("read the commits to merge"))?;
            three_way(repo, base, ours, theirs)
        })
    }

    /// The run's base with several results in it. No commit is made where one of them holds all others. Otherwise the
    /// merge commits have a fixed author and the time of their newest parent: the same inputs give the same ids.
    ///
    /// # Errors
    /// Where an object is missing or cannot be written.
    pub fn base_of(&self, run_base: &CommitId, results: &[CommitId]) -> Result<MergedBase, GitError> {
        self.with(|repo| {
            let run_base = commit_oid(run_base);
            let mut at = run_base;
            for result in results.iter().map(commit_oid) {
                if descends(repo, at, result)? {
                    continue;
                }
                if descends(repo, result, at)? {
                    at = result;
                    continue;
                }
                at = match join(repo, run_base, at, result)? {
                    Ok(commit) => commit,
                    Err(paths) => return Ok(MergedBase::Conflict(paths)),
                };
            }
            Ok(MergedBase::Clean(tip_of(&find_commit(repo, &commit_id(at))?)))
        })
    }

    /// Makes a commit by `omk[bot]`, at `when` to the second.
    ///
    /// # Errors
    /// Where the tree or a parent is missing, or it cannot be written.
    pub fn commit(
        &self,
        tree: &TreeId,
        parents: &[CommitId],
        message: &Message,
        when: Moment,
    ) -> Result<CommitId, GitError> {
        self.with(|repo| {
            let parents: Vec<Oid> = parents.iter().map(commit_oid).collect();
            let seconds = when.as_millis().div_euclid(1000);
            write_commit(repo, tree_oid(tree), &parents, &message.to_string(), seconds).map(commit_id)
        })
    }

    /// Puts `change`, a commit with one parent, onto `tip`: what `git cherry-pick` does, in memory.
    ///
    /// # Errors
    /// Where an object is missing, or the new commit cannot be written.
    pub fn land(&self, tip: &Tip, change: &Tip, message: &Message, when: Moment) -> Result<Landed, GitError> {
        self.with(|repo| {
            let parent = find_commit(repo, &change.commit)?;
            let base = parent.parent(0).map_err(GitError::lib(format!("read what {} is built on", change.commit)))?;
            let merged = three_way(repo, base.tree_id(), tree_oid(&tip.tree), tree_oid(&change.tree))?;
            let tree = match merged {
                Merge::Clean(tree) if tree == tip.tree => return Ok(Landed::Empty),
                Merge::Clean(tree) => tree,
                Merge::Conflict(paths) => return Ok(Landed::Conflict(paths)),
            };
            let seconds = when.as_millis().div_euclid(1000);
            let parents = [commit_oid(&tip.commit)];
            let commit = write_commit(repo, tree_oid(&tree), &parents, &message.to_string(), seconds)?;
            Ok(Landed::Clean(Tip { commit: commit_id(commit), tree }))
        })
    }

    /// Waits until the commit `new`, and what it has that `old` has not, is on the disk. A few milliseconds.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn settle(&self, old: &TreeId, new: &Tip) -> Result<(), GitError> {
        let objects = self.with(|repo| {
            let mut objects = BTreeSet::from([commit_oid(&new.commit), tree_oid(&new.tree)]);
            for (path, sides) in difference(repo, tree_oid(old), tree_oid(&new.tree))? {
                objects.extend(sides.after.filter(|entry| !entry.is_submodule()).map(|entry| entry.oid));
                let root = find_tree(repo, tree_oid(&new.tree))?;
                for (slash, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
                    let Some(directory) = RepoPath::from_bytes(&path[..slash]) else { continue };
                    objects.extend(root.get_path(directory.as_path()).ok().map(|entry| entry.id()));
                }
            }
            Ok(objects)
        })?;
        let mut open = Vec::new();
        for oid in objects {
            let hex = oid.to_string();
            let loose = self.common_dir().join("objects").join(&hex[..2]).join(&hex[2..]);
            // What is not loose is in a pack, and packs are written through.
            let Ok(file) = std::fs::File::open(&loose) else { continue };
            // Starts the writing of all before the first is waited for: one commit of the file system instead of many.
            #[cfg(target_os = "linux")]
            let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
            open.push((file, loose));
        }
        for (file, loose) in open {
            file.sync_data().map_err(GitError::io("write through", &loose))?;
        }
        Ok(())
    }

    /// Where the histories of two commits part; `None` where they have nothing in common.
    ///
    /// # Errors
    /// Where a commit is not there.
    pub fn merge_base(&self, one: &CommitId, other: &CommitId) -> Result<Option<CommitId>, GitError> {
        self.with(|repo| match repo.merge_base(commit_oid(one), commit_oid(other)) {
            Ok(found) => Ok(Some(commit_id(found))),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(GitError::lib(format!("look for where {one} and {other} part"))(error)),
        })
    }

    /// Whether `ancestor` is `commit` or in its history. In a clone that has all of the history, a commit that is not here
    /// is nobody's ancestor.
    ///
    /// # Errors
    /// Where a commit is missing, and the history was cut.
    pub fn descends(&self, commit: &CommitId, ancestor: &CommitId) -> Result<bool, GitError> {
        let (commit, ancestor) = (commit_oid(commit), commit_oid(ancestor));
        self.with(|repo| {
            let absent = repo.find_commit(ancestor).is_err() && repo.find_commit(commit).is_ok();
            if absent && !repo.is_shallow() { Ok(false) } else { descends(repo, commit, ancestor) }
        })
    }
}

fn descends(repo: &Repository, commit: Oid, ancestor: Oid) -> Result<bool, GitError> {
    let above = || repo.graph_descendant_of(commit, ancestor);
    if commit == ancestor { Ok(true) } else { above().map_err(GitError::lib("compare two histories")) }
}

/// A merge commit of two results, or the paths in which they do not fit.
pub(super) fn join(
    repo: &Repository,
    run_base: Oid,
    ours: Oid,
    theirs: Oid,
) -> Result<Result<Oid, Vec<RepoPath>>, GitError> {
    let commit = |oid| repo.find_commit(oid).map_err(GitError::lib(format!("read commit {oid}")));
    let (our, their) = (commit(ours)?, commit(theirs)?);
    let bases: Vec<Oid> =
        repo.merge_bases(ours, theirs).map(|found| found.iter().copied().collect()).unwrap_or_default();
    let merged = match bases.as_slice() {
        // A shallow history may not hold the place where they part; all results are built on the run's base.
        [] => three_way(repo, commit(run_base)?.tree_id(), our.tree_id(), their.tree_id())?,
        [base] => three_way(repo, commit(*base)?.tree_id(), our.tree_id(), their.tree_id())?,
        [first, ..] => {
            let first = commit(*first)?.tree_id();
            let (ours, theirs) = (difference(repo, first, our.tree_id())?, difference(repo, first, their.tree_id())?);
            let colliding = collisions(&ours, &theirs);
            if !colliding.is_empty() {
                return Ok(Err(colliding.into_iter().filter_map(RepoPath::from_bytes).collect()));
            }
            let merged = repo.merge_commits(&our, &their, Some(&options()));
            finish(repo, merged.map_err(GitError::lib("merge two commits"))?)?
        }
    };
    let tree = match merged {
        Merge::Clean(tree) => tree,
        Merge::Conflict(paths) => return Ok(Err(paths)),
    };
    let seconds = our.time().seconds().max(their.time().seconds());
    write_commit(repo, tree_oid(&tree), &[ours, theirs], "omk: a base of several results\n", seconds).map(Ok)
}

fn three_way(repo: &Repository, base: Oid, ours: Oid, theirs: Oid) -> Result<Merge, GitError> {
    if base == ours || ours == theirs {
        return Ok(Merge::Clean(tree_id(theirs)));
    }
    if base == theirs {
        return Ok(Merge::Clean(tree_id(ours)));
    }
    // Where the two sides touch different paths there is nothing to merge, and no tree needs to be read whole. A rename
    // has both its paths among those of its side, so it cannot be missed here.
    let (our, their) = (difference(repo, base, ours)?, difference(repo, base, theirs)?);
    // libgit2 lets a file and a directory of one name pass, and one of them is lost.
    let colliding = collisions(&our, &their);
    if !colliding.is_empty() {
        return Ok(Merge::Conflict(colliding.iter().filter_map(|path| RepoPath::from_bytes(path)).collect()));
    }
    if !their.keys().any(|path| our.contains_key(path)) {
        let changes: Changes = their.into_iter().map(|(path, sides)| (path, sides.after)).collect();
        return build(repo, ours, &changes).map(tree_id).map(Merge::Clean);
    }
    let (base, ours, theirs) = (find_tree(repo, base)?, find_tree(repo, ours)?, find_tree(repo, theirs)?);
    let merged = repo.merge_trees(&base, &ours, &theirs, Some(&options())).map_err(GitError::lib("merge two trees"))?;
    finish(repo, merged)
}

/// Paths that one side made a file, and the other a directory with something in it.
fn collisions<'a>(ours: &'a Difference, theirs: &'a Difference) -> BTreeSet<&'a [u8]> {
    let mut found = BTreeSet::new();
    for (files, inside) in [(ours, theirs), (theirs, ours)] {
        for path in inside.iter().filter(|(_, sides)| sides.after.is_some()).map(|(path, _)| path) {
            for (slash, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
                if files.get(&path[..slash]).is_some_and(|sides| sides.after.is_some()) {
                    found.extend([&path[..slash], path]);
                }
            }
        }
    }
    found
}

fn options() -> MergeOptions {
    let mut options = MergeOptions::new();
    options.find_renames(true).target_limit(RENAMES);
    options
}

fn finish(repo: &Repository, mut merged: git2::Index) -> Result<Merge, GitError> {
    if !merged.has_conflicts() {
        return merged.write_tree_to(repo).map(tree_id).map(Merge::Clean).map_err(GitError::lib("write a merged tree"));
    }
    let mut paths = BTreeSet::new();
    for conflict in merged.conflicts().map_err(GitError::lib("read the conflicts of a merge"))? {
        let conflict = conflict.map_err(GitError::lib("read the conflicts of a merge"))?;
        let sides = [conflict.our, conflict.their, conflict.ancestor];
        paths.extend(sides.into_iter().flatten().filter_map(|side| RepoPath::from_bytes(&side.path)));
    }
    Ok(Merge::Conflict(paths.into_iter().collect()))
}

fn write_commit(repo: &Repository, tree: Oid, parents: &[Oid], message: &str, seconds: i64) -> Result<Oid, GitError> {
    let what = GitError::lib("write a commit");
    let write = || {
        let tree = repo.find_tree(tree)?;
        let parents = parents.iter().map(|oid| repo.find_commit(*oid)).collect::<Result<Vec<_>, _>>()?;
        let author = signature(seconds)?;
        repo.commit(None, &author, &author, message, &tree, &parents.iter().collect::<Vec<_>>())
    };
    write().map_err(what)
}

/// Whether a signature is omk's own.
pub(super) fn is_author(found: &Signature<'_>) -> bool {
    found.name_bytes() == AUTHOR.0.as_bytes() && found.email_bytes() == AUTHOR.1.as_bytes()
}

/// omk's own signature, in UTC.
pub(super) fn signature(seconds: i64) -> Result<Signature<'static>, git2::Error> {
    Signature::new(AUTHOR.0, AUTHOR.1, &Time::new(seconds, 0))
}
