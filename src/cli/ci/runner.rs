//! What the action's step is started with: the runner's variables and the action's inputs, parsed once.
//!
//! Secrets leave omk's environment here, before any thread and any child. It refuses what is missing or malformed, with
//! the name of the variable, and it refuses to read anything that a pull request's author could have written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::super::{Failure, Kind};
use super::inputs::{Inputs, Speaker};
use crate::exec::environment::Caller;
use crate::exec::secret::{Secret, shed_secrets};
use crate::forge::{Forge, ForgeError, GitHub, Installation, Site};
use crate::request;
use crate::text::Scrubber;

/// The step that this process is.
#[derive(Debug)]
pub(in crate::cli) struct Runner {
    /// What happened.
    pub(in crate::cli) event: EventName,
    /// The event's payload, as a file.
    pub(in crate::cli) event_path: PathBuf,
    /// The API's base URL, without a slash at its end.
    pub(in crate::cli) api: String,
    /// The site's base URL, without a slash at its end.
    pub(in crate::cli) server: String,
    /// `owner/name`.
    pub(in crate::cli) repository: String,
    /// The workflow run that this is.
    pub(in crate::cli) workflow: request::WorkflowRun,
    /// The branch's short name, where the event is about one.
    pub(in crate::cli) ref_name: Option<String>,
    /// Where the step's outputs go.
    pub(in crate::cli) output: Option<PathBuf>,
    /// Where the job's summary goes.
    pub(in crate::cli) summary: Option<PathBuf>,
    /// A directory that is emptied when the job ends.
    pub(in crate::cli) temp: PathBuf,
    /// Whose machine it is.
    pub(in crate::cli) machine: Machine,
    /// What the workflow's author asked for.
    pub(in crate::cli) inputs: Inputs,
    /// Every variable that looked like a secret, by name; they are in no child's environment.
    pub(in crate::cli) secrets: BTreeMap<String, Secret>,
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
    /// Takes every variable that looks like a secret out of omk's environment, and reads the others. Starts omk anew where
    /// there is a secret, so this must come before any thread and any child.
    ///
    /// # Errors
    /// Where a variable is missing or malformed; its name is said.
    pub(in crate::cli) fn read() -> Result<Self, Failure> {
        let caller = Caller::read();
        let names: Vec<&str> = caller.secret_names().collect();
        let secrets = shed_secrets(&names).map_err(super::super::failure::infra)?;
        Self::parse(&caller, secrets)
    }

    pub(super) fn parse(caller: &Caller, secrets: BTreeMap<String, Secret>) -> Result<Self, Failure> {
        let server = url(caller, "GITHUB_SERVER_URL", "https://github.com")?;
        let repository = repository(required(caller, "GITHUB_REPOSITORY")?)?;
        let id = number(caller, "GITHUB_RUN_ID")?;
        let attempt = match caller.text("GITHUB_RUN_ATTEMPT") {
            Some(text) => text.parse().ok().filter(|&attempt| attempt > 0),
            None => Some(1),
        };
        let attempt = attempt.ok_or_else(|| wrong("GITHUB_RUN_ATTEMPT", "a whole number from 1"))?;
        let temp = directory(caller, "RUNNER_TEMP")?;
        let inputs = Inputs::parse(caller, &secrets, &temp, &repository)?;
        Ok(Self {
            event: EventName::named(required(caller, "GITHUB_EVENT_NAME")?),
            event_path: path(caller, "GITHUB_EVENT_PATH").ok_or_else(|| missing("GITHUB_EVENT_PATH"))?,
            api: url(caller, "GITHUB_API_URL", "https://api.github.com")?,
            workflow: request::WorkflowRun { id, attempt, url: format!("{server}/{repository}/actions/runs/{id}") },
            server,
            repository,
            ref_name: caller.text("GITHUB_REF_NAME").map(str::to_owned),
            output: path(caller, "GITHUB_OUTPUT"),
            summary: path(caller, "GITHUB_STEP_SUMMARY"),
            temp,
            machine: Machine::of(caller),
            inputs,
            secrets,
        })
    }

    /// Removes the secrets that this step was given from texts.
    pub(in crate::cli) fn scrubber(&self) -> Scrubber {
        Scrubber::new(self.secrets.values().map(Secret::expose))
    }

    /// The model's key: the input, else the variable that the plan names.
    pub(in crate::cli) fn key(&self, key_env: &str) -> Option<&Secret> {
        self.inputs.key.as_ref().or_else(|| self.secrets.get(key_env))
    }

