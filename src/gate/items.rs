//! Failing items: what a gate's report says is wrong, in one shape for all formats.
//!
//! Reports are written by other people's tools about code that an agent wrote: any bytes may come.
//! It refuses to panic, to expand entities, to recurse, or to keep more than [`KEPT`] items; a
//! report that does not read to its very end gives no items at all, so that half a report never
//! passes for a small one.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::ground::{Ground, ReportedLine};
use super::steady::steady;
use crate::fact::{FailingItem, ItemLevel, Location};
use crate::id::Sha256;
use crate::plan::ReportFormat;
use crate::text::clip;

/// The largest report that is read, in bytes: ten times the largest JUnit file of a big project.
pub const SIZE_CAP: u64 = 32 * 1024 * 1024;

/// How many items are kept; the rest is counted. A person reads fewer, and a journal line must stay
/// small.
pub const KEPT: usize = 200;

/// The longest message kept, in characters: a few lines of an assertion.
const MESSAGE_CAP: usize = 1000;

/// The longest key kept, in characters; a longer one ends in its digest.
const KEY_CAP: usize = 300;

/// What a report says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Items {
    /// The first failing items, in the order of the report.
    pub failing: Vec<FailingItem>,
    /// How many there were in all.
    pub total: u32,
    /// What a person must know about the report itself: "the report is not JUnit XML: …". Empty
    /// where all is well.
    pub note: String,
}

impl Items {
    /// No items, and the reason.
    #[must_use]
    pub fn unread(note: impl Into<String>) -> Self {
        Self {
            note: note.into(),
            ..Self::default()
        }
    }
}

/// A file of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Where it is, relative to the tree's top.
    pub path: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

impl Document {
    /// The directory that it is in, relative to the tree's top.
    fn directory(&self) -> Option<&str> {
        self.path.rsplit_once('/').map(|(directory, _)| directory)
    }
}

/// Reads a report: all its documents, or none. Never fails: what cannot be read is said in
/// [`Items::note`].
///
/// Paths, keys and messages lose the names of `ground`, so that the same failure has the same key
/// in every slot.
#[must_use]
pub fn read(format: ReportFormat, documents: &[Document], ground: &Ground<'_>) -> Items {
    let size: u64 = documents
        .iter()
        .map(|document| document.bytes.len() as u64)
        .sum();
    if size > SIZE_CAP {
        return Items::unread("the report is larger than 32 MiB and was not read");
    }
    let mut found = ItemCollector::new(ground);
    for document in documents {
        found.document = document.directory().map(ToOwned::to_owned);
        let text = String::from_utf8_lossy(&document.bytes);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let (name, ending) = match format {
            ReportFormat::Junit => ("JUnit XML", super::junit::read(text, &mut found)),
            ReportFormat::Sarif => ("SARIF", super::sarif::read(text, &mut found)),
            ReportFormat::CargoJson => (
                "cargo's JSON messages",
                super::cargo_json::read(text, &mut found),
            ),
        };
        if let Err(why) = ending {
            let which = if documents.len() > 1 {
                format!(" {}", document.path)
            } else {
                String::new()
            };
            return Items::unread(format!(
                "the report{which} is not {name}: {}",
                clip(&why, 200)
            ));
        }
    }
    Items {
        failing: found.failing,
        total: found.total,
        note: String::new(),
    }
}

/// Items while a report is being read.
pub(super) struct ItemCollector<'a> {
    ground: &'a Ground<'a>,
    /// The directory of the document that is being read.
    document: Option<String>,
    failing: Vec<FailingItem>,
    total: u32,
    seen: HashMap<String, u32>,
}

impl<'a> ItemCollector<'a> {
    fn new(ground: &'a Ground<'a>) -> Self {
        Self {
            ground,
            document: None,
            failing: Vec::new(),
            total: 0,
            seen: HashMap::new(),
        }
    }

    /// Adds an item. The second of the same key becomes `key#2`, so that one more of a kind is one
    /// more.
    pub(super) fn add(
        &mut self,
        key: &str,
        message: &str,
        place: Option<Location>,
        level: ItemLevel,
    ) {
        self.total = self.total.saturating_add(1);
        if self.failing.len() == KEPT {
            return;
        }
        let mut key = clip_key(&one_line(&steady(
            &self.without_roots(key),
            self.ground.temporary(),
        )));
        let count = self.seen.entry(key.clone()).or_insert(0);
        *count += 1;
        if *count > 1 {
            key = format!("{key}#{count}");
        }
        let message = clip(self.without_roots(message).trim(), MESSAGE_CAP);
        self.failing.push(FailingItem {
            key,
            message,
            place,
            level,
        });
    }

