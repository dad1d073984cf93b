//! Clearing a slot: what does not belong there is removed, and what omk laid there stays.
//!
//! It refuses to believe that a file is untouched because its bytes are right.

use std::collections::HashSet;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::calm::is_calm;
use crate::git::content::{Files, mode_of};
use crate::git::error::GitError;
use crate::git::facts::{SlotFacts, Stat};
use crate::git::keep::Keep;
use crate::git::module::SlotLayout;
use crate::git::part::{Only, Part};
use crate::git::pool::Slot;
use crate::git::rules::ConversionRule;
use crate::git::tree::{TreeEntry, above};
use crate::git::walk::{WalkAction, below, remove, walk};

impl Slot {
    /// Removes what does not belong, and says what of the listing is as omk left it.
    pub(super) fn clear(
        &self,
        (layout, parts): (&SlotLayout, &[Part<'_>]),
        keep: &Keep,
        only: Option<&Only<'_>>,
        facts: &mut SlotFacts,
    ) -> Result<Cleared, GitError> {
        let files = Files::of(self.path())?;
        let (mut standing, mut stirred) = (HashSet::new(), HashSet::new());
        // The slot's own directory: it holds `.git`, which is not walked.
        stirred.insert(Vec::new());
        if only.is_none() {
            self.take_from_caches(layout, keep, facts)?;
        }
        walk(self.path(), &mut |path, meta| {
            if path == b".git" || layout.is_link(path) {
                return Ok(WalkAction::Skip);
            }
            let on_disk = below(self.path(), path);
            let ours = only.is_none_or(|only| only(path));
            if let Some(entry) = layout.get(path).filter(|_| ours) {
                let (number, own) = layout
                    .module_of(path)
                    .map_or((0, path), |(number, _, own)| (number + 1, own));
                let rule = parts[number].rules.rule(own, entry);
                if entry.is_submodule() && meta.is_dir() {
                    empty(&on_disk, &self.attic)?;
                    standing.insert(path.to_vec());
                } else if is_in_place(&files, path, meta, (entry, rule), facts)? {
                    standing.insert(path.to_vec());
                } else {
                    stirred.extend(above(path).map(<[u8]>::to_vec));
                    facts.forget(path);
                    remove(&on_disk, &self.attic)?;
                }
                return Ok(WalkAction::Skip);
            }
            if meta.is_dir() && (layout.has_directory(path) || keep.is_above(path)) {
                if !is_calm(meta) {
                    stirred.insert(path.to_vec());
                }
                return Ok(WalkAction::Enter);
            }
            if keep.covers(path) && !keep.is_link(path, meta) {
                return Ok(WalkAction::Skip);
            }
            if !ours {
                return Ok(if meta.is_dir() {
                    WalkAction::Enter
                } else {
                    WalkAction::Skip
                });
            }
            stirred.extend(above(path).map(<[u8]>::to_vec));
            facts.forget(path);
            remove(&on_disk, &self.attic)?;
            Ok(WalkAction::Skip)
        })?;
        stirred.retain(|path| path.is_empty() || layout.has_directory(path));
        Ok(Cleared { standing, stirred })
    }

    /// Removes what omk itself wrote where a cache is now: a file of another tree, or one that was
    /// laid over for a gate.
    fn take_from_caches(
        &self,
        layout: &SlotLayout,
        keep: &Keep,
        facts: &mut SlotFacts,
    ) -> Result<(), GitError> {
        let ours = facts
            .known
            .keys()
            .filter(|path| keep.covers(path) && layout.get(path).is_none());
        for path in ours.cloned().collect::<Vec<_>>() {
            facts.forget(&path);
            let is_directory = |path: &[u8]| {
                below(self.path(), path)
                    .symlink_metadata()
                    .is_ok_and(|meta| meta.is_dir())
            };
            // A child may have put a link on the way, and what that leads to is not ours.
            if above(&path).skip(1).all(is_directory) && !is_directory(&path) {
                remove(&below(self.path(), &path), &self.attic)?;
            }
        }
        Ok(())
    }
}

/// What [`Slot::clear`] found.
pub(super) struct Cleared {
    /// These files are in place.
    pub(super) standing: HashSet<Vec<u8>>,
    /// These directories are of the listing, and something was done to them or in them.
    pub(super) stirred: HashSet<Vec<u8>>,
}

/// Whether a file is the one that omk wrote there, untouched since.
fn is_in_place(
    files: &Files<'_>,
    path: &[u8],
    meta: &Metadata,
    (entry, rule): (TreeEntry, ConversionRule),
    facts: &SlotFacts,
) -> Result<bool, GitError> {
    let stat = Stat::of(meta);
    if !(meta.is_file() || meta.is_symlink())
        || entry.is_submodule()
        || !facts.is_untouched(path, &stat, rule)
    {
        return Ok(false);
    }
    if let Some(known) = facts.entry(path, &stat) {
        return Ok(known == entry);
    }
    // Written a moment before something else: its bytes tell.
    if mode_of(meta, None) != entry.mode {
        return Ok(false);
    }
    // A second name of the file, outside, would be a way to change it later.
    Ok((meta.is_symlink() || meta.nlink() == 1)
        && facts.laid_bytes(path, entry.oid) == files.bytes(path, meta)?)
}

pub(super) fn empty(directory: &Path, attic: &Path) -> Result<(), GitError> {
    let some = std::fs::read_dir(directory)
        .map(|mut entries| entries.next().is_some())
        .unwrap_or(true);
    if some {
        remove(directory, attic)?;
        std::fs::create_dir(directory).map_err(GitError::io("make", directory))?;
    }
    Ok(())
}
