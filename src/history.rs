//! What a run's facts tell beside the engine's decisions: evidence, costs, times; folded into the
//! one [`View`] that reports render, and into what proofs are made of.
//!
//! It decides nothing. It refuses to know where facts come from.

mod proofs;
mod spent;
mod stage;

use std::collections::{BTreeMap, HashMap};

use crate::engine::Engine;
use crate::fact::{
    AgentEvidence, Began, Containment, Evidence, Fact, Failure, GateOutcome, HostProcess, Limit,
    Order, Outcome, RunVerdict, Spending, Tokens, confined,
};
use crate::id::{Moment, Scope, TaskId, Tip};
use crate::plan::{Agent, Task};
use crate::proof::JudgedBy;
use crate::report::{LimitsView, TaskStage, TaskView, VERSION, View, room};
use spent::{Cost, Spent};
use stage::stage;

/// The facts of a run, by task.
#[derive(Debug, Clone, Default)]
pub struct History {
    tasks: HashMap<TaskId, TaskHistory>,
    /// What the gates said of the tips they were last run on.
    judged: Option<(Tip, Vec<GateOutcome>)>,
    limited: Option<Limit>,
    containment: Option<Containment>,
    ended: Option<Moment>,
    host: Option<HostProcess>,
    /// What the last process was given, where that differs from the beginning.
    workers: Option<u32>,
    spending: Option<Spending>,
    /// What a person must know, a sentence each.
    pub warnings: Vec<String>,
    /// Why the result's branch is not at the result, if the run has ended so.
    unplaced: Option<Failure>,
}

/// What was seen of one task.
#[derive(Debug, Clone, Default)]
struct TaskHistory {
    worked_ms: u64,
    /// What its attempts used, by attempt.
    spent: BTreeMap<u32, Spent>,
    /// The newest attempt that was over.
    attempt: u32,
    /// Its evidence.
    last: Option<Evidence>,
    /// Of the last attempt that came to its gates.
    gates: Vec<GateOutcome>,
    base: Option<Tip>,
}

impl TaskHistory {
    fn tokens(&self) -> Tokens {
        let mut all = Tokens::default();
        for spent in self.spent.values() {
            all += spent.tokens();
        }
        all
    }

    fn cost_micro_usd(&self) -> Option<u64> {
        self.spent
            .values()
            .filter_map(Spent::cost_micro_usd)
            .reduce(u64::saturating_add)
    }

    fn agents(&self, agent: &Agent) -> Vec<AgentEvidence> {
        self.spent
            .values()
            .map(|spent| spent.evidence(agent))
            .collect()
    }

    fn asked(&mut self, attempt: u32, request: u64, cost: Cost) {
        match self
            .spent
            .entry(attempt)
            .or_insert_with(|| Spent::Counted(BTreeMap::new()))
        {
            Spent::Counted(requests) => {
                requests.insert(request, cost);
            }
            // It is counted in the whole already.
            Spent::Settled(_) => {}
        }
    }
}

impl History {
    /// Remembers a fact, and what the engine ordered because of it.
    pub fn take(&mut self, at: Moment, fact: &Fact, orders: &[Order]) {
        match fact {
            Fact::Began(began) => self.host = Some(began.host.clone()),
            Fact::TookUp {
                host,
                workers,
                spending,
                unblocked: _,
                lost,
            } => {
                self.warnings.extend(lost.iter().map(|task| {
                    format!("the change of `{task}` was gone from git's objects, or torn, so it was made again")
                }));
                self.host = Some(host.clone());
                self.workers = workers.or(self.workers);
                self.spending = spending.or(self.spending);
                (self.ended, self.limited, self.unplaced) = (None, None, None);
            }
            Fact::Prepared { task, base, .. } => self.task_mut(task).base = Some(base.clone()),
            &Fact::Asked {
                ref task,
                attempt,
                request,
                tokens,
                cost_micro_usd,
            } => {
                self.task_mut(task).asked(
                    attempt,
                    request,
                    Cost {
                        tokens,
                        cost_micro_usd,
                        estimated: true,
                    },
                );
            }
            &Fact::Answered {
                ref task,
                attempt,
                request,
                tokens,
                estimated,
                cost_micro_usd,
            } => {
                self.task_mut(task).asked(
                    attempt,
                    request,
                    Cost {
                        tokens,
                        cost_micro_usd,
                        estimated,
                    },
                );
            }
            Fact::Worked {
                task,
                attempt,
                outcome,
                evidence,
            } => {
                if matches!(outcome, Outcome::Changed(_) | Outcome::Unchanged) {
                    self.warn_of_walls(task, evidence);
                }
                if let Some(why) = evidence
                    .agent
                    .as_ref()
                    .and_then(|agent| agent.unrecorded.as_ref())
                {
                    let what = format!(
                        "attempt {attempt} of `{task}`: {why}; `omk replay --agents` cannot repeat it"
                    );
                    self.warnings.push(what);
                }
                self.worked(task, *attempt, evidence);
            }
            Fact::Judged {
                trouble: Some(trouble),
                ..
            } => {
                self.warnings.push(format!(
                    "the result could not be judged: {}",
                    trouble.in_full()
                ));
            }
            Fact::Rebuilt {
                trouble: Some(trouble),
                ..
            } => {
                self.warnings.push(format!(
                    "the result could not be built anew: {}",
                    trouble.in_full()
                ));
            }
            Fact::Judged { tip, gates, .. } => {
                self.saw_rooms(confined(gates));
                self.judged = Some((tip.clone(), gates.clone()));
            }
            Fact::Preflighted { gates, .. } => self.saw_rooms(confined(gates)),
            Fact::Placed { trouble } => self.unplaced.clone_from(trouble),
            Fact::Limited { limit } => self.limited = Some(*limit),
            Fact::Woke
            | Fact::Renewed { .. }
            | Fact::Landed { .. }
            | Fact::Clashed { .. }
            | Fact::Rebuilt { trouble: None, .. }
            | Fact::Stopped { .. }
            | Fact::Cancelled { .. } => {}
        }
        for order in orders {
            if let Order::Conclude { verdict } = order {
                self.ended = Some(at);
                if *verdict == RunVerdict::NeedsMoreBudget {
                    self.limited.get_or_insert(Limit::Time);
                }
            }
        }
    }

