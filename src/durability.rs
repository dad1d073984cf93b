//! Writes files so that a power cut loses neither their bytes nor their names.
//!
//! The sync of a file keeps its bytes; only the sync of its directory keeps its name. A batch does
//! both for many files, with one sync for each directory. It refuses to pass over a sync that
//! failed: what depends on it must not be done then.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use tempfile::NamedTempFile;

use crate::plain_file::{self, NotRead};

/// So many files are held open at once: enough for one commit of the file system to serve many, and
/// far from the limit of open files.
const AT_ONCE: usize = 32;

/// Files below one directory that are being written through. Nothing is promised, and no content is
/// replaced, before [`Batch::finish`].
#[derive(Debug)]
pub struct Batch {
    /// None: the directories are on the disk.
    top: Option<PathBuf>,
    waiting: Vec<UnsyncedFile>,
    directories: BTreeSet<PathBuf>,
}

/// A file whose bytes are not on the disk yet.
#[derive(Debug)]
enum UnsyncedFile {
    /// It has its name.
    Kept(File),
    /// It gets that name.
    New(NamedTempFile, PathBuf),
}

impl UnsyncedFile {
    fn file(&self) -> &File {
        match self {
            Self::Kept(file) => file,
            Self::New(temporary, _) => temporary.as_file(),
        }
    }
}

impl Batch {
    /// Nothing yet. Directories are written through from a file's own up to `top`, whoever made
    /// them.
    #[must_use]
    pub fn below(top: &Path) -> Self {
        Self {
            top: Some(top.to_owned()),
            waiting: Vec::new(),
            directories: BTreeSet::new(),
        }
    }

    /// Nothing yet. The files' directories are on the disk already, all but the newest names in
    /// them.
    #[must_use]
    pub fn in_kept_directories() -> Self {
        Self {
            top: None,
            waiting: Vec::new(),
            directories: BTreeSet::new(),
        }
    }

    /// Makes a directory, and those above it that are missing.
    ///
    /// # Errors
    /// If one cannot be made.
    pub fn make_directory(&mut self, path: &Path) -> io::Result<()> {
        std::fs::create_dir_all(path)?;
        self.names_are_new_in(path.parent().unwrap_or(path));
        Ok(())
    }

    /// Gives a file new content: all of it or, after a cut, what was there before. Its directory is
    /// made if it is missing.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn replace(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let directory = path.parent().unwrap_or(path).to_owned();
        self.make_directory(&directory)?;
        let mut temporary = NamedTempFile::new_in(&directory)?;
        temporary.write_all(bytes)?;
        self.names_are_new_in(&directory);
        self.wait_for(UnsyncedFile::New(temporary, path.to_owned()))
    }

    /// Writes a file through that is there already. One that is gone has nothing to lose.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn keep(&mut self, path: &Path) -> io::Result<()> {
        let file = match plain_file::open(path) {
            Ok(file) => file.into_file(),
            Err(NotRead::Missing) => return Ok(()),
            Err(why) => return Err(why.into()),
        };
        self.names_are_new_in(path.parent().unwrap_or(path));
        // An empty one has nothing but its name.
        if file.metadata()?.len() == 0 {
            Ok(())
        } else {
            self.wait_for(UnsyncedFile::Kept(file))
        }
    }

    fn wait_for(&mut self, waiting: UnsyncedFile) -> io::Result<()> {
        // Starts the writing of all before the first is waited for.
        #[cfg(target_os = "linux")]
        let _ = rustix::fs::fadvise(waiting.file(), 0, None, rustix::fs::Advice::DontNeed);
        self.waiting.push(waiting);
        if self.waiting.len() < AT_ONCE {
            Ok(())
        } else {
            self.settle()
        }
    }

    /// Waits for the bytes. A name is given only then: one without its bytes is what a cut would
    /// leave.
    fn settle(&mut self) -> io::Result<()> {
        self.waiting
            .iter()
            .try_for_each(|waiting| waiting.file().sync_data())?;
        for waiting in self.waiting.drain(..) {
            if let UnsyncedFile::New(temporary, path) = waiting {
                temporary.persist(path).map_err(|error| error.error)?;
            }
        }
        Ok(())
    }

    /// Another process or thread may have made any of the directories a moment ago, and not come to
    /// their sync.
    fn names_are_new_in(&mut self, directory: &Path) {
        let Some(top) = &self.top else {
            self.directories.insert(directory.to_owned());
            return;
        };
        let up = directory
            .ancestors()
            .take_while(|above| above.starts_with(top));
        self.directories.extend(up.map(Path::to_owned));
    }

    /// Returns when everything is on the disk.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn finish(mut self) -> io::Result<()> {
        self.settle()?;
        // The innermost first: what is reached from the top is whole.
        self.directories
            .iter()
            .rev()
            .try_for_each(|directory| sync_directory(directory))
    }
}

/// Gives a directory that others filled its name, with everything in it written through before.
///
/// # Errors
/// If the disk refuses, or something is in the way.
pub fn put_directory(filled: &Path, path: &Path) -> io::Result<()> {
    // Thousands of files: one sync of their file system takes less than one of each.
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(File::open(filled)?)?;
    #[cfg(not(target_os = "linux"))]
    rustix::fs::sync();
    std::fs::rename(filled, path)?;
    path.parent().map_or(Ok(()), sync_directory)
}

/// Writes the names in a directory through.
fn sync_directory(path: &Path) -> io::Result<()> {
    // What lies above a name without a slash.
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    let directory = match File::open(path) {
        // `git gc` removes directories that it emptied: what was in one has lost its name already.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    match directory.sync_all() {
        // This is how a file system says that it has nothing to sync for a directory.
        Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => Ok(()),
        synced => synced,
    }
}

#[cfg(test)]
mod tests;
