//! What each commit of a run is made of: the changes below it, down to the run's base, and the
//! paths that each touched.
//!
//! A commit never changes, so what is known of it stays true: each is read once in a process. A
//! merge touches what it holds other than each of its parents: what both changed, and edits that
//! followed a rename. It refuses to walk into the history below the base, which may be as long as a
//! project is old.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use git2::{ErrorCode, Oid, Repository};

use super::call::go_on;
use super::difference::difference;
use super::error::GitError;
use super::lookup::look;

/// Commits above one base: 20,000 tasks with two merges for each base. More is no history that omk
/// made.
const COMMITS: usize = 60_000;

/// Paths, in byte order.
pub(super) type Paths = BTreeSet<Vec<u8>>;

/// A set of commits of one lineage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Commits(Vec<u64>);

impl Commits {
    fn insert(&mut self, number: usize) {
        if self.0.len() <= number / 64 {
            self.0.resize(number / 64 + 1, 0);
        }
        self.0[number / 64] |= 1 << (number % 64);
    }

    /// Adds all of the other set.
    pub(super) fn extend(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }

    fn word(&self, index: usize) -> u64 {
        self.0.get(index).copied().unwrap_or(0)
    }

    fn combine(&self, other: &Self, how: impl Fn(u64, u64) -> u64) -> Self {
        let mut words: Vec<u64> = (0..self.0.len())
            .map(|index| how(self.word(index), other.word(index)))
            .collect();
        while words.last() == Some(&0) {
            words.pop();
        }
        Self(words)
    }

    /// What is in this set, and not in the other.
    pub(super) fn without(&self, other: &Self) -> Self {
        self.combine(other, |one, other| one & !other)
    }

    /// What is in both.
    pub(super) fn shared(&self, other: &Self) -> Self {
        self.combine(other, |one, other| one & other)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    fn numbers(&self) -> impl Iterator<Item = usize> {
        let words = self.0.iter().enumerate();
        words.flat_map(|(index, word)| {
            (0..64)
                .filter(move |bit| word >> bit & 1 == 1)
                .map(move |bit| index * 64 + bit)
        })
    }
}

/// A commit above the run's base.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) id: Oid,
    pub(super) tree: Oid,
    parents: Vec<Oid>,
    /// The commit itself and all below it, down to the base.
    pub(super) below: Commits,
    touched: OnceLock<Paths>,
}

/// The commits above one base, as far as they were asked for.
#[derive(Debug)]
pub(super) struct Lineage {
    base: Oid,
    base_tree: Oid,
    known: Mutex<KnownCommits>,
}

#[derive(Debug, Default)]
struct KnownCommits {
    by_id: HashMap<Oid, Arc<Made>>,
    by_number: Vec<Arc<Made>>,
}

impl Lineage {
    pub(super) fn above(repo: &Repository, base: Oid) -> Result<Self, GitError> {
        let tree = find(repo, base)?.ok_or_else(|| missing(base))?.tree_id();
        Ok(Self {
            base,
            base_tree: tree,
            known: Mutex::default(),
        })
    }

    pub(super) fn base(&self) -> Oid {
        self.base
    }

    pub(super) fn base_tree(&self) -> Oid {
        self.base_tree
    }

    fn known(&self) -> std::sync::MutexGuard<'_, KnownCommits> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A commit; `None` for the base.
    pub(super) fn commit(&self, repo: &Repository, id: Oid) -> Result<Option<Arc<Made>>, GitError> {
        if id == self.base {
            return Ok(None);
        }
        let known = |id: &Oid| self.known().by_id.get(id).cloned();
        let mut open = vec![id];
        let mut read: HashMap<Oid, (Oid, Vec<Oid>)> = HashMap::new();
        while let Some(at) = open.last().copied() {
            go_on()?;
            if known(&at).is_some() {
                open.pop();
                continue;
            }
            if let Some((tree, parents)) = read.remove(&at) {
                // What is below it was looked at meanwhile.
                self.learn(at, tree, parents);
                open.pop();
                continue;
            }
            let Some(commit) = find(repo, at)? else {
                return Err(missing(at));
            };
            // What a shallow history does not hold is as good as the base: all that a run makes is
            // built on that.
            let mut parents = Vec::new();
            for parent in commit.parent_ids().filter(|parent| *parent != self.base) {
                if known(&parent).is_some() || find(repo, parent)?.is_some() {
                    parents.push(parent);
                }
            }
            if read.len() + self.known().by_number.len() >= COMMITS {
                let why = "has a longer history above the run's base than any run makes";
                return Err(GitError::Unstorable {
                    path: id.to_string(),
                    why,
                });
            }
            let kept = if commit.parent_count() == 1 && parents.is_empty() {
                vec![self.base]
            } else {
                parents.clone()
            };
            read.insert(at, (commit.tree_id(), kept));
            open.extend(
                parents
                    .into_iter()
                    .filter(|parent| !read.contains_key(parent)),
            );
        }
        Ok(known(&id))
    }

