//! Words: a type name stands for one type, and documents are in plain English.

use std::collections::{BTreeMap, BTreeSet};

use crate::tidy::{nothing, read, shipped, tracked};

/// Type names that stand for two things, and why they may.
const SHARED_NAMES: &[(&str, &str)] = &[
    (
        "Confinement",
        "where the system can confine, and where it cannot",
    ),
    (
        "Filter",
        "where the system can filter calls, and where it cannot",
    ),
];

#[test]
fn a_type_name_stands_for_one_type() {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, code) in shipped() {
        // The first mirrors the plan's format, and the second the command line.
        if matches!(&*name, "src/plan/schema.rs" | "src/cli/args.rs") {
            continue;
        }
        for line in code.lines() {
            let is_inside = line.starts_with(' ');
            let line = line.trim_start();
            let line = ["pub ", "pub(crate) ", "pub(super) "]
                .iter()
                .fold(line, |line, before| {
                    line.strip_prefix(before).unwrap_or(line)
                });
            let line = line
                .strip_prefix("pub(in ")
                .and_then(|rest| rest.split_once(") "))
                .map_or(line, |(_, rest)| rest);
            let mut words = line.split(|c: char| !(c.is_alphanumeric() || c == '_'));
            let kind = words.next().unwrap_or_default();
            let is_type = matches!(kind, "struct" | "enum" | "trait" | "union")
                || (kind == "type" && !is_inside);
            if let Some(declared) = words.next().filter(|_| is_type) {
                found
                    .entry(declared.to_owned())
                    .or_default()
                    .push(name.clone());
            }
        }
    }
    assert!(found.len() > 600, "{}", found.len());
    let excused = |name: &str| SHARED_NAMES.iter().any(|(shared, _)| *shared == name);
    let mut wrong = Vec::new();
    for (name, files) in &found {
        match (files.len() > 1, excused(name)) {
            (true, false) => wrong.push(format!(
                "`{name}` is a type in each of {}",
                files.join(", ")
            )),
            (false, true) => {
                wrong.push(format!("`{name}` stands for one type, and needs no excuse"))
            }
            (true, true) | (false, false) => {}
        }
    }
    nothing(&wrong);
}

/// Words that make a reader stop: they name no actor, or say a plain thing in an old way.
const ODD_WORDS: &[&str] = &[
    "nobody", "somebody", "whoever", "wherever", "whatever", "anew", "mend", "mends", "mended",
    "bent", "admits", "heard",
];

/// The documents that may hold such a word, and why.
const ODD_DOCUMENTS: &[(&str, &str)] = &[(
    "examples/refactor/omk.yaml",
    "a prompt, word for word as it was when the model's answers were recorded",
)];

#[test]
fn documents_are_in_plain_words() {
    let is_document = |name: &String| {
        let name = name.as_str();
        let is_text = [".md", ".yml", ".yaml", ".sh"]
            .iter()
            .any(|end| name.ends_with(end));
        (is_text && !name.starts_with("tests/it/")) || name == "src/cli/args.rs"
    };
    let mut wrong = Vec::new();
    let documents: Vec<String> = tracked().into_iter().filter(is_document).collect();
    assert!(documents.len() > 20, "{documents:?}");
    for name in documents {
        let text = read(&name).to_lowercase();
        let words = text.split(|c: char| !c.is_alphanumeric());
        let odd: BTreeSet<&str> = words.filter(|word| ODD_WORDS.contains(word)).collect();
        let excused = ODD_DOCUMENTS.iter().any(|(document, _)| *document == name);
        if odd.is_empty() == excused {
            let odd: Vec<&str> = odd.into_iter().collect();
            wrong.push(format!(
                "{name}: {}",
                if excused {
                    "needs no excuse".into()
                } else {
                    odd.join(", ")
                }
            ));
        }
    }
    nothing(&wrong);
}
