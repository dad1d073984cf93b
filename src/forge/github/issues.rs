//! The dashboard's issue.
//!
//! Like a comment, it is ours by marker *and* author. It refuses to touch those of others.

use serde::Deserialize;
use serde_json::{Value, json};

use super::GitHub;
use super::comments::fitting;
use super::wire::{GitHubUser, encoded};
use crate::forge::speaker::{Verb, Write};
use crate::forge::{ForgeError, Issue};
use crate::trust::Account;

#[derive(Deserialize)]
struct GitHubIssue {
    number: u64,
    title: String,
    body: Option<String>,
    state: String,
    user: Option<GitHubUser>,
    html_url: String,
    /// GitHub lists pull requests among the issues.
    pull_request: Option<Value>,
}

impl From<GitHubIssue> for Issue {
    fn from(raw: GitHubIssue) -> Self {
        Self {
            number: raw.number,
            title: raw.title,
            body: raw.body.unwrap_or_default(),
            open: raw.state == "open",
            author: raw.user.map(Account::from),
            url: raw.html_url,
        }
    }
}

impl GitHub {
    /// The open issue by `me` that begins with `marker`; the oldest where there are several.
    ///
    /// # Errors
    /// Where GitHub does not show its issues.
    pub async fn issue(&self, me: &Account, marker: &str) -> Result<Option<Issue>, ForgeError> {
        let found = self
            .within("read an issue", self.our_issue(me, marker))
            .await?;
        Ok(found.map(Issue::from))
    }

    /// Makes sure that there is an open issue by `me` that begins with `marker`, and that it says
    /// so; the oldest where there are several.
    ///
    /// # Errors
    /// Where GitHub does not take it, or nobody knows whether it did.
    pub async fn put_issue(
        &self,
        me: &Account,
        marker: &str,
        title: &str,
        body: &str,
    ) -> Result<Issue, ForgeError> {
        let body = fitting(body);
        let put = async {
            match self.our_issue(me, marker).await? {
                Some(found)
                    if found.title == title && found.body.as_deref() == Some(body.as_str()) =>
                {
                    Ok(found)
                }
                Some(found) => self.edit_issue(found.number, title, &body).await,
                None => self.create_issue((me, marker), title, &body).await,
            }
        };
        self.within("write an issue", put).await.map(Issue::from)
    }

    async fn our_issue(
        &self,
        me: &Account,
        marker: &str,
    ) -> Result<Option<GitHubIssue>, ForgeError> {
        let creator = encoded(&me.login);
        let path = format!(
            "{}/issues?state=open&creator={creator}&sort=created&direction=asc",
            self.path
        );
        let issues = self
            .speaker
            .all("read the issues", &path, |page: Vec<GitHubIssue>| page)
            .await?;
        let ours = issues.into_iter().filter(|issue| {
            let by_me = issue.user.as_ref().is_some_and(|user| user.id() == me.id);
            let marked = issue
                .body
                .as_deref()
                .is_some_and(|body| body.starts_with(marker));
            by_me && marked && issue.pull_request.is_none() && issue.state == "open"
        });
        Ok(ours.min_by_key(|issue| issue.number))
    }

    async fn create_issue(
        &self,
        (me, marker): (&Account, &str),
        title: &str,
        body: &str,
    ) -> Result<GitHubIssue, ForgeError> {
        let write = Write {
            what: "open an issue".into(),
            verb: Verb::Post,
            path: format!("{}/issues", self.path),
            body: json!({ "title": title, "body": body }),
        };
        self.speaker
            .write(&write, || self.our_issue(me, marker))
            .await
    }

    async fn edit_issue(
        &self,
        number: u64,
        title: &str,
        body: &str,
    ) -> Result<GitHubIssue, ForgeError> {
        let path = format!("{}/issues/{number}", self.path);
        let what = format!("edit the issue #{number}");
        let write = Write {
            what,
            verb: Verb::Patch,
            path: path.clone(),
            body: json!({ "title": title, "body": body }),
        };
        let look = || async {
            let found: Option<GitHubIssue> = self.speaker.find_json("read an issue", &path).await?;
            Ok(found.filter(|issue| issue.title == title && issue.body.as_deref() == Some(body)))
        };
        self.speaker.write(&write, look).await
    }
}
