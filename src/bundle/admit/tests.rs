//! Tests of `bundle::admit`.

use super::*;

#[test]
fn the_tasks_of_a_run_are_those_that_were_asked_for() {
    let plan = "version: 1\nname: p\ntasks:\n\
            \x20 - { id: a, run: x }\n\
            \x20 - { id: b, run: x, dependencies: [a] }\n\
            \x20 - { id: nightly, run: x, when: { events: [schedule, dispatch] } }\n\
            \x20 - { id: docs, run: x, when: { changed: [docs/**] } }\n";
    let plan = crate::plan::parse(plan.as_bytes(), "omk.yaml", "p").expect("a plan");
    let ids = |names: &str| {
        names
            .split_whitespace()
            .map(|name| name.parse().expect("an id"))
            .collect::<Vec<TaskId>>()
    };
    let says = |took_part: &str, ask: &Ask, event| match check_selection(
        &ids(took_part),
        ask,
        event,
        &plan,
    ) {
        Ok(()) => "fine".to_owned(),
        Err(why) => why.to_string(),
    };
    let run = |took_part: &str, asked: &str| {
        says(took_part, &Ask::Run { tasks: ids(asked) }, Event::Manual)
    };
    for (took_part, asked) in [
        ("a b", ""),
        ("a b docs", ""),
        ("a", "a"),
        ("a b", "b"),
        ("b a", "b"),
        ("nightly", "nightly"),
        ("docs", "docs"),
    ] {
        assert_eq!(run(took_part, asked), "fine", "{took_part} for {asked}");
    }
    let all = Ask::Run { tasks: Vec::new() };
    for event in [Event::Schedule, Event::Dispatch] {
        assert_eq!(says("a b nightly", &all, event), "fine");
    }
    for (took_part, asked, why) in [
        ("a b ghost", "", "`ghost` took part, and is not in the plan"),
        ("a b a", "", "`a` took part twice"),
        ("a", "", "`b` was to take part, and did not"),
        (
            "a b nightly",
            "",
            "`nightly` took part, and its `when` names other events",
        ),
        ("a b", "a", "`b` took part, and was not asked for"),
        ("a docs", "a", "`docs` took part, and was not asked for"),
        ("b", "b", "`a` was asked for, and took no part"),
        (
            "a",
            "a nightly",
            "`nightly` was asked for, and took no part",
        ),
    ] {
        assert_eq!(
            run(took_part, asked),
            format!("task {why}"),
            "{took_part} for {asked}"
        );
    }
    assert_eq!(
        says("a b nightly", &all, Event::Comment),
        "task `nightly` took part, and its `when` names other events"
    );
    // A retry may leave out what completed before.
    let retry = Ask::Retry { tasks: ids("a") };
    assert_eq!(says("b nightly", &retry, Event::Manual), "fine");
    assert_eq!(
        says("ghost", &retry, Event::Manual),
        "task `ghost` took part, and is not in the plan"
    );
}
