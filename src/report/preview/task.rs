//! One task of a preview.

use serde::Serialize;

use crate::id::TaskId;
use crate::plan::{Network, Networks, Plan, Task, Work, WriteSet};
use crate::text;

/// A task of a [`super::Preview`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PreviewTask {
    /// Its id.
    pub id: TaskId,
    /// Its name, as the author wrote it.
    pub name: String,
    /// Whether it is words for the agent or a command.
    pub kind: WorkKind,
    /// Higher first.
    pub priority: i32,
    /// The tasks it waits for.
    pub dependencies: Vec<TaskId>,
    /// Counted from 1; the index into [`super::Preview::waves`] and 1.
    pub wave: usize,
    /// How many tasks the longest chain of its dependents has.
    pub chain: usize,
    /// How often it may be executed, at most.
    pub executions: u64,
    /// Whether the plan says what it may write.
    pub write_set_declared: bool,
    /// Whether it takes part only under a condition.
    pub conditional: bool,
    /// What its room leaves open, in a word or two, if that is not the default: `no network`, `2
    /// hosts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
}

/// What kind of work a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkKind {
    /// Words for the agent.
    Prompt,
    /// A shell command.
    Run,
}

pub(super) fn preview_task(plan: &Plan, task: &Task, wave: usize, chain: usize) -> PreviewTask {
    PreviewTask {
        id: task.id.clone(),
        name: task.name.clone(),
        kind: match task.work {
            Work::Prompt(_) => WorkKind::Prompt,
            Work::Run(_) => WorkKind::Run,
        },
        priority: task.priority,
        dependencies: task.dependencies.clone(),
        wave,
        chain,
        executions: u64::from(task.retry_policy.max_attempts) + 1,
        write_set_declared: task.write_set != WriteSet::Unknown,
        conditional: task.when.is_some(),
        room: open_to(plan, task),
    }
}

/// What a task's room leaves open, if that is not what omk leaves open to its kind of work.
fn open_to(plan: &Plan, task: &Task) -> Option<String> {
    let (usual, network) = (Networks::default(), plan.room.network_of_task(task));
    let usual = match task.work {
        Work::Prompt(_) => usual.agent,
        Work::Run(_) => usual.tasks,
    };
    (*network != usual).then(|| match network {
        Network::None => "no network".to_owned(),
        Network::Model => "model only".to_owned(),
        Network::Open => "open network".to_owned(),
        Network::Allow(hosts) => text::plural(hosts.len(), "host"),
    })
}
