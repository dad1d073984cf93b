//! Why attempts fail: classes, and whether trying again can help.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::id::RepoPath;
use crate::text::{self, Advised};

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Whose turn it is, and whether trying again can help.
    pub class: Class,
    /// What happened, as one clause without a line break; scrubbed. What a gate or a command
    /// printed is in the evidence. Up to 0.6 the output followed on lines of its own.
    pub message: String,
    /// The paths in question: what it may not write, where it did not merge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<RepoPath>,
    /// What a person can do about it, where omk knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// How long the provider asked to wait, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// A process that the work started could not be ended, and may go on: nothing that is found on
    /// this machine from now on can be trusted, so the run is over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outlived: bool,
}

impl Failure {
    /// One without paths, without a wait and without advice.
    #[must_use]
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            paths: Vec::new(),
            advice: None,
            retry_after_ms: None,
            outlived: false,
        }
    }

    /// An error whose text says what is wrong, and what it advises.
    #[must_use]
    pub fn of(class: Class, error: &(impl Advised + ?Sized)) -> Self {
        Self::new(class, error.to_string()).advised_by(error)
    }

    /// An error whose text says what was to be done, and what it advises.
    #[must_use]
    pub fn to_do(class: Class, error: &(impl Advised + ?Sized)) -> Self {
        Self::new(class, format!("failed to {error}")).advised_by(error)
    }

    fn advised_by(self, error: &(impl Advised + ?Sized)) -> Self {
        Self {
            advice: error.advice().map(Cow::into_owned),
            ..self
        }
    }

    /// The message and the advice, for a place that has one line.
    #[must_use]
    pub fn in_full(&self) -> String {
        text::with_advice(&self.message, self.advice.as_deref())
    }

    /// The same with both texts passed through `scrub`.
    #[must_use]
    pub fn scrubbed(mut self, scrub: &dyn Fn(&str) -> String) -> Self {
        self.message = scrub(&self.message);
        self.advice = self.advice.as_deref().map(scrub);
        self
    }

    /// The same, about these paths.
    #[must_use]
    pub fn about(mut self, paths: Vec<RepoPath>) -> Self {
        self.paths = paths;
        self
    }
}

/// The class of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// A required gate failed.
    Gate,
    /// The command of a `run:` task exited with another code than 0, or a signal ended it.
    Command,
    /// It wrote elsewhere than it may.
    Scope,
    /// The provider's safety filter refused.
    Refused,
    /// The model's context overflowed.
    Context,
    /// The key was refused.
    Auth,
    /// Something is set up wrongly.
    Config,
    /// No credit is left.
    Quota,
    /// Its commit did not merge.
    Conflict,
    /// The provider asked to slow down.
    RateLimit,
    /// The provider failed, or the network.
    Provider,
    /// Its own timeout.
    Timeout,
    /// Silence.
    Hung,
    /// The machine: disk, spawn.
    Host,
    /// omk itself died during it, for the third time.
    Lost,
    /// A change was required, and none was made.
    NoChange,
    /// The step limit was reached.
    Steps,
}

impl Class {
    /// Whether trying again can help. The one place that says so.
    #[must_use]
    pub fn is_transient(self) -> bool {
        match self {
            Self::Scope
            | Self::Refused
            | Self::Context
            | Self::Auth
            | Self::Config
            | Self::Quota => false,
            Self::Gate
            | Self::Command
            | Self::Conflict
            | Self::RateLimit
            | Self::Provider
            | Self::Timeout
            | Self::Hung
            | Self::Host
            | Self::Lost
            | Self::NoChange
            | Self::Steps => true,
        }
    }

    /// Whether the next attempt goes on with the agent's session, on the tree as it was left.
    #[must_use]
    pub fn keeps_session(self) -> bool {
        match self {
            Self::Gate
            | Self::Steps
            | Self::NoChange
            | Self::RateLimit
            | Self::Provider
            | Self::Hung
            | Self::Timeout => true,
            Self::Command
            | Self::Scope
            | Self::Conflict
            | Self::Lost
            | Self::Refused
            | Self::Context
            | Self::Auth
            | Self::Config
            | Self::Quota
            | Self::Host => false,
        }
    }

    /// The class's name in records and reports: `rate-limit`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Command => "command",
            Self::Scope => "scope",
            Self::Refused => "refused",
            Self::Context => "context",
            Self::Auth => "auth",
            Self::Config => "config",
            Self::Quota => "quota",
            Self::Conflict => "conflict",
            Self::RateLimit => "rate-limit",
            Self::Provider => "provider",
            Self::Timeout => "timeout",
            Self::Hung => "hung",
            Self::Host => "host",
            Self::Lost => "lost",
            Self::NoChange => "no-change",
            Self::Steps => "steps",
        }
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
