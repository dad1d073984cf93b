//! By which rule each file of a tree gets its bytes: git's attributes for it, and the settings that
//! they lead to.
//!
//! git answers, from an index that holds the tree's own attributes, and with an empty work tree. So
//! it refuses attributes that lie in a slot: neither a task's nor those that a cache keeps have a
//! say in files of another tree.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use git2::{ObjectType, Oid};
use tempfile::TempDir;

use super::binary::Git;
use super::convert::{Conversion, is_attributes};
use super::error::GitError;
use super::facts::write_index;
use super::filters::{self, is_defined};
use super::repo::Repo;
use super::settings::{LineEnds, Settings};
use super::tree::{Listing, TreeEntry};
use crate::id::Sha256;

/// What decides about bytes, as git names it.
const NAMES: [&str; 6] = [
    "text",
    "crlf",
    "eol",
    "ident",
    "working-tree-encoding",
    "filter",
];

/// Tables kept: tasks of one run that change attributes go from the base's to their own and back.
const TABLES: usize = 4;

/// The bytes of paths that git is asked about at once. It repeats each six times, and all of that
/// is held in memory.
const ASKED: usize = 4 << 20;

/// What git adds to a path in one of six answers, about.
const ADDED: usize = 32;

/// git answers some 100,000 paths a second; ten minutes are for a slow disk.
const AT_MOST: Duration = Duration::from_secs(600);

/// What Git LFS looks for in the index if it is not in the work tree.
const LFS: &[u8] = b".lfsconfig";

/// By which rule a file gets its bytes. Equal rules make equal bytes of equal blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ConversionRule(pub(super) Oid);

impl ConversionRule {
    /// A file gets the bytes of its blob.
    pub(super) const PLAIN: Self = Self(Oid::ZERO_SHA1);
}

/// The rules of a tree's files, as far as they were asked for.
#[derive(Debug, Default)]
pub(super) struct FileRules {
    table: Arc<AttributeTable>,
    /// For each set of attributes of the table.
    rules: Vec<ConversionRule>,
}

impl FileRules {
    /// The rules for these files under the attributes of `listing`.
    ///
    /// # Errors
    /// [`GitError::NoFilter`] if a file asks for a filter that git does not have here.
    pub(super) fn of(
        repo: &Repo,
        conversion: &Conversion,
        listing: &Listing,
        files: &[(&[u8], TreeEntry)],
    ) -> Result<Self, GitError> {
        let Some(digest) = &conversion.out else {
            return Ok(Self::default());
        };
        let settings = repo.conversion_settings()?;
        let paths: Vec<&[u8]> = files
            .iter()
            .filter(|(_, entry)| entry.is_file())
            .map(|(path, _)| *path)
            .collect();
        let table = repo.attributes(digest, listing, &paths)?;
        let missing = |name: &str| (!is_defined(settings, name)).then_some(());
        if let Some((path, name, ())) = table.filters(&paths, missing).next() {
            return Err(filters::missing(path, name));
        }
        let line_ends = LineEnds::of(settings);
        let rule = |set: &Attributes| set.rule(settings, line_ends);
        let rules = table
            .sets
            .iter()
            .map(rule)
            .collect::<Result<_, GitError>>()?;
        Ok(Self { table, rules })
    }

    pub(super) fn rule(&self, path: &[u8], entry: TreeEntry) -> ConversionRule {
        // The table may know the path from another tree, where it is a file.
        if !entry.is_file() {
            return ConversionRule::PLAIN;
        }
        let set = self
            .table
            .by_path
            .get(path)
            .and_then(|&set| self.rules.get(set));
        set.copied().unwrap_or(ConversionRule::PLAIN)
    }
}

/// What git's attributes say of one file, in the order of [`NAMES`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Attributes([String; NAMES.len()]);

impl Attributes {
    fn filter(&self) -> Option<&str> {
        let [.., filter] = &self.0;
        Some(filter.as_str())
            .filter(|filter| !matches!(*filter, "unspecified" | "unset" | "set" | ""))
    }

