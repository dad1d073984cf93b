//! Whose commit it is by what it says of itself, where there is nothing else to go by: on a remote,
//! seen from a machine that has no journal of the run that made it.
//!
//! It refuses to call a commit ours that was amended, rebased or merged by another. What is said of
//! local branches is decided by journals alone (`work/ownership.rs`).

use super::error::GitError;
use super::lookup::find_commit;
use super::merge::is_author;
use super::message::Trailers;
use super::repo::Repo;
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
    is_author(&commit.committer())
        && Trailers::of(&String::from_utf8_lossy(commit.message_bytes())).is_some()
}
