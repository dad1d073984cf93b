//! What is said where something is not done.

use super::{code, inert, link, short, told};
use crate::command::Malformed;
use crate::id::{CommitId, TaskId};
use crate::plan::Complaints;
use crate::text;
use crate::trust::{Refusal, Unpinned};

const SIGN: &str = "😕";

/// Complaints that are shown of one comment; a comment holds few lines that could be more.
const SHOWN: usize = 3;

/// Lines and bytes of what is shown as it is.
const LINES: usize = 14;
const BYTES: usize = 6_000;

/// Why a command is not carried out. Empty where nobody is to be told.
#[must_use]
pub fn refused(refusal: &Refusal) -> String {
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
            &format!("Nothing was done: the bot {} may give no commands here", code(login)),
            "A bot is obeyed only if the plan on the default branch lists it by login and id.",
            &format!(
                "To allow it, add `{{ login: {}, id: {id} }}` to `commands.bots` of the plan on the default branch.",
                yaml(login)
            ),
        ),
        Refusal::Permission { login, needs, said } => told(
            SIGN,
            &format!("Nothing was done: {} may not give commands here", code(login)),
            &match said {
                Some(said) => format!(
                    "The plan on the default branch asks for the permission `{}`; the forge says {}.",
                    needs.as_str(),
                    code(said)
                ),
                None => format!(
                    "The plan on the default branch asks for the permission `{}`, and the forge does not say that they \
                     have it.",
                    needs.as_str()
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
            "omk works on pull requests, and this is an issue",
            "A command is about the head of a pull request; an issue has none.",
            "Write it in a comment on a pull request. Maintenance runs start by a schedule or by hand, in the Actions tab.",
        ),
        Refusal::Closed { merged } => told(
            SIGN,
            &format!("Nothing was done: the pull request is {}", if *merged { "merged" } else { "closed" }),
            "A run's result would have nowhere to go, and its branches were removed.",
            if *merged {
                "Open a new pull request, and write the command there."
            } else {
                "Reopen it, and write the command in a new comment."
            },
        ),
        Refusal::Fork => told(
            SIGN,
            "Nothing was done: the pull request comes from a fork",
            "Its code is somebody else's until it is merged; omk runs nothing of it beside a token or a key.",
            "Somebody with write access can push the branch to this repository, after reading it, and open a pull request \
             from there.",
        ),
        Refusal::HeadGone => told(
            SIGN,
            "Nothing was done: the repository that the pull request came from is gone",
            "Who could have written to it cannot be told any more.",
            "Push the branch to this repository, after reading it, and open a pull request from there.",
        ),
        Refusal::Base { branch, default_branch } => told(
            SIGN,
            &format!("Nothing was done: the base branch {} is not trusted", code(branch)),
            "Tasks and gates are read from the base branch. Whoever can push can make such a branch and point the pull \
             request at it, so it counts only if it is the default branch or protected.",
            &format!("Protect {}, or change the pull request's base to {}.", code(branch), code(default_branch)),
        ),
        Refusal::Unpinned { head, why } => {
            told(SIGN, "Nothing was done: it is not certain which commit you saw", unpinned(*why), &name_the_head(head))
        }
        Refusal::NotTheHead { named, head } => told(
            SIGN,
            &format!("Nothing was done: `{}` is not the head", short(named.as_str())),
            &format!("The pull request's head is `{}` now. A run is built on the head only.", short(head.as_str())),
            &name_the_head(head),
        ),
    }
}

fn unpinned(why: Unpinned) -> &'static str {
    match why {
        Unpinned::NoRecord => "The forge has no record of when the head was pushed.",
        Unpinned::OtherCommit => "The forge's newest record of a push to the branch is not of its head.",
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
    format!("\"{}\"", text::clip(&word.chars().filter(plain).collect::<String>(), super::WORD))
}

/// Lines that cannot be understood, each with its place, and what can be asked.
#[must_use]
pub fn malformed(all: &[Malformed]) -> String {
    if all.is_empty() {
        return String::new();
    }
    let shown: Vec<String> = all.iter().take(SHOWN).map(Malformed::render).collect();
    let mut block = shown.join("\n");
    if all.len() > SHOWN {
        block.push_str(&format!("\n{} not shown\n", text::plural(all.len() - SHOWN, "more mistake")));
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
    let first = unknown.first().and_then(|id| crate::plan::nearest(id.as_str(), tasks.iter().map(TaskId::as_str)));
    let meant = first.map(|task| format!(" Did you mean `{task}`?")).unwrap_or_default();
    told(
        SIGN,
        &format!("Nothing was started: the plan has no {} {}", noun, names(unknown)),
        &format!("{} has: {}.{meant}", code(plan_path), names(tasks)),
        "Name tasks of the plan, or none for all of them.",
    )
}

/// The plan that would be used has mistakes. `whose` names the commit's place: `the default branch`.
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
pub fn no_plan(plan_path: &str, whose: &str) -> String {
    told(
        SIGN,
        &format!("Nothing was done: there is no {}", code(plan_path)),
        &format!("It is read from {}, and is not there.", inert(whose)),
        "Write one with `omk init`, and merge it; or set the action's input `plan` to where it is.",
    )
}

/// A run of this scope is under way.
#[must_use]
pub fn busy(workflow_url: &str) -> String {
    told(
        SIGN,
        "Nothing was started: a run is under way here",
        &format!("{} works on this pull request. Two would race for its branches.", link("Another run", workflow_url)),
        "Wait for it, or end it with `/omk cancel`, and ask again.",
    )
}

/// The forge, or something else outside, did not do its part. `what` is what was to be done; `why` fits after "failed to",
/// as errors do, and is scrubbed.
#[must_use]
pub fn could_not(what: &str, why: &str) -> String {
    told(
        SIGN,
        &format!("omk could not {}", inert(what)),
        &format!("It failed to {}.", inert(why)),
        "Write the command again in a new comment. If it fails again, the log of the job tells more.",
    )
}

#[cfg(test)]
mod tests;
