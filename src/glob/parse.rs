//! From the text of a glob to its alternatives: braces expanded, paths normalised, limits kept.
//!
//! It refuses what could never match a path of a repository, and what would cost too much to
//! compare.

use std::sync::Arc;

use super::component::{CharSet, Component, GlobToken, literal_prefix};
use super::{BadGlob, GlobMeaning};

/// Alternatives that braces may expand to. The contract of `omk.yaml` fixes the number.
pub const MAX_ALTERNATIVES: usize = 256;
/// Bytes of one glob: as long as the longest path of Linux.
pub const MAX_BYTES: usize = 4096;
/// Braces within braces; people need two.
pub const MAX_DEPTH: usize = 16;
/// Characters of all alternatives together: 256 alternatives of a usual length fit.
pub const MAX_EXPANDED: usize = 32 * 1024;

/// A part of an alternative that is not yet cut at its slashes.
#[derive(Debug, Clone)]
enum Atom {
    Slash,
    Token(GlobToken),
}

type Row = Vec<Atom>;

/// An open brace, or the whole text.
struct Frame {
    /// Alternatives before the last comma.
    done: Vec<Row>,
    /// What the alternatives since then look like so far.
    current: Vec<Row>,
}

impl Frame {
    fn new() -> Self {
        Self {
            done: Vec::new(),
            current: vec![Row::new()],
        }
    }

    fn push(&mut self, atom: &Atom) -> Result<(), BadGlob> {
        for row in &mut self.current {
            row.push(atom.clone());
        }
        self.check()
    }

    fn comma(&mut self) -> Result<(), BadGlob> {
        self.done.append(&mut self.current);
        self.current.push(Row::new());
        self.check()
    }

    /// Continues every alternative with every one of a closed brace.
    fn multiply(&mut self, mut inner: Self) -> Result<(), BadGlob> {
        inner.done.append(&mut inner.current);
        for head in std::mem::take(&mut self.current) {
            self.current.extend(
                inner
                    .done
                    .iter()
                    .map(|tail| head.iter().chain(tail).cloned().collect::<Row>()),
            );
            // Before the next: what braces expand to may be 256 times what is allowed.
            self.check()?;
        }
        Ok(())
    }

    fn check(&self) -> Result<(), BadGlob> {
        if self.done.len() + self.current.len() > MAX_ALTERNATIVES {
            return Err(
                format!("its braces expand to more than {MAX_ALTERNATIVES} alternatives").into(),
            );
        }
        if self
            .done
            .iter()
            .chain(&self.current)
            .map(Vec::len)
            .sum::<usize>()
            > MAX_EXPANDED
        {
            return Err(format!("its braces expand to more than {MAX_EXPANDED} characters").into());
        }
        Ok(())
    }
}

/// What `text` means, or what is wrong with it, as a clause.
pub(super) fn parse(text: &str) -> Result<GlobMeaning, BadGlob> {
    if text.is_empty() {
        return Err("it is empty".into());
    }
    if text.len() > MAX_BYTES {
        return Err(format!("it is longer than {MAX_BYTES} bytes").into());
    }
    if text.contains('\0') {
        return Err("it holds a NUL character, which no path can".into());
    }
    let (rows, braces) = expand(text)?;
    let alternatives = rows.into_iter().map(lower).collect::<Result<Vec<_>, _>>()?;
    let prefix = common_prefix(&alternatives);
    let literal = !braces
        && alternatives.iter().all(|row| {
            row.iter()
                .all(|component| matches!(component, Component::Literal(_)))
        });
    let size = alternatives.iter().flatten().map(Component::size).sum();
    Ok(GlobMeaning {
        alternatives,
        prefix,
        literal,
        size,
    })
}

/// The alternatives, and whether there was any brace.
fn expand(text: &str) -> Result<(Vec<Row>, bool), BadGlob> {
    let mut frames = Vec::new();
    let mut top = Frame::new();
    let mut braces = false;
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        match next {
            '{' if frames.len() == MAX_DEPTH => {
                return Err(format!("its braces are nested deeper than {MAX_DEPTH}").into());
            }
            '{' => {
                braces = true;
                frames.push(std::mem::replace(&mut top, Frame::new()));
            }
            ',' if !frames.is_empty() => top.comma()?,
            '}' => match frames.pop() {
                Some(outer) => {
                    let inner = std::mem::replace(&mut top, outer);
                    top.multiply(inner)?;
                }
                None => top.push(&Atom::Token(GlobToken::Char('}')))?,
            },
            '/' => top.push(&Atom::Slash)?,
            '*' => top.push(&Atom::Token(GlobToken::Star))?,
            '?' => top.push(&Atom::Token(GlobToken::Any))?,
            '[' => top.push(&Atom::Token(GlobToken::Class(Arc::new(class(&mut rest)?))))?,
            '\\' => match escaped(rest.next())? {
                '/' => top.push(&Atom::Slash)?,
                plain => top.push(&Atom::Token(GlobToken::Char(plain)))?,
            },
            plain => top.push(&Atom::Token(GlobToken::Char(plain)))?,
        }
    }
    if !frames.is_empty() {
        return Err(BadGlob::but(
            "a `{` is never closed",
            "write `\\{` for the character itself",
        ));
    }
    Ok((top.current, braces))
}

