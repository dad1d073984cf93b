//! Whose turn it is after an error: the machine's, the plan's, or a task's own.

use super::GitError;

impl GitError {
    /// Whether the machine is at fault (class `host`): disk, permissions, a lock, a program that
    /// cannot be started.
    #[must_use]
    pub fn is_host(&self) -> bool {
        match self {
            Self::Locked { .. }
            | Self::BranchLocked { .. }
            | Self::Io { .. }
            | Self::Disk { .. } => true,
            Self::NotARepository { .. }
            | Self::Bare { .. }
            | Self::NoCommits { .. }
            | Self::Unsupported { .. }
            | Self::HoldsSecret { .. }
            | Self::NotOwned { .. }
            | Self::UnknownRevision { .. }
            | Self::Missing { .. }
            | Self::BranchInTheWay { .. }
            | Self::BranchMoved { .. }
            | Self::BranchOfNewerRun { .. }
            | Self::BranchCheckedOut { .. }
            | Self::BadBranch { .. }
            | Self::Library { .. }
            | Self::Binary { .. }
            | Self::OldProgram { .. }
            | Self::NoFilter { .. }
            | Self::Filter { .. }
            | Self::Stopped
            | Self::BadRemote { .. }
            | Self::RemoteMoved { .. }
            | Self::RemoteRefused { .. }
            | Self::RemoteUnauthorised { .. }
            | Self::RemoteNotFound { .. }
            | Self::RemoteLacks { .. }
            | Self::RemoteRedirects { .. }
            | Self::RemoteUnavailable { .. }
            | Self::InSubmodule { .. }
            | Self::Refused { .. }
            | Self::Unstorable { .. } => false,
        }
    }

    /// Whether what a task left in its slot is at fault (class `scope`).
    #[must_use]
    pub fn is_scope(&self) -> bool {
        matches!(
            self,
            Self::InSubmodule { .. }
                | Self::Refused { .. }
                | Self::Unstorable { .. }
                | Self::HoldsSecret { .. }
        )
    }

    /// Whether this machine's configuration of git is at fault (class `config`).
    #[must_use]
    pub fn is_config(&self) -> bool {
        matches!(self, Self::NoFilter { .. } | Self::Filter { .. })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use git2::{ErrorClass, ErrorCode};

    use super::*;

    #[test]
    fn a_full_disk_and_a_lock_are_the_machines_fault() {
        let full = GitError::io("write", Path::new("/x"))(std::io::ErrorKind::StorageFull.into());
        let locked = GitError::lib("move a branch")(git2::Error::new(
            ErrorCode::Locked,
            ErrorClass::Reference,
            "no",
        ));
        let disk = GitError::lib("write a blob")(git2::Error::new(
            ErrorCode::GenericError,
            ErrorClass::Os,
            "no",
        ));
        assert!(full.is_host() && locked.is_host() && disk.is_host());
        assert!(!GitError::BadBranch { name: "x".into() }.is_host());
    }
}
