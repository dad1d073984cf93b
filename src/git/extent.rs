//! How much a tree holds, without walking all of it: a small pack can name more paths than any
//! machine has memory for.
//!
//! A tree that occurs at many places is read once. It refuses trees that no task of an honest run
//! makes.

use std::collections::HashMap;

use git2::{ObjectType, Oid, Repository};

use super::error::GitError;
use super::lookup::find_tree;
use super::repo::{Repo, tree_oid};
use super::tree::too_deep;
use crate::id::TreeId;

/// Entries that one run may add to its base: five times the files of the Linux kernel.
const ENTRIES: u64 = 500_000;

/// Bytes of all paths together that one run may add to its base: 500 for each entry, ten times the
/// usual.
const PATHS: u64 = 256 << 20;

/// Directories inside each other; no slot is read that is deeper.
const DEPTH: usize = 128;

/// What is known of the trees that were looked at. It is worth keeping: most trees of a run are in
/// all of its commits.
#[derive(Debug, Default)]
pub struct Extents {
    known: HashMap<Oid, Extent>,
}

/// How much is below a tree.
#[derive(Debug, Default, Clone, Copy)]
struct Extent {
    entries: u64,
    /// Bytes of all paths, relative to the tree.
    paths: u64,
    /// Directories inside each other.
    height: usize,
}

impl Repo {
    /// Makes sure that `new` is small enough to be compared with `old` and to be listed.
    ///
    /// # Errors
    /// [`GitError::Unstorable`] if it is not. Where a tree is missing.
    pub fn refuse_vast(
        &self,
        extents: &mut Extents,
        old: &TreeId,
        new: &TreeId,
    ) -> Result<(), GitError> {
        self.with(|repo| {
            // A base is as large as its users made it.
            let old = extents.of(repo, tree_oid(old), u64::MAX, 0)?;
            let new = extents.of(repo, tree_oid(new), old.entries.saturating_add(ENTRIES), 0)?;
            let most = |of_base: u64, more: u64| of_base.saturating_add(more);
            if new.entries > most(old.entries, ENTRIES) || new.paths > most(old.paths, PATHS) {
                return Err(too_much());
            }
            Ok(())
        })
    }
}

fn too_much() -> GitError {
    GitError::Unstorable {
        path: "its tree".to_owned(),
        why: "has a tree of more paths than a run may add",
    }
}

impl Extents {
    fn of(
        &mut self,
        repo: &Repository,
        tree: Oid,
        most: u64,
        depth: usize,
    ) -> Result<Extent, GitError> {
        if let Some(known) = self.known.get(&tree) {
            return if depth + known.height > DEPTH {
                Err(too_deep(b""))
            } else {
                Ok(*known)
            };
        }
        if depth > DEPTH {
            return Err(too_deep(b""));
        }
        if self.known.len() as u64 > most {
            return Err(too_much());
        }
        let mut found = Extent {
            height: 1,
            ..Extent::default()
        };
        for entry in &find_tree(repo, tree)? {
            let below = match entry.kind() {
                Some(ObjectType::Tree) => self.of(repo, entry.id(), most, depth + 1)?,
                Some(_) | None => Extent::default(),
            };
            let name = entry.name_bytes().len() as u64 + 1;
            let entries = below.entries.saturating_add(1);
            found.entries = found.entries.saturating_add(entries);
            found.paths = found
                .paths
                .saturating_add(name.saturating_mul(entries))
                .saturating_add(below.paths);
            found.height = found.height.max(below.height + 1);
        }
        self.known.insert(tree, found);
        Ok(found)
    }
}
