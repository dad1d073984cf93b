//! Admitting a bundle: what it says, held against what was asked for, what was planned, and what
//! its commits really are.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::commits::Court;
use super::open::Opened;
use super::refused::BundleRefused;
use super::{IN_BUNDLE, changes_of, refs_of, result_of, taken_in};
use crate::engine::Engine;
use crate::fact::{Began, Fact};
use crate::git::{BundleWanted, Repo};
use crate::history::History;
use crate::id::{CommitId, RepoPath, RunId, Sha256, TaskId, Tip};
use crate::journal::{self, Journal};
use crate::plan::{Event, Plan, Task};
use crate::request::{Ask, Request};
use crate::text::Scrubber;

/// A run whose bundle is about what was asked for, whose journal follows from the plan, and whose
/// commits its tasks may have made. What it says of its gates is its own opinion still.
#[derive(Debug)]
pub struct Admitted {
    /// What it is built on.
    pub base: Tip,
    /// Its result, in the repository now; `None` where nothing landed.
    pub result: Option<Tip>,
    /// The commits from the base to the result, oldest first, with their tasks.
    pub landed: Vec<(TaskId, CommitId)>,
    /// Each landed task's own change, in landing order.
    pub task_commits: Vec<(TaskId, CommitId)>,
    /// Every path that the result changes.
    pub observed: Vec<RepoPath>,
    /// The run, folded from its journal by the plan that was given.
    pub engine: Engine,
    /// The same for people and proofs.
    pub history: History,
    /// SHA-256 of the journal's last line.
    pub journal_head: Sha256,
    /// SHA-256 of its file of commits.
    pub changes: Option<Sha256>,
}

/// How far a machine's clock may be set back or forth during a run, in seconds.
const CLOCK: i64 = 60;

impl Admitted {
    /// Refuses it if one of its changes holds a secret that this job knows: it may not be judged,
    /// pushed or shown.
    ///
    /// # Errors
    /// For the first such file; else if an object cannot be read.
    pub fn refuse_secrets(&self, repo: &Repo, scrubber: &Scrubber) -> Result<(), BundleRefused> {
        for (_, commit) in self.landed.iter().chain(&self.task_commits) {
            repo.refuse_secrets(&self.base.tree, &repo.tip(commit)?.tree, scrubber)?;
        }
        Ok(())
    }
}

/// Holds an opened bundle against the request and the effective plan, neither of which comes from
/// it, and takes its commits into the repository, below [`taken_in`].
///
/// # Errors
/// The first thing that is wrong with it. Objects may have come into the repository then, but no
/// ref to them.
pub fn admit(
    repo: &Repo,
    opened: Opened,
    request: &Request,
    plan: &Arc<Plan>,
) -> Result<Admitted, BundleRefused> {
    let journal = read_journal(&opened)?;
    admit_journal(repo, opened, journal, request, plan)
}

/// As [`admit`], for what an earlier run of the scope left: who asked for it, for which tasks, and
/// on which commit are its own matter. Its scope and its plan must be the request's, and its base
/// must have the tree that the request's has.
///
/// # Errors
/// As [`admit`].
pub fn admit_earlier(
    repo: &Repo,
    opened: Opened,
    request: &Request,
    earlier: &RunId,
    plan: &Arc<Plan>,
) -> Result<Admitted, BundleRefused> {
    let journal = read_journal(&opened)?;
    let began = beginning(&journal)?;
    let base = repo
        .tip(&request.base)
        .map_err(|_| BundleRefused::NoBase(request.base.clone()))?;
    expect("base's tree", &began.base.tree, &base.tree)?;
    let asked = Request {
        run: earlier.clone(),
        trigger: began.trigger.clone(),
        ask: Ask::Retry { tasks: Vec::new() },
        base: began.base.commit.clone(),
        ..request.clone()
    };
    admit_journal(repo, opened, journal, &asked, plan)
}

fn read_journal(opened: &Opened) -> Result<Journal, BundleRefused> {
    let journal = journal::read(&opened.journal).map_err(BundleRefused::Damaged)?;
    match journal.dropped {
        Some(damage) => Err(BundleRefused::Damaged(damage)),
        None => Ok(journal),
    }
}

fn beginning(journal: &Journal) -> Result<&Began, BundleRefused> {
    match journal.lines.first().map(|line| &line.fact) {
        Some(Fact::Began(began)) => Ok(began),
        Some(_) | None => Err(BundleRefused::NotBegun),
    }
}

