//! The dashboard's issue.
//!
//! Like a note, it is ours by marker *and* author. It refuses to touch those of others.

use serde::Deserialize;
use serde_json::json;

use super::GitLab;
use super::texts::{self, fitting};
use super::wire::GitLabUser;
use crate::forge::speaker::{Verb, Write};
use crate::forge::{ForgeError, Issue};
use crate::trust::Account;

#[derive(Deserialize)]
struct GitLabIssue {
    iid: u64,
    title: String,
    description: Option<String>,
    state: String,
    author: Option<GitLabUser>,
    web_url: String,
}

impl From<GitLabIssue> for Issue {
    fn from(raw: GitLabIssue) -> Self {
        Self {
            number: raw.iid,
            title: raw.title,
            body: raw.description.unwrap_or_default(),
            open: raw.state == "opened",
            author: raw.author.map(Account::from),
            url: raw.web_url,
        }
    }
}

impl GitLabIssue {
    fn says(&self, title: &str, body: &str) -> bool {
        self.title == title && self.description.as_deref().unwrap_or_default() == body
    }
}

impl GitLab {
    /// The open issue by `me` that begins with `marker`; the oldest where there are several.
    ///
    /// # Errors
    /// Where GitLab does not show the project's issues.
    pub async fn issue(&self, me: &Account, marker: &str) -> Result<Option<Issue>, ForgeError> {
        let found = self
            .speaker
            .within("read an issue", self.our_issue(me, marker))
            .await?;
        Ok(found.map(Issue::from))
    }

    /// Makes sure that there is an open issue by `me` that begins with `marker`, and that it says
    /// so; the oldest where there are several.
    ///
    /// # Errors
    /// Where GitLab does not take it, or nobody knows whether it did.
    pub async fn put_issue(
        &self,
        me: &Account,
        marker: &str,
        title: &str,
        body: &str,
    ) -> Result<Issue, ForgeError> {
        let (title, body) = (&*texts::title(title), &*fitting(body));
        let put = async {
            match self.our_issue(me, marker).await? {
                Some(found) if found.says(title, body) => Ok(found),
                Some(found) => self.edit_issue(found.iid, title, body).await,
                None => self.create_issue((me, marker), title, body).await,
            }
        };
        self.speaker
            .within("write an issue", put)
            .await
            .map(Issue::from)
    }

    async fn our_issue(
        &self,
        me: &Account,
        marker: &str,
    ) -> Result<Option<GitLabIssue>, ForgeError> {
        let query = format!(
            "author_id={}&state=opened&scope=all&order_by=created_at&sort=asc",
            me.id
        );
        let path = format!("{}/issues?{query}", self.path);
        let issues = self
            .speaker
            .all("read the issues", &path, |page: Vec<GitLabIssue>| page)
            .await?;
        let ours = issues.into_iter().filter(|issue| {
            let by_me = issue
                .author
                .as_ref()
                .is_some_and(|author| author.id == me.id);
            let marked = issue
                .description
                .as_deref()
                .is_some_and(|body| body.starts_with(marker));
            by_me && marked && issue.state == "opened"
        });
        Ok(ours.min_by_key(|issue| issue.iid))
    }

    async fn create_issue(
        &self,
        (me, marker): (&Account, &str),
        title: &str,
        body: &str,
    ) -> Result<GitLabIssue, ForgeError> {
        let write = Write {
            what: "open an issue".into(),
            verb: Verb::Post,
            path: format!("{}/issues", self.path),
            body: json!({ "title": title, "description": body }),
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
    ) -> Result<GitLabIssue, ForgeError> {
        let path = format!("{}/issues/{number}", self.path);
        let write = Write {
            what: format!("edit the issue #{number}"),
            verb: Verb::Put,
            path: path.clone(),
            body: json!({ "title": title, "description": body }),
        };
        let look = || async {
            let found: Option<GitLabIssue> = self.speaker.find_json("read an issue", &path).await?;
            Ok(found.filter(|issue| issue.says(title, body)))
        };
        self.speaker.write(&write, look).await
    }
}
