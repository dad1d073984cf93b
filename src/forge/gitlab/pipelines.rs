//! Pipelines, their jobs, and what jobs left.
//!
//! It refuses to say whose they are: it hands on the words and numbers by which that is judged.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::GitLab;
use crate::forge::speaker::{ArchivePlace, Verb, Write};
use crate::forge::{ForgeError, WorkflowRun};
use crate::id::Sha256;

/// What a pipeline is made from. A project has one such file, wherever its settings say that it
/// lies.
const FILE: &str = ".gitlab-ci.yml";

/// A job of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// GitLab's number of it.
    pub id: u64,
    /// Its name in the pipeline.
    pub name: String,
    /// `success`, `failed`, `canceled`, `running`, …
    pub status: String,
    /// Whether it has left artifacts that can be fetched.
    pub has_artifacts: bool,
}

#[derive(Deserialize)]
struct RawPipeline {
    id: u64,
    project_id: u64,
    #[serde(rename = "ref")]
    reference: Option<String>,
    #[serde(default)]
    tag: bool,
    status: String,
    source: Option<String>,
    web_url: String,
}

#[derive(Deserialize)]
struct RawJob {
    id: u64,
    name: String,
    status: String,
    artifacts_file: Option<Value>,
}

impl RawPipeline {
    fn is_over(&self) -> bool {
        matches!(
            self.status.as_str(),
            "success" | "failed" | "canceled" | "skipped"
        )
    }
}

impl From<RawPipeline> for WorkflowRun {
    fn from(raw: RawPipeline) -> Self {
        let completed = raw.is_over();
        // A merge request's pipeline runs for `refs/merge-requests/…`, and its commit may be from a
        // fork.
        let branch = raw
            .reference
            .filter(|reference| !raw.tag && !reference.starts_with("refs/"));
        Self {
            id: raw.id,
            path: FILE.to_owned(),
            repository: raw.project_id,
            head_repository: branch.as_ref().map(|_| raw.project_id),
            branch,
            completed,
            event: raw.source.unwrap_or_default(),
            url: raw.web_url,
        }
    }
}

impl GitLab {
    /// A pipeline of this project; `None` where it is gone. Its event is its source: `schedule`,
    /// `trigger`, …
    ///
    /// # Errors
    /// Where GitLab does not show it.
    pub async fn workflow_run(&self, id: u64) -> Result<Option<WorkflowRun>, ForgeError> {
        let run = self
            .speaker
            .within("read a pipeline", self.raw_pipeline(id))
            .await?;
        Ok(run.map(WorkflowRun::from))
    }

    async fn raw_pipeline(&self, id: u64) -> Result<Option<RawPipeline>, ForgeError> {
        let path = format!("{}/pipelines/{id}", self.path);
        self.speaker
            .find_json(&format!("read the pipeline {id}"), &path)
            .await
    }

    /// Cancels a pipeline; one that is over is fine.
    ///
    /// # Errors
    /// Where there is none, GitLab does not do it, or nobody knows whether it did.
    pub async fn cancel_workflow_run(&self, id: u64) -> Result<(), ForgeError> {
        let write = Write {
            what: format!("cancel the pipeline {id}"),
            verb: Verb::Post,
            path: format!("{}/pipelines/{id}/cancel", self.path),
            body: Value::Null,
        };
        // One that is asked twice to end ends once.
        let is_over = || async {
            Ok(self
                .raw_pipeline(id)
                .await?
                .filter(RawPipeline::is_over)
                .map(|_| Value::Null))
        };
        let cancel = async {
            match self.speaker.write::<Value, _>(&write, is_over).await {
                Err(error @ ForgeError::Refused { .. }) => is_over().await?.map(drop).ok_or(error),
                sent => sent.map(drop),
            }
        };
        self.speaker.within("cancel a pipeline", cancel).await
    }

    /// The jobs of a pipeline, oldest first; of one that was tried again, the last try alone.
    ///
    /// # Errors
    /// [`ForgeError::NotFound`] where there is no such pipeline; else where GitLab does not show
    /// them.
    pub async fn jobs(&self, pipeline: u64) -> Result<Vec<Job>, ForgeError> {
        let what = format!("read the jobs of the pipeline {pipeline}");
        let path = format!("{}/pipelines/{pipeline}/jobs", self.path);
        let read = self.speaker.all(&what, &path, |page: Vec<RawJob>| page);
        let mut raw = self.speaker.within(&what, read).await?;
        raw.sort_by_key(|job| job.id);
        raw.dedup_by_key(|job| job.id);
        let job = |raw: RawJob| Job {
            id: raw.id,
            name: raw.name,
            status: raw.status,
            has_artifacts: raw.artifacts_file.is_some(),
        };
        Ok(raw.into_iter().map(job).collect())
    }

    /// Whether a job of a pipeline was tried again.
    ///
    /// # Errors
    /// As [`GitLab::jobs`].
    pub async fn was_retried(&self, pipeline: u64) -> Result<bool, ForgeError> {
        let what = format!("read the jobs of the pipeline {pipeline}");
        let path = format!(
            "{}/pipelines/{pipeline}/jobs?include_retried=true",
            self.path
        );
        let read = self.speaker.all(&what, &path, |page: Vec<RawJob>| page);
        let mut jobs = self.speaker.within(&what, read).await?;
        jobs.sort_by_key(|job| job.id);
        jobs.dedup_by_key(|job| job.id);
        let names: std::collections::BTreeSet<&str> =
            jobs.iter().map(|job| job.name.as_str()).collect();
        Ok(names.len() < jobs.len())
    }

    /// A job's artifacts as a zip archive, refused where larger than `most` bytes; written to `to`,
    /// of which nothing is left where it fails. Its digest. Where they lie on another server,
    /// that gets no token.
    ///
    /// # Errors
    /// [`ForgeError::NotFound`] where they are gone or expired; [`ForgeError::Refused`] where they
    /// are too large; else where they do not come, or cannot be written.
    pub async fn download_artifact(
        &self,
        job: u64,
        most: u64,
        to: &Path,
    ) -> Result<Sha256, ForgeError> {
        let what = format!("download the artifacts of the job {job}");
        let path = format!("{}/jobs/{job}/artifacts", self.path);
        self.speaker
            .archive((&what, &path), ArchivePlace::Anywhere, (most, to))
            .await
    }
}
