//! Notes on merge requests: what people write, and what omk writes back.
//!
//! A note is ours by marker *and* author. It refuses to touch those of others, whatever they hold,
//! and to show what GitLab itself wrote: nobody said that.

use serde::Deserialize;
use serde_json::json;

use super::GitLab;
use super::texts::fitting;
use super::wire::{GitLabUser, second};
use crate::forge::ForgeError;
use crate::forge::speaker::{Verb, Write, absent};
use crate::forge::wire::moment;
use crate::id::Moment;
use crate::trust::{Account, Comment};

#[derive(Deserialize)]
pub(super) struct RawNote {
    pub(super) id: u64,
    body: Option<String>,
    author: Option<GitLabUser>,
    #[serde(deserialize_with = "moment")]
    created_at: Moment,
    #[serde(deserialize_with = "moment")]
    updated_at: Moment,
    #[serde(default)]
    system: bool,
}

impl RawNote {
    /// Whether anything happened to it after the second in which it was made.
    pub(super) fn was_touched(&self) -> bool {
        second(self.updated_at) != second(self.created_at)
    }

    fn at(self, merge_request: &str, unedited: &[u64]) -> Comment {
        let created = second(self.created_at);
        let updated = if unedited.contains(&self.id) {
            created
        } else {
            second(self.updated_at)
        };
        let url = format!("{merge_request}#note_{}", self.id);
        let author = self.author.map(Account::from);
        Comment {
            id: self.id,
            author,
            body: self.body.unwrap_or_default(),
            created,
            updated,
            url,
        }
    }
}

impl GitLab {
    fn notes_of(&self, pull: u64) -> String {
        format!("{}/merge_requests/{pull}/notes", self.path)
    }

    /// A note on a merge request; `None` where it is gone, or GitLab itself wrote it. Times are cut
    /// to the second; `updated` is when it was edited, and not when somebody reacted to it.
    ///
    /// # Errors
    /// Where GitLab does not show it.
    pub async fn comment(&self, pull: u64, note: u64) -> Result<Option<Comment>, ForgeError> {
        let read = async {
            let Some(raw) = self.raw_note(pull, note).await?.filter(|raw| !raw.system) else {
                return Ok(None);
            };
            Ok(self.as_comments(pull, vec![raw]).await?.pop())
        };
        self.speaker.within("read a comment", read).await
    }

    /// All notes of a merge request that people and bots wrote, oldest first; their times as in
    /// [`GitLab::comment`].
    ///
    /// # Errors
    /// Where GitLab does not show them, or there are more than three thousand.
    pub async fn comments(&self, pull: u64) -> Result<Vec<Comment>, ForgeError> {
        let read = async { self.as_comments(pull, self.raw_notes(pull).await?).await };
        self.speaker.within("read comments", read).await
    }

    async fn as_comments(&self, pull: u64, raw: Vec<RawNote>) -> Result<Vec<Comment>, ForgeError> {
        let url = format!("{}/-/merge_requests/{pull}", self.url().await?);
        let unedited = self.unedited(&raw).await?;
        Ok(raw
            .into_iter()
            .map(|note| note.at(&url, &unedited))
            .collect())
    }

    async fn raw_note(&self, pull: u64, note: u64) -> Result<Option<RawNote>, ForgeError> {
        let path = format!("{}/{note}", self.notes_of(pull));
        self.speaker
            .find_json(&format!("read the comment {note}"), &path)
            .await
    }

    async fn raw_notes(&self, pull: u64) -> Result<Vec<RawNote>, ForgeError> {
        // Where GitLab knows the filter, its own notes take up no pages.
        let path = format!(
            "{}?order_by=created_at&sort=asc&activity_filter=only_comments",
            self.notes_of(pull)
        );
        let what = format!("read the comments on !{pull}");
        let mut notes = self
            .speaker
            .all(&what, &path, |page: Vec<RawNote>| page)
            .await?;
        notes.retain(|note| !note.system);
        notes.sort_by_key(|note| note.id);
        notes.dedup_by_key(|note| note.id);
        Ok(notes)
    }

    /// The oldest note by `me` that begins with `marker`; one in the middle may be somebody else's
    /// words.
    async fn our_note(
        &self,
        pull: u64,
        me: &Account,
        marker: &str,
    ) -> Result<Option<RawNote>, ForgeError> {
        let mine = |note: &RawNote| {
            let by_me = note
                .author
                .as_ref()
                .is_some_and(|author| author.id == me.id);
            by_me
                && note
                    .body
                    .as_deref()
                    .is_some_and(|body| body.starts_with(marker))
        };
        Ok(self.raw_notes(pull).await?.into_iter().find(mine))
    }

    /// Makes sure that there is a note by `me` that begins with `marker`, and that it says `body`,
    /// which begins so too. Where there are several, the oldest is the one. A forged one by
    /// somebody else is not touched. Lines that GitLab would carry out do nothing. A body of
    /// more than 1,000,000 characters loses its end, and says so.
    ///
    /// # Errors
    /// Where GitLab does not take it, or nobody knows whether it did.
    pub async fn put_comment(
        &self,
        pull: u64,
        me: &Account,
        marker: &str,
        body: &str,
    ) -> Result<Comment, ForgeError> {
        let body = fitting(body);
        let put = async {
            let url = format!("{}/-/merge_requests/{pull}", self.url().await?);
            if let Some(found) = self.our_note(pull, me, marker).await?
                && let Some(edited) = self.edit_note(pull, found, &body).await?
            {
                return Ok(edited.at(&url, &[]));
            }
            Ok(self
                .create_note((pull, me, marker), &body)
                .await?
                .at(&url, &[]))
        };
        self.speaker.within("write a comment", put).await
    }

    async fn create_note(
        &self,
        (pull, me, marker): (u64, &Account, &str),
        body: &str,
    ) -> Result<RawNote, ForgeError> {
        let write = Write {
            what: format!("write a comment on !{pull}"),
            verb: Verb::Post,
            path: self.notes_of(pull),
            body: json!({ "body": body }),
        };
        self.speaker
            .write(&write, || self.our_note(pull, me, marker))
            .await
    }

    /// `None` where it was deleted meanwhile.
    async fn edit_note(
        &self,
        pull: u64,
        found: RawNote,
        body: &str,
    ) -> Result<Option<RawNote>, ForgeError> {
        if found.body.as_deref() == Some(body) {
            return Ok(Some(found));
        }
        let note = found.id;
        let write = Write {
            what: format!("edit the comment {note}"),
            verb: Verb::Put,
            path: format!("{}/{note}", self.notes_of(pull)),
            body: json!({ "body": body }),
        };
        let says_so = |note: &RawNote| note.body.as_deref() == Some(body);
        let look = || async move { Ok(self.raw_note(pull, note).await?.filter(says_so)) };
        absent(self.speaker.write(&write, look).await)
    }
}
