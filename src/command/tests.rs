//! What is a command, and what is none.

use proptest::strategy::Strategy as _;

use super::*;

/// The lines that speak to omk, as numbers.
fn lines(body: &str) -> Vec<usize> {
    read(body).iter().map(|found| found.line).collect()
}

/// What a person reads about the only line of a comment.
fn complaint(line: &str) -> String {
    let found = read(line);
    match &found[..] {
        [Found { command: Err(malformed), .. }] => malformed.render(),
        other => panic!("{other:?}"),
    }
}

fn command(line: &str) -> Command {
    let mut found = read(line);
    assert_eq!(found.len(), 1, "{line:?}: {found:?}");
    found.remove(0).command.unwrap()
}

fn task(id: &str) -> TaskId {
    id.parse().unwrap()
}

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

#[test]
fn every_command_is_understood() {
    let check = |line: &str, expect| assert_eq!(command(line), expect);
    check("/omk run", Command::Run { tasks: vec![], commit: None });
    check("/omk run api docs api", Command::Run { tasks: vec![task("api"), task("docs")], commit: None });
    let commit = Some(SHA.parse().unwrap());
    check(&format!("/omk run api {SHA}"), Command::Run { tasks: vec![task("api")], commit: commit.clone() });
    check(&format!("/omk retry {SHA} {SHA}"), Command::Retry { tasks: vec![], commit });
    check("/omk retry -- api", Command::Retry { tasks: vec![task("api")], commit: None });
    check("/omk plan", Command::Plan);
    check("  /omk \t status  ", Command::Status);
    check("/omk cancel\r\n", Command::Cancel);
    check("/omk approve 0123456789ab", Command::Approve { digest: "0123456789ab".parse().unwrap() });
    check("/omk\u{a0}verify", Command::Verify);
    check("/omk help", Command::Help);
}