    /// Whether a file gets the bytes of its blob. In doubt, no.
    fn is_plain(&self, line_ends: LineEnds) -> bool {
        let [text, crlf, eol, ident, encoding, _] = &self.0;
        let is_off = |value: &String| matches!(value.as_str(), "unspecified" | "unset");
        let is_binary = text == "unset" || (text == "unspecified" && crlf == "unset");
        let keeps_lines = is_binary || (!line_ends.are_laid_out && (is_off(eol) || eol == "lf"));
        keeps_lines && is_off(ident) && is_off(encoding) && self.filter().is_none()
    }

    fn rule(&self, settings: &Settings, line_ends: LineEnds) -> Result<ConversionRule, GitError> {
        if self.is_plain(line_ends) {
            return Ok(ConversionRule::PLAIN);
        }
        let mut text = format!("{:?}", self.0);
        let filter = self.filter().map(|name| format!("filter.{name}."));
        for (key, value) in settings {
            if key.starts_with("core.")
                || filter
                    .as_ref()
                    .is_some_and(|filter| key.starts_with(filter))
            {
                text.push_str(&format!("\n{key}={value}"));
                if !key.starts_with("core.") {
                    programs(value)
                        .iter()
                        .for_each(|program| text.push_str(program));
                }
            }
        }
        let digest = Oid::hash_object(ObjectType::Blob, text.as_bytes());
        digest
            .map(ConversionRule)
            .map_err(GitError::lib("hash a rule"))
    }
}

/// The attributes of files, each set of them once.
#[derive(Debug, Default, Clone)]
pub(super) struct AttributeTable {
    sets: Vec<Attributes>,
    by_path: HashMap<Vec<u8>, usize>,
}

impl AttributeTable {
    /// The files that ask for a filter of which `what` says something, its name, and what that is.
    pub(super) fn filters<'a, W: Clone + 'a>(
        &'a self,
        paths: &'a [&'a [u8]],
        what: impl Fn(&str) -> Option<W>,
    ) -> impl Iterator<Item = (&'a [u8], &'a str, W)> {
        let said = |set: &'a Attributes| set.filter().and_then(|name| Some((name, what(name)?)));
        let sets: Vec<Option<(&str, W)>> = self.sets.iter().map(said).collect();
        let paths = if sets.iter().all(Option::is_none) {
            &[]
        } else {
            paths
        };
        paths.iter().filter_map(move |path| {
            let (name, what) = sets[*self.by_path.get(*path)?].clone()?;
            Some((*path, name, what))
        })
    }

    /// Takes in what git answered about these paths.
    fn take(&mut self, answer: &[u8], paths: &[&[u8]]) -> Result<(), GitError> {
        let mut sets: HashMap<Attributes, usize> = self.sets.iter().cloned().zip(0..).collect();
        let mut fields = answer.split(|&byte| byte == 0);
        for path in paths {
            let mut values = [const { String::new() }; NAMES.len()];
            for value in &mut values {
                let (Some(about), Some(_), Some(text)) =
                    (fields.next(), fields.next(), fields.next())
                else {
                    return Err(not_whole());
                };
                if about != *path {
                    return Err(not_whole());
                }
                *value = String::from_utf8_lossy(text).into_owned();
            }
            let set = Attributes(values);
            let number = *sets.entry(set).or_insert_with_key(|set| {
                self.sets.push(set.clone());
                self.sets.len() - 1
            });
            self.by_path.insert(path.to_vec(), number);
        }
        Ok(())
    }
}

fn not_whole() -> GitError {
    let source = std::io::Error::other("git's answer is not whole");
    GitError::Io {
        what: "read attributes".into(),
        source,
    }
}

/// An empty work tree, and files for a call of git on it. Gone when this is dropped.
pub(super) struct Bare(TempDir);

