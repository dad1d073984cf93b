//! Why a bundle is not taken in.

use std::borrow::Cow;

use crate::git::error::GitError;
use crate::id::CommitId;
use crate::text::Advised;

/// Why a bundle was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// It is not a bundle of the version that is written here.
    #[error("it is not a git bundle of version 2: {0}")]
    NotABundle(&'static str),
    /// It is larger than allowed, or says so.
    #[error("it holds {found} {what}, and {most} are allowed")]
    TooLarge {
        /// `bytes` or `objects`.
        what: &'static str,
        /// How many there are.
        found: u64,
        /// How many there may be.
        most: u64,
    },
    /// It holds a ref that nobody asked for.
    #[error("it brings the ref `{0}`, which is none of this run's")]
    StrangeRef(String),
    /// A ref is missing, or is at another commit than the run says.
    #[error("its ref `{name}` is {found}, and the run says {expected}")]
    OtherRef {
        /// The ref.
        name: String,
        /// What it is at, in words.
        found: String,
        /// Where it should be.
        expected: CommitId,
    },
    /// It is built on something else than the run's base.
    #[error("it is built on {found}, and not on the run's base {base} alone")]
    OtherBase {
        /// What it names, in words.
        found: String,
        /// The base.
        base: CommitId,
    },
    /// The base is not in the repository.
    #[error("the run's base {0} is not in this repository")]
    NoBase(CommitId),
    /// git does not accept what is in it.
    #[error("git does not accept its objects ({0})")]
    Broken(String),
    /// The machine or the repository.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl Advised for BundleError {
    fn advice(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::NoBase(_) => Some("check it out first, or fetch it".into()),
            Self::Git(error) => error.advice(),
            Self::NotABundle(_)
            | Self::TooLarge { .. }
            | Self::StrangeRef(_)
            | Self::OtherRef { .. }
            | Self::OtherBase { .. }
            | Self::Broken(_) => None,
        }
    }
}
