//! Pull requests.
//!
//! One is found by its head and base, both in this repository. It refuses to reopen what a person
//! closed, and to make a second one.

use serde::Deserialize;
use serde_json::{Value, json};

use super::GitHub;
use super::comments::fitting;
use super::wire::{GitHubUser, WithId, encoded};
use crate::forge::speaker::{Verb, Write};
use crate::forge::{ForgeError, PullWanted};
use crate::id::CommitId;
use crate::text::clip;
use crate::trust::{Account, PullRequest, PullSide};

/// As many characters as GitHub takes of a title.
const MOST_TITLE: usize = 256;

#[derive(Deserialize)]
struct RawPull {
    number: u64,
    state: String,
    title: String,
    body: Option<String>,
    head: RawSide,
    base: RawSide,
    html_url: String,
    user: Option<GitHubUser>,
    /// Not in lists, which have the date alone.
    merged: Option<bool>,
    merged_at: Option<String>,
}

#[derive(Deserialize)]
struct RawSide {
    #[serde(rename = "ref")]
    branch: String,
    sha: CommitId,
    /// `null` where it is gone.
    repo: Option<WithId>,
}

impl From<RawSide> for PullSide {
    fn from(raw: RawSide) -> Self {
        Self {
            branch: raw.branch,
            commit: raw.sha,
            repository: raw.repo.map(|repository| repository.id),
        }
    }
}

impl From<RawPull> for PullRequest {
    fn from(raw: RawPull) -> Self {
        Self {
            number: raw.number,
            open: raw.state == "open",
            head: raw.head.into(),
            base: raw.base.into(),
            url: raw.html_url,
            author: raw.user.map(Account::from),
            merged: raw.merged.unwrap_or(raw.merged_at.is_some()),
            body: raw.body.unwrap_or_default(),
        }
    }
}

impl RawPull {
    /// Whether it is from that branch of the repository it was made in. GitHub ignores a filter
    /// that it does not understand, and lists everything.
    fn is_from(&self, branch: &str) -> bool {
        let repository = |side: &RawSide| side.repo.as_ref().map(|repository| repository.id);
        self.head.branch == branch
            && repository(&self.head).is_some()
            && repository(&self.head) == repository(&self.base)
    }
}

impl GitHub {
    /// A pull request.
    ///
    /// # Errors
    /// Where there is none, or GitHub does not show it.
    pub async fn pull_request(&self, number: u64) -> Result<PullRequest, ForgeError> {
        let what = format!("read the pull request #{number}");
        let path = format!("{}/pulls/{number}", self.path);
        let raw: RawPull = self
            .within(&what, self.speaker.read_json(&what, &path))
            .await?;
        Ok(raw.into())
    }

    /// Pull requests from a branch of this repository, newest first, open and closed.
    ///
    /// # Errors
    /// Where GitHub does not show them.
    pub async fn pull_requests_from(&self, branch: &str) -> Result<Vec<PullRequest>, ForgeError> {
        let path = self.pulls_from(branch, "all");
        let raw = self
            .within("read pull requests", self.raw_pulls(&path, branch))
            .await?;
        Ok(raw.into_iter().map(PullRequest::from).collect())
    }

    fn pulls_from(&self, branch: &str, state: &str) -> String {
        let head = encoded(&format!("{}:{branch}", self.owner));
        format!(
            "{}/pulls?head={head}&state={state}&sort=created&direction=desc",
            self.path
        )
    }

    async fn raw_pulls(&self, path: &str, branch: &str) -> Result<Vec<RawPull>, ForgeError> {
        let what = format!("read the pull requests from the branch {branch}");
        let mut pulls = self
            .speaker
            .all(&what, path, |page: Vec<RawPull>| page)
            .await?;
        pulls.retain(|pull| pull.is_from(branch));
        Ok(pulls)
    }

    async fn open_pull(&self, wanted: &PullWanted) -> Result<Option<RawPull>, ForgeError> {
        let path = format!(
            "{}&base={}",
            self.pulls_from(&wanted.head, "open"),
            encoded(&wanted.base)
        );
        let pulls = self.raw_pulls(&path, &wanted.head).await?;
        Ok(pulls
            .into_iter()
            .find(|pull| pull.base.branch == wanted.base && pull.state == "open"))
    }

