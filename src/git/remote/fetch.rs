//! Fetching commits and refs of a remote into refs of omk's own.

use super::{Remote, check_name};
use crate::git::binary::Git;
use crate::git::error::GitError;
use crate::git::repo::Repo;
use crate::id::CommitId;

/// Where fetched refs and commits are kept, out of the way of everybody's branches.
const FETCHED: &str = "refs/omk/fetched";

/// What is wanted of a remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchTarget {
    /// A commit, with its history.
    Commit(CommitId),
    /// Whatever a ref is at, by its full name.
    Ref(String),
}

impl Repo {
    /// Fetches commits and refs, with what they need, into refs of omk's own; the commits, in the
    /// order asked for.
    ///
    /// # Errors
    /// As [`Repo::ls_remote`]; [`GitError::UnknownRevision`] where the remote has no such commit or
    /// ref.
    pub fn fetch(
        &self,
        remote: &Remote,
        wanted: &[FetchTarget],
    ) -> Result<Vec<CommitId>, GitError> {
        self.fetch_with(remote, wanted, &[])
    }

    /// The same, without what those commits are built on: for a repository that is thrown away, and
    /// who only wants to know whose the commits are.
    ///
    /// # Errors
    /// As [`Repo::fetch`].
    pub fn fetch_tips(
        &self,
        remote: &Remote,
        wanted: &[FetchTarget],
    ) -> Result<Vec<CommitId>, GitError> {
        self.fetch_with(remote, wanted, &["--depth=1"])
    }

    fn fetch_with(
        &self,
        remote: &Remote,
        wanted: &[FetchTarget],
        more: &[&str],
    ) -> Result<Vec<CommitId>, GitError> {
        let what = "fetch";
        let mut kept = Vec::with_capacity(wanted.len());
        let mut refspecs = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            let (from, to) = match wanted {
                FetchTarget::Commit(id) => (id.as_str(), format!("{FETCHED}/commit/{id}")),
                FetchTarget::Ref(name) => {
                    check_name(name)?;
                    (
                        name.as_str(),
                        format!("{FETCHED}/{}", name.trim_start_matches("refs/")),
                    )
                }
            };
            refspecs.push(format!("+{from}:{to}"));
            kept.push(to);
        }
        if kept.is_empty() {
            return Ok(Vec::new());
        }
        let git = || {
            let git = Git::bare(self, what, "fetch").args([
                "--quiet",
                "--no-tags",
                "--no-write-fetch-head",
            ]);
            git.args(more).args(["--", remote.url()]).args(&refspecs)
        };
        remote.ask(what, git)?;
        kept.iter()
            .map(|name| Ok(self.resolve(name)?.commit))
            .collect()
    }
}
