//! The view as Markdown, for comments, job summaries and checks.
//!
//! Most important first: the verdict, what failed and why, how to look at it and take it; then the
//! graph, the table and the logs as far as there is room. It refuses to grow over its limit, and to
//! leave anything out without saying so.

use super::ink;
use super::inline::inert;
use super::mermaid;
use super::next::{NextStep, steps};
use super::room;
use super::view::{
    Mark, TaskStage, TaskView, View, command_failed, gate_mark, gate_told, gate_words,
};
use crate::fact::{CommandEvidence, GateOutcome, LogEvidence, RunVerdict};
use crate::text::{self, ForgeKind};

/// The most bytes of a comment. GitHub takes 65,536 characters; the rest is left for a marker and a
/// link.
pub const COMMENT_LIMIT: usize = 64_000;

/// The most bytes of a job summary. GitHub takes 1 MiB for a step.
pub const SUMMARY_LIMIT: usize = 1_000_000;

/// The least limit that is kept: what the fixed parts may need.
const LEAST_LIMIT: usize = 16_000;

/// Failing tasks and warnings that are told at the top.
const TOLD: usize = 8;

/// The same where other words stand there too.
const TOLD_FOLDED: usize = 5;

/// Steps that are words and not commands.
const WORDS: usize = 3;

/// Characters of what a room does not hold: all exceptions by name, and a reason of a line.
const ROOM: usize = 600;

/// Lines and bytes of a log.
const LOG_LINES: usize = 60;
const LOG_BYTES: usize = 6_000;

/// Lines and bytes of a failed command as it was written: enough to see which it is.
const COMMAND_LINES: usize = 12;
const COMMAND_BYTES: usize = 1_000;

/// Failing items that are listed for a gate.
const ITEMS: usize = 20;

/// Markdown of at most `limit` bytes; a limit below 16,000 counts as 16,000.
#[must_use]
pub fn render(view: &View, limit: usize) -> String {
    let next = next_steps(&steps(view));
    page(
        view,
        &Around {
            forge: ForgeKind::GitHub,
            next: &next,
            tail: "",
            layout: Folding::Open,
        },
        limit,
    )
}

/// What a text has beside the run itself, both Markdown and short.
pub(super) struct Around<'a> {
    /// The forge where it is read.
    pub(super) forge: ForgeKind,
    /// What a person can do, below the failures.
    pub(super) next: &'a str,
    /// What stands above the small print.
    pub(super) tail: &'a str,
    /// Whether graph and table are folded.
    pub(super) layout: Folding,
}

/// Whether graph and table lie open.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Folding {
    /// On the page.
    Open,
    /// Behind a line to click on.
    Folded,
}

/// The same with other words around it.
pub(super) fn page(view: &View, around: &Around<'_>, limit: usize) -> String {
    let mut page = Page {
        text: String::new(),
        limit: limit.max(LEAST_LIMIT),
    };
    page.text.push_str(&head(view, around.forge));
    page.text.push_str(&failures(view, around.layout));
    if let Some(warning) = view.containment.as_ref().and_then(room::warning) {
        page.text.push_str(&format!(
            "\n> {} {}\n",
            sign(Mark::Doubtful),
            inert(&warning, ROOM)
        ));
    }
    page.text.push_str(around.next);
    let foot = format!("{}{}", around.tail, foot(view));
    // What comes last is written last, but its room is taken first.
    page.limit = page.limit.saturating_sub(foot.len());
    let folded = around.layout == Folding::Folded && !view.tasks.is_empty();
    if folded {
        let count = text::plural(view.tasks.len(), "task");
        page.say(&format!(
            "\n<details><summary>{count}: graph and table</summary>\n"
        ));
        page.limit = page.limit.saturating_sub(UNFOLD.len());
    }
    match mermaid::graph(view) {
        Some(graph) if page.add(&format!("\n```mermaid\n{graph}```\n")) => {}
        Some(_) => page.say("\nThe graph is too large to draw here.\n"),
        None => {}
    }
    table(view, &mut page);
    if folded {
        page.limit += UNFOLD.len();
        page.say(UNFOLD);
    }
    logs(view, &mut page);
    page.text.push_str(&foot);
    page.text
}

/// Ends what is folded.
const UNFOLD: &str = "\n</details>\n";

/// Text that knows how much room is left.
struct Page {
    text: String,
    limit: usize,
}

/// Room that [`Page::add`] leaves for [`Page::say`]: enough for every "N more" of a page.
const RESERVE: usize = 600;

