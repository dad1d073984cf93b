//! What of the machine's system is not for everybody: files and directories that others than their
//! owner and group cannot read. A child of root could read them, and one whose user is in the right
//! group.
//!
//! It looks at settings, at what programs keep in `/var/cache`, and at what lies in `/opt` under
//! the name of a credential. It refuses to look further than its limits: what is too deep or too
//! much in settings counts as reserved.

use std::collections::VecDeque;
use std::fs::Metadata;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::credential;

/// Directories in which everything counts that others cannot read.
const WHOLE: [&str; 3] = ["/etc", "/usr/local/etc", "/var/cache"];

/// Where people unpack programs, CI runners for instance, each with its credentials beside it.
const PROGRAMS: &str = "/opt";

/// How deep settings are looked at; Debian's lie five deep at most.
const DEPTH: usize = 8;

/// How deep programs are looked at: `/opt/runners/first/.credentials`. Further down lie their own
/// packages, which root may have unpacked for itself alone.
const PROGRAMS_DEPTH: usize = 3;

/// How many entries are looked at below one of them: ten times what a Debian has in `/etc`. It
/// takes 10 ms for each thousand.
const MOST: usize = 30_000;

/// A directory with more reserved files than this is hidden whole, for each hidden file costs a
/// mount.
const MOST_OF_ONE: usize = 40;

/// All of it on this machine.
pub(super) fn reserved() -> Vec<PathBuf> {
    let whole = WHOLE
        .iter()
        .flat_map(|top| below(Path::new(top), DEPTH, &is_closed, true));
    whole
        .chain(below(
            Path::new(PROGRAMS),
            PROGRAMS_DEPTH,
            &is_closed_credential,
            false,
        ))
        .collect()
}

/// What is reserved below `top`; if `closes`, also what was not looked at.
fn below(
    top: &Path,
    depth: usize,
    is_reserved: &dyn Fn(&Path, &Metadata) -> bool,
    closes: bool,
) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = VecDeque::from([(top.to_owned(), 0)]);
    let mut seen = 0;
    while let Some((directory, so_deep)) = waiting.pop_front() {
        if so_deep == depth || seen > MOST {
            found.extend(Some(directory).filter(|_| closes));
            continue;
        }
        let mut here = Vec::new();
        // What omk cannot list its children cannot list either, unless another user's program
        // starts them.
        for entry in std::fs::read_dir(&directory)
            .into_iter()
            .flatten()
            .flatten()
        {
            seen += 1;
            let path = entry.path();
            let Ok(meta) = path.symlink_metadata() else {
                continue;
            };
            if is_reserved(&path, &meta) {
                here.push(path);
            } else if meta.is_dir() {
                waiting.push_back((path, so_deep + 1));
            }
        }
        if here.len() > MOST_OF_ONE && directory != top {
            found.push(directory);
        } else {
            found.append(&mut here);
        }
    }
    found
}

/// Whether others may neither read the file, nor list or enter the directory, and this user may:
/// each one that is hidden costs a child a mount.
fn is_closed(path: &Path, meta: &Metadata) -> bool {
    const READ: u32 = 0o004;
    const LIST_OR_ENTER: u32 = 0o005;
    let mode = meta.permissions().mode();
    let is_closed =
        (meta.is_file() && mode & READ == 0) || (meta.is_dir() && mode & LIST_OR_ENTER == 0);
    is_closed
        && [Access::READ_OK, Access::EXEC_OK]
            .iter()
            .any(|wanted| rustix::fs::access(path, *wanted).is_ok())
}

/// Whether what lies beside programs is closed to others, and has the name of a credential.
fn is_closed_credential(path: &Path, meta: &Metadata) -> bool {
    let name = path.file_name().unwrap_or_default();
    is_closed(path, meta)
        && (credential::is_private(name) || (meta.is_file() && credential::tells(name)))
}

#[cfg(test)]
mod tests;
