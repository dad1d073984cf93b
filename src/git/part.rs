//! The trees that a slot is filled from: the repository's own, and one for each submodule; each
//! goes by its own rules.
//!
//! It refuses to look at the disk.

use std::borrow::Cow;

use super::convert;
use super::error::GitError;
use super::repo::Repo;
use super::rules::FileRules;
use super::tree::{Listing, TreeEntry};

/// Which paths of a slot a restoration is about.
pub(super) type Only<'a> = dyn Fn(&[u8]) -> bool + 'a;

/// A tree of a slot: the repository's, or a submodule's.
pub(super) struct Part<'a> {
    /// Where it lies in the slot; empty for the repository's own.
    pub(super) top: &'a [u8],
    pub(super) repo: &'a Repo,
    pub(super) ruling: &'a Listing,
    pub(super) rules: FileRules,
    pub(super) wanted: Vec<PartFile<'a>>,
}

/// A file that is to be in a slot.
pub(super) struct PartFile<'a> {
    pub(super) path: Cow<'a, [u8]>,
    /// The path in its own tree.
    pub(super) own: &'a [u8],
    pub(super) entry: TreeEntry,
}

impl<'a> Part<'a> {
    /// The files that `wanted` accepts, by the attributes of `ruling`.
    pub(super) fn of(
        (top, repo): (&'a [u8], &'a Repo),
        listing: &'a Listing,
        ruling: &'a Listing,
        wanted: &Only<'_>,
    ) -> Result<Self, GitError> {
        let in_slot = |own: &'a [u8]| match top {
            [] => Cow::Borrowed(own),
            top => Cow::Owned([top, b"/", own].concat()),
        };
        let files = listing.files().map(|(own, entry)| PartFile {
            path: in_slot(own),
            own,
            entry,
        });
        let wanted: Vec<PartFile<'_>> = files.filter(|file| wanted(&file.path)).collect();
        let conversion = repo.with(|objects| convert::of(repo, objects, ruling))?;
        let files: Vec<(&[u8], TreeEntry)> =
            wanted.iter().map(|file| (file.own, file.entry)).collect();
        let rules = FileRules::of(repo, &conversion, ruling, &files)?;
        Ok(Self {
            top,
            repo,
            ruling,
            rules,
            wanted,
        })
    }
}