    fn learn(&self, id: Oid, tree: Oid, parents: Vec<Oid>) {
        let mut known = self.known();
        let mut below = Commits::default();
        for parent in &parents {
            if let Some(parent) = known.by_id.get(parent) {
                below.extend(&parent.below);
            }
        }
        below.insert(known.by_number.len());
        let made = Arc::new(Made {
            id,
            tree,
            parents,
            below,
            touched: OnceLock::new(),
        });
        // Another thread may have been faster.
        if known.by_id.contains_key(&id) {
            return;
        }
        known.by_number.push(Arc::clone(&made));
        known.by_id.insert(id, made);
    }

    /// Notes of a merge that each of its paths is one of its parents', which saves comparing them.
    pub(super) fn touches_nothing(&self, repo: &Repository, merge: Oid) -> Result<(), GitError> {
        if let Some(made) = self.commit(repo, merge)? {
            made.touched.get_or_init(Paths::new);
        }
        Ok(())
    }

    /// The paths that the commits of a set touched.
    pub(super) fn touched(&self, repo: &Repository, commits: &Commits) -> Result<Paths, GitError> {
        let mut paths = Paths::new();
        for made in self.all(commits) {
            paths.extend(self.touched_by(repo, &made)?.iter().cloned());
        }
        Ok(paths)
    }

    fn touched_by<'made>(
        &self,
        repo: &Repository,
        made: &'made Made,
    ) -> Result<&'made Paths, GitError> {
        if let Some(paths) = made.touched.get() {
            return Ok(paths);
        }
        let mut parents = Vec::new();
        for parent in &made.parents {
            parents.push(
                self.commit(repo, *parent)?
                    .map_or(self.base_tree, |parent| parent.tree),
            );
        }
        let mut parents = parents.into_iter();
        let mut paths = differing(repo, parents.next().unwrap_or(self.base_tree), made.tree)?;
        for parent in parents {
            let others = differing(repo, parent, made.tree)?;
            paths.retain(|path| others.contains(path));
        }
        Ok(made.touched.get_or_init(|| paths))
    }

    /// Those of a set that no other of it is built on, in the order of their ids.
    pub(super) fn tips(&self, commits: &Commits) -> Vec<Arc<Made>> {
        let all = self.all(commits);
        let mut covered = Commits::default();
        let mut tips = Vec::new();
        // A commit has a higher number than all below it.
        for made in all.into_iter().rev() {
            if !made.below.without(&covered).is_empty() {
                covered.extend(&made.below);
                tips.push(made);
            }
        }
        tips.sort_by_key(|made| made.id);
        tips
    }

    fn all(&self, commits: &Commits) -> Vec<Arc<Made>> {
        let known = self.known();
        commits
            .numbers()
            .filter_map(|number| known.by_number.get(number).cloned())
            .collect()
    }
}

fn differing(repo: &Repository, old: Oid, new: Oid) -> Result<Paths, GitError> {
    Ok(difference(repo, old, new)?.into_keys().collect())
}

fn find(repo: &Repository, id: Oid) -> Result<Option<git2::Commit<'_>>, GitError> {
    look(repo, id)?;
    match repo.find_commit(id) {
        Ok(commit) => Ok(Some(commit)),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(GitError::lib(format!("read commit {id}"))(error)),
    }
}

fn missing(id: Oid) -> GitError {
    let next = "a shallow clone needs it fetched (`git fetch --unshallow`); else `git fsck` tells what is damaged";
    GitError::Missing {
        what: format!("read commit {id}"),
        next,
    }
}
