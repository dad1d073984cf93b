//! The directory beside a slot that its holder keeps to itself, used again by the next one.
//!
//! Making and removing directories is the dearest part of a small task: a file system looks for a free inode, and tells the
//! disk of each block that it no longer needs. So the directories that every holder makes stay, empty and with nothing left
//! of what was done to them. It refuses to keep one of which that cannot be said.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::error::GitError;
use super::pool::{Slot, make_directory};
use super::slot::calm;
use super::walk::remove;

/// Whether a directory, by its path in the private one, is one that every holder makes.
pub type Keeps = dyn Fn(&Path) -> bool;

/// The largest size of an empty directory that says nothing of what was in it, in bytes: one block. ext4 keeps what a
/// directory has grown to.
const SMALL: u64 = 4096;

/// The most names of attributes that are looked at, in bytes. A security module gives a directory one or two.
const NAMES: usize = 1024;

impl Slot {
    /// A directory beside the slot, for what its holder keeps to itself. Whatever was there is gone, but for the directories
    /// that `keeps` names; they are empty, too.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn fresh_private(&self, keeps: &Keeps) -> Result<PathBuf, GitError> {
        self.emptied(Path::new(""), keeps)
    }

    /// The same for a directory of that name inside the one of [`Slot::fresh_private`]; the rest there stays.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn fresh_private_part(&self, name: &str, keeps: &Keeps) -> Result<PathBuf, GitError> {
        self.emptied(Path::new(name), keeps)
    }

    fn emptied(&self, name: &Path, keeps: &Keeps) -> Result<PathBuf, GitError> {
        let root = self.own_file("private");
        let path = if name.as_os_str().is_empty() { root } else { root.join(name) };
        self.empty(&path, name, keeps)?;
        make_directory(&path)?;
        Ok(path)
    }

    /// Empties a directory, whose path in the private one is `name`; what is none, or has a past, is removed.
    fn empty(&self, path: &Path, name: &Path, keeps: &Keeps) -> Result<(), GitError> {
        match std::fs::symlink_metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Ok(meta) if meta.is_dir() && has_no_past(path, &meta) => {}
            Ok(_) | Err(_) => return remove(path, &self.attic),
        }
        let entries = std::fs::read_dir(path).map_err(GitError::io("read", path))?;
        for entry in entries {
            let entry = entry.map_err(GitError::io("read", path))?;
            let inside = name.join(entry.file_name());
            if keeps(&inside) {
                self.empty(&entry.path(), &inside, keeps)?;
            } else {
                remove(&entry.path(), &self.attic)?;
            }
        }
        calm(path)
    }
}

/// Whether nothing but a directory's mode and times, which can be set, may tell what was done to it.
fn has_no_past(path: &Path, meta: &Metadata) -> bool {
    let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let readable = meta.mode() & 0o700 == 0o700;
    readable && (meta.uid(), meta.gid()) == own && meta.size() <= SMALL && has_no_attributes(path)
}

/// Whether a directory has no attributes but those that the machine's security module gives to all.
fn has_no_attributes(path: &Path) -> bool {
    let mut names = [0; NAMES];
    match rustix::fs::llistxattr(path, &mut names) {
        Ok(length) => {
            names[..length].split(|&byte| byte == 0).all(|name| name.is_empty() || name.starts_with(b"security."))
        }
        Err(errno) => errno == rustix::io::Errno::NOTSUP,
    }
}
