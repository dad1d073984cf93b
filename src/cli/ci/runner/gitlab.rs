//! What GitLab's runner tells of itself and of what started the pipeline; and which token each job
//! speaks with.
//!
//! `CI_JOB_TOKEN` may hardly do anything, and an agent may come near the job that has it, so it
//! fetches and no more. It refuses to write anything with it.

use std::path::PathBuf;

use super::super::handed::{BUNDLE, OUT};
use super::super::inputs::{ForgeLogin, Inputs, JobStage, truth};
use super::variables::{Variables, repository};
use super::{ForgeAccess, ForgeJob, Machine, Runner, RunnerSource, wrong};
use crate::cli::{CommandFailure, FailureKind};
use crate::exec::secret::Secret;
use crate::forge::{Forge, GitLab, GitLabSite, GitLabToken};
use crate::id::CommitId;
use crate::request;
use crate::text::ForgeKind;

/// The user of a job's token.
const JOB: &str = "gitlab-ci-token";

/// Whom GitLab takes an access token from.
const ACCESS: &str = "oauth2";

/// A job of a pipeline.
#[derive(Debug, Default)]
pub(in crate::cli) struct Pipeline {
    /// What started it: `schedule`, `trigger`.
    pub(in crate::cli) source: String,
    /// A webhook's payload, as a file.
    pub(in crate::cli) payload: Option<PathBuf>,
    /// The number of this project.
    pub(in crate::cli) project: u64,
    /// The default branch, as the runner has it.
    pub(in crate::cli) default_branch: Option<String>,
    /// Who started it.
    pub(in crate::cli) actor: String,
    /// Tasks by name, for a maintenance run.
    pub(in crate::cli) tasks: String,
    /// Comments are to be looked for.
    pub(in crate::cli) poll: bool,
    /// The merge request, in a pipeline of one.
    pub(in crate::cli) merge_request: Option<MergeRequest>,
    /// The address for git of the project that the merge request is to be merged in.
    pub(in crate::cli) target_url: Option<String>,
    /// Where the runner puts a checkout, if it makes one.
    pub(in crate::cli) directory: PathBuf,
    /// Where files go from job to job.
    pub(in crate::cli) out: PathBuf,
    /// Certificates to trust besides the system's.
    pub(in crate::cli) authorities: Option<PathBuf>,
    /// The name of the job that runs.
    pub(in crate::cli) run_job: String,
    /// The name of the job that judges.
    pub(in crate::cli) judge_job: String,
}

/// A merge request, as it was when its pipeline was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct MergeRequest {
    /// Its number in its project.
    pub(in crate::cli) number: u64,
    /// The commit that is to be merged.
    pub(in crate::cli) head: CommitId,
    /// The number of the project that has it.
    pub(in crate::cli) source_project: Option<u64>,
    /// The number of the project that it is to be merged in.
    pub(in crate::cli) project: u64,
    /// The branch that it is to be merged into.
    pub(in crate::cli) target: String,
}

pub(super) fn parse(asked: RunnerSource<'_>) -> Result<Runner, CommandFailure> {
    let variables = Variables {
        caller: asked.caller,
        forge: ForgeKind::GitLab,
    };
    let repository = repository(
        "CI_PROJECT_PATH",
        variables.required("CI_PROJECT_PATH")?,
        ForgeKind::GitLab,
    )?;
    let server = variables.url("CI_SERVER_URL", None)?;
    let url = format!("{server}/{repository}");
    let url = variables.url("CI_PROJECT_URL", Some(&url))?;
    let id = variables.number("CI_PIPELINE_ID")?;
    let directory = variables.directory("CI_PROJECT_DIR")?;
    let out = directory.join(OUT);
    let inputs = Inputs::parse(
        asked.caller,
        &asked.secrets,
        out.join(BUNDLE),
        &repository,
        ForgeKind::GitLab,
    )?;
    let named = |name: &str, usual: &str| variables.text(name).unwrap_or_else(|| usual.to_owned());
    let project = variables.number("CI_PROJECT_ID")?;
    let (run_job, judge_job) = (
        named("OMK_RUN_JOB", "omk-run"),
        named("OMK_JUDGE_JOB", "omk-judge"),
    );
    if run_job == judge_job {
        // What an agent was near would be believed of the judge.
        return Err(wrong(
            "OMK_JUDGE_JOB",
            "the name of another job than OMK_RUN_JOB",
        ));
    }
    Ok(Runner {
        forge: ForgeKind::GitLab,
        host: ForgeJob::GitLab(Box::new(Pipeline {
            source: variables.required("CI_PIPELINE_SOURCE")?.to_owned(),
            payload: variables.path("TRIGGER_PAYLOAD"),
            project,
            default_branch: variables.text("CI_DEFAULT_BRANCH"),
            actor: named("GITLAB_USER_LOGIN", "somebody"),
            tasks: named("OMK_TASKS", ""),
            poll: asked.poll || truth(asked.caller, "OMK_POLL")?,
            merge_request: merge_request(&variables, project)?,
            target_url: variables
                .text("CI_MERGE_REQUEST_PROJECT_URL")
                .map(|url| format!("{url}.git")),
            directory,
            out,
            authorities: variables
                .path("CI_SERVER_TLS_CA_FILE")
                .filter(|file| file.is_file()),
            run_job,
            judge_job,
        })),
        api: variables.url("CI_API_V4_URL", Some(&format!("{server}/api/v4")))?,
        workflow: request::StartedBy {
            id,
            attempt: 1,
            url: format!("{url}/-/pipelines/{id}"),
        },
        url,
        repository,
        ref_name: variables.text("CI_COMMIT_REF_NAME"),
        temp: temp(&variables)?,
        machine: Machine::OwnOrUnknown,
        inputs,
        secrets: asked.secrets,
    })
}

