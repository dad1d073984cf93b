//! What a person can do when git could not do it, for each way in which it fails.
//!
//! It refuses to say what went wrong: that is the error's own text.

use std::borrow::Cow;

use super::error::GitError;
use crate::text::Advised;

impl Advised for GitError {
    fn advice(&self) -> Option<Cow<'_, str>> {
        let advice: Cow<'_, str> = match self {
            Self::NotARepository { .. } => {
                "go to one, or make one with `git init` and a first commit".into()
            }
            Self::Bare { path } => format!(
                "clone it (`git clone {} work`) and run omk there",
                path.display()
            )
            .into(),
            Self::NoCommits { .. } => "make one first: `git add -A && git commit`".into(),
            Self::HoldsSecret { .. } => {
                "write the name of a variable there, and read the value from it".into()
            }
            Self::NotOwned { path } => format!(
                "if you trust them: `git config --global --add safe.directory {}`",
                path.display()
            )
            .into(),
            Self::BranchInTheWay { name } => {
                format!("rename it: `git branch -m {name} {name}-old`").into()
            }
            Self::Locked { .. } => {
                "wait for it, and if none is running remove the `.lock` file it left".into()
            }
            Self::BranchLocked { lock, .. } => format!(
                "wait for the git that works there; if none does, remove the file it left: `rm {}`",
                lock.display()
            )
            .into(),
            Self::BranchCheckedOut { .. } => {
                "switch to another branch there, with `git switch -`".into()
            }
            Self::Disk { .. } => "is it full, or read-only?".into(),
            Self::Library { .. } => "`git fsck` tells whether the repository is sound".into(),
            Self::OldProgram { .. } => "install git 2.38 or newer, and put it on PATH first".into(),
            Self::BadRemote { .. } => "give it as https://host/owner/name.git".into(),
            Self::RemoteMoved { .. } => "start anew on what is there now".into(),
            Self::RemoteRefused { why, .. } => why.next().into(),
            Self::RemoteUnauthorised { .. } => {
                "it may have expired, or lack the permission `contents: write`".into()
            }
            Self::RemoteNotFound { .. } => "check the address, and the token's repositories".into(),
            Self::RemoteLacks { .. } => "it may have been deleted or replaced meanwhile".into(),
            Self::RemoteRedirects { .. } => {
                "was the repository renamed? Use its new address".into()
            }
            Self::RemoteUnavailable { .. } => "try again later".into(),
            Self::InSubmodule { .. } => {
                "a change there cannot be kept: commit it in the submodule's own repository".into()
            }
            Self::Missing { next, .. } => (*next).into(),
            Self::UnknownRevision { next, .. } | Self::Binary { next, .. } => (*next)?.into(),
            Self::Unsupported { next, .. }
            | Self::NoFilter { next, .. }
            | Self::Filter { next, .. } => next.as_str().into(),
            Self::BranchOfNewerRun { .. } => "`omk retry` keeps what completed in both runs".into(),
            Self::Stopped
            | Self::BranchMoved { .. }
            | Self::BadBranch { .. }
            | Self::Io { .. }
            | Self::Refused { .. }
            | Self::Unstorable { .. } => return None,
        };
        Some(advice)
    }
}
