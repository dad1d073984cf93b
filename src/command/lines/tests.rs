//! What is text, and what only looks like it.

use proptest::strategy::Strategy as _;

use crate::command::{plan_of, read};

/// The lines that speak to omk, as numbers.
fn lines(body: &str) -> Vec<usize> {
    read(body).iter().map(|found| found.line).collect()
}

#[test]
fn a_command_is_a_line_of_plain_text() {
    let check = |body: &str, expect: &[usize]| assert_eq!(lines(body), expect, "{body:?}");
    check("/omk run", &[1]);
    check("Please:\n/omk run\nthanks", &[2]);
    check("one\r\n\r\n   /omk run\r\n\r\n/omk plan\r\n", &[3, 5]);
    check("one\r\r/omk run\r", &[3]);
    check("- a list\n  /omk run\n\n  /omk plan\n- more", &[2, 4]);
    check("1. > quote\n\n   /omk run", &[3]);
    check("see /omk run", &[]);
    check("- /omk run", &[]);
    check("/omk-run", &[]);
    check("/omkrun", &[]);
    check("/OMK run", &[]);
    check("/omk", &[1]);
    check("    /omk run", &[]);
    check("\t/omk run", &[]);
    check("text\n    /omk run", &[]);
    check("\u{200b}/omk run", &[]);
    check("\u{feff}/omk run", &[]);
    check("\u{a0}/omk run", &[]);
    check("\u{ff0f}omk run", &[]);
    check("/\u{200b}omk run", &[]);
    check("/omk\u{200b} run", &[]);
    check("\\/omk run", &[]);
    check("&#47;omk run", &[]);
}

#[test]
fn code_is_no_command() {
    let check = |body: &str, expect: &[usize]| assert_eq!(lines(body), expect, "{body:?}");
    check("```\n/omk run\n```\n/omk plan", &[4]);
    check("~~~~\n/omk run\n~~~\n/omk run", &[]);
    check("```\nnever closed\n\n/omk run", &[]);
    check("- ```\n  /omk run\n  ```\n\n/omk plan", &[5]);
    check("- ```\n/omk plan", &[2]);
    check("a `b\n/omk run\nc` d", &[]);
    check("a ``b\n/omk run\nc` d", &[2]);
    check("text\n\n    code\n\n/omk run", &[5]);
}

#[test]
fn gitlabs_fenced_quotes_are_no_commands() {
    let check = |body: &str, expect: &[usize]| assert_eq!(lines(body), expect, "{body:?}");
    check(">>>\n/omk run\n>>>", &[]);
    check(
        "Look:\n\n>>>  \nplease\n\n/omk run\n\n>>>\n\n/omk plan",
        &[10],
    );
    check(">>>\n\n/omk run", &[]);
    check(
        ">>>>\n>>>\n/omk run\n>>>\n/omk run\n>>>>\n\n/omk plan",
        &[8],
    );
    check("a >>> b\n\n/omk run", &[3]);
    check(">>\n\n/omk run", &[3]);
}

#[test]
fn quotes_are_no_commands() {
    let check = |body: &str, expect: &[usize]| assert_eq!(lines(body), expect, "{body:?}");
    check("> /omk run\n\n/omk plan", &[3]);
    // Markdown takes it for a part of the quote, and so is it shown.
    check("> quoted\n/omk run", &[]);
    check("> - > deep\n/omk run", &[]);
    check("> [!NOTE]\n> /omk run", &[]);
    check("> ```\n/omk run", &[2]);
    check("On Monday, Jane wrote:\n> /omk run\n\n/omk plan", &[4]);
    check(
        "Yes.\n\n-----Original Message-----\nFrom: Jane\n\n/omk run",
        &[],
    );
    check(
        "/omk plan\n\n**From:** Jane\n**Sent:** Monday\n**To:** All\n\n/omk run",
        &[1],
    );
    check(
        "________________\nFrom: Jane\n  <j@example.com>\nDate: Monday\n\nSubject: x\n\n/omk run",
        &[],
    );
    check("From: main\nTo: release\n\n/omk run", &[4]);
    check(
        &format!(
            "From: a point of view\nTo: all\n{}Date: today\n/omk run",
            "words\n".repeat(9)
        ),
        &[13],
    );
    check("From: a point of view\n\nfine\n\n/omk run", &[5]);
}

