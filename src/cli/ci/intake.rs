//! The intake job: who asks for what, on which commit, with which plan; and whether that is to be.
//!
//! Everything is asked of the forge anew, and what is not known is refused with a reason, which is
//! no failure of the job. It refuses to run anything: it has no agent, no key, and no checkout.

use super::conversation::Conversation;
use super::desk::{Desk, GoverningPlan};
use super::event::{self, CommentPlace, ForgeEvent};
use super::outputs::JobAnnotationLevel;
use super::poll::NoteTurn;
use super::{CommandFailure, FailureKind, JobStep, closed, plan_check, plans, poll};
use crate::cli::run::unknown_task;
use crate::command;
use crate::fact::Trigger;
use crate::id::{CommitId, RunId, Scope, TaskId};
use crate::plan;
use crate::request::{self, Ask, Request};
use crate::trust::Comment;

/// What an intake job comes to.
#[derive(Debug)]
pub(in crate::cli) enum Decision {
    /// A run is to follow.
    Run(Box<Request>),
    /// There is nothing more to do; the exit code of the job.
    Done(u8),
}

/// The intake job as a job of its own.
pub(super) fn intake(step: &JobStep) -> Result<u8, CommandFailure> {
    let decision = decide(step)?;
    announce(step, &decision)?;
    match decision {
        Decision::Run(_) => Ok(0),
        Decision::Done(code) => Ok(code),
    }
}

/// Decides about the event, and says so to whoever asked.
///
/// # Errors
/// Where the event cannot be read, the forge does not answer, or a maintenance run has no plan to
/// go by. A refusal is no error.
pub(in crate::cli) fn decide(step: &JobStep) -> Result<Decision, CommandFailure> {
    let request = match event::read(&step.runner)? {
        ForgeEvent::Commented {
            comment,
            issue,
            place,
        } => step.wait(commented(step, comment, issue, place))?,
        ForgeEvent::Due => step.wait(maintenance(step, plan::Event::Schedule, "schedule", &[]))?,
        ForgeEvent::Dispatched { actor, tasks } => {
            step.wait(maintenance(step, plan::Event::Dispatch, &actor, &tasks))?
        }
        ForgeEvent::Poll => step.wait(poll::poll(step))?,
        ForgeEvent::Proposed(proposal) => {
            return step
                .wait(plan_check::check(step, &proposal))
                .map(Decision::Done);
        }
        ForgeEvent::Closed { pull } => {
            return step.wait(closed::clean(step, pull)).map(Decision::Done);
        }
        ForgeEvent::Ignored(why) => {
            step.outputs.say(JobAnnotationLevel::Notice, &why);
            None
        }
        ForgeEvent::Refused { why, next } => {
            return Err(CommandFailure::new(FailureKind::Usage, why).hint(next));
        }
    };
    Ok(request.map_or(Decision::Done(0), |request| {
        Decision::Run(Box::new(request))
    }))
}

/// Tells later jobs what was decided.
///
/// # Errors
/// Where the runner's file cannot be written.
pub(in crate::cli) fn announce(step: &JobStep, decision: &Decision) -> Result<(), CommandFailure> {
    let outputs = &step.outputs;
    let Decision::Run(request) = decision else {
        step.hand_request(None)?;
        return outputs.set("go", "false");
    };
    step.hand_request(Some(request))?;
    outputs.set("base", request.base.as_str())?;
    outputs.set("scope", request.scope.as_str())?;
    outputs.set("run-id", request.run.as_str())?;
    outputs.set("artifact", &super::run::artifact(request))?;
    outputs.set("go", "true")
}

async fn commented(
    step: &JobStep,
    comment: u64,
    issue: u64,
    place: CommentPlace,
) -> Result<Option<Request>, CommandFailure> {
    let desk = Desk::open(step).await?;
    let Some(comment) = desk.forge.comment(issue, comment).await? else {
        step.outputs.say(
            JobAnnotationLevel::Notice,
            "the comment is gone: nothing is done for it",
        );
        return Ok(None);
    };
    let asked = command::plan_of(command::read(&comment.body));
    if asked.is_empty() {
        step.outputs.say(
            JobAnnotationLevel::Notice,
            "the comment says nothing to omk",
        );
        return Ok(None);
    }
    let turn = poll::mark(&desk, issue, &comment, &asked).await?;
    if turn == NoteTurn::Nobodys {
        let what = "the comment is our own, or was answered already; what it asks for is done again for a new comment";
        step.outputs.say(JobAnnotationLevel::Notice, what);
    }
    answered(&desk, &comment, issue, asked, (place, turn)).await
}

