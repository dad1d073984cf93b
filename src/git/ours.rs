//! Whose commit it is: omk's own, or one that somebody else has had a hand on.
//!
//! It refuses to call a commit ours that was amended, rebased or merged by another.

use super::error::GitError;
use super::merge::is_author;
use super::message::Trailers;
use super::repo::{Repo, find_commit};
use crate::id::CommitId;

impl Repo {
    /// Whether a commit is omk's own: it carries omk's trailers, and nobody else has committed it since.
    ///
    /// # Errors
    /// Where it is not here.
    pub fn is_ours(&self, commit: &CommitId) -> Result<bool, GitError> {
        let trailed = Trailers::of(&self.message(commit)?).is_some();
        self.with(|repo| Ok(trailed && is_author(&find_commit(repo, commit)?.committer())))
    }
}
