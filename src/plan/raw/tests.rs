//! Tests of `plan::raw`.

use super::*;

/// What is wrong with the tree alone.
fn complaint(text: &str) -> Option<String> {
    let mut critic = Critic::new("f", text);
    read(text, &mut critic);
    critic.verdict().map(|complaints| complaints.render())
}

#[test]
fn aliases_may_stand_for_four_mebibytes_and_not_a_byte_more() {
    // Eight times half a mebibyte: text, and sixteen bytes for each node.
    for (before, after, own) in [("", "", 16), ("[", "]", 32), ("{ k: ", " }", 33)] {
        let aliases = |length: usize, count: usize| {
            format!(
                "a: &a {before}{}{after}\nb: [{}]\n",
                "x".repeat(length),
                vec!["*a"; count].join(", ")
            )
        };
        let fitting = (1 << 19) - own;
        assert_eq!(complaint(&aliases(fitting, 8)), None, "{before}");
        for text in [aliases(fitting, 9), aliases(fitting + 1, 8)] {
            let said = complaint(&text).unwrap_or_default();
            assert!(
                said.starts_with("error: the aliases up to this one stand for more than 4 MiB\n"),
                "{said}"
            );
            assert!(
                said.contains("^^ use fewer aliases, or aliases for less\n"),
                "{said}"
            );
        }
    }
}

#[test]
fn lists_may_nest_sixty_four_deep_with_or_without_aliases() {
    let nested =
        |depth: usize, inner: &str| format!("{}{inner}{}", "[".repeat(depth), "]".repeat(depth));
    // A scalar is a level, too.
    let aliased = |named: usize, around: usize| {
        format!(
            "a: &a {}\nb: {}\n",
            nested(named, "x"),
            nested(around, "*a")
        )
    };
    for (named, around) in [(30, 32), (62, 0), (0, 62)] {
        assert_eq!(
            complaint(&aliased(named, around)),
            None,
            "{named}, {around}"
        );
    }
    for (named, around) in [(30, 33), (31, 32), (0, 63)] {
        let said = complaint(&aliased(named, around)).unwrap_or_default();
        assert!(
            said.starts_with("error: through this alias, lists and maps are nested too deeply\n"),
            "{said}"
        );
    }
    assert_eq!(complaint(&nested(64, "x")), None);
    let said = complaint(&nested(65, "x")).unwrap_or_default();
    assert!(
        said.starts_with("error: lists and maps are nested too deeply\n"),
        "{said}"
    );
}

#[test]
fn lists_and_maps_stand_where_they_begin() {
    let at = |text: &str| {
        let mut critic = Critic::new("f", text);
        let root = read(text, &mut critic).unwrap();
        let Value::Map(entries) = &root.value else {
            panic!("{root:?}")
        };
        (entries[0].node.at.start, entries[0].node.at.end)
    };
    for (text, expect) in [
        ("a: [b, c] # d\n", (3, 9)),
        ("a: { b: c }\n", (3, 11)),
        ("a: []\n", (3, 5)),
        // Of a block, its first item or key, from the hyphen on.
        ("a:\n  - b c\n  - d\n", (5, 10)),
        ("a:\n  bc: d\n", (5, 7)),
        ("a: 'b c'\n", (3, 8)),
    ] {
        assert_eq!(at(text), expect, "{text}");
    }
}

#[test]
fn what_a_plan_does_not_need_is_pointed_at() {
    for (text, expect) in [
        (
            "a: 1\n--- # more\nb: 2\n",
            "error: a second document begins here, but a plan is one\n  --> f:2:1\n  2 | --- # more\n    | ^^^ remove everything from this `---` on\n",
        ),
        (
            "a: !x b\n",
            "error: a plan has no YAML tags\n  --> f:1:7\n  1 | a: !x b\n    |       ^ remove the word with `!`; quote what is meant as text\n",
        ),
        (
            "a: *b\n",
            "error: nothing before this has the anchor `&b`\n  --> f:1:4\n  1 | a: *b\n    |    ^^ put text that begins with `*` in quotes\n",
        ),
        (
            "a: &a [*a]\n",
            "error: this alias stands inside the very thing it names\n  --> f:1:8\n  1 | a: &a [*a]\n    |        ^^ write the value out\n",
        ),
        (
            "? [a]\n: b\n",
            "error: a key must be text, not a list or a map\n  --> f:1:3\n  1 | ? [a]\n    |   ^^^ put text with brackets in quotes\n",
        ),
        (
            "<<: b\n",
            "error: merge keys `<<` are not read\n  --> f:1:1\n  1 | <<: b\n    | ^^ write the keys out, or put them under `defaults`\n",
        ),
        (
            "a: 1\na: 2\n",
            "error: the key `a` stands here a second time\n  --> f:2:1\n  2 | a: 2\n    | ^ keep one of the two\n    = note: the first one is at f:1:1\n",
        ),
        (
            "a: 1\nb\n",
            "error: this line is neither `key: value` nor a list item\n  --> f:2:1\n  2 | b\n    | ^ write `key: value`, or `- item` with a space\n",
        ),
    ] {
        assert_eq!(complaint(text).unwrap_or_default(), expect, "{text}");
    }
    assert_eq!(
        complaint("\"<<\": b\n"),
        None,
        "in quotes it is a key like others"
    );
    let name = "n".repeat(41);
    assert!(
        complaint(&format!("a: *{name}\n"))
            .unwrap_or_default()
            .contains(&format!("`&{}`", &name[1..]))
    );
}
