//! Carrying a delivery out: push, pull requests, checks, comment, reaction; what fails is
//! collected, and the rest goes on.
//!
//! It refuses to go on speaking with a token that is refused, and to lose a result because
//! something about it could not be said.

mod push;
mod announcement;

use super::newer::{Newer, newer};
use super::steps::{DeliveredShare, RemoteSteps, full, share};
use super::wanted::{built_on, pull_wanted};
use super::{Delivered, RunOutcome, checks, manner};
use crate::forge::{Forge, ForgeError, Reaction};
use crate::git::{Remote, Repo};
use crate::history::run_branch;
use crate::id::{CommitId, Moment};
use crate::plan::Plan;
use crate::report::dashboard::Last;
use crate::report::sticky::{self, LostRun};
use crate::report::{DeliveryObstacle, Placed, Pull};
use crate::request::Request;
use crate::trust::{Account, PullRequest};

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
