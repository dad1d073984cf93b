//! Tests of `plan::excerpt`.

use super::*;
use crate::plan::complaint::Critic;

fn check(text: &str, at: std::ops::Range<usize>, expect: &str) {
    let mut critic = Critic::new("omk.yaml", text);
    critic
        .say(
            Span {
                start: at.start,
                end: at.end,
            },
            "wrong",
        )
        .advise("right");
    let shown = critic
        .verdict()
        .map(|complaints| complaints.render())
        .unwrap_or_default();
    assert_eq!(shown, expect);
}

#[test]
fn caret_stands_under_its_word() {
    check(
        "a: 1\nb: no\n",
        8..10,
        "error: wrong\n  --> omk.yaml:2:4\n  2 | b: no\n    |    ^^ right\n",
    );
}

#[test]
fn wide_and_joined_characters_move_the_caret_by_their_columns() {
    let text = "日本: e\u{301}x";
    let at = text.find('x').unwrap();
    check(
        text,
        at..at + 1,
        "error: wrong\n  --> omk.yaml:1:7\n  1 | 日本: e\u{301}x\n    |        ^ right\n",
    );
}

#[test]
fn tabs_and_hidden_characters_are_shown_as_something_with_a_width() {
    check(
        "\tx\u{202e}y",
        5..6,
        "error: wrong\n  --> omk.yaml:1:4\n  1 |     x\u{fffd}y\n    |       ^ right\n",
    );
}

#[test]
fn gutter_grows_with_the_line_number() {
    let text = "\n".repeat(99) + "x";
    check(
        &text,
        99..100,
        "error: wrong\n    --> omk.yaml:100:1\n  100 | x\n      | ^ right\n",
    );
}

#[test]
fn carriage_returns_end_lines_and_are_not_shown() {
    check(
        "a\r\nb\rc\r\n",
        5..6,
        "error: wrong\n  --> omk.yaml:3:1\n  3 | c\n    | ^ right\n",
    );
}

#[test]
fn end_of_file_has_a_place() {
    check(
        "abc",
        3..3,
        "error: wrong\n  --> omk.yaml:1:4\n  1 | abc\n    |    ^ right\n",
    );
}

#[test]
fn long_lines_are_cut_around_the_caret() {
    let text = format!("{}X{}", "a".repeat(5000), "b".repeat(5000));
    let mut critic = Critic::new("f", &text);
    critic.say(
        Span {
            start: 5000,
            end: 5001,
        },
        "wrong",
    );
    let shown = critic.verdict().unwrap().render();
    let [_, _, line, caret] = shown.lines().collect::<Vec<_>>()[..] else {
        panic!("{shown}")
    };
    assert!(line.width() < 120);
    let column = line.chars().position(|character| character == 'X');
    assert_eq!(column, caret.chars().position(|character| character == '^'));
}

#[test]
fn a_line_is_cut_where_it_is_wider_than_a_hundred_columns() {
    let excerpt = |length: usize, column: usize| {
        let line = "a".repeat(length);
        let excerpt = Excerpt::of(
            &line,
            Position {
                line: 1,
                column,
                width: 2,
            },
        );
        (excerpt.line, excerpt.before, excerpt.under)
    };
    let a = |count: usize| "a".repeat(count);
    assert_eq!(excerpt(100, 99), (a(100), 98, 2));
    assert_eq!(excerpt(101, 1), (format!("{}…", a(100)), 0, 2));
    assert_eq!(excerpt(101, 41), (format!("{}…", a(100)), 40, 2));
    assert_eq!(excerpt(101, 42), (format!("…{}…", a(99)), 41, 2));
    assert_eq!(excerpt(101, 43), (format!("…{}", a(99)), 41, 2));
    // Marks without a width of their own are counted.
    let marks = Excerpt::of(
        &format!("e{}", "\u{301}".repeat(300)),
        Position {
            line: 1,
            column: 1,
            width: 1,
        },
    );
    assert_eq!(marks.line, format!("e{}…", "\u{301}".repeat(199)));
}

#[test]
fn a_place_lies_on_one_line_and_on_whole_characters() {
    let text = "abc\ndé\nghi";
    let lines = TextLines::of(text);
    for ((start, end), (line, column, width)) in [
        ((0, 3), (1, 1, 3)),
        ((1, 9), (1, 2, 2)),
        ((4, 11), (2, 1, 2)),
        // In the midst of the `é`.
        ((6, 7), (2, 2, 1)),
        ((4, 6), (2, 1, 1)),
        ((8, 10), (3, 1, 2)),
        ((11, 11), (3, 4, 1)),
        ((99, 100), (3, 4, 1)),
    ] {
        assert_eq!(
            lines.place(Span { start, end }),
            Position {
                line,
                column,
                width
            },
            "{start}..{end}"
        );
    }
}

proptest::proptest! {
    #[test]
    fn rendering_never_panics(text in "\\PC{0,40}(\n\\PC{0,40}){0,3}", start in 0usize..200, length in 0usize..50) {
        let mut critic = Critic::new("f", &text);
        critic.say(Span { start, end: start + length }, "wrong");
        let shown = critic.verdict().map(|complaints| complaints.render());
        proptest::prop_assert!(shown.is_some_and(|shown| shown.contains('^')));
    }
}
