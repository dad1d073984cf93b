//! What the CLI records of itself: `session_index.jsonl` and the main agent's `wire.jsonl`. The truth about a turn.
//!
//! The format is undocumented. Unknown lines, members and values are passed over; what is missing is absent, never a
//! guess. It refuses to read what earlier attempts recorded as if it were this one's.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// What the CLI recorded of one turn.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recorded {
    /// Its name of the session.
    pub session: Option<String>,
    /// How the turn ended, where it says so.
    pub end: Option<TurnEnd>,
    /// Why the model stopped speaking the last time: `end_turn`, `max_tokens`.
    pub last_finish: Option<String>,
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
        let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let status = error.pointer("/details/statusCode").and_then(Value::as_u64);
        Self {
            code: text("code"),
            name: text("name"),
            message: text("message"),
            status: status.and_then(|status| status.try_into().ok()),
            cause: error.get("cause").filter(|cause| cause.is_object()).map(|cause| Box::new(Self::read(cause))),
        }
    }
}

/// Reads the lines that one attempt added to a `wire.jsonl`.
pub(super) fn read_lines(text: &str) -> Recorded {
    let mut recorded = Recorded::default();
    for line in text.lines() {
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        let member = |name: &str| line.get(name).and_then(Value::as_str).map(str::to_owned);
        match line.get("type").and_then(Value::as_str) {
            // A new turn: what ended before does not speak for it.
            Some("turn.prompt") => recorded = Recorded::default(),
            Some("turn.ended") => {
                recorded.end = Some(TurnEnd {
                    reason: member("reason").unwrap_or_default(),
                    stop_reason: member("stopReason"),
                    error: line.get("error").filter(|error| error.is_object()).map(TurnError::read),
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

/// One line of `session_index.jsonl`.
fn sessions(kimi_home: &Path) -> Vec<(String, PathBuf)> {
    let index = std::fs::read_to_string(kimi_home.join("session_index.jsonl")).unwrap_or_default();
    let one = |line: &str| {
        let line: Value = serde_json::from_str(line).ok()?;
        let text = |name: &str| line.get(name).and_then(Value::as_str);
        Some((text("sessionId")?.to_owned(), PathBuf::from(text("sessionDir")?)))
    };
    index.lines().filter_map(one).collect()
}

fn wire_of(session_dir: &Path) -> PathBuf {
    session_dir.join("agents/main/wire.jsonl")
}

impl Before {
    /// Looks at what is there before the CLI starts.
    pub(super) fn look(kimi_home: &Path) -> Self {
        let length = |dir: PathBuf| std::fs::metadata(wire_of(&dir)).map_or(0, |meta| meta.len());
        Self { sessions: sessions(kimi_home).into_iter().map(|(id, dir)| (id, length(dir))).collect() }
    }

    /// Whether the CLI knows that session.
    pub(super) fn knows(&self, session: &str) -> bool {
        self.sessions.iter().any(|(id, length)| id == session && *length > 0)
    }

    /// What has been recorded since, in the resumed session or else in the newest one.
    pub(super) fn since(&self, kimi_home: &Path, resumed: Option<&str>) -> Recorded {
        let now = sessions(kimi_home);
        let known = |id: &str| self.sessions.iter().find(|(known, _)| known == id);
        let newest = now.iter().rev().find(|(id, _)| known(id).is_none());
        let same = resumed.and_then(|resumed| now.iter().rev().find(|(id, _)| id == resumed));
        let Some((id, dir)) = newest.or(same) else { return Recorded::default() };
        let from = known(id).map_or(0, |(_, length)| *length);
        let text = read_from(&wire_of(dir), from).unwrap_or_default();
        Recorded { session: Some(id.clone()), ..read_lines(&text) }
    }
}

fn read_from(path: &Path, from: u64) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    // A record that became shorter was written anew; all of it is this attempt's.
    let from = if file.metadata()?.len() < from { 0 } else { from };
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
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
        assert_eq!(recorded.end.map(|end| end.reason).as_deref(), Some("completed"));
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

    #[test]
    fn only_what_was_recorded_since_counts() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("sessions/s1");
        std::fs::create_dir_all(dir.join("agents/main")).unwrap();
        let index = serde_json::json!({"sessionId": "s1", "sessionDir": dir, "workDir": "/w"}).to_string();
        std::fs::write(home.path().join("session_index.jsonl"), format!("{index}\n")).unwrap();
        std::fs::write(wire_of(&dir), COMPLETED).unwrap();
        let before = Before::look(home.path());
        assert_eq!(
            before.since(home.path(), Some("s1")),
            Recorded { session: Some("s1".to_owned()), ..Recorded::default() }
        );
        std::fs::write(wire_of(&dir), format!("{COMPLETED}{OVERFLOW}\n")).unwrap();
        let since = before.since(home.path(), Some("s1"));
        assert_eq!(since.end.map(|end| end.reason).as_deref(), Some("failed"));
    }
}
