//! What is said where something is not done.

use super::{code, inert, link, told};
use crate::command::Malformed;
use crate::id::{CommitId, TaskId};
use crate::plan::Complaints;
use crate::text::{self, ForgeKind};
use crate::trust::{Refusal, Unpinned};

const SIGN: &str = "😕";

/// Complaints that are shown of one comment; a comment holds few lines that could be more.
const SHOWN: usize = 3;

/// Lines and bytes of what is shown as it is.
const LINES: usize = 14;
const BYTES: usize = 6_000;

/// Why a command is not carried out. Empty where nobody is to be told.
#[must_use]
pub fn refused(forge: ForgeKind, refusal: &Refusal) -> String {
    let (pull, base) = (forge.pull_request(), forge.base_branch());
    match refusal {
        Refusal::Ours => String::new(),
        Refusal::Gone => told(
            SIGN,
            "Nothing was done: the account that asked is gone",
            "omk asks the forge what the author of a comment may do here, and it knows of no author.",
            "Somebody with the permission can write the same command in a new comment.",
        ),
        Refusal::Bot { login, id } => told(
            SIGN,
            &format!(
                "Nothing was done: the bot {} may give no commands here",
                code(login)
            ),
            "A bot is obeyed only if the plan on the default branch lists it by login and id.",
            &format!(
                "To allow it, add `{{ login: {}, id: {id} }}` to `commands.bots` of the plan on the default branch.",
                yaml(login)
            ),
        ),
        Refusal::Permission { login, needs, said } => told(
            SIGN,
            &format!(
                "Nothing was done: {} may not give commands here",
                code(login)
            ),
            &match said {
                Some(said) => format!(
                    "The plan on the default branch asks for {}; the forge says {}.",
                    forge.right(needs.as_str()),
                    code(said)
                ),
                None => format!(
                    "The plan on the default branch asks for {}, and the forge does not say that they have it.",
                    forge.right(needs.as_str())
                ),
            },
            "Somebody who has it can write the same command. Who may is set by `commands.permission` of the plan.",
        ),
        Refusal::Edited => told(
            SIGN,
            "Nothing was done: the comment was edited",
            "What it said when others read it cannot be told any more.",
            "Write the command in a new comment.",
        ),
        Refusal::NotAPullRequest => told(
            SIGN,
            &format!("omk works on {pull}s, and this is an issue"),
            &format!("A command is about the head of a {pull}; an issue has none."),
            &format!(
                "Write it in a comment on a {pull}. Maintenance runs start by a schedule or by hand, {}.",
                forge.runs_page()
            ),
        ),
        Refusal::Closed { merged } => told(
            SIGN,
            &format!(
                "Nothing was done: the {pull} is {}",
                if *merged { "merged" } else { "closed" }
            ),
            "A run's result would have nowhere to go, and its branches were removed.",
            &if *merged {
                format!("Open a new {pull}, and write the command there.")
            } else {
                "Reopen it, and write the command in a new comment.".to_owned()
            },
        ),
        Refusal::Fork => told(
            SIGN,
            &format!("Nothing was done: the {pull} comes from a fork"),
            "Its code is somebody else's until it is merged; omk runs nothing of it beside a token or a key.",
            &format!(
                "Somebody with {} can push the branch to this {}, after reading it, and open a {pull} from there.",
                match forge {
                    ForgeKind::GitHub => "write access",
                    ForgeKind::GitLab => "the role Developer",
                },
                forge.repository()
            ),
        ),
        Refusal::HeadGone => told(
            SIGN,
            &format!(
                "Nothing was done: the {} that the {pull} came from is gone",
                forge.repository()
            ),
            "Who could have written to it cannot be told any more.",
            &format!(
                "Push the branch to this {}, after reading it, and open a {pull} from there.",
                forge.repository()
            ),
        ),
        Refusal::Base {
            branch,
            default_branch,
        } => told(
            SIGN,
            &format!(
                "Nothing was done: the {base} {} is not trusted",
                code(branch)
            ),
            &format!(
                "Tasks and gates are read from the {base}. Whoever can push can make such a branch and point the {pull} at it, \
                 so it counts only if it is the default branch or protected."
            ),
            &match forge {
                ForgeKind::GitHub => {
                    format!(
                        "Protect {}, or change the {pull}'s base to {}.",
                        code(branch),
                        code(default_branch)
                    )
                }
                ForgeKind::GitLab => format!(
                    "Protect {} (Settings > Repository > Protected branches), or change the {pull}'s {base} to {}.",
                    code(branch),
                    code(default_branch)
                ),
            },
        ),
        Refusal::Unpinned { head, why } => told(
            SIGN,
            "Nothing was done: it is not certain which commit you saw",
            unpinned(*why),
            &name_the_head(head),
        ),
        Refusal::NotTheHead { named, head } => told(
            SIGN,
            &format!("Nothing was done: `{}` is not the head", named.short()),
            &format!(
                "The {pull}'s head is `{}` now. A run is built on the head only.",
                head.short()
            ),
            &name_the_head(head),
        ),
    }
}

