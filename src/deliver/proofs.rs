//! The commit that holds a run's proofs, for a ref of its own: its parents are the commits that the
//! proofs speak of, so that who fetches it can verify them.
//!
//! It refuses chance: the same run gives the same commit, however often it is delivered.

use super::RunOutcome;
use crate::git::{CommitMessage, GitError, Repo};
use crate::id::CommitId;
use crate::request::Request;

/// Parents of one commit: what tools and people can still look at. More are gathered in commits of
/// their own.
const PARENTS: usize = 50;

/// Makes it; `None` where there are no proofs, or nothing that they could speak of.
pub(super) fn commit(
    repo: &Repo,
    request: &Request,
    outcome: &RunOutcome,
) -> Result<Option<CommitId>, GitError> {
    let Some(result) = outcome
        .result
        .as_ref()
        .filter(|_| !outcome.proofs.is_empty())
    else {
        return Ok(None);
    };
    let when = outcome.view.ended.unwrap_or(outcome.view.started);
    let message = CommitMessage::of_run(&format!("omk: proofs of {}", request.run), &request.run);
    let alone = repo.commit_files(&outcome.proofs, &message.to_string(), when)?;
    let tree = repo.tip(&alone)?.tree;
    let mut parents = vec![result.commit.clone()];
    for (_, commit) in &outcome.tasks {
        if !parents.contains(commit) {
            parents.push(commit.clone());
        }
    }
    while parents.len() > PARENTS {
        let gathered = parents
            .chunks(PARENTS)
            .map(|some| repo.commit(&tree, some, &message, when));
        parents = gathered.collect::<Result<_, _>>()?;
    }
    repo.commit(&tree, &parents, &message, when).map(Some)
}
