//! The stage that publishes: it holds the run's bundle against what the intake and judge jobs said,
//! and delivers what is left of it.
//!
//! It refuses to believe the bundle, to run anything of it, and to end without a word where people
//! look.

use std::sync::Arc;

use super::super::CommandFailure;
use super::super::publish::{MissingRun, Publication, Published, publish};
use super::whole::whose_turn;
use super::{ForgeAccess, JobStep, handed, read_for, run, shown};
use crate::clock::Clock;
use crate::deliver::tell_lost;
use crate::report::markdown;
use crate::report::sticky::{self, LostRun};
use crate::request::Request;

/// `command: publish`.
pub(super) fn stage(step: &JobStep) -> Result<u8, CommandFailure> {
    let Some(request) = step.request()? else {
        return Ok(0);
    };
    let access = step.wait(step.runner.access())?;
    match carry_out(step, &access, request) {
        Ok(published) => {
            tell(step, request, &published)?;
            Ok(published.exit_code())
        }
        Err(failure) => {
            let lost =
                LostRun::Unpublished(run::in_a_sentence(step, &failure), whose_turn(&failure));
            step.wait(tell_lost(
                &access.forge,
                request,
                &lost,
                Clock::start().now(),
            ));
            step.outputs.summarise(&sticky::lost(request, &lost));
            Err(failure)
        }
    }
}

fn carry_out(
    step: &JobStep,
    access: &ForgeAccess,
    request: &Request,
) -> Result<Published, CommandFailure> {
    let home = step.home(access, request)?;
    let plan = Arc::new(read_for(step, access, &home, request)?.plan);
    step.bring(access, &home, &request.base)?;
    let left = step.run_left(access)?;
    let judgement = step.judged(access)?;
    let (remote, scrubber) = (step.remote(access)?, step.runner.scrubber());
    let with = Publication {
        home: &home,
        forge: &access.forge,
        remote: &remote,
        plan: &plan,
        request,
        scrubber: &scrubber,
        without: without(&left.without),
        now: Clock::start().now(),
    };
    Ok(step.wait(publish(&with, &left.bundle, judgement.as_ref())))
}

/// What the run job says of itself where it left nothing.
fn without(told: &handed::MissingBundle) -> MissingRun<'_> {
    match told {
        handed::MissingBundle::Trouble(why) => MissingRun::Trouble(why),
        handed::MissingBundle::Refused(why) => MissingRun::Refused(why),
        handed::MissingBundle::Cancelled => MissingRun::Cancelled,
        handed::MissingBundle::Unknown => MissingRun::Unknown,
    }
}

/// What became of it, in the log, the summary and the outputs.
fn tell(step: &JobStep, request: &Request, published: &Published) -> Result<(), CommandFailure> {
    for line in published.lines() {
        step.terminal.print(&format!(
            "{}\n",
            crate::text::neutralise_workflow_commands(&line)
        ));
    }
    step.outputs.set("verdict", published.verdict.as_str())?;
    if step.runner.pipeline().is_some() {
        step.outputs.set("run-id", request.run.as_str())?;
        step.outputs.set("scope", request.scope.as_str())?;
    }
    if let Some((number, _)) = published.delivered.pulls.first() {
        step.outputs.set("pull-request", &number.to_string())?;
    }
    if let Some(lost) = &published.lost {
        step.outputs.summarise(&sticky::lost(request, lost));
    }
    let Some(view) = &published.view else {
        return Ok(());
    };
    shown::show(step, view)?;
    if view.result.is_some() && published.delivered.delivered {
        step.outputs.set("branch", &view.branch)?;
    }
    step.outputs
        .summarise(&markdown::render(view, markdown::SUMMARY_LIMIT));
    Ok(())
}
