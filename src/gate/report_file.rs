//! The file that a gate leaves its report in.
//!
//! The tree it lies in was written by an agent. It refuses to read a report that was there before the gate ran, that is
//! no plain file, or that lies below a symlink; and to remove anything there.

use std::path::{Path, PathBuf};

use super::items::{self, Items};
use crate::plain_file::{NotRead, Root};
use crate::plan::Report;

/// Removes a report left by an earlier execution or by the agent; whatever it is, it was not written by this one.
pub(super) async fn clear(dir: &Path, report: &Report) -> Result<(), NotRead> {
    let (dir, path) = (dir.to_owned(), PathBuf::from(&report.path));
    let clearing = tokio::task::spawn_blocking(move || Root::open_real(&dir)?.remove(&path)).await;
    clearing.unwrap_or_else(|ended| Err(NotRead::Io(ended.into())))
}

pub(super) async fn read(dir: &Path, report: &Report, cleared: Result<(), NotRead>) -> Items {
    if let Err(why) = cleared {
        return Items::unread(format!("an old report at {} could not be removed, so none is read: {why}", report.path));
    }
    let (dir, report) = (dir.to_owned(), report.clone());
    let path = report.path.clone();
    let read = tokio::task::spawn_blocking(move || read_now(&dir, &report)).await;
    read.unwrap_or_else(|_| Items::unread(format!("the report at {path} could not be read")))
}

fn read_now(dir: &Path, report: &Report) -> Items {
    let file = Root::open_real(dir).and_then(|root| root.read(Path::new(&report.path), items::SIZE_CAP));
    let bytes = match file {
        Ok(bytes) => bytes,
        Err(NotRead::Missing) => return Items::unread(format!("it left no report at {}", report.path)),
        Err(why) => return Items::unread(format!("the report at {} was not read: {why}", report.path)),
    };
    let mut roots = vec![dir.display().to_string()];
    roots.extend(dir.canonicalize().ok().map(|dir| dir.display().to_string()));
    roots.dedup();
    items::read(report.format, &bytes, &roots)
}
