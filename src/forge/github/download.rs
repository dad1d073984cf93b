//! Artifacts, from wherever GitHub keeps them: always on another server, which gets no token.
//!
//! It refuses archives larger than the caller says, whatever they claim.

use std::path::Path;

use super::GitHub;
use crate::forge::ForgeError;
use crate::forge::speaker::ArchivePlace;
use crate::id::Sha256;

impl GitHub {
    /// An artifact's zip archive, refused where larger than `most` bytes; written to `to`, of which
    /// nothing is left where it fails. Its digest.
    ///
    /// # Errors
    /// [`ForgeError::NotFound`] where it is gone or expired; [`ForgeError::Refused`] where it is
    /// too large; else where it does not come, or cannot be written.
    pub async fn download_artifact(
        &self,
        id: u64,
        most: u64,
        to: &Path,
    ) -> Result<Sha256, ForgeError> {
        let what = format!("download the artifact {id}");
        let path = format!("{}/actions/artifacts/{id}/zip", self.path);
        self.speaker
            .archive((&what, &path), ArchivePlace::Elsewhere, (most, to))
            .await
    }
}
