//! The tree as it grows, event by event.

use std::collections::HashMap;
use std::rc::Rc;

use serde_yaml::granit_parser as yaml;
use serde_yaml::granit_parser::{Event, ScalarStyle, StructureStyle};

use super::{MAX_BYTES, MAX_DEPTH, MapEntry, Value, YamlNode};
use crate::plan::complaint::{Critic, quoted};
use crate::plan::excerpt::Span;
use crate::plan::scalar::Scalar;
use crate::text::beginning;

/// What all aliases together may stand for, in bytes of text with [`NODE_COST`] for each node: four
/// times the largest file, so that sharing is free in practice and a bomb is not.
const ALIAS_BUDGET: usize = 4 * MAX_BYTES;

/// A list or map whose end is still to come.
pub(super) struct OpenNode {
    pub(super) at: Span,
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

pub(super) struct Tree<'c, 't> {
    pub(super) critic: &'c mut Critic<'t>,
    pub(super) open: Vec<OpenNode>,
    pub(super) anchors: HashMap<usize, Rc<YamlNode>>,
    pub(super) aliased: usize,
    pub(super) root: Option<Rc<YamlNode>>,
}

impl Tree<'_, '_> {
    /// Takes one event; `None` stops the reading.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the parser may learn of further events; they are no nodes"
    )]
    pub(super) fn take(&mut self, event: Event<'_>, at: Span) -> Option<()> {
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
