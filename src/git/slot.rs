//! What happens in a slot: it is filled with a tree, and what a child left in it becomes a tree.
//!
//! It refuses to believe the slot's own `.git`, HEAD and index. Decided here: paths of `keep` are neither removed nor part
//! of a change, unless the base tracks them; other ignored files are removed on a reset, and not part of a change either,
//! as the `.gitignore` files say that lie in the slot *now*; a repository that a child made inside the slot is ordinary
//! files, without its `.git`; a submodule is an empty directory, and stays what it was unless that directory is gone.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{File, Metadata};
use std::io::Write as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use git2::{ObjectType, Oid, Repository};

use super::binary::Git;
use super::convert::{self, Conversion, blob_id, is_attributes};
use super::error::GitError;
use super::facts::{Facts, Stamp, Stat, read_index, write_index};
use super::pool::{Known, Slot};
use super::repo::{Repo, open, tree_id, tree_oid};
use super::tree::{Changes, EXECUTABLE, Entry, FILE, Listing, SYMLINK, build};
use super::walk::{Step, below, remove, walk};
use crate::id::{CommitId, RepoPath, Tip, TreeId};

/// Files above this are read by libgit2 in pieces rather than held in memory.
const LARGE: u64 = 16 << 20;

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
        self.make_real()?;
        let accepts = |path: &[u8]| RepoPath::from_bytes(path).is_some_and(|path| wanted(&path));
        self.fill(&tip.tree, &Keep::new(keep), Some(&accepts))
    }

    /// The tree of what is in the slot: tracked files as they are, and untracked ones that are not ignored. The base's
    /// own tree where nothing changed.
    ///
    /// # Errors
    /// Where the disk or a filter refuses, or something was left that a tree cannot hold ([`GitError::is_scope`]).
    pub fn snapshot(&self, base: &Tip, keep: &[String]) -> Result<TreeId, GitError> {
        let repo = self.pool.repo();
        let listing = repo.listing(&base.tree)?;
        if !std::fs::symlink_metadata(self.path()).is_ok_and(|meta| meta.is_dir()) {
            // The whole slot was removed, or replaced. That is a change too: everything is gone.
            return repo.empty_tree();
        }
        let mut known = self.known();
        let known = known.get_or_insert_with(|| self.forgotten());
        let stamp = Stamp::take(&self.own_file("stamp"))?;
        let found = self.look(&listing, &Keep::new(keep))?;
        repo.with(|objects| {
            let mut changes = Changes::new();
            let lost =
                listing.files().filter(|(path, _)| !found.files.contains_key(*path) && !found.same.contains(*path));
            changes.extend(lost.map(|(path, _)| (path.to_vec(), None)));
            let conversion = self.conversion_now(objects, &listing, &found)?;
            known.facts.under(&conversion);
            let mut unsure: Vec<(&[u8], &Metadata)> = Vec::new();
            for (path, meta) in &found.files {
                match known.facts.entry(path, &Stat::of(meta)) {
                    Some(entry) => note(&mut changes, &listing, path, entry),
                    None => unsure.push((path, meta)),
                }
            }
            let read = match &conversion {
                Conversion::Plain => self.read_plain(objects, &listing, &unsure)?,
                Conversion::Rules(_) => self.read_by_git(objects, &listing, &unsure)?,
            };
            for ((path, meta), entry) in unsure.iter().zip(read) {
                known.facts.learn(path, Stat::of(meta), entry, Some(stamp));
                note(&mut changes, &listing, path, entry);
            }
            if changes.is_empty() {
                return Ok(base.tree.clone());
            }
            build(objects, tree_oid(&base.tree), &changes).map(tree_id)
        })
    }

    fn forgotten(&self) -> Known {
        Known { facts: Facts::load(&self.own_file("known")), index: None }
    }

    fn fill(&self, tree: &TreeId, keep: &Keep, only: Option<&dyn Fn(&[u8]) -> bool>) -> Result<(), GitError> {
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
        only: Option<&dyn Fn(&[u8]) -> bool>,
        facts: &mut Facts,
        conversion: &Conversion,
    ) -> Result<HashSet<Vec<u8>>, GitError> {
        let mut standing = HashSet::new();
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
                } else if is_in_place(&on_disk, path, meta, entry, facts, conversion)? {
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

    /// What is in the slot, as far as it could be part of a change.
    fn look(&self, listing: &Listing, keep: &Keep) -> Result<Found, GitError> {
        let mut found = Found::default();
        let mut ignores: Option<Repository> = None;
        walk(self.path(), &mut |path, meta| {
            let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
            if name.eq_ignore_ascii_case(b".git") {
                return Ok(Step::Skip);
            }
            if matches!(name, b".gitignore" | b".gitattributes") {
                refuse_endless(&below(self.path(), path), path)?;
            }
            let tracked = listing.get(path);
            if meta.is_dir() {
                if tracked.is_some_and(Entry::is_submodule) {
                    refuse_strays(&below(self.path(), path), path)?;
                    found.same.insert(path.to_vec());
                    return Ok(Step::Skip);
                }
                if listing.has_directory(path) || keep.is_above(path) {
                    return Ok(Step::Enter);
                }
            } else if !(meta.is_file() || meta.is_symlink()) {
                // git knows no sockets, pipes and devices.
                return Ok(Step::Skip);
            }
            let known_file = !meta.is_dir() && tracked.is_some_and(|entry| !entry.is_submodule());
            if !known_file && (keep.covers(path) || self.is_ignored(&mut ignores, path)?) {
                return Ok(Step::Skip);
            }
            if meta.is_dir() {
                return Ok(Step::Enter);
            }
            found.files.insert(path.to_vec(), meta.clone());
            Ok(Step::Skip)
        })?;
        Ok(found)
    }

    fn is_ignored(&self, opened: &mut Option<Repository>, path: &[u8]) -> Result<bool, GitError> {
        let repo = match opened {
            Some(repo) => repo,
            None => {
                // Opened anew each time, so that no rule of an earlier task is remembered.
                let repo = open(self.pool.repo().common_dir())?;
                repo.set_workdir(self.path(), false).map_err(GitError::lib("look into a slot"))?;
                opened.insert(repo)
            }
        };
        let path = std::ffi::OsString::from_vec(path.to_vec());
        repo.is_path_ignored(Path::new(&path)).map_err(GitError::lib("read .gitignore"))
    }

    /// How the slot's files become blobs: by the attributes that lie in it now.
    fn conversion_now(&self, repo: &Repository, base: &Listing, found: &Found) -> Result<Conversion, GitError> {
        let before = convert::of(repo, base)?;
        let mut rules: BTreeMap<&[u8], Vec<u8>> = BTreeMap::new();
        for (path, _) in found.files.iter().filter(|(path, meta)| is_attributes(path) && meta.is_file()) {
            let on_disk = below(self.path(), path);
            rules.insert(path, std::fs::read(&on_disk).unwrap_or_default());
        }
        let mut same = true;
        for (path, text) in &rules {
            same &= base.get(path).map(|entry| entry.oid) == Some(blob_id(text)?);
        }
        same &= base.files().filter(|(path, _)| is_attributes(path)).all(|(path, _)| rules.contains_key(path));
        if same || (before == Conversion::Plain && !rules.values().any(|text| convert::asks(text))) {
            return Ok(before);
        }
        let mut all = format!("{before:?}").into_bytes();
        for (path, text) in rules {
            all.extend(path);
            all.extend(text);
        }
        Ok(Conversion::Rules(crate::id::Sha256::of(&all)))
    }

    /// Reads files whose bytes are their blobs'. Blobs are written only where the base has others there.
    fn read_plain(
        &self,
        repo: &Repository,
        base: &Listing,
        files: &[(&[u8], &Metadata)],
    ) -> Result<Vec<Entry>, GitError> {
        let odb = repo.odb().map_err(GitError::lib("open the object store"))?;
        let trusts_mode = repo.config().and_then(|config| config.get_bool("core.filemode")).unwrap_or(true);
        let mut read = Vec::with_capacity(files.len());
        for (path, meta) in files {
            let on_disk = below(self.path(), path);
            let was = base.get(path);
            let mode = mode_of(meta, was.filter(|_| !trusts_mode));
            if meta.len() > LARGE && meta.is_file() {
                read.push(Entry { mode, oid: large_blob(repo, &on_disk)? });
                continue;
            }
            let bytes = if meta.is_symlink() { read_link(&on_disk)? } else { read_file(&on_disk, meta)? };
            let mut oid = blob_id(&bytes)?;
            if was.is_none_or(|was| was.oid != oid) {
                oid = odb
                    .write(ObjectType::Blob, &bytes)
                    .map_err(GitError::lib(format!("store {}", on_disk.display())))?;
            }
            read.push(Entry { mode, oid });
        }
        Ok(read)
    }

    /// Reads files that git converts, by `git update-index` with an index of our own.
    fn read_by_git(
        &self,
        repo: &Repository,
        base: &Listing,
        files: &[(&[u8], &Metadata)],
    ) -> Result<Vec<Entry>, GitError> {
        let (links, regular): (Vec<_>, Vec<_>) = files.iter().partition(|(_, meta)| meta.is_symlink());
        let mut read: BTreeMap<&[u8], Entry> = BTreeMap::new();
        let link_entries = self.read_plain(repo, base, &links)?;
        read.extend(links.iter().map(|(path, _)| *path).zip(link_entries));
        if !regular.is_empty() {
            let (index, list) = (self.own_file("index"), self.own_file("list"));
            // git would take attributes that were removed from the slot from the index.
            let stands = |path: &[u8]| std::fs::symlink_metadata(below(self.path(), path)).is_ok();
            let entries = base.files().filter(|(path, _)| !is_attributes(path) || stands(path));
            write_index(&index, entries, None)?;
            let mut paths = Vec::new();
            for (path, meta) in &regular {
                make_readable(&below(self.path(), path), meta)?;
                paths.extend_from_slice(path);
                paths.push(0);
            }
            std::fs::write(&list, &paths).map_err(GitError::io("write", &list))?;
            let git = Git::on_files(self.pool.repo(), self.path(), &index, "read the files of a slot", "update-index");
            git.args(["--add", "--replace", "-z", "--stdin"]).run(&list)?;
            let index = read_index(&index)?;
            for (path, _) in &regular {
                let Some(&(mode, oid)) = index.get(*path) else {
                    let path = String::from_utf8_lossy(path).into_owned();
                    return Err(GitError::Unstorable { path, why: "git left it out" });
                };
                read.insert(path, Entry { mode, oid });
            }
        }
        Ok(files.iter().filter_map(|(path, _)| read.get(path).copied()).collect())
    }
}

