//! A repository of a child's own, where it cannot have a copy of the user's: the same HEAD, refs, settings and worktrees, over
//! the user's objects, which are there to be read.
//!
//! It refuses to take along what is no part of the history: hooks, submodules' repositories, objects of Git LFS, and
//! credentials in settings.

use std::path::{Path, PathBuf};

use super::caches::copy_bounded;
use crate::exec::Sandbox;

/// What is copied of the user's repository, file by file. git has links nowhere in these.
const COPIED: [&str; 7] = ["HEAD", "config", "packed-refs", "shallow", "refs", "info", "worktrees"];

/// What must be there for git to call it a repository, and for other directories to lie over it.
const DIRECTORIES: [&str; 4] = ["objects/info", "objects/pack", "refs/heads", "borrowed/objects"];

/// A repository to be made.
#[derive(Debug, Clone)]
pub(super) struct StandIn {
    repository: PathBuf,
    own: PathBuf,
    /// Where the user's own repository borrows objects.
    alternates: Vec<PathBuf>,
}

impl StandIn {
    /// The one for the copy of that number, below `scratch`.
    pub(super) fn new(repository: &Path, scratch: &Path, number: usize, alternates: Vec<PathBuf>) -> Self {
        Self { repository: repository.to_owned(), own: scratch.join(Sandbox::stand_in_of(number)), alternates }
    }

    /// Where it will lie.
    pub(super) fn path(&self) -> &Path {
        &self.own
    }

    /// Makes it, with settings that may still hold credentials. Blocks.
    ///
    /// If it cannot be made, git says so in the child: there is no user's own to be harmed.
    pub(super) fn make(&self) {
        for directory in DIRECTORIES {
            let _ = std::fs::create_dir_all(self.own.join(directory));
        }
        for part in COPIED {
            let _ = copy_bounded(&self.repository.join(part), &self.own.join(part));
        }
        let borrowed = self.repository.join(Sandbox::BORROWED).join("objects");
        let mut lines = Vec::new();
        for place in std::iter::once(&borrowed).chain(&self.alternates) {
            lines.extend_from_slice(place.as_os_str().as_encoded_bytes());
            lines.push(b'\n');
        }
        let _ = std::fs::write(self.own.join("objects/info/alternates"), lines);
    }
}
