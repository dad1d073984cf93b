//! Merges without a checkout: bases out of several results, and landing a change on the integration
//! tip.
//!
//! It refuses to touch a branch or a work tree, and to be told by one how to merge. The same inputs
//! give the same commit ids, so a run that is taken up again ends in the same trees, and a judge
//! can make its merges again.

mod joining;
mod commit;

use std::collections::HashMap;

use git2::{ErrorCode, Oid, Repository};

use super::closer::Three;
use super::error::GitError;
use super::lineage::Lineage;
use super::lookup::{commit_at, find_commit};
use super::message::CommitMessage;
use super::repo::{Repo, commit_id, commit_oid, tip_of, tree_oid};
use crate::id::{CommitId, Moment, RepoPath, Tip, TreeId};
use commit::write_commit;
use joining::{Joined, Joining, three_way};

pub(super) use commit::{AUTHOR, is_author, signature};

/// Merges that one merge may need before it, of what its sides have in common. An honest run needs
/// some dozens at most; each may take git some milliseconds.
const MERGES: usize = 500;

/// Two changes in one tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Merge {
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
pub enum MergeOutcome {
    /// The new tip: one commit on the old one.
    Clean(Tip),
    /// The tip holds the change already; there is nothing to commit.
    Empty,
    /// It does not fit, in these paths.
    Conflict(Vec<RepoPath>),
}

impl Repo {
    /// The run's base with several results in it. No commit is made where one of them holds all
    /// others. Otherwise the merge commits have a fixed author and the time of their newest
    /// parent: the same inputs give the same ids.
    ///
    /// # Errors
    /// Where an object is missing or cannot be written.
    pub fn base_of(
        &self,
        run_base: &CommitId,
        results: &[CommitId],
    ) -> Result<MergedBase, GitError> {
        self.with(|repo| {
            let lineage = self.lineage(repo, commit_oid(run_base))?;
            let mut at = lineage.base();
            for result in results.iter().map(commit_oid) {
                let (ours, theirs) = (
                    Joined::of(&lineage, repo, at)?,
                    Joined::of(&lineage, repo, result)?,
                );
                if theirs.below.without(&ours.below).is_empty() {
                    continue;
                }
                if ours.below.without(&theirs.below).is_empty() {
                    at = result;
                    continue;
                }
                at = match self.join(repo, &lineage, at, result)? {
                    Ok(commit) => commit,
                    Err(paths) => return Ok(MergedBase::Conflict(paths)),
                };
            }
            Ok(MergedBase::Clean(tip_of(&find_commit(
                repo,
                &commit_id(at),
            )?)))
        })
    }

    /// Whether a commit is just the merge of its two parents that omk makes for a task which needs
    /// both: made anew, it gets the same id. What is below it must be known to be a run's own.
    ///
    /// # Errors
    /// Where an object is missing.
    pub fn is_merge_of_results(
        &self,
        run_base: &CommitId,
        commit: &CommitId,
    ) -> Result<bool, GitError> {
        let Ok([ours, theirs]) = <[CommitId; 2]>::try_from(self.parents(commit)?) else {
            return Ok(false);
        };
        self.with(|repo| {
            let lineage = self.lineage(repo, commit_oid(run_base))?;
            let made = self.join(repo, &lineage, commit_oid(&ours), commit_oid(&theirs))?;
            Ok(made.is_ok_and(|made| made == commit_oid(commit)))
        })
    }

