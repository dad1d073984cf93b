//! Gates: what their reports say, what the base says, what lets a change through.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use omk_action::exec::{NetworkReach, Sandbox, Shepherd, probe};
use omk_action::fact::{AgainstBase, GateOutcome, GateVerdict};
use omk_action::gate::baseline::compare;
use omk_action::gate::ground::Ground;
use omk_action::gate::items::{self, Document, Items, KEPT, SIZE_CAP};
use omk_action::gate::judge::{GateEnvironment, Judged, fingerprint, judge};
use omk_action::gate::passes;
use omk_action::id::Sha256;
use omk_action::plan::{Baseline, Gate, Report, ReportFormat, RoomLevel};
use proptest::prelude::*;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

/// Items as a person would note them down.
pub(crate) fn told(items: &Items) -> String {
    let mut text = String::new();
    for item in &items.failing {
        let place = item.place.as_ref().map_or("-".to_owned(), |place| {
            format!("{}:{}-{}", place.path, place.line, place.end_line)
        });
        text.push_str(&format!(
            "{} | {place} | {:?} | {}\n",
            item.key,
            item.level,
            item.message.replace('\n', "\\n")
        ));
    }
    text.push_str(&format!("total {}; {}", items.total, items.note));
    text
}

/// A report of one document, in a tree that holds whatever it speaks of.
fn read(format: ReportFormat, bytes: &[u8], roots: &[String]) -> Items {
    let (holds, all) = (|_: &str| true, Vec::new);
    let document = Document {
        path: "report".to_owned(),
        bytes: bytes.to_vec(),
    };
    items::read(format, &[document], &Ground::new(roots, &holds, &all))
}

pub(crate) fn junit(text: &str) -> Items {
    read(
        ReportFormat::Junit,
        text.as_bytes(),
        &["/slots/1".to_owned()],
    )
}

