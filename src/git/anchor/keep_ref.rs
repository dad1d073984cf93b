//! The ref of a run, which keeps its commits from being cleaned up.
//!
//! It refuses to point to a commit without keeping those that the ref kept before, unless it is
//! asked to.

use git2::{ErrorClass, ErrorCode, Oid, Repository};

use super::Anchor;
use crate::git::error::GitError;
use crate::git::locked::unless_locked;
use crate::git::lookup::commit_at;
use crate::git::loose::link;
use crate::git::merge::signature;
use crate::id::Moment;

/// How often work on objects is done over if objects vanish meanwhile. Each `git prune` beside it
/// can spoil one try; so many in a row are no accident.
pub(super) const TRIES: usize = 5;

impl Anchor {
    /// Whether a run is under way here: a judge keeps nothing, and mends nothing.
    pub(super) fn is_in_use(&self) -> bool {
        !self.kept().is_empty()
    }

    pub(super) fn name(&self) -> String {
        format!("refs/omk/keep/{}", self.run)
    }

    pub(super) fn tip(&self, repo: &Repository) -> Result<Option<Oid>, GitError> {
        match repo.find_reference(&self.name()) {
            Ok(found) => {
                let there = |oid: &Oid| {
                    let _ = link(&self.second(*oid), &self.loose(*oid));
                    commit_at(repo, *oid).is_ok()
                };
                Ok(found.target().filter(there))
            }
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            // A power cut may have left it empty. What it held is held again by whoever takes the
            // run up.
            Err(error) if error.class() == ErrorClass::Reference => Ok(None),
            Err(error) => Err(GitError::lib(format!("read `{}`", self.name()))(error)),
        }
    }

    /// Points the ref to a new commit on top of these, which is as much in danger as they are.
    pub(super) fn point_to(&self, parents: &[Oid], when: Moment) -> Result<(), GitError> {
        let mut left = TRIES;
        loop {
            left -= 1;
            match self
                .repo
                .with(|repo| self.try_to_point(repo, parents, when))
            {
                Err(error) if left > 0 && !matches!(error, GitError::Stopped) => {
                    self.bring_back()?
                }
                done => return done,
            }
        }
    }

    fn try_to_point(
        &self,
        repo: &Repository,
        parents: &[Oid],
        when: Moment,
    ) -> Result<(), GitError> {
        let parents = parents
            .iter()
            .map(|oid| commit_at(repo, *oid))
            .collect::<Result<Vec<_>, _>>()?;
        let write = || {
            let nothing = repo.find_tree(repo.treebuilder(None)?.write()?)?;
            let by = signature(when.as_millis().div_euclid(1000))?;
            let message = format!("omk: what run {} needs\n", self.run);
            repo.commit(
                None,
                &by,
                &by,
                &message,
                &nothing,
                &parents.iter().collect::<Vec<_>>(),
            )
            .map(|top| [top, nothing.id()])
        };
        let what = || GitError::lib(format!("keep what run {} needs", self.run));
        let made = write().map_err(what())?;
        self.name_twice(&made)?;
        unless_locked(|| repo.reference(&self.name(), made[0], true, "").map(drop))
            .map_err(what())?;
        self.check(&made)
    }
}
