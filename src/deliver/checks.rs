//! The checks of a run: what the report says, in the forge's words, with the conclusions of the
//! contract.
//!
//! It refuses to conclude anything from what was delivered: a check tells the verdict.

use crate::fact::{ItemLevel, RunVerdict};
use crate::forge::{Annotation, AnnotationLevel, CheckState, CheckWanted, Conclusion};
use crate::id::{CommitId, Moment};
use crate::report::check::{self, CheckRemark, CheckText, GateEnd};
use crate::report::sticky::LostRun;
use crate::report::{Placed, View};
use crate::request::{ExternalId, Request};

/// How the check `omk` ends.
#[must_use]
pub fn conclusion(verdict: RunVerdict) -> Conclusion {
    match verdict {
        RunVerdict::Ready => Conclusion::Success,
        RunVerdict::NotReady
        | RunVerdict::BlockedOnExternal
        | RunVerdict::NeedsMoreBudget
        | RunVerdict::FailedInfra => Conclusion::Failure,
        RunVerdict::BlockedOnHuman => Conclusion::ActionRequired,
        RunVerdict::Cancelled => Conclusion::Cancelled,
        RunVerdict::Neutral => Conclusion::Neutral,
    }
}

fn of_gate(end: GateEnd) -> Conclusion {
    match end {
        GateEnd::Good => Conclusion::Success,
        GateEnd::Open => Conclusion::Neutral,
        GateEnd::Bad => Conclusion::Failure,
    }
}

/// When what a check is about began and ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CheckTimes(Moment, Option<Moment>);

/// The check `omk` in progress, on the pinned commit.
#[must_use]
pub fn opened(request: &Request, now: Moment) -> CheckWanted {
    wanted(
        request,
        &request.base,
        CheckState::InProgress,
        CheckTimes(now, None),
        check::opened(request),
    )
}

/// The same, of a run that goes on.
pub(super) fn running(request: &Request, view: &View, now: Moment) -> CheckWanted {
    wanted(
        request,
        &request.base,
        CheckState::InProgress,
        CheckTimes(now, None),
        check::running(request, view),
    )
}

/// The check `omk` of a run of which nothing can be believed, closed.
pub(super) fn lost(request: &Request, lost: &LostRun, words: &str, now: Moment) -> CheckWanted {
    let state = CheckState::Completed(conclusion(lost.verdict()));
    wanted(
        request,
        &request.base,
        state,
        CheckTimes(now, Some(now)),
        check::lost(lost.verdict(), words),
    )
}

/// The checks of a run that is over: `omk` on the pinned commit first; on the result, where that is
/// another and was pushed, `omk` and those of its gates.
pub(super) fn ended(
    request: &Request,
    view: &View,
    placed: &Placed,
    now: Moment,
) -> Vec<CheckWanted> {
    let verdict = view.verdict.unwrap_or(RunVerdict::FailedInfra);
    let state = CheckState::Completed(conclusion(verdict));
    let span = CheckTimes(
        view.started,
        Some(view.ended.unwrap_or(now).max(view.started)),
    );
    let text = check::ended(request, view, placed);
    let mut checks = vec![wanted(request, &request.base, state, span, text.clone())];
    let pushed = !placed.branches.is_empty();
    let Some(result) = view
        .result
        .as_ref()
        .filter(|result| pushed && result.commit != request.base)
    else {
        return checks;
    };
    checks.push(wanted(request, &result.commit, state, span, text));
    for gate in check::gates(request.forge, view) {
        let state = CheckState::Completed(of_gate(gate.end));
        checks.push(wanted(request, &result.commit, state, span, gate.text));
    }
    checks
}

fn wanted(
    request: &Request,
    commit: &CommitId,
    state: CheckState,
    span: CheckTimes,
    text: CheckText,
) -> CheckWanted {
    CheckWanted {
        name: text.name,
        commit: commit.clone(),
        external_id: ExternalId::from(request).to_string(),
        state,
        started: span.0,
        completed: span.1,
        title: text.title,
        summary: text.summary,
        text: text.text,
        annotations: text.remarks.into_iter().map(annotation).collect(),
        details_url: Some(request.workflow.url.clone()),
    }
}

fn annotation(remark: CheckRemark) -> Annotation {
    Annotation {
        message: remark.words(),
        path: remark.place.path,
        start_line: remark.place.line,
        end_line: remark.place.end_line,
        level: match remark.level {
            ItemLevel::Notice => AnnotationLevel::Notice,
            ItemLevel::Warning => AnnotationLevel::Warning,
            ItemLevel::Error => AnnotationLevel::Failure,
        },
        title: remark.title,
    }
}
