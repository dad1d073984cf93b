//! The facts about a slot's files on the disk, for the next process.
//!
//! It refuses a file that is not whole: then nothing is known, and the slot's files are written
//! once more.

use std::path::Path;

use git2::Oid;

use super::error::GitError;
use super::facts::{Bytes, FileFact, NUMBERS, SlotFacts, Stat, times_tell};
use super::rules::ConversionRule;
use super::tree::TreeEntry;
use crate::id::Sha256;
use crate::plain_file;

/// The first line. Another number is another format.
const FORMAT: &[u8] = b"omk facts 3\n";

/// The largest file that is read: a fact takes some 100 bytes, and a slot of five million files is
/// more than git can bear.
const LARGEST: u64 = 512 << 20;

/// Facts are saved once the files written since the last time are one in so many of all: the first
/// lay-out at once, a change of a few files among thousands at the end.
const PART: usize = 8;

impl SlotFacts {
    /// What an earlier process left; nothing if it left nothing, or something unreadable.
    pub(super) fn load(file: &Path) -> Self {
        let read = plain_file::read(file, LARGEST).ok();
        let facts = read
            .and_then(|bytes| FactsReader::of(&bytes).and_then(|mut reader| reader.facts()))
            .unwrap_or_default();
        Self {
            blind: !file.parent().is_some_and(times_tell),
            ..facts
        }
    }

    /// Leaves what will hold in another process too. A process that is killed meanwhile leaves the
    /// file as it was.
    pub(super) fn save(&mut self, file: &Path) -> Result<(), GitError> {
        let mut bytes = FORMAT.to_vec();
        for (path, fact) in self
            .known
            .iter()
            .filter(|(_, fact)| fact.settled && fact.untouched)
        {
            put(&mut bytes, path);
            for number in fact.stat.numbers().into_iter().chain([fact.entry.mode]) {
                bytes.extend(number.to_le_bytes());
            }
            bytes.extend(fact.entry.oid.as_bytes());
            bytes.extend(self.laid_bytes(path, fact.entry.oid).0.as_bytes());
            bytes.extend(fact.rule.0.as_bytes());
        }
        let digest = Sha256::of(&bytes);
        bytes.extend(digest.as_str().as_bytes());
        let new = file.with_extension("known-new");
        std::fs::write(&new, bytes).map_err(GitError::io("write", &new))?;
        std::fs::rename(&new, file).map_err(GitError::io("write", file))?;
        self.unsaved = 0;
        Ok(())
    }

    /// Whether a process that is killed now would leave much to be done again.
    pub(super) fn is_worth_saving(&self) -> bool {
        self.unsaved > 0 && self.unsaved.saturating_mul(PART) >= self.known.len()
    }
}

fn put(bytes: &mut Vec<u8>, text: &[u8]) {
    let length = u32::try_from(text.len()).expect("a path, or a digest, is shorter than 4 GiB");
    bytes.extend(length.to_le_bytes());
    bytes.extend(text);
}

/// What is left to be read.
struct FactsReader<'a>(&'a [u8]);

impl<'a> FactsReader<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let (body, digest) = bytes.split_last_chunk::<64>()?;
        (Sha256::of(body).as_str().as_bytes() == digest).then_some(())?;
        body.strip_prefix(FORMAT).map(Self)
    }

    fn facts(&mut self) -> Option<SlotFacts> {
        let mut facts = SlotFacts::default();
        while !self.0.is_empty() {
            let path = self.text()?.to_vec();
            let mut numbers = [0; NUMBERS];
            for number in &mut numbers {
                *number = self.number()?;
            }
            let entry = TreeEntry {
                mode: self.number()?,
                oid: self.oid()?,
            };
            let (bytes, rule) = (Bytes(self.oid()?), ConversionRule(self.oid()?));
            if bytes.0 != entry.oid {
                facts.laid.insert((path.clone(), entry.oid), bytes);
            }
            let fact = FileFact {
                stat: Stat::from_numbers(numbers),
                entry,
                settled: true,
                untouched: true,
                rule,
            };
            facts.known.insert(path, fact);
        }
        Some(facts)
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.number()? as usize;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(text)
    }

    fn number(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*number))
    }

    fn oid(&mut self) -> Option<Oid> {
        let (oid, rest) = self.0.split_first_chunk::<20>()?;
        self.0 = rest;
        Oid::from_bytes(oid).ok()
    }
}