fn unpinned(why: Unpinned) -> &'static str {
    match why {
        Unpinned::NoRecord => "The forge has no record of when the head was pushed.",
        Unpinned::OtherCommit => {
            "The forge's newest record of a push to the branch is not of its head."
        }
        Unpinned::SameSecond => "The head was pushed in the same second in which you wrote.",
        Unpinned::Later => "The head was pushed after you wrote.",
    }
}

fn name_the_head(head: &CommitId) -> String {
    format!("Look at the head. If that is what you mean, name it:\n\n```text\n/omk run {head}\n```")
}

/// A word for YAML, in a piece of code.
fn yaml(word: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || "-_.[]".contains(*c);
    format!(
        "\"{}\"",
        text::clip(&word.chars().filter(plain).collect::<String>(), super::WORD)
    )
}

/// Lines that cannot be understood, each with its place, and what can be asked.
#[must_use]
pub fn malformed(forge: ForgeKind, all: &[Malformed]) -> String {
    if all.is_empty() {
        return String::new();
    }
    let shown: Vec<String> = all
        .iter()
        .take(SHOWN)
        .map(|malformed| malformed.render(forge))
        .collect();
    let mut block = shown.join("\n");
    if all.len() > SHOWN {
        block.push_str(&format!(
            "\n{} not shown\n",
            text::plural(all.len() - SHOWN, "more mistake")
        ));
    }
    let what = match all {
        [_] => "A command was not understood".to_owned(),
        _ => format!("{} were not understood", text::plural(all.len(), "command")),
    };
    format!(
        "{SIGN} **{what}**\n\n{}\nWrite it right in a new comment; `/omk help` shows what can be asked.\n",
        text::fenced(&block)
    )
}

/// Tasks were named that the plan does not have; what was probably meant by the first is guessed.
#[must_use]
pub fn unknown_tasks(unknown: &[TaskId], plan_path: &str, tasks: &[TaskId]) -> String {
    let names = |ids: &[TaskId]| {
        let mut names: Vec<String> = ids.iter().take(20).map(|id| format!("`{id}`")).collect();
        if ids.len() > 20 {
            names.push(format!("{} more", ids.len() - 20));
        }
        names.join(", ")
    };
    let noun = if unknown.len() == 1 { "task" } else { "tasks" };
    let first = unknown
        .first()
        .and_then(|id| crate::plan::nearest(id.as_str(), tasks.iter().map(TaskId::as_str)));
    let meant = first
        .map(|task| format!(" Did you mean `{task}`?"))
        .unwrap_or_default();
    told(
        SIGN,
        &format!(
            "Nothing was started: the plan has no {} {}",
            noun,
            names(unknown)
        ),
        &format!("{} has: {}.{meant}", code(plan_path), names(tasks)),
        "Name tasks of the plan, or none for all of them.",
    )
}

