//! Workflow runs and the artifacts they left.
//!
//! It refuses to say whose they are: it hands on the numbers by which that is judged.

use serde::Deserialize;
use serde_json::Value;

use super::GitHub;
use super::wire::{WithId, moment};
use crate::forge::speaker::{Verb, Write};
use crate::forge::{Artifact, ForgeError, WorkflowRun};
use crate::id::Moment;

#[derive(Deserialize)]
struct RawRun {
    id: u64,
    path: String,
    repository: WithId,
    head_repository: Option<WithId>,
    head_branch: Option<String>,
    status: Option<String>,
    event: String,
    html_url: String,
}

#[derive(Deserialize)]
struct ArtifactPage {
    artifacts: Vec<RawArtifact>,
}

#[derive(Deserialize)]
struct RawArtifact {
    id: u64,
    name: String,
    size_in_bytes: u64,
    expired: bool,
    #[serde(deserialize_with = "moment")]
    created_at: Moment,
    workflow_run: Option<ArtifactRun>,
}

#[derive(Deserialize)]
struct ArtifactRun {
    id: u64,
    repository_id: Option<u64>,
    head_repository_id: Option<u64>,
}

impl RawRun {
    fn is_over(&self) -> bool {
        self.status.as_deref() == Some("completed")
    }
}

impl From<RawRun> for WorkflowRun {
    fn from(raw: RawRun) -> Self {
        let completed = raw.is_over();
        // GitHub writes `.github/workflows/omk.yml@main` for some.
        let path = raw
            .path
            .split_once('@')
            .map_or(raw.path.as_str(), |(path, _)| path)
            .to_owned();
        Self {
            id: raw.id,
            path,
            repository: raw.repository.id,
            head_repository: raw.head_repository.map(|repository| repository.id),
            branch: raw.head_branch,
            completed,
            event: raw.event,
            url: raw.html_url,
        }
    }
}

impl RawArtifact {
    /// `None` for one that no workflow run left: nobody could tell whose it is.
    fn known(self) -> Option<Artifact> {
        let origin = self.workflow_run?;
        Some(Artifact {
            id: self.id,
            name: self.name,
            bytes: self.size_in_bytes,
            expired: self.expired,
            created: self.created_at,
            workflow_run: origin.id,
            head_repository: origin.head_repository_id,
            repository: origin.repository_id,
        })
    }
}

impl GitHub {
    /// A run of a workflow; `None` where it is gone.
    ///
    /// # Errors
    /// Where GitHub does not show it.
    pub async fn workflow_run(&self, id: u64) -> Result<Option<WorkflowRun>, ForgeError> {
        let run = self.within("read a workflow run", self.raw_run(id)).await?;
        Ok(run.map(WorkflowRun::from))
    }

    async fn raw_run(&self, id: u64) -> Result<Option<RawRun>, ForgeError> {
        let path = format!("{}/actions/runs/{id}", self.path);
        self.speaker
            .find_json(&format!("read the workflow run {id}"), &path)
            .await
    }

    /// Cancels a run of a workflow; one that is over is fine.
    ///
    /// # Errors
    /// Where there is none, GitHub does not do it, or nobody knows whether it did.
    pub async fn cancel_workflow_run(&self, id: u64) -> Result<(), ForgeError> {
        let write = Write {
            what: format!("cancel the workflow run {id}"),
            verb: Verb::Post,
            path: format!("{}/actions/runs/{id}/cancel", self.path),
            body: Value::Null,
        };
        // One that is asked twice to end ends once.
        let look = || async {
            Ok(self
                .raw_run(id)
                .await?
                .filter(RawRun::is_over)
                .map(|_| Value::Null))
        };
        match self
            .within(
                "cancel a workflow run",
                self.speaker.write::<Value, _>(&write, look),
            )
            .await
        {
            Ok(_) | Err(ForgeError::Refused { status: 409, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Artifacts whose name begins so, newest first, that are not expired; those among the
    /// repository's newest three thousand.
    ///
    /// # Errors
    /// Where GitHub does not show them, or there are more than that and none of them is wanted: it
    /// may be among the rest.
    pub async fn artifacts(&self, prefix: &str) -> Result<Vec<Artifact>, ForgeError> {
        let path = format!("{}/actions/artifacts", self.path);
        let what = format!("find the artifacts `{prefix}*`");
        let page = |page: ArtifactPage| page.artifacts;
        let wanted =
            |artifact: &RawArtifact| artifact.name.starts_with(prefix) && !artifact.expired;
        let (found, ended) = self
            .within(&what, self.speaker.first((&what, &path), page, wanted))
            .await?;
        let mut artifacts: Vec<Artifact> =
            found.into_iter().filter_map(RawArtifact::known).collect();
        if artifacts.is_empty() && !ended {
            return Err(self.speaker.nonsense(
                &what,
                "it is not among the newest 3,000, and omk reads no more",
            ));
        }
        artifacts.sort_by_key(|artifact| std::cmp::Reverse((artifact.created, artifact.id)));
        Ok(artifacts)
    }
}
