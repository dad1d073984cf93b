//! Checks: `omk` for the run, and one for each gate of the result, with its failing items at their
//! lines.
//!
//! At most [`GATES`] gates get a check of their own, those that need a look first; the rest share
//! one. It refuses names that our own jobs have, texts over a check's limit, and more remarks than
//! the forge can be told in one run.

mod remark;
mod gate;

use super::ink;
use super::inline::{code, inert};
use super::markdown::{self, Around, Folding};
use super::placed::Placed;
use super::view::View;
use crate::fact::RunVerdict;
use crate::request::Request;
use crate::text;

pub use gate::{GateCheck, GateEnd, gates};
pub use remark::{CheckRemark, all_remarks};

pub(super) use remark::is_in_the_tree;

/// The name of the run's check.
pub const NAME: &str = "omk";

/// The name of the check that gates share.
pub const OTHER_GATES: &str = "omk / other gates";

/// The check that validates a plan.
pub const PLAN: &str = "omk plan";

/// Gates with a check of their own.
pub const GATES: usize = 20;

/// Remarks of all checks of a run together: ten requests, so that a run stays polite.
pub const REMARKS: usize = 500;

/// The most bytes of a summary or text: GitHub refuses a summary over 65,535, and silently cuts a
/// text.
pub const LIMIT: usize = 65_000;

/// The most characters of a title: more is not shown in a list of checks.
const TITLE: usize = 140;

/// Names of jobs in our own workflows, shown as `omk / run` where a job called `omk` calls them:
/// no check may be named so.
const JOBS: [&str; 6] = ["intake", "gate", "run", "judge", "publish", "plan"];

/// What a check says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckText {
    /// Its name.
    pub name: String,
    /// One line.
    pub title: String,
    /// Markdown of at most [`LIMIT`] bytes.
    pub summary: String,
    /// Markdown of at most [`LIMIT`] bytes; may be empty.
    pub text: String,
    /// What is wrong at which lines.
    pub remarks: Vec<CheckRemark>,
}

/// The run is accepted, or under way.
#[must_use]
pub fn opened(request: &Request) -> CheckText {
    let summary = format!(
        "Run `{}` on `{}`, as {} asked.\n\n{}\n",
        request.run,
        request.base.short(),
        code(&request.trigger.actor, 60),
        watch(request)
    );
    named("under way".to_owned(), summary)
}

/// The run goes on, in a job that can tell of it meanwhile.
#[must_use]
pub fn running(request: &Request, view: &View) -> CheckText {
    let count = view.count();
    let title = format!(
        "{} of {} completed so far",
        count.completed,
        text::plural(count.all, "task")
    );
    let tail = format!("\n{}\n", watch(request));
    let around = Around {
        forge: request.forge,
        next: "",
        tail: &tail,
        layout: Folding::Open,
    };
    named(
        title,
        super::sticky::without_markers(&markdown::page(view, &around, LIMIT)),
    )
}

/// The run is over.
#[must_use]
pub fn ended(request: &Request, view: &View, placed: &Placed) -> CheckText {
    let count = view.count();
    let (words, _) = markdown::verdict(view);
    let forge = request.forge;
    let title = format!(
        "{words}: {} of {} completed",
        count.completed,
        text::plural(count.all, "task")
    );
    let mut next = String::new();
    for pull in placed.pulls.iter().take(5) {
        next.push_str(&format!(
            "\nDelivered as {}.\n",
            super::inline::link(&forge.pull(pull.number), &pull.url)
        ));
    }
    for trouble in placed.troubles.iter().take(5) {
        next.push_str(&format!("\n> ⚠️ {}\n", inert(&trouble.words(forge), 600)));
    }
    let run = format!("The {}", forge.workflow_run());
    let tail = format!("\n{}\n", super::inline::link(&run, &request.workflow.url));
    let around = Around {
        forge: request.forge,
        next: &next,
        tail: &tail,
        layout: Folding::Open,
    };
    named(
        title,
        super::sticky::without_markers(&markdown::page(view, &around, LIMIT)),
    )
}

fn watch(request: &Request) -> String {
    super::inline::link(
        &format!("Watch it in the {}", request.forge.workflow_run()),
        &request.workflow.url,
    )
}

/// The run is over, and nothing can be said of its result. `words` are those of its comment.
#[must_use]
pub fn lost(verdict: RunVerdict, words: &str) -> CheckText {
    named(
        format!(
            "{}: nothing was delivered",
            verdict.as_str().replace('_', " ")
        ),
        text::clip_lines(words, 60, 8_000),
    )
}

fn named(title: String, summary: String) -> CheckText {
    CheckText {
        name: NAME.to_owned(),
        title: ink::line(&title, TITLE),
        summary,
        text: String::new(),
        remarks: Vec::new(),
    }
}

/// The name of a gate's check.
#[must_use]
pub fn gate_name(gate: &str) -> String {
    // A required check of that name could not tell our gate from our job.
    if JOBS.contains(&gate) {
        format!("{NAME} / {gate} (gate)")
    } else {
        format!("{NAME} / {gate}")
    }
}
