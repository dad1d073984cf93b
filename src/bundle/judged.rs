//! What is left of a run's own verdict once somebody else has judged its result; and its proofs, by
//! those who judged.
//!
//! It refuses to make a verdict better than the run's own.

use super::admit::Admitted;
use crate::fact::{Containment, GateOutcome, RunVerdict, confined};
use crate::id::GateId;
use crate::proof::{self, Input, JudgedBy, ProofStanding, standing};
use crate::report::{View, room};
use crate::request::{Judgement, Request, VERSION};

/// The judgement of an admitted run, from what the required gates said of its result's tree.
/// Without a result nothing was judged, and the verdict is the run's own, but never `ready`.
#[must_use]
pub fn judge(request: &Request, admitted: &Admitted, gates: Vec<GateOutcome>) -> Judgement {
    let mut warnings = Vec::new();
    let own = admitted.engine.verdict().unwrap_or_else(|| {
        warnings.push("the run did not come to its end, so it proves nothing".to_owned());
        RunVerdict::FailedInfra
    });
    let required = required(admitted);
    let verdict = if admitted.result.is_some() {
        let held = standing(&gates, &required);
        warnings.extend(disagreements(admitted, &gates));
        lowered(own, &held)
    } else {
        warnings.push("nothing landed, so there was nothing to judge".to_owned());
        if own == RunVerdict::Ready {
            RunVerdict::NotReady
        } else {
            own
        }
    };
    Judgement {
        version: VERSION,
        run: request.run.clone(),
        base: admitted.base.clone(),
        result: admitted.result.clone(),
        landed: admitted
            .landed
            .iter()
            .map(|(task, _)| task.clone())
            .collect(),
        plan: request.plan.digest.clone(),
        gates,
        verdict,
        bundle: admitted.changes.clone(),
        warnings,
    }
}

fn required(admitted: &Admitted) -> Vec<GateId> {
    let gates = admitted
        .engine
        .plan()
        .gates
        .iter()
        .filter(|gate| gate.required);
    gates.map(|gate| gate.id.clone()).collect()
}

fn lowered(own: RunVerdict, standing: &ProofStanding) -> RunVerdict {
    match (own, standing) {
        (RunVerdict::Ready, ProofStanding::Proven) => RunVerdict::Ready,
        (RunVerdict::Ready | RunVerdict::Neutral, ProofStanding::Unproven) => RunVerdict::Neutral,
        (RunVerdict::Neutral, ProofStanding::Proven) => RunVerdict::Neutral,
        (RunVerdict::Ready | RunVerdict::Neutral, ProofStanding::Held(_)) => RunVerdict::NotReady,
        (
            RunVerdict::Cancelled
            | RunVerdict::FailedInfra
            | RunVerdict::BlockedOnExternal
            | RunVerdict::BlockedOnHuman
            | RunVerdict::NeedsMoreBudget
            | RunVerdict::NotReady,
            ProofStanding::Proven | ProofStanding::Unproven | ProofStanding::Held(_),
        ) => own,
    }
}

/// Gates that let the result through in the run and do not now: flaky, or bent by whoever made the
/// change.
fn disagreements(admitted: &Admitted, gates: &[GateOutcome]) -> Vec<String> {
    let before = admitted.history.result_gates(&admitted.engine);
    let passed = |gate: &GateId| {
        before
            .iter()
            .any(|outcome| outcome.gate == *gate && outcome.counts_as_passed)
    };
    let changed = gates
        .iter()
        .filter(|outcome| !outcome.counts_as_passed && passed(&outcome.gate));
    changed
        .map(|outcome| {
            format!(
                "gate `{}` passed in the job that made the change, and not when it was judged anew: it is flaky, depends on \
                 that machine, or was deceived there",
                outcome.gate
            )
        })
        .collect()
}

