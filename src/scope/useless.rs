//! Entries of a write set that can never be used, for a warning before anything is paid for.
//!
//! It refuses to guess: what it names is certain, and an entry that it does not name may still turn
//! out to be of no use.

use super::protected::{covers_all, is_directory};
use crate::glob::Glob;
use crate::id::RepoPath;

/// What is said of an entry that means protected paths only.
const PROTECTED: &str = "means protected paths only: name each file";

/// What is said of an entry below what the plan protects.
const BY_PLAN: &str = "means only paths that the plan protects: write the same text as in `protect`, or name each file";

/// Why an entry of a write set can never be used; `None` where it may be. `write_set` is all of it.
#[must_use]
pub fn never_used(glob: &Glob, write_set: &[Glob], protect: &[Glob]) -> Option<&'static str> {
    let frees = |other: &&Glob| *other != glob && other.is_literal();
    let freed = |other: &Glob| path_of(other).is_some_and(|path| glob.matches(&path));
    if write_set.iter().filter(frees).any(freed) {
        // Another entry names a path that this one means, and is what counts.
        return None;
    }
    if glob.is_literal() {
        if is_directory(glob.literal_prefix()) {
            return Some(PROTECTED);
        }
    } else if glob.literal_prefixes().all(|prefix| covers_all(&prefix)) || has_protected_part(glob)
    {
        return Some(PROTECTED);
    }
    let same_text = protect.iter().any(|other| other.as_str() == glob.as_str());
    (!same_text && !protect.is_empty() && below_protect(glob, protect)).then_some(BY_PLAN)
}

/// Whether all paths of an entry lie inside one of these directories. The directory itself does
/// not.
#[must_use]
pub fn lies_in(glob: &Glob, directories: &[RepoPath]) -> bool {
    let inside = |prefix: &[&str]| {
        directories.iter().any(|directory| {
            let directory: Vec<&[u8]> = directory.as_bytes().split(|&byte| byte == b'/').collect();
            let is_below = prefix.len() > directory.len()
                || (prefix.len() == directory.len() && !glob.is_literal());
            is_below
                && prefix
                    .iter()
                    .map(|part| part.as_bytes())
                    .zip(&directory)
                    .all(|(part, name)| part == *name)
        })
    };
    !directories.is_empty() && glob.literal_prefixes().all(|prefix| inside(&prefix))
}

fn path_of(glob: &Glob) -> Option<RepoPath> {
    RepoPath::from_bytes(glob.literal_prefix().join("/").as_bytes())
}

/// Whether a part without wildcards makes all paths protected: `**/AGENTS.md`,
/// `packages/*/.husky/**`.
fn has_protected_part(glob: &Glob) -> bool {
    if glob.as_str().contains(['{', '\\']) {
        return false;
    }
    let parts: Vec<&str> = glob.as_str().split('/').collect();
    let runs = parts.split(|part| part.contains(['*', '?', '[']));
    // What stands at the top of a repository is no such part further down: a directory of no name
    // goes before it.
    runs.filter(|run| !run.is_empty())
        .any(|run| covers_all(&[&["-"], run].concat()))
}

/// Whether the plan protects all that lies below what every alternative begins with.
fn below_protect(glob: &Glob, protect: &[Glob]) -> bool {
    glob.literal_prefixes().all(|prefix| {
        let inside = RepoPath::from_bytes([&prefix[..], &["-"]].concat().join("/").as_bytes());
        let itself = RepoPath::from_bytes(prefix.join("/").as_bytes());
        let covered = |path: &RepoPath| protect.iter().any(|other| other.matches(path));
        let named = glob.is_literal() && itself.as_ref().is_some_and(covered);
        !prefix.is_empty() && !named && inside.as_ref().is_some_and(covered)
    })
}

#[cfg(test)]
mod tests;
