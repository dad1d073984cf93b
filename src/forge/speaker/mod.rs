//! Speaking HTTP to a forge, whichever it is: one exchange at a time, and the manners that go with
//! it.
//!
//! A [`Dialect`] says how the token is shown and how limits are called; [`manners`] repeats, waits
//! and spaces; reqwest carries, with timeouts, proxies and no redirects. Errors hold neither the
//! token nor a third party's own words for its troubles. It refuses to send a write twice unless
//! somebody looked in between.

mod answer;
mod carrier;
mod load;
mod manners;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Mutex;

use self::answer::doubt;
pub(super) use self::answer::{Failed, ForgeAnswer, RequestFailure};
pub use self::carrier::Patience;
use self::carrier::carrier;
pub(super) use self::load::ArchivePlace;
pub(super) use self::manners::absent;
use super::ForgeError;
use crate::clock::{Clock, Stopwatch};
use crate::exec::secret::Secret;
use crate::text::{Scrubber, clip, printable};

/// The largest JSON answer that is read. A hundred comments of 65,536 characters each, escaped,
/// stay below it.
const MOST_JSON: usize = 64 << 20;

/// How much of the forge's words an error keeps, in characters.
const SAID: usize = 300;

/// What differs between forges in how one speaks to them.
///
/// A trait, and not an enum: GitHub's library stays behind GitHub's door.
pub(super) trait Dialect: std::fmt::Debug + Send + Sync {
    /// For errors: `speak to GitHub`.
    const WHAT: &'static str;
    /// The variable that holds the API's address.
    const ADDRESS: &'static str;
    /// The media type of JSON.
    const JSON: &'static str;
    /// The header that counts the requests that are left.
    const REMAINING: &'static str;
    /// The header with the second in which there are more.
    const RESET: &'static str;

    /// Sends once, with the token.
    fn send(
        &self,
        http: &reqwest::Client,
        ask: &ForgeRequest<'_>,
    ) -> impl Future<Output = Result<reqwest::Response, Unsent>> + Send;
}

/// A request on its way.
#[derive(Debug)]
pub(super) struct ForgeRequest<'a> {
    /// `None` = a read.
    pub(super) verb: Option<Verb>,
    pub(super) url: &'a str,
    pub(super) accept: Option<&'a str>,
    /// `null` = none.
    pub(super) body: &'a Value,
}

/// Why there is no response.
#[derive(Debug)]
pub(super) enum Unsent {
    /// It cannot be sent at all.
    Unfit(ForgeError),
    /// It was sent, perhaps.
    Broken(Box<dyn std::error::Error + Send + Sync>),
}

/// Who speaks, and where.
#[derive(Debug)]
pub(super) struct Speaker<D> {
    pub(super) api: String,
    pub(super) http: reqwest::Client,
    dialect: D,
    scrubber: Scrubber,
    pub(super) clock: Clock,
    pub(super) spacing: Duration,
    pub(super) patience: Patience,
    /// Held while a write is under way: there is one at a time.
    last_write: Mutex<Option<Stopwatch>>,
    writes: AtomicUsize,
}

/// A request that changes something.
#[derive(Debug)]
pub(super) struct Write {
    /// For errors: `write a comment on #12`.
    pub(super) what: String,
    pub(super) verb: Verb,
    pub(super) path: String,
    /// `null` = none.
    pub(super) body: Value,
}

/// What kind of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Post,
    Patch,
    Put,
}

impl<D: Dialect> Speaker<D> {
    /// One for the API at that address, with the token that the dialect shows; `authorities` are
    /// trusted beside the system's.
    pub(super) fn new(
        api: &str,
        (dialect, token): (D, &Secret),
        (spacing, patience): (Duration, Patience),
        authorities: Option<&Path>,
    ) -> Result<Self, ForgeError> {
        let api = api.trim_end_matches('/').to_owned();
        let http = carrier((D::WHAT, D::ADDRESS), &api, patience, authorities)?;
        Ok(Self {
            api,
            http,
            dialect,
            scrubber: Scrubber::new([token.expose()]),
            clock: Clock::start(),
            spacing,
            patience,
            last_write: Mutex::default(),
            writes: AtomicUsize::new(0),
        })
    }

    /// Requests that were sent to change something, so far.
    pub(super) fn writes(&self) -> usize {
        self.writes.load(Ordering::Relaxed)
    }

    /// A call ends, whatever happens in it.
    pub(super) async fn within<T>(
        &self,
        what: &str,
        call: impl Future<Output = Result<T, ForgeError>>,
    ) -> Result<T, ForgeError> {
        let most = self.patience.call;
        match tokio::time::timeout(most, call).await {
            Ok(answer) => answer,
            Err(_) => Err(self.unavailable(
                what,
                &format!("given up after {}", crate::text::duration(most)),
            )),
        }
    }

    /// Asks once.
    pub(super) async fn get(
        &self,
        what: &str,
        path: &str,
        (accept, most): (&str, usize),
    ) -> Result<ForgeAnswer, Failed> {
        let url = format!("{}{path}", self.api);
        let ask = ForgeRequest {
            verb: None,
            url: &url,
            accept: Some(accept),
            body: &Value::Null,
        };
        let answer = self.receive(what, self.sent(&ask).await?, most).await?;
        self.judge(what, answer)
    }

