//! The commits of a bundle, each held against the task that it says it is of.
//!
//! It refuses a commit that is not by omk, not of a task of the run, not on what it should be on,
//! or that touches what its task may not: also one that no ref points at, and that would only be
//! pushed along. Message and headers are made again from plan and journal, and compared byte for
//! byte. Trees are measured before anything walks them.

mod message;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use super::manifest::TaskChange;
use super::refused::BundleRefused;
use crate::engine::Engine;
use crate::git::{CommitSeen, Extents, GitError, Repo};
use crate::id::{CommitId, TaskId, Tip};
use crate::plan::{Plan, Task};
use crate::request::Request;
use crate::scope::{Violation, WriteRights};

/// How many offending paths a refusal names.
const PATHS_SHOWN: usize = 10;

/// Commits between the base and what is brought, for each landing: its own change, its landings,
/// merges of its base.
const COMMITS_PER_LANDING: usize = 16;

/// Where commits are that no landing names.
const BELOW: &str = "below a task's change";

/// Holds commits against a run.
pub(super) struct Court<'a> {
    pub(super) repo: &'a Repo,
    pub(super) request: &'a Request,
    pub(super) plan: &'a Plan,
    pub(super) base: &'a Tip,
    pub(super) selected: BTreeSet<&'a TaskId>,
    pub(super) engine: &'a Engine,
    /// The seconds of the journal's first and last line.
    pub(super) under_way: RangeInclusive<i64>,
    /// What is known of the trees of the run.
    pub(super) extents: RefCell<Extents>,
}