    /// Makes sure that there is an open pull request from `head` to `base`, with that title and
    /// body. Where the repository has no drafts, it is no draft. Labels that GitHub does not
    /// take are left out: they are not worth the rest.
    ///
    /// # Errors
    /// [`ForgeError::Forbidden`] where the token, or the repository's setting, does not allow it;
    /// [`ForgeError::Refused`] where head and base do not differ; else where nobody knows whether
    /// it was done.
    pub async fn put_pull_request(&self, wanted: &PullWanted) -> Result<PullRequest, ForgeError> {
        let wanted = &PullWanted {
            title: clip(&wanted.title, MOST_TITLE),
            body: fitting(&wanted.body),
            ..wanted.clone()
        };
        let put = async {
            if let Some(found) = self.open_pull(wanted).await? {
                return self.edit_pull(found, wanted).await;
            }
            let made = match self.create_pull(wanted, wanted.draft).await {
                Err(ForgeError::Refused {
                    status: 422, said, ..
                }) if wanted.draft && speaks_of(&said, "draft") => {
                    self.create_pull(wanted, false).await
                }
                // Somebody was faster.
                Err(ForgeError::Refused {
                    status: 422,
                    said,
                    what,
                }) if speaks_of(&said, "already exists") => {
                    let found = self.open_pull(wanted).await?;
                    return self
                        .edit_pull(
                            found.ok_or(ForgeError::Refused {
                                what,
                                status: 422,
                                said,
                            })?,
                            wanted,
                        )
                        .await;
                }
                made => made,
            }?;
            self.label(made.number, &wanted.labels).await;
            Ok(made)
        };
        self.within("open a pull request", put)
            .await
            .map(PullRequest::from)
    }

    async fn create_pull(&self, wanted: &PullWanted, draft: bool) -> Result<RawPull, ForgeError> {
        let PullWanted {
            head,
            base,
            title,
            body,
            ..
        } = wanted;
        let write = Write {
            what: format!("open a pull request from {head} to {base}"),
            verb: Verb::Post,
            path: format!("{}/pulls", self.path),
            body: json!({ "title": title, "head": head, "base": base, "body": body, "draft": draft }),
        };
        self.speaker.write(&write, || self.open_pull(wanted)).await
    }

    async fn edit_pull(&self, found: RawPull, wanted: &PullWanted) -> Result<RawPull, ForgeError> {
        let same = |pull: &RawPull| {
            pull.title == wanted.title && pull.body.as_deref() == Some(wanted.body.as_str())
        };
        if same(&found) {
            return Ok(found);
        }
        let path = format!("{}/pulls/{}", self.path, found.number);
        let write = Write {
            what: format!("edit the pull request #{}", found.number),
            verb: Verb::Patch,
            path: path.clone(),
            body: json!({ "title": wanted.title, "body": wanted.body }),
        };
        let look = || async {
            let there: Option<RawPull> =
                self.speaker.find_json("read a pull request", &path).await?;
            Ok(there.filter(same))
        };
        self.speaker.write(&write, look).await
    }

    /// Labels are a set: GitHub keeps one of a kind, and creates those that are missing.
    async fn label(&self, number: u64, labels: &[String]) {
        if labels.is_empty() {
            return;
        }
        let path = format!("{}/issues/{number}/labels", self.path);
        let what = format!("label the pull request #{number}");
        let write = Write {
            what,
            verb: Verb::Post,
            path: path.clone(),
            body: json!({ "labels": labels }),
        };
        let look = || async {
            let there = self
                .speaker
                .all("read the labels", &path, |page: Vec<Value>| page)
                .await?;
            let has = |label: &String| there.iter().any(|one| one["name"].as_str() == Some(label));
            Ok(labels.iter().all(has).then_some(Value::Null))
        };
        // The pull request is there; a label that is missing must not make it look lost.
        drop(self.speaker.write::<Value, _>(&write, look).await);
    }
}

fn speaks_of(said: &str, word: &str) -> bool {
    said.to_lowercase().contains(word)
}