    /// Sends once.
    async fn send(&self, write: &Write) -> Result<ForgeAnswer, Failed> {
        let url = format!("{}{}", self.api, write.path);
        self.writes.fetch_add(1, Ordering::Relaxed);
        let ask = ForgeRequest {
            verb: Some(write.verb),
            url: &url,
            accept: None,
            body: &write.body,
        };
        let answer = self
            .receive(&write.what, self.sent(&ask).await?, MOST_JSON)
            .await?;
        self.judge(&write.what, answer)
    }

    /// Asks a question that is too long for an address. It changes nothing.
    async fn inquire(&self, what: &str, url: &str, body: &Value) -> Result<ForgeAnswer, Failed> {
        let ask = ForgeRequest {
            verb: Some(Verb::Post),
            url,
            accept: None,
            body,
        };
        let answer = self
            .receive(what, self.sent(&ask).await?, MOST_JSON)
            .await?;
        self.judge(what, answer)
    }

    /// Asks for what may be elsewhere, or large: nothing of it is read.
    async fn open(&self, path: &str) -> Result<reqwest::Response, Failed> {
        let url = format!("{}{path}", self.api);
        self.sent(&ForgeRequest {
            verb: None,
            url: &url,
            accept: None,
            body: &Value::Null,
        })
        .await
    }

    async fn sent(&self, ask: &ForgeRequest<'_>) -> Result<reqwest::Response, Failed> {
        match self.dialect.send(&self.http, ask).await {
            Ok(response) => Ok(response),
            Err(Unsent::Unfit(error)) => Err(error.into()),
            Err(Unsent::Broken(error)) => Err(self.broken(&*error)),
        }
    }

    /// Reads what came, to its end.
    async fn receive(
        &self,
        what: &str,
        mut response: reqwest::Response,
        most: usize,
    ) -> Result<ForgeAnswer, Failed> {
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.broken(&error))?
        {
            body.extend_from_slice(&chunk);
            if body.len() > most {
                let said =
                    format!("it is larger than the {most} bytes that omk reads of such a thing");
                return Err(ForgeError::Refused {
                    what: self.shown(what),
                    status: 413,
                    said,
                }
                .into());
            }
        }
        Ok(ForgeAnswer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body,
        })
    }

    /// What a broken connection means, in our words.
    fn broken(&self, error: &(dyn std::error::Error + 'static)) -> Failed {
        let mut cause = Some(error);
        while let Some(error) = cause {
            match error.downcast_ref::<reqwest::Error>() {
                Some(error) if error.is_connect() => {
                    return doubt(format!("cannot connect to {}", self.api));
                }
                Some(error) if error.is_timeout() => return doubt("no answer in time"),
                Some(_) | None => cause = error.source(),
            }
        }
        doubt("the connection broke")
    }

    /// What an answer means.
    fn judge(&self, what: &str, answer: ForgeAnswer) -> Result<ForgeAnswer, Failed> {
        let status = answer.status;
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        let words = answer.words();
        // GitLab's words begin with the status, which is told beside them.
        let words = words.strip_prefix(&format!("{status} ")).unwrap_or(&words);
        let (what, said) = (self.shown(what), self.shown(words));
        if let Some(wait) = self.wish_to_wait(&answer, &said) {
            return Err(Failed::Wait(wait));
        }
        Err(match status {
            401 => ForgeError::Unauthorized { what }.into(),
            403 => ForgeError::Forbidden { what, said }.into(),
            404 => ForgeError::NotFound { what }.into(),
            300..=399 => ForgeError::Refused {
                what,
                status,
                said: "it has moved elsewhere".into(),
            }
            .into(),
            408 | 500.. => doubt(format!("{status}: {said}")),
            _ => ForgeError::Refused { what, status, said }.into(),
        })
    }

    /// How long the forge wants to be left alone, where that is what it says.
    fn wish_to_wait(&self, answer: &ForgeAnswer, said: &str) -> Option<Duration> {
        if !matches!(answer.status, 403 | 429) {
            return None;
        }
        if let Some(seconds) = answer.number("retry-after") {
            return Some(Duration::from_secs(seconds));
        }
        let reset = answer
            .number(D::RESET)
            .filter(|_| answer.number(D::REMAINING) == Some(0));
        if let Some(reset) = reset {
            let now = u64::try_from(self.clock.now().as_millis() / 1000).unwrap_or_default();
            // Its second must be over.
            return Some(Duration::from_secs(
                reset.saturating_sub(now).saturating_add(1),
            ));
        }
        let said = said.to_lowercase();
        let limited =
            answer.status == 429 || said.contains("rate limit") || said.contains("abuse detection");
        // Where they name no time, forges mean a minute: sixty times the second between writes.
        limited.then_some(self.spacing.saturating_mul(60))
    }

    /// An answer that is none.
    pub(super) fn nonsense(&self, what: &str, said: &str) -> ForgeError {
        ForgeError::Nonsense {
            what: self.shown(what),
            said: self.shown(said),
        }
    }

    pub(super) fn unavailable(&self, what: &str, said: &str) -> ForgeError {
        ForgeError::Unavailable {
            what: self.shown(what),
            said: self.shown(said),
        }
    }

    /// Words of others as an error may hold them: without secrets, on one line, clipped.
    pub(super) fn shown(&self, text: &str) -> String {
        let clean = printable(self.scrubber.scrub(text).as_bytes());
        clip(
            &clean.split_whitespace().collect::<Vec<_>>().join(" "),
            SAID,
        )
    }

    /// A JSON answer is at most so large.
    pub(super) fn json(&self) -> (&'static str, usize) {
        (D::JSON, MOST_JSON)
    }
}
