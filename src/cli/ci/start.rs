//! `/omk run` and `/omk retry`: everything that must hold before a pull request's code is run, in
//! one place.
//!
//! It refuses whatever it cannot be certain of, and it never falls back to something weaker without
//! saying so.

use super::CommandFailure;
use super::conversation::Conversation;
use super::desk::{Denied, GoverningPlan};
use super::intake::RunDraft;
use super::outputs::JobAnnotationLevel;
use super::plan_check::diff;
use super::plans::{ChangedPlan, CommittedPlan};
use crate::command::WorkRequest;
use crate::fact::Trigger;
use crate::id::{CommitId, TaskId};
use crate::plan::{Event, Plan, governed};
use crate::report::reply::{refuse, show};
use crate::request::{Ask, PullScope, Request};
use crate::trust::{self, Comment, ForgeBranch, PullRequest, Push, Refusal};

/// Approvers whose permission is looked up, newest approval first. Each is a request to the forge,
/// and anybody can write comments.
const APPROVERS: usize = 20;

/// The plan that holds for a pull request.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    /// Its tasks and gates under the repository's rules.
    pub(super) plan: Plan,
    /// Where tasks and gates are from.
    pub(super) found: CommittedPlan,
    /// Who approved it, where it is the pull request's own.
    pub(super) approved_by: Option<String>,
}

impl Conversation<'_, '_> {
    /// The request for a run, where everything that must hold does; what does not is told.
    pub(super) async fn start(
        &mut self,
        work: &WorkRequest,
        pull: &PullRequest,
        rules: &GoverningPlan,
    ) -> Result<Option<Request>, CommandFailure> {
        let Some((base, head)) = self.fit(work, pull).await? else {
            return Ok(None);
        };
        let Some(choice) = self.choose(pull, &base, &head, rules).await? else {
            return Ok(None);
        };
        let ids: Vec<TaskId> = choice
            .plan
            .tasks
            .iter()
            .map(|task| task.id.clone())
            .collect();
        let unknown: Vec<TaskId> = work
            .tasks()
            .iter()
            .filter(|task| !ids.contains(task))
            .cloned()
            .collect();
        if !unknown.is_empty() {
            self.refuse(refuse::unknown_tasks(
                &unknown,
                &choice.found.source.path,
                &ids,
            ));
            return Ok(None);
        }
        let scope = self.desk.forge.scope_of(pull.number);
        let (ask, previous) = match work {
            WorkRequest::Run { tasks, commit: _ } => (
                Ask::Run {
                    tasks: tasks.clone(),
                },
                None,
            ),
            WorkRequest::Retry { tasks, commit: _ } => (
                Ask::Retry {
                    tasks: tasks.clone(),
                },
                self.previous(pull, &scope).await?,
            ),
        };
        let wanted = RunDraft {
            scope,
            trigger: self.trigger(),
            ask,
            base: head,
            pull: Some(PullScope {
                number: pull.number,
                head: pull.head.branch.clone(),
                base: pull.base.branch.clone(),
            }),
            plan: choice.found.source,
            approved_by: choice.approved_by,
            comment: Some(self.comment.id),
            previous,
            run: self.again.clone(),
        };
        if wanted.previous.is_none() && matches!(wanted.ask, Ask::Retry { .. }) {
            self.add(refuse::nothing_kept_of_earlier(self.desk.forge.kind()));
        }
        self.accept();
        Ok(Some(wanted.accept(self.desk, rules).await))
    }

    fn trigger(&self) -> Trigger {
        let actor = self
            .comment
            .author
            .as_ref()
            .map_or("somebody", |author| author.login.as_str());
        Trigger {
            event: Event::Comment,
            actor: actor.to_owned(),
            comment: Some(self.comment.url.clone()),
        }
    }

    /// The base branch and the commit, where the pull request is one that may be run and the commit
    /// is certain.
    async fn fit(
        &mut self,
        work: &WorkRequest,
        pull: &PullRequest,
    ) -> Result<Option<(ForgeBranch, CommitId)>, CommandFailure> {
        let own = trust::is_open(pull)
            .and_then(|()| trust::same_repository(pull, self.desk.repository.id));
        if let Err(refusal) = own {
            self.refused_for(&refusal);
            return Ok(None);
        }
        let Some(base) = self.trusted_base(pull).await? else {
            return Ok(None);
        };
        let pushes = self.pushes(pull, work).await;
        match trust::pinned(pull, &pushes, self.comment, work.commit()) {
            Ok(head) => Ok(Some((base, head))),
            Err(refusal) => {
                self.refused_for(&refusal);
                Ok(None)
            }
        }
    }

