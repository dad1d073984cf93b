//! A plan's text as a tree in which every node knows its place.
//!
//! It refuses what no plan needs, before it costs anything: files over a mebibyte, other encodings
//! than UTF-8, several documents, deep nesting, tags, merge keys, and aliases that make much out of
//! little. It builds without recursion.

use std::collections::HashMap;
use std::rc::Rc;

use serde_yaml::granit_parser::{self as yaml, Event, Marker, ScalarStyle, StructureStyle};

use super::complaint::{Critic, quoted};
use super::excerpt::Span;
use super::scalar::Scalar;
use super::syntax;
use crate::text::beginning;

/// The largest file that is read as a plan: 1 MiB, from the contract.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// How deep lists and maps may nest. A plan needs five levels; metadata may have a few of its own.
const MAX_DEPTH: usize = 64;

/// What all aliases together may stand for, in bytes of text with [`NODE_COST`] for each node: four
/// times the largest file, so that sharing is free in practice and a bomb is not.
const ALIAS_BUDGET: usize = 4 * MAX_BYTES;

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

/// A list or map whose end is still to come.
struct OpenNode {
    at: Span,
    style: StructureStyle,
    anchor: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Rc<YamlNode>>),
    Map {
        entries: Vec<MapEntry>,
        places: HashMap<String, Span>,
        key: Option<PendingKey>,
    },
}

/// The key whose value comes next.
enum PendingKey {
    Text(String, Span),
    /// It was complained of; its value is read and dropped.
    Broken,
}

struct Tree<'c, 't> {
    critic: &'c mut Critic<'t>,
    open: Vec<OpenNode>,
    anchors: HashMap<usize, Rc<YamlNode>>,
    aliased: usize,
    root: Option<Rc<YamlNode>>,
}

impl Tree<'_, '_> {
    /// Takes one event; `None` stops the reading.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the parser may learn of further events; they are no nodes"
    )]
    fn take(&mut self, event: Event<'_>, at: Span) -> Option<()> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), at);
                let plain = style == ScalarStyle::Plain;
                let written = plain && at.start == at.end;
                let text = if written {
                    String::new()
                } else {
                    text.into_owned()
                };
                self.close(
                    YamlNode::new(at, Value::Scalar(Scalar { text, plain })),
                    anchor,
                );
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), at);
                self.open.push(OpenNode {
                    at,
                    style,
                    anchor,
                    kind: OpenKind::List(Vec::new()),
                });
            }
            Event::MappingStart(style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), at);
                let kind = OpenKind::Map {
                    entries: Vec::new(),
                    places: HashMap::new(),
                    key: None,
                };
                self.open.push(OpenNode {
                    at,
                    style,
                    anchor,
                    kind,
                });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let open = self.open.pop()?;
                let (at, anchor) = (whole(&open, at), open.anchor);
                let value = match open.kind {
                    OpenKind::List(items) => Value::List(items),
                    OpenKind::Map { entries, .. } => Value::Map(entries),
                };
                self.close(YamlNode::new(at, value), anchor);
            }
            Event::Alias(anchor) => {
                let node = self.resolve(anchor, at)?;
                self.attach(node, at);
            }
            Event::UnresolvedAlias(name) => {
                let what = format!(
                    "nothing before this has the anchor `&{name}`",
                    name = beginning(&name, 40)
                );
                self.critic
                    .say(at, what)
                    .advise("put text that begins with `*` in quotes");
                self.attach(Rc::new(YamlNode::new(at, Value::Broken)), at);
            }
            _ => {}
        }
        Some(())
    }

    fn refuse_tag(&mut self, tag: Option<&yaml::Tag>, at: Span) {
        if tag.is_some() {
            let hint = "remove the word with `!`; quote what is meant as text";
            self.critic.say(at, "a plan has no YAML tags").advise(hint);
        }
    }

    /// What an alias stands for; `None` where it would be too much.
    fn resolve(&mut self, anchor: usize, at: Span) -> Option<Rc<YamlNode>> {
        let Some(node) = self.anchors.get(&anchor) else {
            self.critic
                .say(at, "this alias stands inside the very thing it names")
                .advise("write the value out");
            return Some(Rc::new(YamlNode::new(at, Value::Broken)));
        };
        self.aliased = self.aliased.saturating_add(node.cost);
        if self.aliased > ALIAS_BUDGET {
            let what = "the aliases up to this one stand for more than 4 MiB";
            self.critic
                .say(at, what)
                .advise("use fewer aliases, or aliases for less");
            return None;
        }
        if self.open.len() + node.depth > MAX_DEPTH {
            self.critic
                .say(
                    at,
                    "through this alias, lists and maps are nested too deeply",
                )
                .advise("write the value out");
            return None;
        }
        Some(Rc::clone(node))
    }

    fn close(&mut self, node: YamlNode, anchor: usize) {
        let (at, node) = (node.at, Rc::new(node));
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.attach(node, at);
    }

    /// Puts a finished node where it belongs.
    fn attach(&mut self, node: Rc<YamlNode>, at: Span) {
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.root = Some(node),
            Some(OpenKind::List(items)) => items.push(node),
            Some(OpenKind::Map {
                entries,
                places,
                key,
            }) => match key.take() {
                None => *key = Some(read_key(self.critic, places, &node, at)),
                Some(PendingKey::Text(text, key_at)) => entries.push(MapEntry {
                    key: text,
                    key_at,
                    node,
                }),
                Some(PendingKey::Broken) => {}
            },
        }
    }
}

/// Where a list or map stands, now that its end is known.
fn whole(open: &OpenNode, end: Span) -> Span {
    let first = match &open.kind {
        OpenKind::List(items) => items.first().map(|item| item.at),
        OpenKind::Map { entries, .. } => entries.first().map(|entry| entry.key_at),
    };
    match (open.style, first) {
        (StructureStyle::Block, Some(first)) => Span {
            start: open.at.start.min(first.start),
            ..first
        },
        (StructureStyle::Block, None) => open.at,
        (StructureStyle::Flow, _) => Span {
            start: open.at.start,
            end: end.end,
        },
    }
}

fn read_key(
    critic: &mut Critic<'_>,
    places: &mut HashMap<String, Span>,
    node: &YamlNode,
    at: Span,
) -> PendingKey {
    let Value::Scalar(Scalar { text, plain }) = &node.value else {
        if !matches!(node.value, Value::Broken) {
            critic
                .say(at, "a key must be text, not a list or a map")
                .advise("put text with brackets in quotes");
        }
        return PendingKey::Broken;
    };
    if *plain && text == "<<" {
        let what = "merge keys `<<` are not read";
        critic
            .say(at, what)
            .advise("write the keys out, or put them under `defaults`");
        return PendingKey::Broken;
    }
    if let Some(first) = places.get(text) {
        let first = critic.whereabouts(*first);
        let said = critic.say(
            at,
            format!("the key {} stands here a second time", quoted(text)),
        );
        said.advise("keep one of the two")
            .note(format!("the first one is at {first}"));
        return PendingKey::Broken;
    }
    places.insert(text.clone(), at);
    PendingKey::Text(text.clone(), at)
}

#[cfg(test)]
mod tests;
