//! A new tree, made from an old one and some changes.

use std::collections::BTreeMap;

use git2::{ObjectType, Oid, Repository};

use super::{DEPTH, DIRECTORY, TreeEntry, too_deep};
use crate::git::error::GitError;
use crate::git::lookup::find_tree;

/// Changes to a tree: what a path holds from now on; `None` = nothing.
pub(in crate::git) type Changes = BTreeMap<Vec<u8>, Option<TreeEntry>>;

/// One of them, its path relative to the tree at hand.
type EntryChange<'a> = (&'a [u8], Option<TreeEntry>);

/// `base` with `changes`. Only the trees on the way to a change are read and written. Where a file
/// becomes a directory or the other way round, what is set wins over what is removed.
pub(in crate::git) fn build(
    repo: &Repository,
    base: Oid,
    changes: &Changes,
) -> Result<Oid, GitError> {
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

pub(super) fn insert(
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
