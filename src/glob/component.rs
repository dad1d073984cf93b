//! One component of a glob, and how a path's components are matched against a row of them.
//!
//! It refuses to look at more than it is given: `/` never reaches this file.

/// What may stand between two slashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Component {
    /// `**`: any number of components, none included. Never the last one of an alternative, never
    /// two in a row.
    Deep,
    /// Exactly this text.
    Literal(Box<str>),
    /// At least one wildcard or class.
    Pattern(Box<[GlobToken]>),
}

/// A part of a pattern within one component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GlobToken {
    /// This character.
    Char(char),
    /// `?`: any one character.
    Any,
    /// `*`: any number of characters.
    Star,
    /// `[…]`: one character of a class.
    Class(std::sync::Arc<CharSet>),
}

/// A set of characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CharSet {
    /// All but these, rather than these.
    pub(super) negated: bool,
    /// Both ends included; sorted, and apart from one another.
    pub(super) ranges: Vec<(char, char)>,
}

/// What `?` matches one of: a character, or a byte that is no part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Char(char),
    Byte,
}

/// The first unit of `bytes` and its length; `bytes` is not empty.
fn first_unit(bytes: &[u8]) -> (Unit, usize) {
    if bytes[0].is_ascii() {
        return (Unit::Char(char::from(bytes[0])), 1);
    }
    let head = &bytes[..bytes.len().min(4)];
    let valid = head.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    match valid.chars().next() {
        Some(found) => (Unit::Char(found), found.len_utf8()),
        None => (Unit::Byte, 1),
    }
}

impl CharSet {
    /// Whether `wanted` is one of the characters meant.
    pub(super) fn contains(&self, wanted: char) -> bool {
        let listed = self
            .ranges
            .iter()
            .any(|&(low, high)| (low..=high).contains(&wanted));
        listed != self.negated
    }
}

impl GlobToken {
    fn matches(&self, unit: Unit) -> bool {
        match (self, unit) {
            (Self::Any | Self::Star, _) => true,
            (Self::Char(mine), Unit::Char(found)) => *mine == found,
            (Self::Class(class), Unit::Char(found)) => class.contains(found),
            (Self::Char(_), Unit::Byte) => false,
            (Self::Class(class), Unit::Byte) => class.negated,
        }
    }
}

impl Component {
    /// What matches `part` alone; a byte that is no text stands for any character.
    pub(super) fn literal(part: &[u8]) -> Self {
        if let Ok(text) = std::str::from_utf8(part) {
            return Self::Literal(text.into());
        }
        let mut tokens = Vec::with_capacity(part.len());
        let mut at = 0;
        while at < part.len() {
            let (unit, length) = first_unit(&part[at..]);
            at += length;
            tokens.push(match unit {
                Unit::Char(found) => GlobToken::Char(found),
                Unit::Byte => GlobToken::Any,
            });
        }
        Self::Pattern(tokens.into())
    }

    /// The positions within it.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Deep => 1,
            Self::Literal(text) => text.len(),
            Self::Pattern(tokens) => tokens.len(),
        }
    }

    /// Whether one component of a path, without slashes, is meant.
    pub(super) fn matches(&self, part: &[u8]) -> bool {
        match self {
            Self::Deep => true,
            Self::Literal(text) => text.as_bytes() == part,
            Self::Pattern(tokens) => match_part(tokens, part),
        }
    }
}

/// One component of a path as a glob spells it: with backslashes before what is special, and `?`
/// for what is no text.
pub(super) fn spell(part: &[u8]) -> String {
    let mut text = String::with_capacity(part.len());
    let mut at = 0;
    while at < part.len() {
        let (unit, length) = first_unit(&part[at..]);
        at += length;
        match unit {
            Unit::Byte => text.push('?'),
            Unit::Char(special @ ('\\' | '*' | '?' | '[' | ']' | '{' | '}' | ',')) => {
                text.extend(['\\', special])
            }
            Unit::Char(plain) => text.push(plain),
        }
    }
    text
}

/// Whether `tokens` match the whole of `part`. Only the last star is ever tried again, so this is
/// at worst the product of the two lengths.
fn match_part(tokens: &[GlobToken], part: &[u8]) -> bool {
    let (mut token, mut at) = (0, 0);
    let mut last_star = None;
    while at < part.len() {
        match tokens.get(token) {
            Some(GlobToken::Star) => {
                token += 1;
                last_star = Some((token, at));
                continue;
            }
            Some(single @ (GlobToken::Char(_) | GlobToken::Any | GlobToken::Class(_))) => {
                let (unit, length) = first_unit(&part[at..]);
                if single.matches(unit) {
                    token += 1;
                    at += length;
                    continue;
                }
            }
            None => {}
        }
        let Some((after_star, taken)) = last_star else {
            return false;
        };
        let taken = taken + first_unit(&part[taken..]).1;
        last_star = Some((after_star, taken));
        (token, at) = (after_star, taken);
    }
    tokens[token..].iter().all(|rest| *rest == GlobToken::Star)
}

/// Whether a path, or a directory above it, matches a whole alternative.
pub(super) fn match_path(alternative: &[Component], parts: &[&[u8]]) -> bool {
    let (mut component, mut at) = (0, 0);
    let mut last_deep = None;
    loop {
        // What is left of the path lies below what has matched.
        let Some(wanted) = alternative.get(component) else {
            return true;
        };
        if *wanted == Component::Deep {
            component += 1;
            last_deep = Some((component, at));
            continue;
        }
        // Beginning later after a `**` would leave even less of the path.
        let Some(part) = parts.get(at) else {
            return false;
        };
        if wanted.matches(part) {
            component += 1;
            at += 1;
            continue;
        }
        let Some((after_deep, taken)) = last_deep else {
            return false;
        };
        (component, at) = (after_deep, taken + 1);
        last_deep = Some((component, at));
    }
}

/// The leading components of an alternative that are literal.
pub(super) fn literal_prefix(alternative: &[Component]) -> impl Iterator<Item = &str> {
    alternative.iter().map_while(|component| match component {
        Component::Literal(text) => Some(&**text),
        Component::Deep | Component::Pattern(_) => None,
    })
}
