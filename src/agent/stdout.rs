//! What the CLI says on standard output: one JSON document a line.
//!
//! It refuses to decide success: these lines stop without a word when something fails.

use std::time::Duration;

use serde_json::Value;

use crate::text;

/// What was heard so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StdoutSummary {
    /// Its last words, at most 4,000 characters.
    pub said: String,
    /// Model calls that ended well.
    pub steps: u32,
    /// The last time that it was about to retry a call, if no call has ended well since.
    pub retrying: Option<Retrying>,
    /// The session that it offers to resume.
    pub session: Option<String>,
}

/// The CLI is about to retry a call.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Retrying {
    /// How long it waits first.
    pub delay: Duration,
    /// `APIProviderRateLimitError`.
    pub error_name: String,
    /// What the provider said.
    pub message: String,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
}

/// More of its last words than this is for the transcript.
const LONGEST_SAID: usize = 4_000;

impl StdoutSummary {
    /// Takes a line in. Gives what it is about to retry, where that is what the line says.
    pub(super) fn hear(&mut self, line: &[u8]) -> Option<&Retrying> {
        let line: Value = serde_json::from_slice(line).ok()?;
        let text = |name: &str| line.get(name).and_then(Value::as_str).unwrap_or_default();
        match (text("role"), text("type")) {
            ("assistant", _) => {
                self.steps += 1;
                self.retrying = None;
                if let Some(words) = line
                    .get("content")
                    .and_then(Value::as_str)
                    .filter(|words| !words.is_empty())
                {
                    self.said = text::clip(words, LONGEST_SAID);
                }
                None
            }
            ("meta", "session.resume_hint") => {
                self.session = Some(text("session_id").to_owned()).filter(|id| !id.is_empty());
                None
            }
            ("meta", "turn.step.retrying") => {
                let millis = line.get("delay_ms").and_then(Value::as_f64).unwrap_or(0.0);
                let status = line.get("status_code").and_then(Value::as_u64);
                self.retrying = Some(Retrying {
                    delay: Duration::try_from_secs_f64(millis / 1000.0).unwrap_or_default(),
                    error_name: text("error_name").to_owned(),
                    message: text("error_message").to_owned(),
                    status: status.and_then(|status| status.try_into().ok()),
                });
                self.retrying.as_ref()
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(lines: &str) -> StdoutSummary {
        let mut heard = StdoutSummary::default();
        lines
            .lines()
            .for_each(|line| drop(heard.hear(line.as_bytes()).cloned()));
        heard
    }

    #[test]
    fn a_good_turn_is_heard_to_its_last_words() {
        // As recorded from 2.1.0.
        let heard = heard(
            r#"{"role":"meta","type":"system.version","version":"2.1.0"}
{"role":"meta","type":"turn.step.retrying","failed_attempt":1,"next_attempt":2,"max_attempts":2,"delay_ms":528.6151766778162,"error_name":"APIStatusError","error_message":"500 boom","status_code":500}
{"role":"assistant","tool_calls":[{"type":"function","id":"call_1","function":{"name":"Write","arguments":"{\"path\":\"hello.txt\",\"content\":\"hi\\n\"}"}}]}
{"role":"tool","tool_call_id":"call_1","content":"Wrote 3 bytes to hello.txt"}
{"role":"assistant","content":"done"}
{"role":"meta","type":"session.resume_hint","session_id":"session_015c","command":"kimi -r session_015c","content":"To resume this session: kimi -r session_015c"}"#,
        );
        assert_eq!(
            (heard.said.as_str(), heard.steps, heard.session.as_deref()),
            ("done", 2, Some("session_015c"))
        );
        assert_eq!(heard.retrying, None);
    }

    #[test]
    fn a_long_wait_is_heard_when_it_begins() {
        let line = br#"{"role":"meta","type":"turn.step.retrying","failed_attempt":1,"next_attempt":2,"max_attempts":2,"delay_ms":3600000,"error_name":"APIProviderRateLimitError","error_message":"429 slow down","status_code":429}"#;
        let mut heard = StdoutSummary::default();
        let retrying = heard.hear(line).cloned().unwrap();
        assert_eq!(
            (retrying.delay, retrying.status),
            (Duration::from_secs(3600), Some(429))
        );
    }

    #[test]
    fn noise_is_not_heard() {
        assert_eq!(
            heard("not json\n[]\n{\"role\":\"meta\",\"type\":\"new.thing\"}\n3"),
            StdoutSummary::default()
        );
    }
}
