//! Quoting what gates printed, as far as there is room.

use crate::fact::{FailingItem, LogEvidence};
use crate::text;

/// How much of the output of all gates together is quoted, in bytes, as much as the evidence keeps:
/// the head tells what ran, the tail how it ended.
pub(super) const QUOTED_HEAD: usize = 4 * 1024;

pub(super) const QUOTED_TAIL: usize = 16 * 1024;

/// Failing items that are quoted: who has fixed these runs the gate again.
const MOST_ITEMS: usize = 20;

/// Characters of an item's message: an assertion with both of its sides.
const ITEM: usize = 300;

pub(super) fn items(failing: &[FailingItem], total: u32) -> String {
    let one = |item: &FailingItem| {
        let place = item.place.as_ref().map_or_else(String::new, |place| {
            format!(" ({}:{})", place.path, place.line)
        });
        let message = text::clip(item.message.trim(), ITEM).replace('\n', "\n  ");
        let gap = if message.is_empty() { "" } else { ": " };
        format!("- {}{place}{gap}{message}", item.key)
    };
    let mut lines: Vec<String> = failing.iter().take(MOST_ITEMS).map(one).collect();
    let more = (total as usize)
        .max(failing.len())
        .saturating_sub(MOST_ITEMS.min(failing.len()));
    if more > 0 {
        lines.push(format!("- {more} more"));
    }
    lines.join("\n")
}

/// Head and tail of a log, as much as there is room for beside those of the other gates.
pub(super) fn quoted(log: &LogEvidence, gates: usize) -> String {
    let (head, tail) = (QUOTED_HEAD / gates.max(1), QUOTED_TAIL / gates.max(1));
    if log.tail.is_empty() {
        return clip_middle(log.head.trim_end(), head, tail);
    }
    let (first, last) = (head_of(&log.head, head), tail_of(log.tail.trim_end(), tail));
    let shown = u64::try_from(first.len() + last.len()).unwrap_or(u64::MAX);
    format!(
        "{first}\n[… {} bytes left out …]\n{last}",
        log.bytes.saturating_sub(shown)
    )
}

/// Head and tail, cut at ends of lines where there are some.
pub(super) fn clip_middle(text: &str, head: usize, tail: usize) -> String {
    if text.len() <= head + tail {
        return text.to_owned();
    }
    let (first, last) = (head_of(text, head), tail_of(text, tail));
    format!(
        "{first}\n[… {} bytes left out …]\n{last}",
        text.len() - first.len() - last.len()
    )
}

/// The first whole lines in so many bytes.
fn head_of(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text.trim_end_matches('\n');
    }
    let end = (0..=most)
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0);
    &text[..text[..end].rfind('\n').unwrap_or(end)]
}

/// The last whole lines in so many bytes.
fn tail_of(text: &str, most: usize) -> &str {
    let from = text.len().saturating_sub(most);
    let from = (from..text.len())
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(text.len());
    if from == 0 {
        text
    } else {
        &text[text[from..].find('\n').map_or(from, |at| from + at + 1)..]
    }
}

/// A fence that nothing inside can close.
pub(super) fn fenced(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}\n{text}\n{fence}")
}
