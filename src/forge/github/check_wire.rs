//! Checks as GitHub writes them, within its limits.
//!
//! It refuses to send what GitHub would refuse or cut without a word: texts are cut here, and say
//! so.

use serde::Deserialize;
use serde_json::{Value, json};

use super::wire::{WithId, cut, date};
use crate::forge::{Annotation, AnnotationLevel, Check, CheckState, CheckWanted, Conclusion};
use crate::text::clip;

/// As many bytes as GitHub takes of a summary, of a text, and of an annotation's message (64 KB).
const MOST_BYTES: usize = 65_535;

/// As many characters as GitHub shows of a title.
const MOST_TITLE: usize = 255;

/// As many annotations as GitHub takes at once.
pub(super) const BATCH: usize = 50;

const CUT: &str = "\n\n_cut: this was longer than the 65,535 bytes that GitHub takes_";

#[derive(Debug, Deserialize)]
pub(super) struct RawCheck {
    pub(super) id: u64,
    name: String,
    pub(super) external_id: Option<String>,
    status: String,
    conclusion: Option<String>,
    app: Option<WithId>,
    html_url: Option<String>,
    output: Option<RawOutput>,
}

#[derive(Debug, Default, Deserialize)]
struct RawOutput {
    title: Option<String>,
    summary: Option<String>,
    text: Option<String>,
    annotations_count: Option<usize>,
}

#[derive(Deserialize)]
pub(super) struct CheckPage {
    pub(super) check_runs: Vec<RawCheck>,
}

impl RawCheck {
    fn state(&self) -> CheckState {
        if self.status != "completed" {
            return CheckState::InProgress;
        }
        CheckState::Completed(match self.conclusion.as_deref() {
            Some("success") => Conclusion::Success,
            Some("neutral" | "skipped") => Conclusion::Neutral,
            Some("cancelled") => Conclusion::Cancelled,
            Some("action_required") => Conclusion::ActionRequired,
            // "failure", "timed_out", "stale", and what GitHub may invent: none of it is good.
            Some(_) | None => Conclusion::Failure,
        })
    }

    pub(super) fn is_completed(&self) -> bool {
        self.status == "completed"
    }

    /// How many annotations it has.
    pub(super) fn annotated(&self) -> usize {
        self.output
            .as_ref()
            .and_then(|output| output.annotations_count)
            .unwrap_or_default()
    }

    /// Whether it is as wanted, its annotations aside.
    pub(super) fn says(&self, wanted: &CheckWanted) -> bool {
        let Some(output) = &self.output else {
            return false;
        };
        let same =
            |there: &Option<String>, here: &str| there.as_deref().unwrap_or_default() == here;
        self.state() == wanted.state
            && same(&output.title, &title(wanted))
            && same(&output.summary, &cut(&wanted.summary, MOST_BYTES, CUT))
            && same(&output.text, &cut(&wanted.text, MOST_BYTES, CUT))
    }
}

impl From<RawCheck> for Check {
    fn from(raw: RawCheck) -> Self {
        let state = raw.state();
        Self {
            id: raw.id,
            name: raw.name,
            external_id: raw.external_id.unwrap_or_default(),
            state,
            app: raw.app.map(|app| app.id),
            url: raw.html_url.unwrap_or_default(),
            title: raw
                .output
                .and_then(|output| output.title)
                .unwrap_or_default(),
        }
    }
}

fn title(wanted: &CheckWanted) -> String {
    clip(&wanted.title, MOST_TITLE)
}

fn conclusion(conclusion: Conclusion) -> &'static str {
    match conclusion {
        Conclusion::Success => "success",
        Conclusion::Failure => "failure",
        Conclusion::Neutral => "neutral",
        Conclusion::Cancelled => "cancelled",
        Conclusion::ActionRequired => "action_required",
    }
}

fn annotation(one: &Annotation) -> Value {
    let level = match one.level {
        AnnotationLevel::Notice => "notice",
        AnnotationLevel::Warning => "warning",
        AnnotationLevel::Failure => "failure",
    };
    let start = one.start_line.max(1);
    let mut value = json!({
        "path": one.path,
        "start_line": start,
        "end_line": one.end_line.max(start),
        "annotation_level": level,
        "message": cut(&one.message, MOST_BYTES, CUT),
    });
    if !one.title.is_empty() {
        value["title"] = clip(&one.title, MOST_TITLE).into();
    }
    value
}

/// The output with some annotations. Without the texts GitHub would empty them.
pub(super) fn output(wanted: &CheckWanted, annotations: &[Annotation]) -> Value {
    let mut output = json!({
        "title": title(wanted),
        "summary": cut(&wanted.summary, MOST_BYTES, CUT),
        "text": cut(&wanted.text, MOST_BYTES, CUT),
    });
    if !annotations.is_empty() {
        output["annotations"] = annotations.iter().map(annotation).collect();
    }
    output
}

/// All of a check, with the first of its annotations.
pub(super) fn body(wanted: &CheckWanted, annotations: &[Annotation]) -> Value {
    let mut body = json!({
        "name": wanted.name,
        "external_id": wanted.external_id,
        "started_at": date(wanted.started),
        "output": output(wanted, annotations),
    });
    if let Some(url) = &wanted.details_url {
        body["details_url"] = url.as_str().into();
    }
    match wanted.state {
        CheckState::InProgress => body["status"] = "in_progress".into(),
        CheckState::Completed(how) => {
            body["status"] = "completed".into();
            body["conclusion"] = conclusion(how).into();
            if let Some(completed) = wanted.completed {
                body["completed_at"] = date(completed).into();
            }
        }
    }
    body
}
