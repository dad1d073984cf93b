//! The view as JUnit XML: a suite for each task with a case for its work and one for each gate, and
//! a suite for the result.
//!
//! A reason stands in its element's text too: GitLab shows that, and no attribute. It refuses to
//! call a failure what does not decide: a gate that only warns is `skipped` with the reason.

use std::fmt::Write as _;

use super::ink;
use super::view::{TaskStage, TaskView, View, command_failed, gate_told};
use crate::fact::{GateOutcome, GateVerdict, LogEvidence};
use crate::text;

/// How much of a gate's log goes into a case, in characters.
const LOG_CAP: usize = 8_000;

/// A JUnit XML document; well-formed for any text in the view.
#[must_use]
pub fn render(view: &View) -> String {
    let mut suites: Vec<Suite> = view.tasks.iter().map(suite_of).collect();
    if !view.gates.is_empty() {
        let mut suite = Suite::new(format!("{}: result", view.scope));
        let class = format!("omk.{}", view.scope);
        view.gates.iter().for_each(|gate| suite.gate(&class, gate));
        suites.push(suite);
    }
    let sum = |count: fn(&Suite) -> usize| suites.iter().map(count).sum::<usize>();
    let time = view
        .ended
        .map_or(0, |ended| millis(ended.since(view.started)));
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        text,
        "<testsuites name=\"omk {}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\" time=\"{}\">",
        xml(view.plan.as_str()),
        sum(|suite| suite.cases),
        sum(|suite| suite.failures),
        sum(|suite| suite.skipped),
        seconds(time),
    );
    suites.iter().for_each(|suite| suite.write(&mut text));
    text.push_str("</testsuites>\n");
    text
}

struct Suite {
    name: String,
    body: String,
    cases: usize,
    failures: usize,
    skipped: usize,
    millis: u64,
}

fn suite_of(task: &TaskView) -> Suite {
    let mut suite = Suite::new(task.id.to_string());
    let class = format!("omk.{}", task.id);
    let gates: u64 = task.gates.iter().map(|gate| gate.duration_ms).sum();
    let work = task.worked_ms.saturating_sub(gates);
    match &task.stage {
        TaskStage::Completed { ejected: None, .. } => {
            suite.case(&class, "task", work, &Said::Passed)
        }
        TaskStage::Completed {
            ejected: Some(ejected),
            ..
        } => {
            let gate = ejected
                .gate
                .as_ref()
                .map_or_else(|| "a gate".to_owned(), |gate| format!("gate {gate}"));
            let why = format!("left the result: {gate} failed with it");
            suite.case(
                &class,
                "task",
                work,
                &Said::Failed {
                    message: &why,
                    text: "",
                },
            );
        }
        TaskStage::Failed => {
            let why = task.failure.as_ref().map_or_else(String::new, ink::failure);
            let (what, text) = match command_failed(task) {
                // What it printed stands below, once.
                Some((command, _)) => (ink::first_line(&why), end_of(&command.log)),
                None => (why.as_str(), ""),
            };
            let message = task
                .failure
                .as_ref()
                .map_or_else(String::new, |failure| ink::advised(what, failure));
            suite.case(
                &class,
                "task",
                work,
                &Said::Failed {
                    message: &message,
                    text,
                },
            );
        }
        TaskStage::Cancelled { why } => suite.case(
            &class,
            "task",
            work,
            &Said::Skipped(&format!("cancelled: {why}")),
        ),
        TaskStage::LeftOut
        | TaskStage::Pending { .. }
        | TaskStage::Claimed
        | TaskStage::Running { .. } => {
            suite.case(&class, "task", work, &Said::Skipped(task.stage.as_str()));
        }
    }
    task.gates.iter().for_each(|gate| suite.gate(&class, gate));
    suite
}

fn end_of(log: &LogEvidence) -> &str {
    if log.tail.is_empty() {
        &log.head
    } else {
        &log.tail
    }
}

/// What a case says.
enum Said<'a> {
    Passed,
    Failed { message: &'a str, text: &'a str },
    Skipped(&'a str),
}

impl Suite {
    fn new(name: String) -> Self {
        Self {
            name,
            body: String::new(),
            cases: 0,
            failures: 0,
            skipped: 0,
            millis: 0,
        }
    }

    fn gate(&mut self, class: &str, gate: &GateOutcome) {
        let words = gate_told(gate);
        let log = gate.log.as_ref().map_or("", end_of);
        let said = if gate.counts_as_passed {
            Said::Passed
        } else if gate.required && gate.verdict != GateVerdict::Skipped {
            Said::Failed {
                message: &words,
                text: log,
            }
        } else {
            Said::Skipped(&words)
        };
        self.case(
            class,
            &format!("gate {}", gate.gate),
            gate.duration_ms,
            &said,
        );
    }

    fn case(&mut self, class: &str, name: &str, millis: u64, said: &Said<'_>) {
        self.cases += 1;
        self.millis = self.millis.saturating_add(millis);
        let (class, name, time) = (xml(class), xml(name), seconds(millis));
        let _ = write!(
            self.body,
            "    <testcase classname=\"{class}\" name=\"{name}\" time=\"{time}\""
        );
        match said {
            Said::Passed => self.body.push_str("/>\n"),
            Said::Failed {
                message,
                text: printed,
            } => {
                self.failures += 1;
                let (message, text) = (
                    xml(&ink::clip(message, 500)),
                    xml(ink::end(&text::printable(printed.as_bytes()), LOG_CAP)),
                );
                let gap = if text.is_empty() { "" } else { "&#10;&#10;" };
                let _ = writeln!(
                    self.body,
                    ">\n      <failure message=\"{message}\">{message}{gap}{text}</failure>\n    </testcase>"
                );
            }
            Said::Skipped(why) => {
                self.skipped += 1;
                let why = xml(&ink::clip(why, 500));
                let _ = writeln!(
                    self.body,
                    ">\n      <skipped message=\"{why}\">{why}</skipped>\n    </testcase>"
                );
            }
        }
    }

    fn write(&self, text: &mut String) {
        let (name, time) = (xml(&self.name), seconds(self.millis));
        let _ = writeln!(
            text,
            "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\" time=\"{time}\">",
            self.cases, self.failures, self.skipped,
        );
        text.push_str(&self.body);
        text.push_str("  </testsuite>\n");
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn seconds(millis: u64) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

/// Text that XML 1.0 can hold: markup escaped, characters that it forbids replaced, line ends kept
/// in attributes too.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for ch in text.chars() {
        match ch {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                out.push('\u{fffd}')
            }
            ch => out.push(ch),
        }
    }
    out
}
