//! What the proofs of a run are made of.
//!
//! It refuses to prove what changed nothing.

use std::collections::BTreeMap;

use super::History;
use crate::engine::{Engine, TaskState, TaskStatus};
use crate::fact::{Began, RunVerdict};
use crate::id::{GateId, RepoPath, Sha256, TaskId, Tip};
use crate::plan::{Network, Plan, WriteSet};
use crate::proof::{Input, JudgedBy, ProofStanding, Share, TaskShare, standing};

impl History {
    /// What each completed task's proof is made of, in the plan's order. Tasks without a change
    /// prove nothing.
    #[must_use]
    pub fn task_proofs(&self, engine: &Engine, journal_head: &Sha256) -> Vec<(TaskId, Input)> {
        let Some(began) = engine.began() else {
            return Vec::new();
        };
        let landed = engine.tasks().filter(|status| status.landed.is_some());
        landed
            .filter_map(|status| {
                Some((
                    status.id.clone(),
                    self.task_proof(engine, began, &status, journal_head)?,
                ))
            })
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
        let required: Vec<GateId> = task
            .gates
            .iter()
            .filter(|gate| is_required(engine.plan(), gate))
            .cloned()
            .collect();
        let passed = standing(&evidence.gates, &required) == ProofStanding::Proven;
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
        let mut input = self.input(
            began,
            Share::Task(share),
            base,
            change.tip.clone(),
            journal_head,
        );
        input.required = required;
        input.judged_tree = evidence.tree.clone();
        input.gates.clone_from(&evidence.gates);
        input.agent = history.agents(&engine.plan().agent);
        input.containment = evidence.room().unwrap_or_default();
        input.networks = evidence
            .network
            .iter()
            .map(|network| (status.id.clone(), network.clone()))
            .collect();
        input.verdict = verdict;
        Some(input)
    }

    /// What the run's proof is made of; `None` where nothing landed.
    #[must_use]
    pub fn run_proof(
        &self,
        engine: &Engine,
        observed: Vec<RepoPath>,
        journal_head: &Sha256,
    ) -> Option<Input> {
        let began = engine.began()?;
        let tip = engine.tip()?.clone();
        let landed: Vec<TaskId> = engine.landings().map(|(task, _)| task.clone()).collect();
        if landed.is_empty() {
            return None;
        }
        let completed = engine
            .tasks()
            .filter(|status| status.state == TaskState::Completed);
        let completed = completed.map(|status| status.id.clone()).collect();
        let share = Share::Run {
            landed,
            completed,
            observed,
        };
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
            .flat_map(|task| task.agents(&engine.plan().agent))
            .collect();
        input.networks = engine
            .landings()
            .filter_map(|(task, _)| Some((task.clone(), self.network(task)?)))
            .collect();
        input.verdict = engine.verdict().unwrap_or(RunVerdict::NotReady);
        Some(input)
    }

    /// What was open to a task's agent or command at its last attempt.
    fn network(&self, task: &TaskId) -> Option<Network> {
        self.tasks.get(task)?.last.as_ref()?.network.clone()
    }

    /// What all proofs of a run have in common.
    fn input(
        &self,
        began: &Began,
        share: Share,
        base: Tip,
        result: Tip,
        journal_head: &Sha256,
    ) -> Input {
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

fn is_required(plan: &Plan, gate: &GateId) -> bool {
    plan.gate(gate).is_some_and(|gate| gate.required)
}
