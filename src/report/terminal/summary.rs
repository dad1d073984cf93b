//! The closing text of a run: what happened, what failed and why, what next.
//!
//! It refuses to repeat logs at length: the last lines and the file's name.

use std::fmt::Write as _;

use super::{Colour, Tint, fit, pad};
use crate::fact::{GateOutcome, LogEvidence, RunVerdict};
use crate::report::ink;
use crate::report::next::steps;
use crate::report::room;
use crate::report::view::{
    Mark, TaskStage, TaskView, View, command_failed, gate_mark, gate_told, gate_words,
};
use crate::text;

/// The widest line, in columns: a log is read in windows of any width, and this one fits nearly
/// all.
const WIDTH: usize = 110;

/// Tasks that are listed; where there are more, those that went well are only counted.
const ROWS: usize = 40;

/// Failures that are told with their logs.
const TOLD: usize = 5;

/// Characters of what a room does not hold: all exceptions by name, and a reason of a line.
const ROOM: usize = 600;

/// Failing items of each gate.
const ITEMS: usize = 5;

/// Lines of each log.
const LOG_LINES: usize = 12;

/// The text, with a line break at its end.
#[must_use]
pub fn summary(view: &View, colour: Colour) -> String {
    let mut text = String::new();
    rows(view, colour, &mut text);
    gates(view, colour, &mut text);
    failures(view, colour, &mut text);
    for warning in view.warnings.iter().take(TOLD) {
        let _ = writeln!(
            text,
            "{} {}",
            colour.paint(Tint::Of(Mark::Doubtful), "warning:"),
            ink::line(warning, 300)
        );
    }
    more(
        view.warnings.len().saturating_sub(TOLD),
        "warning",
        &mut text,
    );
    if !view.warnings.is_empty() {
        text.push('\n');
    }
    room(view, colour, &mut text);
    let _ = writeln!(text, "{}", closing(view, colour));
    next(view, colour, &mut text);
    // A log that CI reads must not give it commands.
    text::neutralise_workflow_commands(&text)
}

/// The room that children had: one quiet line if it was sealed, a warning else.
fn room(view: &View, colour: Colour, text: &mut String) {
    let Some(room) = &view.containment else {
        return;
    };
    let _ = match room::warning(room) {
        Some(warning) => {
            writeln!(
                text,
                "{} {}\n",
                colour.paint(Tint::Of(Mark::Doubtful), "warning:"),
                ink::line(&warning, ROOM)
            )
        }
        None => writeln!(
            text,
            "  {}",
            colour.paint(Tint::Dim, &format!("room: {}", room.level))
        ),
    };
}

fn more(count: usize, noun: &str, text: &mut String) {
    if count > 0 {
        let _ = writeln!(text, "  … {count} more {}", text::noun_of(count, noun));
    }
}

fn rows(view: &View, colour: Colour, text: &mut String) {
    let all: Vec<&TaskView> = view.tasks.iter().collect();
    let shown: Vec<&TaskView> = if all.len() <= ROWS {
        all.clone()
    } else {
        all.iter()
            .copied()
            .filter(|task| task.stage.mark() != Mark::Good)
            .take(ROWS)
            .collect()
    };
    let width = shown
        .iter()
        .map(|task| task.id.as_str().len())
        .max()
        .unwrap_or(0)
        .min(32);
    for task in &shown {
        let time = ink::task_time(task, view.ended).map_or_else(String::new, text::duration);
        let tries = if task.attempts > 1 {
            format!("{} attempts, ", task.attempts)
        } else {
            String::new()
        };
        let why = format!("{tries}{}", ink::why(task));
        let used = 2 + 2 + width + 2 + 10 + 8 + 2;
        let why = fit(&ink::line(&why, 400), WIDTH.saturating_sub(used));
        let sign = colour.sign(task.stage.mark());
        let (id, state) = (
            pad(&fit(task.id.as_str(), width), width),
            pad(task.stage.as_str(), 10),
        );
        let row = format!(
            "  {sign} {id}  {state}{time:>8}  {}",
            colour.paint(Tint::Dim, &why)
        );
        let _ = writeln!(text, "{}", row.trim_end());
    }
    more(all.len() - shown.len(), "task", text);
    if !all.is_empty() {
        text.push('\n');
    }
}

