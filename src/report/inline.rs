//! Words of others inside a line of Markdown: inert, in code, or as a link.
//!
//! It refuses line breaks, and links to anywhere but the web.

use super::ink;
use crate::text;

/// Hostile text as one inert line of at most `most` characters and `2 * most` bytes after escaping.
pub(super) fn inert(text: &str, most: usize) -> String {
    let mut kept = most;
    loop {
        let shown = text::inert_markdown(&ink::line(text, kept));
        // Escaping makes a character many; words have room enough, and what is worse is shortened.
        if shown.len() <= 2 * most || kept == 0 {
            return shown;
        }
        kept /= 2;
    }
}

/// Hostile text as a span of code, in which nobody is mentioned: one line of at most `most`
/// characters.
pub(super) fn code(text: &str, most: usize) -> String {
    let line = ink::line(text, most);
    let longest = line
        .split(|next| next != '`')
        .map(str::len)
        .max()
        .unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let edge = if line.starts_with('`') || line.ends_with('`') {
        " "
    } else {
        ""
    };
    if line.is_empty() {
        "` `".to_owned()
    } else {
        format!("{fence}{edge}{line}{edge}{fence}")
    }
}

/// A list of names as code: `a`, `b` and 3 more.
pub(super) fn codes<S: AsRef<str>>(names: &[S], most: usize) -> String {
    let mut words: Vec<String> = names
        .iter()
        .take(most)
        .map(|name| code(name.as_ref(), 80))
        .collect();
    if names.len() > most {
        words.push(format!("{} more", names.len() - most));
    }
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        Some((only, _)) => only.clone(),
        None => String::new(),
    }
}

/// A link, or its words alone where the address is none of the web.
pub(super) fn link(words: &str, url: &str) -> String {
    let web = url.starts_with("https://") || url.starts_with("http://");
    let plain = url
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"<>()[]\\`\"'|".contains(&byte));
    if web && plain && url.len() <= 2_000 {
        format!("[{words}]({url})")
    } else {
        words.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_cannot_be_left() {
        let check = |text, expect: &str| assert_eq!(code(text, 40), expect);
        check("ann", "`ann`");
        check("@everyone", "`@everyone`");
        check("a`b``c", "```a`b``c```");
        check("`x", "`` `x ``");
        check("a\nb\u{202e}", "`a b[U+202E]`");
        check("", "` `");
    }

    #[test]
    fn only_addresses_of_the_web_are_links() {
        assert_eq!(
            link("run", "https://github.com/a/b/actions/runs/1"),
            "[run](https://github.com/a/b/actions/runs/1)"
        );
        for url in [
            "javascript:alert(1)",
            "https://x/)[y](z",
            "https://x/ y",
            "https://x/\u{202e}",
        ] {
            assert_eq!(link("run", url), "run");
        }
    }

    #[test]
    fn long_lists_are_counted() {
        assert_eq!(codes(&["a"], 3), "`a`");
        assert_eq!(codes(&["a", "b"], 3), "`a` and `b`");
        assert_eq!(codes(&["a", "b", "c", "d"], 2), "`a`, `b` and 2 more");
    }
}
