//! Whose commit it is: omk's own, or one that another person changed.
//!
//! It refuses to call a commit ours that was amended, rebased or merged by another. Every question of that kind is
//! answered here: before a branch is moved or deleted, before a run starts, and before a result is pushed.

use super::error::GitError;
use super::merge::is_author;
use super::message::Trailers;
use super::repo::{Repo, find_commit};
use crate::id::CommitId;

impl Repo {
    /// Whether a commit is omk's own: it carries omk's trailers, and omk is its committer.
    ///
    /// # Errors
    /// Where it is not here.
    pub fn is_ours(&self, commit: &CommitId) -> Result<bool, GitError> {
        self.with(|repo| Ok(is_omks(&find_commit(repo, commit)?)))
    }
}

/// Amending or rebasing a commit keeps its message and its author, but not its committer.
pub(super) fn is_omks(commit: &git2::Commit<'_>) -> bool {
    is_author(&commit.committer()) && Trailers::of(&String::from_utf8_lossy(commit.message_bytes())).is_some()
}
