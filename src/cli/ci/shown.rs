//! Files of a run's result that GitLab shows at the merge request: tests, code quality, the report;
//! and its variables.
//!
//! It refuses to write any of them at GitHub, where checks and the job's summary show the same.

use super::super::session::FinishedRun;
use super::{CommandFailure, JobAnnotationLevel, JobStep};
use crate::report::check;
use crate::report::{View, code_quality, junit};

/// The file of remarks that GitLab shows in a merge request's diff.
pub(super) const CODE_QUALITY: &str = "gl-code-quality-report.json";

/// What is shown of a result, and what later jobs may want to know of it.
///
/// # Errors
/// Where a file cannot be written.
pub(super) fn show(step: &JobStep, view: &View) -> Result<(), CommandFailure> {
    if step.runner.pipeline().is_none() {
        return Ok(());
    }
    step.leave_file("junit.xml", junit::render(view).as_bytes())?;
    let remarks = check::all_remarks(view, code_quality::MOST);
    step.leave_file(CODE_QUALITY, code_quality::render(&remarks).as_bytes())?;
    step.outputs
        .set("tokens", &view.tokens.total().to_string())?;
    step.outputs.set("cost", &super::run::cost(view))
}

/// The reports of a run that has just ended, as its job leaves them.
pub(super) fn leave_reports(step: &JobStep, over: &FinishedRun) {
    if step.runner.pipeline().is_none() {
        return;
    }
    for name in ["report.html", "junit.xml"] {
        let left = over.run_dir.read(name).map_err(super::super::store);
        if let Err(failure) = left.and_then(|bytes| step.leave_file(name, &bytes)) {
            step.outputs.say(
                JobAnnotationLevel::Warning,
                &format!("{name} is not among the artifacts: {}", failure.in_full()),
            );
        }
    }
}
