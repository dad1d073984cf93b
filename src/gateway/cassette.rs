//! Cassettes: the model's recorded answers, one JSON file each, to be served again without a key or
//! a network.
//!
//! An answer is found by task, failures so far, and the number of assistant messages since the last
//! user message: `<task>/<retry_count>-<n>.json`, and `-2`, `-3`, … where the same place is asked
//! for again. Requests are kept for people only; they hold dates and paths, so they are never
//! compared. Paths of the machine are stored as placeholders. It refuses to guess: an answer that
//! is not there is a miss.

mod places;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::turn::{AnswerEnding, ModelAnswer};
use crate::durability::Batch;
use crate::id::TaskId;
use crate::plain_file::{NotRead, Root};
use places::{map_json, map_texts};

pub(super) use places::Places;

/// One recorded answer, also as written by hand: `{"turn": {"text": "…"}}`, `{"status": 429,
/// "headers": {…}}`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// The format's version; 1, which is also what absent means.
    #[serde(default = "one")]
    pub v: u32,
    /// What was asked, scrubbed and shortened, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Value>,
    /// The HTTP status; 200 where absent.
    #[serde(default = "ok", skip_serializing_if = "is_ok")]
    pub status: u16,
    /// `content-type` and `retry-after`, in lower case.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The model's answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<ModelAnswer>,
    /// Any other answer: its text, or the JSON it consists of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "AnswerEnding::is_complete")]
    pub end: AnswerEnding,
}

fn one() -> u32 {
    1
}

fn ok() -> u16 {
    200
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_ok(status: &u16) -> bool {
    *status == 200
}

impl ModelAnswer {
    fn map(mut self, change: &dyn Fn(&str) -> String) -> Self {
        self.text = change(&self.text);
        self.reasoning = change(&self.reasoning);
        for call in &mut self.tool_calls {
            call.arguments = map_json(&call.arguments, change);
        }
        self
    }
}

impl Recording {
    fn map(mut self, change: &dyn Fn(&str) -> String) -> Self {
        self.request = self.request.map(|request| map_texts(&request, change));
        self.turn = self.turn.map(|turn| turn.map(change));
        self.body = self.body.map(|body| map_json(&body, change));
        self
    }

    /// The body of an answer that is not a turn.
    pub(super) fn body_text(&self) -> String {
        match &self.body {
            Some(body) => body.as_str().map_or_else(|| body.to_string(), str::to_owned),
            None => json!({"error": {"message": format!("recorded status {}", self.status), "type": "recorded"}})
                .to_string(),
        }
    }
}

/// The part of a request that a person wants to see beside the answer.
pub(super) fn request_for_people(request: &Value) -> Value {
    let empty = Vec::new();
    let messages = request
        .get("messages")
        .and_then(Value::as_array)
        .unwrap_or(&empty);
    let last = messages
        .iter()
        .rposition(|message| role(message) == "assistant")
        .map_or(0, |at| at + 1);
    let news: Vec<&Value> = messages[last..]
        .iter()
        .filter(|message| role(message) != "system")
        .collect();
    json!({"model": request.get("model"), "messages_before": last, "messages": news})
}

fn role(message: &Value) -> &str {
    message.get("role").and_then(Value::as_str).unwrap_or("")
}

/// How many assistant messages a request holds since the last user message. What the CLI itself
/// injects in the user's name (`<system-reminder>`) does not count as one: it comes at any time.
pub(super) fn turns_since_user(request: &Value) -> u32 {
    let mut turns = 0;
    for message in request
        .get("messages")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        match role(message) {
            "user" if !is_injected(message) => turns = 0,
            "assistant" => turns += 1,
            _ => {}
        }
    }
    turns
}

fn is_injected(message: &Value) -> bool {
    let reminds = |text: &str| text.trim_start().starts_with("<system-reminder>");
    match message.get("content") {
        Some(Value::String(text)) => reminds(text),
        Some(Value::Array(parts)) => {
            !parts.is_empty()
                && parts.iter().all(|part| {
                    part.get("text")
                        .and_then(Value::as_str)
                        .is_some_and(reminds)
                })
        }
        Some(_) | None => false,
    }
}

