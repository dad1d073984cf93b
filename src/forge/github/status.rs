//! Commit statuses: what is left where a token may not write checks.
//!
//! A status has four states and one line. It refuses to show as a success what is none.

use serde::Deserialize;
use serde_json::json;

use super::GitHub;
use crate::forge::speaker::{Verb, Write};
use crate::forge::{CheckState, Conclusion, ForgeError};
use crate::id::CommitId;
use crate::text::clip;

/// As many characters as GitHub takes of a description.
const MOST: usize = 140;

#[derive(Deserialize)]
struct GitHubStatus {
    state: String,
    context: String,
    description: Option<String>,
}

/// What GitHub calls a state. Nothing verified is an error here: a status cannot say "neutral".
fn word(state: CheckState) -> &'static str {
    match state {
        CheckState::InProgress => "pending",
        CheckState::Completed(Conclusion::Success) => "success",
        CheckState::Completed(Conclusion::Failure | Conclusion::ActionRequired) => "failure",
        CheckState::Completed(Conclusion::Neutral | Conclusion::Cancelled) => "error",
    }
}

impl GitHub {
    /// The fallback where checks are refused: a commit status. One that is the latest of its
    /// context already is not made again. A description of more than 140 characters is clipped.
    ///
    /// # Errors
    /// Where GitHub does not take it, or nobody knows whether it did.
    pub async fn put_status(
        &self,
        commit: &CommitId,
        context: &str,
        state: CheckState,
        description: &str,
        url: Option<&str>,
    ) -> Result<(), ForgeError> {
        let (state, description) = (word(state), clip(description, MOST));
        let mut body = json!({ "state": state, "context": context, "description": description });
        if let Some(url) = url {
            body["target_url"] = url.into();
        }
        let write = Write {
            what: format!("write the status `{context}` of {commit}"),
            verb: Verb::Post,
            path: format!("{}/statuses/{commit}", self.path),
            body,
        };
        let same = |status: &GitHubStatus| {
            status.state == state && status.description.as_ref() == Some(&description)
        };
        let look = || async { Ok(self.latest_status(commit, context).await?.filter(same)) };
        let put = async {
            // The look before is for repeats; a token that may not read statuses may yet write
            // them.
            if let Ok(Some(_)) = look().await {
                return Ok(());
            }
            self.speaker.write(&write, look).await.map(drop)
        };
        self.within("write a status", put).await
    }

    async fn latest_status(
        &self,
        commit: &CommitId,
        context: &str,
    ) -> Result<Option<GitHubStatus>, ForgeError> {
        let path = format!("{}/commits/{commit}/statuses", self.path);
        let page = |page: Vec<GitHubStatus>| page;
        let (newest_first, _) = self
            .speaker
            .page(("read the statuses", &path), 1, page)
            .await?;
        Ok(newest_first
            .into_iter()
            .find(|status| status.context == context))
    }
}
