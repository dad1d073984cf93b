//! What the CLI records of itself: `session_index.jsonl` and the main agent's `wire.jsonl`. The
//! truth about a turn.
//!
//! The format is undocumented. Unknown lines, members and values are passed over; what is missing
//! is absent, never a guess. The agent can write all of it. It refuses to read what earlier
//! attempts recorded as if it were this one's, what is no plain file, and what lies outside of the
//! CLI's own directory.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::plain_file::{NotRead, Root};

/// The CLI's list of its sessions.
pub(super) const INDEX: &str = "session_index.jsonl";

/// The largest list that is read, in bytes. A line has about 300, and a task has a few sessions.
pub(super) const INDEX_MOST: u64 = 1 << 20;

/// How much of the end of a record is read, in bytes. A turn's last lines are among the last
/// kilobytes; the largest line is one output of a tool, and the CLI cuts those.
const RECORD_MOST: u64 = 16 << 20;

/// What the CLI recorded of one turn.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recorded {
    /// Its name of the session.
    pub session: Option<String>,
    /// How the turn ended, where it says so.
    pub end: Option<RecordedEnd>,
    /// Why the model stopped speaking the last time: `end_turn`, `max_tokens`.
    pub last_finish: Option<String>,
    /// Why the record, or a part of it, could not be read, where that was not because there is
    /// none: `FILE: it is a pipe`.
    pub unread: Option<String>,
}

/// A turn's recorded end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordedEnd {
    /// `completed`, `failed`, `cancelled`.
    pub reason: String,
    /// What ended a completed turn early: `repeat_breaker`.
    pub stop_reason: Option<String>,
    /// Why it failed.
    pub error: Option<TurnError>,
}

/// Why a turn failed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TurnError {
    /// `provider.auth_error`.
    pub code: String,
    /// `APIStatusError`.
    pub name: String,
    /// What it said.
    pub message: String,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// What was behind it.
    pub cause: Option<Box<TurnError>>,
}

impl TurnError {
    fn read(error: &Value) -> Self {
        let text = |name: &str| {
            error
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let status = error.pointer("/details/statusCode").and_then(Value::as_u64);
        Self {
            code: text("code"),
            name: text("name"),
            message: text("message"),
            status: status.and_then(|status| status.try_into().ok()),
            cause: error
                .get("cause")
                .filter(|cause| cause.is_object())
                .map(|cause| Box::new(Self::read(cause))),
        }
    }
}

/// Reads the lines that one attempt added to a `wire.jsonl`.
pub(super) fn read_lines(text: &str) -> Recorded {
    let mut recorded = Recorded::default();
    for line in text.lines() {
        let Ok(line) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let member = |name: &str| line.get(name).and_then(Value::as_str).map(str::to_owned);
        match line.get("type").and_then(Value::as_str) {
            // A new turn: what ended before does not speak for it.
            Some("turn.prompt") => recorded = Recorded::default(),
            Some("turn.ended") => {
                recorded.end = Some(RecordedEnd {
                    reason: member("reason").unwrap_or_default(),
                    stop_reason: member("stopReason"),
                    error: line
                        .get("error")
                        .filter(|error| error.is_object())
                        .map(TurnError::read),
                });
            }
            Some("context.append_loop_event") => {
                if line.pointer("/event/type").and_then(Value::as_str) == Some("step.end") {
                    let finish = line.pointer("/event/finishReason").and_then(Value::as_str);
                    recorded.last_finish = finish.map(str::to_owned);
                }
            }
            Some(_) | None => {}
        }
    }
    recorded
}

/// What was recorded before an attempt: how long each session's record was.
#[derive(Debug, Default)]
pub(super) struct PriorRecords {
    sessions: Vec<(String, u64)>,
}

/// A session of the list: its name, and the place of its record below the CLI's directory.
type SessionRecord = (String, PathBuf);

/// The CLI's own directory, which the agent can write to.
struct Records {
    root: Root,
    /// Its names: sessions are listed by absolute paths.
    names: Vec<PathBuf>,
}

impl Records {
    fn open(kimi_home: &Path) -> Result<Self, NotRead> {
        let mut names = vec![kimi_home.to_owned()];
        names.extend(std::fs::canonicalize(kimi_home));
        Ok(Self {
            root: Root::open_real(kimi_home)?,
            names,
        })
    }