impl Page {
    /// Adds a part if there is room for it.
    fn add(&mut self, part: &str) -> bool {
        let fits = self.text.len() + part.len() + RESERVE <= self.limit;
        if fits {
            self.text.push_str(part);
        }
        fits
    }

    /// Adds a short sentence, for which room was kept.
    fn say(&mut self, sentence: &str) {
        if self.text.len() + sentence.len() <= self.limit {
            self.text.push_str(sentence);
        }
    }
}

pub(super) fn sign(mark: Mark) -> &'static str {
    match mark {
        Mark::Good => "✅",
        Mark::Bad => "❌",
        Mark::Doubtful => "⚠️",
        Mark::Busy => "🔄",
        Mark::Idle => "⚪",
    }
}

/// The verdict in words, and its sign: `not ready`.
pub(super) fn verdict(view: &View) -> (String, &'static str) {
    let Some(verdict) = view.verdict else {
        return ("under way".to_owned(), sign(Mark::Busy));
    };
    let words = match (verdict, view.pre_existing()) {
        (RunVerdict::Ready, count @ 1..) => format!(
            "ready, {}",
            text::plural(count as usize, "pre-existing failure")
        ),
        _ => verdict.as_str().replace('_', " "),
    };
    let mark = match verdict {
        RunVerdict::Ready => Mark::Good,
        RunVerdict::Neutral | RunVerdict::Cancelled => Mark::Idle,
        RunVerdict::NotReady | RunVerdict::FailedInfra | RunVerdict::BlockedOnExternal => Mark::Bad,
        RunVerdict::BlockedOnHuman | RunVerdict::NeedsMoreBudget => Mark::Doubtful,
    };
    (words, sign(mark))
}

fn head(view: &View, forge: ForgeKind) -> String {
    let (words, sign) = verdict(view);
    let count = view.count();
    let mut facts = vec![format!(
        "{} of {} completed",
        count.completed,
        text::plural(count.all, "task")
    )];
    for (number, word) in [
        (count.failed, "failed"),
        (count.cancelled, "cancelled"),
        (count.busy, "running"),
    ] {
        if number > 0 {
            facts.push(format!("{number} {word}"));
        }
    }
    facts.extend(ink::run_time(view, None).map(text::duration));
    let spent = ink::spent(view.tokens, view.cost_micro_usd);
    if !spent.is_empty() {
        facts.push(match forge {
            ForgeKind::GitHub => spent,
            // `$1` is a snippet there.
            ForgeKind::GitLab => text::defuse_mentions(&spent),
        });
    }
    format!(
        "### {sign} omk `{}`: {words}\n\n{}\n",
        view.plan,
        facts.join(" · ")
    )
}

/// What did not go as it should, a line each.
fn failures(view: &View, layout: Folding) -> String {
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

fn next_steps(steps: &[NextStep]) -> String {
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

fn table(view: &View, page: &mut Page) {
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

/// What printed a log.
enum Printer<'a> {
    Gate(Option<&'a TaskView>, &'a GateOutcome),
    Command(&'a TaskView, &'a CommandEvidence, String),
}

/// A folded block for each gate that is not as it should be, the result's first, and for each
/// command that failed.
fn logs(view: &View, page: &mut Page) {
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

/// A command as it was written, fenced.
pub(super) fn asked(command: &str) -> String {
    let asked = text::clip_lines(
        &text::escape_invisible(command.trim()),
        COMMAND_LINES,
        COMMAND_BYTES,
    );
    text::fenced(&asked).replacen("text\n", "sh\n", 1)
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

fn folded(task: Option<&TaskView>, gate: &GateOutcome) -> String {
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

/// The small print: what the run was, and how far it can be trusted.
fn foot(view: &View) -> String {
    let mut facts = vec![
        format!("run `{}`", view.run),
        format!("base `{}`", view.base.commit.short()),
        format!(
            "plan {} `{}`",
            inert(&view.plan_path, 120),
            view.plan_digest.get(..12).unwrap_or("")
        ),
        format!("asked for by {}", inert(&view.trigger.actor, 60)),
    ];
    facts.extend(
        view.judged_by
            .map(|judge| format!("judged_by: {}", judge.as_str())),
    );
    facts.extend(
        view.containment
            .as_ref()
            .map(|containment| format!("room: {}", containment.level)),
    );
    facts.push(inert(&format!("omk {}", view.omk), 40));
    format!("\n<sub>{}</sub>\n", facts.join(" · "))
}
