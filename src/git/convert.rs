//! Whether git changes bytes between its objects and a work tree: line ends, idents, filters,
//! encodings.
//!
//! It refuses to do any of that: if a tree asks for it, the git binary does it.

use git2::Repository;

use super::error::GitError;
use super::lookup::find_blob;
use super::repo::Repo;
use super::settings::{LineEnds, attributes_files};
use super::tree::Listing;
use crate::id::Sha256;

/// How the files of a tree get their bytes, and blobs theirs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Conversion {
    /// The digest of the rules by which files are laid out; `None` if a file gets the bytes of its
    /// blob.
    pub(super) out: Option<Sha256>,
    /// The digest of the rules by which files are read; `None` if a blob gets the bytes of its
    /// file.
    pub(super) back: Option<Sha256>,
    /// Whether programs are among the rules, which may make a small blob of a large file.
    pub(super) filters: bool,
}

pub(super) fn is_attributes(path: &[u8]) -> bool {
    // Some file systems have no case, and git finds the file there.
    path.rsplit(|&byte| byte == b'/')
        .next()
        .is_some_and(|name| name.eq_ignore_ascii_case(b".gitattributes"))
}

/// The rules for a tree, from its own attributes and this machine's configuration.
pub(super) fn of(
    repo: &Repo,
    objects: &Repository,
    listing: &Listing,
) -> Result<Conversion, GitError> {
    let settings = repo.conversion_settings()?;
    let line_ends = LineEnds::of(settings);
    let mut reads = line_ends.are_read;
    let mut lays_out = line_ends.are_laid_out && line_ends.are_read;
    let mut filters = false;
    let mut rules: Vec<u8> = format!("{settings:?}").into();
    let mut take = |text: &[u8]| {
        reads |= asks(text);
        lays_out |= asks_to_lay_out(text) || (line_ends.are_foreign && asks(text));
        filters |= names_filter(text);
    };
    for path in attributes_files(repo, settings) {
        let Ok(text) = std::fs::read(&path) else {
            continue;
        };
        take(&text);
        rules.extend(text);
    }
    for (path, entry) in listing
        .files()
        .filter(|(path, entry)| is_attributes(path) && entry.is_file())
    {
        let blob = find_blob(objects, entry.oid, "read .gitattributes")?;
        take(blob.content());
        rules.extend(path);
        rules.extend(entry.oid.as_bytes());
    }
    let digest = || Some(Sha256::of(&rules));
    Ok(Conversion {
        out: if lays_out { digest() } else { None },
        back: if reads || lays_out { digest() } else { None },
        filters,
    })
}

/// Whether attributes name a filter. In doubt, yes.
pub(super) fn names_filter(text: &[u8]) -> bool {
    String::from_utf8_lossy(text).contains("filter")
}

/// Whether attributes ask for a conversion. In doubt, yes: the git binary is always right, only
/// slower.
pub(super) fn asks(text: &[u8]) -> bool {
    names(text, |name, _| {
        matches!(
            name,
            "text" | "eol" | "crlf" | "ident" | "filter" | "working-tree-encoding"
        )
    })
}

/// Whether attributes ask for other bytes in a file than in its blob. Line ends of this system are
/// those of blobs.
fn asks_to_lay_out(text: &[u8]) -> bool {
    names(text, |name, value| match name {
        "eol" => value != "lf",
        "ident" | "filter" | "working-tree-encoding" => true,
        _ => false,
    })
}

/// Whether a line sets an attribute that counts, or a macro that may.
fn names(text: &[u8], counts: impl Fn(&str, &str) -> bool) -> bool {
    let text = String::from_utf8_lossy(text);
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .any(|line| {
            line.starts_with("[attr]")
                || line.split_whitespace().any(|word| {
                    let (name, value) = word.split_once('=').unwrap_or((word, ""));
                    counts(name, value)
                })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_attributes_that_change_bytes_ask_for_a_conversion() {
        for line in [
            "* text=auto",
            "*.sh eol=lf",
            "*.bin filter=lfs diff=lfs -text",
            "*.c ident",
            "[attr]x text",
        ] {
            assert!(asks(line.as_bytes()), "{line}");
        }
        for line in [
            "*.png binary",
            "*.rs diff=rust",
            "# * text",
            "docs linguist-generated",
            "* -text",
            "",
        ] {
            assert!(!asks(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn line_ends_of_this_system_are_laid_out_as_they_are_stored() {
        for line in [
            "*.bat eol=crlf",
            "*.bin filter=lfs",
            "*.c ident",
            "[attr]x text",
            "*.t working-tree-encoding=UTF-16",
        ] {
            assert!(asks_to_lay_out(line.as_bytes()), "{line}");
        }
        for line in [
            "* text=auto",
            "*.sh text eol=lf",
            "*.txt text",
            "*.c crlf",
            "* -filter",
        ] {
            assert!(!asks_to_lay_out(line.as_bytes()), "{line}");
        }
    }
}
