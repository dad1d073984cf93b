//! One exchange with GitHub: a request goes out, and what comes back is an answer, a refusal, a wish to wait, or doubt.
//!
//! octocrab signs and sends; reqwest carries, with timeouts, proxies and no redirects. Errors hold neither the token nor
//! a third party's own words for its troubles. It refuses to send anything twice; that is for [`super::manners`].

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use octocrab::Octocrab;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Mutex;

use super::Patience;
use crate::clock::{Clock, Stopwatch};
use crate::exec::secret::Secret;
use crate::forge::ForgeError;
use crate::text::{Scrubber, clip, printable};

/// The largest JSON answer that is read. A hundred comments of 65,536 characters each, escaped, stay below it.
const MOST_JSON: usize = 64 << 20;

/// How much of the forge's words an error keeps, in characters.
const SAID: usize = 300;

/// The media types of what omk reads.
pub(super) const JSON: &str = "application/vnd.github+json";
pub(super) const RAW: &str = "application/vnd.github.raw+json";

/// Who speaks, and where.
#[derive(Debug)]
pub(super) struct Speaker {
    pub(super) api: String,
    pub(super) http: reqwest::Client,
    /// Made at the first call: it needs the runtime.
    octocrab: OnceLock<Octocrab>,
    token: Secret,
    scrubber: Scrubber,
    pub(super) clock: Clock,
    pub(super) spacing: Duration,
    pub(super) patience: Patience,
    /// Held while a write is under way: there is one at a time.
    pub(super) last_write: Mutex<Option<Stopwatch>>,
    pub(super) writes: AtomicUsize,
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
}

/// An answer that is a success.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Why an exchange gave nothing.
#[derive(Debug)]
pub(super) enum Failed {
    /// It was not done; it may be asked for again after so long.
    Wait(Duration),
    /// Something else.
    Trouble(Trouble),
}

/// Why a request gave nothing, waits being over.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It was not done, and asking again would change nothing.
    Certain(ForgeError),
    /// Nobody knows whether it was done.
    Doubt(String),
}

impl From<ForgeError> for Failed {
    fn from(error: ForgeError) -> Self {
        Self::Trouble(Trouble::Certain(error))
    }
}

fn doubt(said: impl Into<String>) -> Failed {
    Failed::Trouble(Trouble::Doubt(said.into()))
}

impl Answer {
    /// The answer as JSON; no body is `null`.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, String> {
        let body = if self.body.is_empty() { b"null".as_slice() } else { &self.body };
        serde_json::from_slice(body).map_err(|error| clip(&error.to_string(), SAID))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.header(name)?.trim().parse().ok()
    }

    /// Whether the forge says that there is another page.
    pub(super) fn has_next_page(&self) -> Option<bool> {
        self.header("link").map(|link| link.contains("rel=\"next\""))
    }

    pub(super) fn content_type(&self) -> &str {
        self.header("content-type").unwrap_or_default()
    }
}

impl Speaker {
    pub(super) fn new(api: &str, token: Secret, spacing: Duration, patience: Patience) -> Result<Self, ForgeError> {
        let api = api.trim_end_matches('/').to_owned();
        let http = carrier(&api, patience)?;
        let scrubber = Scrubber::new([token.expose()]);
        Ok(Self {
            api,
            http,
            octocrab: OnceLock::new(),
            token,
            scrubber,
            clock: Clock::start(),
            spacing,
            patience,
            last_write: Mutex::default(),
            writes: AtomicUsize::new(0),
        })
    }

    /// Asks once.
    pub(super) async fn get(&self, what: &str, path: &str, (accept, most): (&str, usize)) -> Result<Answer, Failed> {
        let mut headers = HeaderMap::new();
        headers.extend(HeaderValue::from_str(accept).map(|accept| (ACCEPT, accept)));
        let sent = self.octocrab()?._get_with_headers(format!("{}{path}", self.api), Some(headers)).await;
        let answer = self.receive(what, sent, most).await?;
        self.judge(what, answer)
    }

