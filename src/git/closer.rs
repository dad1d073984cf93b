//! Three trees merged by the git binary: renames, and what is in files.
//!
//! git works in a repository of its own that holds three made-up commits, a fixed configuration and
//! the attributes of `ours`, so the same merge comes out the same on every machine, and as `git
//! merge` makes it of a clean checkout with git's own settings. It refuses whatever a checkout, a
//! clone or a user could add: attributes that are in no tree, an index, settings, and merge drivers
//! of the user's, which are programs. A driver that is not built in merges as text
//! does. A submodule that both sides moved is a conflict.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use git2::{ObjectType, Oid, Repository};

use super::binary::{Git, program_version};
use super::call::End;
use super::error::GitError;
use super::lineage::Paths;
use super::lookup::{find_blob, find_entry, find_tree};
use super::merge::Merge;
use super::repo::{Repo, tree_id};
use super::tree::above;
use crate::id::RepoPath;

/// Most merges take milliseconds. Thousands of files that may be renames take git some seconds.
const AT_MOST: Duration = Duration::from_secs(120);

/// git 2.38 is the first that merges without a checkout.
const OLDEST: (u32, u32) = (2, 38);

/// What git goes by: its own defaults, written down, because a system may build it with others.
const CONFIG: &str = "\
[core]
\trepositoryformatversion = 0
\tbare = false
\tattributesFile = /dev/null
\thooksPath = /dev/null
\tfsync = none
\tpreferSymlinkRefs = false
[merge]
\trenames = true
\tdirectoryRenames = conflict
\trenameLimit = 7000
\trenormalize = false
\tconflictStyle = merge
[gc]
\tauto = 0
";

/// Who made the commits that no one sees, and when.
const NOBODY: &str = "omk <> 0 +0000";

/// The branches of a merge. No file that merges cleanly holds their names.
const NAMES: [&str; 2] = ["ours", "theirs"];

/// Paths that are named where git names none: enough to see which directory it is about.
const NAMED: usize = 20;

/// Names that a file system takes. A longer one cannot be checked out, so its attributes never
/// counted anywhere.
const NAME: usize = 255;

/// The same for whole paths, with room for the directory in front of them.
const PATH: usize = 3000;

/// Refuses a git that cannot merge as omk needs it, before anything is started.
///
/// # Errors
/// [`GitError::OldProgram`], with its version.
pub fn refuse_old_program() -> Result<(), GitError> {
    let Some(said) = program_version() else {
        return Ok(());
    };
    match numbers(&said) {
        Some(version) if version < OLDEST => Err(GitError::OldProgram { found: said }),
        Some(_) | None => Ok(()),
    }
}

fn numbers(said: &str) -> Option<(u32, u32)> {
    let mut parts = said.strip_prefix("git version ")?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The three trees of a merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Three {
    pub(super) base: Oid,
    pub(super) ours: Oid,
    pub(super) theirs: Oid,
}

/// Merges three trees; `touched` is every path in which a side differs from the base. The result is
/// in the repository, and nothing else is left.
pub(super) fn closer(
    repo: &Repo,
    objects: &Repository,
    trees: Three,
    touched: &Paths,
) -> Result<Merge, GitError> {
    let place = MergeRepository::new()?;
    place.lay_attributes(objects, trees.ours, touched)?;
    let base = place.commit(trees.base, None)?;
    for (name, tree) in NAMES.iter().zip([trees.ours, trees.theirs]) {
        place.branch(name, place.commit(tree, Some(base))?)?;
    }
    let what = "merge two changes";
    let git = Git::in_place_of(place.dir.path(), repo.common_dir(), what, "merge-tree");
    let options = ["--write-tree", "--name-only", "-z", "--no-messages"];
    let heard = git.args(options).args(NAMES).hear(AT_MOST, None)?;
    let is_conflict = matches!(heard.end, End::Of(status) if status.code() == Some(1));
    if !heard.succeeded() && !is_conflict {
        refuse_old_program()?;
        return Err(heard.failure());
    }
    let mut parts = heard.out.split(|&byte| byte == 0);
    let tree = parts
        .next()
        .and_then(|line| std::str::from_utf8(line).ok())
        .and_then(|text| Oid::from_str(text).ok());
    let Some(tree) = tree else {
        return Err(heard.failure());
    };
    if is_conflict {
        let mut paths: BTreeSet<RepoPath> = parts
            .filter_map(|path| RepoPath::from_bytes(as_named(path, touched)))
            .collect();
        if paths.is_empty() {
            // A directory that was split in two is a conflict of no path.
            paths.extend(
                touched
                    .iter()
                    .filter_map(|path| RepoPath::from_bytes(path))
                    .take(NAMED),
            );
        }
        return Ok(Merge::Conflict(paths.into_iter().collect()));
    }
    place.take_out(objects)?;
    Ok(Merge::Clean(tree_id(tree)))
}

/// git puts a file aside that is in the way of a directory, under its name and a branch's. Its own
/// name says more.
fn as_named<'a>(path: &'a [u8], touched: &Paths) -> &'a [u8] {
    let aside = NAMES
        .iter()
        .find_map(|name| path.strip_suffix(format!("~{name}").as_bytes()));
    aside.filter(|_| !touched.contains(path)).unwrap_or(path)
}

