//! Who may do what, on which commit, with which plan: decisions about what a forge says, as plain
//! functions.
//!
//! Everything fails closed: what is not known, not read, or not listed is refused, with a reason
//! that a person can act on. It refuses to ask anybody; the caller looks things up.

mod commit;
mod person;
mod refusal;

pub use commit::{base_is_trusted, is_open, pinned, same_repository};
pub use person::{approved_by, granted, may, unedited};
pub use refusal::{Refusal, Unpinned};

use serde::{Deserialize, Serialize};

use crate::id::{CommitId, Moment};

/// Somebody at a forge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The forge's number of them, which stays when they are renamed.
    pub id: u64,
    /// Their name; `name[bot]` for a GitHub App.
    pub login: String,
    /// Whether the forge calls them a bot.
    pub bot: bool,
}

/// What a forge says of somebody's rights on a repository, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PermissionAnswer {
    /// The coarse word: `admin`, `write`, `read`, `none`.
    pub permission: String,
    /// The role's name, which may be a custom one.
    pub role_name: Option<String>,
    /// The rights one by one, where the forge lists them.
    pub rights: Option<Rights>,
    /// Whether the forge calls them a bot, where it says so only when it is asked about them.
    pub bot: bool,
}

/// Rights on a repository, one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rights {
    /// May sort issues.
    pub triage: bool,
    /// May push.
    pub push: bool,
    /// May change some settings.
    pub maintain: bool,
    /// May do all.
    pub admin: bool,
}

/// A comment, as the forge has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// The forge's number of it.
    pub id: u64,
    /// Who wrote it; `None` where the account is gone.
    pub author: Option<Account>,
    /// What it says, as Markdown.
    pub body: String,
    /// When it was made.
    pub created: Moment,
    /// When it was last changed; `created` where it never was.
    pub updated: Moment,
    /// Its address for people.
    pub url: String,
}

/// One side of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullSide {
    /// The branch, without `refs/heads/`.
    pub branch: String,
    /// Its tip.
    pub commit: CommitId,
    /// The repository's number; `None` where it is gone.
    pub repository: Option<u64>,
}

/// A pull request or merge request, as the forge has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// Whether it is open.
    pub open: bool,
    /// What is to be merged.
    pub head: PullSide,
    /// Where to.
    pub base: PullSide,
    /// Its address for people.
    pub url: String,
    /// Who opened it; `None` where the account is gone.
    pub author: Option<Account>,
    /// Whether it was merged.
    pub merged: bool,
    /// Its hidden and visible text.
    pub body: String,
}

/// The forge's own record of a branch having been moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// Where to; all zeros where the branch was deleted.
    pub after: CommitId,
    /// When, by the forge's clock, to the second.
    pub at: Moment,
}

/// A branch, as the forge has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForgeBranch {
    /// Its tip.
    pub commit: CommitId,
    /// Whether the forge protects it.
    pub protected: bool,
}

#[cfg(test)]
mod tests;
