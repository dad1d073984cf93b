//! One file of a slot: read as a blob, written from one.
//!
//! It refuses to follow symlinks, and to convert: bytes are taken as they are.

use std::fs::{File, Metadata, Permissions};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use git2::{ObjectType, Oid, Repository};

use super::call::go_on;
use super::error::GitError;
use super::facts::Bytes;
use super::lookup::find_blob;
use super::tree::{EXECUTABLE, FILE, SYMLINK, TreeEntry};
use super::walk::below;
use crate::plain_file::{NotRead, Root};

/// Files above this are read by libgit2 in pieces rather than held in memory.
pub(super) const LARGE: u64 = 16 << 20;

/// The largest file of rules that is read, in bytes; a thousand times those of a big project.
const RULES: u64 = 1 << 20;

/// The content of a file as a blob.
pub(super) fn blob_id(bytes: &[u8]) -> Result<Oid, GitError> {
    Oid::hash_object(ObjectType::Blob, bytes).map_err(GitError::lib("hash a file"))
}

/// The files of a slot.
pub(super) struct Files<'a> {
    top: &'a Path,
    root: Root,
}

impl<'a> Files<'a> {
    pub(super) fn of(top: &'a Path) -> Result<Self, GitError> {
        let root = Root::open_real(top).map_err(|why| GitError::io("read", top)(why.into()))?;
        Ok(Self { top, root })
    }

    /// What the file, or the link, at a path would be as a blob; `None` if it is too large to be
    /// held in memory.
    pub(super) fn blob(&self, path: &[u8], meta: &Metadata) -> Result<Option<Oid>, GitError> {
        if meta.len() > LARGE && !meta.is_symlink() {
            return Ok(None);
        }
        blob_id(&self.read(path, meta)?).map(Some)
    }

    /// What tells the bytes of a file of any size from others: the id of its blob, if it is not too
    /// large for that.
    pub(super) fn bytes(&self, path: &[u8], meta: &Metadata) -> Result<Bytes, GitError> {
        if let Some(blob) = self.blob(path, meta)? {
            return Ok(Bytes(blob));
        }
        let on_disk = below(self.top, path);
        make_readable(&on_disk, meta)?;
        let digest = self
            .root
            .file(&below(Path::new(""), path))
            .and_then(|file| file.digest(u64::MAX));
        let digest = digest.map_err(|why| GitError::io("read", &on_disk)(why.into()))?;
        Ok(Bytes(
            Oid::from_str(&digest.as_str()[..40]).expect("a digest begins with 40 hex digits"),
        ))
    }

    /// The bytes of a file of at most [`LARGE`] bytes, or where a link leads.
    pub(super) fn read(&self, path: &[u8], meta: &Metadata) -> Result<Vec<u8>, GitError> {
        go_on()?;
        let on_disk = below(self.top, path);
        if meta.is_symlink() {
            return read_link(&on_disk);
        }
        make_readable(&on_disk, meta)?;
        let read = self.root.read(&below(Path::new(""), path), LARGE);
        read.map_err(|why| GitError::io("read", &on_disk)(why.into()))
    }

    /// The text of `.gitignore` or `.gitattributes`. git reads none that are no plain file, and
    /// neither does this.
    pub(super) fn rules(&self, path: &[u8]) -> Result<Vec<u8>, GitError> {
        match self.root.read(&below(Path::new(""), path), RULES) {
            Ok(text) => Ok(text),
            Err(
                NotRead::Missing | NotRead::Outside | NotRead::BelowLink | NotRead::NotPlain(_),
            ) => Ok(Vec::new()),
            Err(NotRead::TooLarge { .. }) => {
                let path = String::from_utf8_lossy(path).into_owned();
                Err(GitError::Unstorable {
                    path,
                    why: "it is larger than 1 MiB, and rules of that size are not read",
                })
            }
            Err(NotRead::Io(error)) => Err(GitError::io("read", &below(self.top, path))(error)),
        }
    }

    /// The bytes of a file of any size, to be read piece by piece.
    pub(super) fn open(
        &self,
        path: &[u8],
        meta: &Metadata,
    ) -> Result<impl std::io::Read + use<>, GitError> {
        go_on()?;
        let on_disk = below(self.top, path);
        make_readable(&on_disk, meta)?;
        let file = self.root.file(&below(Path::new(""), path));
        Ok(file
            .map_err(|why| GitError::io("read", &on_disk)(why.into()))?
            .whole())
    }

    /// Stores a file of any size, in pieces.
    pub(super) fn store(
        &self,
        repo: &Repository,
        path: &[u8],
        meta: &Metadata,
    ) -> Result<Oid, GitError> {
        let on_disk = below(self.top, path);
        let what = format!("store {}", on_disk.display());
        let mut file = self.open(path, meta)?;
        // Without a path for its hint, so that libgit2 looks for no filters.
        let mut writer = repo
            .blob_writer(None)
            .map_err(GitError::lib(what.clone()))?;
        std::io::copy(&mut file, &mut writer).map_err(GitError::io("store", &on_disk))?;
        writer.commit().map_err(GitError::lib(what))
    }
}

pub(super) fn mode_of(meta: &Metadata, instead: Option<TreeEntry>) -> u32 {
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

fn read_link(on_disk: &Path) -> Result<Vec<u8>, GitError> {
    let target = std::fs::read_link(on_disk).map_err(GitError::io("read", on_disk))?;
    Ok(target.as_os_str().as_bytes().to_vec())
}

pub(super) fn write_entry(
    repo: &Repository,
    on_disk: &Path,
    entry: TreeEntry,
) -> Result<(), GitError> {
    let blob = find_blob(
        repo,
        entry.oid,
        &format!("read what {} holds", on_disk.display()),
    )?;
    let write = || {
        if entry.is_symlink() {
            return std::os::unix::fs::symlink(
                std::ffi::OsStr::from_bytes(blob.content()),
                on_disk,
            );
        }
        let mode = if entry.mode & 0o111 != 0 {
            0o777
        } else {
            0o666
        };
        File::options()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(on_disk)?
            .write_all(blob.content())
    };
    write().map_err(GitError::io("write", on_disk))
}
