//! The branches that a run leaves, put where its journal says they are.
//!
//! Each is an intention until it is carried out: a branch that cannot be moved now is tried again
//! at each later landing, and for a while at the end. It refuses to move a branch that a person
//! moved, worked on or checked out, or that a newer run of the plan has put where it is.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::ownership::{Claim, Ownership};
use crate::clock::Clock;
use crate::drive::Taken;
use crate::engine::Engine;
use crate::fact::{Began, Class, Fact, Failure};
use crate::git::{Expected, GitError, Repo};
use crate::history::{run_branch, task_branch};
use crate::id::{CommitId, TaskId};
use crate::text::Advised as _;

/// For how long the end of a run waits for branches that something holds. A `git gc` of a large
/// repository holds all of them for some seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// The first pause between two tries then; each is twice the one before. Most locks are held for
/// less.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// The longest pause: whatever ends is noticed within a second.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The branches of one run.
#[derive(Debug)]
pub struct Branches {
    repo: Repo,
    clock: Clock,
    ownership: Ownership,
    began: Began,
    /// What is still to be done, by branch.
    intentions: BTreeMap<String, Intention>,
    /// Where this process has put branches.
    put: HashMap<String, CommitId>,
    /// Whether the run was taken up, so that a newer one may have come between. Nothing newer
    /// comes beside it: it holds the scope.
    taken_up: bool,
}

/// A branch that is to be somewhere.
#[derive(Debug)]
struct Intention {
    to: CommitId,
    /// Why the last try failed.
    failed: Option<GitError>,
}

impl Branches {
    /// The branches of a run in that repository.
    #[must_use]
    pub fn new(repo: Repo, clock: Clock, began: Began) -> Self {
        let ownership = Ownership::new(repo.clone());
        Self {
            repo,
            clock,
            ownership,
            began,
            intentions: BTreeMap::new(),
            put: HashMap::new(),
            taken_up: false,
        }
    }

    /// Follows a turn that is on disk. What cannot be moved stays an intention.
    pub fn follow(&mut self, turn: &[Taken], engine: &Engine) {
        let took_up = turn
            .iter()
            .any(|taken| matches!(taken.fact, Fact::TookUp { .. }));
        if took_up {
            return self.put_all(engine);
        }
        let mut moved = false;
        for taken in turn {
            match &taken.fact {
                Fact::Landed { task, .. } => {
                    moved = true;
                    self.intend_task(task, engine);
                }
                Fact::Rebuilt { .. } => moved = true,
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
                | Fact::Limited { .. }
                | Fact::Stopped { .. }
                | Fact::Cancelled { .. }
                | Fact::Placed { .. } => {}
            }
        }
        if moved {
            self.intend_result(engine);
            self.try_all();
        }
    }

    /// Puts every branch where it belongs: omk may have been killed after it wrote what landed and
    /// before it moved anything.
    pub fn put_all(&mut self, engine: &Engine) {
        self.taken_up = true;
        let landed = engine.tasks().filter(|status| status.landed.is_some());
        let landed: Vec<TaskId> = landed.map(|status| status.id.clone()).collect();
        for task in &landed {
            self.intend_task(task, engine);
        }
        self.intend_result(engine);
        self.try_all();
    }

    /// Tries what is left as long as it may still succeed, and not for ever. Why the result's
    /// branch is not at the result, if it is not.
    pub async fn finish(&mut self) -> Option<Failure> {
        let watch = self.clock.stopwatch();
        let mut pause = FIRST_PAUSE;
        self.try_all();
        while self.intentions.values().any(Intention::may_succeed) && watch.elapsed() < PATIENCE {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            self.try_all();
        }
        let name = run_branch(&self.began.scope);
        if let Err(error) = self
            .repo
            .settle_branches(self.put.keys().map(String::as_str))
        {
            return Some(Failure::new(
                Class::Host,
                format!("`{name}` may not outlast a power cut: {}", error.in_full()),
            ));
        }
        let Intention { to, failed } = self.intentions.get(&name)?;
        let why = failed.as_ref().map(ToString::to_string).unwrap_or_default();
        let message = format!(
            "`{name}` was not moved to the result, {}: {why}",
            to.short()
        );
        let advice = failed
            .as_ref()
            .and_then(|error| error.advice().map(std::borrow::Cow::into_owned));
        Some(Failure {
            advice,
            ..Failure::new(Class::Host, message)
        })
    }

