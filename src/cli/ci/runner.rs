//! What a job is started with: the runner's variables and what its author asked for, parsed once.
//!
//! Secrets leave omk's environment here, before any thread and any child. It refuses what is
//! missing or malformed, with the name of the variable, and it refuses to read anything that a pull
//! request's author could have written.

mod github;
mod gitlab;
mod variables;

pub(in crate::cli) use github::Workflow;
pub(in crate::cli) use gitlab::{MergeRequest, Pipeline};
pub(super) use variables::wrong;

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::super::{CommandFailure, FailureKind};
use super::inputs::Inputs;
use crate::exec::environment::Caller;
use crate::exec::secret::{Secret, shed_secrets};
use crate::forge::{Forge, ForgeError};
use crate::git::Remote;
use crate::request;
use crate::text::{ForgeKind, Scrubber};

/// The step that this process is.
#[derive(Debug)]
pub(in crate::cli) struct Runner {
    /// The forge that it is at.
    pub(in crate::cli) forge: ForgeKind,
    /// What only that forge tells.
    pub(in crate::cli) host: ForgeJob,
    /// The API's base URL, without a slash at its end.
    pub(in crate::cli) api: String,
    /// The repository's address for people, without a slash at its end.
    pub(in crate::cli) url: String,
    /// `owner/name`; at GitLab with all its groups.
    pub(in crate::cli) repository: String,
    /// The workflow run or pipeline that this is.
    pub(in crate::cli) workflow: request::StartedBy,
    /// The branch's short name, where the event is about one.
    pub(in crate::cli) ref_name: Option<String>,
    /// A directory for what is thrown away.
    pub(in crate::cli) temp: PathBuf,
    /// Whose machine it is.
    pub(in crate::cli) machine: Machine,
    /// What the workflow's author asked for.
    pub(in crate::cli) inputs: Inputs,
    /// Every variable that looked like a secret, by name; they are in no child's environment.
    pub(in crate::cli) secrets: BTreeMap<String, Secret>,
}

/// What only one forge tells.
#[derive(Debug)]
pub(in crate::cli) enum ForgeJob {
    /// A job of a workflow.
    GitHub(Workflow),
    /// A job of a pipeline.
    GitLab(Box<Pipeline>),
}

/// What a runner is read from.
struct RunnerSource<'a> {
    caller: &'a Caller,
    secrets: BTreeMap<String, Secret>,
    /// `omk ci --poll`.
    poll: bool,
}

/// What started the workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum EventName {
    /// Something about a comment on an issue or a pull request.
    IssueComment,
    /// The clock.
    Schedule,
    /// A person, or somebody with a token, at the forge.
    WorkflowDispatch,
    /// Something about a pull request, without rights.
    PullRequest,
    /// Something about a pull request, with all rights.
    PullRequestTarget,
    /// Something that omk does nothing about.
    Other(String),
}

/// Whose machine a job is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Machine {
    /// The forge's: a new one for each job, where the runner's user may become root.
    Hosted,
    /// Somebody's own, or not said.
    OwnOrUnknown,
}

impl Runner {
    /// Takes every variable that looks like a secret out of omk's environment, and reads the
    /// others. Starts omk anew where there is a secret, so this must come before any thread and
    /// any child.
    ///
    /// # Errors
    /// Where a variable is missing or malformed; its name is said.
    pub(in crate::cli) fn read(poll: bool) -> Result<Self, CommandFailure> {
        let caller = Caller::read();
        let names: Vec<&str> = caller.secret_names().collect();
        let secrets = shed_secrets(&names).map_err(super::super::failure::infra)?;
        Self::parse(&caller, secrets, poll)
    }

    pub(super) fn parse(
        caller: &Caller,
        secrets: BTreeMap<String, Secret>,
        poll: bool,
    ) -> Result<Self, CommandFailure> {
        let asked = RunnerSource {
            caller,
            secrets,
            poll,
        };
        match caller.text("GITLAB_CI") {
            Some("true") => gitlab::parse(asked),
            Some(_) | None => github::parse(asked),
        }
    }

    /// Removes the secrets that this step was given from texts.
    pub(in crate::cli) fn scrubber(&self) -> Scrubber {
        Scrubber::new(self.secrets.values().map(Secret::expose))
    }

