//! The forms that a known value may be printed in.
//!
//! It refuses values that are words: those would be masked all over the place.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// Shorter values are no secrets.
const MIN_VALUE_CHARS: usize = 6;

/// A line of a secret that has several is a secret of its own from this length; shorter ones are
/// often `{` or `}`.
const MIN_LINE_CHARS: usize = 16;

/// What is looked for.
#[derive(Default)]
pub(super) struct Forms {
    /// These very bytes.
    pub(super) exact: BTreeSet<String>,
    /// These, as a reader takes them, and pieces of them. With each: whether a piece may count by
    /// itself.
    pub(super) folded: BTreeSet<(String, bool)>,
}

impl Forms {
    /// Adds a secret as it was given: the whole, without the white space around it, each of its
    /// lines, and the password in an address.
    pub(super) fn add_secret(&mut self, secret: &str) {
        self.add(secret, MIN_VALUE_CHARS);
        self.add(secret.trim(), MIN_VALUE_CHARS);
        for line in secret.lines() {
            self.add(line.trim(), MIN_LINE_CHARS);
            if let Some(password) = password(line) {
                self.add(password, MIN_VALUE_CHARS);
            }
        }
    }

    fn add(&mut self, value: &str, least: usize) {
        if value.chars().nth(least - 1).is_none() {
            return;
        }
        self.add_exact(value);
        // The host and the path of an address are known to everybody; so are the words of a text of
        // several lines.
        self.folded.insert((
            value.to_owned(),
            !value.contains("://") && !value.contains('\n'),
        ));
        self.folded.insert((hex(value, ""), true));
        for encoded in base64_forms(value) {
            self.folded.insert((encoded, true));
        }
    }

    fn add_exact(&mut self, value: &str) {
        let upper = percent_encode(value, "");
        let json = serde_json::to_string(value).unwrap_or_default();
        let utf16: String = value.encode_utf16().fold(String::new(), |mut all, unit| {
            let _ = write!(all, "\\u{unit:04x}");
            all
        });
        let utf16_upper = utf16.to_ascii_uppercase().replace("\\U", "\\u");
        self.exact.extend(base64_forms(value));
        self.exact.extend([
            hex(value, "%"),
            hex(value, "%").to_ascii_uppercase(),
            utf16,
            utf16_upper,
        ]);
        self.exact.extend([
            percent_encode(value, "!'()*"),
            upper.replace("%20", "+"),
            lower_hex(&upper),
            upper,
        ]);
        self.exact
            .extend(json.get(1..json.len().saturating_sub(1)).map(str::to_owned));
        self.exact.extend([
            hex(value, ""),
            hex(value, "").to_ascii_uppercase(),
            value.to_owned(),
        ]);
    }
}

/// The password of `scheme://user:password@host`.
fn password(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    Some(user.split_once(':')?.1)
}

/// Base64 at each of its three alignments, in both alphabets: only the characters that the value
/// alone decides, whatever stands before and after it.
fn base64_forms(value: &str) -> Vec<String> {
    let mut forms = Vec::new();
    for offset in 0..3 {
        let mut bytes = vec![0; offset];
        bytes.extend_from_slice(value.as_bytes());
        let (first, last) = ((8 * offset).div_ceil(6), 8 * bytes.len() / 6);
        forms.extend(
            [STANDARD, URL_SAFE].map(|engine| engine.encode(&bytes)[first..last].to_owned()),
        );
    }
    forms
}

/// Each byte as two small hexadecimal digits, `before` each.
fn hex(value: &str, before: &str) -> String {
    value.bytes().fold(String::new(), |mut all, byte| {
        let _ = write!(all, "{before}{byte:02x}");
        all
    })
}

/// Percent-encoding of everything but letters, digits, `-._~` and `spared`.
pub(super) fn percent_encode(value: &str, spared: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for &byte in value.as_bytes() {
        if byte.is_ascii_alphanumeric()
            || b"-._~".contains(&byte)
            || spared.as_bytes().contains(&byte)
        {
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
        digits = if next == '%' {
            2
        } else {
            digits.saturating_sub(1)
        };
        if is_digit {
            next.to_ascii_lowercase()
        } else {
            next
        }
    };
    encoded.chars().map(lower).collect()
}
