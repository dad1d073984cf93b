//! Commits that omk makes: the author, and the same id for the same inputs.

use git2::{Oid, Repository, Signature, Time};

use crate::git::error::GitError;
use crate::git::lookup::{commit_at, find_tree};
use crate::git::message::CommitMessage;
use crate::git::repo::{Repo, commit_id, commit_oid, tree_oid};
use crate::id::{CommitId, Moment, TreeId};

/// Who omk's commits are by.
pub(in crate::git) const AUTHOR: (&str, &str) = ("omk[bot]", "omk[bot]@users.noreply.github.com");

impl Repo {
    /// Makes a commit by `omk[bot]`, at `when` to the second.
    ///
    /// # Errors
    /// Where the tree or a parent is missing, or it cannot be written.
    pub fn commit(
        &self,
        tree: &TreeId,
        parents: &[CommitId],
        message: &CommitMessage,
        when: Moment,
    ) -> Result<CommitId, GitError> {
        self.with(|repo| {
            let parents: Vec<Oid> = parents.iter().map(commit_oid).collect();
            let seconds = when.as_millis().div_euclid(1000);
            write_commit(
                repo,
                tree_oid(tree),
                &parents,
                &message.to_string(),
                seconds,
            )
            .map(commit_id)
        })
    }
}

pub(super) fn write_commit(
    repo: &Repository,
    tree: Oid,
    parents: &[Oid],
    message: &str,
    seconds: i64,
) -> Result<Oid, GitError> {
    let tree = find_tree(repo, tree)?;
    let parents = parents
        .iter()
        .map(|oid| commit_at(repo, *oid))
        .collect::<Result<Vec<_>, _>>()?;
    let write = || {
        let author = signature(seconds)?;
        repo.commit(
            None,
            &author,
            &author,
            message,
            &tree,
            &parents.iter().collect::<Vec<_>>(),
        )
    };
    write().map_err(GitError::lib("write a commit"))
}

/// Whether a signature is omk's own.
pub(in crate::git) fn is_author(found: &Signature<'_>) -> bool {
    found.name_bytes() == AUTHOR.0.as_bytes() && found.email_bytes() == AUTHOR.1.as_bytes()
}

/// omk's own signature, in UTC.
pub(in crate::git) fn signature(seconds: i64) -> Result<Signature<'static>, git2::Error> {
    Signature::new(AUTHOR.0, AUTHOR.1, &Time::new(seconds, 0))
}
