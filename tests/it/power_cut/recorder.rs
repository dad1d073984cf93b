//! What was done to the files below a directory, seen call by call.
//!
//! It refuses to guess: what it did not see shows in [`Recorder::compare`].

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::kill::Chance;
use super::disk::{Change, Disk, Loss, Names, Node, apply};
use super::files::{Files, Found, read};
use super::trace::{Call, Name};

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
enum Kind {
    File,
    Directory,
    Link(PathBuf),
    /// A socket, a FIFO, a device: nothing that a cut could leave half.
    Other,
}

/// Sees changes as they are made.
pub(super) struct Recorder {
    root: PathBuf,
    kinds: Vec<Kind>,
    by_inode: HashMap<(u64, u64), Node>,
    names: Names,
    contents: HashMap<Node, Arc<[u8]>>,
    modes: HashMap<Node, u32>,
    mapped: HashSet<Node>,
    changes: Vec<Change>,
    /// So many changes were there before: all of them are on the disk.
    before: usize,
    /// A name that is about to be made has nothing yet.
    absent: Vec<bool>,
    /// A sync was refused.
    pub(super) saw_refusal: bool,
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    path.metadata().ok().map(|meta| (meta.dev(), meta.ino()))
}

impl Recorder {
    /// Knows everything that is below that directory now, as written through.
    pub(super) fn new(root: &Path) -> Self {
        let mut new = Self {
            root: root.to_owned(),
            kinds: Vec::new(),
            by_inode: HashMap::new(),
            names: HashMap::new(),
            contents: HashMap::new(),
            modes: HashMap::new(),
            mapped: HashSet::new(),
            changes: Vec::new(),
            before: 0,
            absent: Vec::new(),
            saw_refusal: false,
        };
        new.meets(root);
        new.changes.push(Change::AllSynced);
        new.before = new.changes.len();
        new
    }

    /// Whether that, links followed, is one of its files or directories.
    pub(super) fn knows(&self, path: &Path) -> bool {
        self.node(path).is_some()
    }

    fn node(&self, path: &Path) -> Option<Node> {
        self.by_inode.get(&inode(path)?).copied()
    }

    fn change(&mut self, change: Change) {
        if let Change::Names(names) = &change {
            apply(&mut self.names, names);
        }
        self.changes.push(change);
    }

