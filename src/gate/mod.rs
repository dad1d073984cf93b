//! Gates: the checks that the runner makes of a change, and what their verdicts are worth.
//!
//! [`judge`](judge::judge) runs one gate, [`items`] reads its report, [`ground`] finds its
//! files in the tree, [`baseline`] compares it with the base, and
//! [`passes`] says whether a set of outcomes lets a change through. It refuses to believe anything
//! that a gate did not show: a gate that did not run is no pass, and nothing but a provably old
//! failure is forgiven.

pub mod baseline;
pub mod ground;
pub mod items;
pub mod judge;
pub mod premises;

mod cargo_json;
mod junit;
mod report_file;
mod sarif;
mod steady;
mod tally;

use crate::fact::GateOutcome;
use crate::id::GateId;
use crate::proof::{ProofStanding, standing};

/// Whether these outcomes let a change through: every one of the `required` gates ran and counts as
/// passed.
///
/// With no required gate nothing stands in the way, and nothing is proven either; [`standing`]
/// tells the two apart.
#[must_use]
pub fn passes(outcomes: &[GateOutcome], required: &[GateId]) -> bool {
    match standing(outcomes, required) {
        ProofStanding::Proven | ProofStanding::Unproven => true,
        ProofStanding::Held(_) => false,
    }
}