    /// Sends once.
    pub(super) async fn send(&self, write: &Write) -> Result<Answer, Failed> {
        let octocrab = self.octocrab()?;
        let uri = format!("{}{}", self.api, write.path);
        self.writes.fetch_add(1, Ordering::Relaxed);
        let sent = match write.verb {
            Verb::Post => octocrab._post(uri, (!write.body.is_null()).then_some(&write.body)).await,
            Verb::Patch => octocrab._patch(uri, Some(&write.body)).await,
        };
        let answer = self.receive(&write.what, sent, MOST_JSON).await?;
        self.judge(&write.what, answer)
    }

    /// Asks for a redirect, and says where it leads.
    pub(super) async fn location(&self, what: &str, path: &str) -> Result<String, Failed> {
        let sent = self.octocrab()?._get(format!("{}{path}", self.api)).await;
        let answer = self.receive(what, sent, MOST_JSON).await?;
        let leads = answer.header("location").filter(|_| (300..400).contains(&answer.status)).map(str::to_owned);
        let Some(leads) = leads else {
            let answer = self.judge(what, answer)?;
            return Err(self.nonsense(what, &format!("a redirect was expected, not {}", answer.status)).into());
        };
        Ok(leads)
    }

    fn octocrab(&self) -> Result<&Octocrab, ForgeError> {
        if let Some(octocrab) = self.octocrab.get() {
            return Ok(octocrab);
        }
        let said = "the API's address is no URL; GITHUB_API_URL holds it".to_owned();
        let unusable = ForgeError::Misconfigured { what: "speak to GitHub".into(), said };
        let builder = Octocrab::builder().personal_token(self.token.expose()).base_uri(self.api.as_str());
        let octocrab = builder.and_then(|builder| builder.build_with_reqwest(self.http.clone()));
        let octocrab = octocrab.map_err(|_| unusable)?;
        Ok(self.octocrab.get_or_init(|| octocrab))
    }

