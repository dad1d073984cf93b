//! Where an attempt works: a slot, and private directories beside it.

use std::path::{Path, PathBuf};

use crate::git::{GitError, Slot};
use crate::id::Tip;

/// A place to work in.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) slot: Slot,
    /// Private directories of the task: `home`, `tmp`, and what an agent keeps between attempts.
    pub(super) private: PathBuf,
    /// What the slot's content is built on.
    pub(super) base: Tip,
}

/// A place that waits for its task's next attempt, with the agent's session.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) place: Place,
    pub(super) session: Option<String>,
}

impl Place {
    pub(super) fn home(&self) -> PathBuf {
        self.private.join("home")
    }

    pub(super) fn tmp(&self) -> PathBuf {
        self.private.join("tmp")
    }
}

/// Makes private directories anew: nothing of an earlier holder stays.
pub(super) fn make_private(private: &Path) -> Result<(), GitError> {
    let made = crate::git::remove_all(private)
        .and_then(|()| std::fs::create_dir_all(private.join("home")))
        .and_then(|()| std::fs::create_dir_all(private.join("tmp")));
    made.map_err(|source| GitError::Io { what: format!("make {}", private.display()), source })
}