/// The place of one attempt's answers in a cassette.
#[derive(Debug)]
pub(super) struct Shelf {
    dir: PathBuf,
    task: TaskId,
    retry_count: u32,
    places: Places,
    asked: Mutex<HashMap<u32, u32>>,
}

/// Why an answer could not be served or kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum CassetteError {
    #[error("the cassette has no answer {key} (in {})", dir.display())]
    Missing { key: String, dir: PathBuf },
    #[error("the cassette's answer {key} cannot be used: {why}")]
    Unusable { key: String, why: String },
    #[error("the answer {key} could not be recorded: {source}")]
    Unwritten { key: String, source: std::io::Error },
}

/// The largest recording that is read, in bytes: four times what is kept of an answer, which JSON
/// writes longer.
const RECORDING: u64 = 64 << 20;

impl Shelf {
    pub(super) fn new(dir: PathBuf, task: TaskId, retry_count: u32, places: Places) -> Self {
        Self {
            dir,
            task,
            retry_count,
            places,
            asked: Mutex::default(),
        }
    }

    /// Removes what an earlier attempt left at the same place: one that was interrupted counts as
    /// nothing.
    pub(super) fn clear(&self) {
        let prefix = format!("{}-", self.retry_count);
        let entries = std::fs::read_dir(self.dir.join(self.task.as_str()));
        for entry in entries.into_iter().flatten().flatten() {
            if entry
                .file_name()
                .to_str()
                .is_some_and(|name| name.starts_with(&prefix))
            {
                // What stays is written over by the same keys.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// The key of the next answer after so many turns: `api/0-3`, then `api/0-3-2`.
    pub(super) fn next_key(&self, turns: u32) -> String {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let count = asked.entry(turns).or_insert(0);
        *count += 1;
        let key = format!("{}/{}-{turns}", self.task, self.retry_count);
        if *count == 1 {
            key
        } else {
            format!("{key}-{count}")
        }
    }

    /// The recorded answer of that key, with this machine's paths.
    pub(super) fn load(&self, key: &str) -> Result<Recording, CassetteError> {
        let unusable = |why: String| CassetteError::Unusable {
            key: key.to_owned(),
            why,
        };
        let read = Root::open(&self.dir)
            .and_then(|root| root.read(Path::new(&format!("{key}.json")), RECORDING));
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(NotRead::Missing) => {
                return Err(CassetteError::Missing {
                    key: key.to_owned(),
                    dir: self.dir.clone(),
                });
            }
            Err(why) => return Err(unusable(why.to_string())),
        };
        let recording: Recording =
            serde_json::from_slice(&bytes).map_err(|error| unusable(error.to_string()))?;
        if recording.v != 1 {
            return Err(unusable(format!(
                "it is of version {}, and this omk reads version 1",
                recording.v
            )));
        }
        if recording.turn.is_some() && recording.body.is_some() {
            return Err(unusable("it has both `turn` and `body`".to_owned()));
        }
        if !(100..=599).contains(&recording.status) {
            return Err(unusable(format!(
                "{} is not an HTTP status",
                recording.status
            )));
        }
        Ok(recording.map(&|text| self.places.fill(text)))
    }

    /// Keeps an answer under that key: whole or not at all. `scrub` takes secrets out.
    pub(super) fn save(
        &self,
        key: &str,
        recording: Recording,
        scrub: &dyn Fn(&str) -> String,
    ) -> Result<(), CassetteError> {
        let recording = recording.map(&|text| scrub(&self.places.hide(text)));
        let path = self.path(key);
        let write = || -> std::io::Result<()> {
            let mut text = serde_json::to_vec_pretty(&recording)?;
            text.push(b'\n');
            let top = self.dir.parent().filter(|_| !self.dir.is_dir());
            let mut batch = Batch::below(top.unwrap_or(&self.dir));
            batch.replace(&path, &text)?;
            batch.finish()
        };
        write().map_err(|source| CassetteError::Unwritten {
            key: key.to_owned(),
            source,
        })
    }

    fn path(&self, key: &str) -> PathBuf {
        self.dir.join(format!("{key}.json"))
    }
}

#[cfg(test)]
mod tests;
