//! Where runs live on disk: `omk/runs/<run-id>/` in the repository's git common directory, never in
//! the work tree.
//!
//! It knows files and locks, and refuses to know what a journal line means, but for the run that it
//! begins.

mod journal_file;

use std::borrow::Cow;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::durability::Batch;
use crate::fact::Fact;
use crate::id::{Moment, RunId, Scope, Sha256};
use crate::journal::{self, Cause, Damage, Journal, Line};
use crate::plain_file::{self, NotRead, Root};
use crate::text::Advised;

pub use journal_file::JournalFile;

/// Why runs could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file could not be read or written.
    #[error("{doing} {}: {source}", path.display())]
    Io {
        /// "read", "write", "create", …
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another run of the same scope is under way.
    #[error("start a run of `{scope}`: {holder} holds it")]
    Held {
        /// The scope.
        scope: Scope,
        /// Who has it.
        holder: Box<ScopeHolder>,
    },
    /// There is no such run.
    #[error("find run `{0}`")]
    NoSuchRun(String),
    /// The journal was changed.
    #[error("read the journal {}: {damage}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where and how.
        damage: Damage,
    },
    /// The directory's name is that of another run.
    #[error("read the journal {}: it is that of run {run}", path.display())]
    OtherRun {
        /// Which file.
        path: PathBuf,
        /// The run that it tells of.
        run: RunId,
    },
    /// A line could not be put into words.
    #[error("write a journal line: {0}")]
    Line(#[from] serde_json::Error),
}

impl Advised for StoreError {
    fn advice(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Held { .. } => Some("wait for it, or end it with `omk cancel`".into()),
            Self::Damaged { damage: Damage { cause: Cause::OtherVersion, .. }, .. } => {
                Some("go on with the omk that wrote it, or with a newer one: this one changes nothing of it".into())
            }
            Self::OtherRun { .. } => Some("give each run's directory its own name again".into()),
            Self::Damaged { .. } => {
                Some("the journal was changed after it was written, so what it says cannot be trusted".into())
            }
            Self::NoSuchRun(_) | Self::Io { .. } | Self::Line(_) => None,
        }
    }
}

/// The largest file of a run that is read, in bytes. It is four times the largest transcript, and
/// the limit of a journal in a bundle. An archive from another machine may hold anything.
const MOST: u64 = 256 << 20;

/// How much of a lock is read, in bytes. A holder takes about 200.
const HOLDER: u64 = 4 << 10;

/// Who holds a scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeHolder {
    /// The run.
    pub run: RunId,
    /// omk's process.
    pub pid: u32,
    /// The machine.
    pub host: String,
    /// Since when.
    pub since: Moment,
}

impl std::fmt::Display for ScopeHolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let since = self.since.to_utc().format("%Y-%m-%d %H:%M:%S UTC");
        write!(
            f,
            "run {} (process {} on {}, since {since})",
            self.run, self.pid, self.host
        )
    }
}

fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let path = path.to_path_buf();
    move |source| StoreError::Io {
        doing,
        path,
        source,
    }
}

