//! Paths and globs of a plan: relative to the repository, and never out of it.
//!
//! It refuses to look whether anything is there.

use super::field::Field;
use crate::glob::{BadGlob, Glob};
use crate::id::RepoPath;
use crate::plan::complaint::{Critic, quoted};

/// A list of globs.
pub(super) fn globs(field: Field<'_>, critic: &mut Critic<'_>) -> Option<Vec<Glob>> {
    field.list(critic, glob)
}

fn glob(item: Field<'_>, critic: &mut Critic<'_>) -> Option<Glob> {
    let text = item.text(critic)?;
    if leads_out(item, &text, &['/', '{', '}', ','], critic) {
        return None;
    }
    text.parse()
        .map_err(|BadGlob { reason, next }| {
            critic
                .say(
                    item.node.at,
                    format!("{} is not a glob: {reason}", quoted(&text)),
                )
                .advise(next.unwrap_or("the wildcards are `**`, `*`, `?`, `{a,b}` and `[a-z]`"));
        })
        .ok()
}

/// The path of a file, or a glob for several.
pub(super) fn file_or_glob(item: Field<'_>, critic: &mut Critic<'_>) -> Option<Glob> {
    let text = item.text(critic)?;
    if text.contains(['*', '?', '[', '{', '\\']) {
        return glob(item, critic);
    }
    let path = path(item, critic)?;
    RepoPath::from_bytes(path.as_bytes()).map(|path| Glob::literal(&path))
}

/// A path without wildcards, without `./` before and `/` after it.
pub(super) fn path(field: Field<'_>, critic: &mut Critic<'_>) -> Option<String> {
    let text = field.text(critic)?;
    if leads_out(field, &text, &['/'], critic) {
        return None;
    }
    let mut short = text.as_str();
    while let Some(rest) = short.strip_prefix("./") {
        short = rest;
    }
    let short = short.trim_end_matches('/');
    if RepoPath::from_bytes(short.as_bytes()).is_none() {
        critic
            .say(
                field.node.at,
                format!("{} is not a path inside the repository", quoted(&text)),
            )
            .advise("write it like `target` or `target/junit.xml`");
        return None;
    }
    if short
        .split('/')
        .any(|part| part.eq_ignore_ascii_case(".git"))
    {
        critic
            .say(field.node.at, format!("{} is git's own", quoted(&text)))
            .advise("choose another path");
        return None;
    }
    Some(short.to_owned())
}

/// Complains of a path that is empty, absolute or leads upwards.
fn leads_out(field: Field<'_>, text: &str, separators: &[char], critic: &mut Critic<'_>) -> bool {
    let drive =
        matches!(text.as_bytes(), [letter, b':', b'/' | b'\\', ..] if letter.is_ascii_alphabetic());
    let (what, hint) = if text.is_empty() {
        (
            format!("a path of `{}` is empty", field.key),
            "write a path, or remove it",
        )
    } else if text.starts_with('/') || drive {
        (
            format!("the path {} is absolute", quoted(text)),
            "write it from the root of the repository, without `/` before it",
        )
    } else if text.split(separators).any(|part| part == "..") {
        (
            format!("the path {} leads upwards", quoted(text)),
            "write it from the root of the repository, without `..`",
        )
    } else {
        return false;
    };
    critic.say(field.node.at, what).advise(hint);
    true
}
