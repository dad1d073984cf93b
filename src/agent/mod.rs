//! Agents: the real Kimi Code CLI in print mode, installed, prompted, run, and judged by what it
//! recorded.
//!
//! It refuses to believe an exit code: success needs the recorded end of the turn. It holds no key,
//! only a token that is good for one attempt, and it does not know what a gateway is: what the
//! gateway saw is told to it as [`Observed`].

mod advice;
mod classify;
mod home;
mod inquiry;
mod install;
mod kimi;
pub mod prompt;
mod run;
mod stdout;
mod wire;

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use crate::exec::{Ended, ExecError};
use crate::fact::Failure;
use crate::text::Advised;

pub use advice::advice;
pub use install::{Install, install, node};
pub use kimi::{Installed, Locate, locate};
pub use run::{AgentOrder, Model};
pub use stdout::{Retrying, StdoutSummary};
pub use wire::{Recorded, RecordedEnd, TurnError};

/// Why an agent could not be found, installed or started.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// It is nowhere.
    #[error("find the Kimi Code CLI {wanted}: it is neither on PATH nor in {}", cache.display())]
    Missing {
        /// The pinned version.
        wanted: String,
        /// omk's tool cache.
        cache: PathBuf,
    },
    /// Another version is on PATH.
    #[error("use {}: it is version {found}, and the plan pins {wanted}", path.display())]
    OtherVersion {
        /// The program.
        path: PathBuf,
        /// What it says it is.
        found: String,
        /// The pinned version.
        wanted: String,
    },
    /// Node.js is older than the CLI needs.
    #[error("run the Kimi Code CLI: it needs Node.js 22.19 or newer{}", .found.as_ref().map(|found| format!(", and this is {found}")).unwrap_or_default())]
    OldNode {
        /// What Node.js says it is.
        found: Option<String>,
    },
    /// It started, and then did not answer as it should.
    #[error("ask {} for its version: {said}", path.display())]
    Broken {
        /// The program.
        path: PathBuf,
        /// Its last words.
        said: String,
    },
    /// npm did not install it.
    #[error("install {package} with npm: {said}")]
    Npm {
        /// What was to be installed.
        package: String,
        /// npm's last words.
        said: String,
    },
    /// The version is not one.
    #[error("install the Kimi Code CLI {0:?}: a version looks like `2.1.0`")]
    BadVersion(String),
    /// The machine: a file could not be written, a child not started.
    #[error("{what}: {source}")]
    Io {
        /// What failed: "write …/config.toml".
        what: String,
        /// Why.
        source: std::io::Error,
    },
    /// The child could not be run.
    #[error(transparent)]
    Exec(#[from] ExecError),
}

impl Advised for AgentError {
    fn advice(&self) -> Option<Cow<'_, str>> {
        let advice = match self {
            Self::Missing { .. } => "run `omk agent install`",
            Self::OtherVersion { .. } => "run `omk agent install`, or change `agent.version`",
            Self::OldNode { .. } => "run `omk agent install`, which brings one along",
            Self::Npm { .. } => {
                "check that npm is on PATH, and reaches a registry that asks for no login: npm sees none of your credentials"
            }
            Self::Broken { .. } | Self::BadVersion(_) | Self::Io { .. } | Self::Exec(_) => {
                return None;
            }
        };
        Some(advice.into())
    }
}

/// What the gateway saw of an attempt, as far as it helps to judge it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// The HTTP status of the last answer, where it was not a good one.
    pub status: Option<u16>,
    /// How long the provider asked to wait.
    pub retry_after: Option<Duration>,
    /// What the provider, or the gateway, calls the trouble.
    pub kind: Option<String>,
    /// What it said.
    pub message: Option<String>,
    /// What was missing in the cassette; decides.
    pub cassette_miss: Option<String>,
    /// Whether the gateway cut or refused an answer because the run's budget is used up.
    pub over_budget: bool,
}

/// What one run of the CLI left: everything that judging it needs.
#[derive(Debug, Clone)]
pub struct CliRun {
    /// How the child ended.
    pub child: Ended,
    /// Where its standard output and standard error were kept: the transcript.
    pub transcript: PathBuf,
    /// What it said on standard output.
    pub heard: StdoutSummary,
    /// What it recorded of itself.
    pub recorded: Recorded,
    /// Whether omk ended it because the provider asked to wait longer than the errand allows.
    pub waits: Option<Duration>,
}

/// How an agent's turn ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentOutcome {
    /// It came to its recorded end.
    Done,
    /// It failed.
    Failed(Failure),
    /// It was stopped from outside; counts as nothing.
    Interrupted,
}

/// An agent's turn that is over.
#[derive(Debug, Clone)]
pub struct AgentEnded {
    /// How.
    pub outcome: AgentOutcome,
    /// The CLI's own name of the session, to be resumed.
    pub session: Option<String>,
    /// Its last words, at most 4,000 characters; not scrubbed.
    pub said: String,
    /// Where its output was kept.
    pub transcript: PathBuf,
    /// Model calls that ended well.
    pub steps: u32,
    /// The child itself: how it was confined, how long it took, the transcript's digest.
    pub child: Ended,
}

impl CliRun {
    /// Judges the run, with what the gateway saw. Pure.
    #[must_use]
    pub fn judge(self, observed: &Observed) -> AgentEnded {
        AgentEnded {
            outcome: classify::classify(&self, observed),
            session: self.recorded.session,
            said: self.heard.said,
            transcript: self.transcript,
            steps: self.heard.steps,
            child: self.child,
        }
    }
}
