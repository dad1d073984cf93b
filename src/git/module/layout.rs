//! What a slot holds of a tree and of its submodules: one listing for each.

use std::sync::Arc;

use git2::Oid;

use super::{Module, ModuleLack};
use crate::git::tree::{Listing, TreeEntry};

/// All that a slot holds of a tree: its files, and those of its submodules.
#[derive(Debug, Default)]
pub(in crate::git) struct SlotLayout {
    pub(in crate::git) tree: Arc<Listing>,
    /// Outer ones come before the ones inside them.
    pub(in crate::git) modules: Vec<Module>,
    pub(super) missing: Vec<(Vec<u8>, ModuleLack)>,
}

impl SlotLayout {
    /// What lies at a path. Nothing where a submodule lies with its files: that is a directory.
    pub(in crate::git) fn get(&self, path: &[u8]) -> Option<TreeEntry> {
        if self.is_filled(path) {
            return None;
        }
        match self.module_of(path) {
            Some((_, module, rest)) => module.listing.get(rest),
            None => self.tree.get(path),
        }
    }

    pub(in crate::git) fn has_directory(&self, path: &[u8]) -> bool {
        let in_module = || {
            self.module_of(path)
                .is_some_and(|(_, module, rest)| module.listing.has_directory(rest))
        };
        self.tree.has_directory(path) || self.is_filled(path) || in_module()
    }

    /// The innermost submodule that a path lies in, its number, and the path there.
    pub(in crate::git) fn module_of<'p>(
        &self,
        path: &'p [u8],
    ) -> Option<(usize, &Module, &'p [u8])> {
        let mut modules = self.modules.iter().enumerate().rev();
        modules.find_map(|(number, module)| Some((number, module, module.within(path)?)))
    }

    /// Whether a submodule lies at a path, with its files.
    pub(in crate::git) fn is_filled(&self, path: &[u8]) -> bool {
        self.modules.iter().any(|module| module.path == path)
    }

    /// Whether the path is the file that makes git see a repository in a submodule.
    pub(in crate::git) fn is_link(&self, path: &[u8]) -> bool {
        path.strip_suffix(b"/.git")
            .is_some_and(|module| self.is_filled(module))
    }

    /// Whether the submodules of both are at the same commits.
    pub(in crate::git) fn has_modules_of(&self, other: &Self) -> bool {
        let commits = |layout: &Self| -> Vec<(Vec<u8>, Oid)> {
            layout
                .modules
                .iter()
                .map(|module| (module.path.clone(), module.commit))
                .collect()
        };
        commits(self) == commits(other)
    }

    /// The same, with what the other has in each of these submodules: nothing, if it lacks one.
    pub(in crate::git) fn with_modules_of(&self, other: &Self) -> Self {
        let theirs = |module: &Module| {
            let found = other
                .modules
                .iter()
                .find(|theirs| theirs.path == module.path)
                .cloned();
            found.unwrap_or_else(|| Module {
                listing: Arc::default(),
                ..module.clone()
            })
        };
        let modules = self.modules.iter().map(theirs).collect();
        Self {
            tree: Arc::clone(&self.tree),
            modules,
            missing: self.missing.clone(),
        }
    }
}