#[test]
fn what_can_be_asked_comes_from_the_grammar() {
    insta::assert_snapshot!(help(), @"
    /omk run [TASK]...    Run the plan, or some tasks of it with what they need
    /omk plan             Show what a run would do
    /omk status           Show where the run stands
    /omk retry [TASK]...  Run again what is not proven, and the tasks that are named
    /omk cancel           End the run
    /omk approve DIGEST   Let the plan of that SHA-256 be used, which the pull request changes
    /omk verify           Check the proofs of the last run
    /omk help             Show what can be asked
    ");
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
fn quotes_are_no_commands() {
    let check = |body: &str, expect: &[usize]| assert_eq!(lines(body), expect, "{body:?}");
    check("> /omk run\n\n/omk plan", &[3]);
    // Markdown takes it for a part of the quote, and so is it shown.
    check("> quoted\n/omk run", &[]);
    check("> - > deep\n/omk run", &[]);
    check("> [!NOTE]\n> /omk run", &[]);
    check("> ```\n/omk run", &[2]);
    check("On Monday, Jane wrote:\n> /omk run\n\n/omk plan", &[4]);
    check("Yes.\n\n-----Original Message-----\nFrom: Jane\n\n/omk run", &[]);
    check("/omk plan\n\n**From:** Jane\n**Sent:** Monday\n\n/omk run", &[1]);
    check("________________________________\nFrom: Jane <j@example.com>\nDate: Monday\nTo: All\n\n/omk run", &[]);
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
    check("<details\nopen>\n<summary>a</summary>\n\n/omk run\n\n</details>\n/omk run\n\n/omk plan", &[10]);
    check("text <details>\n\n/omk run\n\n</details>\n\n/omk plan", &[7]);
    check("a <b>c\n/omk run\nd</b>", &[]);
    check("<pre>\n\n/omk run\n\n</pre>\n\n/omk plan", &[7]);
    check("> <details>\n\n/omk plan", &[3]);
    check("- <details>\n\n  /omk run\n\n/omk plan", &[5]);
    check("<details>\n\n> </details>\n\n/omk run", &[]);
    check("<details title=\"</details>\">\n\n/omk run", &[]);
    check("<!-- <details> -->\n\n/omk plan", &[3]);
    check("<br>\n\n/omk plan\n<br>\n/omk status", &[3, 5]);
    check("I like Vec<String>.\n\n/omk plan", &[3]);
    check("A <p>paragraph.\n\n/omk plan", &[3]);
    check("<script>\n\n/omk run\n\n</script>\n\n/omk plan", &[7]);
    check(&format!("{}\n\n{}\n\n/omk run", "<div>".repeat(300), "</div>".repeat(300)), &[]);
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

#[test]
fn the_twenty_first_command_is_not_read() {
    let found = read(&"/omk plan\n\n".repeat(30));
    assert_eq!(found.len(), MOST + 1);
    let Err(malformed) = &found[MOST].command else { panic!("{found:?}") };
    insta::assert_snapshot!(malformed.render(), @"
    error: a comment holds at most 20 commands; this and what follows were not read (10 in all)
       --> comment:41:1
      41 | /omk plan
         | ^^^^ write them in another comment
    ");
    let line = format!("/omk run {}", "long ".repeat(1000));
    insta::assert_snapshot!(complaint(&line), @"
    error: this line is longer than 4096 bytes, and was not read
      --> comment:1:1
      1 | /omk run long long long long long long long long long long long long long long long long long long l…
        | ^^^^ name fewer tasks
    ");
    assert_eq!(read(&format!("/omk run\n{}", "x".repeat(LARGEST))), []);
}

#[test]
fn a_malformed_command_is_told_where_and_what_was_meant() {
    insta::assert_snapshot!(complaint("/omk"), @"
    error: `/omk` needs to be told what to do
      --> comment:1:1
      1 | /omk
        | ^^^^ add a word: `/omk run`
        = note: what can be asked: `run`, `plan`, `status`, `retry`, `cancel`, `approve`, `verify`, `help`
    ");
    insta::assert_snapshot!(complaint("hello\n\n  /omk rnu api"), @"
    error: omk does not know the command `rnu`
      --> comment:3:8
      3 |   /omk rnu api
        |        ^^^ did you mean `run`?
        = note: what can be asked: `run`, `plan`, `status`, `retry`, `cancel`, `approve`, `verify`, `help`
    ");
    insta::assert_snapshot!(complaint("/omk Run!"), @"
    error: omk does not know the command `Run!`
      --> comment:1:6
      1 | /omk Run!
        |      ^^^^ did you mean `run`?
        = note: what can be asked: `run`, `plan`, `status`, `retry`, `cancel`, `approve`, `verify`, `help`
    ");
    insta::assert_snapshot!(complaint("/omk deploy production"), @"
    error: omk does not know the command `deploy`
      --> comment:1:6
      1 | /omk deploy production
        |      ^^^^^^ `/omk help` tells more
        = note: what can be asked: `run`, `plan`, `status`, `retry`, `cancel`, `approve`, `verify`, `help`
    ");
    insta::assert_snapshot!(complaint("/omk stop"), @"
    error: omk does not know the command `stop`
      --> comment:1:6
      1 | /omk stop
        |      ^^^^ did you mean `cancel`?
        = note: what can be asked: `run`, `plan`, `status`, `retry`, `cancel`, `approve`, `verify`, `help`
    ");
    insta::assert_snapshot!(complaint("/omk --help"), @"
    error: `--help` is an option, and a comment takes none
      --> comment:1:6
      1 | /omk --help
        |      ^^^^^^ how a run works is what the plan on the default branch says
    ");
    insta::assert_snapshot!(complaint("/omk run --workers=4 api"), @"
    error: `--workers=4` is an option, and a comment takes none
      --> comment:1:10
      1 | /omk run --workers=4 api
        |          ^^^^^^^^^^^ how a run works is what the plan on the default branch says
    ");
    insta::assert_snapshot!(complaint("/omk run -n"), @"
    error: `-n` is an option, and a comment takes none
      --> comment:1:10
      1 | /omk run -n
        |          ^^ how a run works is what the plan on the default branch says
    ");
    insta::assert_snapshot!(complaint("/omk cancel now"), @"
    error: `now` is more than `/omk cancel` takes
      --> comment:1:13
      1 | /omk cancel now
        |             ^^^ write `/omk cancel`, and nothing behind it
    ");
    insta::assert_snapshot!(complaint("/omk status --json"), @"
    error: `--json` is an option, and a comment takes none
      --> comment:1:13
      1 | /omk status --json
        |             ^^^^^^ how a run works is what the plan on the default branch says
    ");
    insta::assert_snapshot!(complaint("/omk run `API`"), @"
    error: ``API`` is not a task's id
      --> comment:1:10
      1 | /omk run `API`
        |          ^^^^^ did you mean `api`?
    ");
    insta::assert_snapshot!(complaint("/omk run a\u{200b}pi \u{202e}x"), @"
    error: `a�pi` is not a task's id
      --> comment:1:10
      1 | /omk run a�pi �x
        |          ^^^^ did you mean `api`?
    ");
    insta::assert_snapshot!(complaint("/omk run <!-- api -->"), @"
    error: `-->` is not a task's id
      --> comment:1:19
      1 | /omk run <!-- api -->
        |                   ^^^ ids are of a-z, 0-9, `_` and `-`, as in the plan
    ");
    insta::assert_snapshot!(complaint(&format!("/omk run {}", SHA.to_uppercase())), @"
    error: `0123456789ABCDEF0123456789ABCDEF01234567` is not a task's id
      --> comment:1:10
      1 | /omk run 0123456789ABCDEF0123456789ABCDEF01234567
        |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ a commit is written in lower-case digits
    ");
    insta::assert_snapshot!(complaint(&format!("/omk run {SHA} {}", "f".repeat(40))), @"
    error: `ffffffffffffffffffffffffffffffffffffffff` is a second commit
      --> comment:1:51
      1 | /omk run 0123456789abcdef0123456789abcdef01234567 ffffffffffffffffffffffffffffffffffffffff
        |                                                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ a run is built on one: name the pull request's head, or none
    ");
    insta::assert_snapshot!(complaint("/omk approve"), @"
    error: `/omk approve` needs the digest of the plan: `/omk approve DIGEST`
      --> comment:1:6
      1 | /omk approve
        |      ^^^^^^^ the check `omk plan` shows it
    ");
    insta::assert_snapshot!(complaint("/omk approve 0123456"), @"
    error: `0123456` is not the digest of a plan
      --> comment:1:14
      1 | /omk approve 0123456
        |              ^^^^^^^ give at least 12 digits; it has 7
    ");
    insta::assert_snapshot!(complaint("/omk approve 0123456789ABCDEF"), @"
    error: `0123456789ABCDEF` is not the digest of a plan
      --> comment:1:14
      1 | /omk approve 0123456789ABCDEF
        |              ^^^^^^^^^^^^^^^^ write it in lower case
    ");
    insta::assert_snapshot!(complaint(&format!("/omk approve {}", "a".repeat(65))), @"
    error: `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…` is not the digest of a plan
      --> comment:1:14
      1 | /omk approve aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ a SHA-256 has 64 digits; this has 65
    ");
    insta::assert_snapshot!(complaint("/omk approve it-all-please"), @"
    error: `it-all-please` is not the digest of a plan
      --> comment:1:14
      1 | /omk approve it-all-please
        |              ^^^^^^^^^^^^^ copy it from the check `omk plan`
    ");
    insta::assert_snapshot!(complaint("/omk approve 0123456789ab 0123456789ab"), @"
    error: `0123456789ab` is more than `/omk approve` takes
      --> comment:1:27
      1 | /omk approve 0123456789ab 0123456789ab
        |                           ^^^^^^^^^^^^ write `/omk approve DIGEST`, and nothing behind it
    ");
}

#[test]
fn a_run_comes_last_and_what_is_said_twice_is_done_once() {
    let asked =
        plan_of(read("/omk run api\n\n/omk status\n\n/omk approve 0123456789ab\n\n/omk status\n\n/omk run api"));
    assert_eq!(asked.first, [Command::Status, Command::Approve { digest: "0123456789ab".parse().unwrap() }]);
    assert_eq!(asked.work, Some(Work::Run { tasks: vec![task("api")], commit: None }));
    assert_eq!(asked.malformed, []);
    assert!(plan_of(read("nothing to see")).is_empty());
}

#[test]
fn of_two_runs_none_is_started() {
    for body in ["/omk run\n\n/omk retry", "/omk run\n\n/omk run api", "/omk run\n/omk retry\n/omk run\n/omk status"] {
        let asked = plan_of(read(body));
        assert_eq!(asked.work, None, "{body:?}");
        assert!(!asked.malformed.is_empty(), "{body:?}");
    }
    let asked = plan_of(read("/omk run\n\n/omk retry api"));
    insta::assert_snapshot!(asked.malformed[0].render(), @"
    error: a comment starts at most one run, and line 1 asks for one already; none was started
      --> comment:3:1
      3 | /omk retry api
        | ^^^^ write one line: `/omk run` or `/omk retry`
    ");
    // A mistake elsewhere keeps nobody from what is right.
    let asked = plan_of(read("/omk rnu\n\n/omk retry api"));
    assert_eq!((asked.malformed.len(), asked.work.is_some()), (1, true));
}

#[test]
fn approvals_are_read_by_the_same_reader() {
    let digests = |body: &str| approvals(body).map(|digest| digest.to_string()).collect::<Vec<_>>();
    assert_eq!(digests("/omk approve 0123456789ab\n\n/omk run"), ["0123456789ab"]);
    assert_eq!(digests("> /omk approve 0123456789ab"), [""; 0]);
    assert_eq!(digests("/omk approve 0123456789a"), [""; 0]);
}

/// Ways to write a line so that it is not shown as text; `{}` is where it goes. Whatever comes before and behind are other
/// paragraphs.
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
    prop::collection::vec(prop::sample::select(&AROUND[..]), 0..4).prop_map(|parts| parts.join("\n\n"))
}

fn command_line() -> impl proptest::strategy::Strategy<Value = String> {
    proptest::string::string_regex("/omk( run| plan|  approve 0123456789abcdef| nonsense)?").unwrap()
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
                proptest::prop_assert!(malformed.render().contains('^'));
            }
        }
        let _ = plan_of(found);
    }
}

/// What parsers find hard is read in time that grows with its size: eight times as much may take sixteen times as long,
/// where a square would be sixty-four. It is the processor's time, so that a busy machine changes nothing.
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
            (0..3).map(|_| processor_time(|| drop(read(&body)))).min().unwrap()
        };
        let (small, large) = (time(1 << 13), time(1 << 16));
        assert!(large < 16 * small + std::time::Duration::from_millis(20), "{part:?}: {small:?}, then {large:?}");
    }
}

fn processor_time(work: impl FnOnce()) -> std::time::Duration {
    let now = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        std::time::Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
    };
    let start = now();
    work();
    now() - start
}
