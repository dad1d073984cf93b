//! Commands that are answered at once: `plan`, `status`, `cancel`, `approve`, `verify`, `help`.
//!
//! It refuses to cancel anything but a run of this workflow in this repository, whatever a check
//! says it leads to.

use super::CommandFailure;
use super::conversation::Conversation;
use super::desk::GoverningPlan;
use super::outputs::JobAnnotationLevel;
use crate::command::{Command, PlanDigest};
use crate::deliver;
use crate::fact::Trigger;
use crate::forge::{Check, CheckState, ForgeError};
use crate::id::Scope;
use crate::plan::Event;
use crate::report::preview::Preview;
use crate::report::reply::{answer, refuse, show};
use crate::report::sticky::LostRun;
use crate::report::{check, sticky};
use crate::request::{self, Ask, ExternalId, PullScope, Request};
use crate::text::ForgeKind;
use crate::trust::{self, PullRequest};

/// Workflow runs that are looked at for one that can be cancelled; a group of concurrency has two.
const LOOKED_AT: usize = 10;

impl Conversation<'_, '_> {
    pub(super) async fn answer(
        &mut self,
        command: &Command,
        pull: &PullRequest,
        rules: &GoverningPlan,
    ) -> Result<(), CommandFailure> {
        match command {
            Command::Help => self.say(answer::help(self.desk.forge.kind())),
            Command::Plan => self.plan(pull, rules).await?,
            Command::Status => self.status(pull).await?,
            Command::Cancel => self.cancel(pull, rules).await?,
            Command::Approve { digest } => self.approve(digest, pull).await?,
            Command::Verify => self.verify(pull).await?,
            // These come last, and not here: `Asked::work`.
            Command::Run { .. } | Command::Retry { .. } => {}
        }
        Ok(())
    }

    async fn plan(
        &mut self,
        pull: &PullRequest,
        rules: &GoverningPlan,
    ) -> Result<(), CommandFailure> {
        let Some(base) = self.trusted_base(pull).await? else {
            return Ok(());
        };
        let Some(choice) = self.choose(pull, &base, &pull.head.commit, rules).await? else {
            return Ok(());
        };
        let whose = match &choice.approved_by {
            Some(login) => format!(
                "the {}, as {login} approved it",
                self.desk.forge.kind().pull_request()
            ),
            None => format!(
                "the {} {}",
                self.desk.forge.kind().base_branch(),
                pull.base.branch
            ),
        };
        self.say(show::plan(&Preview::of(&choice.plan), &whose));
        Ok(())
    }

    async fn status(&mut self, pull: &PullRequest) -> Result<(), CommandFailure> {
        let (desk, scope) = (self.desk, self.desk.forge.scope_of(pull.number));
        let checks = self.own_checks(pull, &scope).await?;
        let marker = sticky::marker(&scope);
        let comments = desk.forge.comments(self.issue).await?;
        let ours = comments.iter().find(|comment| {
            comment
                .author
                .as_ref()
                .is_some_and(|author| author.id == desk.me.id)
                && comment.body.contains(&marker)
        });
        let newest = checks.first();
        let workflow = newest
            .filter(|(_, check)| check.state == CheckState::InProgress)
            .map(|(id, _)| desk.step.runner.url_of_run(id.workflow));
        self.say(answer::status(
            desk.forge.kind(),
            &answer::ScopeStanding {
                head: &pull.head.commit,
                check: newest.map(|(_, check)| (check.title.as_str(), check.url.as_str())),
                workflow_url: workflow.as_deref(),
                comment_url: ours.map(|comment| comment.url.as_str()),
            },
        ));
        Ok(())
    }

    /// The checks `omk` on the head that are named as ours are, newest first.
    pub(super) async fn own_checks(
        &self,
        pull: &PullRequest,
        scope: &Scope,
    ) -> Result<Vec<(ExternalId, Check)>, CommandFailure> {
        let checks = self
            .desk
            .forge
            .all_checks(&pull.head.commit, check::NAME)
            .await?;
        let named = checks
            .into_iter()
            .filter_map(|check| Some((check.external_id.parse::<ExternalId>().ok()?, check)));
        let mut ours: Vec<_> = named.filter(|(id, _)| id.scope == *scope).collect();
        ours.sort_by_key(|(_, check)| std::cmp::Reverse(check.id));
        Ok(ours)
    }

