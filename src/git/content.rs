//! One file of a slot: read as a blob, written from one.
//!
//! It refuses to follow symlinks, and to convert: bytes are taken as they are.

use std::fs::{File, Metadata, Permissions};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use git2::{ObjectType, Oid, Repository};

use super::error::GitError;
use super::tree::{EXECUTABLE, Entry, FILE, SYMLINK};

/// Files above this are read by libgit2 in pieces rather than held in memory.
pub(super) const LARGE: u64 = 16 << 20;

/// The content of a file as a blob.
pub(super) fn blob_id(bytes: &[u8]) -> Result<Oid, GitError> {
    Oid::hash_object(ObjectType::Blob, bytes).map_err(GitError::lib("hash a file"))
}

/// What the file, or the link, at a path would be as a blob.
pub(super) fn blob_on_disk(on_disk: &Path, meta: &Metadata) -> Result<Oid, GitError> {
    if meta.is_symlink() {
        return blob_id(&read_link(on_disk)?);
    }
    make_readable(on_disk, meta)?;
    Oid::hash_file(ObjectType::Blob, on_disk).map_err(GitError::lib(format!("read {}", on_disk.display())))
}

pub(super) fn mode_of(meta: &Metadata, instead: Option<Entry>) -> u32 {
    match instead {
        _ if meta.is_symlink() => SYMLINK,
        Some(was) if !was.is_symlink() && !was.is_submodule() => was.mode,
        Some(_) | None if meta.permissions().mode() & 0o100 != 0 => EXECUTABLE,
        Some(_) | None => FILE,
    }
}

pub(super) fn make_readable(on_disk: &Path, meta: &Metadata) -> Result<(), GitError> {
    if meta.permissions().mode() & 0o400 != 0 {
        return Ok(());
    }
    let open = Permissions::from_mode(meta.permissions().mode() | 0o400);
    std::fs::set_permissions(on_disk, open).map_err(GitError::io("open up", on_disk))
}

pub(super) fn read_file(on_disk: &Path, meta: &Metadata) -> Result<Vec<u8>, GitError> {
    make_readable(on_disk, meta)?;
    std::fs::read(on_disk).map_err(GitError::io("read", on_disk))
}

pub(super) fn read_link(on_disk: &Path) -> Result<Vec<u8>, GitError> {
    let target = std::fs::read_link(on_disk).map_err(GitError::io("read", on_disk))?;
    Ok(target.as_os_str().as_bytes().to_vec())
}

pub(super) fn large_blob(repo: &Repository, on_disk: &Path) -> Result<Oid, GitError> {
    let what = format!("store {}", on_disk.display());
    let mut file = File::open(on_disk).map_err(GitError::io("read", on_disk))?;
    // Without a path for its hint, so that libgit2 looks for no filters.
    let mut writer = repo.blob_writer(None).map_err(GitError::lib(what.clone()))?;
    std::io::copy(&mut file, &mut writer).map_err(GitError::io("store", on_disk))?;
    writer.commit().map_err(GitError::lib(what))
}

pub(super) fn write_entry(repo: &Repository, on_disk: &Path, entry: Entry) -> Result<(), GitError> {
    let blob = repo.find_blob(entry.oid).map_err(GitError::lib(format!("read what {} holds", on_disk.display())))?;
    let write = || {
        if entry.is_symlink() {
            return std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(blob.content()), on_disk);
        }
        let mode = if entry.mode & 0o111 != 0 { 0o777 } else { 0o666 };
        File::options().write(true).create_new(true).mode(mode).open(on_disk)?.write_all(blob.content())
    };
    write().map_err(GitError::io("write", on_disk))
}
