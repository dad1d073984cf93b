//! Tests of `plan::write`.

use super::text::{double_quoted, scalar};
use super::*;

#[test]
fn text_stands_without_quotes_only_where_it_is_text_in_every_reader() {
    for bare in [
        "a", "a b", "_x", "a-b/c.d", "30m", "5h30m", "100MB", "1GiB", "A1", "nope", "yes-man",
    ] {
        assert_eq!(scalar(bare), bare);
    }
    let other = [
        "", " a", "a ", "a:b", "-a", ".a", "a,b", "ü", "30", "30x", "1.5", "m30 ", "0x1F", "1d!",
        "~", "#",
    ];
    let words = ["y", "N", "yes", "No", "ON", "off", "null", "true", "False"];
    for quoted in other.into_iter().chain(words) {
        assert_eq!(scalar(quoted), format!("\"{quoted}\""));
    }
    let special = "\"\\\n\t\r\u{7}\u{ad}\u{200b}\u{2028}\u{2060}\u{feff}\u{fff0}\u{e0000}é日";
    let expect = "\"\\\"\\\\\\n\\t\\r\\U00000007\\U000000AD\\U0000200B\\U00002028\\U00002060\\U0000FEFF\\U0000FFF0\\U000E0000é日\"";
    assert_eq!(scalar(special), expect);
}

/// `k` with this value, as it is written.
fn written(value: &Value) -> String {
    let mut out = String::new();
    entry(&mut out, "k", value, 0);
    out
}

#[test]
fn the_definition_of_a_gate_is_what_the_plan_says_of_it() {
    let text = "version: 1\ngates: [{ run: x, id: g, retries: 0 }, { id: h, run: y, retries: 1 }]\ntasks: [{ id: a, run: x }]\n";
    let plan = crate::plan::parse(text.as_bytes(), "omk.yaml", "x").unwrap();
    let definitions: Vec<String> = plan.gates.iter().map(definition_of).collect();
    assert_eq!(
        definitions,
        [
            r#"{"id":"g","run":"x"}"#,
            r#"{"id":"h","run":"y","retries":1}"#
        ]
    );
}

#[test]
fn lists_stand_on_one_line_up_to_a_hundred_characters() {
    let long = |count: usize| "é".repeat(count);
    assert_eq!(
        written(&json!(["a", "b c", 1, null, "1"])),
        "k: [a, b c, 1, null, \"1\"]\n"
    );
    assert_eq!(
        written(&json!([long(96)])),
        format!("k: [\"{}\"]\n", long(96))
    );
    assert_eq!(
        written(&json!([long(97)])),
        format!("k:\n  - \"{}\"\n", long(97))
    );
    assert_eq!(written(&json!([["a"], "b"])), "k:\n  - [a]\n  - b\n");
    let nested = json!([{ "a": 1, "b": [{ "c": [], "d": {} }, {}] }, []]);
    assert_eq!(
        written(&nested),
        "k:\n  - a: 1\n    b:\n      - c: []\n        d: {}\n      - {}\n  - []\n"
    );
    assert_eq!(written(&json!({})), "k: {}\n");
    assert_eq!(
        written(&json!({ "a": { "b": "c" } })),
        "k:\n  a:\n    b: c\n"
    );
}

#[test]
fn keys_of_more_than_two_hundred_bytes_get_a_question_mark() {
    let under = |length: usize| {
        let mut out = String::new();
        entry(&mut out, &"k".repeat(length), &json!(1), 2);
        out
    };
    assert_eq!(under(200), format!("  {}: 1\n", "k".repeat(200)));
    assert_eq!(under(201), format!("  ? {}\n  : 1\n", "k".repeat(201)));
}

#[test]
fn lines_stand_as_they_are_where_yaml_gives_them_back() {
    for (text, expect) in [
        ("a\nb", "k: |-\n  a\n  b\n"),
        ("a\nb\n", "k: |\n  a\n  b\n"),
        ("a\n", "k: |\n  a\n"),
        ("a\n\n b", "k: |-\n  a\n\n   b\n"),
    ] {
        assert_eq!(written(&json!(text)), expect);
    }
    for text in [
        "\n",
        "a\n\n",
        " a\nb",
        "\na",
        "a \nb",
        "a\nb ",
        "a\n\tb",
        "a\r\nb",
        "a\u{feff}\nb",
        "a\n \n",
    ] {
        assert_eq!(
            written(&json!(text)),
            format!("k: {}\n", double_quoted(text))
        );
    }
}