/// What the proof of the result is made of: the run's evidence, judged by a separate job. `None`
/// where nothing landed.
#[must_use]
pub fn proof_input(request: &Request, judgement: &Judgement, admitted: &Admitted) -> Option<Input> {
    let result = admitted.result.clone()?;
    let input = admitted.history.run_proof(
        &admitted.engine,
        admitted.observed.clone(),
        &admitted.journal_head,
    )?;
    let rooms = std::iter::once(input.containment.clone()).chain(confined(&judgement.gates));
    Some(Input {
        containment: rooms.reduce(Containment::weakest).unwrap_or_default(),
        plan: request.plan.clone(),
        trigger: request.trigger.clone(),
        judged_tree: judgement
            .result
            .as_ref()
            .filter(|_| !judgement.gates.is_empty())
            .map(|tip| tip.tree.clone()),
        gates: judgement.gates.clone(),
        judged_by: JudgedBy::SeparateJob,
        verdict: judgement.verdict,
        bundle: admitted.changes.clone(),
        result,
        ..input
    })
}

/// The files of a run's proofs, by name: of each landed task, as the run itself judged it, and of
/// the result, as `judgement` has it.
#[must_use]
pub fn proofs(
    request: &Request,
    judgement: &Judgement,
    admitted: &Admitted,
) -> Vec<(String, Vec<u8>)> {
    let tasks = admitted
        .history
        .task_proofs(&admitted.engine, &admitted.journal_head);
    let tasks = tasks
        .into_iter()
        .map(|(task, input)| (task.to_string(), input));
    let result =
        proof_input(request, judgement, admitted).map(|input| (proof::RUN_PROOF.to_owned(), input));
    let mut files = Vec::new();
    for (name, input) in tasks.chain(result) {
        files.push((format!("{name}.json"), proof::prove(&input).to_bytes()));
        if let Some(result) = proof::test_result(&input) {
            files.push((format!("{name}.test-result.json"), result.to_bytes()));
        }
    }
    files
}

/// The run for people, with the verdict and the gates of `judgement`. Not scrubbed yet. `None` only
/// before a run began, which is not admitted.
#[must_use]
pub fn view(judgement: &Judgement, admitted: &Admitted) -> Option<View> {
    let mut view = admitted.history.view(&admitted.engine)?;
    view.verdict = Some(judgement.verdict);
    view.gates.clone_from(&judgement.gates);
    view.containment = view
        .containment
        .into_iter()
        .chain(confined(&judgement.gates))
        .reduce(Containment::weakest);
    view.room_exceptions = view
        .containment
        .as_ref()
        .map(|room| room::exceptions(room.level))
        .unwrap_or_default();
    view.judged_by = Some(JudgedBy::SeparateJob);
    view.result.clone_from(&admitted.result);
    view.warnings.extend(judgement.warnings.iter().cloned());
    Some(view)
}

/// The judgement in at most so many bytes of JSON: what gates printed goes first, then the items
/// that failed, then what was said of them. Verdicts stay.
#[must_use]
pub fn fit(mut judgement: Judgement, most: usize) -> Judgement {
    let shrink: [fn(&mut GateOutcome); 5] = [
        |gate| {
            if gate.counts_as_passed {
                silence(gate);
            }
        },
        |gate| gate.failing.truncate(20),
        silence,
        |gate| {
            gate.failing.clear();
            keep_hosts(gate, HOSTS_KEPT);
        },
        |gate| {
            gate.note = crate::text::clip(&gate.note, 80);
            gate.command = crate::text::clip(&gate.command, 80);
            gate.log = None;
            keep_hosts(gate, 0);
        },
    ];
    for step in shrink {
        if serde_json::to_vec(&judgement).map_or(0, |bytes| bytes.len()) <= most {
            break;
        }
        judgement.gates.iter_mut().for_each(step);
    }
    judgement
}

/// Refused hosts of a judgement that is too long: as many as reports name.
const HOSTS_KEPT: usize = 5;

/// Forgets all hosts that a gate asked for in vain, but so many.
fn keep_hosts(gate: &mut GateOutcome, most: usize) {
    for room in gate.room.iter_mut() {
        room.refused_hosts.truncate(most);
        room.unreached_hosts.truncate(most);
    }
}

/// Forgets what a gate printed, but not where.
fn silence(gate: &mut GateOutcome) {
    if let Some(log) = &mut gate.log {
        log.head.clear();
        log.tail.clear();
    }
}

#[cfg(test)]
mod tests;
