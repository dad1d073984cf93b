//! The file that a gate leaves its report in.
//!
//! The tree it lies in was written by an agent. It refuses to read a report that was there before the gate ran, that is
//! no plain file, or that a symlink leads out of the slot for; and to remove anything outside it.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::items::{self, Items};
use crate::plan::Report;

/// Removes a report left by an earlier execution or by the agent; whatever it is, it was not written by this one.
pub(super) fn clear(dir: &Path, report: &Report) -> Result<(), String> {
    let Some(path) = inside(dir, report)? else { return Ok(()) };
    match std::fs::symlink_metadata(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.to_string()),
        Ok(meta) if meta.is_dir() => Err("it is a directory".to_owned()),
        Ok(_) => std::fs::remove_file(&path).map_err(|error| error.to_string()),
    }
}

/// The report's path with no symlink before its last component; `None` where its directory does not exist.
fn inside(dir: &Path, report: &Report) -> Result<Option<PathBuf>, String> {
    let path = dir.join(&report.path);
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(None) };
    let parent = match parent.canonicalize() {
        Ok(parent) => parent,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let top = dir.canonicalize().map_err(|error| error.to_string())?;
    if !parent.starts_with(&top) {
        return Err("a symlink leads out of the slot".to_owned());
    }
    Ok(Some(parent.join(name)))
}

pub(super) async fn read(dir: &Path, report: &Report, cleared: Result<(), String>) -> Items {
    if let Err(why) = cleared {
        return Items::unread(format!("an old report at {} could not be removed, so none is read: {why}", report.path));
    }
    let (dir, report) = (dir.to_owned(), report.clone());
    let path = report.path.clone();
    let read = tokio::task::spawn_blocking(move || read_now(&dir, &report)).await;
    read.unwrap_or_else(|_| Items::unread(format!("the report at {path} could not be read")))
}

fn read_now(dir: &Path, report: &Report) -> Items {
    let missing = || Items::unread(format!("it left no report at {}", report.path));
    let path = match inside(dir, report) {
        Ok(Some(path)) => path,
        Ok(None) => return missing(),
        Err(why) => return Items::unread(format!("the report at {} was not read: {why}", report.path)),
    };
    match std::fs::symlink_metadata(&path) {
        Ok(meta) if meta.is_file() => {}
        Ok(_) => return Items::unread(format!("the report at {} is not a plain file", report.path)),
        Err(_) => return missing(),
    }
    let mut bytes = Vec::new();
    let read = std::fs::File::open(&path).and_then(|file| file.take(items::SIZE_CAP + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        return Items::unread(format!("the report at {} was not read: {error}", report.path));
    }
    let mut roots = vec![dir.display().to_string()];
    roots.extend(dir.canonicalize().ok().map(|dir| dir.display().to_string()));
    roots.dedup();
    items::read(report.format, &bytes, &roots)
}
