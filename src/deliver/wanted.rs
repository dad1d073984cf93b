//! What is wanted of a pull request, in the forge's words.
//!
//! It refuses to look anything up.

use super::RunOutcome;
use super::steps::PullStep;
use crate::forge::PullWanted;
use crate::git::Repo;
use crate::history::{run_branch, task_branch};
use crate::id::TaskId;
use crate::plan::Plan;
use crate::report::dashboard::OpenPullRequest;
use crate::report::pull::{self, About, PullText, Starts};
use crate::report::{Placed, View};
use crate::request::Request;
use crate::trust::PullRequest;

/// A pull request's texts; `None` where the view does not know its task.
pub(super) fn pull_wanted(
    (plan, request, view): (&Plan, &Request, &View),
    step: &PullStep,
    with: &[TaskId],
    starts: Starts,
    placed: &Placed,
) -> Option<PullWanted> {
    let about = match &step.task {
        None => About::Run,
        Some(id) => About::Task {
            task: view.tasks.iter().find(|task| task.id == *id)?,
            with,
        },
    };
    let proofs = placed.proofs.as_deref();
    let text = PullText {
        request,
        view,
        about,
        marker: &step.marker,
        proofs,
        starts,
    };
    Some(PullWanted {
        head: step.head.clone(),
        base: step.base.clone(),
        title: pull::title(&text),
        body: pull::body(&text),
        draft: step.draft,
        labels: plan.deliver.labels.clone(),
    })
}

/// Tasks whose commits a task's branch holds beside its own, in landing order.
pub(super) fn built_on(repo: &Repo, outcome: &RunOutcome, step: &PullStep) -> Vec<TaskId> {
    let Some(own) = &step.task else {
        return Vec::new();
    };
    let Some((_, tip)) = outcome.tasks.iter().find(|(task, _)| task == own) else {
        return Vec::new();
    };
    let others = outcome.tasks.iter().filter(|(task, _)| task != own);
    // Where it cannot be told, the pull request shows it anyway.
    others
        .filter(|(_, commit)| repo.descends(tip, commit).unwrap_or(false))
        .map(|(task, _)| task.clone())
        .collect()
}

/// The pull requests that were found, and those that were opened since.
pub(super) fn all_open(
    request: &Request,
    placed: &Placed,
    found: Vec<PullRequest>,
) -> Vec<OpenPullRequest> {
    let found = found.into_iter();
    let mut open: Vec<OpenPullRequest> = found
        .map(|pull| OpenPullRequest {
            number: pull.number,
            url: pull.url,
            branch: pull.head.branch,
        })
        .collect();
    for pull in &placed.pulls {
        if !open.iter().any(|other| other.number == pull.number) {
            let branch = pull
                .task
                .as_ref()
                .map(|task| task_branch(&request.scope, task));
            let branch = branch.unwrap_or_else(|| run_branch(&request.scope));
            open.push(OpenPullRequest {
                number: pull.number,
                url: pull.url.clone(),
                branch,
            });
        }
    }
    open
}
