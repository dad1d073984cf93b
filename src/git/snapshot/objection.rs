//! What a snapshot refuses to take from a slot: files that are too large, names that git cannot hold,
//! directories that only a repository would have, and what has no end.

use std::fs::Metadata;
use std::path::Path;

use git2::Repository;

use crate::git::convert::Conversion;
use crate::git::error::GitError;
use crate::git::laid::blob_size;
use crate::git::pool::Slot;
use crate::git::tree::Listing;
use crate::id::RepoPath;
use crate::plan::Size;
use crate::scope::{self, name};

impl Slot {
    /// Refuses files over the limit before their bytes are read and stored. Where git converts, the
    /// blob may be smaller; whoever looks at the tree knows.
    pub(super) fn refuse_large(
        &self,
        repo: &Repository,
        base: &Listing,
        files: &[(&[u8], &Metadata)],
        conversion: &Conversion,
        limit: Size,
    ) -> Result<(), GitError> {
        if conversion.filters {
            return Ok(());
        }
        let (mut sum, mut largest) = (0_u64, None);
        for (path, meta) in files.iter().filter(|(_, meta)| meta.is_file()) {
            let over = meta.len() > limit.bytes();
            match base.get(path) {
                Some(_) if !over || conversion.back.is_some() => continue,
                Some(was)
                    if blob_size(repo, was) == Some(meta.len())
                        && self.holds(repo, path, meta, was)? =>
                {
                    continue;
                }
                Some(_) => {}
                None => sum = sum.saturating_add(meta.len()),
            }
            if over {
                return Err(GitError::refused(path, scope::over(meta.len(), limit)));
            }
            largest = largest.max(Some((meta.len(), *path)));
        }
        match largest {
            Some((_, path)) if sum > limit.bytes() => {
                Err(GitError::refused(path, scope::over_in_all(sum, limit)))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// libgit2 refuses some names without saying where; a judge refuses more.
pub(super) fn refuse_name(path: &[u8], link: bool) -> Result<(), GitError> {
    let Some(named) = RepoPath::from_bytes(path) else {
        return Ok(());
    };
    name::unstorable(&named, link).map_or(Ok(()), |why| Err(GitError::refused(path, why)))
}

/// git reads these while it looks at other files; a pipe or a device in their place would hold it
/// forever.
pub(super) fn refuse_endless(on_disk: &Path, path: &[u8]) -> Result<(), GitError> {
    match std::fs::metadata(on_disk) {
        Ok(meta) if !meta.is_file() && !meta.is_dir() => {
            let path = String::from_utf8_lossy(path).into_owned();
            Err(GitError::Unstorable {
                path,
                why: "it is, or leads to, a pipe or a device",
            })
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Files in a submodule's directory would be lost without a word, unless the submodule itself was
/// filled there.
pub(super) fn refuse_strays(directory: &Path, path: &[u8]) -> Result<(), GitError> {
    let filled = std::fs::symlink_metadata(directory.join(".git")).is_ok();
    let some = std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some());
    match RepoPath::from_bytes(path) {
        Some(path) if some && !filled => Err(GitError::InSubmodule { path }),
        Some(_) | None => Ok(()),
    }
}