/// A repository that lives as long as one merge.
struct MergeRepository {
    dir: tempfile::TempDir,
    repo: Repository,
}

impl MergeRepository {
    fn new() -> Result<Self, GitError> {
        let temporary = std::env::temp_dir();
        let dir = tempfile::Builder::new()
            .prefix("omk-merge-")
            .tempdir_in(&temporary);
        let dir = dir.map_err(GitError::io("make a directory in", &temporary))?;
        let at = |name: &str| dir.path().join(name);
        for name in ["git", "git/objects", "git/refs", "git/refs/heads", "work"] {
            fs::create_dir(at(name)).map_err(GitError::io("make", &at(name)))?;
        }
        fs::write(at("git/HEAD"), "ref: refs/heads/none\n")
            .map_err(GitError::io("write", &at("git/HEAD")))?;
        fs::write(at("git/config"), CONFIG).map_err(GitError::io("write", &at("git/config")))?;
        let own =
            Repository::open(at("git")).map_err(GitError::lib("open a repository for a merge"))?;
        Ok(Self { dir, repo: own })
    }

    /// Lays out the attributes that have a say about these paths, as a checkout of that tree would
    /// have them.
    fn lay_attributes(
        &self,
        objects: &Repository,
        tree: Oid,
        touched: &Paths,
    ) -> Result<(), GitError> {
        let mut above: BTreeSet<&[u8]> = touched.iter().flat_map(|path| above(path)).collect();
        above.insert(b"");
        let tree = find_tree(objects, tree)?;
        for directory in above {
            let name = if directory.is_empty() {
                ".gitattributes".into()
            } else {
                [directory, b"/.gitattributes"].concat()
            };
            let long = name.len() > PATH
                || name
                    .split(|&byte| byte == b'/')
                    .any(|part| part.len() > NAME);
            let Some(path) = RepoPath::from_bytes(&name).filter(|_| !long) else {
                continue;
            };
            let Some(entry) = find_entry(objects, &tree, &path)? else {
                continue;
            };
            // git follows no link to attributes.
            if entry.kind() != Some(ObjectType::Blob) || entry.filemode() == 0o120_000 {
                continue;
            }
            let blob = find_blob(objects, entry.id(), &format!("read `{path}`"))?;
            let file = self.dir.path().join("work").join(path.as_path());
            let parent = file.parent().unwrap_or(&file);
            fs::create_dir_all(parent).map_err(GitError::io("make", parent))?;
            fs::write(&file, blob.content()).map_err(GitError::io("write", &file))?;
        }
        Ok(())
    }

    /// A commit of that tree, in this repository alone.
    fn commit(&self, tree: Oid, parent: Option<Oid>) -> Result<Oid, GitError> {
        let parent = parent
            .map(|parent| format!("parent {parent}\n"))
            .unwrap_or_default();
        let text = format!("tree {tree}\n{parent}author {NOBODY}\ncommitter {NOBODY}\n\n");
        let odb = self
            .repo
            .odb()
            .map_err(GitError::lib("write a commit for a merge"))?;
        odb.write(ObjectType::Commit, text.as_bytes())
            .map_err(GitError::lib("write a commit for a merge"))
    }

    fn branch(&self, name: &str, commit: Oid) -> Result<(), GitError> {
        let file = self.dir.path().join("git/refs/heads").join(name);
        fs::write(&file, format!("{commit}\n")).map_err(GitError::io("write", &file))
    }

    /// Takes the files and trees that the merge made into the real repository.
    fn take_out(&self, objects: &Repository) -> Result<(), GitError> {
        let what = || GitError::lib("take in what a merge made");
        let (from, to) = (
            self.repo.odb().map_err(what())?,
            objects.odb().map_err(what())?,
        );
        let top = self.dir.path().join("git/objects");
        for shelf in names(&top)?.iter().filter(|name| name.len() == 2) {
            for rest in names(&top.join(shelf))? {
                let Ok(oid) = Oid::from_str(&format!("{shelf}{rest}")) else {
                    continue;
                };
                let object = from.read(oid).map_err(what())?;
                if object.kind() != ObjectType::Commit {
                    to.write(object.kind(), object.data()).map_err(what())?;
                }
            }
        }
        Ok(())
    }
}

fn names(directory: &Path) -> Result<Vec<String>, GitError> {
    let read = || -> std::io::Result<Vec<String>> {
        fs::read_dir(directory)?
            .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
            .collect()
    };
    read().map_err(GitError::io("read", directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_what_git_says_of_itself() {
        assert_eq!(numbers("git version 2.47.3"), Some((2, 47)));
        assert_eq!(numbers("git version 2.39.5 (Apple Git-154)"), Some((2, 39)));
        assert!(numbers("git version 2.34.1") < Some(OLDEST));
        assert_eq!(numbers("git of another kind"), None);
    }

    #[test]
    fn a_file_that_git_put_aside_has_its_own_name() {
        let touched = Paths::from([b"a.txt".to_vec(), b"b~ours".to_vec()]);
        assert_eq!(as_named(b"a.txt~theirs", &touched), b"a.txt");
        assert_eq!(as_named(b"b~ours", &touched), b"b~ours");
    }
}
