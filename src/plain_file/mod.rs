//! The one way to open a file that a child of omk, another CI job or a stranger could have written.
//!
//! A root is a directory that omk or its user chose. Below it this module refuses every symbolic
//! link, everything that is no regular file, and files over a limit that the caller names. It never
//! waits: not for the writer of a pipe, and not for a device. It refuses to know what a file is
//! for.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use sha2::Digest as _;

use crate::id::Sha256;

/// How much is read at once where a file is not held in memory: what the kernel reads ahead, about.
const PIECE: usize = 64 << 10;

/// Why a file was not read. Each text follows the file's name and a colon.
#[derive(Debug, thiserror::Error)]
pub enum NotRead {
    /// There is nothing of that name.
    #[error("there is no such file")]
    Missing,
    /// Its name leads out of the root.
    #[error("its name leads out of its directory")]
    Outside,
    /// One of the directories above it is a symbolic link, or no directory.
    #[error("it lies below a symbolic link, or below something that is no directory")]
    BelowLink,
    /// Something else than a regular file.
    #[error("it is {0}, and not a plain file")]
    NotPlain(&'static str),
    /// It holds more than is read.
    #[error("it holds more than {}, the most that omk reads of it", amount(*.most))]
    TooLarge {
        /// The limit, in bytes.
        most: u64,
    },
    /// The machine refused.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// A limit as people write it.
fn amount(bytes: u64) -> String {
    match bytes {
        bytes if bytes > 0 && bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        bytes if bytes > 0 && bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
        bytes => format!("{bytes} bytes"),
    }
}

impl NotRead {
    /// Whether there is nothing of that name.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing)
    }
}

impl From<NotRead> for std::io::Error {
    fn from(error: NotRead) -> Self {
        let kind = match error {
            NotRead::Io(error) => return error,
            NotRead::Missing => std::io::ErrorKind::NotFound,
            NotRead::TooLarge { .. } => std::io::ErrorKind::FileTooLarge,
            NotRead::Outside | NotRead::BelowLink | NotRead::NotPlain(_) => {
                std::io::ErrorKind::InvalidInput
            }
        };
        Self::new(kind, error)
    }
}

/// A directory, held open: renaming it, or putting a link in its place, changes nothing any more.
#[derive(Debug)]
pub struct Root {
    directory: OwnedFd,
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

/// A regular file, opened, with the size that it had then.
#[derive(Debug)]
pub struct PlainFile {
    file: File,
    size: u64,
}

impl Root {
    /// Opens a directory that omk or its user chose. Links on the way to it are followed.
    ///
    /// # Errors
    /// If it is not there, or no directory.
    pub fn open(path: &Path) -> Result<Self, NotRead> {
        Self::open_with(path, OFlags::empty())
    }

    /// As [`Root::open`], for a directory whose last component a child could have replaced: that
    /// may be no link.
    ///
    /// # Errors
    /// If it is not there, or no directory.
    pub fn open_real(path: &Path) -> Result<Self, NotRead> {
        Self::open_with(path, OFlags::NOFOLLOW)
    }

    fn open_with(path: &Path, more: OFlags) -> Result<Self, NotRead> {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | more;
        let directory = rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(way)?;
        Ok(Self { directory })
    }

    /// A directory below the root, as a root of its own.
    ///
    /// # Errors
    /// If it is missing, a link or below one, or no directory.
    pub fn below(&self, name: &Path) -> Result<Self, NotRead> {
        let (parent, last) = self.parent(name)?;
        let directory = rustix::fs::openat(
            &parent,
            Path::new(last.as_os_str()),
            DIRECTORY,
            Mode::empty(),
        );
        Ok(Self {
            directory: directory.map_err(way)?,
        })
    }

    /// Opens a regular file below the root. `name` is relative, without `..`.
    ///
    /// # Errors
    /// If it is missing, no regular file, or below a link.
    pub fn file(&self, name: &Path) -> Result<PlainFile, NotRead> {
        let (parent, last) = self.parent(name)?;
        let last = Path::new(last.as_os_str());
        let stat = rustix::fs::statat(&parent, last, AtFlags::SYMLINK_NOFOLLOW).map_err(way)?;
        // Opening alone can already do something to a device.
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind != FileType::RegularFile {
            return Err(NotRead::NotPlain(in_words(kind)));
        }
        // It may have been replaced since: no link is followed, and no pipe is waited for.
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file =
            rustix::fs::openat(&parent, last, flags, Mode::empty()).map_err(
                |errno| match errno {
                    Errno::LOOP => NotRead::NotPlain("a symbolic link"),
                    Errno::NXIO => NotRead::NotPlain("a pipe, a socket or a device"),
                    other => way(other),
                },
            )?;
        let file = File::from(file);
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(NotRead::NotPlain("something else by now"));
        }
        Ok(PlainFile {
            file,
            size: meta.len(),
        })
    }

    /// A whole file below the root, of at most `most` bytes.
    ///
    /// # Errors
    /// As [`Root::file`], and if it is larger.
    pub fn read(&self, name: &Path, most: u64) -> Result<Vec<u8>, NotRead> {
        self.file(name)?.read(most)
    }

