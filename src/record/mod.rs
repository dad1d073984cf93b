//! Task records in the format of omk 0.5.0: read with every default it had, and written as it wrote
//! them.
//!
//! The format is promised to both sides: an old reader finds every field it needs, and keys that we
//! do not know are kept. It refuses to judge a record; [`to_plan`] says what a plan cannot hold.

mod convert;

use chrono::{DateTime, Utc};
use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::engine::{TaskState, TaskStatus, WaitReason};
use crate::id::Moment;
use crate::plan::{RetryPolicy, Task, WriteSet};

pub use self::convert::{FromOmk, to_plan};

/// Every field of a record. Metadata stands beside them and cannot have these names.
pub use crate::plan::RECORD_FIELDS as FIELDS;

/// What `max_retries` was when it was not given; only another number takes effect.
const DEFAULT_MAX_RETRIES: u32 = 2;

/// One task as omk 0.5.0 kept it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Any text.
    pub id: String,
    /// What a person reads.
    pub name: String,
    /// What a person reads, longer.
    #[serde(default)]
    pub description: String,
    /// Ids of other records; not all need exist.
    #[serde(default)]
    pub dependencies: Vec<String>,
    /// Higher first.
    #[serde(default)]
    pub priority: i32,
    /// Who works on it; nobody during a backoff.
    #[serde(default)]
    pub owner: Option<String>,
    /// When its lease ends; during a backoff, when it wakes up.
    #[serde(default)]
    pub lease_expires: Option<DateTime<Utc>>,
    /// Failures so far.
    #[serde(default)]
    pub retry_count: u32,
    /// The policy as it was written; see [`Record::effective_policy`].
    #[serde(default)]
    pub retry_policy: Policy,
    /// The older way to say how many retries there are. Read, never written.
    #[serde(default = "default_max_retries", skip_serializing)]
    pub max_retries: u32,
    /// Where it stands.
    pub state: TaskState,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was first claimed.
    #[serde(default)]
    pub started_at: Option<DateTime<Utc>>,
    /// When it became final.
    #[serde(default)]
    pub completed_at: Option<DateTime<Utc>>,
    /// What it reads.
    #[serde(default)]
    pub read_set: Vec<String>,
    /// What it may write.
    #[serde(default)]
    pub write_set: Vec<String>,
    /// Whether `write_set` was declared; records of 0.5.0 do not say. Tells "nothing" from
    /// "unknown".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_set_declared: Option<bool>,
    /// Metadata, and keys that are not known.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// How failures are retried, as records spell it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// Retries.
    pub max_attempts: u32,
    /// The first waiting time, in seconds.
    pub backoff_seconds: u64,
    /// By how much it grows.
    pub backoff_multiplier: f64,
    /// Whether a permanent failure ends the task at once.
    pub terminal_on_permanent_failure: bool,
    /// The longest waiting time, in seconds; unknown to 0.5.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_backoff_seconds: Option<u64>,
    /// How far a waiting time may be shortened, 0 to 1; unknown to 0.5.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<f64>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_attempts: DEFAULT_MAX_RETRIES,
            backoff_seconds: 1,
            backoff_multiplier: 2.0,
            terminal_on_permanent_failure: true,
            max_backoff_seconds: None,
            jitter: None,
        }
    }
}

impl From<RetryPolicy> for Policy {
    fn from(policy: RetryPolicy) -> Self {
        Self {
            max_attempts: policy.max_attempts,
            backoff_seconds: policy.backoff_seconds,
            backoff_multiplier: policy.backoff_multiplier,
            terminal_on_permanent_failure: policy.terminal_on_permanent_failure,
            max_backoff_seconds: policy.max_backoff_seconds,
            jitter: Some(policy.jitter),
        }
    }
}

fn default_max_retries() -> u32 {
    DEFAULT_MAX_RETRIES
}

/// Why a text holds no records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRecords {
    /// It is no JSON, or a record is not what it should be.
    #[error("read record {number}{} at line {line}, column {column}: {reason}", named(.id.as_deref()))]
    Malformed {
        /// Which record, counted from 1.
        number: usize,
        /// Its id, where that can be read.
        id: Option<String>,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What is wrong, as a clause.
        reason: String,
    },
}

fn named(id: Option<&str>) -> String {
    id.map(|id| format!(" (`{}`)", crate::text::clip(id, 80)))
        .unwrap_or_default()
}

