//! Tests of `cli::ci::outputs`.

use super::super::super::args::TerminalChoice;
use super::*;

/// Reads outputs as the runner does: a line `name<<FENCE`, then lines up to FENCE.
fn outputs(text: &str) -> Vec<(String, String)> {
    let mut lines = text.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let (name, fence) = line.split_once("<<").unwrap();
        let value: Vec<&str> = lines.by_ref().take_while(|line| *line != fence).collect();
        found.push((name.to_owned(), value.join("\n")));
    }
    found
}

#[test]
fn a_value_cannot_become_another_output() {
    let hostile = "x\nEOF\ngo=true\ngo<<EOF\ntrue\nEOF\n::set-output name=go::true\n";
    let fence = Sha256::of(b"request\nv");
    let knowing = format!("v\n{fence}\ngo=true");
    let text = [
        entry("request", hostile),
        entry("scope", &knowing),
        entry("go", "false"),
    ]
    .concat();
    let read = outputs(std::str::from_utf8(&text).unwrap());
    let expected = [
        ("request", hostile),
        ("scope", knowing.as_str()),
        ("go", "false"),
    ];
    assert_eq!(
        read,
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
}

#[test]
fn outputs_and_summary_are_appended_to_the_files_of_the_runner() {
    let dir = tempfile::tempdir().unwrap();
    let (output, summary) = (dir.path().join("output"), dir.path().join("summary"));
    std::fs::write(&summary, "before\n").unwrap();
    let outputs = Outputs::github(
        Some(output.clone()),
        Some(summary.clone()),
        Terminal::new(TerminalChoice::Never),
    );
    outputs.set("go", "true").unwrap();
    outputs.set("scope", "pr-12").unwrap();
    assert_eq!(
        self::outputs(&std::fs::read_to_string(&output).unwrap()).len(),
        2
    );
    outputs.summarise("# omk");
    assert_eq!(
        std::fs::read_to_string(&summary).unwrap(),
        "before\n# omk\n"
    );
    outputs.summarise(&"line ä\n".repeat(200_000));
    outputs.summarise("no room is left for this one");
    let whole = std::fs::read_to_string(&summary).unwrap();
    assert!(
        whole.len() <= 1 << 20 && whole.len() > (1 << 20) - 100,
        "{}",
        whole.len()
    );
    assert!(
        whole.trim_end().ends_with("a summary holds 1 MiB.*"),
        "{}",
        &whole[whole.len() - 200..]
    );
    let nowhere = Outputs::github(
        Some(dir.path().join("no/such")),
        None,
        Terminal::new(TerminalChoice::Never),
    );
    assert!(nowhere.set("go", "true").is_err());
}

#[test]
fn an_annotation_is_one_line_whatever_it_says() {
    let spot = AnnotationPlace {
        file: "a,line=1::b%\n.yaml".to_owned(),
        line: Some(3),
        column: Some(7),
    };
    let line = command(
        "error",
        &properties(Some(&spot)),
        "100%\r\n::set-env name=PATH::x\n\u{1b}[31m",
    );
    insta::assert_snapshot!(line, @"::error file=a%2Cline=1%3A%3Ab%25%0A.yaml,line=3,col=7::100%25%0A::set-env name=PATH::x%0A");
    assert_eq!(line.lines().count(), 1);
    assert_eq!(
        inert("::stop-commands::x\n##[error]y")
            .lines()
            .filter(|line| line.starts_with("::"))
            .count(),
        0
    );
}
