//! A repository at a forge: what refs it has, pushing to it all at once, fetching from it.
//!
//! The token goes with one call, in the environment of that call's git, and into no argument, file
//! or message. It refuses to move a ref from anywhere but where it was expected, to follow a
//! redirect, to ask anybody for a password, and to push again what may have been pushed already
//! before it has looked.

mod push;
mod fetch;

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::answer;
use super::binary::{Git, GitOutput};
use super::call::End;
use super::error::GitError;
use super::repo::Repo;
use crate::exec::secret::Secret;
use crate::id::CommitId;
use crate::text::Scrubber;

pub use fetch::FetchTarget;
pub use push::RefUpdate;

/// Whom GitHub takes a token of any kind from. It is no account.
const USER: &str = "x-access-token";

/// How long one call may take: a large repository over a slow line. Silence ends it sooner.
const MOST: Duration = Duration::from_secs(600);

/// Waits before something is tried again; a forge that is still down after that is down.
const WAITS: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(3)];

/// For errors.
const LOOK: &str = "look at the refs of the remote";

/// A repository somewhere else, and who we are there.
#[derive(Debug, Clone)]
pub struct Remote {
    url: String,
    token: Option<Secret>,
    user: &'static str,
    authorities: Option<PathBuf>,
    most: Duration,
}

impl Remote {
    /// The repository at that address: `https://`, `http://`, `file://` or an absolute path. The token is sent to an
    /// HTTP address, as GitHub and GitLab want it of git.
    ///
    /// # Errors
    /// [`GitError::BadRemote`] for every other address, and for one that holds a user or a
    /// password.
    pub fn new(url: &str, token: Option<Secret>) -> Result<Self, GitError> {
        let why = if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
            Some("it holds a space or a control character")
        } else if let Some(rest) = url
            .strip_prefix("https://")
            .or_else(|| url.strip_prefix("http://"))
        {
            let host = rest.split('/').next().unwrap_or_default();
            if host.is_empty() {
                Some("it names no host")
            } else {
                host.contains('@')
                    .then_some("it holds a user or a password, which belong into the token")
            }
        } else {
            let local = url.starts_with("file:///") || url.starts_with('/');
            (!local).then_some("only https://, http://, file:// and absolute paths are spoken")
        };
        match why {
            Some(why) => Err(GitError::BadRemote { why }),
            None => Ok(Self {
                url: url.to_owned(),
                token,
                user: USER,
                authorities: None,
                most: MOST,
            }),
        }
    }

    /// The same, and the token is that user's: `gitlab-ci-token`, `oauth2`.
    #[must_use]
    pub fn as_user(mut self, user: &'static str) -> Self {
        self.user = user;
        self
    }

    /// The same, and a certificate of these authorities, a PEM file, is trusted.
    #[must_use]
    pub fn trusting(mut self, authorities: Option<PathBuf>) -> Self {
        self.authorities = authorities;
        self
    }

    /// The same, and each call ends after that long.
    #[must_use]
    pub fn within(mut self, most: Duration) -> Self {
        self.most = most;
        self
    }

    /// Its address. It holds no secret.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    fn is_http(&self) -> bool {
        self.url.starts_with("http")
    }

    /// Whether it is on this machine, which no proxy can reach.
    fn is_loopback(&self) -> bool {
        let place = self
            .url
            .split_once("://")
            .map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
        let host = match place.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            Some(_) | None => place,
        };
        matches!(host, "127.0.0.1" | "localhost" | "[::1]")
    }

    fn basic(&self) -> Option<String> {
        self.token
            .as_ref()
            .map(|token| STANDARD.encode(format!("{}:{}", self.user, token.expose())))
    }

    /// The settings of a call. The header is set for the whole address, because git prefers the
    /// longest that fits: one that a checkout left behind for the host does not come beside it.
    fn settings(&self) -> Vec<(String, String)> {
        let setting = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let mut settings = vec![
            setting("credential.helper", ""),
            setting("core.askPass", ""),
            setting("protocol.allow", "never"),
            setting("protocol.https.allow", "always"),
            setting("protocol.http.allow", "always"),
            setting("protocol.file.allow", "always"),
            setting("http.followRedirects", "false"),
            // Below a kilobyte a second for two minutes nothing will come any more.
            setting("http.lowSpeedLimit", "1000"),
            setting("http.lowSpeedTime", "120"),
            setting("http.extraHeader", ""),
            setting("push.followTags", "false"),
            setting("push.gpgSign", "false"),
            setting("push.recurseSubmodules", "no"),
            setting("push.autoSetupRemote", "false"),
            setting("fetch.recurseSubmodules", "false"),
        ];
        if self.is_http() {
            let key = format!("http.{}.extraHeader", self.url);
            settings.push((key.clone(), String::new()));
            if self.is_loopback() {
                settings.push((format!("http.{}.proxy", self.url), String::new()));
            }
            if let Some(file) = &self.authorities {
                settings.push((
                    format!("http.{}.sslCAInfo", self.url),
                    file.display().to_string(),
                ));
            }
            settings.extend(
                self.basic()
                    .map(|basic| (key, format!("AUTHORIZATION: basic {basic}"))),
            );
        }
        settings
    }

    /// Runs a call; what it says of a failure is free of the token.
    fn call(&self, git: Git<'_>) -> Result<GitOutput, GitError> {
        let mut heard = git.settings(&self.settings()).hear(self.most, None)?;
        if !heard.succeeded() {
            let secrets = self
                .token
                .iter()
                .map(|token| token.expose().to_owned())
                .chain(self.basic());
            let scrubber = Scrubber::new(secrets);
            heard.err = scrubber.scrub(&heard.err);
            heard.out = scrubber
                .scrub(&String::from_utf8_lossy(&heard.out))
                .into_bytes();
        }
        Ok(heard)
    }

    /// Runs a call that changes nothing at the remote, and again where the remote has trouble.
    fn ask<'a>(&self, what: &str, git: impl Fn() -> Git<'a>) -> Result<GitOutput, GitError> {
        let mut waits = WAITS.into_iter();
        loop {
            let heard = self.call(git())?;
            if heard.succeeded() {
                return Ok(heard);
            }
            let error = self.trouble(what, &heard);
            // One that took all its time would take it again.
            let open =
                matches!(error, GitError::RemoteUnavailable { .. }) && heard.end != End::OutOfTime;
            let Some(wait) = waits.next().filter(|_| open) else {
                return Err(error);
            };
            std::thread::sleep(wait);
        }
    }

    fn trouble(&self, what: &str, heard: &GitOutput) -> GitError {
        answer::trouble(what, &self.url, heard)
    }
}

