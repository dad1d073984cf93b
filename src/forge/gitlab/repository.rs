//! The project, its branches and files, and what differs between commits.
//!
//! It refuses to call a list of paths whole where GitLab gave up on it, and to read what is larger
//! than any plan.

use serde::Deserialize;

use super::GitLab;
use crate::forge::speaker::absent;
use crate::forge::wire::{encoded, segment, segments};
use crate::forge::{Comparison, ForgeError, Repository};
use crate::id::CommitId;
use crate::trust::ForgeBranch;

/// The largest file that is read: one byte more than the largest plan, so that its reader can say
/// what is wrong.
const MOST_FILE: usize = (1 << 20) + 1;

#[derive(Deserialize)]
struct RawProject {
    id: u64,
    path_with_namespace: String,
    /// None in an empty project.
    default_branch: Option<String>,
    /// Not told to everybody.
    visibility: Option<String>,
    web_url: String,
}

#[derive(Deserialize)]
struct GitLabBranch {
    name: String,
    commit: GitLabCommit,
    protected: bool,
}

#[derive(Deserialize)]
struct GitLabCommit {
    id: CommitId,
}

#[derive(Deserialize)]
struct GitLabComparison {
    diffs: Option<Vec<RawDiff>>,
    #[serde(default)]
    compare_timeout: bool,
}

#[derive(Deserialize)]
struct RawDiff {
    old_path: String,
    new_path: String,
}

impl GitLab {
    /// The project. One that every user of the instance can see is not private.
    ///
    /// # Errors
    /// Where GitLab does not show it, or it has no commit yet.
    pub async fn repository(&self) -> Result<Repository, ForgeError> {
        let what = "read the project";
        let raw: RawProject = self
            .speaker
            .within(what, self.speaker.read_json(what, &self.path))
            .await?;
        let Some(default_branch) = raw.default_branch else {
            return Err(self
                .speaker
                .nonsense(what, "it has no default branch: is it empty?"));
        };
        Ok(Repository {
            id: raw.id,
            name: raw.path_with_namespace,
            default_branch,
            private: !matches!(raw.visibility.as_deref(), Some("public" | "internal")),
            url: raw.web_url,
        })
    }

    /// The project's address for people; asked for once.
    pub(super) async fn url(&self) -> Result<&str, ForgeError> {
        let ask = || async { Ok(self.repository().await?.url) };
        self.url.get_or_try_init(ask).await.map(String::as_str)
    }

    /// A branch; `None` where there is none of that name.
    ///
    /// # Errors
    /// Where GitLab does not show it.
    pub async fn branch(&self, name: &str) -> Result<Option<ForgeBranch>, ForgeError> {
        let what = format!("read the branch {name}");
        let Some(encoded) = segment(name) else {
            return Ok(None);
        };
        let path = format!("{}/repository/branches/{encoded}", self.path);
        let found = self
            .speaker
            .within(&what, self.speaker.find_json::<GitLabBranch>(&what, &path))
            .await?;
        let found = found.filter(|raw| raw.name == name);
        Ok(found.map(|raw| ForgeBranch {
            commit: raw.commit.id,
            protected: raw.protected,
        }))
    }

    /// What differs between two commits.
    ///
    /// # Errors
    /// Where GitLab does not know one of them, or does not compare them.
    pub async fn compare(
        &self,
        base: &CommitId,
        head: &CommitId,
    ) -> Result<Comparison, ForgeError> {
        let what = format!("compare the commits {base} and {head}");
        self.speaker
            .within(&what, self.ask_comparison(&what, base, head))
            .await
    }

    async fn ask_comparison(
        &self,
        what: &str,
        base: &CommitId,
        head: &CommitId,
    ) -> Result<Comparison, ForgeError> {
        let path = format!(
            "{}/repository/merge_base?refs%5B%5D={base}&refs%5B%5D={head}",
            self.path
        );
        let merge_base: GitLabCommit = self.speaker.read_json(what, &path).await?;
        // From where they part: without `straight`, as GitLab's merge requests are shown.
        let path = format!(
            "{}/repository/compare?from={base}&to={head}&straight=false",
            self.path
        );
        let raw = match self
            .speaker
            .read_json::<GitLabComparison>(what, &path)
            .await
        {
            // Every change is in it, line by line: it may be larger than anything that is read.
            Err(ForgeError::Refused { status: 413, .. }) => GitLabComparison {
                diffs: None,
                compare_timeout: true,
            },
            answer => answer?,
        };
        let both = |diff: RawDiff| {
            let moved = (diff.old_path != diff.new_path).then_some(diff.old_path);
            [Some(diff.new_path), moved].into_iter().flatten()
        };
        let diffs = raw.diffs.filter(|_| !raw.compare_timeout);
        let paths = diffs.map(|diffs| diffs.into_iter().flat_map(both).collect());
        Ok(Comparison {
            merge_base: merge_base.id,
            paths,
        })
    }

    /// A file's bytes at a commit; `None` where there is none. A directory or a submodule is none.
    ///
    /// # Errors
    /// Where GitLab does not show it, or it is larger than 1 MiB and a byte.
    pub async fn file(&self, path: &str, commit: &CommitId) -> Result<Option<Vec<u8>>, ForgeError> {
        let what = format!("read the file {path} at {commit}");
        if segments(path).is_none() {
            return Ok(None);
        }
        let place = format!(
            "{}/repository/files/{}/raw?ref={commit}",
            self.path,
            encoded(path)
        );
        let read = self.speaker.read(&what, &place, ("*/*", MOST_FILE));
        let answer = absent(self.speaker.within(&what, read).await)?;
        Ok(answer.map(|answer| answer.body))
    }
}
