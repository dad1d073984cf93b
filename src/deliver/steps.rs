//! What is to be pushed, and which pull requests are to be, decided from what was found. Plain
//! functions.
//!
//! It refuses to touch a ref whose tip is not omk's, to reopen what a person closed, and to deliver
//! what is not ready.

mod planner;

use std::collections::BTreeMap;

use super::RunOutcome;
use crate::fact::RunVerdict;
use crate::git::RefUpdate;
use crate::history::{run_branch, task_branch};
use crate::id::{CommitId, GateId, TaskId};
use crate::plan::{DeliverAs, Plan};
use crate::proof::{ProofStanding, standing};
use crate::report::DeliveryObstacle;
use crate::request::Request;
use crate::trust::PullRequest;
use planner::Planner;

/// The full name of the ref with a run's proofs.
#[must_use]
pub fn proofs_ref(request: &Request) -> String {
    format!("refs/omk/proofs/{}", request.run)
}

/// The full name of a branch.
#[must_use]
pub fn full(branch: &str) -> String {
    format!("refs/heads/{branch}")
}

/// How much of a run is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveredShare {
    /// The result, which is ready.
    All,
    /// The proven tasks of a run that is not ready.
    Partial,
    /// Nothing.
    Nothing,
}

/// A ref of the remote, just before the push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Where it is.
    pub commit: CommitId,
    /// Whether that commit is omk's own.
    pub ours: bool,
}

/// What was found before anything was changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RemoteState {
    /// Refs of the remote, by full name; those that are not here are not there.
    pub refs: BTreeMap<String, Held>,
    /// Pull requests by the branch they are from, newest first.
    pub pulls: BTreeMap<String, Vec<PullRequest>>,
    /// Refs that the remote has refused to change, by full name, and its words.
    pub refused: BTreeMap<String, String>,
}

/// What is to be done at the remote.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RemoteSteps {
    /// Refs to change, all or none.
    pub refs: Vec<RefUpdate>,
    /// Pull requests to open or update, once the refs are there.
    pub pulls: Vec<PullStep>,
    /// What is in the way.
    pub troubles: Vec<DeliveryObstacle>,
    /// The result is on the branch itself, so that no pull request is wanted.
    pub direct: bool,
}

/// A pull request that is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullStep {
    /// The branch that holds the change.
    pub head: String,
    /// Where it is to be merged.
    pub base: String,
    /// The task, where each has one of its own.
    pub task: Option<TaskId>,
    /// What finds it again: [`marker`](crate::report::pull::marker).
    pub marker: String,
    /// It is made as a draft.
    pub draft: bool,
}

/// How much of this run is delivered.
#[must_use]
pub fn share(plan: &Plan, outcome: &RunOutcome) -> DeliveredShare {
    let changed = outcome
        .result
        .as_ref()
        .is_some_and(|result| result.commit != outcome.view.base.commit);
    if !changed {
        return DeliveredShare::Nothing;
    }
    match outcome.verdict {
        RunVerdict::Ready => DeliveredShare::All,
        RunVerdict::NotReady
        | RunVerdict::NeedsMoreBudget
        | RunVerdict::BlockedOnExternal
        | RunVerdict::BlockedOnHuman
        | RunVerdict::FailedInfra
            if plan.deliver.partial && is_proven(plan, outcome) =>
        {
            DeliveredShare::Partial
        }
        RunVerdict::NotReady
        | RunVerdict::NeedsMoreBudget
        | RunVerdict::BlockedOnExternal
        | RunVerdict::BlockedOnHuman
        | RunVerdict::FailedInfra
        | RunVerdict::Neutral
        | RunVerdict::Cancelled => DeliveredShare::Nothing,
    }
}

/// Whether the gates that the plan requires have passed on the result that there is.
fn is_proven(plan: &Plan, outcome: &RunOutcome) -> bool {
    let required: Vec<GateId> = plan
        .gates
        .iter()
        .filter(|gate| gate.required)
        .map(|gate| gate.id.clone())
        .collect();
    standing(&outcome.view.gates, &required) == ProofStanding::Proven
}

/// Where the result is to be merged.
pub(super) fn target(request: &Request) -> &str {
    request
        .pull
        .as_ref()
        .map_or(request.default_branch.as_str(), |pull| pull.head.as_str())
}

/// Decides it. `proofs` is the commit with the proofs, where there are any.
#[must_use]
pub fn plan_delivery(
    plan: &Plan,
    request: &Request,
    outcome: &RunOutcome,
    proofs: Option<&CommitId>,
    found: &RemoteState,
) -> RemoteSteps {
    let share = share(plan, outcome);
    let (DeliveredShare::All | DeliveredShare::Partial, Some(result)) = (share, &outcome.result)
    else {
        return RemoteSteps::default();
    };
    let mut planner = Planner {
        plan,
        request,
        found,
        share,
        steps: RemoteSteps::default(),
    };
    planner.behind();
    let on_branch = plan.deliver.form == DeliverAs::Push && planner.onto_head(&result.commit);
    planner.steps.direct = on_branch;
    let run = run_branch(&request.scope);
    match plan.deliver.form {
        DeliverAs::Branches => {
            planner.move_ref(&full(&run), &result.commit);
            for (task, commit) in &outcome.tasks {
                planner.move_ref(&full(&task_branch(&request.scope, task)), commit);
            }
        }
        DeliverAs::PullRequestPerTask => {
            planner.move_ref(&full(&run), &result.commit);
            planner.tasks(&outcome.tasks);
        }
        DeliverAs::Push if on_branch => {
            planner.move_ref(&full(&run), &result.commit);
        }
        DeliverAs::Push | DeliverAs::PullRequest => planner.whole(&run, &result.commit),
    }
    if let Some(proofs) = proofs {
        planner.move_ref(&proofs_ref(request), proofs);
    }
    planner.steps
}
