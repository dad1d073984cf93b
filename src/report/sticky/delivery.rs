//! What was delivered, and what was in the way.

use crate::fact::RunVerdict;
use crate::report::inline::{codes, inert, link};
use crate::report::placed::Placed;
use crate::report::view::View;
use crate::text::ForgeKind;

/// Troubles that are told.
const TOLD: usize = 4;

/// Pull requests that are named.
const PULLS: usize = 5;

/// Where the result is: one sentence; empty where there is nothing to be anywhere.
pub(super) fn delivered(forge: ForgeKind, view: &View, placed: &Placed) -> String {
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

pub(super) fn pull(forge: ForgeKind, pull: &crate::report::Pull) -> String {
    let task = pull
        .task
        .as_ref()
        .map_or_else(String::new, |task| format!(" (`{task}`)"));
    format!("{}{task}", link(&forge.pull(pull.number), &pull.url))
}

pub(super) fn troubles(forge: ForgeKind, placed: &Placed) -> String {
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
