//! The question before the first prompt: which models does this provider have, and does it take this key?
//!
//! It costs nothing, and it is asked before anything that does. It refuses to take a provider's trouble for an answer:
//! only what is certain is an error that stops a run; [`QuestionError::is_certain`] says which.

use std::time::Duration;

use futures_util::StreamExt as _;

use super::upstream::{cause, client, kept, read_error};
use super::{GatewayError, Key, ProviderError, Timeouts};
use crate::model::{BadOffer, Offered, read_offer};

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
            Self::Client(_) | Self::Unreachable { .. } | Self::Refused { .. } | Self::WrongAddress { .. } => true,
            Self::NoList { .. } | Self::Unclear { .. } => false,
        }
    }
}

/// How long the question may take in all.
const PATIENCE: Duration = Duration::from_secs(5);

/// A longer list is not read: the longest known, of 500 models with their descriptions, has about 700 kB.
const LONGEST_LIST: usize = 4 << 20;

/// What omk calls itself; it asks in its own name, whatever the agent calls itself.
const USER_AGENT: &str = concat!("omk-action/", env!("CARGO_PKG_VERSION"));

/// Asks for the list of models.
///
/// # Errors
/// Where there is no list; see [`QuestionError::is_certain`].
pub async fn ask_models(base_url: &str, key: &Key) -> Result<Vec<Offered>, QuestionError> {
    let timeouts = Timeouts { connect: PATIENCE, answer: PATIENCE, stall: PATIENCE };
    let asker = Asker { client: client(base_url, timeouts)?, base_url, key };
    let unclear = || asker.unclear(format!("it gave no answer in {} s", PATIENCE.as_secs()));
    tokio::time::timeout(PATIENCE, asker.ask()).await.unwrap_or_else(|_| Err(unclear()))
}

struct Asker<'a> {
    client: reqwest::Client,
    base_url: &'a str,
    key: &'a Key,
}

/// What came back.
enum Reply {
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
    async fn ask(&self) -> Result<Vec<Offered>, QuestionError> {
        let base_url = self.base_url.to_owned();
        match self.get(self.base_url).await? {
            Reply::List(list) => Ok(list),
            Reply::Bad(said) => Err(match said.status {
                // Some subscriptions answer only to agents that they know by name; omk asks under its own.
                Some(403) if said.kind == ACCESS_TERMINATED => self.unclear(format!("it answered {}", said.in_words())),
                Some(401 | 403) => QuestionError::Refused { base_url, said },
                _ => self.unclear(format!("it answered {}", said.in_words())),
            }),
            Reply::Unread(why) => Err(self.unclear(why)),
            Reply::Redirect => {
                Err(QuestionError::WrongAddress { base_url, found: "it answers with a redirect", better: None })
            }
            reply @ (Reply::Nothing | Reply::Page) => {
                if let Some(better) = self.better().await {
                    let found = "there is no list of models, but there is one below it";
                    return Err(QuestionError::WrongAddress { base_url, found, better: Some(better) });
                }
                Err(match reply {
                    Reply::Page => QuestionError::WrongAddress { base_url, found: "a web page is there", better: None },
                    _ => QuestionError::NoList { base_url },
                })
            }
        }
    }

    /// The address with the `/v1` that people forget, if a provider answers there.
    async fn better(&self) -> Option<String> {
        let base_url = self.base_url.trim_end_matches('/');
        if base_url.ends_with("/v1") {
            return None;
        }
        let better = format!("{base_url}/v1");
        match self.get(&better).await {
            Ok(Reply::List(_)) => Some(better),
            Ok(Reply::Bad(said)) if said.kind != NOT_AN_ANSWER => Some(better),
            Ok(_) | Err(_) => None,
        }
    }

    async fn get(&self, base_url: &str) -> Result<Reply, QuestionError> {
        let url = format!("{}/models", base_url.trim_end_matches('/'));
        let request = self.client.get(url).bearer_auth(self.key.reveal());
        let request = request.header("accept", "application/json").header("user-agent", USER_AGENT);
        let response = match request.header("accept-encoding", "identity").send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() => {
                let base_url = self.base_url.to_owned();
                return Err(QuestionError::Unreachable { base_url, cause: cause(&error) });
            }
            Err(error) => return Ok(Reply::Unread(cause(&error))),
        };
        let status = response.status().as_u16();
        if response.status().is_redirection() {
            return Ok(Reply::Redirect);
        }
        let headers = kept(response.headers());
        let body = match read_capped(response).await {
            Ok(body) => body,
            Err(why) => return Ok(Reply::Unread(why)),
        };
        Ok(match status {
            200..=299 => match read_offer(&body) {
                Ok(list) => Reply::List(list),
                Err(BadOffer::NotJson) => Reply::Page,
                Err(error @ (BadOffer::NoList | BadOffer::Empty)) => Reply::Unread(error.to_string()),
            },
            404 | 405 | 410 | 501 => Reply::Nothing,
            _ => {
                let mut said = read_error(status, &headers, &body);
                said.message = said.message.replace(self.key.reveal(), "***");
                Reply::Bad(said)
            }
        })
    }

    fn unclear(&self, why: String) -> QuestionError {
        QuestionError::Unclear { base_url: self.base_url.to_owned(), why }
    }
}

/// The kind of an error whose body says nothing of itself.
const NOT_AN_ANSWER: &str = "not-an-answer";

/// What the subscription's address says to clients that it does not know, and to members whose access has ended.
const ACCESS_TERMINATED: &str = "access_terminated_error";

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
