//! What is known of a slot's files: which blob a file stands for, as long as the disk says that it
//! was not written since, and which bytes omk laid out for a blob.
//!
//! It refuses to believe a file's modification time, which anyone can set: a fact holds while the
//! change time, the inode and the size are the same, and only if the change time lay in the past
//! when the fact was established. So a fact is true or does not apply, whoever used the slot in
//! between, and whatever was killed. Where no fact applies, the bytes that were laid out decide.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use git2::{Index, IndexEntry, IndexTime, Oid};

use super::error::GitError;
use super::rules::ConversionRule;
use super::tree::TreeEntry;
use crate::id::Sha256;

/// Numbers in a [`Stat`].
pub(super) const NUMBERS: usize = 9;

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

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "as wide as git's index keeps it"
)]
impl Stat {
    /// Its numbers, in the order of its fields.
    pub(super) fn numbers(&self) -> [u32; NUMBERS] {
        let (changed, modified) = (self.changed, self.modified);
        let times = [changed.0 as u32, changed.1, modified.0 as u32, modified.1];
        let rest = [
            self.inode,
            self.size,
            self.owner.0,
            self.owner.1,
            self.device,
        ];
        let mut all = [0; NUMBERS];
        all[..4].copy_from_slice(&times);
        all[4..].copy_from_slice(&rest);
        all
    }

    pub(super) fn from_numbers(numbers: [u32; NUMBERS]) -> Self {
        let [
            changed,
            changed_ns,
            modified,
            modified_ns,
            inode,
            size,
            user,
            group,
            device,
        ] = numbers;
        Self {
            changed: (changed as i32, changed_ns),
            modified: (modified as i32, modified_ns),
            inode,
            size,
            owner: (user, group),
            device,
        }
    }

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

    fn in_index(&self, path: &[u8], entry: TreeEntry) -> IndexEntry {
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
}

/// What is known of one file.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileFact {
    pub(super) stat: Stat,
    pub(super) entry: TreeEntry,
    pub(super) settled: bool,
    /// omk wrote the file, and nobody has touched it since: not its bytes, its mode, or its times.
    pub(super) untouched: bool,
    /// The rule by which omk wrote it.
    pub(super) rule: ConversionRule,
}

/// A moment as the file system counts it.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileTime((i32, u32));

impl FileTime {
    /// Now, as a file beside the slot is told. Facts about files changed before it can be relied
    /// on.
    pub(super) fn take(file: &Path) -> Result<Self, GitError> {
        std::fs::write(file, b"\n").map_err(GitError::io("write", file))?;
        let meta = std::fs::symlink_metadata(file).map_err(GitError::io("look at", file))?;
        Ok(Self(Stat::of(&meta).changed))
    }
}

/// Whether a file that is changed on the disk of that directory, in whatever way, gets another time
/// of change.
///
/// In memory (tmpfs) it does not, once it is mapped and was read; of disks elsewhere, and of layers
/// of unknown disks, nobody knows.
#[cfg(target_os = "linux")]
pub(super) fn times_tell(directory: &Path) -> bool {
    // ext2 to ext4, XFS, Btrfs and F2FS, as `statfs(2)` names them: a page that is to be written
    // through memory gets a new time first.
    const TELLING: [u32; 4] = [0xEF53, 0x5846_5342, 0x9123_683E, 0xF2F5_2010];
    rustix::fs::statfs(directory).is_ok_and(|found| {
        TELLING
            .iter()
            .any(|kind| i128::from(found.f_type) == i128::from(*kind))
    })
}

/// Whether a file that is changed gets another time of change.
#[cfg(not(target_os = "linux"))]
pub(super) fn times_tell(_directory: &Path) -> bool {
    false
}

/// The bytes of a file, by a name of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) Oid);

/// What is known of a slot's files.
#[derive(Debug, Default)]
pub(super) struct SlotFacts {
    pub(super) known: HashMap<Vec<u8>, FileFact>,
    /// What became of a blob at a path when omk last wrote it there, if the file did not get the
    /// blob's bytes.
    pub(super) laid: HashMap<(Vec<u8>, Oid), Bytes>,
    /// The rules by which files that were touched became blobs.
    pub(super) read_by: Option<Sha256>,
    /// Files that were written since the facts were last saved.
    pub(super) unsaved: usize,
    /// A file's stat proves nothing here: its bytes must be read.
    pub(super) blind: bool,
}

impl SlotFacts {
    /// Files that were touched are read by these rules from now on. What others made of such files
    /// does not count; a file that nobody touched stays what it was, whatever the rules.
    pub(super) fn read_by(&mut self, rules: Option<&Sha256>) {
        if self.read_by.as_ref() != rules {
            self.known.retain(|_, fact| fact.untouched);
            self.read_by = rules.cloned();
        }
    }

    /// The entry that the file certainly is.
    pub(super) fn entry(&self, path: &[u8], stat: &Stat) -> Option<TreeEntry> {
        if self.blind {
            return None;
        }
        let fact = self.known.get(path)?;
        (fact.settled && fact.stat == *stat).then_some(fact.entry)
    }

    /// What lies in a file that omk laid out for this blob.
    pub(super) fn laid_bytes(&self, path: &[u8], blob: Oid) -> Bytes {
        self.converted(path, blob).unwrap_or(Bytes(blob))
    }

    /// The same, if it is not the blob.
    pub(super) fn converted(&self, path: &[u8], blob: Oid) -> Option<Bytes> {
        if self.laid.is_empty() {
            None
        } else {
            self.laid.get(&(path.to_vec(), blob)).copied()
        }
    }

