//! What next: how to look at a result, how to take it, and what to do where there is none.
//!
//! It refuses to guess: every step is a command that works as it stands, or a sentence.

use super::view::{TaskStage, View};
use crate::fact::{Class, Limit, RunVerdict};

/// Something that a person can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextStep {
    /// What for, in a word or two: `look`, `take`.
    pub what: String,
    /// A command line; empty where words must do.
    pub command: String,
    /// Words beside the command, or in its place.
    pub words: String,
}

impl NextStep {
    fn command(what: &str, command: String) -> Self {
        Self {
            what: what.to_owned(),
            command,
            words: String::new(),
        }
    }

    fn words(what: &str, words: &str) -> Self {
        Self {
            what: what.to_owned(),
            command: String::new(),
            words: words.to_owned(),
        }
    }
}

/// The steps after this run, most useful first.
#[must_use]
pub fn steps(view: &View) -> Vec<NextStep> {
    let mut steps = Vec::new();
    if view
        .result
        .as_ref()
        .is_some_and(|result| result.commit != view.base.commit)
    {
        let base = view.base.commit.short();
        steps.push(NextStep::command(
            "look",
            format!("git diff {base} {}", view.branch),
        ));
        if view.verdict == Some(RunVerdict::Ready) {
            steps.push(NextStep::command(
                "take",
                format!("git merge {}", view.branch),
            ));
        }
    }
    let resume = |words: &str| NextStep {
        what: "go on".to_owned(),
        command: format!("omk resume {}", view.run),
        words: words.to_owned(),
    };
    match view.verdict {
        None | Some(RunVerdict::Ready) => {}
        Some(RunVerdict::Neutral) => {
            let words = if view.count().completed == 0 {
                "no task was selected"
            } else if view
                .result
                .as_ref()
                .is_none_or(|result| result.commit == view.base.commit)
            {
                "no task changed anything"
            } else {
                "nothing was verified: add a gate to the plan"
            };
            steps.push(NextStep::words("note", words));
        }
        Some(RunVerdict::NotReady) => {
            let unplaced = view.unplaced.as_ref();
            steps.extend(unplaced.map(|branch| {
                resume(&format!(
                    "moves `{branch}` to the result, once nothing holds it"
                ))
            }));
            steps.extend(try_again(view, ""));
        }
        Some(RunVerdict::NeedsMoreBudget) => steps.push(resume(match view.limited {
            Some(Limit::Time) => "with more `limits: time`",
            Some(Limit::Tokens) => "with more `limits: tokens`",
            Some(Limit::Usd) => "with more `limits: usd`",
            None => "with higher `limits`",
        })),
        Some(RunVerdict::BlockedOnExternal) => {
            steps.push(resume(blocked(view)));
        }
        Some(RunVerdict::BlockedOnHuman) => {
            steps.push(NextStep::words("note", "an approval is missing"));
        }
        Some(RunVerdict::FailedInfra) => {
            let words = "once the machine is well again";
            steps.push(try_again(view, words).unwrap_or_else(|| resume(words)));
        }
        // Only what was interrupted can go on; what was cancelled is so for good.
        Some(RunVerdict::Cancelled) => {
            let count = view.count();
            let unfinished = count.completed + count.failed + count.cancelled < count.all;
            steps.extend((unfinished || count.cancelled == 0).then(|| resume("")));
        }
    }
    steps.extend(view.next.iter().map(|words| NextStep::words("note", words)));
    steps
}

/// A new run that keeps what completed; `None` if no task failed or was taken out, so that it would
/// end the same way.
fn try_again(view: &View, words: &str) -> Option<NextStep> {
    let undone = |stage: &TaskStage| {
        matches!(
            stage,
            TaskStage::Failed
                | TaskStage::Completed {
                    ejected: Some(_),
                    ..
                }
        )
    };
    let failed = view.tasks.iter().any(|task| undone(&task.stage));
    let command = "omk retry".to_owned();
    failed.then(|| NextStep {
        what: "try again".to_owned(),
        command,
        words: words.to_owned(),
    })
}

fn blocked(view: &View) -> &'static str {
    let class = view
        .tasks
        .iter()
        .filter(|task| task.stage == TaskStage::Failed)
        .find_map(|task| task.failure.as_ref().map(|failure| failure.class));
    match class {
        Some(Class::Auth) => "once the provider's key is right",
        Some(Class::Config) => "once the setup is right",
        Some(Class::Quota) => "once there is credit",
        Some(Class::RateLimit) => "once the provider has room",
        Some(
            Class::Gate
            | Class::Command
            | Class::Scope
            | Class::Refused
            | Class::Context
            | Class::Conflict
            | Class::Provider
            | Class::Timeout
            | Class::Hung
            | Class::Host
            | Class::Lost
            | Class::NoChange
            | Class::Steps,
        ) => "once the provider is back",
        // No task has failed: it is the result that could not be judged.
        None => "once that is mended",
    }
}
