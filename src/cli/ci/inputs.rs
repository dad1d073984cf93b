//! The action's inputs, parsed once: what is to be done, as whom, with which plan and which limits.
//!
//! Whole jobs speak through them too: what a gate or judge job decided arrives here. It refuses
//! what is malformed, with the name of the variable, and arguments that would change what the
//! intake job decided.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser as _;

use super::super::args::How;
use super::super::{CommandFailure, FailureKind};
use super::runner::wrong;
use crate::exec::environment::Caller;
use crate::exec::secret::Secret;
use crate::id::RepoPath;
use crate::request::{self, Judgement, Request};
use crate::text::ForgeKind;

/// Job outputs hold at most 1 MiB, so a request or a judgement cannot be larger.
pub(super) const HANDED_OVER: usize = 1 << 20;

/// What a workflow's person gave as `OMK_WRITE_SPACING` where they gave nothing: GitHub's secondary
/// limit is 80 writes a minute, and a second keeps below it.
const SPACING: Duration = Duration::from_secs(1);

/// The action's inputs.
#[derive(Debug)]
pub(in crate::cli) struct Inputs {
    /// What part of the work is to be done.
    pub(in crate::cli) stage: JobStage,
    /// Who speaks to the forge.
    pub(in crate::cli) speaker: Option<ForgeLogin>,
    /// The key of the model's provider, for the variable that the plan names.
    pub(in crate::cli) key: Option<Secret>,
    /// The plan, relative to the repository's top.
    pub(in crate::cli) plan: RepoPath,
    /// What the intake job decided.
    pub(in crate::cli) request: Option<Request>,
    /// What the judge job found.
    pub(in crate::cli) judgement: Option<Judgement>,
    /// Why the run could not start, as the run job has it. For show only.
    pub(in crate::cli) trouble: Option<String>,
    /// How the forge says that the run job ended: `cancelled`, `failure`.
    pub(in crate::cli) run_result: Option<String>,
    /// The directory that goes from job to job.
    pub(in crate::cli) bundle: PathBuf,
    /// What of a run's state is left in it.
    pub(in crate::cli) upload: UploadInput,
    /// Nothing is pushed or written at the forge.
    pub(in crate::cli) dry_run: bool,
    /// An agent may work beside a token that can write, without a sandbox.
    pub(in crate::cli) unsafe_one_job: bool,
    /// Extra arguments of `omk run`.
    pub(in crate::cli) run: RunArgs,
    /// The least time between two writes at the forge.
    pub(in crate::cli) spacing: Duration,
}

/// What part of the work is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum JobStage {
    /// All of it, in one job.
    Whole,
    /// Decide.
    Intake,
    /// Work.
    Run,
    /// Run the gates again.
    Judge,
    /// Deliver.
    Publish,
}

/// Who speaks to the forge.
#[derive(Debug)]
pub(in crate::cli) enum ForgeLogin {
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
pub(in crate::cli) enum UploadInput {
    /// Journal, proofs, logs and commits.
    State,
    /// Cassette and transcripts too.
    Full,
    /// Only what the next job needs.
    None,
}

/// Extra arguments of `omk run`: how to work, never what to work on, which the intake job decides.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "args", no_binary_name = true, disable_help_flag = true)]
pub(in crate::cli) struct RunArgs {
    #[command(flatten)]
    pub(in crate::cli) how: How,
    /// Start nothing more once a task has failed for good
    #[arg(long)]
    pub(in crate::cli) fail_fast: bool,
}

impl JobStage {
    /// As `OMK_COMMAND` names it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "",
            Self::Intake => "intake",
            Self::Run => "run",
            Self::Judge => "judge",
            Self::Publish => "publish",
        }
    }
}

impl Inputs {
    /// `bundle` is the directory that goes from job to job.
    pub(super) fn parse(
        caller: &Caller,
        secrets: &BTreeMap<String, Secret>,
        bundle: PathBuf,
        repository: &str,
        forge: ForgeKind,
    ) -> Result<Self, CommandFailure> {
        // GitLab's jobs hand on files: a variable may come from a report of a job that an agent was
        // in.
        let handed = |name: &str| match forge {
            ForgeKind::GitHub => caller.text(name),
            ForgeKind::GitLab => None,
        };
        let (app, app_key) = match forge {
            ForgeKind::GitHub => (caller.text("OMK_APP_ID"), "OMK_APP_PRIVATE_KEY"),
            ForgeKind::GitLab => (None, ""),
        };
        let secret = |name: &str| {
            secrets
                .get(name)
                .filter(|secret| !secret.expose().trim().is_empty())
                .cloned()
        };
        Ok(Self {
            stage: stage(caller.text("OMK_COMMAND").unwrap_or_default())?,
            speaker: speaker(app, secret("OMK_TOKEN"), secret(app_key))?,
            key: secret("OMK_KEY"),
            plan: plan(
                caller
                    .text("OMK_PLAN")
                    .unwrap_or(super::super::plan_file::USUAL),
            )?,
            request: match handed("OMK_REQUEST") {
                Some(json) => Some(request("OMK_REQUEST", json, repository)?),
                None => None,
            },
            judgement: match handed("OMK_JUDGEMENT") {
                Some(json) => Some(judgement("OMK_JUDGEMENT", json)?),
                None => None,
            },
            trouble: handed("OMK_TROUBLE").map(str::to_owned),
            run_result: handed("OMK_RUN_RESULT").map(str::to_owned),
            bundle,
            upload: upload(caller.text("OMK_UPLOAD").unwrap_or("state"))?,
            dry_run: truth(caller, "OMK_DRY_RUN")?,
            unsafe_one_job: truth(caller, "OMK_UNSAFE_ONE_JOB")?,
            run: run_args(caller.text("OMK_ARGS").unwrap_or_default())?,
            spacing: match caller.text("OMK_WRITE_SPACING") {
                Some(text) => humantime::parse_duration(text).map_err(|_| {
                    wrong(
                        "OMK_WRITE_SPACING",
                        "a duration with its unit, like `1s` or `500ms`",
                    )
                })?,
                None => SPACING,
            },
        })
    }
}

