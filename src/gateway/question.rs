//! The question before the first prompt: which models does this provider have, and does it take
//! this key?
//!
//! It costs nothing, and it is asked before anything that does. It refuses to take a provider's
//! trouble for an answer: only what is certain is an error that stops a run;
//! [`QuestionError::is_certain`] says which.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;

use super::upstream::{cause, client, kept, read_error};
use super::{GatewayError, ProviderError, ProviderKey, Timeouts};
use crate::model::{BadOffer, Offered, ProviderRefusal, UNNAMED, is_out_of_credit, read_offer};
use crate::text::Scrubber;

/// Why the question was not answered.
#[derive(Debug, thiserror::Error)]
pub enum QuestionError {
    /// No client could be made for that address.
    #[error(transparent)]
    Client(#[from] GatewayError),
    /// No connection, or none that can be trusted.
    #[error("reach the model's provider at {base_url}: {cause}")]
    Unreachable {
        /// The plan's address.
        base_url: String,
        /// Why: "connection refused", "the name is not known".
        cause: String,
    },
    /// The provider does not take the key, or not for this.
    #[error("use the key at {base_url}: the provider answered {}", .said.in_words())]
    Refused {
        /// The plan's address.
        base_url: String,
        /// What it said.
        said: ProviderError,
    },
    /// Credit, or a subscription's quota, is used up.
    #[error("use the key at {base_url}: the provider answered {}", .said.in_words())]
    NoCredit {
        /// The plan's address.
        base_url: String,
        /// What it said.
        said: ProviderError,
    },
    /// Something else than a provider of models is there.
    #[error("use {base_url} as the model's `base_url`: {found}")]
    WrongAddress {
        /// The plan's address.
        base_url: String,
        /// What is there.
        found: &'static str,
        /// An address at which the same provider answered.
        better: Option<String>,
    },
    /// This provider has no list of models.
    #[error("ask {base_url} for its models: it has no list of them")]
    NoList {
        /// The plan's address.
        base_url: String,
    },
    /// The provider is in trouble, or says what nobody understands.
    #[error("ask {base_url} for its models: {why}")]
    Unclear {
        /// The plan's address.
        base_url: String,
        /// Why.
        why: String,
    },
}

impl QuestionError {
    /// Whether a prompt would certainly fail, too.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        match self {
            Self::Client(_)
            | Self::Unreachable { .. }
            | Self::Refused { .. }
            | Self::NoCredit { .. }
            | Self::WrongAddress { .. } => true,
            Self::NoList { .. } | Self::Unclear { .. } => false,
        }
    }
}

/// How long the question may take in all.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a connection is tried again, and after which pause: three seconds in all, well below
/// the patience.
const RETRIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(500);

/// A longer list is not read: the longest known, of 500 models with their descriptions, has about
/// 700 kB.
const LONGEST_LIST: usize = 4 << 20;

/// What omk calls itself; it asks in its own name, whatever the agent calls itself.
const USER_AGENT: &str = concat!("omk-action/", env!("CARGO_PKG_VERSION"));

/// Asks for the list of models.
///
/// # Errors
/// Where there is no list; see [`QuestionError::is_certain`].
pub async fn ask_models(base_url: &str, key: &ProviderKey) -> Result<Vec<Offered>, QuestionError> {
    let timeouts = Timeouts {
        connect: PATIENCE,
        answer: PATIENCE,
        stall: PATIENCE,
    };
    let asker = Asker {
        client: client(base_url, timeouts)?,
        base_url,
        key,
    };
    let unclear = || asker.unclear(format!("it gave no answer in {} s", PATIENCE.as_secs()));
    tokio::time::timeout(PATIENCE, asker.ask_until_reached())
        .await
        .unwrap_or_else(|_| Err(unclear()))
}

struct Asker<'a> {
    client: reqwest::Client,
    base_url: &'a str,
    key: &'a ProviderKey,
}

/// What came back.
enum ListReply {
    List(Vec<Offered>),
    /// There is nothing at this address, or not for this method.
    Nothing,
    /// A page for a browser, or other text.
    Page,
    Redirect,
    Bad(ProviderError),
    Unread(String),
}

