//! The order of the tasks as a picture: Mermaid and Graphviz.

use std::fmt::Write as _;

use crate::id::TaskId;
use crate::report::preview::Preview;
use crate::text::plural;

/// Tasks that Mermaid draws; more is a carpet, not a picture.
const MAX_DRAWN: usize = 100;

/// Arrows that Mermaid draws, below its own limit of 500 with room for the overlaps.
const MAX_ARROWS: usize = 350;

pub(in crate::report::preview) fn mermaid(preview: &Preview) -> String {
    let mut out = String::from("flowchart LR\n");
    let drawn = &preview.tasks[..preview.tasks.len().min(MAX_DRAWN)];
    let index: std::collections::HashMap<&TaskId, usize> = drawn
        .iter()
        .enumerate()
        .map(|(at, task)| (&task.id, at))
        .collect();
    for (at, task) in drawn.iter().enumerate() {
        let _ = writeln!(out, "  t{at}[\"{}\"]", task.id);
    }
    let mut arrows = Vec::new();
    for (at, task) in drawn.iter().enumerate() {
        arrows.extend(
            task.dependencies
                .iter()
                .filter_map(|id| index.get(id))
                .map(|on| format!("  t{on} --> t{at}\n")),
        );
    }
    let met = preview
        .overlaps
        .listed
        .iter()
        .filter_map(|pair| Some((index.get(&pair.first)?, index.get(&pair.second)?)));
    let met: Vec<String> = met
        .map(|(first, second)| format!("  t{first} -. overlap .- t{second}\n"))
        .collect();
    out.extend(arrows.iter().take(MAX_ARROWS).map(String::as_str));
    out.extend(met.iter().map(String::as_str));
    let undrawn = preview.tasks.len() - drawn.len();
    if undrawn > 0 {
        let _ = writeln!(out, "  more[\"{}\"]", plural(undrawn, "more task"));
    }
    if arrows.len() > MAX_ARROWS {
        let _ = writeln!(
            out,
            "  arrows[\"{} not drawn\"]",
            plural(arrows.len() - MAX_ARROWS, "dependency")
        );
    }
    out
}

pub(in crate::report::preview) fn dot(preview: &Preview) -> String {
    let mut out = format!(
        "digraph \"{}\" {{\n  rankdir=LR;\n  node [shape=box];\n",
        preview.plan
    );
    for task in &preview.tasks {
        let _ = writeln!(out, "  \"{}\";", task.id);
    }
    for task in &preview.tasks {
        for dependency in &task.dependencies {
            let _ = writeln!(out, "  \"{dependency}\" -> \"{}\";", task.id);
        }
    }
    for overlap in &preview.overlaps.listed {
        let _ = writeln!(
            out,
            "  \"{}\" -> \"{}\" [style=dashed, dir=none];",
            overlap.first, overlap.second
        );
    }
    out.push_str("}\n");
    out
}
