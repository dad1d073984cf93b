//! What GitHub's runner tells of itself and of what started the workflow.

use std::path::PathBuf;

use super::super::inputs::{ForgeLogin, Inputs};
use super::variables::{Variables, repository};
use super::{EventName, ForgeAccess, ForgeJob, Machine, Runner, RunnerSource};
use crate::cli::{CommandFailure, FailureKind};
use crate::exec::environment::Caller;
use crate::exec::secret::Secret;
use crate::forge::{Forge, GitHub, GitHubSite, Installation};
use crate::request;
use crate::text::ForgeKind;

/// Whom GitHub takes a token from.
const USER: &str = "x-access-token";

/// A job of a workflow.
#[derive(Debug)]
pub(in crate::cli) struct Workflow {
    /// What happened.
    pub(in crate::cli) event: EventName,
    /// The event's payload, as a file.
    pub(in crate::cli) event_path: PathBuf,
    /// Where the step's outputs go.
    pub(in crate::cli) output: Option<PathBuf>,
    /// Where the job's summary goes.
    pub(in crate::cli) summary: Option<PathBuf>,
}

pub(super) fn parse(asked: RunnerSource<'_>) -> Result<Runner, CommandFailure> {
    let variables = Variables {
        caller: asked.caller,
        forge: ForgeKind::GitHub,
    };
    if asked.poll {
        return Err(CommandFailure::new(
            FailureKind::Usage,
            "`--poll` is for GitLab, and GITLAB_CI is not set",
        )
        .hint("at GitHub a comment starts the workflow by itself: `on: issue_comment`"));
    }
    let server = variables.url("GITHUB_SERVER_URL", Some("https://github.com"))?;
    let repository = repository(
        "GITHUB_REPOSITORY",
        variables.required("GITHUB_REPOSITORY")?,
        ForgeKind::GitHub,
    )?;
    let id = variables.number("GITHUB_RUN_ID")?;
    let attempt = variables.number_or("GITHUB_RUN_ATTEMPT", 1)?;
    let temp = variables.directory("RUNNER_TEMP")?;
    let url = format!("{server}/{repository}");
    let attempt = u32::try_from(attempt)
        .map_err(|_| super::wrong("GITHUB_RUN_ATTEMPT", "a whole number from 1"))?;
    let bundle = variables
        .path("OMK_BUNDLE")
        .unwrap_or_else(|| temp.join("omk-bundle"));
    let inputs = Inputs::parse(
        asked.caller,
        &asked.secrets,
        bundle,
        &repository,
        ForgeKind::GitHub,
    )?;
    let event_path = variables
        .path("GITHUB_EVENT_PATH")
        .ok_or_else(|| variables.missing("GITHUB_EVENT_PATH"))?;
    Ok(Runner {
        forge: ForgeKind::GitHub,
        host: ForgeJob::GitHub(Workflow {
            event: EventName::named(variables.required("GITHUB_EVENT_NAME")?),
            event_path,
            output: variables.path("GITHUB_OUTPUT"),
            summary: variables.path("GITHUB_STEP_SUMMARY"),
        }),
        api: variables.url("GITHUB_API_URL", Some("https://api.github.com"))?,
        workflow: request::StartedBy {
            id,
            attempt,
            url: format!("{url}/actions/runs/{id}"),
        },
        url,
        repository,
        ref_name: asked.caller.text("GITHUB_REF_NAME").map(str::to_owned),
        temp,
        machine: machine(asked.caller),
        inputs,
        secrets: asked.secrets,
    })
}

/// Whose machine it is. A person's own that only looks like a hosted one, under a runner such as
/// act, keeps its sudo.
fn machine(caller: &Caller) -> Machine {
    let is = |name: &str, value: &str| caller.text(name) == Some(value);
    let hosted = is("GITHUB_ACTIONS", "true")
        && is("RUNNER_ENVIRONMENT", "github-hosted")
        && caller.text("ImageVersion").is_some()
        && caller.text("ACT").is_none();
    if hosted {
        Machine::Hosted
    } else {
        Machine::OwnOrUnknown
    }
}

/// With the token that was given, or one of the App that is good for an hour.
pub(super) async fn access(runner: &Runner) -> Result<ForgeAccess, CommandFailure> {
    let site = |token: Secret| GitHubSite {
        api: runner.api.clone(),
        repository: runner.repository.clone(),
        token,
        spacing: runner.inputs.spacing,
    };
    match &runner.inputs.speaker {
        Some(ForgeLogin::Token(token)) => {
            let forge = Forge::GitHub(GitHub::new(site(token.clone()))?);
            Ok(ForgeAccess {
                forge,
                token: token.clone(),
                user: USER,
            })
        }
        Some(ForgeLogin::App { id, private_key }) => {
            let minted =
                GitHub::installation(&runner.api, &runner.repository, *id, private_key).await;
            let Installation { token, slug } = minted.map_err(|error| {
                super::forge(&error).hint(
                    "check `app-id` and `app-private-key`, and that the App is installed here",
                )
            })?;
            let forge = Forge::GitHub(GitHub::new(site(token.clone()))?.as_app(&slug));
            Ok(ForgeAccess {
                forge,
                token,
                user: USER,
            })
        }
        None => Err(CommandFailure::new(
            FailureKind::Blocked,
            "there is no token to speak to the forge with",
        )
        .hint("give the action `token: ${{ github.token }}`, or `app-id` and `app-private-key`")),
    }
}
