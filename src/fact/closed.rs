//! What a child met at the walls of its room, in words: refused and unreached hosts, a closed
//! network, a lost program.
//!
//! It refuses to guess why a child failed: it says what was closed, and people see whether that
//! mattered.

use std::collections::BTreeSet;

use super::LogEvidence;
use crate::plan::{Network, RoomLevel};

/// Hosts that were asked for in vain as a clause: `its network refused a.example, b.example`;
/// `None` if there are none.
#[must_use]
pub fn refusal(refused: &[String], unreached: &[String]) -> Option<String> {
    let refused = (!refused.is_empty()).then(|| format!("its network refused {}", named(refused)));
    let unreached = (!unreached.is_empty())
        .then(|| format!("its network could not reach {}", named(unreached)));
    let clauses: Vec<String> = refused.into_iter().chain(unreached).collect();
    (!clauses.is_empty()).then(|| clauses.join("; "))
}

/// The same of a child that failed: if it asked for nothing, for many cannot ask at all, what its
/// room closed.
#[must_use]
pub fn closed(
    network: Option<&Network>,
    refused: &[String],
    unreached: &[String],
) -> Option<String> {
    refusal(refused, unreached).or_else(|| match network? {
        Network::Open => None,
        Network::None => Some("its room had no network".to_owned()),
        Network::Model => Some("its room reached its model only".to_owned()),
        Network::Allow(hosts) => {
            let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
            Some(format!("its room reached {} only", named(&hosts)))
        }
    })
}

/// What a child complained that it could not write, as a clause: `its room kept /etc/x read-only`;
/// `None` if it did not complain, or if it had no room.
///
/// It is told by the words of the C library, which programs print as they are. A sealed room is a
/// read-only disk; Landlock alone answers as the rights of files do, so there only what speaks of
/// making or removing something counts.
#[must_use]
pub fn kept_from_writing(log: &LogEvidence, level: RoomLevel) -> Option<String> {
    let lines = log
        .head
        .lines()
        .chain(log.tail.lines())
        .filter(|line| match level {
            RoomLevel::Sealed => is_said(line, READ_ONLY),
            RoomLevel::Landlock => {
                is_said(line, DENIED) && MAKING.iter().any(|verb| is_said(line, verb))
            }
            RoomLevel::None => false,
        });
    let paths: BTreeSet<String> = lines.filter_map(path_in).collect();
    let paths: Vec<String> = paths.into_iter().collect();
    (!paths.is_empty()).then(|| format!("its room kept {} read-only", named(&paths)))
}

/// `EROFS` in the C library's words, also as Node.js writes them.
const READ_ONLY: &str = "read-only file system";

/// `EACCES` in the C library's words.
const DENIED: &str = "permission denied";

/// How shells, the core utilities and Node.js name the making, changing and removing of files.
const MAKING: [&str; 8] = [
    "cannot create",
    "cannot make",
    "cannot touch",
    "cannot remove",
    "cannot move",
    "mkdir",
    "unlink",
    "rename",
];

/// The longest path that is named, in characters.
const LONGEST_PATH: usize = 120;

/// Two clauses as one.
#[must_use]
pub fn both(one: Option<String>, other: Option<String>) -> Option<String> {
    match (one, other) {
        (Some(one), Some(other)) => Some(format!("{one}; {other}")),
        (one, other) => one.or(other),
    }
}

fn is_said(line: &str, words: &str) -> bool {
    line.to_ascii_lowercase().contains(words)
}

/// The absolute path that a complaint is about: the last one, since programs name themselves first.
fn path_in(line: &str) -> Option<String> {
    let is_border =
        |c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '`' | '‘' | '’' | '(' | ')' | ',');
    let path = line
        .split(is_border)
        .map(|word| word.trim_end_matches(':'))
        .rfind(|word| word.len() > 1 && word.starts_with('/'))?;
    Some(crate::text::clip(path, LONGEST_PATH).to_string())
}

fn named(hosts: &[String]) -> String {
    let named: Vec<&str> = hosts.iter().take(HOSTS_NAMED).map(String::as_str).collect();
    let more = hosts.len().saturating_sub(HOSTS_NAMED);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{}{more}", named.join(", "))
}

/// Hosts and paths that are named: who must allow more of them reads the list in the evidence.
const HOSTS_NAMED: usize = 5;

/// What people can do about a command that ended so: a shell ends with 127 if it finds no program,
/// and with 126 if it cannot start one (POSIX, Shell Command Language, 2.8.2).
#[must_use]
pub fn advice_on_exit(code: Option<i32>) -> Option<String> {
    let missed = match code? {
        126 => "a program could not be started",
        127 => "a program was not found",
        _ => return None,
    };
    Some(format!(
        "{missed}: slots hold committed files only, without what git ignores (`.venv`, `node_modules`), and PATH alone \
         decides which tools children see; let the task or gate make what it needs"
    ))
}

#[cfg(test)]
mod tests;
