//! What the action's step is started with: the runner's variables and the action's inputs, parsed once.
//!
//! Secrets leave omk's environment here, before any thread and any child. It refuses what is missing or malformed, with
//! the name of the variable, and it refuses to read anything that a pull request's author could have written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser as _;

use super::super::args::How;
use super::super::{Failure, Kind};
use crate::exec::environment::Caller;
use crate::exec::secret::{Secret, shed_secrets};
use crate::forge::{ForgeError, GitHub, Site};
use crate::id::{CommitId, RepoPath};
use crate::request::{self, Judgement, Request};
use crate::text::Scrubber;

/// Job outputs hold at most 1 MiB, so a request or a judgement cannot be larger.
const HANDED_OVER: usize = 1 << 20;

/// What a workflow's person gave as `OMK_WRITE_SPACING` where they gave nothing: GitHub's secondary limit is 80 writes a
/// minute, and a second keeps below it.
const SPACING: Duration = Duration::from_secs(1);

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
    /// The commit that the event is about: the default branch's tip for comments.
    pub(in crate::cli) commit: Option<CommitId>,
    /// The branch's short name, where the event is about one.
    pub(in crate::cli) ref_name: Option<String>,
    /// Where the repository is checked out, if it is.
    pub(in crate::cli) workspace: PathBuf,
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

/// The action's inputs.
#[derive(Debug)]
pub(in crate::cli) struct Inputs {
    /// What part of the work is to be done.
    pub(in crate::cli) stage: Stage,
    /// Who speaks to the forge.
    pub(in crate::cli) speaker: Option<Speaker>,
    /// The key of the model's provider, for the variable that the plan names.
    pub(in crate::cli) key: Option<Secret>,
    /// The plan, relative to the repository's top.
    pub(in crate::cli) plan: RepoPath,
    /// What the gate job decided.
    pub(in crate::cli) request: Option<Request>,
    /// What the judge job found.
    pub(in crate::cli) judgement: Option<Judgement>,
    /// The directory that goes from job to job.
    pub(in crate::cli) bundle: PathBuf,
    /// What of a run's state is left in it.
    pub(in crate::cli) upload: Upload,
    /// Nothing is pushed or written at the forge.
    pub(in crate::cli) dry_run: bool,
    /// An agent may work beside a token that can write, without a sandbox.
    pub(in crate::cli) unsafe_one_job: bool,
    /// Extra arguments of `omk run`.
    pub(in crate::cli) run: RunArgs,
    /// The least time between two writes at the forge.
    pub(in crate::cli) spacing: Duration,
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

/// What part of the work is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Stage {
    /// All of it, in one job.
    Whole,
    /// Decide.
    Gate,
    /// Work.
    Run,
    /// Run the gates again.
    Judge,
    /// Deliver.
    Publish,
}

/// Who speaks to the forge.
#[derive(Debug)]
pub(in crate::cli) enum Speaker {
    /// Whoever the token is.
    Token(Secret),
    /// An App, for whose installation a token is minted when it is needed.
    App {
        /// Its number.
        id: u64,
        /// Its key, as PEM.
        private_key: Secret,
    },
}

/// What of a run's state is left in the bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Upload {
    /// Journal, proofs, logs and commits.
    State,
    /// Cassette and transcripts too.
    Full,
    /// Only what the next job needs.
    None,
}

/// Whose machine a job is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Machine {
    /// The forge's: a new one for each job, where the runner's user may become root.
    Hosted,
    /// Somebody's own, or not said.
    OwnOrUnknown,
}

/// Extra arguments of `omk run`: how to work, never what to work on, which the gate job decides.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "args", no_binary_name = true, disable_help_flag = true)]
pub(in crate::cli) struct RunArgs {
    #[command(flatten)]
    pub(in crate::cli) how: How,
    /// Start nothing more once a task has failed for good
    #[arg(long)]
    pub(in crate::cli) fail_fast: bool,
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

