//! The history as the one view of a run.

use super::stage::stage;
use super::{History, run_branch};
use crate::engine::Engine;
use crate::fact::{Began, Failure};
use crate::id::TaskId;
use crate::plan::Task;
use crate::proof::JudgedBy;
use crate::report::{LimitsView, TaskStage, TaskView, VERSION, View, room};

impl History {
    /// The run as a person wants to see it; `None` before it began.
    #[must_use]
    pub fn view(&self, engine: &Engine) -> Option<View> {
        let began = engine.began()?;
        let plan = engine.plan();
        let landed = engine.landings().next().is_some();
        Some(View {
            version: VERSION,
            omk: began.omk.clone(),
            run: began.run.clone(),
            scope: began.scope.clone(),
            plan: plan.name.clone(),
            plan_path: began.plan.path.clone(),
            plan_digest: began.plan.digest.to_string(),
            trigger: began.trigger.clone(),
            verdict: engine.verdict(),
            started: engine
                .tasks()
                .next()
                .map_or_else(|| engine.at().unwrap_or_default(), |task| task.created_at),
            ended: self.ended,
            base: began.base.clone(),
            result: engine.tip().filter(|_| landed).cloned(),
            // A branch that is not at the result must not be offered for it.
            branch: match engine.tip().filter(|_| self.unplaced.is_some()) {
                Some(tip) => tip.commit.short().to_owned(),
                None => run_branch(&began.scope),
            },
            limits: self.limits_view(began),
            limited: self.limited,
            tokens: self.tokens(),
            cost_micro_usd: self.cost_micro_usd(),
            tasks: plan
                .tasks
                .iter()
                .map(|task| self.task_view(engine, task))
                .collect(),
            gates: self.result_gates(engine),
            room_exceptions: self
                .containment
                .as_ref()
                .map(|room| room::exceptions(room.level))
                .unwrap_or_default(),
            containment: self.containment.clone(),
            judged_by: Some(JudgedBy::SameJob),
            warnings: self
                .warnings
                .iter()
                .cloned()
                .chain(self.unplaced.as_ref().map(Failure::in_full))
                .chain(self.estimates(engine))
                .collect(),
            unplaced: self.unplaced.as_ref().map(|_| run_branch(&began.scope)),
            next: Vec::new(),
        })
    }

    /// What is omk's own count of attempts that are over: they died with omk, or failed before they
    /// could say what they used.
    fn estimates(&self, engine: &Engine) -> Option<String> {
        let is_over = |task: &TaskId, attempt: u32| {
            let status = engine.task(task);
            status.is_none_or(|status| status.attempt != attempt || status.lease_expires.is_none())
        };
        let mut estimated: u64 = 0;
        for (task, history) in &self.tasks {
            for spent in history
                .spent
                .iter()
                .filter(|&(&attempt, _)| is_over(task, attempt))
                .map(|(_, spent)| spent)
            {
                estimated = estimated.saturating_add(spent.estimated());
            }
        }
        let tokens = crate::report::number(estimated);
        (estimated > 0)
            .then(|| format!("{tokens} of the tokens are an estimate: omk did not see how the model's answers ended"))
    }

    fn limits_view(&self, began: &Began) -> LimitsView {
        let spending = self.spending.unwrap_or(began.spending);
        LimitsView {
            workers: Some(self.workers.unwrap_or(began.workers)),
            time_ms: spending.time_ms,
            tokens: spending.tokens,
            micro_usd: spending.micro_usd,
        }
    }

    fn task_view(&self, engine: &Engine, task: &Task) -> TaskView {
        let history = self.tasks.get(&task.id).cloned().unwrap_or_default();
        let status = engine.task(&task.id);
        let (tokens, cost_micro_usd) = (history.tokens(), history.cost_micro_usd());
        let last = history.last;
        let owner = self
            .host
            .as_ref()
            .map(|host| format!("{}:{}", host.name, host.pid));
        TaskView {
            id: task.id.clone(),
            name: task.name.clone(),
            stage: status
                .as_ref()
                .map_or(TaskStage::LeftOut, |status| stage(status, task)),
            attempts: status.as_ref().map_or(0, |status| status.attempt),
            retry_count: status.as_ref().map_or(0, |status| status.retry_count),
            executions: task.retry_policy.max_attempts.saturating_add(1),
            priority: task.priority,
            dependencies: task.dependencies.clone(),
            owner: owner.filter(|_| {
                status
                    .as_ref()
                    .is_some_and(|status| status.lease_expires.is_some())
            }),
            failure: status.as_ref().and_then(|status| status.failure.cloned()),
            started: status.as_ref().and_then(|status| status.started_at),
            ended: status.as_ref().and_then(|status| status.completed_at),
            worked_ms: history.worked_ms,
            command: last.as_ref().and_then(|last| last.command.clone()),
            refused_hosts: last
                .as_ref()
                .map(|last| last.refused_hosts.clone())
                .unwrap_or_default(),
            unreached_hosts: last.map(|last| last.unreached_hosts).unwrap_or_default(),
            gates: history.gates,
            paths: status
                .and_then(|status| status.change.map(|change| change.paths.clone()))
                .unwrap_or_default(),
            tokens,
            cost_micro_usd,
        }
    }
}