    /// Removes what is at a name below the root; fine if there is nothing.
    ///
    /// # Errors
    /// If it is a directory, or below a link.
    pub fn remove(&self, name: &Path) -> Result<(), NotRead> {
        let (parent, last) = match self.parent(name) {
            Err(NotRead::Missing) => return Ok(()),
            found => found?,
        };
        match rustix::fs::unlinkat(&parent, Path::new(last.as_os_str()), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            // Linux says the first, other systems the second.
            Err(Errno::ISDIR | Errno::PERM) => Err(NotRead::NotPlain("a directory")),
            Err(errno) => Err(way(errno)),
        }
    }

    /// The directory of a name, opened without following a link, and the name in it.
    fn parent<'a>(&self, name: &'a Path) -> Result<(OwnedFd, Component<'a>), NotRead> {
        let mut parts: Vec<Component<'_>> = name
            .components()
            .filter(|part| *part != Component::CurDir)
            .collect();
        let last = parts.pop().ok_or(NotRead::Outside)?;
        if !parts
            .iter()
            .chain([&last])
            .all(|part| matches!(part, Component::Normal(_)))
        {
            return Err(NotRead::Outside);
        }
        let above: PathBuf = parts.iter().collect();
        if above.as_os_str().is_empty() {
            return Ok((self.directory.try_clone()?, last));
        }
        #[cfg(target_os = "linux")]
        match at_once(&self.directory, &above) {
            // Kernels before 5.6 have no such call, and some sandboxes forbid it.
            Err(Errno::NOSYS | Errno::PERM) => {}
            found => return Ok((found.map_err(way)?, last)),
        }
        Ok((step_by_step(&self.directory, &parts)?, last))
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// The kernel refuses links itself, also those that are put there meanwhile.
#[cfg(target_os = "linux")]
fn at_once(root: &OwnedFd, path: &Path) -> Result<OwnedFd, Errno> {
    use rustix::fs::ResolveFlags;
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    rustix::fs::openat2(root, path, DIRECTORY, Mode::empty(), how)
}

fn step_by_step(root: &OwnedFd, parts: &[Component<'_>]) -> Result<OwnedFd, NotRead> {
    let mut at = root.try_clone()?;
    for part in parts {
        at = rustix::fs::openat(&at, Path::new(part.as_os_str()), DIRECTORY, Mode::empty())
            .map_err(way)?;
    }
    Ok(at)
}

/// What an errno on the way to a file means.
fn way(errno: Errno) -> NotRead {
    match errno {
        Errno::NOENT => NotRead::Missing,
        Errno::LOOP | Errno::NOTDIR | Errno::XDEV => NotRead::BelowLink,
        other => NotRead::Io(other.into()),
    }
}

/// What a file is that is no regular one.
#[must_use]
pub fn in_words(kind: FileType) -> &'static str {
    match kind {
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Directory => "a directory",
        FileType::RegularFile | FileType::Unknown => "of an unknown kind",
    }
}

impl PlainFile {
    /// Its size when it was opened, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The open file, to be read piece by piece. It can grow meanwhile, so whoever reads it names a
    /// limit.
    #[must_use]
    pub fn into_file(self) -> File {
        self.file
    }

    /// Its bytes, to be read piece by piece: as many as there were when it was opened.
    pub fn whole(self) -> impl std::io::Read {
        self.file.take(self.size)
    }

    /// All of it, if it is no more than `most` bytes.
    ///
    /// # Errors
    /// If it is larger, or cannot be read.
    pub fn read(self, most: u64) -> Result<Vec<u8>, NotRead> {
        if self.size > most {
            return Err(NotRead::TooLarge { most });
        }
        let mut bytes = Vec::new();
        self.file
            .take(most.saturating_add(1))
            .read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            Err(NotRead::TooLarge { most })
        } else {
            Ok(bytes)
        }
    }

    /// The digest of all of it, if it is no more than `most` bytes. It is not held in memory.
    ///
    /// # Errors
    /// If it is larger, or cannot be read.
    pub fn digest(self, most: u64) -> Result<Sha256, NotRead> {
        if self.size > most {
            return Err(NotRead::TooLarge { most });
        }
        let (mut digest, mut left) = (sha2::Sha256::new(), most);
        let mut piece = vec![0; PIECE];
        let mut file = self.file;
        loop {
            let count = file.read(&mut piece)?;
            if count == 0 {
                return Ok(Sha256::from_digest(&digest.finalize()));
            }
            left = left
                .checked_sub(count as u64)
                .ok_or(NotRead::TooLarge { most })?;
            digest.update(&piece[..count]);
        }
    }

    /// What stands in it from byte `from` on; the last `most` bytes, if that is more.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read_end(mut self, from: u64, most: u64) -> Result<Vec<u8>, NotRead> {
        self.file
            .seek(SeekFrom::Start(from.max(self.size.saturating_sub(most))))?;
        let mut bytes = Vec::new();
        self.file.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Opens a file that a user named, wherever it is. Links are followed on the way to it; the file
/// itself may be no link.
///
/// # Errors
/// If it is missing, or no regular file.
pub fn open(path: &Path) -> Result<PlainFile, NotRead> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(NotRead::Outside);
    };
    Root::open(parent)?.file(Path::new(name))
}

/// As [`open`], and reads all of it: at most `most` bytes.
///
/// # Errors
/// As [`open`], and if it is larger.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>, NotRead> {
    open(path)?.read(most)
}

#[cfg(test)]
mod tests;
