//! One attempt, from its order to its answer: a place, the work, what changed, whether it may, the
//! gates, a commit.

mod interruption;
mod finish;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::errand::Assignment;
use super::place::{Parked, Workplace};
use super::thread::{WorkLimits, blocking, on_files};
use super::turn::{AttemptWork, WorkEnd};
use super::{RunShared, instructions, turn};
use crate::engine::LEASE;
use crate::fact::{Class, Evidence, Fact, Failure, Outcome, Session, both, closed, refusal};
use crate::git::{GitError, MergedBase};
use crate::id::{CommitId, Tip, TreeId};

pub(super) use interruption::{Interruption, class_of};

/// How many offending paths a message names.
pub(super) const PATHS_SHOWN: usize = 20;

/// Characters of each; it may have thousands.
pub(super) const PATH_SHOWN: usize = 120;

/// Carries out an attempt and reports how it ended; renews its lease meanwhile.
pub(super) async fn carry_out(shared: Arc<RunShared>, errand: Assignment, stop: CancellationToken) {
    let (task, attempt) = (errand.task.id.clone(), errand.attempt);
    let facts = shared.facts.clone();
    let renewals = async {
        loop {
            tokio::time::sleep(LEASE / 3).await;
            // Where nobody listens any more the attempt is about to be stopped.
            let _ = facts.send(Fact::Renewed {
                task: task.clone(),
                attempt,
            });
        }
    };
    let mut evidence = Evidence::default();
    let work = async {
        let Some(_worker) = shared.workers.take(&stop).await else {
            return Outcome::Interrupted;
        };
        let watch = shared.tools.clock.stopwatch();
        let outcome = RunningAttempt {
            shared: &shared,
            errand: &errand,
            stop: &stop,
        }
        .run(&mut evidence)
        .await;
        evidence.duration_ms = millis(watch.elapsed());
        outcome
    };
    let outcome = tokio::select! {
        outcome = work => outcome,
        () = renewals => Outcome::Interrupted,
    };
    let _ = shared.facts.send(Fact::Worked {
        task: errand.task.id.clone(),
        attempt,
        outcome,
        evidence: Box::new(evidence),
    });
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The message with what the network refused to the agent or the command. What its room closed is
/// named if it is the work itself that failed, and not what omk or a gate made of it.
fn with_refusal(class: Class, message: &str, evidence: &Evidence) -> String {
    let (refused, unreached) = (&evidence.refused_hosts, &evidence.unreached_hosts);
    let told = match class {
        // A cut answer is a matter of its model, so an end of `steps` is not explained by its room.
        Class::Command | Class::Timeout | Class::Hung => both(
            closed(evidence.network.as_ref(), refused, unreached),
            evidence.kept_from_writing(),
        ),
        Class::Gate
        | Class::Scope
        | Class::Refused
        | Class::Context
        | Class::Auth
        | Class::Config
        | Class::Quota
        | Class::Conflict
        | Class::RateLimit
        | Class::Provider
        | Class::Host
        | Class::Lost
        | Class::Steps
        | Class::NoChange => refusal(refused, unreached),
    };
    let Some(refused) = told else {
        return message.to_owned();
    };
    // A gate has a network of its own, so whose it was must be clear.
    let refused = match (evidence.agent.is_some(), class) {
        (true, _) => refused.replacen("its", "the agent's", 1),
        (false, Class::Command | Class::Timeout | Class::Hung) => refused,
        (false, _) => refused.replacen("its", "the command's", 1),
    };
    format!("{message}; {refused}")
}

struct RunningAttempt<'a> {
    shared: &'a Arc<RunShared>,
    errand: &'a Assignment,
    stop: &'a CancellationToken,
}

