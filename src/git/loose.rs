//! The files of loose objects: where they lie, and how one gets a second name.
//!
//! It refuses to replace a file that is there: it holds the same object.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use git2::{ObjectType, Oid};
use tempfile::NamedTempFile;

use super::error::GitError;

/// Where an object lies below a directory of objects.
pub(super) fn place(top: &Path, oid: Oid) -> PathBuf {
    let hex = oid.to_string();
    top.join(&hex[..2]).join(&hex[2..])
}

/// Gives a file another name. One that is there already is the same object.
pub(super) fn link(from: &Path, to: &Path) -> Result<(), GitError> {
    let linked = fs::hard_link(from, to).or_else(|error| {
        // git removes directories that are empty.
        let made = to
            .parent()
            .filter(|_| error.kind() == ErrorKind::NotFound)
            .map(fs::create_dir_all);
        if matches!(made, Some(Ok(()))) {
            fs::hard_link(from, to)
        } else {
            Err(error)
        }
    });
    match linked {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let what = format!("bring back {}", to.display());
            Err(GitError::Missing {
                what,
                next: "`git fsck` tells what is damaged",
            })
        }
        linked => linked.map_err(GitError::io("link", to)),
    }
}

/// Writes an object's file, as git has it: `blob 3`, a zero and the bytes, deflated
/// (gitformat-loose).
pub(super) fn write(to: &Path, kind: ObjectType, data: &[u8]) -> std::io::Result<()> {
    let directory = to.parent().unwrap_or(to);
    fs::create_dir_all(directory)?;
    let mut file = flate2::write::ZlibEncoder::new(
        NamedTempFile::new_in(directory)?,
        flate2::Compression::fast(),
    );
    write!(file, "{} {}\0", kind.str(), data.len())?;
    file.write_all(data)?;
    file.finish()?.persist(to).map_err(|error| error.error)?;
    Ok(())
}

pub(super) fn names(directory: &Path) -> Result<Vec<String>, GitError> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(GitError::io("read", directory))?,
    };
    Ok(entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_is_written_is_read_by_git() {
        let dir = tempfile::tempdir().unwrap();
        let repo = git2::Repository::init_bare(dir.path()).unwrap();
        let oid = git2::Oid::hash_object(ObjectType::Blob, b"three").unwrap();
        write(
            &place(&dir.path().join("objects"), oid),
            ObjectType::Blob,
            b"three",
        )
        .unwrap();
        assert_eq!(repo.find_blob(oid).unwrap().content(), b"three");
    }
}