    /// The base branch, where tasks may be read from it.
    pub(super) async fn trusted_base(
        &mut self,
        pull: &PullRequest,
    ) -> Result<Option<ForgeBranch>, CommandFailure> {
        let default_branch = &self.desk.repository.default_branch;
        let base = self.desk.forge.branch(&pull.base.branch).await?;
        match (
            trust::base_is_trusted(pull, default_branch, base.as_ref()),
            base,
        ) {
            (Ok(()), Some(base)) => Ok(Some(base)),
            (Err(refusal), _) => {
                self.refused_for(&refusal);
                Ok(None)
            }
            (Ok(()), None) => {
                let (branch, default_branch) = (pull.base.branch.clone(), default_branch.clone());
                self.refused_for(&Refusal::Base {
                    branch,
                    default_branch,
                });
                Ok(None)
            }
        }
    }

    /// The forge's records of pushes to the head. Where they cannot be read a person must name the
    /// commit, and where they have, nobody needs to look.
    async fn pushes(&self, pull: &PullRequest, work: &WorkRequest) -> Vec<Push> {
        if work.commit().is_some() {
            return Vec::new();
        }
        self.desk
            .told(self.desk.forge.pushes(pull).await)
            .unwrap_or_default()
    }

    /// The plan that holds for a commit of the pull request; what a person must know of it is told.
    pub(super) async fn choose(
        &mut self,
        pull: &PullRequest,
        base: &ForgeBranch,
        head: &CommitId,
        rules: &GoverningPlan,
    ) -> Result<Option<Choice>, CommandFailure> {
        let plans = self
            .desk
            .plans()
            .of_pull(&pull.base.branch, &base.commit, head)
            .await?;
        let Some(changed) = plans.changed else {
            return Ok(self.of_base(plans.base, rules));
        };
        match (self.approver(&changed, rules).await?, changed.read.clone()) {
            (Some(login), Ok(found)) => Ok(Some(under(rules, found, Some(login)))),
            (Some(_), Err(complaints)) => {
                self.refuse(refuse::plan_mistakes(
                    &complaints,
                    &format!(
                        "the {}, which is approved,",
                        self.desk.forge.kind().pull_request()
                    ),
                ));
                Ok(None)
            }
            (None, _) => {
                let permission = rules.found.plan.commands.permission;
                let path = self.desk.step.runner.inputs.plan.to_string();
                let diff = diff(changed.before.as_deref(), &changed.bytes);
                self.add(show::approval_needed(
                    self.desk.forge.kind(),
                    &path,
                    &changed.digest,
                    permission,
                    &diff,
                ));
                Ok(self.of_base(plans.base, rules))
            }
        }
    }

    fn of_base(
        &mut self,
        found: Result<CommittedPlan, super::plans::PlanUnavailable>,
        rules: &GoverningPlan,
    ) -> Option<Choice> {
        match found {
            Ok(found) => Some(under(rules, found, None)),
            Err(trouble) => {
                self.refused_by_plan(&trouble, self.desk.forge.kind().base_branch());
                None
            }
        }
    }

    /// Who has approved exactly that plan, in a comment that stands, and may do so now.
    async fn approver(
        &self,
        changed: &ChangedPlan,
        rules: &GoverningPlan,
    ) -> Result<Option<String>, CommandFailure> {
        let comments = self.desk.forge.comments(self.issue).await?;
        let mut asked: Vec<u64> = Vec::new();
        for comment in trust::approved_by(&changed.digest, &comments)
            .into_iter()
            .rev()
        {
            let Comment {
                author: Some(author),
                ..
            } = comment
            else {
                continue;
            };
            if asked.contains(&author.id) {
                continue;
            }
            if asked.len() == APPROVERS {
                let what = format!(
                    "only the {APPROVERS} newest of those who approved the plan were looked at"
                );
                self.desk.log().say(JobAnnotationLevel::Warning, &what);
                break;
            }
            asked.push(author.id);
            match self
                .desk
                .may(&rules.found.plan.commands, Some(author))
                .await
            {
                Ok(()) => return Ok(Some(author.login.clone())),
                Err(Denied::Refused(refusal)) => {
                    self.desk.log().say(
                        JobAnnotationLevel::Notice,
                        &format!(
                            "an approval does not count: {}",
                            refusal.words(self.desk.forge.kind())
                        ),
                    );
                }
                Err(Denied::Unknown { login, error }) => {
                    let why = self.desk.scrubbed(&error);
                    let what = format!(
                        "an approval by {login} does not count, as nobody says what they may: {why}"
                    );
                    self.desk.log().say(JobAnnotationLevel::Warning, &what);
                }
            }
        }
        Ok(None)
    }
}

fn under(rules: &GoverningPlan, found: CommittedPlan, approved_by: Option<String>) -> Choice {
    Choice {
        plan: governed(found.plan.clone(), &rules.found.plan),
        found,
        approved_by,
    }
}
