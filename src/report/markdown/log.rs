//! What commands and gates printed, folded, as far as there is room.

use super::{Page, asked};
use crate::fact::{CommandEvidence, GateOutcome, LogEvidence};
use crate::report::ink;
use crate::report::inline::inert;
use crate::report::view::{Mark, TaskStage, TaskView, View, command_failed, gate_mark, gate_words};
use crate::text;

/// Lines and bytes of a log.
const LOG_LINES: usize = 60;

const LOG_BYTES: usize = 6_000;

/// Failing items that are listed for a gate.
const ITEMS: usize = 20;

/// What printed a log.
enum Printer<'a> {
    Gate(Option<&'a TaskView>, &'a GateOutcome),
    Command(&'a TaskView, &'a CommandEvidence, String),
}

/// A folded block for each gate that is not as it should be, the result's first, and for each
/// command that failed.
pub(super) fn logs(view: &View, page: &mut Page) {
    let of_result = view.gates.iter().map(|gate| (None, gate));
    let failed = || {
        view.tasks
            .iter()
            .filter(|task| !matches!(task.stage, TaskStage::Completed { ejected: None, .. }))
    };
    let of_tasks = failed().flat_map(|task| task.gates.iter().map(move |gate| (Some(task), gate)));
    let gates = of_result
        .chain(of_tasks)
        .filter(|(_, gate)| matches!(gate_mark(gate), Mark::Bad | Mark::Doubtful))
        .filter(|(_, gate)| gate.log.is_some() || !gate.failing.is_empty())
        .map(|(task, gate)| Printer::Gate(task, gate));
    let commands = failed().filter_map(|task| {
        let (command, how) = command_failed(task)?;
        Some(Printer::Command(task, command, how))
    });
    let worth: Vec<_> = gates.chain(commands).collect();
    for (at, printer) in worth.iter().enumerate() {
        let block = match printer {
            Printer::Gate(task, gate) => folded(*task, gate),
            Printer::Command(task, command, how) => folded_command(task, command, how),
        };
        if !page.add(&block) {
            let more = worth.len() - at;
            return page.say(&format!("\n{more} more {}.\n", text::noun_of(more, "log")));
        }
    }
}

fn folded_command(task: &TaskView, command: &CommandEvidence, how: &str) -> String {
    format!(
        "\n<details><summary>{}: command {how}</summary>\n\n{}{}\n</details>\n",
        task.id,
        asked(&command.command),
        printed(&command.log).map_or_else(String::new, |printed| format!("\n{printed}")),
    )
}

/// The end of a log, fenced; `None` if nothing was printed.
fn printed(log: &LogEvidence) -> Option<String> {
    let printed = if log.tail.is_empty() {
        &log.head
    } else {
        &log.tail
    };
    let printed = text::escape_invisible(&text::printable(
        ink::end(printed, 4 * LOG_BYTES).as_bytes(),
    ));
    let printed = text::clip_lines(printed.trim_end(), LOG_LINES, LOG_BYTES);
    (!printed.is_empty()).then(|| text::fenced(&printed))
}

pub(super) fn folded(task: Option<&TaskView>, gate: &GateOutcome) -> String {
    let whose = task.map_or_else(|| "the result".to_owned(), |task| task.id.to_string());
    let mut text = format!(
        "\n<details><summary>{}: gate {} {}</summary>\n\n{}",
        whose,
        gate.gate,
        gate_words(gate),
        asked(&gate.command)
    );
    for item in gate.failing.iter().take(ITEMS) {
        let place = item.place.as_ref().map_or_else(String::new, |place| {
            format!(" ({}:{})", place.path, place.line)
        });
        let said = ink::line(ink::first_line(&item.message), 200);
        let said = if said.is_empty() {
            said
        } else {
            format!(": {said}")
        };
        text.push_str(&format!(
            "\n- {}",
            inert(&format!("{}{place}{said}", item.key), 400)
        ));
    }
    let more = (gate.failing_total as usize).saturating_sub(gate.failing.len().min(ITEMS));
    if more > 0 {
        text.push_str(&format!("\n- {more} more"));
    }
    if let Some(log) = &gate.log {
        let gap = if gate.failing.is_empty() {
            "\n"
        } else {
            "\n\n"
        };
        text.push_str(&printed(log).map_or_else(String::new, |printed| format!("{gap}{printed}")));
    }
    text.push_str("\n</details>\n");
    text
}
