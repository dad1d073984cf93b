//! The renderings of a preview.
//!
//! It refuses to print an author's text as it is: ids are plain by their type, names and globs are
//! made visible and clipped.

mod graph;
mod table;

use std::fmt::Write as _;

use super::{Overlap, OverlapKind, Preview, PreviewNetwork, PreviewOccupant, PreviewTask};
use crate::id::TaskId;
use crate::plan::RoomLevel;
use crate::text::{clip, duration, escape_invisible, plural};
use table::table;

pub(super) use graph::{dot, mermaid};

/// Characters of a name or a glob in a line of the terminal.
const MAX_TEXT: usize = 48;

/// Ids of a list in a line of the terminal.
const MAX_IDS: usize = 6;

/// Tasks and gates with a network of their own that are listed; more would push the order out of
/// sight.
const MAX_EXCEPTIONS: usize = 20;

pub(super) fn terminal(preview: &Preview) -> String {
    let mut out = format!("{}: {}", preview.plan, plural(preview.tasks.len(), "task"));
    let _ = writeln!(
        out,
        ", up to {}",
        plural(
            usize::try_from(preview.executions).unwrap_or(usize::MAX),
            "execution"
        )
    );
    if let Some(limits) = limits(preview) {
        let _ = writeln!(out, "limits: {limits}");
    }
    room(&mut out, preview);
    if let Some(limit) = &preview.change_limit {
        let _ = writeln!(out, "one task may add up to {limit}");
    }
    if preview.required_gates == 0 {
        out.push_str("no required gate: nothing will be verified, so the run can never be ready\n");
    }
    if preview.tasks.is_empty() {
        return out;
    }
    out.push('\n');
    table(&mut out, &preview.tasks);
    let _ = writeln!(
        out,
        "\n{}, if there are workers enough:",
        plural(preview.waves.len(), "wave")
    );
    for (number, wave) in preview.waves.iter().enumerate() {
        let _ = writeln!(out, "  {}. {}", number + 1, ids(wave));
    }
    let _ = writeln!(
        out,
        "\ncritical path, {}:",
        plural(preview.critical_path.len(), "task")
    );
    let _ = writeln!(out, "  {}", path(&preview.critical_path));
    overlaps(&mut out, preview);
    undeclared(&mut out, &preview.tasks);
    useless(&mut out, preview);
    gates(&mut out, preview);
    out
}

