//! The search itself: a trie over the prefixes of globs, and the pairs found below it.

use std::collections::BTreeMap;

use super::Holders;
use super::bits::Bits;
use crate::glob::Glob;

/// Comparisons of globs, and rows of bits joined, before counting stops: about a quarter of a
/// second.
const MAX_WORK: u64 = 1_000_000;

/// What comparing two globs may cost, in usual comparisons: hostile ones count as thousands.
pub(super) fn cost(one: &Glob, other: &Glob) -> u64 {
    const STEPS_OF_A_USUAL_ONE: usize = 64;
    1 + (one.size().saturating_mul(other.size()).min(1 << 18) / STEPS_OF_A_USUAL_ONE) as u64
}

/// A place in the trie: the globs whose literal prefix ends here.
#[derive(Default)]
struct PrefixNode {
    children: BTreeMap<String, usize>,
    pub(super) holders: Vec<usize>,
}

pub(super) struct OverlapSearch<'p> {
    pub(super) holders: Vec<Holders<'p>>,
    pub(super) conflicts: Bits,
    pub(super) work: u64,
}

impl OverlapSearch<'_> {
    /// Walks down the trie and compares each glob with those above it and beside it; others cannot
    /// meet it.
    pub(super) fn run(mut self) -> (Bits, bool) {
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