fn admit_journal(
    repo: &Repo,
    opened: Opened,
    journal: Journal,
    request: &Request,
    plan: &Arc<Plan>,
) -> Result<Admitted, BundleRefused> {
    let Opened {
        manifest,
        limits,
        changes,
        ..
    } = opened;
    expect("run", &manifest.run, &request.run)?;
    expect("scope", &manifest.scope, &request.scope)?;
    expect("base", &manifest.base.commit, &request.base)?;
    let began = beginning(&journal)?;
    check_beginning(repo, began, request, plan)?;
    let engine = journal::replay(Arc::clone(plan), &journal.lines);
    let engine = engine.map_err(|difference| BundleRefused::Illegal(Box::new(difference)))?;
    let (result, tasks) = (result_of(&engine), changes_of(&engine));
    contradiction("base", manifest.base == began.base)?;
    contradiction("result", manifest.result == result)?;
    contradiction("tasks", manifest.tasks == tasks)?;
    let refs = refs_of(result.as_ref(), &tasks);
    contradiction("commits", changes.is_none() == refs.is_empty())?;
    let court = Court {
        repo,
        request,
        plan,
        base: &began.base,
        selected: began.selected.iter().collect(),
        engine: &engine,
        under_way: under_way(&journal),
        extents: RefCell::default(),
    };
    let (mut landed, mut digest) = (Vec::new(), None);
    if let Some((mut file, sha256)) = changes {
        let wanted = BundleWanted {
            base: &request.base,
            refs: &refs,
            bytes: limits.file,
            objects: limits.objects,
        };
        let pending = repo
            .take_in_bundle(&mut file, &wanted)
            .map_err(BundleRefused::Commits)?;
        landed = court.chain(&engine)?;
        court.changes(&tasks, &landed)?;
        repo.keep_bundle(&pending, IN_BUNDLE, &taken_in(&request.run))?;
        digest = Some(sha256);
    }
    let observed = match &result {
        Some(result) => repo.changed_paths(&began.base.tree, &result.tree)?,
        None => Vec::new(),
    };
    let mut history = History::default();
    for line in &journal.lines {
        history.take(line.at, &line.fact, &line.orders);
    }
    Ok(Admitted {
        base: began.base.clone(),
        result,
        landed,
        task_commits: tasks
            .into_iter()
            .map(|change| (change.task, change.commit))
            .collect(),
        observed,
        engine,
        history,
        journal_head: journal.chain.head().clone(),
        changes: digest,
    })
}

/// From the first to the last line of the journal, in seconds.
fn under_way(journal: &Journal) -> RangeInclusive<i64> {
    let mut seconds = journal
        .lines
        .iter()
        .map(|line| line.at.as_millis().div_euclid(1000));
    let first = seconds.next().unwrap_or_default();
    // A clock that is set while a run is under way is set by little.
    first.saturating_sub(CLOCK)..=seconds.next_back().unwrap_or(first).saturating_add(CLOCK)
}

fn expect(
    what: &'static str,
    found: &impl ToString,
    expected: &impl ToString,
) -> Result<(), BundleRefused> {
    let (found, expected) = (found.to_string(), expected.to_string());
    if found == expected {
        return Ok(());
    }
    Err(BundleRefused::OtherRun {
        what,
        found: crate::text::clip(&found, 80),
        expected,
    })
}

fn contradiction(what: &'static str, holds: bool) -> Result<(), BundleRefused> {
    if holds {
        Ok(())
    } else {
        Err(BundleRefused::Contradiction { what })
    }
}

/// The first fact is about the run that was asked for.
fn check_beginning(
    repo: &Repo,
    began: &Began,
    request: &Request,
    plan: &Plan,
) -> Result<(), BundleRefused> {
    expect("run", &began.run, &request.run)?;
    expect("scope", &began.scope, &request.scope)?;
    expect("base", &began.base.commit, &request.base)?;
    let base = repo
        .tip(&request.base)
        .map_err(|_| BundleRefused::NoBase(request.base.clone()))?;
    expect("base's tree", &began.base.tree, &base.tree)?;
    expect("plan's path", &began.plan.path, &request.plan.path)?;
    expect("plan", &began.plan.digest, &request.plan.digest)?;
    expect("actor", &began.trigger.actor, &request.trigger.actor)?;
    if began.trigger != request.trigger {
        return Err(BundleRefused::Contradiction { what: "trigger" });
    }
    check_selection(&began.selected, &request.ask, request.trigger.event, plan)
}

/// The tasks that took part are those that were asked for.
fn check_selection(
    took_part: &[TaskId],
    ask: &Ask,
    event: Event,
    plan: &Plan,
) -> Result<(), BundleRefused> {
    let refused = |task: &TaskId, why| BundleRefused::Task {
        task: task.to_string(),
        why,
    };
    let mut selected = BTreeSet::new();
    for task in took_part {
        if plan.task(task).is_none() {
            return Err(refused(task, "took part, and is not in the plan"));
        }
        if !selected.insert(task) {
            return Err(refused(task, "took part twice"));
        }
    }
    let Ask::Run { tasks } = ask else {
        return Ok(());
    };
    let asked = if tasks.is_empty() {
        None
    } else {
        Some(with_dependencies(plan, tasks))
    };
    for task in &plan.tasks {
        let takes_part = selected.contains(&task.id);
        match &asked {
            Some(asked) if takes_part && !asked.contains(&task.id) => {
                return Err(refused(&task.id, "took part, and was not asked for"));
            }
            Some(asked) if !takes_part && asked.contains(&task.id) => {
                return Err(refused(&task.id, "was asked for, and took no part"));
            }
            None if takes_part && !may_take_part(task, event) => {
                return Err(refused(
                    &task.id,
                    "took part, and its `when` names other events",
                ));
            }
            None if !takes_part && task.when.is_none() => {
                return Err(refused(&task.id, "was to take part, and did not"));
            }
            Some(_) | None => {}
        }
    }
    Ok(())
}

fn may_take_part(task: &Task, event: Event) -> bool {
    task.when
        .as_ref()
        .is_none_or(|when| when.events.is_empty() || when.events.contains(&event))
}

fn with_dependencies<'a>(plan: &'a Plan, tasks: &'a [TaskId]) -> BTreeSet<&'a TaskId> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&TaskId> = tasks.iter().collect();
    while let Some(id) = open.pop() {
        if found.insert(id)
            && let Some(task) = plan.task(id)
        {
            open.extend(&task.dependencies);
        }
    }
    found
}

#[cfg(test)]
mod tests;
