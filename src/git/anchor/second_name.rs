//! The second names of a run's new objects, which bring back what a `git prune` removes.
//!
//! It refuses to call a name right that leads to a file it has not read.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use git2::{Odb, OdbLookupFlags, Oid};

use super::Anchor;
use crate::git::call::go_on;
use crate::git::error::GitError;
use crate::git::loose::{self, link, names, place};
use crate::git::missing::is_whole_file;

impl Anchor {
    /// Whether what was read once is still there. Nothing tears it while this machine runs.
    pub(super) fn are_loose(&self, objects: &[Oid]) -> bool {
        objects.iter().all(|oid| {
            self.loose(*oid)
                .symlink_metadata()
                .is_ok_and(|meta| meta.is_file())
        })
    }

    /// Brings back all that has vanished of what was kept.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn bring_back(&self) -> Result<(), GitError> {
        let odb = self.fresh()?;
        for shelf in names(&self.spare)? {
            for rest in names(&self.spare.join(&shelf))? {
                let Ok(oid) = Oid::from_str(&format!("{shelf}{rest}")) else {
                    continue;
                };
                if !odb.exists_ext(oid, OdbLookupFlags::NO_REFRESH) {
                    self.link_back(oid)?;
                }
            }
        }
        Ok(())
    }

    /// How many objects have vanished so far, and are back.
    #[must_use]
    pub fn brought_back(&self) -> u64 {
        self.brought_back.load(Ordering::Relaxed)
    }

    fn link_back(&self, oid: Oid) -> Result<(), GitError> {
        self.brought_back.fetch_add(1, Ordering::Relaxed);
        link(&self.second(oid), &self.loose(oid))
    }

    /// Gives new objects a second name, which no git knows and none removes.
    pub(super) fn name_twice(&self, objects: &[Oid]) -> Result<(), GitError> {
        let mut odb = None;
        for oid in objects {
            let second = self.second(*oid);
            if second.symlink_metadata().is_ok() {
                continue;
            }
            if link(&self.loose(*oid), &second).is_ok() {
                continue;
            }
            // It is in a pack, which git may remove with what nobody needs of it; or the files'
            // system knows no second names.
            if odb.is_none() {
                odb = Some(self.fresh()?);
            }
            let Some(odb) = &odb else { continue };
            let object = odb
                .read(*oid)
                .map_err(GitError::lib(format!("copy object {oid}")))?;
            loose::write(&second, object.kind(), object.data())
                .map_err(GitError::io("write", &second))?;
            // It may be another repository's, whose owner may remove it: git does not write here
            // what is there.
            if self
                .repo
                .common_dir()
                .join("objects/info/alternates")
                .symlink_metadata()
                .is_ok()
            {
                link(&second, &self.loose(*oid))?;
            }
        }
        Ok(())
    }

    /// Reads objects from the disk. What has vanished is brought back; what is torn is removed, so
    /// that it can be written again: git does not write what seems to be there.
    pub(super) fn check(&self, objects: &[Oid]) -> Result<(), GitError> {
        let mut odb = self.fresh()?;
        for oid in objects {
            go_on()?;
            if is_sound(&odb, *oid, &self.loose(*oid)) {
                continue;
            }
            let (first, second) = (self.loose(*oid), self.second(*oid));
            let _ = fs::remove_file(&first);
            self.link_back(*oid)?;
            odb = self.fresh()?;
            if !is_sound(&odb, *oid, &first) {
                let _ = fs::remove_file(&first);
                let _ = fs::remove_file(&second);
                let what = format!("read object {oid}, which was just written");
                return Err(GitError::Missing {
                    what,
                    next: "does another program clean up in this repository?",
                });
            }
        }
        Ok(())
    }

    /// The repository's objects as they are on the disk now, without anything from memory.
    pub(in crate::git) fn fresh(&self) -> Result<Odb<'static>, GitError> {
        let open = || {
            let odb = Odb::new()?;
            odb.add_disk_alternate(&self.repo.common_dir().join("objects").to_string_lossy())?;
            Ok(odb)
        };
        open().map_err(GitError::lib("open the object store"))
    }

    pub(in crate::git) fn loose(&self, oid: Oid) -> PathBuf {
        place(&self.repo.common_dir().join("objects"), oid)
    }

    pub(in crate::git) fn second(&self, oid: Oid) -> PathBuf {
        place(&self.spare, oid)
    }
}

pub(in crate::git) fn is_sound(odb: &Odb<'_>, oid: Oid, loose: &Path) -> bool {
    if loose.symlink_metadata().is_ok() {
        is_whole_file(loose)
    } else {
        odb.exists(oid)
    }
}