    /// The repository at the forge, and the token to push there with: the one that was given, or one of the App that is
    /// good for an hour.
    ///
    /// # Errors
    /// Where no token was given, or the forge does not mint one.
    pub(in crate::cli) async fn access(&self) -> Result<Access, Failure> {
        let site = |token: Secret| Site {
            api: self.api.clone(),
            repository: self.repository.clone(),
            token,
            spacing: self.inputs.spacing,
        };
        match &self.inputs.speaker {
            Some(Speaker::Token(token)) => {
                Ok(Access { forge: Forge::GitHub(GitHub::new(site(token.clone()))?), token: token.clone() })
            }
            Some(Speaker::App { id, private_key }) => {
                let minted = GitHub::installation(&self.api, &self.repository, *id, private_key).await;
                let Installation { token, slug } = minted.map_err(|error| {
                    forge(&error).hint("check `app-id` and `app-private-key`, and that the App is installed here")
                })?;
                Ok(Access { forge: Forge::GitHub(GitHub::new(site(token.clone()))?.as_app(&slug)), token })
            }
            None => Err(Failure::new(Kind::Blocked, "there is no token to speak to the forge with")
                .hint("give the action `token: ${{ github.token }}`, or `app-id` and `app-private-key`")),
        }
    }

    /// The repository's address for git.
    pub(in crate::cli) fn git_url(&self) -> String {
        format!("{}/{}.git", self.server, self.repository)
    }
}

/// Who we are at the forge.
#[derive(Debug)]
pub(in crate::cli) struct Access {
    /// The repository, through its API.
    pub(in crate::cli) forge: Forge,
    /// For git. Where an App's was minted it is in none of the runner's secrets: it is to be scrubbed, too.
    pub(in crate::cli) token: Secret,
}

/// The forge's trouble, at the edge: a right that a person can grant, or the machine.
pub(in crate::cli) fn forge(error: &ForgeError) -> Failure {
    let kind = match error {
        ForgeError::Unauthorized { .. } | ForgeError::Forbidden { .. } | ForgeError::NotFound { .. } => Kind::Blocked,
        ForgeError::Misconfigured { .. } => Kind::Usage,
        ForgeError::Limited { .. } => Kind::Blocked,
        ForgeError::Refused { .. } | ForgeError::Unavailable { .. } | ForgeError::Nonsense { .. } => Kind::Infra,
    };
    Failure::new(kind, format!("failed to {error}"))
}

impl From<ForgeError> for Failure {
    fn from(error: ForgeError) -> Self {
        forge(&error)
    }
}

impl Machine {
    /// Whose it is. A person's own that only looks like a hosted one, under a runner such as act, keeps its sudo.
    fn of(caller: &Caller) -> Self {
        let is = |name: &str, value: &str| caller.text(name) == Some(value);
        let hosted = is("GITHUB_ACTIONS", "true")
            && is("RUNNER_ENVIRONMENT", "github-hosted")
            && caller.text("ImageVersion").is_some()
            && caller.text("ACT").is_none();
        if hosted { Self::Hosted } else { Self::OwnOrUnknown }
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

fn repository(name: &str) -> Result<String, Failure> {
    let part = |part: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !part.is_empty() && part.len() <= 100 && part.bytes().all(plain) && !matches!(part, "." | "..")
    };
    match name.split_once('/') {
        Some((owner, name_of_it)) if part(owner) && part(name_of_it) => Ok(name.to_owned()),
        Some(_) | None => Err(wrong("GITHUB_REPOSITORY", "`owner/name`")),
    }
}

fn url(caller: &Caller, name: &str, usual: &str) -> Result<String, Failure> {
    let text = caller.text(name).unwrap_or(usual).trim_end_matches('/');
    let parsed = reqwest::Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "https" | "http")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    parsed.map(|_| text.to_owned()).ok_or_else(|| wrong(name, "an address like `https://api.github.com`"))
}

fn number(caller: &Caller, name: &str) -> Result<u64, Failure> {
    required(caller, name)?.parse().ok().filter(|&number| number > 0).ok_or_else(|| wrong(name, "a number"))
}

fn directory(caller: &Caller, name: &str) -> Result<PathBuf, Failure> {
    let path = path(caller, name).ok_or_else(|| missing(name))?;
    if path.is_absolute() { Ok(path) } else { Err(wrong(name, "an absolute path")) }
}

pub(super) fn path(caller: &Caller, name: &str) -> Option<PathBuf> {
    caller.text(name).map(PathBuf::from)
}

pub(super) fn required<'a>(caller: &'a Caller, name: &str) -> Result<&'a str, Failure> {
    caller.text(name).ok_or_else(|| missing(name))
}

pub(super) fn missing(name: &str) -> Failure {
    Failure::new(Kind::Usage, format!("the variable {name} is not set"))
        .hint("`omk ci` is what the action runs in a workflow's job; on your machine, use `omk run`")
}

pub(super) fn wrong(name: &str, expected: &str) -> Failure {
    Failure::new(Kind::Usage, format!("the variable {name} is not right: it must be {expected}"))
}

#[cfg(test)]
mod tests;
