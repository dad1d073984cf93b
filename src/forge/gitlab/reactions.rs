//! Award emoji on notes: omk's marks.
//!
//! It refuses to think that a refused award is there because GitLab says so: it looks for our own.

use serde::Deserialize;
use serde_json::{Value, json};

use super::GitLab;
use super::wire::GitLabUser;
use crate::forge::speaker::{Verb, Write};
use crate::forge::{ForgeError, Reaction};
use crate::trust::Account;

#[derive(Deserialize)]
struct RawAward {
    name: String,
    user: Option<GitLabUser>,
}

/// What GitLab calls a reaction.
fn name(reaction: Reaction) -> &'static str {
    match reaction {
        Reaction::Eyes => "eyes",
        Reaction::Rocket => "rocket",
        Reaction::Confused => "confused",
    }
}

impl GitLab {
    fn awards_of(&self, pull: u64, note: u64) -> String {
        format!(
            "{}/merge_requests/{pull}/notes/{note}/award_emoji",
            self.path
        )
    }

    /// Who has reacted to a note, and with the emoji of which name.
    ///
    /// # Errors
    /// [`ForgeError::NotFound`] where the note is gone; else where GitLab does not show them.
    pub async fn awards(&self, pull: u64, note: u64) -> Result<Vec<(Account, String)>, ForgeError> {
        let awards = self
            .speaker
            .within("read the reactions", self.raw_awards(pull, note))
            .await?;
        let known = awards
            .into_iter()
            .filter_map(|award| Some((Account::from(award.user?), award.name)));
        Ok(known.collect())
    }

    async fn raw_awards(&self, pull: u64, note: u64) -> Result<Vec<RawAward>, ForgeError> {
        let what = format!("read the reactions to the comment {note}");
        self.speaker
            .all(&what, &self.awards_of(pull, note), |page: Vec<RawAward>| {
                page
            })
            .await
    }

    /// Makes sure that the token's account has reacted to a note like that. A note that is gone is
    /// fine.
    ///
    /// # Errors
    /// Where GitLab does not take it, or nobody knows whether it did.
    pub async fn react(&self, pull: u64, note: u64, reaction: Reaction) -> Result<(), ForgeError> {
        self.claim(pull, note, reaction).await.map(drop)
    }

    /// The same; false where the reaction was there before, or the note is gone. GitLab takes one
    /// of each from an account, so of two that react at once one gets true.
    ///
    /// # Errors
    /// As [`GitLab::react`].
    pub async fn claim(
        &self,
        pull: u64,
        note: u64,
        reaction: Reaction,
    ) -> Result<bool, ForgeError> {
        let name = name(reaction);
        let write = Write {
            what: format!("react to the comment {note}"),
            verb: Verb::Post,
            path: self.awards_of(pull, note),
            body: json!({ "name": name }),
        };
        let react = async {
            let look = || async move {
                Ok(self
                    .has_reacted(pull, note, name)
                    .await?
                    .then_some(Value::Null))
            };
            match self.speaker.write::<Value, _>(&write, look).await {
                // It says so of a second award, of one that may not be made, and of a note that is
                // gone.
                Err(ForgeError::NotFound { what }) => {
                    match self.has_reacted(pull, note, name).await {
                        Ok(true) | Err(ForgeError::NotFound { .. }) => Ok(false),
                        Ok(false) => Err(ForgeError::NotFound { what }),
                        Err(error) => Err(error),
                    }
                }
                sent => sent.map(|_| true),
            }
        };
        self.speaker.within("react to a comment", react).await
    }

    async fn has_reacted(&self, pull: u64, note: u64, name: &str) -> Result<bool, ForgeError> {
        let me = self.me().await?;
        let mine = |award: &RawAward| {
            award.name == name && award.user.as_ref().is_some_and(|user| user.id == me.id)
        };
        Ok(self.raw_awards(pull, note).await?.iter().any(mine))
    }
}
