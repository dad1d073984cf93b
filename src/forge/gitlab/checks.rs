//! Commit statuses, written once.
//!
//! GitLab keeps at most one status under way for each name, pipeline and author, which the next
//! write of that name changes, address and all; one that is over is never changed again, and the
//! next write makes another. It refuses what changes nothing (400), and to go from running to
//! skipped. So everything is read before it is written, and what is refused is looked at again, a
//! few times. It refuses to go on without end.

use serde::Deserialize;
use serde_json::{Value, json};

use super::GitLab;
use super::check_wire::{CANCELED, DesiredStatus, GitLabStatus, SKIPPED, address, line, word};
use crate::forge::speaker::{Verb, Write};
use crate::forge::wire::encoded;
use crate::forge::{Check, CheckState, CheckWanted, ForgeError};
use crate::id::CommitId;

/// How often a refused write is looked at again: somebody else writes at the same time, but not all
/// the time.
const TRIES: usize = 4;

#[derive(Deserialize)]
struct PipelineRef {
    id: u64,
}

/// What is to be sent next.
enum StatusStep {
    /// Nothing: it is as wanted.
    Nothing(GitLabStatus),
    /// Another run's status of that name, under way in this pipeline, has to end first.
    EndOther(u64),
    /// This one has to end before it can be skipped.
    EndOwn(u64),
    /// The state itself, in the pipeline where it is under way already.
    Write(Option<u64>),
}

impl GitLab {
    /// Every status of ours of that name on a commit, oldest first: those that newer ones took the
    /// place of are among them. Whoever may push can write one that looks like ours, so those
    /// of other accounts are none.
    ///
    /// # Errors
    /// Where GitLab does not show them.
    pub async fn all_checks(
        &self,
        commit: &CommitId,
        name: &str,
    ) -> Result<Vec<Check>, ForgeError> {
        let read = async {
            let me = self.me().await?;
            let mut statuses = self.statuses(commit, name).await?;
            statuses.retain(|status| {
                status
                    .author
                    .as_ref()
                    .is_some_and(|author| author.id == me.id)
            });
            Ok(statuses)
        };
        let checks = self
            .speaker
            .within("read the commit statuses", read)
            .await?;
        Ok(checks.into_iter().map(Check::from).collect())
    }

    /// The same, but for those that other accounts wrote.
    ///
    /// # Errors
    /// Where GitLab does not show them.
    pub async fn own_checks(
        &self,
        commit: &CommitId,
        name: &str,
    ) -> Result<Vec<Check>, ForgeError> {
        let me = self.me().await?;
        let mut statuses = self
            .speaker
            .within("read the commit statuses", self.statuses(commit, name))
            .await?;
        statuses.retain(|status| {
            status
                .author
                .as_ref()
                .is_some_and(|author| author.id == me.id)
        });
        Ok(statuses.into_iter().map(Check::from).collect())
    }

    async fn statuses(
        &self,
        commit: &CommitId,
        name: &str,
    ) -> Result<Vec<GitLabStatus>, ForgeError> {
        let what = format!("read the commit statuses `{name}` of {commit}");
        let path = format!(
            "{}/repository/commits/{commit}/statuses?name={}&all=true",
            self.path,
            encoded(name)
        );
        let mut statuses = self
            .speaker
            .all(&what, &path, |page: Vec<GitLabStatus>| page)
            .await?;
        statuses.sort_by_key(|status| status.id);
        statuses.dedup_by_key(|status| status.id);
        Ok(statuses)
    }

