//! A plan's text as a tree in which every node knows its place.
//!
//! It refuses what no plan needs, before it costs anything: files over a mebibyte, other encodings
//! than UTF-8, several documents, deep nesting, tags, merge keys, and aliases that make much out of
//! little. It builds without recursion.

mod tree;

use std::collections::HashMap;
use std::rc::Rc;

use serde_yaml::granit_parser as yaml;
use serde_yaml::granit_parser::{Event, Marker};

use super::complaint::Critic;
use super::excerpt::Span;
use super::scalar::Scalar;
use super::syntax;
use tree::Tree;

/// The largest file that is read as a plan: 1 MiB, from the contract.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// How deep lists and maps may nest. A plan needs five levels; metadata may have a few of its own.
const MAX_DEPTH: usize = 64;

/// What a node costs beside its text, in bytes.
const NODE_COST: usize = 16;

/// A value and where it stands.
#[derive(Debug)]
pub(super) struct YamlNode {
    /// The scalar, the bracketed text, or the first key or item of a block.
    pub(super) at: Span,
    pub(super) value: Value,
    cost: usize,
    depth: usize,
}

#[derive(Debug)]
pub(super) enum Value {
    Scalar(Scalar),
    List(Vec<Rc<YamlNode>>),
    /// In the order of the file; a duplicate key was complained of and left out.
    Map(Vec<MapEntry>),
    /// Something that was complained of already.
    Broken,
}

/// A key of a map and its value.
#[derive(Debug)]
pub(super) struct MapEntry {
    pub(super) key: String,
    pub(super) key_at: Span,
    pub(super) node: Rc<YamlNode>,
}

impl YamlNode {
    fn new(at: Span, value: Value) -> Self {
        let (cost, depth) = match &value {
            Value::Scalar(scalar) => (scalar.text.len(), 0),
            Value::List(items) => measure(items.iter().map(|item| (0, item))),
            Value::Map(entries) => {
                measure(entries.iter().map(|entry| (entry.key.len(), &entry.node)))
            }
            Value::Broken => (0, 0),
        };
        Self {
            at,
            value,
            cost: cost.saturating_add(NODE_COST),
            depth: depth + 1,
        }
    }
}

/// The cost and the depth of what a node holds.
fn measure<'n>(children: impl Iterator<Item = (usize, &'n Rc<YamlNode>)>) -> (usize, usize) {
    children.fold((0, 0), |(cost, depth): (usize, usize), (key, child)| {
        (
            cost.saturating_add(key).saturating_add(child.cost),
            depth.max(child.depth),
        )
    })
}

/// Reads `text` into a tree. `None` where that was impossible or there is nothing in it; then the
/// critic knows why.
pub(super) fn read(text: &str, critic: &mut Critic<'_>) -> Option<Rc<YamlNode>> {
    let options = yaml::options! {
        emit_unresolved_aliases: true,
        disallow_directives: true,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut tree = Tree {
        critic,
        open: Vec::new(),
        anchors: HashMap::new(),
        aliased: 0,
        root: None,
    };
    let mut documents = 0;
    for event in yaml::Parser::new_from_str_with_options(text, options) {
        let (event, span) = match event {
            Ok((event, span)) => (
                event,
                Span {
                    start: offset(&span.start),
                    end: offset(&span.end),
                },
            ),
            Err(error) => {
                let at = offset(error.marker());
                let said = syntax::reword(error.kind());
                critic
                    .say(Span { start: at, end: at }, said.what)
                    .advise(said.hint);
                return None;
            }
        };
        if matches!(event, Event::DocumentStart(..)) {
            documents += 1;
        }
        if documents > 1 {
            let at = Span {
                start: span.start,
                end: span.start + 3,
            };
            critic
                .say(at, "a second document begins here, but a plan is one")
                .advise("remove everything from this `---` on");
            return None;
        }
        tree.take(event, span)?;
    }
    let root = tree.root.take();
    if root.is_none() {
        let at = Span::default();
        critic
            .say(at, "the plan is empty")
            .advise("`omk init` writes a plan to begin with");
    }
    root
}

/// The parser always tells bytes for text in memory.
fn offset(marker: &Marker) -> usize {
    marker.byte_offset().unwrap_or_default()
}

#[cfg(test)]
mod tests;
