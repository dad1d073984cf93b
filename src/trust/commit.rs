//! Which commit, of which pull request: what the person who wrote a comment can have seen.
//!
//! It refuses to believe dates in commits: only the forge's own record of a push tells when a
//! branch was moved.

use super::{Comment, ForgeBranch, PullRequest, Push, Refusal, Unpinned};
use crate::id::{CommitId, Moment};

/// Nothing is done on a pull request that is closed.
pub fn is_open(pull: &PullRequest) -> Result<(), Refusal> {
    if pull.open {
        Ok(())
    } else {
        Err(Refusal::Closed {
            merged: pull.merged,
        })
    }
}

/// A pull request counts only if its head is in this repository, by number: names are given anew.
pub fn same_repository(pull: &PullRequest, repository: u64) -> Result<(), Refusal> {
    match pull.head.repository {
        None => Err(Refusal::HeadGone),
        Some(head) if head == repository => Ok(()),
        Some(_) => Err(Refusal::Fork),
    }
}

/// Tasks and gates are read from a base branch only if it is the default branch or protected:
/// whoever can push can make any other, and point the pull request at it. `base` is the base branch
/// as the forge has it now.
pub fn base_is_trusted(
    pull: &PullRequest,
    default_branch: &str,
    base: Option<&ForgeBranch>,
) -> Result<(), Refusal> {
    if pull.base.branch == default_branch || base.is_some_and(|branch| branch.protected) {
        return Ok(());
    }
    Err(Refusal::Base {
        branch: pull.base.branch.clone(),
        default_branch: default_branch.to_owned(),
    })
}

/// The commit that a comment is about: the head, where the forge's newest record of a push to its
/// branch is of this commit, and earlier than the second in which the comment was made. Otherwise a
/// person must name the head in full.
pub fn pinned(
    pull: &PullRequest,
    pushes: &[Push],
    comment: &Comment,
    named: Option<&CommitId>,
) -> Result<CommitId, Refusal> {
    let head = &pull.head.commit;
    match named {
        Some(named) if named == head => return Ok(head.clone()),
        Some(named) => {
            return Err(Refusal::NotTheHead {
                named: named.clone(),
                head: head.clone(),
            });
        }
        None => {}
    }
    let unpinned = |why| {
        Err(Refusal::Unpinned {
            head: head.clone(),
            why,
        })
    };
    let Some(newest) = pushes.iter().map(|push| push.at).max() else {
        return unpinned(Unpinned::NoRecord);
    };
    // Of several pushes in one second nobody can tell which was the last.
    if pushes
        .iter()
        .any(|push| push.at == newest && push.after != *head)
    {
        return unpinned(Unpinned::OtherCommit);
    }
    match second(newest).cmp(&second(comment.created)) {
        std::cmp::Ordering::Less => Ok(head.clone()),
        std::cmp::Ordering::Equal => unpinned(Unpinned::SameSecond),
        std::cmp::Ordering::Greater => unpinned(Unpinned::Later),
    }
}

/// The second that a moment is in; forges tell no less.
fn second(moment: Moment) -> i64 {
    moment.as_millis().div_euclid(1000)
}
