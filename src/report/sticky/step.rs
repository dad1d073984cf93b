//! What a person can do next, by the verdict.

use super::{the_run, watch};
use crate::fact::{Limit, RunVerdict};
use crate::report::inline::{code, link};
use crate::report::placed::Placed;
use crate::report::view::View;
use crate::request::Request;
use crate::text::ForgeKind;

/// What a person can do now, a sentence each.
pub(super) fn steps(request: &Request, view: &View, placed: &Placed) -> Vec<String> {
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

pub(super) fn limit(limited: Option<Limit>) -> &'static str {
    match limited {
        Some(Limit::Time) => "`limits: time`",
        Some(Limit::Tokens) => "`limits: tokens`",
        Some(Limit::Usd) => "`limits: usd`",
        None => "`limits`",
    }
}

/// How to try again.
pub(super) enum Again {
    /// What is proven is kept.
    Retry,
    /// From the beginning.
    Run,
}

pub(super) fn again(request: &Request, how: Again) -> String {
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

pub(super) fn workflow(request: &Request) -> String {
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
