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

    /// A pull request as people refer to it: `#12`, `!12`.
    #[must_use]
    pub fn pull(self, number: u64) -> String {
        format!("{}{number}", self.sigil())
    }

    /// The branch that a pull request is to be merged into: `base branch`, `target branch`.
    #[must_use]
    pub fn base_branch(self) -> &'static str {
        match self {
            Self::GitHub => "base branch",
            Self::GitLab => "target branch",
        }
    }

    /// What somebody else's pull request comes from: `repository`, `project`.
    #[must_use]
    pub fn repository(self) -> &'static str {
        match self {
            Self::GitHub => "repository",
            Self::GitLab => "project",
        }
    }

    /// Where a person finds the runs of workflows: `in the Actions tab`, `under Build > Pipelines`.
    #[must_use]
    pub fn runs_page(self) -> &'static str {
        match self {
            Self::GitHub => "in the Actions tab",
            Self::GitLab => "under Build > Pipelines",
        }
    }

    /// What is configured where the plan is elsewhere: `the action's input`, `the component's
    /// input`.
    #[must_use]
    pub fn input(self) -> &'static str {
        match self {
            Self::GitHub => "the action's input",
            Self::GitLab => "the component's input",
        }
    }

    /// Where the whole plan's check is to be seen, behind a verb: ``the check `omk plan` ``, ``the
    /// answer to `/omk plan` ``.
    #[must_use]
    pub fn plan_shown(self) -> &'static str {
        match self {
            Self::GitHub => "the check `omk plan`",
            // A commit status has no room for a digest.
            Self::GitLab => "the answer to `/omk plan`",
        }
    }

    /// What somebody must be allowed, by the plan's word for it: `` the permission `write` ``, `the
    /// role Developer`.
    #[must_use]
    pub fn right(self, permission: &str) -> String {
        let role = match (self, permission) {
            (Self::GitLab, "triage") => "Reporter",
            (Self::GitLab, "write") => "Developer",
            (Self::GitLab, "maintain") => "Maintainer",
            (Self::GitLab, "admin") => "Owner",
            (Self::GitHub | Self::GitLab, other) => return format!("the permission `{other}`"),
        };
        format!("the role {role}")
    }
}
