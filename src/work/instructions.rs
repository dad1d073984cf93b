//! What instructs an agent, as the trusted commit has it: laid out before a turn, and put back
//! before anybody judges.
//!
//! It refuses to touch what the task's write set names: that is the task's own work. What an agent
//! changes all the same is left for the scope to find.

use std::sync::Arc;

use super::attempt::Interruption;
use super::errand::Assignment;
use super::place::Workplace;
use super::thread::{WorkLimits, on_files};
use super::{RunShared, Tools};
use crate::git::Overlay;
use crate::id::{CommitId, RepoPath};
use crate::plan::{Event, Task, Work};
use crate::scope::{WriteRights, is_instruction};

/// The commit whose word counts, for an agent and for a gate: where the plan came from, and for a
/// person at a command line the run's base.
pub(super) fn trusted(tools: &Tools) -> &CommitId {
    let base = &tools.began.base.commit;
    match tools.began.trigger.event {
        Event::Manual => base,
        Event::Comment | Event::Schedule | Event::Dispatch => {
            tools.began.plan.commit.as_ref().unwrap_or(base)
        }
    }
}

fn is_wanted(tools: &Tools, task: &Task, path: &RepoPath) -> bool {
    is_instruction(path) && !scope(tools, task).names(path)
}

/// What a task may write.
pub(super) fn scope<'a>(tools: &'a Tools, task: &'a Task) -> WriteRights<'a> {
    WriteRights {
        write_set: &task.write_set,
        protect: &tools.plan.protect,
        plan_path: &tools.began.plan.path,
        change_limit: tools.plan.change_limit,
    }
}

/// Lays out what the agent of an attempt is to be instructed by; `None` where that is there
/// already, or there is no agent.
pub(super) async fn lay_over(
    shared: &Arc<RunShared>,
    errand: &Assignment,
    place: &Workplace,
    limits: WorkLimits<'_>,
) -> Result<Option<Overlay>, Interruption> {
    if matches!(errand.task.work, Work::Run(_)) {
        return Ok(None);
    }
    let (shared, task, place) = (Arc::clone(shared), errand.task.clone(), place.clone());
    let laid = on_files(limits, "laying out its instructions", move || {
        let tools = &shared.tools;
        let wanted = |path: &RepoPath| is_wanted(tools, &task, path);
        place
            .slot
            .lay_over(&place.base.tree, trusted(tools), &tools.plan.keep, &wanted)
    });
    Ok(laid.await?)
}

/// Puts back what the attempt's base has, where the agent left alone what was laid out.
pub(super) async fn take_off(
    shared: &Arc<RunShared>,
    errand: &Assignment,
    place: &Workplace,
    overlay: Option<Overlay>,
    limits: WorkLimits<'_>,
) -> Result<(), Interruption> {
    let Some(overlay) = overlay else {
        return Ok(());
    };
    let (shared, task, place) = (Arc::clone(shared), errand.task.clone(), place.clone());
    let taken = on_files(limits, "taking off its instructions", move || {
        let tools = &shared.tools;
        let wanted = |path: &RepoPath| is_wanted(tools, &task, path);
        place.slot.take_off(&overlay, &tools.plan.keep, &wanted)
    });
    Ok(taken.await?)
}
