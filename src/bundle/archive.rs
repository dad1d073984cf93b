//! A bundle as a zip archive, as artifacts are kept by forges.
//!
//! It refuses names that leave the directory, links, and more files or bytes than it is told to
//! expect, whatever the archive says of itself: what is counted is what comes out.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::id::RepoPath;
use crate::plain_file;

/// Files in one archive; a run of 10,000 tasks leaves a few for each.
const FILES: usize = 100_000;

/// Directories inside each other, in an archive; a bundle in a job's artifact has six.
const DEPTH: usize = 16;

/// What each entry of an archive's list of contents begins with.
const ENTRY: &[u8] = b"PK\x01\x02";

/// An archive that is not unpacked. Fits after "failed to …".
#[derive(Debug, thiserror::Error)]
pub enum BadArchive {
    /// It cannot be read.
    #[error("read the archive {path}: {said}")]
    Unreadable {
        /// The file.
        path: String,
        /// What is wrong with it.
        said: String,
    },
    /// A name that is not one of a bundle's, or is of too many directories.
    #[error("unpack the archive: the name {name} does not stay inside it")]
    Name {
        /// The name, clipped.
        name: String,
    },
    /// A link or a device.
    #[error("unpack the archive: {name} is not a plain file")]
    NotAFile {
        /// Its name.
        name: String,
    },
    /// Too much.
    #[error("unpack the archive: it holds more than {most}")]
    TooMuch {
        /// What is allowed.
        most: String,
    },
    /// The disk.
    #[error("write {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

/// Unpacks `archive` into `to`, an empty directory, at most `most` bytes in all.
///
/// # Errors
/// Where the archive is damaged or hostile; `to` may hold a part of it then.
pub fn unpack(archive: &Path, to: &Path, most: u64) -> Result<(), BadArchive> {
    let unreadable = |said: String| BadArchive::Unreadable {
        path: archive.display().to_string(),
        said,
    };
    let mut file = plain_file::open(archive)
        .map_err(|why| unreadable(why.to_string()))?
        .into_file();
    // Each entry takes hundreds of bytes of memory once the list is read, whatever it takes here.
    // The list cannot have more of them than are counted.
    if entries(&mut file).map_err(|error| unreadable(error.to_string()))? > FILES {
        return Err(BadArchive::TooMuch {
            most: format!("{FILES} files"),
        });
    }
    let mut zip = zip::ZipArchive::new(std::io::BufReader::new(file))
        .map_err(|error| unreadable(error.to_string()))?;
    let mut left = most;
    for index in 0..zip.len() {
        let mut entry = zip
            .by_index(index)
            .map_err(|error| unreadable(error.to_string()))?;
        let raw = String::from_utf8_lossy(entry.name_raw()).into_owned();
        if entry.is_dir() {
            continue;
        }
        let bad_name = || BadArchive::Name {
            name: crate::text::clip(&crate::text::printable(raw.as_bytes()), 120).to_string(),
        };
        let name: RepoPath = raw
            .parse()
            .ok()
            .filter(|_| !raw.contains(['\\', '"', ':']))
            .ok_or_else(bad_name)?;
        if raw.matches('/').count() > DEPTH {
            return Err(bad_name());
        }
        if !entry.is_file() || entry.is_symlink() {
            return Err(BadArchive::NotAFile {
                name: name.to_string(),
            });
        }
        let path = to.join(name.to_string());
        let io = |source| BadArchive::Io {
            path: path.display().to_string(),
            source,
        };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(io)?;
        }
        let mut out = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(io)?;
        let copied = copy(&mut entry, &mut out, left).map_err(io)?;
        left = copied.ok_or_else(|| BadArchive::TooMuch {
            most: format!("{most} bytes"),
        })?;
    }
    Ok(())
}

/// How many entries the archive can have at most: what begins like one may also be in a file's
/// bytes.
fn entries(file: &mut File) -> std::io::Result<usize> {
    let (mut count, mut kept) = (0, 0);
    let mut part = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut part[kept..])?;
        let there = kept + read;
        count += part[..there]
            .windows(ENTRY.len())
            .filter(|window| *window == ENTRY)
            .count();
        if read == 0 || count > FILES {
            file.rewind()?;
            return Ok(count);
        }
        // The beginning of one may be at the end of this part.
        kept = there.min(ENTRY.len() - 1);
        part.copy_within(there - kept..there, 0);
    }
}

/// Copies all of `from`; what is left of the allowance, or `None` where it is used up.
fn copy(
    from: &mut impl std::io::Read,
    to: &mut File,
    mut left: u64,
) -> std::io::Result<Option<u64>> {
    let mut part = vec![0; 64 * 1024];
    loop {
        let count = from.read(&mut part)?;
        if count == 0 {
            return Ok(Some(left));
        }
        let Some(rest) = left.checked_sub(count as u64) else {
            return Ok(None);
        };
        left = rest;
        to.write_all(&part[..count])?;
    }
}

#[cfg(test)]
mod tests;
