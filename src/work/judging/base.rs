//! What gates say of the run's base, and what that explains of a failure.
//!
//! It refuses to ask a gate twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::{give_back, place_at, round};
use crate::fact::{Fact, GateOutcome};
use crate::gate::baseline;
use crate::id::GateId;
use crate::plan::Gate;
use crate::work::RunShared;
use crate::work::attempt::Interruption;
use crate::work::lanes::{AfterFailure, LaneResult, On, Round};
use crate::work::trial::{Logs, OnTrial, TrialSite, judge_one};

/// What gates say of the run's base: each is asked at most once.
#[derive(Debug, Default)]
pub(in crate::work) struct BaseOutcomes(Mutex<HashMap<GateId, Arc<OnBase>>>);

/// What one gate says of it.
#[derive(Debug, Default)]
pub(super) struct OnBase {
    /// Whose turn it is to ask. Who waits for it goes away when told to stop; who asks stops the
    /// gate first.
    asking: tokio::sync::Mutex<()>,
    pub(super) said: OnceLock<GateOutcome>,
}

impl BaseOutcomes {
    pub(super) fn of(&self, gate: &GateId) -> Arc<OnBase> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(gate.clone()).or_default())
    }
}

/// The plan's required gates, on the run's base, before its first prompt; reported as a fact. What
/// they say is remembered for the comparison of later verdicts.
pub(in crate::work) async fn preflight(shared: Arc<RunShared>, stop: CancellationToken) {
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

/// Holds an outcome against what the same gate says of the run's base.
pub(super) async fn compare(
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
    let trial = TrialSite {
        shared,
        place: &place,
        logs: &Logs::new(shared, "logs/base".to_owned()),
        stop,
    };
    let outcome = judge_one(trial, gate, commit, Some(laid_out)).await;
    give_back(shared, place, outcome.as_ref().err(), stop).await;
    let outcome = outcome?;
    if stop.is_cancelled() {
        return Err(Interruption::Interrupted);
    }
    Ok(on_base.said.get_or_init(|| outcome).clone())
}
