//! One self-contained `report.html`: no script, no request, readable from a file or an artifact.
//!
//! It refuses markup of anybody else: every text is escaped, and a policy in the page forbids what
//! would slip through.

use std::fmt::Write as _;

use super::ink;
use super::next::steps;
use super::room;
use super::view::{Mark, TaskStage, TaskView, View, command_failed, gate_mark, gate_words};
use crate::fact::{GateOutcome, LogEvidence, refusal};
use crate::text;

const STYLE: &str = "\
:root{color-scheme:light dark;--good:#1a7f37;--bad:#cf222e;--doubtful:#9a6700;--busy:#0969da;--idle:#6e7781}\
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}\
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #8884}\
pre{background:#8881;padding:.8rem;overflow:auto;font-size:13px}\
pre.command{background:none;border-left:3px solid var(--idle)}\
.good{color:var(--good)}.bad{color:var(--bad)}.doubtful{color:var(--doubtful)}.busy{color:var(--busy)}.idle{color:var(--idle)}\
small{color:var(--idle)}summary{cursor:pointer}";

/// The page.
#[must_use]
pub fn render(view: &View) -> String {
    let verdict = view.verdict.map_or_else(
        || "under way".to_owned(),
        |verdict| verdict.as_str().replace('_', " "),
    );
    let title = format!("omk {}: {verdict}", view.plan);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{0}</title>\n<style>{STYLE}</style>\n<h1>{0}</h1>\n",
        escape(&title)
    );
    let count = view.count();
    let mut facts = vec![format!(
        "{} of {} completed",
        count.completed,
        text::plural(count.all, "task")
    )];
    facts.extend(ink::run_time(view, None).map(text::duration));
    facts.push(ink::spent(view.tokens, view.cost_micro_usd));
    facts.push(format!("run {}", view.run));
    facts.push(format!("base {}", view.base.commit.short()));
    facts.retain(|fact| !fact.is_empty());
    let _ = writeln!(page, "<p>{}</p>", escape(&facts.join(" · ")));
    for warning in &view.warnings {
        let _ = writeln!(page, "<p class=\"doubtful\">{}</p>", escape(warning));
    }
    page.push_str(&room(view));
    let commands: Vec<String> = steps(view)
        .iter()
        .map(|step| {
            if step.command.is_empty() {
                format!("# {}", step.words)
            } else {
                step.command.clone()
            }
        })
        .collect();
    if !commands.is_empty() {
        let _ = writeln!(page, "<pre>{}</pre>", escape(&commands.join("\n")));
    }
    table(view, &mut page);
    if !view.gates.is_empty() {
        page.push_str("<h2>Gates on the result</h2>\n");
        view.gates
            .iter()
            .for_each(|gate| page.push_str(&gate_block(gate)));
    }
    for task in view
        .tasks
        .iter()
        .filter(|task| task.stage != TaskStage::LeftOut)
    {
        page.push_str(&task_block(task));
    }
    page
}

/// Text for the page: nothing hidden, nothing obeyed.
fn escape(text: &str) -> String {
    text::escape_html(&text::escape_invisible(text))
}

/// The room that children had: quiet if it was sealed.
fn room(view: &View) -> String {
    let Some(room) = &view.containment else {
        return String::new();
    };
    match room::warning(room) {
        Some(warning) => format!(
            "<p class=\"doubtful\">{}</p>\n",
            escape(&ink::line(&warning, 800))
        ),
        None => format!("<p class=\"idle\">room: {}</p>\n", room.level),
    }
}

fn class(mark: Mark) -> &'static str {
    match mark {
        Mark::Good => "good",
        Mark::Bad => "bad",
        Mark::Doubtful => "doubtful",
        Mark::Busy => "busy",
        Mark::Idle => "idle",
    }
}

fn table(view: &View, page: &mut String) {
    page.push_str("<table>\n<tr><th>task<th>state<th>attempts<th>time<th>used<th></tr>\n");
    for task in &view.tasks {
        let time = ink::task_time(task, None).map_or_else(String::new, text::duration);
        let _ = writeln!(
            page,
            "<tr><td><a href=\"#{0}\">{0}</a><td class=\"{1}\">{2}<td>{3}<td>{time}<td>{4}<td>{5}</tr>",
            task.id,
            class(task.stage.mark()),
            task.stage.as_str(),
            task.attempts,
            ink::spent(task.tokens, task.cost_micro_usd),
            escape(&ink::line(&ink::why(task), 200)),
        );
    }
    page.push_str("</table>\n");
}

fn task_block(task: &TaskView) -> String {
    let mut block = format!(
        "<h2 id=\"{0}\">{0} <small>{1}</small></h2>\n",
        task.id,
        escape(&ink::line(&task.name, 200))
    );
    if let Some(failure) = &task.failure {
        let _ = writeln!(
            block,
            "<pre class=\"bad\">{}</pre>",
            escape(&ink::advised(&ink::failure(failure), failure))
        );
    }
    if let Some(refused) = refusal(&task.refused_hosts, &task.unreached_hosts) {
        let _ = writeln!(
            block,
            "<p class=\"doubtful\">{}</p>",
            escape(&ink::line(&refused, 400))
        );
    }
    block.push_str(&command_block(task));
    task.gates
        .iter()
        .for_each(|gate| block.push_str(&gate_block(gate)));
    if !task.paths.is_empty() {
        let paths: Vec<String> = task
            .paths
            .iter()
            .map(|path| escape(&path.to_string()))
            .collect();
        let count = text::plural(paths.len(), "file");
        let _ = writeln!(
            block,
            "<details><summary>{count}</summary><pre>{}</pre></details>",
            paths.join("\n")
        );
    }
    block
}

fn gate_block(gate: &GateOutcome) -> String {
    let mark = class(gate_mark(gate));
    let words = format!("{} {}", gate.gate, gate_words(gate));
    let mut inner = String::new();
    if !gate.note.is_empty() {
        let _ = writeln!(inner, "# {}", gate.note);
    }
    if let Some(refused) = gate.refusal() {
        let _ = writeln!(inner, "# {refused}");
    }
    for item in &gate.failing {
        let _ = writeln!(inner, "- {}: {}", item.key, ink::first_line(&item.message));
    }
    gate.log
        .iter()
        .for_each(|log| inner.push_str(&printed(log)));
    details(mark, &format!("gate {words}"), &gate.command, &inner)
}

/// What a command printed; nothing for a task without one.
fn command_block(task: &TaskView) -> String {
    let Some(command) = &task.command else {
        return String::new();
    };
    let (mark, words) = match command_failed(task) {
        Some((_, how)) => (Mark::Bad, how),
        None => (Mark::Good, "passed".to_owned()),
    };
    details(
        class(mark),
        &format!("command {words}"),
        &command.command,
        &printed(&command.log),
    )
}

fn printed(log: &LogEvidence) -> String {
    let head = text::printable(log.head.as_bytes());
    if log.tail.is_empty() {
        head
    } else {
        format!("{head}\n…\n{}", text::printable(log.tail.as_bytes()))
    }
}

/// A command as it was written, and apart from it what it printed.
fn details(mark: &str, title: &str, command: &str, inner: &str) -> String {
    let inner = if inner.trim().is_empty() {
        String::new()
    } else {
        format!("<pre>{}</pre>", escape(inner))
    };
    format!(
        "<details><summary class=\"{mark}\">{}</summary><pre class=\"command\">{}</pre>{inner}</details>\n",
        escape(title),
        escape(command.trim_end())
    )
}
