//! Opening repositories, and what to do about those that omk cannot work with.
//!
//! It refuses to open what libgit2 would misread.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use git2::{ErrorCode, Repository};

use super::error::GitError;

/// Lets libgit2 open partial clones: it reads what is there, and the git binary fetches what is
/// not.
pub(super) fn accept_partial_clones() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        // SAFETY: the list is written here alone, once, before this crate opens any repository, so
        // no thread reads it meanwhile.
        let _ = unsafe { git2::opts::set_extensions(&["partialclone"]) };
    });
}

pub(super) fn open(git_dir: &Path, top: &Path) -> Result<Repository, GitError> {
    let repo = Repository::open(git_dir).map_err(|error| why_not_opened(git_dir, error))?;
    if repo.workdir().is_none_or(|found| tidy(found) != top) {
        repo.set_workdir(top, false).map_err(GitError::lib(format!(
            "open the work tree {}",
            top.display()
        )))?;
    }
    Ok(repo)
}

/// libgit2 opens some SHA-256 repositories; omk's ids are SHA-1.
pub(super) fn refuse_formats(repo: &Repository) -> Result<(), GitError> {
    match format_refusal(repo.commondir()) {
        Some(refusal) => Err(refusal),
        None => Ok(()),
    }
}

fn format_refusal(common_dir: &Path) -> Option<GitError> {
    let config = git2::Config::open(&common_dir.join("config")).ok()?;
    let refused = |what: &str, next: &str| {
        let path = tidy(common_dir);
        Some(GitError::Unsupported {
            path,
            what: what.into(),
            next: next.into(),
        })
    };
    let storage = config
        .get_string("extensions.refstorage")
        .unwrap_or_default();
    if !storage.is_empty() && storage != "files" {
        let what = format!("stores its refs as {storage}");
        return refused(
            &what,
            "`git refs migrate --ref-format=files` converts it (git 2.46 or newer), or clone it with `--ref-format=files`",
        );
    }
    let format = config
        .get_string("extensions.objectformat")
        .unwrap_or_default();
    if !format.is_empty() && format != "sha1" {
        let what = format!("names its objects by {format}");
        return refused(
            &what,
            "clone it from a repository that names them by SHA-1: no other works so far",
        );
    }
    None
}

pub(super) fn why_not_found(dir: &Path) -> GitError {
    let Some(top) = dir.ancestors().find(|above| above.join(".git").exists()) else {
        return GitError::NotARepository {
            dir: dir.to_owned(),
        };
    };
    let what = "holds a `.git` that leads to no repository".into();
    let next = "if it was moved, `git worktree repair` in the main repository mends it".into();
    GitError::Unsupported {
        path: top.to_owned(),
        what,
        next,
    }
}

/// A path as a person writes it: libgit2 ends directories with a slash.
pub(super) fn tidy(path: &Path) -> PathBuf {
    path.components().collect()
}

pub(super) fn why_not_opened(git_dir: &Path, error: git2::Error) -> GitError {
    if error.code() == ErrorCode::Owner {
        let path = git_dir
            .parent()
            .filter(|_| git_dir.ends_with(".git"))
            .unwrap_or(git_dir);
        return GitError::NotOwned { path: tidy(path) };
    }
    let common = std::fs::read_to_string(git_dir.join("commondir")).unwrap_or_default();
    if let Some(refusal) = format_refusal(&git_dir.join(common.trim_end())) {
        return refusal;
    }
    if error.message().contains("extension") {
        let what = format!(
            "uses a repository format that is too new ({})",
            error.message()
        );
        let next = "clone it without that extension".into();
        return GitError::Unsupported {
            path: tidy(git_dir),
            what,
            next,
        };
    }
    GitError::lib(format!("open the repository {}", git_dir.display()))(error)
}
