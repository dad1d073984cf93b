//! Verdicts that need no second run: what the verdict of a gate depends on here, and who has passed
//! by just that.
//!
//! Only a sealed room keeps what a gate leaves from the next one, so no verdict of another room is
//! reused; nor one of a gate that found a cache of `keep`, where another gate may have written. It
//! refuses to reuse anything but a clean pass.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::attempt::Interruption;
use super::thread::{WorkLimits, on_files};
use super::trial::{BASE, OnTrial};
use super::{RunShared, instructions};
use crate::exec::umask;
use crate::fact::{GateOutcome, GateVerdict, Reuse};
use crate::gate::premises::Premises;
use crate::git::GitError;
use crate::id::Sha256;
use crate::plan::{Gate, RoomLevel, definition_of};

/// Directories of one attempt, and the commit that premises hold by its content.
const PASSING: [&str; 3] = ["HOME", "TMPDIR", BASE];

/// What a verdict of the gate depends on; `None` if it is not to be reused. The fingerprint is
/// still to come.
pub(super) async fn premises(
    shared: &Arc<RunShared>,
    gate: &Gate,
    commit: OnTrial<'_>,
    env: &BTreeMap<OsString, OsString>,
    stop: &CancellationToken,
) -> Result<Option<Premises>, Interruption> {
    let tools = &shared.tools;
    if gate.inputs.is_none() || tools.pace.reusable.is_none() || tools.level != RoomLevel::Sealed {
        return Ok(None);
    }
    let (tree, base) = (commit.tip.tree.clone(), commit.base.clone());
    let (looked, gate_read) = (Arc::clone(shared), gate.clone());
    let digests = on_files(
        WorkLimits {
            stop,
            timeout: None,
        },
        "reading what its gate reads",
        move || {
            let tools = &looked.tools;
            let inputs = gate_read.inputs.as_deref().unwrap_or_default();
            let tree_of = |commit| tools.repo.tip(commit).map(|tip| tip.tree);
            let trusted_tree = tree_of(instructions::trusted(tools))?;
            Ok::<_, GitError>((
                tools.repo.digest_of(&tree, inputs)?,
                tools.repo.digest_of(&tree_of(&base)?, inputs)?,
                if gate_read.trusted.is_empty() {
                    Sha256::of(b"")
                } else {
                    tools.repo.digest_of(&trusted_tree, &gate_read.trusted)?
                },
            ))
        },
    );
    let (inputs, base_inputs, trusted) = digests.await?;
    let (room, network) = (&tools.plan.room, tools.plan.room.network_of_gate(gate));
    let lasting = env
        .iter()
        .filter(|(name, _)| !PASSING.iter().any(|passing| name.as_os_str() == *passing));
    Ok(Some(Premises {
        omk: env!("CARGO_PKG_VERSION").to_owned(),
        definition: definition_of(gate),
        inputs,
        base_inputs,
        trusted,
        platform: format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
        room: format!(
            "{:?} {network:?} docker {} umask {}",
            tools.level,
            room.docker,
            umask()
        ),
        env: lasting
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        fingerprint: None,
    }))
}

/// What may be reused of an outcome: a clean pass in a sealed room.
pub(super) fn of(outcome: &GateOutcome, key: Option<Sha256>) -> Option<Reuse> {
    let sealed = outcome
        .room
        .as_ref()
        .is_some_and(|room| room.containment.level == RoomLevel::Sealed);
    let clean = outcome.verdict == GateVerdict::Passed && outcome.failing_total == 0;
    key.filter(|_| sealed && clean)
        .map(|key| Reuse { key, from: None })
}
