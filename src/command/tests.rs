//! What is a command, and what is none.

use super::*;
use crate::text::ForgeKind;

/// What a person reads about the only line of a comment.
fn complaint(line: &str) -> String {
    let found = read(line);
    match &found[..] {
        [
            ParsedLine {
                command: Err(malformed),
                ..
            },
        ] => malformed.render(ForgeKind::GitHub),
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
    check(
        "/omk run",
        Command::Run {
            tasks: vec![],
            commit: None,
        },
    );
    check(
        "/omk run api docs api",
        Command::Run {
            tasks: vec![task("api"), task("docs")],
            commit: None,
        },
    );
    let commit = Some(SHA.parse().unwrap());
    check(
        &format!("/omk run api {SHA}"),
        Command::Run {
            tasks: vec![task("api")],
            commit: commit.clone(),
        },
    );
    check(
        &format!("/omk retry {SHA} {SHA}"),
        Command::Retry {
            tasks: vec![],
            commit,
        },
    );
    check(
        "/omk retry -- api",
        Command::Retry {
            tasks: vec![task("api")],
            commit: None,
        },
    );
    check("/omk plan", Command::Plan);
    check("  /omk \t status  ", Command::Status);
    check("/omk cancel\r\n", Command::Cancel);
    check(
        "/omk approve 0123456789ab",
        Command::Approve {
            digest: "0123456789ab".parse().unwrap(),
        },
    );
    check("/omk\u{a0}verify", Command::Verify);
    check("/omk help", Command::Help);
}

#[test]
fn what_can_be_asked_comes_from_the_grammar() {
    insta::assert_snapshot!(help(ForgeKind::GitHub), @"
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
fn the_twenty_first_command_is_not_read() {
    let found = read(&"/omk plan\n\n".repeat(30));
    assert_eq!(found.len(), MOST + 1);
    let Err(malformed) = &found[MOST].command else {
        panic!("{found:?}")
    };
    insta::assert_snapshot!(malformed.render(ForgeKind::GitHub), @"
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
fn what_is_as_long_as_it_may_be_is_read() {
    let line = |more: &str| format!("/omk run {}a{more}", "a ".repeat(2043));
    assert_eq!(
        (line("").len(), command(&line(""))),
        (
            4096,
            Command::Run {
                tasks: vec![task("a")],
                commit: None
            }
        )
    );
    assert!(complaint(&line("a")).contains("longer than 4096 bytes"));
    let comment = |more: &str| format!("/omk run\n{}{more}", "x".repeat((1 << 20) - 9));
    assert_eq!((comment("").len(), read(&comment("")).len()), (1 << 20, 1));
    assert_eq!(read(&comment("x")), []);
    assert_eq!(read(&"/omk plan\n\n".repeat(20)).len(), 20);
}

#[test]
fn each_word_that_is_wrong_is_pointed_at_and_gets_the_advice_that_fits_it() {
    let check = |line: &str, column: usize, hint: &str| {
        let shown = complaint(line);
        assert!(shown.contains(&format!("comment:1:{column}\n")), "{shown}");
        assert!(shown.contains(&format!("^ {hint}\n")), "{shown}");
    };
    let approve = |digest: &str, hint: &str| check(&format!("/omk approve {digest}"), 14, hint);
    approve(&"A".repeat(11), "give at least 12 digits; it has 11");
    approve(&"A".repeat(12), "write it in lower case");
    approve(&"A".repeat(64), "write it in lower case");
    approve(&"A".repeat(65), "a SHA-256 has 64 digits; this has 65");
    let run = |task: &str, hint: &str| check(&format!("/omk run {task}"), 10, hint);
    run("ABC", "did you mean `abc`?");
    run(
        &"G".repeat(40),
        &format!("did you mean `{}`?", "g".repeat(40)),
    );
    run(
        &"A".repeat(39),
        &format!("did you mean `{}`?", "a".repeat(39)),
    );
    run(&"A".repeat(40), "a commit is written in lower-case digits");
    check(
        "/omk cancel now please",
        13,
        "write `/omk cancel`, and nothing behind it",
    );
    check(
        "/omk run <!-- api --> web",
        19,
        "an id is of a-z, 0-9, `_` and `-`, and begins with a letter or digit",
    );
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
    insta::assert_snapshot!(complaint("/omk run -- --fast"), @"
    error: `--fast` is not a task's id
      --> comment:1:13
      1 | /omk run -- --fast
        |             ^^^^^^ an id is of a-z, 0-9, `_` and `-`, and begins with a letter or digit
    ");
    insta::assert_snapshot!(complaint("/omk cancel -- --now"), @"
    error: `--now` is more than `/omk cancel` takes
      --> comment:1:16
      1 | /omk cancel -- --now
        |                ^^^^^ write `/omk cancel`, and nothing behind it
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
        |                   ^^^ an id is of a-z, 0-9, `_` and `-`, and begins with a letter or digit
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
    let asked = plan_of(read(
        "/omk run api\n\n/omk status\n\n/omk approve 0123456789ab\n\n/omk status\n\n/omk run api",
    ));
    assert_eq!(
        asked.first,
        [
            Command::Status,
            Command::Approve {
                digest: "0123456789ab".parse().unwrap()
            }
        ]
    );
    assert_eq!(
        asked.work,
        Some(WorkRequest::Run {
            tasks: vec![task("api")],
            commit: None
        })
    );
    assert_eq!(asked.malformed, []);
    for (body, says_nothing) in [
        ("nothing to see", true),
        ("/omk status", false),
        ("/omk run", false),
        ("/omk rnu", false),
    ] {
        assert_eq!(plan_of(read(body)).is_empty(), says_nothing, "{body}");
    }
}

#[test]
fn of_two_runs_none_is_started() {
    for body in [
        "/omk run\n\n/omk retry",
        "/omk run\n\n/omk run api",
        "/omk run\n/omk retry\n/omk run\n/omk status",
    ] {
        let asked = plan_of(read(body));
        assert_eq!(asked.work, None, "{body:?}");
        assert!(!asked.malformed.is_empty(), "{body:?}");
    }
    let asked = plan_of(read("/omk run\n\n/omk retry api"));
    insta::assert_snapshot!(asked.malformed[0].render(ForgeKind::GitHub), @"
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
fn a_run_and_a_retry_name_their_tasks_and_their_commit() {
    for word in ["run", "retry"] {
        let work = plan_of(read(&format!("/omk {word} api {SHA} docs")))
            .work
            .unwrap();
        assert_eq!(work.tasks(), [task("api"), task("docs")], "{word}");
        assert_eq!(work.commit(), Some(&SHA.parse().unwrap()), "{word}");
        let work = plan_of(read(&format!("/omk {word}"))).work.unwrap();
        assert_eq!((work.tasks(), work.commit()), (&[][..], None), "{word}");
    }
}

#[test]
fn approvals_are_read_by_the_same_reader() {
    let digests = |body: &str| {
        approvals(body)
            .map(|digest| digest.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        digests("/omk approve 0123456789ab\n\n/omk run"),
        ["0123456789ab"]
    );
    assert_eq!(digests("> /omk approve 0123456789ab"), [""; 0]);
    assert_eq!(digests("/omk approve 0123456789a"), [""; 0]);
}