/// The plan that would be used has mistakes. `whose` names the commit's place: `the default
/// branch`.
#[must_use]
pub fn plan_mistakes(complaints: &Complaints, whose: &str) -> String {
    let shown = text::clip_lines(&complaints.render(), LINES, BYTES);
    format!(
        "{SIGN} **Nothing was started: the plan of {} has {}**\n\n{}\nMend it there; `omk plan` shows the same on a laptop.\n",
        inert(whose),
        text::plural(complaints.len(), "mistake"),
        text::fenced(&shown)
    )
}

/// There is no plan where it should be.
#[must_use]
pub fn no_plan(forge: ForgeKind, plan_path: &str, whose: &str) -> String {
    told(
        SIGN,
        &format!("Nothing was done: there is no {}", code(plan_path)),
        &format!("It is read from {}, and is not there.", inert(whose)),
        &format!(
            "Write one with `omk init`, and merge it; or set {} `plan` to where it is.",
            forge.input()
        ),
    )
}

/// `/omk retry` finds nothing to go on from, so that the run is a full one.
#[must_use]
pub fn nothing_kept_of_earlier(forge: ForgeKind) -> String {
    let what = match forge {
        ForgeKind::GitHub => "No artifact of this workflow holds the state of one",
        ForgeKind::GitLab => "No artifacts of omk's pipelines hold the state of one",
    };
    let gone = match forge {
        ForgeKind::GitHub => "it is gone, or there was none",
        ForgeKind::GitLab => "they are gone, or there were none",
    };
    told(
        "⚪",
        "Nothing is kept of an earlier run",
        &format!("{what}: {gone}. So this is a full run."),
        "",
    )
}

/// No run of the scope has left a proof.
#[must_use]
pub fn no_proofs(forge: ForgeKind) -> String {
    told(
        "⚪",
        "There is nothing to verify",
        &format!(
            "No run of this {} has left a proof at `refs/omk/proofs/`: one is pushed with every delivered result.",
            forge.pull_request()
        ),
        "Start a run with `/omk run`.",
    )
}

/// A run of this scope is under way.
#[must_use]
pub fn busy(forge: ForgeKind, workflow_url: &str) -> String {
    told(
        SIGN,
        "Nothing was started: a run is under way here",
        &format!(
            "{} works on this {}. Two would race for its branches.",
            link("Another run", workflow_url),
            forge.pull_request()
        ),
        "Wait for it, or end it with `/omk cancel`, and ask again.",
    )
}

/// The forge, or something else outside, did not do its part. `what` is what was to be done; `why`
/// is a clause, and scrubbed.
#[must_use]
pub fn could_not(what: &str, why: &str) -> String {
    told(
        SIGN,
        &format!("omk could not {}", inert(what)),
        &format!("The reason: {}.", inert(why)),
        "Write the command again in a new comment. If it fails again, the log of the job tells more.",
    )
}

/// The run may be ended by others, and not by the account that omk speaks as.
#[must_use]
pub fn may_not_cancel(forge: ForgeKind, workflow_url: &str) -> String {
    let (why, next) = match forge {
        ForgeKind::GitHub => (
            format!(
                "{} goes on: to end it, omk's token needs `actions: write`.",
                link("The run", workflow_url)
            ),
            "Somebody who may can end it there. Or give the job that answers `actions: write`, and write the command again.",
        ),
        ForgeKind::GitLab => (
            format!(
                "{} goes on: on a protected branch GitLab lets only those end one who may merge there, and omk's account may \
                 not.",
                link("The pipeline", workflow_url)
            ),
            "Somebody who may can end it there. Or let omk's account merge (Settings > Repository > Protected branches), and \
             write the command again.",
        ),
    };
    told(
        SIGN,
        "Nothing was cancelled: omk may not do that here",
        &why,
        next,
    )
}

#[cfg(test)]
mod tests;
