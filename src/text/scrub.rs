//! Secrets taken out of text: those we know, however they are encoded, and those that look like
//! one.
//!
//! It refuses to show what it knows, and to promise that a secret it was not told of is found.

mod automaton;
mod fold;
mod forms;
mod pattern;
mod stream;
mod windows;

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use self::automaton::Automaton;
use self::forms::Forms;
use self::stream::SecretSearch;
use self::windows::Windows;

pub use self::stream::ScrubStream;

/// What stands where a secret was.
pub const MASK: &str = "***";

/// How much of a file is looked at at once; more is not faster.
const CHUNK: usize = 64 * 1024;

/// Takes secrets out of text. Cloning it is cheap.
#[derive(Clone, Default)]
pub struct Scrubber {
    known: Arc<SearchTerms>,
    secrets: Arc<[String]>,
    /// A known value holds a `*`, so that masking one can bring about another.
    starred: bool,
}

/// What is looked for.
#[derive(Default)]
struct SearchTerms {
    exact: Arc<Automaton>,
    windows: Windows,
}

impl SearchTerms {
    fn is_empty(&self) -> bool {
        self.exact.is_empty()
    }

    fn find(&self, text: &[u8]) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        SecretSearch::default().read(self, text, 0, true, &mut found);
        found
    }
}

impl Scrubber {
    /// A scrubber that knows these values, beside the well-known patterns. Values of less than 6
    /// characters are left out.
    #[must_use]
    pub fn new<S: AsRef<str>>(values: impl IntoIterator<Item = S>) -> Self {
        let secrets: Arc<[String]> = values
            .into_iter()
            .map(|value| value.as_ref().to_owned())
            .collect();
        let mut forms = Forms::default();
        for secret in secrets.iter() {
            forms.add_secret(secret);
        }
        let starred = forms.exact.iter().any(|needle| needle.contains('*'));
        let windows = Windows::new(
            forms
                .folded
                .iter()
                .map(|(text, alone)| (text.as_str(), *alone)),
        );
        Self {
            known: Arc::new(SearchTerms {
                exact: Arc::new(Automaton::new(&forms.exact)),
                windows,
            }),
            secrets,
            starred,
        }
    }

    /// One that knows one more value.
    #[must_use]
    pub fn and(&self, value: &str) -> Self {
        Self::new(self.secrets.iter().map(String::as_str).chain([value]))
    }

    /// The text with every known value, in the forms that SECURITY.md lists, and everything that
    /// looks like a token, key or password replaced by [`MASK`]. No known value is left in it.
    #[must_use]
    pub fn scrub(&self, text: &str) -> String {
        let mut spans = self.known.find(text.as_bytes());
        spans.extend(pattern::find(text));
        let mut scrubbed = mask(text, spans);
        if !self.starred {
            return scrubbed;
        }
        // Each turn makes the text shorter, since a value is longer than the mask.
        loop {
            let spans = self.known.find(scrubbed.as_bytes());
            if spans.is_empty() {
                return scrubbed;
            }
            scrubbed = mask(&scrubbed, spans);
        }
    }

    /// Takes known values out of a stream, wherever it is cut.
    #[must_use]
    pub fn stream(&self) -> ScrubStream {
        ScrubStream::new(Arc::clone(&self.known))
    }

    /// The same for a stream that somebody waits for: it takes out whole values alone, and holds
    /// back nothing but what may be the beginning of one.
    #[must_use]
    pub fn prompt_stream(&self) -> ScrubStream {
        ScrubStream::new(Arc::new(SearchTerms {
            exact: Arc::clone(&self.known.exact),
            windows: Windows::default(),
        }))
    }

    /// Whether a known value, in any of the forms, is in these bytes. What only looks like a secret
    /// does not count.
    #[must_use]
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        !self.known.is_empty() && !self.known.find(bytes).is_empty()
    }

    /// The same of a file of any size, in bounded memory.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn is_in_file(&self, file: &mut dyn Read) -> io::Result<bool> {
        if self.known.is_empty() {
            return Ok(false);
        }
        let (mut stream, mut out, mut chunk) = (self.stream(), Vec::new(), vec![0; CHUNK]);
        loop {
            let length = file.read(&mut chunk)?;
            if length == 0 {
                stream.finish(&mut out);
            } else {
                stream.push(&chunk[..length], &mut out);
            }
            if length == 0 || stream.found() {
                return Ok(stream.found());
            }
            out.clear();
        }
    }

    /// Whether it knows no value, so that there is nothing to look for.
    #[must_use]
    pub fn knows_nothing(&self) -> bool {
        self.known.is_empty()
    }
}

impl fmt::Debug for SearchTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scrubber({MASK})")
    }
}

/// Replaces the spans; those that overlap or touch become one, and a character that is cut goes
/// whole.
fn mask(text: &str, mut spans: Vec<(usize, usize)>) -> String {
    spans.sort_unstable();
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    let mut masked_to = None;
    for (start, end) in spans {
        let (start, end) = (super::floor_boundary(text, start), ceil_boundary(text, end));
        if masked_to.is_none_or(|masked| start > masked) {
            out.push_str(&text[done..start]);
            out.push_str(MASK);
        }
        done = done.max(end);
        masked_to = Some(done);
    }
    out.push_str(&text[done..]);
    out
}

fn ceil_boundary(text: &str, at: usize) -> usize {
    (at..text.len())
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests;
