//! `cargo --message-format=json`: errors of the compiler, or its warnings where there is no error.
//!
//! It refuses to count the compiler's own sums ("aborting due to 2 previous errors"): they change with the number.

use serde::Deserialize;

use super::items::{Found, keyed};
use crate::fact::Level;

/// A line of cargo's, or of rustc's own `--error-format=json`.
#[derive(Deserialize)]
struct Line {
    reason: Option<String>,
    message: Option<serde_json::Value>,
    #[serde(rename = "$message_type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Diagnostic {
    message: String,
    code: Option<Code>,
    level: String,
    #[serde(default)]
    spans: Vec<Span>,
    rendered: Option<String>,
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

#[derive(Deserialize)]
struct Span {
    file_name: String,
    line_start: u64,
    line_end: u64,
    is_primary: bool,
}

/// Reads every line; those that are not JSON (a test's own output) are passed over, but one message there must be.
pub(super) fn read(text: &str, found: &mut Found) -> Result<(), String> {
    let mut messages = 0_u64;
    let mut warnings = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| line.starts_with('{')) {
        let Ok(parsed) = serde_json::from_str::<Line>(line) else { continue };
        messages += u64::from(parsed.reason.is_some() || parsed.kind.is_some());
        let Some(diagnostic) = diagnostic_of(parsed, line) else { continue };
        match diagnostic.level.as_str() {
            "warning" if !is_sum(&diagnostic) => warnings.push(diagnostic),
            level if level.starts_with("error") && !is_sum(&diagnostic) => add(&diagnostic, Level::Error, found),
            _ => {}
        }
        // Errors make warnings irrelevant, and nobody needs more of these than are kept and counted.
        warnings.truncate(10 * super::items::KEPT);
    }
    if messages == 0 {
        return Err("it holds no message".to_owned());
    }
    if found.is_empty() {
        for warning in &warnings {
            add(warning, Level::Warning, found);
        }
    }
    Ok(())
}

fn diagnostic_of(line: Line, text: &str) -> Option<Diagnostic> {
    if line.reason.as_deref() == Some("compiler-message") {
        return serde_json::from_value(line.message?).ok();
    }
    if line.kind.as_deref() == Some("diagnostic") {
        return serde_json::from_str(text).ok();
    }
    None
}

fn is_sum(diagnostic: &Diagnostic) -> bool {
    let message = &diagnostic.message;
    diagnostic.spans.is_empty()
        && diagnostic.code.is_none()
        && (message.starts_with("aborting due to ")
            || message.starts_with("could not compile ")
            || message.ends_with(" warning emitted")
            || message.ends_with(" warnings emitted"))
}

fn add(diagnostic: &Diagnostic, level: Level, found: &mut Found) {
    let span = diagnostic.spans.iter().find(|span| span.is_primary).or(diagnostic.spans.first());
    let place = span.and_then(|span| found.place(&span.file_name, Some(span.line_start), Some(span.line_end)));
    let path = place.as_ref().map(|place| place.path.clone()).or_else(|| span.map(|span| span.file_name.clone()));
    let code = diagnostic.code.as_ref().map_or(diagnostic.level.as_str(), |code| code.code.as_str());
    let key = format!("{code}@{}: {}", path.unwrap_or_default(), keyed(&diagnostic.message));
    found.add(&key, diagnostic.rendered.as_deref().unwrap_or(&diagnostic.message), place, level);
}
