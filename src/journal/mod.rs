//! The journal: what a run is made of, one hash-chained line for each fact.
//!
//! A line is `{v, seq, at, prev, fact, orders}` as JSON; `prev` is the SHA-256 of the line before
//! it, without its newline. This room turns facts into lines and lines into facts; it refuses to
//! read or write files.

mod replay;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::fact::{Fact, Order};
use crate::id::{Moment, Sha256};

pub use replay::{ReplayDifference, replay};

/// The version of the line format. Readers refuse any other.
pub const VERSION: u32 = 1;

/// So many lines are written through at once at most, so that a flood of facts does not put off the
/// orders.
pub const MOST_LINES_PER_TURN: usize = 256;

/// So many lines may wait for the disk at once: those of one turn, and as many that need not be
/// there at once.
pub const MOST_UNSYNCED_LINES: usize = 2 * MOST_LINES_PER_TURN;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// [`VERSION`].
    pub v: u32,
    /// Counted from 1.
    pub seq: u64,
    /// When the fact happened.
    pub at: Moment,
    /// SHA-256 of the line before; of nothing for the first.
    pub prev: Sha256,
    /// What happened.
    pub fact: Fact,
    /// What the engine said is to be done about it.
    pub orders: Vec<Order>,
}

/// A line to be written, without owning what it says.
#[derive(Serialize)]
struct NewLine<'a> {
    v: u32,
    seq: u64,
    at: Moment,
    prev: &'a Sha256,
    fact: &'a Fact,
    orders: &'a [Order],
}

/// The end of a journal: what the next line is chained to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    lines: u64,
    head: Sha256,
}

impl Default for Chain {
    fn default() -> Self {
        Self {
            lines: 0,
            head: Sha256::of(b""),
        }
    }
}

impl Chain {
    /// SHA-256 of the last line.
    #[must_use]
    pub fn head(&self) -> &Sha256 {
        &self.head
    }

    /// Appends the next line, with its newline, to `out`.
    ///
    /// # Errors
    /// Where a value cannot be written as JSON, which none of the types here allows.
    pub fn push(
        &mut self,
        at: Moment,
        fact: &Fact,
        orders: &[Order],
        out: &mut Vec<u8>,
    ) -> serde_json::Result<()> {
        let start = out.len();
        let line = NewLine {
            v: VERSION,
            seq: self.lines + 1,
            at,
            prev: &self.head,
            fact,
            orders,
        };
        serde_json::to_writer(&mut *out, &line)?;
        self.head = Sha256::of(&out[start..]);
        self.lines += 1;
        out.push(b'\n');
        Ok(())
    }
}

/// A journal that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Journal {
    /// Every sound line.
    pub lines: Vec<Line>,
    /// What the next line is chained to.
    pub chain: Chain,
    /// How many bytes are sound. What follows is to be cut off before anything is appended.
    pub sound_bytes: u64,
    /// Why the rest was dropped, where there was any.
    pub dropped: Option<Damage>,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} {cause}: {what}")]
pub struct Damage {
    /// From 1.
    pub line: u64,
    /// Whose doing it is.
    pub cause: Cause,
    /// What is wrong, as a clause.
    pub what: String,
}

/// Whose doing it is that a line cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A crash's, or that of a hand that changed the file.
    Harm,
    /// Another version of omk wrote it, and it is as that left it.
    OtherVersion,
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Harm => "is damaged",
            Self::OtherVersion => "was written by another version of omk",
        })
    }
}

