//! What a child left in a slot, as a tree.
//!
//! It refuses to believe the slot's own `.git`, HEAD and index. Decided here: paths of `keep` are
//! no part of a change, and no rules for others, unless the base tracks them; neither are other
//! ignored files, as the `.gitignore` files say that lie in the slot *now*; a repository that a
//! child made inside the slot is ordinary files, without its `.git`; a submodule stays what it was
//! unless its directory is gone, and a change of its files is refused.

mod objection;
mod reading;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;

use git2::Repository;

use super::convert::is_attributes;
use super::error::GitError;
use super::facts::{FileTime, Stat};
use super::filters;
use super::ignore::Ignores;
use super::keep::Keep;
use super::module::SlotLayout;
use super::pool::Slot;
use super::repo::{tree_id, tree_oid};
use super::tree::{Changes, Listing, TreeEntry, build};
use super::walk::{WalkAction, below, walk};
use crate::id::{RepoPath, Tip, TreeId};
use crate::plan::Size;
use objection::{refuse_endless, refuse_name, refuse_strays};
use reading::Aside;

/// What a change may be made of.
#[derive(Clone, Copy)]
pub struct Terms<'a> {
    /// Paths that are no part of a change unless the base tracks them, relative to the slot.
    pub keep: &'a [String],
    /// The largest file, and the largest sum of new ones, that is stored at all.
    pub change_limit: Size,
    /// Whether the attributes at that path may be others than the base's. Filters run by them.
    pub may_write: &'a dyn Fn(&RepoPath) -> bool,
}

impl Slot {
    /// The tree of what is in the slot: tracked files as they are, and untracked ones that are not
    /// ignored. The base's own tree if nothing changed. A file with the bytes that were laid
    /// out stands for the base's blob, whatever git's conversions would make of those bytes.
    ///
    /// # Errors
    /// Where the disk or a filter refuses, or something was left that a tree cannot hold, or a
    /// known secret ([`GitError::is_scope`]).
    pub fn snapshot(&self, base: &Tip, terms: &Terms<'_>) -> Result<TreeId, GitError> {
        let repo = self.pool.repo();
        let layout = repo.layout(&base.tree)?;
        let listing = &layout.tree;
        if !std::fs::symlink_metadata(self.path()).is_ok_and(|meta| meta.is_dir()) {
            // The whole slot was removed, or replaced. That is a change too: everything is gone.
            return repo.empty_tree();
        }
        let mut known = self.known();
        let known = known.get_or_insert_with(|| self.forgotten());
        let stamp = FileTime::take(&self.own_file("stamp"))?;
        let found = self.look(&layout, &Keep::new(terms.keep))?;
        self.refuse_in_modules(&layout, &found.inside, &known.facts)?;
        repo.with(|objects| {
            let mut changes = Changes::new();
            let lost = listing.files().filter(|(path, _)| {
                !found.files.contains_key(*path) && !found.same.contains(*path)
            });
            changes.extend(lost.map(|(path, _)| (path.to_vec(), None)));
            for (path, meta) in found
                .files
                .iter()
                .filter(|(path, _)| listing.get(path).is_none())
            {
                refuse_name(path, meta.is_symlink())?;
            }
            let conversion = self.conversion_now(objects, listing, &found, known, terms)?;
            known.facts.read_by(conversion.back.as_ref());
            let mut unsure: Vec<(&[u8], &Metadata)> = Vec::new();
            for (path, meta) in &found.files {
                match known.facts.entry(path, &Stat::of(meta)) {
                    // A blob of an attempt before this one may have been cleaned up.
                    Some(entry) if listing.get(path) == Some(entry) || is_there(objects, entry) => {
                        note(&mut changes, listing, path, entry);
                    }
                    Some(_) | None => unsure.push((path, meta)),
                }
            }
            let (same, unsure) = self.part(objects, listing, &known.facts, unsure, &conversion)?;
            for (path, meta, entry) in same {
                known.facts.learn(path, Stat::of(meta), entry, stamp);
                note(&mut changes, listing, path, entry);
            }
            self.refuse_large(objects, listing, &unsure, &conversion, terms.change_limit)?;
            self.refuse_secrets(listing, &unsure)?;
            let read = match &conversion.back {
                None => self.read_plain(objects, listing, &unsure)?,
                Some(_) => {
                    let _aside = Aside::take(self, &found.kept_rules)?;
                    self.read_by_git(objects, listing, &unsure)?
                }
            };
            for ((path, meta), entry) in unsure.iter().zip(read) {
                known.facts.learn(path, Stat::of(meta), entry, stamp);
                note(&mut changes, listing, path, entry);
            }
            if changes.is_empty() {
                return Ok(base.tree.clone());
            }
            let tree = build(objects, tree_oid(&base.tree), &changes).map(tree_id)?;
            if conversion.filters
                && let Some(missing) = repo.missing_filters(&tree)?.first()
            {
                return Err(filters::missing(missing.path.as_bytes(), &missing.name));
            }
            Ok(tree)
        })
    }

