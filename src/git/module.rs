//! Submodules of a tree: which clone of the user's each has, and what a slot holds of it. No
//! network.
//!
//! It refuses a clone outside of the user's repository, whatever `.gitmodules` says, and names that
//! lead into the clone of another submodule. A submodule without its commit is no error: its
//! directory stays empty, and that is reported.

mod layout;
mod lack;

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use git2::Oid;

use super::binary::{Git, is_partial};
use super::error::{GitError, shown};
use super::repo::{Repo, commit_id};
use super::tree::Listing;
use crate::id::{RepoPath, TreeId};

pub use lack::{MissingSubmodule, ModuleLack};
pub(super) use layout::SlotLayout;

/// Reading one blob takes git milliseconds; a minute is for a disk that has to wake up.
const AT_MOST: Duration = Duration::from_secs(60);

/// Submodules inside each other. A chain of commits cannot be endless, but it can be long; real
/// ones have two or three.
const DEEPEST: usize = 16;

/// Layouts kept: a slot is filled from, and compared with, the same few trees.
const LAYOUTS: usize = 4;

/// A submodule whose files are at hand.
#[derive(Debug, Clone)]
pub(super) struct Module {
    /// Where it lies in the slot.
    pub(super) path: Vec<u8>,
    /// Where its own git directory lies in that of the worktree: `modules/NAME`, and
    /// `modules/OUTER/modules/NAME`.
    pub(super) place: PathBuf,
    /// The recorded commit.
    pub(super) commit: Oid,
    /// The user's clone of it.
    pub(super) repo: Repo,
    /// Its files, by paths relative to its own.
    pub(super) listing: Arc<Listing>,
    /// The submodules in it, as its `.gitmodules` names them.
    pub(super) inside: Vec<Declared>,
}

impl Module {
    /// The path relative to the submodule, if it is in there.
    fn within<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        path.strip_prefix(self.path.as_slice())?.strip_prefix(b"/")
    }

    /// A path of its own as a path of the slot.
    pub(super) fn in_slot(&self, path: &[u8]) -> Vec<u8> {
        [&self.path, b"/".as_slice(), path].concat()
    }
}

/// What `.gitmodules` says of one submodule.
#[derive(Debug, Clone, Default)]
pub(super) struct Declared {
    pub(super) name: String,
    path: String,
    pub(super) url: String,
}

impl Repo {
    /// What a slot holds of a tree, from memory if it was asked for lately.
    pub(super) fn layout(&self, tree: &TreeId) -> Result<Arc<SlotLayout>, GitError> {
        let listing = self.listing(tree)?;
        if let Some(known) = self
            .layouts()
            .iter()
            .find(|known| Arc::ptr_eq(&known.tree, &listing))
        {
            return Ok(Arc::clone(known));
        }
        let mut layout = SlotLayout {
            tree: Arc::clone(&listing),
            ..SlotLayout::default()
        };
        let outside = Within {
            path: Vec::new(),
            place: PathBuf::new(),
            depth: 0,
        };
        self.find_modules(&listing, &self.declared(&listing)?, &outside, &mut layout)?;
        let layout = Arc::new(layout);
        let mut kept = self.layouts();
        kept.truncate(LAYOUTS - 1);
        kept.insert(0, Arc::clone(&layout));
        Ok(layout)
    }

    /// The submodules that a tree records.
    ///
    /// # Errors
    /// If the tree cannot be read.
    pub fn submodules(&self, tree: &TreeId) -> Result<Vec<RepoPath>, GitError> {
        let listing = self.listing(tree)?;
        let recorded = listing.files().filter(|(_, entry)| entry.is_submodule());
        Ok(recorded
            .filter_map(|(path, _)| RepoPath::from_bytes(path))
            .collect())
    }

    /// The submodules of a tree that slots hold as empty directories, those inside others too.
    ///
    /// # Errors
    /// If the tree cannot be read.
    pub fn missing_submodules(&self, tree: &TreeId) -> Result<Vec<MissingSubmodule>, GitError> {
        let layout = self.layout(tree)?;
        let named = |(path, why): &(Vec<u8>, ModuleLack)| {
            Some(MissingSubmodule {
                path: RepoPath::from_bytes(path)?,
                why: why.clone(),
            })
        };
        Ok(layout.missing.iter().filter_map(named).collect())
    }

    fn find_modules(
        &self,
        listing: &Listing,
        declared: &[Declared],
        within: &Within,
        layout: &mut SlotLayout,
    ) -> Result<(), GitError> {
        let by_path: HashMap<&[u8], &Declared> = declared
            .iter()
            .map(|one| (one.path.as_bytes(), one))
            .collect();
        let recorded = listing.files().filter(|(_, entry)| entry.is_submodule());
        for (path, commit) in recorded.map(|(path, entry)| (path, entry.oid)) {
            let in_slot = within.below(path);
            let found = match by_path.get(path) {
                _ if within.depth >= DEEPEST => Err(ModuleLack::TooDeep),
                None => Err(ModuleLack::Name),
                Some(one) => self.find_module(one, declared, commit),
            };
            match found {
                Err(why) => layout.missing.push((in_slot, why)),
                Ok((name, repo, listing)) => {
                    let place = within.place.join("modules").join(name);
                    let inside = repo.declared(&listing)?;
                    let path = in_slot.clone();
                    let inner = Within {
                        path: in_slot,
                        place: place.clone(),
                        depth: within.depth + 1,
                    };
                    let (kept, listed, named) =
                        (repo.clone(), Arc::clone(&listing), inside.clone());
                    layout.modules.push(Module {
                        path,
                        place,
                        commit,
                        repo: kept,
                        listing,
                        inside,
                    });
                    repo.find_modules(&listed, &named, &inner, layout)?;
                }
            }
        }
        Ok(())
    }

