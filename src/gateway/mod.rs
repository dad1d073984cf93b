//! The gateway: a loopback proxy between the agents and their model, so that no agent ever sees the
//! key.
//!
//! Each attempt gets a token of its own, good for `POST /v1/chat/completions` on 127.0.0.1 until
//! its [`Pass`] is closed. The gateway adds the key, streams without buffering, counts what is
//! used, ends what is over budget or silent, and records or serves a cassette. It refuses to retry
//! (the agent does), to follow redirects with the key, and to let one attempt see or influence
//! another.

mod account;
mod attempt;
mod cassette;
mod question;
mod relay;
mod serve;
mod spend;
mod tunnel;
mod turn;
mod upstream;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::exec::Pulse;
use crate::fact::{Fact, Limit, Tokens};
use crate::id::{Sha256, TaskId};
use crate::model::{UNNAMED, Wire};
use attempt::AdmittedAttempt;
use cassette::{Places, Shelf};
use spend::Ledger;

pub use cassette::Recording;
pub use question::{QuestionError, ask_models};
pub use spend::{Budget, cost_micro_usd};
pub use tunnel::Tunnel;
pub use turn::{AnswerEnding, ModelAnswer, ToolCall, TurnReader, TurnUsage};

/// The provider's key. Shows itself as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderKey(String);

impl ProviderKey {
    /// Wraps a key. White space around it is not part of it: secrets are often pasted with a line
    /// end.
    ///
    /// # Errors
    /// If the rest cannot stand in a header: it holds a control character, or something else than
    /// ASCII.
    pub fn new(key: &str) -> Result<Self, BadKey> {
        let key = key.trim();
        let sound = key
            .bytes()
            .all(|byte| byte.is_ascii_graphic() || byte == b' ');
        if sound {
            Ok(Self(key.to_owned()))
        } else {
            Err(BadKey)
        }
    }

    /// Whether it looks like a key of a Kimi Code subscription, which no other address takes.
    #[must_use]
    pub fn is_of_subscription(&self) -> bool {
        self.0.starts_with("sk-kimi-")
    }

    /// Whether it stands in a text.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        !self.0.is_empty() && text.contains(&self.0)
    }

    fn reveal(&self) -> &str {
        &self.0
    }
}

/// A key that cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it holds a line break, a control character, or a character that is not ASCII")]
pub struct BadKey;

impl fmt::Debug for ProviderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where answers come from.
#[derive(Debug, Clone)]
pub enum Upstream {
    /// The provider.
    Live {
        /// Its endpoint: `https://api.moonshot.ai/v1`.
        base_url: String,
        /// The key that is added to each request.
        key: ProviderKey,
    },
    /// Recorded answers; neither a key nor a network.
    Cassette {
        /// The directory, with one directory per task in it.
        dir: PathBuf,
    },
}

/// How long the provider may take. Both together stay below the CLI's own 305 s, so that omk knows
/// first.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// To connect.
    pub connect: Duration,
    /// From the request to the head of the answer.
    pub answer: Duration,
    /// Between two chunks of the answer.
    pub stall: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(20),
            answer: Duration::from_secs(180),
            stall: Duration::from_secs(120),
        }
    }
}

/// Takes secrets out of a text before it is kept.
pub type Scrub = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// What a gateway needs to know.
#[derive(Clone)]
pub struct Config {
    /// Where answers come from.
    pub upstream: Upstream,
    /// Where to record them.
    pub record: Option<PathBuf>,
    /// What all attempts together may spend.
    pub budget: Budget,
    /// Where to tell what is asked and answered. Who gives one says with [`Gateway::wrote`] what
    /// is written: no request goes out, and no answer is passed on to its end, before that.
    pub journal: Option<UnboundedSender<Fact>>,
    /// How long the provider may take.
    pub timeouts: Timeouts,
    /// The only model that may be asked for; `None` = any.
    pub model: Option<String>,
    /// How requests are put so that the model takes them; `None` = as the agent puts them.
    pub wire: Option<Wire>,
    /// Applied to all that is recorded, beside the key itself, which is always taken out.
    pub scrub: Scrub,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("upstream", &self.upstream)
            .field("record", &self.record)
            .finish_non_exhaustive()
    }
}