#[test]
fn html_is_no_command() {
    let check = |body: &str, expect: &[usize]| assert_eq!(lines(body), expect, "{body:?}");
    check("<!--\n/omk run\n-->\n\n/omk plan", &[5]);
    check("<!-- never closed\n\n/omk run", &[]);
    check("text <!-- a\n/omk run\n--> b", &[]);
    check("text <b title=\"\n/omk run\n\"> b", &[]);
    check("text <?a\n/omk run\n?> b", &[]);
    check("text <![CDATA[\n/omk run\n]]> b", &[]);
    check("<div>\n/omk run\n</div>\n\n/omk plan", &[5]);
    check("<details>\n\n/omk run\n\n</details>\n\n/omk plan", &[7]);
    check("<details>\n\n/omk run", &[]);
    check(
        "<details\nopen>\n<summary>a</summary>\n\n/omk run\n\n</details>\n/omk run\n\n/omk plan",
        &[10],
    );
    check(
        "text <details>\n\n/omk run\n\n</details>\n\n/omk plan",
        &[7],
    );
    check("a <b>c\n/omk run\nd</b>", &[]);
    check("<pre>\n\n/omk run\n\n</pre>\n\n/omk plan", &[7]);
    check("> <details>\n\n/omk plan", &[3]);
    check("- <details>\n\n  /omk run\n\n/omk plan", &[5]);
    check("<details>\n\n> </details>\n\n/omk run", &[]);
    check("<details title=\"</details>\">\n\n/omk run", &[]);
    check("<details title=\"a > b\">x</details>\n\n/omk plan", &[3]);
    check("<br title=\"a > <details> b\">x\n\n/omk plan", &[3]);
    check(
        "<br title='\" > <details>' lang=\"' > <div>\">x\n\n/omk plan",
        &[3],
    );
    check("<!-- <b> <details> -->\n\n/omk plan", &[3]);
    check("<!-- <b>-->\n\n/omk plan", &[3]);
    check("text <!----> more\n\n/omk plan", &[3]);
    check("<?x <b> <details> ?>\n\n/omk plan", &[3]);
    check("<br>\n\n/omk plan\n<br>\n/omk status", &[3, 5]);
    check("I like Vec<String>.\n\n/omk plan", &[3]);
    check("A <p>paragraph.\n\n/omk plan", &[3]);
    check("<script>\n\n/omk run\n\n</script>\n\n/omk plan", &[7]);
    check(
        &format!(
            "{}\n\n{}\n\n/omk run",
            "<div>".repeat(300),
            "</div>".repeat(300)
        ),
        &[],
    );
}

#[test]
fn what_is_shown_as_something_else_is_no_command() {
    let check = |body: &str, expect: &[usize]| assert_eq!(lines(body), expect, "{body:?}");
    check("/omk run\n===", &[]);
    check("/omk run\n---\ntext", &[]);
    check("a | b\n- | -\n/omk run | c", &[]);
    check("[a]:\n/omk 'run'\n\n/omk plan", &[4]);
    check("![alt\n/omk run\n](x.png)", &[]);
    check("[text\n/omk run\n](https://example.com)", &[]);
    check("*loud\n/omk run\nloud*", &[]);
    check("~~not\n/omk run\nthis~~", &[]);
    check("[^1]: a note\n/omk run\n\nsee[^1]", &[]);
    check("---\n/omk plan\n\n---", &[2]);
}

/// What parsers find hard is read in time that grows with its size: eight times as much may take
/// sixteen times as long, where a square would be sixty-four. It is the processor's time, so that a
/// busy machine changes nothing.
#[test]
fn hard_comments_are_read_in_linear_time() {
    let hard = [
        "> ",
        "- ",
        "* a\n",
        "[",
        "](",
        "![",
        "`",
        "` `` ",
        "*a **a ",
        "<b>",
        "</b>",
        "<details>\n\n",
        "<!--",
        "<a b='",
        "/omk run\n\n",
        "/omk\n",
        "[a]: b\n",
        "[^1]: a\n",
        "| a ",
        "- - ",
        "1) ",
        "~~a",
        "_a__",
        "\n    ",
        "&amp;",
        "<https://a>",
        "From:\n",
        "\r",
    ];
    for part in hard {
        let time = |size: usize| {
            let body = format!("{}\n\n/omk run\n", part.repeat(size / part.len()));
            (0..2)
                .map(|_| processor_time(|| drop(read(&body))))
                .min()
                .unwrap()
        };
        let (small, large) = (time(1 << 13), time(1 << 16));
        assert!(
            large < 16 * small + std::time::Duration::from_millis(20),
            "{part:?}: {small:?}, then {large:?}"
        );
    }
}

