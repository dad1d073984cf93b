//! The branches that a run is about to write: what is in the way of them, and what leaves the
//! result with the new run.
//!
//! It refuses to move any, and to let an older run take what a newer one put there.

use std::collections::BTreeSet;

use super::{CommandFailure, FailureKind, Home};
use crate::engine::Engine;
use crate::fact::Began;
use crate::git::{Repo, Trailers};
use crate::history::{History, run_branch, task_branch};
use crate::id::{CommitId, RunId, TaskId};
use crate::report::View;
use crate::text::Scrubber;
use crate::work::{Claim, Ownership};

/// So many commits of a result are looked at. A plan has no more tasks, and each makes one.
const COMMITS: usize = 10_000;

/// Refuses what would end badly later: a branch that makes one of ours impossible, a result branch
/// that is checked out, or that is not omk's. Says which branches of tasks are a person's, so that
/// they stay as they are.
pub(super) fn look_at_branches(
    home: &Home,
    began: &Began,
    force: bool,
) -> Result<Vec<String>, CommandFailure> {
    let repo = &home.repo;
    let run = run_branch(&began.scope);
    let tasks = began
        .selected
        .iter()
        .map(|task| task_branch(&began.scope, task));
    let ours: BTreeSet<String> = std::iter::once(run.clone()).chain(tasks).collect();
    let mut existing: BTreeSet<String> = repo
        .omk_branches()
        .map_err(super::git)?
        .into_iter()
        .map(|branch| branch.name)
        .collect();
    existing.extend(
        repo.branch_named_omk_exists()
            .map_err(super::git)?
            .then(|| "omk".to_owned()),
    );
    if let Some((other, name)) = in_the_way(&existing, &ours) {
        return Err(CommandFailure::new(
            FailureKind::Usage,
            format!("a branch called `{other}` is in the way of `{name}`: git cannot have both"),
        )
        .hint(format!("rename it: `git branch -m {other} something-else`")));
    }
    let ownership = Ownership::new(repo.clone());
    let mut left_alone = Vec::new();
    // Most runs are the first of their scope.
    for name in existing.intersection(&ours) {
        let Claim::Persons { tip, checked_out } = ownership.of(name).map_err(super::git)? else {
            continue;
        };
        let tip = tip.short();
        if *name != run {
            let why = checked_out.map_or_else(
                || format!("is at {tip}, a commit that omk did not put there"),
                |path| format!("is checked out in {}", path.display()),
            );
            left_alone.push(format!(
                "the branch `{name}` {why}: it stays as it is, whatever becomes of its task"
            ));
        } else if let Some(path) = checked_out {
            return Err(CommandFailure::new(
                FailureKind::Usage,
                format!("the branch `{run}` is checked out in {}", path.display()),
            )
            .hint("omk is about to move it: switch to another branch there, with `git switch -`"));
        } else if force {
            left_alone.push(format!(
                "this run replaces the branch `{run}`, which is at {tip}: `git branch NAME {tip}` keeps that"
            ));
        } else {
            return Err(CommandFailure::new(
                FailureKind::Usage,
                format!("the branch `{run}` is at {tip}, a commit that is not omk's"),
            )
            .hint(
                "somebody has worked on it: merge or rename it first, or replace it with `--force`",
            ));
        }
    }
    Ok(left_alone)
}

/// A branch that makes one of `ours` impossible, and which: `a` and `a/b` cannot both be.
fn in_the_way<'a>(
    existing: &'a BTreeSet<String>,
    ours: &'a BTreeSet<String>,
) -> Option<(&'a str, &'a str)> {
    ours.iter().find_map(|name| {
        let above = name
            .match_indices('/')
            .find_map(|(slash, _)| existing.get(&name[..slash]));
        let inside = format!("{name}/");
        let below = || {
            existing
                .range(inside.clone()..)
                .next()
                .filter(|other| other.starts_with(&inside))
        };
        above
            .or_else(below)
            .map(|other| (other.as_str(), name.as_str()))
    })
}

/// Refuses to go on with a run whose result's branch holds the result of a newer run: that would be
/// on no branch any more.
pub(super) fn refuse_newer(repo: &Repo, began: &Began) -> Result<(), CommandFailure> {
    let Some(newer) = newer_run(repo, began)? else {
        return Ok(());
    };
    let branch = run_branch(&began.scope);
    Err(CommandFailure::new(
        FailureKind::Usage,
        format!("the branch `{branch}` holds the result of run {newer}, which is newer than run {}", began.run),
    )
    .hint(format!(
        "`omk retry` keeps what completed in both; to go on with the older run, rename the branch first: \
         `git branch -m {branch} NAME`"
    )))
}

/// The newer run of the plan that put the result's branch where it is.
pub(super) fn newer_run(repo: &Repo, began: &Began) -> Result<Option<RunId>, CommandFailure> {
    let claim = Ownership::new(repo.clone())
        .of(&run_branch(&began.scope))
        .map_err(super::git)?;
    Ok(claim.newer_than(began).cloned())
}

