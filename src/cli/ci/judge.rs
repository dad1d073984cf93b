//! The stage that judges: on a fresh machine, without a key and without an agent, it opens the run's bundle as a stranger's
//! and runs the required gates on its result again.
//!
//! It refuses to read the plan, the rules or the verdict from the bundle, and it writes nothing at the forge.

use std::sync::Arc;

use super::super::{Failure, Home, Kind, judge};
use super::{Level, Step, read_for};
use crate::fact::RunVerdict;
use crate::request::Judgement;
use crate::text;

/// `command: judge`.
pub(super) fn stage(step: &Step) -> Result<u8, Failure> {
    let request = step.request()?;
    let dir = &step.runner.inputs.bundle;
    if !dir.is_dir() {
        return Err(Failure::new(Kind::Blocked, format!("there is nothing to judge: {} is not there", dir.display()))
            .hint("the run job left no bundle; its log says why"));
    }
    let home = Home::find()?;
    let access = step.wait(step.runner.access())?;
    let plan = Arc::new(step.wait(read_for(&access.forge, request))?.plan);
    step.bring(&access, &home, &request.base)?;
    let judgement = judge::judge(&home, dir, request, &plan, &step.runner.scrubber())?;
    let json = serde_json::to_string(&judgement).map_err(super::super::failure::infra)?;
    step.outputs.set("judgement", &json)?;
    step.outputs.set("verdict", judgement.verdict.as_str())?;
    tell(step, &judgement);
    Ok(judgement.verdict.exit_code())
}

fn tell(step: &Step, judgement: &Judgement) {
    let level = if judgement.verdict == RunVerdict::Ready { Level::Notice } else { Level::Warning };
    let gates = text::plural(judgement.gates.len(), "gate");
    step.outputs.say(level, &format!("judged anew, {gates} on the result: {}", judgement.verdict.as_str()));
    for warning in &judgement.warnings {
        step.outputs.say(Level::Warning, warning);
    }
}
