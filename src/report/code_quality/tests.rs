//! Tests of `report::code_quality`.

use super::super::check::{PLAN, gate_name};
use super::*;
use crate::fact::Location;

fn remark(path: &str, line: u32, title: &str, message: &str) -> CheckRemark {
    let place = Location {
        path: path.to_owned(),
        line,
        end_line: line,
    };
    let (check, item) = match title.split_once(": ") {
        Some((gate, item)) => (gate_name(gate), Some(item.to_owned())),
        None => (PLAN.to_owned(), None),
    };
    let (title, message) = (title.to_owned(), message.to_owned());
    CheckRemark {
        place,
        level: ItemLevel::Error,
        check,
        item,
        title,
        message,
        hint: None,
    }
}

fn read(report: &str) -> Vec<serde_json::Value> {
    assert!(report.starts_with('['), "GitLab takes no byte order mark");
    serde_json::from_str(report).unwrap()
}

/// What GitLab's own schema asks for; it stops reading at the first entry that is otherwise.
fn is_valid(entry: &serde_json::Value) -> bool {
    let text = |at: &str| {
        entry
            .pointer(at)
            .is_some_and(|value| value.as_str().is_some_and(|text| !text.is_empty()))
    };
    let line = entry
        .pointer("/location/lines/begin")
        .and_then(serde_json::Value::as_u64);
    [
        "/description",
        "/check_name",
        "/fingerprint",
        "/severity",
        "/location/path",
    ]
    .into_iter()
    .all(text)
        && line.is_some_and(|line| line >= 1)
        && ["info", "minor", "major", "critical", "blocker"]
            .contains(&entry["severity"].as_str().unwrap())
}

#[test]
fn a_failing_item_is_an_entry_at_its_line() {
    let remarks = [
        CheckRemark {
            level: ItemLevel::Notice,
            ..remark("a b/ä.rs", 7, "lint: unused", "never used")
        },
        remark(
            "src/api.rs",
            3,
            "test: suite::it_works",
            "assertion failed\n left: 1",
        ),
        CheckRemark {
            hint: Some("did you mean `database`?".to_owned()),
            ..remark(
                "omk.yaml",
                4,
                "omk plan, line 4, column 20",
                "task `api` needs `databse`",
            )
        },
    ];
    insta::assert_snapshot!(render(&remarks), @r#"
[
  {
    "description": "suite::it_works: assertion failed left: 1",
    "check_name": "omk / test",
    "fingerprint": "3d1c1f700b34a41bdab11127ddb7f87b942d3ec69ab868495087185207ae7fb7",
    "severity": "major",
    "location": {
      "path": "src/api.rs",
      "lines": {
        "begin": 3
      }
    }
  },
  {
    "description": "task `api` needs `databse`; did you mean `database`?",
    "check_name": "omk plan",
    "fingerprint": "13c4ceb6f1029e0cd16ca6b91ff05499642cebad5c75d38b0782fed5e28addc8",
    "severity": "major",
    "location": {
      "path": "omk.yaml",
      "lines": {
        "begin": 4
      }
    }
  },
  {
    "description": "unused: never used",
    "check_name": "omk / lint",
    "fingerprint": "e504e2ae62c00917f8b7b6724a71cff1cb39ec6fcc00c8c57ab6cb14791ac1fd",
    "severity": "info",
    "location": {
      "path": "a b/ä.rs",
      "lines": {
        "begin": 7
      }
    }
  }
]
"#);
    assert!(read(&render(&remarks)).iter().all(is_valid));
    assert_eq!(render(&[]), "[]\n");
}

#[test]
fn a_fingerprint_stays_when_lines_move_and_is_nobody_elses() {
    let prints = |remarks: &[CheckRemark]| -> Vec<String> {
        read(&render(remarks))
            .iter()
            .map(|entry| entry["fingerprint"].as_str().unwrap().to_owned())
            .collect()
    };
    let one = |line| remark("a.rs", line, "test: t", "no");
    assert_eq!(prints(&[one(1)]), prints(&[one(99)]));
    let all = prints(&[
        one(1),
        one(1),
        one(2),
        remark("b.rs", 1, "test: t", "no"),
        remark("a.rs", 1, "test: u", "no"),
        remark("a.rs", 1, "lint: t", "no"),
        remark("a.rs", 1, "test: t", "yes"),
    ]);
    let different: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(different.len(), all.len(), "{all:?}");
}

#[test]
fn paths_that_are_not_the_repositorys_are_left_out() {
    let paths = [
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a/./b",
        "",
        "a\nb",
        "a//b",
        ".git/config",
        "ok.rs",
    ];
    let remarks: Vec<CheckRemark> = paths
        .iter()
        .map(|path| remark(path, 1, "test: t", "no"))
        .collect();
    let read = read(&render(&remarks));
    let kept: Vec<&str> = read
        .iter()
        .map(|entry| entry["location"]["path"].as_str().unwrap())
        .collect();
    assert!(kept.contains(&"ok.rs"));
    for path in kept {
        assert!(
            !path.starts_with('/') && !path.split('/').any(|part| matches!(part, "" | "." | "..")),
            "{path:?}"
        );
    }
}

#[test]
fn what_is_hostile_or_too_much_is_still_a_report() {
    let evil = "\u{feff}\"}]\u{0}\u{202e}\u{1b}[31m<script>\n".repeat(10_000);
    let mut remarks: Vec<CheckRemark> = (0..5_000)
        .map(|line| remark("a.rs", line, &evil, &evil))
        .collect();
    remarks.push(remark("a.rs", 0, "", ""));
    remarks.extend(
        [ItemLevel::Warning, ItemLevel::Notice].map(|level| CheckRemark {
            level,
            ..remark("a.rs", 1, "t: x", "no")
        }),
    );
    remarks.rotate_right(2);
    let report = render(&remarks);
    let entries = read(&report);
    assert_eq!(entries.len(), MOST);
    assert!(report.len() < 4 << 20, "{} bytes", report.len());
    assert!(
        entries.iter().all(|entry| entry["severity"] == "major"),
        "the worst are kept"
    );
    assert!(entries.iter().all(is_valid));
    assert!(
        read(&render(&[remark("a.rs", 0, "", "")]))
            .iter()
            .all(is_valid)
    );
}
