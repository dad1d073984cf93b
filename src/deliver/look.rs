//! Looking, before anything is changed: the remote's refs and whose they are, and the pull requests from them.
//!
//! It refuses to take a listing for knowledge of a commit: a tip that is not here is fetched and read.

use std::collections::BTreeMap;

use super::Outcome;
use super::steps::{Found, Held, full, proofs_ref, run_branch, task_branch, task_branches};
use crate::forge::{ForgeError, GitHub};
use crate::git::{GitError, Remote, Repo, Wanted};
use crate::plan::{DeliverAs, Plan};
use crate::request::Request;
use crate::trust::PullRequest;

/// The refs that a delivery may touch, and the head. Blocks.
pub(super) fn refs(repo: &Repo, remote: &Remote, request: &Request) -> Result<BTreeMap<String, Held>, GitError> {
    let mut patterns = vec![
        full(&run_branch(&request.scope)),
        full(&format!("{}*", task_branches(&request.scope))),
        proofs_ref(request),
    ];
    let head = request.pull.as_ref().map(|pull| full(&pull.head));
    patterns.extend(head.clone());
    let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
    let mut found = BTreeMap::new();
    for (name, commit) in repo.ls_remote(remote, &patterns)? {
        // The head is never overwritten from anywhere but the pinned commit, so whose it is does not matter.
        let held = if Some(&name) == head.as_ref() {
            Held { commit, ours: false }
        } else {
            let commit = if repo.tip(&commit).is_ok() { commit } else { fetched(repo, remote, &name)? };
            Held { ours: repo.is_ours(&commit)?, commit }
        };
        found.insert(name, held);
    }
    Ok(found)
}

/// The tip of a ref of the remote, here now.
fn fetched(repo: &Repo, remote: &Remote, name: &str) -> Result<crate::id::CommitId, GitError> {
    let mut commits = repo.fetch(remote, &[Wanted::Ref(name.to_owned())])?;
    commits.pop().ok_or_else(|| GitError::UnknownRevision { rev: name.to_owned(), hint: "" })
}

/// The pull requests from the branches that a delivery may touch, newest first.
pub(super) async fn pulls(
    forge: &GitHub,
    plan: &Plan,
    request: &Request,
    outcome: &Outcome,
    refs: &BTreeMap<String, Held>,
) -> Result<BTreeMap<String, Vec<PullRequest>>, ForgeError> {
    let mut branches = match plan.deliver.form {
        DeliverAs::Branches => Vec::new(),
        DeliverAs::PullRequest | DeliverAs::Push => vec![run_branch(&request.scope)],
        DeliverAs::PullRequestPerTask => {
            let tasks = outcome.tasks.iter().map(|(task, _)| task_branch(&request.scope, task));
            let there = refs.keys().filter_map(|name| name.strip_prefix("refs/heads/"));
            let ours = task_branches(&request.scope);
            tasks.chain(there.filter(|name| name.starts_with(&ours)).map(str::to_owned)).collect()
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
pub(super) fn found(refs: BTreeMap<String, Held>, pulls: BTreeMap<String, Vec<PullRequest>>) -> Found {
    Found { refs, pulls, refused: BTreeMap::new() }
}
