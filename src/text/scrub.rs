//! Secrets taken out of text: those we know, however they are encoded, and those that look like one.
//!
//! It refuses to show what it knows, and to promise that a secret it was not told of is found.

mod automaton;
mod pattern;

use std::collections::BTreeSet;
use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use self::automaton::Automaton;

/// What stands where a secret was.
pub const MASK: &str = "***";

/// Shorter values are no secrets, but words that would be masked all over the place.
const MIN_VALUE_CHARS: usize = 6;

/// A line of a secret that has several is a secret of its own from this length; shorter ones are often `{` or `}`.
const MIN_LINE_CHARS: usize = 16;

/// Takes secrets out of text. Cloning it is cheap.
#[derive(Clone, Default)]
pub struct Scrubber {
    known: Arc<Automaton>,
    /// A known value holds a `*`, so that masking one can bring about another.
    starred: bool,
}

impl Scrubber {
    /// A scrubber that knows these values, beside the well-known patterns. Values of less than 6 characters are left
    /// out.
    #[must_use]
    pub fn new<S: AsRef<str>>(values: impl IntoIterator<Item = S>) -> Self {
        let mut needles = BTreeSet::new();
        for value in values {
            let value = value.as_ref();
            add_forms(value, MIN_VALUE_CHARS, &mut needles);
            add_forms(value.trim(), MIN_VALUE_CHARS, &mut needles);
            for line in value.lines() {
                add_forms(line.trim(), MIN_LINE_CHARS, &mut needles);
            }
        }
        let starred = needles.iter().any(|needle| needle.contains('*'));
        Self { known: Arc::new(Automaton::new(&needles)), starred }
    }

    /// The text with every known value, in its plain, base64, percent-encoded and JSON forms, and everything that looks
    /// like a token, key or password replaced by [`MASK`]. No known value is left in it.
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
}

impl fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scrubber({MASK})")
    }
}

/// Replaces the spans; those that overlap or touch become one.
fn mask(text: &str, mut spans: Vec<(usize, usize)>) -> String {
    spans.sort_unstable();
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    let mut masked_to = None;
    for (start, end) in spans {
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

/// Adds every form that a value may be printed in.
fn add_forms(value: &str, min_chars: usize, needles: &mut BTreeSet<String>) {
    if value.chars().nth(min_chars - 1).is_none() {
        return;
    }
    needles.insert(value.into());
    for offset in 0..3 {
        let mut bytes = vec![0; offset];
        bytes.extend_from_slice(value.as_bytes());
        // Only the characters that the value alone decides, whatever stands before and after it.
        let (first, last) = ((8 * offset).div_ceil(6), 8 * bytes.len() / 6);
        needles.insert(STANDARD.encode(&bytes)[first..last].into());
        needles.insert(URL_SAFE.encode(&bytes)[first..last].into());
    }
    let upper = percent_encode(value, "");
    needles.insert(percent_encode(value, "!'()*"));
    needles.insert(upper.replace("%20", "+"));
    needles.insert(lower_hex(&upper));
    needles.insert(upper);
    if let Ok(quoted) = serde_json::to_string(value) {
        needles.insert(quoted[1..quoted.len() - 1].into());
    }
}

/// Percent-encoding of everything but letters, digits, `-._~` and `spared`.
fn percent_encode(value: &str, spared: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for &byte in value.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || spared.as_bytes().contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The same percent-encoding with lower-case digits. A `%` is always followed by two of them.
fn lower_hex(encoded: &str) -> String {
    let mut digits = 0_u8;
    let lower = |next: char| {
        let is_digit = digits > 0;
        digits = if next == '%' { 2 } else { digits.saturating_sub(1) };
        if is_digit { next.to_ascii_lowercase() } else { next }
    };
    encoded.chars().map(lower).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "s3cr3t/Pass+w0rd";

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let scrubber = Scrubber::new([SECRET, "tiny"]);
        assert_eq!(scrubber.scrub(text), expect);
        assert_eq!(scrubber.scrub(expect), expect, "scrubbing twice changes nothing");
    }

    #[test]
    fn known_values_vanish_in_every_form() {
        check(&format!("a {SECRET} b{SECRET}{SECRET}"), "a *** b***");
        check("tiny stays", "tiny stays");
        check("x=s3cr3t%2FPass%2Bw0rd&y=s3cr3t%2fPass%2bw0rd", "x=***&y=***");
        for before in ["", "u", "us"] {
            let text = STANDARD.encode(format!("{before}{SECRET}"));
            assert!(!Scrubber::new([SECRET]).scrub(&text).contains(&text[4..20]), "{before}");
        }
        let quoted = Scrubber::new(["pass\"word\\1"]);
        assert_eq!(quoted.scrub(r#"{"p":"pass\"word\\1"}"#), r#"{"p":"***"}"#);
    }

    #[test]
    fn each_line_of_a_long_secret_is_one() {
        let scrubber = Scrubber::new(["{\n  \"private\": \"0123456789\"\n}\n"]);
        assert_eq!(scrubber.scrub("> \"private\": \"0123456789\" {"), "> *** {");
    }

    #[test]
    fn a_mask_does_not_complete_another_secret() {
        let scrubber = Scrubber::new(["abcdef", "xx***yy", "******"]);
        assert_eq!(scrubber.scrub("xxabcdefyy"), "***");
        assert_eq!(scrubber.scrub("***abcdef"), "***");
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Scrubber::new([SECRET])), "Scrubber(***)");
    }

    proptest! {
        #[test]
        fn no_known_value_is_left(
            values in prop::collection::vec("[ab*é%]{4,9}", 1..5),
            pieces in prop::collection::vec((any::<prop::sample::Index>(), "[ab*é%]{0,5}"), 0..12),
        ) {
            let scrubber = Scrubber::new(&values);
            let text: String =
                pieces.iter().map(|(index, filler)| format!("{}{filler}", values[index.index(values.len())])).collect();
            let scrubbed = scrubber.scrub(&text);
            for value in values.iter().filter(|value| value.chars().count() >= 6) {
                prop_assert!(!scrubbed.contains(value.as_str()), "{value} is left in {scrubbed}");
            }
        }

        #[test]
        fn no_encoding_hides_a_value(before in "[a-z]{0,5}", after in "[a-z]{0,5}", value in "[ -~]{6,20}") {
            let scrubber = Scrubber::new([&value]);
            let whole = format!("{before}{value}{after}");
            for engine in [STANDARD, URL_SAFE] {
                let encoded = engine.encode(&whole);
                let (first, last) = ((8 * before.len()).div_ceil(6), 8 * (before.len() + value.len()) / 6);
                prop_assert!(!scrubber.scrub(&encoded).contains(&encoded[first..last]));
            }
            let encoded = percent_encode(&value, "");
            let scrubbed = scrubber.scrub(&format!("?q={encoded}&r"));
            prop_assert!(!scrubbed.contains(&encoded));
        }
    }
}