/// What was found in a slot.
#[derive(Default)]
struct Found {
    files: BTreeMap<Vec<u8>, Metadata>,
    /// Entries of the base that count as unchanged without a file: submodules.
    same: BTreeSet<Vec<u8>>,
}

fn note(changes: &mut Changes, base: &Listing, path: &[u8], entry: Entry) {
    if base.get(path) != Some(entry) {
        changes.insert(path.to_vec(), Some(entry));
    }
}

fn is_in_place(
    on_disk: &Path,
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
    let bytes = if meta.is_symlink() { read_link(on_disk)? } else { read_file(on_disk, meta)? };
    let same = blob_id(&bytes)? == entry.oid;
    if same {
        facts.learn(path, stat, entry, None);
    }
    Ok(same)
}

fn mode_of(meta: &Metadata, instead: Option<Entry>) -> u32 {
    match instead {
        _ if meta.is_symlink() => SYMLINK,
        Some(was) if !was.is_symlink() && !was.is_submodule() => was.mode,
        Some(_) | None if meta.permissions().mode() & 0o100 != 0 => EXECUTABLE,
        Some(_) | None => FILE,
    }
}

fn make_readable(on_disk: &Path, meta: &Metadata) -> Result<(), GitError> {
    if meta.permissions().mode() & 0o400 != 0 {
        return Ok(());
    }
    let open = std::fs::Permissions::from_mode(meta.permissions().mode() | 0o400);
    std::fs::set_permissions(on_disk, open).map_err(GitError::io("open up", on_disk))
}

