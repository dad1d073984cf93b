//! Secrets taken out of a stream of bytes, wherever it is cut.
//!
//! It holds back only what may be the beginning of a secret, so memory is bounded by the longest
//! one. It refuses to guess: only known values are taken out, not what merely looks like a secret.

use std::sync::Arc;

use super::{MASK, SearchTerms, automaton, windows};

/// How far the two searches have read a text.
#[derive(Default)]
pub(super) struct SecretSearch {
    exact: automaton::AutomatonReading,
    folded: windows::WindowsReading,
    /// Up to where each of them has read.
    exact_to: usize,
    folded_to: usize,
}

impl SecretSearch {
    /// Reads on. `text` begins at `at`, before where the last reading ended; `last` = nothing
    /// follows. Adds what is found, and returns up to where nothing more can begin.
    pub(super) fn read(
        &mut self,
        known: &SearchTerms,
        text: &[u8],
        at: usize,
        last: bool,
        found: &mut Vec<(usize, usize)>,
    ) -> usize {
        let end = at + text.len();
        known.exact.read(
            &mut self.exact,
            &text[self.exact_to - at..],
            self.exact_to,
            found,
        );
        self.exact_to = end;
        let mut open = end - known.exact.open(&self.exact);
        if !known.windows.is_empty() {
            let unread = &text[self.folded_to - at..];
            self.folded_to =
                known
                    .windows
                    .read(&mut self.folded, unread, self.folded_to, last, found);
            open = open
                .min(self.folded.open(self.folded_to))
                .min(self.folded_to);
        }
        if last { end } else { open }
    }
}

/// A stream of bytes on its way through a [`Scrubber`](super::Scrubber).
pub struct ScrubStream {
    known: Arc<SearchTerms>,
    search: SecretSearch,
    /// What is held back, and where in the stream it begins.
    held: Vec<u8>,
    at: usize,
    /// What was found and not yet masked.
    spans: Vec<(usize, usize)>,
    /// Where the last mask ended.
    masked_to: Option<usize>,
}

impl std::fmt::Debug for ScrubStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ScrubStream({MASK})")
    }
}

impl ScrubStream {
    pub(super) fn new(known: Arc<SearchTerms>) -> Self {
        Self {
            known,
            search: SecretSearch::default(),
            held: Vec::new(),
            at: 0,
            spans: Vec::new(),
            masked_to: None,
        }
    }

    /// Takes the next bytes, and adds to `out` what is certain.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.known.is_empty() {
            out.extend_from_slice(bytes);
            return;
        }
        self.held.extend_from_slice(bytes);
        let certain = self
            .search
            .read(&self.known, &self.held, self.at, false, &mut self.spans);
        self.release(certain, out);
    }

    /// The end of the stream: adds the rest to `out`.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let end = self
            .search
            .read(&self.known, &self.held, self.at, true, &mut self.spans);
        self.release(end, out);
    }

    /// Whether a known value was found so far.
    #[must_use]
    pub fn found(&self) -> bool {
        self.masked_to.is_some() || !self.spans.is_empty()
    }

    /// What is held back, as it came, without what is masked already. The stream is over then.
    #[must_use]
    pub fn into_held(mut self) -> Vec<u8> {
        let masked = self
            .masked_to
            .unwrap_or(0)
            .saturating_sub(self.at)
            .min(self.held.len());
        self.held.split_off(masked)
    }

    fn release(&mut self, certain: usize, out: &mut Vec<u8>) {
        self.spans.sort_unstable();
        // A mask may end behind what was certain before; it stands for all that it covers.
        let mut done = self.at.max(self.masked_to.unwrap_or(0));
        let mut later = Vec::new();
        for (start, end) in std::mem::take(&mut self.spans) {
            if start >= certain {
                later.push((start, end));
                continue;
            }
            if self.masked_to.is_none_or(|masked| start > masked) {
                out.extend_from_slice(&self.held[done - self.at..start - self.at]);
                out.extend_from_slice(MASK.as_bytes());
            }
            done = done.max(end);
            self.masked_to = self.masked_to.max(Some(end));
        }
        self.spans = later;
        if done < certain {
            out.extend_from_slice(&self.held[done - self.at..certain - self.at]);
        }
        self.held.drain(..certain - self.at);
        self.at = certain;
    }
}