    /// The user's clone of a submodule, and the files of its recorded commit.
    fn find_module(
        &self,
        one: &Declared,
        all: &[Declared],
        commit: Oid,
    ) -> Result<(PathBuf, Self, Arc<Listing>), ModuleLack> {
        let name = PathBuf::from(&one.name);
        let leads_into = |other: &Declared| {
            !other.name.is_empty() && other.name != one.name && name.starts_with(&other.name)
        };
        if !is_inside(&name) || all.iter().any(leads_into) {
            return Err(ModuleLack::Elsewhere(shown(one.name.as_bytes())));
        }
        let mut places = [self.git_dir(), self.common_dir()]
            .into_iter()
            .map(|place| place.join("modules"));
        let Some(git_dir) = places.find_map(|place| real_below(&place, &name)) else {
            return Err(ModuleLack::Clone);
        };
        let unreadable =
            |error: GitError| ModuleLack::Unreadable(shown(error.to_string().as_bytes()));
        let repo = self.module(&git_dir).map_err(unreadable)?;
        let Ok(tip) = repo.tip(&commit_id(commit)) else {
            return Err(ModuleLack::Commit);
        };
        // A partial clone would have to fetch what it lacks.
        let is_partial = repo
            .with(|objects| Ok(is_partial(objects)))
            .map_err(unreadable)?;
        if is_partial && !repo.is_whole(&tip.commit).map_err(unreadable)? {
            return Err(ModuleLack::Commit);
        }
        let listing = repo.listing(&tip.tree).map_err(unreadable)?;
        Ok((name, repo, listing))
    }

    /// What the `.gitmodules` of a tree says.
    fn declared(&self, listing: &Listing) -> Result<Vec<Declared>, GitError> {
        let Some(entry) = listing.get(b".gitmodules").filter(|entry| entry.is_file()) else {
            return Ok(Vec::new());
        };
        if !listing.files().any(|(_, entry)| entry.is_submodule()) {
            return Ok(Vec::new());
        }
        let git = Git::settings_of(self, "read .gitmodules").args([
            "-z",
            "--blob",
            &entry.oid.to_string(),
        ]);
        let heard = git
            .args(["--get-regexp", r"^submodule\..*\.(path|url)$"])
            .hear(AT_MOST, None)?;
        // What git cannot read names nothing.
        let text = String::from_utf8_lossy(&heard.out).into_owned();
        let mut found: Vec<Declared> = Vec::new();
        for (key, value) in text.split('\0').filter_map(|pair| pair.split_once('\n')) {
            let Some((name, key)) = key
                .strip_prefix("submodule.")
                .and_then(|key| key.rsplit_once('.'))
            else {
                continue;
            };
            let at = found
                .iter()
                .position(|one| one.name == name)
                .unwrap_or_else(|| {
                    found.push(Declared {
                        name: name.to_owned(),
                        ..Declared::default()
                    });
                    found.len() - 1
                });
            // git reads no values that look like options.
            let value = if value.starts_with('-') {
                String::new()
            } else {
                value.to_owned()
            };
            if key == "path" {
                found[at].path = value
            } else {
                found[at].url = value
            }
        }
        Ok(found)
    }
}

/// Where submodules are looked for.
struct Within {
    path: Vec<u8>,
    place: PathBuf,
    depth: usize,
}

impl Within {
    fn below(&self, path: &[u8]) -> Vec<u8> {
        if self.depth == 0 {
            path.to_vec()
        } else {
            [&self.path, b"/".as_slice(), path].concat()
        }
    }
}

/// Whether a name stays below the directory that it is looked for in, and can be written into git's
/// own files.
fn is_inside(name: &Path) -> bool {
    let has_control = name
        .to_str()
        .is_none_or(|name| name.chars().any(char::is_control));
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    !has_control && name.components().next().is_some() && name.components().all(is_plain)
}

/// The directory of that name below another, if no link leads there and it is a repository.
fn real_below(top: &Path, name: &Path) -> Option<PathBuf> {
    let is_real = |path: &Path| std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
    let mut at = top.to_owned();
    if !is_real(&at) {
        return None;
    }
    for part in name.components() {
        at.push(part);
        if !is_real(&at) {
            return None;
        }
    }
    let is_repository =
        std::fs::symlink_metadata(at.join("HEAD")).is_ok() && is_real(&at.join("objects"));
    is_repository.then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_submodule_is_looked_for_below_the_users_own_clones_alone() {
        for name in ["inner", "vendor/inner", "a b", "..."] {
            assert!(is_inside(Path::new(name)), "{name}");
        }
        for name in ["", "..", "../x", "a/../../x", "/etc", "./x/..", "a\nb", "."] {
            assert!(!is_inside(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn no_link_leads_to_a_clone() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        std::fs::create_dir_all(at("modules/real/objects")).unwrap();
        std::fs::write(at("modules/real/HEAD"), "").unwrap();
        std::os::unix::fs::symlink(at("modules/real"), at("modules/link")).unwrap();
        std::os::unix::fs::symlink(at("modules"), at("linked")).unwrap();
        let found = |top: &str, name: &str| real_below(&at(top), Path::new(name)).is_some();
        assert!(found("modules", "real"));
        for (top, name) in [
            ("modules", "link"),
            ("linked", "real"),
            ("modules", "nothing"),
            ("modules", "real/objects"),
        ] {
            assert!(!found(top, name), "{top}/{name}");
        }
    }
}
