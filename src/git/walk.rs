//! Walking and clearing a slot, whatever a child left in it.
//!
//! It refuses to follow symlinks, and to give up at read-only directories or at nesting that no
//! path can name.

use std::ffi::{CStr, CString, OsStr};
use std::fs::{Metadata, Permissions};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::call::go_on;
use super::error::GitError;
use crate::scope::name;

/// Directories inside each other that are cleared in place, each holding a descriptor; deeper ones
/// move out first.
const HELD: usize = 32;

/// What to do with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WalkAction {
    /// It is a directory; go on inside.
    Enter,
    /// It is dealt with.
    Skip,
}

/// Says what to do with the entry at a path below the root.
pub(super) type Decide<'a> = dyn FnMut(&[u8], &Metadata) -> Result<WalkAction, GitError> + 'a;

/// The path below a slot for a path of a tree.
pub(super) fn below(root: &Path, path: &[u8]) -> PathBuf {
    root.join(OsStr::from_bytes(path))
}

/// Asks `decide` about every entry below `root`; in each directory first about those that begin
/// with `.git`.
pub(super) fn walk(root: &Path, decide: &mut Decide<'_>) -> Result<(), GitError> {
    walk_at(root, &mut Vec::new(), 0, decide)
}

fn walk_at(
    directory: &Path,
    path: &mut Vec<u8>,
    depth: usize,
    decide: &mut Decide<'_>,
) -> Result<(), GitError> {
    if depth > name::DEEPEST {
        return Err(GitError::refused(path, name::TOO_DEEP));
    }
    let mut entries = read_dir(directory)?;
    // Files that rule over their neighbours come first.
    entries.sort_by_key(|entry| !entry.file_name().as_bytes().starts_with(b".git"));
    for entry in entries {
        go_on()?;
        let length = path.len();
        if length > 0 {
            path.push(b'/');
        }
        path.extend_from_slice(entry.file_name().as_bytes());
        if path.len() > name::LONGEST {
            return Err(GitError::refused(path, name::TOO_LONG));
        }
        match entry.metadata() {
            Ok(meta) => {
                if decide(path, &meta)? == WalkAction::Enter {
                    walk_at(&entry.path(), path, depth + 1, decide)?;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(GitError::io("look at", &entry.path())(error)),
        }
        path.truncate(length);
    }
    Ok(())
}

/// The entries of a directory that is known to be one; made readable where it is not.
fn read_dir(directory: &Path) -> Result<Vec<std::fs::DirEntry>, GitError> {
    let list = || std::fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>();
    // Without permission to search it, a directory can be listed, and none of its entries looked
    // at.
    let mode = std::fs::symlink_metadata(directory)
        .map_err(GitError::io("look at", directory))?
        .permissions()
        .mode();
    if mode & 0o700 != 0o700 {
        let open = Permissions::from_mode(mode | 0o700);
        std::fs::set_permissions(directory, open).map_err(GitError::io("open up", directory))?;
    }
    list().map_err(GitError::io("read", directory))
}

/// Removes what is at `path`, whatever it is; fine where there is nothing. Its parent must be a
/// directory that is known not to be a symlink. `attic` is an existing directory on the same file
/// system.
pub(super) fn remove(path: &Path, attic: &Path) -> Result<(), GitError> {
    let failed = |errno: Errno| GitError::io("remove", path)(errno.into());
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(());
    };
    let name = CString::new(name.as_bytes()).map_err(|_| failed(Errno::INVAL))?;
    let parent = match open(rustix::fs::CWD, parent) {
        Ok(parent) => parent,
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(failed(errno)),
    };
    let attic = open(rustix::fs::CWD, attic).map_err(failed)?;
    let mut moved = Attic {
        attic: attic.as_fd(),
        count: 0,
    };
    remove_at(parent.as_fd(), &name, 0, &mut moved).map_err(failed)?;
    // Each may be deep itself, and move more out.
    let mut done = 0;
    while done < moved.count {
        let name = moved.name(done);
        remove_at(attic.as_fd(), &name, 0, &mut moved).map_err(failed)?;
        done += 1;
    }
    Ok(())
}

/// What a killed process left in the attic.
pub(super) fn clear_leftovers(attic: &Path) -> Result<(), GitError> {
    let entries = std::fs::read_dir(attic).map_err(GitError::io("read", attic))?;
    for entry in entries.flatten() {
        remove(&entry.path(), attic)?;
    }
    Ok(())
}

/// Directories on their way out, by number.
struct Attic<'a> {
    attic: BorrowedFd<'a>,
    count: u32,
}

impl Attic<'_> {
    fn name(&self, number: u32) -> CString {
        CString::new(number.to_string()).expect("digits hold no NUL")
    }
}

fn open<P: rustix::path::Arg>(at: BorrowedFd<'_>, path: P) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at, path, flags, Mode::empty())
}

fn remove_at(
    parent: BorrowedFd<'_>,
    name: &CStr,
    depth: usize,
    moved: &mut Attic<'_>,
) -> rustix::io::Result<()> {
    let stat = match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(errno),
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return unlink(parent, name, AtFlags::empty());
    }
    if stat.st_mode & 0o700 != 0o700 {
        // Not a symlink, as was just seen, and no child lives that could make it one.
        rustix::fs::chmodat(parent, name, Mode::RWXU, AtFlags::empty())?;
    }
    if depth > HELD {
        return move_out(parent, name, moved);
    }
    let directory = open(parent, name)?;
    for entry in Dir::read_from(&directory)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            remove_at(directory.as_fd(), entry.file_name(), depth + 1, moved)?;
        }
    }
    unlink(parent, name, AtFlags::REMOVEDIR)
}

/// Moves a directory into the attic, under the next number that is free there.
fn move_out(parent: BorrowedFd<'_>, name: &CStr, moved: &mut Attic<'_>) -> rustix::io::Result<()> {
    loop {
        let number = moved.name(moved.count);
        moved.count += 1;
        match rustix::fs::renameat(parent, name, moved.attic, &number) {
            Ok(()) => return Ok(()),
            // Left there by a process that was killed; it is cleared along with the rest.
            Err(Errno::EXIST | Errno::NOTEMPTY) => {}
            Err(Errno::ACCESS) => {
                rustix::fs::fchmod(parent, Mode::RWXU)?;
                rustix::fs::renameat(parent, name, moved.attic, &number)?;
                return Ok(());
            }
            Err(errno) => return Err(errno),
        }
    }
}

fn unlink(parent: BorrowedFd<'_>, name: &CStr, flags: AtFlags) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(parent, name, flags) {
        Err(Errno::ACCESS) => {
            rustix::fs::fchmod(parent, Mode::RWXU)?;
            rustix::fs::unlinkat(parent, name, flags)
        }
        Err(Errno::NOENT) => Ok(()),
        done => done,
    }
}
