//! A repository at whichever forge it is at: the verbs that all of omk's behaviour is written in.
//!
//! Each verb is the same question or the same change at both. It refuses to know how either forge
//! does it.

use std::path::Path;

use super::{
    Check, CheckState, CheckWanted, Comparison, ForgeError, GitHub, GitLab, Issue, PullWanted,
    Reaction, Repository, WorkflowRun,
};
use crate::id::{CommitId, Scope, Sha256};
use crate::text::ForgeKind;
use crate::trust::{Account, Comment, ForgeBranch, PermissionAnswer, PullRequest, Push};

/// A repository at a forge. Copies share the space between writes, their number, and who they are.
///
/// Every verb fails with a [`ForgeError`] where the forge does not answer, or says no.
#[derive(Debug, Clone)]
pub enum Forge {
    /// At GitHub.
    GitHub(GitHub),
    /// At GitLab.
    GitLab(GitLab),
}

/// Hands a verb on to the forge that it is.
macro_rules! hand_on {
    ($this:expr, $forge:ident => $call:expr) => {
        match $this {
            Forge::GitHub($forge) => $call.await,
            Forge::GitLab($forge) => $call.await,
        }
    };
}

#[expect(
    clippy::missing_errors_doc,
    reason = "they all fail in the same ways, which the type says"
)]
impl Forge {
    /// Which forge it is.
    #[must_use]
    pub fn kind(&self) -> ForgeKind {
        match self {
            Self::GitHub(_) => ForgeKind::GitHub,
            Self::GitLab(_) => ForgeKind::GitLab,
        }
    }

    /// The scope of the pull request of that number: `pr-12`, `mr-12`.
    #[must_use]
    pub fn scope_of(&self, pull: u64) -> Scope {
        let prefix = self.kind().scope_prefix();
        format!("{prefix}{pull}")
            .parse()
            .expect("a short prefix and a number of at most 20 digits is a scope")
    }

    /// Requests that were sent to change something, so far, by this client and its clones.
    #[must_use]
    pub fn writes(&self) -> usize {
        match self {
            Self::GitHub(forge) => forge.writes(),
            Self::GitLab(forge) => forge.writes(),
        }
    }

    /// Who the token is; asked for once.
    pub async fn me(&self) -> Result<Account, ForgeError> {
        hand_on!(self, forge => forge.me())
    }

    /// What somebody may do here. `None` where the forge does not know them.
    pub async fn permission(
        &self,
        account: &Account,
    ) -> Result<Option<PermissionAnswer>, ForgeError> {
        match self {
            Self::GitHub(forge) => forge.permission(&account.login).await,
            Self::GitLab(forge) => forge.permission(account.id).await,
        }
    }

    /// The repository.
    pub async fn repository(&self) -> Result<Repository, ForgeError> {
        hand_on!(self, forge => forge.repository())
    }

    /// A branch; `None` where there is none of that name.
    pub async fn branch(&self, name: &str) -> Result<Option<ForgeBranch>, ForgeError> {
        hand_on!(self, forge => forge.branch(name))
    }

    /// The forge's own records of pushes to a pull request's head, newest first.
    pub async fn pushes(&self, pull: &PullRequest) -> Result<Vec<Push>, ForgeError> {
        match self {
            Self::GitHub(forge) => forge.pushes(&pull.head.branch).await,
            Self::GitLab(forge) => forge.pushes(pull.number).await,
        }
    }

    /// What differs between two commits.
    pub async fn compare(
        &self,
        base: &CommitId,
        head: &CommitId,
    ) -> Result<Comparison, ForgeError> {
        hand_on!(self, forge => forge.compare(base, head))
    }

    /// A file's bytes at a commit; `None` where there is none.
    pub async fn file(&self, path: &str, commit: &CommitId) -> Result<Option<Vec<u8>>, ForgeError> {
        hand_on!(self, forge => forge.file(path, commit))
    }

    /// A comment on a pull request or, at GitHub, an issue; `None` where it is gone, or was written
    /// by the forge itself.
    pub async fn comment(&self, issue: u64, comment: u64) -> Result<Option<Comment>, ForgeError> {
        match self {
            Self::GitHub(forge) => forge.comment(comment).await,
            Self::GitLab(forge) => forge.comment(issue, comment).await,
        }
    }

