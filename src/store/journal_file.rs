//! The journal of a run under way, open for appending.
//!
//! What a line names is on the disk before the line is. It refuses to leave behind what could not
//! be written through: a later process would read it, and take it for done.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::{StoreError, io};
use crate::durability::Batch;
use crate::fact::{Fact, Order};
use crate::id::Moment;
use crate::journal::{Chain, Journal, MOST_LINES_PER_TURN, MOST_UNSYNCED_LINES};

/// The journal of a run under way.
#[derive(Debug)]
pub struct JournalFile {
    path: PathBuf,
    file: File,
    chain: Chain,
    /// How many bytes are on the disk.
    synced: u64,
    /// How many were handed to the system.
    written: u64,
    /// How many lines are not on the disk, the buffer's with them.
    unsynced_lines: usize,
    buffer: Vec<u8>,
    /// Files that the buffer's lines name, below the run's directory.
    named: BTreeSet<String>,
}

impl JournalFile {
    /// A new one, empty. Its name is not on the disk yet.
    pub(super) fn create(path: PathBuf) -> Result<Self, StoreError> {
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(&path)
            .map_err(io("create", &path))?;
        Ok(Self::after(path, file, Chain::default(), 0))
    }

    /// The one that was read, to go on after its last sound line.
    pub(super) fn take_up(path: PathBuf, journal: &Journal) -> Result<Self, StoreError> {
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(io("open", &path))?;
        let cut = file
            .set_len(journal.sound_bytes)
            .and_then(|()| file.sync_all());
        cut.map_err(io("write", &path))?;
        Ok(Self::after(
            path,
            file,
            journal.chain.clone(),
            journal.sound_bytes,
        ))
    }

    fn after(path: PathBuf, file: File, chain: Chain, bytes: u64) -> Self {
        Self {
            path,
            file,
            chain,
            synced: bytes,
            written: bytes,
            unsynced_lines: 0,
            buffer: Vec::new(),
            named: BTreeSet::new(),
        }
    }

    /// Adds a line to those that the next [`JournalFile::write`] or [`JournalFile::sync`] writes.
    ///
    /// # Errors
    /// Where it cannot be put into words.
    pub fn push(&mut self, at: Moment, fact: &Fact, orders: &[Order]) -> Result<(), StoreError> {
        self.named
            .extend(fact.logs().into_iter().map(|log| log.path.clone()));
        self.chain.push(at, fact, orders, &mut self.buffer)?;
        self.unsynced_lines += 1;
        Ok(())
    }

    /// Hands what was pushed to the system, which keeps it though omk is killed. A power cut may
    /// lose it until the next [`JournalFile::sync`], which comes by itself once so many lines
    /// wait for the disk that a reader would not take a hole in them for a power cut's.
    ///
    /// # Errors
    /// Where it cannot be written; what depends on it must not be done then.
    pub fn write(&mut self) -> Result<(), StoreError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.keep_named()?;
        let appended = self.file.write_all(&self.buffer);
        self.or_take_back(appended)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        if self.unsynced_lines >= MOST_UNSYNCED_LINES - MOST_LINES_PER_TURN {
            self.sync_written()
        } else {
            Ok(())
        }
    }

    /// Writes what was pushed, and returns when all that was written is on disk, with every file
    /// that it names.
    ///
    /// # Errors
    /// Where it cannot be written; what depends on it must not be done then.
    pub fn sync(&mut self) -> Result<(), StoreError> {
        self.write()?;
        if self.synced < self.written {
            self.sync_written()
        } else {
            Ok(())
        }
    }

    fn sync_written(&mut self) -> Result<(), StoreError> {
        let synced = self.file.sync_data();
        self.or_take_back(synced)?;
        self.synced = self.written;
        self.unsynced_lines = 0;
        Ok(())
    }

    /// The system holds lines for written that are not on the disk, and would show them to the next
    /// process, synced or not.
    fn or_take_back(&self, done: std::io::Result<()>) -> Result<(), StoreError> {
        done.map_err(|error| {
            // If they cannot be taken back either, there is no more to do: the error is reported in
            // any case.
            let _ = self.file.set_len(self.synced);
            io("write", &self.path)(error)
        })
    }

    fn keep_named(&mut self) -> Result<(), StoreError> {
        let run = self.path.parent().unwrap_or(Path::new("."));
        let mut batch = Batch::in_kept_directories();
        for name in &self.named {
            let path = run.join(name);
            batch.keep(&path).map_err(io("write through", &path))?;
        }
        batch.finish().map_err(io("write through", run))?;
        self.named.clear();
        Ok(())
    }

    /// The end of the journal.
    #[must_use]
    pub fn chain(&self) -> &Chain {
        &self.chain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_lines_wait_for_the_disk_than_a_reader_forgives() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut journal = JournalFile::create(dir.path().join("journal.jsonl")).expect("a journal");
        let mut most = 0;
        for _ in 0..3 * MOST_UNSYNCED_LINES {
            journal
                .push(Moment::from_millis(1), &Fact::Woke, &[])
                .expect("a line");
            most = most.max(journal.unsynced_lines);
            journal.write().expect("it is written");
        }
        assert!(
            (2..=MOST_UNSYNCED_LINES - MOST_LINES_PER_TURN).contains(&most),
            "{most}"
        );
        journal.sync().expect("it is on the disk");
        assert_eq!(
            (journal.unsynced_lines, journal.synced),
            (0, journal.written)
        );
    }
}
