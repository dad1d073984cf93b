//! GitHub, through octocrab with lean structs of our own.

use std::time::Duration;

use super::{
    Annotation, Artifact, Check, CheckState, CheckWanted, Comparison, ForgeError, Issue, PullWanted, Reaction,
    Repository, WorkflowRun,
};
use crate::exec::secret::Secret;
use crate::id::{CommitId, Sha256};
use crate::trust::{Account, Branch, Comment, PermissionAnswer, PullRequest, Push};

/// Where and as whom to speak.
#[derive(Debug, Clone)]
pub struct Site {
    /// The API's base URL: `https://api.github.com`, or a GHES one with its path.
    pub api: String,
    /// `owner/name`.
    pub repository: String,
    /// Who speaks.
    pub token: Secret,
    /// The least time between two writes.
    pub spacing: Duration,
}

/// A repository at GitHub.
#[derive(Debug, Clone)]
pub struct GitHub {
    site: Site,
}

impl GitHub {
    /// Nothing is sent yet.
    pub fn new(site: Site) -> Result<Self, ForgeError> {
        Ok(Self { site })
    }

    /// A token of the App's installation on the repository, good for an hour, for nothing but this repository.
    pub async fn app_token(api: &str, repository: &str, app: u64, private_key: &Secret) -> Result<Secret, ForgeError> {
        let _ = (api, repository, app, private_key);
        later("mint a token")
    }

    /// Who the token is.
    pub async fn me(&self) -> Result<Account, ForgeError> {
        later("tell who the token is")
    }

    /// The repository.
    pub async fn repository(&self) -> Result<Repository, ForgeError> {
        let _ = &self.site;
        later("read the repository")
    }

    /// What somebody may do here. `None` where the forge does not know them.
    pub async fn permission(&self, login: &str) -> Result<Option<PermissionAnswer>, ForgeError> {
        let _ = login;
        later("read a permission")
    }

    /// A pull request.
    pub async fn pull_request(&self, number: u64) -> Result<PullRequest, ForgeError> {
        let _ = number;
        later("read a pull request")
    }

    /// The forge's records of pushes to a branch, newest first; at least the newest hundred.
    pub async fn pushes(&self, branch: &str) -> Result<Vec<Push>, ForgeError> {
        let _ = branch;
        later("read the pushes to a branch")
    }

    /// A branch; `None` where there is none of that name.
    pub async fn branch(&self, name: &str) -> Result<Option<Branch>, ForgeError> {
        let _ = name;
        later("read a branch")
    }

    /// A file's bytes at a commit, at most 1 MiB + 1; `None` where there is none.
    pub async fn file(&self, path: &str, commit: &CommitId) -> Result<Option<Vec<u8>>, ForgeError> {
        let _ = (path, commit);
        later("read a file")
    }

    /// What differs between two commits.
    pub async fn compare(&self, base: &CommitId, head: &CommitId) -> Result<Comparison, ForgeError> {
        let _ = (base, head);
        later("compare two commits")
    }

    /// A comment on an issue or pull request; `None` where it is gone.
    pub async fn comment(&self, id: u64) -> Result<Option<Comment>, ForgeError> {
        let _ = id;
        later("read a comment")
    }

    /// All comments of an issue or pull request, oldest first.
    pub async fn comments(&self, issue: u64) -> Result<Vec<Comment>, ForgeError> {
        let _ = issue;
        later("read the comments")
    }

    /// Makes sure that there is exactly one comment by `me` that holds `marker`, and that it says `body`, which holds the
    /// marker too. A forged one by somebody else is not touched.
    pub async fn put_comment(&self, issue: u64, me: &Account, marker: &str, body: &str) -> Result<Comment, ForgeError> {
        let _ = (issue, me, marker, body);
        later("write a comment")
    }

    /// Makes sure that `me` has reacted to a comment like that. A comment that is gone is fine.
    pub async fn react(&self, comment: u64, reaction: Reaction) -> Result<(), ForgeError> {
        let _ = (comment, reaction);
        later("react to a comment")
    }

    /// The latest checks of that name on a commit.
    pub async fn checks(&self, commit: &CommitId, name: &str) -> Result<Vec<Check>, ForgeError> {
        let _ = (commit, name);
        later("read the checks")
    }

    /// Makes sure that there is one check of that name, commit and external id, and that it is as wanted. `known` is its
    /// number where the caller knows it. Annotations that are there already are not sent again.
    pub async fn put_check(&self, wanted: &CheckWanted, known: Option<u64>) -> Result<Check, ForgeError> {
        let _ = (wanted, known);
        later("write a check")
    }

    /// The fallback where checks are refused: a commit status.
    pub async fn put_status(
        &self,
        commit: &CommitId,
        context: &str,
        state: CheckState,
        description: &str,
        url: Option<&str>,
    ) -> Result<(), ForgeError> {
        let _ = (commit, context, state, description, url);
        later("write a status")
    }

    /// Pull requests from a branch of this repository, newest first, open and closed.
    pub async fn pull_requests_from(&self, branch: &str) -> Result<Vec<PullRequest>, ForgeError> {
        let _ = branch;
        later("read the pull requests")
    }

    /// Makes sure that there is an open pull request from `head` to `base`, with that title and body.
    pub async fn put_pull_request(&self, wanted: &PullWanted) -> Result<PullRequest, ForgeError> {
        let _ = wanted;
        later("open a pull request")
    }

    /// Makes sure that there is one open issue by `me` that holds `marker`, and that it says so.
    pub async fn put_issue(&self, me: &Account, marker: &str, title: &str, body: &str) -> Result<Issue, ForgeError> {
        let _ = (me, marker, title, body);
        later("write an issue")
    }

    /// A run of a workflow; `None` where it is gone.
    pub async fn workflow_run(&self, id: u64) -> Result<Option<WorkflowRun>, ForgeError> {
        let _ = id;
        later("read a workflow run")
    }

    /// Cancels a run of a workflow; one that is over is fine.
    pub async fn cancel_workflow_run(&self, id: u64) -> Result<(), ForgeError> {
        let _ = id;
        later("cancel a workflow run")
    }

    /// Artifacts whose name begins so, newest first, that are not expired.
    pub async fn artifacts(&self, prefix: &str) -> Result<Vec<Artifact>, ForgeError> {
        let _ = prefix;
        later("read the artifacts")
    }

    /// An artifact's zip archive, refused where larger than `most` bytes; written to `to`. Its digest.
    pub async fn download_artifact(&self, id: u64, most: u64, to: &std::path::Path) -> Result<Sha256, ForgeError> {
        let _ = (id, most, to);
        later("download an artifact")
    }

    /// Requests that changed something, so far, by this client and its clones.
    #[must_use]
    pub fn writes(&self) -> usize {
        0
    }
}

/// Not built yet.
fn later<T>(what: &str) -> Result<T, ForgeError> {
    Err(ForgeError::Unavailable { what: what.to_owned(), said: "not built yet".to_owned() })
}

const _: fn(Annotation) = |_| {};
