//! The JSON Schema: committed, not stale, and of one mind with the parser.

use std::collections::BTreeSet;

use omk_action::plan;
use serde_json::Value;

const COMMITTED: &str = include_str!("../../schema/omk.schema.json");

#[test]
fn committed_schema_is_not_stale() {
    let now = format!("{:#}\n", plan::schema());
    assert!(
        now == COMMITTED,
        "write the output of `omk schema` to schema/omk.schema.json:\n{now}"
    );
}

#[test]
fn schema_is_of_the_draft_it_says() {
    assert_eq!(
        plan::schema()["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert!(!COMMITTED.contains("\"null\""), "a plan has no nulls");
}

/// Says where `value` does not have the structure that `schema` describes: types, keys, required
/// keys, words.
fn misfits(root: &Value, schema: &Value, value: &Value, at: &str, out: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        let target = root
            .pointer(name.trim_start_matches('#'))
            .unwrap_or_else(|| panic!("{name} leads nowhere"));
        return misfits(root, target, value, at, out);
    }
    if let Some(choices) = schema["oneOf"].as_array()
        && choices
            .iter()
            .filter(|choice| is_fit(root, choice, value))
            .count()
            != 1
    {
        out.push(format!("{at}: not one of the choices"));
    }
    if schema["enum"]
        .as_array()
        .is_some_and(|words| !words.contains(value))
    {
        out.push(format!("{at}: {value} is none of the words"));
    }
    if schema.get("const").is_some_and(|word| word != value) {
        out.push(format!("{at}: {value} is not the word"));
    }
    let sound = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some(other) => panic!("{at}: the schema has a type {other}"),
        None => true,
    };
    if !sound {
        out.push(format!("{at}: not of type {}", schema["type"]));
    }
    for key in schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if value.get(key).is_none() {
            out.push(format!("{at}: without {key}"));
        }
    }
    for (key, value) in value.as_object().into_iter().flatten() {
        let at = format!("{at}/{key}");
        match (
            schema["properties"].get(key),
            &schema["additionalProperties"],
        ) {
            (Some(property), _) => misfits(root, property, value, &at, out),
            (None, Value::Bool(false)) => out.push(format!("{at}: no such key")),
            (None, other) => misfits(root, other, value, &at, out),
        }
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        misfits(root, &schema["items"], item, &format!("{at}/{index}"), out);
    }
}

fn is_fit(root: &Value, schema: &Value, value: &Value) -> bool {
    let mut out = Vec::new();
    misfits(root, schema, value, "", &mut out);
    out.is_empty()
}

fn check(yaml: &str) -> Vec<String> {
    let value: Value = serde_yaml::from_str(yaml).expect("the test writes YAML");
    let (schema, mut out) = (plan::schema(), Vec::new());
    misfits(&schema, &schema, &value, "", &mut out);
    out
}

#[test]
fn plan_with_every_key_fits_the_schema() {
    assert_eq!(check(crate::plan::EVERY_KEY), Vec::<String>::new());
}

#[test]
fn schema_refuses_what_the_parser_refuses() {
    assert_eq!(
        check("version: 1\ntasks: [{ id: a, run: x, extra: 1 }]\n"),
        ["/tasks/0/extra: no such key"]
    );
    assert_eq!(
        check("version: 1\ntasks: [{ id: a }]\n"),
        ["/tasks/0: not one of the choices"]
    );
    assert_eq!(
        check("version: 1\ntasks: [{ id: a, run: x, prompt: words }]\n"),
        ["/tasks/0: not one of the choices"]
    );
    assert_eq!(check("version: 1\n"), [": without tasks"]);
}

#[test]
fn every_key_of_the_contract_is_shown_in_the_example() {
    let example = crate::plan::EVERY_KEY;
    let schema = plan::schema();
    let all = schema["$defs"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(_, definition)| definition)
        .chain([&schema]);
    let keys: BTreeSet<&str> = all
        .filter_map(|definition| definition["properties"].as_object())
        .flatten()
        .map(|(key, _)| key.as_str())
        .collect();
    let missing: Vec<_> = keys
        .into_iter()
        .filter(|key| !example.contains(&format!("{key}:")))
        .collect();
    // The old spelling is told of, not shown; a bot is a comment of the example.
    assert_eq!(missing, ["login", "max_retries"]);
}
