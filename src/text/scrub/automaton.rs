//! Many words looked for at once, in one pass over the text (Aho and Corasick).
//!
//! It refuses words that are empty; they would be everywhere.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ops::Range;

/// The words as a trie, with the way on from each place where no word goes on.
#[derive(Default)]
pub(super) struct Automaton {
    states: Vec<TrieState>,
    /// The ways on of all states, state by state.
    edges: Vec<(u8, usize)>,
    /// The states of the root and its children, which text without secrets hardly ever leaves: 256
    /// ways on for each.
    near: Vec<usize>,
}

/// One place in the trie: what was read of some word.
struct TrieState {
    edges: Range<usize>,
    /// The state of its longest proper ending which is a state, too; the root's is itself.
    fallback: usize,
    /// The length of the longest word that ends there; 0 = none does.
    ending: usize,
    /// How much was read.
    depth: usize,
}

/// How far a text was read.
#[derive(Clone, Copy, Default)]
pub(super) struct AutomatonReading {
    state: usize,
}

impl Automaton {
    pub(super) fn new(words: &BTreeSet<String>) -> Self {
        let mut known: HashMap<(usize, u8), usize> = HashMap::new();
        // For each state: its ways on, the length of the word that ends there, its depth.
        let mut trie: Vec<(Vec<(u8, usize)>, usize, usize)> = vec![(Vec::new(), 0, 0)];
        for word in words {
            let mut state = 0;
            for (depth, &byte) in word.as_bytes().iter().enumerate() {
                let fresh = trie.len();
                let next = *known.entry((state, byte)).or_insert(fresh);
                if next == fresh {
                    trie.push((Vec::new(), 0, depth + 1));
                    trie[state].0.push((byte, fresh));
                }
                state = next;
            }
            trie[state].1 = word.len();
        }
        // The nearest to the root come first, and have a row each below.
        let mut order: Vec<usize> = (0..trie.len()).collect();
        order.sort_by_key(|&state| trie[state].2);
        let mut place = vec![0; trie.len()];
        for (new, &old) in order.iter().enumerate() {
            place[old] = new;
        }
        let mut automaton = Self::default();
        for &old in &order {
            let (ways, ending, depth) = &trie[old];
            let first = automaton.edges.len();
            automaton
                .edges
                .extend(ways.iter().map(|&(byte, child)| (byte, place[child])));
            let edges = first..automaton.edges.len();
            automaton.states.push(TrieState {
                edges,
                fallback: 0,
                ending: *ending,
                depth: *depth,
            });
        }
        automaton.link();
        let near = automaton
            .states
            .iter()
            .take_while(|state| state.depth <= 1)
            .count();
        let row = |state: usize| (0..=u8::MAX).map(move |byte| (state, byte));
        automaton.near = (0..near)
            .flat_map(row)
            .map(|(state, byte)| automaton.step(state, byte))
            .collect();
        automaton
    }

    /// Shortest states first, so that a fallback is always finished before it is needed.
    fn link(&mut self) {
        let mut open = VecDeque::from([0]);
        while let Some(state) = open.pop_front() {
            for edge in self.states[state].edges.clone() {
                let (byte, child) = self.edges[edge];
                if state != 0 {
                    self.states[child].fallback = self.step(self.states[state].fallback, byte);
                }
                let inside = self.states[self.states[child].fallback].ending;
                self.states[child].ending = self.states[child].ending.max(inside);
                open.push_back(child);
            }
        }
    }

    fn step(&self, mut state: usize, byte: u8) -> usize {
        loop {
            if let Some(&next) = self.near.get(state * 256 + usize::from(byte)) {
                return next;
            }
            let here = &self.states[state];
            for &(way, next) in &self.edges[here.edges.start..here.edges.end] {
                if way == byte {
                    return next;
                }
            }
            if state == 0 {
                return 0;
            }
            state = here.fallback;
        }
    }

    /// Reads on. `text` begins at `at`. Adds where words are, as start and end; of those that end
    /// at the same place, the longest.
    pub(super) fn read(
        &self,
        reading: &mut AutomatonReading,
        text: &[u8],
        at: usize,
        found: &mut Vec<(usize, usize)>,
    ) {
        if self.edges.is_empty() {
            return;
        }
        let mut state = reading.state;
        for (index, &byte) in text.iter().enumerate() {
            state = match self.near.get(state * 256 + usize::from(byte)) {
                Some(&next) => next,
                None => self.step(state, byte),
            };
            if state != 0 && self.states[state].ending > 0 {
                let end = at + index + 1;
                found.push((end - self.states[state].ending, end));
            }
        }
        reading.state = state;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.edges.is_empty()
    }

    /// How many of the last bytes may be the beginning of a word.
    pub(super) fn open(&self, reading: &AutomatonReading) -> usize {
        self.states
            .get(reading.state)
            .map_or(0, |state| state.depth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(automaton: &Automaton, text: &[u8]) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        automaton.read(&mut AutomatonReading::default(), text, 0, &mut found);
        found
    }

    #[test]
    fn words_inside_of_words_are_found() {
        let words = ["he", "she", "hers", "his"].map(String::from).into();
        let automaton = Automaton::new(&words);
        assert_eq!(find(&automaton, b"ushers his"), [(1, 4), (2, 6), (7, 10)]);
        assert_eq!(find(&automaton, b"xyz"), []);
        assert_eq!(find(&Automaton::default(), b"ushers"), []);
    }

    #[test]
    fn a_word_is_found_over_a_cut_and_is_open_until_then() {
        let automaton = Automaton::new(&["hers"].map(String::from).into());
        let (mut reading, mut found) = (AutomatonReading::default(), Vec::new());
        automaton.read(&mut reading, b"ushe", 0, &mut found);
        assert_eq!((automaton.open(&reading), found.len()), (2, 0));
        automaton.read(&mut reading, b"rs", 4, &mut found);
        assert_eq!(found, [(2, 6)]);
    }
}
