//! Tests of `exec::capture`.

use proptest::prelude::*;

use super::*;

fn capture(cap: u64, pieces: &[&[u8]]) -> (Captured, Vec<Vec<u8>>, Vec<u8>) {
    capture_without(&Scrubber::default(), cap, pieces)
}

fn capture_without(
    scrubber: &Scrubber,
    cap: u64,
    pieces: &[&[u8]],
) -> (Captured, Vec<Vec<u8>>, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("deep/er/log");
    let (to, mut from) = tokio::sync::mpsc::unbounded_channel();
    let mut capture = Capture::create(&log, cap, scrubber, Some(to)).unwrap();
    for piece in pieces {
        capture.stdout(piece);
    }
    let captured = capture.finish().unwrap();
    let lines = std::iter::from_fn(|| from.try_recv().ok()).collect();
    (captured, lines, std::fs::read(log).unwrap())
}

#[test]
fn a_line_over_eight_mebibytes_is_dropped_whole_and_the_next_is_not() {
    let long = vec![b'x'; LINE - 1];
    let (_, lines, _) = capture(0, &[b"a\n", &long, b"yz\nb\n", &long, b"y\nlast"]);
    let lengths: Vec<usize> = lines.iter().map(Vec::len).collect();
    assert_eq!(lengths, [1, 1, LINE, 4]);
}

#[test]
fn the_log_ends_at_its_cap_and_the_count_goes_on() {
    let (captured, _, log) = capture(5, &[b"abc", b"defg", b"h"]);
    assert_eq!(log, b"abcde");
    assert_eq!(captured.bytes, 8);
    assert_eq!(captured.log_sha256, Sha256::of(b"abcde"));
    assert_eq!(captured.head, b"abcdefgh");
    assert_eq!(captured.tail, b"");
}

const SECRET: &str = "aB3dE5gH7jK9mN1pQ2rS";

#[test]
fn a_secret_is_kept_nowhere_wherever_the_output_is_cut() {
    let scrubber = Scrubber::new([SECRET]);
    let whole = format!("one {SECRET}\n{}two {SECRET}\n", "-".repeat(HEAD + TAIL));
    for size in [1, 7, 19, 4096] {
        for cap in [0, 10, 1000, u64::MAX] {
            let pieces: Vec<&[u8]> = whole.as_bytes().chunks(size).collect();
            let (captured, lines, log) = capture_without(&scrubber, cap, &pieces);
            let kept = [captured.head, captured.tail, log.clone()];
            for kept in kept.iter().map(|kept| String::from_utf8_lossy(kept)) {
                assert!(
                    !kept.contains(&SECRET[..12]) && !kept.contains(&SECRET[8..]),
                    "{size} {cap}: {kept}"
                );
            }
            assert!(
                kept[0].starts_with(b"one ***\n-") && kept[1].ends_with(b"-two ***\n"),
                "{size} {cap}"
            );
            assert_eq!(captured.log_sha256, Sha256::of(&log));
            assert_eq!(captured.bytes, whole.len() as u64);
            // What is read in memory is what was printed.
            assert_eq!(lines[0], format!("one {SECRET}").as_bytes());
        }
    }
}

#[test]
fn a_secret_at_the_border_of_the_end_leaves_no_piece() {
    let scrubber = Scrubber::new([SECRET]);
    for after in TAIL - SECRET.len()..=TAIL + 1 {
        let whole = format!("{}{SECRET}{}", "a".repeat(4 * HEAD), "-".repeat(after));
        let pieces: Vec<&[u8]> = whole.as_bytes().chunks(1000).collect();
        let (captured, ..) = capture_without(&scrubber, 0, &pieces);
        let tail = String::from_utf8_lossy(&captured.tail).into_owned();
        assert!(
            tail.trim_matches('-')
                .trim_start_matches('a')
                .trim_matches('*')
                .is_empty(),
            "{tail:.40}"
        );
    }
}

#[test]
fn the_end_of_standard_error_has_no_secret_either() {
    let scrubber = Scrubber::new([SECRET]);
    let dir = tempfile::tempdir().unwrap();
    let mut capture = Capture::create(&dir.path().join("log"), 1000, &scrubber, None).unwrap();
    let (first, second) = SECRET.split_at(5);
    capture.stderr(first.as_bytes());
    capture.stdout(b"between");
    capture.stderr(second.as_bytes());
    let captured = capture.finish().unwrap();
    assert_eq!(captured.stderr_tail, b"***");
    assert_eq!(
        String::from_utf8_lossy(&captured.head),
        format!("{first}between***")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn head_and_tail_are_the_ends_however_it_was_cut(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40_000), 0..8)
    ) {
        let whole = pieces.concat();
        let slices: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        let (captured, lines, log) = capture(u64::MAX, &slices);
        let (head, rest) = whole.split_at(whole.len().min(HEAD));
        prop_assert_eq!(captured.head, head);
        prop_assert_eq!(captured.tail, &rest[rest.len().saturating_sub(TAIL)..]);
        let mut expected: Vec<&[u8]> = whole.split(|&byte| byte == b'\n').collect();
        if expected.last().is_some_and(|last| last.is_empty()) {
            expected.pop();
        }
        prop_assert_eq!(lines, expected);
        prop_assert_eq!(log, whole);
    }
}
