//! A repository of a child's own, where it cannot have a copy of the user's: the same HEAD, refs,
//! settings and worktrees, over the user's objects, which are there to be read.
//!
//! It refuses to take along what is no part of the history: hooks, all of the clones of submodules
//! but their objects, objects of Git LFS, and credentials in settings.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::caches::copy_bounded;
use crate::exec::Sandbox;

/// What is copied of the user's repository, file by file. git has links nowhere in these.
const COPIED: [&str; 7] = [
    "HEAD",
    "config",
    "packed-refs",
    "shallow",
    "refs",
    "info",
    "worktrees",
];

/// What must be there for git to call it a repository, and for other directories to lie over it.
const DIRECTORIES: [&str; 4] = [
    "objects/info",
    "objects/pack",
    "refs/heads",
    "borrowed/objects",
];

/// A repository to be made.
#[derive(Debug, Clone)]
pub(super) struct StandIn {
    repository: PathBuf,
    own: PathBuf,
    /// Where the user's own repository borrows objects.
    alternates: Vec<PathBuf>,
    /// The user's clones of submodules, which those in slots borrow from.
    clones: Vec<PathBuf>,
}

impl StandIn {
    /// The one for the copy of that number, below `scratch`.
    pub(super) fn new(
        repository: &Path,
        scratch: &Path,
        number: usize,
        (alternates, clones): (Vec<PathBuf>, Vec<PathBuf>),
    ) -> Self {
        let (repository, own) = (
            repository.to_owned(),
            scratch.join(Sandbox::stand_in_of(number)),
        );
        Self {
            repository,
            own,
            alternates,
            clones,
        }
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
        let clones = self
            .clones
            .iter()
            .filter(|clone| clone.join("objects").is_dir());
        for clone in clones.filter_map(|clone| clone.strip_prefix(&self.repository).ok()) {
            let borrowed = Path::new(Sandbox::BORROWED).join(clone).join("objects");
            let _ = std::fs::create_dir_all(self.own.join(&borrowed));
            let _ = std::fs::create_dir_all(self.own.join(clone));
            let _ = symlink(
                self.repository.join(borrowed),
                self.own.join(clone).join("objects"),
            );
        }
    }
}
