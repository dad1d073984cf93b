//! The title of a pull request, in plain words.

use super::{About, PullText, landed};
use crate::report::ink;
use crate::text::{self, ForgeKind};

/// The most characters of a title; GitHub takes 256.
const TITLE: usize = 120;

/// One line.
#[must_use]
pub fn title(text: &PullText<'_>) -> String {
    let partial = if text.view.verdict == Some(crate::fact::RunVerdict::Ready) {
        ""
    } else {
        " (partial)"
    };
    let forge = text.request.forge;
    let words = match (text.about, &text.request.pull) {
        (About::Task { task, .. }, _) => format!("{}{partial}", task.name),
        (About::Run, Some(pull)) => match landed(text.view).as_slice() {
            [(only, _)] => format!("{}{partial} (for {})", only.name, forge.pull(pull.number)),
            _ => format!(
                "omk: {}{partial} (for {})",
                text.view.plan,
                forge.pull(pull.number)
            ),
        },
        (About::Run, None) => match landed(text.view).as_slice() {
            [(only, _)] => format!("{}{partial}", only.name),
            tasks => format!(
                "omk: {}{partial}, {}",
                text.view.plan,
                text::plural(tasks.len(), "task")
            ),
        },
    };
    // A title is plain text, but `#12` and `@name` in it refer; only our own reference may.
    let own = text
        .request
        .pull
        .as_ref()
        .map(|pull| format!("(for {})", forge.pull(pull.number)));
    let line = ink::line(&words, TITLE);
    match own.and_then(|own| Some((line.strip_suffix(own.as_str())?.to_owned(), own))) {
        Some((rest, own)) if matches!(text.about, About::Run) => {
            format!("{}{own}", plain(forge, &rest))
        }
        Some(_) | None => plain(forge, &line),
    }
}

/// Without what refers to people or things: titles know no escapes, so a blank goes between. What a
/// title of GitLab's says that it closes is closed, by an address too.
fn plain(forge: ForgeKind, line: &str) -> String {
    let refers = match forge {
        ForgeKind::GitHub => "@#",
        ForgeKind::GitLab => "@#!~%$&",
    };
    let mut out = String::with_capacity(line.len());
    for (at, next) in line.char_indices() {
        let rest = &line[at + next.len_utf8()..];
        let follower = rest.chars().next().unwrap_or(' ');
        if forge == ForgeKind::GitLab
            && next == '-'
            && follower.is_ascii_digit()
            && ends_like_a_forge(&out)
        {
            out.push(' ');
        }
        out.push(next);
        let refers = refers.contains(next) && (follower.is_alphanumeric() || follower == '"');
        let leads = match next {
            ':' => rest.starts_with("//"),
            '[' => {
                follower.is_ascii_lowercase()
                    && rest
                        .split(']')
                        .next()
                        .is_some_and(|inside| inside.contains(':'))
            }
            _ => false,
        };
        if refers || (forge == ForgeKind::GitLab && leads) {
            out.push(' ');
        }
    }
    out
}

/// `GL-12` is an issue to GitLab, and `GH-12` may be.
fn ends_like_a_forge(text: &str) -> bool {
    let end: String = text
        .chars()
        .rev()
        .take(2)
        .map(|one| one.to_ascii_lowercase())
        .collect();
    matches!(end.as_str(), "lg" | "hg")
}
