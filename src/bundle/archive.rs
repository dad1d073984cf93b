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
mod tests {
    use super::*;

    fn zip_of(files: &[(&str, &[u8])]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let mut zip = zip::ZipWriter::new(file.reopen().expect("the same file"));
        for (name, bytes) in files {
            let options = zip::write::SimpleFileOptions::default();
            zip.start_file(*name, options)
                .expect("a new file in the archive");
            zip.write_all(bytes).expect("its bytes");
        }
        zip.finish().expect("a whole archive");
        file
    }

    fn unpacked(files: &[(&str, &[u8])], most: u64) -> Result<Vec<(String, Vec<u8>)>, String> {
        let (zip, to) = (zip_of(files), tempfile::tempdir().expect("a directory"));
        unpack(zip.path(), to.path(), most).map_err(|error| error.to_string())?;
        let read = |(name, _): &(&str, &[u8])| {
            (
                (*name).to_owned(),
                std::fs::read(to.path().join(name)).expect("a file that was unpacked"),
            )
        };
        Ok(files.iter().map(read).collect())
    }

    #[test]
    fn files_come_out_as_they_went_in() {
        let files: [(&str, &[u8]); 2] = [
            ("bundle.json", b"{}"),
            ("logs/api/1/command.log", &[b'x'; 100_000]),
        ];
        let found = unpacked(&files, 200_000).expect("a sound archive");
        assert_eq!(found[1].1.len(), 100_000);
        assert_eq!(found[0].1, b"{}");
    }

    #[test]
    fn names_that_leave_the_directory_are_refused() {
        for name in [
            "../evil",
            "/etc/evil",
            "logs/../../evil",
            "a\\..\\evil",
            "C:evil",
            "a//b",
            "./a",
        ] {
            let error = unpacked(&[(name, b"x")], 100).expect_err(name);
            assert!(error.contains("does not stay inside"), "{name}: {error}");
        }
    }

    #[test]
    fn a_file_that_is_there_already_is_not_written_over() {
        let zip = zip_of(&[("a", b"1")]);
        let to = tempfile::tempdir().expect("a directory");
        std::fs::write(to.path().join("a"), "mine").expect("a file");
        let error = unpack(zip.path(), to.path(), 10)
            .expect_err("it is there")
            .to_string();
        assert!(error.starts_with("write "), "{error}");
        assert_eq!(
            std::fs::read(to.path().join("a")).expect("the file"),
            b"mine"
        );
    }

    #[test]
    fn a_bomb_is_stopped_by_what_comes_out() {
        let error = unpacked(&[("bomb", &vec![0; 4 << 20])], 1 << 20).expect_err("too much");
        assert_eq!(
            error,
            "unpack the archive: it holds more than 1048576 bytes"
        );
    }

    #[test]
    fn an_archive_of_too_many_files_is_refused_before_its_list_is_read() {
        // Nothing but beginnings of entries: no archive, and it does not come to that.
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), ENTRY.repeat(FILES + 1)).expect("its bytes");
        let to = tempfile::tempdir().expect("a directory");
        let error = unpack(file.path(), to.path(), 100)
            .expect_err("too many")
            .to_string();
        assert_eq!(error, "unpack the archive: it holds more than 100000 files");
        for length in [0, 1, 3].into_iter().chain((64 << 10) - 6..(64 << 10) + 2) {
            for (filler, end) in [(&b"PK\x01"[..], &b"PK\x01"[..]), (b"\0", b"\0\0\0\0")] {
                let bytes = [&filler.repeat(length)[..length], ENTRY, end].concat();
                std::fs::write(file.path(), bytes).expect("its bytes");
                assert_eq!(
                    entries(&mut File::open(file.path()).expect("it")).expect("its bytes"),
                    1,
                    "{length}"
                );
            }
        }
        // As many as may be are no reason to stop counting.
        let many = ENTRY.repeat(FILES);
        let refused = |bytes: &[u8]| {
            std::fs::write(file.path(), bytes).expect("its bytes");
            unpack(file.path(), to.path(), 100)
                .expect_err("no archive")
                .to_string()
        };
        assert!(refused(&many).starts_with("read the archive "));
        let later = [many.as_slice(), &[0; 200_000], ENTRY].concat();
        assert_eq!(
            refused(&later),
            "unpack the archive: it holds more than 100000 files"
        );
    }

    #[test]
    fn directories_without_end_are_refused() {
        let deep = |depth: usize| format!("{}x", "a/".repeat(depth));
        unpacked(&[(&deep(DEPTH), b"x")], 100).expect("as deep as may be");
        let error = unpacked(&[(&deep(DEPTH + 1), b"x")], 100).expect_err("too deep");
        assert!(error.contains("does not stay inside"), "{error}");
    }

    #[test]
    fn what_is_no_archive_is_said_to_be_none() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), "hello").expect("its bytes");
        let error = unpack(file.path(), file.path(), 10)
            .expect_err("no archive")
            .to_string();
        assert!(error.starts_with("read the archive "), "{error}");
    }

    #[test]
    fn links_are_refused() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let mut zip = zip::ZipWriter::new(file.reopen().expect("the same file"));
        zip.add_symlink(
            "link",
            "/etc/passwd",
            zip::write::SimpleFileOptions::default(),
        )
        .expect("a link");
        zip.finish().expect("a whole archive");
        let to = tempfile::tempdir().expect("a directory");
        let error = unpack(file.path(), to.path(), 100)
            .expect_err("a link")
            .to_string();
        assert_eq!(error, "unpack the archive: link is not a plain file");
    }
}
