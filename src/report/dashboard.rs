//! The dashboard of a maintenance plan: one issue, edited in place, with its last run, open
//! results, and earlier runs.
//!
//! Earlier runs are read back from its own hidden text, which is for display only and decides
//! nothing. It refuses to believe a word of it beyond that, and to grow over [`LIMIT`].

use serde::{Deserialize, Serialize};

use super::inline::{inert, link};
use super::placed::Placed;
use super::sticky::{self, LostRun};
use super::view::View;
use crate::fact::RunVerdict;
use crate::id::{Moment, RunId, Scope};
use crate::request::Request;
use crate::text::{self, ForgeKind};

/// The most bytes of an issue's body: GitHub takes 65,536 characters.
pub const LIMIT: usize = 65_000;

/// Room for everything beside the last run: the runs in their table and hidden, and the open
/// results.
const BESIDE: usize = 25_000;

/// Runs that are remembered.
const RUNS: usize = 30;

/// Open results that are listed.
const OPEN: usize = 30;

/// A run, as the dashboard remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DashboardRun {
    /// The run.
    pub run: RunId,
    /// When it was over.
    pub at: Moment,
    /// How.
    pub verdict: RunVerdict,
    /// Tasks that completed.
    pub completed: u32,
    /// Tasks that took part.
    pub tasks: u32,
    /// The workflow run's address.
    pub url: String,
}

/// A pull request of the plan that waits to be merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenPullRequest {
    /// Its number.
    pub number: u64,
    /// Its address for people.
    pub url: String,
    /// Its branch.
    pub branch: String,
}

/// How the last run ended.
#[derive(Debug, Clone, Copy)]
pub enum Last<'a> {
    /// With a verdict of its own.
    Ended(&'a View, &'a Placed),
    /// Without anything that can be believed.
    Lost(&'a LostRun),
}

/// What finds the issue again, among those that omk opened.
#[must_use]
pub fn marker(scope: &Scope) -> String {
    format!("<!-- omk:dashboard:{scope} -->")
}

/// The title.
#[must_use]
pub fn title(scope: &Scope) -> String {
    format!("omk: maintenance `{scope}`")
}

/// The runs that a dashboard's body remembers, newest first; none where that makes no sense.
#[must_use]
pub fn runs(body: &str) -> Vec<DashboardRun> {
    let hidden = body
        .split_once(HIDDEN)
        .and_then(|(_, rest)| rest.split_once(" -->"));
    hidden
        .and_then(|(json, _)| serde_json::from_str(json).ok())
        .unwrap_or_default()
}

const HIDDEN: &str = "<!-- omk:runs ";

/// Markdown of at most [`LIMIT`] bytes. `open` is `None` where nobody has looked; `earlier` are the
/// runs that the old body remembered.
#[must_use]
pub fn body(
    request: &Request,
    last: Last<'_>,
    at: Moment,
    open: Option<&[OpenPullRequest]>,
    earlier: &[DashboardRun],
) -> String {
    let (text, verdict, count) = match last {
        Last::Ended(view, placed) => {
            let text = sticky::ended_body(request, view, placed, LIMIT - BESIDE);
            (
                text,
                view.verdict.unwrap_or(RunVerdict::FailedInfra),
                view.count(),
            )
        }
        Last::Lost(lost) => (
            sticky::lost_body(request, lost),
            lost.verdict(),
            super::Count::default(),
        ),
    };
    let over = match last {
        Last::Ended(view, _) => view.ended.unwrap_or(at),
        Last::Lost(_) => at,
    };
    let this = DashboardRun {
        run: request.run.clone(),
        at: over,
        verdict,
        completed: u32::try_from(count.completed).unwrap_or(u32::MAX),
        tasks: u32::try_from(count.all).unwrap_or(u32::MAX),
        url: request.workflow.url.clone(),
    };
    let mut entries = vec![this];
    entries.extend(
        earlier
            .iter()
            .filter(|entry| entry.run != request.run)
            .cloned(),
    );
    entries.retain(|entry| !link("", &entry.url).is_empty());
    entries.truncate(RUNS);
    let hidden = serde_json::to_string(&entries).unwrap_or_default();
    format!(
        "{}\n{HIDDEN}{hidden} -->\n{}{}{}",
        marker(&request.scope),
        sticky::without_markers(&text),
        open.map_or_else(String::new, |open| results(request.forge, open)),
        table(&entries)
    )
}

fn results(forge: ForgeKind, open: &[OpenPullRequest]) -> String {
    if open.is_empty() {
        return "\n**Open results:** none.\n".to_owned();
    }
    let mut out = format!(
        "\n<details><summary>{}</summary>\n\n",
        text::plural(open.len(), "open result")
    );
    for pull in open.iter().take(OPEN) {
        out.push_str(&format!(
            "- {} {}\n",
            link(&forge.pull(pull.number), &pull.url),
            inert(&pull.branch, 120)
        ));
    }
    if open.len() > OPEN {
        out.push_str(&format!("- {} more\n", open.len() - OPEN));
    }
    out.push_str("\n</details>\n");
    out
}

fn table(entries: &[DashboardRun]) -> String {
    let count = text::plural(entries.len(), "run");
    let mut out = format!(
        "\n<details><summary>Last {count}</summary>\n\n| run | over | verdict | tasks |\n|-|-|-|-:|\n"
    );
    for entry in entries {
        let when = entry.at.to_utc().format("%Y-%m-%d %H:%M");
        let verdict = entry.verdict.as_str().replace('_', " ");
        let (run, tasks) = (
            link(entry.run.as_str(), &entry.url),
            format!("{} of {}", entry.completed, entry.tasks),
        );
        out.push_str(&format!("| {run} | {when} UTC | {verdict} | {tasks} |\n"));
    }
    out.push_str("\n</details>\n");
    out
}
