//! What people see of a delivery: checks, the comment or the dashboard, and the reaction.

use super::{Carrier, Endpoints};
use crate::deliver::wanted::all_open;
use crate::deliver::{RunOutcome, look, manner};
use crate::forge::{CheckWanted, ForgeError, Reaction};
use crate::plan::Plan;
use crate::report::dashboard::{self, Last};
use crate::report::{DeliveryObstacle, Instead, check, sticky};
use crate::trust::{Account, PullRequest};

impl<'a> Carrier<'a> {
    /// Writes checks, but for those that would be refused like one before them.
    pub(super) async fn checks(&mut self, all: &[CheckWanted]) {
        let mut refused: Vec<&CheckWanted> = Vec::new();
        for wanted in all {
            let alike =
                |other: &&CheckWanted| manner::is_refused_too(self.request.forge, other, wanted);
            if !refused.iter().any(alike) && !self.check(wanted).await {
                refused.push(wanted);
            }
        }
    }

    /// Writes a check; false where the token may write none. The verdict is told by what the forge
    /// has below checks then.
    pub(super) async fn check(&mut self, wanted: &CheckWanted) -> bool {
        let writing = manner::said(
            self.request.forge,
            "write the checks",
            "write the commit statuses",
        );
        if self.newer.as_ref().is_some_and(|newer| newer.keeps(wanted)) {
            return true;
        }
        if !self.may(writing) {
            return false;
        }
        let known = self
            .request
            .check
            .filter(|_| wanted.name == check::NAME && wanted.commit == self.request.base);
        match self.forge.put_check(wanted, known).await {
            Err(ForgeError::Forbidden { .. }) => {
                match manner::below_checks(self.request.forge) {
                    Instead::Status => self.status(wanted).await,
                    instead @ Instead::Nothing => {
                        self.trouble(DeliveryObstacle::NoChecks { instead })
                    }
                }
                false
            }
            other => {
                self.heard(writing, other);
                true
            }
        }
    }

    async fn status(&mut self, wanted: &CheckWanted) {
        let url = wanted.details_url.as_deref();
        let mut commits = vec![wanted.commit.clone()];
        commits.extend(
            self.result
                .clone()
                .filter(|result| *result != wanted.commit),
        );
        let mut instead = Instead::Status;
        for commit in commits {
            let put = self
                .forge
                .put_status(&commit, &wanted.name, wanted.state, &wanted.title, url)
                .await;
            if put.is_err() {
                instead = Instead::Nothing;
            }
        }
        self.trouble(DeliveryObstacle::NoChecks { instead });
    }

    /// Edits the sticky comment, or the dashboard of a plan.
    pub(super) async fn tell(&mut self, last: Last<'_>, open: Option<Vec<PullRequest>>) {
        if !self.may("write the comment") {
            return;
        }
        let Some(me) = self.me.clone() else { return };
        let overtaken =
            |trouble: &DeliveryObstacle| matches!(trouble, DeliveryObstacle::Overtaken { .. });
        let url = match &self.request.pull {
            // The comment is about the newer run.
            Some(_) if self.newer.is_some() || self.placed.troubles.iter().any(overtaken) => return,
            Some(pull) => {
                let body = match last {
                    Last::Ended(view, placed) => sticky::ended(self.request, view, placed),
                    Last::Lost(lost) => sticky::lost(self.request, lost),
                };
                let marker = sticky::marker(&self.request.scope);
                let put = self
                    .forge
                    .put_comment(pull.number, &me, &marker, &body)
                    .await;
                self.heard("write the comment", put)
                    .map(|comment| comment.url)
            }
            None => self.dashboard(&me, last, open).await,
        };
        self.comment = url;
    }

    async fn dashboard(
        &mut self,
        me: &Account,
        last: Last<'_>,
        open: Option<Vec<PullRequest>>,
    ) -> Option<String> {
        let marker = dashboard::marker(&self.request.scope);
        let old = self.forge.issue(me, &marker).await;
        let old = self.heard("read the dashboard", old)?;
        let earlier = old
            .map(|issue| dashboard::runs(&issue.body))
            .unwrap_or_default();
        let open = open.map(|pulls| all_open(self.request, &self.placed, pulls));
        let body = dashboard::body(self.request, last, self.now, open.as_deref(), &earlier);
        let put = self
            .forge
            .put_issue(me, &marker, &dashboard::title(&self.request.scope), &body)
            .await;
        self.heard("write the dashboard", put)
            .map(|issue| issue.url)
    }

    /// The pull requests of earlier runs, for the dashboard of one that delivers nothing; `None`
    /// where nobody can tell.
    pub(super) async fn open(
        &mut self,
        ends: &Endpoints<'_>,
        plan: &Plan,
        outcome: &RunOutcome,
    ) -> Option<Vec<PullRequest>> {
        if self.request.pull.is_some() {
            return None;
        }
        let (repo, remote, request, form) = (
            ends.repo.clone(),
            ends.remote.clone(),
            self.request.clone(),
            plan.deliver.form,
        );
        let refs = look::blocking(move || look::refs(&repo, &remote, form, &request))
            .await
            .ok()?;
        let pulls = look::pulls(self.forge, plan, self.request, outcome, &refs)
            .await
            .ok()?;
        Some(
            pulls
                .into_values()
                .flatten()
                .filter(|pull| pull.open)
                .collect(),
        )
    }

    pub(super) async fn react(&mut self, reaction: Reaction) {
        let (Some(comment), Some(pull)) = (self.request.comment, &self.request.pull) else {
            return;
        };
        let issue = pull.number;
        if self.may("react to the comment") {
            let reacted = self.forge.react(issue, comment, reaction).await;
            self.heard("react to the comment", reacted);
        }
    }
}
