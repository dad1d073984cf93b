//! The checks of gates.

use super::remark::{left_out, remarks};
use super::{CheckText, GATES, LIMIT, OTHER_GATES, REMARKS, TITLE, gate_name};
use crate::fact::GateOutcome;
use crate::report::inline::{code, inert};
use crate::report::view::{Mark, View, gate_mark, gate_told};
use crate::report::{ink, markdown};
use crate::text::{self, ForgeKind};

/// Lines and bytes of a gate's log.
const LOG_LINES: usize = 400;

const LOG_BYTES: usize = 40_000;

/// How a gate's check ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GateEnd {
    /// It lets the change through.
    Good,
    /// It warns, or did not run, and does not decide.
    Open,
    /// It says no.
    Bad,
}

/// A check of one gate, or of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateCheck {
    /// How it ends.
    pub end: GateEnd,
    /// What it says.
    pub text: CheckText,
}

/// The checks of the gates on the result: those that need a look first, each in the plan's order.
#[must_use]
pub fn gates(forge: ForgeKind, view: &View) -> Vec<GateCheck> {
    let mut order: Vec<&GateOutcome> = view.gates.iter().collect();
    order.sort_by_key(|gate| (std::cmp::Reverse(end_of(gate)), !gate.required));
    let alone = if order.len() > GATES {
        GATES
    } else {
        order.len()
    };
    let (alone, shared) = order.split_at(alone);
    let mut room = REMARKS;
    let mut checks: Vec<GateCheck> = alone.iter().map(|gate| one(gate, &mut room)).collect();
    if !shared.is_empty() {
        checks.push(other(forge, shared, &mut room));
    }
    checks
}

pub(super) fn end_of(gate: &GateOutcome) -> GateEnd {
    match (gate.counts_as_passed, gate.required) {
        (true, _) => GateEnd::Good,
        (false, true) => GateEnd::Bad,
        (false, false) => GateEnd::Open,
    }
}

fn one(gate: &GateOutcome, room: &mut usize) -> GateCheck {
    let remarks = remarks(gate, room);
    let is_script = gate.command.trim().lines().nth(1).is_some();
    let mut summary = format!(
        "{} {}\n\nIt ran {} for {}{}.\n",
        markdown::sign(gate_mark(gate)),
        inert(&gate_told(gate), 300),
        if is_script {
            "this script".to_owned()
        } else {
            code(&gate.command, 300)
        },
        text::duration(std::time::Duration::from_millis(gate.duration_ms)),
        if gate.attempts > 1 {
            format!(", {} executions", gate.attempts)
        } else {
            String::new()
        }
    );
    if is_script {
        summary.push_str(&format!("\n{}", markdown::asked(&gate.command)));
    }
    if !gate.required {
        summary.push_str("\nIt is not required: it warns, and does not decide.\n");
    }
    summary.push_str(&left_out(gate, remarks.len()));
    summary.push_str(&log(gate));
    let text = CheckText {
        name: gate_name(gate.gate.as_str()),
        title: ink::line(&gate_told(gate), TITLE),
        summary: crate::report::sticky::without_markers(&summary),
        text: items(gate),
        remarks,
    };
    GateCheck {
        end: end_of(gate),
        text,
    }
}

fn other(forge: ForgeKind, gates: &[&GateOutcome], room: &mut usize) -> GateCheck {
    let own = match forge {
        ForgeKind::GitHub => "checks",
        ForgeKind::GitLab => "commit statuses",
    };
    let mut summary = format!("Gates beyond the first twenty, which have {own} of their own.\n\n");
    let mut all = Vec::new();
    for (at, gate) in gates.iter().enumerate() {
        let line = format!(
            "- {} `{}`: {}\n",
            markdown::sign(gate_mark(gate)),
            gate.gate,
            inert(&gate_told(gate), 120)
        );
        if summary.len() + line.len() > LIMIT - 100 {
            summary.push_str(&format!("\n{} more.\n", gates.len() - at));
            break;
        }
        summary.push_str(&line);
    }
    for gate in gates {
        all.extend(remarks(gate, room));
    }
    let good = gates
        .iter()
        .filter(|gate| gate_mark(gate) == Mark::Good)
        .count();
    let text = CheckText {
        name: OTHER_GATES.to_owned(),
        title: format!("{good} of {} passed", text::plural(gates.len(), "gate")),
        summary: crate::report::sticky::without_markers(&summary),
        text: String::new(),
        remarks: all,
    };
    let end = gates
        .iter()
        .map(|gate| end_of(gate))
        .max()
        .unwrap_or(GateEnd::Open);
    GateCheck { end, text }
}

fn items(gate: &GateOutcome) -> String {
    let mut list = String::new();
    for (at, item) in gate.failing.iter().enumerate() {
        let place = item.place.as_ref().map_or_else(String::new, |place| {
            format!(" ({}:{})", place.path, place.line)
        });
        let said = ink::line(ink::first_line(&item.message), 200);
        let line = format!(
            "- {}\n",
            inert(&format!("{}{place}: {said}", item.key), 400)
        );
        if list.len() + line.len() > LIMIT - 100 {
            list.push_str(&format!(
                "\n{} more.\n",
                (gate.failing_total as usize).max(gate.failing.len()) - at
            ));
            return list;
        }
        list.push_str(&line);
    }
    list
}

fn log(gate: &GateOutcome) -> String {
    let Some(log) = &gate.log else {
        return String::new();
    };
    let printed = if log.tail.is_empty() {
        log.head.clone()
    } else {
        format!("{}\n…\n{}", log.head, log.tail)
    };
    let printed = ink::end(&printed, 4 * LOG_BYTES);
    let printed = text::escape_invisible(&text::printable(printed.as_bytes()));
    let printed = text::clip_lines(printed.trim_end(), LOG_LINES, LOG_BYTES);
    if printed.is_empty() {
        String::new()
    } else {
        format!("\n{}", text::fenced(&printed))
    }
}