/// Ways to write a line so that it is not shown as text; `{}` is where it goes. Whatever comes
/// before and behind are other paragraphs.
const HIDDEN: [&str; 22] = [
    "```\n{}\n```",
    "```sh\nx\n\n{}\n```",
    "~~~~\n```\n{}\n~~~~",
    "- ```\n  {}\n  ```",
    "- ~~~\n  x\n\n  {}\n  ~~~",
    "    {}",
    "- a\n\n      {}",
    "`a\n{}\nb`",
    "text ``a ` b\n{}\nb``",
    "> {}",
    "> a\n{}",
    "> > a\n> {}",
    "- > a\n  {}",
    "> - a\n> \n>   {}",
    "<!--\n{}\n-->",
    "<!-- a\n\n{}\n\n-->",
    "<div>\n{}\n</div>",
    "<details><summary>a</summary>\n\n{}\n\n</details>",
    "<table><tr><td>\n\n{}\n\n</td></tr></table>",
    "a <span\ntitle='\n{}\n'>b</span>",
    "a <kbd>b\n{}\nc</kbd>",
    "a | b\n- | -\n{} | c",
];

/// Paragraphs that leave nothing open.
const AROUND: [&str; 12] = [
    "",
    "Some words, `code` and a <b>bold</b> claim.",
    "- one\n- two\n  - three",
    "1. one\n2. two",
    "# Title",
    "Title\n---",
    "[a]: https://example.com 'title'",
    "> quoted\n> twice",
    "```\nclosed\n```",
    "| a | b |\n|---|---|\n| c | d |",
    "<!-- closed -->",
    "<details>\n<summary>x</summary>\n\ny\n\n</details>",
];

fn around() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::*;
    prop::collection::vec(prop::sample::select(&AROUND[..]), 0..4)
        .prop_map(|parts| parts.join("\n\n"))
}

fn command_line() -> impl proptest::strategy::Strategy<Value = String> {
    proptest::string::string_regex("/omk( run| plan|  approve 0123456789abcdef| nonsense)?")
        .unwrap()
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_is_hidden_is_never_found(
        before in around(),
        hidden in proptest::sample::select(&HIDDEN[..]),
        after in around(),
        command in command_line(),
        crlf in proptest::bool::ANY,
    ) {
        let body = format!("{before}\n\n{}\n\n{after}", hidden.replace("{}", &command));
        let body = if crlf { body.replace('\n', "\r\n") } else { body };
        proptest::prop_assert_eq!(read(&body), [], "{}", body);
    }

    #[test]
    fn what_is_plain_is_always_found(
        before in around(),
        indent in 0_usize..4,
        command in command_line(),
        after in around(),
        crlf in proptest::bool::ANY,
    ) {
        // Behind a list, an indented line would belong to its last item, which is fine, and beside the point.
        let body = format!("{before}\n\nplease\n{}{command}\n\n{after}", " ".repeat(indent));
        let body = if crlf { body.replace('\n', "\r\n") } else { body };
        let found = read(&body);
        proptest::prop_assert_eq!(found.len(), 1, "{}", &body);
        proptest::prop_assert_eq!(found[0].text.trim(), &command);
        proptest::prop_assert_eq!(body.lines().nth(found[0].line - 1).map(str::trim), Some(command.as_str()));
    }

    #[test]
    fn any_text_is_read_without_panic(
        parts in proptest::collection::vec(
            proptest::prop_oneof![
                proptest::sample::select(vec![
                    "/omk", " run", "\n", "\r\n", "\r", "> ", "- ", "```", "`", "<!--", "-->", "<details>", "</details>", "<",
                    "[", "](", "|", "\t", "    ", "---", "\u{200b}", "\u{a0}", "\u{2028}", "<b", "'", "\"", "\0", "[^1]:", "$$", "~~",
                ]).prop_map(str::to_owned),
                "\\PC{0,4}",
            ],
            0..60,
        ),
    ) {
        let body = parts.concat();
        let found = read(&body);
        for found in &found {
            proptest::prop_assert!(found.text.trim_start_matches(' ').starts_with("/omk"));
            if let Err(malformed) = &found.command {
                proptest::prop_assert!(malformed.render(crate::text::ForgeKind::GitHub).contains('^'));
            }
        }
        let _ = plan_of(found);
    }
}

fn processor_time(work: impl FnOnce()) -> std::time::Duration {
    let now = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        std::time::Duration::new(
            time.tv_sec.try_into().unwrap(),
            time.tv_nsec.try_into().unwrap(),
        )
    };
    let start = now();
    work();
    now() - start
}
