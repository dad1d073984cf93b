//! The digests of what tasks are defined as: a pull request that a person closed stays closed until
//! its digest changes.
//!
//! It refuses to look at anything beside tasks: a new gate or model does not bring back what
//! somebody did not want.

use crate::id::{Sha256, TaskId};
use crate::plan::{Agent, Baseline, Commands, Deliver, Limits, Plan, Room, Size, Task, to_yaml};

/// The digest of one task's definition; `None` where the plan has no such task.
#[must_use]
pub fn of_task(plan: &Plan, task: &TaskId) -> Option<Sha256> {
    plan.task(task).map(|task| digest(plan, vec![task.clone()]))
}

/// The digest of the definitions of all tasks.
#[must_use]
pub fn of_tasks(plan: &Plan) -> Sha256 {
    digest(plan, plan.tasks.clone())
}

fn digest(plan: &Plan, tasks: Vec<Task>) -> Sha256 {
    let bare = Plan {
        name: plan.name.clone(),
        agent: Agent::default(),
        limits: Limits::default(),
        prices: None,
        env: std::collections::BTreeMap::new(),
        pass_env: Vec::new(),
        keep: Vec::new(),
        room: Room::default(),
        preflight: true,
        change_limit: Size::USUAL,
        baseline: Baseline::Allow,
        gates: Vec::new(),
        tasks,
        deliver: Deliver::default(),
        protect: Vec::new(),
        commands: Commands::default(),
    };
    Sha256::of(to_yaml(&bare).as_bytes())
}
