//! What an earlier run of the scope left, for a retry.
//!
//! It comes from an artifact, which nobody vouches for: it is opened as a bundle of a stranger, and what is kept of it is
//! held to the write sets and the gates again. It refuses what was made with another plan or on another tree.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::super::Home;
use super::handed::{BUNDLE, OUT, PACKED};
use super::{Access, Step};
use crate::bundle::{self, Limits};
use crate::engine::Engine;
use crate::git::Repo;
use crate::id::{RunId, TaskId};
use crate::plan::Plan;
use crate::request::{Previous, Request};
use crate::text::{Advised as _, ForgeKind};
use crate::work::Kept;

/// What is left of an earlier run.
#[derive(Debug)]
pub(super) struct Earlier {
    /// The run.
    pub(super) run: RunId,
    /// The tasks that took part in it.
    pub(super) selected: Vec<TaskId>,
    /// What need not be made again.
    pub(super) kept: HashMap<TaskId, Kept>,
}

/// Fetches and checks it; why not, in words that fit after "because".
pub(super) fn look(
    step: &Step,
    access: &Access,
    home: &Home,
    request: &Request,
    previous: &Previous,
    plan: &Arc<Plan>,
    again: &[TaskId],
) -> Result<Earlier, String> {
    let dir = tempfile::tempdir_in(&step.runner.temp).map_err(|error| format!("no room for its state: {error}"))?;
    let (archive, place) = (dir.path().join("state.zip"), dir.path().join("state"));
    std::fs::create_dir(&place).map_err(|error| format!("no room for its state: {error}"))?;
    let fetched = step.wait(access.forge.download_artifact(previous.artifact, PACKED, &archive));
    fetched.map_err(|error| format!("failed to {error}"))?;
    let limits = Limits::default();
    bundle::unpack(&archive, &place, limits.all).map_err(|error| format!("failed to {error}"))?;
    // A job's artifact at GitLab holds all that the job left.
    let place = match step.runner.forge {
        ForgeKind::GitHub => place,
        ForgeKind::GitLab => place.join(OUT).join(BUNDLE),
    };
    let opened = bundle::open(&place, &limits).map_err(|refused| refused.in_full())?;
    // Its commit may be another one with the same tree; where it cannot be had, the bundle is refused for want of it.
    let _ = step.bring(access, home, &opened.manifest.base.commit);
    let admitted = bundle::admit_earlier(&home.repo, opened, request, &previous.run, plan);
    let admitted = admitted.map_err(|refused| refused.in_full())?;
    let engine = &admitted.engine;
    let began = engine.began().ok_or("its journal is empty")?;
    let anew = with_dependents(plan, again);
    Ok(Earlier { run: previous.run.clone(), selected: began.selected.clone(), kept: kept(&home.repo, engine, &anew) })
}

/// What landed and stayed, but for the tasks that are to start anew.
fn kept(repo: &Repo, engine: &Engine, anew: &BTreeSet<TaskId>) -> HashMap<TaskId, Kept> {
    let stayed = engine.tasks().filter(|status| status.landed.is_some() && status.ejected.is_none());
    let kept = stayed.filter(|status| !anew.contains(status.id)).filter_map(|status| {
        let change = status.change?;
        let parents = repo.parents(&change.tip.commit).ok()?;
        let onto = repo.resolve(parents.first()?.as_str()).ok()?.tree;
        Some((status.id.clone(), Kept { onto, tree: change.tip.tree.clone() }))
    });
    kept.collect()
}

/// The tasks and everything that is built on them.
fn with_dependents(plan: &Plan, tasks: &[TaskId]) -> BTreeSet<TaskId> {
    let mut found: BTreeSet<TaskId> = tasks.iter().cloned().collect();
    let mut dependents: HashMap<&TaskId, Vec<&TaskId>> = HashMap::new();
    for task in &plan.tasks {
        for dependency in &task.dependencies {
            dependents.entry(dependency).or_default().push(&task.id);
        }
    }
    let mut stack: Vec<TaskId> = tasks.to_vec();
    while let Some(task) = stack.pop() {
        for &dependent in dependents.get(&task).into_iter().flatten() {
            if found.insert(dependent.clone()) {
                stack.push(dependent.clone());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_starts_anew_takes_everything_built_on_it_along() {
        let text = "version: 1\nname: p\ntasks:\n- {id: a, run: x}\n- {id: b, run: x, dependencies: [a]}\n\
                    - {id: c, run: x, dependencies: [b]}\n- {id: d, run: x}\n";
        let plan = crate::plan::parse(text.as_bytes(), "omk.yaml", "p").expect("a sound plan");
        let id = |name: &str| name.parse::<TaskId>().expect("an id");
        let anew = |names: &[&str]| {
            let tasks: Vec<TaskId> = names.iter().map(|name| id(name)).collect();
            with_dependents(&plan, &tasks).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(anew(&["b"]), "b c");
        assert_eq!(anew(&["a", "d"]), "a b c d");
        assert_eq!(anew(&[]), "");
    }
}
