//! SARIF 2.1.0: results of kind `fail` that nobody suppressed.
//!
//! One odd field drops what it is about, and no more. It refuses to follow references: external
//! properties, and artifacts by index.

use std::collections::HashMap;

use serde::Deserialize;

use super::ground::ReportedLine;
use super::items::{Capped, ItemCollector, JsonLine, Odd, keyed};
use crate::fact::ItemLevel;

/// Results that are looked at; the rest is counted. A hundred times what is kept.
const RESULTS: usize = 20_000;

#[derive(Deserialize)]
struct Log {
    runs: Capped<SarifRun, 100>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SarifRun {
    #[serde(default)]
    tool: Odd<Tool>,
    #[serde(default)]
    original_uri_base_ids: Odd<HashMap<String, Odd<ArtifactLocation>>>,
    #[serde(default)]
    results: Capped<Odd<SarifFinding>, RESULTS>,
}

#[derive(Deserialize)]
struct Tool {
    #[serde(default)]
    driver: Odd<Driver>,
}

#[derive(Deserialize)]
struct Driver {
    #[serde(default)]
    rules: Capped<Odd<SarifRule>, 10_000>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SarifRule {
    #[serde(default)]
    id: Odd<String>,
    #[serde(default)]
    default_configuration: Odd<SarifConfiguration>,
}

#[derive(Deserialize)]
struct SarifConfiguration {
    #[serde(default)]
    level: Odd<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SarifFinding {
    #[serde(default)]
    rule_id: Odd<String>,
    #[serde(default)]
    rule_index: Odd<i64>,
    #[serde(default)]
    rule: Odd<RuleReference>,
    #[serde(default)]
    level: Odd<String>,
    #[serde(default)]
    kind: Odd<String>,
    #[serde(default)]
    baseline_state: Odd<String>,
    #[serde(default)]
    message: Odd<SarifMessage>,
    #[serde(default)]
    locations: Odd<Capped<Odd<SarifLocation>, 1>>,
    #[serde(default)]
    suppressions: Odd<Capped<Odd<Suppression>, 16>>,
}

#[derive(Deserialize)]
struct RuleReference {
    #[serde(default)]
    id: Odd<String>,
    #[serde(default)]
    index: Odd<i64>,
}

#[derive(Deserialize)]
struct SarifMessage {
    #[serde(default)]
    text: Odd<String>,
    #[serde(default)]
    markdown: Odd<String>,
    #[serde(default)]
    id: Odd<String>,
}

#[derive(Deserialize)]
struct Suppression {
    #[serde(default)]
    status: Odd<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SarifLocation {
    #[serde(default)]
    physical_location: Odd<PhysicalLocation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    #[serde(default)]
    artifact_location: Odd<ArtifactLocation>,
    #[serde(default)]
    region: Odd<Region>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactLocation {
    #[serde(default)]
    uri: Odd<String>,
    #[serde(default)]
    uri_base_id: Odd<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Region {
    #[serde(default)]
    start_line: JsonLine,
    #[serde(default)]
    end_line: JsonLine,
}

/// Reads the whole log, or says why it cannot.
pub(super) fn read(text: &str, found: &mut ItemCollector<'_>) -> Result<(), String> {
    let log: Log = serde_json::from_str(text).map_err(|error| error.to_string())?;
    for run in &log.runs.kept {
        let driver = run.tool.get().and_then(|tool| tool.driver.get());
        let rules: Vec<Option<&SarifRule>> = driver
            .map(|driver| driver.rules.kept.iter().map(Odd::get).collect())
            .unwrap_or_default();
        for finding in &run.results.kept {
            match finding.get() {
                Some(finding) => add(finding, run, &rules, found),
                // Whatever stands there instead of a result cannot be looked at.
                None => found.count_unseen(1),
            }
        }
        found.count_unseen(run.results.dropped);
    }
    // What an absurd number of runs holds is not known; that there is more, is.
    found.count_unseen(log.runs.dropped);
    Ok(())
}

fn add(
    finding: &SarifFinding,
    run: &SarifRun,
    rules: &[Option<&SarifRule>],
    found: &mut ItemCollector<'_>,
) {
    let fails = finding.kind.text().is_none_or(|kind| kind == "fail");
    let gone = finding.baseline_state.text() == Some("absent");
    let mut suppressions = finding
        .suppressions
        .get()
        .into_iter()
        .flat_map(|list| &list.kept)
        .filter_map(Odd::get);
    let suppressed = suppressions.any(|suppression| {
        suppression
            .status
            .text()
            .is_none_or(|status| status == "accepted")
    });
    if !fails || gone || suppressed {
        return;
    }
    let rule = rule_of(finding, rules);
    let Some(level) = level_of(finding, rule) else {
        return;
    };
    let referred = finding.rule.get().and_then(|rule| rule.id.text());
    let id = finding
        .rule_id
        .text()
        .or(referred)
        .or_else(|| rule?.id.text());
    let id = id.filter(|id| !id.is_empty()).unwrap_or("finding");
    let message = finding.message.get();
    let message = message.and_then(|message| {
        message
            .text
            .text()
            .or(message.markdown.text())
            .or(message.id.text())
    });
    let message = message.unwrap_or("");

    let location = finding
        .locations
        .get()
        .and_then(|locations| locations.kept.first()?.get());
    let physical = location.and_then(|location| location.physical_location.get());
    let artifact = physical.and_then(|physical| physical.artifact_location.get());
    let path = artifact
        .and_then(|artifact| artifact.uri.text())
        .map(path_of);
    let base = artifact.and_then(|artifact| base_of(artifact, run, found));
    let none = Region::default();
    let region = physical
        .and_then(|physical| physical.region.get())
        .unwrap_or(&none);
    let at = |line, end_line| found.place(path.as_deref()?, base.as_deref(), line, end_line);
    let place = at(region.start_line.spot(), region.end_line.spot());
    // The line may be odd and the file right: the key is about the file.
    let file = at(ReportedLine::Missing, ReportedLine::Missing).map(|place| place.path);
    let shown = file.or(path.clone()).unwrap_or_default();
    found.add(
        &format!("{id}@{shown}: {}", keyed(message)),
        message,
        place,
        level,
    );
}

/// The directory that the log says its paths begin at.
fn base_of(
    artifact: &ArtifactLocation,
    run: &SarifRun,
    found: &ItemCollector<'_>,
) -> Option<String> {
    let base = run
        .original_uri_base_ids
        .get()?
        .get(artifact.uri_base_id.text()?)?
        .get()?;
    found.directory(&path_of(base.uri.text()?))
}

fn rule_of<'a>(finding: &SarifFinding, rules: &[Option<&'a SarifRule>]) -> Option<&'a SarifRule> {
    let index = finding
        .rule_index
        .get()
        .or_else(|| finding.rule.get()?.index.get());
    let by_index =
        index.and_then(|index| rules.get(usize::try_from(*index).ok()?).copied().flatten());
    let id = finding.rule_id.text();
    by_index.or_else(|| {
        rules
            .iter()
            .flatten()
            .find(|rule| id.is_some() && rule.id.text() == id)
            .copied()
    })
}

/// The level, `None` where it is `none`. The default is the rule's, else `warning` (SARIF 3.27.10).
fn level_of(finding: &SarifFinding, rule: Option<&SarifRule>) -> Option<ItemLevel> {
    let level = finding
        .level
        .text()
        .or_else(|| rule?.default_configuration.get()?.level.text());
    match level.unwrap_or("warning") {
        "none" => None,
        "note" => Some(ItemLevel::Notice),
        "error" => Some(ItemLevel::Error),
        _ => Some(ItemLevel::Warning),
    }
}

/// The path of a URI: `%20` decoded.
fn path_of(uri: &str) -> String {
    let mut bytes = Vec::with_capacity(uri.len());
    let mut rest = uri.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = (byte == b'%').then(|| after.get(..2)).flatten();
        let decoded =
            escaped.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(decoded.unwrap_or(byte));
        rest = if decoded.is_some() {
            &after[2..]
        } else {
            after
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
