//! Merge requests.
//!
//! One is found by its branches, both in this project. It refuses to reopen what a person closed,
//! to make a second one, and to turn one into a draft or back.

use std::cmp::Reverse;

use serde::Deserialize;
use serde_json::json;

use super::GitLab;
use super::texts::{MOST_LINE, fitting, title};
use super::wire::{GitLabUser, no_commit, second};
use crate::forge::speaker::{Verb, Write};
use crate::forge::wire::{encoded, moment};
use crate::forge::{ForgeError, PullWanted};
use crate::id::{CommitId, Moment};
use crate::text::clip;
use crate::trust::{Account, PullRequest, PullSide, Push};

/// What GitLab knows drafts by.
const DRAFT: &str = "Draft: ";

#[derive(Deserialize)]
struct RawMerge {
    iid: u64,
    state: String,
    title: String,
    description: Option<String>,
    source_branch: String,
    target_branch: String,
    /// `null` where it is gone.
    source_project_id: Option<u64>,
    target_project_id: u64,
    /// The head; `null` for a moment after it was opened.
    sha: Option<CommitId>,
    /// Not in lists.
    diff_refs: Option<DiffRefs>,
    web_url: String,
    author: Option<GitLabUser>,
}

#[derive(Deserialize)]
struct DiffRefs {
    /// The target branch's tip, as it was at the last push.
    start_sha: Option<CommitId>,
}

#[derive(Deserialize)]
struct Version {
    id: u64,
    head_commit_sha: Option<CommitId>,
    #[serde(deserialize_with = "moment")]
    created_at: Moment,
}

impl From<RawMerge> for PullRequest {
    fn from(raw: RawMerge) -> Self {
        let head = PullSide {
            branch: raw.source_branch,
            commit: raw.sha.unwrap_or_else(no_commit),
            repository: raw.source_project_id,
        };
        let start = raw.diff_refs.and_then(|refs| refs.start_sha);
        let base = PullSide {
            branch: raw.target_branch,
            commit: start.unwrap_or_else(no_commit),
            repository: Some(raw.target_project_id),
        };
        Self {
            number: raw.iid,
            open: raw.state == "opened",
            head,
            base,
            url: raw.web_url,
            author: raw.author.map(Account::from),
            merged: raw.state == "merged",
            body: raw.description.unwrap_or_default(),
        }
    }
}

impl RawMerge {
    fn is_from(&self, branch: &str, project: u64) -> bool {
        self.source_branch == branch
            && self.source_project_id == Some(project)
            && self.target_project_id == project
    }

    fn is_draft(&self) -> bool {
        let lower = self.title.to_lowercase();
        ["draft:", "[draft]", "(draft)"]
            .iter()
            .any(|word| lower.starts_with(word))
    }
}

/// The title of a merge request that is a draft, or is none.
fn titled(wanted: &str, draft: bool) -> String {
    if draft {
        clip(&format!("{DRAFT}{}", title(wanted)), MOST_LINE)
    } else {
        title(wanted)
    }
}

impl GitLab {
    /// A merge request. Its base's commit is the target branch's tip as it was at the last push,
    /// and forty zeros where GitLab does not tell it.
    ///
    /// # Errors
    /// Where there is none, or GitLab does not show it.
    pub async fn pull_request(&self, number: u64) -> Result<PullRequest, ForgeError> {
        let what = format!("read the merge request !{number}");
        let path = format!("{}/merge_requests/{number}", self.path);
        let raw: RawMerge = self
            .speaker
            .within(&what, self.speaker.read_json(&what, &path))
            .await?;
        Ok(raw.into())
    }

    /// GitLab's records of pushes to a merge request's head, newest first, to the second. One whose
    /// commit is gone has forty zeros.
    ///
    /// # Errors
    /// Where GitLab does not show them.
    pub async fn pushes(&self, number: u64) -> Result<Vec<Push>, ForgeError> {
        let what = format!("read the versions of the merge request !{number}");
        let path = format!("{}/merge_requests/{number}/versions", self.path);
        let read = self.speaker.all(&what, &path, |page: Vec<Version>| page);
        let mut versions = self.speaker.within(&what, read).await?;
        versions.sort_by_key(|version| Reverse((version.created_at, version.id)));
        let push = |version: Version| Push {
            after: version.head_commit_sha.unwrap_or_else(no_commit),
            at: second(version.created_at),
        };
        Ok(versions.into_iter().map(push).collect())
    }

    /// Merge requests within this project from a branch of it, newest first, open and closed.
    ///
    /// # Errors
    /// Where GitLab does not show them.
    pub async fn pull_requests_from(&self, branch: &str) -> Result<Vec<PullRequest>, ForgeError> {
        let read = self.raw_from(branch, "all");
        let raw = self.speaker.within("read merge requests", read).await?;
        Ok(raw.into_iter().map(PullRequest::from).collect())
    }

