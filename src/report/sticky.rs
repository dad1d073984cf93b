//! The sticky comment: one for each scope, edited in place, from "accepted" to what became of the
//! run.
//!
//! What a person needs lies open in under 25 lines; graph, table, logs and how to verify are
//! folded. Its hidden text is for display only. It refuses to grow over [`LIMIT`], and to let
//! anything inside it look like a marker of ours.

pub use super::lost::LostRun;

use super::inline::{code, codes, inert, link};
use super::markdown::{self, Around, Folding};
use super::placed::Placed;
use super::view::View;
use crate::fact::{Limit, RunVerdict};
use crate::id::Scope;
use crate::proof::RUN_PROOF;
use crate::request::{Ask, Request};
use crate::text::ForgeKind;

/// The most bytes of a comment: GitHub takes 65,536 characters.
pub const LIMIT: usize = 65_000;

/// Room for the marker and the hidden data.
const HIDDEN: usize = 700;

/// Troubles that are told.
const TOLD: usize = 4;

/// Pull requests that are named.
const PULLS: usize = 5;

/// What finds the comment again, among those that omk wrote.
#[must_use]
pub fn marker(scope: &Scope) -> String {
    format!("<!-- omk:sticky:{scope} -->")
}

/// The run is accepted, and will begin.
#[must_use]
pub fn accepted(request: &Request) -> String {
    let tasks = match &request.ask {
        Ask::Run { tasks } if tasks.is_empty() => "all tasks of the plan".to_owned(),
        Ask::Retry { tasks } if tasks.is_empty() => "the tasks that are not proven".to_owned(),
        Ask::Run { tasks } | Ask::Retry { tasks } => codes(
            &tasks.iter().map(ToString::to_string).collect::<Vec<_>>(),
            10,
        ),
    };
    let body = format!(
        "### 🔄 omk: accepted\n\nIt runs {tasks} on {}, with the plan {}, as {} asked. This comment will say {}.\n\n{}",
        place(request),
        plan(request),
        code(&request.trigger.actor, 60),
        match request.forge {
            ForgeKind::GitHub => "how it goes",
            // Each edit would start a pipeline, where a webhook starts them; so there is one, at
            // the end.
            ForgeKind::GitLab => "what came of it",
        },
        bullets(&[watch(request), end(request)]),
    );
    assemble(request, "accepted", None, &body)
}

/// The run is under way.
#[must_use]
pub fn running(request: &Request, view: &View) -> String {
    let next = format!("\n{}", bullets(&[watch(request), end(request)]));
    let around = Around {
        forge: request.forge,
        next: &next,
        tail: "",
        layout: Folding::Folded,
    };
    assemble(
        request,
        "running",
        None,
        &markdown::page(view, &around, LIMIT - HIDDEN),
    )
}

/// The run is over.
#[must_use]
pub fn ended(request: &Request, view: &View, placed: &Placed) -> String {
    assemble(
        request,
        "ended",
        view.verdict,
        &ended_body(request, view, placed, LIMIT - HIDDEN),
    )
}

/// The same without what is hidden, in at most so many bytes.
pub(super) fn ended_body(request: &Request, view: &View, placed: &Placed, limit: usize) -> String {
    let mut next = String::new();
    let what = delivered(request.forge, view, placed);
    if !what.is_empty() {
        next.push_str(&format!("\n{what}\n"));
    }
    next.push_str(&troubles(request.forge, placed));
    let steps = steps(request, view, placed);
    if !steps.is_empty() {
        next.push_str(&format!("\n{}", bullets(&steps)));
    }
    let tail = format!(
        "{}\n<sub>{}</sub>\n",
        how_to_verify(placed),
        workflow(request)
    );
    let around = Around {
        forge: request.forge,
        next: &next,
        tail: &tail,
        layout: Folding::Folded,
    };
    markdown::page(view, &around, limit)
}

/// The run is over, and nothing can be said of its result.
#[must_use]
pub fn lost(request: &Request, lost: &LostRun) -> String {
    assemble(
        request,
        "lost",
        Some(lost.verdict()),
        &lost_body(request, lost),
    )
}

/// The same without what is hidden.
pub(super) fn lost_body(request: &Request, lost: &LostRun) -> String {
    let sign = if *lost == LostRun::Cancelled {
        "⚪"
    } else {
        "❌"
    };
    let (mut delivered, mut steps) = (
        "Nothing was delivered.",
        vec![see(request), again(request, Again::Run)],
    );
    if let LostRun::Unpublished(..) = lost {
        delivered = "This attempt delivered nothing.";
        let again = match request.forge {
            ForgeKind::GitHub => "Re-run",
            ForgeKind::GitLab => "Retry",
        };
        steps.insert(
            1,
            format!("{again} the failed job there, once what was in its way has passed."),
        );
    }
    format!(
        "### {sign} omk: {}\n\n{} {delivered}\n\n{}\n<sub>run `{}` · base `{}` · asked for by {} · \
         {}</sub>\n",
        lost.verdict().as_str().replace('_', " "),
        inert(&lost.words(request.forge), 400),
        bullets(&steps),
        request.run,
        request.base.short(),
        code(&request.trigger.actor, 60),
        workflow(request),
    )
}

