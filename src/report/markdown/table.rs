//! The table of the tasks, with their gates.

use super::{Page, sign};
use crate::fact::GateOutcome;
use crate::report::ink;
use crate::report::inline::inert;
use crate::report::view::{Mark, TaskView, View, gate_mark, gate_words};
use crate::text;

pub(super) fn table(view: &View, page: &mut Page) {
    if view.tasks.is_empty() {
        return;
    }
    // A table of nothing would be worse than none.
    if !page.add("\n| | task | state | tries | time | gates | |\n|-|-|-|-:|-:|-|-|\n") {
        return page.say(&format!(
            "\n{} not shown here.\n",
            text::plural(view.tasks.len(), "task")
        ));
    }
    for (at, task) in view.tasks.iter().enumerate() {
        if !page.add(&row(task)) {
            page.say(&format!(
                "\n{} more {}.\n",
                view.tasks.len() - at,
                text::noun_of(view.tasks.len() - at, "task")
            ));
            return;
        }
    }
}

fn row(task: &TaskView) -> String {
    let name = if task.name == task.id.as_str() {
        String::new()
    } else {
        format!(" {}", inert(&task.name, 80))
    };
    let tries = if task.attempts == 0 {
        String::new()
    } else {
        task.attempts.to_string()
    };
    let time = ink::task_time(task, None).map_or_else(String::new, text::duration);
    let why = match task.stage.mark() {
        // The reason of a failure is told at the top already, or among the "N more" there: here in
        // short.
        Mark::Bad => inert(&ink::why(task), 120),
        Mark::Good | Mark::Doubtful | Mark::Busy | Mark::Idle => inert(&ink::why(task), 80),
    };
    let sign = sign(task.stage.mark());
    format!(
        "| {sign} | `{}`{name} | {} | {tries} | {time} | {} | {why} |\n",
        task.id,
        task.stage.as_str(),
        gate_cell(task)
    )
}

/// Gates that are as they should be are counted, the others named.
fn gate_cell(task: &TaskView) -> String {
    const NAMED: usize = 3;
    let (good, other): (Vec<_>, Vec<_>) = task
        .gates
        .iter()
        .partition(|gate| gate_mark(gate) == Mark::Good);
    let mut words = Vec::new();
    match good.as_slice() {
        [] => {}
        [gate] => words.push(format!(
            "`{}` {}{}",
            gate.gate,
            gate.verdict.as_str(),
            origins(&good)
        )),
        gates => words.push(format!("{} passed{}", gates.len(), origins(gates))),
    }
    words.extend(
        other
            .iter()
            .take(NAMED)
            .map(|gate| format!("`{}` {}", gate.gate, gate_words(gate))),
    );
    if other.len() > NAMED {
        words.push(format!("{} more", other.len() - NAMED));
    }
    words.join(", ")
}

/// The proofs that reused verdicts come from, each once.
fn origins(gates: &[&GateOutcome]) -> String {
    let all = gates
        .iter()
        .filter_map(|gate| gate.reuse.as_ref()?.from.as_ref())
        .map(ToString::to_string);
    let all: Vec<String> = all
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    match (all.as_slice(), gates.len()) {
        ([], _) => String::new(),
        (all, 1) => format!(" from {}", all.join(", ")),
        (all, _) => format!(", some reused from {}", all.join(", ")),
    }
}
