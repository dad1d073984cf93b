//! What is known of a slot's files: which blob a file holds, as long as the disk says that it was not written since.
//!
//! It refuses to believe a file's modification time, which anyone can set: a fact holds while the change time, the inode
//! and the size are the same, and only if the change time lay in the past when the fact was established. So a fact
//! is true or does not apply, whoever used the slot in between, and whatever was killed.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use git2::{Index, IndexEntry, IndexTime, Oid};

use super::convert::Conversion;
use super::error::GitError;
use super::tree::Entry;

/// What the disk says of a file, as wide as git's index keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    changed: (i32, u32),
    modified: (i32, u32),
    inode: u32,
    size: u32,
    owner: (u32, u32),
    device: u32,
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as wide as git's index keeps it")]
impl Stat {
    pub(super) fn of(meta: &Metadata) -> Self {
        Self {
            changed: (meta.ctime() as i32, meta.ctime_nsec() as u32),
            modified: (meta.mtime() as i32, meta.mtime_nsec() as u32),
            inode: meta.ino() as u32,
            size: meta.size() as u32,
            owner: (meta.uid(), meta.gid()),
            device: meta.dev() as u32,
        }
    }

    fn in_index(&self, path: &[u8], entry: Entry) -> IndexEntry {
        IndexEntry {
            ctime: IndexTime::new(self.changed.0, self.changed.1),
            mtime: IndexTime::new(self.modified.0, self.modified.1),
            dev: self.device,
            ino: self.inode,
            mode: entry.mode,
            uid: self.owner.0,
            gid: self.owner.1,
            file_size: self.size,
            id: entry.oid,
            flags: 0,
            flags_extended: 0,
            path: path.to_vec(),
        }
    }

    fn from_index(entry: &IndexEntry) -> Self {
        Self {
            changed: (entry.ctime.seconds(), entry.ctime.nanoseconds()),
            modified: (entry.mtime.seconds(), entry.mtime.nanoseconds()),
            inode: entry.ino,
            size: entry.file_size,
            owner: (entry.uid, entry.gid),
            device: entry.dev,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Fact {
    stat: Stat,
    entry: Entry,
    settled: bool,
    /// omk wrote the file, and nobody has touched it since: not its bytes, its mode, or its times.
    untouched: bool,
}

/// A moment as the file system counts it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp((i32, u32));

impl Stamp {
    /// Now, as a file beside the slot is told. Facts about files changed before it can be relied on.
    pub(super) fn take(file: &Path) -> Result<Self, GitError> {
        std::fs::write(file, b"\n").map_err(GitError::io("write", file))?;
        let meta = std::fs::symlink_metadata(file).map_err(GitError::io("look at", file))?;
        Ok(Self(Stat::of(&meta).changed))
    }
}

/// What is known of a slot's files.
#[derive(Debug)]
pub(super) struct Facts {
    conversion: Conversion,
    known: HashMap<Vec<u8>, Fact>,
}

impl Facts {
    /// What an earlier process left; nothing where it left nothing, or something unreadable.
    pub(super) fn load(file: &Path) -> Self {
        let mut known = HashMap::new();
        if file.exists()
            && let Ok(index) = Index::open(file)
        {
            for entry in index.iter() {
                let fact = Fact {
                    stat: Stat::from_index(&entry),
                    entry: Entry { mode: entry.mode, oid: entry.id },
                    settled: true,
                    untouched: true,
                };
                known.insert(entry.path, fact);
            }
        }
        Self { conversion: Conversion::Plain, known }
    }

    /// Leaves what will hold in another process too. Facts under rules of conversion do not: the rules may change.
    pub(super) fn save(&self, file: &Path) -> Result<(), git2::Error> {
        clear_the_way(file);
        if self.conversion != Conversion::Plain {
            return Ok(());
        }
        let mut index = Index::open(file)?;
        for (path, fact) in self.known.iter().filter(|(_, fact)| fact.settled && fact.untouched) {
            index.add(&fact.stat.in_index(path, fact.entry))?;
        }
        index.write()
    }

    /// Forgets everything where the rules are others; says whether they were the same.
    pub(super) fn under(&mut self, conversion: &Conversion) -> bool {
        let same = self.conversion == *conversion;
        if !same {
            self.known.clear();
            self.conversion = conversion.clone();
        }
        same
    }

    /// The entry that the file certainly is.
    pub(super) fn entry(&self, path: &[u8], stat: &Stat) -> Option<Entry> {
        let fact = self.known.get(path)?;
        (fact.settled && fact.stat == *stat).then_some(fact.entry)
    }

    /// Whether omk wrote the file, and it looks as it did then.
    pub(super) fn is_untouched(&self, path: &[u8], stat: &Stat) -> bool {
        self.known.get(path).is_some_and(|fact| fact.untouched && fact.stat == *stat)
    }

    /// A file was seen to be that entry, and its bytes were read before `stamp` was taken.
    pub(super) fn learn(&mut self, path: &[u8], stat: Stat, entry: Entry, stamp: Stamp) {
        let settled = stat.changed < stamp.0;
        let untouched = self.is_untouched(path, &stat);
        self.known.insert(path.to_vec(), Fact { stat, entry, settled, untouched });
    }

    /// omk wrote the file; [`Facts::settle`] follows.
    pub(super) fn wrote(&mut self, path: &[u8], stat: Stat, entry: Entry) {
        self.known.insert(path.to_vec(), Fact { stat, entry, settled: false, untouched: true });
    }

    /// Nothing was written between the last [`Facts::wrote`] and `stamp`.
    pub(super) fn settle(&mut self, stamp: Stamp) {
        for fact in self.known.values_mut() {
            fact.settled |= fact.stat.changed < stamp.0;
        }
    }

    /// Whether all that is known was written before the stamp was taken.
    pub(super) fn is_older_than(&self, stamp: Stamp) -> bool {
        self.known.values().all(|fact| fact.settled || fact.stat.changed < stamp.0)
    }

    pub(super) fn forget(&mut self, path: &[u8]) {
        self.known.remove(path);
    }
}

/// Writes a git index of these files, with what the disk says of them where it is known.
pub(super) fn write_index<'a>(
    file: &Path,
    entries: impl Iterator<Item = (&'a [u8], Entry)>,
    facts: Option<&Facts>,
) -> Result<(), GitError> {
    let what = || format!("write the index {}", file.display());
    let write = || {
        clear_the_way(file);
        let mut index = Index::open(file)?;
        for (path, entry) in entries {
            let known = facts.and_then(|facts| facts.known.get(path)).filter(|fact| fact.entry == entry);
            let stat = known.map_or(BLANK, |fact| fact.stat);
            index.add(&stat.in_index(path, entry))?;
        }
        index.write()
    };
    write().map_err(GitError::lib(what()))
}

/// Removes an index, and the lock that a killed process left beside it: the slot's own lock is held.
fn clear_the_way(file: &Path) {
    let _ = std::fs::remove_file(file);
    let mut lock = file.as_os_str().to_owned();
    lock.push(".lock");
    let _ = std::fs::remove_file(lock);
}

/// What git takes for "not looked at yet".
const BLANK: Stat = Stat { changed: (0, 0), modified: (0, 0), inode: 0, size: 0, owner: (0, 0), device: 0 };

/// The entries of an index that git wrote.
pub(super) fn read_index(file: &Path) -> Result<HashMap<Vec<u8>, (u32, Oid)>, GitError> {
    let index = Index::open(file).map_err(GitError::lib(format!("read the index {}", file.display())))?;
    Ok(index.iter().map(|entry| (entry.path.clone(), (entry.mode, entry.id))).collect())
}
