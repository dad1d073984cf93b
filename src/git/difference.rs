//! What differs between two trees. libgit2's own comparison reads every directory of both, alike or
//! not.

use std::collections::{BTreeMap, HashMap};

use git2::{Oid, Repository};

use super::error::GitError;
use super::lookup::find_tree;
use super::tree::{DEPTH, DIRECTORY, TreeEntry, kind_of, too_deep};

/// Every path that differs, with what it holds in either. Directories that both have alike are not
/// read.
pub(super) fn difference(
    repo: &Repository,
    old: Oid,
    new: Oid,
) -> Result<TreeDifference, GitError> {
    let mut found = TreeDifference::new();
    let mut open = vec![(Vec::new(), 0, Some(old), Some(new))];
    while let Some((above, depth, old, new)) = open.pop() {
        if old == new {
            continue;
        }
        if depth > DEPTH {
            return Err(too_deep(&above));
        }
        let (old, new) = (entries(repo, old)?, entries(repo, new)?);
        for name in old
            .keys()
            .chain(new.keys().filter(|name| !old.contains_key(*name)))
        {
            let (before, after) = (old.get(name), new.get(name));
            if before == after {
                continue;
            }
            let path = if above.is_empty() {
                name.clone()
            } else {
                [&above[..], b"/", name].concat()
            };
            let file = |entry: Option<&TreeEntry>| {
                entry.filter(|entry| kind_of(entry.mode).is_some()).copied()
            };
            let sides = PathSides {
                before: file(before),
                after: file(after),
            };
            if sides.before.is_some() || sides.after.is_some() {
                found.insert(path.clone(), sides);
            }
            let directory = |entry: Option<&TreeEntry>| {
                entry
                    .filter(|entry| entry.mode == DIRECTORY)
                    .map(|entry| entry.oid)
            };
            open.push((path, depth + 1, directory(before), directory(after)));
        }
    }
    Ok(found)
}

/// What a directory has, by name; nothing if there is none.
fn entries(
    repo: &Repository,
    directory: Option<Oid>,
) -> Result<HashMap<Vec<u8>, TreeEntry>, GitError> {
    let Some(oid) = directory else {
        return Ok(HashMap::new());
    };
    let tree = find_tree(repo, oid)?;
    let entry = |entry: git2::TreeEntry<'_>| TreeEntry {
        mode: u32::try_from(entry.filemode()).unwrap_or(0),
        oid: entry.id(),
    };
    Ok(tree
        .iter()
        .map(|found| (found.name_bytes().to_vec(), entry(found)))
        .collect())
}

/// The paths in which two trees differ.
pub(super) type TreeDifference = BTreeMap<Vec<u8>, PathSides>;

/// What a path holds in two trees.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PathSides {
    pub(super) before: Option<TreeEntry>,
    pub(super) after: Option<TreeEntry>,
}