/// An attempt that wants to talk to the model.
#[derive(Debug, Clone)]
pub struct Admission {
    /// The task.
    pub task: TaskId,
    /// Failures so far; part of the cassette's key.
    pub retry_count: u32,
    /// The attempt, counted from 1.
    pub attempt: u32,
    /// Names in the cassette for paths of this machine: (placeholder, path). A placeholder must
    /// not occur by chance.
    pub placeholders: Vec<(String, String)>,
    /// Beats with each chunk of an answer.
    pub pulse: Pulse,
}

/// What an attempt has used.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Usage {
    /// As the provider counted them.
    pub tokens: Tokens,
    /// Whether some of `tokens` is an estimate, because an answer broke off before the provider
    /// had said.
    pub estimated: bool,
    /// What that cost, where prices are known.
    pub cost_micro_usd: Option<u64>,
    /// Requests that were passed on, or served.
    pub requests: u32,
    /// The last answer that was not a good one; `None` again after a good one.
    pub last_error: Option<ProviderError>,
    /// From the first request to the first byte of its answer.
    pub first_byte: Option<Duration>,
    /// What the cassette could not give: "the cassette has no answer api/0-3 (in …)". The attempt
    /// is to fail as `config`.
    pub cassette_miss: Option<String>,
    /// Whether an answer was cut or refused because a limit is used up. The attempt is interrupted
    /// then, not failed.
    pub over_budget: bool,
    /// Why the recording is not whole.
    pub unrecorded: Option<String>,
}

/// An answer of the provider that was not a good one, or the lack of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderError {
    /// The HTTP status; `None` where no answer came, or one broke off.
    pub status: Option<u16>,
    /// How long the provider asked to wait.
    pub retry_after: Option<Duration>,
    /// The provider's own name of the error (`exceeded_current_quota_error`), else `connect`,
    /// `silent`, `stalled`, `dropped`, `redirect`, `not-an-answer`.
    pub kind: String,
    /// What it said, at most 500 characters.
    pub message: String,
}

impl ProviderError {
    /// As a person reads it: `404 (resource_not_found_error): Not found the model …`.
    #[must_use]
    pub fn in_words(&self) -> String {
        let status = self
            .status
            .map_or_else(|| "nothing".to_owned(), |status| status.to_string());
        let kind = if self.kind == UNNAMED {
            String::new()
        } else {
            format!(" ({})", self.kind)
        };
        let message = if self.message.is_empty() {
            String::new()
        } else {
            format!(": {}", self.message)
        };
        format!("{status}{kind}{message}")
    }
}

