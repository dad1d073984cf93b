//! Everything in one job: decide, run, deliver.
//!
//! The same steps as in the split, in one process: what judged is the machine that ran the agent,
//! and the proof says so. It refuses to let a run end without a word where people look, whatever
//! went wrong.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::super::session::FinishedRun;
use super::super::{CommandFailure, FailureKind, writing};
use super::one_job::OneJob;
use super::run::{TokenReach, carry_out, in_a_sentence, leave};
use super::{
    Decision, ForgeAccess, JobAnnotationLevel, JobStep, UploadInput, announce, decide, shown,
};
use crate::clock::Clock;
use crate::deliver::{self, Delivered, ForgeProgress, RunOutcome};
use crate::fact::RunVerdict;
use crate::id::TaskId;
use crate::proof::JudgedBy;
use crate::report::View;
use crate::report::sticky::{self, LostRun};
use crate::request::Request;
use crate::text::ForgeKind;

/// A runner that cancels a job gives it less than eight seconds; what is said by then is said.
const LAST_WORDS: Duration = Duration::from_millis(4_500);

/// The whole of it, for an event that may lead to a run.
pub(super) fn whole(step: &JobStep) -> Result<u8, CommandFailure> {
    let decision = decide(step)?;
    announce(step, &decision)?;
    let request = match decision {
        Decision::Done(code) => return Ok(code),
        Decision::Run(request) => *request,
    };
    let access = step.wait(step.runner.access())?;
    let one_job = if step.runner.inputs.unsafe_one_job {
        OneJob::Unsafe
    } else {
        OneJob::Confined
    };
    let (follower, following) = follow(step, &access, &request).unzip();
    let ended = carry_out(
        step,
        &access,
        &request,
        TokenReach::Writing(one_job, follower),
    );
    // What it was about to say is not to come after what is said now.
    if let Some(following) = following {
        following.abort();
    }
    // An App's token is good for an hour, and the run may have taken longer.
    let access = step.wait(step.runner.access()).unwrap_or(access);
    match ended {
        Ok(over) => {
            // A disk that has no room for the state is no reason not to deliver.
            let left = leave(step, &access, &request, &over);
            let published = publish(step, &access, &request, &over).inspect_err(|failure| {
                let lost = LostRun::Unpublished(in_a_sentence(step, failure), whose_turn(failure));
                lose(step, &access, &request, &lost);
            });
            left.and(published)
        }
        Err(failure) => {
            let why = in_a_sentence(step, &failure);
            lose(
                step,
                &access,
                &request,
                &LostRun::NotStarted {
                    why,
                    verdict: whose_turn(&failure),
                },
            );
            Err(failure)
        }
    }
}

/// What a run is called that could not start, or whose result could not be published.
pub(super) fn whose_turn(failure: &CommandFailure) -> RunVerdict {
    match failure.kind {
        FailureKind::Usage | FailureKind::NotReady => RunVerdict::NotReady,
        FailureKind::Blocked => RunVerdict::BlockedOnExternal,
        FailureKind::Infra => RunVerdict::FailedInfra,
    }
}

fn lose(step: &JobStep, access: &ForgeAccess, request: &Request, lost: &LostRun) {
    tell(
        step,
        &step.wait(deliver::tell_lost(
            &access.forge,
            request,
            lost,
            Clock::start().now(),
        )),
    );
    step.outputs.summarise(&sticky::lost(request, lost));
}

/// Edits the sticky comment while the run goes on, beside it. Not at GitLab, where each edit would
/// call the webhook again.
fn follow(
    step: &JobStep,
    access: &ForgeAccess,
    request: &Request,
) -> Option<(watch::Sender<Option<View>>, AbortHandle)> {
    if step.runner.forge == ForgeKind::GitLab {
        return None;
    }
    let (sender, mut views) = watch::channel(None);
    let (forge, request, clock) = (access.forge.clone(), request.clone(), Clock::start());
    let following = step.spawn(async move {
        let Ok(me) = forge.me().await else { return };
        let mut progress = ForgeProgress::new(forge, request, me, clock.now());
        while views.changed().await.is_ok() {
            let view: Option<View> = views.borrow_and_update().clone();
            if let Some(view) = view.filter(|view| progress.is_due(view.count(), clock.now())) {
                // The next edit is tried in its time; a run does not end for want of one.
                let _ = progress.show(&view, clock.now()).await;
            }
        }
    });
    Some((sender, following))
}

