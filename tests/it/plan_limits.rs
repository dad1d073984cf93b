//! Hostile plans: refused quickly, in bounded memory, with a word about why.

use omk_action::plan;

fn refused(text: &[u8], expect: &str) {
    let complaints = plan::parse(text, "omk.yaml", "x")
        .expect_err("it should be refused")
        .render();
    assert!(complaints.contains(expect), "{complaints}");
    assert!(complaints.len() < 1 << 20);
}

#[test]
fn large_files_are_refused_unread() {
    refused(&vec![b'a'; 100 << 20], "larger than 1 MiB");
    refused(&vec![0; (1 << 20) + 1], "larger than 1 MiB");
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    refused(&vec![0; 1 << 20], "NUL byte");
    refused(b"version: 1\nname: caf\xe9\n", "omk.yaml:2:10");
    refused(b"version: 1\nname: caf\xe9\n", "not UTF-8");
    refused("version: 1\nname: \"a\u{1b}[2J\"\n".as_bytes(), "U+001B");
}

#[test]
fn bomb_of_aliases_is_refused() {
    let mut text = String::from("version: 1\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..30 {
        let uses = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{uses}]\n"));
    }
    refused(text.as_bytes(), "aliases up to this one");
}

#[test]
fn long_text_used_often_is_refused() {
    let text = format!(
        "version: 1\nenv: {{ A: &a {}, {} }}\n",
        "x".repeat(500_000),
        {
            (0..1000)
                .map(|index| format!("B{index}: *a"))
                .collect::<Vec<_>>()
                .join(", ")
        }
    );
    refused(text.as_bytes(), "aliases up to this one");
}

#[test]
fn chain_of_aliases_cannot_nest_without_end() {
    let mut text = String::from("version: 1\na0: &a0 [x]\n");
    for level in 1..400 {
        text.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
    }
    refused(text.as_bytes(), "nested too deeply");
}

#[test]
fn alias_inside_itself_is_refused() {
    refused(
        b"version: 1\nenv: &a { A: *a }\n",
        "inside the very thing it names",
    );
}

#[test]
fn deep_nesting_is_refused() {
    refused("[".repeat(1 << 20).as_bytes(), "nested too deeply");
    refused("{a: ".repeat(200_000).as_bytes(), "nested too deeply");
    refused("- ".repeat(500_000).as_bytes(), "nested too deeply");
    refused("? ".repeat(500_000).as_bytes(), "nested too deeply");
}

#[test]
fn too_many_tasks_are_refused() {
    let text = format!(
        "version: 1\ntasks:\n{}",
        "- {id: a, run: x}\n".repeat(10_001)
    );
    refused(text.as_bytes(), "10001 tasks; 10000 are the most");
}

#[test]
fn million_mistakes_are_counted_and_the_first_thousand_shown() {
    let keys: String = (0..100_000).map(|index| format!("k{index}:\n")).collect();
    let complaints = plan::parse(keys.as_bytes(), "omk.yaml", "x").expect_err("no such keys");
    assert!(complaints.len() > 100_000);
    assert!(complaints.render().len() < 1 << 20);
}

#[test]
fn thousands_of_missing_dependencies_are_told_in_time() {
    let mut text = String::from("version: 1\ntasks:\n");
    for index in 0..9000 {
        text.push_str(&format!(
            "  - {{ id: task-number-{index}, run: x, dependencies: [task-numbr-{index}x] }}\n"
        ));
    }
    let complaints =
        plan::parse(text.as_bytes(), "omk.yaml", "x").expect_err("nothing of it is there");
    assert_eq!(complaints.len(), 9000);
    assert!(
        complaints
            .render()
            .contains("did you mean `task-number-0`?")
    );
}

#[test]
fn cycle_of_ten_thousand_is_found_without_recursion() {
    let mut text = String::from("version: 1\ntasks:\n");
    for index in 0..10_000 {
        text.push_str(&format!(
            "  - {{ id: t{index}, run: x, dependencies: [t{}] }}\n",
            (index + 1) % 10_000
        ));
    }
    let complaints = plan::parse(text.as_bytes(), "omk.yaml", "x").expect_err("a cycle");
    assert_eq!(complaints.len(), 1);
    assert!(complaints.render().contains("t0 -> t1 -> t2"));
    assert!(complaints.render().contains("-> t9999 -> t0"));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(512))]

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        drop(plan::parse(&bytes, "omk.yaml", "x").map_err(|complaints| complaints.render()));
    }

    #[test]
    fn no_damage_to_a_plan_panics(at in 0usize..3000, cut in 0usize..40, with in "[\\[\\]{}:,&*\"'|>\\- \\n\\ta0#!%]{0,6}") {
        let mut text: Vec<char> = crate::plan::EVERY_KEY.chars().collect();
        let at = at.min(text.len());
        let end = (at + cut).min(text.len());
        text.splice(at..end, with.chars());
        let text: String = text.into_iter().collect();
        drop(plan::parse(text.as_bytes(), "omk.yaml", "x").map_err(|complaints| complaints.render()));
    }
}
