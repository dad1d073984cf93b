//! Submodules that a slot holds without their files, and why.

use crate::id::RepoPath;

/// A submodule that slots hold as an empty directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingSubmodule {
    /// Where it belongs.
    pub path: RepoPath,
    /// Why it is not there.
    pub why: ModuleLack,
}

/// Why a submodule cannot be laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModuleLack {
    /// There is no clone of it in this repository.
    Clone,
    /// The clone does not have the recorded commit, or not all of its files.
    Commit,
    /// `.gitmodules` does not name it.
    Name,
    /// The name in `.gitmodules` leads out of the directory of clones, or into another clone.
    Elsewhere(String),
    /// The clone cannot be read, with the reason.
    Unreadable(String),
    /// It lies in too many others.
    TooDeep,
}
