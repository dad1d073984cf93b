//! Reading the repository: revisions, commits, and files at a commit.

use git2::{ObjectType, Oid, Repository};

use super::{Repo, commit_id, tip_of};
use crate::git::error::GitError;
use crate::git::lookup::{commit_at, find_blob, find_commit, find_entry, find_tree, look};
use crate::git::tree::Listing;
use crate::id::{CommitId, RepoPath, Tip};

/// How far back a commit with a given file is looked for; a plan older than that is as good as
/// unknown.
const HISTORY: usize = 1000;

impl Repo {
    /// The commit that a person's words name (`HEAD`, `main~2`, a digest), and its tree.
    ///
    /// # Errors
    /// Where it names no commit of this repository.
    pub fn resolve(&self, rev: &str) -> Result<Tip, GitError> {
        self.with(|repo| {
            self.look_at_named(repo, rev)?;
            let commit = repo
                .revparse_single(rev)
                .and_then(|object| object.peel_to_commit())
                .map_err(|_| {
                    let next = repo
                        .is_shallow()
                        .then_some("this clone is shallow: `git fetch --unshallow`");
                    GitError::UnknownRevision {
                        rev: rev.to_owned(),
                        next,
                    }
                })?;
            Ok(tip_of(&commit))
        })
    }

    /// A commit with its tree.
    ///
    /// # Errors
    /// Where the commit is not there.
    pub fn tip(&self, commit: &CommitId) -> Result<Tip, GitError> {
        self.with(|repo| Ok(tip_of(&find_commit(repo, commit)?)))
    }

    /// The parents of a commit, first one first.
    ///
    /// # Errors
    /// Where the commit is not there.
    pub fn parents(&self, commit: &CommitId) -> Result<Vec<CommitId>, GitError> {
        self.with(|repo| {
            Ok(find_commit(repo, commit)?
                .parent_ids()
                .map(commit_id)
                .collect())
        })
    }

    /// The message of a commit, as well as it can be shown.
    ///
    /// # Errors
    /// Where the commit is not there.
    pub fn message(&self, commit: &CommitId) -> Result<String, GitError> {
        self.with(|repo| {
            Ok(String::from_utf8_lossy(find_commit(repo, commit)?.message_bytes()).into_owned())
        })
    }

    /// The bytes of a file at a commit, as stored (no filters); `None` where there is no such file.
    /// A symlink gives `None`: it is not followed.
    ///
    /// # Errors
    /// Where the commit or the blob is not there.
    pub fn read_file(
        &self,
        commit: &CommitId,
        path: &RepoPath,
    ) -> Result<Option<Vec<u8>>, GitError> {
        self.with(|repo| {
            let tree = find_tree(repo, find_commit(repo, commit)?.tree_id())?;
            read_blob(repo, &tree, path)
        })
    }

    /// Whether HEAD has other bytes at that path, or nothing.
    ///
    /// # Errors
    /// Where HEAD cannot be read.
    pub fn head_differs(&self, path: &RepoPath, bytes: &[u8]) -> Result<bool, GitError> {
        let head = self.resolve("HEAD")?;
        Ok(self.read_file(&head.commit, path)?.as_deref() != Some(bytes))
    }

    /// The newest commit, from HEAD along first parents, that has exactly these bytes at that path.
    ///
    /// # Errors
    /// Where HEAD cannot be read. The end of a shallow history is not an error.
    pub fn last_commit_with(
        &self,
        path: &RepoPath,
        bytes: &[u8],
    ) -> Result<Option<CommitId>, GitError> {
        let head = self.resolve("HEAD")?;
        self.with(|repo| {
            let wanted =
                Oid::hash_object(ObjectType::Blob, bytes).map_err(GitError::lib("hash a file"))?;
            let mut at = find_commit(repo, &head.commit)?;
            for _ in 0..HISTORY {
                let tree = find_tree(repo, at.tree_id());
                let entry = tree
                    .and_then(|tree| find_entry(repo, &tree, path))
                    .ok()
                    .flatten();
                if entry.is_some_and(|entry| entry.id() == wanted) {
                    return Ok(Some(commit_id(at.id())));
                }
                let Some(parent) = at
                    .parent_ids()
                    .next()
                    .and_then(|parent| commit_at(repo, parent).ok())
                else {
                    break;
                };
                at = parent;
            }
            Ok(None)
        })
    }

    /// Whether a commit and everything in its tree is in the repository: false after a crash lost
    /// what was written.
    ///
    /// # Errors
    /// Where the object store cannot be read at all.
    pub fn is_whole(&self, commit: &CommitId) -> Result<bool, GitError> {
        self.with(|repo| {
            let Ok(commit) = find_commit(repo, commit) else {
                return Ok(false);
            };
            let Ok(listing) = Listing::read(repo, commit.tree_id()) else {
                return Ok(false);
            };
            let odb = repo.odb().map_err(GitError::lib("open the object store"))?;
            let is_there = |oid| look(repo, oid).is_ok() && odb.read_header(oid).is_ok();
            Ok(listing
                .files()
                .all(|(_, entry)| entry.is_submodule() || is_there(entry.oid)))
        })
    }
}

pub(in crate::git) fn read_blob(
    repo: &Repository,
    tree: &git2::Tree<'_>,
    path: &RepoPath,
) -> Result<Option<Vec<u8>>, GitError> {
    let Some(entry) = find_entry(repo, tree, path)? else {
        return Ok(None);
    };
    if entry.kind() != Some(ObjectType::Blob) || entry.filemode() == 0o120_000 {
        return Ok(None);
    }
    let blob = find_blob(repo, entry.id(), &format!("read `{path}`"))?;
    Ok(Some(blob.content().to_vec()))
}