    /// What is in the slot, as far as it could be part of a change.
    fn look(&self, layout: &SlotLayout, keep: &Keep) -> Result<SlotContents, GitError> {
        let mut found = SlotContents::default();
        let is_unread = |path: &[u8]| keep.covers(path) && layout.get(path).is_none();
        let mut ignores = self
            .pool
            .repo()
            .with(|repo| Ignores::new(repo, self.path(), &is_unread))?;
        walk(self.path(), &mut |path, meta| {
            let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
            if name.eq_ignore_ascii_case(b".git") {
                return Ok(WalkAction::Skip);
            }
            let tracked = layout.get(path);
            if matches!(name, b".gitignore" | b".gitattributes")
                && (tracked.is_some() || !keep.covers(path))
            {
                refuse_endless(&below(self.path(), path), path)?;
            }
            let rules = !meta.is_dir() && is_attributes(path);
            if rules && tracked.is_none() && keep.covers(path) {
                found.kept_rules.push(path.to_vec());
                return Ok(WalkAction::Skip);
            }
            if meta.is_dir() {
                if tracked.is_some_and(TreeEntry::is_submodule) {
                    refuse_strays(&below(self.path(), path), path)?;
                    found.same.insert(path.to_vec());
                    return Ok(WalkAction::Skip);
                }
                if layout.is_filled(path) {
                    found.same.insert(path.to_vec());
                }
                if layout.has_directory(path) || keep.is_above(path) {
                    return Ok(WalkAction::Enter);
                }
            } else if !(meta.is_file() || meta.is_symlink()) {
                // git knows no sockets, pipes and devices.
                return Ok(WalkAction::Skip);
            }
            let known_file = !meta.is_dir() && tracked.is_some_and(|entry| !entry.is_submodule());
            // Whoever ignores them: git reads attributes while it looks at the files beside them.
            if !known_file
                && (keep.covers(path) || (!rules && ignores.covers(path, meta.is_dir())?))
            {
                return Ok(WalkAction::Skip);
            }
            if meta.is_dir() {
                return Ok(WalkAction::Enter);
            }
            let files = if layout.module_of(path).is_some() {
                &mut found.inside
            } else {
                &mut found.files
            };
            files.insert(path.to_vec(), meta.clone());
            Ok(WalkAction::Skip)
        })?;
        Ok(found)
    }
}

/// What was found in a slot.
#[derive(Default)]
struct SlotContents {
    files: BTreeMap<Vec<u8>, Metadata>,
    /// Those in submodules that omk filled.
    inside: BTreeMap<Vec<u8>, Metadata>,
    /// Entries of the base that count as unchanged without a file: submodules.
    same: BTreeSet<Vec<u8>>,
    /// Attributes that are kept, and so no part of a change. git would go by them.
    kept_rules: Vec<Vec<u8>>,
}

fn is_there(repo: &Repository, entry: TreeEntry) -> bool {
    entry.is_submodule() || repo.odb().is_ok_and(|odb| odb.exists(entry.oid))
}

fn note(changes: &mut Changes, base: &Listing, path: &[u8], entry: TreeEntry) {
    if base.get(path) != Some(entry) {
        changes.insert(path.to_vec(), Some(entry));
    }
}
