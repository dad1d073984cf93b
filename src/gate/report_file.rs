//! The files that a gate leaves its report in.
//!
//! The tree they lie in was written by an agent. It refuses to read a report that was there before
//! the gate ran, that is no plain file, or that lies below a symlink; and to remove anything there.
//! A file that the plan names is removed before the gate runs; one that only fits a pattern may be
//! a source, so it is left, and read only if the gate wrote it.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::ground::Ground;
use super::items::{self, Document, Items};
use crate::glob::Glob;
use crate::id::RepoPath;
use crate::plain_file::{NotRead, Root};
use crate::plan::Report;

/// Entries of directories that are looked at for patterns, or for a file of which only the end is
/// known: a large tree with its dependencies.
const ENTRIES: usize = 300_000;

/// Files of one report: a test class each in the largest projects.
const FILES: usize = 5_000;

/// What a file was: another value is another file, or other bytes. Nobody can set the time of a
/// change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileStamp {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

/// What was there before the gate ran.
#[derive(Debug)]
pub(super) struct PriorReports {
    fitting: BTreeMap<String, FileStamp>,
    trouble: Option<String>,
}

impl PriorReports {
    /// Where no execution has been prepared.
    pub(super) fn nothing() -> Self {
        Self {
            fitting: BTreeMap::new(),
            trouble: None,
        }
    }
}

/// Removes reports left by an earlier execution or by the agent, and remembers what else fits;
/// whatever it is, it was not written by this one.
pub(super) async fn clear(dir: &Path, report: &Report) -> PriorReports {
    let (dir, report) = (dir.to_owned(), report.clone());
    let clearing = tokio::task::spawn_blocking(move || clear_now(&dir, &report)).await;
    clearing.unwrap_or_else(|_| PriorReports {
        fitting: BTreeMap::new(),
        trouble: Some("old reports could not be looked for, so none is read".to_owned()),
    })
}

fn clear_now(dir: &Path, report: &Report) -> PriorReports {
    for path in named(report) {
        let removed = Root::open_real(dir).and_then(|root| root.remove(Path::new(&path)));
        if let Err(why) = removed {
            let trouble =
                format!("an old report at {path} could not be removed, so none is read: {why}");
            return PriorReports {
                fitting: BTreeMap::new(),
                trouble: Some(trouble),
            };
        }
    }
    match fitting(dir, report) {
        Ok(fitting) => PriorReports {
            fitting,
            trouble: None,
        },
        Err(trouble) => PriorReports {
            fitting: BTreeMap::new(),
            trouble: Some(trouble),
        },
    }
}

/// Reads what the gate left; with how many files that was.
pub(super) async fn read(
    dir: &Path,
    report: &Report,
    before: PriorReports,
    temporary: Vec<String>,
) -> (Items, u32) {
    let (dir, report) = (dir.to_owned(), report.clone());
    let read =
        tokio::task::spawn_blocking(move || read_now(&dir, &report, &before, &temporary)).await;
    read.unwrap_or_else(|_| (Items::unread("the report could not be read"), 0))
}

fn read_now(
    dir: &Path,
    report: &Report,
    before: &PriorReports,
    temporary: &[String],
) -> (Items, u32) {
    match documents(dir, report, before) {
        Ok(documents) => {
            let root = Root::open_real(dir);
            let holds = |path: &str| {
                root.as_ref()
                    .is_ok_and(|root| root.file(Path::new(path)).is_ok())
            };
            let all =
                || walk(dir, &[PathBuf::new()], &mut |_| true).map_or_else(|_| Vec::new(), keys);
            let mut roots = vec![dir.display().to_string()];
            roots.extend(dir.canonicalize().ok().map(|dir| dir.display().to_string()));
            roots.dedup();
            let ground = Ground::new(&roots, &holds, &all).with_temporary(temporary);
            let count = u32::try_from(documents.len()).unwrap_or(u32::MAX);
            (items::read(report.format, &documents, &ground), count)
        }
        Err(why) => (Items::unread(why), 0),
    }
}

fn keys(found: BTreeMap<String, FileStamp>) -> Vec<String> {
    found.into_keys().collect()
}

fn documents(dir: &Path, report: &Report, before: &PriorReports) -> Result<Vec<Document>, String> {
    if let Some(trouble) = &before.trouble {
        return Err(trouble.clone());
    }
    let mut paths = named(report);
    let written = fitting(dir, report)?
        .into_iter()
        .filter(|(path, stamp)| before.fitting.get(path) != Some(stamp));
    paths.extend(written.map(|(path, _)| path));
    paths.sort();
    paths.dedup();
    if paths.is_empty() {
        let patterns: Vec<&str> = report.paths.iter().map(Glob::as_str).collect();
        return Err(format!("it left no report at {}", patterns.join(", ")));
    }
    let mut documents = Vec::with_capacity(paths.len());
    let mut left = items::SIZE_CAP;
    for path in paths {
        // The limit is for all of them together.
        let bytes = Root::open_real(dir).and_then(|root| root.read(Path::new(&path), left));
        match bytes {
            Ok(bytes) => {
                left = left.saturating_sub(bytes.len() as u64);
                documents.push(Document { path, bytes });
            }
            Err(NotRead::Missing) => return Err(format!("it left no report at {path}")),
            Err(NotRead::TooLarge { .. }) => {
                let most = NotRead::TooLarge {
                    most: items::SIZE_CAP,
                };
                return Err(format!("the report at {path} was not read: {most}"));
            }
            Err(why) => return Err(format!("the report at {path} was not read: {why}")),
        }
    }
    Ok(documents)
}

