//! What a gate reads of a tree, as one digest.
//!
//! A link is followed to what it leads to in the tree, for who reads the link reads that. The rules count by which files get
//! their bytes. It refuses to look at files on disk.

use std::collections::BTreeSet;

use super::convert;
use super::error::GitError;
use super::repo::Repo;
use super::tree::Listing;
use crate::id::{RepoPath, Sha256, TreeId};

impl Repo {
    /// The digest of what a tree has at the paths that `wanted` names, and at those that links among them lead to: paths,
    /// modes, contents. A path that is no text counts as wanted.
    ///
    /// # Errors
    /// Where an object cannot be read.
    pub fn digest_of(&self, tree: &TreeId, wanted: &dyn Fn(&RepoPath) -> bool) -> Result<Sha256, GitError> {
        let listing = self.listing(tree)?;
        let named = |path: &[u8]| RepoPath::from_bytes(path).is_none_or(|path| wanted(&path));
        let mut read: BTreeSet<&[u8]> = listing.files().map(|(path, _)| path).filter(|path| named(path)).collect();
        self.with(|objects| {
            let mut links: Vec<&[u8]> = read.iter().copied().collect();
            while let Some(path) = links.pop() {
                let Some(entry) = listing.get(path).filter(|entry| entry.is_symlink()) else { continue };
                let target = objects.find_blob(entry.oid).map_err(GitError::lib("read a link"))?;
                for found in led_to(&listing, path, target.content()) {
                    if read.insert(found) {
                        links.push(found);
                    }
                }
            }
            let rules = convert::of(self, objects, &listing)?.out;
            let mut said = rules.map(|rules| rules.to_string()).unwrap_or_default().into_bytes();
            for path in read {
                let Some(entry) = listing.get(path) else { continue };
                // No path has a zero byte.
                said.extend(format!("\0{:o} {} ", entry.mode, entry.oid).into_bytes());
                said.extend(path);
            }
            Ok(Sha256::of(&said))
        })
    }
}

/// All that lies where a link leads, and the link on the way there, if there is one.
fn led_to<'a>(listing: &'a Listing, link: &[u8], target: &[u8]) -> Vec<&'a [u8]> {
    let mut parts: Vec<&[u8]> = link.split(|byte| *byte == b'/').collect();
    parts.pop();
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let place = parts.join(&b'/');
    let within = |path: &[u8], above: &[u8]| {
        above.is_empty() || path.strip_prefix(above).is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
    };
    let found =
        listing.files().filter(|(path, entry)| within(path, &place) || (entry.is_symlink() && within(&place, path)));
    found.map(|(path, _)| path).collect()
}