fn limits(preview: &Preview) -> Option<String> {
    let limits = &preview.limits;
    let parts: Vec<String> = [
        limits
            .workers
            .map(|workers| plural(workers as usize, "worker")),
        limits
            .time_seconds
            .map(|seconds| duration(std::time::Duration::from_secs(seconds))),
        limits.tokens.map(|tokens| format!("{tokens} tokens")),
        limits.usd.map(|usd| format!("{usd:.2} USD")),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// What the plan says about what children may reach, unless it says nothing.
fn room(out: &mut String, preview: &Preview) {
    let room = &preview.room;
    if room.is_usual() {
        return;
    }
    let level = match room.least {
        None => "the best level that the machine has".to_owned(),
        Some(RoomLevel::Sealed) => "level sealed".to_owned(),
        Some(least @ (RoomLevel::Landlock | RoomLevel::None)) => format!("level {least} at least"),
    };
    let docker = if room.docker { ", with Docker" } else { "" };
    let _ = writeln!(out, "room: {level}{docker}");
    let networks = [
        ("agents", &room.agent),
        ("gates", &room.gates),
        ("commands", &room.tasks),
    ];
    let networks =
        networks.map(|(who, network)| format!("{who} {}", visible(&network.to_string())));
    let _ = writeln!(out, "network: {}", networks.join("; "));
    for PreviewNetwork { of, network } in room.exceptions.iter().take(MAX_EXCEPTIONS) {
        let of = match of {
            PreviewOccupant::Task(task) => format!("task {task}"),
            PreviewOccupant::Gate(gate) => format!("gate {gate}"),
        };
        let _ = writeln!(out, "  {of}: {}", visible(&network.to_string()));
    }
    if room.exceptions.len() > MAX_EXCEPTIONS {
        let _ = writeln!(out, "  … {} more …", room.exceptions.len() - MAX_EXCEPTIONS);
    }
    for note in &room.notes {
        let _ = writeln!(out, "  {note}");
    }
}

fn visible(text: &str) -> String {
    clip(
        &escape_invisible(&text.replace(['\n', '\t'], " ")),
        MAX_TEXT,
    )
}

fn ids(ids: &[TaskId]) -> String {
    let shown: Vec<&str> = ids.iter().take(MAX_IDS).map(TaskId::as_str).collect();
    let more = ids.len() - shown.len();
    let more = if more == 0 {
        String::new()
    } else {
        format!(" and {more} more")
    };
    format!("{}{more}", shown.join(", "))
}

fn path(ids: &[TaskId]) -> String {
    let shown: Vec<&str> = ids.iter().map(TaskId::as_str).collect();
    if shown.len() <= 2 * MAX_IDS {
        return shown.join(" -> ");
    }
    let (head, tail) = (&shown[..MAX_IDS], &shown[shown.len() - MAX_IDS..]);
    format!(
        "{} -> ({} more) -> {}",
        head.join(" -> "),
        shown.len() - 2 * MAX_IDS,
        tail.join(" -> ")
    )
}

fn overlaps(out: &mut String, preview: &Preview) {
    let overlaps = &preview.overlaps;
    if overlaps.total == 0 {
        return;
    }
    let at_least = if overlaps.exact { "" } else { "at least " };
    let _ = writeln!(
        out,
        "\n{at_least}{}, never at the same time:",
        plural(overlaps.total, "overlap")
    );
    for overlap in &overlaps.listed {
        let _ = writeln!(
            out,
            "  {} and {}: {}",
            overlap.first,
            overlap.second,
            explain(overlap)
        );
    }
    if overlaps.total > overlaps.listed.len() {
        let _ = writeln!(out, "  … {} more …", overlaps.total - overlaps.listed.len());
    }
}

fn explain(overlap: &Overlap) -> String {
    let (one, other) = (visible(&overlap.first_glob), visible(&overlap.second_glob));
    if one.is_empty() {
        return "their paths meet".into();
    }
    match overlap.kind {
        OverlapKind::BothWrite if one == other => format!("both write {one}"),
        OverlapKind::BothWrite => format!("{one} and {other} are written"),
        OverlapKind::FirstWrites => format!("{one} is written, {other} is read"),
        OverlapKind::SecondWrites => format!("{one} is read, {other} is written"),
    }
}

fn undeclared(out: &mut String, tasks: &[PreviewTask]) {
    let unknown: Vec<TaskId> = tasks
        .iter()
        .filter(|task| !task.write_set_declared)
        .map(|task| task.id.clone())
        .collect();
    if !unknown.is_empty() {
        let _ = writeln!(
            out,
            "\nwithout a write_set, so conflicts show only when landing: {}",
            ids(&unknown)
        );
    }
}

fn useless(out: &mut String, preview: &Preview) {
    if preview.useless.is_empty() {
        return;
    }
    out.push_str("\nwrite sets that can never be used:\n");
    for found in preview.useless.iter().take(MAX_IDS) {
        let _ = writeln!(
            out,
            "  {}: {} {}",
            found.task,
            visible(&found.glob),
            found.why
        );
    }
    if preview.useless.len() > MAX_IDS {
        let _ = writeln!(out, "  … {} more …", preview.useless.len() - MAX_IDS);
    }
}

/// Gates and tasks that do not meet.
fn gates(out: &mut String, preview: &Preview) {
    let listed = |required: bool| {
        let gates: Vec<&str> = preview
            .unused_gates
            .iter()
            .filter(|gate| gate.required == required)
            .map(|gate| gate.id.as_str())
            .collect();
        let more = gates.len().saturating_sub(MAX_IDS);
        let more = if more == 0 {
            String::new()
        } else {
            format!(" and {more} more")
        };
        (!gates.is_empty())
            .then(|| format!("{}{more}", gates[..gates.len().min(MAX_IDS)].join(", ")))
    };
    if let Some(gates) = listed(true) {
        let _ = writeln!(
            out,
            "\ngates of no task, which judge only the result: {gates}"
        );
    }
    if let Some(gates) = listed(false) {
        let _ = writeln!(
            out,
            "\ngates that never run, for no task names them and they are not required: {gates}"
        );
    }
    if !preview.ungated.is_empty() {
        let _ = writeln!(
            out,
            "\ntasks without a gate, whose changes are judged only in the result: {}",
            ids(&preview.ungated)
        );
    }
}
