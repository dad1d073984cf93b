//! What is said where something was done.

use super::{code, folded, inert, link, told};
use crate::command::{self, PlanDigest};
use crate::id::{CommitId, RunId, Sha256, TaskId};
use crate::proof::{Checked, Worth};
use crate::text::{self, ForgeKind};

/// Lines and bytes of a list of proofs.
const LINES: usize = 300;
const BYTES: usize = 20_000;

/// What can be asked.
#[must_use]
pub fn help(forge: ForgeKind) -> String {
    format!(
        "**What omk can be asked**\n\n{}\nA command is a line of its own in a comment on a {}, outside code, quotes and HTML. \
         Tasks are named by id. `run` and `retry` take the head's full commit id too, to say which one you saw.\n",
        text::fenced(&command::help(forge)),
        forge.pull_request()
    )
}

/// A run starts.
#[must_use]
pub fn accepted(
    forge: ForgeKind,
    run: &RunId,
    base: &CommitId,
    tasks: &[TaskId],
    workflow_url: &str,
) -> String {
    let what = match tasks {
        [] => "all tasks".to_owned(),
        [task] => format!("`{task}`"),
        [first, rest @ ..] => format!("`{first}` and {}", text::plural(rest.len(), "more task")),
    };
    told(
        "👀",
        &format!("Run `{run}` starts"),
        &format!(
            "It does {what} on `{}`. {}.",
            base.short(),
            link("Its jobs", workflow_url)
        ),
        &format!(
            "The {} `omk` shows where it stands; `/omk cancel` ends it.",
            forge.check()
        ),
    )
}

/// Somebody who may approves a plan. `current` is the digest of the plan at the pull request's
/// head; `None` = the pull request does not change it.
#[must_use]
pub fn approved(
    forge: ForgeKind,
    given: &PlanDigest,
    login: &str,
    current: Option<&Sha256>,
) -> String {
    let digest = given.short();
    match current {
        Some(current) if given.begins(current) => {
            let why = "It counts as long as that comment is there, unedited, and its author has the permission.";
            let next = "Start it with `/omk run`. Delete the comment to take the approval back.";
            let what = format!("The plan `{digest}` is approved by {}", code(login));
            let some =
                "Give all 64 digits next time: who writes two plans can make them begin alike.";
            let why = if given.is_whole() {
                why.to_owned()
            } else {
                format!("{why} {some}")
            };
            told("👍", &what, &why, next)
        }
        Some(current) => told(
            "😕",
            &format!(
                "`{digest}` is not the plan of this {}",
                forge.pull_request()
            ),
            &format!(
                "At the head it is `{}` now; it may have been changed since you looked.",
                current.short()
            ),
            &format!(
                "Look at it again in {}, and approve the digest that it shows.",
                forge.plan_shown()
            ),
        ),
        None => told(
            "👍",
            "There is nothing to approve",
            &format!(
                "The {} does not change the plan; the one of its {} is used.",
                forge.pull_request(),
                forge.base_branch()
            ),
            "Start it with `/omk run`.",
        ),
    }
}

/// Where the scope's newest run stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeStanding<'a> {
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
pub fn status(forge: ForgeKind, standing: &ScopeStanding<'_>) -> String {
    let head = standing.head.short();
    let Some((title, url)) = standing.check else {
        let more = standing.comment_url.map_or_else(String::new, |url| {
            format!(" {} tells of an earlier one.", link("The report", url))
        });
        return told(
            "⚪",
            &format!("No run on the head `{head}`"),
            &format!("It has no {} `omk`.{more}", forge.check()),
            "Start one with `/omk run`.",
        );
    };
    let check = match forge {
        ForgeKind::GitHub => "Check",
        ForgeKind::GitLab => "Commit status",
    };
    let mut links = vec![link(check, url)];
    links.extend(standing.comment_url.map(|url| link("report", url)));
    links.extend(standing.workflow_url.map(|url| link("jobs", url)));
    let (sign, next) = match standing.workflow_url {
        Some(_) => ("🔄", "`/omk cancel` ends it."),
        None => ("⚪", "`/omk retry` runs again what is not proven."),
    };
    told(
        sign,
        &format!("On `{head}`: {}", inert(title)),
        &format!("{}.", links.join(", ")),
        next,
    )
}

/// The run is being ended.
#[must_use]
pub fn cancelled(forge: ForgeKind, workflow_url: &str) -> String {
    let (why, next) = match forge {
        ForgeKind::GitHub => (
            format!(
                "{} ends within seconds. What it finished is kept as an artifact, and not delivered.",
                link("The run", workflow_url)
            ),
            "Start again with `/omk retry`, which keeps what is proven, or with `/omk run`.",
        ),
        // A job that is cancelled there need not upload its artifacts.
        ForgeKind::GitLab => (
            format!(
                "{} ends within seconds. Nothing of it is delivered.",
                link("The pipeline", workflow_url)
            ),
            "Start again with `/omk retry`, which keeps what is proven where the pipeline left it, or with `/omk run`.",
        ),
    };
    told("🛑", "The run is being cancelled", &why, next)
}

