//! The forge, as a decision needs it: who we are, whose repository it is, what its rules are, who
//! may do what; and how people are answered.
//!
//! What is read and fails, fails the job; what is written and fails is warned of, as nobody's run
//! is to be lost for want of an answer. It refuses to write anything in a dry run: it says in the
//! log what it would have written.

use tokio::sync::OnceCell;

use super::outputs::{JobAnnotationLevel, Outputs};
use super::plans::{CommitSource, CommittedPlan, PlanUnavailable, Plans};
use super::runner::ForgeAccess;
use super::{CommandFailure, FailureKind, JobStep};
use crate::clock::Clock;
use crate::exec::secret::Secret;
use crate::forge::{CheckState, CheckWanted, Forge, ForgeError, GitLab, Reaction, Repository};
use crate::git::Remote;
use crate::id::CommitId;
use crate::plan::Commands;
use crate::report::check::CheckText;
use crate::report::reply::{Reply, reply_marker};
use crate::report::{check, sticky};
use crate::request::{ExternalId, Request};
use crate::text::{ForgeKind, Scrubber};
use crate::trust::{self, Account, Refusal};

/// What every decision needs.
pub(super) struct Desk<'s> {
    pub(super) step: &'s JobStep,
    pub(super) forge: Forge,
    /// Who the token is.
    pub(super) me: Account,
    pub(super) repository: Repository,
    pub(super) clock: Clock,
    /// Whether a job of this pipeline was tried again; asked for once.
    retried: OnceCell<bool>,
    access: ForgeAccess,
    scrubber: Scrubber,
}

/// The repository's own plan: what governs every run.
#[derive(Debug, Clone)]
pub(super) struct GoverningPlan {
    /// The default branch's tip.
    pub(super) tip: CommitId,
    /// The plan there.
    pub(super) found: CommittedPlan,
}

/// Why somebody's word does not count.
#[derive(Debug, Clone)]
pub(super) enum Denied {
    /// It must not.
    Refused(Refusal),
    /// Nobody could say whether it may.
    Unknown {
        /// Who.
        login: String,
        /// Why not.
        error: ForgeError,
    },
}

impl<'s> Desk<'s> {
    /// Asks the forge who we are and where.
    pub(super) async fn open(step: &'s JobStep) -> Result<Self, CommandFailure> {
        let access = step.runner.access().await?;
        let forge = access.forge.clone();
        let scrubber = Scrubber::new(
            step.runner
                .secrets
                .values()
                .chain([&access.token])
                .map(Secret::expose),
        );
        let me = forge.me().await?;
        let repository = forge.repository().await?;
        Ok(Self {
            step,
            forge,
            me,
            repository,
            clock: Clock::start(),
            retried: OnceCell::new(),
            access,
            scrubber,
        })
    }

    pub(super) fn log(&self) -> &Outputs {
        &self.step.outputs
    }