impl Asker<'_> {
    /// A connection that fails may be a proxy or a network that is just coming up: it is tried for
    /// most of the patience.
    async fn ask_until_reached(&self) -> Result<Vec<Offered>, QuestionError> {
        for _ in 0..RETRIES {
            match self.ask().await {
                Err(QuestionError::Unreachable { .. }) => tokio::time::sleep(PAUSE).await,
                answered => return answered,
            }
        }
        self.ask().await
    }

    async fn ask(&self) -> Result<Vec<Offered>, QuestionError> {
        let base_url = self.base_url.to_owned();
        match self.get(self.base_url).await? {
            ListReply::List(list) => Ok(list),
            ListReply::Bad(said) if is_out_of_credit(said.status, &said.kind, &said.message) => {
                Err(QuestionError::NoCredit { base_url, said })
            }
            ListReply::Bad(said) => Err(match said.status {
                // A page of a proxy says nothing of the key, and 403 may be about the list alone:
                // some keys may not read it, and some subscriptions answer only to
                // agents that they know by name, while omk asks under its own.
                Some(401) if !said.message.is_empty() => QuestionError::Refused { base_url, said },
                _ => self.unclear(format!("it answered {}", said.in_words())),
            }),
            ListReply::Unread(why) => Err(self.unclear(why)),
            // Where prompts go may answer by itself; if it does not, it says so before anything is
            // paid.
            ListReply::Redirect => Err(self.unclear("it answered with a redirect".to_owned())),
            reply @ (ListReply::Nothing | ListReply::Page) => {
                if let Some(better) = self.better().await {
                    let found = "there is no list of models, but there is one nearby";
                    return Err(QuestionError::WrongAddress {
                        base_url,
                        found,
                        better: Some(better),
                    });
                }
                Err(match reply {
                    ListReply::Page => QuestionError::WrongAddress {
                        base_url,
                        found: "a web page is there",
                        better: None,
                    },
                    _ => QuestionError::NoList { base_url },
                })
            }
        }
    }

    /// An address near this one at which a provider answers: with the `/v1` that people forget, or
    /// without what they add.
    async fn better(&self) -> Option<String> {
        for better in near(self.base_url) {
            match self.get(&better).await {
                Ok(ListReply::List(_)) => return Some(better),
                Ok(ListReply::Bad(said)) if said.kind != UNNAMED => return Some(better),
                Ok(_) | Err(_) => {}
            }
        }
        None
    }

    async fn get(&self, base_url: &str) -> Result<ListReply, QuestionError> {
        let url = format!("{}/models", base_url.trim_end_matches('/'));
        let request = self.client.get(url).bearer_auth(self.key.reveal());
        let request = request
            .header("accept", "application/json")
            .header("user-agent", USER_AGENT);
        let response = match request.header("accept-encoding", "identity").send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() => {
                let base_url = self.base_url.to_owned();
                return Err(QuestionError::Unreachable {
                    base_url,
                    cause: cause(&error),
                });
            }
            Err(error) => return Ok(ListReply::Unread(cause(&error))),
        };
        let status = response.status().as_u16();
        if response.status().is_redirection() {
            return Ok(ListReply::Redirect);
        }
        let headers = kept(response.headers());
        let body = match read_capped(response).await {
            Ok(body) => body,
            Err(why) => return Ok(ListReply::Unread(why)),
        };
        Ok(match status {
            200..=299 => match read_offer(&body) {
                Ok(list) => ListReply::List(list),
                Err(BadOffer::NotJson) if body.trim_ascii_start().starts_with(b"<") => {
                    ListReply::Page
                }
                Err(_) if ProviderRefusal::read(&body).kind != UNNAMED => {
                    ListReply::Bad(self.said(status, &headers, &body))
                }
                Err(error) => ListReply::Unread(error.to_string()),
            },
            404 | 405 | 410 | 501 => ListReply::Nothing,
            _ => ListReply::Bad(self.said(status, &headers, &body)),
        })
    }

    /// What the provider says of its own trouble; it may echo the key.
    fn said(&self, status: u16, headers: &BTreeMap<String, String>, body: &[u8]) -> ProviderError {
        let scrubber = Scrubber::new([self.key.reveal()]);
        read_error(status, headers, body, &|text| scrubber.scrub(text))
    }

    fn unclear(&self, why: String) -> QuestionError {
        QuestionError::Unclear {
            base_url: self.base_url.to_owned(),
            why,
        }
    }
}

/// Addresses that may have been meant, likeliest first; the question's patience holds for all of
/// them together.
fn near(base_url: &str) -> Vec<String> {
    let base_url = base_url.trim_end_matches('/');
    let shorter = ["/chat/completions", "/completions", "/models", "/chat"]
        .iter()
        .find_map(|end| base_url.strip_suffix(end));
    let bare = shorter.unwrap_or(base_url);
    let without_version = ["/v1", "/v2"]
        .iter()
        .fold(bare, |bare, version| bare.trim_end_matches(version));
    let candidates = [bare.to_owned(), format!("{without_version}/v1")];
    let mut near: Vec<String> = candidates
        .into_iter()
        .filter(|candidate| candidate != base_url)
        .collect();
    near.dedup();
    near
}

async fn read_capped(response: reqwest::Response) -> Result<Vec<u8>, String> {
    let (mut body, mut chunks) = (Vec::new(), response.bytes_stream());
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| cause(&error))?;
        if body.len() + chunk.len() > LONGEST_LIST {
            return Err(format!("its list is longer than {} MB", LONGEST_LIST >> 20));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests;
