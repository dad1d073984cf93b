//! What an earlier run of the scope left, for a retry.
//!
//! It comes from an artifact, which nobody vouches for: it is opened as a bundle of a stranger, and
//! what is kept of it is held to the write sets and the gates again. It refuses what was made with
//! another plan or on another tree.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::Home;
use super::super::retry::{kept, with_dependents};
use super::handed::{BUNDLE, OUT, PACKED};
use super::{ForgeAccess, JobStep};
use crate::bundle::{self, BundleLimits};
use crate::id::{RunId, TaskId};
use crate::plan::Plan;
use crate::request::{Previous, Request};
use crate::text::{Advised as _, ForgeKind};
use crate::work::EarlierChange;

/// What is left of an earlier run.
#[derive(Debug)]
pub(super) struct EarlierRun {
    /// The run.
    pub(super) run: RunId,
    /// The tasks that took part in it.
    pub(super) selected: Vec<TaskId>,
    /// What need not be made again.
    pub(super) kept: HashMap<TaskId, EarlierChange>,
}

/// Fetches and checks it; why not, in words that fit after "because".
pub(super) fn look(
    step: &JobStep,
    access: &ForgeAccess,
    home: &Home,
    request: &Request,
    previous: &Previous,
    plan: &Arc<Plan>,
    again: &[TaskId],
) -> Result<EarlierRun, String> {
    let dir = tempfile::tempdir_in(&step.runner.temp)
        .map_err(|error| format!("no room for its state: {error}"))?;
    let (archive, place) = (dir.path().join("state.zip"), dir.path().join("state"));
    std::fs::create_dir(&place).map_err(|error| format!("no room for its state: {error}"))?;
    let fetched = step.wait(
        access
            .forge
            .download_artifact(previous.artifact, PACKED, &archive),
    );
    fetched.map_err(|error| format!("failed to {error}"))?;
    let limits = BundleLimits::default();
    bundle::unpack(&archive, &place, limits.all).map_err(|error| format!("failed to {error}"))?;
    // A job's artifact at GitLab holds all that the job left.
    let place = match step.runner.forge {
        ForgeKind::GitHub => place,
        ForgeKind::GitLab => place.join(OUT).join(BUNDLE),
    };
    let opened = bundle::open(&place, &limits).map_err(|refused| refused.in_full())?;
    // Its commit may be another one with the same tree; where it cannot be had, the bundle is
    // refused for want of it.
    let _ = step.bring(access, home, &opened.manifest.base.commit);
    let admitted = bundle::admit_earlier(&home.repo, opened, request, &previous.run, plan);
    let admitted = admitted.map_err(|refused| refused.in_full())?;
    let engine = &admitted.engine;
    let began = engine.began().ok_or("its journal is empty")?;
    let anew = with_dependents(plan, again);
    let mut kept = kept(&home.repo, engine);
    kept.retain(|task, _| !anew.contains(task));
    Ok(EarlierRun {
        run: previous.run.clone(),
        selected: began.selected.clone(),
        kept,
    })
}
