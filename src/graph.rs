//! Directed graphs over dense indexes: order, cycles, ancestors, the critical path.
//!
//! An edge leads from a dependency to its dependent. It refuses to recurse: a chain may be as long
//! as the plan, and the plan is written by strangers.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// `n` nodes, `0` to `n - 1`, and who depends on whom.
#[derive(Debug, Clone)]
pub struct Graph {
    dependencies: Adjacency,
    dependents: Adjacency,
}

/// For each node a row of others, in one allocation.
#[derive(Debug, Clone)]
struct Adjacency {
    /// Row `n` is `targets[starts[n]..starts[n + 1]]`.
    starts: Vec<usize>,
    targets: Vec<usize>,
}

/// Nodes that depend on each other in a circle: each needs the next one, and the last needs the
/// first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("order the graph: {} of its nodes need each other in a circle", .path.len())]
pub struct Cycle {
    /// The nodes, each once, beginning with the smallest.
    pub path: Vec<usize>,
}

impl Adjacency {
    fn new(nodes: usize, edges: impl Iterator<Item = (usize, usize)> + Clone) -> Self {
        let mut starts = vec![0; nodes + 1];
        for (from, _) in edges.clone() {
            starts[from + 1] += 1;
        }
        for node in 0..nodes {
            starts[node + 1] += starts[node];
        }
        let mut filled = starts.clone();
        let mut targets = vec![0; starts[nodes]];
        for (from, to) in edges {
            targets[filled[from]] = to;
            filled[from] += 1;
        }
        Self { starts, targets }
    }

    fn row(&self, node: usize) -> &[usize] {
        &self.targets[self.starts[node]..self.starts[node + 1]]
    }
}

impl Graph {
    /// A graph of `nodes` nodes; an edge `(a, b)` says that `b` depends on `a`. Doubled edges count
    /// once in every answer but [`Graph::dependencies`] and [`Graph::dependents`], which repeat
    /// them.
    ///
    /// # Panics
    ///
    /// Where an edge names a node that does not exist.
    #[must_use]
    pub fn new(nodes: usize, edges: &[(usize, usize)]) -> Self {
        Self {
            dependencies: Adjacency::new(nodes, edges.iter().map(|&(from, to)| (to, from))),
            dependents: Adjacency::new(nodes, edges.iter().copied()),
        }
    }

