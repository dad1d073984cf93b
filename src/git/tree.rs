//! Trees: what is in one, what differs between two, and a new one made from an old one and some
//! changes.
//!
//! It refuses to look at files on disk.

use std::collections::{BTreeMap, BTreeSet};

use git2::{ObjectType, Oid, Repository};

use super::difference::difference;
use super::error::GitError;
use super::lookup::{find_blob, find_entry, find_tree};
use super::repo::{Repo, tree_id, tree_oid};
use crate::id::{RepoPath, TreeId};
use crate::scope::name::is_dot_git;

pub(super) const FILE: u32 = 0o100_644;
pub(super) const EXECUTABLE: u32 = 0o100_755;
pub(super) const SYMLINK: u32 = 0o120_000;
pub(super) const DIRECTORY: u32 = 0o040_000;
const SUBMODULE: u32 = 0o160_000;

/// Symlinks followed before a chain counts as endless; Linux has the same number.
const LINKS: u32 = 40;

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

/// Changes to a tree: what a path holds from now on; `None` = nothing.
pub(super) type Changes = BTreeMap<Vec<u8>, Option<TreeEntry>>;

/// One of them, its path relative to the tree at hand.
type EntryChange<'a> = (&'a [u8], Option<TreeEntry>);

/// `base` with `changes`. Only the trees on the way to a change are read and written. Where a file
/// becomes a directory or the other way round, what is set wins over what is removed.
pub(super) fn build(repo: &Repository, base: Oid, changes: &Changes) -> Result<Oid, GitError> {
    let flat: Vec<EntryChange<'_>> = changes
        .iter()
        .map(|(path, entry)| (path.as_slice(), *entry))
        .collect();
    let base = find_tree(repo, base)?;
    match build_below(repo, Some(&base), &flat, 0)? {
        Some(tree) => Ok(tree),
        None => repo
            .treebuilder(None)
            .and_then(|builder| builder.write())
            .map_err(GitError::lib("write an empty tree")),
    }
}

