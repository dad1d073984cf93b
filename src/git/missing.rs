//! Objects that are gone or torn: how an error says so, and how a file shows it.
//!
//! It refuses to have libgit2 read a file that may be torn: where a file ends too early, libgit2
//! reads for ever.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use flate2::read::ZlibDecoder;
use git2::{ErrorClass, ErrorCode};

use super::error::GitError;

/// The longest beginning of an object: its kind, its size in decimals, and a zero.
const BEGINNING: u64 = 32;

impl GitError {
    /// Whether an object is gone, or cannot be read: made again, it is there again.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        match self {
            Self::Missing { .. } => true,
            Self::Library { source, .. } | Self::Disk { source, .. } => {
                let of_objects = [
                    ErrorClass::Odb,
                    ErrorClass::Object,
                    ErrorClass::Tree,
                    ErrorClass::Zlib,
                    ErrorClass::Os,
                ];
                of_objects.contains(&source.class()) || source.code() == ErrorCode::NotFound
            }
            _ => false,
        }
    }
}

/// What a loose object's file shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LooseFile {
    /// There is none that can be opened: the object is in a pack, or nowhere.
    Absent,
    /// It is whole, by its own checksum.
    Whole,
    /// It ends too early, or holds something else.
    Torn,
}

/// Whether a loose object's file is there, and whole.
pub(super) fn is_whole_file(file: &Path) -> bool {
    loose_file(file) == LooseFile::Whole
}

/// Reads a loose object's file to its end.
pub(super) fn loose_file(file: &Path) -> LooseFile {
    let Ok(file) = File::open(file) else {
        return LooseFile::Absent;
    };
    if is_whole(file) {
        LooseFile::Whole
    } else {
        LooseFile::Torn
    }
}

fn is_whole(file: File) -> bool {
    let mut object = BufReader::new(ZlibDecoder::new(file));
    let mut beginning = Vec::new();
    let read = object
        .by_ref()
        .take(BEGINNING)
        .read_until(0, &mut beginning);
    let Some((0, words)) = beginning.split_last() else {
        return false;
    };
    let size = std::str::from_utf8(words)
        .ok()
        .and_then(|words| words.split(' ').nth(1)?.parse::<u64>().ok());
    // To the very end, where the checksum is.
    let rest = std::io::copy(&mut object, &mut std::io::sink());
    read.is_ok() && size.is_some() && rest.ok() == size
}
