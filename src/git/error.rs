//! Why git could not do it, in words for a person: what, where, and what to do next.
//!
//! It refuses to show libgit2's own words, or git's, alone: they are kept as the source, or quoted
//! after ours.

mod class;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use git2::{ErrorClass, ErrorCode};

use super::refusal::RemoteRule;
use crate::id::{CommitId, RepoPath};
use crate::text;

/// Characters of a path in a message; one of thousands would hide what is said of it.
const PATH_SHOWN: usize = 120;

/// Why git could not do it.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// There is no repository at or above that directory.
    #[error("{} is not inside a git repository", .dir.display())]
    NotARepository {
        /// Where it was looked for.
        dir: PathBuf,
    },
    /// A repository without a work tree.
    #[error("{} is a bare repository, without files to work on", .path.display())]
    Bare {
        /// The repository.
        path: PathBuf,
    },
    /// HEAD names no commit.
    #[error("{} has no commit at HEAD", .path.display())]
    NoCommits {
        /// The repository.
        path: PathBuf,
    },
    /// A format that omk cannot open.
    #[error("{} {what}, which omk cannot open", .path.display())]
    Unsupported {
        /// The repository.
        path: PathBuf,
        /// What it is, as a clause: "stores its refs as reftable".
        what: String,
        /// What to do.
        next: String,
    },
    /// What a task left in its slot holds a secret that omk knows.
    #[error(
        "take in `{path}`: {what} holds a key or a token that omk knows, and it would stay in the repository for good"
    )]
    HoldsSecret {
        /// Which file, without the secret.
        path: String,
        /// What of it.
        what: &'static str,
    },
    /// The repository belongs to somebody else.
    #[error("{} belongs to another user, so git does not trust its settings", .path.display())]
    NotOwned {
        /// The repository's top.
        path: PathBuf,
    },
    /// No commit has that name.
    #[error("`{rev}` is not a commit of this repository")]
    UnknownRevision {
        /// As it was given.
        rev: String,
        /// What to do, where omk knows.
        next: Option<&'static str>,
    },
    /// An object is not there.
    #[error("{what}: the object is missing from this repository")]
    Missing {
        /// What was to be read.
        what: String,
        /// What to do.
        next: &'static str,
    },
    /// A branch is in the way of another.
    #[error("a branch called `{name}` makes branches below `{name}/` impossible")]
    BranchInTheWay {
        /// The branch.
        name: String,
    },
    /// A branch is not where it was expected.
    #[error(
        "branch `{name}` {found}, not {expected}: someone else moved it, and it was left as it is"
    )]
    BranchMoved {
        /// The branch.
        name: String,
        /// Where it was to be.
        expected: String,
        /// Where it is, as a clause.
        found: String,
    },
    /// A branch is where a newer run of the plan put it.
    #[error("branch `{name}` holds what run {run} made, which is newer: it was left as it is")]
    BranchOfNewerRun {
        /// The branch.
        name: String,
        /// The newer run.
        run: crate::id::RunId,
    },
    /// A branch is checked out, so its worktree would seem to be changed if it were moved.
    #[error("branch `{name}` is checked out in {}", .path.display())]
    BranchCheckedOut {
        /// The branch.
        name: String,
        /// The worktree.
        path: PathBuf,
    },
    /// Another process holds a branch's lock, or left it.
    #[error("branch `{name}` is locked by {}", .lock.display())]
    BranchLocked {
        /// The branch.
        name: String,
        /// The lock's file.
        lock: PathBuf,
    },
    /// A text that cannot be a branch.
    #[error("`{name}` cannot be the name of a branch")]
    BadBranch {
        /// As it was given.
        name: String,
    },
    /// Another git process holds a lock, or left it.
    #[error("{what}: another git process holds a lock")]
    Locked {
        /// What was to be done.
        what: String,
        /// libgit2's words.
        source: git2::Error,
    },
    /// The machine refused.
    #[error("{what}: {source}")]
    Io {
        /// What was to be done, and where: "write `/a/b`".
        what: String,
        /// Why.
        source: std::io::Error,
    },
    /// The disk, seen through libgit2.
    #[error("{what}: the disk refused ({})", .source.message())]
    Disk {
        /// What was to be done.
        what: String,
        /// libgit2's words.
        source: git2::Error,
    },
    /// libgit2 failed for a reason that has no words of its own here.
    #[error("{what}: git's object store refused ({})", .source.message())]
    Library {
        /// What was to be done.
        what: String,
        /// libgit2's words.
        source: git2::Error,
    },
    /// The git binary failed.
    #[error("{what}: `git {command}` failed ({status}): {said}")]
    Binary {
        /// What was to be done.
        what: String,
        /// The subcommand.
        command: String,
        /// How it ended.
        status: String,
        /// The end of its standard error, clipped.
        said: String,
        /// What to do, where omk knows.
        next: Option<&'static str>,
    },
    /// The git binary is too old.
    #[error("merge with {found}, which is too old")]
    OldProgram {
        /// What it says it is.
        found: String,
    },
    /// A file asks for a filter that git's configuration does not define. git would take the file
    /// as it is.
    #[error("take `{path}`: it asks for the filter `{name}`, which git does not have here")]
    NoFilter {
        /// The file, as well as it can be shown.
        path: String,
        /// The filter.
        name: String,
        /// What to do.
        next: String,
    },
    /// git complained of a filter, whether it went on without it or not.
    #[error("{what}: the filter `{name}` failed ({said})")]
    Filter {
        /// What was to be done.
        what: String,
        /// The filter.
        name: String,
        /// git's words, clipped.
        said: String,
        /// What to do.
        next: String,
    },
    /// Whoever wanted it was stopped meanwhile.
    #[error("it was stopped")]
    Stopped,
    /// An address that is not spoken.
    #[error("the address of a remote is not usable: {why}")]
    BadRemote {
        /// Why, as a sentence's half.
        why: &'static str,
    },
    /// A ref of a remote is not where it was expected. Nothing was pushed.
    #[error(
        "push to {remote}: `{name}` is {}, not {}: somebody moved it meanwhile, and nothing was pushed",
        place(.now.as_ref()),
        place(.expected.as_ref())
    )]
    RemoteMoved {
        /// The remote's address.
        remote: String,
        /// The ref's full name.
        name: String,
        /// Where it was to be; `None` = nowhere.
        expected: Option<CommitId>,
        /// Where it is; `None` = nowhere, or it could not be told.
        now: Option<CommitId>,
    },
    /// A remote does not want a ref changed. Nothing was pushed.
    #[error("push to {remote}: `{name}` was refused ({said})")]
    RemoteRefused {
        /// The remote's address.
        remote: String,
        /// The ref's full name.
        name: String,
        /// Which rule it is.
        why: RemoteRule,
        /// The remote's own words, clipped.
        said: String,
    },
    /// A remote does not know us, or not well enough.
    #[error("{what}: {remote} refuses the token ({said})")]
    RemoteUnauthorised {
        /// What was to be done.
        what: String,
        /// The remote's address.
        remote: String,
        /// git's words, clipped.
        said: String,
    },
    /// There is no repository at that address.
    #[error("{what}: there is no repository at {remote}, or the token may not see it")]
    RemoteNotFound {
        /// What was to be done.
        what: String,
        /// The remote's address.
        remote: String,
    },
    /// The remote has no such commit or ref.
    #[error("{what}: {remote} does not have it ({said})")]
    RemoteLacks {
        /// What was to be done.
        what: String,
        /// The remote's address.
        remote: String,
        /// git's words, clipped.
        said: String,
    },
    /// A remote sends us elsewhere, where the token must not go.
    #[error("{what}: {remote} sends us to another address, which is not followed")]
    RemoteRedirects {
        /// What was to be done.
        what: String,
        /// The remote's address.
        remote: String,
    },
    /// A remote, or the line to it, is out of order. What was to be done may have been done.
    #[error("{what}: {remote} does not answer as it should ({said})")]
    RemoteUnavailable {
        /// What was to be done.
        what: String,
        /// The remote's address.
        remote: String,
        /// git's words, clipped.
        said: String,
    },
    /// Files were changed where a submodule belongs.
    #[error("files were changed in `{path}`, which is a submodule")]
    InSubmodule {
        /// The submodule.
        path: RepoPath,
    },
    /// Something in a slot that can be no part of a change, whatever the write set says.
    #[error("`{path}` {why}")]
    Refused {
        /// The path, as well as it can be shown.
        path: String,
        /// Why, as a clause: "is nested too deep".
        why: Cow<'static, str>,
    },
    /// A name that git cannot store.
    #[error("`{path}` cannot be stored in git: {why}")]
    Unstorable {
        /// The path, as well as it can be shown.
        path: String,
        /// Why.
        why: &'static str,
    },
}

