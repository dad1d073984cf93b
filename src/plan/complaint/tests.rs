//! Tests of `plan::complaint`.

use super::*;

fn of(count: usize) -> Complaints {
    let text = "x".repeat(count);
    let mut critic = Critic::new("f", &text);
    for at in (0..count).rev() {
        critic
            .say(
                Span {
                    start: at,
                    end: at + 1,
                },
                "wrong",
            )
            .advise("right");
    }
    critic.verdict().unwrap()
}

#[test]
fn the_thousandth_complaint_is_kept_and_the_next_counted() {
    for (count, more) in [(1000, None), (1001, Some(1)), (1003, Some(3))] {
        let complaints = of(count);
        assert_eq!(
            (complaints.len(), (&complaints).into_iter().count()),
            (count, 1000)
        );
        let last = complaints.render().lines().last().unwrap().to_owned();
        let expect = more.map(|more| format!("error: {more} more mistakes are not shown"));
        assert_eq!(last.starts_with("error: ").then_some(last), expect);
    }
}

#[test]
fn complaints_come_in_the_order_of_the_text_with_a_line_between() {
    let complaints = of(2);
    let one = |column: usize| {
        format!(
            "error: wrong\n  --> f:1:{column}\n  1 | xx\n    | {:>column$} right\n",
            "^"
        )
    };
    assert_eq!(complaints.render(), format!("{}\n{}", one(1), one(2)));
    assert_eq!(complaints.to_string(), complaints.render().trim_end());
    assert_eq!(complaints.file(), "f");
    let whole = Complaints::one("f", Complaint::new("wrong"));
    assert_eq!(whole.render(), "error: wrong\n  --> f\n");
}

#[test]
fn quoted_text_stays_on_its_line_and_ends_after_sixty_characters() {
    assert_eq!(quoted("a\nb\rc\td\u{7}"), "`a\\nb\\rc\\td\u{fffd}`");
    assert_eq!(quoted(&"ü".repeat(60)), format!("`{}`", "ü".repeat(60)));
    assert_eq!(quoted(&"ü".repeat(61)), format!("`{}…`", "ü".repeat(60)));
}

#[test]
fn same_complaint_is_made_once_and_a_thousand_are_kept() {
    let text = "x".repeat(3000);
    let mut critic = Critic::new("f", &text);
    for at in 0..1500 {
        critic
            .say(
                Span {
                    start: at,
                    end: at + 1,
                },
                "wrong",
            )
            .advise("right");
        critic
            .say(
                Span {
                    start: at,
                    end: at + 1,
                },
                "wrong",
            )
            .advise("right");
    }
    let complaints = critic.verdict().unwrap();
    assert_eq!(complaints.iter().count(), KEPT);
    assert!(complaints.len() >= 1500);
    assert!(complaints.render().contains("more mistakes are not shown"));
}
