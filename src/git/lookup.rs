//! Objects by their ids: the one way in which omk has libgit2 read commits, trees and blobs, and
//! walk through histories.
//!
//! Where the file of an object ends too early, libgit2 reads for ever. So a file is looked at
//! first. It refuses to have libgit2 read one that is torn: that object is [`GitError::Missing`].

use std::collections::HashSet;

use git2::{Blob, Commit, ErrorCode, ObjectType, Oid, Reference, Repository, Tree, TreeEntry};

use super::call::go_on;
use super::error::GitError;
use super::loose::place;
use super::missing::{LooseFile, loose_file};
use super::repo::{Repo, commit_oid};
use crate::id::{CommitId, RepoPath};

pub(super) fn find_commit<'repo>(
    repo: &'repo Repository,
    id: &CommitId,
) -> Result<Commit<'repo>, GitError> {
    commit_at(repo, commit_oid(id))
}

pub(super) fn commit_at(repo: &Repository, oid: Oid) -> Result<Commit<'_>, GitError> {
    look(repo, oid)?;
    repo.find_commit(oid)
        .map_err(GitError::lib(format!("read commit {oid}")))
}

pub(super) fn find_tree(repo: &Repository, oid: Oid) -> Result<Tree<'_>, GitError> {
    go_on()?;
    look(repo, oid)?;
    repo.find_tree(oid)
        .map_err(GitError::lib(format!("read tree {oid}")))
}

/// A blob, to do `what` with it.
pub(super) fn find_blob<'repo>(
    repo: &'repo Repository,
    oid: Oid,
    what: &str,
) -> Result<Blob<'repo>, GitError> {
    look(repo, oid)?;
    repo.find_blob(oid).map_err(GitError::lib(what))
}

/// What a tree has at a path, however deep; `None` if nothing.
pub(super) fn find_entry(
    repo: &Repository,
    tree: &Tree<'_>,
    path: &RepoPath,
) -> Result<Option<TreeEntry<'static>>, GitError> {
    let mut found: Option<TreeEntry<'static>> = None;
    let mut directory = None;
    for part in path.as_bytes().split(|byte| *byte == b'/') {
        if let Some(above) = found.take() {
            if above.kind() != Some(ObjectType::Tree) {
                return Ok(None);
            }
            directory = Some(find_tree(repo, above.id())?);
        }
        let Some(entry) = directory.as_ref().unwrap_or(tree).get_name_bytes(part) else {
            return Ok(None);
        };
        found = Some(entry.to_owned());
    }
    Ok(found)
}

/// The commit that a ref leads to; `None` if it leads to nothing.
pub(super) fn commit_of_ref(
    repo: &Repository,
    reference: &Reference<'_>,
) -> Result<Option<Oid>, GitError> {
    let resolved = match reference.resolve() {
        Ok(resolved) => resolved,
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
        Err(error) => return Err(GitError::lib("read a ref")(error)),
    };
    let Some(mut at) = resolved.target() else {
        return Ok(None);
    };
    // A tag may be of a tag.
    loop {
        look(repo, at)?;
        match repo.find_object(at, None) {
            Err(_) => return Ok(None),
            Ok(object) => match object.into_tag() {
                Ok(tag) => at = tag.target_id(),
                Err(object) => return Ok((object.kind() == Some(ObjectType::Commit)).then_some(at)),
            },
        }
    }
}

/// Looks at the file of an object, if it has one of its own.
///
/// # Errors
/// [`GitError::Missing`] if it is torn.
pub(super) fn look(repo: &Repository, oid: Oid) -> Result<LooseFile, GitError> {
    let file = place(&repo.commondir().join("objects"), oid);
    match loose_file(&file) {
        LooseFile::Torn => {
            let what = format!("read object {oid}: its file {} is torn", file.display());
            Err(GitError::Missing {
                what,
                next: "a crash leaves such files; `git fsck` names all that are damaged",
            })
        }
        found => Ok(found),
    }
}

impl Repo {
    /// Looks at the commits of histories before libgit2 walks through them, each once for as long
    /// as this repository is open. What is in a pack was there before anything that a crash can
    /// tear, and so was all below it.
    ///
    /// # Errors
    /// [`GitError::Missing`] if one is torn. What is not there at all is no error.
    pub(super) fn look_at_history(&self, repo: &Repository, tips: &[Oid]) -> Result<(), GitError> {
        let mut known = self.walked();
        let mut new = HashSet::new();
        let mut open = tips.to_vec();
        while let Some(at) = open.pop() {
            go_on()?;
            if known.contains(&at)
                || !new.insert(at)
                || matches!(look(repo, at)?, LooseFile::Absent)
            {
                continue;
            }
            if let Ok(commit) = repo.find_commit(at) {
                open.extend(commit.parent_ids());
            }
        }
        known.extend(new);
        Ok(())
    }

    /// Looks at what a person's words begin with (`main` in `main~2`), and at what they may go on
    /// to.
    pub(super) fn look_at_named(&self, repo: &Repository, rev: &str) -> Result<(), GitError> {
        let name = rev.split(['~', '^', '@', ':']).next().unwrap_or(rev);
        let tip = match repo.resolve_reference_from_short_name(if name.is_empty() {
            "HEAD"
        } else {
            name
        }) {
            Ok(reference) => commit_of_ref(repo, &reference)?,
            Err(_) => {
                let odb = repo.odb().map_err(GitError::lib("open the object store"))?;
                Oid::from_str(name)
                    .and_then(|short| odb.exists_prefix(short, name.len()))
                    .ok()
            }
        };
        let Some(tip) = tip else { return Ok(()) };
        if name == rev {
            look(repo, tip).map(drop)
        } else {
            self.look_at_history(repo, &[tip])
        }
    }
}