/// The files that the plan names without a wildcard.
fn named(report: &Report) -> Vec<String> {
    let named = report.paths.iter().filter(|path| path.is_literal());
    named.map(|path| path.literal_prefix().join("/")).collect()
}

/// The files that fit a pattern of the plan.
fn fitting(dir: &Path, report: &Report) -> Result<BTreeMap<String, FileStamp>, String> {
    let patterns: Vec<&Glob> = report
        .paths
        .iter()
        .filter(|path| !path.is_literal())
        .collect();
    let starts: Vec<PathBuf> = patterns
        .iter()
        .flat_map(|glob| glob.literal_prefixes())
        .map(PathBuf::from_iter)
        .collect();
    let found = walk(dir, &starts, &mut |path| {
        patterns.iter().any(|glob| glob.matches(path))
    })?;
    if found.len() > FILES {
        return Err(format!(
            "more than {FILES} files are at the report's path, so none is read"
        ));
    }
    Ok(found)
}

/// The plain files below some directories of a tree, by their paths in it. No link is followed.
fn walk(
    dir: &Path,
    starts: &[PathBuf],
    wanted: &mut dyn FnMut(&RepoPath) -> bool,
) -> Result<BTreeMap<String, FileStamp>, String> {
    let mut found = BTreeMap::new();
    let mut stack: Vec<PathBuf> = starts
        .iter()
        .filter(|start| is_real(dir, start))
        .cloned()
        .collect();
    let mut looked = 0;
    while let Some(at) = stack.pop() {
        let Ok(entries) = std::fs::read_dir(dir.join(&at)) else {
            continue;
        };
        for entry in entries.flatten() {
            looked += 1;
            if looked > ENTRIES {
                return Err(format!(
                    "its report is among more than {ENTRIES} files: name a directory in its path"
                ));
            }
            let (Ok(kind), Ok(name)) = (entry.file_type(), entry.file_name().into_string()) else {
                continue;
            };
            if name.eq_ignore_ascii_case(".git") {
                continue;
            }
            let path = at.join(&name);
            if kind.is_dir() {
                stack.push(path);
                continue;
            }
            let Some(text) = path.to_str().filter(|_| kind.is_file()) else {
                continue;
            };
            let Ok(repo_path) = text.parse::<RepoPath>() else {
                continue;
            };
            if wanted(&repo_path)
                && let Ok(meta) = entry.metadata()
            {
                let changed = (meta.ctime(), meta.ctime_nsec());
                found.insert(
                    text.to_owned(),
                    FileStamp {
                        inode: meta.ino(),
                        size: meta.len(),
                        changed,
                    },
                );
            }
        }
    }
    Ok(found)
}

/// Whether every step of the way is a directory, and no link.
fn is_real(dir: &Path, start: &Path) -> bool {
    let mut at = dir.to_owned();
    start.components().all(|part| {
        at.push(part);
        std::fs::symlink_metadata(&at).is_ok_and(|meta| meta.is_dir())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::ReportFormat;

    fn report(pattern: &str) -> Report {
        Report {
            format: ReportFormat::Junit,
            paths: vec![pattern.parse().expect("a glob")],
        }
    }

    #[test]
    fn a_report_of_just_the_most_files_is_read_and_of_one_more_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        for number in 0..5_000 {
            std::fs::write(dir.path().join(format!("{number}.xml")), "").expect("a file");
        }
        let before = clear_now(dir.path(), &report("*.xml"));
        assert_eq!((before.fitting.len(), before.trouble), (5_000, None));
        std::fs::write(dir.path().join("more.xml"), "").expect("a file");
        let before = clear_now(dir.path(), &report("*.xml"));
        let expect = "more than 5000 files are at the report's path, so none is read";
        assert_eq!(
            (before.fitting.len(), before.trouble.as_deref()),
            (0, Some(expect))
        );
    }

    #[test]
    fn a_pattern_below_a_link_finds_nothing() {
        let (dir, outside) = (
            tempfile::tempdir().expect("a directory"),
            tempfile::tempdir().expect("another"),
        );
        std::fs::create_dir(outside.path().join("in")).expect("a directory");
        for at in ["a.xml", "in/a.xml"] {
            std::fs::write(outside.path().join(at), "<testsuite/>").expect("a file");
        }
        std::os::unix::fs::symlink(outside.path(), dir.path().join("link")).expect("a link");
        for pattern in ["link/*.xml", "link/in/*.xml"] {
            let (items, count) =
                read_now(dir.path(), &report(pattern), &PriorReports::nothing(), &[]);
            assert_eq!(
                (items.note, count),
                (format!("it left no report at {pattern}"), 0)
            );
        }
    }
}