impl RunningAttempt<'_> {
    async fn run(&self, evidence: &mut Evidence) -> Outcome {
        match self.try_run(evidence).await {
            Ok(outcome) => outcome,
            Err(_) if self.stop.is_cancelled() => Outcome::Interrupted,
            Err(Interruption::Interrupted) => Outcome::Interrupted,
            Err(Interruption::Failed(mut failure)) => {
                failure.message = with_refusal(failure.class, &failure.message, evidence);
                Outcome::Failed(failure.scrubbed(&|text| self.shared.tools.scrubber.scrub(text)))
            }
        }
    }

    /// What ends work on its files: its own timeout is for each piece of that, as for its command.
    fn limits(&self) -> WorkLimits<'_> {
        WorkLimits {
            stop: self.stop,
            timeout: Some(self.errand.task.timeout),
        }
    }

    async fn try_run(&self, evidence: &mut Evidence) -> Result<Outcome, Interruption> {
        let (place, session) = self.prepare().await?;
        evidence.base = Some(place.base.clone());
        let _ = self.shared.facts.send(Fact::Prepared {
            task: self.errand.task.id.clone(),
            attempt: self.errand.attempt,
            base: place.base.clone(),
            slot: place.slot.path().display().to_string(),
        });
        let worked = self.work(&place, session, evidence).await;
        if let Err(trouble) | Ok((Err(trouble), _)) = &worked
            && trouble.is_outlived()
        {
            place.condemn();
            return worked?.0;
        }
        let goes_on = |failure: &Failure| failure.class.keeps_session();
        let parks = matches!(&worked, Ok((Err(Interruption::Failed(failure)), Some(_))) if goes_on(failure));
        let (shared, left, stop) = (Arc::clone(self.shared), place.clone(), self.stop.clone());
        let clean = move || {
            if parks {
                left.clean_private(&shared.tools, &stop)
            } else {
                left.clean(&shared.tools, &stop)
            }
        };
        blocking(clean).await;
        let (result, session) = worked?;
        if parks {
            let parked = Parked { place, session };
            self.shared
                .parked()
                .insert(self.errand.task.id.clone(), parked);
        }
        result
    }

    /// The work, and what came of it; with the agent's session.
    async fn work(
        &self,
        place: &Workplace,
        session: Option<String>,
        evidence: &mut Evidence,
    ) -> Result<(Result<Outcome, Interruption>, Option<String>), Interruption> {
        let (end, session) = if let Some(tree) = self.kept(place) {
            let (shared, base, kept) = (
                Arc::clone(self.shared),
                place.base.tree.clone(),
                tree.clone(),
            );
            let clean = move || {
                shared
                    .tools
                    .repo
                    .refuse_secrets(&base, &kept, &shared.tools.scrubber)
            };
            on_files(self.limits(), "reading what an earlier run made", clean).await?;
            self.lay_out(
                place,
                Tip {
                    commit: place.base.commit.clone(),
                    tree: tree.clone(),
                },
            )
            .await?;
            (WorkEnd::Done, None)
        } else {
            let overlay =
                instructions::lay_over(self.shared, self.errand, place, self.limits()).await?;
            let turn = AttemptWork {
                shared: self.shared,
                errand: self.errand,
                place,
                stop: self.stop,
            };
            let ended = turn::take(&turn, session, evidence).await?;
            instructions::take_off(self.shared, self.errand, place, overlay, self.limits()).await?;
            ended
        };
        match end {
            WorkEnd::Done => {
                let result = self.finish(place, evidence).await;
                // What could not be laid out in time lacks files, which the next turn would seem to
                // have removed.
                let is_half = matches!(&result, Err(Interruption::Failed(failure)) if failure.class == Class::Timeout);
                Ok((result, session.filter(|_| !is_half)))
            }
            WorkEnd::Failed(failure) => Ok((Err(Interruption::Failed(failure)), session)),
        }
    }

    /// What an earlier run made of this task on just this tree; asked until it has failed, for who
    /// fails with it works anew.
    fn kept(&self, place: &Workplace) -> Option<&TreeId> {
        let kept = self.shared.tools.kept.get(&self.errand.task.id)?;
        (self.errand.retry_count == 0 && kept.onto == place.base.tree).then_some(&kept.tree)
    }

    /// The parked place where the session goes on, else a slot on a fresh base.
    async fn prepare(&self) -> Result<(Workplace, Option<String>), Interruption> {
        let parked = self.shared.parked().remove(&self.errand.task.id);
        if let (Session::Resumed, Some(parked)) = (self.errand.session, parked) {
            return Ok((parked.place, parked.session));
        }
        let (shared, errand) = (Arc::clone(self.shared), self.errand.clone());
        let place = on_files(self.limits(), "laying out its files", move || {
            fresh_place(&shared, &errand)
        })
        .await?;
        Ok((place, None))
    }
}

/// A place on the attempt's base: the run's base with the results it is built on, or the
/// integration tip where those do not fit together.
fn fresh_place(shared: &RunShared, errand: &Assignment) -> Result<Workplace, GitError> {
    let tools = &shared.tools;
    let results: Vec<CommitId> = errand
        .onto
        .iter()
        .map(|other| other.commit.clone())
        .collect();
    let base = tools.anchor.steadily(|| {
        let base = match tools.repo.base_of(&tools.began.base.commit, &results)? {
            MergedBase::Clean(base) => base,
            MergedBase::Conflict(_) => errand.tip.clone(),
        };
        // A merge of results is new.
        if !tools.anchor.holds(&base.commit) {
            tools
                .anchor
                .settle(&tools.began.base.tree, &base, tools.clock.now())?;
        }
        Ok(base)
    })?;
    Workplace::open(tools, base, &tools.plan.keep).map(|(place, _)| place)
}

#[cfg(test)]
mod tests;
