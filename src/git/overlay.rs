//! Another commit's version of some paths: laid over a slot for as long as a child works there, and
//! taken off again.
//!
//! It refuses to take off what the child has changed: that is the child's own, and shows as its
//! change.

use std::collections::{BTreeMap, BTreeSet};

use git2::Oid;

use super::content::{Files, mode_of};
use super::error::GitError;
use super::keep::Keep;
use super::links::Links;
use super::pool::Slot;
use super::repo::{Repo, tree_id, tree_oid};
use super::rules::rule_files;
use super::tree::{Changes, TreeEntry, above, build};
use super::walk::{WalkAction, below, walk};
use crate::id::{CommitId, RepoPath, TreeId};

/// Paths of another commit that lie over a slot.
#[derive(Debug)]
pub struct Overlay {
    /// What belongs there.
    under: TreeId,
    /// What was laid out, as the disk had it then.
    laid: OnDisk,
}

/// Files and links by path: their bytes, as a blob, and their mode.
type OnDisk = BTreeMap<Vec<u8>, TreeEntry>;

/// Which paths an overlay is about.
type PathFilter<'a> = dyn Fn(&RepoPath) -> bool + 'a;

impl Slot {
    /// Makes the `wanted` paths of the slot what they are in `from`, over the tree `under` that is
    /// in it. A link to what is other there becomes a file with what `from` has. `None` where
    /// there is no difference.
    ///
    /// # Errors
    /// As [`Slot::reset`]; [`GitError::is_scope`] for what an earlier turn left in the slot.
    pub fn lay_over(
        &self,
        under: &TreeId,
        from: &CommitId,
        keep: &[String],
        wanted: &PathFilter<'_>,
    ) -> Result<Option<Overlay>, GitError> {
        let repo = self.pool.repo();
        let mixed = repo.with_paths_of(under, from, wanted)?;
        let modules_alike = repo
            .layout(under)?
            .has_modules_of(&*repo.layout(&repo.tip(from)?.tree)?);
        if mixed == *under && modules_alike {
            return Ok(None);
        }
        let accepts = |path: &[u8]| is_wanted(path, wanted);
        // What another commit says is laid out as it says, too.
        let ruling = repo.tip(from)?.tree;
        self.fill_some((&mixed, &ruling), keep, &accepts)?;
        let laid = self.on_disk(under, keep, wanted)?;
        Ok(Some(Overlay {
            under: under.clone(),
            laid,
        }))
    }

    /// As [`Slot::lay_over`], for good. For git in the slot, the paths are what `under` has: `git
    /// status` says what a child changed, and not what was laid over. A path that `under` lacks
    /// is untracked.
    ///
    /// # Errors
    /// As [`Slot::reset`].
    pub fn lay_over_unseen(
        &self,
        under: &TreeId,
        from: &CommitId,
        keep: &[String],
        wanted: &PathFilter<'_>,
    ) -> Result<(), GitError> {
        let repo = self.pool.repo();
        let ruling = repo.tip(from)?.tree;
        let reached = repo.reached(under, &ruling, wanted)?;
        let wanted: &PathFilter<'_> =
            &|path: &RepoPath| wanted(path) || reached.contains(path.as_bytes());
        let mixed = repo.with_paths_of(under, from, wanted)?;
        // Other attributes make other bytes of the same blob.
        let (here, there) = (repo.listing(under)?, repo.listing(&ruling)?);
        let ruled_alike = rule_files(&here).eq(rule_files(&there));
        let modules_alike = repo.layout(under)?.has_modules_of(&*repo.layout(&ruling)?);
        if mixed == *under && ruled_alike && modules_alike {
            return Ok(());
        }
        let accepts = |path: &[u8]| is_wanted(path, wanted);
        self.fill_some((&mixed, &ruling), keep, &accepts)?;
        let over = repo.listing(&mixed)?;
        let hidden = |path: &[u8], entry: TreeEntry| {
            over.get(path) != Some(entry) || (!ruled_alike && accepts(path))
        };
        self.write_index_under(under, &hidden)
    }

    /// Takes an overlay off: what still is as it was laid out becomes what was under it.
    ///
    /// # Errors
    /// As [`Slot::lay_over`].
    pub fn take_off(
        &self,
        overlay: &Overlay,
        keep: &[String],
        wanted: &PathFilter<'_>,
    ) -> Result<(), GitError> {
        let now = self.on_disk(&overlay.under, keep, wanted)?;
        let paths = overlay.laid.keys().chain(now.keys());
        let touched: BTreeSet<&Vec<u8>> = paths
            .filter(|path| overlay.laid.get(*path) != now.get(*path))
            .collect();
        // A directory with something of the child's in it stays; a file in it says why.
        let holds_touched = |path: &[u8]| {
            let inside = |other: &&Vec<u8>| {
                other
                    .strip_prefix(path)
                    .is_some_and(|rest| rest.first() == Some(&b'/'))
            };
            touched.iter().any(inside)
        };
        let accepts = |path: &[u8]| {
            is_wanted(path, wanted) && !touched.contains(&path.to_vec()) && !holds_touched(path)
        };
        self.fill_some((&overlay.under, &overlay.under), keep, &accepts)?;
        let untouched = overlay.laid.keys().filter(|path| !touched.contains(*path));
        untouched.for_each(|path| self.drop_empty_parents(path, &overlay.under));
        Ok(())
    }

