//! Whether a later run of the same pull request has ended: what it said stays then, where this one
//! delivers nothing.
//!
//! At GitHub a group of concurrency keeps runs in order; GitLab retries any job of any pipeline at
//! any time. It refuses to believe this of statuses that others wrote.

use crate::forge::{Check, CheckState, CheckWanted, Forge, ForgeError};
use crate::id::{CommitId, RunId};
use crate::report::check;
use crate::request::{ExternalId, Request};

/// A later run that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Newer {
    /// Which.
    pub(super) by: RunId,
    /// The commit on which this run has ended, too, so that nothing is left to say there.
    closed: Option<CommitId>,
}

impl Newer {
    /// What a person must know.
    pub(super) fn words(&self) -> String {
        format!(
            "a newer run, {}, has ended already: what it said stays",
            self.by
        )
    }

    /// Whether that check is to stay as it is.
    pub(super) fn keeps(&self, wanted: &CheckWanted) -> bool {
        wanted.name == check::NAME && self.closed.as_ref() == Some(&wanted.commit)
    }
}

/// Looks for one at the commit of the run and at the head as it is now. What cannot be read tells
/// of none.
pub(super) async fn newer(forge: &Forge, request: &Request) -> Option<Newer> {
    let (Forge::GitLab(gitlab), Some(pull)) = (forge, &request.pull) else {
        return None;
    };
    let head = gitlab
        .pull_request(pull.number)
        .await
        .map(|pull| pull.head.commit);
    let on_base = gitlab.own_checks(&request.base, check::NAME).await;
    let on_head = match head {
        Ok(head) if head != request.base => gitlab.own_checks(&head, check::NAME).await,
        Ok(_) | Err(_) => Ok(Vec::new()),
    };
    among(request, on_base, on_head)
}

fn among(
    request: &Request,
    on_base: Result<Vec<Check>, ForgeError>,
    on_head: Result<Vec<Check>, ForgeError>,
) -> Option<Newer> {
    let named = |check: Check| Some((check.external_id.parse::<ExternalId>().ok()?, check.state));
    let on_base: Vec<_> = on_base
        .unwrap_or_default()
        .into_iter()
        .filter_map(named)
        .collect();
    let on_head: Vec<_> = on_head
        .unwrap_or_default()
        .into_iter()
        .filter_map(named)
        .collect();
    let mut own = on_base
        .iter()
        .filter(|(id, _)| id.run == request.run)
        .peekable();
    let closed = own.peek().is_some() && own.all(|(_, state)| *state != CheckState::InProgress);
    let later = on_base.iter().chain(&on_head).filter(|(id, state)| {
        // Run ids begin with their date.
        id.scope == request.scope && id.run > request.run && *state != CheckState::InProgress
    });
    let by = later.map(|(id, _)| id.run.clone()).max()?;
    Some(Newer {
        by,
        closed: closed.then(|| request.base.clone()),
    })
}

#[cfg(test)]
mod tests;