    /// Something new, with everything below it.
    fn meets(&mut self, path: &Path) -> Option<Node> {
        let meta = path.symlink_metadata().ok()?;
        let kind = if meta.is_file() {
            Kind::File
        } else if meta.is_dir() {
            Kind::Directory
        } else if meta.is_symlink() {
            Kind::Link(std::fs::read_link(path).ok()?)
        } else {
            Kind::Other
        };
        let node = self.kinds.len();
        self.kinds.push(kind.clone());
        self.by_inode.insert((meta.dev(), meta.ino()), node);
        self.looks(node, path);
        if kind == Kind::Directory {
            let mut below: Vec<PathBuf> = std::fs::read_dir(path)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path())
                .collect();
            below.sort();
            for path in below {
                let known = path
                    .symlink_metadata()
                    .ok()
                    .map(|meta| (meta.dev(), meta.ino()));
                let known = known.and_then(|inode| self.by_inode.get(&inode).copied());
                if let Some(child) = known.or_else(|| self.meets(&path)) {
                    self.change(Change::Names(vec![(
                        node,
                        path.file_name().unwrap().to_owned(),
                        Some(child),
                    )]));
                }
            }
        }
        Some(node)
    }

    /// Reads its mode and content again.
    fn looks(&mut self, node: Node, path: &Path) {
        if matches!(self.kinds[node], Kind::Link(_) | Kind::Other) {
            return;
        }
        let Ok(meta) = path.metadata() else { return };
        let mode = meta.permissions().mode() & 0o7777;
        // The last one counts: a file's mode is set when it is made, and a directory's never again.
        self.modes.insert(node, mode);
        if self.kinds[node] == Kind::File
            && let Ok(content) = std::fs::read(path)
            && self.contents.get(&node).is_none_or(|old| **old != *content)
        {
            let content: Arc<[u8]> = content.into();
            self.contents.insert(node, content.clone());
            self.change(Change::Content(node, content));
        }
    }

    /// A call is about to be made.
    pub(super) fn expects(&mut self, call: &Call) {
        let Call::Names { names, .. } = call else {
            return;
        };
        self.absent = names
            .iter()
            .map(|name| name.directory.join(&name.name).symlink_metadata().is_err())
            .collect();
    }

    /// The call was made.
    pub(super) fn saw(&mut self, call: &Call) {
        self.looks_at_mapped();
        match call {
            Call::Names { names, makes } => self.saw_names(names, *makes),
            Call::Changes(path) => {
                if let Some(node) = self.node(path) {
                    self.looks(node, path);
                }
            }
            Call::Syncs(path) => self.changes.extend(self.node(path).map(Change::Synced)),
            Call::SyncsAll => self.changes.push(Change::AllSynced),
            Call::Maps(path) => self.mapped.extend(self.node(path)),
        }
    }

    fn looks_at_mapped(&mut self) {
        if self.mapped.is_empty() {
            return;
        }
        let paths = self.paths(&self.names);
        for (path, node) in paths {
            if self.mapped.contains(&node) {
                self.looks(node, &self.root.join(path));
            }
        }
    }

    fn saw_names(&mut self, names: &[Name], makes: bool) {
        let (mut changed, mut seen) = (Vec::new(), Vec::new());
        for (name, was_absent) in names.iter().zip(self.absent.clone()) {
            let path = name.directory.join(&name.name);
            let found = path.symlink_metadata().ok();
            let known = found
                .as_ref()
                .and_then(|meta| self.by_inode.get(&(meta.dev(), meta.ino())).copied());
            let Some(directory) = self.node(&name.directory) else {
                continue;
            };
            let node = match (found, known) {
                (None, _) => None,
                // An inode's number is used again.
                (Some(_), Some(node)) if !(makes && was_absent) => Some(node),
                (Some(_), _) => self.meets(&path),
            };
            seen.extend(node.map(|node| (node, path)));
            if self
                .names
                .get(&directory)
                .and_then(|all| all.get(&name.name))
                .copied()
                != node
            {
                changed.push((directory, name.name.clone(), node));
            }
        }
        if !changed.is_empty() {
            self.change(Change::Names(changed));
        }
        // It may have been opened to be written anew, or its mode set by name.
        for (node, path) in seen {
            self.looks(node, &path);
        }
    }

    fn paths(&self, names: &Names) -> Vec<(PathBuf, Node)> {
        let mut all = Vec::new();
        let mut open = vec![(PathBuf::new(), 0, 0)];
        while let Some((path, node, depth)) = open.pop() {
            for (name, child) in names.get(&node).into_iter().flatten() {
                let path = path.join(name);
                // A directory that was moved may be found in itself after a cut.
                if self.kinds[*child] == Kind::Directory && depth < 64 {
                    open.push((path.clone(), *child, depth + 1));
                }
                all.push((path, *child));
            }
        }
        all
    }

    fn files(&self, names: &Names, content: impl Fn(Node) -> Arc<[u8]>) -> Files {
        let found = |node: Node| match &self.kinds[node] {
            Kind::File => Found::File {
                mode: self.modes.get(&node).copied().unwrap_or(0o644),
                content: content(node),
            },
            Kind::Directory => Found::Directory,
            Kind::Link(to) => Found::Link(to.clone()),
            Kind::Other => Found::Other,
        };
        self.paths(names)
            .into_iter()
            .map(|(path, node)| (path, found(node)))
            .collect()
    }

    /// Where what was seen and what is there differ: there must be nothing.
    pub(super) fn compare(&self) -> Vec<String> {
        let seen = self.files(&self.names, |node| {
            self.contents.get(&node).cloned().unwrap_or_default()
        });
        let real = read(&self.root);
        let paths: std::collections::BTreeSet<&PathBuf> = seen.keys().chain(real.keys()).collect();
        let differs = paths
            .into_iter()
            .filter(|path| seen.get(*path) != real.get(*path));
        let says = |found: Option<&Found>| match found {
            Some(Found::File { mode, content }) => {
                format!("{} bytes, mode {mode:o}", content.len())
            }
            other => format!("{other:?}"),
        };
        differs
            .map(|path| {
                format!(
                    "{}: {} / {}",
                    path.display(),
                    says(seen.get(path)),
                    says(real.get(path))
                )
            })
            .collect()
    }

    /// How many times something was written through.
    pub(super) fn syncs(&self) -> usize {
        self.sync_places().len()
    }

    fn sync_places(&self) -> Vec<usize> {
        let made = self.changes.iter().enumerate().skip(self.before);
        made.filter(|(_, change)| matches!(change, Change::Synced(_) | Change::AllSynced))
            .map(|(at, _)| at)
            .collect()
    }

    /// What a cut leaves right before the sync of that number, or right after it; at the very end
    /// past the last.
    pub(super) fn cut(&self, sync: usize, after: bool, loss: Loss, chance: &mut Chance) -> Files {
        let end = self
            .sync_places()
            .get(sync)
            .map_or(self.changes.len(), |at| at + usize::from(after));
        let mut disk = Disk::default();
        for change in &self.changes[..end] {
            disk.takes(change);
        }
        let names = disk.names_left(loss, chance);
        let contents: HashMap<Node, Arc<[u8]>> = (0..self.kinds.len())
            .map(|node| (node, disk.content_left(node, loss, chance)))
            .collect();
        self.files(&names, |node| contents[&node].clone())
    }
}
