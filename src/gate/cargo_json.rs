//! `cargo --message-format=json`: errors of the compiler, or its warnings where there is no error.
//!
//! It refuses to count the compiler's own sums ("aborting due to 2 previous errors"): they change
//! with the number.

use serde::Deserialize;

use super::ground::ReportedLine;
use super::items::{ItemCollector, JsonLine, KEPT, Odd, keyed};
use crate::fact::ItemLevel;

/// A line of cargo's, or of rustc's own `--error-format=json`.
#[derive(Deserialize)]
struct CargoLine {
    #[serde(default)]
    reason: Odd<String>,
    #[serde(default)]
    message: Odd<Diagnostic>,
    #[serde(default)]
    manifest_path: Odd<String>,
    #[serde(default, rename = "$message_type")]
    kind: Odd<String>,
}

#[derive(Deserialize)]
struct Diagnostic {
    message: String,
    #[serde(default)]
    code: Odd<Code>,
    level: String,
    #[serde(default)]
    spans: Odd<Vec<Odd<CargoSpan>>>,
    #[serde(default)]
    rendered: Odd<String>,
    /// The directory of the manifest, for a message of cargo's.
    #[serde(skip)]
    manifest: Option<String>,
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

#[derive(Deserialize)]
struct CargoSpan {
    file_name: String,
    #[serde(default)]
    line_start: JsonLine,
    #[serde(default)]
    line_end: JsonLine,
    #[serde(default)]
    is_primary: Odd<bool>,
}

/// Reads every line; those that are not JSON (a test's own output) are passed over, but one message
/// there must be.
pub(super) fn read(text: &str, found: &mut ItemCollector<'_>) -> Result<(), String> {
    let mut messages = 0_u64;
    let mut warnings = Vec::new();
    let mut more_warnings = 0;
    for line in text
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with('{'))
    {
        let Ok(parsed) = serde_json::from_str::<CargoLine>(line) else {
            continue;
        };
        messages += u64::from(parsed.reason.get().or(parsed.kind.get()).is_some());
        let Some(diagnostic) = diagnostic_of(parsed, line) else {
            continue;
        };
        match diagnostic.level.as_str() {
            // Errors make them irrelevant, so they wait; nobody needs more of them than are kept.
            "warning" if !is_sum(&diagnostic) && warnings.len() == KEPT => more_warnings += 1,
            "warning" if !is_sum(&diagnostic) => warnings.push(diagnostic),
            level if level.starts_with("error") && !is_sum(&diagnostic) => {
                add(&diagnostic, ItemLevel::Error, found)
            }
            _ => {}
        }
    }
    if messages == 0 {
        return Err("it holds no message".to_owned());
    }
    if found.is_empty() {
        for warning in &warnings {
            add(warning, ItemLevel::Warning, found);
        }
        found.count_unseen(more_warnings);
    }
    Ok(())
}

fn diagnostic_of(line: CargoLine, text: &str) -> Option<Diagnostic> {
    if line.reason.text() == Some("compiler-message") {
        let manifest = line.manifest_path.0;
        return line.message.0.map(|diagnostic| Diagnostic {
            manifest,
            ..diagnostic
        });
    }
    if line.kind.text() == Some("diagnostic") {
        return serde_json::from_str(text).ok();
    }
    None
}

fn is_sum(diagnostic: &Diagnostic) -> bool {
    let message = &diagnostic.message;
    diagnostic.spans.get().is_none_or(Vec::is_empty)
        && diagnostic.code.get().is_none()
        && (message.starts_with("aborting due to ")
            || message.starts_with("could not compile ")
            || message.ends_with(" warning emitted")
            || message.ends_with(" warnings emitted"))
}

fn add(diagnostic: &Diagnostic, level: ItemLevel, found: &mut ItemCollector<'_>) {
    let spans: Vec<&CargoSpan> = diagnostic
        .spans
        .get()
        .into_iter()
        .flatten()
        .filter_map(Odd::get)
        .collect();
    let span = spans
        .iter()
        .find(|span| span.is_primary.get() == Some(&true))
        .or(spans.first());
    // rustc's paths begin at the workspace, which is the package's directory or above it.
    let manifest = diagnostic
        .manifest
        .as_deref()
        .and_then(|path| path.rsplit_once(['/', '\\']));
    let base = manifest.and_then(|(directory, _)| found.directory(directory));
    let at = |line, end_line| found.place(&span?.file_name, base.as_deref(), line, end_line);
    let place = span.and_then(|span| at(span.line_start.spot(), span.line_end.spot()));
    let file = at(ReportedLine::Missing, ReportedLine::Missing).map(|place| place.path);
    let path = file.or_else(|| span.map(|span| span.file_name.clone()));
    let code = diagnostic
        .code
        .get()
        .map_or(diagnostic.level.as_str(), |code| code.code.as_str());
    let key = format!(
        "{code}@{}: {}",
        path.unwrap_or_default(),
        keyed(&diagnostic.message)
    );
    found.add(
        &key,
        diagnostic.rendered.text().unwrap_or(&diagnostic.message),
        place,
        level,
    );
}
