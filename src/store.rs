//! Where runs live on disk: `omk/runs/<run-id>/` in the repository's git common directory, never in
//! the work tree.
//!
//! It knows files and locks, and refuses to know what a journal line means, but for the run that it
//! begins.

mod journal_file;
mod run_dir;
mod holder;

use std::borrow::Cow;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use crate::id::{RunId, Scope};
use crate::journal::{Cause, Damage};
use crate::plain_file::{self, NotRead};
use crate::text::Advised;
use holder::read_holder;

pub use holder::ScopeHolder;
pub use journal_file::JournalFile;
pub use run_dir::RunDir;

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

/// A scope that is ours.
#[derive(Debug)]
pub struct ScopeLock {
    _file: File,
}

#[cfg(test)]
mod tests;