/// Carries out what a comment asks for, and answers it; the run that is to follow.
pub(super) async fn answered(
    desk: &Desk<'_>,
    comment: &Comment,
    issue: u64,
    mut asked: command::CommentRequest,
    (place, turn): (CommentPlace, NoteTurn),
) -> Result<Option<Request>, CommandFailure> {
    let mut conversation = Conversation::new(desk, comment, issue);
    match turn {
        NoteTurn::Ours => {}
        NoteTurn::Nobodys => return Ok(None),
        NoteTurn::Again(run) => {
            desk.log().say(
                JobAnnotationLevel::Notice,
                &format!("an earlier try of this job has accepted run {run}: it goes on"),
            );
            // These were answered then.
            asked.first.clear();
            asked.malformed.clear();
            conversation.again = Some(run);
        }
    }
    let request = conversation.hold(asked, place).await;
    conversation.close().await;
    request
}

/// A run of the default branch, which nobody is answered about.
async fn maintenance(
    step: &JobStep,
    event: plan::Event,
    actor: &str,
    tasks: &[String],
) -> Result<Option<Request>, CommandFailure> {
    let desk = Desk::open(step).await?;
    let branch = &desk.repository.default_branch;
    if step
        .runner
        .ref_name
        .as_ref()
        .is_some_and(|name| name != branch)
    {
        step.outputs.say(
            JobAnnotationLevel::Notice,
            &format!("a maintenance run is of the default branch: {branch}"),
        );
    }
    let rules = desk
        .rules()
        .await?
        .map_err(|trouble| trouble.failure(desk.forge.kind()))?;
    plans::for_maintenance(&rules.found, branch)
        .map_err(|trouble| trouble.failure(desk.forge.kind()))?;
    let tasks = known_tasks(tasks, &rules.found.plan)?;
    let request = RunDraft {
        scope: Scope::from(rules.found.plan.name.clone()),
        trigger: Trigger {
            event,
            actor: actor.to_owned(),
            comment: None,
        },
        ask: Ask::Run { tasks },
        base: rules.tip.clone(),
        pull: None,
        plan: rules.found.source.clone(),
        approved_by: None,
        comment: None,
        previous: None,
        run: None,
    };
    Ok(Some(request.accept(&desk, &rules).await))
}

fn known_tasks(names: &[String], plan: &plan::Plan) -> Result<Vec<TaskId>, CommandFailure> {
    let known = |name: &String| {
        plan.tasks
            .iter()
            .find(|task| task.id.as_str() == name)
            .map(|task| task.id.clone())
    };
    let mut tasks = Vec::new();
    for name in names {
        let task = known(name).ok_or_else(|| unknown_task(name, plan))?;
        if !tasks.contains(&task) {
            tasks.push(task);
        }
    }
    Ok(tasks)
}

/// A run that is to be, before it has a name and a check.
#[derive(Debug)]
pub(super) struct RunDraft {
    pub(super) scope: Scope,
    pub(super) trigger: Trigger,
    pub(super) ask: Ask,
    pub(super) base: CommitId,
    pub(super) pull: Option<request::PullScope>,
    pub(super) plan: crate::fact::PlanSource,
    pub(super) approved_by: Option<String>,
    pub(super) comment: Option<u64>,
    pub(super) previous: Option<request::Previous>,
    /// Its name, where it has one.
    pub(super) run: Option<RunId>,
}

impl RunDraft {
    /// Gives the run its name, and says at the forge that it will be.
    pub(super) async fn accept(self, desk: &Desk<'_>, rules: &GoverningPlan) -> Request {
        let runner = &desk.step.runner;
        let mut request = Request {
            version: request::VERSION,
            run: self
                .run
                .unwrap_or_else(|| super::super::run::new_run_id(desk.clock.now())),
            scope: self.scope,
            trigger: self.trigger,
            ask: self.ask,
            forge: desk.forge.kind(),
            repository: runner.repository.clone(),
            base: self.base,
            pull: self.pull,
            default_branch: desk.repository.default_branch.clone(),
            rules: rules.tip.clone(),
            plan: self.plan,
            approved_by: self.approved_by,
            comment: self.comment,
            check: None,
            workflow: runner.workflow.clone(),
            previous: self.previous,
            dry_run: runner.inputs.dry_run,
        };
        request.check = desk.open_check(&request).await;
        desk.accept(&request).await;
        desk.log().say(
            JobAnnotationLevel::Notice,
            &format!(
                "run {} of {} on {}",
                request.run, request.scope, request.base
            ),
        );
        request
    }
}
