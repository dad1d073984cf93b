//! The repository, its branches, the records of pushes to them, and what differs between commits.
//!
//! It refuses to follow a branch that was renamed: a branch of that name is not there.

use std::cmp::Reverse;

use serde::Deserialize;

use super::GitHub;
use super::wire::{encoded, moment, segment};
use crate::forge::{Comparison, ForgeError, Repository};
use crate::id::{CommitId, Moment};
use crate::trust::{ForgeBranch, Push};

/// As many files as GitHub lists of a comparison.
const MOST_FILES: usize = 300;

#[derive(Deserialize)]
struct RawRepository {
    id: u64,
    full_name: String,
    default_branch: String,
    private: bool,
    html_url: String,
}

#[derive(Deserialize)]
struct GitHubBranch {
    commit: GitHubCommit,
    protected: bool,
}

#[derive(Deserialize)]
struct GitHubCommit {
    sha: CommitId,
}

#[derive(Deserialize)]
struct Activity {
    #[serde(rename = "ref")]
    reference: String,
    after: CommitId,
    #[serde(deserialize_with = "moment")]
    timestamp: Moment,
}

#[derive(Deserialize)]
struct GitHubComparison {
    merge_base_commit: GitHubCommit,
    files: Option<Vec<RawFile>>,
}

#[derive(Deserialize)]
struct RawFile {
    filename: String,
    previous_filename: Option<String>,
}

impl GitHub {
    /// The repository.
    ///
    /// # Errors
    /// Where GitHub does not show it.
    pub async fn repository(&self) -> Result<Repository, ForgeError> {
        let what = "read the repository";
        let raw: RawRepository = self
            .within(what, self.speaker.read_json(what, &self.path))
            .await?;
        Ok(Repository {
            id: raw.id,
            name: raw.full_name,
            default_branch: raw.default_branch,
            private: raw.private,
            url: raw.html_url,
        })
    }

    /// The forge's records of pushes to a branch, newest first: the newest hundred. Creations,
    /// merges and deletions are pushes too.
    ///
    /// # Errors
    /// Where GitHub does not show them.
    pub async fn pushes(&self, branch: &str) -> Result<Vec<Push>, ForgeError> {
        let what = format!("read the pushes to the branch {branch}");
        let reference = format!("refs/heads/{branch}");
        let path = format!(
            "{}/activity?ref={}&per_page=100",
            self.path,
            encoded(&reference)
        );
        let listed: Vec<Activity> = self
            .within(&what, self.speaker.read_json(&what, &path))
            .await?;
        let ours = listed
            .into_iter()
            .filter(|activity| activity.reference == reference);
        let mut pushes: Vec<Push> = ours
            .map(|activity| Push {
                after: activity.after,
                at: activity.timestamp,
            })
            .collect();
        // Records of one second keep GitHub's order.
        pushes.sort_by_key(|push| Reverse(push.at));
        Ok(pushes)
    }

    /// A branch; `None` where there is none of that name.
    ///
    /// # Errors
    /// Where GitHub does not show it.
    pub async fn branch(&self, name: &str) -> Result<Option<ForgeBranch>, ForgeError> {
        let what = format!("read the branch {name}");
        let Some(encoded) = segment(name) else {
            return Ok(None);
        };
        let path = format!("{}/branches/{encoded}", self.path);
        let found = match self
            .within(&what, self.speaker.find_json::<GitHubBranch>(&what, &path))
            .await
        {
            Err(ForgeError::Refused {
                status: 300..400, ..
            }) => None,
            found => found?,
        };
        Ok(found.map(|raw| ForgeBranch {
            commit: raw.commit.sha,
            protected: raw.protected,
        }))
    }

    /// What differs between two commits.
    ///
    /// # Errors
    /// Where GitHub does not know one of them, or does not compare them.
    pub async fn compare(
        &self,
        base: &CommitId,
        head: &CommitId,
    ) -> Result<Comparison, ForgeError> {
        let what = format!("compare the commits {base} and {head}");
        // The files are on the first page, all that there will be; of the commits, one is enough.
        let path = format!("{}/compare/{base}...{head}?per_page=1&page=1", self.path);
        let raw: GitHubComparison = self
            .within(&what, self.speaker.read_json(&what, &path))
            .await?;
        let files = raw.files.filter(|files| files.len() < MOST_FILES);
        let both = |file: RawFile| {
            [Some(file.filename), file.previous_filename]
                .into_iter()
                .flatten()
        };
        let paths = files.map(|files| files.into_iter().flat_map(both).collect());
        Ok(Comparison {
            merge_base: raw.merge_base_commit.sha,
            paths,
        })
    }
}
