//! Comments and reactions.
//!
//! A comment is ours by marker *and* author. It refuses to touch those of others, whatever they
//! hold.

use serde::Deserialize;
use serde_json::{Value, json};

use super::GitHub;
use super::wire::{GitHubUser, moment};
use crate::forge::speaker::{Verb, Write};
use crate::forge::{ForgeError, Reaction};
use crate::id::Moment;
use crate::text::clip;
use crate::trust::{Account, Comment};

/// As many characters as GitHub takes of a comment or a pull request's text.
pub(super) const MOST_BODY: usize = 65_536;

const CUT: &str = "\n\n_This text was too long for GitHub; the rest of it is cut off._\n";

#[derive(Deserialize)]
struct RawComment {
    id: u64,
    user: Option<GitHubUser>,
    body: Option<String>,
    #[serde(deserialize_with = "moment")]
    created_at: Moment,
    #[serde(deserialize_with = "moment")]
    updated_at: Moment,
    html_url: String,
}

#[derive(Deserialize)]
struct RawReaction {
    user: Option<GitHubUser>,
    content: String,
}

impl From<RawComment> for Comment {
    fn from(raw: RawComment) -> Self {
        Self {
            id: raw.id,
            author: raw.user.map(Account::from),
            body: raw.body.unwrap_or_default(),
            created: raw.created_at,
            updated: raw.updated_at,
            url: raw.html_url,
        }
    }
}

/// What GitHub calls a reaction.
fn content(reaction: Reaction) -> &'static str {
    match reaction {
        Reaction::Eyes => "eyes",
        Reaction::Rocket => "rocket",
        Reaction::Confused => "confused",
    }
}

/// A body that GitHub takes.
pub(super) fn fitting(body: &str) -> String {
    if body.chars().nth(MOST_BODY).is_none() {
        return body.to_owned();
    }
    format!("{}{CUT}", clip(body, MOST_BODY - CUT.chars().count()))
}

impl GitHub {
    /// A comment on an issue or pull request; `None` where it is gone.
    ///
    /// # Errors
    /// Where GitHub does not show it.
    pub async fn comment(&self, id: u64) -> Result<Option<Comment>, ForgeError> {
        self.within("read a comment", self.raw_comment(id))
            .await
            .map(|raw| raw.map(Comment::from))
    }

    async fn raw_comment(&self, id: u64) -> Result<Option<RawComment>, ForgeError> {
        let path = format!("{}/issues/comments/{id}", self.path);
        self.speaker
            .find_json(&format!("read the comment {id}"), &path)
            .await
    }

    /// All comments of an issue or pull request, oldest first.
    ///
    /// # Errors
    /// Where GitHub does not show them, or there are more than three thousand.
    pub async fn comments(&self, issue: u64) -> Result<Vec<Comment>, ForgeError> {
        let raw = self
            .within("read comments", self.raw_comments(issue))
            .await?;
        Ok(raw.into_iter().map(Comment::from).collect())
    }

    async fn raw_comments(&self, issue: u64) -> Result<Vec<RawComment>, ForgeError> {
        let path = format!("{}/issues/{issue}/comments", self.path);
        let what = format!("read the comments on #{issue}");
        let mut comments = self
            .speaker
            .all(&what, &path, |page: Vec<RawComment>| page)
            .await?;
        comments.sort_by_key(|comment| comment.id);
        Ok(comments)
    }

    /// The oldest comment by `me` that begins with `marker`; one in the middle may be somebody
    /// else's words.
    async fn ours(
        &self,
        issue: u64,
        me: &Account,
        marker: &str,
    ) -> Result<Option<RawComment>, ForgeError> {
        let comments = self.raw_comments(issue).await?;
        let mine = |comment: &RawComment| {
            let by_me = comment.user.as_ref().is_some_and(|user| user.id() == me.id);
            by_me
                && comment
                    .body
                    .as_deref()
                    .is_some_and(|body| body.starts_with(marker))
        };
        Ok(comments.into_iter().find(mine))
    }

    /// Makes sure that there is a comment by `me` that begins with `marker`, and that it says
    /// `body`, which begins so too. Where there are several, the oldest is the one. A forged
    /// one by somebody else is not touched. A body of more than 65,536 characters loses its
    /// end, and says so.
    ///
    /// # Errors
    /// Where GitHub does not take it, or nobody knows whether it did.
    pub async fn put_comment(
        &self,
        issue: u64,
        me: &Account,
        marker: &str,
        body: &str,
    ) -> Result<Comment, ForgeError> {
        let body = fitting(body);
        let put = async {
            if let Some(found) = self.ours(issue, me, marker).await?
                && let Some(edited) = self.edit_comment(found, &body).await?
            {
                return Ok(edited);
            }
            self.create_comment((issue, me, marker), &body).await
        };
        self.within("write a comment", put).await.map(Comment::from)
    }

    async fn create_comment(
        &self,
        (issue, me, marker): (u64, &Account, &str),
        body: &str,
    ) -> Result<RawComment, ForgeError> {
        let write = Write {
            what: format!("write a comment on #{issue}"),
            verb: Verb::Post,
            path: format!("{}/issues/{issue}/comments", self.path),
            body: json!({ "body": body }),
        };
        self.speaker
            .write(&write, || self.ours(issue, me, marker))
            .await
    }

    /// `None` where it was deleted meanwhile.
    async fn edit_comment(
        &self,
        found: RawComment,
        body: &str,
    ) -> Result<Option<RawComment>, ForgeError> {
        if found.body.as_deref() == Some(body) {
            return Ok(Some(found));
        }
        let id = found.id;
        let write = Write {
            what: format!("edit the comment {id}"),
            verb: Verb::Patch,
            path: format!("{}/issues/comments/{id}", self.path),
            body: json!({ "body": body }),
        };
        let says_so = |comment: &RawComment| comment.body.as_deref() == Some(body);
        let look = || async move { Ok(self.raw_comment(id).await?.filter(says_so)) };
        crate::forge::speaker::absent(self.speaker.write(&write, look).await)
    }

    /// Makes sure that the token's account has reacted to a comment like that. A comment that is
    /// gone is fine.
    ///
    /// # Errors
    /// Where GitHub does not take it, or nobody knows whether it did.
    pub async fn react(&self, comment: u64, reaction: Reaction) -> Result<(), ForgeError> {
        let path = format!("{}/issues/comments/{comment}/reactions", self.path);
        let content = content(reaction);
        let what = format!("react to the comment {comment}");
        let write = Write {
            what,
            verb: Verb::Post,
            path: path.clone(),
            body: json!({ "content": content }),
        };
        let sent = self
            .speaker
            .write::<Value, _>(&write, || self.reacted(&path, content));
        crate::forge::speaker::absent(self.within("react to a comment", sent).await).map(drop)
    }

    /// Whether the reaction is there and ours. GitHub keeps one of a kind for each account: where
    /// it does not tell who we are, sending it again makes no second one.
    async fn reacted(&self, path: &str, content: &str) -> Result<Option<Value>, ForgeError> {
        let Ok(me) = self.me().await else {
            return Ok(None);
        };
        let path = format!("{path}?content={content}");
        let found = self
            .speaker
            .all("read the reactions", &path, |page: Vec<RawReaction>| page)
            .await;
        let mine = |reaction: &RawReaction| {
            reaction.content == content
                && reaction
                    .user
                    .as_ref()
                    .is_some_and(|user| user.id() == me.id)
        };
        Ok(found?.iter().any(mine).then_some(Value::Null))
    }
}
