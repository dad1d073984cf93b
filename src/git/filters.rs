//! What a tree needs of this machine before it can be laid out: filters, and other repositories.
//!
//! It refuses to run any filter, and to look for programs: whether a defined one works shows when files are laid out.

use std::collections::BTreeMap;

use super::convert;
use super::error::GitError;
use super::repo::Repo;
use super::settings::Settings;
use crate::id::{RepoPath, TreeId};

/// What makes a filter known to git: any of these is enough.
const DEFINES: [&str; 3] = ["clean", "smudge", "process"];

/// A filter that attributes ask for, and that git's configuration does not define. git then takes files as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingFilter {
    /// Its name.
    pub name: String,
    /// The file that it is asked for; one of them, if there are several.
    pub path: RepoPath,
}

pub(super) fn is_defined(settings: &Settings, name: &str) -> bool {
    let keys = DEFINES.map(|key| format!("filter.{name}.{key}"));
    settings.iter().any(|(key, value)| keys.contains(key) && !value.trim().is_empty())
}

impl Repo {
    /// The filters that the files of a tree ask for and this machine does not define, each once. Attributes that no file
    /// matches do not count, and neither do those that later lines take back.
    ///
    /// # Errors
    /// If the tree, or git's configuration, cannot be read.
    pub fn missing_filters(&self, tree: &TreeId) -> Result<Vec<MissingFilter>, GitError> {
        let listing = self.listing(tree)?;
        let conversion = self.with(|objects| convert::of(self, objects, &listing))?;
        let Some(rules) = conversion.out.as_ref().filter(|_| conversion.filters) else { return Ok(Vec::new()) };
        let paths: Vec<&[u8]> = listing.files().filter(|(_, entry)| entry.is_file()).map(|(path, _)| path).collect();
        let table = self.attributes(rules, &listing, &paths)?;
        let mut missing: BTreeMap<&str, RepoPath> = BTreeMap::new();
        for (path, name) in table.missing_filters(self.conversion_settings()?, &paths) {
            if let Some(path) = RepoPath::from_bytes(path) {
                missing.entry(name).or_insert(path);
            }
        }
        Ok(missing.into_iter().map(|(name, path)| MissingFilter { name: name.to_owned(), path }).collect())
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
