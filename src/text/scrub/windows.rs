//! Pieces of secrets, found in a text as [`fold`] shows it: twelve characters at a time, by their
//! hash.
//!
//! A piece counts by itself only if it looks like nothing but a piece of a secret; other pieces
//! count together, if they make up a value, or all of it but what an escape beside it takes. It
//! keeps no secret, only hashes. It refuses gaps in which a piece could hide for ever.

use std::collections::HashMap;

use super::fold::{self, Piece};

/// The characters that are compared: the contract's shortest piece.
pub(super) const WINDOW: usize = 12;

/// A piece that is spread wider than this between two of its characters is none. Indented base64
/// has a tenth of it.
const GAP: usize = 256;

/// So many characters of a value may be missing from its whole: an escape before it, or one that
/// its end begins, takes them for its own. The longest common ones are `\101` and `%41`.
const SWALLOWED: usize = 4;

/// Odd, and without a pattern (the golden ratio), so that neighbours in a text are none among the
/// hashes.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Bits of the sieve for each piece: one of 64 characters of other text is looked up in vain.
const BITS_PER_PIECE: usize = 64;

/// The pieces of all values, in all forms.
#[derive(Default)]
pub(super) struct Windows {
    /// How many pieces in a row must be found before they count.
    needed: HashMap<u64, usize>,
    sieve: Vec<u64>,
    shift: u32,
    /// What the character that leaves a window had in its hash.
    leaving: u64,
}

/// How far a text was read.
#[derive(Clone, Copy)]
pub(super) struct WindowsReading {
    hash: u64,
    /// The last characters, and where each begins.
    bytes: [u8; RING],
    starts: [usize; RING],
    /// How many characters there were without a gap.
    count: usize,
    end: usize,
    /// How many pieces were found in a row, and where the first of them begins that is not yet
    /// found for good.
    row: usize,
    row_start: usize,
}

/// A power of two above [`WINDOW`], so that a place in the ring is a mask away.
const RING: usize = 16;

impl Default for WindowsReading {
    fn default() -> Self {
        Self {
            hash: 0,
            bytes: [0; RING],
            starts: [0; RING],
            count: 0,
            end: 0,
            row: 0,
            row_start: 0,
        }
    }
}

