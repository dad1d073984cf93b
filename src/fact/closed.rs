//! What a child met at the walls of its room, in words: refused and unreached hosts, a closed network, a lost program.
//!
//! It refuses to guess why a child failed: it says what was closed, and people see whether that mattered.

use crate::plan::Network;

/// Hosts that were asked for in vain as a clause: `its network refused a.example, b.example`; `None` if there are none.
#[must_use]
pub fn refusal(refused: &[String], unreached: &[String]) -> Option<String> {
    let refused = (!refused.is_empty()).then(|| format!("its network refused {}", named(refused)));
    let unreached = (!unreached.is_empty()).then(|| format!("its network could not reach {}", named(unreached)));
    let clauses: Vec<String> = refused.into_iter().chain(unreached).collect();
    (!clauses.is_empty()).then(|| clauses.join("; "))
}

/// The same of a child that failed: if it asked for nothing, for many cannot ask at all, what its room closed.
#[must_use]
pub fn closed(network: Option<&Network>, refused: &[String], unreached: &[String]) -> Option<String> {
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

fn named(hosts: &[String]) -> String {
    let named: Vec<&str> = hosts.iter().take(HOSTS_NAMED).map(String::as_str).collect();
    let more = hosts.len().saturating_sub(HOSTS_NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", named.join(", "))
}

/// Hosts that are named: who must allow more of them reads the list in the evidence.
const HOSTS_NAMED: usize = 5;

/// What people can do about a command that ended so: a shell ends with 127 if it finds no program, and with 126 if it
/// cannot start one (POSIX, Shell Command Language, 2.8.2).
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