    /// A warning for each branch of a task that is not where it belongs.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let result = run_branch(&self.began.scope);
        self.intentions
            .iter()
            .filter(move |(name, _)| **name != result)
            .map(|(name, intention)| {
                let why = intention
                    .failed
                    .as_ref()
                    .map(GitError::in_full)
                    .unwrap_or_default();
                format!("{name} was not moved to {}: {why}", intention.to.short())
            })
    }

    fn intend_task(&mut self, task: &TaskId, engine: &Engine) {
        if let Some(change) = engine.task(task).and_then(|status| status.change) {
            self.intend(
                task_branch(&self.began.scope, task),
                change.tip.commit.clone(),
            );
        }
    }

    fn intend_result(&mut self, engine: &Engine) {
        let Some(tip) = engine.tip() else { return };
        // Where all was taken out again the branch goes back to the base; where nothing ever landed
        // there is none to move.
        let never_landed = engine.tasks().all(|status| status.landed.is_none());
        if *tip != self.began.base || !never_landed {
            self.intend(run_branch(&self.began.scope), tip.commit.clone());
        }
    }

    fn intend(&mut self, name: String, to: CommitId) {
        if self.put.get(&name) != Some(&to) {
            self.intentions.insert(name, Intention { to, failed: None });
        }
    }

    fn try_all(&mut self) {
        for (name, mut intention) in std::mem::take(&mut self.intentions) {
            match self.put(&name, &intention.to) {
                Ok(()) => {
                    self.put.insert(name, intention.to);
                }
                Err(error) => {
                    intention.failed = Some(error);
                    self.intentions.insert(name, intention);
                }
            }
        }
    }

    fn put(&self, name: &str, to: &CommitId) -> Result<(), GitError> {
        let why = format!("omk: run {}", self.began.run);
        let from = self.from(name, to)?;
        self.repo
            .move_branch(name, to, &from, &why, self.clock.now())
    }

    /// Where the branch may be moved from. What a person said may be replaced is what was there
    /// when the run began.
    fn from(&self, name: &str, to: &CommitId) -> Result<Expected, GitError> {
        let checked_out = |path| {
            Err(GitError::BranchCheckedOut {
                name: name.to_owned(),
                path,
            })
        };
        if let Some(put) = self.put.get(name) {
            let path = self.repo.checked_out_anywhere(name)?;
            if path.is_none() && self.repo.branch_tip(name)?.as_ref() == Some(put) {
                return Ok(Expected::At(put.clone()));
            }
        }
        let claim = self.ownership.of(name)?;
        if let Some(run) = claim.newer_than(&self.began).filter(|_| self.taken_up) {
            return Err(GitError::BranchOfNewerRun {
                name: name.to_owned(),
                run: run.clone(),
            });
        }
        match claim {
            Claim::Free => Ok(Expected::Absent),
            Claim::Omks { tip, .. } => Ok(Expected::At(tip)),
            // It is where it belongs, and what a worktree shows does not change.
            Claim::Persons { tip, .. } if tip == *to => Ok(Expected::At(tip)),
            Claim::Persons {
                checked_out: Some(path),
                ..
            } => checked_out(path),
            Claim::Persons { tip, .. }
                if self.began.branch_was.as_ref() == Some(&tip)
                    && name == run_branch(&self.began.scope) =>
            {
                Ok(Expected::At(tip))
            }
            Claim::Persons { tip, .. } => Err(GitError::BranchMoved {
                name: name.to_owned(),
                expected: "at a commit that omk put there".to_owned(),
                found: format!("is at {tip}"),
            }),
        }
    }
}

impl Intention {
    /// Whether it failed for something that passes: a lock, the machine. A person's own work does
    /// not.
    fn may_succeed(&self) -> bool {
        self.failed.as_ref().is_none_or(GitError::is_host)
    }
}
