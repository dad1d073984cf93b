//! What the user's checkout holds and no commit does, so that a run does not see it.
//!
//! It refuses to write anything there, the index included, and to look at what git ignores.

use std::time::Duration;

use super::binary::Git;
use super::error::{GitError, shown};
use super::repo::Repo;

/// git looks at some 100,000 files a second; whoever waits longer than this for a preview would
/// rather go without.
const AT_MOST: Duration = Duration::from_secs(20);

/// How many are named.
const NAMED: usize = 5;

/// Changes of a checkout that were not committed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Uncommitted {
    /// Files that git tracks, submodules too, with other content than HEAD or gone.
    pub tracked: usize,
    /// Other files, without those that git ignores.
    pub untracked: usize,
    /// The first of them, as well as they can be shown; those that git tracks before others.
    pub first: Vec<String>,
}

impl Repo {
    /// What of the checkout was not committed, but for one path; nothing if git cannot tell, or
    /// takes too long.
    #[must_use]
    pub fn uncommitted(&self, but: &str) -> Uncommitted {
        self.ask_for_changes(but).unwrap_or_default()
    }

    fn ask_for_changes(&self, but: &str) -> Result<Uncommitted, GitError> {
        let git = Git::on_checkout(self, "look for uncommitted changes", "status");
        let git = git.args([
            "--porcelain",
            "-z",
            "--untracked-files=all",
            "--no-renames",
            "--ignore-submodules=none",
        ]);
        let heard = git.hear(AT_MOST, None)?.ok()?;
        let mut found = Uncommitted::default();
        let mut others = Vec::new();
        for line in heard.split(|&byte| byte == 0) {
            // Two letters, a space, the path.
            let Some((state, path)) = line
                .split_at_checked(3)
                .filter(|(_, path)| *path != but.as_bytes())
            else {
                continue;
            };
            let (count, names) = match state {
                b"?? " => (&mut found.untracked, &mut others),
                _ => (&mut found.tracked, &mut found.first),
            };
            *count += 1;
            if names.len() < NAMED {
                names.push(shown(path));
            }
        }
        others.truncate(NAMED - found.first.len());
        found.first.append(&mut others);
        Ok(found)
    }
}