#[test]
fn junit_suites_nest_and_only_failing_cases_count() {
    let items = junit(
        r#"<?xml version="1.0"?>
        <!DOCTYPE x [<!ENTITY lol "lol">]>
        <testsuites name="all">
          <testsuite name="outer"><testsuite name="inner" file="tests/inner.py">
            <testcase name="passes" classname="a"/>
            <testcase name="breaks" line="7"><failure message="1 &lt; 2 &amp; so on">at <![CDATA[<raw> & ]]>&#65;&lol;</failure></testcase>
            <testcase name="errors" classname="b.C" file="/slots/1/src/b.py" line="3"><error type="E">boom in /slots/1/src/b.py</error><failure/></testcase>
            <testcase name="skips"><skipped/></testcase>
            <testcase name="flaky"><flakyFailure message="once"/></testcase>
          </testsuite></testsuite>
          <testsuite name="import" file="https://x.example/x.py"><error message="no such module"/></testsuite>
        </testsuites>"#,
    );
    insta::assert_snapshot!(told(&items), @r#"
all/outer/inner::breaks | tests/inner.py:7-7 | Error | 1 < 2 & so on\nat <raw> & A&lol;
b.C::errors | src/b.py:3-3 | Error | boom in src/b.py
import | - | Error | no such module
total 3;
"#);
}

#[test]
fn the_same_test_twice_is_two() {
    let items = junit(
        "<testsuite><testcase name='t' classname='c'><failure/></testcase>\
         <testcase name='t' classname='c'><failure/></testcase></testsuite>",
    );
    let keys: Vec<&str> = items.failing.iter().map(|item| item.key.as_str()).collect();
    assert_eq!(keys, ["c::t", "c::t#2"]);
}

#[test]
fn at_most_200_are_kept_and_all_are_counted() {
    let case = |n: usize| {
        format!(
            "<testcase name='t{n}'><failure>{}</failure></testcase>",
            "x".repeat(5000)
        )
    };
    let text = format!(
        "<testsuite>{}</testsuite>",
        (0..450).map(case).collect::<String>()
    );
    let items = junit(&text);
    assert_eq!(
        (items.failing.len(), items.total, items.note.as_str()),
        (KEPT, 450, "")
    );
    assert!(
        items
            .failing
            .iter()
            .all(|item| item.message.chars().count() <= 1001)
    );
}

#[test]
fn a_long_message_is_cut_when_the_names_of_the_slot_are_gone() {
    let text = |count: usize| {
        let message = "/slots/1/x".repeat(count);
        junit(&format!(
            "<testsuite><testcase name='t'><failure>{message}</failure></testcase></testsuite>"
        ))
    };
    assert_eq!(text(300).failing[0].message, "x".repeat(300));
}

#[test]
fn a_report_of_just_32_mib_is_read_and_of_one_more_byte_is_not() {
    let one = "<testsuite><testcase name='t'><failure/></testcase></testsuite>";
    let other = |padding: usize| format!("<testsuite><!--{}--></testsuite>", "x".repeat(padding));
    let room = usize::try_from(SIZE_CAP).expect("it fits") - one.len() - other(0).len();
    let (holds, all) = (|_: &str| true, Vec::new);
    let ground = Ground::new(&[], &holds, &all);
    for (padding, expect) in [
        (room, "t | - | Error | \ntotal 1; "),
        (
            room + 1,
            "total 0; the report is larger than 32 MiB and was not read",
        ),
    ] {
        let documents = [one.to_owned(), other(padding)].map(|text| Document {
            path: "report".to_owned(),
            bytes: text.into_bytes(),
        });
        assert_eq!(
            told(&items::read(ReportFormat::Junit, &documents, &ground)),
            expect
        );
    }
}

#[test]
fn only_a_case_that_passed_later_has_passed() {
    let failed = "<testcase name='t'><failure/></testcase>";
    for (later, total) in [
        ("<testcase name='t'/>", 0),
        ("<testcase name='t'><skipped/></testcase>", 1),
        ("<testcase name='other'/>", 1),
        ("<testcase name='t'><failure/></testcase>", 2),
    ] {
        assert_eq!(
            junit(&format!("<testsuite>{failed}{later}</testsuite>")).total,
            total,
            "{later}"
        );
    }
}

#[test]
fn a_case_within_a_case_hides_no_failure() {
    let items = junit(
        "<testsuite><testcase name='outer'><failure message='x'/><testcase name='inner'/></testcase></testsuite>",
    );
    assert_eq!(told(&items), "outer | - | Error | x\ntotal 1; ");
}

#[test]
fn a_report_that_does_not_read_to_its_end_gives_nothing_but_a_note() {
    let good = "<testsuite><testcase name='t'><failure/></testcase></testsuite>";
    assert_eq!(junit(good).total, 1);
    let mut notes = String::new();
    for text in [
        "",
        "not xml",
        "<html><body/></html>",
        &good[..good.len() - 12],
        "<testsuite><testcase></testsuite>",
        &"<testsuite>".repeat(100_000),
    ] {
        let items = junit(text);
        assert_eq!((items.failing.len(), items.total), (0, 0), "{text:.60}");
        notes.push_str(&items.note);
        notes.push('\n');
    }
    for (format, text) in [
        (ReportFormat::Sarif, "{\"runs\": 7}"),
        (ReportFormat::Sarif, "[[[["),
        (ReportFormat::CargoJson, "warning: unused"),
    ] {
        let items = read(format, text.as_bytes(), &[]);
        assert_eq!(items.total, 0);
        notes.push_str(&items.note);
        notes.push('\n');
    }
    insta::assert_snapshot!(notes, @r#"
the report is not JUnit XML: it has no test suite
the report is not JUnit XML: it has no test suite
the report is not JUnit XML: its root is `html`
the report is not JUnit XML: it ends in the middle
the report is not JUnit XML: ill-formed document: expected `</testcase>`, but `</testsuite>` was found
the report is not JUnit XML: it nests deeper than 128 elements
the report is not SARIF: invalid type: integer `7`, expected a list at line 1 column 10
the report is not SARIF: EOF while parsing a list at line 1 column 4
the report is not cargo's JSON messages: it holds no message
"#);
}

#[test]
fn a_bomb_of_entities_stays_small() {
    let items = junit(
        r#"<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
        <testsuite><testcase name="&b;"><failure message="&b;">&b;</failure></testcase></testsuite>"#,
    );
    assert_eq!(told(&items), "&b; | - | Error | &b;\\n&b;\ntotal 1; ");
}

#[test]
fn sarif_results_fail_unless_they_say_otherwise() {
    let log = serde_json::json!({"version": "2.1.0", "runs": [{
    "tool": {"driver": {"name": "lint", "rules": [{"id": "soft", "defaultConfiguration": {"level": "note"}}]}},
    "results": [
        {"ruleId": "hard", "level": "error", "message": {"text": "line 12 is 130 long"}, "locations": [{"physicalLocation":
            {"artifactLocation": {"uri": "file:///slots/1/src/a%20b.rs"}, "region": {"startLine": 12, "endLine": 13}}}]},
        {"ruleId": "hard", "level": "error", "message": {"text": "line 99 is 180 long"}, "locations": [{"physicalLocation":
            {"artifactLocation": {"uri": "src/a b.rs"}, "region": {"startLine": 99}}}]},
        {"ruleIndex": 0, "message": {"text": "hm"}},
        {"ruleId": "plain", "message": {"markdown": "**w**"}},
        {"ruleId": "fine", "kind": "pass", "message": {"text": "ok"}},
        {"ruleId": "none", "level": "none", "message": {"text": "ok"}},
        {"ruleId": "gone", "baselineState": "absent", "message": {"text": "ok"}},
        {"ruleId": "hushed", "suppressions": [{"kind": "inSource"}], "message": {"text": "ok"}},
        {"ruleId": "refused", "suppressions": [{"kind": "inSource", "status": "rejected"}], "message": {"text": "x"}},
    ]}]});
    let items = read(
        ReportFormat::Sarif,
        log.to_string().as_bytes(),
        &["/slots/1".to_owned()],
    );
    insta::assert_snapshot!(told(&items), @r#"
hard@src/a b.rs: line # is # long | src/a b.rs:12-13 | Error | line 12 is 130 long
hard@src/a b.rs: line # is # long#2 | src/a b.rs:99-99 | Error | line 99 is 180 long
soft@: hm | - | Notice | hm
plain@: **w** | - | Warning | **w**
refused@: x | - | Warning | x
total 5;
"#);
}

#[test]
fn results_that_are_too_many_to_be_looked_at_are_counted() {
    let log = |results: usize| {
        let results = vec![r#"{"kind":"pass"}"#; results].join(",");
        read(
            ReportFormat::Sarif,
            format!(r#"{{"runs":[{{"results":[{results}]}}]}}"#).as_bytes(),
            &[],
        )
    };
    assert_eq!(told(&log(20_000)), "total 0; ");
    // Whether these passed is not known.
    assert_eq!(told(&log(20_002)), "total 2; ");
}

#[test]
fn only_the_sums_of_a_compiler_are_left_out() {
    let message = |level: &str, text: &str, spans: serde_json::Value| {
        let message =
            serde_json::json!({"message": text, "level": level, "code": null, "spans": spans});
        serde_json::json!({"reason": "compiler-message", "message": message}).to_string()
    };
    let (none, span) = (
        serde_json::json!([]),
        serde_json::json!([{"file_name": "src/lib.rs", "line_start": 3}]),
    );
    let sums = [
        message("error", "aborting due to 1 previous error", none.clone()),
        message(
            "error",
            "could not compile `api` (lib) due to 1 previous error",
            none.clone(),
        ),
        message("warning", "1 warning emitted", none.clone()),
        message("warning", "2 warnings emitted", none.clone()),
    ];
    let cargo = |text: &str| {
        told(&read(
            ReportFormat::CargoJson,
            text.as_bytes(),
            &["/slots/1".to_owned()],
        ))
    };
    assert_eq!(cargo(&sums.join("\n")), "total 0; ");
    let errors = [
        message(
            "error",
            "linking with `cc` failed: exit status: 1",
            none.clone(),
        ),
        message("error", "aborting due to an overflow", span.clone()),
    ];
    let warnings = [
        message("warning", "the linker warns", none),
        message("warning", "it had 2 warnings emitted", span),
    ];
    insta::assert_snapshot!(cargo(&errors.join("\n")), @"
    error@: linking with `cc` failed: exit status: # | - | Error | linking with `cc` failed: exit status: 1
    error@src/lib.rs: aborting due to an overflow | src/lib.rs:3-3 | Error | aborting due to an overflow
    total 2;
    ");
    insta::assert_snapshot!(cargo(&warnings.join("\n")), @"
    warning@: the linker warns | - | Warning | the linker warns
    warning@src/lib.rs: it had # warnings emitted | src/lib.rs:3-3 | Warning | it had 2 warnings emitted
    total 2;
    ");
}

#[test]
fn messages_of_rustc_itself_are_read() {
    let lines = [
        r#"{"$message_type":"artifact","artifact":"/slots/1/libapi.rlib","emit":"link"}"#,
        r#"{"$message_type":"diagnostic","message":"mismatched types","code":{"code":"E0308","explanation":null},"level":"error","spans":[{"file_name":"src/lib.rs","line_start":4,"line_end":4,"is_primary":true}],"children":[],"rendered":"error[E0308]"}"#,
    ];
    let items = read(
        ReportFormat::CargoJson,
        lines.join("\n").as_bytes(),
        &["/slots/1".to_owned()],
    );
    assert_eq!(
        told(&items),
        "E0308@src/lib.rs: mismatched types | src/lib.rs:4-4 | Error | error[E0308]\ntotal 1; "
    );
}

#[test]
fn all_warnings_are_counted_though_few_are_kept() {
    for count in [200, 201, 2_500] {
        let line = r#"{"reason":"compiler-message","message":{"message":"unused","level":"warning","spans":[]}}"#;
        let items = read(
            ReportFormat::CargoJson,
            vec![line; count].join("\n").as_bytes(),
            &[],
        );
        assert_eq!((items.failing.len(), items.total as usize), (KEPT, count));
        let error = r#"{"reason":"compiler-message","message":{"message":"no","level":"error","spans":[]}}"#;
        let lines = [vec![line; count], vec![error]].concat().join("\n");
        assert_eq!(
            told(&read(ReportFormat::CargoJson, lines.as_bytes(), &[])),
            "error@: no | - | Error | no\ntotal 1; "
        );
    }
}

#[test]
fn cargo_messages_are_errors_or_else_warnings() {
    let message = |level: &str, code: &str, text: &str, line: u32| {
        serde_json::json!({"reason": "compiler-message", "message": {"message": text, "level": level,
            "code": {"code": code}, "rendered": format!("{level}: {text}\n --> /slots/1/src/lib.rs:{line}"), "children": [],
            "spans": [{"file_name": "src/other.rs", "line_start": 1, "line_end": 1, "is_primary": false},
                      {"file_name": "src/lib.rs", "line_start": line, "line_end": line + 1, "is_primary": true}]}})
        .to_string()
    };
    let sum = r#"{"reason":"compiler-message","message":{"message":"aborting due to 2 previous errors","level":"error","code":null,"spans":[],"children":[]}}"#;
    let warning = message("warning", "unused_variables", "unused variable: `x`", 4);
    let error = message("error", "E0308", "mismatched types", 10);
    let again = message("error", "E0308", "mismatched types", 90);
    let end = r#"{"reason":"build-finished","success":false}"#;

    let lines = [
        "running 3 tests",
        &warning,
        &error,
        &again,
        sum,
        end,
        "{not json",
    ]
    .join("\n");
    let items = read(
        ReportFormat::CargoJson,
        lines.as_bytes(),
        &["/slots/1".to_owned()],
    );
    insta::assert_snapshot!(told(&items), @r#"
E0308@src/lib.rs: mismatched types | src/lib.rs:10-11 | Error | error: mismatched types\n --> src/lib.rs:10
E0308@src/lib.rs: mismatched types#2 | src/lib.rs:90-91 | Error | error: mismatched types\n --> src/lib.rs:90
total 2;
"#);

    let lines = [warning.as_str(), end].join("\n");
    let items = read(
        ReportFormat::CargoJson,
        lines.as_bytes(),
        &["/slots/1".to_owned()],
    );
    insta::assert_snapshot!(told(&items), @r#"
unused_variables@src/lib.rs: unused variable: `x` | src/lib.rs:4-5 | Warning | warning: unused variable: `x`\n --> src/lib.rs:4
total 1;
"#);
}

#[test]
fn a_moved_failure_keeps_its_key() {
    let at = |root: &str, line: u32| {
        let text = format!(
            r#"{{"runs":[{{"results":[{{"ruleId":"r","message":{{"text":"{root}/a.c:{line}: 3 uses"}},"locations":[
            {{"physicalLocation":{{"artifactLocation":{{"uri":"{root}/a.c"}},"region":{{"startLine":{line}}}}}}}]}}]}}]}}"#
        );
        read(ReportFormat::Sarif, text.as_bytes(), &[root.to_owned()]).failing[0]
            .key
            .clone()
    };
    assert_eq!(at("/slots/1", 7), at("/slots/22", 1234));
}

