//! Which workflow runs and pipelines are ours, and what the newest of them left of a scope.
//!
//! A check or a commit status leads to one, and anybody who may write those can write such a lead.
//! So it refuses all but runs of this workflow, or pipelines of this project's default branch that
//! a person, a schedule or a trigger started.

use super::CommandFailure;
use super::conversation::Conversation;
use super::desk::Desk;
use crate::forge::{Artifact, Forge, GitHub, GitLab, WorkflowRun};
use crate::id::Scope;
use crate::request::Previous;
use crate::trust::PullRequest;

/// Artifacts or pipelines that are looked at for the state of an earlier run. A scope's newest is
/// nearly always the right one.
const LOOKED_AT: usize = 10;

/// What starts a pipeline that may be ours: never what somebody pushed, and no other pipeline.
const SOURCES: [&str; 4] = ["schedule", "trigger", "web", "api"];

/// What makes a workflow run or a pipeline one of ours.
pub(super) enum Own {
    /// It is a run of the same workflow.
    Workflow(WorkflowRun),
    /// It is a pipeline of that branch of this project.
    Pipelines { branch: String },
}

impl Own {
    /// Whether that one is ours. `repository` is the number of this one.
    pub(super) fn is(&self, other: &WorkflowRun, repository: u64) -> bool {
        match self {
            Self::Workflow(own) => same_workflow(own, other, repository),
            Self::Pipelines { branch } => {
                other.repository == repository
                    && other.branch.as_ref() == Some(branch)
                    && SOURCES.contains(&other.event.as_str())
            }
        }
    }
}

impl Desk<'_> {
    /// What is ours; `None` where the forge does not know this workflow run.
    pub(super) async fn own(&self) -> Result<Option<Own>, CommandFailure> {
        Ok(match &self.forge {
            Forge::GitHub(_) => self
                .forge
                .workflow_run(self.step.runner.workflow.id)
                .await?
                .map(Own::Workflow),
            Forge::GitLab(_) => Some(Own::Pipelines {
                branch: self.repository.default_branch.clone(),
            }),
        })
    }
}

impl Conversation<'_, '_> {
    /// The state of the scope's newest run, where an artifact of ours holds it.
    pub(super) async fn previous(
        &self,
        pull: &PullRequest,
        scope: &Scope,
    ) -> Result<Option<Previous>, CommandFailure> {
        match &self.desk.forge {
            Forge::GitHub(forge) => self.desk.by_artifact(forge, scope).await,
            Forge::GitLab(forge) => self.by_status(forge, pull, scope).await,
        }
    }

    /// The statuses of the head lead to pipelines.
    async fn by_status(
        &self,
        forge: &GitLab,
        pull: &PullRequest,
        scope: &Scope,
    ) -> Result<Option<Previous>, CommandFailure> {
        let desk = self.desk;
        let Some(own) = desk.own().await? else {
            return Ok(None);
        };
        let name = desk
            .step
            .runner
            .pipeline()
            .map_or("omk-run", |pipeline| pipeline.run_job.as_str());
        for (id, _) in self
            .own_checks(pull, scope)
            .await?
            .into_iter()
            .take(LOOKED_AT)
        {
            let Some(pipeline) = forge.workflow_run(id.workflow).await? else {
                continue;
            };
            if !own.is(&pipeline, desk.repository.id) {
                continue;
            }
            let jobs = forge.jobs(pipeline.id).await?.into_iter();
            let newest = jobs
                .filter(|job| job.name == name && job.has_artifacts)
                .max_by_key(|job| job.id);
            if let Some(job) = newest {
                return Ok(Some(Previous {
                    run: id.run,
                    artifact: job.id,
                }));
            }
        }
        Ok(None)
    }
}

impl Desk<'_> {
    /// The state of the scope's newest run, where an artifact of this workflow holds it.
    async fn by_artifact(
        &self,
        forge: &GitHub,
        scope: &Scope,
    ) -> Result<Option<Previous>, CommandFailure> {
        let prefix = format!("omk-{scope}-");
        let artifacts = self
            .told(forge.artifacts(&prefix).await)
            .unwrap_or_default();
        let ours = |artifact: &&Artifact| {
            let here = Some(self.repository.id);
            !artifact.expired && artifact.repository == here && artifact.head_repository == here
        };
        let named = artifacts.iter().filter(ours).filter_map(|artifact| {
            let run = artifact.name.strip_prefix(&prefix)?.parse().ok()?;
            Some((run, artifact))
        });
        let Some(own) = self.own().await? else {
            return Ok(None);
        };
        for (run, artifact) in named.take(LOOKED_AT) {
            let left_by = forge.workflow_run(artifact.workflow_run).await?;
            if left_by.is_some_and(|left_by| own.is(&left_by, self.repository.id)) {
                return Ok(Some(Previous {
                    run,
                    artifact: artifact.id,
                }));
            }
        }
        Ok(None)
    }
}

/// Whether both are runs of one workflow of this repository, started by the same kind of event: a
/// branch's own version of a workflow runs for its pull request, and never for a comment.
fn same_workflow(own: &WorkflowRun, other: &WorkflowRun, repository: u64) -> bool {
    // The forge may add the ref to the path.
    let path = |run: &WorkflowRun| run.path.split('@').next().unwrap_or_default().to_owned();
    !path(own).is_empty()
        && path(own) == path(other)
        && own.event == other.event
        && other.repository == repository
        && other.head_repository == Some(repository)
}

#[cfg(test)]
mod tests;