    /// The merge requests into this project, open or not, that were changed or commented on since
    /// then, oldest first.
    ///
    /// # Errors
    /// Where GitLab does not show them, or there are more than three thousand.
    pub async fn merge_requests_updated_since(
        &self,
        since: Moment,
    ) -> Result<Vec<PullRequest>, ForgeError> {
        let what = "read the merge requests that were updated lately";
        let since = encoded(
            &since
                .to_utc()
                .to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        );
        // In the order they were made: one that is updated meanwhile stays on its page.
        let path = format!(
            "{}/merge_requests?state=all&scope=all&updated_after={since}&order_by=created_at&sort=asc",
            self.path
        );
        let read = self.speaker.all(what, &path, |page: Vec<RawMerge>| page);
        let mut raw = self.speaker.within(what, read).await?;
        raw.retain(|merge| merge.target_project_id == self.project);
        raw.sort_by_key(|merge| merge.iid);
        raw.dedup_by_key(|merge| merge.iid);
        Ok(raw.into_iter().map(PullRequest::from).collect())
    }

    async fn raw_from(&self, branch: &str, state: &str) -> Result<Vec<RawMerge>, ForgeError> {
        let what = format!("read the merge requests from the branch {branch}");
        let path = format!(
            "{}/merge_requests?source_branch={}&state={state}&scope=all&order_by=created_at&sort=desc",
            self.path,
            encoded(branch)
        );
        let mut merges = self
            .speaker
            .all(&what, &path, |page: Vec<RawMerge>| page)
            .await?;
        merges.retain(|merge| merge.is_from(branch, self.project));
        merges.sort_by_key(|merge| Reverse(merge.iid));
        merges.dedup_by_key(|merge| merge.iid);
        Ok(merges)
    }

    async fn open_merge(&self, wanted: &PullWanted) -> Result<Option<RawMerge>, ForgeError> {
        let merges = self.raw_from(&wanted.head, "opened").await?;
        Ok(merges
            .into_iter()
            .find(|merge| merge.target_branch == wanted.base && merge.state == "opened"))
    }

    /// Makes sure that there is an open merge request from `head` to `base`, with that title and
    /// description. One that is open keeps being a draft, or none. Its branch is removed when
    /// it is merged.
    ///
    /// # Errors
    /// [`ForgeError::Forbidden`] where the token, or the project's settings, do not allow it;
    /// [`ForgeError::Refused`] where GitLab says no; else where nobody knows whether it was
    /// done.
    pub async fn put_pull_request(&self, wanted: &PullWanted) -> Result<PullRequest, ForgeError> {
        let wanted = &PullWanted {
            body: fitting(&wanted.body),
            ..wanted.clone()
        };
        let put = async {
            if let Some(found) = self.open_merge(wanted).await? {
                return self.edit_merge(found, wanted).await;
            }
            match self.create_merge(wanted).await {
                // Somebody was faster.
                Err(ForgeError::Refused {
                    status: 409,
                    said,
                    what,
                }) => {
                    let found = self.open_merge(wanted).await?;
                    self.edit_merge(
                        found.ok_or(ForgeError::Refused {
                            what,
                            status: 409,
                            said,
                        })?,
                        wanted,
                    )
                    .await
                }
                made => made,
            }
        };
        self.speaker
            .within("open a merge request", put)
            .await
            .map(PullRequest::from)
    }

    async fn create_merge(&self, wanted: &PullWanted) -> Result<RawMerge, ForgeError> {
        let PullWanted {
            head,
            base,
            body,
            labels,
            ..
        } = wanted;
        let mut body = json!({
            "source_branch": head,
            "target_branch": base,
            "title": titled(&wanted.title, wanted.draft),
            "description": body,
            "remove_source_branch": true,
        });
        if !labels.is_empty() {
            body["labels"] = labels.join(",").into();
        }
        let write = Write {
            what: format!("open a merge request from {head} to {base}"),
            verb: Verb::Post,
            path: format!("{}/merge_requests", self.path),
            body,
        };
        self.speaker.write(&write, || self.open_merge(wanted)).await
    }

    async fn edit_merge(
        &self,
        found: RawMerge,
        wanted: &PullWanted,
    ) -> Result<RawMerge, ForgeError> {
        let title = titled(&wanted.title, found.is_draft());
        let same = |merge: &RawMerge| {
            merge.title == title && merge.description.as_deref().unwrap_or_default() == wanted.body
        };
        if same(&found) {
            return Ok(found);
        }
        let path = format!("{}/merge_requests/{}", self.path, found.iid);
        let write = Write {
            what: format!("edit the merge request !{}", found.iid),
            verb: Verb::Put,
            path: path.clone(),
            body: json!({ "title": title, "description": wanted.body }),
        };
        let look = || async {
            let there: Option<RawMerge> = self
                .speaker
                .find_json("read a merge request", &path)
                .await?;
            Ok(there.filter(same))
        };
        self.speaker.write(&write, look).await
    }
}
