//! The plan's required gates on a result, or on a commit outside of a run.

use std::borrow::Cow;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{give_back, is_spoilt, judge_all, place_at};
use crate::fact::{Fact, Failure, GateOutcome};
use crate::id::Tip;
use crate::plan::Gate;
use crate::text::Advised;
use crate::work::attempt::Interruption;
use crate::work::lanes::On;
use crate::work::trial::{Logs, OnTrial, TrialSite};
use crate::work::{RunShared, Tools};

/// The plan's required gates, on the result or a part of it; reported as a fact.
pub(in crate::work) async fn judge_result(
    shared: Arc<RunShared>,
    prefix: u32,
    tip: Tip,
    stop: CancellationToken,
) {
    let (gates, trouble) = match judge_required(&shared, &tip, &stop).await {
        Ok(outcomes) => (outcomes, None),
        Err(Unjudged::Failed(failure)) => (Vec::new(), Some(failure)),
        Err(Unjudged::Interrupted) => return,
    };
    if !stop.is_cancelled() {
        let _ = shared.facts.send(Fact::Judged {
            prefix,
            tip,
            gates,
            trouble,
        });
    }
}

/// Why gates could not be run on a commit.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Unjudged {
    /// The machine, or the repository.
    #[error("{}", .0.message)]
    Failed(Failure),
    /// It was stopped from outside.
    #[error("it was stopped")]
    Interrupted,
}

impl Advised for Unjudged {
    fn advice(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Failed(failure) => failure.advice.as_deref().map(Cow::Borrowed),
            Self::Interrupted => None,
        }
    }
}

/// Runs the plan's required gates on a commit outside of a run, just as a run does on its result:
/// each finds exactly the commit's tree, a failure is held against what the same gate says of
/// [`Began::base`](crate::fact::Began). Logs go below the directory of `tools`.
///
/// # Errors
/// Where the machine is at fault, or `stop` was cancelled. Then nothing is judged.
pub async fn judge_commit(
    tools: Tools,
    tip: Tip,
    stop: CancellationToken,
) -> Result<Vec<GateOutcome>, Unjudged> {
    // Nobody listens: there is no run that facts could be about.
    let (facts, _) = tokio::sync::mpsc::unbounded_channel();
    let shared = RunShared::new(tools, facts);
    let outcomes = judge_required(&Arc::new(shared), &tip, &stop).await?;
    if stop.is_cancelled() {
        Err(Unjudged::Interrupted)
    } else {
        Ok(outcomes)
    }
}

async fn judge_required(
    shared: &Arc<RunShared>,
    tip: &Tip,
    stop: &CancellationToken,
) -> Result<Vec<GateOutcome>, Unjudged> {
    let gates: Vec<&Gate> = shared
        .tools
        .plan
        .gates
        .iter()
        .filter(|gate| gate.required)
        .collect();
    let logs = Logs::new(shared, format!("logs/result/{}", tip.commit.short()));
    let judged = async {
        let commit = OnTrial {
            tip,
            base: &shared.tools.began.base.commit,
            keep: &[],
        };
        let (place, laid_out) = place_at(shared, commit, stop).await?;
        let before = shared.tools.anchor.brought_back();
        let trial = TrialSite {
            shared,
            place: &place,
            logs: &logs,
            stop,
        };
        let mut judged = judge_all(trial, &gates, On::Result, commit, Some(laid_out)).await;
        if let Ok(outcomes) = &judged
            && is_spoilt(shared, outcomes, before).await
        {
            judged = judge_all(trial, &gates, On::Result, commit, None).await;
        }
        give_back(shared, place, judged.as_ref().err(), stop).await;
        judged
    };
    judged.await.map_err(|trouble| match trouble {
        Interruption::Failed(failure) => {
            Unjudged::Failed(failure.scrubbed(&|text| shared.tools.scrubber.scrub(text)))
        }
        Interruption::Interrupted => Unjudged::Interrupted,
    })
}
