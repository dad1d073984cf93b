//! Carrying a delivery out: push, pull requests, checks, comment, reaction; what fails is
//! collected, and the rest goes on.
//!
//! It refuses to go on speaking with a token that is refused, and to lose a result because
//! something about it could not be said.

use std::collections::{BTreeMap, BTreeSet};

use super::newer::{Newer, newer};
use super::steps::{
    DeliveredShare, RemoteState, RemoteSteps, full, plan_delivery, proofs_ref, share,
};
use super::wanted::{all_open, built_on, pull_wanted};
use super::{Delivered, RunOutcome, checks, look, manner, proofs};
use crate::forge::{CheckWanted, Forge, ForgeError, Reaction};
use crate::git::{GitError, Remote, Repo};
use crate::history::run_branch;
use crate::id::{CommitId, Moment};
use crate::plan::Plan;
use crate::report::dashboard::{self, Last};
use crate::report::sticky::{self, LostRun};
use crate::report::{DeliveryObstacle, Instead, Placed, Pull, check};
use crate::request::Request;
use crate::text::{self, Advised as _, ForgeKind};
use crate::trust::{Account, PullRequest};

/// How often a push is planned anew because something moved or was refused meanwhile.
const ROUNDS: usize = 5;

/// Everything that a delivery is made with.
pub(super) struct Carrier<'a> {
    pub(super) forge: &'a Forge,
    pub(super) request: &'a Request,
    pub(super) now: Moment,
    me: Option<Account>,
    placed: Placed,
    pushed: Vec<String>,
    comment: Option<String>,
    /// The result, once it is pushed.
    result: Option<CommitId>,
    /// What was not done since the token was refused.
    undone: Option<Vec<&'static str>>,
    /// A later run that has ended, where this one delivers nothing.
    newer: Option<Newer>,
}

/// What is local, and where it goes.
#[derive(Clone)]
pub(super) struct Endpoints<'a> {
    pub(super) repo: &'a Repo,
    pub(super) remote: &'a Remote,
}

impl<'a> Carrier<'a> {
    pub(super) async fn new(forge: &'a Forge, request: &'a Request, now: Moment) -> Self {
        let mut carrier = Self {
            forge,
            request,
            now,
            me: None,
            placed: Placed::default(),
            pushed: Vec::new(),
            comment: None,
            result: None,
            undone: None,
            newer: None,
        };
        carrier.me = carrier.heard("tell who it is", forge.me().await);
        carrier
    }

    /// A forge's answer; trouble is kept, and a refused token ends the talk.
    fn heard<T>(&mut self, what: &'static str, answer: Result<T, ForgeError>) -> Option<T> {
        match answer {
            Ok(answer) => Some(answer),
            Err(ForgeError::Unauthorized { .. }) => {
                self.undone.get_or_insert_default().push(what);
                None
            }
            Err(error) => {
                self.placed
                    .troubles
                    .push(DeliveryObstacle::Other(format!("failed to {error}")));
                None
            }
        }
    }

    /// Whether the forge still listens; `what` is not done otherwise.
    fn may(&mut self, what: &'static str) -> bool {
        match &mut self.undone {
            None => true,
            Some(undone) => {
                undone.push(what);
                false
            }
        }
    }

    pub(super) fn trouble(&mut self, trouble: DeliveryObstacle) {
        if !self.placed.troubles.contains(&trouble) {
            self.placed.troubles.push(trouble);
        }
    }

    /// Delivers the result, then tells about the run.
    pub(super) async fn outcome(
        mut self,
        ends: &Endpoints<'_>,
        plan: &Plan,
        outcome: &RunOutcome,
    ) -> Delivered {
        let mut open = None;
        if share(plan, outcome) == DeliveredShare::Nothing {
            open = self.open(ends, plan, outcome).await;
        } else if let Some((steps, found)) = self.push(ends, plan, outcome).await {
            self.pulls(ends.repo, (plan, outcome), &steps).await;
            self.placed.delivered = self.is_delivered(&steps, plan);
            self.result = outcome
                .result
                .as_ref()
                .map(|tip| tip.commit.clone())
                .filter(|_| !self.placed.branches.is_empty());
            open = Some(
                found
                    .pulls
                    .into_values()
                    .flatten()
                    .filter(|pull| pull.open)
                    .collect(),
            );
        }
        self.give_way().await;
        self.checks(&checks::ended(
            self.request,
            &outcome.view,
            &self.placed,
            self.now,
        ))
        .await;
        self.tell(Last::Ended(&outcome.view, &self.placed.clone()), open)
            .await;
        let reaction = if self.placed.delivered {
            Reaction::Rocket
        } else {
            Reaction::Confused
        };
        self.react(reaction).await;
        self.done(Vec::new())
    }