/// Where the result of a run is that is over, and whose branch is at the result of a newer one.
pub(super) fn replaced(began: &Began, engine: &Engine, newer: &RunId) -> Option<String> {
    let tip = engine.tip().filter(|tip| tip.commit != began.base.commit)?;
    let (branch, commit) = (run_branch(&began.scope), tip.commit.short());
    Some(format!(
        "`{branch}` stays at the result of run {newer}, which is newer; this run's result is commit {commit}"
    ))
}

/// The run as a person may see it here and now: its branch is not offered for its result where git
/// takes that name for something else, and what would be refused is not advised.
pub(super) fn shown(
    repo: &Repo,
    engine: &Engine,
    history: &History,
    scrubber: &Scrubber,
) -> Option<View> {
    let mut view = history.view(engine)?;
    if let Some(result) = &view.result {
        view.branch = repo.name_of(&view.branch, &result.commit);
    }
    if let (Some(_), Some(began)) = (&view.unplaced, engine.began())
        && newer_run(repo, began).is_ok_and(|newer| newer.is_some())
    {
        view.unplaced = None;
    }
    Some(view.scrubbed(&|text: &str| scrubber.scrub(text)))
}

/// What will leave the result's branch with this run: tasks that an earlier run landed there, and
/// that this one does not do.
pub(super) fn left_off(repo: &Repo, began: &Began) -> Option<String> {
    let selected: BTreeSet<&TaskId> = began.selected.iter().collect();
    leaves(repo, began, "takes", &|task| selected.contains(task))
}

/// What has left the result's branch with this run, for whatever reason: tasks that an earlier run
/// landed there, and that this one did not land, or took out again.
pub(super) fn taken_off(repo: &Repo, began: &Began, engine: &Engine) -> Option<String> {
    let tip = engine.tip()?;
    // A branch that was not moved has lost nothing.
    if repo.branch_tip(&run_branch(&began.scope)).ok()?.as_ref() != Some(&tip.commit) {
        return None;
    }
    let landed: BTreeSet<&TaskId> = engine.landings().map(|(task, _)| task).collect();
    leaves(repo, began, "took", &|task| landed.contains(task))
}

/// What leaves the result's branch of all that an earlier run landed there, and where it remains.
/// Nothing is said of a result that the run is built on, as by a merge.
fn leaves(
    repo: &Repo,
    began: &Began,
    takes: &str,
    stays: &dyn Fn(&TaskId) -> bool,
) -> Option<String> {
    let branch = run_branch(&began.scope);
    let tip = began.branch_was.clone()?;
    if repo.descends(&began.base.commit, &tip).unwrap_or(false) {
        return None;
    }
    let (landed, bottom) = landed_on(repo, &tip, &began.base.commit);
    let run = landed.last()?.run.clone();
    let left: Vec<&LandedTask> = landed
        .iter()
        .filter(|landed| !stays(&landed.task))
        .collect();
    if left.is_empty() {
        return None;
    }
    let quoted = |texts: &[String]| {
        texts
            .iter()
            .map(|text| format!("`{text}`"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let names = quoted(
        &left
            .iter()
            .map(|landed| landed.task.to_string())
            .collect::<Vec<_>>(),
    );
    let branches: Vec<String> = left
        .iter()
        .filter_map(|landed| landed.branch(repo, began))
        .collect();
    let mut remain = Vec::new();
    remain.extend((!branches.is_empty()).then(|| format!("on {}", quoted(&branches))));
    // A branch that was deleted, or has moved to what a later run made of the task, holds it no
    // more.
    remain.extend((branches.len() < left.len()).then(|| format!("at commit {}", tip.short())));
    let it = |one, many| if left.len() == 1 { one } else { many };
    let same_base = repo
        .tip(&bottom)
        .is_ok_and(|bottom| bottom.tree == began.base.tree);
    Some(format!(
        "this run {takes} {names} off the branch `{branch}`, where run {run} landed {}: {} {}{}",
        it("it", "them"),
        it("it remains", "they remain"),
        remain.join(" and "),
        if same_base {
            ", and `omk retry` keeps what completed"
        } else {
            ""
        },
    ))
}

/// A task's commit on a result.
struct LandedTask {
    task: TaskId,
    run: RunId,
}

impl LandedTask {
    /// The task's own branch, if it still holds what that run made of the task.
    fn branch(&self, repo: &Repo, began: &Began) -> Option<String> {
        let branch = task_branch(&began.scope, &self.task);
        let tip = repo.branch_tip(&branch).ok()??;
        let by = Trailers::of(&repo.message(&tip).ok()?)?.run;
        (by == self.run).then_some(branch)
    }
}

/// The tasks on a result above `base`, oldest first, and the commit that they stand on.
fn landed_on(repo: &Repo, tip: &CommitId, base: &CommitId) -> (Vec<LandedTask>, CommitId) {
    let (mut landed, mut commit) = (Vec::new(), tip.clone());
    while landed.len() < COMMITS && commit != *base {
        let Some(Trailers {
            run,
            task: Some(task),
            ..
        }) = repo.message(&commit).ok().as_deref().and_then(Trailers::of)
        else {
            break;
        };
        landed.push(LandedTask { task, run });
        let Some(parent) = repo
            .parents(&commit)
            .ok()
            .and_then(|parents| parents.into_iter().next())
        else {
            break;
        };
        commit = parent;
    }
    landed.reverse();
    (landed, commit)
}
