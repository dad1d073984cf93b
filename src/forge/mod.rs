//! Forges: the places where people discuss changes, and where omk's results go.
//!
//! It speaks the forge's API politely: no write is sent twice without looking first, waits are
//! obeyed, every call ends. It refuses to decide anything: it says what the forge says, in the
//! words of [`crate::trust`].

mod any;
mod error;
mod github;
mod gitlab;
mod speaker;
mod wire;

pub use any::Forge;
pub use error::ForgeError;
pub use github::{GitHub, GitHubSite, Installation};
pub use gitlab::{GitLab, GitLabSite, GitLabToken, Job};
pub use speaker::Patience;

use crate::id::{CommitId, Moment};
use crate::trust::Account;

/// A repository at a forge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// The forge's number of it.
    pub id: u64,
    /// `owner/name`.
    pub name: String,
    /// Its default branch.
    pub default_branch: String,
    /// Whether only its members can see it.
    pub private: bool,
    /// Its address for people.
    pub url: String,
}

/// What differs between two commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// Where they part.
    pub merge_base: CommitId,
    /// Paths that differ from the merge base; `None` where the forge does not list them all.
    pub paths: Option<Vec<String>>,
}

/// How people react to a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// 👀: seen and accepted.
    Eyes,
    /// 🚀: delivered.
    Rocket,
    /// 😕: refused, or not ready.
    Confused,
}

/// Where a check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckState {
    /// Under way.
    InProgress,
    /// Over.
    Completed(Conclusion),
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    /// Ready.
    Success,
    /// Not ready, blocked from outside, out of budget, or broken.
    Failure,
    /// Nothing was verified.
    Neutral,
    /// A person ended it.
    Cancelled,
    /// A person must do something.
    ActionRequired,
}

/// A check as omk wants it to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckWanted {
    /// Its name: `omk`, or `omk / test`.
    pub name: String,
    /// The commit it is about.
    pub commit: CommitId,
    /// omk's own name of it: one check for each name, commit and external id, however often it is
    /// written.
    pub external_id: String,
    /// Where it stands.
    pub state: CheckState,
    /// When what it is about began.
    pub started: Moment,
    /// When it ended.
    pub completed: Option<Moment>,
    /// One line.
    pub title: String,
    /// Markdown, at most 65,535 bytes.
    pub summary: String,
    /// Markdown, at most 65,535 bytes; may be empty.
    pub text: String,
    /// Lines of files; any number, sent 50 at a time.
    pub annotations: Vec<Annotation>,
    /// Its address for people; the forge may put its own instead.
    pub details_url: Option<String>,
}

/// A check as the forge has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The forge's number of it.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// omk's own name of it.
    pub external_id: String,
    /// Where it stands.
    pub state: CheckState,
    /// The number of the app that made it.
    pub app: Option<u64>,
    /// Its address for people.
    pub url: String,
    /// Its title, as it is shown.
    pub title: String,
}

/// A remark on lines of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// Relative to the repository's top.
    pub path: String,
    /// The first line, counted from 1.
    pub start_line: u32,
    /// The last line.
    pub end_line: u32,
    /// How bad it is.
    pub level: AnnotationLevel,
    /// What is wrong, at most 64 KiB.
    pub message: String,
    /// One line; may be empty.
    pub title: String,
}

/// How bad a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnnotationLevel {
    /// Good to know.
    Notice,
    /// Does not decide.
    Warning,
    /// Decides.
    Failure,
}

/// A pull request as omk wants it to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullWanted {
    /// The branch that holds the change, in the same repository.
    pub head: String,
    /// Where it is to be merged.
    pub base: String,
    /// One line.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// Opened as a draft; an open one is left as it is.
    pub draft: bool,
    /// Labels; set when it is opened.
    pub labels: Vec<String>,
}

/// An issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// Its number.
    pub number: u64,
    /// Its title.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// Whether it is open.
    pub open: bool,
    /// Who opened it.
    pub author: Option<Account>,
    /// Its address for people.
    pub url: String,
}

/// A run of a workflow, as the forge has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowRun {
    /// The forge's number of it.
    pub id: u64,
    /// The workflow's file: `.github/workflows/omk.yml`.
    pub path: String,
    /// The repository whose workflow it is.
    pub repository: u64,
    /// The repository that its commit is from.
    pub head_repository: Option<u64>,
    /// The branch it runs for; `None` where it is none, or the forge does not tell.
    pub branch: Option<String>,
    /// Whether it is over.
    pub completed: bool,
    /// The event that started it: `issue_comment`.
    pub event: String,
    /// Its address for people.
    pub url: String,
}

/// Files that a workflow run left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// The forge's number of it.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// How large it is, packed, in bytes.
    pub bytes: u64,
    /// Whether the forge has removed it.
    pub expired: bool,
    /// When it was made.
    pub created: Moment,
    /// The workflow run that left it.
    pub workflow_run: u64,
    /// The repository that run's commit is from.
    pub head_repository: Option<u64>,
    /// The repository it belongs to.
    pub repository: Option<u64>,
}