fn read_file(on_disk: &Path, meta: &Metadata) -> Result<Vec<u8>, GitError> {
    make_readable(on_disk, meta)?;
    std::fs::read(on_disk).map_err(GitError::io("read", on_disk))
}

fn read_link(on_disk: &Path) -> Result<Vec<u8>, GitError> {
    let target = std::fs::read_link(on_disk).map_err(GitError::io("read", on_disk))?;
    Ok(target.as_os_str().as_bytes().to_vec())
}

fn large_blob(repo: &Repository, on_disk: &Path) -> Result<Oid, GitError> {
    let what = format!("store {}", on_disk.display());
    let mut file = File::open(on_disk).map_err(GitError::io("read", on_disk))?;
    // Without a path for its hint, so that libgit2 looks for no filters.
    let mut writer = repo.blob_writer(None).map_err(GitError::lib(what.clone()))?;
    std::io::copy(&mut file, &mut writer).map_err(GitError::io("store", on_disk))?;
    writer.commit().map_err(GitError::lib(what))
}

fn write_entry(repo: &Repository, on_disk: &Path, entry: Entry) -> Result<(), GitError> {
    let blob = repo.find_blob(entry.oid).map_err(GitError::lib(format!("read what {} holds", on_disk.display())))?;
    let write = || {
        if entry.is_symlink() {
            return std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(blob.content()), on_disk);
        }
        let mode = if entry.mode & 0o111 != 0 { 0o777 } else { 0o666 };
        File::options().write(true).create_new(true).mode(mode).open(on_disk)?.write_all(blob.content())
    };
    write().map_err(GitError::io("write", on_disk))
}

