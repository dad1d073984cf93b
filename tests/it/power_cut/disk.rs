//! A disk that forgets: what of some changes was written through, and what a power cut leaves of
//! the rest.
//!
//! It promises what POSIX does and no more. A synced file keeps its content, and a synced directory
//! its names; neither keeps the other. It refuses to know how the changes were seen.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::sync::Arc;

use super::super::kill::Chance;

/// A file, directory or link, counted in the order in which they were first seen.
pub(super) type Node = usize;

/// The system writes files by pages; none is smaller.
const PAGE: usize = 4096;

/// A change, in the order in which they were made.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// Names in directories, all at once: what is there from now on.
    Names(Vec<(Node, OsString, Option<Node>)>),
    /// The whole content of a file from now on.
    Content(Node, Arc<[u8]>),
    /// That file or directory is written through.
    Synced(Node),
    AllSynced,
}

pub(super) type Names = HashMap<Node, BTreeMap<OsString, Node>>;

/// What happens to that which was not written through.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Loss {
    /// It is gone.
    All,
    /// Names are there, and of what they name some is not: files are empty, zeros, or torn.
    Contents,
    /// Names up to a moment are there, in order, as a journal of the file system keeps them;
    /// contents may be.
    Late,
    /// Any of it is there.
    Any,
}

impl Loss {
    pub(super) const EACH: [Self; 4] = [Self::All, Self::Contents, Self::Late, Self::Any];
}

/// What is written through, and what is not yet.
#[derive(Default)]
pub(super) struct Disk {
    names: Names,
    pending: Vec<Vec<(Node, OsString, Option<Node>)>>,
    content: HashMap<Node, Arc<[u8]>>,
    unwritten: HashMap<Node, Vec<Arc<[u8]>>>,
}

pub(super) fn apply(names: &mut Names, changed: &[(Node, OsString, Option<Node>)]) {
    for (directory, name, node) in changed {
        let all = names.entry(*directory).or_default();
        match node {
            Some(node) => all.insert(name.clone(), *node),
            None => all.remove(name),
        };
    }
}

impl Disk {
    pub(super) fn takes(&mut self, change: &Change) {
        match change {
            Change::Names(names) => self.pending.push(names.clone()),
            Change::Content(node, content) => self
                .unwritten
                .entry(*node)
                .or_default()
                .push(content.clone()),
            Change::Synced(node) => {
                self.written(*node);
                let touches = |changed: &Vec<(Node, OsString, Option<Node>)>| {
                    changed.iter().any(|(at, ..)| at == node)
                };
                for changed in self.pending.extract_if(.., |changed| touches(changed)) {
                    apply(&mut self.names, &changed);
                }
            }
            Change::AllSynced => {
                for changed in self.pending.drain(..) {
                    apply(&mut self.names, &changed);
                }
                let all: Vec<Node> = self.unwritten.keys().copied().collect();
                all.into_iter().for_each(|node| self.written(node));
            }
        }
    }

    fn written(&mut self, node: Node) {
        if let Some(last) = self.unwritten.remove(&node).and_then(|mut all| all.pop()) {
            self.content.insert(node, last);
        }
    }

    pub(super) fn names_left(&self, loss: Loss, chance: &mut Chance) -> Names {
        let mut names = self.names.clone();
        let until = chance.below(self.pending.len() as u64 + 1);
        for (index, changed) in (0..).zip(&self.pending) {
            let kept = match loss {
                Loss::All => false,
                Loss::Contents => true,
                Loss::Late => index < until,
                Loss::Any => chance.below(2) == 0,
            };
            if kept {
                apply(&mut names, changed);
            }
        }
        names
    }

    pub(super) fn content_left(&self, node: Node, loss: Loss, chance: &mut Chance) -> Arc<[u8]> {
        let old = self.content.get(&node).cloned().unwrap_or_default();
        let Some(new) = self.unwritten.get(&node).filter(|new| !new.is_empty()) else {
            return old;
        };
        let chosen = &new[usize::try_from(chance.below(new.len() as u64)).unwrap()];
        // What was written through and has not been written over since is there in any case.
        let solid = new.iter().map(|new| same(&old, new)).min().unwrap_or(0);
        let torn = solid.max(usize::try_from(chance.below(chosen.len() as u64 + 1)).unwrap());
        let how = chance.below(6);
        let part = |end: usize, length: usize| {
            let mut part = chosen[..end.min(chosen.len())].to_vec();
            part.resize(length, 0);
            part.into()
        };
        // Each page is written on its own.
        let mut holes = |mut whole: Vec<u8>| {
            for (index, page) in whole.chunks_mut(PAGE).enumerate() {
                let kept = solid.saturating_sub(index * PAGE).min(page.len());
                if chance.below(2) == 0 {
                    page[kept..].fill(0);
                }
            }
            whole.into()
        };
        match (loss, how) {
            (Loss::All, _) | (_, 0) => old,
            (_, 4) => holes(chosen.to_vec()),
            (_, 1) => part(solid, solid),
            (_, 5) => chosen.clone(),
            (_, 2) => part(solid, solid.max(chosen.len())),
            _ => part(torn, torn),
        }
    }
}

/// How many bytes two texts have in common at their beginning.
fn same(one: &[u8], other: &[u8]) -> usize {
    one.iter()
        .zip(other)
        .take_while(|(one, other)| one == other)
        .count()
}