    /// Removes the directories above a file that stand empty now, and that the tree does not have.
    /// The walk has just come to the file through each of them, so none is a link.
    fn drop_empty_parents(&self, path: &[u8], tree: &TreeId) {
        let Ok(listing) = self.pool.repo().listing(tree) else {
            return;
        };
        for (slash, _) in path
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'/')
            .rev()
        {
            let parent = &path[..slash];
            if listing.has_directory(parent)
                || std::fs::remove_dir(below(self.path(), parent)).is_err()
            {
                return;
            }
        }
    }

    /// What the wanted paths are on the disk.
    fn on_disk(
        &self,
        under: &TreeId,
        keep: &[String],
        wanted: &PathFilter<'_>,
    ) -> Result<OnDisk, GitError> {
        let (listing, keep) = (self.pool.repo().listing(under)?, Keep::new(keep));
        let mut found = OnDisk::new();
        let files = Files::of(self.path())?;
        walk(self.path(), &mut |path, meta| {
            if path == b".git" || listing.get(path).is_some_and(TreeEntry::is_submodule) {
                return Ok(WalkAction::Skip);
            }
            if meta.is_dir() {
                let kept = keep.covers(path) && !listing.has_directory(path);
                return Ok(if kept {
                    WalkAction::Skip
                } else {
                    WalkAction::Enter
                });
            }
            if (meta.is_file() || meta.is_symlink()) && is_wanted(path, wanted) {
                // One that is too large to be read is none that was laid out.
                let oid = files.blob(path, meta)?.unwrap_or(Oid::ZERO_SHA1);
                found.insert(
                    path.to_vec(),
                    TreeEntry {
                        mode: mode_of(meta, None),
                        oid,
                    },
                );
            }
            Ok(WalkAction::Skip)
        })?;
        Ok(found)
    }
}

fn is_wanted(path: &[u8], wanted: &PathFilter<'_>) -> bool {
    RepoPath::from_bytes(path).is_some_and(|path| wanted(&path))
}

impl Repo {
    /// The tree `base` with the wanted paths as `from` has them, and without those that it lacks.
    fn with_paths_of(
        &self,
        base: &TreeId,
        from: &CommitId,
        wanted: &PathFilter<'_>,
    ) -> Result<TreeId, GitError> {
        let from = self.tip(from)?;
        let (base_listing, from_listing) = (self.listing(base)?, self.listing(&from.tree)?);
        self.with(|repo| {
            let (ours, theirs) = (
                Links::of(repo, &base_listing)?,
                Links::of(repo, &from_listing)?,
            );
            let mut changes = Changes::new();
            for (path, _) in base_listing
                .files()
                .filter(|(path, _)| is_wanted(path, wanted))
            {
                if from_listing.get(path).is_none() {
                    changes.insert(path.to_vec(), None);
                }
            }
            for (path, entry) in from_listing
                .files()
                .filter(|(path, _)| is_wanted(path, wanted))
            {
                let (mine, trusted) = (ours.below(path), theirs.below(path));
                if mine == trusted && !trusted.is_empty() {
                    continue;
                }
                if !entry.is_symlink() || theirs.is_absolute(path) {
                    changes.insert(path.to_vec(), Some(entry));
                    continue;
                }
                // As a link it would lead to what `base` has there. One that leads nowhere has
                // nothing to say.
                changes.insert(path.to_vec(), None);
                for (rest, entry) in trusted {
                    changes.insert([path, &rest].concat(), Some(entry));
                }
            }
            if changes.is_empty() {
                return Ok(base.clone());
            }
            build(repo, tree_oid(base), &changes).map(tree_id)
        })
    }

    /// The paths of both trees that the wanted ones lead to through links of `from`, with those
    /// links: what a program finds there is decided by all of them.
    fn reached(
        &self,
        base: &TreeId,
        from: &TreeId,
        wanted: &PathFilter<'_>,
    ) -> Result<BTreeSet<Vec<u8>>, GitError> {
        let (base, from) = (self.listing(base)?, self.listing(from)?);
        let links = self.with(|repo| Links::of(repo, &from))?;
        let mut reached = BTreeSet::new();
        for (path, _) in base.files().chain(from.files()) {
            for name in links
                .names(path)
                .into_iter()
                .filter(|name| wanted(&name.path))
            {
                reached.extend([path.to_vec(), name.link.to_vec()]);
            }
        }
        // What stands in the place of such a link hides what it leads to.
        let below: Vec<Vec<u8>> = base
            .files()
            .map(|(path, _)| path)
            .filter(|path| {
                above(path).any(|above| {
                    reached.contains(above) && from.get(above).is_some_and(TreeEntry::is_symlink)
                })
            })
            .map(<[u8]>::to_vec)
            .collect();
        reached.extend(below);
        Ok(reached)
    }
}
