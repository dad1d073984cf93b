//! Joining two histories: by their paths if these are apart, else by a merge of three trees.

use std::collections::HashMap;

use git2::{Oid, Repository};

use super::Merge;
use crate::git::apart::{MergeSide, apart};
use crate::git::closer::{Three, closer};
use crate::git::difference::difference;
use crate::git::error::GitError;
use crate::git::lineage::{Commits, Lineage, Paths};
use crate::git::repo::{Repo, tree_id, tree_oid};
use crate::git::tree::build;

/// What a base is made of on its way: a tree, and the commits whose changes it holds.
#[derive(Debug, Clone)]
pub(super) struct Joined {
    tree: Oid,
    pub(super) below: Commits,
}

impl Joined {
    pub(super) fn of(lineage: &Lineage, repo: &Repository, commit: Oid) -> Result<Self, GitError> {
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
pub(super) struct Joining<'a> {
    pub(super) repo: &'a Repo,
    pub(super) objects: &'a Repository,
    pub(super) lineage: &'a Lineage,
    /// Merges of what two sides have in common, by what they hold.
    pub(super) known: HashMap<Commits, Merge>,
    pub(super) left: usize,
    /// Whether the sides had a path in common, or git was asked for another reason.
    pub(super) looked_closer: bool,
}

impl Joining<'_> {
    /// Each side brings the changes that the other has not. git sees it the same way, but for a
    /// walk through all that both have.
    pub(super) fn join(&mut self, ours: &Joined, theirs: &Joined) -> Result<Merge, GitError> {
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
pub(super) fn three_way(
    repo: &Repo,
    objects: &Repository,
    trees: Three,
) -> Result<Merge, GitError> {
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
