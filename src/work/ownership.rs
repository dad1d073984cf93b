//! Whose a branch below `omk/` is: the one place that says whether omk may move, overwrite or
//! delete it.
//!
//! A branch is omk's if its tip is a commit that the journal of a run names as that branch's own,
//! and if no worktree has it checked out. It refuses to go by a branch's name, or by what a commit
//! says of itself: anybody can write that.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::fact::{Began, Fact, Outcome};
use crate::git::{GitError, Repo, Trailers};
use crate::history::{run_branch, task_branch};
use crate::id::{CommitId, RunId};
use crate::journal::Line;
use crate::store::Store;

/// What a branch holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// There is no such branch.
    Free,
    /// omk put it there, in that run.
    Omks {
        /// Where it is.
        tip: CommitId,
        /// The run that put it there.
        run: RunId,
    },
    /// A person's: it is neither moved nor deleted.
    Persons {
        /// Where it is.
        tip: CommitId,
        /// Where it is checked out. `None`: the commit is not one that omk put there.
        checked_out: Option<PathBuf>,
    },
}

impl Claim {
    /// The run that put the branch there, if that run is newer than this one. What was there when
    /// this one began is older, whatever the clock said.
    #[must_use]
    pub fn newer_than(&self, began: &Began) -> Option<&RunId> {
        match self {
            Self::Omks { tip, run } => Some(run).filter(|_| began.branch_was.as_ref() != Some(tip)),
            Self::Free | Self::Persons { .. } => None,
        }
        .filter(|run| **run > began.run)
    }
}

/// A branch, and a commit that it was put at.
type Placing = (String, CommitId);

/// What omk has put on branches, as the journals of its runs have it.
#[derive(Debug, Clone)]
pub struct Ownership {
    repo: Repo,
    store: Store,
    /// By run, of those that were read.
    known: Arc<Mutex<HashMap<RunId, Arc<HashSet<Placing>>>>>,
}

impl Ownership {
    /// That of a repository, by the runs in its store.
    #[must_use]
    pub fn new(repo: Repo) -> Self {
        let store = Store::new(repo.common_dir());
        Self {
            repo,
            store,
            known: Arc::default(),
        }
    }

    /// Whose a branch is now.
    ///
    /// # Errors
    /// If refs, worktrees or the list of runs cannot be read.
    pub fn of(&self, branch: &str) -> Result<Claim, GitError> {
        let Some(tip) = self.repo.branch_tip(branch)? else {
            return Ok(Claim::Free);
        };
        let checked_out = self.repo.checked_out_anywhere(branch)?;
        let put = (branch.to_owned(), tip);
        let by = self.put_by(&put);
        let (_, tip) = put;
        Ok(match (by, checked_out) {
            (Some(run), None) => Claim::Omks { tip, run },
            (_, checked_out) => Claim::Persons { tip, checked_out },
        })
    }

    /// The run that put the branch there, whether or not the commit is still in the repository.
    fn put_by(&self, put: &Placing) -> Option<RunId> {
        let (branch, tip) = put;
        let made = |run: &RunId| self.all_put_by(run).contains(put);
        // A commit says which run made it, and that run's journal whether this is true.
        let message = self.repo.message(tip).ok();
        let named = message
            .as_deref()
            .and_then(Trailers::of)
            .map(|trailers| trailers.run)
            .filter(made);
        // A result without any change is its base, which is another's commit; and a commit may be
        // gone.
        let may_be_unnamed = message.is_none() || !branch.starts_with("omk/task/");
        named.or_else(|| {
            self.store
                .runs()
                .ok()
                .filter(|_| may_be_unnamed)?
                .into_iter()
                .rev()
                .find(made)
        })
    }

    /// Every branch that a run has put anywhere, and where. A journal that cannot be read says
    /// nothing.
    fn all_put_by(&self, run: &RunId) -> Arc<HashSet<Placing>> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known().get(run) {
            return Arc::clone(known);
        }
        let journal = self.store.dir(run).journal().ok();
        let found = Arc::new(
            journal
                .map(|journal| all_put(&journal.lines))
                .unwrap_or_default(),
        );
        known().insert(run.clone(), Arc::clone(&found));
        found
    }
}

/// All that the lines of a journal put on branches.
#[must_use]
pub fn all_put(lines: &[Line]) -> HashSet<Placing> {
    let Some(Line {
        fact: Fact::Began(began),
        ..
    }) = lines.first()
    else {
        return HashSet::new();
    };
    let mut all = HashSet::new();
    let result = run_branch(&began.scope);
    for line in lines {
        match &line.fact {
            Fact::Worked {
                task,
                outcome: Outcome::Changed(change),
                ..
            } => {
                all.insert((task_branch(&began.scope, task), change.tip.commit.clone()));
            }
            Fact::Landed { tip, .. } => {
                all.insert((result.clone(), tip.commit.clone()));
            }
            Fact::Rebuilt {
                landings,
                trouble: None,
                ..
            } => {
                let tip = landings.last().map_or(&began.base, |landing| &landing.tip);
                all.insert((result.clone(), tip.commit.clone()));
            }
            Fact::Began(_)
            | Fact::TookUp { .. }
            | Fact::Prepared { .. }
            | Fact::Renewed { .. }
            | Fact::Asked { .. }
            | Fact::Answered { .. }
            | Fact::Worked { .. }
            | Fact::Clashed { .. }
            | Fact::Woke
            | Fact::Judged { .. }
            | Fact::Preflighted { .. }
            | Fact::Rebuilt { .. }
            | Fact::Limited { .. }
            | Fact::Stopped { .. }
            | Fact::Cancelled { .. }
            | Fact::Placed { .. } => {}
        }
    }
    all
}