    /// Makes sure that there is a status of that name, commit and external id, and that it stands
    /// where it is wanted. Its line is the title; summary, text and annotations have no place.
    /// The line of one under way stays as it is. `known` is not needed: a number of a status
    /// says nothing about the next.
    ///
    /// Of two runs that write one name on one commit at a time, the later one's status under way
    /// takes the place of the earlier one's; what each ends with is kept.
    ///
    /// # Errors
    /// [`ForgeError::Forbidden`] where the token may not write statuses; else where GitLab does not
    /// take it, or nobody knows whether it did.
    pub async fn put_check(
        &self,
        wanted: &CheckWanted,
        _known: Option<u64>,
    ) -> Result<Check, ForgeError> {
        let short = format!("{}/projects/{}", self.server(), self.project);
        let wanted = DesiredStatus {
            commit: &wanted.commit,
            name: &wanted.name,
            external_id: &wanted.external_id,
            state: wanted.state,
            description: line(&wanted.title),
            address: Some(address(
                wanted.details_url.as_deref(),
                &wanted.external_id,
                &short,
            )),
        };
        self.speaker
            .within("write a commit status", self.put(&wanted))
            .await
            .map(Check::from)
    }

    /// A status without an external id. One that says so already is not made again.
    ///
    /// # Errors
    /// As [`GitLab::put_check`].
    pub async fn put_status(
        &self,
        commit: &CommitId,
        context: &str,
        state: CheckState,
        description: &str,
        url: Option<&str>,
    ) -> Result<(), ForgeError> {
        let address = url.map(|url| url.split('#').next().unwrap_or_default().to_owned());
        let description = line(description);
        let wanted = DesiredStatus {
            commit,
            name: context,
            external_id: "",
            state,
            description,
            address,
        };
        self.speaker
            .within("write a commit status", self.put(&wanted))
            .await
            .map(drop)
    }

    async fn put(&self, wanted: &DesiredStatus<'_>) -> Result<GitLabStatus, ForgeError> {
        let mut state = word(wanted.state);
        let mut refused = None;
        for _ in 0..TRIES {
            let sent = match self.step(wanted, state).await? {
                StatusStep::Nothing(there) => return Ok(there),
                StatusStep::EndOther(pipeline) => {
                    self.end(wanted, Some(pipeline), None).await.map(drop)
                }
                StatusStep::EndOwn(pipeline) => self
                    .end(wanted, Some(pipeline), Some(wanted))
                    .await
                    .map(drop),
                StatusStep::Write(pipeline) => {
                    match self.write_status(wanted, state, pipeline).await {
                        Ok(done) => return Ok(done),
                        Err(error) => Err(error),
                    }
                }
            };
            match sent {
                Ok(()) => {}
                // Older ones do not know the word.
                Err(ForgeError::Refused {
                    status: 400, said, ..
                }) if state == SKIPPED && !is_transition(&said) => {
                    state = CANCELED;
                    refused = None;
                }
                Err(error) if is_worth_a_look(&error) => refused = Some(error),
                Err(error) => return Err(error),
            }
        }
        let unsettled = || {
            self.speaker
                .unavailable("write a commit status", "it is changed all the time")
        };
        Err(refused.unwrap_or_else(unsettled))
    }

    /// What stands there, and what that means for the next write.
    async fn step(
        &self,
        wanted: &DesiredStatus<'_>,
        state: &str,
    ) -> Result<StatusStep, ForgeError> {
        let mut statuses = self.statuses(wanted.commit, wanted.name).await?;
        if let Some(at) = statuses.iter().rposition(|status| status.is(wanted)) {
            let own = statuses.remove(at);
            match own.pipeline_id.filter(|_| own.is_under_way()) {
                _ if own.says(wanted, state) => return Ok(StatusStep::Nothing(own)),
                Some(pipeline) if state == SKIPPED => return Ok(StatusStep::EndOwn(pipeline)),
                Some(pipeline) => return Ok(StatusStep::Write(Some(pipeline))),
                None => {}
            }
        }
        let newest = self.newest_pipeline(wanted.commit).await?;
        // Only a running or skipped one collides; an end takes the other's place, and that one's
        // own end is written anew.
        if let Some(newest) = newest.filter(|_| matches!(state, "running" | SKIPPED)) {
            let me = self.me().await?;
            let collides = |status: &GitLabStatus| {
                status.is_under_way()
                    && status.pipeline_id == Some(newest)
                    && status
                        .author
                        .as_ref()
                        .is_some_and(|author| author.id == me.id)
            };
            if statuses.iter().any(collides) {
                return Ok(StatusStep::EndOther(newest));
            }
        }
        Ok(StatusStep::Write(newest))
    }

