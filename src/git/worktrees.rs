//! Worktrees: where people have this repository checked out, and which of its branches are at work
//! there.
//!
//! It refuses to count a slot of omk's as somebody's checkout, and a worktree of a person's that is
//! only called like one as a slot.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::error::GitError;
use super::pool::{admin_at, may_be_slot};
use super::refs::full_name;
use super::repo::Repo;

/// So many symbolic refs are followed, as git does (`SYMREF_MAXDEPTH` in refs.c).
const DEPTH: usize = 5;

/// A worktree, the main one or a linked one.
struct Worktree {
    /// Where git keeps what belongs to it alone.
    admin: PathBuf,
    /// Where its files are.
    top: PathBuf,
}

impl Repo {
    /// The worktree in which a branch is checked out, or at work otherwise: it is being rebased or
    /// bisected, or a rebase will move it. Slots of omk do not count.
    ///
    /// # Errors
    /// Where the worktrees cannot be read.
    pub fn checked_out_anywhere(&self, name: &str) -> Result<Option<PathBuf>, GitError> {
        let full = full_name(name)?;
        for worktree in self.worktrees()? {
            if worktree.uses(self.common_dir(), name, &full)? {
                return Ok(Some(worktree.top));
            }
        }
        Ok(None)
    }

    /// Every directory in which a person may have checked this repository out; slots of omk do not
    /// count.
    ///
    /// # Errors
    /// Where the worktrees cannot be read.
    pub fn checkouts(&self) -> Result<Vec<PathBuf>, GitError> {
        let mut tops = vec![self.workdir().to_owned()];
        // Of a bare repository the first one is no checkout, and holds nothing that a tool would
        // use.
        tops.extend(
            self.worktrees()?
                .into_iter()
                .map(|worktree| worktree.top)
                .filter(|top| top.join(".git").exists()),
        );
        tops.sort();
        tops.dedup();
        Ok(tops)
    }

    /// The main worktree, then the linked ones.
    fn worktrees(&self) -> Result<Vec<Worktree>, GitError> {
        let main = self.common_dir();
        let top = if main.ends_with(".git") {
            main.parent().unwrap_or(main)
        } else {
            main
        };
        let mut found = vec![Worktree {
            admin: main.to_owned(),
            top: top.to_owned(),
        }];
        let linked = main.join("worktrees");
        let entries = match std::fs::read_dir(&linked) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(found),
            Err(error) => return Err(GitError::io("read", &linked)(error)),
        };
        for entry in entries {
            let admin = entry.map_err(GitError::io("read", &linked))?.path();
            let link = read(&admin.join("gitdir"))?;
            let place = Path::new(OsStr::from_bytes(link.trim_ascii_end())).parent();
            // git keeps it relative to its own directory where `worktree.useRelativePaths` says so.
            let place = place
                .filter(|place| !place.as_os_str().is_empty())
                .map(|place| admin.join(place));
            if !is_slot(&admin, place.as_deref()) {
                let top = place.unwrap_or_else(|| admin.clone());
                let top = std::fs::canonicalize(&top).unwrap_or(top);
                found.push(Worktree { top, admin });
            }
        }
        Ok(found)
    }
}

impl Worktree {
    /// Whether the branch must stay where it is for what goes on here; as `git branch` asks before
    /// it moves one (`prepare_checked_out_branches` in git's branch.c, 2.47).
    fn uses(&self, common_dir: &Path, name: &str, full: &str) -> Result<bool, GitError> {
        let here = |file: &str| read(&self.admin.join(file));
        let mut at = "HEAD".to_owned();
        for _ in 0..DEPTH {
            let mut bytes = here(&at)?;
            if bytes.is_empty() {
                // What all worktrees share lies where the main one's lies.
                bytes = read(&common_dir.join(&at))?;
            }
            let text = String::from_utf8_lossy(&bytes);
            let Some(next) = text.trim_end().strip_prefix("ref:").map(str::trim_start) else {
                break;
            };
            if next == full {
                return Ok(true);
            }
            if !next.starts_with("refs/") || next.split('/').any(|part| part == "..") {
                break;
            }
            // A branch that is not born yet may be called like a directory of others.
            if self.admin.join(next).is_dir() || common_dir.join(next).is_dir() {
                break;
            }
            at = next.to_owned();
        }
        for file in [
            "BISECT_START",
            "rebase-merge/head-name",
            "rebase-apply/head-name",
        ] {
            let bytes = here(file)?;
            let bytes = bytes.trim_ascii_end();
            if bytes == full.as_bytes() || bytes == name.as_bytes() {
                return Ok(true);
            }
        }
        // Three lines for each: its name, where it was, and where it is to be.
        Ok(here("rebase-merge/update-refs")?
            .split(|byte| *byte == b'\n')
            .any(|line| line == full.as_bytes()))
    }
}

/// A file of git's own; empty where there is none. One that cannot be read is an error: what it
/// would say is not known.
fn read(path: &Path) -> Result<Vec<u8>, GitError> {
    match std::fs::read(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        read => read.map_err(GitError::io("read", path)),
    }
}

/// Whether a directory of `.git/worktrees` is a slot of omk's: by its name, and by the place of its
/// files, if they are there. A child that writes another place there is still in its slot.
fn is_slot(admin: &Path, place: Option<&Path>) -> bool {
    let Some(name) = admin.file_name().filter(|name| may_be_slot(name)) else {
        return false;
    };
    let Some(place) = place.filter(|place| place.join(".git").symlink_metadata().is_ok()) else {
        return true;
    };
    place
        .ancestors()
        .any(|slot| admin_at(slot).is_some_and(|admin| name == admin.as_str()))
}
