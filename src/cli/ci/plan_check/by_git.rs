//! The plans of a merge request, fetched with the job's own token: where a pipeline has no other,
//! as that of a fork.
//!
//! Head and target are what the pipeline's variables say. It refuses to ask the API anything, and
//! to run anything of what was fetched.

use super::super::event::Proposal;
use super::super::plans::{CommitSource, ForPull, Plans};
use super::super::runner::Pipeline;
use super::super::{CommandFailure, FailureKind, JobStep};
use crate::deliver::full;
use crate::git::{FetchTarget, GitError, Remote, Repo};
use crate::plan::Permission;

/// The plans, and who may approve one: where the default branch says so.
pub(super) fn plans(
    step: &JobStep,
    pipeline: &Pipeline,
    proposal: &Proposal,
) -> Result<(ForPull, Option<Permission>), CommandFailure> {
    let (user, token) = step.runner.job_token().ok_or_else(|| {
        CommandFailure::new(
            FailureKind::Blocked,
            "neither OMK_TOKEN nor CI_JOB_TOKEN is set, so nothing can be fetched",
        )
        .hint("a runner of GitLab's sets CI_JOB_TOKEN in every job")
    })?;
    let source = step.runner.remote(user, &token)?;
    let target = match &pipeline.target_url {
        Some(url) => step.runner.remote_at(url, user, &token)?,
        None => source.clone(),
    };
    let dir = step.scratch()?;
    let repo = Repo::empty(dir.path()).map_err(crate::cli::git)?;
    let tip = |remote: &Remote, wanted: FetchTarget| -> Result<_, GitError> {
        let found = repo.fetch(remote, &[wanted])?;
        found.into_iter().next().ok_or(GitError::UnknownRevision {
            rev: "the fetched commit".into(),
            next: None,
        })
    };
    let base = tip(&target, FetchTarget::Ref(full(&proposal.base))).map_err(crate::cli::git)?;
    let head = tip(&source, FetchTarget::Commit(proposal.head.clone())).map_err(crate::cli::git)?;
    let plans = Plans::new(
        CommitSource::Git(&repo),
        &step.runner.inputs.plan,
        &step.runner.repository,
    );
    let (branch, default) = (&proposal.base, pipeline.default_branch.as_ref());
    let found = step.wait(plans.of_pull(branch, &base, &head))?;
    let rules = match default {
        Some(default) if default != branch => tip(&target, FetchTarget::Ref(full(default))).ok(),
        Some(_) | None => Some(base),
    };
    // Who may approve is told where it is known, and decides nothing here.
    let permission = match rules {
        Some(rules) => step.wait(plans.at(default.unwrap_or(branch), &rules))?.ok(),
        None => None,
    };
    Ok((
        found,
        permission.map(|found| found.plan.commands.permission),
    ))
}