    /// All comments of a pull request or, at GitHub, an issue, oldest first.
    pub async fn comments(&self, issue: u64) -> Result<Vec<Comment>, ForgeError> {
        hand_on!(self, forge => forge.comments(issue))
    }

    /// Writes a comment, or edits the one that is ours by author and marker.
    pub async fn put_comment(
        &self,
        issue: u64,
        me: &Account,
        marker: &str,
        body: &str,
    ) -> Result<Comment, ForgeError> {
        hand_on!(self, forge => forge.put_comment(issue, me, marker, body))
    }

    /// Reacts to a comment, once.
    pub async fn react(
        &self,
        issue: u64,
        comment: u64,
        reaction: Reaction,
    ) -> Result<(), ForgeError> {
        match self {
            Self::GitHub(forge) => forge.react(comment, reaction).await,
            Self::GitLab(forge) => forge.react(issue, comment, reaction).await,
        }
    }

    /// A pull request.
    pub async fn pull_request(&self, number: u64) -> Result<PullRequest, ForgeError> {
        hand_on!(self, forge => forge.pull_request(number))
    }

    /// The pull requests from a branch of this repository, newest first, whether they are open or
    /// not.
    pub async fn pull_requests_from(&self, branch: &str) -> Result<Vec<PullRequest>, ForgeError> {
        hand_on!(self, forge => forge.pull_requests_from(branch))
    }

    /// Opens a pull request, or changes the texts of the open one with that head and base.
    pub async fn put_pull_request(&self, wanted: &PullWanted) -> Result<PullRequest, ForgeError> {
        hand_on!(self, forge => forge.put_pull_request(wanted))
    }

    /// The open issue that is ours by author and marker.
    pub async fn issue(&self, me: &Account, marker: &str) -> Result<Option<Issue>, ForgeError> {
        hand_on!(self, forge => forge.issue(me, marker))
    }

    /// Opens an issue, or edits the one that is ours by author and marker.
    pub async fn put_issue(
        &self,
        me: &Account,
        marker: &str,
        title: &str,
        body: &str,
    ) -> Result<Issue, ForgeError> {
        hand_on!(self, forge => forge.put_issue(me, marker, title, body))
    }

    /// Writes a check; at GitLab a commit status, which has only a name, a state, a line and an
    /// address.
    pub async fn put_check(
        &self,
        wanted: &CheckWanted,
        known: Option<u64>,
    ) -> Result<Check, ForgeError> {
        hand_on!(self, forge => forge.put_check(wanted, known))
    }

    /// The checks of that name at a commit, also those that newer ones took the place of.
    pub async fn all_checks(
        &self,
        commit: &CommitId,
        name: &str,
    ) -> Result<Vec<Check>, ForgeError> {
        hand_on!(self, forge => forge.all_checks(commit, name))
    }

    /// A commit status, where checks are refused.
    pub async fn put_status(
        &self,
        commit: &CommitId,
        context: &str,
        state: CheckState,
        description: &str,
        url: Option<&str>,
    ) -> Result<(), ForgeError> {
        hand_on!(self, forge => forge.put_status(commit, context, state, description, url))
    }

    /// A workflow run, or a pipeline; `None` where there is none of that number.
    pub async fn workflow_run(&self, id: u64) -> Result<Option<WorkflowRun>, ForgeError> {
        hand_on!(self, forge => forge.workflow_run(id))
    }

    /// Ends a workflow run, or a pipeline.
    pub async fn cancel_workflow_run(&self, id: u64) -> Result<(), ForgeError> {
        hand_on!(self, forge => forge.cancel_workflow_run(id))
    }

    /// What a workflow run or, at GitLab, a job left, as a zip file of at most `most` bytes; its
    /// digest.
    pub async fn download_artifact(
        &self,
        id: u64,
        most: u64,
        to: &Path,
    ) -> Result<Sha256, ForgeError> {
        hand_on!(self, forge => forge.download_artifact(id, most, to))
    }
}