/// The character after a backslash. A letter or digit there is most likely a path of Windows.
fn escaped(next: Option<char>) -> Result<char, BadGlob> {
    match next {
        None => Err("it ends with a `\\` that escapes nothing".into()),
        Some(plain) if plain.is_alphanumeric() => {
            Err(format!("`\\{plain}` escapes nothing: directories are separated by `/`").into())
        }
        Some(special) => Ok(special),
    }
}

/// A class, from behind its `[` to its `]`.
fn class(rest: &mut std::str::Chars<'_>) -> Result<CharSet, BadGlob> {
    let mut look = rest.clone();
    let negated = matches!(look.next(), Some('!' | '^'));
    if negated {
        *rest = look;
    }
    let mut ranges = Vec::new();
    loop {
        let low = match class_character(rest)? {
            // A `]` that comes first is one of the characters.
            (']', false) if !ranges.is_empty() => break,
            (character, _) => character,
        };
        let mut look = rest.clone();
        let dashed = look.next() == Some('-') && !matches!(look.clone().next(), None | Some(']'));
        let high = if dashed {
            *rest = look;
            class_character(rest)?.0
        } else {
            low
        };
        if low > high {
            return Err(format!("the range `{low}-{high}` runs backwards").into());
        }
        ranges.push((low, high));
    }
    Ok(CharSet {
        negated,
        ranges: merge(ranges),
    })
}

/// A character of a class, and whether it was escaped.
fn class_character(rest: &mut std::str::Chars<'_>) -> Result<(char, bool), BadGlob> {
    match rest.next() {
        None => Err(BadGlob::but(
            "a `[` is never closed",
            "write `\\[` for the character itself",
        )),
        Some('/') => Err(BadGlob::but(
            "a `[…]` holds a `/`, or is never closed",
            "write `\\[` for the character itself",
        )),
        Some('\\') => match escaped(rest.next())? {
            '/' => Err("a `[…]` holds a `/`".into()),
            character => Ok((character, true)),
        },
        Some(character) => Ok((character, false)),
    }
}

/// The same characters as sorted ranges that neither touch nor overlap.
fn merge(mut ranges: Vec<(char, char)>) -> Vec<(char, char)> {
    ranges.sort_unstable();
    let mut merged: Vec<(char, char)> = Vec::with_capacity(ranges.len());
    for (low, high) in ranges {
        match merged.last_mut() {
            Some(last) if low <= last.1 || (last.1..=low).nth(1) == Some(low) => {
                last.1 = last.1.max(high)
            }
            _ => merged.push((low, high)),
        }
    }
    merged
}

/// An alternative, cut at its slashes and normalised.
fn lower(row: Row) -> Result<Vec<Component>, BadGlob> {
    if row.is_empty() {
        return Err("one of its alternatives is empty".into());
    }
    if matches!(row[0], Atom::Slash) {
        return Err(
            "it is absolute: paths are relative to the repository, without a leading `/`".into(),
        );
    }
    let mut components = Vec::new();
    let mut piece = Vec::new();
    for atom in row.into_iter().chain([Atom::Slash]) {
        match atom {
            Atom::Token(token) => piece.push(token),
            Atom::Slash => components.extend(component(std::mem::take(&mut piece))?),
        }
    }
    components.dedup_by(|next, before| *next == Component::Deep && *before == Component::Deep);
    // At its end `**` means at least one component, and all below that one is meant anyway; and
    // only `./` is left empty, which is the whole repository.
    if components.last() == Some(&Component::Deep) {
        components.pop();
        components.push(Component::Pattern([GlobToken::Star].into()));
    } else if components.is_empty() {
        components.push(Component::Pattern([GlobToken::Star].into()));
    }
    Ok(components)
}

/// What stands between two slashes; `None` for nothing and for `.`.
fn component(mut piece: Vec<GlobToken>) -> Result<Option<Component>, BadGlob> {
    if piece.len() > 1 && piece.iter().all(|token| *token == GlobToken::Star) {
        return Ok(Some(Component::Deep));
    }
    piece.dedup_by(|next, before| *next == GlobToken::Star && *before == GlobToken::Star);
    let literal: Option<String> = piece
        .iter()
        .map(|token| match token {
            GlobToken::Char(character) => Some(*character),
            GlobToken::Any | GlobToken::Star | GlobToken::Class(_) => None,
        })
        .collect();
    match literal.as_deref() {
        Some("" | ".") => Ok(None),
        Some("..") => {
            Err("it holds `..`: paths are relative to the repository and stay in it".into())
        }
        Some(text) => Ok(Some(Component::Literal(text.into()))),
        None => Ok(Some(Component::Pattern(piece.into()))),
    }
}

/// The literal components that all alternatives begin with.
fn common_prefix(alternatives: &[Vec<Component>]) -> Vec<String> {
    let mut prefixes = alternatives
        .iter()
        .map(|alternative| literal_prefix(alternative).collect::<Vec<_>>());
    let mut common = prefixes.next().unwrap_or_default();
    for prefix in prefixes {
        let same = common
            .iter()
            .zip(&prefix)
            .take_while(|(mine, theirs)| mine == theirs)
            .count();
        common.truncate(same);
    }
    common.into_iter().map(String::from).collect()
}