    /// Every run under way on the head: one may work, and another wait for it.
    async fn cancel(
        &mut self,
        pull: &PullRequest,
        rules: &GoverningPlan,
    ) -> Result<(), CommandFailure> {
        let desk = self.desk;
        let own = desk.own().await?;
        let mut seen = vec![desk.step.runner.workflow.id];
        let (mut cancelled, mut forbidden) = (Vec::new(), false);
        for (id, check) in self
            .own_checks(pull, &desk.forge.scope_of(pull.number))
            .await?
        {
            if check.state != CheckState::InProgress || seen.contains(&id.workflow) {
                continue;
            }
            if seen.len() > LOOKED_AT {
                break;
            }
            seen.push(id.workflow);
            let (Some(own), Some(other)) = (&own, desk.forge.workflow_run(id.workflow).await?)
            else {
                continue;
            };
            if other.completed
                || other.id == desk.step.runner.workflow.id
                || !own.is(&other, desk.repository.id)
            {
                continue;
            }
            match if desk.is_dry() {
                Ok(())
            } else {
                desk.forge.cancel_workflow_run(other.id).await
            } {
                Ok(()) => {}
                Err(ForgeError::Forbidden { .. }) => {
                    self.refuse(refuse::may_not_cancel(desk.forge.kind(), &other.url));
                    forbidden = true;
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            self.say(answer::cancelled(desk.forge.kind(), &other.url));
            cancelled.push((id, check, other.url));
        }
        if cancelled.is_empty() && !forbidden {
            self.say(answer::nothing_to_cancel(
                desk.forge.kind(),
                &pull.head.commit,
            ));
        }
        // The newest comes last, for the comment is about that one.
        for (id, check, url) in cancelled.into_iter().rev() {
            self.close_cancelled(pull, rules, (id, &check, url)).await;
        }
        Ok(())
    }

    /// In a cancelled pipeline of GitLab's no job of ours runs any more, so what it would have said
    /// is said here.
    async fn close_cancelled(
        &self,
        pull: &PullRequest,
        rules: &GoverningPlan,
        run: (ExternalId, &Check, String),
    ) {
        let (desk, (id, check, url)) = (self.desk, run);
        if desk.forge.kind() != ForgeKind::GitLab || desk.is_dry() {
            return;
        }
        let request = Request {
            version: request::VERSION,
            run: id.run,
            scope: id.scope,
            trigger: Trigger {
                event: Event::Comment,
                actor: "somebody".to_owned(),
                comment: None,
            },
            ask: Ask::Run { tasks: Vec::new() },
            forge: ForgeKind::GitLab,
            repository: desk.step.runner.repository.clone(),
            base: pull.head.commit.clone(),
            pull: Some(PullScope {
                number: pull.number,
                head: pull.head.branch.clone(),
                base: pull.base.branch.clone(),
            }),
            default_branch: desk.repository.default_branch.clone(),
            rules: rules.tip.clone(),
            plan: rules.found.source.clone(),
            approved_by: None,
            comment: None,
            check: Some(check.id),
            workflow: request::StartedBy {
                id: id.workflow,
                attempt: id.attempt,
                url,
            },
            previous: None,
            dry_run: false,
        };
        let told =
            deliver::tell_lost(&desk.forge, &request, &LostRun::Cancelled, desk.clock.now()).await;
        for trouble in &told.troubles {
            desk.log()
                .say(JobAnnotationLevel::Warning, &desk.scrubbed(trouble));
        }
    }

    /// The comment itself is the approval; here it is only told what it approves.
    async fn approve(
        &mut self,
        digest: &PlanDigest,
        pull: &PullRequest,
    ) -> Result<(), CommandFailure> {
        if let Err(refusal) = trust::same_repository(pull, self.desk.repository.id) {
            self.refused_for(&refusal);
            return Ok(());
        }
        let Some(base) = self.trusted_base(pull).await? else {
            return Ok(());
        };
        let plans = self
            .desk
            .plans()
            .of_pull(&pull.base.branch, &base.commit, &pull.head.commit)
            .await?;
        let login = self
            .comment
            .author
            .as_ref()
            .map_or("somebody", |author| author.login.as_str());
        let changed = plans.changed.as_ref();
        let told = answer::approved(
            self.desk.forge.kind(),
            digest,
            login,
            changed.map(|changed| &changed.digest),
        );
        match changed {
            Some(changed) if !digest.begins(&changed.digest) => self.refuse(told),
            Some(changed) => {
                self.say(told);
                if let Err(complaints) = &changed.read {
                    let whose = format!("the {}", self.desk.forge.kind().pull_request());
                    self.refuse(refuse::plan_mistakes(complaints, &whose));
                }
            }
            None => self.say(told),
        }
        Ok(())
    }
}