impl Repo {
    /// The refs of a remote that fit one of git's patterns (a full name fits itself), and where
    /// they are. All refs for no pattern. Nothing is fetched.
    ///
    /// # Errors
    /// Where the remote refuses, is not there, or does not answer.
    pub fn ls_remote(
        &self,
        remote: &Remote,
        patterns: &[&str],
    ) -> Result<Vec<(String, CommitId)>, GitError> {
        let heard = remote.ask(LOOK, || self.asking(remote, patterns))?;
        Ok(listed(&heard))
    }

    /// The same, asked once.
    fn look(
        &self,
        remote: &Remote,
        patterns: &[&str],
    ) -> Result<Vec<(String, CommitId)>, GitError> {
        let heard = remote.call(self.asking(remote, patterns))?;
        if heard.succeeded() {
            Ok(listed(&heard))
        } else {
            Err(remote.trouble(LOOK, &heard))
        }
    }

    fn asking(&self, remote: &Remote, patterns: &[&str]) -> Git<'static> {
        Git::bare(self, LOOK, "ls-remote")
            .args(["--quiet", "--refs", "--", remote.url()])
            .args(patterns)
    }

    /// Where one ref of a remote is; `None` where there is none of that full name.
    ///
    /// # Errors
    /// As [`Repo::ls_remote`].
    pub fn remote_ref(&self, remote: &Remote, name: &str) -> Result<Option<CommitId>, GitError> {
        let refs = self.ls_remote(remote, &[name])?;
        Ok(refs
            .into_iter()
            .find(|(found, _)| found == name)
            .map(|(_, id)| id))
    }
}

fn check_name(name: &str) -> Result<(), GitError> {
    if name.starts_with("refs/") && git2::Reference::is_valid_name(name) && !name.contains('*') {
        return Ok(());
    }
    Err(GitError::BadBranch {
        name: name.chars().take(80).collect(),
    })
}

/// Commits by ref, as git lists them.
fn listed(heard: &GitOutput) -> Vec<(String, CommitId)> {
    let text = String::from_utf8_lossy(&heard.out);
    let lines = text.lines().filter_map(|line| line.split_once('\t'));
    lines
        .filter_map(|(id, name)| Some((name.to_owned(), id.parse().ok()?)))
        .collect()
}

#[cfg(test)]
mod tests;
