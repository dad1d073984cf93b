//! What is to be pushed, and which pull requests are to be, decided from what was found. Plain
//! functions.
//!
//! It refuses to touch a ref whose tip is not omk's, to reopen what a person closed, and to deliver
//! what is not ready.

use std::collections::BTreeMap;

use super::{RunOutcome, definition};
use crate::fact::RunVerdict;
use crate::git::RefUpdate;
use crate::history::{run_branch, task_branch, task_branches};
use crate::id::{CommitId, GateId, TaskId};
use crate::plan::{DeliverAs, Plan};
use crate::proof::{ProofStanding, standing};
use crate::report::{DeliveryObstacle, pull};
use crate::request::Request;
use crate::trust::PullRequest;

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
    /// What finds it again: [`pull::marker`].
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

struct Planner<'a> {
    plan: &'a Plan,
    request: &'a Request,
    found: &'a RemoteState,
    share: DeliveredShare,
    steps: RemoteSteps,
}

impl Planner<'_> {
    /// Plans a ref; false where it is not to be touched.
    fn move_ref(&mut self, name: &str, to: &CommitId) -> bool {
        if let Some(said) = self.found.refused.get(name) {
            self.steps.troubles.push(DeliveryObstacle::RefRefused {
                name: short(name).to_owned(),
                said: said.clone(),
            });
            return false;
        }
        let held = self.found.refs.get(name);
        if let Some(held) = held.filter(|held| !held.ours && held.commit != *to) {
            let (branch, tip) = (short(name).to_owned(), held.commit.clone());
            self.steps
                .troubles
                .push(DeliveryObstacle::Foreign { branch, tip });
            return false;
        }
        let expected = held.map(|held| held.commit.clone());
        self.steps.refs.push(RefUpdate {
            name: name.to_owned(),
            to: Some(to.clone()),
            expected,
        });
        true
    }

    /// Says it where the pull request's head has moved; the result is still of the pinned one.
    fn behind(&mut self) {
        let Some(pull) = &self.request.pull else {
            return;
        };
        let now = self
            .found
            .refs
            .get(&full(&pull.head))
            .map(|held| held.commit.clone());
        let pushes = self.plan.deliver.form == DeliverAs::Push;
        match now {
            Some(now) if now == self.request.base || pushes => {}
            Some(now) => self.steps.troubles.push(DeliveryObstacle::Behind {
                branch: pull.head.clone(),
                now,
            }),
            None => self.steps.troubles.push(DeliveryObstacle::TargetGone {
                branch: pull.head.clone(),
            }),
        }
    }

    /// Plans the push onto the pull request's head, where that is still the pinned commit, or the
    /// result already.
    fn onto_head(&mut self, result: &CommitId) -> bool {
        let Some(pull) = &self.request.pull else {
            return false;
        };
        let (name, branch) = (full(&pull.head), pull.head.clone());
        if branch == self.request.default_branch {
            let said = "it is the default branch, which omk does not push onto".to_owned();
            self.steps
                .troubles
                .push(DeliveryObstacle::HeadRefused { branch, said });
            return false;
        }
        if let Some(said) = self.found.refused.get(&name) {
            self.steps.troubles.push(DeliveryObstacle::HeadRefused {
                branch,
                said: said.clone(),
            });
            return false;
        }
        let now = self.found.refs.get(&name).map(|held| held.commit.clone());
        match now {
            Some(now) if now == self.request.base || now == *result => {
                self.steps.refs.push(RefUpdate {
                    name,
                    to: Some(result.clone()),
                    expected: Some(now),
                });
                true
            }
            Some(now) => {
                self.steps
                    .troubles
                    .push(DeliveryObstacle::HeadMoved { branch, now });
                false
            }
            // That it is gone was said.
            None => false,
        }
    }

    /// One pull request with everything.
    fn whole(&mut self, branch: &str, result: &CommitId) {
        let marker = pull::marker(self.request, None, &definition::of_tasks(self.plan));
        if self.is_closed(branch, None, &marker) || !self.move_ref(&full(branch), result) {
            return;
        }
        self.pull(branch.to_owned(), None, marker);
    }

    /// A pull request for each task, as many at once as the plan allows.
    fn tasks(&mut self, tasks: &[(TaskId, CommitId)]) {
        let limit = usize::try_from(self.plan.deliver.limit).unwrap_or(usize::MAX);
        let prefix = task_branches(&self.request.scope);
        let from_us = self
            .found
            .pulls
            .iter()
            .filter(|(branch, _)| branch.starts_with(&prefix));
        let mut open = from_us
            .filter(|(_, pulls)| pulls.iter().any(|pull| pull.open))
            .count();
        let mut waiting = 0;
        for (task, commit) in tasks {
            let branch = task_branch(&self.request.scope, task);
            let Some(digest) = definition::of_task(self.plan, task) else {
                continue;
            };
            let marker = pull::marker(self.request, Some(task), &digest);
            if self.is_closed(&branch, Some(task), &marker)
                || !self.move_ref(&full(&branch), commit)
            {
                continue;
            }
            if self.pulls_of(&branch).iter().any(|pull| pull.open) {
                self.pull(branch, Some(task.clone()), marker);
            } else if open < limit {
                open += 1;
                self.pull(branch, Some(task.clone()), marker);
            } else {
                waiting += 1;
            }
        }
        if waiting > 0 {
            self.steps.troubles.push(DeliveryObstacle::Full {
                limit: self.plan.deliver.limit,
                waiting,
            });
        }
    }

    fn pull(&mut self, head: String, task: Option<TaskId>, marker: String) {
        let gone = self
            .steps
            .troubles
            .iter()
            .any(|trouble| matches!(trouble, DeliveryObstacle::TargetGone { .. }));
        if !gone {
            let draft = self.plan.deliver.draft || self.share == DeliveredShare::Partial;
            self.steps.pulls.push(PullStep {
                head,
                base: target(self.request).to_owned(),
                task,
                marker,
                draft,
            });
        }
    }

    fn pulls_of(&self, branch: &str) -> &[PullRequest] {
        self.found.pulls.get(branch).map_or(&[], Vec::as_slice)
    }

    /// Whether a person closed the newest pull request of that branch, and its definition is the
    /// same still. A person who asks in a comment wants a new one.
    fn is_closed(&mut self, branch: &str, task: Option<&TaskId>, marker: &str) -> bool {
        let Some(newest) = self
            .pulls_of(branch)
            .first()
            .filter(|_| self.request.pull.is_none())
        else {
            return false;
        };
        let closed = !newest.open && !newest.merged && newest.body.contains(marker);
        if closed {
            let number = newest.number;
            self.steps.troubles.push(DeliveryObstacle::Closed {
                number,
                task: task.cloned(),
            });
        }
        closed
    }
}

/// A ref as people call it.
fn short(name: &str) -> &str {
    name.strip_prefix("refs/heads/").unwrap_or(name)
}
