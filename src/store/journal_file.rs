//! The journal of a run under way, on disk.
//!
//! It refuses to know what its lines mean, and to say that something is on disk which is not.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

use super::{StoreError, io};
use crate::fact::{Fact, Order};
use crate::id::Moment;
use crate::journal::Chain;

/// The journal of a run under way, open for appending.
#[derive(Debug)]
pub struct JournalFile {
    path: PathBuf,
    file: File,
    chain: Chain,
    buffer: Vec<u8>,
    /// Whether something was written that may not be on disk yet.
    unsynced: bool,
}

impl JournalFile {
    /// One whose `file` ends where `chain` does.
    pub(super) fn new(path: PathBuf, file: File, chain: Chain) -> Self {
        Self { path, file, chain, buffer: Vec::new(), unsynced: false }
    }

    /// Adds a line to those that the next [`JournalFile::write`] or [`JournalFile::sync`] writes.
    ///
    /// # Errors
    /// Where it cannot be put into words.
    pub fn push(&mut self, at: Moment, fact: &Fact, orders: &[Order]) -> Result<(), StoreError> {
        Ok(self.chain.push(at, fact, orders, &mut self.buffer)?)
    }

    /// Hands what was pushed to the system, which keeps it though omk is killed; a power cut may lose it until the next
    /// [`JournalFile::sync`].
    ///
    /// # Errors
    /// Where it cannot be written; what depends on it must not be done then.
    pub fn write(&mut self) -> Result<(), StoreError> {
        if !self.buffer.is_empty() {
            self.file.write_all(&self.buffer).map_err(io("write", &self.path))?;
            self.buffer.clear();
            self.unsynced = true;
        }
        Ok(())
    }

    /// Writes what was pushed, and returns when all that was written is on disk.
    ///
    /// # Errors
    /// Where it cannot be written; what depends on it must not be done then.
    pub fn sync(&mut self) -> Result<(), StoreError> {
        self.write()?;
        if self.unsynced {
            self.file.sync_data().map_err(io("write", &self.path))?;
            self.unsynced = false;
        }
        Ok(())
    }

    /// The end of the journal.
    #[must_use]
    pub fn chain(&self) -> &Chain {
        &self.chain
    }
}
