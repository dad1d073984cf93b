//! Objects that a crash tore: set aside, so that they can be written again.
//!
//! It refuses to remove any: what cannot be read lies in `omk/torn` of the git directory, for
//! whoever wants to look at it.

use std::fs;
use std::path::Path;

use git2::Oid;

use super::anchor::{Anchor, is_sound, made};
use super::call::go_on;
use super::error::GitError;
use super::loose::names;
use super::missing::is_whole_file;
use super::repo::{commit_oid, tree_oid};
use crate::id::{Tip, TreeId};
use crate::plain_file;

/// Another text each time that Linux starts. Elsewhere there is none, and every run looks.
const START: &str = "/proc/sys/kernel/random/boot_id";

/// Files of more bytes are looked into only if they are this run's: in a repository of large files
/// that would take minutes.
const LARGE: u64 = 8 << 20;

impl Anchor {
    /// Brings back what has vanished, and sets aside what cannot be read: git does not write an
    /// object that seems to be there.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn mend(&self) -> Result<(), GitError> {
        let all = self.repo.common_dir().join("objects");
        let aside = self.repo.common_dir().join("omk/torn");
        for shelf in names(&all)?.iter().filter(|name| name.len() == 2) {
            for rest in names(&all.join(shelf))? {
                go_on()?;
                let Ok(oid) = Oid::from_str(&format!("{shelf}{rest}")) else {
                    continue;
                };
                let (file, second) = (self.loose(oid), self.second(oid));
                let is_large = file.symlink_metadata().is_ok_and(|meta| meta.len() > LARGE);
                if (is_large && second.symlink_metadata().is_err()) || is_whole_file(&file) {
                    continue;
                }
                fs::create_dir_all(&aside).map_err(GitError::io("make", &aside))?;
                // Another process may have removed it meanwhile.
                let _ = fs::rename(&file, aside.join(oid.to_string()));
                if !is_whole_file(&second) {
                    let _ = fs::remove_file(&second);
                }
            }
        }
        self.bring_back()
    }

    /// The same, if this machine has been started since it was last done here. Nothing else tears
    /// files.
    ///
    /// # Errors
    /// As [`Anchor::mend`].
    pub fn mend_after_start(&self) -> Result<(), GitError> {
        let mark = self.repo.common_dir().join("omk/started");
        let this = plain_file::read(Path::new(START), 64).unwrap_or_default();
        if !this.is_empty() && plain_file::read(&mark, 64).is_ok_and(|last| last == this) {
            return Ok(());
        }
        self.mend()?;
        fs::write(&mark, &this).map_err(GitError::io("write", &mark))
    }

    /// Whether a change can be read, with all that it has and `old` has not. What is torn or has
    /// vanished is brought back first, if it has a second name.
    #[must_use]
    pub fn can_read(&self, old: &TreeId, new: &Tip) -> bool {
        self.is_sound(old, new) || (self.mend().is_ok() && self.is_sound(old, new))
    }

    fn is_sound(&self, old: &TreeId, new: &Tip) -> bool {
        let Ok(odb) = self.fresh() else { return false };
        let is_sound = |oid: &Oid| is_sound(&odb, *oid, &self.loose(*oid));
        // libgit2 may read for ever in a torn file.
        [commit_oid(&new.commit), tree_oid(&new.tree)]
            .iter()
            .all(is_sound)
            && self
                .repo
                .with(|repo| made(repo, old, new))
                .is_ok_and(|objects| objects.iter().all(is_sound))
    }
}
