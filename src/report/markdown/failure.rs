//! What failed and why, and what to do next.

use super::{Folding, sign};
use crate::report::ink;
use crate::report::inline::inert;
use crate::report::next::NextStep;
use crate::report::view::{Mark, View, gate_mark, gate_told};
use crate::text;

/// Failing tasks and warnings that are told at the top.
const TOLD: usize = 8;

/// The same where other words stand there too.
const TOLD_FOLDED: usize = 5;

/// Steps that are words and not commands.
const WORDS: usize = 3;

/// What did not go as it should, a line each.
pub(super) fn failures(view: &View, layout: Folding) -> String {
    let told = match layout {
        Folding::Open => TOLD,
        Folding::Folded => TOLD_FOLDED,
    };
    let mut lines = Vec::new();
    for gate in view
        .gates
        .iter()
        .filter(|gate| matches!(gate_mark(gate), Mark::Bad | Mark::Doubtful))
    {
        let said = inert(&gate_told(gate), 240);
        lines.push(format!(
            "{} gate `{}` on the result: {said}",
            sign(gate_mark(gate)),
            gate.gate
        ));
    }
    for task in view
        .tasks
        .iter()
        .filter(|task| task.stage.mark() == Mark::Bad)
    {
        let mut line = format!(
            "{} `{}`: {}",
            sign(Mark::Bad),
            task.id,
            inert(&ink::why(task), 300)
        );
        if let Some(advice) = task
            .failure
            .as_ref()
            .and_then(|failure| failure.advice.as_deref())
        {
            line = format!("{line}\n  What to do: {}", inert(advice, 400));
        }
        lines.push(line);
    }
    for warning in &view.warnings {
        lines.push(format!("{} {}", sign(Mark::Doubtful), inert(warning, 300)));
    }
    if lines.is_empty() {
        return String::new();
    }
    let more = lines.len().saturating_sub(told);
    lines.truncate(told);
    if more > 0 {
        lines.push(format!("{more} more"));
    }
    format!("\n- {}\n", lines.join("\n- "))
}

pub(super) fn next_steps(steps: &[NextStep]) -> String {
    let mut text = String::new();
    let width = steps
        .iter()
        .map(|step| step.command.len())
        .max()
        .unwrap_or(0)
        .min(60);
    let commands: Vec<String> = steps
        .iter()
        .filter(|step| !step.command.is_empty())
        .map(|step| {
            let words = if step.words.is_empty() {
                &step.what
            } else {
                &step.words
            };
            format!(
                "{:width$}  # {}",
                ink::line(&step.command, 200),
                ink::line(words, 120)
            )
        })
        .collect();
    if !commands.is_empty() {
        text.push('\n');
        text.push_str(&text::fenced(&commands.join("\n")).replacen("text\n", "sh\n", 1));
    }
    for step in steps
        .iter()
        .filter(|step| step.command.is_empty())
        .take(WORDS)
    {
        text.push_str(&format!("\n{}\n", inert(&step.words, 300)));
    }
    text
}
