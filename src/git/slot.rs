//! Filling a slot: with a tree exactly, or with some paths of it.
//!
//! It refuses to believe the slot's own `.git`, HEAD and index, and to write a file that nobody
//! touched: not for another process, and not under other rules that lay it out the same.
//! A submodule that the user has no clone of is an empty directory.

mod calm;
mod clearing;
mod index;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::binary::{Git, fetch_missing};
use super::call::go_on;
use super::content::{Files, write_entry};
use super::error::GitError;
use super::facts::{FileTime, SlotFacts, Stat, write_index};
use super::filters::run_filters;
use super::keep::Keep;
use super::module::Module;
use super::part::{Only, Part, PartFile};
use super::pool::{Slot, SlotKnowledge};
use super::repo::tree_id;
use super::rules::{Bare, ConversionRule, rule_files};
use super::tree::{TreeEntry, above};
use super::walk::{below, remove};
use crate::id::{CommitId, Tip, TreeId};
use clearing::Cleared;

pub(super) use calm::{LONG_AGO, OPEN, calm, calm_file};

/// A slot holds exactly that tree, and its HEAD is that commit. Whoever has it was the last to do
/// anything there: it is given up to the first child.
#[derive(Debug)]
pub struct LaidOut(Tip);

impl LaidOut {
    /// Whether it is this commit with this tree.
    #[must_use]
    pub fn is(&self, tip: &Tip) -> bool {
        self.0 == *tip
    }
}

impl Slot {
    /// Makes the slot hold `to` exactly: HEAD detached there, its files, and nothing else but what
    /// `keep` names (paths relative to the slot). Files that nobody touched are not written, so
    /// that build caches stay valid. What was touched is written again even with the right
    /// bytes: modes, times and attributes could tell the next child something.
    ///
    /// # Errors
    /// Where the disk refuses, an object is missing, or a filter of `.gitattributes` fails.
    pub fn reset(&self, to: &CommitId, keep: &[String]) -> Result<LaidOut, GitError> {
        let tip = self.pool.repo().tip(to)?;
        self.checkout_tree(to, &tip.tree, keep)
    }

    /// As [`Slot::reset`], with the files of any tree, and HEAD at `commit`.
    ///
    /// # Errors
    /// As [`Slot::reset`].
    pub fn checkout_tree(
        &self,
        commit: &CommitId,
        tree: &TreeId,
        keep: &[String],
    ) -> Result<LaidOut, GitError> {
        self.register(commit)?;
        self.fill((tree, tree), &Keep::new(keep), None)?;
        Ok(LaidOut(Tip {
            commit: commit.clone(),
            tree: tree.clone(),
        }))
    }

    /// Makes the paths that `only` accepts what they are in the first tree, laid out by the
    /// attributes of the second: restored, and removed where it has none. Other paths stay, and
    /// HEAD.
    pub(super) fn fill_some(
        &self,
        of: (&TreeId, &TreeId),
        keep: &[String],
        only: &Only<'_>,
    ) -> Result<(), GitError> {
        self.make_real()?;
        self.fill(of, &Keep::new(keep), Some(only))
    }

    pub(super) fn forgotten(&self) -> SlotKnowledge {
        SlotKnowledge {
            facts: SlotFacts::load(&self.own_file("known")),
            index: None,
        }
    }

