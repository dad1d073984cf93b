//! Sets of tasks as rows of bits.

/// A square of bits, a row for each task; rows are made when something is in them.
pub(super) struct Bits {
    pub(super) words: usize,
    pub(super) rows: Vec<Vec<u64>>,
}

impl Bits {
    pub(super) fn new(tasks: usize) -> Self {
        Self {
            words: tasks.div_ceil(64),
            rows: vec![Vec::new(); tasks],
        }
    }

    pub(super) fn set(&mut self, row: usize, bit: usize) {
        let words = self.words;
        let row = &mut self.rows[row];
        row.resize(words, 0);
        row[bit / 64] |= 1 << (bit % 64);
    }

    pub(super) fn join(&mut self, row: usize, bits: &[u64]) {
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
    pub(super) fn take_common(&mut self, row: usize, bits: &[u64]) -> Vec<usize> {
        let mut taken = Vec::new();
        for (at, (mine, theirs)) in self.rows[row].iter_mut().zip(bits).enumerate() {
            taken.extend(ones(at, *mine & theirs));
            *mine &= !theirs;
        }
        taken
    }

    pub(super) fn ones(&self, row: usize) -> impl Iterator<Item = usize> {
        self.rows[row]
            .iter()
            .enumerate()
            .flat_map(|(at, &word)| ones(at, word))
    }
}

/// The bits of the word number `at`, counted from the first word.
pub(super) fn ones(at: usize, mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros() as usize)?;
        word &= word - 1;
        Some(at * 64 + bit)
    })
}

pub(super) fn clear(bits: &mut Bits, row: usize, bit: usize) {
    if let Some(word) = bits.rows[row].get_mut(bit / 64) {
        *word &= !(1 << (bit % 64));
    }
}
