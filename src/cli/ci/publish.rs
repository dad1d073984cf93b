//! The stage that publishes: it holds the run's bundle against what the gate and judge jobs said, and delivers what is
//! left of it.
//!
//! It refuses to believe the bundle, to run anything of it, and to end without a word where people look.

use std::sync::Arc;

use super::super::publish::{Publication, Published, Without, publish};
use super::super::{Failure, Home};
use super::{Inputs, Step, read_for};
use crate::clock::Clock;
use crate::report::markdown;

/// `command: publish`.
pub(super) fn stage(step: &Step) -> Result<u8, Failure> {
    let request = step.request()?;
    let home = Home::find()?;
    let access = step.wait(step.runner.access())?;
    let plan = Arc::new(step.wait(read_for(&access.forge, request))?.plan);
    step.bring(&access, &home, &request.base)?;
    let (remote, scrubber) = (step.remote(&access)?, step.runner.scrubber());
    let with = Publication {
        home: &home,
        forge: &access.forge,
        remote: &remote,
        plan: &plan,
        request,
        scrubber: &scrubber,
        without: without(&step.runner.inputs),
        now: Clock::start().now(),
    };
    let inputs = &step.runner.inputs;
    let published = step.wait(publish(&with, &inputs.bundle, inputs.judgement.as_ref()));
    tell(step, &published)?;
    Ok(published.exit_code())
}

/// What the run job says of itself where it left nothing.
fn without(inputs: &Inputs) -> Without<'_> {
    match (&inputs.trouble, inputs.run_result.as_deref()) {
        (Some(why), _) => Without::Trouble(why),
        (None, Some("cancelled")) => Without::Cancelled,
        (None, Some(_) | None) => Without::Unknown,
    }
}

/// What became of it, in the log, the summary and the outputs.
fn tell(step: &Step, published: &Published) -> Result<(), Failure> {
    for line in published.lines() {
        step.terminal.print(&format!("{}\n", crate::text::neutralise_workflow_commands(&line)));
    }
    step.outputs.set("verdict", published.verdict.as_str())?;
    if let Some((number, _)) = published.delivered.pulls.first() {
        step.outputs.set("pull-request", &number.to_string())?;
    }
    let Some(view) = &published.view else { return Ok(()) };
    if view.result.is_some() && published.delivered.delivered {
        step.outputs.set("branch", &view.branch)?;
    }
    step.outputs.summarise(&markdown::render(view, markdown::SUMMARY_LIMIT));
    Ok(())
}