/// Reads a journal. A damaged tail, with nothing valid after it, is dropped and said: it was never
/// acted upon. So is one with a hole of zeros, as a power cut leaves in lines that were being
/// written together: it may lose the pages before it keeps those after.
///
/// # Errors
/// Any other [`Damage`], with its line: somebody changed what had been acted upon. A line of
/// another version of omk is no damaged tail, even at the end: that omk acted upon it.
pub fn read(bytes: &[u8]) -> Result<Journal, Damage> {
    let mut journal = Journal {
        lines: Vec::new(),
        chain: Chain::default(),
        sound_bytes: 0,
        dropped: None,
    };
    let mut rest = bytes;
    while !rest.is_empty() {
        let (text, after) = match rest.iter().position(|&byte| byte == b'\n') {
            Some(end) => (&rest[..end], &rest[end + 1..]),
            None => (rest, &rest[rest.len()..]),
        };
        let torn = text.len() == rest.len();
        match sound_line(text, torn, &journal.chain) {
            Ok(line) => journal.lines.push(line),
            Err(what) => {
                let cause = if is_foreign(text, &journal.chain) {
                    Cause::OtherVersion
                } else {
                    Cause::Harm
                };
                let damage = Damage {
                    line: journal.chain.lines + 1,
                    cause,
                    what,
                };
                if cause == Cause::OtherVersion {
                    return Err(damage);
                }
                let valid_after = after
                    .split(|&byte| byte == b'\n')
                    .filter(|text| parse(text).is_ok())
                    .count();
                // JSON has no zeros: nobody wrote them.
                let most_after = if text.contains(&0) {
                    MOST_UNSYNCED_LINES - 1
                } else {
                    0
                };
                if valid_after > most_after {
                    return Err(damage);
                }
                journal.dropped = Some(damage);
                return Ok(journal);
            }
        }
        journal.chain = Chain {
            lines: journal.chain.lines + 1,
            head: Sha256::of(text),
        };
        journal.sound_bytes += text.len() as u64 + 1;
        rest = after;
    }
    Ok(journal)
}

/// How every version begins a line, the number after it.
const BEGINNING: &[u8] = b"{\"v\":";

/// The version that a line says it is of, even if its end is gone.
fn version(text: &[u8]) -> Option<u32> {
    let rest = text.strip_prefix(BEGINNING)?;
    let digits = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    let number = std::str::from_utf8(&rest[..digits]).ok()?;
    number.parse().ok().filter(|_| rest[digits] == b',')
}

/// Whether another version of omk wrote a line: it says so, or it is the next one of the chain and
/// holds what this version does not know.
fn is_foreign(text: &[u8], chain: &Chain) -> bool {
    #[derive(Deserialize)]
    struct Envelope {
        seq: u64,
        prev: Sha256,
        #[serde(rename = "fact")]
        _fact: IgnoredAny,
        #[serde(rename = "orders")]
        _orders: IgnoredAny,
    }
    let follows = |line: Envelope| line.seq == chain.lines + 1 && line.prev == chain.head;
    let is_next = || serde_json::from_slice::<Envelope>(text).is_ok_and(follows);
    match version(text) {
        Some(VERSION) => parse(text).is_err() && is_next(),
        Some(_) => true,
        None => false,
    }
}

fn parse(text: &[u8]) -> Result<Line, String> {
    serde_json::from_slice(text).map_err(|error| match error.classify() {
        serde_json::error::Category::Eof => "it ends too early".to_owned(),
        serde_json::error::Category::Io
        | serde_json::error::Category::Syntax
        | serde_json::error::Category::Data => {
            format!("it is not a journal line (column {})", error.column())
        }
    })
}

fn sound_line(text: &[u8], torn: bool, chain: &Chain) -> Result<Line, String> {
    // First, for another version may say everything else in other words.
    if let Some(other) = version(text).filter(|version| *version != VERSION) {
        return Err(format!(
            "it is of version {other}, and this omk reads version {VERSION}"
        ));
    }
    let line = parse(text)?;
    if line.v != VERSION {
        return Err(format!(
            "it is of version {}, and this omk reads version {VERSION}",
            line.v
        ));
    }
    if line.seq != chain.lines + 1 {
        return Err(format!("it says it is number {}", line.seq));
    }
    if line.prev != chain.head {
        return Err("it does not follow from the line before it (`prev` differs)".to_owned());
    }
    if torn {
        return Err("it ends without a newline".to_owned());
    }
    Ok(line)
}

#[cfg(test)]
mod tests;
