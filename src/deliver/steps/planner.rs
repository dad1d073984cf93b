//! Which refs move, and which pull requests are wanted.

use super::{DeliveredShare, PullStep, RemoteState, RemoteSteps, full, target};
use crate::deliver::definition;
use crate::git::RefUpdate;
use crate::history::{task_branch, task_branches};
use crate::id::{CommitId, TaskId};
use crate::plan::{DeliverAs, Plan};
use crate::report::{DeliveryObstacle, pull};
use crate::request::Request;
use crate::trust::PullRequest;

pub(super) struct Planner<'a> {
    pub(super) plan: &'a Plan,
    pub(super) request: &'a Request,
    pub(super) found: &'a RemoteState,
    pub(super) share: DeliveredShare,
    pub(super) steps: RemoteSteps,
}

impl Planner<'_> {
    /// Plans a ref; false where it is not to be touched.
    pub(super) fn move_ref(&mut self, name: &str, to: &CommitId) -> bool {
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
    pub(super) fn behind(&mut self) {
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
    pub(super) fn onto_head(&mut self, result: &CommitId) -> bool {
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
    pub(super) fn whole(&mut self, branch: &str, result: &CommitId) {
        let marker = pull::marker(self.request, None, &definition::of_tasks(self.plan));
        if self.is_closed(branch, None, &marker) || !self.move_ref(&full(branch), result) {
            return;
        }
        self.pull(branch.to_owned(), None, marker);
    }

    /// A pull request for each task, as many at once as the plan allows.
    pub(super) fn tasks(&mut self, tasks: &[(TaskId, CommitId)]) {
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

    pub(super) fn pull(&mut self, head: String, task: Option<TaskId>, marker: String) {
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
