//! Whether git changes bytes between its objects and a work tree: line ends, idents, filters, encodings.
//!
//! It refuses to do any of that: where a tree asks for it, the git binary does it.

use std::path::{Path, PathBuf};

use git2::Repository;

use super::error::GitError;
use super::tree::Listing;
use crate::id::Sha256;

/// How the files of a tree get their bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Conversion {
    /// A file holds the bytes of its blob.
    Plain,
    /// Git converts; what is known of a file holds only under the same rules, of which this is the digest.
    Rules {
        /// Of all rules.
        digest: Sha256,
        /// Whether programs are among them, which may make a small blob of a large file.
        filters: bool,
    },
}

pub(super) fn is_attributes(path: &[u8]) -> bool {
    // Some file systems have no case, and git finds the file there.
    path.rsplit(|&byte| byte == b'/').next().is_some_and(|name| name.eq_ignore_ascii_case(b".gitattributes"))
}

/// The rules for a tree, from its own attributes and this machine's configuration.
pub(super) fn of(repo: &Repository, listing: &Listing) -> Result<Conversion, GitError> {
    let what = || GitError::lib("read git's configuration");
    let config = repo.config().and_then(|mut config| config.snapshot()).map_err(what())?;
    let line_ends = config.get_string("core.autocrlf").unwrap_or_default().to_ascii_lowercase();
    let mut converts = !matches!(line_ends.as_str(), "" | "false" | "no" | "off" | "0");
    let mut filters = false;
    let mut rules: Vec<u8> = format!("{line_ends}\n{}\n", config.get_string("core.eol").unwrap_or_default()).into();
    for path in machine_files(repo, &config) {
        let Ok(text) = std::fs::read(&path) else { continue };
        converts |= asks(&text);
        filters |= names_filter(&text);
        rules.extend(text);
    }
    for (path, entry) in listing.files().filter(|(path, entry)| is_attributes(path) && !entry.is_submodule()) {
        let blob = repo.find_blob(entry.oid).map_err(GitError::lib("read .gitattributes"))?;
        converts |= asks(blob.content());
        filters |= names_filter(blob.content());
        rules.extend(path);
        rules.extend(entry.oid.as_bytes());
    }
    if !converts {
        return Ok(Conversion::Plain);
    }
    let programs = config.entries(Some("^filter\\.")).map_err(what())?;
    programs
        .for_each(|entry| {
            rules.extend(entry.name_bytes());
            rules.extend(entry.value_bytes());
        })
        .map_err(what())?;
    Ok(Conversion::Rules { digest: Sha256::of(&rules), filters })
}

/// Whether attributes name a filter. In doubt, yes.
pub(super) fn names_filter(text: &[u8]) -> bool {
    String::from_utf8_lossy(text).contains("filter")
}

/// Attributes that are not in the tree: the repository's own, the user's, the system's.
fn machine_files(repo: &Repository, config: &git2::Config) -> Vec<PathBuf> {
    let mut files = vec![repo.commondir().join("info/attributes"), PathBuf::from("/etc/gitattributes")];
    if let Ok(path) = config.get_path("core.attributesfile") {
        files.push(path);
        return files;
    }
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".config"));
    let base = std::env::var_os("XDG_CONFIG_HOME").filter(|path| !path.is_empty()).map(PathBuf::from).or_else(home);
    files.extend(base.map(|base| base.join("git/attributes")));
    files
}

/// Whether attributes ask for a conversion. In doubt, yes: the git binary is always right, only slower.
pub(super) fn asks(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    text.lines().map(str::trim).filter(|line| !line.starts_with('#')).any(|line| {
        line.starts_with("[attr]")
            || line.split_whitespace().any(|word| {
                let name = word.split('=').next().unwrap_or(word);
                matches!(name, "text" | "eol" | "crlf" | "ident" | "filter" | "working-tree-encoding")
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_attributes_that_change_bytes_ask_for_a_conversion() {
        for line in ["* text=auto", "*.sh eol=lf", "*.bin filter=lfs diff=lfs -text", "*.c ident", "[attr]x text"] {
            assert!(asks(line.as_bytes()), "{line}");
        }
        for line in ["*.png binary", "*.rs diff=rust", "# * text", "docs linguist-generated", "* -text", ""] {
            assert!(!asks(line.as_bytes()), "{line}");
        }
    }
}
