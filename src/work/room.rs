//! The rooms of a run: what its children see of this machine, and what they do not.
//!
//! It refuses to know how a room is made, and it never shows what it hides: a directory of tools that holds the user's
//! checkout is not shown.

use std::path::{Path, PathBuf};

use super::Tools;
use crate::exec::environment::ChildEnv;
use crate::exec::{Reach, Sandbox};

/// The room for a child of this run: it writes to `writable`, `scratch` is an empty directory of its own.
pub(super) fn room(tools: &Tools, env: &ChildEnv, writable: Vec<PathBuf>, scratch: PathBuf, reach: Reach) -> Sandbox {
    let repository = tools.repo.common_dir();
    let ours = [tools.repo.workdir(), tools.pool.root()];
    let mut hidden = tools.caller.private_directories();
    // What lies over something hidden would show it; what holds it does not, for that is hidden once more inside.
    let may_be_seen = |path: &PathBuf| {
        let holds_private = hidden.iter().any(|private| private.starts_with(path));
        !holds_private && !ours.contains(&path.as_path()) && !path.starts_with(tools.repo.workdir())
    };
    let shown = env.tools.iter().cloned().chain(alternates(repository)).filter(may_be_seen).collect();
    let mut copied: Vec<PathBuf> = env.caches.iter().filter(|path| may_be_seen(path)).cloned().collect();
    copied.push(repository.to_path_buf());
    hidden.extend(ours.map(Path::to_path_buf));
    // Runs, their logs and journals lie in the repository.
    hidden.push(repository.join("omk"));
    hidden.extend(credentials(env));
    Sandbox { writable, copied, shown, hidden, scratch: Some(scratch), reach, unsealed: false }
}

/// Files in the caches of tools that hold what only their user may have.
fn credentials(env: &ChildEnv) -> impl Iterator<Item = PathBuf> {
    const NAMES: [&str; 3] = ["credentials", "credentials.toml", "_auth"];
    env.caches.iter().flat_map(|cache| NAMES.map(|name| cache.join(name)))
}

/// Where a repository that borrows objects finds them.
fn alternates(repository: &Path) -> Vec<PathBuf> {
    let objects = repository.join("objects");
    let listed = std::fs::read_to_string(objects.join("info/alternates")).unwrap_or_default();
    listed.lines().filter(|line| !line.starts_with('#')).map(|line| objects.join(line)).collect()
}
