//! What a gate said of a tree.

use serde::{Deserialize, Serialize};

use super::LogEvidence;
use super::containment::GateRoom;
use super::is_zero;
use crate::fact::closed::{advice_on_exit, both, closed, kept_from_writing, refusal};
use crate::fact::reuse::Reuse;
use crate::id::GateId;

/// What a gate said of a tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateOutcome {
    /// The gate.
    pub gate: GateId,
    /// Its command, as the plan has it.
    pub command: String,
    /// Whether it decides.
    pub required: bool,
    /// The verdict on this tree.
    pub verdict: GateVerdict,
    /// The verdict against the base, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against_base: Option<AgainstBase>,
    /// Whether this outcome lets a change through: passed, flaky, reused, or a forgiven
    /// pre-existing failure. False for `skipped`.
    pub counts_as_passed: bool,
    /// The exit code of the last execution; absent where it was ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// Wall time of all executions, in milliseconds.
    pub duration_ms: u64,
    /// Executions.
    pub attempts: u32,
    /// What the last execution printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogEvidence>,
    /// Failing items, from the gate's report; at most 200. A gate that passed may have some: its
    /// tool only warns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failing: Vec<FailingItem>,
    /// How many failing items there were in all.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failing_total: u32,
    /// How many files its report was.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reports: u32,
    /// What else a person must know: "flaky: passed on the 2nd of 2 executions", "the report is
    /// missing".
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// The room that it ran in; absent if it did not run, and in older journals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<GateRoom>,
    /// What lets another gate reuse the verdict; absent if it may not be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reuse: Option<Reuse>,
}

impl GateOutcome {
    /// What its room refused, as a clause; of a gate that failed, what its room closed.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        let room = self.room.as_ref()?;
        let hosts = match self.verdict {
            GateVerdict::Failed | GateVerdict::TimedOut => closed(
                Some(&room.network),
                &room.refused_hosts,
                &room.unreached_hosts,
            ),
            GateVerdict::Passed
            | GateVerdict::Flaky
            | GateVerdict::Skipped
            | GateVerdict::Reused => refusal(&room.refused_hosts, &room.unreached_hosts),
        };
        both(hosts, self.kept_from_writing())
    }

    /// What it could not write, as a clause.
    #[must_use]
    pub fn kept_from_writing(&self) -> Option<String> {
        kept_from_writing(self.log.as_ref()?, self.room.as_ref()?.containment.level)
    }

    /// What people can do about its failure, where omk knows.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        advice_on_exit(self.exit)
    }
}

/// The verdict of a gate on a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GateVerdict {
    /// Exit 0 at the first execution.
    Passed,
    /// Another exit at every execution.
    Failed,
    /// Exit 0 only at a later execution.
    Flaky,
    /// Ended at its timeout.
    TimedOut,
    /// Did not run; never a pass.
    Skipped,
    /// Taken from an earlier proof.
    Reused,
}

impl GateVerdict {
    /// Its name in records and reports: `timed-out`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Flaky => "flaky",
            Self::TimedOut => "timed-out",
            Self::Skipped => "skipped",
            Self::Reused => "reused",
        }
    }
}

/// A gate's verdict compared with the one on the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgainstBase {
    /// It failed on the base and passes now.
    Fixed,
    /// It fails on items that the base has not.
    Broke,
    /// Its failing items are a subset of the base's.
    PreExisting,
}

/// A failing item of a gate's report: a test, a finding, a compiler's error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailingItem {
    /// What identifies it between runs: `suite::test`, `rule@path`.
    pub key: String,
    /// What it says, clipped and scrubbed.
    pub message: String,
    /// Where, where the report says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Location>,
    /// How bad.
    pub level: ItemLevel,
}

/// A place in a file of the repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// Relative to the repository's top.
    pub path: String,
    /// From 1.
    pub line: u32,
    /// The last line, from 1; the same as `line` for a single one.
    pub end_line: u32,
}

/// How bad a failing item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemLevel {
    /// Worth a look.
    Notice,
    /// Not good.
    Warning,
    /// Wrong.
    Error,
}

impl ItemLevel {
    /// The milder of two.
    #[must_use]
    pub fn milder(self, other: Self) -> Self {
        match (self, other) {
            (Self::Notice, _) | (_, Self::Notice) => Self::Notice,
            (Self::Warning, _) | (_, Self::Warning) => Self::Warning,
            (Self::Error, Self::Error) => Self::Error,
        }
    }
}
