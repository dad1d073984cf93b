//! Everything below a directory, read into memory and put back.
//!
//! It refuses to keep times, owners and the modes of directories: git looks again at a file whose
//! time has changed.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is to be found in a directory of a disk, or was.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Found {
    File { mode: u32, content: Arc<[u8]> },
    Directory,
    Link(PathBuf),
    Other,
}

/// Everything below a directory, by its path there.
pub(super) type Files = BTreeMap<PathBuf, Found>;

/// Everything below a directory.
pub(super) fn read(root: &Path) -> Files {
    let mut files = Files::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let meta = path.symlink_metadata().unwrap();
            let found = if meta.is_dir() {
                open.push(path.clone());
                Found::Directory
            } else if meta.is_symlink() {
                Found::Link(std::fs::read_link(&path).unwrap())
            } else if meta.is_file() {
                Found::File {
                    mode: meta.permissions().mode() & 0o7777,
                    content: std::fs::read(&path).unwrap().into(),
                }
            } else {
                Found::Other
            };
            files.insert(path.strip_prefix(root).unwrap().to_owned(), found);
        }
    }
    files
}

/// Makes a directory hold just that.
pub(super) fn restore(root: &Path, files: &Files) {
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.symlink_metadata().unwrap().is_dir() {
            std::fs::remove_dir_all(path)
        } else {
            std::fs::remove_file(path)
        }
        .unwrap();
    }
    for (path, found) in files {
        let path = root.join(path);
        match found {
            Found::Directory => std::fs::create_dir(path).unwrap(),
            Found::Link(to) => std::os::unix::fs::symlink(to, path).unwrap(),
            Found::Other => {}
            Found::File { mode, content } => {
                std::fs::write(&path, content).unwrap();
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(*mode)).unwrap();
            }
        }
    }
}
