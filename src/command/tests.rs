//! What is a command, and what is none.

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
    insta::assert_snapshot!(help(), @"");
}
