//! What can be told of a commit that a stranger made, before it is used.
//!
//! It refuses to read a commit that is too large to be honest.

use std::collections::{BTreeMap, BTreeSet};

use git2::{ObjectType, Oid, Repository};

use super::difference::{TreeDifference, difference};
use super::error::GitError;
use super::links::Links;
use super::lookup::{commit_at, find_commit, find_tree, look};
use super::merge::{is_author, signature};
use super::message::CommitMessage;
use super::repo::{Repo, commit_id, commit_oid, tip_of, tree_oid};
use super::tree::EntryKind;
use crate::id::{CommitId, RepoPath, Tip, TreeId};
use crate::scope::{Touched, TouchedKind};

/// A commit with a message of a megabyte was not made by omk.
const COMMIT: usize = 1 << 20;

/// A commit, as far as it can be judged by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitSeen {
    /// The commit and its tree.
    pub tip: Tip,
    /// Its parents, first one first.
    pub parents: Vec<CommitId>,
    /// Its message; bytes that are no text are replaced.
    pub message: String,
    /// Whether author and committer are omk's.
    pub by_omk: bool,
    /// When it was committed, in seconds.
    pub seconds: i64,
}

impl Repo {
    /// Looks at a commit.
    ///
    /// # Errors
    /// Where it is not there, is no commit, or is larger than any honest one.
    pub fn look_at(&self, commit: &CommitId) -> Result<CommitSeen, GitError> {
        self.with(|repo| {
            refuse_large(repo, commit)?;
            let found = find_commit(repo, commit)?;
            Ok(CommitSeen {
                tip: tip_of(&found),
                parents: found.parent_ids().map(commit_id).collect(),
                message: String::from_utf8_lossy(found.message_bytes()).into_owned(),
                by_omk: is_author(&found.author()) && is_author(&found.committer()),
                seconds: found.time().seconds(),
            })
        })
    }

    /// Whether a commit is, byte for byte, what omk writes of that tree, those parents and that
    /// second, with one of these messages. So it has no signature, encoding, time zone or note
    /// of its own.
    ///
    /// # Errors
    /// Where an object is missing.
    pub fn is_as_written(
        &self,
        seen: &CommitSeen,
        messages: &[CommitMessage],
    ) -> Result<bool, GitError> {
        self.with(|repo| {
            let what = || GitError::lib(format!("make commit {} again", seen.tip.commit));
            let odb = repo.odb().map_err(what())?;
            look(repo, commit_oid(&seen.tip.commit))?;
            let found = odb.read(commit_oid(&seen.tip.commit)).map_err(what())?;
            let tree = find_tree(repo, tree_oid(&seen.tip.tree))?;
            let parents = seen
                .parents
                .iter()
                .map(|parent| commit_at(repo, commit_oid(parent)));
            let parents = parents.collect::<Result<Vec<_>, _>>()?;
            let parents: Vec<&git2::Commit<'_>> = parents.iter().collect();
            let author = signature(seen.seconds).map_err(what())?;
            for message in messages {
                let made = repo.commit_create_buffer(
                    &author,
                    &author,
                    &message.to_string(),
                    &tree,
                    &parents,
                );
                if *made.map_err(what())? == *found.data() {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    /// Every path that differs between two trees, with what is special about it: what
    /// [`crate::scope`] wants to know.
    ///
    /// # Errors
    /// Where a tree cannot be read, or holds a path that git itself would not store.
    pub fn touched(&self, old: &TreeId, new: &TreeId) -> Result<Vec<Touched>, GitError> {
        let paths = self.with(|repo| difference(repo, tree_oid(old), tree_oid(new)))?;
        if let Some(path) = paths
            .keys()
            .find(|path| RepoPath::from_bytes(path).is_none())
        {
            let path = String::from_utf8_lossy(path).chars().take(80).collect();
            return Err(GitError::Unstorable {
                path,
                why: "it is no path inside a repository",
            });
        }
        let escaping = self.escaping_symlinks(old, new)?;
        let kind = |changed: &super::tree::ChangedPath| {
            if changed.is_submodule() {
                TouchedKind::Submodule
            } else if escaping.contains(&changed.path) {
                TouchedKind::EscapingLink
            } else {
                match changed.after {
                    None => TouchedKind::Removed,
                    Some(EntryKind::Symlink) => TouchedKind::Link,
                    Some(EntryKind::File | EntryKind::Executable | EntryKind::Submodule) => {
                        TouchedKind::Plain
                    }
                }
            }
        };
        let changed = self.changed(old, new)?;
        let sizes = self.with(|repo| added(repo, &paths))?;
        let adds = |path: &RepoPath| sizes.get(path.as_bytes()).copied().unwrap_or(0);
        let before = self.listing(old)?;
        let links = self.with(|repo| Links::of(repo, &before))?;
        let names = |path: &RepoPath| {
            links
                .names(path.as_bytes())
                .into_iter()
                .map(|name| name.path)
                .collect()
        };
        let touch = |changed: &super::tree::ChangedPath| Touched {
            path: changed.path.clone(),
            kind: kind(changed),
            adds: adds(&changed.path),
            names: names(&changed.path),
        };
        let mut touched: Vec<Touched> = changed.iter().map(touch).collect();
        // A link that was not touched itself may lead out through one that was.
        let redirected = escaping
            .into_iter()
            .filter(|path| changed.iter().all(|changed| changed.path != *path));
        touched.extend(redirected.map(|path| {
            let names = names(&path);
            Touched {
                path,
                kind: TouchedKind::EscapingLink,
                adds: 0,
                names,
            }
        }));
        Ok(touched)
    }
}

/// The size of each file that a difference brings; nothing for content that was there before, or
/// was counted already.
fn added(repo: &Repository, paths: &TreeDifference) -> Result<BTreeMap<Vec<u8>, u64>, GitError> {
    let odb = repo
        .odb()
        .map_err(GitError::lib("read the sizes of changed files"))?;
    let mut seen: BTreeSet<Oid> = paths
        .values()
        .filter_map(|sides| sides.before)
        .map(|entry| entry.oid)
        .collect();
    let mut sizes = BTreeMap::new();
    for (path, entry) in paths
        .iter()
        .filter_map(|(path, sides)| Some((path, sides.after?)))
    {
        if entry.is_submodule() || !seen.insert(entry.oid) {
            continue;
        }
        let (size, _) = odb
            .read_header(entry.oid)
            .map_err(GitError::lib("read the size of a changed file"))?;
        sizes.insert(path.clone(), size as u64);
    }
    Ok(sizes)
}

fn refuse_large(repo: &Repository, commit: &CommitId) -> Result<(), GitError> {
    let what = || format!("read commit {commit}");
    let odb = repo.odb().map_err(GitError::lib(what()))?;
    let (size, kind) = odb
        .read_header(commit_oid(commit))
        .map_err(GitError::lib(what()))?;
    if kind != ObjectType::Commit || size > COMMIT {
        let path = commit.to_string();
        return Err(GitError::Unstorable {
            path,
            why: "it is not a commit of a sensible size",
        });
    }
    Ok(())
}