fn outcome(verdict: GateVerdict, failing: &[&str]) -> GateOutcome {
    let text: String = failing
        .iter()
        .map(|name| format!("<testcase name='{name}'><failure/></testcase>"))
        .collect();
    let items = junit(&format!("<testsuite>{text}</testsuite>"));
    let exit = match verdict {
        GateVerdict::Passed | GateVerdict::Flaky => Some(0),
        GateVerdict::Failed => Some(1),
        GateVerdict::TimedOut | GateVerdict::Skipped | GateVerdict::Reused => None,
    };
    GateOutcome {
        gate: "test".parse().expect("a gate id"),
        command: "make test".to_owned(),
        required: true,
        verdict,
        against_base: None,
        counts_as_passed: matches!(
            verdict,
            GateVerdict::Passed | GateVerdict::Flaky | GateVerdict::Reused
        ),
        exit,
        duration_ms: 1,
        attempts: 1,
        log: None,
        failing: items.failing,
        failing_total: items.total,
        reports: 0,
        note: String::new(),
        room: None,
        reuse: None,
    }
}

#[track_caller]
fn check(change: &GateOutcome, base: &GateOutcome, expect: Option<AgainstBase>) {
    let test = "test".parse().expect("a gate id");
    let allowed = compare(change.clone(), base, Baseline::Allow);
    assert_eq!(allowed.against_base, expect);
    let forgiven = expect == Some(AgainstBase::PreExisting);
    assert_eq!(
        allowed.counts_as_passed,
        change.counts_as_passed || forgiven
    );
    assert_eq!(
        passes(&[allowed], std::slice::from_ref(&test)),
        change.counts_as_passed || forgiven
    );
    let strict = compare(change.clone(), base, Baseline::Strict);
    assert_eq!(strict.against_base, expect);
    assert_eq!(strict.counts_as_passed, change.counts_as_passed);
}

