//! What earlier runs on this machine tell a run about its gates.
//!
//! It reads proofs in omk's own store, where no child writes. It refuses to be in the way: what
//! cannot be read tells nothing.

use std::collections::HashMap;
use std::path::Path;

use super::session::{self, RunSession};
use super::writing;
use crate::fact::{GateVerdict, ProofOrigin};
use crate::id::{GateId, RunId, Scope, Sha256};
use crate::plain_file;
use crate::plan::Event;
use crate::proof::{self, GateClaim, RUN_PROOF, Statement};
use crate::store::Store;
use crate::work::{AfterFailure, Pace};

/// How many runs are looked at, the newest first. A person has started more than this in a day, and
/// an older run tells little that none of these does.
const RUNS: usize = 20;

/// The largest proof that is read, in bytes. That of a run with a thousand tasks has a tenth of it.
const PROOF: u64 = 4 << 20;

/// How the gates of a session run.
pub(super) fn pace(session: &RunSession) -> Pace {
    let (began, how, gates) = (&session.began, &session.how, &session.engine.plan().gates);
    let store = &session.home.store;
    // The order of a single gate is known.
    let durations = if gates.len() > 1 {
        durations(store, &began.run, &began.scope)
    } else {
        HashMap::new()
    };
    // A forge's run reuses nothing: what else its machine holds is not its own to believe.
    let reuses =
        began.trigger.event == Event::Manual && gates.iter().any(|gate| gate.inputs.is_some());
    let known = || {
        if how.no_reuse || began.no_reuse {
            HashMap::new()
        } else {
            reusable(store, &began.run, &session::host().name)
        }
    };
    Pace {
        workers: how
            .workers
            .or(session.history.workers())
            .unwrap_or(began.workers),
        after_failure: AfterFailure::of(how.keep_going || began.keep_going),
        durations,
        reusable: reuses.then(known),
    }
}

/// The proofs of the newest runs but that one, the newest run first.
fn proofs(store: &Store, but: &RunId) -> impl Iterator<Item = Statement> {
    let runs: Vec<RunId> = store
        .runs()
        .unwrap_or_default()
        .into_iter()
        .rev()
        .filter(|run| run != but)
        .collect();
    let of_run = |run: RunId| {
        writing::proofs(&store.dir(&run))
            .into_iter()
            .map(move |path| (run.clone(), path))
    };
    let files = runs.into_iter().take(RUNS).flat_map(of_run);
    let read = |path: &Path| proof::read(&plain_file::read(path, PROOF).ok()?).ok();
    files.filter_map(move |(run, path)| read(&path).filter(|proof| proof.predicate.run == run))
}

/// The shortest time, in milliseconds, that each gate took in the scope's newest runs.
fn durations(store: &Store, run: &RunId, scope: &Scope) -> HashMap<GateId, u64> {
    let mut shortest: HashMap<GateId, u64> = HashMap::new();
    for gate in proofs(store, run)
        .filter(|proof| proof.predicate.scope == *scope)
        .flat_map(|proof| proof.predicate.gates)
    {
        match gate.verdict {
            GateVerdict::Passed | GateVerdict::Failed | GateVerdict::Flaky => {
                let known = shortest.entry(gate.id).or_insert(gate.duration_ms);
                *known = gate.duration_ms.min(*known);
            }
            GateVerdict::TimedOut | GateVerdict::Skipped | GateVerdict::Reused => {}
        }
    }
    shortest
}

/// The proofs on this machine that say of a gate that it passed, by the key of what that depends
/// on; the newest of each.
fn reusable(store: &Store, run: &RunId, machine: &str) -> HashMap<Sha256, ProofOrigin> {
    let mut found = HashMap::new();
    for proof in proofs(store, run)
        .map(|proof| proof.predicate)
        .filter(|proof| proof.runner.name == machine)
    {
        let name = proof
            .task
            .as_ref()
            .map_or_else(|| RUN_PROOF.to_owned(), |task| task.id.to_string());
        let clean = |gate: &&GateClaim| {
            gate.verdict == GateVerdict::Passed && gate.counts_as_passed && gate.failing == 0
        };
        for key in proof
            .gates
            .iter()
            .filter(clean)
            .filter_map(|gate| gate.reuse_key.clone())
        {
            let origin = || ProofOrigin {
                run: proof.run.clone(),
                proof: name.clone(),
                commit: proof.result.commit.clone(),
            };
            found.entry(key).or_insert_with(origin);
        }
    }
    found
}
