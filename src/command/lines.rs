//! The lines of a comment that a person wrote to omk.
//!
//! A line counts only if its `/omk` is the plain text of a paragraph or list item. What is allowed
//! is listed, so anything that Markdown learns later does not count.

use std::ops::Range;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::history;
use super::html::OpenElements;

/// A line that speaks to omk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AddressedLine<'t> {
    /// Counted from 1.
    pub(super) number: usize,
    /// Without its end.
    pub(super) text: &'t str,
}

/// What every such line begins with, after up to three spaces.
const NAME: &str = "/omk";

/// All lines that speak to omk, in order.
pub(super) fn spoken(body: &str) -> Vec<AddressedLine<'_>> {
    let candidates = candidates(body);
    if candidates.is_empty() {
        return Vec::new();
    }
    let written = written(body);
    let mut written = written.iter().peekable();
    let mut spoken = Vec::new();
    for (at, line) in candidates {
        // Both are in the order of the text.
        while written.peek().is_some_and(|range| range.end <= at) {
            written.next();
        }
        if written
            .peek()
            .is_some_and(|range| range.start <= at && at + NAME.len() <= range.end)
        {
            spoken.push(line);
        }
    }
    spoken
}

/// Lines that look like it, and where their `/omk` is.
fn candidates(body: &str) -> Vec<(usize, AddressedLine<'_>)> {
    let body = &body[..history::start(body)];
    let mut found = Vec::new();
    let mut quoted: Option<usize> = None;
    for (index, line) in history::lines(body).enumerate() {
        let (start, text) = line;
        match (quote_fence(text), quoted) {
            (Some(length), None) => quoted = Some(length),
            (Some(length), Some(open)) if length >= open => quoted = None,
            (Some(_) | None, _) => {}
        }
        if quoted.is_some() {
            continue;
        }
        let said = text.trim_start_matches(' ');
        let indent = text.len() - said.len();
        let Some(rest) = said.strip_prefix(NAME) else {
            continue;
        };
        if indent <= 3 && rest.chars().next().is_none_or(char::is_whitespace) {
            found.push((
                start + indent,
                AddressedLine {
                    number: index + 1,
                    text: text.trim_end(),
                },
            ));
        }
    }
    found
}

/// GitLab quotes what is between two lines of `>>>`, or more of them; without the second, all that
/// follows.
fn quote_fence(line: &str) -> Option<usize> {
    let fence = line.trim();
    (fence.len() >= 3 && fence.bytes().all(|byte| byte == b'>')).then_some(fence.len())
}

/// The ranges of plain text, in order.
fn written(body: &str) -> Vec<Range<usize>> {
    let options = Options::from_iter([
        Options::ENABLE_TABLES,
        Options::ENABLE_FOOTNOTES,
        Options::ENABLE_STRIKETHROUGH,
        Options::ENABLE_TASKLISTS,
        Options::ENABLE_GFM,
    ]);
    let mut written = Vec::new();
    // Tags around the text that are not paragraphs, lists and items.
    let mut others = 0_usize;
    let mut html = OpenElements::default();
    for (event, range) in Parser::new_ext(body, options).into_offset_iter() {
        match event {
            Event::Start(tag) => {
                html.enter(&tag);
                if let Tag::HtmlBlock = tag {
                    html.block(&body[range]);
                }
                others += usize::from(!is_plain(&tag.to_end()));
            }
            Event::End(tag) => {
                html.leave(&tag);
                others -= usize::from(!is_plain(&tag));
            }
            Event::InlineHtml(tag) => html.inline(&tag),
            Event::Text(_) if others == 0 && html.is_none() => written.push(range),
            _ => {}
        }
    }
    written
}

fn is_plain(tag: &TagEnd) -> bool {
    matches!(tag, TagEnd::Paragraph | TagEnd::List(_) | TagEnd::Item)
}

#[cfg(test)]
mod tests;
