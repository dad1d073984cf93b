//! What a gate's tries come to.

use super::*;
use crate::id::Sha256;
use crate::plan::RoomLevel;

fn gate(retries: u32) -> Gate {
    Gate {
        id: "test".parse().expect("a gate id"),
        run: "cargo test".to_owned(),
        timeout: Duration::from_secs(900),
        required: true,
        retries,
        inputs: None,
        fingerprint: None,
        trusted: Vec::new(),
        report: None,
        env: std::collections::BTreeMap::new(),
        network: None,
        exclusive: false,
    }
}

fn ended(ending: Ending) -> Ended {
    Ended {
        ending,
        duration: Duration::from_millis(1500),
        head: b"hello\n".to_vec(),
        tail: Vec::new(),
        stderr_tail: Vec::new(),
        bytes: 6,
        log_sha256: Sha256::of(b"hello\n"),
        containment: Containment {
            level: RoomLevel::Landlock,
            subreaper: true,
            why_not: None,
        },
        why_not_sealed: None,
        stragglers: 0,
    }
}

/// Feeds endings for as long as the gate is not settled, as [`super::super::judge::judge`] does.
fn outcome_of(retries: u32, endings: &[Ending]) -> GateOutcome {
    let gate = gate(retries);
    let mut tally = Tally::new(&gate);
    for ending in endings {
        assert!(!tally.is_settled(), "{ending:?} comes after the last word");
        let ended = ended(ending.clone());
        let log = evidence(&ended, "logs/x.log".to_owned(), &str::to_owned);
        tally.take(&ended, log);
    }
    tally.finish(None, &str::to_owned).outcome
}

#[track_caller]
fn check(retries: u32, endings: &[Ending], verdict: GateVerdict, counts: bool, note: &str) {
    let outcome = outcome_of(retries, endings);
    assert_eq!(
        (
            outcome.verdict,
            outcome.counts_as_passed,
            outcome.note.as_str()
        ),
        (verdict, counts, note)
    );
    assert_eq!(outcome.attempts as usize, endings.len());
    assert_eq!(outcome.duration_ms, 1500 * endings.len() as u64);
}

#[test]
fn exit_codes_decide() {
    check(0, &[Ending::Exited(0)], GateVerdict::Passed, true, "");
    check(0, &[Ending::Exited(101)], GateVerdict::Failed, false, "");
    check(
        0,
        &[Ending::Signalled(9)],
        GateVerdict::Failed,
        false,
        "ended by signal 9",
    );
    check(
        0,
        &[Ending::TimedOut],
        GateVerdict::TimedOut,
        false,
        "ended after its timeout of 15m 00s",
    );
}

#[test]
fn a_pass_on_a_retry_is_flaky_and_never_clean() {
    let endings = [Ending::Exited(1), Ending::Exited(0)];
    check(
        2,
        &endings,
        GateVerdict::Flaky,
        true,
        "flaky: passed on the 2nd of 2 executions",
    );
}

#[test]
fn a_stopped_gate_is_no_pass_whatever_came_before() {
    check(0, &[], GateVerdict::Skipped, false, "did not run");
    check(
        0,
        &[Ending::Stopped],
        GateVerdict::Skipped,
        false,
        "stopped before it was done",
    );
    check(
        1,
        &[Ending::Exited(1), Ending::Stopped],
        GateVerdict::Skipped,
        false,
        "stopped before it was done",
    );
    // Stopped between two executions.
    check(
        1,
        &[Ending::Exited(1)],
        GateVerdict::Skipped,
        false,
        "stopped before it was done",
    );
}

#[test]
fn the_last_execution_has_the_last_word() {
    check(
        1,
        &[Ending::TimedOut, Ending::Exited(1)],
        GateVerdict::Failed,
        false,
        "",
    );
    let note = "ended after its timeout of 15m 00s";
    check(
        1,
        &[Ending::Exited(1), Ending::TimedOut],
        GateVerdict::TimedOut,
        false,
        note,
    );
}

#[test]
fn a_long_log_keeps_whole_lines_of_both_ends() {
    let line = "0123456789 0123456789 0123456789\n";
    let mut long = ended(Ending::Exited(1));
    long.head = line.repeat(16 * 1024 / line.len()).into_bytes();
    long.tail = line.repeat(48 * 1024 / line.len()).into_bytes();
    long.bytes = 1_000_000;
    let log = evidence(&long, "logs/x.log".to_owned(), &str::to_owned);
    assert!(log.head.len() <= HEAD && log.head.len() > HEAD - 100);
    assert!(log.tail.len() <= TAIL && log.tail.len() > TAIL - 100);
    assert!(
        log.head
            .lines()
            .chain(log.tail.lines())
            .all(|kept| kept == line.trim_end())
    );
}

#[test]
fn a_short_log_is_kept_whole_and_in_one_piece() {
    let mut short = ended(Ending::Exited(1));
    short.head = b"a sec".to_vec();
    short.tail = b"ret b".to_vec();
    short.bytes = 10;
    // A secret that lies on both sides of the capture's seam is whole again before it is looked
    // for.
    let log = evidence(&short, "logs/x.log".to_owned(), &|text| {
        text.replace("secret", "***")
    });
    assert_eq!((log.head.as_str(), log.tail.as_str()), ("a *** b", ""));
}

#[test]
fn the_execution_that_passed_is_named_as_people_count() {
    for (number, name) in [
        (1, "1st"),
        (2, "2nd"),
        (3, "3rd"),
        (4, "4th"),
        (10, "10th"),
        (11, "11th"),
        (12, "12th"),
        (13, "13th"),
        (14, "14th"),
        (21, "21st"),
        (22, "22nd"),
        (23, "23rd"),
        (101, "101st"),
        (111, "111th"),
        (112, "112th"),
        (113, "113th"),
    ] {
        assert_eq!(nth(number), name);
    }
}

#[test]
fn descendants_that_outlived_any_execution_are_noted() {
    let gate = gate(1);
    let mut tally = Tally::new(&gate);
    for stragglers in [2, 1] {
        let ended = Ended {
            stragglers,
            ..ended(Ending::Exited(1))
        };
        tally.take(
            &ended,
            evidence(&ended, "logs/x.log".to_owned(), &str::to_owned),
        );
    }
    let outcome = tally.finish(None, &str::to_owned).outcome;
    assert_eq!(outcome.note, "3 descendants outlived it, ended with it");
}

#[test]
fn a_long_log_in_one_line_is_cut_between_characters() {
    let mut long = ended(Ending::Exited(1));
    // Of three bytes each, so that neither the first 4 KiB nor the last 16 KiB are whole
    // characters.
    long.head = "€".repeat(20_000).into_bytes();
    long.bytes = 60_000;
    let log = evidence(&long, "logs/x.log".to_owned(), &str::to_owned);
    assert_eq!((log.head, log.tail), ("€".repeat(1_365), "€".repeat(5_461)));
}

#[test]
fn ends_that_fit_when_secrets_are_gone_keep_their_first_and_last_lines() {
    let secret = "secret".repeat(10_000);
    let mut long = ended(Ending::Exited(1));
    long.head = format!("begins\n{secret} and").into_bytes();
    long.tail = format!("so on {secret}\nends").into_bytes();
    long.bytes = 1_000_000;
    let log = evidence(&long, "logs/x.log".to_owned(), &|text| {
        text.replace(&secret, "***")
    });
    assert_eq!(
        (log.head.as_str(), log.tail.as_str()),
        ("begins\n*** and", "so on ***\nends")
    );
}
