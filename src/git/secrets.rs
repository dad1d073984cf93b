//! Secrets that omk knows do not become objects: neither in what a file holds, nor in its name.
//!
//! It is asked before a blob or a tree is written, since an object stays in the repository whatever
//! becomes of the run. It refuses to look at files that are as the base has them: what is there
//! already is not the task's doing.

use std::fs::Metadata;

use super::content::Files;
use super::difference::difference;
use super::error::GitError;
use super::lookup::find_blob;
use super::pool::Slot;
use super::repo::{Repo, tree_oid};
use super::tree::Listing;
use crate::id::TreeId;
use crate::text::Scrubber;

impl Slot {
    /// Refuses files of the slot whose name or content holds a secret that the pool knows, unless
    /// the base has them so.
    ///
    /// # Errors
    /// [`GitError::HoldsSecret`] for the first of them; else if one cannot be read.
    pub(super) fn refuse_secrets(
        &self,
        base: &Listing,
        files: &[(&[u8], &Metadata)],
    ) -> Result<(), GitError> {
        let scrubber = self.pool.scrubber();
        if scrubber.knows_nothing() {
            return Ok(());
        }
        let on_disk = Files::of(self.path())?;
        for (path, meta) in files {
            let refused = |what| GitError::HoldsSecret {
                path: scrubber.scrub(&String::from_utf8_lossy(path)),
                what,
            };
            let was = base.get(path);
            if was.is_none() && scrubber.is_in(path) {
                return Err(refused("its name"));
            }
            let found = if meta.is_symlink() {
                scrubber.is_in(&on_disk.read(path, meta)?)
            } else {
                let mut file = on_disk.open(path, meta)?;
                let searched = scrubber.is_in_file(&mut file);
                searched.map_err(|error| {
                    GitError::io("read", &self.path().join(&*String::from_utf8_lossy(path)))(error)
                })?
            };
            if found
                && was.is_none_or(|was| on_disk.blob(path, meta).ok().flatten() != Some(was.oid))
            {
                return Err(refused("its content"));
            }
        }
        Ok(())
    }
}

impl Repo {
    /// Refuses a change that was made elsewhere and brings a known secret into `new`, in a file's
    /// name or content.
    ///
    /// # Errors
    /// [`GitError::HoldsSecret`] for the first of them; else if an object cannot be read.
    pub fn refuse_secrets(
        &self,
        old: &TreeId,
        new: &TreeId,
        scrubber: &Scrubber,
    ) -> Result<(), GitError> {
        if scrubber.knows_nothing() {
            return Ok(());
        }
        self.with(|repo| {
            for (path, sides) in difference(repo, tree_oid(old), tree_oid(new))? {
                let refused = |what| GitError::HoldsSecret {
                    path: scrubber.scrub(&String::from_utf8_lossy(&path)),
                    what,
                };
                let Some(entry) = sides.after else { continue };
                if sides.before.is_none() && scrubber.is_in(&path) {
                    return Err(refused("its name"));
                }
                if entry.is_submodule() {
                    continue;
                }
                let what = || format!("read {}", String::from_utf8_lossy(&path));
                let blob = find_blob(repo, entry.oid, &what())?;
                if scrubber.is_in(blob.content()) {
                    return Err(refused("its content"));
                }
            }
            Ok(())
        })
    }
}
