//! Who speaks for `omk publish`: the forge and the remote of the request's repository, by the
//! variables that a runner sets.
//!
//! It refuses to take an address or a token from anywhere else, and it says which variable is
//! missing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{CommandFailure, FailureKind};
use crate::exec::environment::Caller;
use crate::exec::secret::Secret;
use crate::forge::{Forge, GitHub, GitHubSite, GitLab, GitLabSite, GitLabToken};
use crate::git::Remote;
use crate::request::Request;
use crate::text::ForgeKind;

/// The least time between two writes, where nobody says otherwise.
const SPACING: Duration = Duration::from_secs(1);

/// The forge and the remote that the request's result goes to.
pub(super) fn speak(
    caller: &Caller,
    secrets: &BTreeMap<String, Secret>,
    request: &Request,
) -> Result<(Forge, Remote), CommandFailure> {
    let spacing = match caller.text("OMK_WRITE_SPACING") {
        None => SPACING,
        Some(text) => humantime::parse_duration(text).map_err(|_| {
            CommandFailure::new(
                FailureKind::Usage,
                "the variable OMK_WRITE_SPACING is not right: it must be a duration like `1s`",
            )
        })?,
    };
    match request.forge {
        ForgeKind::GitHub => at_github(caller, secrets, request, spacing),
        ForgeKind::GitLab => at_gitlab(caller, secrets, request, spacing),
    }
}

fn at_github(
    caller: &Caller,
    secrets: &BTreeMap<String, Secret>,
    request: &Request,
    spacing: Duration,
) -> Result<(Forge, Remote), CommandFailure> {
    let token = token(secrets, "GITHUB_TOKEN")?;
    let site = GitHubSite {
        api: address(caller, "GITHUB_API_URL", "https://api.github.com"),
        repository: request.repository.clone(),
        token: token.clone(),
        spacing,
    };
    let url = format!(
        "{}/{}.git",
        address(caller, "GITHUB_SERVER_URL", "https://github.com"),
        request.repository
    );
    Ok((
        Forge::GitHub(GitHub::new(site)?),
        Remote::new(&url, Some(token)).map_err(super::git)?,
    ))
}

fn at_gitlab(
    caller: &Caller,
    secrets: &BTreeMap<String, Secret>,
    request: &Request,
    spacing: Duration,
) -> Result<(Forge, Remote), CommandFailure> {
    let token = token(secrets, "GITLAB_TOKEN")?;
    let server = address(caller, "CI_SERVER_URL", "https://gitlab.com");
    let project = caller
        .text("CI_PROJECT_ID")
        .and_then(|id| id.parse().ok())
        .filter(|&id: &u64| id > 0);
    let project = project.ok_or_else(|| {
        CommandFailure::new(
            FailureKind::Usage,
            "the variable CI_PROJECT_ID is not the number of the project",
        )
        .hint("it is in the project's settings, under General; a job of a pipeline has it")
    })?;
    let authorities = caller
        .text("CI_SERVER_TLS_CA_FILE")
        .map(PathBuf::from)
        .filter(|file| file.is_file());
    let site = GitLabSite {
        api: address(caller, "CI_API_V4_URL", &format!("{server}/api/v4")),
        project,
        token: GitLabToken::Access(token.clone()),
        spacing,
        authorities: authorities.clone(),
    };
    let remote = Remote::new(&format!("{server}/{}.git", request.repository), Some(token))
        .map_err(super::git)?;
    Ok((
        Forge::GitLab(GitLab::new(site)?),
        remote.as_user("oauth2").trusting(authorities),
    ))
}

fn token(secrets: &BTreeMap<String, Secret>, usual: &str) -> Result<Secret, CommandFailure> {
    let found = ["OMK_TOKEN", usual]
        .into_iter()
        .find_map(|name| secrets.get(name));
    found.cloned().ok_or_else(|| {
        CommandFailure::new(FailureKind::Blocked, "there is no token to publish with")
            .hint(format!("set OMK_TOKEN or {usual}, for this command alone"))
    })
}

fn address(caller: &Caller, name: &str, usual: &str) -> String {
    caller
        .text(name)
        .unwrap_or(usual)
        .trim_end_matches('/')
        .to_owned()
}

#[cfg(test)]
mod tests;
