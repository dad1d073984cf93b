//! How one speaks to GitLab: each kind of token has a header of its own.
//!
//! It refuses tokens that no header can hold.

use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderValue};

use super::{GitLabSite, GitLabToken};
use crate::exec::secret::Secret;
use crate::forge::ForgeError;
use crate::forge::speaker::{self, Dialect, ForgeRequest, Patience, Unsent, Verb};

/// Who speaks to GitLab.
pub(super) type GitLabSpeaker = speaker::Speaker<Plain>;

/// The token and the header it goes into.
#[derive(Debug)]
pub(super) struct Plain {
    header: &'static str,
    /// Marked as sensitive: it is not shown.
    token: HeaderValue,
}

/// A speaker for that site.
pub(super) fn speaker(site: GitLabSite, patience: Patience) -> Result<GitLabSpeaker, ForgeError> {
    let (header, token) = match site.token {
        GitLabToken::Access(token) => ("private-token", token),
        GitLabToken::Job(token) => ("job-token", token),
    };
    let token = Secret::new(token.expose().trim().to_owned());
    let sound =
        !token.expose().is_empty() && token.expose().bytes().all(|byte| byte.is_ascii_graphic());
    let value = HeaderValue::from_str(token.expose()).ok().filter(|_| sound);
    let said = || "the token is empty, or holds characters that no token has".to_owned();
    let mut value = value.ok_or_else(|| ForgeError::Misconfigured {
        what: Plain::WHAT.into(),
        said: said(),
    })?;
    value.set_sensitive(true);
    let timing: (Duration, Patience) = (site.spacing, patience);
    GitLabSpeaker::new(
        &site.api,
        (
            Plain {
                header,
                token: value,
            },
            &token,
        ),
        timing,
        site.authorities.as_deref(),
    )
}

impl Dialect for Plain {
    const WHAT: &'static str = "speak to GitLab";
    const ADDRESS: &'static str = "CI_API_V4_URL";
    const JSON: &'static str = "application/json";
    const REMAINING: &'static str = "ratelimit-remaining";
    const RESET: &'static str = "ratelimit-reset";

    async fn send(
        &self,
        http: &reqwest::Client,
        ask: &ForgeRequest<'_>,
    ) -> Result<reqwest::Response, Unsent> {
        let request = match ask.verb {
            None => http.get(ask.url),
            Some(Verb::Post) => http.post(ask.url),
            Some(Verb::Patch) => http.patch(ask.url),
            Some(Verb::Put) => http.put(ask.url),
        };
        let mut request = request.header(self.header, self.token.clone());
        if let Some(accept) = ask.accept {
            request = request.header(ACCEPT, accept);
        }
        if !ask.body.is_null() {
            request = request.json(ask.body);
        }
        request
            .send()
            .await
            .map_err(|error| Unsent::Broken(Box::new(error)))
    }
}
