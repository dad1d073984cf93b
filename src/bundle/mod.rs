//! What one job leaves for the next: a directory with a run's commits, journal, plan, proofs and
//! logs.
//!
//! [`write()`] makes one of a run that is over. Whoever reads one believes nothing in it: [`open`]
//! checks names, sizes and digests, [`admit`] holds journal and commits against the request and the
//! plan, which come from elsewhere, and [`judge`] says what is left of the run's own verdict. The
//! room refuses links, names that are not its own, more than it allows, commits that no selected
//! task may have made, and to take plan, rules, verdict or branch names from a bundle.

mod archive;
mod manifest;
mod refused;
mod walk;
mod open;
mod write;
mod commits;
mod admit;
mod judged;

pub use admit::{Admitted, admit, admit_earlier};
pub use archive::{BadArchive, unpack};
pub use judged::{fit, judge, proof_input, proofs, view};
pub use manifest::{
    CHANGES, FileClaim, FileName, JOURNAL, MANIFEST, Manifest, TaskChange, Upload, VERSION,
};
pub use open::{BundleLimits, Opened, open};
pub use refused::BundleRefused;
pub use write::{WriteError, Written, is_free, write};

use std::collections::BTreeMap;

use crate::engine::Engine;
use crate::id::{CommitId, RunId, Tip};

/// Where a bundle's refs are, in its file of commits.
const IN_BUNDLE: &str = "refs/omk/bundle";

/// Where an admitted bundle's commits are kept, below the run's name.
const TAKEN_IN: &str = "refs/omk/bundle-in";

/// The ref below which a run's admitted commits are kept: `…/result`, `…/task/<id>`.
#[must_use]
pub fn taken_in(run: &RunId) -> String {
    format!("{TAKEN_IN}/{run}")
}

/// The run's result, as the engine knows it: something landed on the base.
fn result_of(engine: &Engine) -> Option<Tip> {
    let (base, tip) = (&engine.began()?.base, engine.tip()?);
    (tip != base).then(|| tip.clone())
}

/// Each landed task's own change, in landing order.
fn changes_of(engine: &Engine) -> Vec<TaskChange> {
    let landed = engine.landings().filter_map(|(task, _)| engine.task(task));
    let changes =
        landed.filter_map(|status| Some((status.id.clone(), status.change?.tip.commit.clone())));
    changes
        .map(|(task, commit)| TaskChange { task, commit })
        .collect()
}

/// The refs of a run's file of commits; none where there is nothing to carry.
fn refs_of(result: Option<&Tip>, changes: &[TaskChange]) -> BTreeMap<String, CommitId> {
    let Some(result) = result else {
        return BTreeMap::new();
    };
    let tasks = changes.iter().map(|change| {
        (
            format!("{IN_BUNDLE}/task/{}", change.task),
            change.commit.clone(),
        )
    });
    tasks
        .chain([(format!("{IN_BUNDLE}/result"), result.commit.clone())])
        .collect()
}