/// A path as well as it can be shown.
pub(super) fn shown(path: &[u8]) -> String {
    text::clip(
        &text::escape_invisible(&String::from_utf8_lossy(path)),
        PATH_SHOWN,
    )
}

fn place(at: Option<&CommitId>) -> String {
    at.map_or_else(|| "absent".to_owned(), |commit| format!("at {commit}"))
}

impl GitError {
    pub(super) fn refused(path: &[u8], why: impl Into<Cow<'static, str>>) -> Self {
        Self::Refused {
            path: shown(path),
            why: why.into(),
        }
    }

    pub(super) fn io(what: &str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let what = format!("{what} {}", path.display());
        move |source| Self::Io { what, source }
    }

    /// Gives a libgit2 error the words for what was to be done.
    pub(super) fn lib(what: impl Into<String>) -> impl FnOnce(git2::Error) -> Self {
        let what = what.into();
        move |source| {
            let code = source.code();
            if code == ErrorCode::Locked {
                return Self::Locked { what, source };
            }
            if matches!(
                source.class(),
                ErrorClass::Os | ErrorClass::Filesystem | ErrorClass::NoMemory
            ) {
                return Self::Disk { what, source };
            }
            if code == ErrorCode::NotFound
                && matches!(source.class(), ErrorClass::Odb | ErrorClass::Object)
            {
                let next = "a shallow or partial clone needs it fetched (`git fetch --unshallow`, `git fetch --refetch`); \
                            else `git fsck` tells what is damaged";
                return Self::Missing { what, next };
            }
            Self::Library { what, source }
        }
    }
}
