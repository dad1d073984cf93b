//! A slot as git's worktree: its directory, its link to the repository, and its HEAD.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::Slot;
use crate::git::error::GitError;
use crate::git::slot::calm_file;
use crate::git::walk::{clear_leftovers, remove};
use crate::id::CommitId;
use crate::plain_file;

/// How often a worktree's directory is made. `git worktree prune`, which `git gc` runs, removes one
/// that is half made.
const TRIES: usize = 5;

/// What git itself keeps in a worktree's directory, and we too.
const KEPT: [&str; 4] = ["HEAD", "commondir", "gitdir", "index"];

impl Slot {
    /// Makes the slot a worktree with HEAD at `commit`, whatever was done to it. Says nothing of
    /// its files.
    pub(in crate::git) fn register(&self, commit: &CommitId) -> Result<(), GitError> {
        let mut left = TRIES;
        loop {
            left -= 1;
            match self.try_to_register(commit) {
                Err(_) if left > 0 && !self.admin.exists() => {}
                done => return done,
            }
        }
    }

    fn try_to_register(&self, commit: &CommitId) -> Result<(), GitError> {
        clear_leftovers(&self.attic)?;
        real_directory(&self.path, &self.attic)?;
        self.write_link()?;
        let worktrees = self.pool.repo().common_dir().join("worktrees");
        make_directory(&worktrees)?;
        real_directory(&self.admin, &self.attic)?;
        let entries = std::fs::read_dir(&self.admin).map_err(GitError::io("read", &self.admin))?;
        for entry in entries {
            let entry = entry.map_err(GitError::io("read", &self.admin))?;
            let plain = entry.file_type().is_ok_and(|kind| kind.is_file());
            // A half-done merge, hooks, settings, locks: none of it is for the next holder.
            if !plain || !KEPT.iter().any(|kept| entry.file_name() == *kept) {
                remove(&entry.path(), &self.attic)?;
            }
        }
        let mut link = self.path.join(".git").into_os_string().into_encoded_bytes();
        link.push(b'\n');
        self.write_exactly(&self.admin.join("commondir"), b"../..\n")?;
        self.write_exactly(&self.admin.join("gitdir"), &link)?;
        self.write_exactly(&self.admin.join("HEAD"), format!("{commit}\n").as_bytes())
    }

    /// Makes sure that the slot's place is a directory, and no symlink to one.
    pub(in crate::git) fn make_real(&self) -> Result<(), GitError> {
        real_directory(&self.path, &self.attic)
    }

    /// Writes the `.git` file that makes git see a worktree here.
    fn write_link(&self) -> Result<(), GitError> {
        let mut text = b"gitdir: ".to_vec();
        text.extend(self.admin.as_os_str().as_bytes());
        text.push(b'\n');
        let link = self.path.join(".git");
        self.write_exactly(&link, &text)?;
        calm_file(&link)
    }

    pub(in crate::git) fn write_exactly(&self, path: &Path, bytes: &[u8]) -> Result<(), GitError> {
        if plain_file::read(path, bytes.len() as u64).is_ok_and(|found| found == bytes) {
            return Ok(());
        }
        remove(path, &self.attic)?;
        let write = || File::create_new(path)?.write_all(bytes);
        write().map_err(GitError::io("write", path))
    }
}

pub(in crate::git) fn make_directory(path: &Path) -> Result<(), GitError> {
    match std::fs::create_dir(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(GitError::io("make", path)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Makes sure that a directory, and no symlink to one, is at `path`, and that we may write there.
fn real_directory(path: &Path, attic: &Path) -> Result<(), GitError> {
    use std::os::unix::fs::PermissionsExt as _;
    match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() && meta.permissions().mode() & 0o700 == 0o700 => return Ok(()),
        Ok(meta) if meta.is_dir() => {
            let open = std::fs::Permissions::from_mode(meta.permissions().mode() | 0o700);
            return std::fs::set_permissions(path, open).map_err(GitError::io("open up", path));
        }
        Ok(_) => remove(path, attic)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(GitError::io("look at", path)(error)),
    }
    make_directory(path)
}
