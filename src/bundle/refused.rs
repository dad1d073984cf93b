//! Why a bundle is refused: what, where, why, and what to do.

use std::borrow::Cow;

use crate::git::{BundleError, GitError};
use crate::id::{CommitId, TaskId};
use crate::journal::{Damage, ReplayDifference};
use crate::text::{self, Advised};

/// What a person can do about a bundle that was damaged on its way.
const AGAIN: &str = "nothing was taken from it, so start a new run";

/// What a person should think of a bundle that says what no honest run says.
const SUSPECT: &str = "look at what the job that ran the agent did before you start a new run: nothing was taken from it";

/// Why a bundle is refused. Nothing of it was used.
#[derive(Debug, thiserror::Error)]
pub enum BundleRefused {
    /// It could not be read.
    #[error("read {what}: {source}")]
    Io {
        /// Which directory or file.
        what: String,
        /// Why.
        source: std::io::Error,
    },
    /// There is no manifest, or it is not one.
    #[error("`bundle.json` is not the manifest of a bundle: {why}")]
    Manifest {
        /// Why not.
        why: String,
    },
    /// It was written by an omk that speaks another version.
    #[error("it is of version {found}, and this omk reads version {expected}")]
    Version {
        /// What it says.
        found: u32,
        /// What is read here.
        expected: u32,
    },
    /// Something lies there that no bundle holds.
    #[error("{name:?} does not belong into a bundle")]
    StrangeName {
        /// What, clipped.
        name: String,
    },
    /// A link, a pipe, a device, where a file or a directory belongs.
    #[error("{name:?} is {what}, and only plain files are read")]
    NotPlain {
        /// What, clipped.
        name: String,
        /// What it is, with its article.
        what: &'static str,
    },
    /// The manifest names a file that is not there.
    #[error("`{name}` is missing, and the manifest names it")]
    Missing {
        /// Which.
        name: String,
    },
    /// More than is allowed. It was not read.
    #[error("{what} is too large: {found}, and {most} are allowed")]
    TooLarge {
        /// What, as a noun.
        what: String,
        /// How much there is, or claims to be.
        found: u64,
        /// How much there may be.
        most: u64,
    },
    /// A file is not what the manifest says.
    #[error("`{name}` is not what the manifest says: its {what} differs")]
    Changed {
        /// Which.
        name: String,
        /// `size` or `digest`.
        what: &'static str,
    },
    /// It is about something else than what was asked for.
    #[error("its {what} is {found}, and {expected} was asked for")]
    OtherRun {
        /// `run`, `scope`, `base`, …
        what: &'static str,
        /// What it says, clipped.
        found: String,
        /// What was asked for.
        expected: String,
    },
    /// A task took part that should not have.
    #[error("task `{task}` {why}")]
    Task {
        /// Which.
        task: String,
        /// Why not, as a clause.
        why: &'static str,
    },
    /// The journal is damaged.
    #[error("its journal is damaged ({0})")]
    Damaged(Damage),
    /// The journal does not begin with the beginning of a run.
    #[error("its journal does not begin with the beginning of a run")]
    NotBegun,
    /// The journal says what this plan does not lead to.
    #[error("its journal does not follow from the plan ({})", short(.0))]
    Illegal(Box<ReplayDifference>),
    /// The manifest says something else than the journal.
    #[error("the manifest's {what} is not what the journal leads to")]
    Contradiction {
        /// `result`, `tasks`, `commits`.
        what: &'static str,
    },
    /// What the run is built on is not here.
    #[error("the run's base {0} is not in this repository")]
    NoBase(CommitId),
    /// The file of commits.
    #[error("its file of commits is refused: {0}")]
    Commits(#[source] BundleError),
    /// A commit that no honest run makes.
    #[error("commit {commit} ({place}) {why}")]
    Commit {
        /// Which, shortened.
        commit: String,
        /// `of task api`, `below the result`.
        place: String,
        /// What is wrong with it, as a clause.
        why: String,
    },
    /// A commit that touches what its task may not.
    #[error("commit {commit} of task `{task}` changes what it may not: {paths}")]
    Scope {
        /// Which, shortened.
        commit: String,
        /// The task.
        task: TaskId,
        /// The paths and why not, the first few.
        paths: String,
    },
    /// The repository or the machine, not the bundle.
    #[error("{0}")]
    Git(#[from] GitError),
}

impl Advised for BundleRefused {
    fn advice(&self) -> Option<Cow<'_, str>> {
        let advice = match self {
            Self::Io { .. } => "check the step that downloads the artifact",
            Self::Version { .. } => "use one version of omk in all jobs",
            Self::NoBase(_) => "check it out or fetch it first",
            Self::Manifest { .. }
            | Self::Missing { .. }
            | Self::Changed { .. }
            | Self::Damaged(_)
            | Self::NotBegun => AGAIN,
            Self::StrangeName { .. }
            | Self::NotPlain { .. }
            | Self::TooLarge { .. }
            | Self::OtherRun { .. }
            | Self::Task { .. }
            | Self::Illegal(_)
            | Self::Contradiction { .. }
            | Self::Commit { .. }
            | Self::Scope { .. } => SUSPECT,
            Self::Commits(error) => return error.advice().or(Some(SUSPECT.into())),
            Self::Git(error) => return error.advice(),
        };
        Some(advice.into())
    }
}

/// What a stranger's journal orders may be of any length.
fn short(difference: &ReplayDifference) -> String {
    text::clip(&text::printable(difference.to_string().as_bytes()), 300)
}

impl BundleRefused {
    /// Whether the machine or the step before is at fault, rather than what is in the bundle.
    #[must_use]
    pub fn is_host(&self) -> bool {
        match self {
            Self::Io { .. } | Self::NoBase(_) => true,
            Self::Git(error) | Self::Commits(BundleError::Git(error)) => error.is_host(),
            Self::Manifest { .. }
            | Self::Version { .. }
            | Self::StrangeName { .. }
            | Self::NotPlain { .. }
            | Self::Missing { .. }
            | Self::TooLarge { .. }
            | Self::Changed { .. }
            | Self::OtherRun { .. }
            | Self::Task { .. }
            | Self::Damaged(_)
            | Self::NotBegun
            | Self::Illegal(_)
            | Self::Contradiction { .. }
            | Self::Commits(
                BundleError::NotABundle(_)
                | BundleError::TooLarge { .. }
                | BundleError::StrangeRef(_)
                | BundleError::OtherRef { .. }
                | BundleError::OtherBase { .. }
                | BundleError::NoBase(_)
                | BundleError::Broken(_),
            )
            | Self::Commit { .. }
            | Self::Scope { .. } => false,
        }
    }
}