    /// The model's key: the input, else the variable that the plan names.
    pub(in crate::cli) fn key(&self, key_env: &str) -> Option<&Secret> {
        self.inputs
            .key
            .as_ref()
            .or_else(|| self.secrets.get(key_env))
    }

    /// The repository at the forge, and the token for git.
    ///
    /// # Errors
    /// Where no token was given, or the forge does not mint one.
    pub(in crate::cli) async fn access(&self) -> Result<ForgeAccess, CommandFailure> {
        match &self.host {
            ForgeJob::GitHub(_) => github::access(self).await,
            ForgeJob::GitLab(pipeline) => gitlab::access(self, pipeline),
        }
    }

    /// The job's own user and token for git, where it has one that is no secret of the
    /// repository's.
    pub(in crate::cli) fn job_token(&self) -> Option<(&'static str, Secret)> {
        match &self.host {
            ForgeJob::GitHub(_) => None,
            ForgeJob::GitLab(_) => gitlab::job_token(self),
        }
    }

    /// The repository, for git.
    ///
    /// # Errors
    /// Where its address is none.
    pub(in crate::cli) fn remote(
        &self,
        user: &'static str,
        token: &Secret,
    ) -> Result<Remote, CommandFailure> {
        self.remote_at(&format!("{}.git", self.url), user, token)
    }

    /// A repository of the same forge at another address.
    ///
    /// # Errors
    /// Where it is none.
    pub(in crate::cli) fn remote_at(
        &self,
        url: &str,
        user: &'static str,
        token: &Secret,
    ) -> Result<Remote, CommandFailure> {
        let remote = Remote::new(url, Some(token.clone())).map_err(super::super::git)?;
        let authorities = self
            .pipeline()
            .and_then(|pipeline| pipeline.authorities.clone());
        Ok(remote.as_user(user).trusting(authorities))
    }

    /// The job of a pipeline that this is, at GitLab.
    pub(in crate::cli) fn pipeline(&self) -> Option<&Pipeline> {
        match &self.host {
            ForgeJob::GitHub(_) => None,
            ForgeJob::GitLab(pipeline) => Some(pipeline),
        }
    }

    /// The address for people of the workflow run or pipeline of that number.
    pub(in crate::cli) fn url_of_run(&self, id: u64) -> String {
        match self.forge {
            ForgeKind::GitHub => format!("{}/actions/runs/{id}", self.url),
            ForgeKind::GitLab => format!("{}/-/pipelines/{id}", self.url),
        }
    }
}

/// Who we are at the forge.
#[derive(Debug)]
pub(in crate::cli) struct ForgeAccess {
    /// The repository, through its API.
    pub(in crate::cli) forge: Forge,
    /// For git. Where an App's was minted it is in none of the runner's secrets: it is to be
    /// scrubbed, too.
    pub(in crate::cli) token: Secret,
    /// Whose that is, for git.
    pub(in crate::cli) user: &'static str,
}

/// The forge's trouble, at the edge: a right that a person can grant, or the machine.
pub(in crate::cli) fn forge(error: &ForgeError) -> CommandFailure {
    let kind = match error {
        ForgeError::Unauthorized { .. }
        | ForgeError::Forbidden { .. }
        | ForgeError::NotFound { .. } => FailureKind::Blocked,
        ForgeError::Misconfigured { .. } => FailureKind::Usage,
        ForgeError::Limited { .. } => FailureKind::Blocked,
        ForgeError::Refused { .. }
        | ForgeError::Unavailable { .. }
        | ForgeError::Nonsense { .. } => FailureKind::Infra,
    };
    CommandFailure::new(kind, format!("failed to {error}"))
}

impl From<ForgeError> for CommandFailure {
    fn from(error: ForgeError) -> Self {
        forge(&error)
    }
}

impl EventName {
    pub(super) fn named(name: &str) -> Self {
        match name {
            "issue_comment" => Self::IssueComment,
            "schedule" => Self::Schedule,
            "workflow_dispatch" => Self::WorkflowDispatch,
            "pull_request" => Self::PullRequest,
            "pull_request_target" => Self::PullRequestTarget,
            other => Self::Other(other.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests;
