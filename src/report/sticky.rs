//! The sticky comment: one for each scope, edited in place, from "accepted" to what became of the
//! run.
//!
//! What a person needs lies open in under 25 lines; graph, table, logs and how to verify are
//! folded. Its hidden text is for display only. It refuses to grow over [`LIMIT`], and to let
//! anything inside it look like a marker of ours.

mod delivery;
mod step;

use super::inline::{code, codes, inert, link};
use super::markdown::{self, Around, Folding};
use super::placed::Placed;
use super::view::View;
use crate::fact::RunVerdict;
use crate::id::Scope;
use crate::proof::RUN_PROOF;
use crate::request::{Ask, Request};
use crate::text::ForgeKind;
use delivery::{delivered, troubles};
use step::{Again, again, steps, workflow};

pub use super::lost::LostRun;

/// The most bytes of a comment: GitHub takes 65,536 characters.
pub const LIMIT: usize = 65_000;

/// Room for the marker and the hidden data.
const HIDDEN: usize = 700;

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

fn bullets(lines: &[String]) -> String {
    lines.iter().map(|line| format!("- {line}\n")).collect()
}