/// A directory for what is thrown away. The runner tells of none of its own.
fn temp(variables: &Variables<'_>) -> Result<PathBuf, CommandFailure> {
    match variables.path("TMPDIR") {
        Some(_) => variables.directory("TMPDIR"),
        None => Ok(PathBuf::from("/tmp")),
    }
}

fn merge_request(
    variables: &Variables<'_>,
    project: u64,
) -> Result<Option<MergeRequest>, CommandFailure> {
    if variables.text("CI_MERGE_REQUEST_IID").is_none() {
        return Ok(None);
    }
    // Only a pipeline of a merged result has a commit of its own, and then this is the one that is
    // to be merged.
    let name = match variables.text("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") {
        Some(_) => "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA",
        None => "CI_COMMIT_SHA",
    };
    let head = variables
        .required(name)?
        .parse()
        .map_err(|_| wrong(name, "a commit's 40 hex digits"))?;
    Ok(Some(MergeRequest {
        number: variables.number("CI_MERGE_REQUEST_IID")?,
        head,
        source_project: match variables.text("CI_MERGE_REQUEST_SOURCE_PROJECT_ID") {
            Some(_) => Some(variables.number("CI_MERGE_REQUEST_SOURCE_PROJECT_ID")?),
            None => None,
        },
        project: variables.number_or("CI_MERGE_REQUEST_PROJECT_ID", project)?,
        target: variables
            .required("CI_MERGE_REQUEST_TARGET_BRANCH_NAME")?
            .to_owned(),
    }))
}

/// Who speaks in which job: the API hears `OMK_TOKEN`, and so does git where it pushes; where it
/// only fetches it is shown the job's own token.
pub(super) fn access(runner: &Runner, pipeline: &Pipeline) -> Result<ForgeAccess, CommandFailure> {
    let given = match &runner.inputs.speaker {
        Some(ForgeLogin::Token(token)) => Some(token.clone()),
        Some(ForgeLogin::App { .. }) | None => None,
    };
    let job = runner.secrets.get("CI_JOB_TOKEN").cloned();
    let stage = runner.inputs.stage;
    let speaks = match (stage, &given, &job) {
        (_, Some(token), _) => GitLabToken::Access(token.clone()),
        (JobStage::Run, None, Some(job)) => GitLabToken::Job(job.clone()),
        (
            JobStage::Whole
            | JobStage::Intake
            | JobStage::Run
            | JobStage::Judge
            | JobStage::Publish,
            None,
            _,
        ) => {
            return Err(no_token(stage));
        }
    };
    let (user, token) = match (stage, given, job) {
        (JobStage::Run | JobStage::Judge, _, Some(job)) => (JOB, job),
        (_, Some(token), _) => (ACCESS, token),
        (_, None, _) => return Err(no_token(stage)),
    };
    Ok(ForgeAccess {
        forge: client(runner, pipeline, speaks)?,
        token,
        user,
    })
}

/// The job's own token, for git; where a pipeline of a merge request has no other.
pub(super) fn job_token(runner: &Runner) -> Option<(&'static str, Secret)> {
    runner
        .secrets
        .get("CI_JOB_TOKEN")
        .map(|token| (JOB, token.clone()))
}

fn client(
    runner: &Runner,
    pipeline: &Pipeline,
    token: GitLabToken,
) -> Result<Forge, CommandFailure> {
    Ok(Forge::GitLab(GitLab::new(GitLabSite {
        api: runner.api.clone(),
        project: pipeline.project,
        token,
        spacing: runner.inputs.spacing,
        authorities: pipeline.authorities.clone(),
    })?))
}

/// What is missing, and how a maintainer gives it.
fn no_token(stage: JobStage) -> CommandFailure {
    let (job, scopes) = match stage {
        JobStage::Whole => ("this job", "`api` and `write_repository`"),
        JobStage::Intake => ("the job `omk-intake`", "`api`"),
        JobStage::Run => ("the job `omk-run`", "`read_api`"),
        JobStage::Judge => ("the job `omk-judge`", "`read_api`"),
        JobStage::Publish => ("the job `omk-publish`", "`api` and `write_repository`"),
    };
    let scope = match stage {
        JobStage::Whole => "of this job (`omk/one-job` in the example)".to_owned(),
        JobStage::Intake | JobStage::Run | JobStage::Judge | JobStage::Publish => {
            format!("`omk/{}`", stage.as_str())
        }
    };
    // Developer everywhere: who is less gets no artifact that is for developers.
    let failure = CommandFailure::new(
        FailureKind::Blocked,
        format!("the variable OMK_TOKEN is not set, so {job} has nobody to speak to GitLab as"),
    )
    .hint(format!("make an access token of an account with the role Developer here, with the scopes {scopes}"))
    .hint(format!("set it as the CI/CD variable OMK_TOKEN, masked and protected, with the environment scope {scope}"))
    .hint("a protected variable reaches only pipelines of protected branches, as the default branch is one");
    match stage {
        JobStage::Intake | JobStage::Publish => failure.hint(
            "intake and publish need tokens of one account: GitLab lets nobody else close a status that an account opened, and \
             each project access token is an account of its own; examples/gitlab/README.md says how",
        ),
        JobStage::Whole | JobStage::Run | JobStage::Judge => failure,
    }
}
