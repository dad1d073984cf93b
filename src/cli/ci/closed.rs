//! A pull request was closed: our branches for it are removed, where nobody else has worked on
//! them.
//!
//! It refuses to remove a branch whose tip is not a commit of ours, one that has moved since it was
//! looked at, and any of a pull request that is open again. Proofs stay.

use super::desk::Desk;
use super::outputs::JobAnnotationLevel;
use super::{CommandFailure, JobStep};
use crate::deliver::full;
use crate::git::{FetchTarget, GitError, RefUpdate, Remote, Repo};
use crate::history::{run_branch, task_branches};
use crate::id::Scope;
use crate::text::{self, Advised as _};

/// Removes our branches of a pull request; the job's exit code.
pub(super) async fn clean(step: &JobStep, pull: u64) -> Result<u8, CommandFailure> {
    let desk = Desk::open(step).await?;
    clean_up(&desk, pull).await?;
    Ok(0)
}

/// Removes our branches of a pull request that is closed.
pub(super) async fn clean_up(desk: &Desk<'_>, pull: u64) -> Result<(), CommandFailure> {
    let step = desk.step;
    if desk.forge.pull_request(pull).await?.open {
        let what = format!(
            "{} {pull} is open again: its branches stay",
            desk.forge.kind().pull_request()
        );
        step.outputs.say(JobAnnotationLevel::Notice, &what);
        return Ok(());
    }
    let remote = desk.remote()?;
    let dir = desk.scratch()?;
    let scope = desk.forge.scope_of(pull);
    let found = tokio::task::block_in_place(|| find(dir.path(), &remote, &scope))
        .map_err(super::super::git)?;
    for branch in &found.foreign {
        let what = format!("the branch {branch} stays: its newest commit is not omk's");
        step.outputs.say(JobAnnotationLevel::Notice, &what);
    }
    let count = text::plural(found.ours.len(), "branch");
    if found.ours.is_empty() || step.runner.inputs.dry_run {
        let would = if step.runner.inputs.dry_run {
            "would be removed"
        } else {
            "to remove"
        };
        step.outputs.say(
            JobAnnotationLevel::Notice,
            &format!("{count} of {scope} {would}"),
        );
        return Ok(());
    }
    match tokio::task::block_in_place(|| found.repo.push(&remote, &found.ours)) {
        Ok(()) => step.outputs.say(
            JobAnnotationLevel::Notice,
            &format!("{count} of {scope} removed"),
        ),
        // Somebody has just moved one, or protects it: then it is theirs to remove.
        Err(error @ (GitError::RemoteMoved { .. } | GitError::RemoteRefused { .. })) => {
            let why = desk.scrubbed(&error.in_full());
            step.outputs.say(
                JobAnnotationLevel::Warning,
                &format!("the branches of {scope} stay: failed to {why}"),
            );
        }
        Err(error) => return Err(super::super::git(error)),
    }
    Ok(())
}

/// What there is of a scope.
struct ClosedScope {
    /// Where it was fetched to.
    repo: Repo,
    /// Branches to remove, each from where it was seen.
    ours: Vec<RefUpdate>,
    /// Branches that others have worked on.
    foreign: Vec<String>,
}

fn find(dir: &std::path::Path, remote: &Remote, scope: &Scope) -> Result<ClosedScope, GitError> {
    let repo = Repo::empty(dir)?;
    let (run, tasks) = (full(&run_branch(scope)), full(&task_branches(scope)));
    let listed = repo.ls_remote(remote, &[&run, &format!("{tasks}*")])?;
    let (mut ours, mut foreign) = (Vec::new(), Vec::new());
    // A pattern of git's matches the end of any name.
    for (name, commit) in listed
        .into_iter()
        .filter(|(name, _)| *name == run || name.starts_with(&tasks))
    {
        repo.fetch_tips(remote, &[FetchTarget::Ref(name.clone())])?;
        // What was moved in between is not here; then it is as good as foreign.
        if repo.tip(&commit).is_ok() && repo.is_ours(&commit)? {
            ours.push(RefUpdate {
                name,
                to: None,
                expected: Some(commit),
            });
        } else {
            foreign.push(name.trim_start_matches("refs/heads/").to_owned());
        }
    }
    Ok(ClosedScope {
        repo,
        ours,
        foreign,
    })
}
