//! GitHub, through octocrab with lean structs of our own.
//!
//! Reads are repeated where GitHub has trouble. A write is never sent again before somebody looked
//! whether it was done: comments are found by marker and author, checks by name, commit and
//! external id, pull requests by head and base. It refuses to follow redirects with a token, and to
//! wait or to read without end.

mod actions;
mod app;
mod check_wire;
mod checks;
mod comments;
mod dialect;
mod download;
mod files;
mod issues;
mod people;
mod pulls;
mod repository;
mod status;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;

pub use self::app::Installation;
use self::dialect::GitHubSpeaker;
use super::ForgeError;
use super::speaker::Patience;
use crate::exec::secret::Secret;
use crate::trust::Account;

/// Where and as whom to speak.
#[derive(Debug, Clone)]
pub struct GitHubSite {
    /// The API's base URL: `https://api.github.com`, or a GHES one with its path.
    pub api: String,
    /// `owner/name`.
    pub repository: String,
    /// Who speaks.
    pub token: Secret,
    /// The least time between two writes, and the first pause before something is tried again.
    /// Sixty times that is waited where GitHub asks to wait without saying for how long.
    pub spacing: Duration,
}

/// A repository at GitHub. Copies share the space between writes, their number, and who they are.
#[derive(Debug, Clone)]
pub struct GitHub {
    speaker: Arc<GitHubSpeaker>,
    /// `/repos/owner/name`.
    path: String,
    owner: String,
    app_slug: Option<String>,
    me: Arc<OnceCell<Account>>,
}

impl GitHub {
    /// A client with the usual patience. Nothing is sent yet.
    ///
    /// # Errors
    /// Where the API's address, the repository's name or the token cannot be right.
    pub fn new(site: GitHubSite) -> Result<Self, ForgeError> {
        Self::with_patience(site, Patience::default())
    }

    /// A client with another patience. Nothing is sent yet.
    ///
    /// # Errors
    /// As [`GitHub::new`].
    pub fn with_patience(site: GitHubSite, patience: Patience) -> Result<Self, ForgeError> {
        let (owner, name) = owner_and_name(&site.repository)?;
        let token = Secret::new(site.token.expose().trim().to_owned());
        if token.expose().is_empty() || !token.expose().bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(misconfigured(
                "the token is empty, or holds characters that no token has",
            ));
        }
        let speaker = dialect::speaker(&site.api, token, site.spacing, patience)?;
        Ok(Self {
            path: format!("/repos/{owner}/{name}"),
            owner: owner.to_owned(),
            speaker: Arc::new(speaker),
            app_slug: None,
            me: Arc::default(),
        })
    }

    /// The same client, whose token is one of the App with that slug: [`GitHub::me`] is
    /// `slug[bot]`.
    #[must_use]
    pub fn as_app(self, slug: &str) -> Self {
        Self {
            app_slug: Some(slug.to_owned()),
            me: Arc::default(),
            ..self
        }
    }

    /// Requests that were sent to change something, so far, by this client and its clones.
    #[must_use]
    pub fn writes(&self) -> usize {
        self.speaker.writes()
    }

    /// A call ends, whatever happens in it.
    async fn within<T>(
        &self,
        what: &str,
        call: impl Future<Output = Result<T, ForgeError>>,
    ) -> Result<T, ForgeError> {
        self.speaker.within(what, call).await
    }
}

fn misconfigured(said: &str) -> ForgeError {
    ForgeError::Misconfigured {
        what: "speak to GitHub".into(),
        said: said.into(),
    }
}

/// The two parts of `owner/name`, fit for a path.
fn owner_and_name(repository: &str) -> Result<(&str, &str), ForgeError> {
    let sound = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let parts = repository
        .split_once('/')
        .filter(|(owner, name)| sound(owner) && sound(name));
    parts.ok_or_else(|| {
        misconfigured("the repository is not named like `owner/name`; GITHUB_REPOSITORY holds it")
    })
}
