//! What failed, and the last lines that it printed.

use std::fmt::Write as _;

use super::{TOLD, WIDTH, more};
use crate::fact::{GateOutcome, LogEvidence};
use crate::report::ink;
use crate::report::terminal::{Colour, Tint, fit};
use crate::report::view::{Mark, TaskStage, TaskView, View, command_failed, gate_mark, gate_words};
use crate::text;

/// Failing items of each gate.
const ITEMS: usize = 5;

/// Lines of each log.
const LOG_LINES: usize = 12;

/// What failed and why, with the end of the log.
pub(super) fn failures(view: &View, colour: Colour, text: &mut String) {
    let failed: Vec<&TaskView> = view
        .tasks
        .iter()
        .filter(|task| task.stage.mark() == Mark::Bad)
        .collect();
    let held: Vec<&GateOutcome> = view
        .gates
        .iter()
        .filter(|gate| gate_mark(gate) == Mark::Bad)
        .collect();
    for gate in held.iter().take(TOLD) {
        let refused = gate
            .refusal()
            .map_or_else(String::new, |refused| format!("; {refused}"));
        let words = ink::line(&format!("{}{refused}", gate_words(gate)), 600);
        let _ = writeln!(
            text,
            "{}: gate `{}` {words}",
            colour.paint(Tint::Bold, "result"),
            gate.gate
        );
        hint(gate.advice().as_deref(), colour, text);
        log(gate, colour, text);
    }
    for task in failed.iter().take(TOLD) {
        let why = if task.stage == TaskStage::Failed {
            message(task)
        } else {
            ink::why(task)
        };
        let first = ink::first_line(&why);
        let _ = writeln!(
            text,
            "{}: {}",
            colour.paint(Tint::Bold, task.id.as_str()),
            ink::line(first, 600)
        );
        if let Some((command, _)) = command_failed(task) {
            last_lines(end_of(&command.log), colour, text);
            let _ = writeln!(
                text,
                "    {} {}",
                colour.paint(Tint::Dim, "log:"),
                ink::line(&command.log.path, 300)
            );
        }
        hint(
            task.failure
                .as_ref()
                .and_then(|failure| failure.advice.as_deref()),
            colour,
            text,
        );
        let bad: Vec<&GateOutcome> = task
            .gates
            .iter()
            .filter(|gate| gate_mark(gate) == Mark::Bad)
            .collect();
        for gate in bad.iter().take(TOLD) {
            if bad.len() > 1 {
                let _ = writeln!(
                    text,
                    "  gate `{}` {}",
                    gate.gate,
                    ink::line(&gate_words(gate), 300)
                );
            }
            log(gate, colour, text);
        }
        text.push('\n');
    }
    more(failed.len().saturating_sub(TOLD), "failed task", text);
}

fn hint(advice: Option<&str>, colour: Colour, text: &mut String) {
    if let Some(advice) = advice {
        let _ = writeln!(
            text,
            "    {} {}",
            colour.paint(Tint::Dim, "hint:"),
            ink::line(advice, 600)
        );
    }
}

fn message(task: &TaskView) -> String {
    let failure = task.failure.as_ref();
    failure.map_or_else(|| "failed".to_owned(), ink::failure)
}

fn log(gate: &GateOutcome, colour: Colour, text: &mut String) {
    for item in gate.failing.iter().take(ITEMS) {
        let place = item.place.as_ref().map_or_else(String::new, |place| {
            format!(" ({}:{})", place.path, place.line)
        });
        let said = ink::line(
            &format!("{}{place}: {}", item.key, ink::first_line(&item.message)),
            300,
        );
        let _ = writeln!(
            text,
            "    - {}",
            fit(said.trim_end_matches([':', ' ']), WIDTH - 6)
        );
    }
    match (gate.failing_total as usize).saturating_sub(gate.failing.len().min(ITEMS)) {
        0 => {}
        more => {
            let _ = writeln!(text, "    - {more} more");
        }
    }
    let Some(log) = &gate.log else { return };
    last_lines(end_of(log), colour, text);
    let _ = writeln!(
        text,
        "    {} {}",
        colour.paint(Tint::Dim, "log:"),
        ink::line(&log.path, 300)
    );
}

fn end_of(log: &LogEvidence) -> &str {
    if log.tail.is_empty() {
        &log.head
    } else {
        &log.tail
    }
}

fn last_lines(printed: &str, colour: Colour, text: &mut String) {
    let printed = text::printable(printed.as_bytes());
    let lines: Vec<&str> = printed
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    for line in &lines[lines.len().saturating_sub(LOG_LINES)..] {
        let shown = fit(
            &text::escape_invisible(&line.replace('\t', "    ")),
            WIDTH - 6,
        );
        let _ = writeln!(text, "    {} {shown}", colour.paint(Tint::Dim, "│"));
    }
}
