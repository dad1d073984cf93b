//! The forges that omk knows, and their words for the same things.
//!
//! It refuses to hold anything but words: what a forge does is the business of the room `forge`.

use serde::{Deserialize, Serialize};

/// The forge that people read at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ForgeKind {
    /// github.com, or a GitHub Enterprise Server.
    #[default]
    GitHub,
    /// gitlab.com, or a GitLab of somebody's own.
    GitLab,
}

impl ForgeKind {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::GitHub => "GitHub",
            Self::GitLab => "GitLab",
        }
    }

    /// A proposed change: `pull request`, `merge request`.
    #[must_use]
    pub fn pull_request(self) -> &'static str {
        match self {
            Self::GitHub => "pull request",
            Self::GitLab => "merge request",
        }
    }

    /// What stands before a pull request's number: `#`, `!`.
    #[must_use]
    pub fn sigil(self) -> char {
        match self {
            Self::GitHub => '#',
            Self::GitLab => '!',
        }
    }

    /// The jobs of one event: `workflow run`, `pipeline`.
    #[must_use]
    pub fn workflow_run(self) -> &'static str {
        match self {
            Self::GitHub => "workflow run",
            Self::GitLab => "pipeline",
        }
    }

    /// What stands at a commit: `check`, `commit status`.
    #[must_use]
    pub fn check(self) -> &'static str {
        match self {
            Self::GitHub => "check",
            Self::GitLab => "commit status",
        }
    }

    /// What a scope of a pull request begins with: `pr-`, `mr-`.
    #[must_use]
    pub fn scope_prefix(self) -> &'static str {
        match self {
            Self::GitHub => "pr-",
            Self::GitLab => "mr-",
        }
    }
}