    fn sessions(&self) -> Result<Vec<SessionRecord>, NotRead> {
        let index = match self.root.read(Path::new(INDEX), INDEX_MOST) {
            Ok(index) => index,
            Err(NotRead::Missing) => return Ok(Vec::new()),
            Err(why) => return Err(why),
        };
        let one = |line: &str| {
            let line: Value = serde_json::from_str(line).ok()?;
            let text = |name: &str| line.get(name).and_then(Value::as_str);
            let dir = Path::new(text("sessionDir")?);
            // A place elsewhere is kept as it is, and refused once it is opened.
            let inside = self
                .names
                .iter()
                .find_map(|name| dir.strip_prefix(name).ok())
                .unwrap_or(dir);
            Some((
                text("sessionId")?.to_owned(),
                inside.join("agents/main/wire.jsonl"),
            ))
        };
        Ok(String::from_utf8_lossy(&index)
            .lines()
            .filter_map(one)
            .collect())
    }

    fn length(&self, record: &Path) -> u64 {
        self.root.file(record).map_or(0, |file| file.size())
    }

    fn read_from(&self, record: &Path, from: u64) -> Result<String, NotRead> {
        let file = self.root.file(record)?;
        // A record that became shorter was written anew; all of it is this attempt's.
        let from = if file.size() < from { 0 } else { from };
        let bytes = file.read_end(from, RECORD_MOST)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Carries out work on files off the event loop: a disk that does not answer stops one attempt, and
/// no other.
async fn off_the_loop<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

impl PriorRecords {
    /// Looks at what is there before the CLI starts.
    pub(super) async fn look(kimi_home: &Path) -> Self {
        let home = kimi_home.to_owned();
        off_the_loop(move || Self::look_now(&home))
            .await
            .unwrap_or_default()
    }

    fn look_now(kimi_home: &Path) -> Self {
        let Ok(records) = Records::open(kimi_home) else {
            return Self::default();
        };
        let sessions = records.sessions().unwrap_or_default();
        Self {
            sessions: sessions
                .into_iter()
                .map(|(id, record)| (id, records.length(&record)))
                .collect(),
        }
    }

    /// Whether the CLI knows that session.
    pub(super) fn knows(&self, session: &str) -> bool {
        self.sessions
            .iter()
            .any(|(id, length)| id == session && *length > 0)
    }

    /// What has been recorded since, in the resumed session or else in the newest one.
    pub(super) async fn since(self, kimi_home: &Path, resumed: Option<&str>) -> Recorded {
        let (home, resumed) = (kimi_home.to_owned(), resumed.map(str::to_owned));
        off_the_loop(move || self.since_now(&home, resumed.as_deref()))
            .await
            .unwrap_or_default()
    }

    fn since_now(&self, kimi_home: &Path, resumed: Option<&str>) -> Recorded {
        let unread = |name: &str, why: &NotRead| Some(format!("{name}: {why}"));
        let read = Records::open(kimi_home).and_then(|records| Ok((records.sessions()?, records)));
        let (now, records) = match read {
            Ok(read) => read,
            Err(why) => {
                return Recorded {
                    unread: unread(INDEX, &why),
                    ..Recorded::default()
                };
            }
        };
        let known = |id: &str| self.sessions.iter().find(|(known, _)| known == id);
        let newest = now.iter().rev().find(|(id, _)| known(id).is_none());
        let same = resumed.and_then(|resumed| now.iter().rev().find(|(id, _)| id == resumed));
        let Some((id, record)) = newest.or(same) else {
            return Recorded::default();
        };
        let from = known(id).map_or(0, |(_, length)| *length);
        let recorded = match records.read_from(record, from) {
            Ok(text) => read_lines(&text),
            Err(NotRead::Missing) => Recorded::default(),
            Err(why) => Recorded {
                unread: unread("wire.jsonl", &why),
                ..Recorded::default()
            },
        };
        Recorded {
            session: Some(id.clone()),
            ..recorded
        }
    }
}

#[cfg(test)]
mod tests;
