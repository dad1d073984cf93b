//! The stage that judges: on a fresh machine, without a key and without an agent, it opens the
//! run's bundle as a stranger's and runs the required gates on its result again.
//!
//! It refuses to read the plan, the rules or the verdict from the bundle, and it writes nothing at
//! the forge.

use std::sync::Arc;

use super::super::judge::Bench;
use super::super::{CommandFailure, FailureKind, judge};
use super::handed::MissingBundle;
use super::run::TokenReach;
use super::{JobAnnotationLevel, JobStep, one_job, read_for, root};
use crate::fact::RunVerdict;
use crate::request::Judgement;
use crate::text::{self, ForgeKind};
use crate::work::AfterFailure;

/// `command: judge`.
pub(super) fn stage(step: &JobStep) -> Result<u8, CommandFailure> {
    let Some(request) = step.request()? else {
        return Ok(0);
    };
    let given = &step.runner.inputs.bundle;
    if step.runner.forge == ForgeKind::GitHub && !given.is_dir() {
        return Err(nothing_to_judge(&format!(
            "{} is not there",
            given.display()
        )));
    }
    let access = step.wait(step.runner.access())?;
    one_job::refuse_a_writing_token(step, &access)?;
    let left = step.run_left(&access)?;
    let dir = &left.bundle;
    if !dir.is_dir() {
        return Err(nothing_to_judge(&match &left.without {
            MissingBundle::Trouble(why) => format!(
                "the run could not start: {}",
                step.runner.scrubber().scrub(why)
            ),
            MissingBundle::Refused(why) => {
                format!("what the run job left is not to be believed: {why}")
            }
            MissingBundle::Cancelled => "the run was cancelled".to_owned(),
            MissingBundle::Unknown => "the run job left no bundle".to_owned(),
        }));
    }
    let home = step.home(&access, request)?;
    let plan = Arc::new(read_for(step, &access, &home, request)?.plan);
    root::take_away(step, &plan.room, &TokenReach::ReadOnly);
    step.bring(&access, &home, &request.base)?;
    if let Some(trusted) = &request.plan.commit {
        // The trusted files of gates are taken from there.
        step.bring(&access, &home, trusted)?;
    }
    let (scrubber, after_failure) = (
        &step.runner.scrubber(),
        AfterFailure::of(step.runner.inputs.run.how.keep_going),
    );
    let bench = Bench {
        home: &home,
        plan: &plan,
        scrubber,
        after_failure,
    };
    let judgement = judge::judge(&bench, dir, request)?;
    let json = serde_json::to_string(&judgement).map_err(super::super::failure::infra)?;
    step.hand_judgement(handed_on(&json)?)?;
    step.outputs.set("verdict", judgement.verdict.as_str())?;
    tell(step, &judgement);
    Ok(judgement.verdict.exit_code())
}

fn nothing_to_judge(why: &str) -> CommandFailure {
    CommandFailure::new(
        FailureKind::Blocked,
        format!("there is nothing to judge: {why}"),
    )
    .hint("the run job left no bundle; its log says why")
}

/// A judgement that the next job can be started with. One that is too large would keep that job
/// from saying anything.
fn handed_on(json: &str) -> Result<&str, CommandFailure> {
    if json.len() <= judge::JUDGEMENT {
        return Ok(json);
    }
    let (size, most) = (json.len(), judge::JUDGEMENT);
    let what = format!("the judgement is {size} bytes long, and the next job can be given {most}");
    Err(CommandFailure::new(FailureKind::NotReady, what)
        .hint("split the plan: it has too many required gates or tasks for one run"))
}

fn tell(step: &JobStep, judgement: &Judgement) {
    let level = if judgement.verdict == RunVerdict::Ready {
        JobAnnotationLevel::Notice
    } else {
        JobAnnotationLevel::Warning
    };
    let gates = text::plural(judgement.gates.len(), "gate");
    step.outputs.say(
        level,
        &format!(
            "judged anew, {gates} on the result: {}",
            judgement.verdict.as_str()
        ),
    );
    for warning in &judgement.warnings {
        step.outputs.say(JobAnnotationLevel::Warning, warning);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_next_job_could_not_be_started_with_is_not_handed_on() {
        // A variable of a process on Linux, with its name and its end.
        let fits = "x".repeat((128 << 10) - "OMK_JUDGEMENT=".len() - 1);
        assert!(handed_on(&fits[..judge::JUDGEMENT]).is_ok() && judge::JUDGEMENT <= fits.len());
        let failure = handed_on(&fits[..=judge::JUDGEMENT]).unwrap_err();
        assert!(
            failure.render().contains("split the plan"),
            "{}",
            failure.render()
        );
    }
}
