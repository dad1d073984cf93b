//! What a run's facts tell beside the engine's decisions: evidence, costs, times; folded into the one [`View`] that
//! reports render, and into what proofs are made of.
//!
//! It decides nothing. It refuses to know where facts come from.

use std::collections::{BTreeMap, HashMap};

use crate::engine::{CancelReason, Engine, TaskState, TaskStatus, Waits};
use crate::fact::{
    AgentEvidence, Began, Containment, Evidence, Fact, GateOutcome, Host, Limit, Order, Outcome, RunVerdict, Spending,
    Tokens, confined,
};
use crate::id::{GateId, Moment, RepoPath, Scope, Sha256, TaskId, Tip};
use crate::plan::{Network, Plan, Task, WriteSet};
use crate::proof::{Input, JudgedBy, Share, Standing, TaskShare, standing};
use crate::report::{Ejection, LimitsView, Stage, TaskView, VERSION, View, room};

/// The facts of a run, by task.
#[derive(Debug, Clone, Default)]
pub struct History {
    tasks: HashMap<TaskId, TaskHistory>,
    /// What the gates said of the tips they were last run on.
    judged: Option<(Tip, Vec<GateOutcome>)>,
    limited: Option<Limit>,
    containment: Option<Containment>,
    ended: Option<Moment>,
    host: Option<Host>,
    /// What the last process was given, where that differs from the beginning.
    workers: Option<u32>,
    spending: Option<Spending>,
    /// What a person must know, a sentence each.
    pub warnings: Vec<String>,
    /// Somebody else moved the result's branch, so that it does not hold the result.
    pub branch_lost: bool,
}

/// What was seen of one task.
#[derive(Debug, Clone, Default)]
struct TaskHistory {
    worked_ms: u64,
    tokens: Tokens,
    cost_micro_usd: Option<u64>,
    agents: Vec<AgentEvidence>,
    /// The newest attempt that was over.
    attempt: u32,
    /// Its evidence.
    last: Option<Evidence>,
    /// Of the last attempt that came to its gates.
    gates: Vec<GateOutcome>,
    base: Option<Tip>,
}

impl History {
    /// Remembers a fact, and what the engine ordered because of it.
    pub fn take(&mut self, at: Moment, fact: &Fact, orders: &[Order]) {
        match fact {
            Fact::Began(began) => self.host = Some(began.host.clone()),
            Fact::TookUp { host, workers, spending, unblocked: _ } => {
                self.host = Some(host.clone());
                self.workers = workers.or(self.workers);
                self.spending = spending.or(self.spending);
                (self.ended, self.limited) = (None, None);
            }
            Fact::Prepared { task, base, .. } => self.task_mut(task).base = Some(base.clone()),
            Fact::Worked { task, attempt, outcome, evidence } => {
                if matches!(outcome, Outcome::Changed(_) | Outcome::Unchanged) {
                    self.warn_of_walls(task, evidence);
                }
                self.worked(task, *attempt, evidence);
            }
            Fact::Judged { trouble: Some(trouble), .. } => {
                self.warnings.push(format!("the result could not be judged: {}", trouble.in_full()));
            }
            Fact::Rebuilt { trouble: Some(trouble), .. } => {
                self.warnings.push(format!("the result could not be built anew: {}", trouble.in_full()));
            }
            Fact::Judged { tip, gates, .. } => {
                self.saw_rooms(confined(gates));
                self.judged = Some((tip.clone(), gates.clone()));
            }
            Fact::Preflighted { gates, .. } => self.saw_rooms(confined(gates)),
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
        let command =
            evidence.kept_from_writing().map(|kept| format!("the command of `{task}` went on although {kept}"));
        let gates = evidence.gates.iter().filter(|gate| gate.counts_as_passed).filter_map(|gate| {
            Some(format!("gate `{}` on `{task}` passed although {}", gate.gate, gate.kept_from_writing()?))
        });
        self.warnings.extend(command.into_iter().chain(gates));
    }

    fn saw_rooms(&mut self, rooms: impl IntoIterator<Item = Containment>) {
        self.containment = self.containment.take().into_iter().chain(rooms).reduce(Containment::weakest);
    }

    fn worked(&mut self, task: &TaskId, attempt: u32, evidence: &Evidence) {
        self.saw_rooms(evidence.room());
        let task = self.task_mut(task);
        task.worked_ms += evidence.duration_ms;
        if let Some(agent) = &evidence.agent {
            task.tokens += agent.tokens;
            if let Some(cost) = agent.cost_micro_usd {
                task.cost_micro_usd = Some(task.cost_micro_usd.unwrap_or(0).saturating_add(cost));
            }
            task.agents.push(agent.clone());
        }
        // A revoked attempt may answer after the one that took its place. What it used counts, and nothing else.
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
            all += task.tokens;
        }
        all
    }

