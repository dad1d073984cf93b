//! Files at a commit.
//!
//! It refuses to read what is no file, and files that are larger than any plan.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::GitHub;
use super::dialect::RAW;
use super::wire::segments;
use crate::forge::ForgeError;
use crate::forge::speaker::{ForgeAnswer, absent};
use crate::id::CommitId;

/// The largest file that is read: one byte more than the largest plan, so that its reader can say
/// what is wrong.
const MOST: usize = (1 << 20) + 1;

/// A file in an answer that is JSON although raw bytes were asked for.
#[derive(Deserialize)]
struct Wrapped {
    #[serde(rename = "type")]
    kind: String,
    encoding: Option<String>,
    content: Option<String>,
}

impl GitHub {
    /// A file's bytes at a commit; `None` where there is none. A directory or a submodule is none.
    ///
    /// # Errors
    /// Where GitHub does not show it, or it is larger than 1 MiB and a byte.
    pub async fn file(&self, path: &str, commit: &CommitId) -> Result<Option<Vec<u8>>, ForgeError> {
        let what = format!("read the file {path} at {commit}");
        let Some(path) = segments(path) else {
            return Ok(None);
        };
        let path = format!("{}/contents/{path}?ref={commit}", self.path);
        let answer = self
            .within(&what, self.speaker.read(&what, &path, (RAW, MOST)))
            .await;
        let Some(answer) = absent(answer)? else {
            return Ok(None);
        };
        if answer.content_type().contains("raw") || !answer.content_type().contains("json") {
            return Ok(Some(answer.body));
        }
        self.unwrap_file(&what, &answer)
    }

    /// A directory is a list, a submodule or link an object, and some servers wrap files too.
    fn unwrap_file(&self, what: &str, answer: &ForgeAnswer) -> Result<Option<Vec<u8>>, ForgeError> {
        let Ok(wrapped) = answer.json::<Wrapped>() else {
            return Ok(None);
        };
        if wrapped.kind != "file" {
            return Ok(None);
        }
        let content = wrapped
            .content
            .filter(|_| wrapped.encoding.as_deref() == Some("base64"));
        let packed: Option<String> = content.map(|text| text.split_ascii_whitespace().collect());
        let bytes = packed.and_then(|packed| STANDARD.decode(packed).ok());
        bytes
            .map(Some)
            .ok_or_else(|| self.speaker.nonsense(what, "a file without its content"))
    }
}
