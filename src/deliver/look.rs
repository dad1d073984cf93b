//! Looking, before anything is changed: the remote's refs and whose they are, and the pull requests
//! from them.
//!
//! It refuses to take a listing for knowledge of a commit: a tip that is not here is fetched and
//! read.

use std::collections::BTreeMap;

use super::RunOutcome;
use super::steps::{Held, RemoteState, full, proofs_ref};
use crate::forge::{Forge, ForgeError};
use crate::git::{FetchTarget, GitError, Remote, Repo, Trailers};
use crate::history::{run_branch, task_branch, task_branches};
use crate::id::{CommitId, RunId};
use crate::plan::{DeliverAs, Plan};
use crate::request::Request;
use crate::trust::PullRequest;

/// The refs that a delivery may touch, and the head. Blocks.
pub(super) fn refs(
    repo: &Repo,
    remote: &Remote,
    form: DeliverAs,
    request: &Request,
) -> Result<BTreeMap<String, Held>, GitError> {
    let head = request.pull.as_ref().map(|pull| full(&pull.head));
    let tasks = full(&task_branches(&request.scope));
    let mut wanted = vec![full(&run_branch(&request.scope)), proofs_ref(request)];
    wanted.extend(head.clone());
    match form {
        DeliverAs::PullRequestPerTask | DeliverAs::Branches => wanted.push(format!("{tasks}*")),
        DeliverAs::PullRequest | DeliverAs::Push => {}
    }
    let patterns: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let mut listed = repo.ls_remote(remote, &patterns)?;
    // A pattern fits the ends of longer names, too.
    listed.retain(|(name, _)| wanted.contains(name) || name.starts_with(&tasks));
    let strange = |(name, commit): &&(String, CommitId)| {
        Some(name) != head.as_ref() && repo.tip(commit).is_err()
    };
    let missing: Vec<String> = listed
        .iter()
        .filter(strange)
        .map(|(name, _)| name.clone())
        .collect();
    let asked: Vec<FetchTarget> = missing.iter().cloned().map(FetchTarget::Ref).collect();
    let fetched: BTreeMap<String, CommitId> = missing
        .into_iter()
        .zip(repo.fetch(remote, &asked)?)
        .collect();
    let mut found = BTreeMap::new();
    for (name, commit) in listed {
        let commit = fetched.get(&name).cloned().unwrap_or(commit);
        // The head is never overwritten from anywhere but the pinned commit, so whose it is does
        // not matter.
        let ours = Some(&name) != head.as_ref() && repo.is_ours(&commit)?;
        found.insert(name, Held { commit, ours });
    }
    Ok(found)
}

/// The run whose result is on the result's branch, where that began later than this one: its judge
/// was faster.
pub(super) fn newer(repo: &Repo, request: &Request, found: &RemoteState) -> Option<RunId> {
    let held = found
        .refs
        .get(&full(&run_branch(&request.scope)))
        .filter(|held| held.ours)?;
    let message = repo.message(&held.commit).ok()?;
    // Run ids begin with their date.
    Trailers::of(&message)
        .map(|trailers| trailers.run)
        .filter(|run| *run > request.run)
}

/// The pull requests from the branches that a delivery may touch, newest first.
pub(super) async fn pulls(
    forge: &Forge,
    plan: &Plan,
    request: &Request,
    outcome: &RunOutcome,
    refs: &BTreeMap<String, Held>,
) -> Result<BTreeMap<String, Vec<PullRequest>>, ForgeError> {
    let mut branches = match plan.deliver.form {
        DeliverAs::Branches => Vec::new(),
        DeliverAs::PullRequest | DeliverAs::Push => vec![run_branch(&request.scope)],
        DeliverAs::PullRequestPerTask => {
            let tasks = outcome
                .tasks
                .iter()
                .map(|(task, _)| task_branch(&request.scope, task));
            let there = refs
                .keys()
                .filter_map(|name| name.strip_prefix("refs/heads/"));
            let ours = task_branches(&request.scope);
            tasks
                .chain(
                    there
                        .filter(|name| name.starts_with(&ours))
                        .map(str::to_owned),
                )
                .collect()
        }
    };
    branches.sort();
    branches.dedup();
    let mut found = BTreeMap::new();
    for branch in branches {
        let pulls = forge.pull_requests_from(&branch).await?;
        found.insert(branch, pulls);
    }
    Ok(found)
}

/// The same with everything that is to be known.
pub(super) fn found(
    refs: BTreeMap<String, Held>,
    pulls: BTreeMap<String, Vec<PullRequest>>,
) -> RemoteState {
    RemoteState {
        refs,
        pulls,
        refused: BTreeMap::new(),
    }
}

/// Work that waits for git, beside the other work.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, GitError> + Send + 'static,
) -> Result<T, GitError> {
    let ended = |error: tokio::task::JoinError| {
        let source = std::io::Error::other(error.to_string());
        Err(GitError::Io {
            what: "wait for git".to_owned(),
            source,
        })
    };
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(ended)
}
