//! What a child left in its slot, its HOME and its TMPDIR, without the secrets that omk knows: an
//! agent's own records of what a provider sent back, above all.
//!
//! It refuses to follow links, and to leave a file that it can neither read nor rewrite. It takes
//! no longer than its [`Bounds`] allow: what it does not read then, it removes.

use std::fs::Metadata;
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use crate::plain_file::{self, PlainFile};
use crate::text::Scrubber;

/// How much of a file is rewritten at once.
const CHUNK: usize = 64 * 1024;

/// What a sweep looks at, and for how long.
#[derive(Debug, Clone, Default)]
pub(super) struct Bounds {
    /// Files that were not changed since that time are not read; `None` = all are.
    pub(super) since: Option<SystemTime>,
    /// Directories that are not looked into.
    pub(super) left_out: Vec<PathBuf>,
    /// How much is read at most, in bytes.
    pub(super) most: u64,
    /// Nothing is read once it is cancelled.
    pub(super) stop: CancellationToken,
}

/// Takes known secrets out of the names and contents of all that lies below a directory. Blocks.
pub(super) fn sweep(top: &Path, bounds: &Bounds, scrubber: &Scrubber) {
    if scrubber.knows_nothing() {
        return;
    }
    let mut left = bounds.most;
    let mut open = vec![top.to_owned()];
    while let Some(directory) = open.pop() {
        let Ok(entries) = list(&directory) else {
            remove_what_cannot_be_read(&directory, top);
            continue;
        };
        for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
            let Ok(meta) = std::fs::symlink_metadata(&path) else {
                continue;
            };
            let is_old = !meta.is_dir() && bounds.since.is_some_and(|since| changed(&meta) < since);
            if is_old || (!meta.is_symlink() && bounds.left_out.contains(&path)) {
                continue;
            }
            if is_named(&path, &meta, scrubber) {
                remove(&path, &meta);
            } else if meta.is_dir() {
                open.push(path);
            } else if meta.is_file() {
                let may_read = meta.len() <= left && !bounds.stop.is_cancelled();
                left = left.saturating_sub(meta.len());
                if !may_read || clean(&path, &meta, scrubber).is_err() {
                    remove(&path, &meta);
                }
            }
        }
    }
}

/// The entries of a directory, whose files can be looked at and replaced: a child may have given it
/// a mode that forbids that.
fn list(directory: &Path) -> io::Result<std::fs::ReadDir> {
    let mode = directory.symlink_metadata()?.permissions().mode();
    if mode & 0o700 != 0o700 {
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(mode | 0o700))?;
    }
    std::fs::read_dir(directory)
}

/// Removes a directory that cannot be read: itself, or the nearest one around it that can be named,
/// for a path may have grown too long for that.
fn remove_what_cannot_be_read(directory: &Path, top: &Path) {
    let around = directory
        .ancestors()
        .take_while(|directory| *directory != top);
    for directory in around {
        match std::fs::remove_dir_all(directory) {
            Ok(()) => return,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(_) => {}
        }
    }
}

/// When the system last noted a change of it. Unlike the time of its content, no child can set this
/// back.
fn changed(meta: &Metadata) -> SystemTime {
    let (seconds, nanoseconds) = (
        u64::try_from(meta.ctime()),
        u32::try_from(meta.ctime_nsec()),
    );
    SystemTime::UNIX_EPOCH + Duration::new(seconds.unwrap_or(0), nanoseconds.unwrap_or(0))
}

/// Whether its name, or where it leads, holds a secret.
fn is_named(path: &Path, meta: &Metadata, scrubber: &Scrubber) -> bool {
    let leads_to = || std::fs::read_link(path).unwrap_or_default();
    let holds = |path: &Path| scrubber.is_in(path.as_os_str().as_bytes());
    path.file_name()
        .is_some_and(|name| scrubber.is_in(name.as_bytes()))
        || (meta.is_symlink() && holds(&leads_to()))
}

fn remove(path: &Path, meta: &Metadata) {
    // The directory is emptied when the place is used again; nothing else can be done about what
    // stays until then.
    let _ = if meta.is_dir() {
        std::fs::remove_dir_all(path)
    } else {
        std::fs::remove_file(path)
    };
}

fn clean(path: &PathBuf, meta: &Metadata, scrubber: &Scrubber) -> io::Result<()> {
    let read = || {
        plain_file::open(path)
            .map(PlainFile::into_file)
            .map_err(io::Error::from)
    };
    if !scrubber.is_in_file(&mut read()?)? {
        return Ok(());
    }
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(directory)?;
    let (mut file, mut stream) = (read()?, scrubber.stream());
    let (mut chunk, mut out) = (vec![0; CHUNK], Vec::new());
    loop {
        let length = file.read(&mut chunk)?;
        if length == 0 {
            stream.finish(&mut out);
        } else {
            stream.push(&chunk[..length], &mut out);
        }
        new.write_all(&out)?;
        out.clear();
        if length == 0 {
            break;
        }
    }
    new.as_file()
        .set_permissions(std::fs::Permissions::from_mode(
            meta.permissions().mode() & 0o777,
        ))?;
    new.persist(path).map(|_| ()).map_err(|error| error.error)
}

#[cfg(test)]
mod tests;
