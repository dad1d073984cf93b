//! Waiting for the disk: git writes objects and refs without it.
//!
//! It refuses to wait for each file by itself: the writing of all begins before the first is waited
//! for.

use std::path::{Path, PathBuf};

use git2::{ConfigLevel, Oid, Repository};

use super::call::go_on;
use super::error::GitError;
use super::loose::place;
use super::open::open;
use super::repo::Repo;
use crate::durability::Batch;

impl Repo {
    /// Waits until loose objects are on the disk, and their names in the directories.
    pub(super) fn write_through(&self, objects: &[Oid]) -> Result<(), GitError> {
        let all = self.common_dir().join("objects");
        // What is not loose is in a pack, and packs are written through.
        keep(&all, objects.iter().map(|oid| place(&all, *oid)))
    }

    /// Waits until branches are on the disk where they are now. They are moved without that: a run
    /// moves many.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn settle_branches<'a>(
        &self,
        names: impl Iterator<Item = &'a str>,
    ) -> Result<(), GitError> {
        let heads = self.common_dir().join("refs/heads");
        // A `git pack-refs` may have packed some, and does not wait either.
        let files = names
            .map(|name| heads.join(name))
            .chain([self.common_dir().join("packed-refs")]);
        keep(self.common_dir(), files)
    }

    /// Lends a repository in which refs are on the disk before they get their names. A file of
    /// packed refs that is written anew holds everybody's.
    pub(super) fn with_durable_refs<T>(
        &self,
        work: impl FnOnce(&Repository) -> Result<T, GitError>,
    ) -> Result<T, GitError> {
        let what = || GitError::lib("open the repository");
        let setting =
            tempfile::NamedTempFile::new().map_err(GitError::io("make", &std::env::temp_dir()))?;
        let written = std::fs::write(setting.path(), "[core]\n\tfsyncObjectFiles = true\n");
        written.map_err(GitError::io("write", setting.path()))?;
        let repo = open(self.git_dir(), self.workdir())?;
        let mut config = repo.config().map_err(what())?;
        config
            .add_file(setting.path(), ConfigLevel::App, false)
            .map_err(what())?;
        repo.set_config(&config).map_err(what())?;
        work(&repo)
    }
}

/// Waits for files below `top`, with their directories up to it.
fn keep(top: &Path, files: impl Iterator<Item = PathBuf>) -> Result<(), GitError> {
    let mut batch = Batch::below(top);
    for file in files {
        go_on()?;
        batch
            .keep(&file)
            .map_err(GitError::io("write through", &file))?;
    }
    batch.finish().map_err(GitError::io("write through", top))
}
