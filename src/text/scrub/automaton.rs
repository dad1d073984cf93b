//! Many words looked for at once, in one pass over the text (Aho and Corasick).
//!
//! It refuses words that are empty; they would be everywhere.

use std::collections::{BTreeSet, HashMap, VecDeque};

/// The words as a trie, with the way on from each place where no word goes on.
#[derive(Default)]
pub(super) struct Automaton {
    edges: HashMap<(usize, u8), usize>,
    /// For each state, that of its longest proper ending which is a state, too; the root's is itself.
    fallback: Vec<usize>,
    /// For each state, the length of the longest word that ends there; 0 = none does.
    ending: Vec<usize>,
}

impl Automaton {
    pub(super) fn new(words: &BTreeSet<String>) -> Self {
        let mut automaton = Self { edges: HashMap::new(), fallback: vec![0], ending: vec![0] };
        let mut children = vec![Vec::new()];
        for word in words {
            let mut state = 0;
            for &byte in word.as_bytes() {
                let fresh = automaton.ending.len();
                let next = *automaton.edges.entry((state, byte)).or_insert(fresh);
                if next == fresh {
                    automaton.ending.push(0);
                    automaton.fallback.push(0);
                    children.push(Vec::new());
                    children[state].push((byte, fresh));
                }
                state = next;
            }
            automaton.ending[state] = word.len();
        }
        automaton.link(&children);
        automaton
    }

    /// Shortest states first, so that a fallback is always finished before it is needed.
    fn link(&mut self, children: &[Vec<(u8, usize)>]) {
        let mut open = VecDeque::from([0]);
        while let Some(state) = open.pop_front() {
            for &(byte, child) in &children[state] {
                if state != 0 {
                    self.fallback[child] = self.step(self.fallback[state], byte);
                }
                self.ending[child] = self.ending[child].max(self.ending[self.fallback[child]]);
                open.push_back(child);
            }
        }
    }

    fn step(&self, mut state: usize, byte: u8) -> usize {
        loop {
            match self.edges.get(&(state, byte)) {
                Some(&next) => return next,
                None if state == 0 => return 0,
                None => state = self.fallback[state],
            }
        }
    }

    /// Where words are, as start and end; of those that end at the same place, the longest.
    pub(super) fn find(&self, text: &[u8]) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        if self.edges.is_empty() {
            return found;
        }
        let mut state = 0;
        for (at, &byte) in text.iter().enumerate() {
            state = self.step(state, byte);
            if self.ending[state] > 0 {
                found.push((at + 1 - self.ending[state], at + 1));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_inside_of_words_are_found() {
        let words = ["he", "she", "hers", "his"].map(String::from).into();
        let automaton = Automaton::new(&words);
        assert_eq!(automaton.find(b"ushers his"), [(1, 4), (2, 6), (7, 10)]);
        assert_eq!(automaton.find(b"xyz"), []);
        assert_eq!(Automaton::default().find(b"ushers"), []);
    }
}