/// git reads these while it looks at other files; a pipe or a device in their place would hold it forever.
fn refuse_endless(on_disk: &Path, path: &[u8]) -> Result<(), GitError> {
    match std::fs::metadata(on_disk) {
        Ok(meta) if !meta.is_file() && !meta.is_dir() => {
            let path = String::from_utf8_lossy(path).into_owned();
            Err(GitError::Unstorable { path, why: "it is, or leads to, a pipe or a device" })
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

fn empty(directory: &Path, attic: &Path) -> Result<(), GitError> {
    let some = std::fs::read_dir(directory).map(|mut entries| entries.next().is_some()).unwrap_or(true);
    if some {
        remove(directory, attic)?;
        std::fs::create_dir(directory).map_err(GitError::io("make", directory))?;
    }
    Ok(())
}

/// Files in a submodule's directory would be lost without a word, unless the submodule itself was filled there.
fn refuse_strays(directory: &Path, path: &[u8]) -> Result<(), GitError> {
    let filled = std::fs::symlink_metadata(directory.join(".git")).is_ok();
    let some = std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some());
    match RepoPath::from_bytes(path) {
        Some(path) if some && !filled => Err(GitError::InSubmodule { path }),
        Some(_) | None => Ok(()),
    }
}

/// Fetches the blobs that a partial clone does not have, all at once.
fn fetch_missing(repo: &Repo, objects: &Repository, listing: &Listing, list: &Path) -> Result<(), GitError> {
    let config = objects.config().map_err(GitError::lib("read git's configuration"))?;
    let Some(remote) = promisor(&config) else { return Ok(()) };
    let odb = objects.odb().map_err(GitError::lib("open the object store"))?;
    let wanted = listing.files().filter(|(_, entry)| !entry.is_submodule() && !odb.exists(entry.oid));
    let lines: BTreeSet<String> = wanted.map(|(_, entry)| format!("{}\n", entry.oid)).collect();
    if lines.is_empty() {
        return Ok(());
    }
    std::fs::write(list, lines.into_iter().collect::<String>()).map_err(GitError::io("write", list))?;
    let git = Git::on_network(repo, "fetch what this partial clone does not have", "fetch");
    let options = ["--quiet", "--no-tags", "--no-write-fetch-head", "--recurse-submodules=no", "--filter=blob:none"];
    git.args(options).args(["--stdin", "--", &remote]).run(list)?;
    odb.refresh().map_err(GitError::lib("open the object store"))
}

/// The remote that a partial clone gets missing objects from.
fn promisor(config: &git2::Config) -> Option<String> {
    if let Ok(remote) = config.get_string("extensions.partialclone") {
        return Some(remote);
    }
    let mut found = None;
    let entries = config.entries(Some("^remote\\..*\\.promisor$")).ok()?;
    let _ = entries.for_each(|entry| {
        let name = String::from_utf8_lossy(entry.name_bytes());
        let remote = name.strip_prefix("remote.").and_then(|rest| rest.strip_suffix(".promisor"));
        if entry.value_bytes() == b"true" && found.is_none() {
            found = remote.map(str::to_owned);
        }
    });
    found
}

/// The caches that stay in a slot.
#[derive(Default)]
struct Keep(Vec<Vec<u8>>);

impl Keep {
    /// Paths that leave the slot, or name its `.git`, are nobody's cache.
    fn new(paths: &[String]) -> Self {
        let clean = paths.iter().filter_map(|path| {
            let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
            let sound =
                !parts.is_empty() && !parts.iter().any(|part| *part == ".." || part.eq_ignore_ascii_case(".git"));
            sound.then(|| parts.join("/").into_bytes())
        });
        Self(clean.collect())
    }

    fn covers(&self, path: &[u8]) -> bool {
        self.0.iter().any(|kept| {
            path.strip_prefix(kept.as_slice()).is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
        })
    }

    /// Whether a kept path lies below this one.
    fn is_above(&self, path: &[u8]) -> bool {
        self.0.iter().any(|kept| kept.strip_prefix(path).is_some_and(|rest| rest.first() == Some(&b'/')))
    }

    /// A symlink in the place of a cache would send the next task's cache elsewhere.
    fn is_link(&self, path: &[u8], meta: &Metadata) -> bool {
        meta.is_symlink() && self.0.iter().any(|kept| kept == path)
    }
}
