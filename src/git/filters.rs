//! What a tree needs of this machine before it can be laid out: filters, and other repositories.
//!
//! It refuses to run any filter, and to look for programs: whether a defined one works shows when files are laid out.

use std::collections::BTreeMap;

use super::convert::is_attributes;
use super::error::GitError;
use super::repo::Repo;
use super::tree::Entry;
use crate::id::{RepoPath, TreeId};

/// What makes a filter known to git: any of these is enough.
const DEFINES: [&str; 3] = ["clean", "smudge", "process"];

/// A filter that attributes name, and that git's configuration does not define. git then takes files as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingFilter {
    /// Its name.
    pub name: String,
    /// The attributes that name it; one of them, if there are several.
    pub attributes: RepoPath,
}

impl Repo {
    /// The filters that a tree's attributes name and this machine does not define, each once.
    ///
    /// # Errors
    /// If the tree, or git's configuration, cannot be read.
    pub fn missing_filters(&self, tree: &TreeId) -> Result<Vec<MissingFilter>, GitError> {
        let listing = self.listing(tree)?;
        let mut named: BTreeMap<String, RepoPath> = BTreeMap::new();
        self.with(|repo| {
            let rules = |(path, entry): &(&[u8], Entry)| is_attributes(path) && entry.is_file();
            for (path, entry) in listing.files().filter(rules) {
                let blob = repo.find_blob(entry.oid).map_err(GitError::lib("read .gitattributes"))?;
                let Some(path) = RepoPath::from_bytes(path) else { continue };
                for name in filters(&String::from_utf8_lossy(blob.content())) {
                    named.entry(name).or_insert_with(|| path.clone());
                }
            }
            Ok(())
        })?;
        if named.is_empty() {
            return Ok(Vec::new());
        }
        let settings = self.conversion_settings()?;
        let is_defined = |name: &String| {
            let keys = DEFINES.map(|key| format!("filter.{name}.{key}"));
            settings.iter().any(|(key, value)| keys.contains(key) && !value.trim().is_empty())
        };
        let missing = named.into_iter().filter(|(name, _)| !is_defined(name));
        Ok(missing.map(|(name, attributes)| MissingFilter { name, attributes }).collect())
    }

    /// The submodules of a tree.
    ///
    /// # Errors
    /// If the tree cannot be read.
    pub fn submodules(&self, tree: &TreeId) -> Result<Vec<RepoPath>, GitError> {
        let listing = self.listing(tree)?;
        let modules = listing.files().filter(|(_, entry)| entry.is_submodule());
        Ok(modules.filter_map(|(path, _)| RepoPath::from_bytes(path)).collect())
    }
}

/// The filters that attributes name, in macros too.
fn filters(text: &str) -> impl Iterator<Item = String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    lines.flat_map(str::split_whitespace).filter_map(|word| word.strip_prefix("filter=").map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_from_lines_that_count() {
        let text =
            "*.bin filter=lfs diff=lfs\n# *.x filter=no\n[attr]mine filter=own -text\n*.y -filter\n*.z !filter\n";
        assert_eq!(filters(text).collect::<Vec<_>>(), ["lfs", "own"]);
    }
}
