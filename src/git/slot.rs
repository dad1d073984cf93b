//! Filling a slot: with a tree exactly, or with some paths of it.
//!
//! It refuses to believe the slot's own `.git`, HEAD and index, and to write a file that holds the right bytes already.
//! A submodule is an empty directory.

use std::collections::HashSet;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::binary::{Git, fetch_missing};
use super::content::{Files, mode_of, write_entry};
use super::convert::{self, Conversion};
use super::error::GitError;
use super::facts::{Facts, Stamp, Stat, write_index};
use super::keep::Keep;
use super::pool::{Known, Slot};
use super::repo::{Repo, tree_oid};
use super::tree::{Entry, Listing};
use super::walk::{Step, below, remove, walk};
use crate::id::{CommitId, RepoPath, TreeId};
/// Which paths a restoration is about.
type Only<'a> = dyn Fn(&[u8]) -> bool + 'a;

impl Slot {
    /// Makes the slot hold `to` exactly: HEAD detached there, its files, and nothing else but what `keep` names (paths
    /// relative to the slot). Unchanged files are not written, so that build caches stay valid.
    ///
    /// # Errors
    /// Where the disk refuses, an object is missing, or a filter of `.gitattributes` fails.
    pub fn reset(&self, to: &CommitId, keep: &[String]) -> Result<(), GitError> {
        let tip = self.pool.repo().tip(to)?;
        self.register(to)?;
        self.fill(&tip.tree, &Keep::new(keep), None)
    }

    /// As [`Slot::reset`], with the files of any tree, and HEAD at `commit`.
    ///
    /// # Errors
    /// As [`Slot::reset`].
    pub fn checkout_tree(&self, commit: &CommitId, tree: &TreeId, keep: &[String]) -> Result<(), GitError> {
        self.register(commit)?;
        self.fill(tree, &Keep::new(keep), None)
    }

    /// Makes the paths that `wanted` accepts what they are in `commit`: restored, and removed where it has none. Other
    /// paths stay, and HEAD.
    ///
    /// # Errors
    /// As [`Slot::reset`].
    pub fn restore_paths(
        &self,
        commit: &CommitId,
        keep: &[String],
        wanted: &dyn Fn(&RepoPath) -> bool,
    ) -> Result<(), GitError> {
        let tip = self.pool.repo().tip(commit)?;
        let accepts = |path: &[u8]| RepoPath::from_bytes(path).is_some_and(|path| wanted(&path));
        self.fill_some(&tip.tree, keep, &accepts)
    }

    /// As [`Slot::restore_paths`], with the files of any tree, and paths as bytes.
    pub(super) fn fill_some(&self, tree: &TreeId, keep: &[String], only: &Only<'_>) -> Result<(), GitError> {
        self.make_real()?;
        self.fill(tree, &Keep::new(keep), Some(only))
    }

    pub(super) fn forgotten(&self) -> Known {
        Known { facts: Facts::load(&self.own_file("known")), index: None }
    }

    fn fill(&self, tree: &TreeId, keep: &Keep, only: Option<&Only<'_>>) -> Result<(), GitError> {
        let repo = self.pool.repo();
        let listing = repo.listing(tree)?;
        let mut known = self.known();
        let known = known.get_or_insert_with(|| self.forgotten());
        let conversion = repo.with(|objects| {
            fetch_missing(repo, objects, &listing, &self.own_file("list"))?;
            convert::of(objects, &listing)
        })?;
        known.facts.under(&conversion);
        let standing = self.clear(&listing, keep, only, &mut known.facts, &conversion)?;
        let wanted = |path: &[u8]| !standing.contains(path) && only.is_none_or(|only| only(path));
        let absent: Vec<(&[u8], Entry)> = listing.files().filter(|(path, _)| wanted(path)).collect();
        if !absent.is_empty() {
            self.write_files(repo, &listing, &absent, &conversion)?;
            for (path, entry) in &absent {
                let path_on_disk = below(self.path(), path);
                let meta = std::fs::symlink_metadata(&path_on_disk).map_err(GitError::io("look at", &path_on_disk))?;
                known.facts.learn(path, Stat::of(&meta), *entry, None);
            }
        }
        known.facts.settle(Stamp::take(&self.own_file("stamp"))?);
        if only.is_none() { self.write_own_index(tree, &listing, known) } else { Ok(()) }
    }

