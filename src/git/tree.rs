//! Trees: what is in one, what differs between two, and a new one made from an old one and some
//! changes.
//!
//! It refuses to look at files on disk.

mod symlink;
mod building;

use std::collections::{BTreeMap, BTreeSet};

use git2::{ObjectType, Oid, Repository};

use super::difference::difference;
use super::error::GitError;
use super::lookup::{find_entry, find_tree};
use super::repo::{Repo, tree_id, tree_oid};
use crate::id::{RepoPath, TreeId};

pub(super) use building::{Changes, build};

pub(super) const FILE: u32 = 0o100_644;
pub(super) const EXECUTABLE: u32 = 0o100_755;
pub(super) const SYMLINK: u32 = 0o120_000;
pub(super) const DIRECTORY: u32 = 0o040_000;
const SUBMODULE: u32 = 0o160_000;

/// Trees nested deeper are refused: every step costs stack, and no path of that depth can be opened
/// anyway.
pub(super) const DEPTH: usize = 1024;

/// What is at a path of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A file.
    File,
    /// A file that may be executed.
    Executable,
    /// A symbolic link.
    Symlink,
    /// A commit of another repository.
    Submodule,
}

/// A path that differs between two trees. A rename is two of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedPath {
    /// Where.
    pub path: RepoPath,
    /// What was there.
    pub before: Option<EntryKind>,
    /// What is there now.
    pub after: Option<EntryKind>,
}

impl ChangedPath {
    /// Whether a submodule is on either side.
    #[must_use]
    pub fn is_submodule(&self) -> bool {
        self.touches(EntryKind::Submodule)
    }

    /// Whether a symbolic link is on either side.
    #[must_use]
    pub fn is_symlink(&self) -> bool {
        self.touches(EntryKind::Symlink)
    }

    fn touches(&self, kind: EntryKind) -> bool {
        self.before == Some(kind) || self.after == Some(kind)
    }
}

/// An entry of a tree that is not a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TreeEntry {
    pub(super) mode: u32,
    pub(super) oid: Oid,
}

impl TreeEntry {
    pub(super) fn is_submodule(self) -> bool {
        self.mode == SUBMODULE
    }

    pub(super) fn is_symlink(self) -> bool {
        self.mode == SYMLINK
    }

    pub(super) fn is_file(self) -> bool {
        !self.is_submodule() && !self.is_symlink()
    }

    fn kind(self) -> EntryKind {
        kind_of(self.mode).unwrap_or(EntryKind::File)
    }
}

pub(super) fn kind_of(mode: u32) -> Option<EntryKind> {
    match mode {
        0 | DIRECTORY => None,
        SYMLINK => Some(EntryKind::Symlink),
        SUBMODULE => Some(EntryKind::Submodule),
        mode if mode & 0o111 != 0 => Some(EntryKind::Executable),
        _ => Some(EntryKind::File),
    }
}

/// A tree, flat: every entry by its path, and every directory.
#[derive(Debug, Default)]
pub(super) struct Listing {
    entries: BTreeMap<Vec<u8>, TreeEntry>,
    directories: BTreeSet<Vec<u8>>,
}

impl Listing {
    pub(super) fn read(repo: &Repository, tree: Oid) -> Result<Self, GitError> {
        let mut listing = Self::default();
        listing.add(repo, tree, &mut Vec::new(), 0)?;
        Ok(listing)
    }

    fn add(
        &mut self,
        repo: &Repository,
        tree: Oid,
        path: &mut Vec<u8>,
        depth: usize,
    ) -> Result<(), GitError> {
        if depth > DEPTH {
            return Err(too_deep(path));
        }
        let tree = find_tree(repo, tree)?;
        for entry in &tree {
            let length = path.len();
            if length > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(entry.name_bytes());
            if entry.kind() == Some(ObjectType::Tree) {
                self.directories.insert(path.clone());
                self.add(repo, entry.id(), path, depth + 1)?;
            } else {
                let mode = u32::try_from(entry.filemode()).unwrap_or(FILE);
                self.entries.insert(
                    path.clone(),
                    TreeEntry {
                        mode,
                        oid: entry.id(),
                    },
                );
            }
            path.truncate(length);
        }
        Ok(())
    }

    pub(super) fn get(&self, path: &[u8]) -> Option<TreeEntry> {
        self.entries.get(path).copied()
    }

    pub(super) fn has_directory(&self, path: &[u8]) -> bool {
        self.directories.contains(path)
    }

    pub(super) fn files(&self) -> impl Iterator<Item = (&[u8], TreeEntry)> {
        self.entries
            .iter()
            .map(|(path, entry)| (path.as_slice(), *entry))
    }
}

/// The directories above a path, outermost first; the first is the top itself, which is empty.
pub(super) fn above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = path
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'/')
        .map(|(slash, _)| slash);
    std::iter::once(0).chain(slashes).map(|end| &path[..end])
}

pub(super) fn too_deep(path: &[u8]) -> GitError {
    GitError::refused(path, "is nested deeper than any path that can be opened")
}

impl Repo {
    /// Every path that differs between two trees: content, mode, type, submodules and symlinks. A
    /// rename gives both paths. In byte order.
    ///
    /// # Errors
    /// Where a tree cannot be read.
    pub fn changed_paths(&self, old: &TreeId, new: &TreeId) -> Result<Vec<RepoPath>, GitError> {
        Ok(self
            .changed(old, new)?
            .into_iter()
            .map(|changed| changed.path)
            .collect())
    }

    /// As [`Repo::changed_paths`], with what is on either side.
    ///
    /// # Errors
    /// Where a tree cannot be read.
    pub fn changed(&self, old: &TreeId, new: &TreeId) -> Result<Vec<ChangedPath>, GitError> {
        let found = self.with(|repo| difference(repo, tree_oid(old), tree_oid(new)))?;
        let named = found.into_iter().filter_map(|(path, sides)| {
            let (before, after) = (
                sides.before.map(TreeEntry::kind),
                sides.after.map(TreeEntry::kind),
            );
            RepoPath::from_bytes(&path).map(|path| ChangedPath {
                path,
                before,
                after,
            })
        });
        Ok(named.collect())
    }

    /// What a tree has at that path; `None` for nothing and for a directory.
    ///
    /// # Errors
    /// Where the tree cannot be read.
    pub fn entry(&self, tree: &TreeId, path: &RepoPath) -> Result<Option<EntryKind>, GitError> {
        self.with(|repo| {
            let entry = find_entry(repo, &find_tree(repo, tree_oid(tree))?, path)?;
            Ok(entry.and_then(|entry| kind_of(u32::try_from(entry.filemode()).unwrap_or(0))))
        })
    }

    /// The tree without anything in it.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn empty_tree(&self) -> Result<TreeId, GitError> {
        self.with(|repo| {
            let tree = repo.treebuilder(None).and_then(|builder| builder.write());
            tree.map(tree_id)
                .map_err(GitError::lib("write an empty tree"))
        })
    }
}