#[test]
fn only_a_reported_subset_of_the_bases_failures_is_forgiven() {
    use AgainstBase::{Broke, Fixed, PreExisting};
    use GateVerdict::{Failed, Flaky, Passed, Skipped, TimedOut};
    check(
        &outcome(Failed, &["a"]),
        &outcome(Failed, &["a", "b"]),
        Some(PreExisting),
    );
    check(
        &outcome(Failed, &["a", "b"]),
        &outcome(Failed, &["b", "a"]),
        Some(PreExisting),
    );
    check(
        &outcome(Failed, &["a", "c"]),
        &outcome(Failed, &["a", "b"]),
        Some(Broke),
    );
    check(
        &outcome(Failed, &["a", "a"]),
        &outcome(Failed, &["a"]),
        Some(Broke),
    );
    check(&outcome(Failed, &["a"]), &outcome(Passed, &[]), Some(Broke));
    check(&outcome(Failed, &[]), &outcome(Flaky, &[]), Some(Broke));
    check(&outcome(Failed, &[]), &outcome(Failed, &["a"]), None);
    check(&outcome(Failed, &["a"]), &outcome(Failed, &[]), None);
    check(&outcome(Failed, &[]), &outcome(Failed, &[]), None);
    check(&outcome(Failed, &["a"]), &outcome(TimedOut, &["a"]), None);
    check(&outcome(TimedOut, &["a"]), &outcome(Failed, &["a"]), None);
    check(&outcome(TimedOut, &[]), &outcome(TimedOut, &[]), None);
    check(&outcome(TimedOut, &[]), &outcome(Passed, &[]), Some(Broke));
    check(&outcome(Skipped, &[]), &outcome(Failed, &["a"]), None);
    check(&outcome(Failed, &["a"]), &outcome(Skipped, &["a"]), None);
    check(&outcome(Passed, &[]), &outcome(Failed, &["a"]), Some(Fixed));
    check(&outcome(Flaky, &[]), &outcome(Failed, &["a"]), None);
    check(&outcome(Passed, &[]), &outcome(Passed, &[]), None);
}

