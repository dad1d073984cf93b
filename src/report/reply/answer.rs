//! What is said where something was done.

use super::{code, folded, link, short, told};
use crate::command::{self, PlanDigest};
use crate::id::{CommitId, RunId, Sha256, TaskId};
use crate::proof::Checked;
use crate::text;

/// What can be asked.
#[must_use]
pub fn help() -> String {
    format!(
        "**What omk can be asked**\n\n{}\nA command is a line of its own in a comment on a pull request, outside code, quotes \
         and HTML. Tasks are named by id. `run` and `retry` take the head's full commit id too, to say which one you saw.\n",
        text::fenced(&command::help())
    )
}

/// A run starts.
#[must_use]
pub fn accepted(run: &RunId, base: &CommitId, tasks: &[TaskId], workflow_url: &str) -> String {
    let what = match tasks {
        [] => "all tasks".to_owned(),
        [task] => format!("`{task}`"),
        [first, rest @ ..] => format!("`{first}` and {}", text::plural(rest.len(), "more task")),
    };
    told(
        "👀",
        &format!("Run `{run}` starts"),
        &format!("It does {what} on `{}`. {}.", short(base.as_str()), link("Its jobs", workflow_url)),
        "The check `omk` shows where it stands; `/omk cancel` ends it.",
    )
}

/// A plan is approved. `current` is the digest of the plan at the pull request's head, if it differs from the base's.
#[must_use]
pub fn approved(given: &PlanDigest, login: &str, current: Option<&Sha256>) -> String {
    let digest = short(given.as_str());
    match current {
        Some(current) if given.begins(current) => told(
            "👍",
            &format!("The plan `{digest}` is approved by {}", code(login)),
            "It counts as long as that comment is there, unedited, and its author has the permission.",
            "Start it with `/omk run`. Delete the comment to take the approval back.",
        ),
        Some(current) => told(
            "😕",
            &format!("`{digest}` is not the plan of this pull request"),
            &format!("At the head it is `{}` now; it may have been changed since you looked.", short(current.as_str())),
            "Look at it again in the check `omk plan`, and approve the digest that it shows.",
        ),
        None => told(
            "👍",
            "There is nothing to approve",
            "The pull request does not change the plan; the one of its base branch is used.",
            "Start it with `/omk run`.",
        ),
    }
}

/// Where the scope's newest run stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing<'a> {
    /// The commit that was looked at.
    pub head: &'a CommitId,
    /// The title and address of the check `omk` on it, where there is one.
    pub check: Option<(&'a str, &'a str)>,
    /// The address of the workflow run, where one is under way.
    pub workflow_url: Option<&'a str>,
    /// The address of the sticky comment, where there is one.
    pub comment_url: Option<&'a str>,
}

/// Where the run stands.
#[must_use]
pub fn status(standing: &Standing<'_>) -> String {
    let head = short(standing.head.as_str());
    let Some((title, url)) = standing.check else {
        let more = standing
            .comment_url
            .map_or_else(String::new, |url| format!(" {} tells of an earlier one.", link("The report", url)));
        return told(
            "⚪",
            &format!("No run on the head `{head}`"),
            &format!("It has no check `omk`.{more}"),
            "Start one with `/omk run`.",
        );
    };
    let mut links = vec![link("Check", url)];
    links.extend(standing.comment_url.map(|url| link("report", url)));
    links.extend(standing.workflow_url.map(|url| link("jobs", url)));
    let (sign, next) = match standing.workflow_url {
        Some(_) => ("🔄", "`/omk cancel` ends it."),
        None => ("⚪", "`/omk retry` runs again what is not proven."),
    };
    told(
        sign,
        &format!("On `{head}`: {}", text::inert_markdown(&text::clip(title, super::WORD))),
        &format!("{}.", links.join(", ")),
        next,
    )
}

/// The run is being ended.
#[must_use]
pub fn cancelled(workflow_url: &str) -> String {
    told(
        "🛑",
        "The run is being cancelled",
        &format!(
            "{} ends within seconds. What it finished is kept as an artifact, and not delivered.",
            link("It", workflow_url)
        ),
        "Start again with `/omk retry`, which keeps what is proven, or with `/omk run`.",
    )
}

/// There is no run to end.
#[must_use]
pub fn nothing_to_cancel(head: &CommitId) -> String {
    told(
        "⚪",
        "There is nothing to cancel",
        &format!("No check `omk` is in progress on the head `{}`.", short(head.as_str())),
        "A run on an earlier commit can be ended in the Actions tab. `/omk status` shows where things stand.",
    )
}

/// What `/omk verify` found: proofs by name, each held against the repository.
#[must_use]
pub fn verified(run: &RunId, proofs: &[(String, Checked)]) -> String {
    if proofs.is_empty() {
        return told(
            "😕",
            "There is nothing to verify",
            &format!("Run `{run}` left no proof: one is written for every task whose change landed."),
            "Start a run with `/omk run`.",
        );
    }
    let broken = proofs.iter().filter(|(_, checked)| !checked.holds()).count();
    let count = text::plural(proofs.len(), "proof");
    let (sign, what) = match broken {
        0 => ("✅", format!("{count} of run `{run}` checked: all hold")),
        _ => ("❌", format!("{count} of run `{run}` checked: {broken} not holding")),
    };
    let mut all =
        proofs.iter().flat_map(|(_, checked)| checked.remarks.iter().map(ToString::to_string)).collect::<Vec<_>>();
    all.dedup();
    format!("{sign} **{what}**\n\n{}", folded("Each proof", &text::fenced(&list(proofs, &all))))
}

fn list(proofs: &[(String, Checked)], remarks: &[String]) -> String {
    let mut out = String::new();
    for (name, checked) in proofs {
        out.push_str(&format!(
            "{}  {}\n",
            if checked.holds() { "holds " } else { "BROKEN" },
            text::clip(name, super::WORD)
        ));
        out.extend(checked.findings.iter().map(|finding| format!("        - {finding}\n")));
    }
    out.extend(remarks.iter().map(|remark| format!("({remark})\n")));
    text::clip_lines(&out, 400, 20_000)
}
