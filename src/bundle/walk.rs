//! A directory that a stranger filled, looked through without following anything.
//!
//! It refuses links, pipes and devices before it opens them, and more entries than are allowed.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

use super::manifest::{FileName, MANIFEST};
use super::refused::Refused;
use crate::plain_file::{NotRead, Root, in_words};

/// Directories inside each other. Names are checked against the list before this can matter.
const DEPTH: usize = 8;

/// A bundle's directory, held open: whoever renames it meanwhile changes nothing.
pub(super) struct Directory {
    top: Root,
}

impl Directory {
    pub(super) fn open(path: &Path) -> Result<Self, Refused> {
        let top = Root::open_real(path);
        Ok(Self { top: top.map_err(|why| io(&path.display().to_string(), why.into()))? })
    }

    /// Every file but the manifest, with its size. Nothing is opened but directories.
    pub(super) fn files(&self, most: usize) -> Result<BTreeMap<FileName, u64>, Refused> {
        let mut found = BTreeMap::new();
        let mut seen = 0;
        look(self.top.as_fd(), "", 0, &mut |name, size| {
            seen += 1;
            if seen > most {
                return Err(Refused::TooLarge {
                    what: "the number of files".into(),
                    found: seen as u64,
                    most: most as u64,
                });
            }
            let Some(size) = size else { return Ok(()) };
            match name.parse() {
                Ok(name) => {
                    found.insert(name, size);
                    Ok(())
                }
                Err(_) if name == MANIFEST => Ok(()),
                Err(_) => Err(strange(name)),
            }
        })?;
        Ok(found)
    }

    /// Opens a plain file, and nothing else; its size.
    pub(super) fn open_file(&self, name: &str) -> Result<(File, u64), Refused> {
        let file = self.top.file(Path::new(name)).map_err(|why| not_read(name, why))?;
        let size = file.size();
        Ok((file.into_file(), size))
    }

    /// Reads a whole file of which no more than `most` bytes are wanted.
    pub(super) fn read(&self, name: &str, most: u64) -> Result<Vec<u8>, Refused> {
        let file = self.top.file(Path::new(name)).map_err(|why| not_read(name, why))?;
        let found = file.size().max(most.saturating_add(1));
        file.read(most).map_err(|why| match why {
            NotRead::TooLarge { most } => Refused::TooLarge { what: format!("`{name}`, in bytes,"), found, most },
            other => not_read(name, other),
        })
    }
}

fn not_read(name: &str, why: NotRead) -> Refused {
    match why {
        NotRead::Missing => Refused::Missing { name: name.to_owned() },
        NotRead::NotPlain(what) => Refused::NotPlain { name: clipped(name), what },
        NotRead::BelowLink => Refused::NotPlain { name: clipped(name), what: "below a symbolic link" },
        NotRead::Outside => strange(name),
        other => io(name, other.into()),
    }
}

/// Hears of a file with its size, and of a directory without.
type Seen<'a> = dyn FnMut(&str, Option<u64>) -> Result<(), Refused> + 'a;

fn look(directory: BorrowedFd<'_>, above: &str, depth: usize, seen: &mut Seen<'_>) -> Result<(), Refused> {
    let shown = if above.is_empty() { "the bundle" } else { above };
    let entries = Dir::read_from(directory).map_err(|errno| io(shown, errno.into()))?;
    for entry in entries {
        let entry = entry.map_err(|errno| io(shown, errno.into()))?;
        let bytes = entry.file_name().to_bytes();
        if matches!(bytes, b"." | b"..") {
            continue;
        }
        let Ok(part) = std::str::from_utf8(bytes) else { return Err(strange(&String::from_utf8_lossy(bytes))) };
        let name = if above.is_empty() { part.to_owned() } else { format!("{above}/{part}") };
        let stat = rustix::fs::statat(directory, part, AtFlags::SYMLINK_NOFOLLOW);
        let stat = stat.map_err(|errno| io(&name, errno.into()))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => seen(&name, Some(u64::try_from(stat.st_size).unwrap_or(u64::MAX)))?,
            // A name below it says whether the directory may be here at all.
            FileType::Directory if depth < DEPTH && format!("{name}/x.json").parse::<FileName>().is_ok() => {
                seen(&name, None)?;
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let below = rustix::fs::openat(directory, part, flags, Mode::empty());
                look(below.map_err(|errno| io(&name, errno.into()))?.as_fd(), &name, depth + 1, seen)?;
            }
            FileType::Directory => return Err(strange(&name)),
            other => return Err(Refused::NotPlain { name: clipped(&name), what: in_words(other) }),
        }
    }
    Ok(())
}

pub(super) fn io(what: &str, source: std::io::Error) -> Refused {
    Refused::Io { what: clipped(what), source }
}

fn strange(name: &str) -> Refused {
    Refused::StrangeName { name: clipped(name) }
}

fn clipped(name: &str) -> String {
    crate::text::clip(name, 120)
}
