//! A directory that a stranger filled, looked through without following anything.
//!
//! It refuses links, pipes and devices before it opens them, more files than are allowed, and
//! directories without a file: so there are no more directories than the files account for.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType};

use super::manifest::{FileName, MANIFEST};
use super::refused::BundleRefused;
use crate::plain_file::{NotRead, Root, in_words};

/// A bundle's directory, held open: whoever renames it meanwhile changes nothing.
pub(super) struct BundleDirectory {
    top: Root,
}

impl BundleDirectory {
    pub(super) fn open(path: &Path) -> Result<Self, BundleRefused> {
        let top = Root::open_real(path);
        Ok(Self {
            top: top.map_err(|why| io(&path.display().to_string(), why.into()))?,
        })
    }

    /// Every file but the manifest, with its size. Nothing is opened but directories.
    pub(super) fn files(&self, most: usize) -> Result<BTreeMap<FileName, u64>, BundleRefused> {
        let mut found = BTreeMap::new();
        look(&self.top, "", &mut |name, size| {
            if name == MANIFEST {
                return Ok(());
            }
            found.insert(name.parse().map_err(|_| strange(name))?, size);
            if found.len() > most {
                let (found, most) = (found.len() as u64, most as u64);
                return Err(BundleRefused::TooLarge {
                    what: "the number of files".into(),
                    found,
                    most,
                });
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Opens a plain file, and nothing else; its size.
    pub(super) fn open_file(&self, name: &str) -> Result<(File, u64), BundleRefused> {
        let file = self
            .top
            .file(Path::new(name))
            .map_err(|why| not_read(name, why))?;
        let size = file.size();
        Ok((file.into_file(), size))
    }

    /// Reads a whole file of which no more than `most` bytes are wanted.
    pub(super) fn read(&self, name: &str, most: u64) -> Result<Vec<u8>, BundleRefused> {
        let file = self
            .top
            .file(Path::new(name))
            .map_err(|why| not_read(name, why))?;
        let found = file.size().max(most.saturating_add(1));
        file.read(most).map_err(|why| match why {
            NotRead::TooLarge { most } => BundleRefused::TooLarge {
                what: format!("`{name}`, in bytes,"),
                found,
                most,
            },
            other => not_read(name, other),
        })
    }
}

fn not_read(name: &str, why: NotRead) -> BundleRefused {
    match why {
        NotRead::Missing => BundleRefused::Missing {
            name: name.to_owned(),
        },
        NotRead::NotPlain(what) => BundleRefused::NotPlain {
            name: clipped(name),
            what,
        },
        NotRead::BelowLink => BundleRefused::NotPlain {
            name: clipped(name),
            what: "below a symbolic link",
        },
        NotRead::Outside => strange(name),
        other => io(name, other.into()),
    }
}

/// Hears of each file, with its size.
type FileVisitor<'a> = dyn FnMut(&str, u64) -> Result<(), BundleRefused> + 'a;

fn look(directory: &Root, above: &str, seen: &mut FileVisitor<'_>) -> Result<(), BundleRefused> {
    let shown = if above.is_empty() {
        "the bundle"
    } else {
        above
    };
    let entries = Dir::read_from(directory.as_fd()).map_err(|errno| io(shown, errno.into()))?;
    let mut is_empty = true;
    for entry in entries {
        let entry = entry.map_err(|errno| io(shown, errno.into()))?;
        let bytes = entry.file_name().to_bytes();
        if matches!(bytes, b"." | b"..") {
            continue;
        }
        is_empty = false;
        let Ok(part) = std::str::from_utf8(bytes) else {
            return Err(strange(&String::from_utf8_lossy(bytes)));
        };
        let name = if above.is_empty() {
            part.to_owned()
        } else {
            format!("{above}/{part}")
        };
        let stat = rustix::fs::statat(directory.as_fd(), part, AtFlags::SYMLINK_NOFOLLOW);
        let stat = stat.map_err(|errno| io(&name, errno.into()))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => seen(&name, u64::try_from(stat.st_size).unwrap_or(u64::MAX))?,
            // A name below it says whether the directory may be here at all, and so how deep it may
            // lie.
            FileType::Directory if format!("{name}/x.json").parse::<FileName>().is_ok() => {
                look(
                    &directory
                        .below(Path::new(part))
                        .map_err(|why| not_read(&name, why))?,
                    &name,
                    seen,
                )?;
            }
            FileType::Directory => return Err(strange(&name)),
            other => {
                return Err(BundleRefused::NotPlain {
                    name: clipped(&name),
                    what: in_words(other),
                });
            }
        }
    }
    if is_empty {
        Err(strange(shown))
    } else {
        Ok(())
    }
}

pub(super) fn io(what: &str, source: std::io::Error) -> BundleRefused {
    BundleRefused::Io {
        what: clipped(what),
        source,
    }
}

fn strange(name: &str) -> BundleRefused {
    BundleRefused::StrangeName {
        name: clipped(name),
    }
}

fn clipped(name: &str) -> String {
    crate::text::clip(name, 120)
}

#[cfg(test)]
mod tests;
