//! What runs hold that may be nowhere else: results, and changes that are in none.
//!
//! It goes by the journal of a run: its branches may be gone, or moved. It refuses to guess: a run
//! that cannot be read may hold anything.

use std::collections::BTreeSet;
use std::path::Path;

use super::Home;
use super::resume::tell;
use crate::engine::{Engine, TaskStatus};
use crate::fact::Fact;
use crate::git::{Anchor, GitError, Repo};
use crate::id::{CommitId, RunId, TreeId};
use crate::journal::Line;
use crate::store::{RunDir, StoreError};
use crate::text::Advised as _;

/// What is below the directory of every run that has done anything.
const ROOMS: [&str; 4] = ["proofs", "logs", "transcripts", "cassette"];

/// What the directory of a run tells.
pub(super) enum Inventory {
    /// Something else has the name of a run.
    NoDirectory,
    /// The run was killed before it began.
    Empty,
    /// The run may hold anything.
    Unreadable { why: String },
    /// The run holds this.
    Of(Vec<Holding>),
}

/// A change by its content: the trees before and after it. A retry that keeps a change makes
/// another commit of the same content.
type Content = (TreeId, TreeId);

/// A piece of work that a run has.
pub(super) struct Holding {
    /// In words.
    pub(super) what: String,
    /// Where it is; a branch that has any of these has it. The first one is the best to take.
    pub(super) commits: Vec<CommitId>,
    /// The tree of a result.
    tree: Option<TreeId>,
    /// The changes that it consists of. `None`: git cannot tell any more.
    changes: Option<Vec<Content>>,
}

/// What is held by the runs that stay.
#[derive(Default)]
pub(super) struct Elsewhere {
    trees: BTreeSet<TreeId>,
    changes: BTreeSet<Content>,
}

impl Elsewhere {
    pub(super) fn add(&mut self, holdings: &[Holding]) {
        self.trees
            .extend(holdings.iter().filter_map(|holding| holding.tree.clone()));
        self.changes.extend(
            holdings
                .iter()
                .filter_map(|holding| holding.changes.clone())
                .flatten(),
        );
    }

    fn has(&self, holding: &Holding) -> bool {
        holding
            .tree
            .as_ref()
            .is_some_and(|tree| self.trees.contains(tree))
            || holding
                .changes
                .as_ref()
                .is_some_and(|changes| changes.iter().all(|change| self.changes.contains(change)))
    }
}

/// The first of these that would be lost: no branch of the user's has it, and no run that stays.
///
/// # Errors
/// If the history cannot be read.
pub(super) fn only_here<'a>(
    repo: &Repo,
    holdings: &'a [Holding],
    elsewhere: &Elsewhere,
) -> Result<Option<&'a Holding>, GitError> {
    let alone: Vec<&Holding> = holdings
        .iter()
        .filter(|holding| !elsewhere.has(holding))
        .collect();
    let commits: Vec<CommitId> = alone
        .iter()
        .flat_map(|holding| holding.commits.iter().cloned())
        .collect();
    let unmerged = repo.unmerged(&commits)?;
    Ok(alone.into_iter().find(|holding| {
        holding
            .commits
            .iter()
            .all(|commit| unmerged.contains(commit))
    }))
}

/// Reads what a run holds.
pub(super) fn take_stock(home: &Home, run: &RunId) -> Inventory {
    let dir = home.store.dir(run);
    if !dir
        .path()
        .symlink_metadata()
        .is_ok_and(|meta| meta.is_dir())
    {
        return Inventory::NoDirectory;
    }
    let journal = match dir.journal() {
        Ok(journal) => journal,
        Err(StoreError::Io { source, .. })
            if source.kind() == std::io::ErrorKind::NotFound && has_done_nothing(&dir) =>
        {
            return Inventory::Empty;
        }
        Err(error) => {
            return Inventory::Unreadable {
                why: format!("failed to {}", error.in_full()),
            };
        }
    };
    if !matches!(
        journal.lines.first(),
        Some(Line {
            fact: Fact::Began(_),
            ..
        })
    ) {
        if !dir.has_begun() && has_done_nothing(&dir) {
            return Inventory::Empty;
        }
        let why = journal.dropped.map_or_else(
            || "its journal is empty".to_owned(),
            |damage| format!("its journal: {damage}"),
        );
        return Inventory::Unreadable { why };
    }
    match tell(&dir, &journal) {
        Ok(told) => Inventory::Of(holdings(&home.repo, run, &told.engine)),
        Err(failure) => Inventory::Unreadable {
            why: failure.in_full(),
        },
    }
}

/// Whether a run that has no journal left nothing else either.
fn has_done_nothing(dir: &RunDir) -> bool {
    let is_empty = |path: &Path| match std::fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    };
    ROOMS.iter().all(|room| is_empty(&dir.path().join(room)))
}

/// What is in the repository of a run's result, and of the changes that are not in it. Nobody can
/// merge what is gone.
fn holdings(repo: &Repo, run: &RunId, engine: &Engine) -> Vec<Holding> {
    let is_there = |commit: &CommitId| repo.tip(commit).is_ok();
    let landed =
        |status: &TaskStatus<'_>| status.landed.filter(|_| status.ejected.is_none()).is_some();
    let commits_of = |status: &TaskStatus<'_>| -> Vec<CommitId> {
        let both = status
            .change
            .map(|change| &change.tip)
            .into_iter()
            .chain(status.landed);
        both.map(|tip| tip.commit.clone()).collect()
    };
    if !engine
        .tasks()
        .flat_map(|status| commits_of(&status))
        .all(|commit| is_there(&commit))
    {
        // What cannot be brought back is gone.
        let _ = Anchor::new(repo, run).bring_back();
    }
    let content = |status: &TaskStatus<'_>| -> Option<Content> {
        let tip = &status.change?.tip;
        let before = repo.parents(&tip.commit).ok()?.into_iter().next()?;
        Some((repo.tip(&before).ok()?.tree, tip.tree.clone()))
    };
    let result = engine
        .landings()
        .last()
        .map(|(_, tip)| tip)
        .filter(|tip| is_there(&tip.commit));
    let mut found = Vec::new();
    if let Some(tip) = result {
        found.push(Holding {
            what: "its result".to_owned(),
            commits: vec![tip.commit.clone()],
            tree: Some(tip.tree.clone()),
            changes: engine
                .tasks()
                .filter(landed)
                .map(|status| content(&status))
                .collect(),
        });
    }
    for status in engine
        .tasks()
        .filter(|status| result.is_none() || !landed(status))
    {
        let commits: Vec<CommitId> = commits_of(&status).into_iter().filter(is_there).collect();
        if !commits.is_empty() {
            let changes = content(&status).map(|change| vec![change]);
            found.push(Holding {
                what: format!("the change of `{}`", status.id),
                commits,
                tree: None,
                changes,
            });
        }
    }
    found
}
