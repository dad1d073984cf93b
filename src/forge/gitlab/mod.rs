//! GitLab, over its REST API, with lean structs of our own.
//!
//! The project is addressed by its number, which stays when it is renamed. Reads are repeated where
//! GitLab has trouble. A write is never sent again before somebody looked whether it was done:
//! notes are found by marker and author, statuses by name, commit and external id, merge requests
//! by their branches. It refuses to follow redirects with a token, to follow links to other pages,
//! to wait or to read without end, and to let a text of others run a quick action.

mod check_wire;
mod checks;
mod dialect;
mod edits;
mod issues;
mod notes;
mod people;
mod pipelines;
mod pulls;
mod reactions;
mod repository;
mod texts;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;

use self::dialect::GitLabSpeaker;
pub use self::pipelines::Job;
use super::ForgeError;
use super::speaker::Patience;
use crate::exec::secret::Secret;
use crate::trust::Account;

/// Where and as whom to speak to GitLab.
#[derive(Debug, Clone)]
pub struct GitLabSite {
    /// The API's base URL, with its path: `https://gitlab.example.com/gitlab/api/v4` (`CI_API_V4_URL`).
    pub api: String,
    /// The project's number (`CI_PROJECT_ID`), which stays when it is renamed.
    pub project: u64,
    /// Who speaks.
    pub token: GitLabToken,
    /// The least time between two writes, and the first pause before something is tried again.
    /// Sixty times that is waited where GitLab asks to wait without saying for how long.
    pub spacing: Duration,
    /// A file of PEM certificates to trust besides the system's (`CI_SERVER_TLS_CA_FILE`).
    pub authorities: Option<PathBuf>,
}

/// What kind of token it is; GitLab wants each in a header of its own.
#[derive(Debug, Clone)]
pub enum GitLabToken {
    /// A project, group or personal access token.
    Access(Secret),
    /// The token of a CI job, which may hardly do anything.
    Job(Secret),
}

/// A project at GitLab. Copies share the space between writes, their number, and who they are.
#[derive(Debug, Clone)]
pub struct GitLab {
    speaker: Arc<GitLabSpeaker>,
    /// `/projects/7`.
    path: String,
    project: u64,
    /// Whether the token is one of a job.
    of_job: bool,
    me: Arc<OnceCell<Account>>,
    /// The project's address for people.
    url: Arc<OnceCell<String>>,
}

impl GitLab {
    /// A client with the usual patience. Nothing is sent yet.
    ///
    /// # Errors
    /// Where the API's address, the token or the file of certificates cannot be right.
    pub fn new(site: GitLabSite) -> Result<Self, ForgeError> {
        Self::with_patience(site, Patience::default())
    }

    /// A client with another patience. Nothing is sent yet.
    ///
    /// # Errors
    /// As [`GitLab::new`].
    pub fn with_patience(site: GitLabSite, patience: Patience) -> Result<Self, ForgeError> {
        let of_job = matches!(site.token, GitLabToken::Job(_));
        Ok(Self {
            path: format!("/projects/{}", site.project),
            project: site.project,
            of_job,
            speaker: Arc::new(dialect::speaker(site, patience)?),
            me: Arc::default(),
            url: Arc::default(),
        })
    }

    /// Requests that were sent to change something, so far, by this client and its clones.
    #[must_use]
    pub fn writes(&self) -> usize {
        self.speaker.writes()
    }

    /// GitLab's address for people, with its path: `https://gitlab.example.com/gitlab`.
    fn server(&self) -> &str {
        let api = self.speaker.api.as_str();
        api.strip_suffix("/api/v4").unwrap_or(api)
    }
}
