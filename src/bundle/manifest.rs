//! What a bundle's directory says of itself: `bundle.json`, and which names it may hold.
//!
//! It refuses every name that is not on its list, and to believe what it says of the run: that is
//! held against the request and the journal by [`super::admit`].

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::{BadName, CommitId, RunId, Scope, Sha256, TaskId, Tip};

/// The version of [`Manifest`]. Readers refuse any other.
pub const VERSION: u32 = 1;

/// The manifest's own name.
pub const MANIFEST: &str = "bundle.json";

/// The git bundle with the run's commits.
pub const CHANGES: &str = "changes.bundle";

/// The run's journal.
pub const JOURNAL: &str = "journal.jsonl";

/// Files that lie at the top.
const TOP: [&str; 7] = [
    CHANGES,
    JOURNAL,
    "plan.yaml",
    "report.json",
    "report.html",
    "report.md",
    "junit.xml",
];

/// Directories that every bundle may have.
const STATE: [&str; 2] = ["proofs", "logs"];

/// Directories that only a full one has: they hold what the agent and the model said.
const FULL: [&str; 2] = ["cassette", "transcripts"];

/// Directories inside each other, and characters of one name: far more than omk ever writes.
const DEPTH: usize = 6;
const LENGTH: usize = 128;

/// What of a run goes into a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Upload {
    /// Commits, journal, plan, proofs, logs and reports.
    State,
    /// The cassette and the transcripts too, which may hold anything that was in the repository.
    Full,
}

/// `bundle.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`VERSION`].
    pub version: u32,
    /// omk's own version.
    pub omk: String,
    /// The run.
    pub run: RunId,
    /// Its scope.
    pub scope: Scope,
    /// What it is built on.
    pub base: Tip,
    /// Its result; absent where nothing landed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Tip>,
    /// Each landed task's own change.
    pub tasks: Vec<TaskChange>,
    /// What it holds of the run.
    pub upload: Upload,
    /// Every file but this one.
    pub files: Vec<FileClaim>,
}

/// A landed task's own change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskChange {
    /// The task.
    pub task: TaskId,
    /// The commit.
    pub commit: CommitId,
}

/// A file that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileClaim {
    /// Which.
    pub name: FileName,
    /// Its size.
    pub bytes: u64,
    /// Its digest.
    pub sha256: Sha256,
}

/// The name of a file in a bundle: one of a few at the top, or below one of a few directories, of
/// plain characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName(String);

impl FileName {
    /// The name, with `/` between its parts.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its parts, at least one.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// Whether it is only for [`Upload::Full`].
    #[must_use]
    pub fn is_full_only(&self) -> bool {
        self.parts()
            .next()
            .is_some_and(|first| FULL.contains(&first))
    }
}

impl FromStr for FileName {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        let parts: Vec<&str> = text.split('/').collect();
        let known = match parts.as_slice() {
            [name] => TOP.contains(name),
            ["proofs", name] => name.ends_with(".json"),
            ["proofs", ..] => false,
            [first, ..] => (STATE.contains(first) || FULL.contains(first)) && parts.len() <= DEPTH,
            [] => false,
        };
        if known && parts.iter().all(|part| is_plain(part)) {
            return Ok(Self(text.to_owned()));
        }
        Err(BadName::new(text, "the name of a file in a bundle", None))
    }
}

/// Whether a part of a name is of plain characters, and no `..`, hidden file or option.
fn is_plain(part: &str) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+' | b'@');
    !part.is_empty()
        && part.len() <= LENGTH
        && !part.starts_with(['.', '-'])
        && part.bytes().all(plain)
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for FileName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for FileName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_a_run_and_no_others() {
        for name in [
            "changes.bundle",
            "journal.jsonl",
            "proofs/run.result.json",
            "logs/api/1/gate-test-1.log",
            "cassette/api/0/1.json",
        ] {
            let parsed: FileName = name.parse().unwrap();
            assert_eq!(
                (parsed.to_string().as_str(), parsed.is_full_only()),
                (name, name.starts_with("cassette/"))
            );
        }
        for name in [
            "",
            "bundle.json",
            "../x",
            "logs/../x",
            "logs/..",
            "/etc/passwd",
            "logs//x",
            "logs/.git",
            "logs/a b",
            "hooks/x",
            ".git/config",
            "logs/-rf",
            "proofs/a/b.json",
            "proofs/a.sh",
            "logs",
            "logs/\u{202e}x",
            "LOGS/x",
            "logs\\x",
        ] {
            assert!(name.parse::<FileName>().is_err(), "{name}");
        }
    }
}
