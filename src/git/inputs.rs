//! What a gate reads of a tree, as one digest: what a slot has at the paths that its globs name.
//!
//! A glob goes through links and into submodules as a program does, and a link is followed to what
//! it leads to in the tree. The rules count by which files get their bytes, with the programs of
//! filters. It refuses to look at files of a slot.

use std::collections::BTreeSet;

use super::error::GitError;
use super::links::Links;
use super::part::Part;
use super::repo::Repo;
use super::tree::TreeEntry;
use crate::glob::Glob;
use crate::id::{RepoPath, Sha256, TreeId};

impl Repo {
    /// The digest of what a slot has of a tree at the paths that `globs` name, and at those that
    /// links among them lead to: paths, modes, contents. A path that is no text counts, and so
    /// do all submodules, with whether they are laid out.
    ///
    /// # Errors
    /// Where an object cannot be read, or a file asks for a filter that git does not have here.
    pub fn digest_of(&self, tree: &TreeId, globs: &[Glob]) -> Result<Sha256, GitError> {
        let layout = self.layout(tree)?;
        let listing = &*layout.tree;
        let read = self.with(|objects| {
            let links = Links::of(objects, listing)?;
            let counts = |path: &[u8], entry: TreeEntry| {
                entry.is_submodule()
                    || is_named(path, globs)
                    || links
                        .names(path)
                        .iter()
                        .any(|name| is_one(&name.path, globs))
            };
            let mut read: BTreeSet<&[u8]> = BTreeSet::new();
            let mut todo: Vec<&[u8]> = listing
                .files()
                .filter(|(path, entry)| counts(path, *entry))
                .map(|(path, _)| path)
                .collect();
            while let Some(path) = todo.pop() {
                if !read.insert(path) {
                    continue;
                }
                // Who reads by another name depends on the links in it, and who reads a link on
                // what it leads to.
                todo.extend(links.names(path).into_iter().map(|name| name.link));
                if listing.get(path).is_some_and(TreeEntry::is_symlink) {
                    let end = links.end(path).unwrap_or_default();
                    let inside = |other: &[u8]| end.is_empty() || is_below(other, &end);
                    todo.extend(
                        listing
                            .files()
                            .map(|(other, _)| other)
                            .filter(|other| inside(other)),
                    );
                }
            }
            Ok(read)
        })?;
        let part = Part::of((b"", self), listing, listing, &|path| read.contains(path))?;
        let mut said = Vec::new();
        for file in &part.wanted {
            let rule = part.rules.rule(file.own, file.entry);
            // No path has a zero byte.
            said.extend(
                format!("\0{:o} {} {} ", file.entry.mode, file.entry.oid, rule.0).into_bytes(),
            );
            said.extend_from_slice(file.own);
        }
        // Those that are laid out, the inner ones too: of the others a gate finds an empty
        // directory.
        for module in &layout.modules {
            said.extend(b"\0module ");
            said.extend(&*module.path);
            let part = Part::of(
                (&module.path, &module.repo),
                &module.listing,
                &module.listing,
                &|_| true,
            )?;
            for file in &part.wanted {
                said.extend(part.rules.rule(file.own, file.entry).0.as_bytes());
            }
        }
        Ok(Sha256::of(&said))
    }
}

fn is_named(path: &[u8], globs: &[Glob]) -> bool {
    RepoPath::from_bytes(path).is_none_or(|path| is_one(&path, globs))
}

fn is_one(path: &RepoPath, globs: &[Glob]) -> bool {
    globs.iter().any(|glob| glob.matches(path))
}

/// Whether a path is that place, or below it.
fn is_below(path: &[u8], place: &[u8]) -> bool {
    path.strip_prefix(place)
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
}