impl Windows {
    /// The pieces of these texts. Of each: whether its pieces may count by themselves.
    pub(super) fn new<'a>(texts: impl IntoIterator<Item = (&'a str, bool)>) -> Self {
        let mut windows = Self {
            leaving: FACTOR.wrapping_pow(u32::try_from(WINDOW).unwrap_or(0)),
            ..Self::default()
        };
        for (text, alone) in texts {
            windows.add(text, alone);
        }
        // 2^14 bits are two kibibytes, which stay in the cache whatever comes.
        let bits = (windows.needed.len() * BITS_PER_PIECE)
            .next_power_of_two()
            .max(1 << 14);
        windows.shift = 64 - bits.trailing_zeros();
        windows.sieve = vec![0; bits / 64];
        for hash in windows.needed.keys() {
            let place = place(*hash, windows.shift);
            windows.sieve[place / 64] |= 1 << (place % 64);
        }
        windows
    }

    pub(super) fn is_empty(&self) -> bool {
        self.needed.is_empty()
    }

    fn add(&mut self, text: &str, alone: bool) {
        let mut folded: Vec<(u8, usize)> = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let start = at;
            at += each(fold::next(&text.as_bytes()[at..], true), &mut |byte| {
                folded.push((byte, start))
            });
        }
        let whole = (folded.len() + 1).saturating_sub(WINDOW);
        let most = whole - (whole / 2).min(SWALLOWED);
        for window in folded.windows(WINDOW) {
            let hash = window
                .iter()
                .fold(0, |hash, (byte, _)| self.enter(hash, *byte));
            let (start, end) = (window[0].1, window[WINDOW - 1].1);
            let tells = alone && text.get(start..=end).is_some_and(tells);
            let needed = if tells { 1 } else { most };
            self.needed
                .entry(hash)
                .and_modify(|known| *known = needed.min(*known))
                .or_insert(needed);
        }
    }

    #[inline]
    fn enter(&self, hash: u64, byte: u8) -> u64 {
        // One more than the byte, so that a zero counts.
        hash.wrapping_mul(FACTOR).wrapping_add(u64::from(byte) + 1)
    }

    /// Reads on as far as is certain, and returns up to where. `text` begins at `at`; `last` =
    /// nothing follows it. Adds where pieces are, as start and end.
    pub(super) fn read(
        &self,
        reading: &mut WindowsReading,
        text: &[u8],
        at: usize,
        last: bool,
        found: &mut Vec<(usize, usize)>,
    ) -> usize {
        let mut index = 0;
        while index < text.len() {
            let start = at + index;
            let plain = fold::PLAIN[usize::from(text[index])];
            if plain <= fold::NOTHING {
                if let Ok(byte) = u8::try_from(plain) {
                    self.take(reading, byte, start, start + 1, found);
                }
                index += 1;
                continue;
            }
            let piece = fold::next(&text[index..], last);
            let length = match piece {
                Piece::Nothing(length) => length,
                Piece::Byte(byte, length) => {
                    self.take(reading, byte, start, start + length, found);
                    length
                }
                Piece::Char(_, length) => each(piece, &mut |byte| {
                    self.take(reading, byte, start, start + length, found);
                }),
                Piece::Unsure => break,
            };
            index += length;
        }
        at + index
    }

    #[inline]
    fn take(
        &self,
        reading: &mut WindowsReading,
        byte: u8,
        start: usize,
        end: usize,
        found: &mut Vec<(usize, usize)>,
    ) {
        if start > reading.end + GAP {
            (reading.count, reading.hash, reading.row) = (0, 0, 0);
        }
        reading.end = end;
        let slot = reading.count % RING;
        reading.bytes[slot] = byte;
        reading.starts[slot] = start;
        reading.hash = self.enter(reading.hash, byte);
        reading.count += 1;
        if reading.count < WINDOW {
            return;
        }
        if reading.count > WINDOW {
            let left = reading.bytes[(reading.count - 1 - WINDOW) % RING];
            reading.hash = reading
                .hash
                .wrapping_sub(self.leaving.wrapping_mul(u64::from(left) + 1));
        }
        let place = place(reading.hash, self.shift);
        if self.sieve[place / 64] & (1 << (place % 64)) == 0 {
            reading.row = 0;
            return;
        }
        let Some(&needed) = self.needed.get(&reading.hash) else {
            reading.row = 0;
            return;
        };
        let first = reading.starts[(reading.count - WINDOW) % RING];
        reading.row += 1;
        if reading.row == 1 {
            reading.row_start = first;
        }
        if reading.row >= needed {
            found.push((reading.row_start, end));
            // What follows overlaps with this, so no more need be held back.
            reading.row_start = first;
        }
    }
}

impl WindowsReading {
    /// From where on a piece may have begun that is not found yet.
    pub(super) fn open(&self, read_to: usize) -> usize {
        if read_to > self.end + GAP {
            return read_to;
        }
        if self.row > 0 {
            return self.row_start;
        }
        let open = self.count.min(WINDOW - 1);
        if open == 0 {
            read_to
        } else {
            self.starts[(self.count - open) % RING]
        }
    }
}

#[inline]
fn place(hash: u64, shift: u32) -> usize {
    // At most 58 bits are shifted out of 64, so that it fits everywhere.
    usize::try_from(hash.wrapping_mul(FACTOR) >> shift).unwrap_or(0)
}

/// Hands over each byte that a piece stands for, and returns its length.
fn each(piece: Piece, to: &mut dyn FnMut(u8)) -> usize {
    match piece {
        Piece::Nothing(length) => length,
        Piece::Byte(byte, length) => {
            to(byte);
            length
        }
        Piece::Char(c, length) => {
            c.encode_utf8(&mut [0; 4]).bytes().for_each(to);
            length
        }
        // It is asked for only where something follows.
        Piece::Unsure => 1,
    }
}

/// Whether these characters are a piece of a secret and not of a word, a path or an address.
fn tells(piece: &str) -> bool {
    let count = |wanted: fn(&u8) -> bool| piece.bytes().filter(wanted).count();
    let (digits, capitals) = (count(u8::is_ascii_digit), count(u8::is_ascii_uppercase));
    let small = count(u8::is_ascii_lowercase);
    let plain = piece
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_+=".contains(&byte));
    // Words have few digits, and few capitals; names like `x509` and `JavaScript` stay.
    plain && ((digits >= 2 && capitals + small >= 2) || (capitals >= 3 && small >= 3))
}