impl Court<'_> {
    /// The commits from the base to the result: exactly one for each landing that changed
    /// something, in their order.
    pub(super) fn chain(&self, engine: &Engine) -> Result<Vec<(TaskId, CommitId)>, BundleRefused> {
        let (mut at, mut chain) = (self.base.clone(), Vec::new());
        let mut once = BTreeSet::new();
        for (task, tip) in engine.landings() {
            let is_whole = engine
                .task(task)
                .is_some_and(|task| task.change.is_some() && task.ejected.is_none());
            if !once.insert(task) || !is_whole {
                return Err(refused(
                    &tip.commit,
                    "below the result",
                    &format!("lands task {task}, which had no turn"),
                ));
            }
            if *tip == at {
                // It held the change already.
                continue;
            }
            let seen = self.look_at(&tip.commit, "below the result")?;
            if seen.tip.tree != tip.tree {
                return Err(refused(
                    &tip.commit,
                    "below the result",
                    "has another tree than the journal says",
                ));
            }
            self.check(&seen, Some(task), &at)?;
            chain.push((task.clone(), tip.commit.clone()));
            at = tip.clone();
        }
        Ok(chain)
    }

    /// The landed tasks' own changes, and whatever they are built on down to the base.
    pub(super) fn changes(
        &self,
        changes: &[TaskChange],
        chain: &[(TaskId, CommitId)],
    ) -> Result<(), BundleRefused> {
        let own: BTreeMap<&CommitId, &TaskId> = changes
            .iter()
            .map(|change| (&change.commit, &change.task))
            .collect();
        let mut known: BTreeSet<CommitId> =
            chain.iter().map(|(_, commit)| commit.clone()).collect();
        known.insert(self.base.commit.clone());
        for (commit, task) in chain.iter().map(|(task, commit)| (commit, task)) {
            if own.get(commit).is_some_and(|other| *other != task) {
                return Err(refused(
                    commit,
                    &format!("of task {task}"),
                    "is said to be of another task, too",
                ));
            }
        }
        let most = COMMITS_PER_LANDING.saturating_mul(changes.len().saturating_add(4));
        let mut open: Vec<CommitId> = own.keys().map(|commit| (*commit).clone()).collect();
        let mut merges = Vec::new();
        while let Some(commit) = open.pop() {
            if !known.insert(commit.clone()) {
                continue;
            }
            if known.len() > most {
                return Err(refused(
                    &commit,
                    "of a task's change",
                    "is one of more commits than this run can have made",
                ));
            }
            let parents = self.vouch(&commit, own.get(&commit).copied())?;
            if parents.len() > 1 {
                merges.push(commit);
            }
            open.extend(parents);
        }
        // They are made again, which walks what is below them: so all of that was looked at first.
        for commit in merges {
            if !self.repo.is_merge_of_results(&self.base.commit, &commit)? {
                return Err(refused(&commit, BELOW, "is a merge that omk did not make"));
            }
        }
        Ok(())
    }

    /// A commit that a task's change is, or is built on; its parents, which are to be looked at
    /// too. A merge is only measured.
    fn vouch(
        &self,
        commit: &CommitId,
        task: Option<&TaskId>,
    ) -> Result<Vec<CommitId>, BundleRefused> {
        let place = task.map_or_else(|| BELOW.to_owned(), |task| format!("of task {task}"));
        let seen = self.look_at(commit, &place)?;
        match seen.parents.as_slice() {
            [parent] => {
                let parent = self.parent(parent)?;
                self.check(&seen, task, &parent)?;
            }
            [ours, theirs] if task.is_none() => {
                for parent in [ours, theirs] {
                    self.parent(parent)?;
                }
            }
            parents => {
                let why = format!("has {} parents, and a task's commit has one", parents.len());
                return Err(refused(commit, &place, &why));
            }
        }
        Ok(seen.parents)
    }

    /// What a commit is built on: the base, which is trusted, or another commit of the bundle,
    /// which is measured.
    fn parent(&self, commit: &CommitId) -> Result<Tip, BundleRefused> {
        if *commit == self.base.commit {
            return Ok(self.base.clone());
        }
        Ok(self.look_at(commit, BELOW)?.tip)
    }

    fn look_at(&self, commit: &CommitId, place: &str) -> Result<CommitSeen, BundleRefused> {
        let looked = self.repo.look_at(commit).and_then(|seen| {
            let mut extents = self.extents.borrow_mut();
            self.repo
                .refuse_vast(&mut extents, &self.base.tree, &seen.tip.tree)?;
            Ok(seen)
        });
        looked.map_err(|error| match error {
            GitError::Unstorable { why, .. } => refused(commit, place, why),
            GitError::Refused { why, .. } => refused(commit, place, &why),
            other => BundleRefused::Git(other),
        })
    }

    /// One commit of a task, on that parent and no other.
    fn check(
        &self,
        seen: &CommitSeen,
        task: Option<&TaskId>,
        parent: &Tip,
    ) -> Result<(), BundleRefused> {
        let commit = &seen.tip.commit;
        let place = task.map_or_else(|| BELOW.to_owned(), |task| format!("of task {task}"));
        if seen.parents != [parent.commit.clone()] {
            let found: Vec<&str> = seen.parents.iter().map(|parent| parent.short()).collect();
            let found = if found.is_empty() {
                "nothing".to_owned()
            } else {
                found.join(" and ")
            };
            let why = format!(
                "is built on {found}, and not on {} alone",
                parent.commit.short()
            );
            return Err(refused(commit, &place, &why));
        }
        if !seen.by_omk {
            return Err(refused(
                commit,
                &place,
                "has another author or committer than omk",
            ));
        }
        let (said, attempt) = self
            .trailers(&seen.message)
            .map_err(|why| refused(commit, &place, why))?;
        if task.is_some_and(|task| *task != said) {
            return Err(refused(
                commit,
                &place,
                &format!("says that it is of task {said}"),
            ));
        }
        let Some(planned) = self
            .plan
            .task(&said)
            .filter(|task| self.selected.contains(&task.id))
        else {
            return Err(refused(
                commit,
                &place,
                &format!("is of task {said}, which takes no part in this run"),
            ));
        };
        self.scope(seen, planned, parent)?;
        self.writing(seen, planned, attempt)
            .map_err(|why| refused(commit, &place, &why))?;
        let messages = self.messages(planned, attempt);
        match self.repo.is_as_written(seen, &messages)? {
            true => Ok(()),
            false => Err(refused(
                commit,
                &place,
                "has headers that omk does not write",
            )),
        }
    }

    fn scope(&self, seen: &CommitSeen, task: &Task, parent: &Tip) -> Result<(), BundleRefused> {
        let touched = self.repo.touched(&parent.tree, &seen.tip.tree)?;
        let scope = WriteRights {
            write_set: &task.write_set,
            protect: &self.plan.protect,
            plan_path: &self.request.plan.path,
            change_limit: self.plan.change_limit,
        };
        let violations = scope.violations(&touched);
        if violations.is_empty() {
            return Ok(());
        }
        Err(BundleRefused::Scope {
            commit: seen.tip.commit.short().to_owned(),
            task: task.id.clone(),
            paths: named(&violations),
        })
    }
}

/// The first few of them, and how many there are besides.
fn named(violations: &[Violation]) -> String {
    let mut paths: Vec<String> = violations
        .iter()
        .take(PATHS_SHOWN)
        .map(|found| format!("{} {}", found.path, found.why))
        .collect();
    if violations.len() > PATHS_SHOWN {
        paths.push(format!("and {} more", violations.len() - PATHS_SHOWN));
    }
    paths.join(", ")
}

fn refused(commit: &CommitId, place: &str, why: &str) -> BundleRefused {
    BundleRefused::Commit {
        commit: commit.short().to_owned(),
        place: place.to_owned(),
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_paths_are_named_and_the_others_counted() {
        let says = |count: usize| {
            let path = |at: usize| Violation {
                path: format!("{at}").parse().expect("a path"),
                why: "x".into(),
            };
            named(&(0..count).map(path).collect::<Vec<_>>())
        };
        assert_eq!(says(2), "0 x, 1 x");
        assert!(
            says(9).ends_with(", 8 x") && says(10).ends_with(", 9 x"),
            "{}",
            says(10)
        );
        assert!(
            says(11).ends_with(", 9 x, and 1 more") && says(13).ends_with(", and 3 more"),
            "{}",
            says(13)
        );
    }
}
