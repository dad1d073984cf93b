//! What a plan's parts say about each other: ids are unique, everything named exists, nothing waits
//! for itself.
//!
//! It refuses to recurse: a chain of ten thousand dependencies is walked with a stack of its own.

use std::collections::HashMap;

use super::field::{Field, Fields};
use crate::id::TaskId;
use crate::plan::complaint::{Critic, quoted};
use crate::plan::did_you_mean;
use crate::plan::excerpt::Span;
use crate::plan::raw::Value;
use crate::plan::scalar::ScalarMeaning;

/// How many ids of a cycle are printed from each end of it.
const SHOWN: usize = 10;

/// Ids by their text, and which of a list's items has each.
pub(super) struct Ids<'n> {
    kind: &'static str,
    places: HashMap<&'n str, usize>,
    order: Vec<&'n str>,
}

impl<'n> Ids<'n> {
    /// Collects the ids of tasks or gates, malformed ones too, and complains of those that are
    /// missing or taken.
    pub(super) fn collect(kind: &'static str, all: &[Fields<'n>], critic: &mut Critic<'_>) -> Self {
        let mut ids = Self {
            kind,
            places: HashMap::new(),
            order: Vec::new(),
        };
        let mut firsts: HashMap<&str, Span> = HashMap::new();
        for (index, fields) in all.iter().enumerate() {
            let Some(id) = fields.get("id") else {
                critic
                    .say(fields.at, format!("this {kind} has no `id`"))
                    .advise(format!("add one: `id: my-{kind}`"));
                continue;
            };
            let Some(text) = text(id) else { continue };
            if let Some(first) = firsts.get(text) {
                let first = critic.whereabouts(*first);
                let said = critic.say(
                    id.node.at,
                    format!("the id {} is taken by another {kind}", quoted(text)),
                );
                said.advise("choose another id")
                    .note(format!("the first one is at {first}"));
                continue;
            }
            firsts.insert(text, id.node.at);
            ids.places.insert(text, index);
            ids.order.push(text);
        }
        ids
    }

    /// The list's item that has the id named by `item`; complains where none has, or where `named`
    /// has it already.
    fn find(
        &self,
        item: Field<'n>,
        owner: &str,
        named: &mut Vec<usize>,
        critic: &mut Critic<'_>,
    ) -> Option<usize> {
        let text = text(item)?;
        // What cannot be an id was complained of when it was read.
        text.parse::<TaskId>().ok()?;
        let Some(&index) = self.places.get(text) else {
            let at = item.node.at;
            let guess = critic.guess(text, self.order.iter().copied());
            let (verb, kind) = if self.kind == "gate" {
                ("names the gate", "gate")
            } else {
                ("needs", "task")
            };
            let said = critic.say(
                at,
                format!("{owner} {verb} {}, which is not in this plan", quoted(text)),
            );
            said.advise(match guess {
                Some(id) => did_you_mean(&id),
                None => format!("add a {kind} with this id, or remove the name"),
            });
            return None;
        };
        if named.contains(&index) {
            critic
                .say(
                    item.node.at,
                    format!("{owner} names {} twice", quoted(text)),
                )
                .advise("remove one of the two");
            return None;
        }
        named.push(index);
        Some(index)
    }

    /// Checks a list of ids, and returns the items it names with their places.
    pub(super) fn check(&self, list: Field<'n>, owner: &str, critic: &mut Critic<'_>) -> Vec<Edge> {
        let Value::List(items) = &list.node.value else {
            return Vec::new();
        };
        let mut named = Vec::new();
        let fields = items.iter().map(|node| Field {
            key: list.key,
            key_at: node.at,
            node,
        });
        fields
            .filter_map(|item| {
                self.find(item, owner, &mut named, critic).map(|to| Edge {
                    to,
                    at: item.node.at,
                })
            })
            .collect()
    }
}

fn text(field: Field<'_>) -> Option<&str> {
    match &field.node.value {
        Value::Scalar(scalar) => {
            (scalar.meaning() == ScalarMeaning::Text).then_some(scalar.text.as_str())
        }
        Value::List(_) | Value::Map(_) | Value::Broken => None,
    }
}

/// A dependency: on which task, and where it says so.
pub(super) struct Edge {
    to: usize,
    at: Span,
}

/// Complains of every dependency that closes a cycle. `names[i]` waits for `edges[i]`.
pub(super) fn cycles(names: &[&str], edges: &[Vec<Edge>], critic: &mut Critic<'_>) {
    #[derive(Clone, Copy, PartialEq)]
    enum Visit {
        Never,
        /// On the path, so many steps from its start.
        On(usize),
        Done,
    }
    let mut seen = vec![Visit::Never; edges.len()];
    for start in 0..edges.len() {
        // Each step is a task and how many of its dependencies were walked.
        let mut path: Vec<(usize, usize)> = Vec::new();
        if seen[start] == Visit::Never {
            seen[start] = Visit::On(0);
            path.push((start, 0));
        }
        while let Some((task, walked)) = path.last_mut() {
            let Some(edge) = edges[*task].get(*walked) else {
                seen[*task] = Visit::Done;
                path.pop();
                continue;
            };
            *walked += 1;
            match seen[edge.to] {
                Visit::Done => {}
                Visit::On(first) => complain(&path[first..], names, edge, critic),
                Visit::Never => {
                    seen[edge.to] = Visit::On(path.len());
                    path.push((edge.to, 0));
                }
            }
        }
    }
}

fn complain(path: &[(usize, usize)], names: &[&str], edge: &Edge, critic: &mut Critic<'_>) {
    let name = |step: &(usize, usize)| names.get(step.0).copied().unwrap_or("?").to_owned();
    let mut steps: Vec<String> = if path.len() > 2 * SHOWN {
        let (head, tail) = (&path[..SHOWN], &path[path.len() - SHOWN..]);
        let between = format!("… {} more …", path.len() - 2 * SHOWN);
        head.iter()
            .map(name)
            .chain(std::iter::once(between))
            .chain(tail.iter().map(name))
            .collect()
    } else {
        path.iter().map(name).collect()
    };
    steps.extend(path.first().map(name));
    let what = format!("tasks wait for each other: {}", steps.join(" -> "));
    critic
        .say(edge.at, what)
        .advise("remove one of these dependencies");
}

#[cfg(test)]
mod tests;
