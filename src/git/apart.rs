//! Two sides that touch different paths: their merge without reading any file.
//!
//! That is most of what a run merges. It refuses to decide where git would look closer: a path that
//! both sides changed, a file in the place of a directory, and new files in a directory that the
//! other side removed, which may be a rename.

use std::collections::HashMap;
use std::ops::Bound;

use git2::{ObjectType, Oid, Repository, Tree};

use super::error::GitError;
use super::lineage::Paths;
use super::lookup::find_tree;
use super::tree::{Changes, TreeEntry, above};

/// One side of a merge: its tree, and every path in which it differs from what the sides have in
/// common. More paths do no harm: they only make git look closer.
pub(super) struct MergeSide<'a> {
    pub(super) tree: Oid,
    pub(super) touched: &'a Paths,
}

/// What `ours` gets from `theirs`; `None` where git must look closer.
pub(super) fn apart(
    repo: &Repository,
    ours: &MergeSide<'_>,
    theirs: &MergeSide<'_>,
) -> Result<Option<Changes>, GitError> {
    let (mut our, mut their) = (
        TreeReader::new(repo, ours.tree),
        TreeReader::new(repo, theirs.tree),
    );
    let mut changes = Changes::new();
    for path in theirs.touched {
        // Also if both ended the same: a path that both removed may have been renamed by each to
        // another.
        if ours.touched.contains(path) {
            return Ok(None);
        }
        let (here, there) = (our.at(path)?, their.at(path)?);
        if here == there || there == There::Directory {
            continue;
        }
        if here == There::Directory {
            return Ok(None);
        }
        let wanted = match there {
            There::File(entry) => Some(entry),
            There::Nothing | There::Directory => None,
        };
        for directory in above(path).skip(1) {
            let (here, there) = (our.at(directory)?, their.at(directory)?);
            let file_in_the_way = matches!(here, There::File(_)) && wanted.is_some();
            if file_in_the_way
                && (ours.touched.contains(directory) || !theirs.touched.contains(directory))
            {
                return Ok(None);
            }
            // One side has the directory no more: what the other side put there may belong
            // elsewhere now.
            let gone_here = here != There::Directory
                && wanted.is_some()
                && below(ours.touched, directory).next().is_some();
            if gone_here
                || (there != There::Directory
                    && wanted.is_none()
                    && holds(&mut our, ours.touched, directory)?)
            {
                return Ok(None);
            }
        }
        changes.insert(path.clone(), wanted);
    }
    Ok(Some(changes))
}

/// Whether a side that touched paths below a directory still has one of them.
fn holds(side: &mut TreeReader<'_>, touched: &Paths, directory: &[u8]) -> Result<bool, GitError> {
    for path in below(touched, directory) {
        if side.at(path)? != There::Nothing {
            return Ok(true);
        }
    }
    Ok(false)
}

fn below<'a>(paths: &'a Paths, directory: &[u8]) -> impl Iterator<Item = &'a Vec<u8>> {
    let prefix = [directory, b"/"].concat();
    let from = (Bound::Included(prefix.clone()), Bound::Unbounded);
    paths
        .range::<Vec<u8>, _>(from)
        .take_while(move |path| path.starts_with(&prefix))
}

/// What a tree holds at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum There {
    Nothing,
    Directory,
    File(TreeEntry),
}

/// A tree that is looked into at several paths; each directory on the way is read once.
struct TreeReader<'repo> {
    repo: &'repo Repository,
    top: Oid,
    open: HashMap<Vec<u8>, Option<Tree<'repo>>>,
}

impl<'repo> TreeReader<'repo> {
    fn new(repo: &'repo Repository, top: Oid) -> Self {
        Self {
            repo,
            top,
            open: HashMap::new(),
        }
    }

    fn at(&mut self, path: &[u8]) -> Result<There, GitError> {
        let (directory, name) = match path.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&path[..0], path),
        };
        let Some(tree) = self.directory(directory)? else {
            return Ok(There::Nothing);
        };
        let Some(entry) = tree.get_name_bytes(name) else {
            return Ok(There::Nothing);
        };
        if entry.kind() == Some(ObjectType::Tree) {
            return Ok(There::Directory);
        }
        let mode = u32::try_from(entry.filemode()).unwrap_or(super::tree::FILE);
        Ok(There::File(TreeEntry {
            mode,
            oid: entry.id(),
        }))
    }

    fn directory(&mut self, path: &[u8]) -> Result<Option<&Tree<'repo>>, GitError> {
        let mut at: Option<Vec<u8>> = None;
        for directory in above(path).chain([path]) {
            if at.as_deref() == Some(directory) || self.open.contains_key(directory) {
                at = Some(directory.to_vec());
                continue;
            }
            let tree = match &at {
                None => Some(self.top),
                Some(above) => {
                    let name = directory
                        .rsplit(|&byte| byte == b'/')
                        .next()
                        .unwrap_or(directory);
                    let above = self.open.get(above).and_then(Option::as_ref);
                    let entry = above.and_then(|tree| tree.get_name_bytes(name));
                    entry
                        .filter(|entry| entry.kind() == Some(ObjectType::Tree))
                        .map(|entry| entry.id())
                }
            };
            let tree = tree.map(|oid| find_tree(self.repo, oid)).transpose()?;
            self.open.insert(directory.to_vec(), tree);
            at = Some(directory.to_vec());
        }
        Ok(self.open.get(path).and_then(Option::as_ref))
    }
}
