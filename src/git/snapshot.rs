//! What a child left in a slot, as a tree.
//!
//! It refuses to believe the slot's own `.git`, HEAD and index. Decided here: paths of `keep` are
//! no part of a change, and no rules for others, unless the base tracks them; neither are other
//! ignored files, as the `.gitignore` files say that lie in the slot *now*; a repository that a
//! child made inside the slot is ordinary files, without its `.git`; a submodule stays what it was
//! unless its directory is gone, and a change of its files is refused.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::Metadata;
use std::path::{Path, PathBuf};

use git2::{ObjectType, Repository};

use super::binary::Git;
use super::call::go_on;
use super::content::{Files, LARGE, blob_id, make_readable, mode_of};
use super::convert::{self, Conversion, is_attributes};
use super::error::GitError;
use super::facts::{FileTime, Stat, read_index, write_index};
use super::filters::{self, run_filters};
use super::ignore::Ignores;
use super::keep::Keep;
use super::laid::{blob_size, is_as_laid_out, trusts_mode};
use super::module::SlotLayout;
use super::pool::{Slot, SlotKnowledge};
use super::repo::{tree_id, tree_oid};
use super::tree::{Changes, Listing, TreeEntry, build};
use super::walk::{WalkAction, below, walk};
use crate::id::{RepoPath, Sha256, Tip, TreeId};
use crate::plan::Size;
use crate::scope::{self, name};

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

    /// How the slot's files become blobs: by the attributes that lie in it now, where the task may
    /// write those that are not the base's. Nothing was converted by then.
    fn conversion_now(
        &self,
        repo: &Repository,
        base: &Listing,
        found: &SlotContents,
        known: &SlotKnowledge,
        terms: &Terms<'_>,
    ) -> Result<Conversion, GitError> {
        let before = convert::of(self.pool.repo(), repo, base)?;
        let (mut rules, mut changed) = (BTreeMap::new(), Vec::new());
        let slot = Files::of(self.path())?;
        for (path, meta) in found
            .files
            .iter()
            .filter(|(path, meta)| is_attributes(path) && meta.is_file())
        {
            let text = slot.rules(path)?;
            if !is_as_laid_out(
                repo,
                base.get(path),
                known.facts.entry(path, &Stat::of(meta)),
                &text,
            )? && !self.holds_what_was_laid(repo, base, &known.facts, path, meta)?
            {
                changed.push(path.as_slice());
            }
            rules.insert(path.as_slice(), text);
        }
        let of_base = base
            .files()
            .filter(|(path, entry)| is_attributes(path) && !entry.is_symlink());
        changed.extend(
            of_base
                .map(|(path, _)| path)
                .filter(|path| !rules.contains_key(path)),
        );
        for path in &changed {
            let may = RepoPath::from_bytes(path).is_some_and(|path| (terms.may_write)(&path));
            if !may {
                return Err(GitError::refused(path, scope::PROTECTED));
            }
        }
        if changed.is_empty()
            || (before.back.is_none() && !rules.values().any(|text| convert::asks(text)))
        {
            return Ok(before);
        }
        let filters = before.filters || rules.values().any(|text| convert::names_filter(text));
        let mut all = format!("{before:?}").into_bytes();
        for (path, text) in rules {
            all.extend(path);
            all.extend(text);
        }
        Ok(Conversion {
            out: None,
            back: Some(Sha256::of(&all)),
            filters,
        })
    }

    /// Refuses files over the limit before their bytes are read and stored. Where git converts, the
    /// blob may be smaller; whoever looks at the tree knows.
    fn refuse_large(
        &self,
        repo: &Repository,
        base: &Listing,
        files: &[(&[u8], &Metadata)],
        conversion: &Conversion,
        limit: Size,
    ) -> Result<(), GitError> {
        if conversion.filters {
            return Ok(());
        }
        let (mut sum, mut largest) = (0_u64, None);
        for (path, meta) in files.iter().filter(|(_, meta)| meta.is_file()) {
            let over = meta.len() > limit.bytes();
            match base.get(path) {
                Some(_) if !over || conversion.back.is_some() => continue,
                Some(was)
                    if blob_size(repo, was) == Some(meta.len())
                        && self.holds(repo, path, meta, was)? =>
                {
                    continue;
                }
                Some(_) => {}
                None => sum = sum.saturating_add(meta.len()),
            }
            if over {
                return Err(GitError::refused(path, scope::over(meta.len(), limit)));
            }
            largest = largest.max(Some((meta.len(), *path)));
        }
        match largest {
            Some((_, path)) if sum > limit.bytes() => {
                Err(GitError::refused(path, scope::over_in_all(sum, limit)))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Reads files whose bytes are their blobs'. Blobs are written only where the base has others
    /// there.
    fn read_plain(
        &self,
        repo: &Repository,
        base: &Listing,
        files: &[(&[u8], &Metadata)],
    ) -> Result<Vec<TreeEntry>, GitError> {
        let odb = repo.odb().map_err(GitError::lib("open the object store"))?;
        let trusts_mode = trusts_mode(repo);
        let mut read = Vec::with_capacity(files.len());
        let slot = Files::of(self.path())?;
        for (path, meta) in files {
            go_on()?;
            let on_disk = below(self.path(), path);
            let was = base.get(path);
            let mode = mode_of(meta, was.filter(|_| !trusts_mode));
            if meta.len() > LARGE && meta.is_file() {
                read.push(TreeEntry {
                    mode,
                    oid: slot.store(repo, path, meta)?,
                });
                continue;
            }
            let bytes = slot.read(path, meta)?;
            let mut oid = blob_id(&bytes)?;
            if was.is_none_or(|was| was.oid != oid) {
                oid = odb
                    .write(ObjectType::Blob, &bytes)
                    .map_err(GitError::lib(format!("store {}", on_disk.display())))?;
            }
            read.push(TreeEntry { mode, oid });
        }
        Ok(read)
    }

    /// Reads files that git converts, by `git update-index` with an index of our own.
    fn read_by_git(
        &self,
        repo: &Repository,
        base: &Listing,
        files: &[(&[u8], &Metadata)],
    ) -> Result<Vec<TreeEntry>, GitError> {
        let (links, regular): (Vec<_>, Vec<_>) =
            files.iter().partition(|(_, meta)| meta.is_symlink());
        let mut read: BTreeMap<&[u8], TreeEntry> = BTreeMap::new();
        let link_entries = self.read_plain(repo, base, &links)?;
        read.extend(links.iter().map(|(path, _)| *path).zip(link_entries));
        if !regular.is_empty() {
            let (index, list) = (self.own_file("index"), self.own_file("list"));
            // git would take attributes that were removed from the slot from the index. Of other
            // files it asks for nothing but what they were.
            let stands = |path: &[u8]| std::fs::symlink_metadata(below(self.path(), path)).is_ok();
            let asked: HashSet<&[u8]> = regular.iter().map(|(path, _)| *path).collect();
            let counts = |path: &[u8]| {
                if is_attributes(path) {
                    stands(path)
                } else {
                    asked.contains(path)
                }
            };
            let entries = base.files().filter(|(path, _)| counts(path));
            write_index(&index, entries, None)?;
            // Of a git that was killed. The slot is this process's own.
            let _ = std::fs::remove_file(self.own_file("index.lock"));
            let mut paths = Vec::new();
            for (path, meta) in &regular {
                make_readable(&below(self.path(), path), meta)?;
                paths.extend_from_slice(path);
                paths.push(0);
            }
            std::fs::write(&list, &paths).map_err(GitError::io("write", &list))?;
            let git = Git::on_files(
                self.pool.repo(),
                self.path(),
                &index,
                "read the files of a slot",
                "update-index",
            );
            run_filters(
                self.pool.repo(),
                git.args(["--add", "--replace", "-z", "--stdin"]),
                &list,
            )?;
            let index = read_index(&index)?;
            for (path, _) in &regular {
                let Some(&(mode, oid)) = index.get(*path) else {
                    let path = String::from_utf8_lossy(path).into_owned();
                    return Err(GitError::Unstorable {
                        path,
                        why: "git left it out",
                    });
                };
                read.insert(path, TreeEntry { mode, oid });
            }
        }
        Ok(files
            .iter()
            .filter_map(|(path, _)| read.get(path).copied())
            .collect())
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

/// Attributes that are out of git's sight until this is dropped. A process that is killed meanwhile
/// loses them: caches do not promise more.
struct Aside(Vec<(PathBuf, PathBuf)>);

impl Aside {
    fn take(slot: &Slot, paths: &[Vec<u8>]) -> Result<Self, GitError> {
        let mut aside = Self(Vec::new());
        for (number, path) in paths.iter().enumerate() {
            let (from, to) = (
                below(slot.path(), path),
                slot.attic.join(format!("rules-{number}")),
            );
            std::fs::rename(&from, &to).map_err(GitError::io("move aside", &from))?;
            aside.0.push((from, to));
        }
        Ok(aside)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        for (from, to) in &self.0 {
            // A cache without them is one that has to be filled again.
            let _ = std::fs::rename(to, from);
        }
    }
}

fn is_there(repo: &Repository, entry: TreeEntry) -> bool {
    entry.is_submodule() || repo.odb().is_ok_and(|odb| odb.exists(entry.oid))
}

fn note(changes: &mut Changes, base: &Listing, path: &[u8], entry: TreeEntry) {
    if base.get(path) != Some(entry) {
        changes.insert(path.to_vec(), Some(entry));
    }
}

/// libgit2 refuses some names without saying where; a judge refuses more.
fn refuse_name(path: &[u8], link: bool) -> Result<(), GitError> {
    let Some(named) = RepoPath::from_bytes(path) else {
        return Ok(());
    };
    name::unstorable(&named, link).map_or(Ok(()), |why| Err(GitError::refused(path, why)))
}

/// git reads these while it looks at other files; a pipe or a device in their place would hold it
/// forever.
fn refuse_endless(on_disk: &Path, path: &[u8]) -> Result<(), GitError> {
    match std::fs::metadata(on_disk) {
        Ok(meta) if !meta.is_file() && !meta.is_dir() => {
            let path = String::from_utf8_lossy(path).into_owned();
            Err(GitError::Unstorable {
                path,
                why: "it is, or leads to, a pipe or a device",
            })
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Files in a submodule's directory would be lost without a word, unless the submodule itself was
/// filled there.
fn refuse_strays(directory: &Path, path: &[u8]) -> Result<(), GitError> {
    let filled = std::fs::symlink_metadata(directory.join(".git")).is_ok();
    let some = std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some());
    match RepoPath::from_bytes(path) {
        Some(path) if some && !filled => Err(GitError::InSubmodule { path }),
        Some(_) | None => Ok(()),
    }
}
