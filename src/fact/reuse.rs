//! Reused verdicts: what lets one stand for another, and where it comes from.
//!
//! It refuses to say whether one may be reused.

use serde::{Deserialize, Serialize};

use crate::id::{CommitId, RunId, Sha256};

/// What lets one verdict stand for another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reuse {
    /// The digest of all that the verdict depends on.
    pub key: Sha256,
    /// Where the verdict comes from; absent if the gate ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<ProofOrigin>,
}

/// The proof that a reused verdict comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofOrigin {
    /// The run.
    pub run: RunId,
    /// The proof's name there: the task, or `run.result`.
    pub proof: String,
    /// The commit that the gate saw.
    pub commit: CommitId,
}

impl std::fmt::Display for ProofOrigin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.run, self.proof)
    }
}