impl Record {
    /// The record of a task. `owner` is shown while the task is leased, and not during a backoff.
    #[must_use]
    pub fn of(task: &Task, status: &TaskStatus<'_>, owner: &str) -> Self {
        let texts = |globs: &[crate::glob::Glob]| {
            globs.iter().map(|glob| glob.as_str().to_owned()).collect()
        };
        let (write_set, declared) = match &task.write_set {
            WriteSet::Unknown => (Vec::new(), false),
            WriteSet::Declared(globs) => (texts(globs), true),
        };
        let wakes = match status.waits {
            Some(WaitReason::Backoff(at)) => Some(at),
            Some(
                WaitReason::Dependencies
                | WaitReason::Worker
                | WaitReason::Paths(_)
                | WaitReason::Preflight
                | WaitReason::Provider(_),
            )
            | None => None,
        };
        Self {
            id: task.id.to_string(),
            name: task.name.clone(),
            description: task.description.clone(),
            dependencies: task.dependencies.iter().map(ToString::to_string).collect(),
            priority: task.priority,
            owner: matches!(status.state, TaskState::Claimed | TaskState::Running)
                .then(|| owner.to_owned()),
            lease_expires: wakes.or(status.lease_expires).map(Moment::to_utc),
            retry_count: status.retry_count,
            retry_policy: task.retry_policy.into(),
            max_retries: DEFAULT_MAX_RETRIES,
            state: status.state,
            created_at: status.created_at.to_utc(),
            started_at: status.started_at.map(Moment::to_utc),
            completed_at: status.completed_at.map(Moment::to_utc),
            read_set: texts(&task.read_set),
            write_set,
            write_set_declared: Some(declared),
            extra: task
                .metadata
                .iter()
                .filter(|(key, _)| !FIELDS.contains(&key.as_str()))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        }
    }

    /// The policy that counts: `max_retries` replaces its `max_attempts` where the policy is the
    /// default one, and `max_retries` is not 2.
    #[must_use]
    pub fn effective_policy(&self) -> Policy {
        let mut policy = self.retry_policy;
        if self.max_retries != DEFAULT_MAX_RETRIES && policy == Policy::default() {
            policy.max_attempts = self.max_retries;
        }
        policy
    }

    /// Whether the lease has ended: there is none, or `now` is later than its end.
    #[must_use]
    pub fn lease_expired(&self, now: DateTime<Utc>) -> bool {
        self.lease_expires.is_none_or(|end| now > end)
    }
}

/// Records from a JSON array, or from JSON objects one after another, usually one a line. An empty
/// text holds none.
///
/// # Errors
///
/// [`BadRecords`] for the first record that is not one.
pub fn read(text: &str) -> Result<Vec<Record>, BadRecords> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut records = Vec::new();
    let outcome = if text.trim_start().starts_with('[') {
        let mut from = serde_json::Deserializer::from_str(text);
        Collect(&mut records)
            .deserialize(&mut from)
            .and_then(|()| from.end())
    } else {
        let rows = serde_json::Deserializer::from_str(text).into_iter::<Record>();
        rows.into_iter()
            .try_for_each(|row| row.map(|record| records.push(record)))
    };
    match outcome {
        Ok(()) => Ok(records),
        Err(error) => Err(malformed(text, records.len(), &error)),
    }
}

/// Reads an array and leaves what was read before a mistake, so that the record with the mistake
/// can be named.
struct Collect<'r>(&'r mut Vec<Record>);

impl<'de> DeserializeSeed<'de> for Collect<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Collect<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        while let Some(record) = rows.next_element()? {
            self.0.push(record);
        }
        Ok(())
    }
}

fn malformed(text: &str, before: usize, error: &serde_json::Error) -> BadRecords {
    let rows: Vec<Value> = if text.trim_start().starts_with('[') {
        serde_json::from_str(text).unwrap_or_default()
    } else {
        serde_json::Deserializer::from_str(text)
            .into_iter()
            .map_while(Result::ok)
            .collect()
    };
    let id = rows
        .get(before)
        .and_then(|row| row.get("id")?.as_str())
        .map(str::to_owned);
    BadRecords::Malformed {
        number: before + 1,
        id,
        line: error.line().max(1),
        column: error.column().max(1),
        reason: reword(&error.to_string()),
    }
}

/// What serde says, in words for somebody who has never heard of it.
fn reword(message: &str) -> String {
    let message = message
        .rsplit_once(" at line ")
        .map_or(message, |(what, _)| what);
    if let Some(field) = message.strip_prefix("missing field ") {
        return format!("it has no {field}");
    }
    if let Some(field) = message.strip_prefix("duplicate field ") {
        return format!("it has {field} twice");
    }
    if let Some((found, wanted)) = message
        .strip_prefix("unknown variant ")
        .and_then(|rest| rest.split_once(", expected one of "))
    {
        return format!("{found} is none of {wanted}");
    }
    let found = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "));
    if let Some((found, wanted)) = found.and_then(|rest| rest.rsplit_once(", expected ")) {
        let wanted = match wanted {
            "u32" | "u64" => "a whole number that is not negative",
            "i32" => "a whole number",
            "f64" => "a number",
            "a sequence" => "a list",
            "a boolean" => "`true` or `false`",
            "struct Record" | "struct Policy" => "a JSON object",
            other => other,
        };
        return format!("{found} stands where {wanted} belongs");
    }
    message.into()
}

#[cfg(test)]
mod tests;
