//! Changing the refs of a remote: all or none, each only from where it was expected.
//!
//! It refuses to push again what may have been pushed already before it has looked.

use super::{Remote, WAITS, check_name};
use crate::git::answer::{self, PushRejection};
use crate::git::binary::Git;
use crate::git::error::GitError;
use crate::git::repo::Repo;
use crate::id::CommitId;

/// A ref of a remote that is to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefUpdate {
    /// Its full name: `refs/heads/omk/run/pr-12`.
    pub name: String,
    /// Where it is to be; `None` = nowhere, it is deleted.
    pub to: Option<CommitId>,
    /// Where it must be until then; `None` = nowhere, it must not exist.
    pub expected: Option<CommitId>,
}

impl Repo {
    /// Changes refs of a remote, all or none, each only from where it was expected. What is there
    /// already is fine, so that it can be repeated. After a failure that leaves open whether it
    /// was done, it looks first, and tries again where it was not.
    ///
    /// # Errors
    /// [`GitError::RemoteMoved`] where a ref is elsewhere, [`GitError::RemoteRefused`] where the
    /// remote does not want it changed, and as [`Repo::ls_remote`]. Nothing was changed then;
    /// after [`GitError::RemoteUnavailable`] that is not known.
    pub fn push(&self, remote: &Remote, updates: &[RefUpdate]) -> Result<(), GitError> {
        // What is to be nowhere, and must be nowhere already, git has no words for.
        let updates: Vec<&RefUpdate> = updates
            .iter()
            .filter(|update| update.to.is_some() || update.expected.is_some())
            .collect();
        for update in &updates {
            check_name(&update.name)?;
        }
        if updates.is_empty() {
            return Ok(());
        }
        let mut waits = WAITS.into_iter();
        loop {
            let error = match self.push_once(remote, &updates) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let open = matches!(error, GitError::RemoteUnavailable { .. });
            if !open
                && !matches!(
                    error,
                    GitError::RemoteMoved { .. } | GitError::Binary { .. }
                )
            {
                return Err(error);
            }
            match self.is_done(remote, &updates) {
                Ok(true) => return Ok(()),
                Ok(false) | Err(GitError::RemoteUnavailable { .. }) => {}
                Err(other) => return Err(if open { other } else { error }),
            }
            let Some(wait) = waits.next().filter(|_| open) else {
                return Err(error);
            };
            std::thread::sleep(wait);
        }
    }

    fn push_once(&self, remote: &Remote, updates: &[&RefUpdate]) -> Result<(), GitError> {
        let what = "push";
        let lease = |update: &&RefUpdate| {
            let expected = update.expected.as_ref().map_or("", CommitId::as_str);
            format!("--force-with-lease={}:{expected}", update.name)
        };
        let refspec = |update: &&RefUpdate| {
            let to = update.to.as_ref().map_or("", CommitId::as_str);
            format!("{to}:{}", update.name)
        };
        let git = Git::bare(self, what, "push").args(["--porcelain", "--atomic", "--no-verify"]);
        let git = git
            .args(updates.iter().map(lease))
            .args(["--", remote.url()])
            .args(updates.iter().map(refspec));
        let heard = remote.call(git)?;
        if heard.succeeded() {
            return Ok(());
        }
        match answer::refused(&heard) {
            Some(PushRejection::Moved { name }) => Err(self.moved(remote, updates, name)),
            Some(PushRejection::Refused { name, why, said }) => Err(GitError::RemoteRefused {
                remote: remote.url().to_owned(),
                name,
                why,
                said,
            }),
            None => Err(remote.trouble(what, &heard)),
        }
    }

    /// Whether every ref is where it is to be; an error where one is neither there nor where it was
    /// expected.
    fn is_done(&self, remote: &Remote, updates: &[&RefUpdate]) -> Result<bool, GitError> {
        let names: Vec<&str> = updates.iter().map(|update| update.name.as_str()).collect();
        let refs = self.look(remote, &names)?;
        let now = |name: &str| {
            refs.iter()
                .find(|(found, _)| found == name)
                .map(|(_, id)| id)
        };
        if updates
            .iter()
            .all(|update| now(&update.name) == update.to.as_ref())
        {
            return Ok(true);
        }
        match updates
            .iter()
            .find(|update| now(&update.name) != update.expected.as_ref())
        {
            Some(update) => Err(moved(remote, update, now(&update.name))),
            None => Ok(false),
        }
    }

    /// The words for a ref that was moved. Where it is now is looked up, if the remote says it.
    fn moved(&self, remote: &Remote, updates: &[&RefUpdate], name: String) -> GitError {
        let now = self.remote_ref(remote, &name).ok().flatten();
        match updates.iter().find(|update| update.name == name) {
            Some(update) => moved(remote, update, now.as_ref()),
            None => moved(
                remote,
                &RefUpdate {
                    name,
                    to: None,
                    expected: None,
                },
                now.as_ref(),
            ),
        }
    }
}

fn moved(remote: &Remote, update: &RefUpdate, now: Option<&CommitId>) -> GitError {
    GitError::RemoteMoved {
        remote: remote.url().to_owned(),
        name: update.name.clone(),
        expected: update.expected.clone(),
        now: now.cloned(),
    }
}
