//! git's objects that a run needs, as its journal names them: which these are, and which are gone.
//!
//! It refuses to give up a change that can be brought back.

use super::CommandFailure;
use crate::engine::Engine;
use crate::fact::Began;
use crate::git::{Anchor, Repo};
use crate::id::{CommitId, Moment, TaskId, Tip};

/// The commits that the run cannot do without: what it is built on, what its tasks changed, where
/// they landed.
pub(super) fn needed(repo: &Repo, began: &Began, engine: &Engine) -> Vec<CommitId> {
    let mut needed: Vec<CommitId> = std::iter::once(&began.base.commit)
        .chain(&began.branch_was)
        .cloned()
        .collect();
    needed.extend(engine.tip().map(|tip| tip.commit.clone()));
    for status in engine.tasks() {
        needed.extend(status.change.map(|change| change.tip.commit.clone()));
        // What was taken out of the result again is on no branch.
        needed.extend(
            status
                .landed
                .filter(|_| status.ejected.is_some())
                .map(|tip| tip.commit.clone()),
        );
    }
    needed.retain(|commit| repo.tip(commit).is_ok());
    needed
}

/// The tasks whose change, or whose landing, cannot be read any more. What can be brought back is.
pub(super) fn lost(
    repo: &Repo,
    engine: &Engine,
    now: Moment,
) -> Result<Vec<TaskId>, CommandFailure> {
    let Some(began) = engine.began() else {
        return Ok(Vec::new());
    };
    let anchor = Anchor::new(repo, &began.run);
    anchor.mend().map_err(super::git)?;
    let changes = engine.tasks().filter(|status| status.ejected.is_none());
    let changes = changes.filter_map(|status| Some((status.id, &status.change?.tip)));
    let made: Vec<(&TaskId, &Tip)> = changes.chain(engine.landings()).collect();
    // One commit holds all that is there, instead of one for each.
    let there = made
        .iter()
        .map(|(_, tip)| tip.commit.clone())
        .filter(|commit| repo.tip(commit).is_ok());
    anchor
        .hold(&there.collect::<Vec<_>>(), now)
        .map_err(super::git)?;
    let mut lost = Vec::new();
    for (task, tip) in made {
        let secured = anchor
            .steadily(|| repo.parents(&tip.commit))
            .and_then(|parents| {
                let parent = parents
                    .first()
                    .map_or_else(|| Ok(began.base.clone()), |parent| repo.tip(parent))?;
                anchor.secure(&parent.tree, tip, now)
            });
        match secured {
            Ok(()) => {}
            Err(error) if error.is_missing() && !lost.contains(task) => lost.push(task.clone()),
            Err(error) if error.is_missing() => {}
            Err(error) => return Err(super::git(error)),
        }
    }
    Ok(lost)
}