    /// Whether omk wrote the file by that rule, and it looks as it did then.
    pub(super) fn is_untouched(&self, path: &[u8], stat: &Stat, rule: ConversionRule) -> bool {
        self.known
            .get(path)
            .is_some_and(|fact| fact.untouched && fact.stat == *stat && fact.rule == rule)
    }

    /// A file was seen to be that entry, and its bytes were read before `stamp` was taken.
    pub(super) fn learn(&mut self, path: &[u8], stat: Stat, entry: TreeEntry, stamp: FileTime) {
        let settled = stat.changed < stamp.0;
        let before = self
            .known
            .get(path)
            .filter(|fact| fact.untouched && fact.stat == stat && fact.entry == entry);
        // The rule of a file that was touched says nothing.
        let (untouched, rule) = (
            before.is_some(),
            before.map_or(ConversionRule::PLAIN, |fact| fact.rule),
        );
        self.known.insert(
            path.to_vec(),
            FileFact {
                stat,
                entry,
                settled,
                untouched,
                rule,
            },
        );
    }

    /// omk wrote the file by that rule; [`SlotFacts::settle`] follows. `bytes` is what is in it now, if
    /// that is not the blob.
    pub(super) fn wrote(
        &mut self,
        path: &[u8],
        stat: Stat,
        entry: TreeEntry,
        (rule, bytes): (ConversionRule, Option<Bytes>),
    ) {
        match bytes {
            Some(bytes) => drop(self.laid.insert((path.to_vec(), entry.oid), bytes)),
            None if self.laid.is_empty() => {}
            None => drop(self.laid.remove(&(path.to_vec(), entry.oid))),
        }
        self.known.insert(
            path.to_vec(),
            FileFact {
                stat,
                entry,
                settled: false,
                untouched: true,
                rule,
            },
        );
        self.unsaved += 1;
    }

    /// Nothing was written between the last [`SlotFacts::wrote`] and `stamp`.
    pub(super) fn settle(&mut self, stamp: FileTime) {
        for fact in self.known.values_mut() {
            fact.settled |= fact.stat.changed < stamp.0;
        }
    }

    /// Whether all that is known was written before the stamp was taken.
    pub(super) fn is_older_than(&self, stamp: FileTime) -> bool {
        self.known
            .values()
            .all(|fact| fact.settled || fact.stat.changed < stamp.0)
    }

    pub(super) fn forget(&mut self, path: &[u8]) {
        self.known.remove(path);
    }
}

/// Writes a git index of these files, with what the disk says of them where it is known.
pub(super) fn write_index<'a>(
    file: &Path,
    entries: impl Iterator<Item = (&'a [u8], TreeEntry)>,
    facts: Option<&SlotFacts>,
) -> Result<(), GitError> {
    write_index_over(file, entries, facts, &|_, _| false)
}

/// As [`write_index`]; git is not to look at the files that are `hidden` by others, and takes them
/// for unchanged.
pub(super) fn write_index_over<'a>(
    file: &Path,
    entries: impl Iterator<Item = (&'a [u8], TreeEntry)>,
    facts: Option<&SlotFacts>,
    hidden: &dyn Fn(&[u8], TreeEntry) -> bool,
) -> Result<(), GitError> {
    let known = |path: &[u8]| facts.and_then(|facts| facts.known.get(path));
    write(file, entries, &known, hidden)
}

/// Writes the index of a submodule that lies at `top` in the slot that the facts are about.
pub(super) fn write_index_below<'a>(
    file: &Path,
    top: &[u8],
    entries: impl Iterator<Item = (&'a [u8], TreeEntry)>,
    facts: &SlotFacts,
) -> Result<(), GitError> {
    let known = |path: &[u8]| facts.known.get(&[top, b"/", path].concat());
    write(file, entries, &known, &|_, _| false)
}

fn write<'a, 'f>(
    file: &Path,
    entries: impl Iterator<Item = (&'a [u8], TreeEntry)>,
    known: &dyn Fn(&[u8]) -> Option<&'f FileFact>,
    hidden: &dyn Fn(&[u8], TreeEntry) -> bool,
) -> Result<(), GitError> {
    let what = || format!("write the index {}", file.display());
    let write = || {
        clear_the_way(file);
        let mut index = Index::open(file)?;
        for (path, entry) in entries {
            let stat = known(path)
                .filter(|fact| fact.entry == entry)
                .map_or(BLANK, |fact| fact.stat);
            let flags = if hidden(path, entry) {
                git2::IndexEntryFlag::VALID.bits()
            } else {
                0
            };
            index.add(&IndexEntry {
                flags,
                ..stat.in_index(path, entry)
            })?;
        }
        index.write()
    };
    write().map_err(GitError::lib(what()))
}

/// Removes an index, and the lock that a killed process left beside it: the slot's own lock is
/// held.
fn clear_the_way(file: &Path) {
    let _ = std::fs::remove_file(file);
    let mut lock = file.as_os_str().to_owned();
    lock.push(".lock");
    let _ = std::fs::remove_file(lock);
}

/// What git takes for "not looked at yet".
const BLANK: Stat = Stat {
    changed: (0, 0),
    modified: (0, 0),
    inode: 0,
    size: 0,
    owner: (0, 0),
    device: 0,
};

/// The entries of an index that git wrote.
pub(super) fn read_index(file: &Path) -> Result<HashMap<Vec<u8>, (u32, Oid)>, GitError> {
    let index =
        Index::open(file).map_err(GitError::lib(format!("read the index {}", file.display())))?;
    Ok(index
        .iter()
        .map(|entry| (entry.path.clone(), (entry.mode, entry.id)))
        .collect())
}
