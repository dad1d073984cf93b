//! Where the links of a tree lead, and by which other names its files are reached through them.
//!
//! A plan names paths as programs see them, so a glob goes through links. It refuses to look at a
//! disk.

use std::collections::{BTreeMap, BTreeSet};

use git2::Repository;

use super::error::GitError;
use super::lookup::find_blob;
use super::tree::{FILE, Listing, TreeEntry};
use crate::id::RepoPath;

/// Links followed before a chain counts as endless; Linux has the same number.
const LINKS: u32 = 40;

/// So many links one name goes through at most. A link to a directory above itself makes names
/// without end.
const DEPTH: usize = 4;

/// The most other names of one file that are looked at.
const NAMES: usize = 256;

/// A listing, and where its links lead.
pub(super) struct Links<'a> {
    listing: &'a Listing,
    links: BTreeMap<&'a [u8], Vec<u8>>,
    /// Each link with the place that it ends at.
    ends: Vec<(&'a [u8], Vec<u8>)>,
}

/// Another name of a file, and the link that it goes through first.
pub(super) struct Name<'a> {
    pub(super) path: RepoPath,
    pub(super) link: &'a [u8],
}

impl<'a> Links<'a> {
    pub(super) fn of(repo: &Repository, listing: &'a Listing) -> Result<Self, GitError> {
        let mut links = BTreeMap::new();
        for (path, entry) in listing.files().filter(|(_, entry)| entry.is_symlink()) {
            let blob = find_blob(repo, entry.oid, "read a symlink")?;
            links.insert(path, blob.content().to_vec());
        }
        let mut found = Self {
            listing,
            links,
            ends: Vec::new(),
        };
        found.ends = found
            .links
            .keys()
            .filter_map(|link| Some((*link, found.end(link)?)))
            .collect();
        Ok(found)
    }

    /// The other names by which programs reach what is at `path`: through links to it, or to a
    /// directory above it.
    pub(super) fn names(&self, path: &[u8]) -> Vec<Name<'a>> {
        let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
        let mut todo = vec![(path.to_vec(), 0)];
        while let Some((name, depth)) = todo.pop().filter(|_| !self.ends.is_empty()) {
            for (link, end) in &self.ends {
                let Some(rest) = rest_below(&name, end) else {
                    continue;
                };
                let other = [link, rest.as_slice()].concat();
                if depth == DEPTH
                    || seen.len() == NAMES
                    || other == path
                    || !seen.insert(other.clone())
                {
                    continue;
                }
                if let Some(path) = RepoPath::from_bytes(&other) {
                    found.push(Name { path, link });
                }
                todo.push((other, depth + 1));
            }
        }
        found
    }

    /// The files that a path leads to: itself, with an empty name, or those below a directory, each
    /// with what is to be added to the path. Nothing where it leads nowhere, or out of the
    /// tree.
    pub(super) fn below(&self, path: &[u8]) -> Vec<(Vec<u8>, TreeEntry)> {
        let Some(end) = self.end(path) else {
            return Vec::new();
        };
        if let Some(entry) = self.listing.get(&end).filter(|entry| !entry.is_submodule()) {
            let mode = if entry.is_symlink() { FILE } else { entry.mode };
            return vec![(
                Vec::new(),
                TreeEntry {
                    mode,
                    oid: entry.oid,
                },
            )];
        }
        let mut found = Vec::new();
        for (other, entry) in self
            .listing
            .files()
            .filter(|(_, entry)| !entry.is_submodule())
        {
            let rest = other
                .strip_prefix(end.as_slice())
                .filter(|rest| rest.starts_with(b"/"));
            found.extend(rest.map(|rest| (rest.to_vec(), entry)));
        }
        found
    }

    /// Whether a link leads to a place on this machine, which no tree has a say in.
    pub(super) fn is_absolute(&self, path: &[u8]) -> bool {
        self.links
            .get(path)
            .is_some_and(|target| target.starts_with(b"/"))
    }

    /// Where a path ends once every link on the way was followed.
    pub(super) fn end(&self, path: &[u8]) -> Option<Vec<u8>> {
        let parts = |path: &[u8]| {
            path.split(|&byte| byte == b'/')
                .rev()
                .map(<[u8]>::to_vec)
                .collect::<Vec<_>>()
        };
        let (mut at, mut todo, mut followed): (Vec<Vec<u8>>, _, _) = (Vec::new(), parts(path), 0);
        while let Some(part) = todo.pop() {
            match part.as_slice() {
                b"." | b"" => continue,
                b".." => {
                    at.pop()?;
                    continue;
                }
                _ => at.push(part),
            }
            let Some(target) = self.links.get(at.join(&b'/').as_slice()) else {
                continue;
            };
            followed += 1;
            if followed > LINKS || target.starts_with(b"/") {
                return None;
            }
            at.pop();
            todo.extend(parts(target));
        }
        Some(at.join(&b'/'))
    }
}

/// What follows a place in a path that is that place, or below it; with its slash.
fn rest_below(path: &[u8], place: &[u8]) -> Option<Vec<u8>> {
    if place.is_empty() {
        return Some([b"/", path].concat());
    }
    let rest = path.strip_prefix(place)?;
    matches!(rest.first(), None | Some(b'/')).then(|| rest.to_vec())
}
