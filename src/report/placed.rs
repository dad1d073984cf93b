//! Where a run's result went, and what was in the way: plain words for the texts that tell it, each
//! forge's own.
//!
//! It refuses Markdown: each text escapes for where it goes.

use crate::id::{CommitId, RunId, TaskId};
use crate::text::ForgeKind;

/// Where a run's result went.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placed {
    /// The result, or all of it that was asked for, is where the plan wants it.
    pub delivered: bool,
    /// Branches that are where they should be, without `refs/heads/`.
    pub branches: Vec<String>,
    /// The ref that holds the proofs.
    pub proofs: Option<String>,
    /// Pull requests with the result.
    pub pulls: Vec<Pull>,
    /// Where a person can open the pull request that omk may not open.
    pub compare: Option<String>,
    /// What was in the way, most important first.
    pub troubles: Vec<DeliveryObstacle>,
}

/// A pull request with a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// Its number.
    pub number: u64,
    /// Its address for people.
    pub url: String,
    /// The task, where each has one of its own.
    pub task: Option<TaskId>,
}

/// What stood between a result and its place. Says what, why and what next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryObstacle {
    /// The repository does not let the token open pull requests.
    PullsNotAllowed,
    /// The branch to be pushed to has moved; the result became a pull request.
    HeadMoved {
        /// The branch.
        branch: String,
        /// Where it is now.
        now: CommitId,
    },
    /// The branch to be pushed to refuses it; the result became a pull request.
    HeadRefused {
        /// The branch.
        branch: String,
        /// The forge's words.
        said: String,
    },
    /// The head has moved since; the result is of the pinned one.
    Behind {
        /// The branch.
        branch: String,
        /// Where it is now.
        now: CommitId,
    },
    /// The branch that the result is for does not exist any more.
    TargetGone {
        /// The branch.
        branch: String,
    },
    /// The remote refuses one ref; the others are there.
    RefRefused {
        /// The branch, or the ref's full name.
        name: String,
        /// The forge's words.
        said: String,
    },
    /// Somebody else's commit is on a branch of ours.
    Foreign {
        /// The branch.
        branch: String,
        /// Its tip.
        tip: CommitId,
    },
    /// The branch of the result holds that of a run which began later.
    Overtaken {
        /// The later run.
        by: RunId,
    },
    /// A person closed the pull request, and its task is still the same.
    Closed {
        /// The pull request.
        number: u64,
        /// The task, where each has a pull request of its own.
        task: Option<TaskId>,
    },
    /// So many pull requests are open that no more are opened.
    Full {
        /// The plan's `deliver: limit`.
        limit: u32,
        /// Tasks that wait.
        waiting: usize,
    },
    /// The result could not be pushed.
    PushRefused {
        /// Why, in the words of git or the forge.
        said: String,
    },
    /// The token may not write checks.
    NoChecks {
        /// Whether a commit status tells it instead.
        instead: Instead,
    },
    /// The token is not good any more.
    TokenGone {
        /// What was not done, after "could not": `write the comment`.
        undone: String,
    },
    /// Something else; a sentence.
    Other(String),
}

/// What tells the verdict where checks are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instead {
    /// A commit status.
    Status,
    /// Nothing.
    Nothing,
}

/// The setting that lets `GITHUB_TOKEN` open pull requests, in GitHub's words.
pub const PULLS_SETTING: &str = "Allow GitHub Actions to create and approve pull requests";