#[test]
fn a_crash_half_way_through_its_report_is_not_forgiven() {
    let base = outcome(GateVerdict::Failed, &["a", "b"]);
    let mut change = outcome(GateVerdict::Failed, &["a"]);
    change.exit = None;
    check(&change, &base, None);
    change.exit = Some(139);
    check(&change, &base, None);
    // pytest ends with 1 if tests failed, and with 3 if it gave up half way.
    change.exit = Some(3);
    check(&change, &base, None);
}

#[test]
fn people_read_how_the_gate_ended_here_and_on_the_base() {
    let of = |exit| GateOutcome {
        exit,
        ..outcome(GateVerdict::Failed, &["a"])
    };
    let signal = "it was ended by a signal, and its report may hold only a part";
    for (change, base, note) in [
        (Some(1), Some(1), "all 1 failing on the base too"),
        (Some(127), Some(127), "all 1 failing on the base too"),
        (Some(128), Some(128), signal),
        (None, Some(1), signal),
        (
            Some(3),
            Some(1),
            "it ended with 3 and not with 1 as on the base, and its report may hold only a part",
        ),
        (
            Some(3),
            None,
            "it ended with 3 and not with a signal as on the base, and its report may hold only a part",
        ),
    ] {
        assert_eq!(compare(of(change), &of(base), Baseline::Allow).note, note);
    }
}