/// All runs of one repository.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// The runs of the repository with that git common directory. Nothing is created yet.
    #[must_use]
    pub fn new(common_dir: &Path) -> Self {
        Self {
            root: common_dir.join("omk"),
        }
    }

    /// `omk/` itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Every run there is, oldest first.
    ///
    /// # Errors
    /// Where the directory cannot be read.
    pub fn runs(&self) -> Result<Vec<RunId>, StoreError> {
        let mut runs: Vec<RunId> = self
            .names("runs")?
            .iter()
            .filter_map(|name| name.parse().ok())
            .collect();
        runs.sort();
        Ok(runs)
    }

    /// What lies in one of its directories.
    fn names(&self, directory: &str) -> Result<Vec<String>, StoreError> {
        let path = self.root.join(directory);
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(io("read", &path))?,
        };
        Ok(entries
            .filter_map(Result::ok)
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect())
    }

    /// The run of that id, or of the only id that begins so; the newest where none is given.
    ///
    /// # Errors
    /// Where there is none.
    pub fn find(&self, name: Option<&str>) -> Result<RunDir, StoreError> {
        let runs = self.runs()?;
        let found = match name {
            // A run that was killed before its first line never began.
            None => runs.iter().rfind(|run| self.dir(run).has_begun()),
            Some(prefix) => {
                let mut fitting = runs.iter().filter(|run| run.as_str().starts_with(prefix));
                fitting.next().filter(|_| fitting.next().is_none())
            }
        };
        let missing = || StoreError::NoSuchRun(name.unwrap_or("(the newest)").to_owned());
        Ok(self.dir(found.ok_or_else(missing)?))
    }

    /// Where that run lives, whether it exists or not.
    #[must_use]
    pub fn dir(&self, run: &RunId) -> RunDir {
        RunDir {
            run: run.clone(),
            path: self.root.join("runs").join(run.as_str()),
        }
    }

    /// Takes a scope for a run, until the returned lock is dropped or the process ends.
    ///
    /// # Errors
    /// [`StoreError::Held`] where another process has it.
    pub fn lock(&self, scope: &Scope, holder: &ScopeHolder) -> Result<ScopeLock, StoreError> {
        let path = self.lock_path(scope);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(io("create", parent))?;
        }
        let open = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let mut file = open.map_err(io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let unknown = ScopeHolder {
                    run: holder.run.clone(),
                    pid: 0,
                    host: "another machine".into(),
                    since: holder.since,
                };
                let holder = Box::new(read_holder(&mut file).unwrap_or(unknown));
                return Err(StoreError::Held {
                    scope: scope.clone(),
                    holder,
                });
            }
            Err(TryLockError::Error(error)) => return Err(io("lock", &path)(error)),
        }
        let written = serde_json::to_vec(holder)?;
        let write = |file: &mut File| -> std::io::Result<()> {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&written)
        };
        write(&mut file).map_err(io("write", &path))?;
        Ok(ScopeLock { _file: file })
    }

    /// Who holds a scope now.
    ///
    /// # Errors
    /// Where the lock cannot be looked at.
    pub fn holder(&self, scope: &Scope) -> Result<Option<ScopeHolder>, StoreError> {
        Ok(self
            .held(scope)?
            .and_then(|mut file| read_holder(&mut file)))
    }

    /// A scope that another process holds, if any is.
    ///
    /// # Errors
    /// Where the locks cannot be looked at.
    pub fn any_held(&self) -> Result<Option<Scope>, StoreError> {
        let names = self.names("locks")?;
        for scope in names
            .iter()
            .filter_map(|name| name.strip_suffix(".lock")?.parse::<Scope>().ok())
        {
            if self.held(&scope)?.is_some() {
                return Ok(Some(scope));
            }
        }
        Ok(None)
    }

    /// The lock of a scope, if another process holds it.
    fn held(&self, scope: &Scope) -> Result<Option<File>, StoreError> {
        let path = self.lock_path(scope);
        let file = match plain_file::open(&path) {
            Ok(file) => file.into_file(),
            Err(NotRead::Missing) => return Ok(None),
            Err(why) => return Err(io("open", &path)(why.into())),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(Some(file)),
            Err(TryLockError::Error(error)) => Err(io("lock", &path)(error)),
        }
    }

    fn lock_path(&self, scope: &Scope) -> PathBuf {
        self.root.join("locks").join(format!("{scope}.lock"))
    }
}

fn read_holder(file: &mut File) -> Option<ScopeHolder> {
    serde_json::from_reader(file.take(HOLDER)).ok()
}

/// A scope that is ours.
#[derive(Debug)]
pub struct ScopeLock {
    _file: File,
}

/// One run's directory.
#[derive(Debug, Clone)]
pub struct RunDir {
    run: RunId,
    path: PathBuf,
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

#[cfg(test)]
mod tests;