    /// A merge commit of two results, or the paths in which they do not fit.
    fn join(
        &self,
        repo: &Repository,
        lineage: &Lineage,
        ours: Oid,
        theirs: Oid,
    ) -> Result<Result<Oid, Vec<RepoPath>>, GitError> {
        let (our, their) = (
            Joined::of(lineage, repo, ours)?,
            Joined::of(lineage, repo, theirs)?,
        );
        let mut joining = Joining {
            repo: self,
            objects: repo,
            lineage,
            known: HashMap::new(),
            left: MERGES,
            looked_closer: false,
        };
        let tree = match joining.join(&our, &their)? {
            Merge::Clean(tree) => tree,
            Merge::Conflict(paths) => return Ok(Err(paths)),
        };
        let seconds = |oid| Ok(find_commit(repo, &commit_id(oid))?.time().seconds());
        let seconds = seconds(ours)?.max(seconds(theirs)?);
        let made = write_commit(
            repo,
            tree_oid(&tree),
            &[ours, theirs],
            "omk: a base of several results\n",
            seconds,
        )?;
        if !joining.looked_closer {
            lineage.touches_nothing(repo, made)?;
        }
        Ok(Ok(made))
    }

    /// Puts `change`, a commit with one parent, onto `tip`: what `git cherry-pick` does, in memory.
    ///
    /// # Errors
    /// Where an object is missing, or the new commit cannot be written.
    pub fn land(
        &self,
        tip: &Tip,
        change: &Tip,
        message: &CommitMessage,
        when: Moment,
    ) -> Result<MergeOutcome, GitError> {
        self.with(|repo| {
            let parent = find_commit(repo, &change.commit)?;
            let base = parent.parent_id(0).map_err(GitError::lib(format!(
                "read what {} is built on",
                change.commit
            )))?;
            let base = commit_at(repo, base)?;
            let trees = Three {
                base: base.tree_id(),
                ours: tree_oid(&tip.tree),
                theirs: tree_oid(&change.tree),
            };
            let tree = match three_way(self, repo, trees)? {
                Merge::Clean(tree) if tree == tip.tree => return Ok(MergeOutcome::Empty),
                Merge::Clean(tree) => tree,
                Merge::Conflict(paths) => return Ok(MergeOutcome::Conflict(paths)),
            };
            let seconds = when.as_millis().div_euclid(1000);
            let parents = [commit_oid(&tip.commit)];
            let commit = write_commit(
                repo,
                tree_oid(&tree),
                &parents,
                &message.to_string(),
                seconds,
            )?;
            Ok(MergeOutcome::Clean(Tip {
                commit: commit_id(commit),
                tree,
            }))
        })
    }

    /// Where the histories of two commits part; `None` where they have nothing in common.
    ///
    /// # Errors
    /// Where a commit is not there.
    pub fn merge_base(
        &self,
        one: &CommitId,
        other: &CommitId,
    ) -> Result<Option<CommitId>, GitError> {
        self.with(|repo| {
            self.look_at_history(repo, &[commit_oid(one), commit_oid(other)])?;
            match repo.merge_base(commit_oid(one), commit_oid(other)) {
                Ok(found) => Ok(Some(commit_id(found))),
                Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
                Err(error) => Err(GitError::lib(format!(
                    "look for where {one} and {other} part"
                ))(error)),
            }
        })
    }

    /// Whether `ancestor` is `commit` or in its history. In a clone that has all of the history, a
    /// commit that is not here is nobody's ancestor.
    ///
    /// # Errors
    /// Where a commit is missing, and the history was cut.
    pub fn descends(&self, commit: &CommitId, ancestor: &CommitId) -> Result<bool, GitError> {
        let (commit, ancestor) = (commit_oid(commit), commit_oid(ancestor));
        self.with(|repo| {
            self.look_at_history(repo, &[commit, ancestor])?;
            let absent = commit_at(repo, ancestor).is_err() && commit_at(repo, commit).is_ok();
            if absent && !repo.is_shallow() {
                Ok(false)
            } else {
                descends(repo, commit, ancestor)
            }
        })
    }
}

fn descends(repo: &Repository, commit: Oid, ancestor: Oid) -> Result<bool, GitError> {
    let above = || repo.graph_descendant_of(commit, ancestor);
    if commit == ancestor {
        Ok(true)
    } else {
        above().map_err(GitError::lib("compare two histories"))
    }
}
