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
mod provider_key;
mod usage;
mod pass;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::exec::Pulse;
use crate::fact::{Fact, Limit};
use crate::id::{Sha256, TaskId};
use crate::model::Wire;
use attempt::AdmittedAttempt;
use cassette::{Places, Shelf};
use spend::Ledger;

pub use cassette::Recording;
pub use pass::Pass;
pub use provider_key::{BadKey, ProviderKey};
pub use question::{QuestionError, ask_models};
pub use spend::{Budget, cost_micro_usd};
pub use tunnel::Tunnel;
pub use turn::{AnswerEnding, ModelAnswer, ToolCall, TurnReader, TurnUsage};
pub use usage::{ProviderError, Usage};

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
