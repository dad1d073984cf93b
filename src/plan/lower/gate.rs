//! Gates of a plan.
//!
//! It refuses a gate that checks nothing.

use super::field::{Field, Fields};
use super::room::{Occupant, network};
use super::{keys, paths};
use crate::id::GateId;
use crate::plan::complaint::Critic;
use crate::plan::{DEFAULT_GATE_TIMEOUT, Gate, Report, ReportFormat};

pub(in crate::plan) const FORMATS: &[(&str, ReportFormat)] = &[
    ("junit", ReportFormat::Junit),
    ("sarif", ReportFormat::Sarif),
    ("cargo-json", ReportFormat::CargoJson),
];

/// The most further executions of a failing gate. One that needs more is not flaky but broken.
const MAX_RETRIES: u32 = 100;

pub(super) fn gate(fields: &Fields<'_>, owner: &str, critic: &mut Critic<'_>) -> Option<Gate> {
    let id: Option<GateId> = fields.get("id").and_then(|id| id.name(critic));
    let run = match fields.get("run") {
        Some(run) => run.words(critic),
        None => {
            critic
                .say(fields.at, format!("{owner} has no `run`"))
                .advise("add the shell command that checks: `run: …`");
            None
        }
    };
    // The two that may be missing come last, so that all the others are read, and complained of, in
    // any case.
    Some(Gate {
        timeout: fields
            .get("timeout")
            .and_then(|time| time.duration(critic))
            .unwrap_or(DEFAULT_GATE_TIMEOUT),
        required: fields
            .get("required")
            .and_then(|required| required.boolean(critic))
            .unwrap_or(true),
        retries: fields
            .get("retries")
            .and_then(|retries| retries.whole(0..=MAX_RETRIES, critic))
            .unwrap_or(0),
        inputs: fields
            .get("inputs")
            .and_then(|inputs| paths::globs(inputs, critic)),
        fingerprint: fields
            .get("fingerprint")
            .and_then(|command| fingerprint(command, fields, owner, critic)),
        trusted: fields
            .get("trusted")
            .and_then(|trusted| paths::globs(trusted, critic))
            .unwrap_or_default(),
        report: fields
            .get("report")
            .and_then(|report| self::report(report, owner, critic)),
        env: fields
            .get("env")
            .and_then(|env| env.variables(critic))
            .unwrap_or_default(),
        network: fields
            .get("network")
            .and_then(|field| network(field, Some(Occupant::Program), critic)),
        exclusive: fields
            .get("exclusive")
            .and_then(|exclusive| exclusive.boolean(critic))
            .unwrap_or(false),
        id: id?,
        run: run?,
    })
}

/// Without `inputs` no verdict is reused, so a fingerprint would be for nothing.
fn fingerprint(
    field: Field<'_>,
    fields: &Fields<'_>,
    owner: &str,
    critic: &mut Critic<'_>,
) -> Option<String> {
    if fields.get("inputs").is_none() {
        critic
            .say(
                field.node.at,
                format!("{owner} has a `fingerprint` and no `inputs`"),
            )
            .advise(
                "say what the gate reads: `inputs: [\"src/**\"]`; without it no verdict is reused",
            );
    }
    field.words(critic)
}

fn report(field: Field<'_>, owner: &str, critic: &mut Critic<'_>) -> Option<Report> {
    let fields = Fields::open(field.node, "`report`", keys::REPORT, critic)?;
    for key in keys::REPORT.iter().filter(|key| fields.get(key).is_none()) {
        critic
            .say(fields.at, format!("the report of {owner} has no `{key}`"))
            .advise("add it: `report: { format: junit, path: target/junit.xml }`");
    }
    let format = fields
        .get("format")
        .and_then(|format| format.choice(FORMATS, critic));
    let paths = fields.get("path").and_then(|path| {
        if !path.is_list() {
            return paths::file_or_glob(path, critic).map(|only| vec![only]);
        }
        let paths = path.list(critic, paths::file_or_glob)?;
        if paths.is_empty() {
            critic
                .say(fields.at, format!("the report of {owner} has no `path`"))
                .advise("name a file or a glob");
        }
        Some(paths)
    });
    Some(Report {
        format: format?,
        paths: paths.filter(|paths| !paths.is_empty())?,
    })
}
