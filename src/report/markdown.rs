//! The view as Markdown, for comments, job summaries and checks.
//!
//! Most important first: the verdict, what failed and why, how to look at it and take it; then the
//! graph, the table and the logs as far as there is room. It refuses to grow over its limit, and to
//! leave anything out without saying so.

mod failure;
mod table;
mod log;

use super::inline::inert;
use super::next::steps;
use super::view::{Mark, View};
use super::{ink, mermaid, room};
use crate::fact::RunVerdict;
use crate::text::{self, ForgeKind};
use failure::{failures, next_steps};
use log::logs;
use table::table;

/// The most bytes of a comment. GitHub takes 65,536 characters; the rest is left for a marker and a
/// link.
pub const COMMENT_LIMIT: usize = 64_000;

/// The most bytes of a job summary. GitHub takes 1 MiB for a step.
pub const SUMMARY_LIMIT: usize = 1_000_000;

/// The least limit that is kept: what the fixed parts may need.
const LEAST_LIMIT: usize = 16_000;

/// Characters of what a room does not hold: all exceptions by name, and a reason of a line.
const ROOM: usize = 600;

/// Lines and bytes of a failed command as it was written: enough to see which it is.
const COMMAND_LINES: usize = 12;
const COMMAND_BYTES: usize = 1_000;

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

/// A command as it was written, fenced.
pub(super) fn asked(command: &str) -> String {
    let asked = text::clip_lines(
        &text::escape_invisible(command.trim()),
        COMMAND_LINES,
        COMMAND_BYTES,
    );
    text::fenced(&asked).replacen("text\n", "sh\n", 1)
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
