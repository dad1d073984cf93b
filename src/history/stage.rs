//! Where a task is, in words.
//!
//! It refuses to decide anything: the engine did.

use crate::engine::{CancelReason, TaskState, TaskStatus, WaitReason};
use crate::id::TaskId;
use crate::plan::Task;
use crate::report::{Ejection, TaskStage};

pub(super) fn stage(status: &TaskStatus<'_>, task: &Task) -> TaskStage {
    match status.state {
        TaskState::Pending => pending(status, task),
        TaskState::Claimed => TaskStage::Claimed,
        TaskState::Running => {
            let doing = if status.change.is_some() {
                "landing"
            } else {
                ""
            };
            TaskStage::Running {
                doing: doing.to_owned(),
            }
        }
        TaskState::Completed => TaskStage::Completed {
            landed: status.landed.cloned(),
            ejected: status.ejected.map(|why| Ejection {
                gate: why.gate.clone(),
                log: why.log.clone(),
            }),
        },
        TaskState::Failed => TaskStage::Failed,
        TaskState::Cancelled => TaskStage::Cancelled {
            why: status.cancelled.map(cancelled).unwrap_or_default(),
        },
    }
}

fn pending(status: &TaskStatus<'_>, task: &Task) -> TaskStage {
    let (waits, until) = match &status.waits {
        None | Some(WaitReason::Worker) => ("for a worker".to_owned(), None),
        Some(WaitReason::Dependencies) => (format!("for {}", named(&task.dependencies)), None),
        Some(WaitReason::Paths(other)) => (format!("for paths that {other} holds"), None),
        Some(WaitReason::Preflight) => ("for the gates on the base".to_owned(), None),
        Some(WaitReason::Provider(until)) => ("for the provider".to_owned(), Some(*until)),
        Some(WaitReason::Backoff(until)) => ("before it is tried again".to_owned(), Some(*until)),
    };
    TaskStage::Pending { waits, until }
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
