//! What a room shows of the tools and caches that a child's environment points at.
//!
//! It never shows what is hidden.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::exec::environment::ChildEnv;
use crate::plain_file;
use crate::work::{RunShared, Tools};

/// The longest list of alternates that is read, in bytes: ten thousand of them.
const LONGEST_LIST: u64 = 1 << 20;

/// What rooms show of what a child's environment points at.
#[derive(Debug)]
pub(super) struct RoomView {
    pub(super) programs: Vec<PathBuf>,
    /// What the plan or the caller names to be read.
    pub(super) named: Vec<PathBuf>,
    /// Caches that a child gets a copy of.
    pub(super) copied: Vec<PathBuf>,
    /// Caches in place of which it gets one of its own, with their variables.
    pub(super) replaced: Vec<(&'static str, PathBuf)>,
    /// Variables of certificates that may not be seen.
    pub(super) unseen: Vec<&'static str>,
}

/// The views of a run, by the environments that they are for: looking for one follows hundreds of
/// links.
#[derive(Debug, Default)]
pub(in crate::work) struct Views(Mutex<HashMap<PointedAt, Arc<RoomView>>>);

/// What an environment points at.
#[derive(Debug, PartialEq, Eq, Hash)]
struct PointedAt {
    tools: Vec<PathBuf>,
    data: Vec<PathBuf>,
    caches: Vec<(&'static str, PathBuf)>,
    certificates: Vec<(&'static str, Vec<PathBuf>)>,
}

impl Views {
    pub(super) fn of(&self, shared: &RunShared, env: &mut ChildEnv) -> Arc<RoomView> {
        let pointed_at = PointedAt {
            tools: env.tools.clone(),
            data: env.data.clone(),
            caches: std::mem::take(&mut env.caches),
            certificates: std::mem::take(&mut env.certificates),
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(view) = known.get(&pointed_at) {
            return Arc::clone(view);
        }
        let view = Arc::new(RoomView::new(shared, &pointed_at));
        known.insert(pointed_at, Arc::clone(&view));
        view
    }
}

impl RoomView {
    fn new(shared: &RunShared, at: &PointedAt) -> Self {
        let ours = own_directories(&shared.tools);
        let seen = |path: &&PathBuf| may_be_seen(&shared.tools, &ours, path);
        let all_seen =
            |(_, paths): &&(&'static str, Vec<PathBuf>)| paths.iter().all(|path| seen(&path));
        let (known, unseen): (Vec<_>, Vec<_>) = at.certificates.iter().partition(all_seen);
        let certificates = known.into_iter().flat_map(|(_, paths)| paths);
        let has_copy =
            |(_, cache): &&(&'static str, PathBuf)| shared.copies.has(cache) && seen(&cache);
        let (copied, replaced): (Vec<_>, Vec<_>) = at.caches.iter().partition(has_copy);
        Self {
            programs: at.tools.iter().filter(seen).cloned().collect(),
            named: at
                .data
                .iter()
                .filter(seen)
                .chain(certificates)
                .cloned()
                .collect(),
            copied: copied.into_iter().map(|(_, cache)| cache.clone()).collect(),
            replaced: replaced.into_iter().cloned().collect(),
            unseen: unseen.into_iter().map(|(name, _)| *name).collect(),
        }
    }
}

/// Where all slots are, and the user's checkouts.
pub(super) fn own_directories(tools: &Tools) -> Vec<PathBuf> {
    let checkouts = tools
        .repo
        .checkouts()
        .unwrap_or_else(|_| vec![tools.repo.workdir().to_owned()]);
    std::iter::once(tools.pool.root().to_owned())
        .chain(checkouts)
        .map(real)
        .collect()
}

/// Whether something may lie over what a room hides, and so be seen; what holds something hidden
/// may, for that is hidden once more inside. A link counts for what it leads to. `ours` is what
/// [`own_directories`] says.
pub(super) fn may_be_seen(tools: &Tools, ours: &[PathBuf], path: &Path) -> bool {
    let path = real(path);
    let holds_private = tools
        .caller
        .private_directories()
        .iter()
        .any(|private| private.starts_with(&path));
    !holds_private
        && !ours.contains(&path)
        && !ours[1..].iter().any(|checkout| path.starts_with(checkout))
}

/// The path without links, if it leads anywhere.
fn real(path: impl AsRef<Path>) -> PathBuf {
    let path = path.as_ref();
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

/// Where a repository that borrows objects finds them. Those it borrows from may borrow, too; git
/// follows five.
pub(super) fn alternates(repository: &Path) -> Vec<PathBuf> {
    let mut found = borrowed(&repository.join("objects"));
    for _ in 1..5 {
        let further: Vec<PathBuf> = found.iter().flat_map(|objects| borrowed(objects)).collect();
        found.extend(further);
        found.sort();
        found.dedup();
    }
    found
}

pub(super) fn borrowed(objects: &Path) -> Vec<PathBuf> {
    let listed =
        plain_file::read(&objects.join("info/alternates"), LONGEST_LIST).unwrap_or_default();
    let listed = String::from_utf8_lossy(&listed);
    let found = listed
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    found.map(|line| real(objects.join(line))).collect()
}