/// Marker, hidden data and body. Nothing in the body looks like a marker of ours.
fn assemble(request: &Request, state: &str, verdict: Option<RunVerdict>, body: &str) -> String {
    let data = serde_json::json!({
        "run": request.run,
        "base": request.base,
        "state": state,
        "verdict": verdict.map(RunVerdict::as_str),
        "workflow": request.workflow.id,
    });
    // Names of ours have no `>`, so nothing in the data ends the hidden text.
    format!(
        "{}\n<!-- omk:data {data} -->\n{}",
        marker(&request.scope),
        without_markers(body)
    )
}

/// The text with everything broken up that could be taken for a marker of ours.
pub(super) fn without_markers(text: &str) -> String {
    text.replace("<!-- omk:", "<!- - omk:")
}

/// Where the result is: one sentence; empty where there is nothing to be anywhere.
fn delivered(forge: ForgeKind, view: &View, placed: &Placed) -> String {
    let pulls: Vec<String> = placed
        .pulls
        .iter()
        .take(PULLS)
        .map(|one| pull(forge, one))
        .collect();
    let noun = forge.pull_request();
    let more = placed.pulls.len().saturating_sub(PULLS);
    let branches: Vec<&String> = placed.branches.iter().collect();
    match (pulls.as_slice(), branches.as_slice()) {
        ([], []) => match view.verdict {
            None | Some(RunVerdict::Neutral) => String::new(),
            Some(RunVerdict::Ready) => "**Nothing was delivered.**".to_owned(),
            Some(
                RunVerdict::NotReady
                | RunVerdict::NeedsMoreBudget
                | RunVerdict::BlockedOnExternal
                | RunVerdict::BlockedOnHuman
                | RunVerdict::FailedInfra
                | RunVerdict::Cancelled,
            ) => "**Nothing was delivered**: only what is ready is.".to_owned(),
        },
        ([], _) => format!("**Pushed** to {}.", codes(&branches, 5)),
        ([only], _) => format!("**Delivered** as {noun} {only}."),
        (several, _) => {
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            format!("**Delivered** as {noun}s {}{more}.", several.join(", "))
        }
    }
}

fn pull(forge: ForgeKind, pull: &super::Pull) -> String {
    let task = pull
        .task
        .as_ref()
        .map_or_else(String::new, |task| format!(" (`{task}`)"));
    format!("{}{task}", link(&forge.pull(pull.number), &pull.url))
}

fn troubles(forge: ForgeKind, placed: &Placed) -> String {
    let mut text = String::new();
    for trouble in placed.troubles.iter().take(TOLD) {
        text.push_str(&format!("\n> ⚠️ {}\n", inert(&trouble.words(forge), 600)));
    }
    match placed.troubles.len().saturating_sub(TOLD) {
        0 => {}
        more => {
            let place = match forge {
                ForgeKind::GitHub => "the workflow run's summary",
                ForgeKind::GitLab => "the log of the job that delivered it",
            };
            text.push_str(&format!("\n> {more} more, in {place}\n"));
        }
    }
    text
}

/// What a person can do now, a sentence each.
fn steps(request: &Request, view: &View, placed: &Placed) -> Vec<String> {
    let mut steps = Vec::new();
    if let (Some(compare), true) = (&placed.compare, placed.pulls.is_empty()) {
        steps.push(format!(
            "{} yourself.",
            link(
                &format!("Open the {}", request.forge.pull_request()),
                compare
            )
        ));
    }
    if let Some(branch) = placed.branches.first() {
        let take = format!(
            "git fetch origin {branch} && git diff {} FETCH_HEAD",
            view.base.commit.short()
        );
        steps.push(format!("Look at it here: {}", code(&take, 200)));
    }
    match view.verdict {
        Some(RunVerdict::Ready) => {
            if !placed.pulls.is_empty() {
                steps.push("Review it as you would a colleague's, and merge it.".to_owned());
            } else if let Some(branch) = placed.branches.first() {
                let take = format!("git fetch origin {branch} && git merge FETCH_HEAD");
                steps.push(format!("Take it: {}", code(&take, 200)));
            }
        }
        Some(RunVerdict::Neutral) => steps.push(neutral(view).to_owned()),
        Some(RunVerdict::NotReady) => {
            steps.push("See what failed above, and mend the task or the gate.".to_owned());
            steps.push(again(request, Again::Retry));
        }
        Some(RunVerdict::NeedsMoreBudget) => {
            steps.push(format!(
                "Raise {} in the plan on the default branch.",
                limit(view.limited)
            ));
            steps.push(again(request, Again::Retry));
        }
        Some(RunVerdict::BlockedOnExternal) => {
            steps.push(
                "Mend what blocks it outside: the provider's key, its credit, its limits."
                    .to_owned(),
            );
            steps.push(again(request, Again::Retry));
        }
        Some(RunVerdict::BlockedOnHuman) => {
            steps.push(
                "An approval is missing: read the changed plan, and approve it with `/omk approve DIGEST`.".to_owned(),
            );
        }
        Some(RunVerdict::FailedInfra) => {
            steps.push(format!(
                "The machine failed, not the work: {} says how.",
                the_run(request)
            ));
            steps.push(again(request, Again::Retry));
        }
        Some(RunVerdict::Cancelled) => steps.push(again(request, Again::Retry)),
        None => steps.push(watch(request)),
    }
    steps
}

