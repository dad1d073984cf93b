//! Gates at work: on a task's change, on the result, and on the base where that explains a failure.

mod base;
mod result;

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::attempt::Interruption;
use super::lanes::{Lane, LaneResult, On, Round};
use super::place::Workplace;
use super::thread::{WorkLimits, blocking, on_files};
use super::trial::{Logs, OnTrial, TrialSite, judge_one};
use super::{RunShared, Tools};
use crate::engine::Engine;
use crate::fact::{GateOutcome, GateVerdict};
use crate::gate::baseline;
use crate::git::LaidOut;
use crate::id::{Tip, TreeId};
use crate::plan::{Gate, Task};
use crate::text;
use base::compare;

pub(super) use base::{BaseOutcomes, preflight};
pub(super) use result::judge_result;
pub use result::{Unjudged, judge_commit};

/// The landed prefix's tip: the run's base for none.
pub(super) fn tip_of(prefix: u32, engine: &Engine) -> Option<Tip> {
    match prefix {
        0 => engine.began().map(|began| began.base.clone()),
        _ => engine
            .landings()
            .nth(prefix as usize - 1)
            .map(|(_, tip)| tip.clone()),
    }
}

/// The gates of a task, on its change.
pub(super) async fn judge_task(
    trial: TrialSite<'_>,
    task: &Task,
    tip: &Tip,
    laid_out: Option<LaidOut>,
) -> Result<Vec<GateOutcome>, Interruption> {
    let TrialSite { shared, place, .. } = trial;
    let gates: Vec<&Gate> = task
        .gates
        .iter()
        .filter_map(|gate| shared.tools.plan.gate(gate))
        .collect();
    let judged = OnTrial {
        tip,
        base: &place.base.commit,
        keep: &shared.tools.plan.keep,
    };
    let before = shared.tools.anchor.brought_back();
    let outcomes = judge_all(trial, &gates, On::Task, judged, laid_out).await?;
    if !is_spoilt(shared, &outcomes, before).await {
        return Ok(outcomes);
    }
    judge_all(trial, &gates, On::Task, judged, None).await
}

/// Whether gates failed while objects were gone that they may have asked git for. That happens once
/// at most: a `git prune` that begins later sees that they are held.
async fn is_spoilt(shared: &Arc<RunShared>, outcomes: &[GateOutcome], before: u64) -> bool {
    if outcomes.iter().all(|outcome| outcome.counts_as_passed) {
        return false;
    }
    let anchor = shared.tools.anchor.clone();
    blocking(move || anchor.bring_back().is_ok() && anchor.brought_back() != before).await
}

/// A slot with that commit in it.
async fn place_at(
    shared: &Arc<RunShared>,
    commit: OnTrial<'_>,
    stop: &CancellationToken,
) -> Result<(Workplace, LaidOut), Interruption> {
    let (shared, base, keep) = (Arc::clone(shared), commit.tip.clone(), commit.keep.to_vec());
    let limits = WorkLimits {
        stop,
        timeout: None,
    };
    Ok(on_files(limits, "laying out its files", move || {
        Workplace::open(&shared.tools, base, &keep)
    })
    .await?)
}

async fn discard(shared: &Arc<RunShared>, place: Workplace, stop: &CancellationToken) {
    let (shared, stop) = (Arc::clone(shared), stop.clone());
    blocking(move || place.clean(&shared.tools, &stop)).await;
}

/// A round of gates as the run wants it.
fn round<'a>(
    shared: &'a Arc<RunShared>,
    gates: &'a [&'a Gate],
    on: On,
    stop: &'a CancellationToken,
) -> Round<'a> {
    let (workers, durations, after_failure) = (
        &shared.workers,
        &shared.durations,
        shared.tools.pace.after_failure,
    );
    Round {
        gates,
        workers,
        durations,
        on,
        after_failure,
        turns: false,
        stop,
    }
}

