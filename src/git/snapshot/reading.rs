//! Reading the changed files of a slot into objects: as they are, or through git and its filters.

use std::collections::{BTreeMap, HashSet};
use std::fs::Metadata;
use std::path::PathBuf;

use git2::{ObjectType, Repository};

use super::{SlotContents, Terms};
use crate::git::binary::Git;
use crate::git::call::go_on;
use crate::git::content::{Files, LARGE, blob_id, make_readable, mode_of};
use crate::git::convert::{self, Conversion, is_attributes};
use crate::git::error::GitError;
use crate::git::facts::{Stat, read_index, write_index};
use crate::git::filters::run_filters;
use crate::git::laid::{is_as_laid_out, trusts_mode};
use crate::git::pool::{Slot, SlotKnowledge};
use crate::git::tree::{Listing, TreeEntry};
use crate::git::walk::below;
use crate::id::{RepoPath, Sha256};
use crate::scope;

impl Slot {
    /// How the slot's files become blobs: by the attributes that lie in it now, where the task may
    /// write those that are not the base's. Nothing was converted by then.
    pub(super) fn conversion_now(
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

    /// Reads files whose bytes are their blobs'. Blobs are written only where the base has others
    /// there.
    pub(super) fn read_plain(
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
    pub(super) fn read_by_git(
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

/// Attributes that are out of git's sight until this is dropped. A process that is killed meanwhile
/// loses them: caches do not promise more.
pub(super) struct Aside(Vec<(PathBuf, PathBuf)>);

impl Aside {
    pub(super) fn take(slot: &Slot, paths: &[Vec<u8>]) -> Result<Self, GitError> {
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
