//! Who holds which paths: an index over the leading literal components of globs, so that looking
//! for an overlap does not compare with everybody.
//!
//! It refuses to know why paths are held; the key of an entry is its owner's business (a rank, or a
//! landing's number).

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use crate::glob::Glob;

/// The paths of one task.
#[derive(Debug, Clone, Default)]
pub(super) struct Sets {
    /// What it writes.
    pub(super) write: Vec<Glob>,
    /// What it reads.
    pub(super) read: Vec<Glob>,
}

impl Sets {
    fn accesses(&self) -> impl Iterator<Item = (Access, &Glob)> {
        let writes = self.write.iter().map(|glob| (Access::Write, glob));
        writes.chain(self.read.iter().map(|glob| (Access::Read, glob)))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

impl Access {
    fn clashes_with(self, other: Self) -> bool {
        self == Self::Write || other == Self::Write
    }
}

/// An entry's order and owner: lower keys first.
pub(super) type EntryOwner = (u32, u32);

/// A trie over path components; each node holds the globs whose literal prefix ends there.
#[derive(Debug, Clone)]
pub(super) struct Index {
    nodes: Vec<TrieNode>,
}

#[derive(Debug, Clone, Default)]
struct TrieNode {
    children: HashMap<String, usize>,
    entries: BTreeMap<EntryOwner, Vec<(Access, Glob)>>,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            nodes: vec![TrieNode::default()],
        }
    }
}

impl Index {
    /// Adds all globs of `sets` for `holder`.
    pub(super) fn insert(&mut self, holder: EntryOwner, sets: &Sets) {
        for (access, glob) in sets.accesses() {
            let node = self.node_for(glob);
            self.nodes[node]
                .entries
                .entry(holder)
                .or_default()
                .push((access, glob.clone()));
        }
    }

    /// Takes away what [`Index::insert`] added.
    pub(super) fn remove(&mut self, holder: EntryOwner, sets: &Sets) {
        for (_, glob) in sets.accesses() {
            let node = self.node_for(glob);
            self.nodes[node].entries.remove(&holder);
        }
    }

    fn node_for(&mut self, glob: &Glob) -> usize {
        let mut at = 0;
        for component in glob.literal_prefix() {
            at = match self.nodes[at].children.get(component) {
                Some(&child) => child,
                None => {
                    let child = self.nodes.len();
                    self.nodes.push(TrieNode::default());
                    self.nodes[at].children.insert(component.clone(), child);
                    child
                }
            };
        }
        at
    }

    /// Calls `visit` with each holder below `before` whose paths overlap with `sets`; in each place
    /// of the trie from the highest key down, until `visit` breaks off for that place. A holder
    /// may come more than once.
    pub(super) fn overlapping(
        &self,
        sets: &Sets,
        before: u32,
        mut visit: impl FnMut(EntryOwner) -> ControlFlow<()>,
    ) {
        for (access, glob) in sets.accesses() {
            let mut at = 0;
            let mut prefix = glob.literal_prefix().iter();
            let end = loop {
                let Some(component) = prefix.next() else {
                    break Some(at);
                };
                self.visit_node(at, access, glob, before, &mut visit);
                match self.nodes[at].children.get(component) {
                    Some(&child) => at = child,
                    None => break None,
                }
            };
            let mut stack: Vec<usize> = end.into_iter().collect();
            while let Some(node) = stack.pop() {
                self.visit_node(node, access, glob, before, &mut visit);
                stack.extend(self.nodes[node].children.values());
            }
        }
    }

    fn visit_node(
        &self,
        node: usize,
        access: Access,
        glob: &Glob,
        before: u32,
        visit: &mut impl FnMut(EntryOwner) -> ControlFlow<()>,
    ) {
        for (&holder, held) in self.nodes[node].entries.range(..(before, 0)).rev() {
            let overlaps = held
                .iter()
                .any(|(theirs, other)| access.clashes_with(*theirs) && glob.intersects(other));
            if overlaps && visit(holder).is_break() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