/// Delivers what came of the run, and tells about it; the exit code.
fn publish(
    step: &JobStep,
    access: &ForgeAccess,
    request: &Request,
    over: &FinishedRun,
) -> Result<u8, CommandFailure> {
    let Some(outcome) = outcome(over)? else {
        return Ok(over.verdict.exit_code());
    };
    let remote = step.remote(access)?;
    let now = Clock::start().now();
    let delivering = deliver::deliver(
        &access.forge,
        &over.home.repo,
        &remote,
        over.engine.plan(),
        request,
        &outcome,
        now,
    );
    let last_words = async {
        if over.verdict != RunVerdict::Cancelled {
            interrupted().await;
        }
        tokio::time::sleep(LAST_WORDS).await;
    };
    let delivered = step.wait(async {
        tokio::select! {
            delivered = delivering => Some(delivered),
            () = last_words => None,
        }
    });
    if step.runner.inputs.upload == UploadInput::None {
        step.outputs.set("artifact", "")?;
    }
    let Some(delivered) = delivered else {
        step.outputs.say(
            JobAnnotationLevel::Warning,
            &format!(
                "ended before {} was told of it: what is there already stays, and the rest is missing",
                request.forge.name()
            ),
        );
        return Ok(RunVerdict::Cancelled.exit_code());
    };
    tell(step, &delivered);
    // It is delivered: a file that cannot be written does not undo that.
    if let Err(failure) = shown::show(step, &outcome.view) {
        step.outputs
            .say(JobAnnotationLevel::Warning, &failure.in_full());
    }
    Ok(if delivered.blocked {
        FailureKind::Blocked.exit_code()
    } else {
        over.verdict.exit_code()
    })
}

/// Until somebody wants the job to end; for ever where signals cannot be listened to.
async fn interrupted() {
    let listen = || {
        Ok::<_, std::io::Error>((
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        ))
    };
    let Ok((mut interrupt, mut terminate)) = listen() else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// What is delivered of a run of this process; `None` where it never began.
fn outcome(over: &FinishedRun) -> Result<Option<RunOutcome>, CommandFailure> {
    let Some(view) = over.view() else {
        return Ok(None);
    };
    let landings = over
        .engine
        .landings()
        .filter_map(|(task, _)| over.engine.task(task));
    let tasks = landings
        .filter_map(|status| Some((TaskId::clone(status.id), status.change?.tip.commit.clone())));
    let mut proofs = Vec::new();
    for path in writing::proofs(&over.run_dir) {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let bytes = over
            .run_dir
            .read(&format!("proofs/{name}"))
            .map_err(super::super::store)?;
        proofs.push((name, bytes));
    }
    Ok(Some(RunOutcome {
        verdict: over.verdict,
        result: view.result.clone(),
        view,
        tasks: tasks.collect(),
        proofs,
        judged_by: JudgedBy::SameJob,
    }))
}

/// What became of the delivery, in the log, the summary and the outputs.
pub(super) fn tell(step: &JobStep, delivered: &Delivered) {
    for line in delivered.lines() {
        step.terminal.print(&format!(
            "{}\n",
            crate::text::neutralise_workflow_commands(&line)
        ));
    }
    for trouble in &delivered.troubles {
        step.outputs.say(JobAnnotationLevel::Warning, trouble);
    }
    if let Some((number, _)) = delivered.pulls.first()
        && let Err(failure) = step.outputs.set("pull-request", &number.to_string())
    {
        step.outputs
            .say(JobAnnotationLevel::Warning, &failure.in_full());
    }
}
