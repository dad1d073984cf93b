//! What earlier runs on this machine tell a run about its gates.
//!
//! It reads proofs in omk's own store, where no child writes. It refuses to be in the way: what cannot be read tells nothing.

use std::collections::HashMap;

use super::writing;
use crate::fact::GateVerdict;
use crate::id::{GateId, RunId, Scope};
use crate::plain_file;
use crate::proof::{self, Statement};
use crate::store::Store;

/// How many runs are looked at, the newest first. A person has started more than this in a day, and an older run tells
/// little that none of these does.
const RUNS: usize = 20;

/// The largest proof that is read, in bytes. That of a run with a thousand tasks has a tenth of it.
const PROOF: u64 = 4 << 20;

/// The proofs of the newest runs but that one, the newest run first.
fn proofs(store: &Store, but: &RunId) -> impl Iterator<Item = Statement> {
    let runs: Vec<RunId> = store.runs().unwrap_or_default().into_iter().rev().filter(|run| run != but).collect();
    let files = runs.into_iter().take(RUNS).flat_map(|run| writing::proofs(&store.dir(&run)));
    files.filter_map(|path| proof::read(&plain_file::read(&path, PROOF).ok()?).ok())
}

/// The shortest time, in milliseconds, that each gate took in the scope's newest runs.
pub(super) fn durations(store: &Store, run: &RunId, scope: &Scope) -> HashMap<GateId, u64> {
    let mut shortest: HashMap<GateId, u64> = HashMap::new();
    for gate in
        proofs(store, run).filter(|proof| proof.predicate.scope == *scope).flat_map(|proof| proof.predicate.gates)
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