fn stage(command: &str) -> Result<JobStage, CommandFailure> {
    match command {
        "" => Ok(JobStage::Whole),
        // Up to 0.6 it was called `gate`.
        "intake" | "gate" => Ok(JobStage::Intake),
        "run" => Ok(JobStage::Run),
        "judge" => Ok(JobStage::Judge),
        "publish" => Ok(JobStage::Publish),
        _ => Err(wrong(
            "OMK_COMMAND",
            "`intake`, `run`, `judge`, `publish`, or nothing for all in one job",
        )),
    }
}

fn upload(what: &str) -> Result<UploadInput, CommandFailure> {
    match what {
        "state" => Ok(UploadInput::State),
        "full" => Ok(UploadInput::Full),
        "none" => Ok(UploadInput::None),
        _ => Err(wrong("OMK_UPLOAD", "`state`, `full` or `none`")),
    }
}

fn speaker(
    app: Option<&str>,
    token: Option<Secret>,
    private_key: Option<Secret>,
) -> Result<Option<ForgeLogin>, CommandFailure> {
    match (app, private_key) {
        (Some(id), Some(private_key)) => {
            let id = id.trim().parse().map_err(|_| wrong("OMK_APP_ID", "the App's number"))?;
            Ok(Some(ForgeLogin::App { id, private_key }))
        }
        (Some(_), None) => Err(CommandFailure::new(FailureKind::Usage, "`app-id` is given without `app-private-key`")
            .hint("give both, or neither; a secret that is not set for this event or environment is empty")),
        (None, Some(_)) => Err(CommandFailure::new(FailureKind::Usage, "`app-private-key` is given without `app-id`")),
        (None, None) => Ok(token.map(ForgeLogin::Token)),
    }
}

fn plan(text: &str) -> Result<RepoPath, CommandFailure> {
    // The quoted form is for bytes that are no text, and nobody writes it here.
    let parsed = text.parse().ok().filter(|_| !text.starts_with('"'));
    parsed.ok_or_else(|| {
        wrong(
            "OMK_PLAN",
            "a path from the repository's top, like `omk.yaml` or `ci/omk.yaml`",
        )
    })
}

fn run_args(text: &str) -> Result<RunArgs, CommandFailure> {
    let words = shlex::split(text)
        .ok_or_else(|| wrong("OMK_ARGS", "words as a shell splits them: a quote is open"))?;
    RunArgs::try_parse_from(words).map_err(|error| {
        let said = error.render().to_string();
        let said = said.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        CommandFailure::new(FailureKind::Usage, format!("OMK_ARGS cannot be used: {}", crate::text::clip(&said, 300)))
            .hint("there are `--workers N`, `--limits …`, `--cassette DIR`, `--fail-fast`, `--keep-going` and `--json`")
    })
}

/// What the intake job decided; `name` is what it came in.
pub(super) fn request(name: &str, json: &str, repository: &str) -> Result<Request, CommandFailure> {
    let request: Request = handed_over(name, json, "intake")?;
    if request.version != request::VERSION {
        return Err(other_version(name, request.version));
    }
    if request.repository != repository {
        return Err(CommandFailure::new(
            FailureKind::Usage,
            format!("the request in {name} is about another repository"),
        ));
    }
    Ok(request)
}

/// What the judge job found; `name` is what it came in.
pub(super) fn judgement(name: &str, json: &str) -> Result<Judgement, CommandFailure> {
    let judgement: Judgement = handed_over(name, json, "judge")?;
    if judgement.version != request::VERSION {
        return Err(other_version(name, judgement.version));
    }
    Ok(judgement)
}

fn handed_over<T: serde::de::DeserializeOwned>(
    name: &str,
    json: &str,
    job: &str,
) -> Result<T, CommandFailure> {
    let refuse = |why: String| {
        CommandFailure::new(
            FailureKind::Usage,
            format!("{name} is not what the {job} job wrote: {why}"),
        )
        .hint("hand it on as it is, between jobs of the same version of omk")
    };
    if json.len() > HANDED_OVER {
        return Err(refuse("it is larger than 1 MiB".to_owned()));
    }
    serde_json::from_str(json)
        .map_err(|error| refuse(format!("line {}, column {}", error.line(), error.column())))
}

fn other_version(name: &str, version: u32) -> CommandFailure {
    CommandFailure::new(
        FailureKind::Usage,
        format!(
            "{name} is of version {version}, and this omk knows {}",
            request::VERSION
        ),
    )
    .hint("use the same version of omk in every job")
}

pub(super) fn truth(caller: &Caller, name: &str) -> Result<bool, CommandFailure> {
    // GitLab makes a text of a boolean only beside something else, so the component puts a space
    // there.
    match caller.text(name).map(str::trim) {
        Some("true") => Ok(true),
        Some("false") | None => Ok(false),
        Some(_) => Err(wrong(name, "`true` or `false`")),
    }
}
