//! Merges without a checkout: bases out of several results, and landing a change on the integration
//! tip.
//!
//! It refuses to touch a branch or a work tree, and to be told by one how to merge. The same inputs
//! give the same commit ids, so a run that is taken up again ends in the same trees, and a judge
//! can make its merges again.

use std::collections::HashMap;

use git2::{ErrorCode, Oid, Repository, Signature, Time};

use super::apart::{MergeSide, apart};
use super::closer::{Three, closer};
use super::difference::difference;
use super::error::GitError;
use super::lineage::{Commits, Lineage, Paths};
use super::lookup::{commit_at, find_commit, find_tree};
use super::message::CommitMessage;
use super::repo::{Repo, commit_id, commit_oid, tip_of, tree_id, tree_oid};
use super::tree::build;
use crate::id::{CommitId, Moment, RepoPath, Tip, TreeId};

/// Who omk's commits are by.
pub(super) const AUTHOR: (&str, &str) = ("omk[bot]", "omk[bot]@users.noreply.github.com");

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

    /// Makes a commit by `omk[bot]`, at `when` to the second.
    ///
    /// # Errors
    /// Where the tree or a parent is missing, or it cannot be written.
    pub fn commit(
        &self,
        tree: &TreeId,
        parents: &[CommitId],
        message: &CommitMessage,
        when: Moment,
    ) -> Result<CommitId, GitError> {
        self.with(|repo| {
            let parents: Vec<Oid> = parents.iter().map(commit_oid).collect();
            let seconds = when.as_millis().div_euclid(1000);
            write_commit(
                repo,
                tree_oid(tree),
                &parents,
                &message.to_string(),
                seconds,
            )
            .map(commit_id)
        })
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

/// What a base is made of on its way: a tree, and the commits whose changes it holds.
#[derive(Debug, Clone)]
struct Joined {
    tree: Oid,
    below: Commits,
}

impl Joined {
    fn of(lineage: &Lineage, repo: &Repository, commit: Oid) -> Result<Self, GitError> {
        Ok(match lineage.commit(repo, commit)? {
            Some(made) => Self {
                tree: made.tree,
                below: made.below.clone(),
            },
            None => Self {
                tree: lineage.base_tree(),
                below: Commits::default(),
            },
        })
    }
}

/// One merge of two results, with those that it needs first: where the results have several commits
/// in common, and none that holds all of these, what they have in common is itself a merge.
struct Joining<'a> {
    repo: &'a Repo,
    objects: &'a Repository,
    lineage: &'a Lineage,
    /// Merges of what two sides have in common, by what they hold.
    known: HashMap<Commits, Merge>,
    left: usize,
    /// Whether the sides had a path in common, or git was asked for another reason.
    looked_closer: bool,
}

impl Joining<'_> {
    /// Each side brings the changes that the other has not. git sees it the same way, but for a
    /// walk through all that both have.
    fn join(&mut self, ours: &Joined, theirs: &Joined) -> Result<Merge, GitError> {
        let our = self
            .lineage
            .touched(self.objects, &ours.below.without(&theirs.below))?;
        let their = self
            .lineage
            .touched(self.objects, &theirs.below.without(&ours.below))?;
        let (our_side, their_side) = (
            MergeSide {
                tree: ours.tree,
                touched: &our,
            },
            MergeSide {
                tree: theirs.tree,
                touched: &their,
            },
        );
        if let Some(changes) = apart(self.objects, &our_side, &their_side)? {
            return build(self.objects, ours.tree, &changes)
                .map(tree_id)
                .map(Merge::Clean);
        }
        self.looked_closer = true;
        let base = match self.in_common(&ours.below.shared(&theirs.below))? {
            Merge::Clean(tree) => tree_oid(&tree),
            conflict @ Merge::Conflict(_) => return Ok(conflict),
        };
        three_way(
            self.repo,
            self.objects,
            Three {
                base,
                ours: ours.tree,
                theirs: theirs.tree,
            },
        )
    }

    /// The tree that holds just these commits, which are all that two sides have in common.
    fn in_common(&mut self, commits: &Commits) -> Result<Merge, GitError> {
        let tips = self.lineage.tips(commits);
        let mut tips = tips.iter().map(|made| Joined {
            tree: made.tree,
            below: made.below.clone(),
        });
        let Some(mut at) = tips.next() else {
            return Ok(Merge::Clean(tree_id(self.lineage.base_tree())));
        };
        if let Some(known) = self.known.get(commits) {
            return Ok(known.clone());
        }
        for tip in tips {
            if self.left == 0 {
                // The task is built on the integration tip then, which holds all of it.
                return Ok(Merge::Conflict(Vec::new()));
            }
            self.left -= 1;
            match self.join(&at, &tip)? {
                Merge::Clean(tree) => at.tree = tree_oid(&tree),
                conflict @ Merge::Conflict(_) => {
                    self.known.insert(commits.clone(), conflict.clone());
                    return Ok(conflict);
                }
            }
            at.below.extend(&tip.below);
        }
        let merged = Merge::Clean(tree_id(at.tree));
        self.known.insert(commits.clone(), merged.clone());
        Ok(merged)
    }
}

/// Merges three trees as `git merge` does.
fn three_way(repo: &Repo, objects: &Repository, trees: Three) -> Result<Merge, GitError> {
    let Three { base, ours, theirs } = trees;
    if base == ours || ours == theirs {
        return Ok(Merge::Clean(tree_id(theirs)));
    }
    if base == theirs {
        return Ok(Merge::Clean(tree_id(ours)));
    }
    let touched = |side| {
        Ok(difference(objects, base, side)?
            .into_keys()
            .collect::<Paths>())
    };
    let (mut our, their) = (touched(ours)?, touched(theirs)?);
    let (our_side, their_side) = (
        MergeSide {
            tree: ours,
            touched: &our,
        },
        MergeSide {
            tree: theirs,
            touched: &their,
        },
    );
    if let Some(changes) = apart(objects, &our_side, &their_side)? {
        return build(objects, ours, &changes)
            .map(tree_id)
            .map(Merge::Clean);
    }
    our.extend(their);
    closer(repo, objects, trees, &our)
}

fn write_commit(
    repo: &Repository,
    tree: Oid,
    parents: &[Oid],
    message: &str,
    seconds: i64,
) -> Result<Oid, GitError> {
    let tree = find_tree(repo, tree)?;
    let parents = parents
        .iter()
        .map(|oid| commit_at(repo, *oid))
        .collect::<Result<Vec<_>, _>>()?;
    let write = || {
        let author = signature(seconds)?;
        repo.commit(
            None,
            &author,
            &author,
            message,
            &tree,
            &parents.iter().collect::<Vec<_>>(),
        )
    };
    write().map_err(GitError::lib("write a commit"))
}

/// Whether a signature is omk's own.
pub(super) fn is_author(found: &Signature<'_>) -> bool {
    found.name_bytes() == AUTHOR.0.as_bytes() && found.email_bytes() == AUTHOR.1.as_bytes()
}

/// omk's own signature, in UTC.
pub(super) fn signature(seconds: i64) -> Result<Signature<'static>, git2::Error> {
    Signature::new(AUTHOR.0, AUTHOR.1, &Time::new(seconds, 0))
}
