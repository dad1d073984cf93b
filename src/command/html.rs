//! Which HTML elements are open around a piece of Markdown.
//!
//! Text inside an element is not meant for omk: it may be folded or hidden. It refuses to be a
//! parser of HTML: it looks for tags, and what is opened and never closed stays open until the
//! block around it ends.

use pulldown_cmark::{Tag, TagEnd};

/// Elements that have no end, and `p`, which Markdown's own paragraphs end.
const ENDLESS: [&str; 15] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "p", "param",
    "source", "track", "wbr",
];

/// Elements that a paragraph cannot hold, so that they go on behind it even where they begin in its
/// text.
const OUTLIVE: [&str; 32] = [
    "article",
    "aside",
    "blockquote",
    "center",
    "details",
    "dialog",
    "div",
    "dl",
    "fieldset",
    "figure",
    "footer",
    "form",
    "header",
    "iframe",
    "main",
    "nav",
    "noembed",
    "noframes",
    "noscript",
    "ol",
    "plaintext",
    "pre",
    "script",
    "section",
    "select",
    "style",
    "table",
    "template",
    "textarea",
    "title",
    "ul",
    "xmp",
];

/// Open elements that are counted; nobody who writes for people has so many. More of them stay open
/// for ever.
const MOST: usize = 256;

/// The open elements, and where the blocks around them began.
#[derive(Debug, Default)]
pub(super) struct OpenElements {
    elements: Vec<HtmlElement>,
    /// How many were open when each quote, list or item that is open now began.
    blocks: Vec<usize>,
    too_many: bool,
}

#[derive(Debug)]
struct HtmlElement {
    name: String,
    /// Whether the end of a paragraph ends it.
    in_text: bool,
}

/// Where a tag was found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TagPlace {
    Block,
    Text,
}

impl OpenElements {
    pub(super) fn is_none(&self) -> bool {
        self.elements.is_empty() && !self.too_many
    }

    /// A part of the Markdown begins.
    pub(super) fn enter(&mut self, tag: &Tag<'_>) {
        if holds_blocks(&tag.to_end()) {
            self.blocks.push(self.elements.len());
        }
    }

    /// It ends, and with it what was opened within: an end tag of HTML ends all that it holds.
    pub(super) fn leave(&mut self, tag: &TagEnd) {
        if holds_blocks(tag) {
            let before = self.blocks.pop().unwrap_or(0);
            self.elements.truncate(before);
        } else if matches!(tag, TagEnd::Paragraph | TagEnd::Heading(_)) {
            self.elements.retain(|element| !element.in_text);
        }
    }

    /// A whole block of HTML.
    pub(super) fn block(&mut self, html: &str) {
        tags(html, |closes, name| self.tag(closes, name, TagPlace::Block));
    }

    /// A tag, or a comment, in text.
    pub(super) fn inline(&mut self, html: &str) {
        tags(html, |closes, name| self.tag(closes, name, TagPlace::Text));
    }

    fn tag(&mut self, closes: Closes, name: &str, place: TagPlace) {
        let name = name.to_ascii_lowercase();
        if ENDLESS.contains(&name.as_str()) {
            return;
        }
        match closes {
            Closes::No if self.elements.len() == MOST => self.too_many = true,
            Closes::No => {
                let in_text = place == TagPlace::Text && !OUTLIVE.contains(&name.as_str());
                self.elements.push(HtmlElement { name, in_text });
            }
            Closes::Yes => {
                // Nothing in a quote or item can end what began outside.
                let first = self.blocks.last().copied().unwrap_or(0);
                let inner = self.elements.get(first..).unwrap_or_default();
                if let Some(at) = inner.iter().rposition(|element| element.name == name) {
                    self.elements.truncate(first + at);
                }
            }
        }
    }
}

fn holds_blocks(tag: &TagEnd) -> bool {
    matches!(
        tag,
        TagEnd::BlockQuote(_)
            | TagEnd::List(_)
            | TagEnd::Item
            | TagEnd::FootnoteDefinition
            | TagEnd::Table
            | TagEnd::TableHead
            | TagEnd::TableRow
            | TagEnd::TableCell
    )
}

/// Whether a tag begins an element or ends one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Closes {
    Yes,
    No,
}

/// Calls `take` for each tag, in order. Comments and the like are no tags.
fn tags(html: &str, mut take: impl FnMut(Closes, &str)) {
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let hidden = [("!--", "-->"), ("![CDATA[", "]]>"), ("?", "?>"), ("!", ">")];
        if let Some((begin, end)) = hidden
            .into_iter()
            .find(|(begin, _)| rest.starts_with(begin))
        {
            let body = &rest[begin.len()..];
            rest = body.find(end).map_or("", |at| &body[at..]);
            continue;
        }
        let (closes, named) = rest
            .strip_prefix('/')
            .map_or((Closes::No, rest), |named| (Closes::Yes, named));
        if !named.starts_with(|c: char| c.is_ascii_alphabetic()) {
            continue;
        }
        let length = named
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
            .unwrap_or(named.len());
        take(closes, &named[..length]);
        rest = behind_attributes(&named[length..]);
    }
}

/// What follows the attributes of a tag, from its `>` on; there may be others in quotes before.
fn behind_attributes(rest: &str) -> &str {
    let mut quote = None;
    for (at, next) in rest.bytes().enumerate() {
        match (next, quote) {
            (b'>', None) => return &rest[at..],
            (b'"' | b'\'', None) => quote = Some(next),
            (_, Some(open)) if next == open => quote = None,
            (_, _) => {}
        }
    }
    ""
}
