//! GitLab, over its REST API.

use std::path::Path;

use super::{
    Check, CheckState, CheckWanted, Comparison, ForgeError, Issue, PullWanted, Reaction, Repository, WorkflowRun,
};
use crate::exec::secret::Secret;
use crate::id::{CommitId, Moment, Sha256};
use crate::trust::{Account, Branch, Comment, PermissionAnswer, PullRequest, Push};
use std::path::PathBuf;
use std::time::Duration;

/// Where and as whom to speak to GitLab.
#[derive(Debug, Clone)]
pub struct GitLabSite {
    /// The API's base URL, with its path: `https://gitlab.example.com/gitlab/api/v4` (`CI_API_V4_URL`).
    pub api: String,
    /// The project's number (`CI_PROJECT_ID`), which stays when it is renamed.
    pub project: u64,
    /// Who speaks.
    pub token: Token,
    /// The least time between two writes, and the first pause before something is tried again.
    pub spacing: Duration,
    /// A file of PEM certificates to trust besides the system's (`CI_SERVER_TLS_CA_FILE`).
    pub authorities: Option<PathBuf>,
}

/// What kind of token it is; GitLab wants each in a header of its own.
#[derive(Debug, Clone)]
pub enum Token {
    /// A project, group or personal access token.
    Access(Secret),
    /// The token of a CI job, which may hardly do anything.
    Job(Secret),
}

/// A job of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// GitLab's number of it.
    pub id: u64,
    /// Its name in the pipeline.
    pub name: String,
    /// `success`, `failed`, `canceled`, `running`, …
    pub status: String,
    /// Whether it has left artifacts that can be fetched.
    pub has_artifacts: bool,
}

/// A project at GitLab.
#[derive(Debug, Clone)]
pub struct GitLab {
    site: GitLabSite,
}

impl GitLab {
    /// A client with the usual patience. Nothing is sent yet.
    ///
    /// # Errors
    /// Where the API's address or the token cannot be right.
    pub fn new(site: GitLabSite) -> Result<Self, ForgeError> {
        Ok(Self { site })
    }

    /// Requests that were sent to change something, so far.
    #[must_use]
    pub fn writes(&self) -> usize {
        0
    }

    /// Stub.
    pub async fn me(&self) -> Result<Account, ForgeError> {
        Err(self.stub())
    }

    /// Stub.
    pub async fn permission(&self, _account: u64) -> Result<Option<PermissionAnswer>, ForgeError> {
        Err(self.stub())
    }

    /// Stub.
    pub async fn repository(&self) -> Result<Repository, ForgeError> {
        Err(self.stub())
    }

    /// Stub.
    pub async fn branch(&self, _name: &str) -> Result<Option<Branch>, ForgeError> {
        Err(self.stub())
    }

    /// Stub.
    pub async fn pushes(&self, _number: u64) -> Result<Vec<Push>, ForgeError> {
        Err(self.stub())
    }

    /// Stub.
    pub async fn compare(&self, _base: &CommitId, _head: &CommitId) -> Result<Comparison, ForgeError> {
        Err(self.stub())
    }

    /// Stub.
    pub async fn file(&self, _path: &str, _commit: &CommitId) -> Result<Option<Vec<u8>>, ForgeError> {
        Err(self.stub())
    }

    /// Stub.
    pub async fn comment(&self, _pull: u64, _note: u64) -> Result<Option<Comment>, ForgeError> {
        Err(self.stub())
    }

    /// Stub.
    pub async fn comments(&self, _pull: u64) -> Result<Vec<Comment>, ForgeError> {
        Err(self.stub())
    }

    /// Stub.
    pub async fn put_comment(
        &self,
        _pull: u64,
        _me: &Account,
        _marker: &str,
        _body: &str,
    ) -> Result<Comment, ForgeError> {
        Err(self.stub())
    }

    /// Stub.
    pub async fn react(&self, _pull: u64, _note: u64, _reaction: Reaction) -> Result<(), ForgeError> {
        Err(self.stub())
    }

    /// Stub.
    pub async fn pull_request(&self, _number: u64) -> Result<PullRequest, ForgeError> {
        Err(self.stub())
    }

    /// Stub.
    pub async fn pull_requests_from(&self, _branch: &str) -> Result<Vec<PullRequest>, ForgeError> {
        Err(self.stub())
    }

    /// Stub.
    pub async fn put_pull_request(&self, _wanted: &PullWanted) -> Result<PullRequest, ForgeError> {
        Err(self.stub())
    }

    /// Stub.
    pub async fn issue(&self, _me: &Account, _marker: &str) -> Result<Option<Issue>, ForgeError> {
        Err(self.stub())
    }

    /// Stub.
    pub async fn put_issue(
        &self,
        _me: &Account,
        _marker: &str,
        _title: &str,
        _body: &str,
    ) -> Result<Issue, ForgeError> {
        Err(self.stub())
    }

    /// Stub.
    pub async fn put_check(&self, _wanted: &CheckWanted, _known: Option<u64>) -> Result<Check, ForgeError> {
        Err(self.stub())
    }

    /// Stub.
    pub async fn all_checks(&self, _commit: &CommitId, _name: &str) -> Result<Vec<Check>, ForgeError> {
        Err(self.stub())
    }

    /// Stub.
    pub async fn put_status(
        &self,
        _commit: &CommitId,
        _context: &str,
        _state: CheckState,
        _description: &str,
        _url: Option<&str>,
    ) -> Result<(), ForgeError> {
        Err(self.stub())
    }

    /// Stub.
    pub async fn workflow_run(&self, _id: u64) -> Result<Option<WorkflowRun>, ForgeError> {
        Err(self.stub())
    }

    /// Stub.
    pub async fn cancel_workflow_run(&self, _id: u64) -> Result<(), ForgeError> {
        Err(self.stub())
    }

    /// Stub.
    pub async fn download_artifact(&self, _id: u64, _most: u64, _to: &Path) -> Result<Sha256, ForgeError> {
        Err(self.stub())
    }

    /// Stub.
    pub async fn awards(&self, _pull: u64, _note: u64) -> Result<Vec<(Account, String)>, ForgeError> {
        Err(self.stub())
    }

    /// Stub.
    pub async fn jobs(&self, _pipeline: u64) -> Result<Vec<Job>, ForgeError> {
        Err(self.stub())
    }

    /// Stub.
    pub async fn merge_requests_updated_since(&self, _since: Moment) -> Result<Vec<PullRequest>, ForgeError> {
        Err(self.stub())
    }

    fn stub(&self) -> ForgeError {
        ForgeError::Misconfigured { what: "speak to GitLab".into(), said: self.site.api.clone() }
    }
}