    /// Lays out the files of the first tree by the attributes of the second.
    fn fill(
        &self,
        of: (&TreeId, &TreeId),
        keep: &Keep,
        only: Option<&Only<'_>>,
    ) -> Result<(), GitError> {
        let (repo, (tree, ruling)) = (self.pool.repo(), of);
        let (layout, ruling) = (repo.layout(tree)?, repo.layout(ruling)?);
        let layout = if Arc::ptr_eq(&layout, &ruling) {
            layout
        } else {
            Arc::new(layout.with_modules_of(&ruling))
        };
        let mut known = self.known();
        let known = known.get_or_insert_with(|| self.forgotten());
        for listing in if Arc::ptr_eq(&layout.tree, &ruling.tree) {
            vec![&layout]
        } else {
            vec![&layout, &ruling]
        } {
            repo.with(|objects| {
                fetch_missing(repo, objects, &listing.tree, &self.own_file("list"))
            })?;
        }
        let wanted = |path: &[u8]| only.is_none_or(|only| only(path)) && !layout.is_filled(path);
        let mut parts = vec![Part::of((b"", repo), &layout.tree, &ruling.tree, &wanted)?];
        for Module {
            path,
            repo,
            listing,
            ..
        } in &layout.modules
        {
            parts.push(Part::of((path, repo), listing, listing, &wanted)?);
        }
        let Cleared {
            standing,
            mut stirred,
        } = self.clear((&layout, &parts), keep, only, &mut known.facts)?;
        let mut is_written = false;
        for part in &parts {
            let absent: Vec<&PartFile<'_>> = part
                .wanted
                .iter()
                .filter(|file| !standing.contains(&*file.path))
                .collect();
            if absent.is_empty() {
                continue;
            }
            is_written = true;
            // What the worktree's own index says of these files fits them no more.
            known.index = known.index.take().map(|(tree, _)| (tree, None));
            self.write_files(part, &absent)?;
            let files = Files::of(self.path())?;
            for PartFile { path, own, entry } in absent {
                go_on()?;
                stirred.extend(above(path).map(<[u8]>::to_vec));
                let path_on_disk = below(self.path(), path);
                let meta = std::fs::symlink_metadata(&path_on_disk)
                    .map_err(GitError::io("look at", &path_on_disk))?;
                let rule = part.rules.rule(own, *entry);
                let bytes = if rule == ConversionRule::PLAIN {
                    None
                } else {
                    Some(files.bytes(path, &meta)?)
                };
                known
                    .facts
                    .wrote(path, Stat::of(&meta), *entry, (rule, bytes));
            }
        }
        if only.is_none() {
            for Module { path, .. } in &layout.modules {
                self.make_parents(&[path, b"/".as_slice()].concat(), &mut HashSet::new())?;
                stirred.insert(path.clone());
                stirred.extend(above(path).map(<[u8]>::to_vec));
            }
            self.link_modules(&layout)?;
        }
        for path in stirred {
            calm(&below(self.path(), &path))?;
        }
        let mut stamp = FileTime::take(&self.own_file("stamp"))?;
        // Nothing is sure of what was written at the very moment of the stamp, and the next process
        // would write it again.
        for _ in 0..if is_written { MOMENTS } else { 0 } {
            if known.facts.is_older_than(stamp) {
                break;
            }
            std::thread::park_timeout(MOMENT);
            stamp = FileTime::take(&self.own_file("stamp"))?;
        }
        known.facts.settle(stamp);
        if known.facts.is_worth_saving() {
            known.facts.save(&self.own_file("known"))?;
        }
        match (only, &known.index) {
            (None, _) => {
                self.make_module_dirs(&layout, &known.facts)?;
                self.write_own_index(tree, &layout.tree, known)
            }
            (Some(_), Some((tree, None))) => {
                let tree = tree_id(*tree);
                self.write_own_index(&tree, &*repo.listing(&tree)?, known)
            }
            (Some(_), Some((_, Some(_))) | None) => Ok(()),
        }
    }

    fn write_files(&self, part: &Part<'_>, absent: &[&PartFile<'_>]) -> Result<(), GitError> {
        let Part {
            top,
            repo,
            ruling,
            rules,
            ..
        } = part;
        let mut made = HashSet::new();
        let (mut by_git, mut entries): (Vec<u8>, BTreeMap<&[u8], TreeEntry>) =
            (Vec::new(), BTreeMap::new());
        repo.with(|objects| {
            for PartFile { path, own, entry } in absent {
                go_on()?;
                self.make_parents(path, &mut made)?;
                let on_disk = below(self.path(), path);
                if entry.is_submodule() {
                    remove(&on_disk, &self.attic)?;
                    std::fs::create_dir(&on_disk).map_err(GitError::io("make", &on_disk))?;
                } else if rules.rule(own, *entry) == ConversionRule::PLAIN {
                    write_entry(objects, &on_disk, *entry)?;
                } else {
                    by_git.extend_from_slice(own);
                    by_git.push(0);
                    entries.insert(own, *entry);
                }
            }
            Ok(())
        })?;
        if by_git.is_empty() {
            return Ok(());
        }
        let (index, list, bare) = (self.own_file("index"), self.own_file("list"), Bare::new()?);
        // git takes attributes from the work tree first, so that is an empty one, and then from the
        // index.
        entries.extend(rule_files(ruling));
        write_index(&index, entries.into_iter(), None)?;
        std::fs::write(&list, &by_git).map_err(GitError::io("write", &list))?;
        let mut prefix = std::ffi::OsString::from("--prefix=");
        prefix.push(below(self.path(), top).join(""));
        let git = Git::on_files(repo, &bare.top(), &index, "fill a slot", "checkout-index");
        run_filters(
            repo,
            git.args(["--force", "--quiet", "-z", "--stdin"])
                .args([prefix]),
            &list,
        )
    }

    /// Makes the directories above a path, in place of anything else that is there.
    fn make_parents(&self, path: &[u8], made: &mut HashSet<Vec<u8>>) -> Result<(), GitError> {
        for parent in above(path).skip(1) {
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
}

/// A file system's clock ticks every 1 to 10 ms.
const MOMENT: std::time::Duration = std::time::Duration::from_millis(1);
const MOMENTS: u32 = 12;