impl DeliveryObstacle {
    /// A sentence of plain text, in a forge's words: what, why, and what next.
    #[must_use]
    pub fn words(&self, forge: ForgeKind) -> String {
        let pull = forge.pull_request();
        match self {
            Self::PullsNotAllowed => pulls_not_allowed(forge),
            Self::HeadMoved { branch, now } => format!(
                "`{branch}` is at {} now, so the result was not pushed onto it: it is delivered as a {pull} instead",
                now.short()
            ),
            Self::Behind { branch, now } => format!(
                "`{branch}` has moved since, to {}: the result is of the commit it was asked for on, and the merge may \
                 want your eye",
                now.short()
            ),
            Self::TargetGone { branch } => format!(
                "`{branch}` is gone, so there is nothing to merge the result into: its own branch is pushed, and can be \
                 merged elsewhere"
            ),
            Self::RefRefused { name, said } => {
                let rule = match forge {
                    ForgeKind::GitHub => "a rule of the repository covers it",
                    ForgeKind::GitLab => {
                        "a protected branch or a push rule covers it (Settings > Repository)"
                    }
                };
                format!("`{name}` was refused ({said}) and is left out; see whether {rule}")
            }
            Self::HeadRefused { branch, said } => {
                format!(
                    "`{branch}` refuses the push ({said}): the result is delivered as a {pull} instead"
                )
            }
            Self::Foreign { branch, tip } => format!(
                "the branch `{branch}` holds a commit that is not omk's ({}): it was left alone. Merge, rename or delete \
                 it, then retry",
                tip.short()
            ),
            Self::Overtaken { by } => format!(
                "a newer run, {by}, has delivered already: this older result does not take its place, and is in the \
                 {}",
                artifact(forge)
            ),
            Self::Closed { number, task } => {
                let whose = task
                    .as_ref()
                    .map_or(String::new(), |task| format!(" of task `{task}`"));
                let number = match forge {
                    ForgeKind::GitHub => number.to_string(),
                    ForgeKind::GitLab => forge.pull(*number),
                };
                format!(
                    "the {pull} {number}{whose} was closed by a person: it is left alone until its definition in \
                     the plan changes. Reopen it to have it updated again"
                )
            }
            Self::Full { limit, waiting } => format!(
                "{} not opened: the plan allows {limit} at once (`deliver: limit`). Merge or close some, and they follow \
                 at the next run; their branches are pushed",
                match waiting {
                    1 => format!("1 more {pull} was"),
                    more => format!("{more} more {pull}s were"),
                }
            ),
            Self::PushRefused { said } => {
                let again = match forge {
                    ForgeKind::GitHub => {
                        "`omk publish` can be repeated once that is mended, with a token that may push (`contents: write`)"
                    }
                    ForgeKind::GitLab => {
                        "retry the job that delivers once that is mended, with an access token that may push (role Developer, \
                         scope `write_repository`)"
                    }
                };
                format!(
                    "the result could not be pushed ({said}). It is in the {}; {again}",
                    artifact(forge)
                )
            }
            Self::NoChecks { instead } => no_checks(forge, *instead),
            Self::TokenGone { undone } => {
                let again = match forge {
                    ForgeKind::GitHub => "repeat `omk publish` with a fresh token",
                    ForgeKind::GitLab => {
                        "put a fresh token of the same account into the variable `OMK_TOKEN` (Settings > CI/CD > Variables), \
                         and retry the job that delivers"
                    }
                };
                format!(
                    "the token is not good any more (401), so omk could not {undone}. What was pushed stays; {again}"
                )
            }
            Self::Other(sentence) => sentence.clone(),
        }
    }
}

fn pulls_not_allowed(forge: ForgeKind) -> String {
    match forge {
        ForgeKind::GitHub => format!(
            "the pull request could not be opened: this repository does not let the token do it. Open it yourself, \
             or turn on \"{PULLS_SETTING}\" (Settings, Actions, General) and give the job `pull-requests: write`, or \
             give omk an App's token; the result is pushed and safe"
        ),
        ForgeKind::GitLab => {
            "the merge request could not be opened: this project does not let the token do it. Open it yourself, or see \
             that merge requests are on (Settings > General > Visibility, project features, permissions), and that \
             `OMK_TOKEN` (Settings > CI/CD > Variables) is an access token with the role Developer and the scope \
             `api`; the result is pushed and safe"
                .to_owned()
        }
    }
}

fn no_checks(forge: ForgeKind, instead: Instead) -> String {
    let instead = match instead {
        Instead::Status => "a commit status tells the verdict instead",
        Instead::Nothing => "this text alone tells the verdict",
    };
    match forge {
        ForgeKind::GitHub => format!(
            "the token may not write checks: {instead}. Use GITHUB_TOKEN with `checks: write`, or an App's token; \
             a personal one cannot"
        ),
        ForgeKind::GitLab => format!(
            "the token may not write commit statuses: {instead}. On a protected branch it takes the right to merge there, too \
             (Settings > Repository > Protected branches); elsewhere the role Developer and the scope `api` (`OMK_TOKEN`, \
             Settings > CI/CD > Variables)"
        ),
    }
}

/// Where a run's result is that was not delivered, behind "the".
fn artifact(forge: ForgeKind) -> &'static str {
    match forge {
        ForgeKind::GitHub => "run's artifact",
        ForgeKind::GitLab => "artifacts of the job that ran it",
    }
}
