//! From bytes to a plan.
//!
//! It refuses what is too large, or no text, before anything else looks at it.

use super::complaint::{Complaint, Complaints, Critic};
use super::excerpt::Span;
use super::name::default_name;
use super::{Plan, lower, raw};

/// Reads a plan, or tells everything that is wrong with it.
///
/// `file_name` is what complaints call the text. A plan that does not name itself is named after
/// `directory`, by [`default_name`].
///
/// # Errors
/// All mistakes at once; a mistake of syntax alone stops at the first. Files over 1 MiB, files that
/// are not text, and files that stand for more than a few times their size are refused before they
/// cost anything.
pub fn parse(text: &[u8], file_name: &str, directory: &str) -> Result<Plan, Complaints> {
    let refuse = |complaint| Err(Complaints::one(file_name, complaint));
    if text.len() > raw::MAX_BYTES {
        let mut complaint = Complaint::new("the plan is larger than 1 MiB");
        complaint.advise("split it into several plans");
        return refuse(complaint);
    }
    let whole = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let lossy = String::from_utf8_lossy(whole);
    let mut critic = Critic::new(file_name, &lossy);
    let nul = whole
        .iter()
        .position(|&byte| byte == 0)
        .map(|at| (at, "the file holds a NUL byte, so it is not text"));
    let foreign = std::str::from_utf8(whole)
        .err()
        .map(|error| error.valid_up_to());
    let foreign = foreign.map(|at| (at, "the file is not UTF-8 from here on"));
    // The earlier one, because up to there the lossy text is the file, byte for byte.
    let plan = match nul.into_iter().chain(foreign).min() {
        Some((at, what)) => {
            critic
                .say(Span { start: at, end: at }, what)
                .advise("save it as UTF-8 text");
            None
        }
        None => raw::read(&lossy, &mut critic)
            .and_then(|root| lower::lower(&root, default_name(directory), &mut critic)),
    };
    match (critic.verdict(), plan) {
        (None, Some(plan)) => Ok(plan),
        (Some(complaints), _) => Err(complaints),
        (None, None) => refuse(Complaint::new("the plan cannot be read")),
    }
}