    /// Removes what does not belong, and says which files of the listing are in place.
    fn clear(
        &self,
        listing: &Listing,
        keep: &Keep,
        only: Option<&Only<'_>>,
        facts: &mut Facts,
        conversion: &Conversion,
    ) -> Result<HashSet<Vec<u8>>, GitError> {
        let mut standing = HashSet::new();
        let files = Files::of(self.path())?;
        walk(self.path(), &mut |path, meta| {
            if path == b".git" {
                return Ok(Step::Skip);
            }
            let on_disk = below(self.path(), path);
            let ours = only.is_none_or(|only| only(path));
            if let Some(entry) = listing.get(path).filter(|_| ours) {
                if entry.is_submodule() && meta.is_dir() {
                    empty(&on_disk, &self.attic)?;
                    standing.insert(path.to_vec());
                } else if is_in_place(&files, path, meta, entry, facts, conversion)? {
                    standing.insert(path.to_vec());
                } else {
                    facts.forget(path);
                    remove(&on_disk, &self.attic)?;
                }
                return Ok(Step::Skip);
            }
            if meta.is_dir() && (listing.has_directory(path) || keep.is_above(path)) {
                return Ok(Step::Enter);
            }
            if keep.covers(path) && !keep.is_link(path, meta) {
                return Ok(Step::Skip);
            }
            if !ours {
                return Ok(if meta.is_dir() { Step::Enter } else { Step::Skip });
            }
            facts.forget(path);
            remove(&on_disk, &self.attic)?;
            Ok(Step::Skip)
        })?;
        Ok(standing)
    }

    fn write_files(
        &self,
        repo: &Repo,
        listing: &Listing,
        absent: &[(&[u8], Entry)],
        conversion: &Conversion,
    ) -> Result<(), GitError> {
        let mut made = HashSet::new();
        let mut by_git: Vec<u8> = Vec::new();
        repo.with(|objects| {
            for (path, entry) in absent {
                self.make_parents(path, &mut made)?;
                let on_disk = below(self.path(), path);
                if entry.is_submodule() {
                    remove(&on_disk, &self.attic)?;
                    std::fs::create_dir(&on_disk).map_err(GitError::io("make", &on_disk))?;
                } else if entry.is_symlink() || *conversion == Conversion::Plain {
                    write_entry(objects, &on_disk, *entry)?;
                } else {
                    by_git.extend_from_slice(path);
                    by_git.push(0);
                }
            }
            Ok(())
        })?;
        if by_git.is_empty() {
            return Ok(());
        }
        let (index, list) = (self.own_file("index"), self.own_file("list"));
        write_index(&index, listing.files(), None)?;
        std::fs::write(&list, &by_git).map_err(GitError::io("write", &list))?;
        let git = Git::on_files(repo, self.path(), &index, "fill a slot", "checkout-index");
        git.args(["--force", "--quiet", "-z", "--stdin"]).run(&list)
    }

    /// Makes the directories above a path, in place of anything else that is there.
    fn make_parents(&self, path: &[u8], made: &mut HashSet<Vec<u8>>) -> Result<(), GitError> {
        for (slash, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            let parent = &path[..slash];
            if !made.insert(parent.to_vec()) {
                continue;
            }
            let on_disk = below(self.path(), parent);
            match std::fs::symlink_metadata(&on_disk) {
                Ok(meta) if meta.is_dir() => continue,
                Ok(_) => remove(&on_disk, &self.attic)?,
                Err(_) => {}
            }
            std::fs::create_dir(&on_disk).map_err(GitError::io("make", &on_disk))?;
        }
        Ok(())
    }

    /// The worktree's own index, for children that call git. Not read back.
    fn write_own_index(&self, tree: &TreeId, listing: &Listing, known: &mut Known) -> Result<(), GitError> {
        let file = self.git_dir().join("index");
        let stat = || std::fs::symlink_metadata(&file).map(|meta| Stat::of(&meta));
        if let (Some((was, left)), Ok(now)) = (&known.index, stat())
            && *was == tree_oid(tree)
            && *left == now
        {
            return Ok(());
        }
        write_index(&file, listing.files(), Some(&known.facts))?;
        known.index = stat().ok().map(|stat| (tree_oid(tree), stat));
        Ok(())
    }
}

fn is_in_place(
    files: &Files<'_>,
    path: &[u8],
    meta: &Metadata,
    entry: Entry,
    facts: &mut Facts,
    conversion: &Conversion,
) -> Result<bool, GitError> {
    if !(meta.is_file() || meta.is_symlink()) || entry.is_submodule() {
        return Ok(false);
    }
    let stat = Stat::of(meta);
    if let Some(known) = facts.entry(path, &stat) {
        return Ok(known == entry);
    }
    // Where git converts, bytes alone say nothing; the file is written anew.
    if *conversion != Conversion::Plain || mode_of(meta, None) != entry.mode {
        return Ok(false);
    }
    // A second name of the file, outside, would be a way to change it later.
    let same = (meta.is_symlink() || meta.nlink() == 1) && files.blob(path, meta)? == Some(entry.oid);
    if same {
        facts.learn(path, stat, entry, None);
    }
    Ok(same)
}

fn empty(directory: &Path, attic: &Path) -> Result<(), GitError> {
    let some = std::fs::read_dir(directory).map(|mut entries| entries.next().is_some()).unwrap_or(true);
    if some {
        remove(directory, attic)?;
        std::fs::create_dir(directory).map_err(GitError::io("make", directory))?;
    }
    Ok(())
}
