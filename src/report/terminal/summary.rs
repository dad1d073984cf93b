//! The closing text of a run: what happened, what failed and why, what next.
//!
//! It refuses to repeat logs at length: the last lines and the file's name.

mod failure;

use std::fmt::Write as _;

use super::{Colour, Tint, fit, pad};
use crate::fact::RunVerdict;
use crate::report::next::steps;
use crate::report::view::{Mark, TaskView, View, gate_mark, gate_told};
use crate::report::{ink, room};
use crate::text;
use failure::failures;

/// The widest line, in columns: a log is read in windows of any width, and this one fits nearly
/// all.
const WIDTH: usize = 110;

/// Tasks that are listed; where there are more, those that went well are only counted.
const ROWS: usize = 40;

/// Failures that are told with their logs.
const TOLD: usize = 5;

/// Characters of what a room does not hold: all exceptions by name, and a reason of a line.
const ROOM: usize = 600;

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