    /// What that cost, where prices are known.
    #[must_use]
    pub fn cost_micro_usd(&self) -> Option<u64> {
        self.tasks.values().filter_map(|task| task.cost_micro_usd).reduce(u64::saturating_add)
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

    /// What the gates said of the present tip: by a run on the result, or by the task that proved that very tree.
    #[must_use]
    pub fn result_gates(&self, engine: &Engine) -> Vec<GateOutcome> {
        let tip = engine.tip();
        if let Some((judged, gates)) = &self.judged
            && Some(&judged.tree) == tip.map(|tip| &tip.tree)
        {
            return gates.clone();
        }
        let prover = engine.tip_proven_by().filter(|_| engine.landings().next().is_some());
        prover.and_then(|task| self.tasks.get(task)).map(|task| task.gates.clone()).unwrap_or_default()
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
            started: engine.tasks().next().map_or_else(|| engine.at().unwrap_or_default(), |task| task.created_at),
            ended: self.ended,
            base: began.base.clone(),
            result: engine.tip().filter(|_| landed).cloned(),
            // A branch that is not at the result must not be offered for it.
            branch: match engine.tip().filter(|_| self.branch_lost) {
                Some(tip) => tip.commit.as_str()[..12].to_owned(),
                None => run_branch(&began.scope),
            },
            limits: self.limits_view(began),
            limited: self.limited,
            tokens: self.tokens(),
            cost_micro_usd: self.cost_micro_usd(),
            tasks: plan.tasks.iter().map(|task| self.task_view(engine, task)).collect(),
            gates: self.result_gates(engine),
            room_exceptions: self.containment.as_ref().map(|room| room::exceptions(room.level)).unwrap_or_default(),
            containment: self.containment.clone(),
            judged_by: Some(JudgedBy::SameJob),
            warnings: self.warnings.clone(),
            next: Vec::new(),
        })
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
        let last = history.last;
        let owner = self.host.as_ref().map(|host| format!("{}:{}", host.name, host.pid));
        TaskView {
            id: task.id.clone(),
            name: task.name.clone(),
            stage: status.as_ref().map_or(Stage::LeftOut, |status| stage(status, task)),
            attempts: status.as_ref().map_or(0, |status| status.attempt),
            retry_count: status.as_ref().map_or(0, |status| status.retry_count),
            executions: task.retry_policy.max_attempts.saturating_add(1),
            priority: task.priority,
            dependencies: task.dependencies.clone(),
            owner: owner.filter(|_| status.as_ref().is_some_and(|status| status.lease_expires.is_some())),
            failure: status.as_ref().and_then(|status| status.failure.cloned()),
            started: status.as_ref().and_then(|status| status.started_at),
            ended: status.as_ref().and_then(|status| status.completed_at),
            worked_ms: history.worked_ms,
            command: last.as_ref().and_then(|last| last.command.clone()),
            refused_hosts: last.as_ref().map(|last| last.refused_hosts.clone()).unwrap_or_default(),
            unreached_hosts: last.map(|last| last.unreached_hosts).unwrap_or_default(),
            gates: history.gates,
            paths: status.and_then(|status| status.change.map(|change| change.paths.clone())).unwrap_or_default(),
            tokens: history.tokens,
            cost_micro_usd: history.cost_micro_usd,
        }
    }

    /// What each completed task's proof is made of, in the plan's order. Tasks without a change prove nothing.
    #[must_use]
    pub fn task_proofs(&self, engine: &Engine, journal_head: &Sha256) -> Vec<(TaskId, Input)> {
        let Some(began) = engine.began() else { return Vec::new() };
        let landed = engine.tasks().filter(|status| status.landed.is_some());
        landed
            .filter_map(|status| Some((status.id.clone(), self.task_proof(engine, began, &status, journal_head)?)))
            .collect()
    }

    fn task_proof(
        &self,
        engine: &Engine,
        began: &Began,
        status: &TaskStatus<'_>,
        journal_head: &Sha256,
    ) -> Option<Input> {
        let (change, history) = (status.change?, self.tasks.get(status.id)?);
        let (evidence, task) = (history.last.as_ref()?, engine.plan().task(status.id)?);
        let declared = match &task.write_set {
            WriteSet::Unknown => None,
            WriteSet::Declared(globs) => Some(globs.iter().map(ToString::to_string).collect()),
        };
        let required: Vec<GateId> =
            task.gates.iter().filter(|gate| is_required(engine.plan(), gate)).cloned().collect();
        let passed = standing(&evidence.gates, &required) == Standing::Proven;
        let share = TaskShare {
            id: status.id.clone(),
            attempts: status.attempt,
            completed: status.state == TaskState::Completed,
            declared,
            observed: change.paths.clone(),
        };
        let verdict = match (status.ejected, passed) {
            (Some(_), _) => RunVerdict::NotReady,
            (None, true) => RunVerdict::Ready,
            (None, false) => RunVerdict::Neutral,
        };
        let base = evidence.base.clone()?;
        let mut input = self.input(began, Share::Task(share), base, change.tip.clone(), journal_head);
        input.required = required;
        input.judged_tree = evidence.tree.clone();
        input.gates.clone_from(&evidence.gates);
        input.agent.clone_from(&history.agents);
        input.containment = evidence.room().unwrap_or_default();
        input.networks = evidence.network.iter().map(|network| (status.id.clone(), network.clone())).collect();
        input.verdict = verdict;
        Some(input)
    }

    /// What the run's proof is made of; `None` where nothing landed.
    #[must_use]
    pub fn run_proof(&self, engine: &Engine, observed: Vec<RepoPath>, journal_head: &Sha256) -> Option<Input> {
        let began = engine.began()?;
        let tip = engine.tip()?.clone();
        let landed: Vec<TaskId> = engine.landings().map(|(task, _)| task.clone()).collect();
        if landed.is_empty() {
            return None;
        }
        let completed = engine.tasks().filter(|status| status.state == TaskState::Completed);
        let completed = completed.map(|status| status.id.clone()).collect();
        let share = Share::Run { landed, completed, observed };
        let mut input = self.input(began, share, began.base.clone(), tip.clone(), journal_head);
        let required = engine.plan().gates.iter().filter(|gate| gate.required);
        input.required = required.map(|gate| gate.id.clone()).collect();
        input.gates = self.result_gates(engine);
        input.judged_tree = (!input.gates.is_empty()).then_some(tip.tree);
        input.agent = engine
            .plan()
            .tasks
            .iter()
            .filter_map(|task| self.tasks.get(&task.id))
            .flat_map(|task| task.agents.clone())
            .collect();
        input.networks = engine.landings().filter_map(|(task, _)| Some((task.clone(), self.network(task)?))).collect();
        input.verdict = engine.verdict().unwrap_or(RunVerdict::NotReady);
        Some(input)
    }

    /// What was open to a task's agent or command at its last attempt.
    fn network(&self, task: &TaskId) -> Option<Network> {
        self.tasks.get(task)?.last.as_ref()?.network.clone()
    }

    /// What all proofs of a run have in common.
    fn input(&self, began: &Began, share: Share, base: Tip, result: Tip, journal_head: &Sha256) -> Input {
        Input {
            run: began.run.clone(),
            scope: began.scope.clone(),
            omk: began.omk.clone(),
            plan: began.plan.clone(),
            share,
            base,
            result,
            required: Vec::new(),
            judged_tree: None,
            gates: Vec::new(),
            agent: Vec::new(),
            journal_head: journal_head.clone(),
            runner: self.host.clone().unwrap_or_else(|| began.host.clone()),
            containment: self.containment.clone().unwrap_or_default(),
            networks: BTreeMap::new(),
            judged_by: JudgedBy::SameJob,
            trigger: began.trigger.clone(),
            verdict: RunVerdict::NotReady,
            bundle: None,
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

fn is_required(plan: &Plan, gate: &GateId) -> bool {
    plan.gate(gate).is_some_and(|gate| gate.required)
}

fn stage(status: &TaskStatus<'_>, task: &Task) -> Stage {
    match status.state {
        TaskState::Pending => pending(status, task),
        TaskState::Claimed => Stage::Claimed,
        TaskState::Running => {
            let doing = if status.change.is_some() { "landing" } else { "" };
            Stage::Running { doing: doing.to_owned() }
        }
        TaskState::Completed => Stage::Completed {
            landed: status.landed.cloned(),
            ejected: status.ejected.map(|why| Ejection { gate: why.gate.clone(), log: why.log.clone() }),
        },
        TaskState::Failed => Stage::Failed,
        TaskState::Cancelled => Stage::Cancelled { why: status.cancelled.map(cancelled).unwrap_or_default() },
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
        CancelReason::FailFast(task) => format!("{task} failed, and the run stops at the first failure"),
    }
}