    fn parse(caller: &Caller, secrets: BTreeMap<String, Secret>) -> Result<Self, Failure> {
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
            commit: caller.text("GITHUB_SHA").and_then(|commit| commit.parse().ok()),
            ref_name: caller.text("GITHUB_REF_NAME").map(str::to_owned),
            workspace: directory(caller, "GITHUB_WORKSPACE")?,
            output: path(caller, "GITHUB_OUTPUT"),
            summary: path(caller, "GITHUB_STEP_SUMMARY"),
            temp,
            machine: match caller.text("RUNNER_ENVIRONMENT") {
                Some("github-hosted") => Machine::Hosted,
                Some(_) | None => Machine::OwnOrUnknown,
            },
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

    /// A token to speak to the forge with: the one that was given, or one of the App that is good for an hour.
    ///
    /// # Errors
    /// Where none was given, or the forge does not mint one.
    pub(in crate::cli) async fn token(&self) -> Result<Secret, Failure> {
        match &self.inputs.speaker {
            Some(Speaker::Token(token)) => Ok(token.clone()),
            Some(Speaker::App { id, private_key }) => {
                let minted = GitHub::app_token(&self.api, &self.repository, *id, private_key).await;
                minted.map_err(|error| {
                    forge(&error).hint("check `app-id` and `app-private-key`, and that the App is installed here")
                })
            }
            None => Err(Failure::new(Kind::Blocked, "there is no token to speak to the forge with")
                .hint("give the action `token: ${{ github.token }}`, or `app-id` and `app-private-key`")),
        }
    }

    /// The repository at the forge.
    ///
    /// # Errors
    /// Where there is no token.
    pub(in crate::cli) async fn github(&self) -> Result<GitHub, Failure> {
        let site = Site {
            api: self.api.clone(),
            repository: self.repository.clone(),
            token: self.token().await?,
            spacing: self.inputs.spacing,
        };
        GitHub::new(site).map_err(|error| forge(&error))
    }
}

/// The forge's trouble, at the edge: a right that a person can grant, or the machine.
pub(in crate::cli) fn forge(error: &ForgeError) -> Failure {
    let kind = match error {
        ForgeError::Unauthorized { .. } | ForgeError::Forbidden { .. } | ForgeError::NotFound { .. } => Kind::Blocked,
        ForgeError::Limited { .. } => Kind::Blocked,
        ForgeError::Refused { .. } | ForgeError::Unavailable { .. } | ForgeError::Nonsense { .. } => Kind::Infra,
    };
    Failure::new(kind, format!("failed to {error}"))
}

impl EventName {
    fn named(name: &str) -> Self {
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

impl Inputs {
    fn parse(
        caller: &Caller,
        secrets: &BTreeMap<String, Secret>,
        temp: &Path,
        repository: &str,
    ) -> Result<Self, Failure> {
        let secret = |name: &str| secrets.get(name).filter(|secret| !secret.expose().trim().is_empty()).cloned();
        Ok(Self {
            stage: stage(caller.text("OMK_COMMAND").unwrap_or_default())?,
            speaker: speaker(caller, secret("OMK_TOKEN"), secret("OMK_APP_PRIVATE_KEY"))?,
            key: secret("OMK_KEY"),
            plan: plan(caller.text("OMK_PLAN").unwrap_or(super::super::plan_file::USUAL))?,
            request: match caller.text("OMK_REQUEST") {
                Some(json) => Some(request(json, repository)?),
                None => None,
            },
            judgement: match caller.text("OMK_JUDGEMENT") {
                Some(json) => Some(judgement(json)?),
                None => None,
            },
            bundle: path(caller, "OMK_BUNDLE").unwrap_or_else(|| temp.join("omk-bundle")),
            upload: upload(caller.text("OMK_UPLOAD").unwrap_or("state"))?,
            dry_run: truth(caller, "OMK_DRY_RUN")?,
            unsafe_one_job: truth(caller, "OMK_UNSAFE_ONE_JOB")?,
            run: run_args(caller.text("OMK_ARGS").unwrap_or_default())?,
            spacing: match caller.text("OMK_WRITE_SPACING") {
                Some(text) => humantime::parse_duration(text)
                    .map_err(|_| wrong("OMK_WRITE_SPACING", "a duration with its unit, like `1s` or `500ms`"))?,
                None => SPACING,
            },
        })
    }
}

fn stage(command: &str) -> Result<Stage, Failure> {
    match command {
        "" => Ok(Stage::Whole),
        "gate" => Ok(Stage::Gate),
        "run" => Ok(Stage::Run),
        "judge" => Ok(Stage::Judge),
        "publish" => Ok(Stage::Publish),
        _ => Err(wrong("OMK_COMMAND", "`gate`, `run`, `judge`, `publish`, or nothing for all in one job")),
    }
}

fn upload(what: &str) -> Result<Upload, Failure> {
    match what {
        "state" => Ok(Upload::State),
        "full" => Ok(Upload::Full),
        "none" => Ok(Upload::None),
        _ => Err(wrong("OMK_UPLOAD", "`state`, `full` or `none`")),
    }
}

fn speaker(caller: &Caller, token: Option<Secret>, private_key: Option<Secret>) -> Result<Option<Speaker>, Failure> {
    match (caller.text("OMK_APP_ID"), private_key) {
        (Some(id), Some(private_key)) => {
            let id = id.trim().parse().map_err(|_| wrong("OMK_APP_ID", "the App's number"))?;
            Ok(Some(Speaker::App { id, private_key }))
        }
        (Some(_), None) => Err(Failure::new(Kind::Usage, "`app-id` is given without `app-private-key`")
            .hint("give both, or neither; a secret that is not set for this event or environment is empty")),
        (None, Some(_)) => Err(Failure::new(Kind::Usage, "`app-private-key` is given without `app-id`")),
        (None, None) => Ok(token.map(Speaker::Token)),
    }
}

fn plan(text: &str) -> Result<RepoPath, Failure> {
    // The quoted form is for bytes that are no text, and nobody writes it here.
    let parsed = text.parse().ok().filter(|_| !text.starts_with('"'));
    parsed.ok_or_else(|| wrong("OMK_PLAN", "a path from the repository's top, like `omk.yaml` or `ci/omk.yaml`"))
}

fn run_args(text: &str) -> Result<RunArgs, Failure> {
    let words = shlex::split(text).ok_or_else(|| wrong("OMK_ARGS", "words as a shell splits them: a quote is open"))?;
    RunArgs::try_parse_from(words).map_err(|error| {
        let said = error.render().to_string();
        let said = said.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Failure::new(Kind::Usage, format!("OMK_ARGS cannot be used: {}", crate::text::clip(&said, 300)))
            .hint("there are `--workers N`, `--limits …`, `--cassette DIR`, `--fail-fast` and `--json`")
    })
}

fn request(json: &str, repository: &str) -> Result<Request, Failure> {
    let request: Request = handed_over("OMK_REQUEST", json, "gate")?;
    if request.version != request::VERSION {
        return Err(other_version("OMK_REQUEST", request.version));
    }
    if request.repository != repository {
        return Err(Failure::new(Kind::Usage, "the request in OMK_REQUEST is about another repository"));
    }
    Ok(request)
}

fn judgement(json: &str) -> Result<Judgement, Failure> {
    let judgement: Judgement = handed_over("OMK_JUDGEMENT", json, "judge")?;
    if judgement.version != request::VERSION {
        return Err(other_version("OMK_JUDGEMENT", judgement.version));
    }
    Ok(judgement)
}

fn handed_over<T: serde::de::DeserializeOwned>(name: &str, json: &str, job: &str) -> Result<T, Failure> {
    let refuse = |why: String| {
        Failure::new(Kind::Usage, format!("{name} is not what the {job} job wrote: {why}"))
            .hint("hand on the job's output as it is, from a step of the same version of the action")
    };
    if json.len() > HANDED_OVER {
        return Err(refuse("it is larger than 1 MiB".to_owned()));
    }
    serde_json::from_str(json).map_err(|error| refuse(format!("line {}, column {}", error.line(), error.column())))
}

fn other_version(name: &str, version: u32) -> Failure {
    Failure::new(Kind::Usage, format!("{name} is of version {version}, and this omk knows {}", request::VERSION))
        .hint("use the same version of the action in every job of a workflow")
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

fn truth(caller: &Caller, name: &str) -> Result<bool, Failure> {
    match caller.text(name) {
        Some("true") => Ok(true),
        Some("false") | None => Ok(false),
        Some(_) => Err(wrong(name, "`true` or `false`")),
    }
}

fn directory(caller: &Caller, name: &str) -> Result<PathBuf, Failure> {
    let path = path(caller, name).ok_or_else(|| missing(name))?;
    if path.is_absolute() { Ok(path) } else { Err(wrong(name, "an absolute path")) }
}

fn path(caller: &Caller, name: &str) -> Option<PathBuf> {
    caller.text(name).map(PathBuf::from)
}

fn required<'a>(caller: &'a Caller, name: &str) -> Result<&'a str, Failure> {
    caller.text(name).ok_or_else(|| missing(name))
}

fn missing(name: &str) -> Failure {
    Failure::new(Kind::Usage, format!("the variable {name} is not set"))
        .hint("`omk ci` is what the action runs in a workflow's job; on your machine, use `omk run`")
}

fn wrong(name: &str, expected: &str) -> Failure {
    Failure::new(Kind::Usage, format!("the variable {name} is not right: it must be {expected}"))
}

#[cfg(test)]
mod tests;
