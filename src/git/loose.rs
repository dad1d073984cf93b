//! The files of loose objects: where they lie, and how one gets a second name.
//!
//! It refuses to replace a file that is there: it holds the same object.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use git2::Oid;

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
        let made = to.parent().filter(|_| error.kind() == ErrorKind::NotFound).map(fs::create_dir_all);
        if matches!(made, Some(Ok(()))) { fs::hard_link(from, to) } else { Err(error) }
    });
    match linked {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let what = format!("bring back {}", to.display());
            Err(GitError::Missing { what, next: "`git fsck` tells what is damaged" })
        }
        linked => linked.map_err(GitError::io("link", to)),
    }
}

pub(super) fn names(directory: &Path) -> Result<Vec<String>, GitError> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(GitError::io("read", directory))?,
    };
    Ok(entries.filter_map(Result::ok).filter_map(|entry| entry.file_name().into_string().ok()).collect())
}
