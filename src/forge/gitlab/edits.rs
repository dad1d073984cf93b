//! Whether a note was edited, which the REST API does not tell.
//!
//! GitLab moves a note's `updated_at` with every reaction to it, ours too, and with a reply. Only
//! GraphQL tells who edited it, and when: by nobody, and then it shows `updatedAt` as
//! `lastEditedAt`. So it is asked about notes that anything happened to. It refuses to guess: where
//! GraphQL does not say that a note was never edited, it counts as edited.

use serde::Deserialize;
use serde_json::{Value, json};

use super::GitLab;
use super::notes::RawNote;
use crate::forge::ForgeError;

/// As many notes as are asked about at once: GitLab allows a question 250 points, and each note has
/// half a dozen.
const BATCH: usize = 25;

/// What is asked of each note.
const FIELDS: &str = "{ id updatedAt lastEditedAt lastEditedBy { id } }";

#[derive(Deserialize)]
struct EditsResponse {
    data: Option<serde_json::Map<String, Value>>,
}

impl GitLab {
    /// The numbers of those notes that something happened to, and that were never edited.
    pub(super) async fn unedited(&self, notes: &[RawNote]) -> Result<Vec<u64>, ForgeError> {
        let touched: Vec<u64> = notes
            .iter()
            .filter(|note| note.was_touched())
            .map(|note| note.id)
            .collect();
        let base = self
            .speaker
            .api
            .strip_suffix("/v4")
            .filter(|_| !self.of_job);
        let Some(base) = base else {
            return Ok(Vec::new());
        };
        let url = format!("{base}/graphql");
        let mut unedited = Vec::new();
        for batch in touched.chunks(BATCH) {
            unedited.extend(self.ask_unedited(&url, batch).await?);
        }
        Ok(unedited)
    }

    async fn ask_unedited(&self, url: &str, notes: &[u64]) -> Result<Vec<u64>, ForgeError> {
        let part = |note: &u64| format!("n{note}: note(id: \"gid://gitlab/Note/{note}\") {FIELDS}");
        let question = format!(
            "{{ {} }}",
            notes.iter().map(part).collect::<Vec<_>>().join(" ")
        );
        let asked = self
            .speaker
            .query(
                "tell whether comments were edited",
                url,
                &json!({ "query": question }),
            )
            .await;
        let told = match asked {
            Ok(answer) => answer
                .json::<EditsResponse>()
                .ok()
                .and_then(|told| told.data)
                .unwrap_or_default(),
            // There may be an answer later: that is no word about the notes.
            Err(error @ (ForgeError::Unavailable { .. } | ForgeError::Limited { .. })) => {
                return Err(error);
            }
            Err(_) => return Ok(Vec::new()),
        };
        Ok(notes
            .iter()
            .copied()
            .filter(|note| is_unedited(*note, &told))
            .collect())
    }
}

/// Whether the answer says of that very note that it was never edited.
fn is_unedited(note: u64, told: &serde_json::Map<String, Value>) -> bool {
    let Some(said) = told.get(&format!("n{note}")) else {
        return false;
    };
    let id = said["id"].as_str().unwrap_or_default();
    let same = id
        .rsplit_once('/')
        .is_some_and(|(_, number)| number == note.to_string());
    let by_nobody = said.get("lastEditedBy").is_some_and(Value::is_null);
    let at_no_time = match said.get("lastEditedAt") {
        Some(Value::String(at)) => said["updatedAt"].as_str() == Some(at),
        Some(Value::Null) => true,
        Some(_) | None => false,
    };
    same && by_nobody && at_no_time
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_note_that_is_said_to_be_unedited_is() {
        let says = |said: Value| {
            json!({ "n5": said })
                .as_object()
                .cloned()
                .unwrap_or_default()
        };
        let unedited = |said| is_unedited(5, &says(said));
        let said = |id: &str, at: Value, by: Value| json!({ "id": id, "updatedAt": "2026-11-22T18:51:57Z", "lastEditedAt": at, "lastEditedBy": by });
        let (five, touched) = ("gid://gitlab/Note/5", json!("2026-11-22T18:51:57Z"));
        assert!(unedited(said(five, touched.clone(), Value::Null)));
        assert!(unedited(said(five, Value::Null, Value::Null)));
        assert!(unedited(said(
            "gid://gitlab/DiscussionNote/5",
            touched.clone(),
            Value::Null
        )));
        assert!(!unedited(said(
            five,
            touched.clone(),
            json!({ "id": "gid://gitlab/User/9" })
        )));
        assert!(
            !unedited(said(five, json!("2026-11-22T18:51:56Z"), Value::Null)),
            "by somebody who is hidden"
        );
        assert!(!unedited(said(
            "gid://gitlab/Note/15",
            touched,
            Value::Null
        )));
        assert!(!unedited(json!({ "id": five, "lastEditedBy": null })));
        assert!(!unedited(json!({ "id": five, "lastEditedAt": null })));
        assert!(!unedited(Value::Null));
        assert!(!is_unedited(6, &says(Value::Null)));
    }
}
