//! Tests of `text::markup`.

use super::*;

#[test]
fn html_is_shown_not_obeyed() {
    assert_eq!(
        escape_html("<a href=\"x\">'&'</a>"),
        "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;"
    );
}

#[test]
fn what_cannot_be_seen_is_spelled_out() {
    let check = |text, expect: &str| assert_eq!(escape_invisible(text), expect);
    check("a\u{202e}b\u{200b}c\u{feff}", "a[U+202E]b[U+200B]c[U+FEFF]");
    check("tag\u{e0041}\u{ad}", "tag[U+E0041][U+00AD]");
    check("esc\x1b[1m\n\tä日本", "esc[U+001B][1m\n\tä日本");
    check("❤\u{fe0f}\u{fe0f}", "❤\u{fe0f}[U+FE0F]");
}

#[test]
fn markdown_is_shown_not_obeyed() {
    let check = |text, expect: &str| assert_eq!(escape_markdown(text), expect);
    check(
        "# a *b* `c` [d](e) <b> & | x_y_z",
        "\\# a \\*b\\* \\`c\\` \\[d\\](e) \\<b\\> \\& \\| x\\_y\\_z",
    );
    check(
        "- a\n+ b\n12. c\n    code\na - b. c",
        "\\- a\n\\+ b\n12\\. c\ncode\na - b. c",
    );
    check("a\r# b", "a\r\\# b");
    check("a\n===\n---\n:---", "a\n\\===\n\\---\n\\:---");
}

#[test]
fn nobody_is_called_and_nothing_closed() {
    let check = |text, expect: &str| assert_eq!(defuse_mentions(text), expect);
    check(
        "@everyone, @org/team",
        "@<!-- -->everyone, @<!-- -->org/team",
    );
    check(
        "fixes #12, !3 and GH-4",
        "fixes #<!-- -->12, !<!-- -->3 and GH<!-- -->-4",
    );
    check("/close\n  /merge a/b\n/ x", "\\/close\n  \\/merge a/b\n/ x");
    check("a @ b # c", "a @ b # c");
    check("@_x", "@<!-- -->_x");
    check(
        "~bug %v1 %\"a b\" $3 &4 GL-5",
        "~<!-- -->bug %<!-- -->v1 %<!-- -->\"a b\" $<!-- -->3 &<!-- -->4 GL<!-- -->-5",
    );
    check(
        "[issue:1] [a](b) [TOC]",
        "[<!-- -->issue:1] [a](b) [<!-- -->TOC]",
    );
    check("100 % of $x ~ 5", "100 % of $x ~ 5");
    assert_eq!(
        inert_markdown("[work_item:7]"),
        "\\[<!-- -->work\\_item:7\\]"
    );
    assert_eq!(inert_markdown("[[_TOC_]]"), "\\[\\[<!-- -->\\_TOC\\_\\]\\]");
    check(
        "closes https://x.test/a/-/issues/1",
        "closes https:<!-- -->//x.test/a/-/issues/1",
    );
    assert_eq!(inert_markdown("$x$ costs $5"), "\\$x\\$ costs \\$<!-- -->5");
    assert_eq!(
        inert_markdown("@_x_ closes #1"),
        "@<!-- -->\\_x\\_ closes #<!-- -->1"
    );
}

#[test]
fn a_fence_cannot_be_closed_from_within() {
    assert_eq!(fenced("a\n```\n@x"), "````text\na\n```\n@x\n````\n");
    assert_eq!(fenced(""), "```text\n```\n");
}

#[test]
fn a_line_of_a_log_is_no_quick_action_whatever_fence_is_seen_around_it() {
    let log = "a\n```\n/close\n/label ~bug\n/usr/bin/cc: error\n/omk run\n/";
    assert_eq!(
        fenced(log),
        "````text\na\n```\n /close\n /label ~bug\n/usr/bin/cc: error\n/omk run\n/\n````\n"
    );
}
