//! The directory beside a slot that its holder keeps to itself, used again by the next one.
//!
//! Making and removing directories is the dearest part of a small task: a file system looks for a
//! free inode, and tells the disk of each block that it no longer needs. So the directories that
//! every holder makes stay, empty and with nothing left of what was done to them. It refuses to
//! keep one of which that cannot be said.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, RawDir};
use rustix::io::Errno;

use super::error::GitError;
use super::pool::{Slot, make_directory};
use super::slot::{LONG_AGO, OPEN, calm};
use super::walk::remove;

/// Whether a directory, by its path in the private one, is one that every holder makes.
pub type Keeps = dyn Fn(&Path) -> bool;

/// The largest size of an empty directory that says nothing of what was in it, in bytes: one block.
/// ext4 keeps what a directory has grown to.
const SMALL: u64 = 4096;

/// The most names of attributes that are looked at, in bytes. A security module gives a directory
/// one or two.
const NAMES: usize = 1024;

/// What is listed at once, in bytes: some dozens of names.
const LISTED: usize = 4096;

impl Slot {
    /// A directory beside the slot, for what its holder keeps to itself. Whatever was there is
    /// gone, but for the directories that `keeps` names; they are empty, too.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn fresh_private(&self, keeps: &Keeps) -> Result<PathBuf, GitError> {
        self.emptied(Path::new(""), keeps)
    }

    /// The same for a directory of that name inside the one of [`Slot::fresh_private`]; the rest
    /// there stays.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn fresh_private_part(&self, name: &str, keeps: &Keeps) -> Result<PathBuf, GitError> {
        self.emptied(Path::new(name), keeps)
    }

    fn emptied(&self, name: &Path, keeps: &Keeps) -> Result<PathBuf, GitError> {
        let root = self.own_file("private");
        let path = if name.as_os_str().is_empty() {
            root
        } else {
            root.join(name)
        };
        self.empty(&path, name, keeps)?;
        make_directory(&path)?;
        Ok(path)
    }

    /// Empties a directory, whose path in the private one is `name`; what is none, or has a past,
    /// is removed.
    fn empty(&self, path: &Path, name: &Path, keeps: &Keeps) -> Result<(), GitError> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = match rustix::fs::open(path, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(()),
            Err(_) => return remove(path, &self.attic),
            Ok(opened) if has_no_past(&opened) => opened,
            Ok(_) => return remove(path, &self.attic),
        };
        let problem = |errno: Errno| GitError::io("empty", path)(errno.into());
        let mut listed = Vec::with_capacity(LISTED);
        let mut entries = RawDir::new(&opened, listed.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry =
                OsStr::from_bytes(entry.map_err(problem)?.file_name().to_bytes()).to_owned();
            if entry == "." || entry == ".." {
                continue;
            }
            let inside = name.join(&entry);
            if keeps(&inside) {
                self.empty(&path.join(&entry), &inside, keeps)?;
            } else {
                remove(&path.join(&entry), &self.attic)?;
            }
        }
        let left = rustix::fs::fstat(&opened).map_err(problem)?;
        let is_calm =
            (left.st_mode & 0o7777, left.st_mtime, left.st_mtime_nsec) == (OPEN, LONG_AGO, 0);
        if is_calm { Ok(()) } else { calm(path) }
    }
}

/// Whether nothing but a directory's mode and times, which can be set, may tell what was done to
/// it.
fn has_no_past(directory: &OwnedFd) -> bool {
    let Ok(found) = rustix::fs::fstat(directory) else {
        return false;
    };
    let own = (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    let size = u64::try_from(found.st_size).unwrap_or(u64::MAX);
    (found.st_uid, found.st_gid) == own
        && size <= SMALL
        && has_no_flags(directory)
        && has_no_attributes(directory)
}

/// Whether a directory has none of the flags that its owner can give it, as `chattr` does.
#[cfg(target_os = "linux")]
fn has_no_flags(directory: &OwnedFd) -> bool {
    use rustix::fs::IFlags;
    let settable = IFlags::SECURE_REMOVAL
        | IFlags::UNRM
        | IFlags::COMPRESSED
        | IFlags::SYNC
        | IFlags::IMMUTABLE
        | IFlags::APPEND
        | IFlags::NODUMP
        | IFlags::NOATIME
        | IFlags::DIRSYNC
        | IFlags::TOPDIR
        | IFlags::NOCOW
        | IFlags::PROJECT_INHERIT;
    // A file system without flags keeps none.
    rustix::fs::ioctl_getflags(directory).map_or(true, |flags| !flags.intersects(settable))
}

#[cfg(not(target_os = "linux"))]
fn has_no_flags(_directory: &OwnedFd) -> bool {
    true
}

/// Whether a directory has no attributes but those that the machine's security module gives to all.
fn has_no_attributes(directory: &OwnedFd) -> bool {
    let mut names = [0; NAMES];
    match rustix::fs::flistxattr(directory, &mut names) {
        Ok(length) => names[..length]
            .split(|&byte| byte == 0)
            .all(|name| name.is_empty() || name.starts_with(b"security.")),
        Err(errno) => errno == Errno::NOTSUP,
    }
}
