//! Delivery: a run's result goes where people look: one atomic push, then pull requests, checks, the comment, the reaction.
//!
//! What is to be done is decided by plain functions; a small part carries it out. Everything is found before it is made,
//! so a repeat makes nothing twice. It refuses to believe a bundle, to deliver what is not ready unless the plan says
//! `partial`, to move a ref that holds a commit of somebody else, and to fail a run because the forge cannot be told of it.

use crate::fact::RunVerdict;
use crate::id::{CommitId, TaskId, Tip};
use crate::proof::JudgedBy;
use crate::report::View;

/// What a later job believes of a run.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How the run ended: never better than what the judge said.
    pub verdict: RunVerdict,
    /// For show only, scrubbed already; its gates and verdict are those of the judge.
    pub view: View,
    /// The integrated result; its objects are in the local repository.
    pub result: Option<Tip>,
    /// Each landed task's own change, in landing order; their objects are in the local repository.
    pub tasks: Vec<(TaskId, CommitId)>,
    /// File names and bytes, for the ref of the proofs.
    pub proofs: Vec<(String, Vec<u8>)>,
    /// Who judged.
    pub judged_by: JudgedBy,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Delivered {
    /// Full names of the refs that are where they should be, whether they were pushed now or were there already.
    pub pushed: Vec<String>,
    /// Numbers and addresses of the pull requests with the result.
    pub pulls: Vec<(u64, String)>,
    /// The address of the sticky comment, or of the dashboard.
    pub comment: Option<String>,
    /// What was in the way, a sentence each: what, why, what next.
    pub troubles: Vec<String>,
    /// The result is where the plan wants it.
    pub delivered: bool,
    /// In a dry run: what would have been done, a line each.
    pub would: Vec<String>,
}
