//! Where a task is, in words.
//!
//! It refuses to decide anything: the engine did.

use crate::engine::{CancelReason, TaskState, TaskStatus, Waits};
use crate::id::TaskId;
use crate::plan::Task;
use crate::report::{Ejection, Stage};

pub(super) fn stage(status: &TaskStatus<'_>, task: &Task) -> Stage {
    match status.state {
        TaskState::Pending => pending(status, task),
        TaskState::Claimed => Stage::Claimed,
        TaskState::Running => {
            let doing = if status.change.is_some() {
                "landing"
            } else {
                ""
            };
            Stage::Running {
                doing: doing.to_owned(),
            }
        }
        TaskState::Completed => Stage::Completed {
            landed: status.landed.cloned(),
            ejected: status.ejected.map(|why| Ejection {
                gate: why.gate.clone(),
                log: why.log.clone(),
            }),
        },
        TaskState::Failed => Stage::Failed,
        TaskState::Cancelled => Stage::Cancelled {
            why: status.cancelled.map(cancelled).unwrap_or_default(),
        },
    }
}

fn pending(status: &TaskStatus<'_>, task: &Task) -> Stage {
    let (waits, until) = match &status.waits {
        None | Some(Waits::Worker) => ("for a worker".to_owned(), None),
        Some(Waits::Dependencies) => (format!("for {}", named(&task.dependencies)), None),
        Some(Waits::Paths(other)) => (format!("for paths that {other} holds"), None),
        Some(Waits::Preflight) => ("for the gates on the base".to_owned(), None),
        Some(Waits::Provider(until)) => ("for the provider".to_owned(), Some(*until)),
        Some(Waits::Backoff(until)) => ("before it is tried again".to_owned(), Some(*until)),
    };
    Stage::Pending { waits, until }
}

fn named(tasks: &[TaskId]) -> String {
    let mut names: Vec<String> = tasks.iter().take(3).map(ToString::to_string).collect();
    if tasks.len() > 3 {
        names.push(format!("{} more", tasks.len() - 3));
    }
    names.join(", ")
}

fn cancelled(reason: &CancelReason) -> String {
    match reason {
        CancelReason::Dependency(task) => format!("{task} did not complete"),
        CancelReason::Person => "a person cancelled it".to_owned(),
        CancelReason::FailFast(task) => {
            format!("{task} failed, and the run stops at the first failure")
        }
    }
}