fn gates(view: &View, colour: Colour, text: &mut String) {
    let width = view
        .gates
        .iter()
        .map(|gate| gate.gate.as_str().len())
        .max()
        .unwrap_or(0)
        .min(32);
    for gate in view.gates.iter().take(ROWS) {
        let time = text::duration(std::time::Duration::from_millis(gate.duration_ms));
        let note = fit(&ink::line(&gate_told(gate), 300), WIDTH - 30);
        let id = pad(&fit(gate.gate.as_str(), width), width);
        let _ = writeln!(
            text,
            "  {} gate {id} {time:>8}  {note}",
            colour.sign(gate_mark(gate))
        );
    }
    more(view.gates.len().saturating_sub(ROWS), "gate", text);
    if !view.gates.is_empty() {
        text.push('\n');
    }
}

/// What failed and why, with the end of the log.
fn failures(view: &View, colour: Colour, text: &mut String) {
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

/// One line with the verdict.
fn closing(view: &View, colour: Colour) -> String {
    let count = view.count();
    let (words, mark) = match view.verdict {
        None => ("under way".to_owned(), Mark::Busy),
        Some(verdict) => (words(verdict, view.pre_existing()), verdict_mark(verdict)),
    };
    let mut facts = vec![format!(
        "{} of {} completed",
        count.completed,
        text::plural(count.all, "task")
    )];
    if count.failed > 0 {
        facts.push(format!("{} failed", count.failed));
    }
    if count.cancelled > 0 {
        facts.push(format!("{} cancelled", count.cancelled));
    }
    facts.extend(ink::run_time(view, None).map(text::duration));
    let spent = ink::spent(view.tokens, view.cost_micro_usd);
    if !spent.is_empty() {
        facts.push(spent);
    }
    let word = if colour == Colour::On {
        colour.paint(Tint::Bold, &words)
    } else {
        words
    };
    format!(
        "{} {}: {word} ({})",
        colour.sign(mark),
        view.scope,
        facts.join(", ")
    )
}

fn words(verdict: RunVerdict, pre_existing: u32) -> String {
    match (verdict, pre_existing) {
        (RunVerdict::Ready, 1..) => format!(
            "ready, {}",
            text::plural(pre_existing as usize, "pre-existing failure")
        ),
        _ => verdict.as_str().replace('_', " "),
    }
}

fn verdict_mark(verdict: RunVerdict) -> Mark {
    match verdict {
        RunVerdict::Ready => Mark::Good,
        RunVerdict::Neutral | RunVerdict::Cancelled => Mark::Idle,
        RunVerdict::NeedsMoreBudget | RunVerdict::BlockedOnHuman => Mark::Doubtful,
        RunVerdict::NotReady | RunVerdict::FailedInfra | RunVerdict::BlockedOnExternal => Mark::Bad,
    }
}

fn next(view: &View, colour: Colour, text: &mut String) {
    let steps = steps(view);
    let width = steps
        .iter()
        .filter(|step| !step.command.is_empty())
        .map(|step| step.what.len())
        .max()
        .unwrap_or(0);
    for step in &steps {
        if step.command.is_empty() {
            let _ = writeln!(text, "  {}", ink::line(&step.words, 300));
            continue;
        }
        let words = if step.words.is_empty() {
            String::new()
        } else {
            format!("   ({})", ink::line(&step.words, 120))
        };
        let what = colour.paint(Tint::Dim, &format!("{}:", step.what));
        let gap = " ".repeat(width - step.what.len());
        let _ = writeln!(
            text,
            "  {what}{gap} {}{words}",
            ink::line(&step.command, 300)
        );
    }
}