    /// Tells that nothing can be said of the run's result.
    pub(super) async fn lost(mut self, lost: &LostRun) -> Delivered {
        let words = sticky::lost(self.request, lost);
        let wanted = checks::lost(self.request, lost, &words, self.now);
        self.give_way().await;
        self.check(&wanted).await;
        self.tell(Last::Lost(lost), None).await;
        self.react(Reaction::Confused).await;
        self.done(Vec::new())
    }

    /// Looks whether there is anything left for this run to say.
    async fn give_way(&mut self) {
        if !self.placed.delivered {
            self.newer = newer(self.forge, self.request).await;
            self.newer
                .as_ref()
                .map(Newer::words)
                .into_iter()
                .for_each(|said| self.trouble(DeliveryObstacle::Other(said)));
        }
    }

    fn is_delivered(&self, steps: &RemoteSteps, plan: &Plan) -> bool {
        let result = full(&run_branch(&self.request.scope));
        let pushed = self.pushed.contains(&result);
        let refused = self
            .placed
            .troubles
            .contains(&DeliveryObstacle::PullsNotAllowed);
        let wants_pulls = !steps.direct && plan.deliver.form != crate::plan::DeliverAs::Branches;
        // Where the token may not open pull requests, a person can, with one click.
        pushed && (!wants_pulls || !self.placed.pulls.is_empty() || refused)
    }

    /// Looks and pushes, all or nothing, until nothing moves between the two; `None` where nothing
    /// could be pushed.
    async fn push(
        &mut self,
        ends: &Endpoints<'_>,
        plan: &Plan,
        outcome: &RunOutcome,
    ) -> Option<(RemoteSteps, RemoteState)> {
        let proofs = match proofs::commit(ends.repo, self.request, outcome) {
            Ok(commit) => commit,
            Err(error) => {
                self.trouble(DeliveryObstacle::Other(format!(
                    "the result goes without its proofs: omk failed to {}",
                    error.in_full()
                )));
                None
            }
        };
        let forge = self.request.forge;
        let mut refused = BTreeMap::new();
        let mut refusals = 0;
        let mut all = BTreeSet::new();
        let mut said = "the refs of the remote keep moving".to_owned();
        for _ in 0..ROUNDS {
            let mut found = self.look(ends, plan, outcome).await?;
            if let Some(by) = look::newer(ends.repo, self.request, &found) {
                self.trouble(DeliveryObstacle::Overtaken { by });
                return None;
            }
            found.refused = std::mem::take(&mut refused);
            let steps = plan_delivery(plan, self.request, outcome, proofs.as_ref(), &found);
            let pushed = {
                let (repo, remote, refs) =
                    (ends.repo.clone(), ends.remote.clone(), steps.refs.clone());
                look::blocking(move || repo.push(&remote, &refs)).await
            };
            match pushed {
                Ok(()) => {
                    self.stand(&steps);
                    return Some((steps, found));
                }
                Err(error @ GitError::RemoteMoved { .. }) => {
                    refused = found.refused;
                    said = error.in_full();
                }
                Err(GitError::RemoteRefused {
                    name,
                    why,
                    said: words,
                    ..
                }) => {
                    said = text::with_advice(&words, Some(why.next()));
                    refusals += 1;
                    all.extend(steps.refs.iter().map(|update| update.name.clone()));
                    let run = full(&run_branch(&self.request.scope));
                    let Some(out) =
                        manner::leave_out(forge, refusals, (&name, &run), self.request, &all)
                    else {
                        break;
                    };
                    refused = if forge == ForgeKind::GitHub {
                        found.refused
                    } else {
                        BTreeMap::new()
                    };
                    refused.extend(out.into_iter().map(|name| (name, said.clone())));
                }
                Err(error) => {
                    said = error.in_full();
                    break;
                }
            }
        }
        self.trouble(DeliveryObstacle::PushRefused { said });
        None
    }

