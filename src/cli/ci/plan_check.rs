//! The check `omk plan` of a pull request: its plan is read and shown, and nothing of it is run.
//!
//! A fork's job may write nothing, so there the job's result, its summary and annotations tell. It
//! refuses to use a checkout: a plan is read by API or fetched, at the pull request's commit.

mod by_git;

use std::time::Duration;

use super::desk::Desk;
use super::event::Proposal;
use super::outputs::{AnnotationPlace, JobAnnotationLevel};
use super::plans::{ForPull, PlanUnavailable};
use super::shown::CODE_QUALITY;
use super::{CommandFailure, FailureKind, JobStep};
use crate::fact;
use crate::forge::{Annotation, AnnotationLevel, CheckState, Conclusion};
use crate::plan::{Complaints, Permission, Plan};
use crate::report::check::{CheckRemark, CheckText};
use crate::report::code_quality;
use crate::report::plan_check::{PlanCheck, PlanFinding, PlanOwner, PullOrigin};
use crate::report::preview::Preview;
use crate::text;

/// How long a diff may take to become short; after that it is only right.
const DIFFING: Duration = Duration::from_secs(2);

/// Unchanged lines around a changed one.
const AROUND: usize = 3;

/// Checks the plan of a pull request; the job's exit code.
pub(super) async fn check(step: &JobStep, proposal: &Proposal) -> Result<u8, CommandFailure> {
    let origin = if proposal.head_repository == Some(proposal.repository) {
        PullOrigin::Own
    } else {
        PullOrigin::Fork
    };
    if let Some(pipeline) = step.runner.pipeline()
        && step.runner.inputs.speaker.is_none()
    {
        let (plans, permission) =
            tokio::task::block_in_place(|| by_git::plans(step, pipeline, proposal))?;
        return told(step, None, (proposal, origin), &plans, permission).await;
    }
    let desk = Desk::open(step).await?;
    let Some(base) = desk.forge.branch(&proposal.base).await? else {
        return Err({
            let forge = desk.forge.kind();
            CommandFailure::new(
                FailureKind::Usage,
                format!(
                    "the {}'s {} is gone",
                    forge.pull_request(),
                    forge.base_branch()
                ),
            )
        });
    };
    let plans = desk
        .plans()
        .of_pull(&proposal.base, &base.commit, &proposal.head)
        .await?;
    let rules = desk.rules().await?;
    let permission = rules.ok().map(|rules| rules.found.plan.commands.permission);
    told(step, Some(&desk), (proposal, origin), &plans, permission).await
}

/// Tells what was found, wherever this job may; its exit code.
async fn told(
    step: &JobStep,
    desk: Option<&Desk<'_>>,
    (proposal, origin): (&Proposal, PullOrigin),
    plans: &ForPull,
    permission: Option<Permission>,
) -> Result<u8, CommandFailure> {
    let parts = Parts::of(plans, permission);
    let path = step.runner.inputs.plan.to_string();
    let told = PlanCheck {
        forge: step.runner.forge,
        path: &path,
        branch: &proposal.base,
        origin,
        found: parts.found(),
    };
    let (good, text) = (told.is_good(), told.render());
    let written = match (origin, desk) {
        (PullOrigin::Own, Some(desk)) => written(desk, proposal, good, text.clone()).await,
        (PullOrigin::Own, None) | (PullOrigin::Fork, _) => None,
    };
    // A commit status has no annotations, so at GitLab the log tells them all.
    if written.is_none() || step.runner.pipeline().is_some() {
        annotate(step, &text, parts.complaints());
    }
    step.leave_file(CODE_QUALITY, code_quality::render(&text.remarks).as_bytes())?;
    step.outputs
        .summarise(&format!("### omk plan: {}\n\n{}", text.title, text.summary));
    Ok(if good {
        0
    } else {
        FailureKind::Usage.exit_code()
    })
}

/// What was found, held for as long as it is shown.
struct Parts<'a> {
    plans: &'a ForPull,
    permission: Option<Permission>,
    preview: Option<Preview>,
    diff: String,
}

impl<'a> Parts<'a> {
    fn of(plans: &'a ForPull, permission: Option<Permission>) -> Self {
        let shown: Option<&Plan> = match &plans.changed {
            Some(changed) => changed.read.as_ref().ok().map(|found| &found.plan),
            None => plans.base.as_ref().ok().map(|found| &found.plan),
        };
        let diff = plans
            .changed
            .as_ref()
            .map(|changed| diff(changed.before.as_deref(), &changed.bytes));
        Self {
            plans,
            permission,
            preview: shown.map(Preview::of),
            diff: diff.unwrap_or_default(),
        }
    }