    /// Reads what came, to its end.
    async fn receive<B>(
        &self,
        what: &str,
        sent: octocrab::Result<axum::http::Response<B>>,
        most: usize,
    ) -> Result<Answer, Failed>
    where
        B: axum::body::HttpBody + Send + Sync + 'static,
        B::Data: Into<axum::body::Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let sent = sent.map_err(|error| self.broken(&error))?;
        let mut response = reqwest::Response::from(sent.map(reqwest::Body::wrap));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.broken(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() > most {
                let said = format!("it is larger than the {most} bytes that omk reads of such a thing");
                return Err(ForgeError::Refused { what: self.shown(what), status: 413, said }.into());
            }
        }
        Ok(Answer { status: response.status().as_u16(), headers: response.headers().clone(), body })
    }

    /// What a broken connection means, in our words.
    fn broken(&self, error: &(dyn std::error::Error + 'static)) -> Failed {
        let mut cause = Some(error);
        while let Some(error) = cause {
            match error.downcast_ref::<reqwest::Error>() {
                Some(error) if error.is_connect() => return doubt(format!("cannot connect to {}", self.api)),
                Some(error) if error.is_timeout() => return doubt("no answer in time"),
                Some(_) | None => cause = error.source(),
            }
        }
        doubt("the connection broke")
    }

    /// What an answer means.
    fn judge(&self, what: &str, answer: Answer) -> Result<Answer, Failed> {
        let status = answer.status;
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        let (what, said) = (self.shown(what), self.shown(&words(&answer)));
        if let Some(wait) = self.wish_to_wait(&answer, &said) {
            return Err(Failed::Wait(wait));
        }
        Err(match status {
            401 => ForgeError::Unauthorized { what }.into(),
            403 => ForgeError::Forbidden { what, said }.into(),
            404 => ForgeError::NotFound { what }.into(),
            300..=399 => ForgeError::Refused { what, status, said: "it has moved elsewhere".into() }.into(),
            408 | 500.. => doubt(format!("{status}: {said}")),
            _ => ForgeError::Refused { what, status, said }.into(),
        })
    }

    /// How long the forge wants to be left alone, where that is what it says.
    fn wish_to_wait(&self, answer: &Answer, said: &str) -> Option<Duration> {
        if !matches!(answer.status, 403 | 429) {
            return None;
        }
        if let Some(seconds) = answer.number("retry-after") {
            return Some(Duration::from_secs(seconds));
        }
        let reset = answer.number("x-ratelimit-reset").filter(|_| answer.number("x-ratelimit-remaining") == Some(0));
        if let Some(reset) = reset {
            let now = u64::try_from(self.clock.now().as_millis() / 1000).unwrap_or_default();
            // Its second must be over.
            return Some(Duration::from_secs(reset.saturating_sub(now).saturating_add(1)));
        }
        let said = said.to_lowercase();
        let limited = answer.status == 429 || said.contains("rate limit") || said.contains("abuse detection");
        // Where it names no time, GitHub asks for a minute: sixty times the second between writes.
        limited.then_some(self.spacing.saturating_mul(60))
    }

    /// An answer that is none.
    pub(super) fn nonsense(&self, what: &str, said: &str) -> ForgeError {
        ForgeError::Nonsense { what: self.shown(what), said: self.shown(said) }
    }

    pub(super) fn unavailable(&self, what: &str, said: &str) -> ForgeError {
        ForgeError::Unavailable { what: self.shown(what), said: self.shown(said) }
    }

    /// Words of others as an error may hold them: without secrets, on one line, clipped.
    pub(super) fn shown(&self, text: &str) -> String {
        let clean = printable(self.scrubber.scrub(text).as_bytes());
        clip(&clean.split_whitespace().collect::<Vec<_>>().join(" "), SAID)
    }

    /// A JSON answer is at most so large.
    pub(super) fn json(&self) -> (&'static str, usize) {
        (JSON, MOST_JSON)
    }
}

/// The forge's words for a refusal: its message, and the errors it lists.
fn words(answer: &Answer) -> String {
    let Ok(body) = answer.json::<Value>() else {
        return String::from_utf8_lossy(&answer.body[..answer.body.len().min(4 * SAID)]).into_owned();
    };
    let mut words = body["message"].as_str().unwrap_or("no reason given").to_owned();
    let listed = body["errors"].as_array().into_iter().flatten();
    for error in listed.filter_map(|error| error.as_str().or_else(|| error["message"].as_str())).take(5) {
        words = format!("{words}; {error}");
    }
    words
}

/// What carries requests: no redirects, so that no token goes astray, and an end for everything.
fn carrier(api: &str, patience: Patience) -> Result<reqwest::Client, ForgeError> {
    let what = || "speak to GitHub".to_owned();
    // Another part of the program may have been first; all of them mean ring.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = reqwest::Url::parse(api).ok();
    let url = url.filter(|url| url.has_host() && url.username().is_empty() && url.password().is_none());
    let Some(url) = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.query().is_none()) else {
        let said = "the API's address is no plain http(s) URL; GITHUB_API_URL holds it".to_owned();
        return Err(ForgeError::Misconfigured { what: what(), said });
    };
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(patience.connect)
        .read_timeout(patience.silence)
        .tcp_nodelay(true);
    if url.scheme() == "http" {
        // Without TLS no roots are needed, and a bare container has none.
        builder = builder.tls_certs_only([]);
    }
    if matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")) {
        builder = builder.no_proxy();
    }
    let said = || "the HTTP client cannot start: are there certificates and a sound proxy setting?".to_owned();
    builder.build().map_err(|_| ForgeError::Misconfigured { what: what(), said: said() })
}
