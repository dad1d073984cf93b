//! One comment, heard and answered: whether its author may, each command in turn, and one reply for
//! all.
//!
//! It refuses to answer our own comments, and to answer any comment twice.

use super::CommandFailure;
use super::desk::{Denied, Desk, GoverningPlan};
use super::event::CommentPlace;
use super::outputs::JobAnnotationLevel;
use super::plans::PlanUnavailable;
use crate::command::CommentRequest;
use crate::forge::Reaction;
use crate::id::RunId;
use crate::plan::Commands;
use crate::report::reply::{Reply, refuse};
use crate::request::Request;
use crate::text::ForgeKind;
use crate::trust::{self, Comment, PullRequest, Refusal};

/// A comment, and what is said back.
pub(super) struct Conversation<'d, 's> {
    pub(super) desk: &'d Desk<'s>,
    pub(super) comment: &'d Comment,
    /// The number of the issue or pull request.
    pub(super) issue: u64,
    /// The run that an earlier try of this job has accepted.
    pub(super) again: Option<RunId>,
    reply: Reply,
    accepted: Option<Reaction>,
    refused: Option<Reaction>,
}

impl<'d, 's> Conversation<'d, 's> {
    pub(super) fn new(desk: &'d Desk<'s>, comment: &'d Comment, issue: u64) -> Self {
        let login = comment.author.as_ref().map(|author| author.login.as_str());
        let reply = Reply::to(desk.forge.kind(), comment.id, login);
        Self {
            desk,
            comment,
            issue,
            again: None,
            reply,
            accepted: None,
            refused: None,
        }
    }

    /// Carries out what the comment asks for; the run that is to follow.
    pub(super) async fn hold(
        &mut self,
        asked: CommentRequest,
        place: CommentPlace,
    ) -> Result<Option<Request>, CommandFailure> {
        let held = self.commands(asked, place).await;
        if let Err(failure) = &held {
            let why = self.desk.scrubbed(&failure.in_full());
            self.refuse(refuse::could_not("finish this", &why));
        }
        held
    }

    async fn commands(
        &mut self,
        asked: CommentRequest,
        place: CommentPlace,
    ) -> Result<Option<Request>, CommandFailure> {
        let Some(rules) = self.permitted().await? else {
            return Ok(None);
        };
        match place {
            CommentPlace::PullRequest => {}
            CommentPlace::Issue => {
                self.refused_for(&Refusal::NotAPullRequest);
                return Ok(None);
            }
        }
        let pull: PullRequest = self.desk.forge.pull_request(self.issue).await?;
        if !asked.malformed.is_empty() {
            self.refuse(refuse::malformed(self.reply.forge(), &asked.malformed));
        }
        for command in &asked.first {
            self.answer(command, &pull, &rules).await?;
        }
        match asked.work {
            Some(work) => self.start(&work, &pull, &rules).await,
            None => Ok(None),
        }
    }

    /// The repository's rules, where they are there and let the author give commands.
    async fn permitted(&mut self) -> Result<Option<GoverningPlan>, CommandFailure> {
        if let Err(refusal) = trust::unedited(self.comment) {
            self.refused_for(&refusal);
            return Ok(None);
        }
        let rules = self.desk.rules().await?;
        // Without rules nobody is told who may; then the usual ones decide who is told that they
        // are missing.
        let usual = Commands::default();
        let commands = rules
            .as_ref()
            .map_or(&usual, |rules| &rules.found.plan.commands);
        match (
            self.desk.may(commands, self.comment.author.as_ref()).await,
            rules,
        ) {
            (Ok(()), Ok(rules)) => Ok(Some(rules)),
            (Ok(()), Err(trouble)) => {
                self.refused_by_plan(&trouble, "default branch");
                Ok(None)
            }
            (Err(Denied::Refused(refusal)), _) => {
                self.refused_for(&refusal);
                Ok(None)
            }
            (Err(Denied::Unknown { login, error }), _) => {
                let why = self.desk.scrubbed(&format!("failed to {error}"));
                self.refuse(refuse::could_not(
                    &format!("ask the forge what {login} may do here"),
                    &why,
                ));
                Ok(None)
            }
        }
    }

    /// Something was done, and is told.
    pub(super) fn say(&mut self, part: String) {
        self.accepted = Some(Reaction::Eyes);
        self.reply.say(part);
    }

    /// Something is added to what is told.
    pub(super) fn add(&mut self, part: String) {
        self.reply.say(part);
    }

    /// A run will follow; the comment of its own tells of it.
    pub(super) fn accept(&mut self) {
        self.accepted = Some(Reaction::Eyes);
    }

    /// Something was not done, and is told.
    pub(super) fn refuse(&mut self, part: String) {
        self.refused = Some(Reaction::Confused);
        self.reply.say(part);
    }

    pub(super) fn refused_for(&mut self, refusal: &Refusal) {
        self.desk.log().say(
            JobAnnotationLevel::Notice,
            &format!("nothing is done: {}", refusal.words(self.reply.forge())),
        );
        if !refusal.is_silent() {
            self.refuse(refuse::refused(self.reply.forge(), refusal));
        }
    }

    /// `whose` is the kind of branch: `default branch`.
    pub(super) fn refused_by_plan(&mut self, trouble: &PlanUnavailable, whose: &str) {
        self.refuse(match trouble {
            PlanUnavailable::Absent { path, branch } => {
                refuse::no_plan(self.reply.forge(), path, &format!("the {whose} {branch}"))
            }
            PlanUnavailable::Wrong { branch, complaints } => {
                refuse::plan_mistakes(complaints, &format!("the {whose} {branch}"))
            }
        });
    }

    /// Says everything back.
    pub(super) async fn close(self) {
        // GitLab's comments were marked before anything was done.
        let accepted = self
            .accepted
            .filter(|_| self.desk.forge.kind() == ForgeKind::GitHub);
        for reaction in [accepted, self.refused].into_iter().flatten() {
            self.desk.react(self.issue, self.comment.id, reaction).await;
        }
        self.desk
            .reply(self.issue, self.comment.id, &self.reply)
            .await;
    }
}
