//! Waiting for the disk: git writes objects without it.
//!
//! It refuses to wait for each object by itself: the writing of all begins before the first is waited for.

use std::collections::BTreeSet;

use git2::Oid;

use super::call::go_on;
use super::error::GitError;
use super::repo::Repo;

/// How many objects are open at once while they are written through: far fewer than any limit of open files.
const SETTLED_AT_ONCE: usize = 64;

impl Repo {
    /// Waits until loose objects are on the disk, and their names in the directories.
    pub(super) fn write_through(&self, objects: &[Oid]) -> Result<(), GitError> {
        objects.chunks(SETTLED_AT_ONCE).try_for_each(|objects| self.write_some_through(objects))
    }

    fn write_some_through(&self, objects: &[Oid]) -> Result<(), GitError> {
        // A directory may have been made for the first object in it.
        let all = self.common_dir().join("objects");
        let (mut open, mut directories) = (Vec::new(), BTreeSet::from([all.clone()]));
        for oid in objects {
            let hex = oid.to_string();
            let directory = all.join(&hex[..2]);
            let loose = directory.join(&hex[2..]);
            let file = match std::fs::File::open(&loose) {
                // What is not loose is in a pack, and packs are written through.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                opened => opened.map_err(GitError::io("open", &loose))?,
            };
            // Starts the writing of all before the first is waited for: one commit of the file system instead of many.
            #[cfg(target_os = "linux")]
            let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
            open.push((file, loose));
            directories.insert(directory);
        }
        for (file, loose) in open {
            go_on()?;
            file.sync_data().map_err(GitError::io("write through", &loose))?;
        }
        for directory in directories {
            let opened = match std::fs::File::open(&directory) {
                // `git gc` beside this run has packed what was there.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                opened => opened.map_err(GitError::io("open", &directory))?,
            };
            opened.sync_all().map_err(GitError::io("write through", &directory))?;
        }
        Ok(())
    }
}
