//! How one speaks to GitHub: octocrab signs and sends, with a carrier that follows no redirects.
//!
//! It refuses octocrab's own repeats, which send a write again without looking.

use std::sync::OnceLock;
use std::time::Duration;

use octocrab::Octocrab;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};

use crate::exec::secret::Secret;
use crate::forge::ForgeError;
use crate::forge::speaker::{self, Dialect, ForgeRequest, Patience, Unsent, Verb};

/// The media type of files as they are.
pub(super) const RAW: &str = "application/vnd.github.raw+json";

/// Who speaks to GitHub.
pub(super) type GitHubSpeaker = speaker::Speaker<Octo>;

/// octocrab with the token.
#[derive(Debug)]
pub(super) struct Octo {
    api: String,
    token: Secret,
    /// Made at the first call: it needs the runtime.
    octocrab: OnceLock<Octocrab>,
}

/// A speaker for the API at that address.
pub(super) fn speaker(
    api: &str,
    token: Secret,
    spacing: Duration,
    patience: Patience,
) -> Result<GitHubSpeaker, ForgeError> {
    let octo = Octo {
        api: api.trim_end_matches('/').to_owned(),
        token: token.clone(),
        octocrab: OnceLock::new(),
    };
    GitHubSpeaker::new(api, (octo, &token), (spacing, patience), None)
}

impl Octo {
    fn octocrab(&self, http: &reqwest::Client) -> Result<&Octocrab, ForgeError> {
        if let Some(octocrab) = self.octocrab.get() {
            return Ok(octocrab);
        }
        let said = "the API's address is no URL; GITHUB_API_URL holds it".to_owned();
        let unusable = ForgeError::Misconfigured {
            what: Self::WHAT.into(),
            said,
        };
        let builder = Octocrab::builder()
            .personal_token(self.token.expose())
            .base_uri(self.api.as_str());
        let octocrab = builder.and_then(|builder| builder.build_with_reqwest(http.clone()));
        let octocrab = octocrab.map_err(|_| unusable)?;
        Ok(self.octocrab.get_or_init(|| octocrab))
    }
}

impl Dialect for Octo {
    const WHAT: &'static str = "speak to GitHub";
    const ADDRESS: &'static str = "GITHUB_API_URL";
    const JSON: &'static str = "application/vnd.github+json";
    const REMAINING: &'static str = "x-ratelimit-remaining";
    const RESET: &'static str = "x-ratelimit-reset";

    async fn send(
        &self,
        http: &reqwest::Client,
        ask: &ForgeRequest<'_>,
    ) -> Result<reqwest::Response, Unsent> {
        let octocrab = self.octocrab(http).map_err(Unsent::Unfit)?;
        let body = (!ask.body.is_null()).then_some(ask.body);
        let sent = match ask.verb {
            None => {
                let accept = ask
                    .accept
                    .and_then(|accept| HeaderValue::from_str(accept).ok());
                let headers: HeaderMap =
                    accept.map(|accept| (ACCEPT, accept)).into_iter().collect();
                octocrab._get_with_headers(ask.url, Some(headers)).await
            }
            Some(Verb::Post) => octocrab._post(ask.url, body).await,
            Some(Verb::Patch) => octocrab._patch(ask.url, body).await,
            Some(Verb::Put) => octocrab._put(ask.url, body).await,
        };
        let sent = sent.map_err(|error| Unsent::Broken(Box::new(error)))?;
        Ok(reqwest::Response::from(sent.map(reqwest::Body::wrap)))
    }
}
