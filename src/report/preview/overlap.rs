//! Pairs of tasks that overlap, found through a trie over the literal prefixes of their globs.
//!
//! Two globs are compared only where one's prefix begins with the other's, and sets of tasks are
//! rows of bits, so ten thousand tasks that all write the same are quick. It refuses to compare for
//! ever: after [`MAX_WORK`] it says "at least".

mod bits;
mod search;

use std::collections::HashMap;

use serde::Serialize;

use crate::glob::Glob;
use crate::graph::Graph;
use crate::id::TaskId;
use crate::plan::{Task, WriteSet};
use bits::{Bits, clear};
use search::{OverlapSearch, cost};

/// Pairs that are listed; the rest is counted.
const MAX_LISTED: usize = 100;

/// Comparisons to find the globs that a listed pair shares, for all listed pairs together.
const MAX_EXPLAINING: u64 = 100_000;

/// Tasks that never run at the same time because of their paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Overlaps {
    /// How many pairs there are.
    pub total: usize,
    /// Whether `total` is exact; else there are at least so many.
    pub exact: bool,
    /// The first of them, in the order of the schedule, at most 100.
    pub listed: Vec<Overlap>,
}

/// Two tasks that never run at the same time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Overlap {
    /// The one that goes first in the schedule.
    pub first: TaskId,
    /// The other one.
    pub second: TaskId,
    /// Whether both write there.
    pub kind: OverlapKind,
    /// The glob of the first that meets one of the second; empty where looking for it would have
    /// taken too long.
    pub first_glob: String,
    /// The glob of the second.
    pub second_glob: String,
}

/// What two overlapping tasks do to the same paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OverlapKind {
    /// Both write.
    BothWrite,
    /// The first writes what the second reads.
    FirstWrites,
    /// The second writes what the first reads.
    SecondWrites,
}

/// A glob and the tasks that have it in a set.
struct Holders<'p> {
    glob: &'p Glob,
    writers: Vec<usize>,
    readers: Vec<usize>,
}

/// The overlaps of `tasks`; `order` is the schedule.
pub(super) fn find(tasks: &[Task], graph: &Graph, order: &[usize]) -> Overlaps {
    let ancestors = ancestors(graph, order);
    let (mut conflicts, exact) = conflicts(tasks);
    for task in 0..tasks.len() {
        // An ancestor is found from its descendant, so each related pair is taken out once, on both
        // sides.
        for other in conflicts.take_common(task, &ancestors.rows[task]) {
            clear(&mut conflicts, other, task);
        }
        clear(&mut conflicts, task, task);
    }
    let both_sides: usize = conflicts
        .rows
        .iter()
        .flatten()
        .map(|word| word.count_ones() as usize)
        .sum();
    Overlaps {
        total: both_sides / 2,
        exact,
        listed: list(tasks, &conflicts, order),
    }
}

/// For each task, all that it needs, directly or not.
fn ancestors(graph: &Graph, order: &[usize]) -> Bits {
    let mut ancestors = Bits::new(order.len());
    for &task in order {
        for &needed in graph.dependencies(task) {
            let row = std::mem::take(&mut ancestors.rows[needed]);
            ancestors.join(task, &row);
            ancestors.rows[needed] = row;
            ancestors.set(task, needed);
        }
    }
    ancestors
}

fn sets(task: &Task) -> (&[Glob], &[Glob]) {
    match &task.write_set {
        WriteSet::Unknown => (&[], &task.read_set),
        WriteSet::Declared(globs) => (globs, &task.read_set),
    }
}

/// For each task, those it overlaps with, itself perhaps included; and whether that is all.
fn conflicts(tasks: &[Task]) -> (Bits, bool) {
    let mut by_text: HashMap<&str, usize> = HashMap::new();
    let mut holders: Vec<Holders<'_>> = Vec::new();
    let mut hold = |glob| {
        let at = *by_text.entry(Glob::as_str(glob)).or_insert(holders.len());
        if at == holders.len() {
            holders.push(Holders {
                glob,
                writers: Vec::new(),
                readers: Vec::new(),
            });
        }
        at
    };
    let mut held = Vec::new();
    for (task, (writes, reads)) in tasks.iter().map(sets).enumerate() {
        held.extend(writes.iter().map(|glob| (hold(glob), task, true)));
        held.extend(reads.iter().map(|glob| (hold(glob), task, false)));
    }
    for (at, task, writes) in held {
        let list = if writes {
            &mut holders[at].writers
        } else {
            &mut holders[at].readers
        };
        if list.last() != Some(&task) {
            list.push(task);
        }
    }
    OverlapSearch {
        holders,
        conflicts: Bits::new(tasks.len()),
        work: 0,
    }
    .run()
}

fn list(tasks: &[Task], conflicts: &Bits, order: &[usize]) -> Vec<Overlap> {
    let mut place = vec![0; tasks.len()];
    order
        .iter()
        .enumerate()
        .for_each(|(at, &task)| place[task] = at);
    let mut listed = Vec::new();
    let mut budget = MAX_EXPLAINING;
    for &first in order {
        let mut later: Vec<usize> = conflicts
            .ones(first)
            .filter(|&other| place[other] > place[first])
            .collect();
        later.sort_unstable_by_key(|&other| place[other]);
        for second in later {
            if listed.len() == MAX_LISTED {
                return listed;
            }
            listed.push(explain(&tasks[first], &tasks[second], &mut budget));
        }
    }
    listed
}

/// The first two globs that meet, those of writers before those of readers.
fn explain(first: &Task, second: &Task, budget: &mut u64) -> Overlap {
    let ((first_writes, first_reads), (second_writes, second_reads)) = (sets(first), sets(second));
    let overlap = |kind, first_glob: &str, second_glob: &str| Overlap {
        first: first.id.clone(),
        second: second.id.clone(),
        kind,
        first_glob: first_glob.into(),
        second_glob: second_glob.into(),
    };
    for (kind, mine, theirs) in [
        (OverlapKind::BothWrite, first_writes, second_writes),
        (OverlapKind::FirstWrites, first_writes, second_reads),
        (OverlapKind::SecondWrites, first_reads, second_writes),
    ] {
        for (one, other) in mine
            .iter()
            .flat_map(|one| theirs.iter().map(move |other| (one, other)))
        {
            let Some(left) = budget.checked_sub(cost(one, other)) else {
                return overlap(kind, "", "");
            };
            *budget = left;
            if one.intersects(other) {
                return overlap(kind, one.as_str(), other.as_str());
            }
        }
    }
    overlap(OverlapKind::BothWrite, "", "")
}
