//! Which files of a slot hold the bytes that were laid out, whatever their times say.
//!
//! It refuses to convert anything: bytes are compared as they lie on the disk.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io::Read;

use git2::Repository;

use super::content::{Files, LARGE, mode_of};
use super::convert::Conversion;
use super::error::GitError;
use super::facts::{SlotFacts, Stat};
use super::lookup::find_blob;
use super::module::{Module, SlotLayout};
use super::pool::Slot;
use super::tree::{Listing, TreeEntry};
use super::walk::below;
use crate::id::RepoPath;

/// A file that has the bytes which were laid out, and the entry that it stands for.
pub(super) type Same<'a> = (&'a [u8], &'a Metadata, TreeEntry);

impl Slot {
    /// Parts files with the bytes that were laid out, and the entries that they stand for, from
    /// others. Without conversions there is no need: their blobs tell.
    pub(super) fn part<'a>(
        &self,
        repo: &Repository,
        base: &Listing,
        facts: &SlotFacts,
        files: Vec<(&'a [u8], &'a Metadata)>,
        conversion: &Conversion,
    ) -> Result<(Vec<Same<'a>>, Vec<(&'a [u8], &'a Metadata)>), GitError> {
        if conversion.back.is_none() && facts.laid.is_empty() {
            return Ok((Vec::new(), files));
        }
        let trusts_mode = trusts_mode(repo);
        let (mut same, mut others) = (Vec::new(), Vec::new());
        for (path, meta) in files {
            match base.get(path) {
                Some(was) if self.holds_what_was_laid(repo, base, facts, path, meta)? => {
                    let mode = mode_of(meta, Some(was).filter(|_| !trusts_mode));
                    same.push((path, meta, TreeEntry { mode, oid: was.oid }));
                }
                Some(_) | None => others.push((path, meta)),
            }
        }
        Ok((same, others))
    }

    /// Whether a file has just the bytes that omk lays out for the base's blob there.
    pub(super) fn holds_what_was_laid(
        &self,
        repo: &Repository,
        base: &Listing,
        facts: &SlotFacts,
        path: &[u8],
        meta: &Metadata,
    ) -> Result<bool, GitError> {
        let was = base
            .get(path)
            .filter(|was| meta.is_file() && !was.is_symlink() && !was.is_submodule());
        let Some(was) = was else { return Ok(false) };
        self.holds_bytes(repo, was, facts, path, meta)
    }

    /// Whether a file of the slot has just the bytes that omk lays out for that blob of `repo`
    /// there.
    pub(super) fn holds_bytes(
        &self,
        repo: &Repository,
        was: TreeEntry,
        facts: &SlotFacts,
        path: &[u8],
        meta: &Metadata,
    ) -> Result<bool, GitError> {
        if facts.converted(path, was.oid).is_none() && meta.len() > LARGE {
            return Ok(
                blob_size(repo, was) == Some(meta.len()) && self.holds(repo, path, meta, was)?
            );
        }
        Ok(Files::of(self.path())?.bytes(path, meta)? == facts.laid_bytes(path, was.oid))
    }

    /// Refuses files in submodules that are not what was laid out: a tree cannot hold a change
    /// there.
    pub(super) fn refuse_in_modules(
        &self,
        layout: &SlotLayout,
        found: &BTreeMap<Vec<u8>, Metadata>,
        facts: &SlotFacts,
    ) -> Result<(), GitError> {
        let refused = |module: &Module| match RepoPath::from_bytes(&module.path) {
            Some(path) => Err(GitError::InSubmodule { path }),
            None => Err(GitError::refused(
                &module.path,
                "is a submodule, and files in it were changed",
            )),
        };
        for (path, meta) in found {
            let Some((_, module, own)) = layout.module_of(path) else {
                continue;
            };
            let Some(entry) = module
                .listing
                .get(own)
                .filter(|entry| !entry.is_submodule())
            else {
                return refused(module);
            };
            let is_laid_out =
                facts.entry(path, &Stat::of(meta)) == Some(entry)
                    || module.repo.with(|objects| {
                        let mode = mode_of(meta, Some(entry).filter(|_| !trusts_mode(objects)));
                        Ok(mode == entry.mode
                            && self.holds_bytes(objects, entry, facts, path, meta)?)
                    })?;
            if !is_laid_out {
                return refused(module);
            }
        }
        let is_directory = |path: &[u8]| {
            std::fs::symlink_metadata(below(self.path(), path)).is_ok_and(|meta| meta.is_dir())
        };
        for module in &layout.modules {
            let is_lost = |(path, entry): (&[u8], TreeEntry)| {
                let path = module.in_slot(path);
                !layout.is_filled(&path) && !entry.is_submodule() && !found.contains_key(&path)
            };
            // A tree can hold that one is gone, or what is in its place; not if it lies in another
            // one.
            let is_lost_inside = || {
                layout
                    .module_of(&module.path)
                    .is_some_and(|(_, outer, _)| is_directory(&outer.path))
            };
            let is_changed = match is_directory(&module.path) {
                true => module.listing.files().any(is_lost),
                false => is_lost_inside(),
            };
            if is_changed {
                return refused(module);
            }
        }
        Ok(())
    }

    /// Whether a file of any size has just those bytes.
    pub(super) fn holds(
        &self,
        repo: &Repository,
        path: &[u8],
        meta: &Metadata,
        entry: TreeEntry,
    ) -> Result<bool, GitError> {
        let what = || format!("read what {} was", String::from_utf8_lossy(path));
        let blob = find_blob(repo, entry.oid, &what())?;
        let file = Files::of(self.path())?.open(path, meta)?;
        is_same(file, blob.content()).map_err(GitError::io("read", &below(self.path(), path)))
    }
}

/// Whether attributes are what omk laid out: as far as it knows the file, else by their text, with
/// whatever line ends they make for themselves.
pub(super) fn is_as_laid_out(
    repo: &Repository,
    base: Option<TreeEntry>,
    known: Option<TreeEntry>,
    text: &[u8],
) -> Result<bool, GitError> {
    let Some(base) = base.filter(|base| !base.is_symlink() && !base.is_submodule()) else {
        return Ok(false);
    };
    if let Some(known) = known {
        return Ok(known.oid == base.oid);
    }
    let blob = find_blob(repo, base.oid, "read .gitattributes")?;
    let lines = |text: &[u8]| String::from_utf8_lossy(text).replace("\r\n", "\n");
    Ok(lines(blob.content()) == lines(text))
}

/// Whether the permissions of files say anything here.
pub(super) fn trusts_mode(repo: &Repository) -> bool {
    repo.config()
        .and_then(|config| config.get_bool("core.filemode"))
        .unwrap_or(true)
}

/// Whether a file has just those bytes; no more of it is read than tells.
fn is_same(mut file: impl Read, mut bytes: &[u8]) -> std::io::Result<bool> {
    let mut piece = vec![0; 64 << 10];
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 {
            return Ok(bytes.is_empty());
        }
        match bytes.strip_prefix(&piece[..length]) {
            Some(rest) => bytes = rest,
            None => return Ok(false),
        }
    }
}

pub(super) fn blob_size(repo: &Repository, entry: TreeEntry) -> Option<u64> {
    let (size, _) = repo.odb().and_then(|odb| odb.read_header(entry.oid)).ok()?;
    Some(size as u64)
}
