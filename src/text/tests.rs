//! Tests of `text`.

use proptest::prelude::*;

use super::*;

#[test]
fn counts_agree_with_their_nouns() {
    let check = |count, noun, expect| assert_eq!(plural(count, noun), expect);
    check(0, "task", "0 tasks");
    check(1, "task", "1 task");
    check(3, "retry", "3 retries");
    check(2, "day", "2 days");
    check(2, "branch", "2 branches");
    check(2, "more line", "2 more lines");
}

#[test]
fn durations_are_short() {
    let check = |millis, expect| assert_eq!(duration(Duration::from_millis(millis)), expect);
    check(0, "0 s");
    check(350, "350 ms");
    check(1_290, "1.2 s");
    check(59_999, "59.9 s");
    check(60_000, "1m 00s");
    check(185_000, "3m 05s");
    check(7_800_000, "2h 10m");
    check(93_600_000, "1d 02h");
    assert_eq!(duration(Duration::MAX), "213503982334601d 07h");
}

#[test]
fn a_clip_counts_characters() {
    assert_eq!(clip("größe", 5), "größe");
    assert_eq!(clip("größer", 5), "größ…");
    assert_eq!(clip("größer", 1), "…");
    assert_eq!(clip("größer", 0), "");
}

#[test]
fn head_and_tail_survive_and_the_middle_is_counted() {
    let text: String = (1..=20).map(|line| format!("line {line}\n")).collect();
    insta::assert_snapshot!(clip_lines(&text, 5, 1000), @"
        line 1
        line 2
        … 16 more lines …
        line 19
        line 20
        ");
    assert_eq!(clip_lines(&text, 20, 1000), text);
    assert_eq!(clip_lines(&text, 2, 1000), "line 1\nline 2…");
    assert_eq!(clip_lines(&text, 20, 10), "line 1…");
}

#[test]
fn one_endless_line_is_cut_on_both_sides() {
    let text = format!("first\n{}\nlast", "ä".repeat(500));
    insta::assert_snapshot!(clip_lines(&text, 10, 128), @"
        first
        äääääääääääää…
        … 474 more characters …
        …äääääääääääää
        last
        ");
}

proptest! {
    #[test]
    fn clips_keep_their_limits(text in "[a-cé\n]{0,400}", lines in 0_usize..12, bytes in 0_usize..300) {
        let clipped = clip_lines(&text, lines, bytes);
        prop_assert!(clipped.len() <= bytes && clipped.lines().count() <= lines, "{clipped:?}");
        prop_assert!(clip(&text, lines).chars().count() <= lines);
    }

    #[test]
    fn any_bytes_can_be_rendered(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let text = printable(&bytes);
        let ours = |found: char| !found.is_control() || found == '\n' || found == '\t';
        prop_assert!(text.chars().all(ours));
        let raw = String::from_utf8_lossy(&bytes);
        for rendered in [strip_ansi(&raw), inert_markdown(&raw), fenced(&raw), escape_html(&escape_invisible(&raw))] {
            prop_assert!(rendered.len() <= 8 * raw.len() + 16);
        }
        prop_assert!(!neutralise_workflow_commands(&raw).contains("##["));
        let _ = Scrubber::default().scrub(&raw);
    }
}