    /// The refs are where they should be.
    fn stand(&mut self, steps: &RemoteSteps) {
        for trouble in &steps.troubles {
            self.trouble(trouble.clone());
        }
        let proofs = proofs_ref(self.request);
        for update in &steps.refs {
            self.pushed.push(update.name.clone());
            if update.name == proofs {
                self.placed.proofs = Some(proofs.clone());
            } else if let Some(branch) = update.name.strip_prefix("refs/heads/") {
                self.placed.branches.push(branch.to_owned());
            }
        }
        // The whole result first, wherever else it is.
        let run = run_branch(&self.request.scope);
        self.placed.branches.sort_by_key(|branch| *branch != run);
    }

    pub(super) async fn look(
        &mut self,
        ends: &Endpoints<'_>,
        plan: &Plan,
        outcome: &RunOutcome,
    ) -> Option<RemoteState> {
        let (repo, remote, request, form) = (
            ends.repo.clone(),
            ends.remote.clone(),
            self.request.clone(),
            plan.deliver.form,
        );
        let refs = match look::blocking(move || look::refs(&repo, &remote, form, &request)).await {
            Ok(refs) => refs,
            Err(error) => {
                self.trouble(DeliveryObstacle::PushRefused {
                    said: error.in_full(),
                });
                return None;
            }
        };
        let reading = manner::said(
            self.request.forge,
            "read the pull requests",
            "read the merge requests",
        );
        let pulls = if self.may(reading) {
            let pulls = look::pulls(self.forge, plan, self.request, outcome, &refs).await;
            self.heard(reading, pulls).unwrap_or_default()
        } else {
            BTreeMap::new()
        };
        Some(look::found(refs, pulls))
    }

    async fn pulls(
        &mut self,
        repo: &Repo,
        (plan, outcome): (&Plan, &RunOutcome),
        steps: &RemoteSteps,
    ) {
        let starts = manner::starts(self.request.forge, self.me.as_ref());
        let opening = manner::said(
            self.request.forge,
            "open the pull request",
            "open the merge request",
        );
        for step in &steps.pulls {
            if !self.may(opening) {
                return;
            }
            let with = built_on(repo, outcome, step);
            let of = (plan, self.request, &outcome.view);
            let Some(wanted) = pull_wanted(of, step, &with, starts, &self.placed) else {
                continue;
            };
            match self.forge.put_pull_request(&wanted).await {
                Ok(PullRequest { number, url, .. }) => {
                    self.placed.pulls.push(Pull {
                        number,
                        url,
                        task: step.task.clone(),
                    });
                }
                Err(ForgeError::Forbidden { .. }) => {
                    self.placed.compare = manner::by_hand(self.request, &step.base, &step.head);
                    self.trouble(DeliveryObstacle::PullsNotAllowed);
                    return;
                }
                Err(other) => drop(self.heard::<()>(opening, Err(other))),
            }
        }
    }

    /// Writes checks, but for those that would be refused like one before them.
    async fn checks(&mut self, all: &[CheckWanted]) {
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
    async fn check(&mut self, wanted: &CheckWanted) -> bool {
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
    async fn tell(&mut self, last: Last<'_>, open: Option<Vec<PullRequest>>) {
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
    async fn open(
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

    async fn react(&mut self, reaction: Reaction) {
        let (Some(comment), Some(pull)) = (self.request.comment, &self.request.pull) else {
            return;
        };
        let issue = pull.number;
        if self.may("react to the comment") {
            let reacted = self.forge.react(issue, comment, reaction).await;
            self.heard("react to the comment", reacted);
        }
    }

    pub(super) fn done(mut self, would: Vec<String>) -> Delivered {
        if let Some(mut undone) = self.undone.take() {
            undone.dedup();
            self.placed.troubles.insert(
                0,
                DeliveryObstacle::TokenGone {
                    undone: undone.join(", "),
                },
            );
        }
        let blocks = |trouble: &DeliveryObstacle| {
            matches!(
                trouble,
                DeliveryObstacle::PushRefused { .. }
                    | DeliveryObstacle::TokenGone { .. }
                    | DeliveryObstacle::Foreign { .. }
            )
        };
        Delivered {
            forge: self.request.forge,
            blocked: self.placed.troubles.iter().any(blocks),
            pushed: self.pushed,
            pulls: self
                .placed
                .pulls
                .into_iter()
                .map(|pull| (pull.number, pull.url))
                .collect(),
            comment: self.comment,
            troubles: self
                .placed
                .troubles
                .iter()
                .map(|trouble| trouble.words(self.request.forge))
                .collect(),
            delivered: self.placed.delivered,
            would,
        }
    }
}