    pub(super) fn plans(&self) -> Plans<'_> {
        Plans::new(
            CommitSource::Api(&self.forge),
            &self.step.runner.inputs.plan,
            &self.step.runner.repository,
        )
    }

    /// The plan on the default branch, as it is now.
    pub(super) async fn rules(
        &self,
    ) -> Result<Result<GoverningPlan, PlanUnavailable>, CommandFailure> {
        let branch = &self.repository.default_branch;
        let tip = self.forge.branch(branch).await?;
        let tip = tip.ok_or_else(|| {
            CommandFailure::new(
                FailureKind::Blocked,
                "the repository has no commit on its default branch",
            )
        })?;
        let found = self.plans().at(branch, &tip.commit).await?;
        Ok(found.map(|found| GoverningPlan {
            tip: tip.commit,
            found,
        }))
    }

    /// Whether somebody may give commands, as of now.
    pub(super) async fn may(
        &self,
        commands: &Commands,
        author: Option<&Account>,
    ) -> Result<(), Denied> {
        // Most of it needs no question, and bots cannot be asked about.
        match (trust::may(commands, author, &self.me, None), author) {
            (Ok(()), _) => return Ok(()),
            (Err(Refusal::Permission { .. }), Some(author)) => {
                match self.forge.permission(author).await {
                    Ok(answer) => trust::may(commands, Some(author), &self.me, answer.as_ref()),
                    Err(error) => {
                        return Err(Denied::Unknown {
                            login: author.login.clone(),
                            error,
                        });
                    }
                }
            }
            (Err(refusal), _) => Err(refusal),
        }
        .map_err(Denied::Refused)
    }

    /// An error in words that may be shown.
    pub(super) fn scrubbed(&self, error: &impl std::fmt::Display) -> String {
        self.scrubber.scrub(&error.to_string())
    }

    /// What was written, or `None` and a warning.
    pub(super) fn told<T>(&self, written: Result<T, ForgeError>) -> Option<T> {
        written
            .map_err(|error| {
                self.log().say(
                    JobAnnotationLevel::Warning,
                    &format!("omk could not {}", self.scrubbed(&error)),
                )
            })
            .ok()
    }

    /// Whether a job of this pipeline was tried again.
    pub(super) async fn was_retried(&self, forge: &GitLab) -> Result<bool, ForgeError> {
        self.retried
            .get_or_try_init(|| forge.was_retried(self.step.runner.workflow.id))
            .await
            .copied()
    }

    /// The repository, for git.
    pub(super) fn remote(&self) -> Result<Remote, CommandFailure> {
        self.step.remote(&self.access)
    }

    /// A directory that is gone when it is dropped.
    pub(super) fn scratch(&self) -> Result<tempfile::TempDir, CommandFailure> {
        self.step.scratch()
    }

    pub(super) fn is_dry(&self) -> bool {
        self.step.runner.inputs.dry_run
    }

    /// Answers a comment, once: a repeat changes the first answer.
    pub(super) async fn reply(&self, issue: u64, comment: u64, reply: &Reply) {
        if reply.is_empty() {
            return;
        }
        let body = self.scrubber.scrub(&reply.render());
        if self.is_dry() {
            self.log().group(
                &format!("dry run: the reply on {}", self.forge.kind().pull(issue)),
                &body,
            );
            return;
        }
        self.told(
            self.forge
                .put_comment(issue, &self.me, &reply_marker(comment), &body)
                .await,
        );
    }

    pub(super) async fn react(&self, issue: u64, comment: u64, reaction: Reaction) {
        if !self.is_dry() {
            self.told(self.forge.react(issue, comment, reaction).await);
        }
    }

    /// Opens the check of a run on its base; its number. Where the token may not, a commit status
    /// takes its place.
    pub(super) async fn open_check(&self, request: &Request) -> Option<u64> {
        let text = check::opened(request);
        let wanted = self.check(
            text,
            &request.base,
            ExternalId::from(request).to_string(),
            CheckState::InProgress,
        );
        self.put_check(&wanted).await
    }

    /// A check of ours that begins now.
    pub(super) fn check(
        &self,
        text: CheckText,
        commit: &CommitId,
        external_id: String,
        state: CheckState,
    ) -> CheckWanted {
        let now = self.clock.now();
        CheckWanted {
            name: text.name,
            commit: commit.clone(),
            external_id,
            state,
            started: now,
            completed: match state {
                CheckState::InProgress => None,
                CheckState::Completed(_) => Some(now),
            },
            title: self.scrubber.scrub(&text.title),
            summary: self.scrubber.scrub(&text.summary),
            text: self.scrubber.scrub(&text.text),
            annotations: Vec::new(),
            details_url: Some(self.step.runner.workflow.url.clone()),
        }
    }

    /// Writes a check, or where the token may not, a commit status; the check's number.
    pub(super) async fn put_check(&self, wanted: &CheckWanted) -> Option<u64> {
        if self.is_dry() {
            self.log().group(
                &format!(
                    "dry run: the {} `{}`: {}",
                    self.forge.kind().check(),
                    wanted.name,
                    wanted.title
                ),
                &wanted.summary,
            );
            return None;
        }
        match self.forge.put_check(wanted, None).await {
            Err(ForgeError::Forbidden { .. }) if self.forge.kind() == ForgeKind::GitHub => {
                self.log().say(
                    JobAnnotationLevel::Warning,
                    "this token may not write checks, which only Apps can: use `github.token` with `checks: write`, or \
                     `app-id` and `app-private-key`; a commit status takes the check's place",
                );
                let url = wanted.details_url.as_deref();
                let put = self.forge.put_status(
                    &wanted.commit,
                    &wanted.name,
                    wanted.state,
                    &wanted.title,
                    url,
                );
                self.told(put.await);
                None
            }
            other => self.told(other).map(|check| check.id),
        }
    }

    /// Says at the pull request that a run is accepted.
    pub(super) async fn accept(&self, request: &Request) {
        let Some(pull) = &request.pull else { return };
        let body = self.scrubber.scrub(&sticky::accepted(request));
        if self.is_dry() {
            self.log().group(
                &format!(
                    "dry run: the comment on {}",
                    request.forge.pull(pull.number)
                ),
                &body,
            );
            return;
        }
        let marker = sticky::marker(&request.scope);
        self.told(
            self.forge
                .put_comment(pull.number, &self.me, &marker, &body)
                .await,
        );
    }
}
