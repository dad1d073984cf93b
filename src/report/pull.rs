//! A pull request's title and body: what was done, by which tasks, judged how, proven where, asked
//! for by whom.
//!
//! It refuses mentions and references of others, logs, and to be longer than a person reads.

mod title;

use super::inline::{code, inert, link};
use super::sticky::{verifying, without_markers};
use super::view::{TaskStage, TaskView, View, gate_mark, gate_told};
use super::{Mark, markdown, mermaid};
use crate::id::{Sha256, TaskId, Tip};
use crate::plan::Event;
use crate::proof::{JudgedBy, RUN_PROOF};
use crate::request::Request;
use crate::text::{self, ForgeKind};

pub use title::title;

/// The most bytes of a body: GitHub takes 65,536 characters.
pub const LIMIT: usize = 60_000;

/// Tasks in the table.
const TASKS: usize = 60;

/// Rows of a table that lies open.
const ROWS: usize = 8;

/// What a pull request is about.
#[derive(Debug, Clone, Copy)]
pub enum About<'a> {
    /// The whole result.
    Run,
    /// One task's own change.
    Task {
        /// The task.
        task: &'a TaskView,
        /// Tasks whose commits its branch holds too.
        with: &'a [TaskId],
    },
}

/// How the pull request's own checks get started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Starts {
    /// By themselves: an App opened it, or a token of GitLab's.
    Alone,
    /// When a person approves them: GITHUB_TOKEN opened it.
    Approved,
}

/// What is to be said in a pull request.
#[derive(Debug, Clone, Copy)]
pub struct PullText<'a> {
    /// What was asked.
    pub request: &'a Request,
    /// The run.
    pub view: &'a View,
    /// What it is about.
    pub about: About<'a>,
    /// What marks it as ours, and its definition: [`marker`].
    pub marker: &'a str,
    /// The ref that holds the proofs.
    pub proofs: Option<&'a str>,
    /// How its checks get started.
    pub starts: Starts,
}

/// What finds a pull request of ours, and tells which definition it was made of.
#[must_use]
pub fn marker(request: &Request, task: Option<&TaskId>, definition: &Sha256) -> String {
    let task = task.map_or_else(String::new, |task| format!(":{task}"));
    format!("<!-- omk:pull:{}{task}:{definition} -->", request.scope)
}

/// Markdown of at most [`LIMIT`] bytes.
#[must_use]
pub fn body(text: &PullText<'_>) -> String {
    let mut body = format!("{}\n{}\n", text.marker, opening(text));
    match text.about {
        About::Run => body.push_str(&of_run(text.view)),
        About::Task { task, with } => body.push_str(&of_task(task, with)),
    }
    body.push_str(&gates(text));
    let proof = match text.about {
        About::Run => RUN_PROOF,
        About::Task { task, .. } => task.id.as_str(),
    };
    if let Some(proofs) = text.proofs {
        body.push_str(&format!(
            "\n<details><summary>Proof, and how to verify it</summary>\n\n{}\n</details>\n",
            verifying(proofs, proof)
        ));
    }
    body.push_str(&format!("\n{}\n", notes(text).join("\n")));
    body.push_str(&foot(text));
    // The marker is ours; what follows must not look like one.
    let (marker, rest) = body.split_at(text.marker.len());
    let rest = without_markers(rest);
    let room = LIMIT - marker.len();
    let rest = if rest.len() > room {
        text::clip_lines(&rest, 1_000, room)
    } else {
        rest
    };
    format!("{marker}{rest}")
}

fn opening(text: &PullText<'_>) -> String {
    let who = code(&text.request.trigger.actor, 60);
    let asked = match (text.request.trigger.event, &text.request.trigger.comment) {
        (Event::Comment, Some(url)) => format!("{who} asked for it {}", link("in a comment", url)),
        (Event::Comment, None) => format!("{who} asked for it in a comment"),
        (Event::Manual, _) => format!("{who} ran it by hand"),
        (Event::Schedule, _) => "by schedule".to_owned(),
        (Event::Dispatch, _) => match text.request.forge {
            ForgeKind::GitHub => format!("{who} dispatched it"),
            ForgeKind::GitLab => format!("{who} ran the pipeline"),
        },
    };
    let judged = match text.view.judged_by {
        Some(JudgedBy::SeparateJob) => "judged in a job of its own",
        Some(JudgedBy::SameJob) => "judged by the job that ran it",
        None => "not judged",
    };
    format!(
        "Made by omk's run `{}`: {asked}; {judged}.",
        text.request.run
    )
}