    fn task_mut(&mut self, task: &TaskId) -> &mut TaskHistory {
        self.tasks.entry(task.clone()).or_default()
    }

    /// A child that could not write something and went on may have done less than it says.
    fn warn_of_walls(&mut self, task: &TaskId, evidence: &Evidence) {
        let command = evidence
            .kept_from_writing()
            .map(|kept| format!("the command of `{task}` went on although {kept}"));
        let gates = evidence
            .gates
            .iter()
            .filter(|gate| gate.counts_as_passed)
            .filter_map(|gate| {
                Some(format!(
                    "gate `{}` on `{task}` passed although {}",
                    gate.gate,
                    gate.kept_from_writing()?
                ))
            });
        self.warnings.extend(command.into_iter().chain(gates));
    }

    fn saw_rooms(&mut self, rooms: impl IntoIterator<Item = Containment>) {
        self.containment = self
            .containment
            .take()
            .into_iter()
            .chain(rooms)
            .reduce(Containment::weakest);
    }

    fn worked(&mut self, task: &TaskId, attempt: u32, evidence: &Evidence) {
        self.saw_rooms(evidence.room());
        let task = self.task_mut(task);
        task.worked_ms += evidence.duration_ms;
        if let Some(agent) = &evidence.agent {
            task.spent
                .insert(attempt, Spent::Settled(Box::new(agent.clone())));
        }
        // A revoked attempt may answer after the one that took its place. What it used counts, and
        // nothing else.
        if attempt < task.attempt {
            return;
        }
        task.attempt = attempt;
        if !evidence.gates.is_empty() {
            task.gates.clone_from(&evidence.gates);
        }
        task.last = Some(evidence.clone());
    }

    /// The limits that the last process was given over those of the beginning.
    #[must_use]
    pub fn spending(&self) -> Option<Spending> {
        self.spending
    }

    /// How many workers the last process was given over those of the beginning.
    #[must_use]
    pub fn workers(&self) -> Option<u32> {
        self.workers
    }

    /// What all tasks used so far.
    #[must_use]
    pub fn tokens(&self) -> Tokens {
        let mut all = Tokens::default();
        for task in self.tasks.values() {
            all += task.tokens();
        }
        all
    }

    /// What that cost, where prices are known.
    #[must_use]
    pub fn cost_micro_usd(&self) -> Option<u64> {
        self.tasks
            .values()
            .filter_map(TaskHistory::cost_micro_usd)
            .reduce(u64::saturating_add)
    }

    /// The evidence of a task's last finished attempt.
    #[must_use]
    pub fn last_evidence(&self, task: &TaskId) -> Option<&Evidence> {
        self.tasks.get(task)?.last.as_ref()
    }

    /// What a task's last attempt was built on.
    #[must_use]
    pub fn base(&self, task: &TaskId) -> Option<&Tip> {
        self.tasks.get(task)?.base.as_ref()
    }

    /// What the gates said of the present tip: by a run on the result, or by the task that proved
    /// that very tree.
    #[must_use]
    pub fn result_gates(&self, engine: &Engine) -> Vec<GateOutcome> {
        let tip = engine.tip();
        if let Some((judged, gates)) = &self.judged
            && Some(&judged.tree) == tip.map(|tip| &tip.tree)
        {
            return gates.clone();
        }
        let prover = engine
            .tip_proven_by()
            .filter(|_| engine.landings().next().is_some());
        prover
            .and_then(|task| self.tasks.get(task))
            .map(|task| task.gates.clone())
            .unwrap_or_default()
    }

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

/// The branch of a run's integrated result.
#[must_use]
pub fn run_branch(scope: &Scope) -> String {
    format!("omk/run/{scope}")
}

/// The branch of a task's own change.
#[must_use]
pub fn task_branch(scope: &Scope, task: &TaskId) -> String {
    format!("{}{task}", task_branches(scope))
}

/// What the branches of a scope's tasks begin with.
#[must_use]
pub fn task_branches(scope: &Scope) -> String {
    format!("omk/task/{scope}/")
}

#[cfg(test)]
mod tests;
