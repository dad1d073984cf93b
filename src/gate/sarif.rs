//! SARIF 2.1.0: results of kind `fail` that nobody suppressed.
//!
//! It refuses to follow references out of the file: external properties, base ids and artifacts by index.

use serde::Deserialize;

use super::items::{Capped, Found, keyed};
use crate::fact::Level;

/// Results that are looked at; the rest is counted. A hundred times what is kept.
const RESULTS: usize = 20_000;

#[derive(Deserialize)]
struct Log {
    runs: Capped<Run, 100>,
}

#[derive(Deserialize)]
struct Run {
    #[serde(default)]
    tool: Tool,
    #[serde(default)]
    results: Capped<Finding, RESULTS>,
}

#[derive(Deserialize, Default)]
struct Tool {
    #[serde(default)]
    driver: Driver,
}

#[derive(Deserialize, Default)]
struct Driver {
    #[serde(default)]
    rules: Capped<Rule, 10_000>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    #[serde(default)]
    id: String,
    #[serde(default)]
    default_configuration: Configuration,
}

#[derive(Deserialize, Default)]
struct Configuration {
    level: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    rule_id: Option<String>,
    rule_index: Option<i64>,
    rule: Option<RuleReference>,
    level: Option<String>,
    kind: Option<String>,
    baseline_state: Option<String>,
    #[serde(default)]
    message: Message,
    #[serde(default)]
    locations: Capped<Location, 1>,
    #[serde(default)]
    suppressions: Capped<Suppression, 16>,
}

#[derive(Deserialize)]
struct RuleReference {
    id: Option<String>,
    index: Option<i64>,
}

#[derive(Deserialize, Default)]
struct Message {
    text: Option<String>,
    markdown: Option<String>,
    id: Option<String>,
}

#[derive(Deserialize)]
struct Suppression {
    status: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: Option<PhysicalLocation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: Option<ArtifactLocation>,
    region: Option<Region>,
}

#[derive(Deserialize)]
struct ArtifactLocation {
    uri: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: Option<u64>,
    end_line: Option<u64>,
}

/// Reads the whole log, or says why it cannot.
pub(super) fn read(text: &str, found: &mut Found) -> Result<(), String> {
    let log: Log = serde_json::from_str(text).map_err(|error| error.to_string())?;
    for run in &log.runs.kept {
        for finding in &run.results.kept {
            add(finding, &run.tool.driver.rules.kept, found);
        }
        found.count_unseen(run.results.dropped);
    }
    // What an absurd number of runs holds is not known; that there is more, is.
    found.count_unseen(log.runs.dropped);
    Ok(())
}

fn add(finding: &Finding, rules: &[Rule], found: &mut Found) {
    let fails = finding.kind.as_deref().is_none_or(|kind| kind == "fail");
    let gone = finding.baseline_state.as_deref() == Some("absent");
    let suppressed = finding
        .suppressions
        .kept
        .iter()
        .any(|suppression| suppression.status.as_deref().is_none_or(|status| status == "accepted"));
    if !fails || gone || suppressed {
        return;
    }
    let rule = rule_of(finding, rules);
    let Some(level) = level_of(finding, rule) else { return };
    let id = finding.rule_id.as_deref().or_else(|| finding.rule.as_ref()?.id.as_deref()).or_else(|| Some(&rule?.id));
    let id = id.filter(|id| !id.is_empty()).unwrap_or("finding");
    let Message { text, markdown, id: message_id } = &finding.message;
    let message = text.as_deref().or(markdown.as_deref()).or(message_id.as_deref()).unwrap_or("");

    let physical = finding.locations.kept.first().and_then(|location| location.physical_location.as_ref());
    let uri = physical.and_then(|physical| physical.artifact_location.as_ref()?.uri.as_deref());
    let path = uri.map(path_of);
    let region = physical.and_then(|physical| physical.region.as_ref());
    let place = path.as_deref().and_then(|path| {
        found.place(path, region.and_then(|region| region.start_line), region.and_then(|region| region.end_line))
    });
    let shown = place.as_ref().map(|place| place.path.clone()).or(path).unwrap_or_default();
    found.add(&format!("{id}@{shown}: {}", keyed(message)), message, place, level);
}

fn rule_of<'a>(finding: &Finding, rules: &'a [Rule]) -> Option<&'a Rule> {
    let index = finding.rule_index.or_else(|| finding.rule.as_ref()?.index);
    let by_index = index.and_then(|index| rules.get(usize::try_from(index).ok()?));
    by_index.or_else(|| rules.iter().find(|rule| Some(rule.id.as_str()) == finding.rule_id.as_deref()))
}

/// The level, `None` where it is `none`. The default is the rule's, else `warning` (SARIF 3.27.10).
fn level_of(finding: &Finding, rule: Option<&Rule>) -> Option<Level> {
    let level = finding.level.as_deref().or_else(|| rule?.default_configuration.level.as_deref());
    match level.unwrap_or("warning") {
        "none" => None,
        "note" => Some(Level::Notice),
        "error" => Some(Level::Error),
        _ => Some(Level::Warning),
    }
}

/// The path of a URI: `file://` cut off, `%20` decoded.
fn path_of(uri: &str) -> String {
    let path = uri.strip_prefix("file://").unwrap_or(uri);
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = (byte == b'%').then(|| after.get(..2)).flatten();
        let decoded = escaped.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(decoded.unwrap_or(byte));
        rest = if decoded.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
