//! Why something is not done, with all that a person needs to be told.
//!
//! It refuses to hold the words for them: those are in `report::reply`. What [`Refusal::words`]
//! gives is for logs.

use crate::id::CommitId;
use crate::plan::Permission;
use crate::text::ForgeKind;

/// Why a command is not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The comment is our own. Nobody is told.
    Ours,
    /// Whoever wrote the comment has no account any more.
    Gone,
    /// A bot that the plan does not list by this login and this number.
    Bot {
        /// Its name.
        login: String,
        /// Its number.
        id: u64,
    },
    /// They may too little here, or the forge does not say what they may.
    Permission {
        /// Who.
        login: String,
        /// What the plan asks for.
        needs: Permission,
        /// What the forge calls the right they have; `None` = it does not know them, or does not
        /// say.
        said: Option<String>,
    },
    /// The comment was changed after it was written.
    Edited,
    /// The comment is on an issue.
    NotAPullRequest,
    /// The pull request is closed.
    Closed {
        /// Whether it was merged.
        merged: bool,
    },
    /// The pull request comes from another repository.
    Fork,
    /// The repository that the pull request came from is gone.
    HeadGone,
    /// The pull request is to be merged into a branch that anybody who can push may have made.
    Base {
        /// The base branch.
        branch: String,
        /// The default branch.
        default_branch: String,
    },
    /// It is not known which commit the person saw.
    Unpinned {
        /// The pull request's head now.
        head: CommitId,
        /// Why not.
        why: Unpinned,
    },
    /// The commit that the person named is not the head.
    NotTheHead {
        /// What they named.
        named: CommitId,
        /// The pull request's head now.
        head: CommitId,
    },
}

/// Why a head cannot be told to be what a comment is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unpinned {
    /// The forge has no record of a push to the branch.
    #[error("there is no record of a push")]
    NoRecord,
    /// The newest record is of another commit.
    #[error("the newest push is of another commit")]
    OtherCommit,
    /// It was pushed in the second of the comment.
    #[error("it was pushed in the second of the comment")]
    SameSecond,
    /// It was pushed after the comment.
    #[error("it was pushed after the comment")]
    Later,
}

impl Refusal {
    /// A clause for the log of a job, in a forge's words.
    #[must_use]
    pub fn words(&self, forge: ForgeKind) -> String {
        let (pull, repository) = (forge.pull_request(), forge.repository());
        match self {
            Self::Ours => "the comment is our own".to_owned(),
            Self::Gone => "the account that wrote the comment is gone".to_owned(),
            Self::Bot { login, id } => {
                format!("the bot {login:?} with id {id} is not listed in `commands.bots`")
            }
            Self::Permission { login, needs, said } => match forge {
                ForgeKind::GitHub => format!(
                    "{login:?} needs {} here, and the forge says {said:?}",
                    needs.as_str()
                ),
                ForgeKind::GitLab => {
                    let said = said
                        .as_ref()
                        .map_or_else(|| "nothing of them".to_owned(), |said| format!("{said:?}"));
                    format!(
                        "{login:?} needs {} here, and the forge says {said}",
                        forge.right(needs.as_str())
                    )
                }
            },
            Self::Edited => "the comment was edited".to_owned(),
            Self::NotAPullRequest => format!("this is not a {pull}"),
            Self::Closed { merged } => format!(
                "the {pull} is {}",
                if *merged { "merged" } else { "closed" }
            ),
            Self::Fork => format!("the {pull} comes from another {repository}"),
            Self::HeadGone => format!("the {pull}'s {repository} is gone"),
            Self::Base {
                branch,
                default_branch: _,
            } => {
                format!(
                    "the {} {branch:?} is neither the default branch nor protected",
                    forge.base_branch()
                )
            }
            Self::Unpinned { head, why } => {
                format!("the head {head} is not known to be what the comment is about: {why}")
            }
            Self::NotTheHead { named, head } => format!("{named} is not the head, which is {head}"),
        }
    }

    /// Whether nobody is told: an answer to ourselves would have no end.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        *self == Self::Ours
    }
}