/// Why a gateway could not be started.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// No port on 127.0.0.1.
    #[error("listen on 127.0.0.1: {0}")]
    Listen(#[source] std::io::Error),
    /// No client for the provider: TLS roots, or a proxy setting.
    #[error("prepare a connection to the model's provider: {0}")]
    Client(#[source] reqwest::Error),
    /// The provider's address is not one.
    #[error("use {0:?} as the model's base_url: it is not an http or https address")]
    BaseUrl(String),
    /// No source of chance.
    #[error("draw a random token")]
    Chance,
}

/// What the connections of a gateway share.
#[derive(Debug)]
struct GatewayShared {
    port: u16,
    source: upstream::AnswerSource,
    config: Config,
    ledger: Ledger,
    stop: CancellationToken,
    /// Held while a request is read.
    reading: tokio::sync::Mutex<()>,
    /// By the digest of the token, so that looking one up tells nothing of the others.
    admitted: Mutex<HashMap<Sha256, Arc<AdmittedAttempt>>>,
}

/// A running gateway. Dropping it ends all its connections.
#[derive(Debug)]
pub struct Gateway {
    inner: Arc<GatewayShared>,
    _stop: DropGuard,
}

impl Gateway {
    /// Starts one on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// Where there is no port, or no client for the provider can be made.
    pub async fn start(config: Config) -> Result<Self, GatewayError> {
        let source = upstream::AnswerSource::new(&config)?;
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .map_err(GatewayError::Listen)?;
        let port = listener.local_addr().map_err(GatewayError::Listen)?.port();
        let stop = CancellationToken::new();
        let ledger = Ledger::new(config.budget, config.journal.clone());
        let inner = GatewayShared {
            port,
            source,
            config,
            ledger,
            stop: stop.clone(),
            reading: tokio::sync::Mutex::default(),
            admitted: Mutex::default(),
        };
        let inner = Arc::new(inner);
        serve::spawn(listener, Arc::clone(&inner), None);
        Ok(Self {
            inner,
            _stop: stop.drop_guard(),
        })
    }

    /// Lets an attempt in, until its pass is closed or dropped.
    ///
    /// # Errors
    /// Where the system gives no random bytes for a token.
    pub fn admit(&self, admission: Admission) -> Result<Pass, GatewayError> {
        let token = random_token()?;
        let Admission {
            task,
            retry_count,
            attempt,
            mut placeholders,
            pulse,
        } = admission;
        // An agent that prints its settings has the model speak of the token.
        placeholders.push(("{{omk:token}}".to_owned(), token.clone()));
        let places = Places::new(placeholders);
        let shelf =
            |dir: &PathBuf| Shelf::new(dir.clone(), task.clone(), retry_count, places.clone());
        let played = match &self.inner.config.upstream {
            Upstream::Cassette { dir } => Some(shelf(dir)),
            Upstream::Live { .. } => None,
        };
        let recorded = self.inner.config.record.as_ref().map(shelf);
        if let Some(shelf) = &recorded {
            shelf.clear();
        }
        let ledger = self.inner.ledger.clone();
        let closed = self.inner.stop.child_token();
        let attempt = Arc::new(AdmittedAttempt::new(
            (task, attempt),
            pulse,
            (played, recorded),
            ledger,
            closed,
        ));
        let digest = Sha256::of(token.as_bytes());
        self.inner
            .admitted()
            .insert(digest.clone(), Arc::clone(&attempt));
        let base_url = format!("http://127.0.0.1:{}/v1", self.inner.port);
        Ok(Pass {
            base_url,
            token,
            digest,
            attempt,
            inner: Arc::clone(&self.inner),
        })
    }

    /// The port of 127.0.0.1 that it listens at.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.inner.port
    }

    /// So many more of the facts that it sent are written.
    pub fn wrote(&self, facts: u64) {
        self.inner.ledger.account.wrote(facts);
    }

    /// The limit that is used up, as soon as one is.
    #[must_use]
    pub fn limits(&self) -> watch::Receiver<Option<Limit>> {
        self.inner.ledger.broken()
    }
}

impl GatewayShared {
    fn admitted(&self) -> std::sync::MutexGuard<'_, HashMap<Sha256, Arc<AdmittedAttempt>>> {
        self.admitted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn random_token() -> Result<String, GatewayError> {
    // 32 bytes: as many as any signature would protect.
    let mut bytes = [0; 32];
    let chance = rustls::crypto::ring::default_provider().secure_random;
    chance.fill(&mut bytes).map_err(|_| GatewayError::Chance)?;
    Ok(format!("omk-{}", Sha256::of(&bytes)))
}

/// One attempt's way to the model. Dropping it ends that way at once.
pub struct Pass {
    /// `http://127.0.0.1:PORT/v1`.
    pub base_url: String,
    /// What the agent sends as its key; worth nothing elsewhere, or once the pass is closed.
    pub token: String,
    digest: Sha256,
    attempt: Arc<AdmittedAttempt>,
    inner: Arc<GatewayShared>,
}

impl Pass {
    /// What has been used so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.attempt.usage()
    }

    /// Serves the listener of the attempt's own room. From then on it is served nowhere else: its
    /// token is worth nothing to another child, and no other token is worth anything in that
    /// room.
    ///
    /// # Errors
    /// Where the runtime cannot take the listener.
    pub fn serve(&self, room: std::net::TcpListener) -> Result<(), GatewayError> {
        room.set_nonblocking(true).map_err(GatewayError::Listen)?;
        let listener = tokio::net::TcpListener::from_std(room).map_err(GatewayError::Listen)?;
        self.attempt
            .has_room
            .store(true, std::sync::atomic::Ordering::Release);
        serve::spawn(
            listener,
            Arc::clone(&self.inner),
            Some(Arc::clone(&self.attempt)),
        );
        Ok(())
    }

    /// Revokes the token, breaks off what is under way, and says what was used in all.
    #[must_use]
    pub fn close(self) -> Usage {
        self.revoke();
        self.attempt.usage()
    }

    fn revoke(&self) {
        self.inner.admitted().remove(&self.digest);
        self.attempt.close();
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.revoke();
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pass")
            .field("base_url", &self.base_url)
            .field("token", &"***")
            .finish_non_exhaustive()
    }
}
