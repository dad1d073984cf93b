//! Gates at work: on a task's change, on the result, and on the base where that explains a failure.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::attempt::Interruption;
use super::lanes::{AfterFailure, Lane, LaneResult, On, Round};
use super::place::Workplace;
use super::thread::{WorkLimits, blocking, on_files};
use super::trial::{Logs, OnTrial, judge_one};
use super::{RunShared, Tools};
use crate::engine::Engine;
use crate::fact::{Fact, Failure, GateOutcome, GateVerdict};
use crate::gate::baseline;
use crate::git::LaidOut;
use crate::id::{GateId, Tip, TreeId};
use crate::plan::{Gate, Task};
use crate::text::{self, Advised};

/// What gates say of the run's base: each is asked at most once.
#[derive(Debug, Default)]
pub(super) struct BaseOutcomes(Mutex<HashMap<GateId, Arc<OnBase>>>);

/// What one gate says of it.
#[derive(Debug, Default)]
struct OnBase {
    /// Whose turn it is to ask. Who waits for it goes away when told to stop; who asks stops the
    /// gate first.
    asking: tokio::sync::Mutex<()>,
    said: OnceLock<GateOutcome>,
}

impl BaseOutcomes {
    fn of(&self, gate: &GateId) -> Arc<OnBase> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(gate.clone()).or_default())
    }
}

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
    shared: &Arc<RunShared>,
    task: &Task,
    attempt: u32,
    place: &Workplace,
    (tip, laid_out): (&Tip, Option<LaidOut>),
    stop: &CancellationToken,
) -> Result<Vec<GateOutcome>, Interruption> {
    let gates: Vec<&Gate> = task
        .gates
        .iter()
        .filter_map(|gate| shared.tools.plan.gate(gate))
        .collect();
    let logs = Logs::new(shared, format!("logs/{}/{attempt}", task.id));
    let judged = OnTrial {
        tip,
        base: &place.base.commit,
        keep: &shared.tools.plan.keep,
    };
    let before = shared.tools.anchor.brought_back();
    let outcomes = judge_all(
        shared,
        &gates,
        On::Task,
        place,
        (judged, laid_out),
        &logs,
        stop,
    )
    .await?;
    if !is_spoilt(shared, &outcomes, before).await {
        return Ok(outcomes);
    }
    judge_all(shared, &gates, On::Task, place, (judged, None), &logs, stop).await
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

/// The plan's required gates, on the result or a part of it; reported as a fact.
pub(super) async fn judge_result(
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

/// The plan's required gates, on the run's base, before its first prompt; reported as a fact. What
/// they say is remembered for the comparison of later verdicts.
pub(super) async fn preflight(shared: Arc<RunShared>, stop: CancellationToken) {
    let required: Vec<&Gate> = shared
        .tools
        .plan
        .gates
        .iter()
        .filter(|gate| gate.required)
        .collect();
    // All are wanted: what fails here is what a later failure is compared with.
    let round = Round {
        after_failure: AfterFailure::GoOn,
        ..round(&shared, &required, On::Result, &stop)
    };
    let shared = &shared;
    let run = |gate, lane, stop| -> BoxFuture<'_, Result<LaneResult, Interruption>> {
        Box::pin(async move {
            let outcome = on_base(shared, gate, &stop).await;
            drop(lane);
            outcome.map(LaneResult::to)
        })
    };
    let (gates, trouble) = match round.run(&run).await {
        Ok(outcomes) => (outcomes, None),
        Err(Interruption::Interrupted) => return,
        Err(Interruption::Failed(failure)) => (
            Vec::new(),
            Some(failure.scrubbed(&|text| shared.tools.scrubber.scrub(text))),
        ),
    };
    if !stop.is_cancelled() {
        let _ = shared.facts.send(Fact::Preflighted { gates, trouble });
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
        let mut judged = judge_all(
            shared,
            &gates,
            On::Result,
            &place,
            (commit, Some(laid_out)),
            &logs,
            stop,
        )
        .await;
        if let Ok(outcomes) = &judged
            && is_spoilt(shared, outcomes, before).await
        {
            judged = judge_all(
                shared,
                &gates,
                On::Result,
                &place,
                (commit, None),
                &logs,
                stop,
            )
            .await;
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
    shared: &Arc<RunShared>,
    gates: &[&Gate],
    on: On,
    place: &Workplace,
    (commit, laid_out): (OnTrial<'_>, Option<LaidOut>),
    logs: &Logs,
    stop: &CancellationToken,
) -> Result<Vec<GateOutcome>, Interruption> {
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
                    judge_and_compare(shared, gate, place, (commit, laid_out), logs, &stop)
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
    let judged =
        judge_and_compare(shared, gate, &place, (commit, Some(laid_out)), logs, stop).await;
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
    shared: &Arc<RunShared>,
    gate: &Gate,
    place: &Workplace,
    (commit, laid_out): (OnTrial<'_>, Option<LaidOut>),
    logs: &Logs,
    stop: &CancellationToken,
) -> Result<GateOutcome, Interruption> {
    let outcome = judge_one(shared, gate, place, (commit, laid_out), logs, stop).await?;
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

/// Holds an outcome against what the same gate says of the run's base.
async fn compare(
    shared: &Arc<RunShared>,
    gate: &Gate,
    outcome: GateOutcome,
    stop: &CancellationToken,
) -> Result<GateOutcome, Interruption> {
    let on_base = on_base(shared, gate, stop).await?;
    Ok(baseline::compare(
        outcome,
        &on_base,
        shared.tools.plan.baseline,
    ))
}

/// What a gate says of the run's base; it is asked once.
async fn on_base(
    shared: &Arc<RunShared>,
    gate: &Gate,
    stop: &CancellationToken,
) -> Result<GateOutcome, Interruption> {
    let on_base = shared.base_outcomes.of(&gate.id);
    let _asking = tokio::select! {
        asking = on_base.asking.lock() => asking,
        () = stop.cancelled() => return Err(Interruption::Interrupted),
    };
    if let Some(said) = on_base.said.get() {
        return Ok(said.clone());
    }
    let base = &shared.tools.began.base;
    let commit = OnTrial {
        tip: base,
        base: &base.commit,
        keep: &[],
    };
    let (place, laid_out) = place_at(shared, commit, stop).await?;
    let logs = Logs::new(shared, "logs/base".to_owned());
    let outcome = judge_one(shared, gate, &place, (commit, Some(laid_out)), &logs, stop).await;
    give_back(shared, place, outcome.as_ref().err(), stop).await;
    let outcome = outcome?;
    if stop.is_cancelled() {
        return Err(Interruption::Interrupted);
    }
    Ok(on_base.said.get_or_init(|| outcome).clone())
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