fn build_below(
    repo: &Repository,
    base: Option<&git2::Tree<'_>>,
    changes: &[EntryChange<'_>],
    depth: usize,
) -> Result<Option<Oid>, GitError> {
    if depth > DEPTH {
        return Err(too_deep(changes.first().map_or(b"", |(path, _)| path)));
    }
    let mut here: BTreeMap<&[u8], Option<TreeEntry>> = BTreeMap::new();
    let mut below: BTreeMap<&[u8], Vec<EntryChange<'_>>> = BTreeMap::new();
    for (path, entry) in changes {
        match path.iter().position(|&byte| byte == b'/') {
            Some(slash) => below
                .entry(&path[..slash])
                .or_default()
                .push((&path[slash + 1..], *entry)),
            None => {
                here.insert(path, *entry);
            }
        }
    }
    let mut builder = repo
        .treebuilder(base)
        .map_err(GitError::lib("build a tree"))?;
    for (name, changes) in below {
        if matches!(here.get(name), Some(Some(_))) {
            continue;
        }
        let old = base.and_then(|tree| tree.get_name_bytes(name));
        let old = match old {
            Some(entry) if entry.kind() == Some(ObjectType::Tree) => {
                Some(find_tree(repo, entry.id())?)
            }
            Some(_) | None => None,
        };
        here.remove(name);
        match build_below(repo, old.as_ref(), &changes, depth + 1)? {
            Some(tree) => insert(
                &mut builder,
                name,
                TreeEntry {
                    mode: DIRECTORY,
                    oid: tree,
                },
            )?,
            // Removals below what is not a directory leave it alone.
            None if old.is_some() => remove(&mut builder, name)?,
            None => {}
        }
    }
    for (name, entry) in here {
        match entry {
            Some(entry) => insert(&mut builder, name, entry)?,
            None => remove(&mut builder, name)?,
        }
    }
    if builder.is_empty() {
        return Ok(None);
    }
    builder
        .write()
        .map(Some)
        .map_err(GitError::lib("write a tree"))
}

fn insert(
    builder: &mut git2::TreeBuilder<'_>,
    name: &[u8],
    entry: TreeEntry,
) -> Result<(), GitError> {
    let mode = i32::try_from(entry.mode).unwrap_or(0o100_644);
    builder
        .insert(name, entry.oid, mode)
        .map(drop)
        .map_err(|error| {
            let path = String::from_utf8_lossy(name).into_owned();
            if error.class() == git2::ErrorClass::Tree && error.message().contains("name") {
                return GitError::Unstorable {
                    path,
                    why: "git keeps that name for itself",
                };
            }
            GitError::lib(format!("put `{path}` into a tree"))(error)
        })
}

fn remove(builder: &mut git2::TreeBuilder<'_>, name: &[u8]) -> Result<(), GitError> {
    let there = builder
        .get(name)
        .map(|entry| entry.is_some())
        .unwrap_or(true);
    if there {
        builder
            .remove(name)
            .map_err(GitError::lib("take an entry out of a tree"))
    } else {
        Ok(())
    }
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

    /// Symlinks that lead out of `new` (or into a `.git`), and did not lead out of `old`. A link is
    /// followed through the other links of the tree, so one that a changed link redirects is
    /// found too.
    ///
    /// # Errors
    /// Where a tree cannot be read.
    pub fn escaping_symlinks(&self, old: &TreeId, new: &TreeId) -> Result<Vec<RepoPath>, GitError> {
        if !self.changed(old, new)?.iter().any(ChangedPath::is_symlink) {
            return Ok(Vec::new());
        }
        let (old, new) = (self.listing(old)?, self.listing(new)?);
        self.with(|repo| {
            let before = escaping(repo, &old)?;
            let fresh = escaping(repo, &new)?.into_iter().filter(|path| {
                !before.contains(path)
                    || old.get(path).map(|entry| entry.oid) != new.get(path).map(|entry| entry.oid)
            });
            Ok(fresh
                .filter_map(|path| RepoPath::from_bytes(&path))
                .collect())
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

fn escaping(repo: &Repository, listing: &Listing) -> Result<BTreeSet<Vec<u8>>, GitError> {
    let mut links = BTreeMap::new();
    for (path, entry) in listing.files().filter(|(_, entry)| entry.is_symlink()) {
        let blob = find_blob(repo, entry.oid, "read a symlink")?;
        links.insert(path.to_vec(), blob.content().to_vec());
    }
    Ok(links
        .keys()
        .filter(|path| leads_out(path, &links))
        .cloned()
        .collect())
}

/// Whether a link leads out on this system, or on Windows, where git turns slashes round.
fn leads_out(link: &[u8], links: &BTreeMap<Vec<u8>, Vec<u8>>) -> bool {
    follow(link, links, b"/") || follow(link, links, b"/\\")
}

/// Follows a link as the kernel would, inside the tree.
fn follow(link: &[u8], links: &BTreeMap<Vec<u8>, Vec<u8>>, slashes: &[u8]) -> bool {
    let mut at: Vec<Vec<u8>> = Vec::new();
    let mut todo: Vec<Vec<u8>> = components(link, b"/");
    let mut followed = 0;
    while let Some(part) = todo.pop() {
        match part.as_slice() {
            b"." | b"" => continue,
            b".." if at.pop().is_none() => return true,
            b".." => continue,
            _ if is_dot_git(&part) => return true,
            _ => at.push(part),
        }
        let Some(target) = links.get(&at.join(&b'/')) else {
            continue;
        };
        followed += 1;
        if followed > LINKS {
            // A loop leads nowhere.
            return false;
        }
        let has_drive =
            matches!(target.as_slice(), [_, b':', slash, ..] if slashes.contains(slash));
        if target.first().is_some_and(|first| slashes.contains(first)) || has_drive {
            return true;
        }
        at.pop();
        todo.extend(components(target, slashes));
    }
    false
}

/// The components, last one first.
fn components(path: &[u8], slashes: &[u8]) -> Vec<Vec<u8>> {
    path.split(|byte| slashes.contains(byte))
        .rev()
        .map(<[u8]>::to_vec)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(links: &[(&str, &str)], link: &str) -> bool {
        let links = links
            .iter()
            .map(|(path, to)| (path.as_bytes().to_vec(), to.as_bytes().to_vec()))
            .collect();
        leads_out(link.as_bytes(), &links)
    }

    #[test]
    fn links_are_followed_through_other_links_of_the_tree() {
        assert!(!out(&[("a/b", "../c")], "a/b"));
        assert!(out(&[("a/b", "../../c")], "a/b"));
        assert!(out(&[("a", "/etc/passwd")], "a"));
        assert!(out(&[("a", "sub/.GIT/hooks")], "a"));
        assert!(out(&[("a", "sub/.g\u{200c}it/hooks")], "a"));
        assert!(!out(&[("a\\b", "c")], "a\\b") && !out(&[("a", "b:c/d")], "a"));
        assert!(
            out(&[("a", "C:\\x")], "a") && out(&[("a", "\\x")], "a") && out(&[("a", "..\\x")], "a")
        );
        assert!(
            out(&[("p/q/d", "../.."), ("e", "p/q/d/../z")], "e"),
            "inside by its letters, outside by its steps"
        );
        assert!(!out(&[("p/q/d", "../.."), ("e", "p/q/d/z")], "e"));
        assert!(!out(&[("a", "b"), ("b", "a")], "a"), "a loop leads nowhere");
    }
}
