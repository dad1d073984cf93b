//! What of the directories that a child sees is their user's alone: credentials in a cache, in the
//! repository, and beside programs.
//!
//! It refuses to have names of its own for what is private everywhere: `exec/credential.rs` has
//! them.

use std::ffi::OsStr;
use std::fs::DirEntry;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::exec::credential;

/// Where git-annex keeps credentials in a repository.
const OF_ANNEX: &str = "annex/creds";

/// Endings of files that may be settings of a tool, if they lie in its own directory in a home.
const SETTINGS: [&str; 8] = ["json", "yml", "yaml", "toml", "ini", "env", "conf", "cfg"];

/// Parts of the names of such files.
const OF_TOOLS: [&str; 2] = ["auth", "config"];

/// What only its user may have of a tool's cache.
pub(super) fn in_cache(cache: &Path) -> Vec<PathBuf> {
    entries(cache, &|entry, name| {
        credential::is_private(name) || (is_file(entry) && credential::tells(name))
    })
}

/// What only its user may have of a repository.
pub(super) fn in_repository(repository: &Path) -> Vec<PathBuf> {
    let mut found = in_cache(repository);
    found.push(repository.join(OF_ANNEX));
    found
}

/// What lies beside the programs of a tool that is shown, and is their user's alone: what has the
/// name of something private, keys that others cannot read, and in a tool's own directory in a
/// home, `~/.tool`, files that may be its settings.
pub(super) fn beside_programs(tool: &Path) -> Vec<PathBuf> {
    let is_own = tool
        .file_name()
        .and_then(OsStr::to_str)
        .is_some_and(|name| name.starts_with('.'));
    entries(tool, &|entry, name| {
        credential::is_private(name)
            || (is_file(entry) && is_own && may_be_settings(name))
            || (is_file(entry) && credential::is_key(name) && is_closed(entry))
    })
}

fn may_be_settings(name: &OsStr) -> bool {
    let lower = name.to_string_lossy().to_ascii_lowercase();
    let extension = lower
        .rsplit_once('.')
        .map_or("", |(_, extension)| extension);
    // rustup keeps the default toolchain there.
    lower != "settings.toml"
        && (SETTINGS.contains(&extension)
            || OF_TOOLS.iter().any(|part| lower.contains(part))
            || credential::tells(name))
}

fn entries(directory: &Path, holds: &dyn Fn(&DirEntry, &OsStr) -> bool) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|entry| holds(entry, &entry.file_name()))
        .map(|entry| entry.path())
        .collect()
}

fn is_file(entry: &DirEntry) -> bool {
    entry.file_type().is_ok_and(|kind| kind.is_file())
}

/// Whether others can neither read nor start it.
fn is_closed(entry: &DirEntry) -> bool {
    const READ_OR_START: u32 = 0o005;
    entry
        .metadata()
        .is_ok_and(|meta| meta.permissions().mode() & READ_OR_START == 0)
}

#[cfg(test)]
mod tests;