    /// The newest pipeline of a commit.
    async fn newest_pipeline(&self, commit: &CommitId) -> Result<Option<u64>, ForgeError> {
        let path = format!("{}/pipelines?sha={commit}&order_by=id&sort=desc", self.path);
        let page = |page: Vec<PipelineRef>| page;
        let (pipelines, _) = self
            .speaker
            .page(("read the pipelines of a commit", &path), 1, page)
            .await?;
        Ok(pipelines.into_iter().map(|pipeline| pipeline.id).max())
    }

    /// Ends what is under way. Without `own`, its line and its address stay.
    async fn end(
        &self,
        wanted: &DesiredStatus<'_>,
        pipeline: Option<u64>,
        own: Option<&DesiredStatus<'_>>,
    ) -> Result<GitLabStatus, ForgeError> {
        let write = self.status_write(wanted, CANCELED, pipeline, own);
        let look = || async {
            let statuses = self.statuses(wanted.commit, wanted.name).await?;
            let there = statuses
                .iter()
                .any(|status| status.pipeline_id == pipeline && status.is_under_way());
            let last = statuses.into_iter().next_back();
            Ok(last.filter(|_| !there))
        };
        self.speaker.write(&write, look).await
    }

    async fn write_status(
        &self,
        wanted: &DesiredStatus<'_>,
        state: &str,
        pipeline: Option<u64>,
    ) -> Result<GitLabStatus, ForgeError> {
        let look = || async {
            let statuses = self.statuses(wanted.commit, wanted.name).await?;
            let own = statuses.into_iter().rev().find(|status| status.is(wanted));
            Ok(own.filter(|own| own.says(wanted, state)))
        };
        let write = self.status_write(wanted, state, pipeline, Some(wanted));
        match self.speaker.write(&write, look).await {
            // Some pipelines are listed that take no statuses; GitLab then finds one, or makes one.
            Err(ForgeError::NotFound { .. } | ForgeError::Refused { status: 422, .. })
                if pipeline.is_some() =>
            {
                self.speaker
                    .write(&self.status_write(wanted, state, None, Some(wanted)), look)
                    .await
            }
            sent => sent,
        }
    }

    fn status_write(
        &self,
        wanted: &DesiredStatus<'_>,
        state: &str,
        pipeline: Option<u64>,
        own: Option<&DesiredStatus<'_>>,
    ) -> Write {
        let mut body = json!({ "state": state, "name": wanted.name });
        if let Some(own) = own {
            body["description"] = own.description.as_str().into();
            if let Some(address) = &own.address {
                body["target_url"] = Value::from(address.as_str());
            }
        }
        if let Some(pipeline) = pipeline {
            body["pipeline_id"] = pipeline.into();
        }
        Write {
            what: format!(
                "write the commit status `{}` of {}",
                wanted.name, wanted.commit
            ),
            verb: Verb::Post,
            path: format!("{}/statuses/{}", self.path, wanted.commit),
            body,
        }
    }
}

/// Whether GitLab says that there is no way from the state it stands in.
fn is_transition(said: &str) -> bool {
    said.to_lowercase().contains("transition")
}

/// Whether it may be as wanted already, or soon.
fn is_worth_a_look(error: &ForgeError) -> bool {
    match error {
        ForgeError::Refused {
            status: 400, said, ..
        } => is_transition(said),
        // "Another update to this commit status is in progress".
        ForgeError::Refused { status: 409, .. } => true,
        _ => false,
    }
}
