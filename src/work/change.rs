//! What an attempt left in its slot: read back, compared with its write set, and committed.
//!
//! It refuses to commit what the task may not write. A commit that it makes is kept by the run's
//! anchor.

use super::attempt::{PATH_SHOWN, PATHS_SHOWN};
use super::errand::Assignment;
use super::{RunShared, instructions};
use crate::fact::{Class, Failure};
use crate::git::{CommitMessage, GitError, Slot, Terms};
use crate::id::{RepoPath, Tip};
use crate::plan::Task;
use crate::scope::{Touched, Violation};
use crate::text;

/// Something that was changed.
pub(super) struct ReadBack {
    /// What of the base.
    pub(super) touched: Vec<Touched>,
    /// The commit, or why there is none.
    pub(super) tip: Result<Tip, Failure>,
}

/// Reads a slot back; `None` if nothing was changed.
pub(super) fn read_back(
    shared: &RunShared,
    errand: &Assignment,
    slot: &Slot,
    base: &Tip,
) -> Result<Option<ReadBack>, GitError> {
    let (tools, task) = (&shared.tools, &errand.task);
    let scope = instructions::scope(tools, task);
    let may_write = |path: &RepoPath| scope.names(path);
    let terms = Terms {
        keep: &tools.plan.keep,
        change_limit: tools.plan.change_limit,
        may_write: &may_write,
    };
    let tree = slot.snapshot(base, &terms)?;
    if tree == base.tree {
        return Ok(None);
    }
    let touched = tools.repo.touched(&base.tree, &tree)?;
    let violations = scope.violations(&touched);
    if !violations.is_empty() {
        return Ok(Some(ReadBack {
            touched,
            tip: Err(out_of_scope(&violations)),
        }));
    }
    let message = message(shared, task, errand.attempt);
    let commit = tools.repo.commit(
        &tree,
        std::slice::from_ref(&base.commit),
        &message,
        tools.clock.now(),
    )?;
    let tip = Tip { commit, tree };
    tools.anchor.secure(&base.tree, &tip, tools.clock.now())?;
    Ok(Some(ReadBack {
        touched,
        tip: Ok(tip),
    }))
}

fn out_of_scope(violations: &[Violation]) -> Failure {
    let in_words = |found: &Violation| {
        format!(
            "{} {}",
            text::clip(&found.path.to_string(), PATH_SHOWN),
            found.why
        )
    };
    let shown: Vec<String> = violations.iter().take(PATHS_SHOWN).map(in_words).collect();
    let more = violations.len().saturating_sub(PATHS_SHOWN);
    let more = if more > 0 {
        format!("; and {more} more")
    } else {
        String::new()
    };
    let paths = violations.iter().map(|found| found.path.clone()).collect();
    Failure::new(Class::Scope, format!("{}{more}", shown.join("; "))).about(paths)
}

/// The message of a task's commit. Words of the plan that hold a secret are left out of it.
pub(super) fn message(shared: &RunShared, task: &Task, attempt: u32) -> CommitMessage {
    let (tools, began) = (&shared.tools, &shared.tools.began);
    let message = CommitMessage::of_task(
        &began.run,
        &began.trigger,
        task,
        attempt,
        tools.plan.deliver.sign_off,
    );
    let text = message.to_string();
    if tools.scrubber.scrub(&text) == text {
        message
    } else {
        message.bare()
    }
}
