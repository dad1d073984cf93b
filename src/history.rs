//! What a run's facts tell beside the engine's decisions: evidence, costs, times; folded into the
//! one [`View`](crate::report::View) that reports render, and into what proofs are made of.
//!
//! It decides nothing. It refuses to know where facts come from.

mod proofs;
mod spent;
mod stage;
mod fold;
mod result;

use std::collections::{BTreeMap, HashMap};

use crate::engine::Engine;
use crate::fact::{
    AgentEvidence, Containment, Evidence, Failure, GateOutcome, HostProcess, Limit, Spending,
    Tokens,
};
use crate::id::{Moment, Scope, TaskId, Tip};
use crate::plan::Agent;
use spent::{Cost, Spent};

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