    /// How many nodes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.dependents.starts.len() - 1
    }

    /// Whether there is no node.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What `node` needs directly, in the order of the edges.
    #[must_use]
    pub fn dependencies(&self, node: usize) -> &[usize] {
        self.dependencies.row(node)
    }

    /// What needs `node` directly, in the order of the edges.
    #[must_use]
    pub fn dependents(&self, node: usize) -> &[usize] {
        self.dependents.row(node)
    }

    /// All nodes, each after everything it needs; where there is a choice, the smallest index
    /// first.
    ///
    /// # Errors
    ///
    /// A [`Cycle`], where there is one.
    pub fn order(&self) -> Result<Vec<usize>, Cycle> {
        self.order_by(|node| node)
    }

    /// All nodes, each after everything it needs; where there is a choice, the one with the
    /// smallest key first.
    ///
    /// # Errors
    ///
    /// A [`Cycle`], where there is one.
    pub fn order_by<K: Ord>(&self, key: impl Fn(usize) -> K) -> Result<Vec<usize>, Cycle> {
        let mut missing: Vec<usize> = (0..self.len())
            .map(|node| self.dependencies(node).len())
            .collect();
        let mut ready: BinaryHeap<Reverse<(K, usize)>> = (0..self.len())
            .filter(|&node| missing[node] == 0)
            .map(|node| Reverse((key(node), node)))
            .collect();
        let mut order = Vec::with_capacity(self.len());
        while let Some(Reverse((_, node))) = ready.pop() {
            order.push(node);
            for &dependent in self.dependents(node) {
                missing[dependent] -= 1;
                if missing[dependent] == 0 {
                    ready.push(Reverse((key(dependent), dependent)));
                }
            }
        }
        if order.len() == self.len() {
            Ok(order)
        } else {
            Err(self.cycle_among(&missing))
        }
    }

    /// A cycle among the nodes that still miss a dependency. Each of these needs another one of
    /// them, so going from one to what it misses must come back.
    fn cycle_among(&self, missing: &[usize]) -> Cycle {
        let mut seen_at = vec![usize::MAX; self.len()];
        let mut path = Vec::new();
        let mut next = (0..self.len()).find(|&node| missing[node] > 0);
        while let Some(node) = next {
            if seen_at[node] != usize::MAX {
                path.drain(..seen_at[node]);
                break;
            }
            seen_at[node] = path.len();
            path.push(node);
            next = self
                .dependencies(node)
                .iter()
                .copied()
                .find(|&needed| missing[needed] > 0);
        }
        let smallest = path
            .iter()
            .enumerate()
            .min_by_key(|&(_, node)| node)
            .map_or(0, |(at, _)| at);
        path.rotate_left(smallest);
        Cycle { path }
    }

    /// The nodes in waves: the first needs nothing, each other one something of the wave before it,
    /// and nothing of its own or a later one. Ascending inside a wave.
    ///
    /// # Errors
    ///
    /// A [`Cycle`], where there is one.
    pub fn waves(&self) -> Result<Vec<Vec<usize>>, Cycle> {
        let mut wave_of = vec![0; self.len()];
        for node in self.order()? {
            let latest = self
                .dependencies(node)
                .iter()
                .map(|&needed| wave_of[needed] + 1)
                .max();
            wave_of[node] = latest.unwrap_or(0);
        }
        let mut waves = vec![Vec::new(); wave_of.iter().max().map_or(0, |last| last + 1)];
        for (node, wave) in wave_of.into_iter().enumerate() {
            waves[wave].push(node);
        }
        Ok(waves)
    }

    /// For each node, how many nodes the longest chain of its dependents has; 0 where nothing needs
    /// it.
    ///
    /// # Errors
    ///
    /// A [`Cycle`], where there is one.
    pub fn longest_chains(&self) -> Result<Vec<usize>, Cycle> {
        let mut chains = vec![0; self.len()];
        for node in self.order()?.into_iter().rev() {
            chains[node] = self
                .dependents(node)
                .iter()
                .map(|&dependent| chains[dependent] + 1)
                .max()
                .unwrap_or(0);
        }
        Ok(chains)
    }

    /// The longest chain from a node that needs nothing to one that nothing needs; where there are
    /// several, the one with the smallest indexes. Empty where there is no node.
    ///
    /// # Errors
    ///
    /// A [`Cycle`], where there is one.
    pub fn critical_path(&self) -> Result<Vec<usize>, Cycle> {
        let chains = self.longest_chains()?;
        let longest_first = |&node: &usize| (Reverse(chains[node]), node);
        let mut path = Vec::new();
        let mut next = (0..self.len()).min_by_key(longest_first);
        while let Some(node) = next {
            path.push(node);
            next = self
                .dependents(node)
                .iter()
                .copied()
                .min_by_key(longest_first);
        }
        Ok(path)
    }

    /// Everything that `node` needs, directly or not, ascending and without itself (but on a
    /// cycle).
    #[must_use]
    pub fn ancestors(&self, node: usize) -> Vec<usize> {
        reach(&self.dependencies, node)
    }

    /// Everything that needs `node`, directly or not, ascending and without itself (but on a
    /// cycle).
    #[must_use]
    pub fn descendants(&self, node: usize) -> Vec<usize> {
        reach(&self.dependents, node)
    }
}

fn reach(rows: &Adjacency, from: usize) -> Vec<usize> {
    let mut seen = std::collections::HashSet::new();
    let mut open = rows.row(from).to_vec();
    while let Some(node) = open.pop() {
        if seen.insert(node) {
            open.extend(rows.row(node).iter().filter(|next| !seen.contains(next)));
        }
    }
    let mut found: Vec<usize> = seen.into_iter().collect();
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests;