/// There is no run to end.
#[must_use]
pub fn nothing_to_cancel(forge: ForgeKind, head: &CommitId) -> String {
    let page = forge.runs_page();
    told(
        "⚪",
        "There is nothing to cancel",
        &format!(
            "No {} `omk` is in progress on the head `{}`.",
            forge.check(),
            head.short()
        ),
        &format!(
            "A run on an earlier commit can be ended {page}. `/omk status` shows where things stand."
        ),
    )
}

/// The run that the check names is not ours to end: it is of another workflow or repository.
#[must_use]
pub fn not_ours_to_cancel(forge: ForgeKind, workflow_url: &str) -> String {
    let (what, why) = match forge {
        ForgeKind::GitHub => (
            "Nothing was cancelled: the run that the check names is not one of this workflow",
            "Anybody who can write checks can make one that names another run, so omk ends only runs of its own workflow here.",
        ),
        ForgeKind::GitLab => (
            "Nothing was cancelled: the pipeline that the commit status names is not one of omk's",
            "Anybody who can write a commit status can make one that names another pipeline, so omk ends only its own in this \
             project.",
        ),
    };
    let next = format!(
        "If it is to end, somebody who may can do it there: {}.",
        link(forge_run(forge), workflow_url)
    );
    told("😕", what, why, &next)
}

fn forge_run(forge: ForgeKind) -> &'static str {
    match forge {
        ForgeKind::GitHub => "the run",
        ForgeKind::GitLab => "the pipeline",
    }
}

/// A retry that keeps nothing; said beside [`accepted`]. `why` is scrubbed.
#[must_use]
pub fn nothing_kept(why: &str) -> String {
    told(
        "ℹ️",
        "All tasks start anew",
        &format!("Nothing of the last run can be kept: {}.", inert(why)),
        "A retry keeps what was proven on the same base with the same plan, as long as the last run's artifact is there.",
    )
}

/// What `/omk verify` found: proofs by name, each held against the repository.
#[must_use]
pub fn verified(run: &RunId, proofs: &[(String, Checked)]) -> String {
    if proofs.is_empty() {
        return told(
            "😕",
            "There is nothing to verify",
            &format!(
                "Run `{run}` left no proof: one is written for every task whose change landed."
            ),
            "Start a run with `/omk run`.",
        );
    }
    let worth = || proofs.iter().map(|(_, checked)| checked.worth());
    let (sign, next) = match worth().find(|worth| *worth != Worth::Ready) {
        None => ("✅", "`omk verify` checks the same on a laptop, offline."),
        Some(_) if worth().any(|worth| worth == Worth::Broken) => ("❌", BROKEN),
        Some(_) => ("❌", "The proofs are true, and say what is not ready."),
    };
    let what = format!(
        "{} of run `{run}` checked: {}",
        text::plural(proofs.len(), "proof"),
        in_all(worth())
    );
    let why = "Statement, digests, commit, tree, plan and rules of each were held against this repository.";
    format!(
        "{}\n{}",
        told(sign, &what, why, next),
        folded("Each proof", &text::fenced(&list(proofs)))
    )
}

/// What proofs are worth together.
#[must_use]
pub fn in_all(proofs: impl Iterator<Item = Worth>) -> String {
    let (mut broken, mut not_ready) = (0, 0);
    for worth in proofs {
        match worth {
            Worth::Ready => {}
            Worth::NotReady(_) => not_ready += 1,
            Worth::Broken => broken += 1,
        }
    }
    let held = match broken {
        0 => "all hold".to_owned(),
        1 => "1 does not hold".to_owned(),
        more => format!("{more} do not hold"),
    };
    match not_ready {
        0 => held,
        1 => format!("{held}, 1 says that it is not ready"),
        more => format!("{held}, {more} say that they are not ready"),
    }
}

const BROKEN: &str =
    "What does not hold is no evidence: do not merge on its word. `/omk run` makes it anew.";

fn list(proofs: &[(String, Checked)]) -> String {
    let mut out = String::new();
    let mut remarks: Vec<String> = Vec::new();
    for (name, checked) in proofs {
        out.push_str(&format!(
            "{:6}  {}\n",
            checked.worth(),
            text::clip(name, super::WORD)
        ));
        out.extend(
            checked
                .findings
                .iter()
                .map(|finding| format!("        - {finding}\n")),
        );
        for remark in checked.remarks.iter().map(ToString::to_string) {
            if !remarks.contains(&remark) {
                remarks.push(remark);
            }
        }
    }
    out.extend(remarks.iter().map(|remark| format!("({remark})\n")));
    text::clip_lines(&out, LINES, BYTES)
}

#[cfg(test)]
mod tests;