/// The tasks that are on the result, with their commits there.
fn landed(view: &View) -> Vec<(&TaskView, &Tip)> {
    let mut landed = Vec::new();
    for task in &view.tasks {
        if let TaskStage::Completed {
            landed: Some(tip),
            ejected: None,
        } = &task.stage
        {
            landed.push((task, tip));
        }
    }
    landed
}

fn of_run(view: &View) -> String {
    let tasks = landed(view);
    let mut text = String::from("\n| task | what | files | commit |\n|-|-|-:|-|\n");
    for (task, tip) in tasks.iter().take(TASKS) {
        let (files, commit) = (task.paths.len(), tip.commit.short());
        text.push_str(&format!(
            "| `{}` | {} | {files} | `{commit}` |\n",
            task.id,
            inert(&task.name, 80)
        ));
    }
    if tasks.len() > TASKS {
        text.push_str(&format!("\n{} more.\n", tasks.len() - TASKS));
    }
    let failed = view
        .tasks
        .iter()
        .filter(|task| task.stage.mark() == Mark::Bad)
        .count();
    if failed > 0 {
        text.push_str(&format!(
            "\n⚠️ {} not in here: the run is not ready.\n",
            text::plural(failed, "task")
        ));
    }
    if tasks.len() > ROWS {
        let count = text::plural(tasks.len(), "task");
        text = format!("\n<details><summary>{count}</summary>\n{text}\n</details>\n");
    }
    if let Some(graph) = mermaid::graph(view) {
        text.push_str(&format!(
            "\n<details><summary>Graph</summary>\n\n```mermaid\n{graph}```\n\n</details>\n"
        ));
    }
    text
}

fn of_task(task: &TaskView, with: &[TaskId]) -> String {
    let mut text = format!(
        "\nTask `{}`: {}, {}.\n",
        task.id,
        inert(&task.name, 120),
        text::plural(task.paths.len(), "file")
    );
    if !with.is_empty() {
        let names: Vec<String> = with.iter().map(ToString::to_string).collect();
        text.push_str(&format!(
            "\nIt is built on {}, whose commits are in here too. Merge those first, with a merge commit, and only its own remain.\n",
            super::inline::codes(&names, 10)
        ));
    }
    text
}

/// A line for each gate that needs a look, and the number of the others.
fn gates(text: &PullText<'_>) -> String {
    let gates = match text.about {
        About::Run => &text.view.gates,
        About::Task { task, .. } => &task.gates,
    };
    let (good, other): (Vec<_>, Vec<_>) =
        gates.iter().partition(|gate| gate_mark(gate) == Mark::Good);
    let mut out = String::from("\n");
    if gates.is_empty() {
        out.push_str("- ⚠️ no gate ran: nothing was verified\n");
    }
    if !good.is_empty() {
        let names: Vec<&str> = good.iter().map(|gate| gate.gate.as_str()).collect();
        let noun = if good.len() == 1 { "gate" } else { "gates" };
        out.push_str(&format!(
            "- {} {noun} {} passed\n",
            markdown::sign(Mark::Good),
            super::inline::codes(&names, 8)
        ));
    }
    for gate in other.iter().take(8) {
        out.push_str(&format!(
            "- {} gate `{}`: {}\n",
            markdown::sign(gate_mark(gate)),
            gate.gate,
            inert(&gate_told(gate), 160)
        ));
    }
    if other.len() > 8 {
        out.push_str(&format!("- {} more\n", other.len() - 8));
    }
    out
}

fn notes(text: &PullText<'_>) -> Vec<String> {
    let mut notes = vec![
        "- Updated in place by the next run; a commit that is not omk's stops that, and nothing of yours is overwritten."
            .to_owned(),
    ];
    if text.request.pull.is_none() {
        notes.push(
            "- Close it, and it is left alone until its definition in the plan changes.".to_owned(),
        );
    }
    if let Some(who) = &text.request.approved_by {
        notes.push(format!(
            "- The plan is the {}'s own, approved by {}.",
            text.request.forge.pull_request(),
            code(who, 60)
        ));
    }
    if text.starts == Starts::Approved {
        notes.push(
            "- Its checks wait for \"Approve workflows to run\" below, because GITHUB_TOKEN opened it; with an App's token \
             they start alone."
                .to_owned(),
        );
    }
    notes
}

fn foot(text: &PullText<'_>) -> String {
    format!(
        "\n<sub>run `{}` · base `{}` · plan {} `{}` · {} · omk {}</sub>\n",
        text.request.run,
        text.request.base.short(),
        code(&text.request.plan.path, 120),
        text.request.plan.digest.short(),
        link(
            text.request.forge.workflow_run(),
            &text.request.workflow.url
        ),
        inert(&text.view.omk, 40)
    )
}
