//! Why something is not done, with all that a person needs to be told.
//!
//! It refuses to hold the words for them: those are in `report::reply`. What `Display` gives is for logs.

use crate::id::CommitId;
use crate::plan::Permission;

/// Why a command is not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The comment is our own. Nobody is told.
    #[error("the comment is our own")]
    Ours,
    /// Whoever wrote the comment has no account any more.
    #[error("the account that wrote the comment is gone")]
    Gone,
    /// A bot that the plan does not list by this login and this number.
    #[error("the bot {login:?} with id {id} is not listed in `commands.bots`")]
    Bot {
        /// Its name.
        login: String,
        /// Its number.
        id: u64,
    },
    /// They may too little here, or the forge does not say what they may.
    #[error("{login:?} needs {} here, and the forge says {said:?}", needs.as_str())]
    Permission {
        /// Who.
        login: String,
        /// What the plan asks for.
        needs: Permission,
        /// What the forge calls the right they have; `None` = it does not know them, or does not say.
        said: Option<String>,
    },
    /// The comment was changed after it was written.
    #[error("the comment was edited")]
    Edited,
    /// The comment is on an issue.
    #[error("this is not a pull request")]
    NotAPullRequest,
    /// The pull request is closed.
    #[error("the pull request is {}", if *merged { "merged" } else { "closed" })]
    Closed {
        /// Whether it was merged.
        merged: bool,
    },
    /// The pull request comes from another repository.
    #[error("the pull request comes from another repository")]
    Fork,
    /// The repository that the pull request came from is gone.
    #[error("the pull request's repository is gone")]
    HeadGone,
    /// The pull request is to be merged into a branch that anybody who can push may have made.
    #[error("the base branch {branch:?} is neither the default branch nor protected")]
    Base {
        /// The base branch.
        branch: String,
        /// The default branch.
        default_branch: String,
    },
    /// It is not known which commit the person saw.
    #[error("the head {head} is not known to be what the comment is about: {why}")]
    Unpinned {
        /// The pull request's head now.
        head: CommitId,
        /// Why not.
        why: Unpinned,
    },
    /// The commit that the person named is not the head.
    #[error("{named} is not the head, which is {head}")]
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
    /// Whether nobody is told: an answer to ourselves would have no end.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        *self == Self::Ours
    }
}