async fn judge_all(
    trial: TrialSite<'_>,
    gates: &[&Gate],
    on: On,
    commit: OnTrial<'_>,
    laid_out: Option<LaidOut>,
) -> Result<Vec<GateOutcome>, Interruption> {
    let TrialSite {
        shared,
        place,
        logs,
        stop,
    } = trial;
    // Gates may need what is kept there, and must not share it. Whether they find it is not for
    // free workers to decide.
    let turns = on == On::Task && place.holds_kept(&shared.tools.plan.keep);
    let round = Round {
        turns,
        ..round(shared, gates, on, stop)
    };
    // For the first gate in the slot of the work.
    let laid_out = &Mutex::new(laid_out);
    let run = |gate, lane, stop| -> BoxFuture<'_, Result<LaneResult, Interruption>> {
        Box::pin(async move {
            match lane {
                Lane::Own => {
                    let laid_out = laid_out
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .take();
                    judge_and_compare(
                        TrialSite {
                            stop: &stop,
                            ..trial
                        },
                        gate,
                        commit,
                        laid_out,
                    )
                    .await
                    .map(LaneResult::to)
                }
                Lane::Beside(_worker) => judge_beside(shared, gate, commit, logs, &stop).await,
            }
        })
    };
    round.run(&run).await
}

/// Judges in a slot of the gate's own.
async fn judge_beside(
    shared: &Arc<RunShared>,
    gate: &Gate,
    commit: OnTrial<'_>,
    logs: &Logs,
    stop: &CancellationToken,
) -> Result<LaneResult, Interruption> {
    let (place, laid_out) = match place_at(shared, commit, stop).await {
        Ok(opened) => opened,
        Err(Interruption::Interrupted) => return Err(Interruption::Interrupted),
        Err(Interruption::Failed(_)) => return Ok(LaneResult::NoSlot),
    };
    let trial = TrialSite {
        shared,
        place: &place,
        logs,
        stop,
    };
    let judged = judge_and_compare(trial, gate, commit, Some(laid_out)).await;
    give_back(shared, place, judged.as_ref().err(), stop).await;
    judged.map(LaneResult::to)
}

/// Gives a slot back, unless somebody may still be at work in it.
async fn give_back(
    shared: &Arc<RunShared>,
    place: Workplace,
    trouble: Option<&Interruption>,
    stop: &CancellationToken,
) {
    if trouble.is_some_and(Interruption::is_outlived) {
        place.condemn();
    } else {
        discard(shared, place, stop).await;
    }
}

/// Runs a gate, and compares what it says with what it says of the base, where that is known or
/// wanted.
async fn judge_and_compare(
    trial: TrialSite<'_>,
    gate: &Gate,
    commit: OnTrial<'_>,
    laid_out: Option<LaidOut>,
) -> Result<GateOutcome, Interruption> {
    let TrialSite { shared, stop, .. } = trial;
    let outcome = judge_one(trial, gate, commit, laid_out).await?;
    let is_known = || shared.base_outcomes.of(&gate.id).said.get().is_some();
    let may_be_old = outcome.verdict == GateVerdict::Failed && gate.report.is_some();
    if !may_be_old && !is_known() {
        return Ok(outcome);
    }
    if shared.tools.began.base.tree == commit.tip.tree {
        // The base is no worse than itself: who broke more is looked for among the landings.
        return Ok(baseline::compare(
            outcome.clone(),
            &outcome,
            shared.tools.plan.baseline,
        ));
    }
    match compare(shared, gate, outcome.clone(), stop).await {
        // It was ended before it was known whether the base fails, too: nothing is forgiven.
        Err(Interruption::Interrupted) => Ok(outcome),
        compared => compared,
    }
}

/// Takes away what gates left, for whoever goes on there: HEAD is the base again, and the work is
/// as they judged it.
pub(super) async fn restore(
    shared: &Arc<RunShared>,
    place: &Workplace,
    tree: &TreeId,
    limits: WorkLimits<'_>,
) -> Result<(), Interruption> {
    let (shared, place, tree) = (Arc::clone(shared), place.clone(), tree.clone());
    let put_back = move || {
        let Tools { anchor, plan, .. } = &shared.tools;
        anchor
            .steadily(|| {
                place
                    .slot
                    .checkout_tree(&place.base.commit, &tree, &plan.keep)
            })
            .map(drop)
    };
    Ok(on_files(limits, "putting back what its gates left", put_back).await?)
}

/// A gate that holds a change, as a clause: "gate `test` (`make test`) exited with 1".
pub(super) fn in_words(outcome: &GateOutcome) -> String {
    let how = match (outcome.verdict, outcome.exit) {
        (GateVerdict::TimedOut, _) => "ran into its timeout".to_owned(),
        (_, Some(code)) => format!("exited with {code}"),
        (_, None) => "was ended".to_owned(),
    };
    let refused = outcome
        .refusal()
        .map_or_else(String::new, |refused| format!("; {refused}"));
    format!(
        "gate `{}` ({}) {how}{refused}",
        outcome.gate,
        text::command_line(&outcome.command)
    )
}