    fn complaints(&self) -> Option<&Complaints> {
        match (&self.plans.changed, &self.plans.base) {
            (Some(changed), _) => changed.read.as_ref().err(),
            (None, Err(PlanUnavailable::Wrong { complaints, .. })) => Some(complaints),
            (None, Ok(_) | Err(PlanUnavailable::Absent { .. })) => None,
        }
    }

    fn found(&self) -> PlanFinding<'_> {
        match (self.complaints(), &self.preview, &self.plans.changed) {
            (Some(complaints), _, Some(_)) => PlanFinding::Wrong {
                complaints,
                whose: PlanOwner::PullRequest,
            },
            (Some(complaints), _, None) => PlanFinding::Wrong {
                complaints,
                whose: PlanOwner::Base,
            },
            (None, Some(preview), Some(changed)) => PlanFinding::Changed {
                digest: &changed.digest,
                preview,
                diff: &self.diff,
                permission: self.permission,
            },
            (None, Some(preview), None) => PlanFinding::Same(preview),
            (None, None, _) => PlanFinding::Nothing,
        }
    }
}

/// The check, where the token may write one.
async fn written(desk: &Desk<'_>, proposal: &Proposal, good: bool, text: CheckText) -> Option<u64> {
    let conclusion = if good {
        Conclusion::Success
    } else {
        Conclusion::Failure
    };
    let annotations = text.remarks.iter().map(annotation).collect();
    // A new one for each run: what a check has been annotated with stays.
    let workflow = &desk.step.runner.workflow;
    let external_id = format!("omk/plan/{}/{}", workflow.id, workflow.attempt);
    let mut wanted = desk.check(
        text,
        &proposal.head,
        external_id,
        CheckState::Completed(conclusion),
    );
    wanted.annotations = annotations;
    desk.put_check(&wanted).await
}

fn annotation(remark: &CheckRemark) -> Annotation {
    Annotation {
        path: remark.place.path.clone(),
        start_line: remark.place.line,
        end_line: remark.place.end_line,
        level: match remark.level {
            fact::ItemLevel::Notice => AnnotationLevel::Notice,
            fact::ItemLevel::Warning => AnnotationLevel::Warning,
            fact::ItemLevel::Error => AnnotationLevel::Failure,
        },
        message: remark.words(),
        title: remark.title.clone(),
    }
}

/// What the check would say, in the job's log.
fn annotate(step: &JobStep, text: &CheckText, complaints: Option<&Complaints>) {
    let Some(complaints) = complaints else {
        step.outputs.say(
            JobAnnotationLevel::Notice,
            &format!("{}: {}", text.name, text.title),
        );
        return;
    };
    for complaint in complaints {
        let spot = AnnotationPlace {
            file: complaints.file().to_owned(),
            line: complaint.place.map(|place| place.line),
            column: complaint.place.map(|place| place.column),
        };
        let hint = complaint
            .hint
            .as_ref()
            .map(|hint| format!("\nhint: {hint}"))
            .unwrap_or_default();
        step.outputs.annotate(
            JobAnnotationLevel::Error,
            Some(&spot),
            &text::escape_invisible(&format!("{}{hint}", complaint.what)),
        );
    }
}

/// What has changed from one plan to another, as people read it: nothing in it hides or moves text.
pub(super) fn diff(before: Option<&[u8]>, after: &[u8]) -> String {
    let plain =
        |bytes: &[u8]| text::escape_invisible(&String::from_utf8_lossy(bytes).replace('\r', "␍"));
    let (before, after) = (plain(before.unwrap_or_default()), plain(after));
    let diff = similar::TextDiff::configure()
        .timeout(DIFFING)
        .diff_lines(&before, &after);
    diff.unified_diff().context_radius(AROUND).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_hides_nothing() {
        let before = "a\nb\nc\nd\ne\nf\ng\nh\n";
        let after = "a\nb\nc\nd\r\ne\nf \u{202e}evil\u{2066}\ng\u{200b}\nh\n";
        insta::assert_snapshot!(diff(Some(before.as_bytes()), after.as_bytes()), @r"
        @@ -1,8 +1,8 @@
         a
         b
         c
        -d
        +d␍
         e
        -f
        -g
        +f [U+202E]evil[U+2066]
        +g[U+200B]
         h
        ");
        insta::assert_snapshot!(diff(None, b"a: \x1b[8mhidden\xff\n"), @r"
        @@ -0,0 +1 @@
        +a: [U+001B][8mhidden�
        ");
    }
}
