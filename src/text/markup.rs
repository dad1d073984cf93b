//! Text made inert for Markdown and HTML: it is shown as it is, notifies nobody, and hides nothing.
//!
//! It refuses to let any formatting of the author through.

use std::fmt::Write as _;

/// What breaks a reference: GitHub and GitLab both look for references in the text between tags,
/// show no comment, and do not join the texts around one.
const BREAK: &str = "<!-- -->";

/// Text for HTML, inside elements and quoted attributes.
#[must_use]
pub fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for next in text.chars() {
        match next {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            plain => out.push(plain),
        }
    }
    out
}

/// The text with what cannot be seen, or turns the direction of others, spelled out as `[U+202E]`;
/// control characters too, but for line breaks and tabs. An emoji keeps its one variation selector.
#[must_use]
pub fn escape_invisible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = '\u{fe0f}';
    for next in text.chars() {
        let is_emoji_style = next == '\u{fe0f}' && before != '\u{fe0f}' && !before.is_whitespace();
        if is_invisible(next) && !is_emoji_style {
            let _ = write!(out, "[U+{:04X}]", u32::from(next));
        } else {
            out.push(next);
        }
        before = next;
    }
    out
}

fn is_invisible(found: char) -> bool {
    match found {
        '\n' | '\t' => false,
        control if control.is_control() => true,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' => true,
        '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' => true,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => true,
        '\u{fe00}'..='\u{fe0f}' | '\u{fff9}'..='\u{fffb}' => true,
        '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}' => true,
        _ => false,
    }
}

/// Text for Markdown that shows as it is written, but for indentation. Goes before
/// [`defuse_mentions`].
#[must_use]
pub fn escape_markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for line in text.split_inclusive(['\n', '\r']) {
        // Four blanks would make a block of code, in which nothing is escaped.
        let body = line.trim_start_matches([' ', '\t']);
        let digits = body.len()
            - body
                .trim_start_matches(|digit: char| digit.is_ascii_digit())
                .len();
        for (at, next) in body.char_indices() {
            let special = match next {
                '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '&' | '|' | '~' | '$' => true,
                '#' | '+' | '-' | '=' | ':' => at == 0,
                '.' | ')' => at > 0 && at == digits,
                _ => false,
            };
            if special {
                out.push('\\');
            }
            out.push(next);
        }
    }
    out
}

/// Markdown that refers to nobody and nothing, and gives GitLab no quick action: `@name`, `#12`,
/// `!12`, `$12`, `&12`, `~label`, `%milestone`, `[issue:12]`, `GH-12`, `GL-12` and addresses are
/// broken up by an empty HTML comment, and a line's leading `/word` is escaped. Everything else
/// stays Markdown.
#[must_use]
pub fn defuse_mentions(markdown: &str) -> String {
    let mut out = String::with_capacity(markdown.len());
    let mut at_line_start = true;
    let mut last_two = (' ', ' ');
    for (at, next) in markdown.char_indices() {
        let rest = &markdown[at + next.len_utf8()..];
        let follower = rest.chars().next().unwrap_or(' ');
        if next == '/' && at_line_start && follower.is_alphabetic() {
            out.push('\\');
        }
        if next == '-' && follower.is_ascii_digit() && is_issue_prefix(last_two) {
            out.push_str(BREAK);
        }
        out.push(next);
        let refers = match next {
            '@' => follower.is_alphanumeric() || matches!(follower, '_' | '-' | '\\'),
            '#' | '!' | '$' | '&' => follower.is_ascii_digit(),
            '~' | '%' => follower.is_alphanumeric() || follower == '"',
            '[' => is_bracket_reference(rest),
            // `closes https://…/issues/3` closes it.
            ':' => rest.starts_with("//"),
            _ => false,
        };
        if refers {
            out.push_str(BREAK);
        }
        at_line_start = next == '\n' || next == '\r' || (at_line_start && next.is_whitespace());
        last_two = (last_two.1, next);
    }
    out
}

/// `GH-12` is an issue to GitHub, `GL-12` to GitLab.
fn is_issue_prefix((first, second): (char, char)) -> bool {
    first.eq_ignore_ascii_case(&'g') && matches!(second, 'h' | 'H' | 'l' | 'L')
}

/// What follows a bracket in GitLab's `[issue:12]`, `[work_item:12]`, `[feature_flag:12]` and the
/// like, and in its `[TOC]`. An underscore may be escaped.
fn is_bracket_reference(rest: &str) -> bool {
    let word = rest
        .trim_start_matches(|next: char| next.is_ascii_lowercase() || next == '_' || next == '\\');
    let kind = &rest[..rest.len() - word.len()];
    let title = rest.trim_start_matches(['\\', '_']);
    (!kind.is_empty() && word.starts_with(':')) || title.starts_with("TOC")
}

/// Hostile text for a paragraph or list item of a comment, shown as it is and inert. For a table's
/// cell its lines are to be joined before.
#[must_use]
pub fn inert_markdown(text: &str) -> String {
    defuse_mentions(&escape_markdown(&escape_invisible(text)))
}

/// Hostile text as a block of code: its fence is longer than any run of backticks within. Ends with
/// a line break. A line that could be a quick action gets a blank in front: some versions of GitLab
/// look for them without knowing every fence.
#[must_use]
pub fn fenced(text: &str) -> String {
    let text = escape_invisible(text);
    let longest = text
        .split(|next| next != '`')
        .map(str::len)
        .max()
        .unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let end = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    let mut shown = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        if is_quick_action(line) {
            shown.push(' ');
        }
        shown.push_str(line);
    }
    format!("{fence}text\n{shown}{end}{fence}\n")
}

/// `/close`, `/label ~bug`; not `/usr/bin/cc: error`, and not our own `/omk`, which is none.
fn is_quick_action(line: &str) -> bool {
    let Some(word) = line
        .strip_prefix('/')
        .and_then(|rest| rest.split(char::is_whitespace).next())
    else {
        return false;
    };
    !word.is_empty()
        && word != "omk"
        && word
            .chars()
            .all(|next| next.is_ascii_alphanumeric() || next == '_')
}

#[cfg(test)]
mod tests;