fn neutral(view: &View) -> &'static str {
    if view.count().completed == 0 {
        "No task was selected: name one, or look at the `when` of each."
    } else if view
        .result
        .as_ref()
        .is_none_or(|result| result.commit == view.base.commit)
    {
        "Nothing needed to be changed: there is nothing to merge."
    } else {
        "Nothing was verified, so nothing is delivered: add a gate to the plan."
    }
}

fn limit(limited: Option<Limit>) -> &'static str {
    match limited {
        Some(Limit::Time) => "`limits: time`",
        Some(Limit::Tokens) => "`limits: tokens`",
        Some(Limit::Usd) => "`limits: usd`",
        None => "`limits`",
    }
}

fn how_to_verify(placed: &Placed) -> String {
    let Some(name) = &placed.proofs else {
        return String::new();
    };
    format!(
        "\n<details><summary>Proof, and how to verify it</summary>\n\n{}\n</details>\n",
        verifying(name, RUN_PROOF)
    )
}

/// How to verify a proof: commands that work as they stand, in a clone of the repository.
pub(super) fn verifying(proofs: &str, proof: &str) -> String {
    format!(
        "```sh\ngit fetch origin {proofs}\ngit show FETCH_HEAD:{proof}.json > proof.json\nomk verify proof.json\n```\n\nThe \
         ref holds a proof for each task that landed, one for the result, and the commits they speak of.\n"
    )
}

fn place(request: &Request) -> String {
    let commit = request.base.short();
    match &request.pull {
        Some(pull) => format!("`{commit}`, the head of {}", code(&pull.head, 80)),
        None => format!(
            "`{commit}`, the tip of {}",
            code(&request.default_branch, 80)
        ),
    }
}

fn plan(request: &Request) -> String {
    format!(
        "{} `{}`",
        code(&request.plan.path, 120),
        request.plan.digest.short()
    )
}

fn watch(request: &Request) -> String {
    format!("Watch it in {}.", the_run(request))
}

fn see(request: &Request) -> String {
    format!("See {} for what happened.", the_run(request))
}

fn the_run(request: &Request) -> String {
    link(
        &format!("the {}", request.forge.workflow_run()),
        &request.workflow.url,
    )
}

fn end(request: &Request) -> String {
    match request.pull {
        Some(_) => "End it with a comment `/omk cancel`.".to_owned(),
        None => format!("End it by cancelling the {}.", request.forge.workflow_run()),
    }
}

/// How to try again.
enum Again {
    /// What is proven is kept.
    Retry,
    /// From the beginning.
    Run,
}

fn again(request: &Request, how: Again) -> String {
    match (&request.pull, how) {
        (Some(_), Again::Retry) => {
            "Try again with a comment `/omk retry`: what is proven already is kept.".to_owned()
        }
        (Some(_), Again::Run) => "Start anew with a comment `/omk run`.".to_owned(),
        (None, Again::Retry | Again::Run) => match request.forge {
            ForgeKind::GitHub => "Try again by running the workflow once more.".to_owned(),
            ForgeKind::GitLab => {
                format!(
                    "Try again by running a new pipeline on {}.",
                    code(&request.default_branch, 80)
                )
            }
        },
    }
}

fn workflow(request: &Request) -> String {
    let forge = request.forge;
    let run = link(
        &format!("{} {}", forge.workflow_run(), request.workflow.id),
        &request.workflow.url,
    );
    let approved = request
        .approved_by
        .as_ref()
        .map_or_else(String::new, |who| {
            format!(
                " · the plan is the {}'s own, approved by {}",
                forge.pull_request(),
                code(who, 60)
            )
        });
    match forge {
        ForgeKind::GitHub => {
            let (attempt, scope, name) = (request.workflow.attempt, &request.scope, &request.run);
            format!("{run}, attempt {attempt}, artifact `omk-{scope}-{name}`{approved}")
        }
        ForgeKind::GitLab => format!("{run} and its artifacts{approved}"),
    }
}

fn bullets(lines: &[String]) -> String {
    lines.iter().map(|line| format!("- {line}\n")).collect()
}
