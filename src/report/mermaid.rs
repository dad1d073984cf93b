//! The graph of a run for Mermaid.
//!
//! It refuses text of authors: labels are ids and states, which are plain words by their types.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::view::{Mark, TaskView, View};
use crate::id::TaskId;

/// Tasks that are drawn; more is a carpet, not a picture.
const TASKS: usize = 60;

/// Arrows that are drawn: below Mermaid's own limit of 500.
const ARROWS: usize = 300;

/// The diagram without its fence; `None` where there is nothing worth drawing.
pub(super) fn graph(view: &View) -> Option<String> {
    if view.tasks.len() < 2 {
        return None;
    }
    let drawn = &view.tasks[..view.tasks.len().min(TASKS)];
    let index: HashMap<&TaskId, usize> = drawn
        .iter()
        .enumerate()
        .map(|(at, task)| (&task.id, at))
        .collect();
    let mut text = String::from("flowchart LR\n");
    for (at, task) in drawn.iter().enumerate() {
        let _ = writeln!(
            text,
            "  t{at}[\"{} {}<br/>{}\"]:::{}",
            sign(task),
            task.id,
            task.stage.as_str(),
            class(task)
        );
    }
    let arrows = drawn.iter().enumerate().flat_map(|(at, task)| {
        let index = &index;
        task.dependencies
            .iter()
            .filter_map(move |dependency| Some((*index.get(dependency)?, at)))
    });
    for (from, to) in arrows.take(ARROWS) {
        let _ = writeln!(text, "  t{from} --> t{to}");
    }
    if view.tasks.len() > TASKS {
        let _ = writeln!(text, "  more[\"{} more\"]", view.tasks.len() - TASKS);
    }
    text.push_str("  classDef good fill:#dafbe1,stroke:#1a7f37,color:#0b2e13\n");
    text.push_str("  classDef bad fill:#ffebe9,stroke:#cf222e,color:#4c0a0f\n");
    text.push_str("  classDef busy fill:#ddf4ff,stroke:#0969da,color:#042551\n");
    text.push_str("  classDef idle fill:#f6f8fa,stroke:#8c959f,color:#424a53\n");
    Some(text)
}

fn sign(task: &TaskView) -> &'static str {
    match task.stage.mark() {
        Mark::Good => "✓",
        Mark::Bad => "✗",
        Mark::Doubtful => "!",
        Mark::Busy => "▸",
        Mark::Idle => "·",
    }
}

fn class(task: &TaskView) -> &'static str {
    match task.stage.mark() {
        Mark::Good => "good",
        Mark::Bad => "bad",
        Mark::Doubtful | Mark::Idle => "idle",
        Mark::Busy => "busy",
    }
}
