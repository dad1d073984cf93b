//! Pairs of tasks that overlap, found through a trie over the literal prefixes of their globs.
//!
//! Two globs are compared only where one's prefix begins with the other's, and sets of tasks are
//! rows of bits, so ten thousand tasks that all write the same are quick. It refuses to compare for
//! ever: after [`MAX_WORK`] it says "at least".

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::glob::Glob;
use crate::graph::Graph;
use crate::id::TaskId;
use crate::plan::{Task, WriteSet};

/// Pairs that are listed; the rest is counted.
const MAX_LISTED: usize = 100;

/// Comparisons of globs, and rows of bits joined, before counting stops: about a quarter of a
/// second.
const MAX_WORK: u64 = 1_000_000;

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

/// A square of bits, a row for each task; rows are made when something is in them.
struct Bits {
    words: usize,
    rows: Vec<Vec<u64>>,
}

impl Bits {
    fn new(tasks: usize) -> Self {
        Self {
            words: tasks.div_ceil(64),
            rows: vec![Vec::new(); tasks],
        }
    }

    fn set(&mut self, row: usize, bit: usize) {
        let words = self.words;
        let row = &mut self.rows[row];
        row.resize(words, 0);
        row[bit / 64] |= 1 << (bit % 64);
    }

    fn join(&mut self, row: usize, bits: &[u64]) {
        if bits.is_empty() {
            return;
        }
        let words = self.words;
        let row = &mut self.rows[row];
        row.resize(words, 0);
        row.iter_mut()
            .zip(bits)
            .for_each(|(mine, theirs)| *mine |= theirs);
    }

    /// Clears the bits of `row` that are in `bits`, and tells which they were.
    fn take_common(&mut self, row: usize, bits: &[u64]) -> Vec<usize> {
        let mut taken = Vec::new();
        for (at, (mine, theirs)) in self.rows[row].iter_mut().zip(bits).enumerate() {
            taken.extend(ones(at, *mine & theirs));
            *mine &= !theirs;
        }
        taken
    }

    fn ones(&self, row: usize) -> impl Iterator<Item = usize> {
        self.rows[row]
            .iter()
            .enumerate()
            .flat_map(|(at, &word)| ones(at, word))
    }
}

/// The bits of the word number `at`, counted from the first word.
fn ones(at: usize, mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros() as usize)?;
        word &= word - 1;
        Some(at * 64 + bit)
    })
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

fn clear(bits: &mut Bits, row: usize, bit: usize) {
    if let Some(word) = bits.rows[row].get_mut(bit / 64) {
        *word &= !(1 << (bit % 64));
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

/// What comparing two globs may cost, in usual comparisons: hostile ones count as thousands.
fn cost(one: &Glob, other: &Glob) -> u64 {
    const STEPS_OF_A_USUAL_ONE: usize = 64;
    1 + (one.size().saturating_mul(other.size()).min(1 << 18) / STEPS_OF_A_USUAL_ONE) as u64
}

/// A place in the trie: the globs whose literal prefix ends here.
#[derive(Default)]
struct PrefixNode {
    children: BTreeMap<String, usize>,
    holders: Vec<usize>,
}

struct OverlapSearch<'p> {
    holders: Vec<Holders<'p>>,
    conflicts: Bits,
    work: u64,
}

impl OverlapSearch<'_> {
    /// Walks down the trie and compares each glob with those above it and beside it; others cannot
    /// meet it.
    fn run(mut self) -> (Bits, bool) {
        let nodes = self.trie();
        let mut above: Vec<usize> = Vec::new();
        // Where the walk goes on, and how many globs are above that place.
        let mut open = vec![(0, 0)];
        while let Some((node, depth)) = open.pop() {
            above.truncate(depth);
            for &mine in &nodes[node].holders {
                self.mark(mine, mine);
                for &theirs in &above {
                    if self.work > MAX_WORK {
                        return (self.conflicts, false);
                    }
                    self.compare(mine, theirs);
                }
                above.push(mine);
            }
            open.extend(
                nodes[node]
                    .children
                    .values()
                    .map(|&child| (child, above.len())),
            );
        }
        (self.conflicts, self.work <= MAX_WORK)
    }

    fn trie(&self) -> Vec<PrefixNode> {
        let mut nodes = vec![PrefixNode::default()];
        for (holder, holders) in self.holders.iter().enumerate() {
            for prefix in holders.glob.literal_prefixes() {
                let mut at = 0;
                for component in prefix {
                    let fresh = nodes.len();
                    at = match nodes[at].children.get(component) {
                        Some(&child) => child,
                        None => {
                            nodes[at].children.insert(component.into(), fresh);
                            nodes.push(PrefixNode::default());
                            fresh
                        }
                    };
                }
                if nodes[at].holders.last() != Some(&holder) {
                    nodes[at].holders.push(holder);
                }
            }
        }
        nodes
    }

    fn compare(&mut self, mine: usize, theirs: usize) {
        let (one, other) = (&self.holders[mine], &self.holders[theirs]);
        self.work += cost(one.glob, other.glob);
        // Two readers never mind each other.
        if (one.writers.is_empty() && other.writers.is_empty()) || mine == theirs {
            return;
        }
        if one.glob.intersects(other.glob) {
            self.mark(mine, theirs);
        }
    }

    /// Every task that writes one of the globs conflicts with every task that has the other.
    fn mark(&mut self, one: usize, other: usize) {
        let (one, other) = (&self.holders[one], &self.holders[other]);
        for (writers, others) in [
            (&one.writers, &other.writers),
            (&one.writers, &other.readers),
            (&other.writers, &one.readers),
        ] {
            self.work += join_all(&mut self.conflicts, writers, others);
        }
    }
}

/// Marks all pairs of the two lists, on both sides; bit by bit where that is less than row by row.
/// Gives the work done.
fn join_all(conflicts: &mut Bits, some: &[usize], others: &[usize]) -> u64 {
    if some.is_empty() || others.is_empty() {
        return 0;
    }
    if some.len().min(others.len()) <= 2 {
        for &one in some {
            for &other in others {
                conflicts.set(one, other);
                conflicts.set(other, one);
            }
        }
        return (some.len().max(others.len()) / 8) as u64;
    }
    for (rows, bits) in [(some, others), (others, some)] {
        let mut joined = vec![0_u64; conflicts.words];
        bits.iter()
            .for_each(|&bit| joined[bit / 64] |= 1 << (bit % 64));
        rows.iter().for_each(|&row| conflicts.join(row, &joined));
    }
    // A row of ten thousand bits costs about as much as comparing two globs.
    (some.len() + others.len()) as u64
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
