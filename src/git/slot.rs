//! Filling a slot: with a tree exactly, or with some paths of it.
//!
//! It refuses to believe the slot's own `.git`, HEAD and index, and to write a file that nobody
//! touched: not for another process, and not under other rules that lay it out the same.
//! A submodule that the user has no clone of is an empty directory.

use std::collections::{BTreeMap, HashSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode as RawMode, OFlags, Timespec, Timestamps};

use super::binary::{Git, fetch_missing};
use super::call::go_on;
use super::content::{Files, mode_of, write_entry};
use super::error::GitError;
use super::facts::{FileTime, SlotFacts, Stat, write_index, write_index_over};
use super::filters::run_filters;
use super::keep::Keep;
use super::module::{Module, SlotLayout};
use super::part::{Only, Part, PartFile};
use super::pool::{Slot, SlotKnowledge};
use super::repo::{tree_id, tree_oid};
use super::rules::{Bare, ConversionRule, rule_files};
use super::tree::{Listing, TreeEntry, above};
use super::walk::{WalkAction, below, remove, walk};
use crate::id::{CommitId, Tip, TreeId};
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

    /// Removes what does not belong, and says what of the listing is as omk left it.
    fn clear(
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

    /// The worktree's own index, for children that call git: what it says of files on the disk fits
    /// them. Not read back.
    fn write_own_index(
        &self,
        tree: &TreeId,
        listing: &Listing,
        known: &mut SlotKnowledge,
    ) -> Result<(), GitError> {
        let file = self.git_dir().join("index");
        let stat = || std::fs::symlink_metadata(&file).map(|meta| Stat::of(&meta));
        if let (Some((was, Some(left))), Ok(now)) = (&known.index, stat())
            && *was == tree_oid(tree)
            && *left == now
        {
            return Ok(());
        }
        write_index(&file, listing.files(), Some(&known.facts))?;
        known.index = Some((tree_oid(tree), stat().ok()));
        Ok(())
    }

    /// The index of a slot that holds `tree`, but for paths that are `hidden`: for git they are
    /// unchanged, whatever is there.
    pub(super) fn write_index_under(
        &self,
        tree: &TreeId,
        hidden: &dyn Fn(&[u8], TreeEntry) -> bool,
    ) -> Result<(), GitError> {
        let listing = self.pool.repo().listing(tree)?;
        let mut known = self.known();
        let known = known.get_or_insert_with(|| self.forgotten());
        known.index = None;
        write_index_over(
            &self.git_dir().join("index"),
            listing.files(),
            Some(&known.facts),
            hidden,
        )
    }
}

/// A file system's clock ticks every 1 to 10 ms.
const MOMENT: std::time::Duration = std::time::Duration::from_millis(1);
const MOMENTS: u32 = 12;

/// What [`Slot::clear`] found.
struct Cleared {
    /// These files are in place.
    standing: HashSet<Vec<u8>>,
    /// These directories are of the listing, and something was done to them or in them.
    stirred: HashSet<Vec<u8>>,
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

/// The permissions of a slot's directories: what a usual umask leaves.
pub(super) const OPEN: u32 = 0o755;

/// When every directory of a slot was last changed, as far as anybody can see, in seconds since
/// 1970: in 2001, before any build. Some tools do not take a time of zero.
pub(super) const LONG_AGO: i64 = 1_000_000_000;

fn is_calm(meta: &Metadata) -> bool {
    meta.mode() & 0o7777 == OPEN && meta.mtime() == LONG_AGO && meta.mtime_nsec() == 0
}

/// Gives a directory the mode and the times that all have.
pub(super) fn calm(directory: &Path) -> Result<(), GitError> {
    settle(directory, OFlags::DIRECTORY, OPEN)
}

/// The same for a file of omk's own in a slot.
pub(super) fn calm_file(file: &Path) -> Result<(), GitError> {
    // Nobody waits at a FIFO that a child may have left.
    settle(file, OFlags::NONBLOCK, OPEN & 0o666)
}

fn settle(path: &Path, kind: OFlags, mode: u32) -> Result<(), GitError> {
    let problem = || GitError::io("settle", path);
    let opened = match rustix::fs::open(
        path,
        kind | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        RawMode::empty(),
    ) {
        Ok(opened) => opened,
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(problem()(errno.into())),
    };
    rustix::fs::fchmod(&opened, RawMode::from_raw_mode(mode))
        .map_err(|errno| problem()(errno.into()))?;
    let long_ago = Timespec {
        tv_sec: LONG_AGO,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: long_ago,
        last_modification: long_ago,
    };
    rustix::fs::futimens(&opened, &times).map_err(|errno| problem()(errno.into()))
}

fn empty(directory: &Path, attic: &Path) -> Result<(), GitError> {
    let some = std::fs::read_dir(directory)
        .map(|mut entries| entries.next().is_some())
        .unwrap_or(true);
    if some {
        remove(directory, attic)?;
        std::fs::create_dir(directory).map_err(GitError::io("make", directory))?;
    }
    Ok(())
}
