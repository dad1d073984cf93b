//! Symbolic links of a tree, and whether they lead out of it.

use std::collections::{BTreeMap, BTreeSet};

use git2::Repository;

use super::{ChangedPath, Listing};
use crate::git::error::GitError;
use crate::git::lookup::find_blob;
use crate::git::repo::Repo;
use crate::id::{RepoPath, TreeId};
use crate::scope::name::is_dot_git;

/// Symlinks followed before a chain counts as endless; Linux has the same number.
const LINKS: u32 = 40;

impl Repo {
    /// Symlinks that lead out of `new` (or into a `.git`), and did not lead out of `old`. A link is
    /// followed through the other links of the tree, so one that a changed link redirects is
    /// found too.
    ///
    /// # Errors
    /// Where a tree cannot be read.
    pub fn escaping_symlinks(&self, old: &TreeId, new: &TreeId) -> Result<Vec<RepoPath>, GitError> {
        if !self.changed(old, new)?.iter().any(ChangedPath::is_symlink) {
            return Ok(Vec::new());
        }
        let (old, new) = (self.listing(old)?, self.listing(new)?);
        self.with(|repo| {
            let before = escaping(repo, &old)?;
            let fresh = escaping(repo, &new)?.into_iter().filter(|path| {
                !before.contains(path)
                    || old.get(path).map(|entry| entry.oid) != new.get(path).map(|entry| entry.oid)
            });
            Ok(fresh
                .filter_map(|path| RepoPath::from_bytes(&path))
                .collect())
        })
    }
}

fn escaping(repo: &Repository, listing: &Listing) -> Result<BTreeSet<Vec<u8>>, GitError> {
    let mut links = BTreeMap::new();
    for (path, entry) in listing.files().filter(|(_, entry)| entry.is_symlink()) {
        let blob = find_blob(repo, entry.oid, "read a symlink")?;
        links.insert(path.to_vec(), blob.content().to_vec());
    }
    Ok(links
        .keys()
        .filter(|path| leads_out(path, &links))
        .cloned()
        .collect())
}

/// Whether a link leads out on this system, or on Windows, where git turns slashes round.
fn leads_out(link: &[u8], links: &BTreeMap<Vec<u8>, Vec<u8>>) -> bool {
    follow(link, links, b"/") || follow(link, links, b"/\\")
}

/// Follows a link as the kernel would, inside the tree.
fn follow(link: &[u8], links: &BTreeMap<Vec<u8>, Vec<u8>>, slashes: &[u8]) -> bool {
    let mut at: Vec<Vec<u8>> = Vec::new();
    let mut todo: Vec<Vec<u8>> = components(link, b"/");
    let mut followed = 0;
    while let Some(part) = todo.pop() {
        match part.as_slice() {
            b"." | b"" => continue,
            b".." if at.pop().is_none() => return true,
            b".." => continue,
            _ if is_dot_git(&part) => return true,
            _ => at.push(part),
        }
        let Some(target) = links.get(&at.join(&b'/')) else {
            continue;
        };
        followed += 1;
        if followed > LINKS {
            // A loop leads nowhere.
            return false;
        }
        let has_drive =
            matches!(target.as_slice(), [_, b':', slash, ..] if slashes.contains(slash));
        if target.first().is_some_and(|first| slashes.contains(first)) || has_drive {
            return true;
        }
        at.pop();
        todo.extend(components(target, slashes));
    }
    false
}

/// The components, last one first.
fn components(path: &[u8], slashes: &[u8]) -> Vec<Vec<u8>> {
    path.split(|byte| slashes.contains(byte))
        .rev()
        .map(<[u8]>::to_vec)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(links: &[(&str, &str)], link: &str) -> bool {
        let links = links
            .iter()
            .map(|(path, to)| (path.as_bytes().to_vec(), to.as_bytes().to_vec()))
            .collect();
        leads_out(link.as_bytes(), &links)
    }

    #[test]
    fn links_are_followed_through_other_links_of_the_tree() {
        assert!(!out(&[("a/b", "../c")], "a/b"));
        assert!(out(&[("a/b", "../../c")], "a/b"));
        assert!(out(&[("a", "/etc/passwd")], "a"));
        assert!(out(&[("a", "sub/.GIT/hooks")], "a"));
        assert!(out(&[("a", "sub/.g\u{200c}it/hooks")], "a"));
        assert!(!out(&[("a\\b", "c")], "a\\b") && !out(&[("a", "b:c/d")], "a"));
        assert!(
            out(&[("a", "C:\\x")], "a") && out(&[("a", "\\x")], "a") && out(&[("a", "..\\x")], "a")
        );
        assert!(
            out(&[("p/q/d", "../.."), ("e", "p/q/d/../z")], "e"),
            "inside by its letters, outside by its steps"
        );
        assert!(!out(&[("p/q/d", "../.."), ("e", "p/q/d/z")], "e"));
        assert!(!out(&[("a", "b"), ("b", "a")], "a"), "a loop leads nowhere");
    }
}
