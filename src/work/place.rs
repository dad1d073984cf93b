//! Where an attempt works: a slot, and private directories beside it.

use std::path::PathBuf;
use std::sync::Arc;

use super::Tools;
use crate::git::{GitError, Slot};
use crate::id::Tip;

/// A place to work in.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) slot: Arc<Slot>,
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
    /// A slot that nobody else holds, with that base in it, and empty private directories. Blocks.
    pub(super) fn open(tools: &Tools, base: Tip) -> Result<Self, GitError> {
        let slot = Arc::new(tools.pool.acquire(None)?);
        slot.reset(&base.commit, &tools.plan.keep)?;
        let place = Self { private: slot.fresh_private()?, slot, base };
        for path in [place.home(), place.tmp()] {
            let made = std::fs::create_dir_all(&path);
            made.map_err(|source| GitError::Io { what: format!("make {}", path.display()), source })?;
        }
        Ok(place)
    }

    pub(super) fn home(&self) -> PathBuf {
        self.private.join("home")
    }

    pub(super) fn tmp(&self) -> PathBuf {
        self.private.join("tmp")
    }
}
