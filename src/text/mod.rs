//! Words for people: clipping, plurals, durations, and the [`Scrubber`] that keeps secrets out of
//! them.
//!
//! What comes from agents, gates and authors is hostile. For a comment it goes, in this order,
//! through [`Scrubber::scrub`], a clip, and [`inert_markdown`] or [`fenced`]; for a page through
//! [`escape_invisible`] and [`escape_html`]; for a CI log through [`printable`] and
//! [`neutralise_workflow_commands`]. Nothing here panics on any input, and all of it takes time in
//! proportion to the text. It refuses to know where a text goes.

mod advised;
mod forge_kind;
mod markup;
mod schema;
mod scrub;
mod terminal;

use std::time::Duration;

pub use self::advised::{Advised, with_advice};
pub use self::forge_kind::ForgeKind;
pub use self::markup::{
    defuse_mentions, escape_html, escape_invisible, escape_markdown, fenced, inert_markdown,
};
pub use self::schema::join_lines;
pub use self::scrub::{MASK, ScrubStream, Scrubber};
pub use self::terminal::{neutralise_workflow_commands, printable, strip_ansi};

/// A count with its noun: `1 task`, `2 tasks`, `3 retries`, `4 branches`.
#[must_use]
pub fn plural(count: usize, noun: &str) -> String {
    format!("{count} {}", noun_of(count, noun))
}

/// The noun alone, as it goes with the count: `tasks`.
#[must_use]
pub fn noun_of(count: usize, noun: &str) -> String {
    if count == 1 {
        return noun.to_owned();
    }
    let hisses = ["s", "x", "z", "ch", "sh"]
        .iter()
        .any(|end| noun.ends_with(end));
    match noun.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => format!("{stem}ies"),
        _ if hisses => format!("{noun}es"),
        _ => format!("{noun}s"),
    }
}

/// A choice in words: `a`, `a or b`, `a, b or c`.
#[must_use]
pub fn any_of(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// A duration for people, rounded down: `350 ms`, `1.2 s`, `3m 05s`, `2h 10m`, `1d 02h`.
#[must_use]
pub fn duration(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0 if length.is_zero() => "0 s".into(),
        0 => format!("{} ms", length.subsec_millis()),
        1..60 => format!("{seconds}.{} s", length.subsec_millis() / 100),
        60..3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {:02}m", seconds / 3_600, seconds / 60 % 60),
        86_400.. => format!("{}d {:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// The text in at most `max_chars` characters; what is cut off becomes `…`, and so do spaces before.
#[must_use]
pub fn clip(text: &str, max_chars: usize) -> String {
    if text.chars().nth(max_chars).is_none() {
        return text.into();
    }
    let Some(kept) = max_chars.checked_sub(1) else {
        return String::new();
    };
    let mut clipped: String = text.chars().take(kept).collect();
    clipped.truncate(clipped.trim_end().len());
    clipped.push('…');
    clipped
}

/// The first `max_chars` characters: for what is to be written as it stands.
#[must_use]
pub fn beginning(text: &str, max_chars: usize) -> String {
    text.chars().take(max_chars).collect()
}

/// Characters of a command's first line: enough to see which command it is.
const COMMAND_LINE: usize = 200;

/// A command where one line is all there is: its first line in backticks, and how many more it has.
#[must_use]
pub fn command_line(command: &str) -> String {
    let mut lines = command.trim().lines();
    let first = clip(lines.next().unwrap_or_default(), COMMAND_LINE);
    match lines.count() {
        0 => format!("`{first}`"),
        more => format!("`{first}` + {}", plural(more, "line")),
    }
}

/// More bytes than the line that tells what was left out, its line breaks and the `…` beside it
/// ever take.
const MARKER_BYTES: usize = 64;

/// The text in at most `max_lines` lines and `max_bytes` bytes: its head and its tail, with `… N
/// more lines …` between. Only the head is kept where there is room for less than three lines or
/// 128 bytes.
#[must_use]
pub fn clip_lines(text: &str, max_lines: usize, max_bytes: usize) -> String {
    if text.len() <= max_bytes && text.lines().nth(max_lines).is_none() {
        return text.into();
    }
    if max_lines < 3 || max_bytes < 2 * MARKER_BYTES {
        return clip_head(text, max_lines, max_bytes);
    }
    let room = (max_bytes - MARKER_BYTES) / 2;
    let head_end = head_end(text, (max_lines - 1) / 2, room);
    let tail_start = tail_start(text, max_lines / 2, room).max(head_end);
    let (head, left_out, tail) = (
        &text[..head_end],
        &text[head_end..tail_start],
        &text[tail_start..],
    );
    let head_is_cut = !head.is_empty() && !head.ends_with('\n');
    let tail_is_cut = !left_out.is_empty() && !left_out.ends_with('\n');
    let marker = marker(left_out, head_is_cut, tail_is_cut);
    let head = head.strip_suffix('\n').unwrap_or(head);
    let (after_head, before_tail) = (
        if head_is_cut { "…" } else { "" },
        if tail_is_cut { "…" } else { "" },
    );
    format!("{head}{after_head}\n{marker}\n{before_tail}{tail}")
}

/// What was left out: whole lines, or characters where it is less than a line.
fn marker(left_out: &str, head_is_cut: bool, tail_is_cut: bool) -> String {
    let mut whole = left_out;
    if head_is_cut {
        whole = whole.split_once('\n').map_or("", |(_, rest)| rest);
    }
    if tail_is_cut {
        whole = whole.rsplit_once('\n').map_or("", |(before, _)| before);
    }
    match whole.lines().count() {
        0 => format!("… {} …", plural(left_out.chars().count(), "more character")),
        lines => format!("… {} …", plural(lines, "more line")),
    }
}

fn clip_head(text: &str, max_lines: usize, max_bytes: usize) -> String {
    let Some(room) = max_bytes.checked_sub('…'.len_utf8()) else {
        return String::new();
    };
    if max_lines == 0 {
        return String::new();
    }
    let end = end_of_lines(text, max_lines).min(floor_boundary(text, room));
    format!("{}…", text[..end].trim_end_matches('\n'))
}

/// The last place at or before `at` where a character begins, or the end of the text.
fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The first place at or behind `at` where a character begins, or the end of the text.
fn ceil_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

/// Where the first `lines` lines end, behind the line break.
fn end_of_lines(text: &str, lines: usize) -> usize {
    text.split_inclusive('\n').take(lines).map(str::len).sum()
}

/// Where the head ends: at the end of a line, but for a line that is too long for the room there
/// is.
fn head_end(text: &str, lines: usize, room: usize) -> usize {
    let end = end_of_lines(text, lines);
    if end <= room {
        return end;
    }
    let end = floor_boundary(text, room);
    match text[..end].rfind('\n') {
        Some(at) if at >= room / 2 => at + 1,
        _ => end,
    }
}

/// Where the tail starts: at the start of a line, but for a line that is too long for the room
/// there is.
fn tail_start(text: &str, lines: usize, room: usize) -> usize {
    let size: usize = text
        .split_inclusive('\n')
        .rev()
        .take(lines)
        .map(str::len)
        .sum();
    if size <= room {
        return text.len() - size;
    }
    let start = ceil_boundary(text, text.len().saturating_sub(room));
    match text[start..].find('\n') {
        Some(at) if at <= room / 2 => start + at + 1,
        _ => start,
    }
}

#[cfg(test)]
mod tests;
