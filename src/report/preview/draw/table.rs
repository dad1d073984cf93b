//! The table of the tasks in the terminal.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr as _;

use super::{ids, visible};
use crate::report::preview::PreviewTask;

pub(super) fn table(out: &mut String, tasks: &[PreviewTask]) {
    let header = [
        "",
        "task",
        "priority",
        "executions",
        "room",
        "after",
        "name",
    ]
    .map(String::from);
    let rows: Vec<[String; 7]> = tasks
        .iter()
        .enumerate()
        .map(|(at, task)| row(at, task))
        .collect();
    // A column for what differs, if anything does.
    let no_room = tasks.iter().all(|task| task.room.is_none());
    let mut widths = [0; 7];
    for row in rows.iter().chain([&header]) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    for row in [&header].into_iter().chain(&rows) {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            if column == 4 && no_room {
                continue;
            }
            let gap = " ".repeat(width - cell.width());
            // Numbers end, words begin at the same place.
            let padded = if matches!(column, 0 | 2) {
                format!("{gap}{cell}  ")
            } else {
                format!("{cell}{gap}  ")
            };
            line.push_str(&padded);
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

fn row(at: usize, task: &PreviewTask) -> [String; 7] {
    let mut name = if task.name == task.id.as_str() {
        String::new()
    } else {
        visible(&task.name)
    };
    if task.conditional {
        name.push_str(if name.is_empty() {
            "(conditional)"
        } else {
            " (conditional)"
        });
    }
    [
        (at + 1).to_string(),
        task.id.to_string(),
        task.priority.to_string(),
        if task.executions == 1 {
            "1".into()
        } else {
            format!("up to {}", task.executions)
        },
        task.room.clone().unwrap_or_default(),
        ids(&task.dependencies),
        name,
    ]
}
