//! What omk says back to a comment: what was done or not, why, and what next.
//!
//! One comment gets one [`Reply`], of as many parts as it needs; each part is a pure function in
//! [`answer`], [`refuse`] or [`show`], in the words of the forge where it is read, and short, or
//! folded. Nothing notifies anybody, and nothing that others wrote is obeyed as Markdown. It
//! refuses to scrub secrets: what comes from children or errors goes through `Scrubber::scrub`
//! before it is handed here.

pub mod answer;
pub mod refuse;
pub mod show;

use crate::text::{self, ForgeKind};

/// The most bytes of a reply. GitHub takes 65,536 characters.
const LIMIT: usize = 60_000;

/// The most characters of somebody's word in a sentence.
const WORD: usize = 120;

/// The most characters of somebody's sentence: an error with its causes.
const SENTENCE: usize = 400;

/// What makes a reply known again, so that no comment gets a second one. It is hidden, and decides
/// nothing.
#[must_use]
pub fn reply_marker(comment: u64) -> String {
    format!("<!-- omk:reply:{comment} -->")
}

/// What is said back to one comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    forge: ForgeKind,
    comment: u64,
    login: Option<String>,
    parts: Vec<String>,
}

impl Reply {
    /// A reply to the comment of that number by `login`, who is named but not notified; `None`
    /// where the account is gone.
    #[must_use]
    pub fn to(forge: ForgeKind, comment: u64, login: Option<&str>) -> Self {
        Self {
            forge,
            comment,
            login: login.map(str::to_owned),
            parts: Vec::new(),
        }
    }

    /// The forge whose words it is in.
    #[must_use]
    pub fn forge(&self) -> ForgeKind {
        self.forge
    }

    /// Adds what one of the functions in this room says.
    pub fn say(&mut self, part: String) -> &mut Self {
        if !part.is_empty() {
            self.parts.push(part);
        }
        self
    }

    /// Whether there is nothing to say. Then nothing is to be written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// As Markdown with the marker, at most 60,000 bytes; parts for which there is no room are
    /// counted.
    #[must_use]
    pub fn render(&self) -> String {
        let mut out = format!("{}\n", reply_marker(self.comment));
        if let Some(login) = &self.login {
            out.push_str(&format!("To {}:\n", code(login)));
        }
        for (at, part) in self.parts.iter().enumerate() {
            if out.len() + part.len() > LIMIT {
                let more = self.parts.len() - at;
                out.push_str(&format!(
                    "\n{} left out: the reply is too long.\n",
                    text::plural(more, "answer")
                ));
                break;
            }
            out.push_str(&format!("\n{}\n", part.trim_end()));
        }
        out
    }
}

/// Hostile text as a piece of code in a sentence: one line, clipped, shown as it is.
fn code(said: &str) -> String {
    let line = text::clip(
        &text::escape_invisible(said).replace(['\n', '\t', '\r'], " "),
        WORD,
    );
    let line = line.trim();
    if line.is_empty() {
        return "(nothing)".to_owned();
    }
    let longest = line.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let ticks = "`".repeat(longest + 1);
    // A blank keeps a backtick at the edge apart from those that begin the code.
    let gap = if line.starts_with('`') || line.ends_with('`') {
        " "
    } else {
        ""
    };
    format!("{ticks}{gap}{line}{gap}{ticks}")
}

/// Hostile text as a part of a sentence: one line, clipped, without a full stop at its end.
fn inert(said: &str) -> String {
    let line = text::clip(&said.replace(['\n', '\t', '\r'], " "), SENTENCE);
    text::inert_markdown(line.trim().trim_end_matches('.'))
}

/// A link of the forge's own; an address that is none is shown as text.
fn link(words: &str, url: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'*+,;=%".contains(c);
    if (url.starts_with("https://") || url.starts_with("http://")) && url.chars().all(plain) {
        format!("[{words}](<{url}>)")
    } else {
        words.to_owned()
    }
}

/// Text under a line that unfolds it.
fn folded(summary: &str, body: &str) -> String {
    format!(
        "<details><summary>{}</summary>\n\n{}\n\n</details>\n",
        text::escape_html(summary),
        body.trim_end()
    )
}

/// A sign, what happened, and what follows from it.
fn told(sign: &str, what: &str, why: &str, next: &str) -> String {
    let paragraphs: Vec<&str> = [why, next]
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect();
    format!("{sign} **{what}**\n\n{}\n", paragraphs.join("\n\n"))
}

#[cfg(test)]
mod tests;