#[test]
fn what_was_only_counted_cannot_be_compared() {
    let names: Vec<String> = (0..250).map(|n| format!("t{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let many = outcome(GateVerdict::Failed, &names);
    check(&many, &many, None);
    check(&outcome(GateVerdict::Failed, &["t249"]), &many, None);
    check(&outcome(GateVerdict::Failed, &["new"]), &many, None);
}

#[test]
fn another_command_on_the_base_says_nothing() {
    let mut base = outcome(GateVerdict::Failed, &["a"]);
    base.command = "make other".to_owned();
    check(&outcome(GateVerdict::Failed, &["a"]), &base, None);
}

proptest! {
    #[test]
    fn reading_never_panics_and_keeps_its_limits(
        bytes in proptest::collection::vec(any::<u8>(), 0..2000),
        markup in "(<testsuite>|</testsuite>|<testcase name='|'>|<failure>|</failure>|</testcase>|&|;|\\PC|\\{|\\[|\"runs\":|\\]|\\}){0,60}",
    ) {
        for format in [ReportFormat::Junit, ReportFormat::Sarif, ReportFormat::CargoJson] {
            for bytes in [&bytes, markup.as_bytes()] {
                let items = read(format, bytes, &["/slots/1".to_owned()]);
                prop_assert!(items.failing.len() <= KEPT);
                prop_assert!(items.failing.len() as u64 <= u64::from(items.total));
                prop_assert!(items.note.is_empty() || items.total == 0);
            }
        }
    }

    #[test]
    fn forgiveness_is_a_subset(change in proptest::collection::vec("[a-d]", 0..5), base in proptest::collection::vec("[a-d]", 0..5)) {
        let text = |names: &[String]| names.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        let names = |names: &[String]| outcome(GateVerdict::Failed, &names.iter().map(String::as_str).collect::<Vec<_>>());
        let compared = compare(names(&change), &names(&base), Baseline::Allow);
        let mut left = base.clone();
        let subset = change.iter().all(|name| left.iter().position(|other| other == name).map(|at| left.remove(at)).is_some());
        let expect = !change.is_empty() && !base.is_empty() && subset;
        prop_assert_eq!(compared.counts_as_passed, expect, "{} on {}", text(&change), text(&base));
    }
}

/// A slot, a directory for logs, and a gate that is judged there by the real shepherd.
struct Bench {
    dir: tempfile::TempDir,
    gate: Gate,
    stop: CancellationToken,
}

impl Bench {
    fn new(run: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for name in ["slot", "outside", "home", "tmp"] {
            std::fs::create_dir(dir.path().join(name)).expect("a directory");
        }
        let gate = Gate {
            id: "test".parse().expect("a gate id"),
            run: run.to_owned(),
            timeout: Duration::from_secs(60),
            required: true,
            retries: 0,
            inputs: None,
            fingerprint: None,
            trusted: Vec::new(),
            report: Some(Report {
                format: ReportFormat::Junit,
                paths: vec!["out/junit.xml".parse().expect("a glob")],
            }),
            network: None,
            exclusive: false,
            env: [("GREETING".to_owned(), "hello".to_owned())].into(),
        };
        Self {
            dir,
            gate,
            stop: CancellationToken::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    async fn judge(&self) -> Judged {
        self.at_site(None, None, async |gate, site| {
            judge(gate, site).await.expect("the machine is well")
        })
        .await
    }

    /// Does that where the gate is judged; the listeners of its room go to `doors`.
    async fn at_site<T>(
        &self,
        room: Option<&Sandbox>,
        doors: Option<UnboundedSender<TcpListener>>,
        does: impl AsyncFnOnce(&Gate, &GateEnvironment<'_>) -> T,
    ) -> T {
        let env = BTreeMap::from([
            ("PATH".into(), std::env::var_os("PATH").expect("a PATH")),
            ("GREETING".into(), "hello".into()),
            ("HOME".into(), self.path("home").into()),
            ("TMPDIR".into(), self.path("tmp").into()),
        ]);
        let shepherd = Shepherd::new(env!("CARGO_BIN_EXE_omk").into());
        let site = GateEnvironment {
            shepherd: &shepherd,
            dir: &self.path("slot"),
            env: &env,
            room,
            doors,
            logs: &self.path("run/logs/api-1"),
            logs_name: "logs/api-1",
            scrub: &|text| text.replace("s3cr3t", "***"),
            lay_out: &|| Box::pin(async { Ok(()) }),
            stop: &self.stop,
        };
        does(&self.gate, &site).await
    }
}

const REPORT: &str =
    "<testsuite><testcase name=\"a\"><failure message=\"s3cr3t\"/></testcase></testsuite>";

#[tokio::test]
async fn a_failing_gate_leaves_its_report_and_its_log() {
    let bench = Bench::new(&format!(
        "mkdir -p out; echo '{REPORT}' > out/junit.xml; echo $GREETING s3cr3t; exit 3"
    ));
    let outcome = bench.judge().await.outcome;
    assert_eq!(
        (outcome.verdict, outcome.exit, outcome.counts_as_passed),
        (GateVerdict::Failed, Some(3), false)
    );
    assert_eq!(
        (
            outcome.attempts,
            outcome.failing_total,
            outcome.note.as_str()
        ),
        (1, 1, "")
    );
    assert_eq!(
        (
            outcome.failing[0].key.as_str(),
            outcome.failing[0].message.as_str()
        ),
        ("a", "***")
    );
    let log = outcome.log.expect("it printed");
    assert_eq!(
        (log.path.as_str(), log.head.as_str(), log.tail.as_str()),
        ("logs/api-1/gate-test-1.log", "hello ***\n", "")
    );
    let bytes = std::fs::read(bench.path("run").join(&log.path)).expect("the log is there");
    assert_eq!(log.sha256, Sha256::of(&bytes));
}

#[tokio::test]
async fn a_failure_is_named_without_the_home_and_the_tmpdir_of_the_execution() {
    let bench = Bench::new(
        "mkdir out; echo \"<testsuite><testcase name='opens $TMPDIR/a.db and $HOME/.b'><failure/></testcase></testsuite>\" \
         > out/junit.xml; exit 1",
    );
    let outcome = bench.judge().await.outcome;
    assert_eq!(
        (outcome.failing[0].key.as_str(), outcome.note.as_str()),
        ("opens # and #", "")
    );
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "a test that did not run says so")]
async fn the_doors_of_a_room_open_for_a_gate_and_for_its_fingerprint() {
    let bench = Bench::new("true");
    let reach = NetworkReach::Doors(vec![40_000]);
    if probe(
        &Shepherd::new(env!("CARGO_BIN_EXE_omk").into()),
        reach.clone(),
    )
    .await
    .level
        < RoomLevel::Sealed
    {
        eprintln!("skipped: there is no sealed room here");
        return;
    }
    let room = Sandbox {
        writable: vec![bench.path("slot")],
        reach,
        ..Sandbox::default()
    };
    let (opened, mut doors) = unbounded_channel();
    let mut port = || {
        doors
            .try_recv()
            .ok()
            .and_then(|door: TcpListener| door.local_addr().ok())
            .map(|at| at.port())
    };
    let judged = bench
        .at_site(Some(&room), Some(opened.clone()), async |gate, site| {
            judge(gate, site).await
        })
        .await;
    assert_eq!(judged.expect("the machine is well").outcome.exit, Some(0));
    assert_eq!((port(), port()), (Some(40_000), None));
    let printed = bench
        .at_site(Some(&room), Some(opened.clone()), async |gate, site| {
            fingerprint(gate, "echo 1", site).await
        })
        .await;
    assert_eq!(
        printed.expect("the machine is well"),
        Ok(Sha256::of(b"1\n"))
    );
    assert_eq!((port(), port()), (Some(40_000), None));
}

#[tokio::test]
async fn a_gate_that_passes_the_second_time_is_flaky() {
    let mut bench = Bench::new("test -e seen && exit 0; touch seen; exit 1");
    bench.gate.retries = 2;
    let outcome = bench.judge().await.outcome;
    assert_eq!(
        (outcome.verdict, outcome.attempts, outcome.counts_as_passed),
        (GateVerdict::Flaky, 2, true)
    );
    assert_eq!(
        outcome.note,
        "flaky: passed on the 2nd of 2 executions; it left no report at out/junit.xml"
    );
    assert!(
        bench.path("run/logs/api-1/gate-test-1.log").exists()
            && bench.path("run/logs/api-1/gate-test-2.log").exists()
    );
}

#[tokio::test]
async fn a_report_from_before_is_not_read() {
    let bench = Bench::new("exit 1");
    std::fs::create_dir(bench.path("slot/out")).expect("a directory");
    std::fs::write(bench.path("slot/out/junit.xml"), REPORT).expect("a file");
    let outcome = bench.judge().await.outcome;
    assert_eq!(
        (outcome.failing_total, outcome.note.as_str()),
        (0, "it left no report at out/junit.xml")
    );
}

#[cfg(unix)]
#[tokio::test]
async fn a_symlink_leads_no_report_out_of_the_slot() {
    let bench = Bench::new("exit 1");
    std::fs::write(bench.path("outside/junit.xml"), REPORT).expect("a file");
    std::os::unix::fs::symlink(bench.path("outside"), bench.path("slot/out")).expect("a symlink");
    let outcome = bench.judge().await.outcome;
    assert_eq!(outcome.failing_total, 0);
    assert_eq!(
        outcome.note,
        "an old report at out/junit.xml could not be removed, so none is read: it lies below a symbolic link, or below something that is no directory"
    );
    assert!(
        bench.path("outside/junit.xml").exists(),
        "a file outside the slot is gone"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn a_report_that_is_no_plain_file_is_not_read() {
    let plain = "and not a plain file";
    for (made, why) in [
        ("mkfifo out/junit.xml", format!("it is a pipe, {plain}")),
        (
            "ln -s /etc/passwd out/junit.xml",
            format!("it is a symbolic link, {plain}"),
        ),
        (
            "ln -s /dev/zero out/junit.xml",
            format!("it is a symbolic link, {plain}"),
        ),
        ("mkdir out/junit.xml", format!("it is a directory, {plain}")),
        (
            "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"out/junit.xml\")'",
            format!("it is a socket, {plain}"),
        ),
        (
            "truncate -s 10G out/junit.xml",
            "it holds more than 32 MiB, the most that omk reads of it".to_owned(),
        ),
    ] {
        let bench = Bench::new(&format!("mkdir -p out && {made}; exit 1"));
        let outcome = bench.judge().await.outcome;
        let expect = format!("the report at out/junit.xml was not read: {why}");
        assert_eq!((outcome.failing_total, outcome.note), (0, expect));
    }
}

#[tokio::test]
async fn a_gate_over_its_time_is_ended_and_never_forgiven() {
    let mut bench = Bench::new("sleep 600");
    bench.gate.timeout = Duration::from_millis(300);
    let outcome = bench.judge().await.outcome;
    assert_eq!(
        (outcome.verdict, outcome.exit, outcome.counts_as_passed),
        (GateVerdict::TimedOut, None, false)
    );
    check(&outcome, &outcome, None);
}

#[tokio::test]
async fn a_cancelled_gate_is_skipped_and_no_pass() {
    let bench = Bench::new("touch ran");
    bench.stop.cancel();
    let judged = bench.judge().await;
    assert_eq!(
        (judged.outcome.verdict, judged.outcome.attempts),
        (GateVerdict::Skipped, 0)
    );
    assert_eq!(judged.containment, None);
    assert!(!passes(
        &[judged.outcome],
        std::slice::from_ref(&bench.gate.id)
    ));
    assert!(!bench.path("slot/ran").exists());
}

#[tokio::test]
async fn a_gate_stopped_on_its_way_is_skipped() {
    let mut bench = Bench::new("touch begun; sleep 600");
    bench.gate.retries = 3;
    let begun = bench.path("slot/begun");
    let stop = bench.stop.clone();
    let watch = tokio::spawn(async move {
        while !begun.exists() {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    });
    let outcome = bench.judge().await.outcome;
    watch.await.expect("it saw the gate begin");
    assert_eq!(
        (outcome.verdict, outcome.attempts, outcome.counts_as_passed),
        (GateVerdict::Skipped, 1, false)
    );
    assert_eq!(outcome.note, "stopped before it was done");
}

#[tokio::test]
async fn a_gate_that_only_warns_passes_with_what_its_tool_found() {
    let bench = Bench::new(&format!("mkdir -p out; echo '{REPORT}' > out/junit.xml"));
    let outcome = bench.judge().await.outcome;
    assert_eq!(
        (outcome.verdict, outcome.counts_as_passed),
        (GateVerdict::Passed, true)
    );
    assert_eq!(
        (
            outcome.failing_total,
            outcome.reports,
            outcome.note.as_str()
        ),
        (1, 1, "")
    );
}

#[tokio::test]
async fn a_report_may_be_many_files_and_only_those_that_the_gate_wrote() {
    let case = |name: &str| {
        format!("<testsuite><testcase name=\"{name}\"><failure/></testcase></testsuite>")
    };
    let mut bench = Bench::new(&format!(
        "for at in a b; do mkdir -p $at/out; echo '{}' > $at/out/TEST-$at.xml; done; exit 1",
        case("new")
    ));
    bench.gate.report.as_mut().expect("it has one").paths =
        vec!["**/TEST-*.xml".parse().expect("a glob")];
    for old in ["b/out/TEST-b.xml", "resources/TEST-old.xml"] {
        let old = bench.path("slot").join(old);
        std::fs::create_dir_all(old.parent().expect("a parent")).expect("a directory");
        std::fs::write(old, case("old")).expect("a file");
    }
    std::os::unix::fs::symlink(bench.path("outside"), bench.path("slot/link")).expect("a symlink");
    std::fs::write(bench.path("outside/TEST-out.xml"), case("outside")).expect("a file");
    let outcome = bench.judge().await.outcome;
    let keys: Vec<&str> = outcome
        .failing
        .iter()
        .map(|item| item.key.as_str())
        .collect();
    assert_eq!(
        (keys, outcome.reports, outcome.note.as_str()),
        (vec!["new", "new#2"], 2, "")
    );
    assert!(
        bench.path("slot/resources/TEST-old.xml").exists(),
        "a file that only fits the pattern was removed"
    );
}

#[tokio::test]
async fn of_several_files_all_are_read_or_none() {
    let mut bench = Bench::new(&format!(
        "echo '{REPORT}' > a.xml; echo '{}' > b.xml; exit 1",
        &REPORT[..30]
    ));
    let paths = |paths: &[&str]| {
        paths
            .iter()
            .map(|path| path.parse().expect("a glob"))
            .collect()
    };
    for (named, note) in [
        (
            vec!["a.xml", "b.xml"],
            "the report b.xml is not JUnit XML: it ends in the middle",
        ),
        (vec!["a.xml", "c.xml"], "it left no report at c.xml"),
        (
            vec!["x-*.xml", "y/*.xml"],
            "it left no report at x-*.xml, y/*.xml",
        ),
    ] {
        bench.gate.report.as_mut().expect("it has one").paths = paths(&named);
        let outcome = bench.judge().await.outcome;
        assert_eq!((outcome.failing_total, outcome.note.as_str()), (0, note));
    }
}

#[test]
fn fewer_reports_than_on_the_base_are_not_forgiven() {
    let of = |reports| GateOutcome {
        reports,
        ..outcome(GateVerdict::Failed, &["a"])
    };
    check(&of(2), &of(2), Some(AgainstBase::PreExisting));
    check(&of(1), &of(2), None);
}

#[test]
fn findings_of_a_gate_that_passed_do_not_make_it_fail() {
    let warned = GateOutcome {
        failing_total: 1,
        ..outcome(GateVerdict::Passed, &["a"])
    };
    check(
        &warned,
        &outcome(GateVerdict::Failed, &["a", "b"]),
        Some(AgainstBase::Fixed),
    );
    check(&warned, &warned, None);
}