impl Bare {
    pub(super) fn new() -> Result<Self, GitError> {
        let made = tempfile::tempdir()
            .and_then(|made| std::fs::create_dir(made.path().join("top")).map(|()| made));
        made.map(Self)
            .map_err(GitError::io("make a directory in", &std::env::temp_dir()))
    }

    pub(super) fn top(&self) -> PathBuf {
        self.0.path().join("top")
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// The files of a tree that git takes attributes from, and filters their settings.
pub(super) fn rule_files(listing: &Listing) -> impl Iterator<Item = (&[u8], TreeEntry)> {
    listing
        .files()
        .filter(|(path, entry)| entry.is_file() && (is_attributes(path) || *path == LFS))
}

type Tables = Vec<(Sha256, Arc<AttributeTable>)>;

impl Repo {
    /// The attributes of these paths, and maybe of more, under those of `listing`. `rules` tells
    /// them from others.
    pub(super) fn attributes(
        &self,
        rules: &Sha256,
        listing: &Listing,
        paths: &[&[u8]],
    ) -> Result<Arc<AttributeTable>, GitError> {
        let tables = || -> MutexGuard<'_, Tables> {
            self.tables_cell()
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        let known = tables()
            .iter()
            .find(|(digest, _)| digest == rules)
            .map(|(_, table)| Arc::clone(table));
        let known = known.unwrap_or_default();
        let unknown: Vec<&[u8]> = paths
            .iter()
            .copied()
            .filter(|path| !known.by_path.contains_key(*path))
            .collect();
        let table = if unknown.is_empty() {
            known
        } else {
            Arc::new(self.ask(listing, &unknown, &known)?)
        };
        let mut kept = tables();
        kept.retain(|(digest, _)| digest != rules);
        kept.truncate(TABLES - 1);
        kept.insert(0, (rules.clone(), Arc::clone(&table)));
        Ok(table)
    }

    fn ask(
        &self,
        listing: &Listing,
        paths: &[&[u8]],
        known: &AttributeTable,
    ) -> Result<AttributeTable, GitError> {
        let (bare, mut table) = (Bare::new()?, known.clone());
        let (index, list) = (bare.file("index"), bare.file("list"));
        write_index(&index, rule_files(listing), None)?;
        let mut rest = paths;
        while !rest.is_empty() {
            let (mut bytes, mut count) = (Vec::new(), 0);
            while count < rest.len() && bytes.len() + count * ADDED < ASKED {
                bytes.extend_from_slice(rest[count]);
                bytes.push(0);
                count += 1;
            }
            std::fs::write(&list, &bytes).map_err(GitError::io("write", &list))?;
            let git = Git::on_files(self, &bare.top(), &index, "read attributes", "check-attr");
            let git = git
                .args(["--cached", "--stdin", "-z"])
                .args(NAMES)
                .list(&list)?;
            let (now, later) = rest.split_at(count);
            table.take(&git.hear(AT_MOST, None)?.ok()?, now)?;
            rest = later;
        }
        Ok(table)
    }
}

/// What tells the programs that a filter's command names from later ones: where they are found,
/// their size and time. What they read besides, such as keys, is not looked at.
fn programs(command: &str) -> Vec<String> {
    let words = shlex::split(command).unwrap_or_default();
    let found = words.iter().enumerate().filter_map(|(index, word)| {
        let (path, meta) = if word.starts_with('/') {
            (PathBuf::from(word), std::fs::metadata(word).ok()?)
        } else if index == 0 {
            on_path(word)?
        } else {
            return None;
        };
        let (size, time) = (meta.size(), (meta.mtime(), meta.mtime_nsec()));
        meta.is_file()
            .then(|| format!("\n{} {size} {time:?}", path.display()))
    });
    found.collect()
}

fn on_path(word: &str) -> Option<(PathBuf, Metadata)> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find_map(|directory: PathBuf| {
        let program = directory.join(Path::new(word));
        std::fs::metadata(&program)
            .ok()
            .filter(Metadata::is_file)
            .map(|meta| (program, meta))
    })
}
