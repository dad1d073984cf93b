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
    pub end: Option<TurnEnd>,
    /// Why the model stopped speaking the last time: `end_turn`, `max_tokens`.
    pub last_finish: Option<String>,
    /// Why the record, or a part of it, could not be read, where that was not because there is
    /// none: `FILE: it is a pipe`.
    pub unread: Option<String>,
}

/// A turn's recorded end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TurnEnd {
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
                recorded.end = Some(TurnEnd {
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
pub(super) struct Before {
    sessions: Vec<(String, u64)>,
}

/// A session of the list: its name, and the place of its record below the CLI's directory.
type Session = (String, PathBuf);

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

    fn sessions(&self) -> Result<Vec<Session>, NotRead> {
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

impl Before {
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
mod tests {
    use super::*;

    // As recorded from 2.1.0.
    const COMPLETED: &str = r#"{"type":"turn.prompt","agentId":"main","input":[{"type":"text","text":"do it"}],"origin":{"kind":"user"},"promptId":"msg_1","turnId":0,"time":1795374837637}
{"type":"context.append_loop_event","agentId":"main","event":{"type":"step.end","uuid":"eb90","turnId":"0","step":2,"finishReason":"end_turn","usage":{"inputOther":60,"output":10,"inputCacheRead":40,"inputCacheCreation":0}},"time":1795374837839}
{"turnId":0,"outcome":"done","type":"agent.turn.ended","time":1795374837841,"kind":"event"}
{"type":"turn.ended","agentId":"main","turnId":0,"reason":"completed","durationMs":211,"time":1795374837848}
"#;
    const OVERFLOW: &str = r#"{"type":"turn.ended","agentId":"main","turnId":0,"reason":"failed","error":{"code":"compaction.failed","message":"APIContextOverflowError: 400 Your request exceeded model token limit: 262144","name":"Error2","retryable":false,"cause":{"code":"context.overflow","message":"400 Your request exceeded model token limit: 262144","name":"APIContextOverflowError","details":{"statusCode":400,"requestId":null,"traceId":null},"retryable":true}},"durationMs":133,"time":1795374891454}"#;

    #[test]
    fn the_end_of_a_turn_is_read() {
        let recorded = read_lines(COMPLETED);
        assert_eq!(
            recorded.end.map(|end| end.reason).as_deref(),
            Some("completed")
        );
        assert_eq!(recorded.last_finish.as_deref(), Some("end_turn"));
    }

    #[test]
    fn an_error_is_read_with_what_was_behind_it() {
        let error = read_lines(OVERFLOW).end.and_then(|end| end.error).unwrap();
        let cause = error.cause.unwrap();
        assert_eq!(
            (error.code.as_str(), cause.code.as_str(), cause.status),
            ("compaction.failed", "context.overflow", Some(400))
        );
    }

    #[test]
    fn an_earlier_turn_does_not_speak_for_a_later_one() {
        let text = format!("{COMPLETED}{}", COMPLETED.lines().next().unwrap());
        assert_eq!(read_lines(&text).end, None);
    }

    #[test]
    fn what_a_later_version_adds_is_passed_over() {
        let text = format!("{{\"type\":\"new\"}}\n[1]\ngarbage\n{COMPLETED}{{\"type\":\"turn.en");
        assert_eq!(read_lines(&text), read_lines(COMPLETED));
    }

    /// A home with one session, and where its record is.
    fn home() -> (tempfile::TempDir, PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("sessions/s1");
        std::fs::create_dir_all(dir.join("agents/main")).unwrap();
        let index =
            serde_json::json!({"sessionId": "s1", "sessionDir": dir, "workDir": "/w"}).to_string();
        std::fs::write(home.path().join(INDEX), format!("{index}\n")).unwrap();
        let record = dir.join("agents/main/wire.jsonl");
        std::fs::write(&record, COMPLETED).unwrap();
        (home, record)
    }

    #[test]
    fn only_what_was_recorded_since_counts() {
        let (home, record) = home();
        let before = Before::look_now(home.path());
        assert_eq!(
            before.since_now(home.path(), Some("s1")),
            Recorded {
                session: Some("s1".to_owned()),
                ..Recorded::default()
            }
        );
        std::fs::write(record, format!("{COMPLETED}{OVERFLOW}\n")).unwrap();
        let since = before.since_now(home.path(), Some("s1"));
        assert_eq!(since.end.map(|end| end.reason).as_deref(), Some("failed"));
    }

    /// Puts each thing that is no plain file in a file's place, and says how each was refused.
    fn refused(name: &str) -> String {
        let mut said = String::new();
        for made in [
            "mkfifo",
            "ln -s /dev/zero",
            "ln -s /etc/passwd",
            "mkdir",
            "truncate -s 10G",
        ] {
            let (home, record) = home();
            let place = if name == INDEX {
                home.path().join(INDEX)
            } else {
                record
            };
            let (before, script) = (Before::default(), format!("rm \"$1\" && {made} \"$1\""));
            let mut shell = std::process::Command::new("sh");
            assert!(
                shell
                    .args(["-c", &script, "sh"])
                    .arg(&place)
                    .status()
                    .unwrap()
                    .success(),
                "{made}"
            );
            assert!(!Before::look_now(home.path()).knows("other"));
            let recorded = before.since_now(home.path(), Some("s1"));
            assert_eq!(recorded.end, None);
            said.push_str(&format!(
                "{made}: {}\n",
                recorded.unread.unwrap_or_default()
            ));
        }
        said
    }

    #[test]
    fn whatever_lies_in_the_place_of_the_records_is_refused_at_once() {
        insta::assert_snapshot!(refused(INDEX), @r"
        mkfifo: session_index.jsonl: it is a pipe, and not a plain file
        ln -s /dev/zero: session_index.jsonl: it is a symbolic link, and not a plain file
        ln -s /etc/passwd: session_index.jsonl: it is a symbolic link, and not a plain file
        mkdir: session_index.jsonl: it is a directory, and not a plain file
        truncate -s 10G: session_index.jsonl: it holds more than 1 MiB, the most that omk reads of it
        ");
        insta::assert_snapshot!(refused("wire.jsonl"), @r"
        mkfifo: wire.jsonl: it is a pipe, and not a plain file
        ln -s /dev/zero: wire.jsonl: it is a symbolic link, and not a plain file
        ln -s /etc/passwd: wire.jsonl: it is a symbolic link, and not a plain file
        mkdir: wire.jsonl: it is a directory, and not a plain file
        truncate -s 10G:
        ");
    }

    #[test]
    fn a_session_elsewhere_is_not_read() {
        let (home, record) = home();
        let (elsewhere, _) = self::home();
        let list = |dir: &str| {
            let line = serde_json::json!({"sessionId": "s2", "sessionDir": dir}).to_string();
            std::fs::write(home.path().join(INDEX), format!("{line}\n")).unwrap();
            Before::default().since_now(home.path(), None).unread
        };
        let outside = elsewhere.path().join("sessions/s1");
        let why = Some("wire.jsonl: its name leads out of its directory".to_owned());
        assert_eq!(list(&outside.display().to_string()), why);
        assert_eq!(list(&format!("{}/../x", home.path().display())), why);
        std::os::unix::fs::symlink(&outside, home.path().join("s2")).unwrap();
        let below = list(&format!("{}/s2", home.path().display()));
        assert!(below.unwrap().contains("below a symbolic link"));
        drop(record);
    }

    #[test]
    fn the_end_of_a_very_long_record_is_read() {
        let (home, record) = home();
        let long = format!("{}\n{COMPLETED}", "x".repeat(17 << 20));
        std::fs::write(record, long).unwrap();
        let recorded = Before::default().since_now(home.path(), None);
        assert_eq!(
            recorded.end.map(|end| end.reason).as_deref(),
            Some("completed")
        );
    }
}
