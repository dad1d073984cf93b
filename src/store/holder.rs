//! Who holds the lock of a scope, as its file says.

use std::fs::File;
use std::io::Read as _;

use serde::{Deserialize, Serialize};

use crate::id::{Moment, RunId};

/// How much of a lock is read, in bytes. A holder takes about 200.
const HOLDER: u64 = 4 << 10;

/// Who holds a scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeHolder {
    /// The run.
    pub run: RunId,
    /// omk's process.
    pub pid: u32,
    /// The machine.
    pub host: String,
    /// Since when.
    pub since: Moment,
}

impl std::fmt::Display for ScopeHolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let since = self.since.to_utc().format("%Y-%m-%d %H:%M:%S UTC");
        write!(
            f,
            "run {} (process {} on {}, since {since})",
            self.run, self.pid, self.host
        )
    }
}

pub(super) fn read_holder(file: &mut File) -> Option<ScopeHolder> {
    serde_json::from_reader(file.take(HOLDER)).ok()
}