    /// Whether nothing has been found so far.
    pub(super) fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Counts items that cannot be looked at any more.
    pub(super) fn count_unseen(&mut self, count: u64) {
        self.total = self
            .total
            .saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// A directory below the top that a report names as the base of its paths.
    pub(super) fn directory(&self, path: &str) -> Option<String> {
        self.ground.directory(path)
    }

    /// A place, where the path is a file of the tree and the lines are lines. A missing line is the
    /// first.
    ///
    /// Without a `base`, a report that lies beside another file of that name leaves open which is
    /// meant.
    pub(super) fn place(
        &self,
        path: &str,
        base: Option<&str>,
        line: ReportedLine,
        end_line: ReportedLine,
    ) -> Option<Location> {
        let place = self.ground.place(path, base, line, end_line)?;
        let beside = self.document.as_deref().filter(|_| base.is_none());
        let beside = beside.and_then(|directory| self.ground.file(path, Some(directory)));
        beside
            .is_none_or(|beside| beside == place.path)
            .then_some(place)
    }

    fn without_roots(&self, text: &str) -> String {
        // Clipped before it is searched: a message may be as long as the report.
        let mut text = clip(text, 4 * MESSAGE_CAP);
        for root in self.ground.roots() {
            if text.contains(root.as_str()) {
                text = text.replace(root.as_str(), "");
            }
        }
        text
    }
}

/// A message as part of a key: its first line, every number as `#`, so that a moved or grown thing
/// keeps its key.
pub(super) fn keyed(message: &str) -> String {
    let mut key = String::new();
    let first = message.trim().lines().next().unwrap_or("");
    for ch in first.chars().take(160) {
        if !ch.is_ascii_digit() {
            key.push(ch);
        } else if !key.ends_with('#') {
            key.push('#');
        }
    }
    key
}

/// The first `most` bytes, or a few less so that no character is cut.
pub(super) fn cut(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn one_line(text: &str) -> String {
    text.trim()
        .chars()
        .map(|ch| if ch.is_control() { ' ' } else { ch })
        .collect()
}

fn clip_key(key: &str) -> String {
    if key.chars().count() <= KEY_CAP {
        return key.to_owned();
    }
    let digest = Sha256::of(key.as_bytes());
    let start: String = key.chars().take(KEY_CAP - 17).collect();
    format!("{start}~{}", &digest.as_str()[..16])
}

/// A field that a tool may have filled with anything: what does not fit is as good as absent, and
/// spoils nothing else.
#[derive(Debug)]
pub(super) struct Odd<T>(pub(super) Option<T>);

impl<T> Default for Odd<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Odd<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As text first: a number too large for any type would end the whole document.
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(serde_json::from_str(raw.get()).ok()))
    }
}

impl<T> Odd<T> {
    pub(super) fn get(&self) -> Option<&T> {
        self.0.as_ref()
    }
}

impl Odd<String> {
    pub(super) fn text(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// A line number in JSON: absent, a number, or something odd.
#[derive(Debug, Default)]
pub(super) struct JsonLine(Option<Odd<f64>>);

impl<'de> Deserialize<'de> for JsonLine {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Odd::deserialize(deserializer).map(|line| Self(Some(line)))
    }
}

impl JsonLine {
    pub(super) fn spot(&self) -> ReportedLine {
        match &self.0 {
            None => ReportedLine::Missing,
            Some(Odd(Some(line))) => ReportedLine::Line(*line),
            Some(Odd(None)) => ReportedLine::Odd,
        }
    }
}

/// A list of which the first `MOST` entries are kept and the rest is counted, so that `[{},{},…`
/// costs no memory.
#[derive(Debug)]
pub(super) struct Capped<T, const MOST: usize> {
    pub(super) kept: Vec<T>,
    pub(super) dropped: u64,
}

impl<T, const MOST: usize> Default for Capped<T, MOST> {
    fn default() -> Self {
        Self {
            kept: Vec::new(),
            dropped: 0,
        }
    }
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for Capped<T, MOST> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seq<T, const MOST: usize>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Seq<T, MOST> {
            type Value = Capped<T, MOST>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list")
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Capped::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut capped = Capped::default();
                while capped.kept.len() < MOST {
                    let Some(entry) = entries.next_element()? else {
                        return Ok(capped);
                    };
                    capped.kept.push(entry);
                }
                while entries.next_element::<IgnoredAny>()?.is_some() {
                    capped.dropped += 1;
                }
                Ok(capped)
            }
        }
        deserializer.deserialize_any(Seq(std::marker::PhantomData))
    }
}
