//! One run's directory: its plan, its journal, and the files that belong to them.

use std::path::{Path, PathBuf};

use super::journal_file::JournalFile;
use super::{MOST, StoreError, io};
use crate::durability::Batch;
use crate::fact::Fact;
use crate::id::{RunId, Sha256};
use crate::journal::{self, Journal, Line};
use crate::plain_file::{NotRead, Root};

/// One run's directory.
#[derive(Debug, Clone)]
pub struct RunDir {
    pub(super) run: RunId,
    pub(super) path: PathBuf,
}

impl RunDir {
    /// The run.
    #[must_use]
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the directory and its rooms, and keeps the plan as it was.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn create(&self, plan: &[u8]) -> Result<JournalFile, StoreError> {
        // Up to git's own directory, where `omk` may be new.
        let mut batch = Batch::below(self.path.ancestors().nth(3).unwrap_or(&self.path));
        for room in ["proofs", "logs", "transcripts", "cancel"] {
            let path = self.path.join(room);
            batch.make_directory(&path).map_err(io("create", &path))?;
        }
        let plan_path = self.path.join("plan.yaml");
        batch
            .replace(&plan_path, plan)
            .map_err(io("write", &plan_path))?;
        let journal = JournalFile::create(self.path.join("journal.jsonl"))?;
        batch.finish().map_err(io("write through", &self.path))?;
        Ok(journal)
    }

    /// Whether its journal holds anything.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        std::fs::metadata(self.path.join("journal.jsonl")).is_ok_and(|journal| journal.len() > 0)
    }

    /// The plan of the run, byte for byte.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn plan(&self) -> Result<Vec<u8>, StoreError> {
        self.read("plan.yaml")
    }

    /// The journal, as far as it is sound.
    ///
    /// # Errors
    /// Where it cannot be read, was changed, or is that of another run.
    pub fn journal(&self) -> Result<Journal, StoreError> {
        let path = self.path.join("journal.jsonl");
        let bytes = self.read("journal.jsonl")?;
        let journal = match journal::read(&bytes) {
            Ok(journal) => journal,
            Err(damage) => return Err(StoreError::Damaged { path, damage }),
        };
        match journal.lines.first() {
            Some(Line {
                fact: Fact::Began(began),
                ..
            }) if began.run != self.run => Err(StoreError::OtherRun {
                path,
                run: began.run.clone(),
            }),
            _ => Ok(journal),
        }
    }

    /// Opens the journal to append to it, and cuts off a damaged tail.
    ///
    /// # Errors
    /// Where it cannot be read or written, or was changed.
    pub fn reopen(&self) -> Result<(Journal, JournalFile), StoreError> {
        let journal = self.journal()?;
        let file = JournalFile::take_up(self.path.join("journal.jsonl"), &journal)?;
        Ok((journal, file))
    }

    /// Reads a file of the run.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        let read = Root::open(&self.path).and_then(|root| root.read(Path::new(name), MOST));
        read.map_err(|why| io("read", &self.path.join(name))(why.into()))
    }

    /// The digest of a file of the run, however long it is.
    ///
    /// # Errors
    /// If it is missing, no plain file, or larger than any that omk writes.
    pub fn digest(&self, name: &str) -> Result<Sha256, NotRead> {
        Root::open(&self.path)?.file(Path::new(name))?.digest(MOST)
    }

    /// Writes a file of the run, whole or not at all, and returns when it is on the disk.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.write_all(&[(name.to_owned(), bytes.to_vec())])
    }

    /// Writes files of the run, each whole or not at all, and returns when all are on the disk.
    ///
    /// # Errors
    /// Where one cannot be written.
    pub fn write_all(&self, files: &[(String, Vec<u8>)]) -> Result<(), StoreError> {
        let mut batch = Batch::below(&self.path);
        for (name, bytes) in files {
            let path = self.path.join(name);
            batch.replace(&path, bytes).map_err(io("write", &path))?;
        }
        batch.finish().map_err(io("write through", &self.path))
    }
}
